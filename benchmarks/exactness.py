"""How exact the reading is: our bars, onsets, durations and sounding pitches beside those of another program.

Usage: python benchmarks/exactness.py [--forms kern,abc] [--files 200] [--seed 0] [--data ../shared/data] [--details D]

Real files are drawn from music21's corpus and from the data sets, by the seed. A note agrees when the other reader has
one with the same bar, onset in the bar, duration (tied notes joined) and pitch, or at the same time from the
beginning where the two count bars differently; times agree within 1/96 of a quarter note, since files round tuplets to
their ticks. Where they differ a second program is asked (music21 for MusicXML, a plain token reader for kern, abc2xml
for ABC): "one reader" is the agreement with the first, "either" with one of the two. "Accepted" counts the bars of
passages that become pairs. A file that ours or the other refuses is counted, and not compared.
MEI: verovio (MEI 5) and partitura (MEI 4) write real MusicXML and kern files as MEI; we read the MEI, the other reader
the original.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import independent_readers
from independent_readers import Event

from scoresim.data.corpora import abc_text
from scoresim.data.corpora._abc import read_book
from scoresim.data.corpora._item import Item
from scoresim.data.pair import PassageRules, Rejected, make_pair
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
IN_BAR, IN_TIME = (0, 1, 2, 3), (4, 2, 3)  # of an event: what must be the same
ROUNDING = Fraction(1, 96)  # quarter notes: files state the times of tuplets in whole ticks
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
                system = engraving.draw(layout)
                pair = make_pair(engraving.reading.score, (system,), default_vocabulary(), ANY_SIZE, about)
            except (Rejected, ValueError) as reason:
                outcome.reasons[str(reason)] += 1
                continue
            if wrong & set(range(pair.first_bar, pair.first_bar + pair.n_bars)):
                outcome.reasons["the engraver reads a bar otherwise than the file says"] += 1
                continue
            outcome.accepted += 1
            bars.update(range(pair.first_bar, pair.first_bar + pair.n_bars))
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
    """Read one file twice and compare; runs in a worker process."""
    outcome = Outcome()
    try:
        if task.form == "midi":
            score = read_midi(task.path)
            q = score.quarters
            events = [((0, q(o), q(d), p, q(o)), 0) for o, d, p in _columns(score)]
            bars = {0}
        else:
            text = notation_of(task)
            engraving = Engraving(text, EngraveConfig(), str(task.path), task.form == "abc")
            bars = accepted_bars(engraving, doubtful(task, engraving.reading.score), outcome)
            events = our_notes(engraving.reading.score)
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
    return _matched(outcome, events, bars, theirs, second)


def _columns(score: Score) -> Iterable[tuple[int, int, int]]:
    notes = score.notes
    return zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True)


def _matched(
    outcome: Outcome,
    events: list[tuple[Event, int]],
    bars: set[int],
    theirs: Counter[Event],
    second: Counter[Event] | None,
) -> Outcome:
    """Match the notes: by bar and place in it, then what is left by time from the beginning.

    With a second reader a note agrees that either of them has, and one that only one of them has is not missing.
    """
    outcome.ours, outcome.theirs = len(events), sum(theirs.values())
    others = [theirs] if second is None else [theirs, second]
    ours = Counter(event for event, _ in events)
    outcome.same_bar = sum((_keyed(ours, IN_BAR) & _keyed(theirs, IN_BAR)).values())
    confirmed = [_confirmed(ours, other) for other in others]
    agreed = confirmed[0] | confirmed[-1]
    absent = [_confirmed(other, ours, left_over=True) for other in others]
    missing = _common(absent[0], absent[-1])
    outcome.agreed_first, outcome.agreed = sum(confirmed[0].values()), sum(agreed.values())
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


def _keyed(events: Counter[Event], key: tuple[int, ...]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for event, n in events.items():
        found[tuple(event[i] for i in key)] += n
    return found


def _confirmed(some: Counter[Event], others: Counter[Event], left_over: bool = False) -> Counter[Event]:
    """The events of `some` that `others` hold too, in the same bar or at the same time; or those that they do not."""
    left, rest, yes = some.copy(), others.copy(), Counter[Event]()
    for key in (IN_BAR, IN_TIME):
        room = _keyed(rest, key)
        used: Counter[tuple[Any, ...]] = Counter()
        for event in list(left.elements()):
            name = tuple(event[i] for i in key)
            if room[name] > 0:
                room[name] -= 1
                used[name] += 1
                left[event] -= 1
                yes[event] += 1
        for event in list(rest.elements()):
            name = tuple(event[i] for i in key)
            if used[name] > 0:
                used[name] -= 1
                rest[event] -= 1
    rounded = defaultdict[tuple[int, int], list[Event]](list)
    for event in rest.elements():
        rounded[event[0], event[3]].append(event)
    for event in list(left.elements()):
        near = rounded[event[0], event[3]]
        found = next((e for e in near if all(abs(e[i] - event[i]) <= ROUNDING for i in (1, 2))), None)
        if found is not None:
            near.remove(found)
            left[event] -= 1
            yes[event] += 1
    return +left if left_over else yes


def _common(first: Counter[Event], second: Counter[Event]) -> Counter[Event]:
    """The events of `first` that `second` holds too."""
    return _confirmed(first, second)


def shown(event: Event) -> str:
    """An event for people: bar (from 1), onset in it, duration, MIDI pitch."""
    bar, onset, duration, pitch, _ = event
    return f"bar {bar + 1} at {Fraction(onset)} for {Fraction(duration)} pitch {pitch}"


def sample(form: str, roots: list[Path], count: int, seed: int) -> list[Task]:
    """`count` files of a format, drawn by the seed; for ABC at most one tune of a book, for MEI half by each writer."""
    chance = random.Random(f"{seed} {form}")
    if form == "mei":
        first, second = (sample(f, roots, count, seed + 1) for f in ("mxl", "kern"))
        n = count // 3
        tasks = [(t, "verovio") for t in (*first[:n], *second[:n])]
        tasks += [(t, "partitura") for t in first[n : n + count - 2 * n]]
        return [Task(t.path, t.form, None, via) for t, via in tasks]
    found = sorted(p for root in roots for p in root.rglob("*") if p.suffix.lower() in SUFFIXES[form])
    chosen = sorted(chance.sample(found, min(count, len(found))))
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
        tasks = sample(form, roots(options.data), options.files, options.seed)
        rows.append(run(form, tasks, options.details))
        r = rows[-1]
        print(
            f"{form:9} {r['files']:5} {r['refused by ours']:14} {r['refused by the other']:6} {r['notes']:8} "
            f"{r['first reader']:11.4%} {r['agreement']:.4%} {r['accepted notes']:8} {r['accepted agreement']:9.4%}",
            flush=True,
        )
    print(json.dumps({"benchmark": "exactness", "seed": options.seed, "rows": rows}))
    return 0


def run(form: str, tasks: list[Task], details: Path | None = None) -> dict[str, Any]:
    """Compare all tasks in a worker process; the row of the table."""
    outcomes: list[tuple[Task, Outcome]] = []
    for i, result in run_all(compare, tasks, 1, 240.0):
        done = Outcome(refused=f"ours: {result.reason}") if isinstance(result, Failure) else result
        outcomes.append((tasks[i], done))
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
        "files": len(tasks),
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
