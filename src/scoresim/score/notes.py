"""A `Score`: notes with bar, staff, voice, exact onset and duration, spelling and ties, as arrays.

Times are whole numbers of *ticks*; a score says how many ticks make a quarter note (`resolution`). The
resolution of a notated score is the least common multiple of all denominators in it, so that times are exact
fractions of a quarter note; the resolution of a MIDI file is its own. A MIDI file fills in what it knows and
leaves the notation fields at their "unknown" values (staff 0, voice 0, step -1).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

TIED_FROM, TIED_TO = 1, 2  # bits of `Notes.tie`: goes on from the note before; goes on in the note after
STEPS = "CDEFGAB"
STEP_PITCH = (0, 2, 4, 5, 7, 9, 11)
MAX_QUARTERS = 100_000  # that music may last: a file can say that a note lasts for years
DRUMS = 128  # `Notes.program` of a percussion note; 0-127 are General MIDI programs

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Notes:
    """Written notes as arrays of one length N; a chain of tied notes is as many entries as note heads.

    Attributes:
        onset: [N] ticks from the beginning of the score, >= 0.
        duration: [N] ticks, >= 0 (0 for a grace note, which takes no time in the notation).
        pitch: [N] sounding MIDI pitch, 0-127.
        velocity: [N] 1-127; 64 where the source has none.
        program: [N] General MIDI program 0-127, or 128 for percussion.
        bar: [N] index into `Score.bars`, or -1 where the source has no bars.
        staff: [N] 1 is the top staff; 0 is unknown.
        voice: [N] layer on the staff from 1; 0 is unknown.
        step: [N] letter of the written pitch, 0-6 for C-B; -1 is unknown.
        alter: [N] sharps (positive) or flats (negative) of the sounding note in that spelling.
        octave: [N] octave of the spelling (middle C is C4).
        tie: [N] bits `TIED_FROM` and `TIED_TO`.
        grace: [N] True for a grace note.
        id: N identifiers of the engraver, or empty.
    """

    onset: Ints
    duration: Ints
    pitch: Ints
    velocity: Ints
    program: Ints
    bar: Ints
    staff: Ints
    voice: Ints
    step: Ints
    alter: Ints
    octave: Ints
    tie: Ints
    grace: NDArray[np.bool_]
    id: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.onset)

    def take(self, index: Ints) -> Notes:
        """The notes at `index` ([M] integers), in that order."""
        arrays = {name: getattr(self, name)[index] for name in COLUMNS}
        return Notes(**arrays, id=tuple(self.id[i] for i in index) if self.id else ())


COLUMNS = (
    *("onset", "duration", "pitch", "velocity", "program", "bar", "staff", "voice"),
    *("step", "alter", "octave", "tie", "grace"),
)


def notes_from_columns(**columns: object) -> Notes:
    """Build `Notes` from lists or arrays; columns that are left out take their "unknown" value.

    Args:
        columns: any of the attributes of `Notes`; `onset`, `duration` and `pitch` are required.
    """
    n = len(np.asarray(columns["onset"]))
    unknown = {"velocity": 64, "program": 0, "bar": -1, "staff": 0, "voice": 0}
    unknown |= {"step": -1, "alter": 0, "octave": 0, "tie": 0, "grace": 0}
    arrays: dict[str, NDArray[np.int64]] = {}
    for name in COLUMNS:
        values = columns.get(name)
        column = np.full(n, unknown[name]) if values is None else np.asarray(values)
        arrays[name] = column.astype(bool if name == "grace" else np.int64)
    ids = columns.get("id") or ()
    return Notes(**arrays, id=tuple(ids))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of a performance, as annotated or estimated.

    Attributes:
        seconds: [B] increasing times from the beginning of the MIDI file.
        downbeat: [B] True where a bar begins; all False where that is not known.
        signatures: (index of the beat from which it holds, numerator, denominator), in order; empty where unknown.
    """

    seconds: NDArray[np.float64]
    downbeat: NDArray[np.bool_]
    signatures: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Bar:
    """One bar: where it begins and how long it is in ticks, its time signature, the engraver's id and label.

    `fifths` is the key signature written on the top staff: sharps (positive) or flats (negative), None where unknown.
    """

    onset: int
    duration: int
    numerator: int
    denominator: int
    id: str = ""
    label: str = ""
    fifths: int | None = None


@dataclass(frozen=True)
class Staff:
    """One staff of the score: its number from the top, its part's name and the transposition of its part."""

    number: int
    label: str = ""
    transposition: int = 0


@dataclass(frozen=True, eq=False)
class Score:
    """A piece of music as notes.

    Attributes:
        resolution: ticks per quarter note.
        notes: the written notes in order of (onset, pitch).
        bars: all bars in order, repeats not unfolded; empty where the source has none.
        staves: the staves from top to bottom; empty where unknown.
        tempos: (tick, quarter notes per minute), in order; empty where unknown.
        source: where the score came from: format, path or name.
        warnings: what was noticed while reading (an overfull bar, an open tie).
    """

    resolution: int
    notes: Notes
    bars: tuple[Bar, ...] = ()
    staves: tuple[Staff, ...] = ()
    tempos: tuple[tuple[int, float], ...] = ()
    source: str = ""
    warnings: tuple[str, ...] = field(default=())

    def quarters(self, ticks: int) -> Fraction:
        """Ticks as an exact number of quarter notes."""
        return Fraction(int(ticks), self.resolution)

    @property
    def length(self) -> int:
        """Length of all bars in ticks."""
        return self.bars[-1].onset + self.bars[-1].duration - self.bars[0].onset

    def cut(self, first_bar: int, n_bars: int) -> Score:
        """The bars from `first_bar` on as a score of their own that begins at 0, with the tempo that holds there."""
        notes = self.notes.take(np.flatnonzero((self.notes.bar >= first_bar) & (self.notes.bar < first_bar + n_bars)))
        start = self.bars[first_bar].onset
        bars = tuple(replace(bar, onset=bar.onset - start) for bar in self.bars[first_bar : first_bar + n_bars])
        end = bars[-1].onset + bars[-1].duration
        before = [(0, tempo) for tick, tempo in self.tempos if tick <= start][-1:]
        inside = [(tick - start, tempo) for tick, tempo in self.tempos if start < tick < start + end]
        notes = replace(notes, onset=notes.onset - start, bar=notes.bar - first_bar)
        return Score(self.resolution, notes, bars, self.staves, (*before, *inside), self.source)


def spelled(step: int, alter: int, octave: int) -> str:
    """The name of a spelled pitch, as "F#4" or "Bb3"; "?" where the spelling is unknown."""
    if step < 0:
        return "?"
    return STEPS[step] + ("#" * alter if alter >= 0 else "b" * -alter) + str(octave)


def spelled_pitch(name: str) -> int | None:
    """The MIDI pitch of a name that `spelled` gave; None for "?"."""
    letter, rest = name[:1], name[1:]
    if letter not in STEPS or not letter:
        return None
    alter = rest.count("#") - rest.count("b")
    return 12 * (int(rest.lstrip("#b")) + 1) + STEP_PITCH[STEPS.index(letter)] + alter


def tied_chains(notes: Notes) -> Ints:
    """Which sounding note each written note belongs to: [N] indices of the chain's first note.

    A note that is tied from before joins the note of the same pitch that ends where it begins and is tied onward, on
    the same staff before another (a tie may cross to the other staff of a part); where there is none (the beginning of
    the chain is outside these notes) it stands for itself.
    """
    head = np.arange(len(notes))
    open_ends: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    tied = np.flatnonzero(notes.tie)
    tied = tied[np.lexsort((notes.duration[tied], notes.onset[tied]))]
    columns = (tied, *(getattr(notes, name)[tied] for name in ("onset", "duration", "pitch", "staff", "voice", "tie")))
    for i, onset, duration, pitch, staff, voice, tie in zip(*(column.tolist() for column in columns), strict=True):
        if tie & TIED_FROM:
            ends = open_ends.get((onset, pitch), {})
            if ends:
                own = min(ends, key=lambda home: (home != (staff, voice), home[0] != staff))
                head[i] = ends.pop(own)
        if tie & TIED_TO:
            open_ends.setdefault((onset + duration, pitch), {})[staff, voice] = int(head[i])
    return head
