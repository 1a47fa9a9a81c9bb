"""What every index promises, and what it is made of: files, their fingerprints, entries and vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, Protocol, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.files import sha256

Kind = Literal["notes", "image"]
Vectors: TypeAlias = NDArray[np.float32]

KINDS: tuple[Kind, ...] = get_args(Kind)
WIDTH = 256  # numbers per vector: SIMConfig.embedding
FORMAT = "scoresim index 1"
EXACT = 20_000  # vectors of a kind up to which all are compared: 2 ms; above it, a graph or an index of the server
LENGTH_SLACK = 1e-3  # how far a unit vector's length may be from 1


@dataclass(frozen=True)
class Fingerprint:
    """What a file was when it was embedded.

    Attributes:
        size: in bytes.
        mtime_ns: time of its last change, in nanoseconds since 1970.
        sha256: of its bytes, 64 hexadecimal digits.
    """

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """Which passage of a file a vector is.

    Attributes:
        kind: what was read: "notes" or "image".
        number: of the passage in its file, from 0.
        title: of the piece, "" where it is not known.
        page, system: where it stands in a file of pictures, from 0; None elsewhere.
        first_bar, end_bar: its bars, from 0, the end not included; None where bars are not known.
    """

    kind: Kind
    number: int
    title: str = ""
    page: int | None = None
    system: int | None = None
    first_bar: int | None = None
    end_bar: int | None = None


FIELDS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes:
        file: as it was given to `replace`.
        entry: which passage of it.
        cosine: of the query and the stored vector, -1 to 1.
    """

    file: str
    entry: Entry
    cosine: float


class Store(Protocol):
    """A collection of unit vectors. Many may read while one writes; a reader sees a file as it was or as it is.

    Every method raises `BadInput` when the index is damaged, gone or out of reach, or cannot be written. To change
    one that was opened for reading is a mistake of the program: ValueError.
    """

    model_hash: str
    width: int

    def known(self) -> dict[str, Fingerprint]:
        """The files that are in, in the order of their names, with what they were when they were embedded."""
        ...

    def silent(self) -> list[str]:
        """The files that are in without a vector, in the order of their names: those that could not be read."""
        ...

    def replace(self, file: str, fingerprint: Fingerprint, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Put a file in the place of what is stored of it, in one step.

        Args:
            file: its name, by convention the path relative to the folder that is indexed.
            fingerprint: of the file that was embedded.
            entries: what the vectors are, [n]; none is allowed, the file then counts as seen.
            vectors: [n, width], unit length. Kept with 16 bits per number.

        Raises:
            ValueError: the shapes do not fit, or a vector is not of unit length.
        """
        ...

    def touch(self, file: str, fingerprint: Fingerprint) -> None:
        """Keep what is stored of a file that was written again with the same bytes."""
        ...

    def remove(self, file: str) -> None:
        """Drop a file with all its vectors, in one step; nothing happens where it is not in."""
        ...

    def search(self, vectors: Vectors, k: int = 10, kind: Kind | None = None) -> list[list[Hit]]:
        """The nearest entries of each query.

        All vectors of a kind are compared while there are at most `EXACT`. Above it the search is approximate: how
        much it finds, by size of the collection, is measured in docs/decisions/0015.

        Args:
            vectors: queries [Q, width], unit length.
            k: answers per query, at least 1; fewer come back when fewer are there.
            kind: of the entries that are wanted, None for both.

        Returns:
            Q lists, nearest first; equal ones by file, kind and number.

        Raises:
            ValueError: the shape does not fit, a number is not finite, or `k` is below 1.
        """
        ...

    def get(self, file: str) -> tuple[list[Entry], Vectors]:
        """What is stored of a file: its entries by kind and number, and their vectors [n, width].

        Raises:
            BadInput: the file is not in.
        """
        ...

    def settle(self) -> None:
        """Make searching fast again after many changes. A writer's `with` block does it when it ends well."""
        ...

    def __len__(self) -> int:
        """How many vectors are in."""
        ...

    def close(self) -> None:
        """Let others write. What was stored stays."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None: ...


class Opened(ABC):
    """An open store as a context manager: a writer that ends well settles it, and it is closed in any case."""

    _write: bool

    @abstractmethod
    def settle(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None and self._write:
                self.settle()
        finally:
            self.close()


def fingerprint(path: Path, old: Fingerprint | None = None) -> Fingerprint:
    """What a file is now. Its bytes are read only when size or time differ from those of ``old``.

    Raises:
        BadInput: the file is missing or cannot be read.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error
    if old is not None and (old.size, old.mtime_ns) == (state.st_size, state.st_mtime_ns):
        return old
    return Fingerprint(state.st_size, state.st_mtime_ns, sha256(path))


def changed(known: Mapping[str, Fingerprint], found: Mapping[str, Fingerprint]) -> list[str]:
    """The files to embed: those that are new, or whose bytes are others, in the order of ``found``."""
    return [file for file, now in found.items() if file not in known or known[file].sha256 != now.sha256]


def row(entry: Entry) -> tuple[object, ...]:
    """An entry as a row of a table, in the order of `FIELDS`."""
    return astuple(entry)


def check_files(entries: Sequence[Entry], vectors: Vectors, width: int) -> None:
    """Raise ValueError unless entries and vectors can be stored together."""
    if vectors.shape != (len(entries), width):
        raise ValueError(f"vectors of shape {vectors.shape} for {len(entries)} entries of width {width}")
    if any(entry.kind not in KINDS for entry in entries):
        raise ValueError(f"an entry is of kind {' or '.join(KINDS)}")
    if len({(entry.kind, entry.number) for entry in entries}) < len(entries):
        raise ValueError("two entries of one kind have the same number")
    if not np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1) < LENGTH_SLACK):  # false for what is not a number, too
        raise ValueError("a vector is not of unit length")


def check_query(vectors: Vectors, k: int, kind: Kind | None, width: int) -> None:
    """Raise ValueError unless this can be asked."""
    if vectors.ndim != 2 or vectors.shape[1] != width or not np.isfinite(vectors).all():
        raise ValueError(f"queries are finite and [Q, {width}], not {vectors.shape}")
    if k < 1:
        raise ValueError("k is at least 1")
    if kind not in (None, *KINDS):
        raise ValueError(f"kind is {', '.join(KINDS)} or None, not {kind!r}")


def check_about(place: str, about: tuple[object, ...], model_hash: str | None) -> tuple[str, int]:
    """The weights and the width that an index says it is for: (format, model, width) as it stands there.

    Raises:
        BadInput: it is of another format, or for other weights.
    """
    form, model, width = about
    if form != FORMAT or not isinstance(model, str) or not isinstance(width, int):
        raise BadInput(f"{place} is not a {FORMAT!r}; make a new index with scoresim index.")
    if model_hash not in (None, model):
        raise BadInput(
            f"{place} was made with other weights ({model[:12]}) than these ({str(model_hash)[:12]}); "
            "search with those, or make a new index."
        )
    return model, width


def ranked(hits: Iterable[Hit], k: int) -> list[Hit]:
    """The best `k`, nearest first, equal ones in a fixed order."""
    key = lambda hit: (-hit.cosine, hit.file, hit.entry.kind, hit.entry.number)  # noqa: E731 - a name for one line
    return sorted(hits, key=key)[:k]
