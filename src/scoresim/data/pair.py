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

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoresim.score.engrave import System
from scoresim.score.notes import Bar, Score, spelled
from scoresim.score.tokens import Vocabulary, encode

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


ARRAYS: dict[str, tuple[str, int]] = {  # column: (dtype, number of columns; 1 is a vector)
    "notes": ("int32", 8),
    "bar_of_note": ("int32", 1),
    "onset": ("float32", 1),
    "staff": ("int16", 1),
    "voice": ("int16", 1),
    "heads": ("float32", 5),
    "bar_boxes": ("float32", 4),
    "staff_boxes": ("float32", 6),
}


def to_row(pair: Pair) -> dict[str, Any]:
    """A pair as a row of plain values for Parquet; arrays are flattened."""
    row = {f.name: getattr(pair, f.name) for f in fields(pair)}
    return row | {name: getattr(pair, name).reshape(-1) for name in ARRAYS}


def from_row(row: dict[str, Any]) -> Pair:
    """The inverse of `to_row`."""
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
    max_height: int = 640  # pixels


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


def cut(score: Score, first_bar: int, n_bars: int) -> tuple[Score, NDArray[np.int64]]:
    """The bars from `first_bar` on as a score of their own that begins at 0, and the indices of its notes."""
    index = np.flatnonzero((score.notes.bar >= first_bar) & (score.notes.bar < first_bar + n_bars))
    start = score.bars[first_bar].onset
    notes = score.notes.take(index)
    bars = tuple(
        Bar(bar.onset - start, bar.duration, bar.numerator, bar.denominator, bar.id, bar.label)
        for bar in score.bars[first_bar : first_bar + n_bars]
    )
    tempos = tuple((max(tick - start, 0), tempo) for tick, tempo in score.tempos if tick < start + sum_of(bars))
    moved = {name: getattr(notes, name) for name in notes.__dataclass_fields__}
    moved |= {"onset": notes.onset - start, "bar": notes.bar - first_bar}
    return Score(score.resolution, type(notes)(**moved), bars, score.staves, tempos[-1:], score.source), index


def sum_of(bars: Sequence[Bar]) -> int:
    """Length of consecutive bars in ticks."""
    return bars[-1].onset + bars[-1].duration - bars[0].onset


def make_pair(
    score: Score,
    systems: tuple[System, ...],
    vocabulary: Vocabulary,
    rules: PassageRules,
    about: dict[str, Any],
) -> Pair:
    """Make and check the pair of one passage.

    Args:
        score: the whole score.
        systems: the engraved systems of the passage, from top to bottom.
        vocabulary: of the note tokens.
        rules: which passages are kept.
        about: the fields of `Pair` that say where it comes from (id, corpus, ..., split).

    Raises:
        Rejected: with the reason, when the picture and the notes do not agree or the rules leave it out.
    """
    bars = [bar for system in systems for bar in system.bars]
    first, n_bars = bars[0].index, len(bars)
    if [bar.index for bar in bars] != list(range(first, first + n_bars)):
        raise Rejected("bars are not consecutive")
    part, _ = cut(score, first, n_bars)
    if not rules.min_notes <= len(part.notes) <= rules.max_notes:
        raise Rejected("too few notes" if len(part.notes) < rules.min_notes else "too many notes")
    _check_bars(part)
    tokens = encode(part, vocabulary)
    if len(tokens.bar_starts) != n_bars + 1:
        raise Rejected("a bar is longer than sixteen quarter notes")
    heads = _join_heads(part, systems, tokens.of_note)
    image, offsets = stack([system.ink for system in systems])
    if image.shape[0] > rules.max_height:
        raise Rejected("picture is too high")
    for row, system in zip(heads, [s for s in systems for _ in s.heads], strict=True):
        row[[2, 4]] += offsets[systems.index(system)]
    bar_boxes = [_moved(bar.box, y) for system, y in zip(systems, offsets, strict=True) for bar in system.bars]
    staff_boxes = [
        (number, staff, *_moved(box, y))
        for number, (system, y) in enumerate(zip(systems, offsets, strict=True))
        for staff, box in sorted(system.staves.items())
    ]
    first_note = tokens.note
    notes = part.notes.take(first_note)
    chain = np.zeros(len(first_note), dtype=np.int64)
    np.add.at(chain, tokens.of_note, part.notes.duration)
    return Pair(
        **about,
        first_bar=first,
        n_bars=n_bars,
        n_systems=len(systems),
        image=png(image),
        width=image.shape[1],
        height=image.shape[0],
        staff_space=systems[0].staff_space,
        notes=tokens.ids,
        bar_of_note=tokens.bar.astype(np.int32),
        onset=(notes.onset / part.resolution).astype(np.float32),
        length=float(part.quarters(sum_of(part.bars))),
        staff=notes.staff.astype(np.int16),
        voice=notes.voice.astype(np.int16),
        n_staves=len(score.staves),
        heads=heads.astype(np.float32),
        bar_boxes=np.array(bar_boxes, dtype=np.float32),
        staff_boxes=np.array(staff_boxes, dtype=np.float32).reshape(-1, 6),
        spelling=[
            spelled(*spelling)
            for spelling in zip(notes.step.tolist(), notes.alter.tolist(), notes.octave.tolist(), strict=True)
        ],
        onset_exact=[_fraction(part, tick) for tick in notes.onset.tolist()],
        duration_exact=[_fraction(part, tick) for tick in chain.tolist()],
        agreement=1.0,
    )


def _check_bars(part: Score) -> None:
    """Every note begins and ends in its bar (an overfull bar would put two onsets on one place)."""
    starts = np.array([bar.onset for bar in part.bars])[part.notes.bar]
    ends = starts + np.array([bar.duration for bar in part.bars])[part.notes.bar]
    if any(bar.duration <= 0 for bar in part.bars):
        raise Rejected("a bar has no length")
    if (part.notes.onset < starts).any() or (part.notes.onset + part.notes.duration > ends).any():
        raise Rejected("a note does not fit into its bar")


def _join_heads(part: Score, systems: tuple[System, ...], of_note: NDArray[np.int64]) -> NDArray[np.float64]:
    """[K, 5] token and box of every drawn head; the two-way check between picture and notes."""
    index = {note_id: i for i, note_id in enumerate(part.notes.id)}
    rows, drawn = [], set()
    for system in systems:
        for head in system.heads:
            if head.id not in index:
                raise Rejected("a drawn note is not among the notes")
            if head.id in drawn:
                raise Rejected("a note is drawn twice")
            if abs(head.height_error) > HEIGHT_TOLERANCE:
                raise Rejected("a note head does not stand where its pitch does")
            drawn.add(head.id)
            rows.append((of_note[index[head.id]], *head.box))
    if len(drawn) != len(index):
        raise Rejected("a note is not drawn")
    return np.array(rows, dtype=np.float64)


def stack(pictures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], list[int]]:
    """Put pictures ([h, w] grey) under each other, left-aligned on white; also the y at which each begins."""
    width = max(picture.shape[1] for picture in pictures)
    offsets = [sum(p.shape[0] for p in pictures[:i]) for i in range(len(pictures))]
    out = np.full((sum(p.shape[0] for p in pictures), width), 255, dtype=np.uint8)
    for y, picture in zip(offsets, pictures, strict=True):
        out[y : y + picture.shape[0], : picture.shape[1]] = picture
    return out, offsets


def png(image: NDArray[np.uint8]) -> bytes:
    """A grey picture as PNG bytes, the same bytes for the same picture."""
    buffer = io.BytesIO()
    Image.fromarray(image, mode="L").save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def _moved(box: tuple[float, float, float, float], y: int) -> tuple[float, float, float, float]:
    return box[0], box[1] + y, box[2], box[3] + y


def _fraction(score: Score, ticks: int) -> str:
    exact = score.quarters(ticks)
    return f"{exact.numerator}/{exact.denominator}"
