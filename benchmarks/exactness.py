"""How exact the reading is: our bars, onsets, durations and sounding pitches beside those of another program.

Usage: python benchmarks/exactness.py [--forms kern,abc] [--files 200] [--seed 0] [--data ../shared/data] [--details D]

Real files are drawn from music21's corpus and from the data sets, by the seed, until as many are compared as asked for.
A note agrees when the other reader has one with the same bar, onset in the bar, duration (tied notes joined) and pitch,
or at the same time from the beginning where the two count bars differently; times agree within what the file's ticks
can say (see matching.py), 1/96 of a quarter note at least. Where they differ a second program is asked (music21 for
MusicXML, a plain token reader for kern, abc2xml for ABC): "one reader" is the agreement with the first, "either" with
one of the two. "Accepted" counts the bars of passages that become pairs. A file that ours or the other refuses is
counted, and not compared.
MEI: verovio (MEI 5) and partitura (MEI 4) write real MusicXML and kern files as MEI; we read the MEI, the other reader
the original; what partitura does not write (several parts) verovio does.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import independent_readers
from independent_readers import Event
from matching import IN_BAR, confirmed, keyed, shown, slack

from scoresim.data.corpora import abc_text
from scoresim.data.corpora._abc import read_book
from scoresim.data.corpora._item import Item
from scoresim.data.pair import PassageRules, Rejected, excerpt, make_pair
from scoresim.errors import ScoresimError
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.notes import Score, tied_chains
from scoresim.score.read import check_abc, read_midi, read_text
from scoresim.score.sandbox import Failure, run_all
from scoresim.score.source import doubtful as doubtful_in_text
from scoresim.score.tokens import default_vocabulary

ROOT = Path(__file__).resolve().parents[1]
FORMS = ("musicxml", "mxl", "kern", "abc", "mei", "midi")
SUFFIXES = {"musicxml": {".xml", ".musicxml"}, "mxl": {".mxl"}, "kern": {".krn"}, "abc": {".abc"}, "midi": {".mid"}}
TOTALS = ("ours", "theirs", "agreed", "agreed_first", "same_bar", "missing", "passages", "accepted")
TOTALS += ("ours_accepted", "agreed_accepted", "missing_accepted")
DIVISIONS = re.compile(r"<divisions>\s*([0-9.]+)")
MOST_DRAWS = 4
ANY_SIZE = PassageRules(max_notes=100_000, min_notes=1, max_height=100_000)


@dataclass(frozen=True)
class Task:
    """One file (or one tune of a book) to compare; `via` names the writer of the MEI in between, if any."""

    path: Path
    form: str
    tune: int | None = None
    via: str = ""


@dataclass
class Outcome:
    """What came of one file.

    Attributes:
        ours, theirs: notes of the two readings.
        agreed: notes that both have.
        ours_accepted, agreed_accepted: of ours, the notes in bars of accepted passages, and those of them that agree.
        passages, accepted: drawn passages, and those that became pairs.
        only_ours, only_theirs: what is left over (at most 40 each); `accepted_wrong` the same in accepted bars.
        reasons: why passages were refused.
        refused: why the file was not compared; `second` why there is no second opinion.
        writer: of the MEI.
    """

    ours: int = 0
    theirs: int = 0
    agreed: int = 0
    agreed_first: int = 0
    same_bar: int = 0
    missing: int = 0
    ours_accepted: int = 0
    agreed_accepted: int = 0
    missing_accepted: int = 0
    passages: int = 0
    accepted: int = 0
    only_ours: list[str] = field(default_factory=list)
    only_theirs: list[str] = field(default_factory=list)
    accepted_wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    refused: str = ""
    second: str = ""
    writer: str = ""


def our_notes(score: Score) -> list[tuple[Event, int]]:
    """Our notes in the terms of the comparison, each with the bar of its first head."""
    notes, chain = score.notes, tied_chains(score.notes)
    total: dict[int, int] = {}
    for i, head in enumerate(chain.tolist()):
        total[head] = total.get(head, 0) + int(notes.duration[i])
    events = []
    for head, ticks in total.items():
        bar = int(notes.bar[head])
        onset = score.quarters(int(notes.onset[head]) - (score.bars[bar].onset if bar >= 0 else 0))
        start = score.quarters(int(notes.onset[head]))
        events.append(((max(bar, 0), onset, score.quarters(ticks), int(notes.pitch[head]), start), bar))
    return events


def accepted_bars(engraving: Engraving, wrong: frozenset[int], outcome: Outcome) -> set[int]:
    """Bars of the systems that become pairs."""
    bars: set[int] = set()
    about = dict.fromkeys(("id", "corpus", "item", "work", "style", "composer", "title", "split"), "")
    for page in range(engraving.pages):
        for layout in engraving.page(page):
            outcome.passages += 1
            try:
                drawn = engraving.bars(layout)
                taken = excerpt(engraving.reading.score, drawn, default_vocabulary(), ANY_SIZE)
                make_pair(taken, (engraving.draw(layout),), ANY_SIZE, about)
            except (Rejected, ValueError) as reason:
                outcome.reasons[str(reason)] += 1
                continue
            if why := engraving.misleads(drawn):
                outcome.reasons[why] += 1
                continue
            if wrong & set(drawn):
                outcome.reasons["the engraver reads a bar otherwise than the file says"] += 1
                continue
            outcome.accepted += 1
            bars.update(drawn)
    return bars


def doubtful(task: Task, score: Score) -> frozenset[int]:
    """Bars that are not to become pairs; of MEI, those that verovio had already read wrong when it wrote it."""
    if task.via == "partitura":
        return frozenset()
    if task.form == "abc":
        return doubtful_in_text(tune_of(task), "abc", score)
    text = read_text(task.path, task.form)
    if task.via == "verovio":
        score = Engraving(text, EngraveConfig()).reading.score
    return doubtful_in_text(text, task.form, score)


def tune_of(task: Task) -> str:
    """The text of an ABC tune as it stands in its book."""
    return abc_text(Item("x", task.path, "abc", "x", "x", "x", "x", part_of_file=task.tune))


def ticks_of(task: Task) -> int:
    """The fewest ticks per quarter note that a MusicXML file states; 0 for other formats."""
    text = read_text(task.path, task.form) if task.form in ("musicxml", "mxl") else ""
    return min((int(float(n)) for n in DIVISIONS.findall(text)), default=0)


def notation_of(task: Task) -> str:
    """The text that we read for a task."""
    if task.form == "abc":
        return check_abc(tune_of(task), task.path)
    text = read_text(task.path, task.form)
    if task.via == "verovio":
        import verovio

        toolkit = verovio.toolkit()
        if not toolkit.loadData(text):
            raise ValueError("verovio does not read the original")
        return str(toolkit.getMEI({"scoreBased": True, "removeIds": True}))
    if task.via == "partitura":
        import partitura

        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "a.mei"
            partitura.save_mei(partitura.load_musicxml(str(task.path)), str(out))
            return read_text(out, "mei")
    return text


def compare(task: Task) -> Outcome:
    """Read one file twice and compare; runs in a worker process.

    An MXL file that stands for MusicXML is unzipped first. MEI that partitura does not write is written by verovio.
    """
    if task.form == "musicxml" and task.path.suffix.lower() == ".mxl":
        with tempfile.TemporaryDirectory() as folder:
            return compare(replace(task, path=unzipped(task.path, Path(folder))))
    outcome = _compared(task)
    if task.via == "partitura" and outcome.refused.startswith("ours"):
        outcome = _compared(replace(task, via="verovio"))
        outcome.writer = "verovio"
    return outcome


def unzipped(path: Path, folder: Path) -> Path:
    """The score inside an MXL file, byte for byte, as a file of its own."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.lower().endswith("xml") and not n.startswith("META-INF")]
        out = folder / "score.musicxml"
        out.write_bytes(archive.read(names[0]))
    return out


def _compared(task: Task) -> Outcome:
    outcome = Outcome(writer=task.via)
    try:
        if task.form == "midi":
            score = read_midi(task.path)
            q = score.quarters
            events = [((0, q(o), q(d), p, q(o)), 0) for o, d, p in _columns(score)]
            bars, near = {0}, {}
        else:
            text = notation_of(task)
            engraving = Engraving(text, EngraveConfig(), str(task.path), task.form == "abc")
            bars = accepted_bars(engraving, doubtful(task, engraving.reading.score), outcome)
            events = our_notes(engraving.reading.score)
            near = slack(engraving.reading.score, ticks_of(task))
    except (ScoresimError, ValueError) as error:
        outcome.refused = f"ours: {error}"
        return outcome
    except Exception as error:  # whatever the writers of MEI do
        outcome.refused = f"ours: {type(error).__name__}: {error}"[:200]
        return outcome
    try:
        tune = read_book(task.path)[task.tune] if task.tune is not None else None
        theirs = independent_readers.read(task.path, task.form, tune)
    except Exception as error:  # another program's faults are many, and are counted, not hidden
        outcome.refused = f"the other reader: {type(error).__name__}: {error}"[:200]
        return outcome
    second = None
    if Counter(event for event, _ in events) != theirs:
        try:
            second = independent_readers.read(task.path, task.form, tune, second=True)
        except Exception as error:  # as above; without a second opinion the first one stands
            outcome.second = f"{type(error).__name__}: {error}"[:200]
    return _matched(outcome, events, bars, theirs, second, near)


def _columns(score: Score) -> Iterable[tuple[int, int, int]]:
    notes = score.notes
    return zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True)


def _matched(
    outcome: Outcome,
    events: list[tuple[Event, int]],
    bars: set[int],
    theirs: Counter[Event],
    second: Counter[Event] | None,
    near: dict[int, Fraction] | None = None,
) -> Outcome:
    """Match the notes: by bar and place in it, then what is left by time from the beginning.

    With a second reader a note agrees that either of them has, and one that only one of them has is not missing.
    """
    outcome.ours, outcome.theirs = len(events), sum(theirs.values())
    others = [theirs] if second is None else [theirs, second]
    ours = Counter(event for event, _ in events)
    outcome.same_bar = sum((keyed(ours, IN_BAR) & keyed(theirs, IN_BAR)).values())
    held = [confirmed(ours, other, near) for other in others]
    agreed = held[0] | held[-1]
    absent = [confirmed(other, ours, near, left_over=True) for other in others]
    missing = confirmed(absent[0], absent[-1], near)
    outcome.agreed_first, outcome.agreed = sum(held[0].values()), sum(agreed.values())
    outcome.missing = sum(missing.values())
    wrong = ours - agreed
    within = Counter(event for event, bar in events if bar in bars)
    wrong_within = Counter({e: n for e, n in wrong.items() if e in within})
    missing_within = [e for e in missing.elements() if e[0] in bars]
    outcome.ours_accepted, outcome.missing_accepted = sum(within.values()), len(missing_within)
    outcome.agreed_accepted = outcome.ours_accepted - sum(wrong_within.values())
    outcome.only_ours = [shown(e) for e in sorted(wrong.elements())][:40]
    outcome.only_theirs = [shown(e) for e in sorted(missing.elements())][:40]
    outcome.accepted_wrong = [shown(e) for e in wrong_within.elements()][:40]
    outcome.accepted_wrong += [f"not ours: {shown(e)}" for e in missing_within][:40]
    return outcome


def sample(form: str, roots: list[Path], count: int, seed: int) -> list[Task]:
    """`count` files of a format, drawn by the seed; for ABC at most one tune of a book.

    For MEI two thirds are written by verovio and one by partitura. Where there are too few MusicXML files, MXL files
    that are not in the sample of MXL go with them, to be unzipped.
    """
    chance = random.Random(f"{seed} {form}")
    if form == "mei":
        first, second = (sample(f, roots, count, seed + 1) for f in ("mxl", "kern"))
        n = count // 3
        tasks = [(t, "verovio") for t in (*first[:n], *second[:n])]
        tasks += [(t, "partitura") for t in first[n : n + count - 2 * n]]
        return [Task(t.path, t.form, None, via) for t, via in tasks]
    found = sorted(p for root in roots for p in root.rglob("*") if p.suffix.lower() in SUFFIXES[form])
    chosen = sorted(chance.sample(found, min(count, len(found))))
    if form == "musicxml" and len(chosen) < count:
        taken = {t.path for t in sample("mxl", roots, count, seed)}
        packed = sorted(p for root in roots for p in root.rglob("*.mxl") if p not in taken)
        chosen += sorted(chance.sample(packed, min(count - len(chosen), len(packed))))
    if form != "abc":
        return [Task(path, form) for path in chosen]
    books = [(path, len(read_book(path))) for path in chosen]
    return [Task(path, form, chance.randrange(tunes) if tunes else None) for path, tunes in books]


def roots(data: Path | None) -> list[Path]:
    """The folders of real files that are there: music21's corpus, and the data sets."""
    from importlib.util import find_spec

    spec = find_spec("music21")
    corpus = [Path(spec.origin).parent / "corpus"] if spec is not None and spec.origin else []
    return [path for path in (*corpus, *([data] if data else [])) if path.is_dir()]


def main() -> int:
    """Compare, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--details", type=Path, help="a folder for one JSON file per format: every file's differences")
    options = parser.parse_args()
    rows = []
    print("form      files  refused: ours, other    notes  one reader  either   accepted    either")
    for form in options.forms.split(","):
        rows.append(run(form, roots(options.data), options.files, options.seed, options.details))
        r = rows[-1]
        print(
            f"{form:9} {r['files']:5} {r['refused by ours']:14} {r['refused by the other']:6} {r['notes']:8} "
            f"{r['first reader']:11.4%} {r['agreement']:.4%} {r['accepted notes']:8} {r['accepted agreement']:9.4%}",
            flush=True,
        )
    print(json.dumps({"benchmark": "exactness", "seed": options.seed, "rows": rows}))
    return 0


def run(form: str, roots: list[Path], count: int, seed: int, details: Path | None = None) -> dict[str, Any]:
    """Draw files until `count` are compared, each in a worker process; the row of the table."""
    outcomes: list[tuple[Task, Outcome]] = []
    seen: set[Task] = set()
    for draw in range(MOST_DRAWS):
        short = count - sum(not o.refused for _, o in outcomes)
        tasks = [t for t in sample(form, roots, count, seed + 1000 * draw) if t not in seen]
        tasks = tasks if not draw else random.Random(seed + draw).sample(tasks, min(short, len(tasks)))
        seen.update(tasks)
        for i, result in run_all(compare, tasks, 1, 240.0):
            done = Outcome(refused=f"ours: {result.reason}") if isinstance(result, Failure) else result
            outcomes.append((tasks[i], done))
        if not tasks or short <= 0:
            break
    total = Counter[str]()
    for _, o in outcomes:
        total["ours no"] += o.refused.startswith("ours")
        total["yield"] += o.accepted > 0
        total["other no"] += o.refused.startswith("the other")
        for name in TOTALS:
            total[name] += getattr(o, name)
        total["union"] += o.ours + o.missing
    if details:
        details.mkdir(parents=True, exist_ok=True)
        records = [{"file": str(t.path), "tune": t.tune, "via": t.via} | vars(o) for t, o in outcomes]
        (details / f"{form}.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    return {
        "form": form,
        "files": len(outcomes),
        "compared": sum(not o.refused for _, o in outcomes),
        "refused by ours": total["ours no"],
        "refused by the other": total["other no"],
        "notes": total["ours"],
        "first reader": total["agreed_first"] / max(total["ours"] + total["theirs"] - total["agreed_first"], 1),
        "agreement": total["agreed"] / max(total["union"], 1),
        "files with a pair": total["yield"],
        "passages": total["passages"],
        "accepted passages": total["accepted"],
        "accepted notes": total["ours_accepted"],
        "accepted agreement": total["agreed_accepted"] / max(total["ours_accepted"] + total["missing_accepted"], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
