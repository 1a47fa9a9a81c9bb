"""One layer of one bar of MEI, read from left to right into columns of notes. Times are whole ticks of the walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from scoresim.score.notes import TIED_FROM, TIED_TO

XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
LENGTHS = {"long": 16, "breve": 8, "maxima": 32}  # quarter notes
ALTERATIONS = {"s": 1, "f": -1, "n": 0, "ss": 2, "x": 2, "ff": -2, "xs": 3, "ts": 3, "tf": -3, "nf": -1, "ns": 1}
UNDRAWN, UNKNOWN = -9, 9  # no accidental of its own; one that is none of these
SHARPS = (3, 0, 4, 1, 5, 2, 6)  # steps in the order in which a key signature sharpens them; flats in reverse
STEP_OF = {name: step for step, letter in enumerate("CDEFGAB") for name in (letter, letter.lower())}
TIES = {"i": TIED_TO, "m": TIED_TO | TIED_FROM, "t": TIED_FROM}
CLEF_BASE = {"G": 32, "F": 24, "C": 28}  # diatonic number (7 * octave + step) of the clef's line
SHIFT_STEPS = {"8": 7, "15": 14, "22": 21}
HOLDERS = {"beam", "tuplet", "graceGrp", "app", "lem", "rdg", "choice", "orig", "sic", "corr", "reg", "ligature"}
OPTIONS = {"app": "lem", "choice": "orig"}
WHOLE_BAR = {"mRest", "mSpace", "mRpt", "multiRest"}


class _Kinds(dict[Any, str]):
    """XML tag -> its name without namespace; "" for what is no element. A look-up, since every element asks."""

    def __missing__(self, tag: Any) -> str:
        self[tag] = kind = tag.rpartition("}")[2] if isinstance(tag, str) else ""
        return kind


KINDS = _Kinds()


@dataclass
class Columns:
    """Notes while they are read: one list per property, all of one length.

    `home` is the staff of a note's layer (transposition and program belong to the part, not to where the head is
    drawn), `written` the octave as drawn, or for percussion the steps above the bottom line. `drum` is the MIDI pitch
    of a percussion note, and -1 for all others. `drawn` is the alteration of the accidental at the note, or `UNDRAWN`;
    `signature` that of its line or space in the key signature.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = (
        *("onset", "duration", "bar", "staff", "home", "voice", "step", "octave", "written", "alter", "tie", "drum"),
        *("drawn", "signature"),
    )
    onset: list[int] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)
    bar: list[int] = field(default_factory=list)
    staff: list[int] = field(default_factory=list)
    home: list[int] = field(default_factory=list)
    voice: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    octave: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    alter: list[int] = field(default_factory=list)
    tie: list[int] = field(default_factory=list)
    drum: list[int] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)
    signature: list[int] = field(default_factory=list)
    grace: list[bool] = field(default_factory=list)
    id: list[str] = field(default_factory=list)


@dataclass
class Part:
    """What is in force on one staff.

    `ppq` is the source's ticks per quarter note, 0 where it says none; `changes` the key signature before and after a
    change inside the bar that is read.
    """

    label: str = ""
    transposition: int = 0
    program: int = 0
    meter: tuple[int, int] = (0, 0)
    fifths: int = 0
    ppq: int = 0
    key: dict[int, int] = field(default_factory=dict)
    changes: tuple[int, int] | None = None

    def sign(self, count: int) -> None:
        """A key signature of so many sharps (positive) or flats begins."""
        self.fifths = count
        order = SHARPS if count > 0 else SHARPS[::-1]
        self.key = dict.fromkeys(order[: abs(count)], 1 if count > 0 else -1)


@dataclass
class Walk:
    """State of the walk over one MEI tree.

    Attributes:
        bar_accidentals: see `read_mei`.
        quarter: ticks of a quarter note.
        ppq_steady: whether the durations that the source states can be believed.
    """

    bar_accidentals: bool
    quarter: int
    ppq_steady: bool = False
    notes: Columns = field(default_factory=Columns)
    bars: list[tuple[int, int, tuple[int, int], str, str, int]] = field(default_factory=list)
    parts: dict[int, Part] = field(default_factory=dict)
    clefs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    tempos: list[tuple[int, float]] = field(default_factory=list)
    ties: list[tuple[str, str]] = field(default_factory=list)
    staff_number: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    now: int = 0
    accidentals: dict[tuple[int, int, int], int] = field(default_factory=dict)
    lengths: dict[tuple[str, int], int | None] = field(default_factory=dict)

    @property
    def whole(self) -> int:
        return 4 * self.quarter

    def part(self, number: int) -> Part:
        return self.parts.setdefault(number, Part())

    def length(self, name: str, dots: int) -> int | None:
        """Ticks of a duration as MEI names it, with its dots; None where it names none."""
        key = name, dots
        if key not in self.lengths:
            if name in LENGTHS:
                base = LENGTHS[name] * self.quarter
            else:
                base = 4 * self.quarter // int(name) if name.isdigit() and int(name) > 0 else 0
            self.lengths[key] = base * ((2 << dots) - 1) >> dots if base else None
        return self.lengths[key]


def fifths(signature: str | None) -> int | None:
    """Sharps (positive) or flats of a key signature as MEI writes it ("3s", "2f", "0"); None where it is another."""
    if not signature or not signature.rstrip("sf").isdigit():
        return None
    count = min(int(signature.rstrip("sf")), 7)
    return -count if signature.endswith("f") else count


def clef(walk: Walk, staff: int, onset: int, element: Any, prefix: str) -> None:
    """Remember the diatonic number of the bottom line from `onset` on."""
    shape = element.get(prefix + "shape")
    if shape not in CLEF_BASE:
        return
    line = int(element.get(prefix + "line", {"G": "2", "F": "4", "C": "3"}[shape]))
    shift = SHIFT_STEPS.get(element.get(prefix + "dis", ""), 0)
    if element.get(prefix + "dis.place") == "below":
        shift = -shift
    walk.clefs.setdefault(staff, []).append((onset, CLEF_BASE[shape] - 2 * (line - 1) + shift))


class Layer:
    """Reads one layer of one bar.

    Attributes:
        time: where the reader stands, in ticks from the beginning of the score.
        whole_bar_rest: whether the layer holds a rest as long as the bar, however long that turns out to be.
        several: bars that its rest stands for.
    """

    def __init__(self, walk: Walk, bar: int, staff: int, voice: int, time: int) -> None:
        self.walk, self.bar, self.staff, self.voice, self.time = walk, bar, staff, voice, time
        self.part = walk.part(staff)
        if self.part.changes is not None:
            self.part.sign(self.part.changes[0])  # another layer of the bar has met a change of key
        self.ppq = self.part.ppq if walk.ppq_steady else 0
        self.whole_bar_rest, self.several = False, 1

    def sequence(self, element: Any, up: int, down: int, grace: bool) -> None:
        """Read the children of a layer, beam, tuplet or grace group in order; they last up/down of what is written."""
        for child in element:
            kind = KINDS[child.tag]
            if kind in ("note", "chord", "rest", "space"):
                self.event(kind, child, up, down, grace)
            elif kind == "tuplet":
                ratio = int(child.get("numbase", "2")), int(child.get("num", "3"))
                self.sequence(child, up * ratio[0], down * ratio[1], grace)
            elif kind in OPTIONS:
                options = [c for c in child if KINDS[c.tag] == OPTIONS[kind]] or [c for c in child if KINDS[c.tag]]
                for option in options[:1]:
                    self.sequence(option, up, down, grace)
            elif kind in HOLDERS:
                self.sequence(child, up, down, grace or kind == "graceGrp")
            elif kind == "bTrem":
                self.sequence(child, up, down, grace)
            elif kind == "fTrem":
                self.sequence(child, up, 2 * down, grace)
            elif kind in WHOLE_BAR:
                self.whole_bar_rest = True
                if kind == "multiRest" and (child.get("num") or "").isdigit():
                    self.several = min(max(int(child.get("num")), 1), 1000)
            elif kind == "clef":
                clef(self.walk, self.staff, self.time, child, "")
            elif kind == "keySig" and (count := fifths(child.get("sig"))) is not None:
                before = self.part.changes[0] if self.part.changes is not None else self.part.fifths
                self.part.changes = before, count
                self.part.sign(count)

    def event(self, kind: str, element: Any, up: int, down: int, grace: bool) -> None:
        """A note, chord, rest or space: add its notes and move on by its duration."""
        grace = grace or element.get("grace") is not None
        written = self.written(element)
        if written is None and kind == "chord":
            inner = (self.written(c) for c in element if KINDS[c.tag] == "note")
            written = next((length for length in inner if length is not None), None)
        if written is None:
            self.walk.warnings.append(f"bar {self.bar + 1}: a {kind} has no duration")
            written = 0
        length = 0 if grace else written * up // down
        stated = element.get("dur.ppq")
        if stated and self.ppq and not grace and stated.isdigit():
            tick = self.walk.quarter // self.ppq
            off = abs(int(stated) * tick - length)
            if off > tick or (2 * off >= tick and 4 * off > length):
                length = int(stated) * tick
        if kind == "note":
            self.note(element, element, length, grace)
        elif kind == "chord":
            for child in element:
                if KINDS[child.tag] == "note":
                    self.note(child, element, length, grace)
        self.time += length

    def written(self, element: Any) -> int | None:
        """Duration of an element in ticks before tuplets; what it plays where that is said to differ from its look."""
        get = element.get
        name, dots = get("dur"), get("dots")
        if get("dur.ges"):
            played = self.walk.length(get("dur.ges"), int(get("dots.ges") or 0))
            if played is not None:
                return played
        if name is None:
            return None
        count = int(dots) if dots else 0
        if not count and len(element):
            count = sum(1 for child in element if KINDS[child.tag] == "dot")
        return self.walk.length(name, count)

    def note(self, element: Any, holder: Any, length: int, grace: bool) -> None:
        """Add one note; one without a pitch is left out with a warning."""
        get, columns = element.get, self.walk.notes
        octave, step = get("oct"), STEP_OF.get(get("pname"))
        staff = get("staff") or holder.get("staff")
        if octave is None or step is None:
            pnum, loc = get("pnum"), get("loc")
            if not (pnum and loc and pnum.isdigit() and loc.lstrip("-").isdigit()):
                self.walk.warnings.append(f"bar {self.bar + 1}: a note has no pitch")
                return
            step, sounding, written, alter, drum, drawn = 0, 0, int(loc), 0, int(pnum), UNDRAWN
        else:
            written, drum = int(octave), -1
            sounding = int(get("oct.ges") or octave)
            alter, drawn = self.alteration(element, step, written)
        columns.onset.append(self.time)
        columns.duration.append(length)
        columns.bar.append(self.bar)
        columns.staff.append(self.staff if staff is None or not staff.isdigit() else int(staff))
        columns.home.append(self.staff)
        columns.voice.append(self.voice)
        columns.step.append(step)
        columns.octave.append(sounding)
        columns.written.append(written)
        columns.alter.append(alter)
        columns.drum.append(drum)
        columns.drawn.append(drawn)
        columns.signature.append(self.walk.parts.get(columns.staff[-1], self.part).key.get(step, 0))
        columns.grace.append(grace)
        columns.id.append(get(XML_ID, ""))
        bits = 0
        for letter in get("tie") or holder.get("tie") or "":
            bits |= TIES.get(letter, 0)
        columns.tie.append(bits)

    def alteration(self, element: Any, step: int, octave: int) -> tuple[int, int]:
        """Sharps or flats of the sounding note, and of the accidental that is drawn at it."""
        written, sounding = element.get("accid"), element.get("accid.ges")
        if len(element):
            for child in element:
                if KINDS[child.tag] == "accid":
                    written = written or child.get("accid")
                    sounding = sounding or child.get("accid.ges")
        drawn = ALTERATIONS.get(written, UNKNOWN) if written else UNDRAWN
        if self.walk.bar_accidentals:
            key = self.staff, step, octave
            if written:
                self.walk.accidentals[key] = ALTERATIONS.get(written, 0)
            return self.walk.accidentals.get(key, self.part.key.get(step, 0)), drawn
        return ALTERATIONS.get(sounding or written or "n", 0), drawn
