"""The data set on disk: Parquet shards, and a manifest that says what they hold.

Layout of a data set: ``manifest.json`` beside ``train-00000.parquet``, ``valid-00000.parquet``, ... One row is one
`Pair`. Shards are written under a temporary name and renamed; pages carry checksums that are verified when they are
read, and the manifest holds the SHA-256 of every shard.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scoresim.data.pair import ARRAYS, Pair, from_row
from scoresim.errors import BadInput, in_short
from scoresim.files import Place, place, read_json, replacing, sha256

MANIFEST = "manifest.json"
KIND = "scoresim pairs"
ROW_GROUP = 100
SCALARS = {"str": pa.string(), "int": pa.int32(), "float": pa.float64(), "bytes": pa.binary()}
META = (
    *("id", "item", "work", "style", "composer", "corpus", "first_bar", "n_bars", "n_staves", "width", "height"),
    *("n_systems", "staff_space", "format", "notation", "official_split", "labels", "font", "page_width", "degraded"),
    *("density", "pitch_range", "variety", "beats"),
)


def schema() -> pa.Schema:
    """The Arrow schema of a shard."""
    columns = []
    for f in fields(Pair):
        if f.name in ARRAYS:
            columns.append(pa.field(f.name, pa.list_(pa.from_numpy_dtype(ARRAYS[f.name][0]))))
        elif str(f.type) == "list[str]":
            columns.append(pa.field(f.name, pa.list_(pa.string())))
        else:
            columns.append(pa.field(f.name, SCALARS[str(f.type)]))
    return pa.schema(columns)


def to_table(pairs: Sequence[Pair]) -> pa.Table:
    """Pairs as an Arrow table."""
    columns = []
    for column in schema():
        values = [getattr(pair, column.name) for pair in pairs]
        if column.name in ARRAYS:
            flat = [np.zeros(0), *(array.reshape(-1) for array in values)]
            offsets = np.cumsum([len(array) for array in flat], dtype=np.int32)
            items = pa.array(np.concatenate(flat[1:] or flat).astype(ARRAYS[column.name][0], copy=False))
            columns.append(pa.ListArray.from_arrays(pa.array(offsets), items))
        else:
            columns.append(pa.array(values, column.type))
    return pa.Table.from_arrays(columns, schema=schema())


def write_table(path: Place, table: pa.Table, compression: str = "zstd") -> None:
    """Write one shard, whole or not at all.

    No column has a dictionary: zstd finds what repeats, and shards are smaller by some tenths of a percent, written in
    three quarters of the time and read in two thirds.
    """
    with replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression=compression,
            use_dictionary=False,
            row_group_size=ROW_GROUP,
            write_page_checksum=True,
            store_schema=True,
        )


def shard_entry(path: Place, rows: int) -> dict[str, Any]:
    """What the manifest says of a shard."""
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256(path)}


def parquet(path: Place) -> pq.ParquetFile:
    """A shard, opened so that damaged pages are noticed when they are read."""
    source = path if isinstance(path, Path) else path.open("rb")
    return pq.ParquetFile(source, page_checksum_verification=True)


@contextmanager
def _reading(path: Place) -> Iterator[None]:
    """Say which shard cannot be read, and why."""
    try:
        yield
    except FileNotFoundError:
        raise BadInput(f"{path} is missing; put it back, or build again.") from None
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{path} is damaged ({error}); run scoresim verify, put a whole one back, or build again."
        ) from error


@contextmanager
def manifest_of(folder: Place | str) -> Iterator[None]:
    """Say that a manifest lacks what is asked of it, or has it in another form."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{MANIFEST} of {folder} is damaged ({in_short(error)})"
        raise BadInput(f"{reason}; put a whole one back, or build again.") from error


class Split(Protocol):
    """The pairs of one part (train, valid or test) in a fixed order: `PairSplit`, or `synthetic(n, seed)`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Pair: ...

    def column(self, name: str, /) -> list[Any]:
        """One field of every pair, without reading the pictures."""


class PairSplit(Sequence[Pair]):
    """The pairs of one part, in a fixed order; random access reads a row group at a time and keeps some of them."""

    columns: list[str] | None = None  # what a row is made of; None is all of them
    cached_groups = 512

    def __init__(self, folder: Place, name: str, shards: list[dict[str, Any]]) -> None:
        self.name = name
        self._groups: list[tuple[Place, int, int]] = []  # file, row group, first row
        self._cache: OrderedDict[int, pa.Table] = OrderedDict()
        self._files: dict[Place, pq.ParquetFile] = {}
        row = 0
        for shard in shards:
            path = folder / shard["name"]
            file = self._open(path)
            for group in range(file.metadata.num_row_groups):
                self._groups.append((path, group, row))
                row += file.metadata.row_group(group).num_rows
        self._length = row

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process of a data loader gets: it opens the files, and keeps row groups, for itself."""
        return self.__dict__ | {"_cache": OrderedDict(), "_files": {}}

    def _open(self, path: Place) -> pq.ParquetFile:
        if path not in self._files:
            with _reading(path):
                self._files[path] = parquet(path)
        return self._files[path]

    def __len__(self) -> int:
        return self._length

    def _table(self, number: int) -> pa.Table:
        if number not in self._cache:
            path, group, _ = self._groups[number]
            with _reading(path):
                self._cache[number] = self._open(path).read_row_group(group, columns=self.columns)
            if len(self._cache) > self.cached_groups:
                self._cache.popitem(last=False)
        self._cache.move_to_end(number)
        return self._cache[number]

    def __getitem__(self, index: Any) -> Any:
        """The pair at a row, counted from 0.

        Raises:
            IndexError: there is no such row.
            BadInput: the shard is damaged.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.made(*self.at(index))

    def made(self, table: pa.Table, at: int) -> Any:
        """The `Pair` of a row of a table."""
        return from_row(table.slice(at, 1).to_pylist()[0])

    def at(self, index: int) -> tuple[pa.Table, int]:
        """The table in which a row stands, and where in it.

        Raises:
            IndexError: there is no such row.
            BadInput: the shard is damaged.
        """
        if not -self._length <= index < self._length:
            raise IndexError(f"row {index} of {self._length}")
        index %= self._length
        low, high = 0, len(self._groups)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._groups[middle][2] <= index else (low, middle)
        return self._table(low), index - self._groups[low][2]

    def __iter__(self) -> Iterator[Pair]:
        for i in range(len(self)):
            yield self[i]

    def row_groups(self) -> NDArray[np.int64]:
        """Number of the row group of each row: its rows are read together."""
        first = np.array([row for _, _, row in self._groups], dtype=np.int64)
        return np.repeat(np.arange(len(first)), np.diff(first, append=self._length))

    def column(self, name: str) -> list[Any]:
        """One value per pair without reading pictures: any of `META`, or "n_notes"."""
        parts: list[Any] = []
        source = "bar_of_note" if name == "n_notes" else name
        if source not in (*META, "bar_of_note"):
            raise KeyError(name)
        for column in self.read(source):
            parts += [len(v) for v in column.to_pylist()] if name == "n_notes" else column.to_pylist()
        return parts

    def read(self, column: str) -> Iterator[pa.ChunkedArray]:
        """One column of every shard."""
        for path in dict.fromkeys(path for path, _, _ in self._groups):
            with _reading(path):
                yield self._open(path).read(columns=[column]).column(0)


class PairSet:
    """A data set on disk.

    Attributes:
        folder: where it is.
        manifest: what `build` wrote about it.
    """

    kind = KIND

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = read_json(folder / MANIFEST)
        kind = self.manifest.get("kind") if isinstance(self.manifest, dict) else None
        if kind != self.kind or not isinstance(self.manifest.get("shards"), dict):
            raise BadInput(f"{folder} is not a scoresim data set; give a folder that scoresim build has written.")
        with manifest_of(folder):
            for name in (shard["name"] for some in self.manifest["shards"].values() for shard in some):
                if PurePosixPath(name).name != name:
                    raise ValueError(f"{name} is no name of a shard")

    def split(self, name: str) -> PairSplit:
        """The pairs of "train", "valid" or "test"."""
        return PairSplit(self.folder, name, self.shards(name))

    def shards(self, name: str) -> list[dict[str, Any]]:
        """What the manifest says of the shards of a part.

        Raises:
            BadInput: there is no such part.
        """
        if name not in self.manifest["shards"]:
            raise BadInput(f"{self.folder} has no part {name!r}; it has {', '.join(self.manifest['shards'])}.")
        shards: list[dict[str, Any]] = self.manifest["shards"][name]
        return shards

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest, but for the time that the build took."""
        text = json.dumps({name: value for name, value in self.manifest.items() if name != "seconds"}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def open(path: Place | str) -> PairSet:  # noqa: A001 - the name a user expects: scoresim.data.open
    """Open a data set: a local folder, or an address such as ``s3://bucket/folder``.

    Raises:
        BadInput: there is no data set at `path`, or its manifest is damaged.
    """
    folder = place(path)
    if not (folder / MANIFEST).is_file():
        raise BadInput(f"{folder} holds no data set; build one with: scoresim build {folder} --corpus NAME.")
    return PairSet(folder)
