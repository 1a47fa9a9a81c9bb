"""One pair as arrays, ready to be padded into a batch, and pairs that follow each other as one; without torch."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoresim.data.pair import Pair
from scoresim.data.shards import Split
from scoresim.data.spacing import along
from scoresim.data.staves import Staff, bars_of_cells, find_staves, music_begins, strips
from scoresim.data.upright import upright
from scoresim.score.tokens import FIRST, default_vocabulary

BARS = default_vocabulary().bars  # bar numbers count modulo this
FAINTEST = 32  # of 255: a cell whose darkest pixel is fainter counts as blank

Labels = Callable[[Pair], dict[str, Any]]


@dataclass(frozen=True)
class BatchConfig:
    """How pairs become tensors.

    Attributes:
        batch_size: passages per batch.
        max_notes: longer passages lose their last bars.
        pixels_per_space: staff space, in pixels, to which every picture is scaled, whatever its own.
        patch_height, patch_width: of an image cell in pixels after scaling, as in `SIMConfig`; the height is
            that of the strip around a staff.
        staves: whether cells are cut from strips around the staves, or from the page as it is.
        images: whether pictures are looked at; without them a batch holds blank ones.
        cache_megabytes: memory for decoded passages; the others are decoded anew each time.
        lines: of training batches: 1, 2, 4 ... at most this many passages that follow each other in a piece are read as
            one, in batches of fewer such rows.
        long_share: share of the training batches that hold notes alone, and as long rows.
        long_lines, long_notes: passages that follow each other in such a row, until there are more notes than that.
    """

    batch_size: int = 32
    max_notes: int = 128
    pixels_per_space: float = 4.0
    patch_height: int = 64
    patch_width: int = 8
    staves: bool = True
    images: bool = True
    cache_megabytes: int = 768
    lines: int = 1
    long_share: float = 0.0
    long_lines: int = 16
    long_notes: int = 512


@dataclass(frozen=True, eq=False)
class Row:
    """One passage, ready to be padded: what is cached.

    Attributes:
        ids: [n, 8] int16; bar: [n] int16; time: [n] float32, as in `NoteInput`.
        onset: [n] float32 and length: quarter notes; the length is 0 where the passage has lost notes at its end.
        edges: [L + 1] float32 quarter notes at which its lines begin, and the end of the last; bars: how many it has.
        ink: [h, w] uint8, 255 is black, already scaled; strips of staves under each other.
        cells: [m, 2] int16, row and column of each inked cell.
        place: [m, 2] float32, as in `ImageInput`.
        cell_bar: [m] int16, as in `Batch`.
        labels: arrays of [n], or numbers.
    """

    ids: NDArray[np.int16]
    bar: NDArray[np.int16]
    time: NDArray[np.float32]
    onset: NDArray[np.float32]
    length: float
    edges: NDArray[np.float32]
    bars: int
    ink: NDArray[np.uint8]
    cells: NDArray[np.int16]
    place: NDArray[np.float32]
    cell_bar: NDArray[np.int16]
    labels: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Memory it takes, about."""
        return self.ink.nbytes + self.ids.nbytes + 16 * len(self.ids) + 14 * len(self.cells) + 1000


Picture = tuple[NDArray[np.uint8], NDArray[np.int16], NDArray[np.float32], NDArray[np.int16]]
BLANK: Picture = (
    np.zeros((1, 1), np.uint8),
    np.zeros((0, 2), np.int16),
    np.zeros((0, 2), np.float32),
    np.zeros(0, np.int16),
)
"""No picture, as `_picture` gives one."""


def following(source: Split) -> NDArray[np.int64]:
    """[R] row of the passage that begins where each ends, in the same piece and in the next row; -1 where none does."""
    first, bars = (np.array(source.column(name), dtype=np.int64) for name in ("first_bar", "n_bars"))
    same = np.array([a == b for a, b in pairwise(items_of(source))], dtype=bool)
    out = np.full(len(source), -1)
    goes_on = same & (first[1:] == first[:-1] + bars[:-1])
    out[:-1][goes_on] = np.flatnonzero(goes_on) + 1
    return out


def items_of(source: Split) -> list[tuple[str, str]]:
    """Corpus and item of each row: the piece that it is of."""
    return list(zip(source.column("corpus"), source.column("item"), strict=True))


def sizes_of(source: Split, config: BatchConfig) -> NDArray[np.int64]:
    """Tokens that each row costs, about: its notes and the cells of its staves, before anybody looks at the picture."""
    names = ("n_staves", "height", "width", "n_notes", "staff_space")
    staves, height, width, notes, space = (np.array(source.column(name)) for name in names)
    if not config.images:
        return np.asarray(notes, dtype=np.int64)
    scale = config.pixels_per_space / space
    lines = staves if config.staves else np.ceil(height * scale / config.patch_height)
    cells = lines * np.ceil(width * scale / config.patch_width)
    out: NDArray[np.int64] = (cells + notes).astype(np.int64)
    return out


def prepare(pair: Pair | Row, config: BatchConfig, labels: Labels | None) -> Row:
    """Decode one pair; what is a row already (of a packed data set) stays one, without its picture if none is asked."""
    if isinstance(pair, Row):
        nothing: Any = {"ink": pair.ink[:1, :1] * 0, "cells": pair.cells[:0], "place": pair.place[:0]}
        return pair if config.images else replace(pair, **nothing, cell_bar=pair.cell_bar[:0])
    named = labels(pair) if labels is not None else {}
    n = notes_that_fit(pair.bar_of_note, config.max_notes)
    ink, cells, place, cell_bar = _picture(pair, config) if config.images else BLANK
    return Row(
        ids=pair.notes[:n].astype(np.int16),
        bar=pair.bar_of_note[:n].astype(np.int16),
        time=along(pair.onset, pair.length)[:n],
        onset=pair.onset[:n],
        length=pair.length if n == len(pair.onset) else 0.0,
        edges=np.array([0.0, pair.length], dtype=np.float32),
        bars=pair.n_bars,
        ink=ink,
        cells=cells,
        place=place,
        cell_bar=cell_bar,
        labels={name: value if np.ndim(value) == 0 else value[:n] for name, value in named.items()},
    )


def _picture(pair: Pair, config: BatchConfig) -> Picture:
    """The picture of a pair as cells: its ink, where they stand in it and in the music, and in which bar."""
    ink = decode(pair.image)
    boxes = pair.bar_boxes
    if config.staves:
        ink, moved = upright(ink, pair.staff_space)
        up = moved[boxes[:, ::2].mean(axis=1).astype(int).clip(0, len(moved) - 1)].astype(np.float32)
        boxes = boxes - up[:, None] * np.array([0, 1, 0, 1], dtype=np.float32)
    staves = find_staves(ink, pair.staff_space) if config.staves else []
    scale = config.pixels_per_space / pair.staff_space
    begin = (music_begins(ink, staves, pair.staff_space) if staves else 0.0) * scale
    if staves:
        ink = strips(ink, staves, round(config.patch_height / scale))
        ink = scaled(ink, scale, len(staves) * config.patch_height)
    else:
        ink = scaled(ink, scale)
    cells = inked_cells(ink, config.patch_height, config.patch_width)
    size = config.patch_height / scale, config.patch_width / scale
    place = places(cells, staves, config.patch_width, (begin, ink.shape[1]))
    return ink, cells, place, bars_of_cells(cells, staves, size, boxes)


def kinds_of(config: BatchConfig) -> list[tuple[int, bool]]:
    """All that `lines_of` may say."""
    long = [(config.long_lines, True)] if config.long_share > 0 else []
    return [(1 << k, False) for k in range(config.lines.bit_length())] + long


def lines_of(config: BatchConfig, seed: int, step: int) -> tuple[int, bool]:
    """How many passages that follow each other make a row of a step's batch, and whether it is without images.

    With images it is a power of 2, each as likely.
    """
    chance, most = np.random.default_rng([seed, step, 0, 2]), config.lines.bit_length() - 1
    number = 1 << int(chance.integers(0, most + 1)) if most > 0 else 1
    alone = config.long_share > 0 and bool(chance.random() < config.long_share)
    return (config.long_lines, True) if alone else (number, False)


def stretched(
    row: Callable[[int], Row], next_row: NDArray[np.int64], i: int, lines: int, alone: bool, config: BatchConfig
) -> Row:
    """A passage and those that follow it in its piece, as one.

    Args:
        row: makes one of them.
        next_row: see `following`.
        i: number of the first.
        lines: how many at most.
        alone: leave out the images, and end when there are notes enough.
    """
    config = replace(config, images=config.images and not alone)
    rows: list[Row] = []
    while i >= 0 and len(rows) < lines and (not rows or rows[-1].length):
        if alone and sum(len(some.ids) for some in rows) > config.long_notes:
            break
        rows.append(prepare(row(i), config, None) if alone else row(i))
        i = int(next_row[i])
    return joined(rows, config)


def joined(rows: Sequence[Row], config: BatchConfig) -> Row:
    """Passages that follow each other in a piece as one of several lines; places count lines.

    Args:
        rows: in their order; none but the last has lost notes.
        config: how they became tensors.
    """
    if len(rows) == 1:
        return rows[0]
    height = config.patch_height
    bars = np.cumsum([0, *(row.bars for row in rows)])
    starts = np.cumsum([0.0, *(row.edges[-1] for row in rows)]).astype(np.float32)
    lines = np.cumsum([0, *(len(row.edges) - 1 for row in rows)])
    down = np.cumsum([0, *(math.ceil(row.ink.shape[0] / height) for row in rows)])
    ink = np.zeros((int(down[-1]) * height, max(row.ink.shape[1] for row in rows)), dtype=np.uint8)
    ids, cells, place, cell_bar = [], [], [], []
    for i, row in enumerate(rows):
        ink[down[i] * height : down[i] * height + row.ink.shape[0], : row.ink.shape[1]] = row.ink
        moved = row.ids.copy()
        seen = moved[:, 0] >= FIRST
        moved[seen, 0] = FIRST + (moved[seen, 0] - FIRST + bars[i]) % BARS
        ids.append(moved)
        cells.append(row.cells + np.array([down[i], 0], dtype=np.int16))
        place.append(row.place + np.array([0, lines[i]], dtype=np.float32))
        cell_bar.append(np.where(row.cell_bar >= 0, row.cell_bar + bars[i], -1).astype(np.int16))
    return Row(
        ids=np.concatenate(ids),
        bar=np.concatenate([row.bar + bars[i] for i, row in enumerate(rows)]).astype(np.int16),
        time=np.concatenate([row.time + lines[i] for i, row in enumerate(rows)]).astype(np.float32),
        onset=np.concatenate([row.onset + starts[i] for i, row in enumerate(rows)]).astype(np.float32),
        length=float(starts[-1]) if all(row.length for row in rows) else 0.0,
        edges=np.concatenate([[0.0], *(row.edges[1:] + starts[i] for i, row in enumerate(rows))]).astype(np.float32),
        bars=int(bars[-1]),
        ink=ink,
        cells=np.concatenate(cells),
        place=np.concatenate(place),
        cell_bar=np.concatenate(cell_bar),
        labels={
            name: value if np.ndim(value) == 0 else np.concatenate([row.labels[name] for row in rows])
            for name, value in rows[0].labels.items()
        },
    )


def places(
    cells: NDArray[np.int16], staves: list[Staff], cell_width: int, line: tuple[float, float]
) -> NDArray[np.float32]:
    """Where cells stand in the music: [m, 2] staff in its system, and share of the passage along its systems.

    Args:
        cells: [m, 2] row and column.
        staves: of each row of cells; empty when none were found (then rows are places, and there is one
            system).
        cell_width: pixels.
        line: x at which the notes begin on a line, about, and x at which the line ends; what stands before
            the notes (clef, key) has a negative share.
    """
    row, column = cells.T.astype(np.int64)
    begin, end = line
    x = ((column + 0.5) * cell_width - begin) / max(end - begin, 1.0)
    if not staves:
        return np.stack([row + 0.5, x], axis=1).astype(np.float32)
    number, system = np.array([s.number for s in staves])[row], np.array([s.system for s in staves])[row]
    along_systems = (system + x) / (staves[-1].system + 1)
    return np.stack([number + 0.5, along_systems], axis=1).astype(np.float32)


def notes_that_fit(bar_of_note: NDArray[np.int32], most: int) -> int:
    """How many notes to keep: all, or whole bars among the first `most` (`most` of a longer bar)."""
    if len(bar_of_note) <= most:
        return len(bar_of_note)
    whole_bars = int(np.searchsorted(bar_of_note, bar_of_note[most], side="left"))
    return whole_bars or most


def decode(png: bytes) -> NDArray[np.uint8]:
    """A grey picture as ink: [h, w] uint8, 255 is black."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return 255 - np.asarray(picture.convert("L"), dtype=np.uint8)


def scaled(ink: NDArray[np.uint8], scale: float, height: int | None = None) -> NDArray[np.uint8]:
    """Scale a picture by area, to an exact height in pixels where one is given."""
    picture, factor = Image.fromarray(ink), round(1 / scale)
    if abs(factor * scale - 1) < 1e-9 and height in (None, picture.height // factor):
        return np.asarray(picture.reduce(factor))
    size = (max(round(picture.width * scale), 1), height or max(round(picture.height * scale), 1))
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def inked_cells(ink: NDArray[np.uint8], height: int, width: int) -> NDArray[np.int16]:
    """[m, 2] row and column of the cells in which something is drawn, in reading order."""
    down, across = math.ceil(ink.shape[0] / height), math.ceil(ink.shape[1] / width)
    canvas = np.zeros((down * height, across * width), dtype=np.uint8)
    canvas[: ink.shape[0], : ink.shape[1]] = ink
    darkest = canvas.reshape(down, height, across, width).max(axis=(1, 3))
    return np.argwhere(darkest >= FAINTEST).astype(np.int16)
