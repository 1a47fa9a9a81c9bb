"""How much a search finds and how fast: python benchmarks/search.py [--sizes 10000,1000000] [--stores folder,server].

Vectors are made up, since a million real passages take a day: a vector is the direction of one of 40 styles (times .8)
plus that of its piece plus one of its own (50 passages to a piece), each of unit length, drawn with standard deviations
that fall as 1/sqrt(1 + i/16) over the 256 numbers, so that few directions matter, as in trained embeddings. A query is
a stored vector plus half a direction of its own: its cosine to the one it was made from is about .9. `--hard` makes ten
passages to a piece that share half as much, and queries .8 away. Real embeddings lie between, as far as we know.

Recall@10 is the share of the ten nearest by exact search over the vectors before rounding. Single queries are timed
one by one, batches 1,000 at a time. The folder is read warm (second opening). The server is one of our own on this
machine, or that of --address, which has to be empty. For one core: taskset -c 0 with OMP_NUM_THREADS=1. Prints a table;
the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import postgres_server

from scoresim.environment import environment, peak_memory
from scoresim.index import WIDTH, Entry, Fingerprint, Store, Vectors, open_store

STYLES, OF_PIECE, QUERIES, K = 40, 50, 1000, 10
PASSAGES = 100  # of a file
WEIGHTS = "made-up"


def directions(chance: np.random.Generator, n: int) -> Vectors:
    """Unit vectors [n, WIDTH] of which few numbers matter."""
    found = chance.standard_normal((n, WIDTH), dtype=np.float32)
    found /= np.sqrt(1 + np.arange(WIDTH, dtype=np.float32) / 16)
    return unit(found)


def unit(vectors: Vectors) -> Vectors:
    """The same directions, of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def made_up(n: int, hard: bool, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Vectors [n, WIDTH] and queries [QUERIES, WIDTH]."""
    chance = np.random.default_rng(seed)
    style, piece, away, of_piece = (0.5, 0.5, 0.8, OF_PIECE // 5) if hard else (0.8, 1.0, 0.5, OF_PIECE)
    pieces = piece * directions(chance, n // of_piece)
    pieces += style * directions(chance, STYLES)[chance.integers(0, STYLES, len(pieces))]
    vectors = np.empty((n, WIDTH), np.float32)
    of = np.sort(chance.integers(0, len(pieces), n))
    for i in range(0, n, 100_000):
        own = directions(chance, len(of[i : i + 100_000]))
        vectors[i : i + 100_000] = unit(pieces[of[i : i + 100_000]] + own)
    near = vectors[chance.choice(n, QUERIES, replace=False)]
    return vectors, unit(near + away * directions(chance, QUERIES))


def nearest(vectors: Vectors, queries: Vectors) -> np.ndarray:
    """Numbers [QUERIES, K] of the nearest vectors, by comparing all."""
    parts = []
    for i in range(0, len(queries), 100):
        cosines = queries[i : i + 100] @ vectors.T
        parts.append(np.argpartition(-cosines, K, axis=1)[:, :K])
    return np.concatenate(parts)


def filled(address: str, vectors: Vectors) -> float:
    """Seconds until an index holds the vectors as files of `PASSAGES` and is settled."""
    start = time.perf_counter()
    with open_store(address, WEIGHTS, write=True) as store:
        for first in range(0, len(vectors), PASSAGES):
            part = vectors[first : first + PASSAGES]
            entries = [Entry("notes", number) for number in range(len(part))]
            store.replace(f"{first // PASSAGES:06}", Fingerprint(0, 0, ""), entries, part)
    return time.perf_counter() - start


def asked(store: Store, queries: Vectors, truth: np.ndarray) -> dict[str, float]:
    """Recall, and how long questions take."""
    start = time.perf_counter()
    store.search(queries[:1], K)
    first = time.perf_counter() - start
    single = []
    for query in queries:
        start = time.perf_counter()
        store.search(query[None], K)
        single.append(time.perf_counter() - start)
    start = time.perf_counter()
    hits = store.search(queries, K)
    batch = time.perf_counter() - start
    found = [{int(hit.file) * PASSAGES + hit.entry.number for hit in row} for row in hits]
    return {
        "recall_at_10": float(np.mean([len(f & set(t)) / K for f, t in zip(found, truth.tolist(), strict=True)])),
        "first_ms": 1000 * first,
        "median_ms": 1000 * float(np.median(single)),
        "p95_ms": 1000 * float(np.percentile(single, 95)),
        "batch_per_s": len(queries) / batch,
    }


def added(address: str, vectors: Vectors) -> float:
    """Milliseconds until one more file of `PASSAGES` is in an index that is opened for it, and out again."""
    start = time.perf_counter()
    with open_store(address, WEIGHTS, write=True) as store:
        store.replace("one more", Fingerprint(0, 0, ""), [Entry("notes", i) for i in range(PASSAGES)], vectors)
        store.remove("one more")
    return 1000 * (time.perf_counter() - start)


def size(path: Path) -> float:
    """Megabytes of a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


def server_size(address: str) -> float:
    """Megabytes of the tables and indexes on a server."""
    import psycopg

    with psycopg.connect(address) as db:
        ask = "select sum(pg_total_relation_size(oid)) from pg_class where relname like 'scoresim%' and relkind = 'r'"
        return float((db.execute(ask).fetchone() or (0,))[0]) / 1e6


def measured(name: str, n: int, hard: bool, address: str | None) -> dict[str, Any]:
    """One row of the table."""
    vectors, queries = made_up(n, hard)
    truth = nearest(vectors, queries)
    root = Path(tempfile.mkdtemp(prefix="scoresim-search-"))
    own = name == "server" and address is None
    options = "shared_buffers=2GB", "max_wal_size=8GB", "checkpoint_timeout=1h", "synchronous_commit=off"
    with postgres_server.server(*options) if own else nullcontext(address or "") as server:
        where = str(root / "index") if name == "folder" else server
        row: dict[str, Any] = {"store": name, "vectors": n, "hard": hard, "build_s": filled(where, vectors)}
        row["disk_mb"] = size(root) if name == "folder" else server_size(where)
        with open_store(where, WEIGHTS) as store:
            row |= asked(store, queries, truth)
        row["add_and_remove_100_ms"] = added(where, queries[:PASSAGES])
    shutil.rmtree(root)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--sizes", default="10000,1000000", help="numbers of vectors")
    parser.add_argument("--stores", default="folder,server", help="folder, server")
    parser.add_argument("--hard", action="store_true", help="vectors with less to hold on to")
    parser.add_argument("--address", help="of an empty database, instead of a server of our own")
    options = parser.parse_args()
    columns = ("recall_at_10", "first_ms", "median_ms", "p95_ms", "batch_per_s", "build_s", "disk_mb")
    columns += ("add_and_remove_100_ms",)
    print("store      vectors  " + "  ".join(columns), flush=True)
    rows = []
    for n in (int(float(part)) for part in options.sizes.split(",")):
        for name in options.stores.split(","):
            try:
                row = measured(name, n, options.hard, options.address)
            except postgres_server.NoServer as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            rows.append(row)
            cells = [f"{row[c]:{len(c)}.{4 if c == 'recall_at_10' else 2}f}" for c in columns]
            print(f"{name:6}  {n:10}  " + "  ".join(cells), flush=True)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    print(json.dumps({"rows": rows, "threads": threads, "peak_bytes": peak_memory(), "environment": environment()}))


if __name__ == "__main__":
    main()
