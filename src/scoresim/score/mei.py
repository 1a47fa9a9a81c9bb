"""MEI -> `Score`: walk the notation that the engraver has loaded and add up its durations in exact fractions.

verovio turns every notation it reads (MusicXML, kern, ABC, MEI) into MEI and gives each element an identifier that
also stands in the picture. So one walk serves all formats, and every note joins its drawn head by identifier.
The reader is strict about what it does not know: a note without a pitch is left out (its passage is then refused,
since a drawn head has no note), never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from lxml import etree

from scoresim.score.notes import DRUMS, STEP_PITCH, STEPS, TIED_FROM, TIED_TO, Bar, Score, Staff, notes_from_columns

XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
LENGTHS = {"long": Fraction(16), "breve": Fraction(8), "maxima": Fraction(32)}
ALTERATIONS = {"s": 1, "f": -1, "n": 0, "ss": 2, "x": 2, "ff": -2, "xs": 3, "ts": 3, "tf": -3, "nf": -1, "ns": 1}
CLEF_BASE = {"G": 32, "F": 24, "C": 28}  # diatonic number (7 * octave + step) of the clef's line
SHARPS = (3, 0, 4, 1, 5, 2, 6)  # steps in the order in which a key signature sharpens them; flats in reverse
SHIFT_STEPS = {"8": 7, "15": 14, "22": 21}
HOLDERS = {"beam", "tuplet", "graceGrp", "app", "lem", "rdg", "choice", "orig", "sic", "corr", "reg", "ligature"}
OPTIONS = {"app": "lem", "choice": "orig"}


@dataclass
class _Note:
    """A note while it is being read."""

    onset: Fraction
    duration: Fraction
    bar: int
    staff: int
    home: int  # staff of its layer: transposition and program belong to the part, not to where the head is drawn
    voice: int
    step: int
    octave: int
    written_octave: int
    alter: int
    grace: bool
    id: str
    tie: int = 0


@dataclass
class _Part:
    """What is in force on one staff."""

    label: str = ""
    transposition: int = 0
    program: int = 0
    meter: tuple[int, int] = (0, 0)


@dataclass
class Reading:
    """A score with what the picture check needs besides: the staff position at which every note should stand.

    Attributes:
        score: the notes and bars.
        place: for every note id, its staff, and its steps above the bottom line of that staff.
        staff_number: for the id of every staff of every bar, its number from the top.
    """

    score: Score
    place: dict[str, tuple[int, int]]
    staff_number: dict[str, int]


@dataclass
class _Walk:
    """State of the walk over one MEI tree."""

    bar_accidentals: bool
    notes: list[_Note] = field(default_factory=list)
    bars: list[tuple[Fraction, Fraction, tuple[int, int], str, str]] = field(default_factory=list)
    parts: dict[int, _Part] = field(default_factory=dict)
    clefs: dict[int, list[tuple[Fraction, int]]] = field(default_factory=dict)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)
    ties: list[tuple[str, str]] = field(default_factory=list)
    staff_number: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    now: Fraction = Fraction(0)
    accidentals: dict[tuple[int, int, int], int] = field(default_factory=dict)
    key: dict[int, int] = field(default_factory=dict)

    def part(self, number: int) -> _Part:
        return self.parts.setdefault(number, _Part())


def read_mei(mei: str, source: str = "", bar_accidentals: bool = False) -> Reading:
    """Read the MEI text that verovio gives for a loaded score.

    Args:
        mei: the document; only its first movement (`mdiv`) is read, as it is the one that is engraved.
        source: what to call the score.
        bar_accidentals: work out accidentals from the key signature and the accidentals written earlier in the bar,
            instead of believing what every note says. Needed for ABC: verovio 6.4 does not carry an accidental
            through its bar, and gives the notes of a tune in C the key of the tune that was loaded before it.

    Returns:
        The score (resolution is the least common denominator) and the staff position of every note.

    Raises:
        ValueError: the text is not MEI or has no bars.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
    try:
        root = etree.fromstring(mei.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not well-formed MEI: {error}") from error
    score = next((e for e in root.iter() if _tag(e) == "score"), None)
    if score is None:
        raise ValueError("no score in it")
    walk = _Walk(bar_accidentals)
    for element in score.iter():
        kind = _tag(element)
        if kind in ("scoreDef", "staffDef", "staffGrp"):
            _definition(walk, element, kind)
        elif kind == "measure":
            _measure(walk, element)
    if not walk.bars:
        raise ValueError("no bars in it")
    _ties(walk, score)
    return _finish(walk, source)


def _tag(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _children(element: Any) -> Iterator[tuple[str, Any]]:
    for child in element:
        kind = _tag(child)
        if kind:
            yield kind, child


def _definition(walk: _Walk, element: Any, kind: str) -> None:
    """A scoreDef or staffDef: metre, clef, transposition, program, tempo from here on."""
    if kind == "scoreDef":
        if element.get("midi.bpm"):
            walk.tempos.append((walk.now, float(element.get("midi.bpm"))))
        walk.key = _key(element.get("keysig") or element.get("key.sig"), walk.key)
        meter = _meter(element)
        if meter:
            for part in walk.parts.values():
                part.meter = meter
            walk.part(0).meter = meter
        return
    if kind != "staffDef" or not element.get("n", "").isdigit():
        return
    number = int(element.get("n"))
    known = number in walk.parts
    part = walk.part(number)
    if not known:
        part.meter = walk.part(0).meter
    part.meter = _meter(element) or part.meter
    if element.get("trans.semi"):
        part.transposition = int(float(element.get("trans.semi")))
    if element.get("clef.shape"):
        _clef(walk, number, walk.now, element, "clef.")
    for child_kind, child in _children(element):
        if child_kind == "label":
            part.label = " ".join("".join(child.itertext()).split())
        elif child_kind == "instrDef":
            drums = child.get("midi.channel") == "9"
            part.program = DRUMS if drums else min(max(int(child.get("midi.instrnum", "0")), 0), 127)
        elif child_kind == "clef":
            _clef(walk, number, walk.now, child, "")


def _key(signature: str | None, before: dict[int, int]) -> dict[int, int]:
    """step -> alteration of a key signature as MEI writes it ("3s", "1f", "0"); `before` where it says nothing."""
    if not signature or not signature.rstrip("sf").isdigit():
        return before
    count = min(int(signature.rstrip("sf")), 7)
    if signature.endswith("f"):
        return dict.fromkeys(SHARPS[::-1][:count], -1)
    return dict.fromkeys(SHARPS[:count], 1)


def _meter(element: Any) -> tuple[int, int] | None:
    """The (numerator, denominator) that a definition states, or None."""
    sources = [(element, "meter."), *((child, "") for kind, child in _children(element) if kind == "meterSig")]
    for source, prefix in sources:
        count, unit, sym = (source.get(prefix + key) for key in ("count", "unit", "sym"))
        if count and unit:
            try:
                return sum(int(float(n)) for n in count.split("+")), int(float(unit))
            except ValueError:
                return None
        if sym in ("common", "cut"):
            return (4, 4) if sym == "common" else (2, 2)
    return None


def _clef(walk: _Walk, staff: int, onset: Fraction, element: Any, prefix: str) -> None:
    """Remember the diatonic number of the bottom line from `onset` on."""
    shape = element.get(prefix + "shape")
    if shape not in CLEF_BASE:
        return
    line = int(element.get(prefix + "line", {"G": "2", "F": "4", "C": "3"}[shape]))
    shift = SHIFT_STEPS.get(element.get(prefix + "dis", ""), 0)
    if element.get(prefix + "dis.place") == "below":
        shift = -shift
    walk.clefs.setdefault(staff, []).append((onset, CLEF_BASE[shape] - 2 * (line - 1) + shift))


def _measure(walk: _Walk, element: Any) -> None:
    """Read one bar; its length is that of its fullest layer, or of its time signature where no layer says one."""
    index = len(walk.bars)
    meters = [part.meter for number, part in sorted(walk.parts.items()) if number and part.meter[0]]
    meter = meters[0] if meters else walk.part(0).meter
    nominal = Fraction(4 * meter[0], meter[1]) if meter[0] and meter[1] else Fraction(4)
    walk.accidentals = {}
    longest, whole_bar_rest = Fraction(0), False
    for kind, child in _children(element):
        if kind == "staff" and child.get("n", "").isdigit():
            number = int(child.get("n"))
            walk.staff_number[child.get(XML_ID, "")] = number
            for layer_number, layer in enumerate((c for k, c in _children(child) if k == "layer"), start=1):
                voice = int(layer.get("n")) if layer.get("n", "").isdigit() else layer_number
                cursor = _Cursor(walk, index, number, voice, walk.now, nominal)
                cursor.sequence(layer, Fraction(1), False)
                longest = max(longest, cursor.time - walk.now)
                whole_bar_rest |= cursor.whole_bar_rest
        elif kind == "tempo" and child.get("midi.bpm"):
            walk.tempos.append((walk.now, float(child.get("midi.bpm"))))
        elif kind == "tie":
            walk.ties.append((child.get("startid", "").lstrip("#"), child.get("endid", "").lstrip("#")))
    length = longest if longest > 0 else nominal
    if whole_bar_rest and longest < nominal and element.get("metcon") != "false":
        length = nominal
    walk.bars.append((walk.now, length, meter, element.get(XML_ID, ""), element.get("n", "")))
    walk.now += length


@dataclass
class _Cursor:
    """Reads one layer of one bar from left to right."""

    walk: _Walk
    bar: int
    staff: int
    voice: int
    time: Fraction
    nominal: Fraction
    whole_bar_rest: bool = False

    def sequence(self, element: Any, scale: Fraction, grace: bool) -> None:
        """Read the children of a layer, beam, tuplet or grace group in order."""
        for kind, child in _children(element):
            if kind in ("note", "chord", "rest", "space"):
                self.event(kind, child, scale, grace)
            elif kind == "tuplet":
                ratio = Fraction(int(child.get("numbase", "2")), int(child.get("num", "3")))
                self.sequence(child, scale * ratio, grace)
            elif kind in OPTIONS:
                chosen = [c for k, c in _children(child) if k == OPTIONS[kind]][:1] or [c for _, c in _children(child)][
                    :1
                ]
                for option in chosen:
                    self.sequence(option, scale, grace)
            elif kind in HOLDERS:
                self.sequence(child, scale, grace or kind == "graceGrp")
            elif kind == "bTrem":
                self.sequence(child, scale, grace)
            elif kind == "fTrem":
                self.sequence(child, scale / 2, grace)
            elif kind in ("mRest", "mSpace", "mRpt", "multiRest"):
                self.whole_bar_rest = True  # as long as the bar, however long that turns out to be
            elif kind == "clef":
                _clef(self.walk, self.staff, self.time, child, "")

    def event(self, kind: str, element: Any, scale: Fraction, grace: bool) -> None:
        """A note, chord, rest or space: add its notes and move on by its duration."""
        grace = grace or element.get("grace") is not None
        written = _length(element)
        if written is None and kind == "chord":
            written = next((v for k, c in _children(element) if k == "note" and (v := _length(c)) is not None), None)
        if written is None:
            self.walk.warnings.append(f"bar {self.bar + 1}: a {kind} has no duration")
            written = Fraction(0)
        length = Fraction(0) if grace else written * scale
        notes = [element] if kind == "note" else [c for k, c in _children(element) if k == "note"]
        for note in notes if kind in ("note", "chord") else ():
            self.note(note, element, length, grace)
        self.time += length

    def note(self, element: Any, holder: Any, length: Fraction, grace: bool) -> None:
        """Add one note; one without a pitch is left out with a warning."""
        name, octave = element.get("pname"), element.get("oct")
        if name is None or octave is None or name.upper() not in STEPS:
            self.walk.warnings.append(f"bar {self.bar + 1}: a note has no pitch")
            return
        step = STEPS.index(name.upper())
        staff = element.get("staff") or holder.get("staff") or str(self.staff)
        staff_number = int(staff) if staff.isdigit() else self.staff
        tie = element.get("tie") or holder.get("tie") or ""
        bits = (TIED_TO if set(tie) & {"i", "m"} else 0) | (TIED_FROM if set(tie) & {"m", "t"} else 0)
        self.walk.notes.append(
            _Note(
                onset=self.time,
                duration=length,
                bar=self.bar,
                staff=staff_number,
                home=self.staff,
                voice=self.voice,
                step=step,
                octave=int(element.get("oct.ges") or octave),
                written_octave=int(octave),
                alter=self.alteration(element, step, int(octave), tie),
                grace=grace,
                id=element.get(XML_ID, ""),
                tie=bits,
            )
        )

    def alteration(self, element: Any, step: int, octave: int, tie: str) -> int:
        """Sharps or flats of the sounding note."""
        sources = [element, *(child for kind, child in _children(element) if kind == "accid")]
        written = next((s.get("accid") for s in sources if s.get("accid")), None)
        sounding = next((s.get("accid.ges") for s in sources if s.get("accid.ges")), None)
        key = (self.staff, step, octave)
        if self.walk.bar_accidentals:
            if written is not None:
                self.walk.accidentals[key] = ALTERATIONS.get(written, 0)
            return self.walk.accidentals.get(key, self.walk.key.get(step, 0))
        return ALTERATIONS.get(sounding or written or "n", 0)


def _length(element: Any) -> Fraction | None:
    """Written duration in quarter notes with its dots, before tuplets; None where none is stated."""
    name = element.get("dur")
    if name is None:
        return None
    if name in LENGTHS:
        base = LENGTHS[name]
    elif name.isdigit() and int(name) > 0:
        base = Fraction(4, int(name))
    else:
        return None
    dots = int(element.get("dots", "0")) or sum(1 for kind, _ in _children(element) if kind == "dot")
    return base * (2 - Fraction(1, 2**dots))


def _ties(walk: _Walk, score: Any) -> None:
    """Turn tie elements into the tie bits of the notes at their two ends; an open tie marks the end it has."""
    index = {note.id: note for note in walk.notes}
    for start, end in walk.ties:
        first, last = index.get(start), index.get(end)
        if first is not None and last is not None and (first.step, first.octave) == (last.step, last.octave):
            first.tie |= TIED_TO
            last.tie |= TIED_FROM
            if not last.grace and last.alter != first.alter and walk.bar_accidentals:
                last.alter = first.alter  # a tie carries its accidental over the bar line


def _finish(walk: _Walk, source: str) -> Reading:
    """Exact fractions -> ticks of the least common denominator; sounding pitch and staff position of every note."""
    fractions = [f for n in walk.notes for f in (n.onset, n.duration)]
    fractions += [f for onset, length, *_ in walk.bars for f in (onset, length)]
    resolution = lcm(1, *(f.denominator for f in fractions))
    if resolution > 1 << 40:
        raise ValueError("its durations have no common denominator that fits")
    place, kept = {}, []
    for note in sorted(walk.notes, key=lambda n: (n.onset, n.octave * 12 + STEP_PITCH[n.step] + n.alter)):
        part = walk.parts.get(note.home, _Part())
        pitch = 12 * (note.octave + 1) + STEP_PITCH[note.step] + note.alter + part.transposition
        if not 0 <= pitch <= 127:
            walk.warnings.append(f"bar {note.bar + 1}: a pitch lies outside 0-127")
            continue
        bottom = 30
        for onset, line in sorted(walk.clefs.get(note.staff, []), key=lambda clef: clef[0]):
            if onset <= note.onset:
                bottom = line
        place[note.id] = note.staff, 7 * note.written_octave + note.step - bottom
        kept.append((note, pitch, part.program))
    notes = notes_from_columns(
        onset=[int(n.onset * resolution) for n, _, _ in kept],
        duration=[int(n.duration * resolution) for n, _, _ in kept],
        pitch=[pitch for _, pitch, _ in kept],
        program=[program for _, _, program in kept],
        bar=[n.bar for n, _, _ in kept],
        staff=[n.staff for n, _, _ in kept],
        voice=[n.voice for n, _, _ in kept],
        step=[n.step for n, _, _ in kept],
        alter=[n.alter for n, _, _ in kept],
        octave=[n.octave for n, _, _ in kept],
        tie=[n.tie for n, _, _ in kept],
        grace=[n.grace for n, _, _ in kept],
        id=[n.id for n, _, _ in kept],
    )
    bars = tuple(
        Bar(int(onset * resolution), int(length * resolution), *meter, bar_id, label)
        for onset, length, meter, bar_id, label in walk.bars
    )
    staves = tuple(Staff(n, p.label, p.transposition) for n, p in sorted(walk.parts.items()) if n > 0)
    tempos = tuple((int(onset * resolution), bpm) for onset, bpm in walk.tempos if bpm > 0)
    return Reading(
        Score(resolution, notes, bars, staves, tempos, source, tuple(walk.warnings)), place, walk.staff_number
    )
