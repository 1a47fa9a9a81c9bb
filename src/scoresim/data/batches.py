"""From pairs to tensors: rows of the source (`rows`), padded and stacked.

The order of training rows is a pure function of (seed, epoch), and `Passages.batch(seed, step)` gives any
step's batch at once: nothing about the position in the data has to be saved to resume exactly.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoresim.data.alter import alter
from scoresim.data.looks import DegradedSplit
from scoresim.data.order import Order, stretched_sizes
from scoresim.data.packed import PackedSplit
from scoresim.data.rows import (
    BatchConfig,
    Labels,
    Row,
    following,
    items_of,
    joined,
    kinds_of,
    lines_of,
    prepare,
    sizes_of,
    stretched,
)
from scoresim.data.shards import PairSplit, Split
from scoresim.data.spacing import along_lines
from scoresim.data.windows import Segments, Window, marks_of
from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIMConfig
from scoresim.score.tokens import Vocabulary

IGNORE = -100  # the label of padding, and of what has no label
INPUTS = ("notes", "image", "both")
AHEAD = 3  # batches made in advance
ROW_DRAWS = 7
WHOLE = (0, 1)  # the first of one part
Altering = tuple[NoteInput, Tensor]


class Draws(NamedTuple):
    """The random numbers of a training step, uniform in [0, 1).

    A function of seed, step and a row's place in the batch: they do not depend on padding, on the device, or on which
    process holds which rows, so that a step is the same wherever it is done.

    Attributes:
        notes: [B, N, 3, 8] of each note and attribute, for three questions (see `masking.hide`).
        bars: [B, N] of each note; those of a bar's first note speak for the bar.
        rows: [B, 7] of each row, for seven questions (see `objectives`).
        partners: [B, G] of each row and each row of the whole batch.
    """

    notes: Tensor
    bars: Tensor
    rows: Tensor
    partners: Tensor


def draw(seed: int, step: int, places: NDArray[np.int64], width: int, rows: int) -> Draws:
    """Some rows' random numbers.

    Args:
        seed, step: of the run.
        places: [B] place of each row in the whole batch.
        width: notes of the longest row, N.
        rows: of the whole batch, G.
    """
    notes, bars = np.empty((len(places), width, 3, 8), np.float32), np.empty((len(places), width), np.float32)
    others = np.empty((len(places), ROW_DRAWS + rows), np.float32)
    for b, place in enumerate(places):
        rng = np.random.default_rng([seed, step, int(place)])
        others[b] = rng.random(ROW_DRAWS + rows, np.float32)
        both = rng.random((width, 25), np.float32)
        notes[b], bars[b] = both[:, :24].reshape(width, 3, 8), both[:, 24]
    rest = torch.from_numpy(others)
    return Draws(torch.from_numpy(notes), torch.from_numpy(bars), rest[:, :ROW_DRAWS], rest[:, ROW_DRAWS:])


@dataclass
class Batch:
    """B passages as tensors.

    Attributes:
        notes, image: the two inputs.
        bar: [B, N] long, bar of each note from 0; -1 at padding.
        cell_bar: [B, M] long, bar in whose box each image cell stands; -1 at padding, and outside of all bars.
        piece: [B] long, the same number for passages of the same item.
        labels: by name, [B] or [B, N] long; `IGNORE` at padding.
        index: [B] long, row in the source.
        draws: the step's random numbers, of training batches.
        altered: the notes with one bar altered (`alter`), for training; None where nobody asked for them.
        alteration: [B] long, how: index into `alter.KINDS`, -1 where nothing could be altered.
        similarity: [B, G] of images to the whole batch's notes, each read alone, once an objective has left it here.
        part: which of how many equal, consecutive stretches of the whole batch this one is: G is B times the second.
        window: [B] long, which window each row is a segment of (`Windows`), from 0, not decreasing; None: each its own.
        alone: whether the notes are there without their images.
    """

    notes: NoteInput
    image: ImageInput
    bar: Tensor
    cell_bar: Tensor
    piece: Tensor
    labels: dict[str, Tensor]
    index: Tensor
    draws: Draws | None = None
    altered: NoteInput | None = None
    alteration: Tensor | None = None
    similarity: Tensor | None = None
    part: tuple[int, int] = WHOLE
    window: Tensor | None = None
    alone: bool = False

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory (what a DataLoader asks for)."""
        return self._map(Tensor.pin_memory)

    def select(self, rows: Tensor) -> "Batch":
        """Some of its rows ([R] long, or [B] bool), as a batch of their own."""
        return replace(self._map(lambda tensor: tensor[rows]), part=WHOLE)

    def inputs(self, which: str) -> tuple[NoteInput | None, ImageInput | None]:
        """What a model is shown: "notes", "image" or "both"."""
        if which not in INPUTS:
            raise ValueError(f"inputs is {which!r}; choose one of {', '.join(INPUTS)}")
        return (None if which == "image" else self.notes), (None if which == "notes" else self.image)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        image = ImageInput(*map(change, (self.image.ink, self.image.cells, self.image.mask, self.image.place)))
        return Batch(
            notes=NoteInput(*map(change, self.notes)),
            image=image._replace(seen=None if self.image.seen is None else change(self.image.seen)),
            bar=change(self.bar),
            cell_bar=change(self.cell_bar),
            piece=change(self.piece),
            labels={name: change(label) for name, label in self.labels.items()},
            index=change(self.index),
            draws=None if self.draws is None else Draws(*map(change, self.draws)),
            altered=None if self.altered is None else NoteInput(*map(change, self.altered)),
            alteration=None if self.alteration is None else change(self.alteration),
            part=self.part,
            window=None if self.window is None else change(self.window),
            alone=self.alone,
        )


class Passages:
    """The passages of a source as batches.

    Args:
        source: the rows.
        config: how they become tensors.
        labels: what a task asks of a passage: by name, an array of one number per note, or one number.
        weight: [R] how often a row is to be drawn for training, with mean 1 (see `harmonize`); None is once each.
        vocabulary: of the source; where it is given, training batches also hold their notes with one bar altered.
        part: which of how many equal stretches of every training batch is made here; the others are other processes'.

    Raises:
        BadInput: a batch cannot be shared evenly.
    """

    def __init__(
        self,
        source: Split,
        config: BatchConfig | None = None,
        labels: Labels | None = None,
        weight: NDArray[np.float64] | None = None,
        vocabulary: Vocabulary | None = None,
        part: tuple[int, int] = WHOLE,
    ) -> None:
        self.source, self.part = source, part
        self.vocabulary, self.weight = vocabulary, weight
        self.config = config or BatchConfig()
        self.labels = labels
        numbers = {item: i for i, item in enumerate(dict.fromkeys(items_of(source)))}
        self.piece = np.array([numbers[item] for item in items_of(source)], dtype=np.int64)
        counted = source.tokens() if isinstance(source, PackedSplit) and self.config.images else None
        self.size = sizes_of(source, self.config) if counted is None else counted
        self.group = source.row_groups() if isinstance(source, PairSplit | DegradedSplit) else None
        self._cache: dict[int, Row] = {}
        self._free = self.config.cache_megabytes * 1_000_000
        if part[1] > 1:
            self.order.share(kinds_of(self.config), part[1])

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: without what is cached."""
        return self.__dict__ | {"_cache": {}, "_free": self.config.cache_megabytes * 1_000_000}

    def __len__(self) -> int:
        return len(self.piece)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass; a source smaller than a batch is one batch."""
        return self.order.steps

    @cached_property
    def order(self) -> Order:
        """In which order rows are seen. Couples of one piece are for matching, which needs images."""
        piece = self.piece if self.config.images else None
        return Order(len(self), piece, self.size_together, self.config.batch_size, self.weight, self.group)

    def size_together(self, lines: int, alone: bool) -> NDArray[np.int64]:
        """[R] tokens of each row and of those that are read with it."""
        size = self.notes if alone else self.size
        most = self.config.long_notes if alone else None
        return size if lines == 1 else stretched_sizes(size, self.next_row, lines, most)

    @cached_property
    def notes(self) -> NDArray[np.int64]:
        """[R] notes of each row."""
        return np.array(self.source.column("n_notes"), dtype=np.int64).clip(max=self.config.max_notes)

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of training step `step`, or our part of it."""
        lines, alone = lines_of(self.config, seed, step)
        whole = self.order.rows(seed, step, lines, alone)
        places = np.split(np.arange(len(whole)), self.part[1])[self.part[0]]
        index = whole[places]
        if lines == 1:
            rows = [self.row(int(i)) for i in index]
        else:
            rows = [stretched(self.row, self.next_row, int(i), lines, alone, self.config) for i in index]
        batch = replace(collate(rows, index, self.piece[index], self.config), part=self.part, alone=alone)
        batch.draws = draw(seed, step, places, batch.bar.shape[1], len(whole))
        if self.vocabulary is not None and not alone:
            batch.altered, batch.alteration = altered(rows, index, self.vocabulary, (seed, step))
        return batch

    def altered(self, index: NDArray[np.int64], vocabulary: Vocabulary, seed: tuple[int, ...]) -> Altering:
        """The notes of some rows of the source with one bar altered: see the function of this name."""
        return altered([self.row(int(i)) for i in index], index, vocabulary, seed)

    def gather(self, index: NDArray[np.int64]) -> Batch:
        """The given rows of the source as one batch."""
        return collate([self.row(int(i)) for i in index], index, self.piece[index], self.config)

    def stream(self, seed: int, start: int) -> Generator[Batch, None, None]:
        """Endless training batches from step `start` on, made in advance by one thread."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            waiting: list[Future[Batch]] = []
            try:
                for step in range(start, 1 << 62):
                    waiting.append(pool.submit(self.batch, seed, step))
                    if len(waiting) > AHEAD:
                        yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()

    def sequential(self) -> Iterator[Batch]:
        """All rows once, in the order of the source."""
        for start in range(0, len(self), self.config.batch_size):
            yield self.gather(np.arange(start, min(start + self.config.batch_size, len(self))))

    @cached_property
    def next_row(self) -> NDArray[np.int64]:
        """See `rows.following`."""
        return following(self.source)

    def row(self, i: int) -> Row:
        """A row of the source, ready to be padded; some are kept."""
        row = self._cache.get(i)
        if row is None:
            row = prepare(self.source[i], self.config, self.labels)
            if row.bytes <= self._free:
                self._free -= row.bytes
                self._cache[i] = row
        return row


class Windows(Passages):
    """Windows of pieces as batches: the rows of a batch are the segments of its windows.

    Args:
        source: the segments.
        windows: which of them belong together.
        config: how segments become tensors; its batch size counts windows, and so many lines are read as one.
        task: name of the labels.
        classes: [W] class of every window; None where the notes have classes, the marks of the segments.
        change: makes a row another one with the same classes, given random numbers; for training batches.
    """

    def __init__(
        self,
        source: Segments,
        windows: Sequence[Window],
        config: BatchConfig,
        task: str,
        classes: NDArray[np.int64] | None = None,
        change: Callable[[Sequence[Row], np.random.Generator], list[Row]] | None = None,
    ) -> None:
        super().__init__(source, config, marks_of(task) if classes is None else None)
        self.segments, self.windows, self.task, self.classes, self.change = source, windows, task, classes, change
        tokens = np.r_[0, np.cumsum(self.size)]
        self.piece = np.array([window.piece for window in windows], dtype=np.int64)
        self.size = np.array([tokens[window.end_row] - tokens[window.row] for window in windows], dtype=np.int64)

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of training step `step`."""
        return self._gathered(self.order.rows(seed, step), np.random.default_rng([seed, step]))

    def gather(self, index: NDArray[np.int64]) -> Batch:
        """The given windows as one batch."""
        return self._gathered(index, None)

    def _gathered(self, index: NDArray[np.int64], chance: np.random.Generator | None) -> Batch:
        rows: list[Row] = []
        window: list[int] = []
        for number, i in enumerate(index.tolist()):
            taken: Sequence[Row] = [self.row(row) for row in range(self.windows[i].row, self.windows[i].end_row)]
            taken = taken if self.change is None or chance is None else self.change(taken, chance)
            rows += [
                joined(taken[k : k + self.config.lines], self.config) for k in range(0, len(taken), self.config.lines)
            ]
            window += [number] * (len(rows) - len(window))
        of_row = np.array(window, dtype=np.int64)
        batch = collate(rows, index[of_row], self.piece[index][of_row], self.config)
        batch.window = torch.tensor(window)
        if self.classes is not None:
            batch.labels = {self.task: torch.from_numpy(self.classes[index])}
        return batch


def batch_config(shape: SIMConfig, batch_size: int) -> BatchConfig:
    """How pairs become tensors for a model of some shape."""
    return BatchConfig(batch_size, patch_height=shape.patch_height, patch_width=shape.patch_width, staves=shape.staves)


def altered(rows: Sequence[Row], index: NDArray[np.int64], vocabulary: Vocabulary, seed: tuple[int, ...]) -> Altering:
    """The notes of some rows with one bar altered, and how each was: [B], -1 for not at all.

    What is done to a row is a function of the row, its number in the source ([B]) and the seed alone.
    """
    n = max(1, *(len(row.ids) for row in rows))
    ids, time = np.zeros((len(rows), n, 8), dtype=np.int64), np.zeros((len(rows), n), dtype=np.float32)
    mask, kind = np.zeros((len(rows), n), dtype=bool), np.full(len(rows), -1)
    for b, row in enumerate(rows):
        k = len(row.ids)
        mask[b, :k] = True
        new = row.ids, row.time
        if row.length and k:
            rng = np.random.default_rng([*seed, int(index[b]), 1])
            changed = alter(row.ids, row.bar, row.onset, row.length, vocabulary, rng)
            kind[b], new = changed.kind, (changed.ids, along_lines(changed.onset, row.edges))
        ids[b, :k], time[b, :k] = new
    return NoteInput(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(time)), torch.from_numpy(kind)


def collate(rows: list[Row], index: NDArray[np.int64], piece: NDArray[np.int64], config: BatchConfig) -> Batch:
    """Pad rows to the longest among them and stack them."""
    n = max(1, *(len(row.ids) for row in rows))
    bar, time = np.full((len(rows), n), -1), np.zeros((len(rows), n), dtype=np.float32)
    ids = np.zeros((len(rows), n, 8), dtype=np.int64)
    for b, row in enumerate(rows):
        k = len(row.ids)
        ids[b, :k], bar[b, :k], time[b, :k] = row.ids, row.bar, row.time
    image = collate_images(rows, config.patch_height, config.patch_width)
    cell_bar = np.full(image.mask.shape, -1)
    for b, row in enumerate(rows):
        cell_bar[b, : len(row.cell_bar)] = row.cell_bar
    return Batch(
        notes=NoteInput(torch.from_numpy(ids), torch.from_numpy(bar >= 0), torch.from_numpy(time)),
        image=image,
        bar=torch.from_numpy(bar),
        cell_bar=torch.from_numpy(cell_bar),
        piece=torch.from_numpy(piece),
        labels={name: collate_labels([row.labels[name] for row in rows], n) for name in rows[0].labels},
        index=torch.from_numpy(index.astype(np.int64)),
    )


def collate_images(rows: list[Row], height: int, width: int) -> ImageInput:
    """The pictures on one canvas of whole cells, and their inked cells."""
    down = max(1, *(math.ceil(row.ink.shape[0] / height) for row in rows))
    across = max(1, *(math.ceil(row.ink.shape[1] / width) for row in rows))
    m = max(1, *(len(row.cells) for row in rows))
    canvas = np.zeros((len(rows), down * height, across * width), dtype=np.uint8)
    cells, mask = np.zeros((len(rows), m), dtype=np.int64), np.zeros((len(rows), m), dtype=bool)
    place = np.zeros((len(rows), m, 2), dtype=np.float32)
    for b, row in enumerate(rows):
        k, (y, x) = len(row.cells), row.cells.T.astype(np.int64)
        canvas[b, : row.ink.shape[0], : row.ink.shape[1]] = row.ink
        cells[b, :k], mask[b, :k] = y * across + x, True
        place[b, :k] = row.place
    return ImageInput(
        torch.from_numpy(canvas), torch.from_numpy(cells), torch.from_numpy(mask), torch.from_numpy(place)
    )


def collate_labels(values: list[Any], n: int) -> Tensor:
    """Labels of the rows as [B], or padded to [B, n]."""
    if np.ndim(values[0]) == 0:
        return torch.tensor([int(value) for value in values])
    out = np.full((len(values), n), IGNORE)
    for b, value in enumerate(values):
        out[b, : len(value)] = value
    return torch.from_numpy(out)
