"""A trained model on somebody's files: vectors for search, and whether a picture and notes show the same music."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scoresim import checkpoint
from scoresim.checkpoint import Loaded
from scoresim.data.align import Place, align, around
from scoresim.data.batches import Batch, Passages, batch_config, collate
from scoresim.data.given import (
    Stretch,
    kind_of,
    known,
    pair_of,
    read_notes,
    read_pages,
    stretches,
    write_hands,
    write_melody,
)
from scoresim.data.page import PageSystem
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.rows import prepare
from scoresim.data.windows import Segment, Segments
from scoresim.errors import BadInput
from scoresim.files import apart, replacing
from scoresim.model.precision import reading
from scoresim.score.sandbox import Workers
from scoresim.understand.analysis import Analysis, Given, analyses, read_each, read_given, written_down
from scoresim.understand.heads import Head, load_heads
from scoresim.understand.results import Embedding, Located, Match, Shown, Vectors

TOGETHER, FILES = 64, 32  # passages, and files, that are read at a time
FAR, SKIP_LOGIT = -30.0, 2.0  # logits: of what was not asked; of a bar that stands on no system


class Sim:
    """A model ready for use.

    Args:
        loaded: a checkpoint.
        name: what it was found by.
        folder: in which its heads lie beside it; None is without.
        workers: processes that read files, kept until the program ends; None is one of its own.
    """

    def __init__(self, loaded: Loaded, name: str, folder: Path | None = None, workers: Workers | None = None) -> None:
        self.loaded, self.name = loaded, name
        self.model = loaded.model.eval()
        self.weights = loaded.weights
        self.rows = batch_config(self.model.config, TOGETHER)
        self.folder, self.workers = folder, workers or Workers()

    @cached_property
    def heads(self) -> dict[str, Head]:
        """The heads that came with the weights, by name; read when they are first asked."""
        return load_heads(self.folder, self.model, self.weights) if self.folder is not None else {}

    def close(self) -> None:
        """End the processes that read files; the end of the program does so too."""
        self.workers.close()

    @classmethod
    def from_pretrained(cls, name: str | Path, workers: Workers | None = None) -> Sim:
        """The weights of a folder, those that come with the package, or of the hub (see `checkpoint.locate`).

        Raises:
            BadInput: they are nowhere, or damaged.
        """
        folder = checkpoint.locate(name)
        return cls(checkpoint.load(folder), str(name), folder, workers)

    def save_pretrained(self, folder: Path | str, half: bool | None = None) -> None:
        """Write the weights into a folder that `from_pretrained` reads, with their heads where they are as they were.

        Args:
            folder: a checkpoint that stands there is replaced.
            half: in numbers of 16 bits or of 32, on which the heads do not stand if they were trained on others; None
                is as they came.

        Raises:
            BadInput: it cannot be written.
        """
        loaded, heads = self.loaded, self.folder and self.folder / checkpoint.HEADS
        precision = loaded.half if half is None else half
        checkpoint.save(Path(folder), self.model, loaded.vocabulary, loaded.provenance, precision, heads, loaded.match)

    def analyze(self, *files: Path | str, show: bool = False) -> Analysis:
        """What is this music, and which of its notes are melody, how loud, and for which hand?

        Args:
            files: one of notes (of a book of ABC tunes the first, or the one of an address, ``book.abc#3``), one
                picture of a score, or one of each, which are then also matched.
            show: whether to keep what a report shows: the notes written down, and the first page of the picture.

        Returns:
            What the heads of these weights say; a question without a head has no answer.

        Raises:
            BadInput: a file cannot be read or, to be shown, written down, or they are not one of each kind.
        """
        given = read_given([Path(file) for file in files], self.workers, show)
        [found] = analyses(self, [given])
        return written_down(found, given, self.workers) if show else found

    def analyze_each(self, paths: Sequence[Path | str], workers: int = 1) -> list[Analysis | BadInput]:
        """As `analyze`, every file for itself, many together; what is wrong with a file stands in its place.

        Args:
            paths: files of notes and pictures.
            workers: processes that read them.
        """
        out: list[Analysis | BadInput] = []
        files = [Path(path) for path in paths]
        with ExitStack() as stack:
            pool = self.workers if workers == self.workers.count else stack.enter_context(Workers(workers))
            for start in range(0, len(files), FILES):
                given = read_each(files[start : start + FILES], pool)
                answers = iter(analyses(self, [one for one in given if isinstance(one, Given)]))
                out += [one if isinstance(one, BadInput) else next(answers) for one in given]
        return out

    def melody(self, file: Path | str, out: Path | str, only: bool = False, least: float = 0.5) -> Analysis:
        """Write the notes of a file as MIDI, its melody on a track of its own.

        Args:
            file: of notes.
            out: .mid, written whole or not at all.
            only: leave all other notes out.
            least: probability from which a note is melody.

        Returns:
            What else is said about the file.

        Raises:
            BadInput: it cannot be read or written, it is the same file, these weights have no head for melody, or with
                `only` no note is melody.
        """
        apart(Path(out), [Path(file)])
        if not 0 <= least <= 1:
            raise BadInput(f"least is {least}; it is a probability, from 0 to 1.")
        if "melody" not in self.heads:
            raise BadInput(f"{self.name} has no head that hears melodies; take weights with heads/melody.safetensors.")
        found = self.analyze(file)
        if found.notes is None or found.notes.melody is None:
            raise BadInput(f"{file} is a picture; melodies are heard in notes.")
        write_melody(Path(file), Path(out), found.notes.melody >= least, only, self.workers)
        return found

    def hands(self, file: Path | str, out: Path | str) -> Analysis:
        """Write the notes of a file for a keyboard as MIDI, those of each hand on a track of their own.

        Args:
            file: of notes.
            out: .mid, written whole or not at all.

        Returns:
            What else is said about the file.

        Raises:
            BadInput: it cannot be read or written, it is the same file, or it is not for two hands.
        """
        apart(Path(out), [Path(file)])
        found = self.analyze(file)
        if found.notes is None:
            raise BadInput(f"{file} is a picture; hands are told apart by notes.")
        if found.notes.right is None:
            raise BadInput(f"{file} is not for two hands; give music for one keyboard, as MIDI or on two staves.")
        write_hands(Path(file), Path(out), found.notes.right, self.workers)
        return found

    def embed(self, *files: Path | str, workers: int = 1) -> list[Embedding]:
        """Files as vectors: of notes, one for every stretch of bars; of a picture, one for every system.

        Args:
            files: of notes or pictures, any number of each.
            workers: processes that read them.

        Returns:
            One embedding for each file, in their order.

        Raises:
            BadInput: a file cannot be read.
        """
        if not files:
            raise BadInput("there is nothing to embed; give at least one file.")
        found = self.embed_each([Path(file) for file in files], workers)
        for one in found:
            if isinstance(one, BadInput):
                raise one
        return [one for one in found if isinstance(one, Embedding)]

    def embed_each(self, paths: Sequence[Path], workers: int = 1) -> list[Embedding | BadInput]:
        """As `embed`, but a file that cannot be read costs that file alone: what is wrong stands in its place."""
        pool = self.workers if workers == self.workers.count else workers
        return [one if isinstance(one, BadInput) else self._embedded(one) for one in read_each(paths, pool)]

    def _embedded(self, given: Given) -> Embedding:
        """One file as vectors."""
        [file] = given.files
        if given.whole is not None:
            return self.embed_piece(given.whole.piece, file)
        return self.embed_pages(given.pages or (), file)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """No gradients, and bfloat16 where that is faster."""
        with reading(next(self.model.parameters()).device):
            yield

    def embed_pages(self, pages: Sequence[Sequence[PageSystem]], file: str) -> Embedding:
        """The systems of pages as vectors."""
        places = tuple(Place(i, i + 1, number) for number, page in enumerate(pages) for i in range(len(page)))
        return Embedding(file, "image", places, self.vectors_of_systems([one for page in pages for one in page]))

    def embed_piece(self, piece: Piece, file: str) -> Embedding:
        """The stretches of bars of a piece as vectors."""
        some = stretches(piece)
        places = tuple(Place(one.first_bar, one.end_bar) for one in some)
        return Embedding(file, "notes", places, self.vectors_of_notes(piece, some))

    def vectors_of_notes(self, piece: Piece, some: Sequence[Stretch]) -> Vectors:
        """[P, E] unit vectors of stretches of a piece, its notes read alone."""
        rows = [Segment(0, one.first_bar, one.end_bar, -1, one.first, one.end) for one in some]
        passages = Passages(Segments([piece], rows), replace(self.rows, images=False))
        order = np.argsort(passages.size, kind="stable")
        out = np.zeros((len(some), self.model.config.embedding), dtype=np.float32)
        with self.reading():
            for start in range(0, len(order), TOGETHER):
                index = order[start : start + TOGETHER]
                notes = passages.gather(index).notes
                out[index] = unit(self.model.embed_notes(self.model(notes, None)))
        return out

    def match(self, image: Path | str, notes: Path | str) -> Match:
        """Do a picture of a score and a file of notes show the same music, and which bars stand on which system?

        Raises:
            BadInput: a file cannot be read, or is not what it is given for.
        """
        return self.match_pages(*read_both(Path(image), Path(notes), self.workers))

    def locate(self, image: Path | str, notes: Path | str, bar: int) -> Located:
        """Where on a picture of a score does a bar (from 0) of a file of notes stand, in pixels of its page?

        Raises:
            BadInput: a file cannot be read, the notes have no such bar, or it is on no system of the picture.
        """
        pages, piece = read_both(Path(image), Path(notes), self.workers)
        bars = len(piece.bar_onset) - 1
        if not 0 <= bar < bars:
            raise BadInput(f"{notes} has the bars 1 to {bars}; there is no bar {bar + 1}.")
        for shown in self.match_pages(pages, piece).systems:
            if not shown.first_bar <= bar < shown.end_bar:
                continue
            left, right = self.span(pages[shown.page][shown.system], piece, shown, bar)
            x0, y0, x1, y1 = shown.box
            box = x0 + left * (x1 - x0), y0, x0 + right * (x1 - x0), y1
            return Located(bar, shown.page, shown.system, box, shown.probability)
        raise BadInput(f"bar {bar + 1} of {notes} stands on no system of {image}, as far as can be seen.")

    def span(self, system: PageSystem, piece: Piece, shown: Shown, bar: int) -> tuple[float, float]:
        """The beginning and the end of a bar as shares of the width of the system on which it stands.

        A bar without notes, or whose notes are more than are read of a system, lies between those that have some.
        """
        edges = np.searchsorted(piece.bar, [shown.first_bar, shown.end_bar])
        stretch = Stretch(shown.first_bar, shown.end_bar, *edges.tolist())
        row = prepare(pair_of(system, piece, stretch), self.rows, None)
        batch = collate([row], np.zeros(1, np.int64), np.zeros(1, np.int64), self.rows)
        with self.reading():
            reading = self.model(batch.notes, batch.image)
            logits = self.model.point(reading, batch.bar, batch.image.mask)[0, :, : len(row.cells)]
        cell = self.rows.patch_width * system.space / self.rows.pixels_per_space / system.image.shape[1]

        def ends(one: int) -> tuple[float, float]:
            marked = row.cells[(logits[one] >= logits[one].max() - math.log(2)).numpy(), 1]
            return float(marked.min() * cell), float(min((marked.max() + 1) * cell, 1.0))

        asked, noted = bar - shown.first_bar, np.unique(row.bar).tolist()
        if asked in noted:
            return ends(asked)
        left = max((ends(one)[1] for one in noted if one < asked), default=0.0)
        right = min((ends(one)[0] for one in noted if one > asked), default=1.0)
        return min(left, right), max(left, right)

    def match_pages(self, pages: Sequence[Sequence[PageSystem]], piece: Piece) -> Match:
        """See `match`. Systems are laid along the piece by their vectors, then moved by a bar as both together say."""
        systems = [one for page in pages for one in page]
        some = stretches(piece)
        places = [Place(one.first_bar, one.end_bar) for one in some]
        similarity = self.vectors_of_systems(systems) @ self.vectors_of_notes(piece, some).T
        _, chosen = align(similarity, places)
        asked = [(i, one) for i, k in enumerate(chosen) for one in around(piece, some[k])]
        logits, missing = self.read_together([(systems[i], one) for i, one in asked], piece)
        near = sorted({one for _, one in asked})
        number = {one: k for k, one in enumerate(near)}
        table = np.full((len(systems), len(near)), FAR)
        for (i, one), logit in zip(asked, logits, strict=True):
            table[i, number[one]] = logit
        _, path = align(table, [Place(one.first_bar, one.end_bar) for one in near], SKIP_LOGIT)
        lost = {(i, one): bars for (i, one), bars in zip(asked, missing, strict=True)}
        where = [(number, k) for number, page in enumerate(pages) for k in range(len(page))]
        slope, shift = self.loaded.match
        found = []
        for i, k in enumerate(path):
            one = near[k]
            probability = 1 / (1 + math.exp(-max(slope * table[i, k] + shift, FAR)))
            box, bars = systems[i].box, lost.get((i, one), tuple(range(one.first_bar, one.end_bar)))
            found.append(Shown(*where[i], box, one.first_bar, one.end_bar, round(probability, 4), bars))
        mean = sum(one.probability for one in found) / len(found)
        return Match(round(mean, 4), round(float(similarity[np.arange(len(chosen)), chosen].mean()), 4), tuple(found))

    def read_together(
        self, asked: Sequence[tuple[PageSystem, Stretch]], piece: Piece
    ) -> tuple[NDArray[np.float64], list[tuple[int, ...]]]:
        """[K] logits that systems and bars show the same music, and the bars with a note that is not on its system."""
        logits: list[float] = []
        missing: list[tuple[int, ...]] = []
        with self.reading():
            for batch in self.batches([pair_of(system, piece, one) for system, one in asked]):
                reading = self.model(batch.notes, batch.image)
                flaws = self.model.note_flaws(reading, batch.notes)
                logits += self.model.match_logit(reading, batch.notes, batch.image, flaws).tolist()
                lost = (flaws > 0) & batch.notes.mask
                for bar, where in zip(batch.bar, lost, strict=True):
                    first = asked[len(missing)][1].first_bar
                    missing.append(tuple(first + number for number in bar[where].unique().tolist()))
        return np.array(logits), missing

    def vectors_of_systems(self, systems: Sequence[PageSystem]) -> Vectors:
        """[S, E] unit vectors of systems, their pictures read alone."""
        out = [np.zeros((0, self.model.config.embedding), dtype=np.float32)]
        with self.reading():
            for batch in self.batches([pair_of(system) for system in systems]):
                out.append(unit(self.model.embed_image(self.model(None, batch.image))))
        return np.concatenate(out)

    def batches(self, pairs: Sequence[Pair]) -> Iterator[Batch]:
        """Passages as tensors, some at a time, in their order."""
        for start in range(0, len(pairs), TOGETHER):
            rows = [prepare(pair, self.rows, None) for pair in pairs[start : start + TOGETHER]]
            index = np.arange(start, start + len(rows))
            yield collate(rows, index, np.zeros(len(rows), dtype=np.int64), self.rows)


def unit(vectors: Tensor) -> Vectors:
    """Vectors of length 1 to the last of 32 bits, whatever they were computed in."""
    out: Vectors = F.normalize(vectors.float(), dim=-1).numpy()
    return out


def write_embeddings(path: Path, found: Sequence[Embedding]) -> None:
    """Write vectors, whole or not at all: columns path, kind, first, end, page and vector.

    Args:
        path: .npz (arrays of the same lengths; read with numpy, without pickle) or .parquet.
        found: what is written.

    Raises:
        BadInput: another suffix, or the file cannot be written.
    """
    text = {one.file: one.file.encode("utf-8", "backslashreplace").decode() for one in found}  # a name may be no text
    rows = [(text[one.file], one.kind, *place) for one in found for place in one.places]
    names = ("path", "kind", "first", "end", "page")
    columns: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    vectors = np.concatenate([one.vectors for one in found])
    if path.suffix not in (".npz", ".parquet"):
        raise BadInput(f"{path} is to hold vectors; name it .npz or .parquet.")
    with replacing(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                arrays: dict[str, Any] = {name: np.array(values) for name, values in columns.items()}
                np.savez(file, vector=vectors, **arrays)
        else:
            vector = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
            pq.write_table(pa.table({**columns, "vector": vector}), temporary)


def read_both(image: Path, notes: Path, workers: Workers) -> tuple[list[list[PageSystem]], Piece]:
    """A picture as pages of systems, and notes as a piece.

    Raises:
        BadInput: a file cannot be read, or is not what it is given for.
    """
    for path, kind, wanted in ((image, "image", "picture"), (notes, "notes", "file of notes")):
        if kind_of(path) != kind:
            raise BadInput(f"{path} is no {wanted}; give the picture first, then the notes.")
    [pages], [piece] = read_pages([image], workers), read_notes([notes], workers=workers)
    return known(pages, image), known(piece, notes)


def load(name: str | Path = "small", workers: Workers | None = None) -> Sim:
    """See `scoresim.load`; `workers` read files, and may have been started before."""
    return Sim.from_pretrained(name, workers)
