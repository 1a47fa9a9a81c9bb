"""A data set as rows ready to be trained on: pictures cut to staves and scaled once, not in every epoch.

Decoding a picture, finding its staves and scaling them costs a millisecond or two, giving it a scanned or photographed
look four more: nothing beside a step on a CPU, too much for a GPU. `pack` does it beforehand. Packed rows are some 3 kB
each and unpacked in a tenth of a millisecond.

Layout: as a data set's (`shards`), one shard of rows beside every shard of pairs, of the same name. A row's arrays are
one compressed block of bytes; grey is rounded to a few levels, which halves it. How many cells a row has stands beside
it: what is only guessed of a picture (`rows.sizes_of`) is known here, and batches hold less padding.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scoresim.data.config import PackConfig
from scoresim.data.harmonize import SAMPLING
from scoresim.data.looks import DegradedSplit
from scoresim.data.pair import Pair
from scoresim.data.rows import BatchConfig, Row, prepare
from scoresim.data.shards import MANIFEST, META, ROW_GROUP, SCALARS, PairSet, PairSplit, parquet, shard_entry
from scoresim.data.shards import open as open_pairs
from scoresim.errors import BadInput
from scoresim.files import Place, locked, place, read_json, replacing, write_json
from scoresim.progress import Progress
from scoresim.score.sandbox import Failure, run_all

KIND = "scoresim rows"
FORMAT = 1
SHARD_SECONDS = 3600.0  # after which a shard is given up
CODEC, LEVEL = "zstd", 15
SHAPE = ("patch_height", "patch_width", "pixels_per_space", "staves", "max_notes")  # of a BatchConfig: the rows' own
COUNTS = ("n_notes", "n_cells")
PARTS: tuple[tuple[str, str, tuple[int, ...]], ...] = (  # of a row: name, dtype, shape of an entry
    ("ids", "int16", (8,)), ("bar", "int16", ()), ("time", "float32", ()), ("onset", "float32", ()),
    ("edges", "float32", ()), ("cells", "int16", (2,)), ("place", "float32", (2,)), ("cell_bar", "int16", ()),
)  # fmt: skip


@dataclass(frozen=True)
class _Task:
    """What a worker needs to pack one shard."""

    data: Place
    shard: dict[str, Any]
    part: str
    out: Place
    config: PackConfig
    rows: BatchConfig


class PackedSplit(PairSplit):
    """The rows of one part, in the order of the pairs that they were."""

    columns: list[str] | None = ["row", "raw"]  # noqa: RUF012
    cached_groups = 1024

    def made(self, table: pa.Table, at: int) -> Any:
        """The `Row` of a row of a table."""
        return unpacked(table.column("row")[at].as_buffer(), table.column("raw")[at].as_py())

    def column(self, name: str) -> list[Any]:
        """One value per row: any of `META`, "n_notes", or "n_cells" where cells are counted."""
        if name not in (*META, *COUNTS):
            raise KeyError(name)
        return list(chain.from_iterable(column.to_pylist() for column in self.read(name)))

    def tokens(self) -> NDArray[np.int64] | None:
        """[R] notes and cells of each row; None where cells are not counted, in sets of early versions."""
        if not all("n_cells" in self._open(path).schema_arrow.names for path, _, _ in self._groups):
            return None
        notes, cells = (np.array(self.column(name), dtype=np.int64) for name in COUNTS)
        out: NDArray[np.int64] = notes + cells
        return out


def pack(data: Place | str, out: Place | str, config: PackConfig | None = None, rows: BatchConfig | None = None) -> Any:
    """Pack parts of a data set; run again, it goes on.

    Args:
        data: the data set, or its address.
        out: folder for the packed one, or its address.
        config: what to pack, and how.
        rows: how pairs become tensors.

    Returns:
        The manifest.

    Raises:
        BadInput: `data` is no data set of pairs, or lacks a part; `out` holds something else; a shard is damaged.
    """
    config, rows = config or PackConfig(), rows or BatchConfig()
    pairs, folder = open_pairs(data), place(out)
    missing = [part for part in config.parts if part not in pairs.manifest["shards"]]
    if missing:
        raise BadInput(f"{data} has no part {missing[0]!r}; it has {', '.join(pairs.manifest['shards'])}.")
    identity = {k: v for k, v in asdict(config).items() if k != "workers"} | {
        "parts": list(config.parts),
        "format": FORMAT,
    }
    identity |= {"rows": {name: getattr(rows, name) for name in SHAPE}, "source": pairs.hash}
    with locked(folder):
        kept = read_json(folder / "pack.json") if (folder / "pack.json").is_file() else None
        if kept not in (None, identity) or (kept is None and (folder / MANIFEST).is_file()):
            raise BadInput(f"{folder} holds another data set; choose another folder, or remove this one.")
        write_json(folder / "pack.json", identity)
        if (folder / MANIFEST).is_file():
            return read_json(folder / MANIFEST)
        tasks = [
            _Task(pairs.folder, shard, part, folder, config, rows)
            for part in config.parts
            for shard in pairs.manifest["shards"][part]
        ]
        entries: dict[str, dict[str, Any]] = {}
        with Progress("pack", len(tasks), "shards") as progress:
            for i, entry in run_all(_pack_shard, tasks, config.workers, SHARD_SECONDS):
                if isinstance(entry, Failure):
                    raise BadInput(f"{tasks[i].shard['name']} cannot be packed: {entry.reason}.")
                entries[tasks[i].shard["name"]] = entry
                progress.advance()
        shards = {part: [entries[s["name"]] for s in pairs.manifest["shards"][part]] for part in config.parts}
        if (pairs.folder / SAMPLING).is_file():
            with replacing(folder / SAMPLING) as temporary:
                temporary.write_bytes((pairs.folder / SAMPLING).read_bytes())
        manifest = {"kind": KIND, **identity, "vocabulary": pairs.manifest["vocabulary"], "shards": shards}
        write_json(folder / MANIFEST, manifest)
        return read_json(folder / MANIFEST)


def _pack_shard(task: _Task) -> dict[str, Any]:
    """Pack one shard, unless that was done before; what the manifest says of it."""
    path = task.out / task.shard["name"]
    if path.is_file():
        with parquet(path) as file:
            return shard_entry(path, file.metadata.num_rows)
    source = PairSplit(task.data, task.part, [task.shard])
    shown = source if task.config.degrade == "none" else DegradedSplit(source, task.config.degrade, task.config.seed)  # type: ignore[arg-type]
    blocks, cells = [], []
    for i in range(len(shown)):
        row = prepare(shown[i], task.rows, None)
        blocks.append(packed(row, task.config.levels))
        cells.append(len(row.cells))
    columns = {name: source.column(name) for name in (*META, "n_notes")} | {"n_cells": cells}
    table = pa.table({name: pa.array(columns[name], type=type_) for name, type_ in _types().items()})
    table = table.append_column("raw", pa.array([size for size, _ in blocks], pa.int32()))
    table = table.append_column("row", pa.array([block for _, block in blocks], pa.binary()))
    with replacing(path) as temporary:
        names = [name for name in table.column_names if name != "row"]
        pq.write_table(
            table, temporary, compression=dict.fromkeys(names, "zstd") | {"row": "none"},
            use_dictionary=False, row_group_size=ROW_GROUP, write_page_checksum=True, write_statistics=False,
        )  # fmt: skip
    return shard_entry(path, len(blocks))


def _types() -> dict[str, pa.DataType]:
    """The columns that stand beside the rows."""
    types = {f.name: SCALARS[str(f.type)] for f in fields(Pair) if f.name in META}
    return types | dict.fromkeys(COUNTS, pa.int32())


def packed(row: Row, levels: int) -> tuple[int, bytes]:
    """A row as one compressed block, and how many bytes that is before compression."""
    grey = np.uint8((row.ink.astype(np.uint16) * (levels - 1) + 127) // 255)
    height, width = row.ink.shape
    even = np.pad(grey, ((0, 0), (0, width % 2)))
    numbers = [levels, height, width, row.bars, *(len(getattr(row, name)) for name, _, _ in PARTS)]
    raw = b"".join(
        [
            np.array(numbers, np.int32).tobytes(),
            np.float32(row.length).tobytes(),
            *(getattr(row, name).astype(dtype).tobytes() for name, dtype, _ in PARTS),
            (even[:, ::2] * 16 + even[:, 1::2]).tobytes(),
        ]
    )
    return len(raw), pa.Codec(CODEC, LEVEL).compress(raw, asbytes=True)


def unpacked(block: Any, size: int) -> Row:
    """The row of a block of so many bytes; it has no labels."""
    raw = memoryview(pa.Codec(CODEC).decompress(block, size))
    count = 4 + len(PARTS)
    levels, height, width, bars, *lengths = np.frombuffer(raw, np.int32, count).tolist()
    at = 4 * count + 4
    arrays: dict[str, NDArray[Any]] = {}
    for (name, dtype, shape), length in zip(PARTS, lengths, strict=True):
        entries = length * math.prod(shape)
        arrays[name] = np.frombuffer(raw, dtype, entries, at).reshape(length, *shape)
        at += arrays[name].nbytes
    both = np.frombuffer(raw, np.uint8, offset=at).reshape(height, -1)
    ink = _shades(levels).take(both).view(np.uint8)[:, :width]
    length = float(np.frombuffer(raw, np.float32, 1, 4 * count)[0])
    return Row(**arrays, length=length, bars=bars, ink=ink, labels={})


@cache
def _shades(levels: int) -> NDArray[np.uint16]:
    """[256] for every byte, which holds two pixels, their ink as two bytes."""
    shade = np.minimum(np.arange(16, dtype=np.uint16) * 255 // (levels - 1), 255).astype(np.uint8)
    return np.stack(np.broadcast_arrays(shade[:, None], shade), axis=2).view(np.uint16).reshape(-1)


class PackedSet(PairSet):
    """A packed data set on disk."""

    kind = KIND

    def split(self, name: str) -> PackedSplit:
        """The rows of a part that was packed.

        Raises:
            BadInput: it was not.
        """
        return PackedSplit(self.folder, name, self.shards(name))

    def check(self, rows: BatchConfig) -> None:
        """See that its pairs became tensors as a model wants them.

        Raises:
            BadInput: they did not.
        """
        wanted = {name: getattr(rows, name) for name in SHAPE}
        if wanted != self.manifest["rows"]:
            raise BadInput(
                f"{self.folder} is packed for other image tokens; give the data set that it was packed from."
            )


def is_packed(folder: Place | str) -> bool:
    """Whether a packed data set lies there."""
    path = place(folder) / MANIFEST
    found = read_json(path) if path.is_file() else None
    return isinstance(found, dict) and found.get("kind") == KIND
