"""What a question of the benchmark is: the contract of the files in `tasks/`.

There are two kinds. A `Task` is learnt: a head is trained on the training part, chosen on the validation
part, and answers the test part once. A `Probe` asks a pre-trained model as it is. Each file in `tasks/` holds
one of them as `TASK`.

What a learnt task may see. The notes are the note tokens without any track or part name, and every note has
the same program: a track list would name the melody, and the instruments would name the style. The image is
the engraved passage, without title, composer's name and lyrics. But it is the composer's own notation: it
shows staves, voices and spelling, which no MIDI file holds. So every row with an image says "composer's
notation" beside its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scoresim.benchmark import metrics
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.metrics import Floats, Ints, Score, Statistic
from scoresim.data.corpora import Item
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.shards import Split
from scoresim.errors import BadInput
from scoresim.files import replacing
from scoresim.model.sim import SIM
from scoresim.score.tokens import with_one_program


class Data(Protocol):
    """A data set of pairs in three parts."""

    @property
    def manifest(self) -> dict[str, Any]: ...

    def split(self, name: str) -> Split: ...


class Kept:
    """A data set, or one of its parts, that reads no pair twice while they fit into memory.

    Args:
        data: the data set.
        most: number of pairs of a part that are kept; a pair takes about 20 kB.
    """

    def __init__(self, data: Data, most: int = 20_000) -> None:
        self.manifest = data.manifest
        self.data = data
        self.most = most
        self.parts: dict[str, KeptSplit] = {}

    def split(self, name: str) -> KeptSplit:
        """One part; the same object every time."""
        if name not in self.parts:
            self.parts[name] = KeptSplit(self.data.split(name), self.most)
        return self.parts[name]


class KeptSplit:
    """A part of a `Kept` data set."""

    def __init__(self, split: Split, most: int) -> None:
        self.source = split
        self.most = most
        self.pairs: dict[int, Pair] = {}
        self.columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Pair:
        pair = self.pairs.get(index)
        if pair is None:
            pair = self.source[index]
            if len(self.pairs) < self.most:
                self.pairs[index] = pair
        return pair

    def column(self, name: str) -> list[Any]:
        """As of the part."""
        if name not in self.columns:
            self.columns[name] = self.source.column(name)
        return self.columns[name]


@dataclass(frozen=True)
class View:
    """Some pairs of a part, as a learnt task may see them: every note with the same program."""

    source: Split
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Pair:
        pair = self.source[self.rows[index]]
        return replace(pair, notes=with_one_program(pair.notes))

    def __iter__(self) -> Iterator[Pair]:
        return (self[i] for i in range(len(self)))

    def column(self, name: str) -> list[Any]:
        """As of the part, for these rows."""
        values = self.source.column(name)
        return [values[row] for row in self.rows]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a system said about the items (passages or notes) of a part.

    Attributes:
        truth: [M] true class.
        scores: [M, C] score of each class, the highest is the answer; log-probabilities up to a constant per
        item. work: [M] index of the item's work, 0..G-1, in sorted order of the works' names.
        piece: [M] index of the item's piece; None where every item is a piece of its own.
    """

    truth: Ints
    scores: NDArray[np.float32]
    work: Ints
    piece: Ints | None = None

    def by_piece(self) -> Answers:
        """One answer per piece: the mean of the log-probabilities of its items."""
        if self.piece is None:
            return self
        _, first, number = np.unique(self.piece, return_index=True, return_inverse=True)
        whole = self.log_probabilities
        sums = np.zeros((len(first), whole.shape[1]))
        np.add.at(sums, number, whole)
        scores = (sums / np.bincount(number)[:, None]).astype(np.float32)
        return Answers(self.truth[first], scores, self.work[first], self.piece[first])

    def times(self, other: Answers) -> Answers:
        """What both say together of the same items: the product of their probabilities, none tuned against the other.

        Raises:
            ValueError: the items are not the same.
        """
        if not (np.array_equal(self.truth, other.truth) and np.array_equal(self.work, other.work)):
            raise ValueError("answers about different items")
        return replace(self, scores=(self.log_probabilities + other.log_probabilities).astype(np.float32))

    @property
    def log_probabilities(self) -> Floats:
        """[M, C], which sum to one as probabilities."""
        whole = self.scores.astype(np.float64)
        out: Floats = whole - np.logaddexp.reduce(whole, axis=1, keepdims=True)
        return out

    @property
    def predicted(self) -> Ints:
        """[M] the class with the highest score; of equal scores the first class."""
        return np.asarray(self.scores.argmax(1), dtype=np.int64)


def save_answers(path: Path, answers: Answers) -> None:
    """Write answers as plain arrays, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        piece = np.arange(len(answers.truth)) if answers.piece is None else answers.piece
        np.savez(file, truth=answers.truth, scores=answers.scores, work=answers.work, piece=piece)


def load_answers(path: Path) -> Answers:
    """Read what `save_answers` wrote.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Answers(arrays["truth"], arrays["scores"], arrays["work"], arrays["piece"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise BadInput(f"{path} is damaged ({error}); remove its folder and run again.") from error


@dataclass(frozen=True, eq=False)
class Figure:
    """One metric of one system, still as a table per work (see `metrics`).

    Attributes:
        what: what was asked, "style, passages".
        metric: "macro-F1".
        tables: [G, *table].
        statistic: from summed tables to the figure.
    """

    what: str
    metric: str
    tables: Floats
    statistic: Statistic

    def row(self) -> dict[str, Any]:
        """The figure with its interval over works, as JSON keeps it."""
        score = metrics.with_interval(self.tables[None], self.statistic)
        interval = [round(score.low, 6), round(score.high, 6)]
        said = {"what": self.what, "metric": self.metric, "value": round(score.value, 6)}
        return said | {"ci95": interval, "n": score.n}


@dataclass(frozen=True)
class Task:
    """A question that a head learns to answer.

    Attributes:
        name: as on the command line.
        question: one sentence.
        level: one answer per passage ("sequence") or per note ("note").
        select: metric that picks the best state on the validation part.
        classes: names of the classes, from the training part alone.
        rows: which pairs of a part can be asked, given the classes.
        labels: classes of a pair: [1] for a passage, [N] for its notes.
        evaluate: the figures of some answers.
    """

    name: str
    question: str
    level: Literal["sequence", "note"]
    select: Callable[[Answers], float]
    classes: Callable[[Split], tuple[str, ...]]
    rows: Callable[[Split, tuple[str, ...]], tuple[int, ...]]
    labels: Callable[[Pair, tuple[str, ...]], Ints]
    evaluate: Callable[[Answers], list[Figure]]


@dataclass(frozen=True)
class Published:
    """A figure from the literature, to stand beside ours: who, what it says, and what differs."""

    name: str
    metric: str
    value: float
    differs: str
    of_pieces: bool = False


Measures = Callable[[Sequence[str]], Mapping[str, Statistic]]
"""From the classes to metrics by name, the first of which chooses the best state on the validation part."""


def official(item: Item) -> str | None:
    """The part that the source of an item gives it; None where it gives none."""
    return item.split


def accuracy_first(classes: Sequence[str]) -> dict[str, Statistic]:
    """Accuracy, which chooses, and macro-F1."""
    return {"accuracy": metrics.accuracy, "macro-F1": metrics.macro_f1}


@dataclass(frozen=True)
class Elsewhere:
    """Pieces of other sources that a head answers without having been trained on any like them.

    Attributes:
        name: of these pieces, "openscore_lieder".
        corpora: sources whose items are asked.
        asked: whether an item is.
        label: as of the task, among its classes.
        measures: metrics that make sense for these labels.
    """

    name: str
    corpora: tuple[str, ...]
    asked: Callable[[Item], bool]
    label: Callable[[Piece, Sequence[str]], Ints | int]
    measures: Measures


@dataclass(frozen=True)
class PieceTask:
    """A question about whole pieces, or about every note of them, that a head learns to answer.

    Attributes:
        name: as on the command line.
        question: one sentence.
        level: "sequence" for one class per piece, "note" for one per note.
        corpora: sources whose items are asked.
        part: which part an item belongs to; None leaves it out.
        classes: names of the classes, or what finds them in the training pieces.
        label: [N] class of every note of a piece, below 0 for none; or the one class of a piece, below 0 for none.
        measures: metrics.
        obtain: how a user comes to the data, in a sentence.
        hidden: attributes of notes that no system may see; notes: of a window.
        least: notes that the last window of a piece needs to be asked.
        transposes: whether a transposed piece has the same labels; hurries: the same for a faster one.
        balance: weight of a class in the loss: its share to the power of minus this.
        pictured: whether an image may be seen; composers: whether it is the composer's notation, not made from MIDI.
        published: figures of others.
        elsewhere: pieces of other sources that the trained head answers too, where they are there.
        rule: name of a rule without learning, and what it says of notes as a system may see them: [N, C] scores of
            them, or [C] of the whole.
        prepared: what is made of a piece before anything sees it, without pictures; None for nothing.
        turned: a piece so many semitones higher, with the class that it has then; None where the class does not
            follow from the old one.
        width: of the networks that read features of its notes (decision 0025).
        shared: whether its sources share works, and music under other names (`piecewise.asked`, `without_copies`).
        kept: sources whose pieces are asked, where works are shared: all say in which part one is. () is all.
    """

    name: str
    question: str
    level: Literal["sequence", "note"]
    corpora: tuple[str, ...]
    part: Callable[[Item], str | None]
    classes: tuple[str, ...] | Callable[[Sequence[Piece]], tuple[str, ...]]
    label: Callable[[Piece, Sequence[str]], Ints | int]
    measures: Measures
    obtain: str
    hidden: tuple[str, ...] = ()
    notes: int = 512
    least: int = 1
    transposes: bool = False
    hurries: bool = False
    balance: float = 0.0
    pictured: bool = True
    composers: bool = False
    published: tuple[Published, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    rule: tuple[str, Callable[[Pair, Sequence[str]], Floats]] | None = None
    prepared: Callable[[Piece], Piece] | None = None
    turned: Callable[[Piece, int], Piece] | None = None
    width: int = 64
    shared: bool = False
    kept: tuple[str, ...] = ()

    @property
    def items(self) -> str:
        """What is answered, in words: notes, or windows."""
        return "notes" if self.level == "note" else f"windows of {self.notes} notes"

    def of_sources(self, chosen: Sequence[str]) -> PieceTask:
        """The same question about pieces of some of its sources alone; of all, where none is chosen.

        Raises:
            BadInput: the task has no such source.
        """
        if unknown := sorted(set(chosen) - set(self.corpora)):
            raise BadInput(f"{self.name} has no source {', '.join(unknown)}; its sources: {', '.join(self.corpora)}.")
        if not chosen:
            return self
        kept = tuple(name for name in self.corpora if name in chosen)
        return replace(self, kept=kept) if self.shared else replace(self, corpora=kept)

    def select(self, answers: Answers, classes: Sequence[str]) -> float:
        """The first metric over all items."""
        table = metrics.confusion(answers.truth, answers.predicted, len(classes))
        return float(next(iter(self.measures(classes).values()))(table.sum(0)))

    def evaluate(self, answers: Answers, classes: Sequence[str], place: Elsewhere | None = None) -> list[Figure]:
        """All metrics: over notes; or over windows and over pieces, whose answer is the mean of their windows'.

        Args:
            answers: about the items of a part.
            classes: names of the classes.
            place: where the items are from, if not from the sources of the task.
        """
        measures = self.measures if place is None else place.measures
        origin = "" if place is None else f" of {place.name}"
        kinds = {self.items: answers}
        if self.level == "sequence":
            kinds["pieces"] = answers.by_piece()
        figures = []
        for kind, some in kinds.items():
            table = metrics.confusion(some.truth, some.predicted, len(classes), some.work)
            what = f"{self.name.replace('_', ' ')}, {kind}{origin}"
            figures += [Figure(what, name, table, measure) for name, measure in measures(classes).items()]
        return figures


@dataclass(frozen=True)
class Result:
    """A figure of a probe.

    Attributes:
        what, inputs, metric: as in a row of results.
        score: the figure with its interval.
        baseline: name of the rule without a model that said it; None for the model.
    """

    what: str
    inputs: str
    metric: str
    score: Score
    baseline: str | None = None


@dataclass(frozen=True)
class Probe:
    """A question put to a pre-trained model as it is.

    Attributes:
        name: as on the command line.
        question: one sentence.
        ask: (model, data, how pairs become tensors, config) -> results.
    """

    name: str
    question: str
    ask: Callable[[SIM, Data, BatchConfig, ProbeConfig], list[Result]]


def some(rows: Sequence[int], most: int, seed: int) -> tuple[int, ...]:
    """At most `most` of some rows, a seeded choice in their order; all of them for 0."""
    if not most or len(rows) <= most:
        return tuple(rows)
    chosen = np.random.default_rng(seed).choice(len(rows), size=most, replace=False)
    return tuple(rows[i] for i in sorted(chosen.tolist()))
