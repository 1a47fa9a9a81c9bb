"""Rows of results as tables that people read: figures in columns, intervals under them, baselines last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scoresim.benchmark import tasks
from scoresim.benchmark.task import Probe
from scoresim.score.tokens import ATTRIBUTES

Row = dict[str, Any]
BOTH, MIDI = "score images and MIDI", "MIDI alone"


@dataclass(frozen=True)
class Cell:
    """A figure, and what stands small under it."""

    text: str
    under: str = ""


@dataclass(frozen=True)
class Table:
    """A table for the page.

    Attributes:
        title: over it.
        head: names of the columns; the first `words` columns hold words, the others figures.
        rows: one list of cells per row.
        note: under it.
        words: number of columns of words.
    """

    title: str
    head: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""
    words: int = 1


def key_figures(rows: list[Row]) -> list[dict[str, Any]]:
    """The figures to read first: name, value, and what stands beside it."""
    found = []
    pitch = {(r["pretraining"], r["inputs"].split(" ")[0]): r["value"] for r in rows if r["what"] == _hidden("pitch")}
    if (BOTH, "both") in pitch:
        beside = f"{_percent(pitch[BOTH, 'notes'])} without the image" if (BOTH, "notes") in pitch else ""
        found.append(_key("Hidden pitches found, with the image", pitch[BOTH, "both"], beside))
    for r in rows:
        if (r["what"], r["metric"]) == ("matching: all", "accuracy"):
            found.append(_key("Image and notes: the same music?", r["value"], "50 % by chance"))
    recalls = [r for r in rows if r["what"].startswith("retrieval, image to notes") and r["metric"] == "R@1"]
    chance = {r["what"]: r["value"] for r in recalls if "chance" in r["pretraining"]}
    for r in recalls:
        if not _rule(r) and chance.get(r["what"]):
            beside = f"{r['value'] / chance[r['what']]:.0f} times chance, {r['what'].rpartition(', ')[2]}"
            found.append(_key("Right notes found first (R@1)", r["value"], beside))
    for what, metric, name in (
        ("style, passages", "macro-F1", "Style of a passage, notes alone (macro-F1)"),
        ("top staff, notes", "accuracy", "Notes of the top staff, notes alone (accuracy)"),
    ):
        values = {
            (r["pretraining"], r["inputs"]): r["value"] for r in rows if (r["what"], r["metric"]) == (what, metric)
        }
        if (BOTH, "notes") in values:
            rule = values.get(("none (majority class)", "nothing"))
            beside = "" if rule is None else f"{_percent(rule)} for the majority class"
            found.append(_key(name, values[BOTH, "notes"], beside))
    return found


def hidden_table(rows: list[Row]) -> Table:
    """Hidden attributes: one row per attribute, one column per model or rule."""
    columns = {
        "with image": (BOTH, "both"),
        "same model, without": (BOTH, "notes"),
        "MIDI alone": (MIDI, "notes"),
        "corpus": ("none (most frequent value of the corpus)", "nothing"),
        "bar, told": ("none (most frequent value of the bar, told)", "nothing"),
    }
    by = {(r["what"], r["pretraining"], r["inputs"].split(" ")[0]): r for r in rows}
    used = {k: v for k, v in columns.items() if any((_hidden(a), *v) in by for a in ATTRIBUTES)}
    body = []
    for name in ATTRIBUTES:
        line = [by.get((_hidden(name), *key)) for key in used.values()]
        if any(line):
            body.append([Cell(name.replace("_", " ")), *[_cell(r) for r in line]])
    counts = [r["n"] for r in rows if r["what"] == _hidden("pitch")]
    note = f"Share of hidden notes guessed exactly, over {counts[0]} notes. " if counts else ""
    note += "The last two columns are rules: always the most frequent value of the training part, or of the "
    note += "hidden bar itself, which this rule is told and the models are not."
    return Table("Hidden attributes of a bar, on works never seen", ["attribute", *used], body, note)


def matching_table(rows: list[Row]) -> Table:
    """Matching by grade."""
    here = [r for r in rows if r["what"].startswith("matching: ")]
    by = {(r["what"], r["metric"]): r for r in here}
    body = []
    for what in dict.fromkeys(r["what"] for r in here):
        share, accuracy = by.get((what, "share right")), by.get((what, "accuracy"))
        count = Cell(str((share or accuracy or {})["n"]))
        body.append([Cell(what.removeprefix("matching: ")), _cell(share), _cell(accuracy), count])
    note = "Accuracy gives matched and false pairs equal weight, so that always saying yes scores one half."
    return Table("Score-MIDI matching, on works never seen", ["pairs", "said right", "accuracy", "n"], body, note)


def grounding_table(rows: list[Row]) -> Table:
    """Where a bar stands on the image: the model beside two rules."""
    here = [r for r in rows if r["what"] == "grounding of bars"]
    names = {"share right": "highest cell in the bar", "IoU": "IoU of what is marked"}
    who = {"none (chance)": "chance", "none (an engraver's spacing)": "an engraver's spacing"}
    body = [
        [Cell(names[r["metric"]]), Cell(who.get(r["pretraining"], "the model")), _cell(r), Cell(str(r["n"]))]
        for r in here
    ]
    note = "Only a model that was trained with the objective ground can point."
    return Table("Bars found on the image, on works never seen", ["figure", "by", "share", "bars"], body, note)


def retrieval_table(rows: list[Row]) -> Table:
    """Retrieval: for every pool and look one row per metric, one column per direction, and the rules beside them."""
    here = [r for r in rows if r["what"].startswith("retrieval")]
    by = {(*r["what"].split(", ")[:2], r["metric"], _rule(r)): r for r in here}
    directions = list(dict.fromkeys(r["what"].split(", ")[1] for r in here))
    body = []
    for kind, metric in dict.fromkeys((r["what"].split(", ")[0], r["metric"]) for r in here):
        rank = metric == "median rank"
        line = [_cell(by.get((kind, d, metric, "")), rank) for d in directions]
        rules = [by.get((kind, directions[0], metric, rule)) for rule in ("bootleg score", "chance")]
        line += [_cell(rule, rank, interval=False) for rule in rules]
        body.append([Cell(kind.removeprefix("retrieval").strip() or "over all pieces"), Cell(metric), *line])
    pools = dict.fromkeys(r["what"].split(", ")[2] for r in here)
    note = f"{'; '.join(pools).capitalize()}, of held-out passages. Equal scores count as their expectation over "
    note += (
        f"a random order; no query is dropped. The rules stand for {directions[0] if directions else 'one direction'}."
    )
    head = ["among", "metric", *directions, "bootleg score", "chance"]
    return Table("Retrieval, each input read alone", head, body, note)


def _rule(row: Row) -> str:
    """The rule that a row of retrieval is of; "" for the model."""
    return next((rule for rule in ("bootleg score", "chance") if rule in row["pretraining"]), "")


def subject(row: Row) -> str:
    """What a row is about: the name of its task, where it is a learnt one ("melody, notes" is of "melody")."""
    return str(row["what"]).split(", ")[0].removesuffix(" of works")


def learnt_subjects(rows: list[Row]) -> list[str]:
    """The learnt tasks that rows are of, in their order."""
    known = {name.replace("_", " ") for name in tasks.names() if not isinstance(tasks.get(name), Probe)}
    return list(dict.fromkeys(subject(row) for row in rows if subject(row) in known))


def learnt_tables(rows: list[Row]) -> list[Table]:
    """One table per learnt task: systems in rows, metrics in columns."""
    tables = []
    for task in learnt_subjects(rows):
        here = [r for r in rows if subject(r) == task]
        title = task.capitalize()
        columns = list(dict.fromkeys((r["what"], r["metric"]) for r in here))
        by = {(r["pretraining"], r["inputs"], r["what"], r["metric"]): r for r in here}
        body = [
            [Cell(p), Cell(i), *[_cell(by.get((p, i, *column))) for column in columns]]
            for p, i in dict.fromkeys((r["pretraining"], r["inputs"]) for r in here)
        ]
        kinds = {what: what.partition(", ")[2] or what.rpartition(" of ")[2] for what, _ in columns}
        head = ["pre-training", "reads", *[f"{kinds[what]}: {metric}" for what, metric in columns]]
        items = " and ".join(f"{r['n']} {kinds[r['what']]}" for r in _firsts([r for r in here if r["n"]]))
        seeds = max((len(r["seeds"]) for r in here), default=0)
        note = f"Test part: {items}. Trained with {seeds} seed{'s' if seeds != 1 else ''}; the state was chosen "
        note += "on the validation part. Intervals: 95 % over works."
        tables.append(Table(title, head, body, note, words=2))
    return tables


def comparison_table(comparisons: list[Row]) -> Table:
    """Paired comparisons."""
    body = []
    for c in comparisons:
        low, high = c["ci95"]
        figures = [Cell(f"{100 * c['difference']:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}")]
        body.append([Cell(c["what"], c["metric"]), *figures, Cell(f"{c['p']:.3f}"), Cell(str(c["works"]))])
    note = "Differences in points on the same works; p by permutation of the two systems' answers, work by work."
    return Table("Is the difference more than chance?", ["comparison", "difference", "p", "works"], body, note)


def card_tables(card: dict[str, Any]) -> list[Table]:
    """Counts by style and source and split, reasons of rejection."""
    splits = list(card["pairs"])
    tables = []
    for key, title in (("styles", "Pairs by style"), ("corpora", "Pairs by source")):
        body = []
        for name, parts in card[key].items():
            cells = [Cell(f"{parts[s]['pairs']:,}", f"{parts[s]['works']} works") for s in splits if s in parts]
            body.append([Cell(name), *cells])
        total = [Cell(f"{card['pairs'][s]:,}", f"{card['works'][s]} works") for s in splits]
        tables.append(Table(title, [title.rpartition(" ")[2], *splits], [*body, [Cell("all"), *total]]))
    licences = [[Cell(s["name"], s["title"]), Cell(s["licence"])] for s in card["sources"]]
    tables.append(Table("Sources", ["source", "licence"], licences, words=2))
    body = [[Cell(reason), Cell(f"{count:,}")] for reason, count in card["rejected"].items()]
    note = f"{100 * card['accepted']:.1f} % of {card['passages']:,} passages were accepted: every drawn note "
    note += "head is a note of the MIDI side, and the reverse."
    tables.append(Table("Passages left out", ["reason", "passages"], body, note))
    return tables


def quarantine_table(card: dict[str, Any], most: int = 20) -> Table:
    """Files that could not be read, with the reason."""
    here = card["quarantine"]
    body = [[Cell(f"{q['corpus']}/{q['item']}"), Cell(q["reason"])] for q in here[:most]]
    note = f"{len(here)} of {card['items']} files." + (f" The first {most} are shown." if len(here) > most else "")
    return Table("Files in quarantine", ["file", "reason"], body, note, words=2)


def step_table(study: dict[str, Any]) -> Table:
    """Steps with their commands and times."""
    steps = study["steps"]
    body = [[Cell(name, step["command"]), Cell(_minutes(step["seconds"]))] for name, step in steps.items()]
    total = sum(step["seconds"] for step in steps.values())
    body.append([Cell("all"), Cell(_minutes(total))])
    note = f"Most memory held by one process: {study['peak_memory'] / 1e9:.2f} GB."
    return Table("Steps", ["step", "time"], body, note)


def _hidden(attribute: str) -> str:
    return f"hidden {attribute.replace('_', ' ')}"


def _key(name: str, value: float, beside: str) -> dict[str, Any]:
    return {"name": name, "value": value, "text": _percent(value), "beside": beside}


def _percent(value: float) -> str:
    return f"{100 * value:.1f}\u00a0%"


def _cell(row: Row | None, rank: bool = False, interval: bool = True) -> Cell:
    """A figure in percent, or a rank, with its interval under it."""
    if row is None:
        return Cell("–")
    factor = 1 if rank else 100
    low, high = row["ci95"] or (row["value"], row["value"])
    under = f"{factor * low:.1f} to {factor * high:.1f}" if interval and low != high else ""
    return Cell(f"{factor * row['value']:.1f}", under)


def _firsts(rows: list[Row]) -> list[Row]:
    """The first row of every `what`."""
    return list({r["what"]: r for r in reversed(rows)}.values())[::-1]


def _minutes(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
