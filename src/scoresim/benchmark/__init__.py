"""Questions put to a model, and the answers as rows with intervals.

metrics.py     accuracy, F1, ranking, intervals over works, paired tests
baselines.py   majority, skyline, hand-crafted features
tasks/         one file per question
run.py         fine-tune and judge: rows for every question, beside the baselines
study.py       from scores to a report, in one
report.py      a study folder -> report.html, report.json
"""
