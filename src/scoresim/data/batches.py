"""From pairs to tensors: decode, lay out the staves, find the inked cells, group rows of like size, pad.

The order of training rows is a pure function of (seed, epoch), and `Passages.batch(seed, step)` gives any
step's batch at once: nothing about the position in the data has to be saved to resume exactly.
"""

import io
import math
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scoresim.data.pair import Pair
from scoresim.data.spacing import along
from scoresim.data.staves import Staff, find_staves, music_begins, strips
from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput

IGNORE = -100  # the label of padding, and of what has no label
INPUTS = ("notes", "image", "both")
FAINTEST = 32  # of 255: a cell whose darkest pixel is fainter counts as blank
AHEAD = 3  # batches made in advance
WINDOW = 16  # batches whose rows are sorted by size among each other

Labels = Callable[[Pair], dict[str, Any]]


class Source(Protocol):
    """Rows of a data set: `PairSplit`, or `synthetic(n, seed)`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Pair: ...
    def column(self, name: str, /) -> list[Any]: ...


@dataclass
class Batch:
    """B passages as tensors.

    Attributes:
        notes, image: the two inputs.
        bar: [B, N] long, bar of each note from 0; -1 at padding.
        piece: [B] long, the same number for passages of the same item.
        labels: by name, [B] or [B, N] long; `IGNORE` at padding.
        index: [B] long, row in the source.
    """

    notes: NoteInput
    image: ImageInput
    bar: Tensor
    piece: Tensor
    labels: dict[str, Tensor]
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def select(self, rows: Tensor) -> "Batch":
        """Some of its rows ([R] long, or [B] bool)."""
        return self._map(lambda tensor: tensor[rows])

    def inputs(self, which: str) -> tuple[NoteInput | None, ImageInput | None]:
        """What a model is shown: "notes", "image" or "both"."""
        if which not in INPUTS:
            raise ValueError(f"inputs is {which!r}; choose one of {', '.join(INPUTS)}")
        return (None if which == "image" else self.notes), (None if which == "notes" else self.image)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(
            notes=NoteInput(*map(change, self.notes)),
            image=ImageInput(*map(change, self.image)),
            bar=change(self.bar),
            piece=change(self.piece),
            labels={name: change(label) for name, label in self.labels.items()},
            index=change(self.index),
        )


@dataclass(frozen=True)
class BatchConfig:
    """How pairs become tensors.

    Attributes:
        batch_size: passages per batch.
        max_notes: longer passages lose their last bars.
        pixels_per_space: staff space, in pixels, to which every picture is scaled, whatever its own.
        patch_height, patch_width: of an image cell in pixels after scaling, as in `SIMConfig`; the height is
            that of the strip around a staff.
        cache_megabytes: memory for decoded passages; the others are decoded anew each time.
    """

    batch_size: int = 32
    max_notes: int = 128
    pixels_per_space: float = 4.0
    patch_height: int = 64
    patch_width: int = 8
    cache_megabytes: int = 768


@dataclass(frozen=True, eq=False)
class Row:
    """One passage, ready to be padded: what is cached.

    Attributes:
        ids: [n, 8] int16; bar: [n] int16; time: [n] float32, as in `NoteInput`.
        ink: [h, w] uint8, 255 is black, already scaled; strips of staves under each other.
        cells: [m, 2] int16, row and column of each inked cell.
        place: [m, 2] float32, as in `ImageInput`.
        labels: arrays of [n], or numbers.
    """

    ids: NDArray[np.int16]
    bar: NDArray[np.int16]
    time: NDArray[np.float32]
    ink: NDArray[np.uint8]
    cells: NDArray[np.int16]
    place: NDArray[np.float32]
    labels: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Memory it takes, about."""
        return self.ink.nbytes + self.ids.nbytes + 12 * len(self.ids) + 12 * len(self.cells) + 1000


class Passages:
    """The passages of a source as batches.

    Args:
        source: the rows.
        config: how they become tensors.
        labels: what a task asks of a passage: by name, an array of one number per note, or one number.
        weight: [R] how often a row is to be drawn for training, with mean 1 (see `harmonize`); None is once each.
    """

    def __init__(
        self,
        source: Source,
        config: BatchConfig | None = None,
        labels: Labels | None = None,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        self.source = source
        self.weight = weight
        self.config = config or BatchConfig()
        self.labels = labels
        numbers = {item: i for i, item in enumerate(dict.fromkeys(_items(source)))}
        self.piece = np.array([numbers[item] for item in _items(source)], dtype=np.int64)
        self.size = _sizes(source, self.config)
        self._cache: dict[int, Row] = {}
        self._free = self.config.cache_megabytes * 1_000_000
        self._order: tuple[tuple[int, int], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self.piece)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass; a source smaller than a batch is one batch."""
        return max(len(self) // self.config.batch_size, 1)

    def rows(self, seed: int, step: int) -> NDArray[np.int64]:
        """Which rows step `step` (from 0) sees: a pure function of source, batch size, seed and step."""
        epoch, at = divmod(step, self.steps_per_epoch)
        if self._order is None or self._order[0] != (seed, epoch):
            drawn = drawn_rows(self.weight, len(self), seed, epoch)
            fresh = epoch_order(self.piece[drawn], self.size[drawn], self.config.batch_size, seed, epoch)
            self._order = ((seed, epoch), drawn[fresh])
        size, (_, order) = self.config.batch_size, self._order
        return order[at * size : (at + 1) * size]

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of training step `step`."""
        return self.gather(self.rows(seed, step))

    def gather(self, index: NDArray[np.int64]) -> Batch:
        """The given rows of the source as one batch."""
        return collate([self._row(int(i)) for i in index], index, self.piece[index], self.config)

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

    def _row(self, i: int) -> Row:
        row = self._cache.get(i)
        if row is None:
            row = prepare(self.source[i], self.config, self.labels)
            if row.bytes <= self._free:
                self._free -= row.bytes
                self._cache[i] = row
        return row


def _items(source: Source) -> list[tuple[str, str]]:
    return list(zip(source.column("corpus"), source.column("item"), strict=True))


def _sizes(source: Source, config: BatchConfig) -> NDArray[np.int64]:
    """Tokens that each row costs, about: its notes and the cells of its staves."""
    names = ("n_staves", "width", "n_notes", "staff_space")
    staves, width, notes, space = (np.array(source.column(name)) for name in names)
    cells = staves * np.ceil(width * config.pixels_per_space / space / config.patch_width)
    out: NDArray[np.int64] = (cells + notes).astype(np.int64)
    return out


def drawn_rows(weight: NDArray[np.float64] | None, n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The rows of one epoch, as many as there are, sorted: each as often as its weight says, rounded at random.

    Systematic resampling: a row of weight w is drawn floor(w) or ceil(w) times, w times on average.

    Args:
        weight: [R] with mean 1, or None for every row once.
        n: number of rows R.
        seed, epoch: say which of the random draws.
    """
    if weight is None:
        return np.arange(n)
    rng = np.random.default_rng([seed, epoch, 1])
    shuffled = rng.permutation(n)
    edges = np.cumsum(weight[shuffled]) * (n / weight.sum())
    out: NDArray[np.int64] = np.sort(shuffled[np.searchsorted(edges, np.arange(n) + rng.random()).clip(0, n - 1)])
    return out


def epoch_order(
    piece: NDArray[np.int64], size: NDArray[np.int64], batch_size: int, seed: int, epoch: int
) -> NDArray[np.int64]:
    """One pass over all rows: random, in couples of one piece (for matching), rows of like size together.

    Args:
        piece: [R] piece of each row.
        size: [R] tokens of each row.
        batch_size: rows per batch.
        seed, epoch: say which of the random orders.

    Returns:
        [R] rows; the batches are consecutive stretches of it. What is left after whole batches changes by
        epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(piece))
    by_piece = shuffled[np.argsort(piece[shuffled], kind="stable")]
    starts = np.r_[True, np.diff(piece[by_piece]) != 0]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(piece)), 0))
    # Rows 0 and 1, 2 and 3, ... of a piece stay together.
    couple = np.cumsum((np.arange(len(piece)) - first) % 2 == 0) - 1
    couples = couple[-1] + 1 if len(couple) else 0
    weight = np.zeros(couples)
    np.maximum.at(weight, couple, size[by_piece])
    window = rng.permutation(couples) * 2 // max(batch_size * WINDOW, 1)
    rank = np.empty(couples, dtype=np.int64)
    rank[np.lexsort((rng.random(couples), weight, window))] = np.arange(couples)
    order = by_piece[np.argsort(rank[couple], kind="stable")]
    whole = len(order) // batch_size
    stretches = [order[i * batch_size : (i + 1) * batch_size] for i in rng.permutation(whole)]
    return np.concatenate([*stretches, order[whole * batch_size :]])


def prepare(pair: Pair, config: BatchConfig, labels: Labels | None) -> Row:
    """Decode one pair."""
    named = labels(pair) if labels is not None else {}
    n = notes_that_fit(pair.bar_of_note, config.max_notes)
    ink = decode(pair.image)
    staves = find_staves(ink, pair.staff_space)
    scale = config.pixels_per_space / pair.staff_space
    begin = (music_begins(ink, staves, pair.staff_space) if staves else 0.0) * scale
    if staves:
        ink = strips(ink, staves, round(config.patch_height / scale))
        ink = scaled(ink, scale, len(staves) * config.patch_height)
    else:
        ink = scaled(ink, scale)
    cells = inked_cells(ink, config.patch_height, config.patch_width)
    return Row(
        ids=pair.notes[:n].astype(np.int16),
        bar=pair.bar_of_note[:n].astype(np.int16),
        time=along(pair.onset, pair.length)[:n],
        ink=ink,
        cells=cells,
        place=places(cells, staves, config.patch_width, (begin, ink.shape[1])),
        labels={name: value if np.ndim(value) == 0 else value[:n] for name, value in named.items()},
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


def collate(rows: list[Row], index: NDArray[np.int64], piece: NDArray[np.int64], config: BatchConfig) -> Batch:
    """Pad rows to the longest among them and stack them."""
    n = max(1, *(len(row.ids) for row in rows))
    bar = torch.full((len(rows), n), -1)
    ids, time = torch.zeros(len(rows), n, 8, dtype=torch.long), torch.zeros(len(rows), n)
    for b, row in enumerate(rows):
        k = len(row.ids)
        ids[b, :k], bar[b, :k] = (
            torch.from_numpy(row.ids.astype(np.int64)),
            torch.from_numpy(row.bar.astype(np.int64)),
        )
        time[b, :k] = torch.from_numpy(row.time)
    return Batch(
        notes=NoteInput(ids, bar >= 0, time),
        image=collate_images(rows, config.patch_height, config.patch_width),
        bar=bar,
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
    ink = torch.from_numpy(canvas).float().div_(255.0)
    return ImageInput(ink, torch.from_numpy(cells), torch.from_numpy(mask), torch.from_numpy(place))


def collate_labels(values: list[Any], n: int) -> Tensor:
    """Labels of the rows as [B], or padded to [B, n]."""
    if np.ndim(values[0]) == 0:
        return torch.tensor([int(value) for value in values])
    out = torch.full((len(values), n), IGNORE)
    for b, value in enumerate(values):
        out[b, : len(value)] = torch.from_numpy(np.asarray(value, dtype=np.int64))
    return out
