"""Style: which repertoire does a passage come from?

The classes are the styles that have at least five works in the training part (Bach chorales, trecento,
fiddle tunes, ...), in alphabetical order; passages of rarer styles are not asked. The label is the collection
that the score stands in, decided by its editors, so it is sure; a work that stands in two is not asked.

Works, not passages, are independent: the passages of one mass are alike. So figures are given twice. For
**passages**, each one counts. For **works**, the log-probabilities of a work's passages are averaged and the
work is one item. Intervals are over works in both cases.

Metrics: macro-F1, in which a small style counts as much as a large one, and accuracy. Beside them: the
majority class, and a classifier on hand-crafted features, which on small sets can beat pre-trained networks.

Style from engraving. With the image, a model may also know a repertoire by the habits of its edition: number
of staves, clefs, bar numbering. The notes hold none of that. Compare rows with equal inputs.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.task import Answers, Figure, Task
from scoresim.data.pair import Pair
from scoresim.data.shards import Split
from scoresim.errors import BadInput

FEWEST_WORKS = 5


def classes(train: Split) -> tuple[str, ...]:
    """The styles with at least `FEWEST_WORKS` works in the training part, in alphabetical order.

    Raises:
        BadInput: there are fewer than two.
    """
    works = Counter(style for style, _ in set(zip(train.column("style"), train.column("work"), strict=True)))
    named = ((style, count) for style, count in works.items() if style not in ("unknown", ""))
    found = tuple(sorted(style for style, count in named if count >= FEWEST_WORKS))
    if len(found) < 2:
        raise BadInput(
            f"the style task needs two styles with at least {FEWEST_WORKS} works each in the training part; "
            f"there are {len(found)}."
        )
    return found


def rows(split: Split, known: tuple[str, ...]) -> tuple[int, ...]:
    """Passages whose style is known from the training part, of works that stand in one style."""
    works, styles = split.column("work"), split.column("style")
    several = {work for work, count in Counter(w for w, _ in set(zip(works, styles, strict=True))).items() if count > 1}
    return tuple(
        i for i, (work, style) in enumerate(zip(works, styles, strict=True)) if style in known and work not in several
    )


def labels(pair: Pair, known: tuple[str, ...]) -> metrics.Ints:
    """[1] class of the passage."""
    return np.array([known.index(pair.style)], dtype=np.int64)


def validate(answers: Answers) -> None:
    """Refuse answers in which one work has two styles.

    Raises:
        BadInput: it has, or the labels do not fit together.
    """
    metrics.validate(answers.truth, answers.predicted, answers.scores.shape[1])
    first = np.zeros(int(answers.work.max(initial=0)) + 1, dtype=np.int64)
    first[answers.work] = answers.truth
    if (first[answers.work] != answers.truth).any():
        raise BadInput("a work stands in two styles; a work has one style, check the corpus that labels it.")


def of_works(answers: Answers) -> Answers:
    """One item per work: the mean of the log-probabilities of its passages."""
    groups = int(answers.work.max(initial=0)) + 1
    scores = answers.scores.astype(np.float64)
    scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    total = np.zeros((groups, scores.shape[1]))
    np.add.at(total, answers.work, scores)
    count = np.bincount(answers.work, minlength=groups)
    truth = np.full(groups, -1, dtype=np.int64)
    truth[answers.work] = answers.truth
    mean = (total / np.maximum(count, 1)[:, None]).astype(np.float32)
    return Answers(truth, mean, np.arange(groups, dtype=np.int64))


def select(answers: Answers) -> float:
    """Macro-F1 over passages."""
    table = metrics.confusion(answers.truth, answers.predicted, answers.scores.shape[1])
    return float(metrics.macro_f1(table.sum(0)))


def evaluate(answers: Answers) -> list[Figure]:
    """Macro-F1 and accuracy, for passages and for works."""
    validate(answers)
    figures = []
    for what, items in (("style, passages", answers), ("style of works", of_works(answers))):
        table = metrics.confusion(items.truth, items.predicted, items.scores.shape[1], items.work)
        figures.append(Figure(what, "macro-F1", table, metrics.macro_f1))
        figures.append(Figure(what, "accuracy", table, metrics.accuracy))
    return figures


TASK = Task(
    name="style",
    question="Which repertoire does this passage come from?",
    level="sequence",
    select=select,
    classes=classes,
    rows=rows,
    labels=labels,
    evaluate=evaluate,
)
