"""Publish a finished ten-minute study: results/demo.json, results/demo.md, and its table in docs/results.md.

    python docs/make_results.py [runs/study]
    python docs/make_results.py small OUT  # results/pretraining.{json,md}, and the tables of `small`, its card too
    python docs/make_results.py free FREE SMALL FREE_ELSEWHERE SMALL_ELSEWHERE  # results/small-free/ and its tables
    python docs/make_results.py base SMALL_FREE OUT...  # results/base/pretraining.json and its table
    python docs/make_results.py understanding OUT...  # results/understanding.{json,md} from what benchmarks wrote
    python docs/make_results.py frozen OUT...         # results/frozen.{json,md}, the same of benchmarks with --frozen
    python docs/make_results.py frozen-heads OUT...   # results/frozen_heads.{json,md}, the same with --frozen-heads
    python docs/make_results.py heads FILE...         # results/heads.json from what benchmarks/heads.py printed
    python docs/make_results.py played FILE...        # results/played.json, the same with --played

The rows are those that `scoresim study` and `scoresim benchmark` wrote; nothing is typed by hand. Of the last five
each OUT and FILE adds its rows to those that stand there, or takes their place.
"""

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from scoresim.benchmark.rows import markdown
from scoresim.benchmark.run import WITH

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "runs"))
from ship import figure_table, indexed  # noqa: E402 - what model cards say

PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")  # each table stands between two marks in one of them
IMAGE, MIDI = "score images and MIDI", "MIDI alone"
BESIDE = tuple(WITH)  # how the pre-training of a row ends whose head answers beside features
ROW = ("what", "inputs", "pretraining", "metric")  # what tells one row from another
RULES = (("note heads", "none (bootleg score)"), ("nothing", "none (chance)"))
SHOWN = (  # of the study, and which row it is: (what, metric, [(heading, inputs begin with, pre-training)])
    ("Hidden pitches of a bar", "hidden pitch", "accuracy", (("both", IMAGE), ("notes", IMAGE), ("notes", MIDI))),
    ("Hidden durations of a bar", "hidden duration", "accuracy", (("both", IMAGE), ("notes", IMAGE), ("notes", MIDI))),
    ("Do image and notes match?", "matching: all", "accuracy", (("both", IMAGE),)),
    ("Image to notes", "retrieval, image to notes", "R@1", (("each", IMAGE), *RULES)),
    ("Notes to image", "retrieval, notes to image", "R@1", (("each", IMAGE), *RULES)),
    ("Style of a passage", "style, passages", "macro-F1", ()),
    ("Notes of the top staff", "top staff, notes", "accuracy", ()),
)

LOOKS = (  # of `small`: (what, what its row says before and after the look, inputs, metric)
    ("Hidden pitches of a bar, with the picture", "hidden pitch", "", "both", "accuracy"),
    ("Image to notes, of 1,000", "retrieval", ", image to notes, pool of 1000", "each", "R@1"),
    ("Notes to image, of 1,000", "retrieval", ", notes to image, pool of 1000", "each", "R@1"),
    ("Match, partner from another piece", "matching: another piece", "", "both", "accuracy"),
    ("Match, another passage of the piece", "matching: another passage of the same piece", "", "both", "accuracy"),
    ("Match, one bar altered", "matching: one bar altered", "", "both", "accuracy"),
    ("Bars found on the picture", "grounding of bars", "", "both", "share right"),
)

ASKED = (  # of heads: the title of a column, what its rows say, and the metric
    ("melody, POP909", "melody, notes", "accuracy"),
    ("loudness, POP909", "velocity, notes", "accuracy"),
    ("composer, Pianist8", "composer, windows of 512 notes", "accuracy"),
    ("emotion, EMOPIA (parts of MidiBERT)", "emotion midibert, windows of 512 notes", "accuracy"),
    ("voice, chorales", "voice chorales, notes", "accuracy"),
)
LINES = (  # of heads: the title of a line, how its pre-training begins, and its inputs
    ("most frequent class", "none (majority", "nothing"),
    ("the rule of the task", "none (skyline", "notes"),
    ("hand-crafted features", "none (hand-crafted features)", "notes"),
    ("features of notes along the line", "none (features along the line)", "notes"),
    ("MidiBERT's network, from scratch", "none (MidiBERT's", "notes"),
    ("`small` from scratch", "none (from scratch)", "notes"),
    ("`small`, pre-trained on MIDI alone", MIDI, "notes"),
    ("`small`, notes", IMAGE, "notes"),
    ("... beside hand-crafted features", f"{IMAGE}{BESIDE[0]}", "notes"),
    ("`small`, notes and picture", IMAGE, "both"),
    ("`small`, picture alone", IMAGE, "image"),
    ("*published: MidiBERT-Piano*", "published: MidiBERT-Piano", "notes"),
)
UNDERSTANDING = """Heads on `small` and beside it, by the recipes of [docs/benchmark.md](../docs/benchmark.md),
trained on one H100, three seeds each (on a CPU `tune_type` and `difficulty`, and with one seed `velocity_midibert` and
`melody_midibert`, that with three times as many steps), with 95 % intervals over works. Every row names its command;
MIDI is the checkpoint of the same network pre-trained on MIDI alone with as many passages.
Features and rules are made on a CPU.
Heads that say who composed by the recipe of then: 16 windows a step, 2.1 passes. Parameters are those of network and
head; how long a training took is known of rows on a CPU alone. Emotion was asked again on a CPU, of music as it is read
today and by the recipe of today (c56a8e0, MidiBERT's network 6a1a2d1), but for MIDI alone and features of music21.
MidiBERT's network has its tables trained as tables where it was asked about emotion, tune types, difficulty (6a1a2d1)
and the voices of chorales (c56a8e0); in its other rows they were trained as matrices are, by Muon.
"""


ELSEWHERE = """Of all 22 notated sources, of which it has seen four and `small` all (held-out works, clean pictures;
[results/small-free](results/small-free/elsewhere.json)):"""
FROZEN = """What the weights of `small` know as they are: logistic regression on their states
([docs/benchmark.md](../docs/benchmark.md#what-frozen-weights-know)), with 95 % intervals over works, made on two cores.
MIDI is the checkpoint of the same network pre-trained on MIDI alone with as many passages; "from scratch" is the
network before any training. Parameters are those of network and linear model.
"""
ON_FROZEN = """Heads on what the weights of `small` say as they are
([docs/benchmark.md](../docs/benchmark.md#how-heads-are-trained)), three seeds each, with 95 % intervals over works,
made on two cores. "From scratch" is the network before any training: what a head makes of states that nobody taught.
Parameters are those of network and head. Training is that of one seed beside other work, after all states had been
read; of rows before 2026-11-28 it is not known.
"""
WINDOWS = " (where the question is of pieces: of windows of 512 notes)"  # what the tables of frozen weights show
MOST_SOURCES = 8  # of a task that stand one by one in its table
TOGETHER = "all of them"  # what benchmarks/heads.py calls all sources of a task
RULE = tuple(f"none ({name}" for name in ("counted from", "split at", "key profiles", "skyline", "falls of the pitch"))
KNOWN: tuple[tuple[str, str | tuple[str, ...], str], ...] = (
    # of frozen weights: the title of a column, how its pre-training begins, and its inputs
    ("most frequent", "none (majority class)", "nothing"),
    ("rule", RULE, "notes"),
    ("features", "none (hand-crafted features)", "notes"),
    ("untrained", "none (from scratch)", "notes"),
    ("MIDI alone", MIDI, "notes"),
    ("notes", IMAGE, "notes"),
    ("notes and picture", IMAGE, "both"),
    ("picture", IMAGE, "image"),
)


def table_of_tasks(rows: list[dict[str, Any]], compared: list[dict[str, Any]], kind: str) -> str:
    """The table of what frozen weights know: a line for each task, a column for each system there is.

    Args:
        kind: with which the inputs of its rows end: "[frozen, linear]", "[frozen]".
    """
    known = [k for k in KNOWN if any(r["pretraining"].startswith(k[1]) for r in rows)]
    lines = [f"| | {' | '.join(title for title, *_ in known)} | gain of the picture |"]
    lines.append(f"|---|{'--:|' * (len(known) + 1)}")
    first = {row["what"]: row["metric"] for row in reversed(rows)}  # the first metric of each question
    asked = [row["what"] for row in rows if row["inputs"].endswith(f" {kind}")]
    for name in dict.fromkeys(what.partition(",")[0] for what in asked):
        what = next(what for what in asked if what.startswith(f"{name},"))
        mine = [row for row in rows if row["what"] == what and row["metric"] == first[what]]
        cells = []
        for _, pretraining, inputs in known:
            found = [
                r
                for r in mine
                if r["inputs"].split(" ")[0] == inputs and r["pretraining"].startswith(pretraining)
                and not r["pretraining"].endswith(BESIDE)
            ]  # fmt: skip
            cells.append(f"{100 * found[0]['value']:.1f}" if found else "")
        gain = next((c for c in compared if c["what"] == f"{what}: gain of the image as input"), None)
        sure = "" if gain is None else f"p {gain['p']:.3f}" if gain["works"] > 1 else "one work"
        cells.append("" if gain is None else f"{100 * gain['difference']:+.1f} ({sure})")
        shown = next((r["inputs"] for r in mine if r["inputs"].startswith("both")), "")
        mark = "" if not shown or "composer" in shown else " *"
        lines.append(f"| {name}, {first[what]}{mark} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of_heads(rows: list[dict[str, Any]]) -> str:
    """The table of heads: a line for each system, a column for each question."""
    lines = [f"| | {' | '.join(title for title, *_ in ASKED)} |", f"|---|{'--:|' * len(ASKED)}"]
    for title, pretraining, inputs in LINES:
        cells = []
        for _, what, metric in ASKED:
            found = [
                row
                for row in rows
                if row["what"] == what and row["metric"] == metric and row["inputs"].startswith(inputs)
                and row["pretraining"].startswith(pretraining)
                and row["pretraining"].endswith(BESIDE) == pretraining.endswith(BESIDE)
            ]  # fmt: skip
            cells.append(
                "" if not found else percent(found[0]) if found[0]["ci95"] else f"*{100 * found[0]['value']:.1f}*"
            )
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of_small(rows: list[dict[str, Any]], beside: list[dict[str, Any]] | None = None) -> str:
    """The table of `small`: a line for each question, a column for each look; others beside it."""
    other = beside is not None
    lines = [
        "| question | metric | clean | scan-like | photo-like |" + (" `small`, clean | n |" if other else " n |"),
        "|---|---|--:|--:|--:|--:|" + ("--:|" if other else ""),
    ]
    for title, before, after, inputs, metric in LOOKS:
        from_ = " from {}-like images" if after else ", {}-like images"
        looks = ("", *(from_.format(look) for look in ("scan", "photo")))
        found = [the_row(rows, f"{before}{look}{after}", inputs, metric) for look in looks]
        if beside is not None:
            found.append(the_row(beside, f"{before}{after}", inputs, metric))
        lines.append(f"| {title} | {metric} | {' | '.join(map(percent, found))} | {found[0]['n']} |")
    return "\n".join(lines)


def the_row(rows: list[dict[str, Any]], what: str, inputs: str, metric: str) -> dict[str, Any]:
    """The one row of weights pre-trained on both that answers a question."""
    [row] = [
        r
        for r in rows
        if r["what"] == what and r["inputs"].startswith(inputs) and r["metric"] == metric and r["pretraining"] == IMAGE
    ]
    return row


def percent(row: dict[str, Any]) -> str:
    """A value with its interval, in percent."""
    low, high = row["ci95"]
    return f"{100 * row['value']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table(rows: list[dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "| question | metric | model reads | pre-trained on | % (95 % interval over works) | n |",
        "|---|---|---|---|--:|--:|",
    ]
    for title, what, metric, wanted in SHOWN:
        for row in rows:
            if row["what"].partition(", pool")[0] != what or row["metric"] != metric:
                continue
            if wanted and not any(row["inputs"].startswith(i) and row["pretraining"] == p for i, p in wanted):
                continue
            lines.append(
                f"| {title} | {metric} | {row['inputs']} | {row['pretraining']} | {percent(row)} | {row['n']} |"
            )
    return "\n".join(lines)


def main(study: Path) -> None:
    """Write the three files."""
    rows = json.loads((study / "benchmark" / "results.json").read_text(encoding="utf-8"))
    steps = json.loads((study / "study.json").read_text(encoding="utf-8"))
    (ROOT / "results").mkdir(exist_ok=True)
    shutil.copy(study / "benchmark" / "results.json", ROOT / "results" / "demo.json")
    shutil.copy(study / "benchmark" / "results.md", ROOT / "results" / "demo.md")
    minutes = sum(step["seconds"] for step in steps["steps"].values()) / 60
    note = (
        f"Held-out works, one seed; made by `make study` in {minutes:.1f} minutes on two cores, "
        f"{steps['peak_memory'] / 1e9:.1f} GB at most. All rows, with their commands:\n"
        "[results/demo.json](results/demo.json), [results/demo.md](results/demo.md)."
    )
    between("results", f"{table(rows)}\n\n{note}\n")


def small(folder: Path) -> None:
    """Keep the rows of `small`, and write its tables."""
    rows, compared = joined([folder])
    results, card = ROOT / "results", ROOT / "src" / "scoresim" / "weights" / "small" / "README.md"
    (results / "pretraining.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (results / "pretraining.md").write_text(markdown(rows, compared), encoding="utf-8")
    shutil.copyfile(folder / "retrieval-pools.json", results / "small" / "retrieval-pools.json")
    note = f"`{rows[0]['command']}`; all rows: [results/pretraining.json](results/pretraining.json)."
    between("small", f"{table_of_small(rows)}\n\n{note}\n")
    begin = "from `results/pretraining.json`:\n\n"
    head, rest = indexed(card.read_text(encoding="utf-8"), "small", rows).split(begin, 1)
    card.write_text(f"{head}{begin}{figure_table(rows, None)}\n\n{rest[rest.index('### ') :]}", encoding="utf-8")


def free(folders: list[Path]) -> None:
    """Keep the rows of `small-free` and of `small`, asked about the same works, and write their tables."""
    names = ("pretraining", "pretraining-small", "elsewhere", "elsewhere-small")
    asked = {name: joined([folder])[0] for name, folder in zip(names, folders, strict=True)}
    for name, rows in asked.items():
        if not name.endswith("-small"):
            for row in rows:
                row["command"] = row["command"].replace("--checkpoint small", "--checkpoint small-free")
        text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
        (ROOT / "results" / "small-free" / f"{name}.json").write_text(text, encoding="utf-8")
    own, other, elsewhere, elsewhere_other = asked.values()
    note = f"`{own[0]['command']}`; all rows: [results/small-free](results/small-free/pretraining.json)."
    wide = table_of_two(elsewhere, elsewhere_other, ("small-free", "small"))
    between("small-free", f"{table_of_small(own, other)}\n\n{note}\n\n{ELSEWHERE}\n\n{wide}\n")


def base(free_rows: Path, folders: list[Path]) -> None:
    """Keep the rows of `base`, and write its table beside that of `small-free`, asked about the same works."""
    rows, other = joined(folders)[0], joined([free_rows])[0]
    for row in rows:
        row["command"] = row["command"].replace("--checkpoint small", "--checkpoint BASE")
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    (ROOT / "results" / "base" / "pretraining.json").write_text(text, encoding="utf-8")
    two = table_of_two(rows, other, ("base", "small-free"))
    between("base", f"{two}\n\nAll rows: [results/base](results/base/pretraining.json).\n")


def table_of_two(rows: list[dict[str, Any]], beside: list[dict[str, Any]], names: tuple[str, str]) -> str:
    """The table of two sets of weights that were asked about the same works: clean pictures."""
    lines = [f"| question | metric | `{names[0]}` | `{names[1]}` | n |", "|---|---|--:|--:|--:|"]
    for title, before, after, inputs, metric in LOOKS:
        found = [the_row(some, f"{before}{after}", inputs, metric) for some in (rows, beside)]
        lines.append(f"| {title} | {metric} | {' | '.join(map(percent, found))} | {found[0]['n']} |")
    return "\n".join(lines)


PLACES = {"checkpoint": "small", "notes-checkpoint": "MIDI", "data": "FOLDER", "out": "OUT"}
BUILT = re.compile(r"scoresim benchmark (pretraining|retrieval)\b")  # asked of a built data set, not of sources


def joined(folders: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What benchmarks of some tasks have written, without the paths of the machine on which that was."""
    rows, compared = [], []
    for folder in folders:
        rows += json.loads((folder / "results.json").read_text(encoding="utf-8"))
        compared += json.loads((folder / "comparisons.json").read_text(encoding="utf-8"))
    for row in rows:
        if row["command"].startswith("scoresim"):
            places = PLACES | {"data": "DATA"} if BUILT.match(row["command"]) else PLACES
            for option, name in places.items():
                row["command"] = re.sub(f" --{option} [^ ]+", f" --{option} {name}", row["command"])
    return rows, compared


def added(name: str, folders: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows and comparisons of results/NAME.json, where what the folders say takes the place of what stood there."""
    file = ROOT / "results" / f"{name}.json"
    stood = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": [], "comparisons": []}
    return together(stood, *joined(folders))


def together(
    stood: dict[str, Any], rows: list[dict[str, Any]], compared: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and comparisons that stood, with new ones; no comparison stays of a row that is answered otherwise now.

    What stood there compared rows of one run; where one of the two has another value, only the new run may say what
    its difference to another is.
    """
    out = replaced(stood["rows"], rows, ROW)
    values = {tuple(row[n] for n in ROW): row["value"] for row in out}
    changed = [row for row in stood["rows"] if values[tuple(row[n] for n in ROW)] != row["value"]]
    moved = {(row["what"], f"{row['pretraining']}; {row['inputs']}") for row in changed}
    differences = replaced(stood["comparisons"], compared, ("what", "a", "b", "metric"))
    stale = [
        one for one in differences if any((one["what"].partition(":")[0], one[side]) in moved for side in ("a", "b"))
    ]
    return out, [one for one in differences if one in compared or one not in stale]


def replaced(old: list[dict[str, Any]], new: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Old entries in their order, each with the new one of the same names in its place.

    A new entry that none stood for goes behind those of its question and pre-training; weights pre-trained on MIDI
    alone go behind those that have seen pictures.
    """
    out = list(old)
    for entry in new:
        same = [i for i, one in enumerate(out) if all(one[n] == entry[n] for n in names)]
        if same:
            out[same[0]] = entry
            continue
        question = entry["what"].partition(":")[0]
        beside = [i for i, one in enumerate(out) if one["what"].partition(":")[0] == question]
        kind = str(entry.get("pretraining", "")).replace(MIDI, IMAGE)
        alike = [i for i in beside if out[i].get("pretraining") == kind]
        at = max(alike or beside, default=len(out) - 1) + 1
        out.insert(at, entry)
    return out


def publish(name: str, title: str, about: str, rows: list[dict[str, Any]], compared: list[dict[str, Any]]) -> None:
    """Write results/NAME.json and .md."""
    whole = {"rows": rows, "comparisons": compared}
    (ROOT / "results" / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    text = f"# {title}\n\n{about}\n{markdown(rows, compared)}"
    (ROOT / "results" / f"{name}.md").write_text(text, encoding="utf-8")


def understanding(folders: list[Path]) -> None:
    """The tables of trained heads."""
    rows, compared = added("understanding", folders)
    publish("understanding", "What heads know", UNDERSTANDING, rows, compared)
    note = "Percent right of the test part (composer, emotion: of windows of 512 notes), mean of three seeds\n"
    note += "(95 % interval over works); all rows and the paired tests:\n"
    note += "[results/understanding.md](results/understanding.md)."
    between("understanding", f"{table_of_heads(rows)}\n\n{note}\n")


def frozen(folders: list[Path]) -> None:
    """The tables of frozen weights."""
    rows, compared = added("frozen", folders)
    publish("frozen", "What frozen weights know", FROZEN, rows, compared)
    note = f"Percent of the test part{WINDOWS}; * the picture is engraved from the notes,\n"
    note += "else it is the composer's notation;\n"
    note += "features are made by hand and read by trees or a linear model, untrained is `small` before any training.\n"
    note += "Intervals, pieces, other metrics and tests: [results/frozen.md](results/frozen.md)."
    between("frozen", f"{table_of_tasks(rows, compared, '[frozen, linear]')}\n\n{note}\n")


def frozen_heads(folders: list[Path]) -> None:
    """The tables of heads on frozen weights."""
    rows, compared = added("frozen_heads", folders)
    publish("frozen_heads", "Heads on frozen weights", ON_FROZEN, rows, compared)
    table = table_of_tasks(rows, compared, "[frozen]")
    drawn = "* the picture is engraved from the notes, else it is the" if " * |" in table else "the picture is the"
    note = f"Percent of the test part{WINDOWS}, mean of three seeds; {drawn}\n"
    note += "composer's notation; features are made by hand and read by trees or a linear model, untrained is a head\n"
    note += "on `small` before any training. Intervals, pieces, other metrics and tests:\n"
    note += "[results/frozen_heads.md](results/frozen_heads.md)."
    between("frozen heads", f"{table}\n\n{note}\n")


def printed(name: str, files: list[Path]) -> list[dict[str, Any]]:
    """What benchmarks/heads.py printed into some files, with what stands in results/NAME.json, where it is written."""
    kept = ROOT / "results" / f"{name}.json"
    rows = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else []
    for file in files:
        new = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])["rows"]
        rows = replaced(rows, new, ("task", "source", "who", "metric"))
    kept.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


def heads(files: list[Path]) -> None:
    """What heads that ship know of each source, and the tables of it: of all sources together, and one by one."""
    rows = printed("heads", files)
    command = "`python benchmarks/heads.py MODEL FOLDER TASK`, say `small` and `melody_all`"
    note = f"{command}; intervals and other metrics: [results/heads.json](results/heads.json), source by source:\n"
    note += "[docs/results.md](docs/results.md#heads-that-ship-source-by-source)."
    between("heads", f"{table_of_shipped(rows, together=True)}\n\n{note}\n")
    note = f"* the head has learnt from this source. {command}; intervals and other metrics:\n"
    note += "[results/heads.json](results/heads.json)."
    between("heads by source", f"{table_of_shipped(rows, together=False)}\n\n{note}\n")


def table_of_shipped(rows: list[dict[str, Any]], together: bool) -> str:
    """The first metric by the rule of the task and by the heads of both sets of weights.

    Args:
        rows: of results/heads.json.
        together: of all sources of a task together, else of each of them, if they are no more than `MOST_SOURCES`.
    """
    first = {row["task"]: row["metric"] for row in reversed(rows)}
    some = [row for row in rows if row["metric"] == first[row["task"]]]
    asked = list(dict.fromkeys((row["task"], row["source"]) for row in some))
    sources = Counter(task for task, source in asked if source != TOGETHER)
    lines = ["| question | metric | rule | `small` | `small-free` | sources | n |", "|---|---|--:|--:|--:|--:|--:|"]
    if not together:
        lines = ["| question | source | metric | rule | `small` | `small-free` | n |", "|---|---|---|--:|--:|--:|--:|"]
    for task, source in asked:
        if together != (source == TOGETHER) or (not together and sources[task] > MOST_SOURCES):
            continue
        cells = dict.fromkeys(("rule", "small", "small-free"), "")
        for row in some:
            if (row["task"], row["source"]) == (task, source):
                learnt = " *" * (row["learnt"] and not together)
                who, star = (row["who"], learnt) if row["who"] in cells else ("rule", "")
                cells[who], n = f"{100 * row['value']:.1f}{star}", row["n"]
        values = " | ".join(cells.values())
        names = (task.partition("_")[0],) if together else (task.partition("_")[0], source)
        more = (sources[task], n) if together else (n,)
        lines.append(f"| {' | '.join(names)} | {first[task]} | {values} | {' | '.join(map(str, more))} |")
    return "\n".join(lines)


def played(files: list[Path]) -> None:
    """What heads that ship know of notated pieces, and of the same as they are played by rule, and the table of it."""
    rows = printed("played", files)
    note = "Works of the test parts. `python benchmarks/heads.py small FOLDER TASK --played`; source by source:\n"
    note += "[results/played.json](results/played.json)."
    between("played", f"{table_of_played(rows)}\n\n{note}\n")


def table_of_played(rows: list[dict[str, Any]]) -> str:
    """The first metric of every task over all its sources, as written and as played, by its rule and by its head."""
    lines = ["| question | metric | rule, written | played | `small`, written | played |", "|---|---|--:|--:|--:|--:|"]
    first = {row["task"]: row["metric"] for row in reversed(rows)}
    for task, metric in reversed(first.items()):
        some = [row for row in rows if (row["task"], row["metric"]) == (task, metric)]
        whole = TOGETHER if any(row["source"] == TOGETHER for row in some) else some[0]["source"]
        cells = dict.fromkeys((("rule", "written"), ("rule", "played"), ("small", "written"), ("small", "played")), "")
        for row in (row for row in some if row["source"] == whole and not row["who"].startswith("small-")):
            who, _, how = row["who"].rpartition(", ")
            cells["small" if who == "small" else "rule", how] = f"{100 * row['value']:.1f}"
        lines.append(f"| {task.partition('_')[0]} | {metric} | {' | '.join(cells.values())} |")
    return "\n".join(lines)


def between(mark: str, what: str) -> None:
    """Put something between the two marks of a table, on the page that has them."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    [page] = [page for page in PAGES if begin in page.read_text(encoding="utf-8")]
    head, rest = page.read_text(encoding="utf-8").split(begin, 1)
    inside = what if page.parent == ROOT else what.replace("](results/", "](../results/")
    page.write_text(f"{head}{begin}{inside}{end}{rest.split(end, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    lists = (free, understanding, frozen, frozen_heads, heads, played)
    given = [Path(name) for name in sys.argv[2:]]
    asked = {one.__name__.replace("_", "-"): one for one in lists}
    match sys.argv[1:2]:
        case ["small"]:
            small(*given)
        case ["base"]:
            base(given[0], given[1:])
        case [name] if name in asked:
            asked[name](given)
        case found:
            main(Path(found[0]) if found else ROOT / "runs" / "study")
