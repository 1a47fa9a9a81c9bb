"""States of weights that stay as they are: read once and kept, so that a head trains on them in minutes.

A head on frozen weights would ask the same of them in every step and at every validation. Here every passage is read
once, in 16 bits, as it is read in use; what stands in several windows is read once as well. What has been read lies in
files of some passages each, under a name that says of what: reading that was stopped goes on, and the seeds of a
benchmark share it. The states of notes, half a kilobyte each for `small`, stay in their files and are mapped into
memory, for a task may have more of them than a laptop has room.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoresim.benchmark.metrics import Ints
from scoresim.data.batches import IGNORE, Batch, Windows, collate
from scoresim.data.rows import joined
from scoresim.data.windows import Segment
from scoresim.errors import BadInput
from scoresim.files import replacing
from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.precision import reading
from scoresim.model.tagger import Known, Tagger
from scoresim.progress import Progress
from scoresim.score.tokens import MASK

AT_ONCE = 48  # passages that are read together
IN_FILE = 96 * AT_ONCE
STATES = ".npy"  # where the states of notes lie, beside a file of all else


@dataclass
class KnownBatch(Batch):
    """A batch with what is known of its passages in the place of notes and images.

    Attributes:
        known: of its passages; a head is given this whatever it is to be shown.
    """

    known: Known | None = None

    def inputs(self, which: str) -> Any:
        """What is known, and nothing else: `Tagger.forward` takes it."""
        return self.known, None

    def _map(self, change: Callable[[Tensor], Tensor]) -> KnownBatch:
        known = self.known
        if known is not None:
            states = None if known.states is None else change(known.states)
            notes = None if known.notes is None else NoteInput(*map(change, known.notes))
            known = Known(states, change(known.passages), notes)
        return KnownBatch(**vars(super()._map(change)), known=known)


class Mapped:
    """Rows of numbers that lie in several files, one after the other, of which those are read that are asked.

    Args:
        parts: [n, ...] each, of the same width.
    """

    def __init__(self, parts: Sequence[NDArray[np.float16]]) -> None:
        self.parts = parts
        self.first = np.r_[0, np.cumsum([len(part) for part in parts])]
        self.shape = (int(self.first[-1]), *parts[0].shape[1:])

    def __getitem__(self, at: Ints) -> NDArray[np.float16]:
        out = np.empty((len(at), *self.shape[1:]), dtype=np.float16)
        part = np.searchsorted(self.first, at, side="right") - 1
        for number in np.unique(part).tolist():
            here = part == number
            out[here] = self.parts[number][at[here] - self.first[number]]
        return out


@dataclass(frozen=True, eq=False)
class States:
    """What was read of P passages with N notes in all.

    Attributes:
        first: [P + 1] first note of each passage.
        vectors: [P, 2 width] float32.
        time: [N] float32, as in `NoteInput`.
        marks: [N] class of each note, or nothing where notes have none.
        states: [N, width] float16; [N, 0] where nobody asks for them.
    """

    first: Ints
    vectors: NDArray[np.float32]
    time: NDArray[np.float32]
    marks: Ints
    states: Mapped


class KnownWindows(Windows):
    """Windows whose passages have been read.

    Args:
        windows: what they were made of.
        passages: numbers of the passages of each window.
        states: of all passages.
    """

    def __init__(self, windows: Windows, passages: Sequence[Ints], states: States) -> None:
        self.__dict__ |= vars(windows)
        self.passages, self.states = passages, states

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of training step `step`; it is not varied."""
        return self.gather(self.order.rows(seed, step))

    def gather(self, index: NDArray[np.int64]) -> Batch:
        """The given windows as one batch."""
        passage = np.concatenate([self.passages[i] for i in index.tolist()])
        window = np.repeat(np.arange(len(index)), [len(self.passages[i]) for i in index.tolist()])
        first, count = self.states.first[passage], np.diff(self.states.first)[passage]
        return self.made(index, window, first, count, self.states.vectors[passage])

    def made(self, index: Ints, window: Ints, first: Ints, count: Ints, vectors: NDArray[np.float32]) -> KnownBatch:
        """A batch of B stretches of what is known.

        Args:
            index: of the windows.
            window: [B] in which of them each stretch stands.
            first, count: [B] its first note among all, and how many there are.
            vectors: [B, 2 width] of each.
        """
        known = self.states
        mask = np.arange(max(int(count.max()), 1)) < count[:, None]
        at = (first[:, None] + np.arange(mask.shape[1]))[mask]

        def padded(values: NDArray[Any], filling: float = 0) -> Tensor:
            out = np.full((*mask.shape, *values.shape[1:]), filling, values.dtype)
            out[mask] = values
            return torch.from_numpy(out)

        notes = NoteInput(torch.zeros(*mask.shape, 0, dtype=torch.long), torch.from_numpy(mask), padded(known.time[at]))
        states = padded(known.states[at]).float() if known.states.shape[1] else None
        nothing = torch.zeros(len(first), 0)
        labels = torch.from_numpy(self.classes[index]) if self.classes is not None else padded(known.marks[at], IGNORE)
        return KnownBatch(
            notes=notes,
            image=ImageInput(nothing[..., None].byte(), nothing.long(), nothing.bool(), torch.zeros(*nothing.shape, 2)),
            bar=torch.from_numpy(np.where(mask, 0, -1)),
            cell_bar=nothing.long(),
            piece=torch.from_numpy(self.piece[index][window]),
            labels={self.task: labels},
            index=torch.from_numpy(index[window]),
            window=torch.from_numpy(window),
            known=Known(states, torch.from_numpy(vectors), notes),
        )


class MovedWindows(KnownWindows):
    """Windows of notes whose features are known; in training each is moved along its piece, elsewhere in every pass.

    What learns from them cannot know a song by where its windows begin and end, and by the means over just these notes.

    Args:
        windows: of pieces whose notes are asked.
        features: [N, F] float16 of the notes of every piece.
    """

    def __init__(self, windows: Windows, features: Sequence[NDArray[np.float16]]) -> None:
        marks = windows.segments.marks
        if marks is None:
            raise ValueError("the notes of these windows have no classes")
        first, classes = np.r_[0, np.cumsum([len(some) for some in features])], np.concatenate(marks).astype(np.int64)
        nothing, time = np.zeros((len(features), 0), np.float32), np.zeros(len(classes), np.float32)
        known = Mapped([np.concatenate(features)])
        states = States(first, nothing, time, np.where(classes < 0, IGNORE, classes), known)
        super().__init__(windows, [np.array([window.piece]) for window in windows.windows], states)

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of training step `step`: windows moved by at most half their length, as far as the piece goes."""
        return self._moved(self.order.rows(seed, step), np.random.default_rng([seed, step]))

    def gather(self, index: Ints) -> Batch:
        """The given windows as one batch, where they stand."""
        return self._moved(index, None)

    def _moved(self, index: Ints, chance: np.random.Generator | None) -> Batch:
        some = [self.windows[i] for i in index.tolist()]
        first = np.array([window.first for window in some])
        count = np.array([window.end for window in some]) - first
        start, end = self.states.first[self.piece[index]], self.states.first[self.piece[index] + 1]
        if chance is not None:
            half = count // 2
            first = (first + chance.integers(-half, half + 1)).clip(0, end - start - count)
        return self.made(index, np.arange(len(some)), start + first, count, np.zeros((len(some), 0), np.float32))


def keep(
    tagger: Tagger, windows: Windows, inputs: str, folder: Path, identity: str, notes: bool = True, blank: bool = False
) -> KnownWindows:
    """Read all passages of some windows, or take what was read of them before.

    Args:
        tagger: on weights that stay as they are.
        windows: of pieces.
        inputs: what is read: "notes", "image" or "both".
        folder: of what is kept.
        identity: of the weights and of the pieces.
        notes: whether states of notes are kept; else vectors of passages alone.
        blank: whether every attribute of the notes is hidden.

    Raises:
        BadInput: what was kept is damaged.
    """
    passages, groups = unique_passages(windows)
    read = [[windows.segments.rows[row] for row in rows] for rows in groups]
    of = [
        (piece.corpus, piece.id, hashlib.sha256(piece.ids.tobytes()).hexdigest()) for piece in windows.segments.pieces
    ]
    asked = [identity, of, read, inputs, notes, blank, IN_FILE]
    name = hashlib.sha256(repr(asked).encode()).hexdigest()[:12]
    found: list[dict[str, NDArray[Any]]] = []
    tagger.eval()
    with Progress("Reading", len(groups), "passages") as progress, ThreadPoolExecutor(1) as pool:
        for low, high in pairwise([*range(0, len(groups), IN_FILE), len(groups)]):
            path = folder / f"{name}-{low:07d}.npz"
            if not path.is_file():
                arrays = _read(tagger, windows, groups[low:high], inputs, notes, blank, pool)
                folder.mkdir(parents=True, exist_ok=True)
                with replacing(path.with_suffix(STATES)) as temporary, temporary.open("wb") as file:
                    np.save(file, arrays.pop("states"), allow_pickle=False)
                with replacing(path) as temporary, temporary.open("wb") as file:
                    np.savez(file, **arrays)
            found.append(_load(path))
            progress.advance(high - low)
    states = Mapped([some.pop("states") for some in found])
    whole = {name: np.concatenate([some[name] for some in found]) for name in found[0]}
    first = np.r_[0, np.cumsum(whole.pop("count"))]
    return KnownWindows(windows, passages, States(first=first, states=states, **whole))


def unique_passages(windows: Windows) -> tuple[list[Ints], list[tuple[int, ...]]]:
    """Numbers of the passages of each window, and the rows of each passage; the same notes are one passage."""
    numbers: dict[tuple[Segment, ...], int] = {}
    groups: list[tuple[int, ...]] = []
    passages = []
    lines = windows.config.lines
    for window in windows.windows:
        mine = []
        for low in range(window.row, window.end_row, lines):
            rows = tuple(range(low, min(low + lines, window.end_row)))
            number = numbers.setdefault(tuple(windows.segments.rows[row] for row in rows), len(groups))
            if number == len(groups):
                groups.append(rows)
            mine.append(number)
        passages.append(np.array(mine, dtype=np.int64))
    return passages, groups


def blanked(notes: NoteInput) -> NoteInput:
    """The same notes, of which nothing is shown but their times."""
    return notes._replace(ids=notes.mask[..., None].long().expand_as(notes.ids) * MASK)


def _read(
    tagger: Tagger,
    windows: Windows,
    groups: Sequence[tuple[int, ...]],
    inputs: str,
    notes: bool,
    blank: bool,
    pool: ThreadPoolExecutor,
) -> dict[str, Any]:
    """The arrays of `States` for some passages, with their numbers of notes as "count"."""
    device = next(tagger.parameters()).device
    kept: dict[int, tuple[NDArray[Any], ...]] = {}
    for some, batch in _batches(windows, groups, pool):
        given, image = batch.to(device).inputs(inputs)
        with reading(device):
            states, vectors = tagger.read(blanked(given) if blank and given is not None else given, image)
        mask = batch.notes.mask.numpy()
        columns = [vectors.float().cpu().numpy(), batch.notes.time.numpy()]
        columns.append(batch.labels[windows.task].numpy() if windows.classes is None else np.zeros((len(some), 0)))
        columns.append(states.half().cpu().numpy() if states is not None and notes else np.zeros((*mask.shape, 0)))
        for b, i in enumerate(some.tolist()):
            vector, time, marks, of_notes = (column[b] for column in columns)
            n = int(mask[b].sum())
            kept[i] = np.array([n]), vector[None], time[:n], marks[:n].astype(np.int64), of_notes[:n].astype(np.float16)
    names = ("count", "vectors", "time", "marks", "states")
    return {name: np.concatenate([kept[i][k] for i in range(len(groups))]) for k, name in enumerate(names)}


def _batches(
    windows: Windows, groups: Sequence[tuple[int, ...]], pool: ThreadPoolExecutor
) -> Iterator[tuple[Ints, Batch]]:
    """Passages of like size as batches, each made while the one before is read, and which they are."""
    passages = list(pool.map(lambda rows: joined([windows.row(row) for row in rows], windows.config), groups))
    order = np.argsort([len(row.ids) + len(row.cells) for row in passages], kind="stable")

    def batch(some: Ints) -> Batch:
        return collate([passages[i] for i in some.tolist()], some, np.zeros(len(some), np.int64), windows.config)

    waiting: Future[Batch] | None = None
    parts = np.split(order, range(AT_ONCE, len(order), AT_ONCE))
    for number, some in enumerate(parts):
        made = batch(some) if waiting is None else waiting.result()
        waiting = pool.submit(batch, parts[number + 1]) if number + 1 < len(parts) else None
        yield some, made


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """What `keep` has left in a file."""
    try:
        states: NDArray[np.float16] = np.load(path.with_suffix(STATES), mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("count", "vectors", "time", "marks")}
        if len(states) != found["count"].sum():
            raise ValueError("states and passages do not fit")
        return found | {"states": states}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise BadInput(f"{path} is damaged ({error}); remove it and run again.") from error
