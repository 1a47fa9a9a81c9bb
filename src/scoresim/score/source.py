"""Where the reading of a MusicXML text differs from what the text itself says: bars that must not become pairs.

verovio 6.4 loses a pause before a change of clef (``forward``, or an invisible rest), puts what a second ``backup``
leads to behind the voice instead of beside it, ends a tie that the text does not end, and in some files carries an
accidental to notes that have none. The picture is then wrong in the same way as the notes, so that their agreement does
not show it. The text says at which time every note begins, how long it lasts and how it is spelled; this is that sum,
with nothing of verovio in it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from lxml import etree

from scoresim.score.notes import STEPS, TIED_FROM, TIED_TO, Score
from scoresim.score.source_abc import doubtful_abc
from scoresim.score.source_kern import doubtful_kern
from scoresim.score.stated import Stated, alike, read_bars

NEAR = 1 / 24  # quarter notes: sources round the times of tuplets to their ticks


def doubtful(text: str, form: str, score: Score) -> frozenset[int]:
    """Bars that must not become pairs: the engraver's reading differs from what the text of the file states.

    Args:
        text: the text as `read_text` gives it; of ABC one tune, before `check_abc` rewrote it.
        form: "musicxml", "mxl", "mei", "kern" or "abc". Nothing is said of MEI, which is read without the engraver.
        score: what was read from the engraver.

    Returns:
        Indices into `score.bars`.
    """
    if form == "abc":
        return doubtful_abc(text, score)
    if form == "kern":
        return doubtful_kern(text, score)
    return doubtful_bars(text, score) if form in ("musicxml", "mxl") else frozenset()


def doubtful_bars(text: str, score: Score) -> frozenset[int]:
    """Bars in which the score does not hold exactly the notes that the MusicXML text states.

    Notes are compared by bar, spelling, onset in the bar, duration and ties; both times may differ by 1/24 of a quarter
    note and one tick of the text. Unpitched notes are left out, and nothing is said of texts that are not partwise
    MusicXML.

    Args:
        text: what the engraver was given.
        score: what was read from the engraver.

    Returns:
        Indices into `score.bars`; all of them where the text has another number of bars.
    """
    if "<score-partwise" not in text[:20_000]:
        return frozenset()
    stated: defaultdict[int, Stated] = defaultdict(lambda: defaultdict(list))
    counts = set()
    tick = 0.0
    root: Any = etree.fromstring(
        text.encode() if "encoding=" not in text[:200] else text.partition("?>")[2].encode(),
        etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True),
    )
    for part in root.iterchildren("part"):
        measures = list(part.iterchildren("measure"))
        counts.add(len(measures))
        divisions = 1
        for index, measure in enumerate(measures):
            divisions = _measure(measure, divisions, stated[index])
            tick = max(tick, 1 / divisions)
    if counts != {len(score.bars)}:
        return frozenset(range(len(score.bars)))
    read = read_bars(score)
    near = NEAR + min(tick, NEAR) + 1e-9
    return frozenset(i for i in range(len(score.bars)) if not alike(stated[i], read[i], near))


def _measure(measure: Any, divisions: int, stated: Stated) -> int:
    """Add the notes of one bar of one part; returns the ticks per quarter note after it."""
    now = before = 0
    for child in measure:
        kind = child.tag
        if kind == "note":
            duration = _ticks(child)
            grace = child.find("grace") is not None
            onset = before if child.find("chord") is not None else now
            pitch = child.find("pitch")
            if pitch is not None:
                lasts = 0.0 if grace else duration / divisions
                stated[_spelling(pitch)].append((onset / divisions, lasts, _tie(child)))
            if child.find("chord") is None and not grace:
                before, now = now, now + duration
            elif grace:
                before = now
        elif kind == "backup":
            now -= _ticks(child)
        elif kind == "forward":
            now += _ticks(child)
        elif kind == "attributes":
            divisions = int(float(child.findtext("divisions") or divisions)) or divisions
    return divisions


def _ticks(element: Any) -> int:
    return int(float(element.findtext("duration") or 0))


def _tie(note: Any) -> int:
    """The bits of `Notes.tie`."""
    types = {tie.get("type") for tie in (*note.iterchildren("tie"), *note.iterfind("notations/tied"))}
    return (TIED_FROM if "stop" in types else 0) | (TIED_TO if "start" in types else 0)


def _spelling(pitch: Any) -> tuple[int, int, int]:
    step = STEPS.index((pitch.findtext("step") or "C").strip())
    return step, round(float(pitch.findtext("alter") or 0)), int(pitch.findtext("octave") or 0)
