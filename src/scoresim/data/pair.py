"""A *pair*: a passage as its picture and as its notes, checked against each other, note by note.

A passage is a run of whole bars, one or two systems. Its picture is cut from the engraved page; its notes are the
note tokens of the same bars. The rules by which they are the same music:

- Repeats are not unfolded: both show the bars as written, once.
- A chain of tied notes is one token and as many note heads. A tie that comes in from before the passage, or goes
  out of it, is cut at the passage's edge, as a MIDI excerpt would be.
- A grace note is drawn small and is a token of one grid step. A rest is drawn and is no token.
- Every drawn note head belongs to exactly one token, and every token has at least one drawn head; every head
  stands at the height which its spelled pitch has under the clef in force. A pair is accepted when all of this
  holds for all of its notes (`agreement` 1.0).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from math import gcd
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoresim.data.harmonize import complexity
from scoresim.score.notes import Ints, Score, spelled
from scoresim.score.system import System
from scoresim.score.tokens import GRID, Tokens, Vocabulary, encode

if TYPE_CHECKING:
    from scoresim.score.degrade import Degraded

Box = tuple[float, float, float, float]
Boxes = NDArray[np.float64]
Look: TypeAlias = "Callable[[NDArray[np.uint8], float], Degraded]"  # (picture, staff space) -> what it looks like now

LEAST_STEP = 0.25  # staff spaces between the heads of successive onsets on a staff; a head is 1.2 wide
LEAST_HEAD = 0.3  # staff spaces of a head inside the picture; verovio 6.4 draws long cadenzas beyond the left margin
HEIGHT_TOLERANCE = 0.3  # staff spaces between a drawn head and where its pitch stands; a step is half a space


@dataclass(frozen=True, eq=False)
class Pair:
    """One verified passage; one row of a shard.

    Attributes:
        id: "<corpus>/<item>#<index>".
        corpus, item, work, style, composer, title: where it comes from; the work decides the split.
        split: "train", "valid" or "test".
        first_bar: index of the first bar in the whole score.
        n_bars: number of bars.
        n_systems: number of systems on the picture.
        image: PNG, 8-bit grey, 255 is paper.
        width, height: pixels.
        staff_space: pixels between two staff lines.
        notes: [N, 8] int32 token ids, in the order of (bar, position, pitch, duration); bars count from 0.
        bar_of_note: [N] int32, 0 .. n_bars - 1.
        onset: [N] float32 quarter notes from the beginning of the passage.
        length: quarter notes of the whole passage.
        staff: [N] int16, 1 is the top staff.
        voice: [N] int16, layer on the staff.
        n_staves: staves of the score.
        heads: [K, 5] float32: token, then x0, y0, x1, y1 in pixels.
        bar_boxes: [n_bars, 4] float32: x0, y0, x1, y1 in pixels, over all staves of the system.
        staff_boxes: [S, 6] float32: system, staff, then x0, y0, x1, y1 of the five lines in pixels.
        spelling: N names of the first written note, as "C#4".
        onset_exact, duration_exact: N fractions of a quarter note as "numerator/denominator".
        agreement: share of drawn heads and tokens that agree (1.0 when accepted).
        format: of the file: "musicxml", "mxl", "mei", "kern", "abc" or "midi".
        notation: "composer" where the file is notation, "machine" where it was made from MIDI (`score.notate`).
        beats: where the beats of machine-made notation come from: "grid" (the file's own), "annotated" (by the
            source) or "estimated" (from the notes); "" for a composer's notation.
        official_split: what the source says, "" where it says nothing.
        labels: what the source says of the piece, a JSON object of texts.
        font: music font of the picture.
        page_width: of the page that it was laid out for, in staff spaces.
        degraded: "none", "scan" or "photo".
        texts: T texts on the picture as "kind:content"; empty unless asked for.
        text_boxes: [T, 4] float32 x0, y0, x1, y1 in pixels.
        density, pitch_range, variety: measures of complexity (see `harmonize.complexity`).
    """

    id: str
    corpus: str
    item: str
    work: str
    style: str
    composer: str
    title: str
    split: str
    first_bar: int
    n_bars: int
    n_systems: int
    image: bytes
    width: int
    height: int
    staff_space: float
    notes: NDArray[np.int32]
    bar_of_note: NDArray[np.int32]
    onset: NDArray[np.float32]
    length: float
    staff: NDArray[np.int16]
    voice: NDArray[np.int16]
    n_staves: int
    heads: NDArray[np.float32]
    bar_boxes: NDArray[np.float32]
    staff_boxes: NDArray[np.float32]
    spelling: list[str]
    onset_exact: list[str]
    duration_exact: list[str]
    agreement: float
    format: str = ""
    notation: str = "composer"
    beats: str = ""
    official_split: str = ""
    labels: str = "{}"
    font: str = "Leipzig"
    page_width: float = 50.0
    degraded: str = "none"
    texts: list[str] = field(default_factory=list)
    text_boxes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    density: float = 0.0
    pitch_range: float = 0.0
    variety: float = 0.0


ARRAYS: dict[str, tuple[str, int]] = {  # column: (dtype, number of columns; 1 is a vector)
    "notes": ("int32", 8),
    "bar_of_note": ("int32", 1),
    "onset": ("float32", 1),
    "staff": ("int16", 1),
    "voice": ("int16", 1),
    "heads": ("float32", 5),
    "bar_boxes": ("float32", 4),
    "staff_boxes": ("float32", 6),
    "text_boxes": ("float32", 4),
}


def from_row(row: dict[str, Any]) -> Pair:
    """A pair from a row of plain values, as a shard has it: arrays are flat there."""
    arrays = {}
    for name, (dtype, columns) in ARRAYS.items():
        flat = np.asarray(row[name], dtype=dtype)
        arrays[name] = flat.reshape(-1, columns) if columns > 1 else flat
    return Pair(**(row | arrays))


class Rejected(Exception):
    """A passage that does not become a pair; the message is the reason, in the words of the data card."""


@dataclass(frozen=True)
class PassageRules:
    """Which passages are kept."""

    max_notes: int = 128
    min_notes: int = 4
    max_height: float = 120.0  # staff spaces: twelve staves or more


def passages(heads: Sequence[int], max_systems: int, few_notes: int) -> list[tuple[int, ...]]:
    """Group systems into passages: one system each, or two where together they have few note heads.

    Args:
        heads: number of note heads of every system, in order.
        max_systems: 1 or 2.
        few_notes: two systems are one passage when they have at most this many heads together.

    Returns:
        The indices of the systems of each passage.
    """
    groups: list[tuple[int, ...]] = []
    for i in range(len(heads)):
        last = groups[-1] if groups else ()
        if last and len(last) < max_systems and sum(heads[j] for j in (*last, i)) <= few_notes:
            groups[-1] = (*last, i)
        else:
            groups.append((i,))
    return groups


@dataclass(frozen=True, eq=False)
class Excerpt:
    """The notes of a passage that the rules keep: what a pair is made of before its picture is drawn.

    Attributes:
        first_bar: index of its first bar in the whole score.
        part: its bars as a score of their own.
        tokens: its note tokens.
    """

    first_bar: int
    part: Score
    tokens: Tokens


def excerpt(score: Score, bars: Sequence[int], vocabulary: Vocabulary, rules: PassageRules) -> Excerpt:
    """The notes of a passage, refused before anything is drawn where they alone decide.

    Args:
        score: the whole score.
        bars: indices of the bars on the systems of the passage.
        vocabulary: of the note tokens.
        rules: which passages are kept.

    Raises:
        Rejected: with the reason.
    """
    first, n_bars = bars[0], len(bars)
    if list(bars) != list(range(first, first + n_bars)):
        raise Rejected("bars are not consecutive")
    part = score.cut(first, n_bars)
    if not rules.min_notes <= len(part.notes) <= rules.max_notes:
        raise Rejected("too few notes" if len(part.notes) < rules.min_notes else "too many notes")
    _check_bars(part)
    tokens = encode(part, vocabulary)
    if len(tokens.bar_starts) != n_bars + 1:
        raise Rejected("a bar is longer than sixteen quarter notes")
    return Excerpt(first, part, tokens)


def make_pair(
    taken: Excerpt, systems: tuple[System, ...], rules: PassageRules, about: dict[str, Any], look: Look | None = None
) -> Pair:
    """Make and check the pair of one passage.

    Args:
        taken: the notes of the passage.
        systems: the engraved systems of its bars, from top to bottom.
        rules: which passages are kept.
        about: the fields of `Pair` that say where it comes from (id, corpus, ..., split), and how it was engraved.
        look: makes a clean picture look scanned or photographed, and moves the boxes on it; the check comes before.

    Raises:
        Rejected: with the reason, when the picture and the notes do not agree or the rules leave it out.
    """
    part, tokens, space = taken.part, taken.tokens, systems[0].staff_space
    token, head_boxes = _join_heads(part, systems, tokens.of_note)
    image, offsets = stack([system.ink for system in systems])
    if image.shape[0] > rules.max_height * space:
        raise Rejected("picture is too high")
    placed = list(zip(systems, offsets, strict=True))
    boxes = _Boxes(
        heads=_moved(head_boxes, [y for system, y in placed for _ in system.heads]),
        bars=_moved([bar.box for system in systems for bar in system.bars], [y for s, y in placed for _ in s.bars]),
        staves=_moved(
            [box for system in systems for _, box in sorted(system.staves.items())],
            [y for system, y in placed for _ in system.staves],
        ),
        texts=_moved(
            [text.box for system in systems for text in system.texts],
            [y for s, y in placed for _ in s.texts],
        ),
    )
    if look is not None:
        image, space, boxes = _looked(image, space, boxes, look)
    first_note, notes = tokens.note, part.notes.take(tokens.note)
    chain = np.zeros(len(first_note), dtype=np.int64)
    np.add.at(chain, tokens.of_note, part.notes.duration)
    durations = np.maximum(chain / part.resolution, 1 / GRID)
    length = float(part.quarters(part.length))
    measures = complexity(notes.onset / part.resolution, durations, notes.pitch, length)
    numbers = [(i, staff) for i, system in enumerate(systems) for staff in sorted(system.staves)]
    return Pair(
        **about,
        first_bar=taken.first_bar,
        n_bars=len(part.bars),
        n_systems=len(systems),
        image=png(image),
        width=image.shape[1],
        height=image.shape[0],
        staff_space=space,
        notes=tokens.ids,
        bar_of_note=tokens.bar.astype(np.int32),
        onset=(notes.onset / part.resolution).astype(np.float32),
        length=length,
        staff=notes.staff.astype(np.int16),
        voice=notes.voice.astype(np.int16),
        n_staves=len(part.staves),
        heads=np.concatenate([token[:, None], boxes.heads], axis=1).astype(np.float32),
        bar_boxes=boxes.bars.astype(np.float32),
        staff_boxes=np.concatenate([np.array(numbers).reshape(-1, 2), boxes.staves], axis=1).astype(np.float32),
        spelling=[
            spelled(*spelling)
            for spelling in zip(notes.step.tolist(), notes.alter.tolist(), notes.octave.tolist(), strict=True)
        ],
        onset_exact=[_fraction(part, tick) for tick in notes.onset.tolist()],
        duration_exact=[_fraction(part, tick) for tick in chain.tolist()],
        agreement=1.0,
        texts=[f"{text.kind}:{text.content}" for system in systems for text in system.texts],
        text_boxes=boxes.texts.astype(np.float32),
        density=measures.density,
        pitch_range=measures.pitch_range,
        variety=measures.variety,
    )


@dataclass(frozen=True, eq=False)
class _Boxes:
    """All boxes of a passage, [K, 4] each: x0, y0, x1, y1 in pixels of its picture."""

    heads: Boxes
    bars: Boxes
    staves: Boxes
    texts: Boxes


def _looked(image: NDArray[np.uint8], space: float, boxes: _Boxes, look: Look) -> tuple[Any, float, _Boxes]:
    """The picture with another look, its staff space, and the boxes where they are now."""
    changed = look(image, space)
    height, width = changed.image.shape
    moved = {}
    for f in fields(boxes):
        box = changed.move(getattr(boxes, f.name))
        moved[f.name] = np.clip(box, 0, [width, height, width, height]).astype(np.float64)
    return changed.image, changed.staff_space, _Boxes(**moved)


def _check_bars(part: Score) -> None:
    """Every note begins and ends in its bar (an overfull bar would put two onsets on one place)."""
    starts = np.array([bar.onset for bar in part.bars])[part.notes.bar]
    ends = starts + np.array([bar.duration for bar in part.bars])[part.notes.bar]
    if any(bar.duration <= 0 for bar in part.bars):
        raise Rejected("a bar has no length")
    if (part.notes.onset < starts).any() or (part.notes.onset + part.notes.duration > ends).any():
        raise Rejected("a note does not fit into its bar")


def _join_heads(part: Score, systems: tuple[System, ...], of_note: NDArray[np.int64]) -> tuple[Ints, list[Box]]:
    """[K] token and box of every drawn head, on its system; the two-way check between picture and notes."""
    index = {note_id: i for i, note_id in enumerate(part.notes.id)}
    tokens, boxes, drawn = [], [], set()
    for system in systems:
        for head in system.heads:
            if head.id not in index:
                raise Rejected("a drawn note is not among the notes")
            if head.id in drawn:
                raise Rejected("a note is drawn twice")
            if abs(head.height_error) > HEIGHT_TOLERANCE:
                raise Rejected("a note head does not stand where its pitch does")
            if min(head.box[2] - head.box[0], head.box[3] - head.box[1]) < LEAST_HEAD * system.staff_space:
                raise Rejected("a note is drawn beside the picture")
            drawn.add(head.id)
            tokens.append(int(of_note[index[head.id]]))
            boxes.append(head.box)
    if len(drawn) != len(index):
        raise Rejected("a note is not drawn")
    _check_order(part, systems, index)
    return np.array(tokens, dtype=np.int64), boxes


def _check_order(part: Score, systems: tuple[System, ...], index: dict[str, int]) -> None:
    """On every staff, heads stand from left to right as their onsets do; in a squeezed bar they do not."""
    notes = part.notes
    for system in systems:
        i = np.array([index[head.id] for head in system.heads], dtype=np.int64)
        x = np.array([head.box[0] for head in system.heads])
        written = ~notes.grace[i].astype(bool)
        i, x = i[written], x[written]
        staff, onset = notes.staff[i], notes.onset[i]
        order = np.lexsort((x, onset, staff))
        staff, onset, x = staff[order], onset[order], x[order]
        leftmost = np.ones(len(x), dtype=bool)  # of the heads of an onset on a staff
        leftmost[1:] = (staff[1:] != staff[:-1]) | (onset[1:] != onset[:-1])
        staff, x = staff[leftmost], x[leftmost]
        if ((np.diff(x) < LEAST_STEP * system.staff_space) & (staff[1:] == staff[:-1])).any():
            raise Rejected("note heads do not stand in the order of their onsets")


def stack(pictures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], list[int]]:
    """Put pictures ([h, w] grey) under each other, left-aligned on white; also the y at which each begins."""
    width = max(picture.shape[1] for picture in pictures)
    offsets = [sum(p.shape[0] for p in pictures[:i]) for i in range(len(pictures))]
    out = np.full((sum(p.shape[0] for p in pictures), width), 255, dtype=np.uint8)
    for y, picture in zip(offsets, pictures, strict=True):
        out[y : y + picture.shape[0], : picture.shape[1]] = picture
    return out, offsets


def png(image: NDArray[np.uint8]) -> bytes:
    """A grey picture ([h, w] uint8) as PNG bytes, the same bytes for the same picture.

    Engraved music is mostly runs of one value across and down: each row is written as its difference from the row
    above, and only runs are looked for. On 417 systems: .29 ms and 13.6 kB a picture; unfiltered with deflate's search
    .38 ms and 13.8 kB. Pillow's encoder tries all filters on every row and takes four times as long.
    """
    height, width = image.shape
    rows = np.full((height, width + 1), 2, dtype=np.uint8)  # every row begins with its filter; 2 is "up"
    rows[0, 1:] = image[0]
    np.subtract(image[1:], image[:-1], out=rows[1:, 1:])
    pack = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits, grey
    chunks = ((b"IHDR", header), (b"IDAT", pack.compress(rows.data) + pack.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _moved(boxes: Sequence[Box], down: Sequence[int]) -> Boxes:
    """[K, 4] boxes of systems moved to where their systems stand on the passage's picture."""
    out = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    out[:, [1, 3]] += np.array(down, dtype=np.float64).reshape(-1, 1)
    return out


def _fraction(score: Score, ticks: int) -> str:
    """Ticks as a reduced fraction of a quarter note."""
    common = gcd(ticks, score.resolution)
    return f"{ticks // common}/{score.resolution // common}"
