"""Other programs' readings of a music file, in the terms of the comparison: (bar, onset in it, duration, pitch).

None of this uses scoresim. partitura reads MusicXML and MXL, music21 reads kern and ABC, mido reads MIDI.
"""

from __future__ import annotations

import io
import re
import tempfile
import warnings
import zipfile
from collections import Counter
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

Event = tuple[int, Fraction, Fraction, int, Fraction]
"""Bar from 0, onset in the bar and duration in quarter notes, sounding pitch, onset from the beginning."""

SMALLEST = 10_080  # both libraries keep some times as floats; no denominator in the files is larger


def read(path: Path, form: str, text: str | None = None, second: bool = False) -> Counter[Event]:
    """All sounding notes of a file: a chain of tied notes is one event, a grace note one of duration 0.

    Args:
        path: the file.
        form: "musicxml", "mxl", "kern", "abc" or "midi".
        text: read this instead, where the file holds several pieces.
        second: the second opinion, by the other library.

    Raises:
        NotImplementedError: no second library reads the format.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if second and form in ("abc", "midi"):
            raise NotImplementedError(form)
        if form == "midi":
            return by_mido(path)
        if (form in ("musicxml", "mxl")) != (second or _moves_octaves(path)):
            return by_partitura(path, form)
        return by_music21(path, form, text)


def _exact(value: Any) -> Fraction:
    return Fraction(value).limit_denominator(SMALLEST)


def by_partitura(path: Path, form: str) -> Counter[Event]:
    """partitura's notes; written pitches are moved by the transpositions it lists, tied notes joined as it does.

    Files whose ticks are too coarse for their tuplets state rounded times: a time within one tick of a simple fraction
    is that fraction.
    """
    import partitura
    from partitura.score import GraceNote, Measure, Note, Transposition

    found: Counter[Event] = Counter()
    load = partitura.load_kern if form == "kern" else partitura.load_musicxml
    for part in load(str(path), force_note_ids=True).parts:
        bars = sorted(part.iter_all(Measure), key=lambda m: m.start.t)
        shifts = [(s.start.t, s.chromatic) for s in part.iter_all(Transposition)]
        quarters, ticks = part.quarter_map, part.quarter_duration_map
        zero = float(quarters(bars[0].start.t)) if bars else 0.0
        at = 0
        for note in sorted(part.iter_all(Note, include_subclasses=True), key=lambda n: n.start.t):
            if note.tie_prev is not None:
                continue
            while at + 1 < len(bars) and bars[at + 1].start.t <= note.start.t:
                at += 1
            shift = next((c for t, c in reversed(shifts) if t <= note.start.t), 0)
            tick = 1 / float(ticks(note.start.t))
            begin = float(quarters(bars[at].start.t))
            onset = _simple(float(quarters(note.start.t)) - begin, tick)
            chain = [note, *note.tie_next_notes]
            pieces = [_simple(float(quarters(n.end.t)) - float(quarters(n.start.t)), tick) for n in chain]
            grace = isinstance(note, GraceNote) and not note.tie_next_notes
            length = Fraction(0) if grace else sum(pieces, Fraction(0))
            start = _simple(begin - zero, tick) + onset
            found[at, onset, length, note.midi_pitch + shift, start] += 1
    return found


def _simple(value: float, tick: float) -> Fraction:
    exact, simple = _exact(value), Fraction(value).limit_denominator(96)
    return simple if abs(value - simple) < 0.99 * tick else exact


def _moves_octaves(path: Path) -> bool:
    """Whether a part sounds octaves away from its notes, which partitura 1.9 does not keep; music21 does."""
    data = path.read_bytes() if path.suffix in (".xml", ".musicxml", ".mxl") else b""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = b"".join(archive.read(n) for n in archive.namelist() if n.lower().endswith(("xml",)))
    return b"<octave-change>" in data


def by_music21(path: Path, form: str, text: str | None) -> Counter[Event]:
    """music21's notes at sounding pitch, with its tie stripping; each parsed afresh, never from its cache."""
    import music21

    music21.environment.Environment("converter")["warnings"] = 0
    source = text if text is not None else path.read_text(encoding="utf-8", errors="replace")
    formats = {"kern": "humdrum", "abc": "abc", "musicxml": "musicxml"}
    if form == "abc":
        handler = music21.abcFormat.ABCFile()
        source = "%abc-2.1\n" + _plain(source)  # in older versions it does not carry accidentals through the bar
        score: Any = music21.abcFormat.translate.abcToStreamScore(handler.readstr(source))
    elif form in ("musicxml", "mxl"):
        score = music21.converter.parse(str(path), forceSource=True)
    else:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"piece.{'krn' if form == 'kern' else form}"
            copy.write_text(source, encoding="utf-8")
            score = music21.converter.parse(str(copy), format=formats[form], forceSource=True)
    score = score.toSoundingPitch()
    found: Counter[Event] = Counter()
    for part in score.parts:
        _music21_part(part, found)
    return found


def _plain(tune: str) -> str:
    """A tune without slurs and decorations: where they stand beside it, music21 10 does not see ``>`` or ``(3``."""
    lines = []
    for line in tune.split("\n"):
        parts = re.split(r'("[^"]*"|^[A-Za-z]:.*|\[[A-Za-z]:[^\]]*\])', line)
        parts[::2] = [re.sub(r"![^!\s]*!|\((?![0-9])|\)|[.~HLMOPSTuv]", "", part) for part in parts[::2]]
        lines.append("".join(parts))
    return "\n".join(lines)


def _music21_part(part: Any, found: Counter[Event]) -> None:
    events: list[tuple[Fraction, int, Fraction, int, Fraction, str]] = []
    for index, bar in enumerate(part.getElementsByClass("Measure")):
        begin = _exact(bar.offset)
        for element in bar.recurse().notes:
            if "ChordSymbol" in element.classes:
                continue
            onset = _exact(element.getOffsetInHierarchy(bar))
            length = Fraction(0) if element.duration.isGrace else _exact(element.duration.quarterLength)
            for note in getattr(element, "notes", (element,)):
                if hasattr(note, "pitch"):
                    tie = (note.tie or element.tie).type if (note.tie or element.tie) else ""
                    events.append((begin + onset, index, onset, int(note.pitch.ps), length, tie))
    open_ties: dict[tuple[Fraction, int], list[Any]] = {}
    for start, index, onset, pitch, length, tie in sorted(events, key=lambda e: (e[0], e[4])):
        head = open_ties.pop((start, pitch), None) if tie in ("stop", "continue") else None
        bar_on, onset_on, so_far = head or (index, onset, Fraction(0))
        if tie in ("start", "continue"):
            open_ties[start + length, pitch] = [bar_on, onset_on, so_far + length]
        else:
            found[bar_on, onset_on, so_far + length, pitch, start - so_far] += 1
    for (end, pitch), (bar_on, onset_on, so_far) in open_ties.items():
        found[bar_on, onset_on, so_far, pitch, end - so_far] += 1


def by_mido(path: Path) -> Counter[Event]:
    """Notes of a MIDI file from its messages: a note ends at its first note-off, or where the key is struck again."""
    import mido

    file = mido.MidiFile(str(path), clip=True)
    found: Counter[Event] = Counter()
    for track in file.tracks:
        sounding: dict[tuple[int, int], list[int]] = {}
        for tick, message in zip(accumulate(m.time for m in track), track, strict=True):
            if message.type not in ("note_on", "note_off"):
                continue
            key = message.channel, message.note
            if message.type == "note_on" and message.velocity > 0:
                sounding.setdefault(key, []).append(tick)
            elif sounding.get(key):
                begin = sounding[key].pop(0)
                quarter = file.ticks_per_beat
                onset, length = Fraction(begin, quarter), Fraction(tick - begin, quarter)
                found[0, onset, length, message.note, onset] += 1
    return found
