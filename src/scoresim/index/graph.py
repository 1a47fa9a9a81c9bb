"""Approximate search in a large collection: a graph of neighbours (HNSW, Malkov and Yashunin 2016), made by usearch.

A graph is a file that never changes: it knows the vectors up to some id, rounded to 8 bits, and is opened without
being read into memory. Its answers are candidates, which are compared again with what is stored.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.files import replacing, sha256
from scoresim.index.store import Vectors

if TYPE_CHECKING:
    from usearch.index import Index

NEIGHBOURS = 16  # per vector and layer
EFFORT_ADD = 128  # candidates looked at for a new vector
EFFORT_SEARCH = 1024  # ... and for a query: recall against time, docs/decisions/0015
Longs = NDArray[np.int64]


def new_graph(width: int) -> Index:
    """An empty graph for vectors of unit length."""
    try:
        from usearch.index import Index
    except ImportError:
        raise BadInput("an index this large needs usearch: pip install 'scoresim[search]'.") from None
    return Index(
        ndim=width,
        metric="ip",
        dtype="i8",
        connectivity=NEIGHBOURS,
        expansion_add=EFFORT_ADD,
        expansion_search=EFFORT_SEARCH,
    )


def write_graph(path: Path, graph: Index, batches: Iterable[tuple[Longs, Vectors]]) -> str:
    """Add vectors to a graph and write it, whole or not at all; its SHA-256 comes back.

    Raises:
        BadInput: the file cannot be written.
    """
    for ids, vectors in batches:
        graph.add(ids.astype(np.uint64), vectors)
    with replacing(path) as temporary:
        try:
            graph.save(temporary)
        except RuntimeError as error:  # of a full disk usearch says nothing but that
            raise OSError(_free(path.parent), str(error), str(temporary)) from error
        return sha256(temporary)


def open_graph(path: Path, checksum: str, width: int, write: bool = False) -> Index:
    """A graph to be searched, or to be added to.

    Its bytes are compared with the checksum first: half a second for a million vectors, and what usearch does with
    broken ones is not to be tried.

    Raises:
        FileNotFoundError: it is not there.
        BadInput: it is damaged.
    """
    graph = new_graph(width)
    if not is_whole(path, checksum):
        raise damaged(path) if path.exists() else FileNotFoundError(path)
    (graph.load if write else graph.view)(path)
    return graph


def is_whole(path: Path, checksum: str) -> bool:
    """Is this file there, with the bytes that were written?"""
    try:
        return sha256(path) == checksum
    except BadInput:
        return False


def found_in(graph: Index, queries: Vectors, count: int) -> Longs:
    """Ids [Q, count] of what a graph finds near each query, 0 (which is no id) where it finds fewer."""
    matches = graph.search(queries, count)  # of one query usearch makes another object
    keys = np.atleast_2d(matches.keys)
    found = np.asarray(getattr(matches, "counts", [keys.shape[1]]))
    ids = np.zeros((len(queries), count), np.int64)
    ids[:, : keys.shape[1]] = np.where(np.arange(keys.shape[1]) < found[:, None], keys, 0)
    return ids


def damaged(path: Path) -> BadInput:
    """What is said of a graph whose bytes are others than they were, or that is gone."""
    return BadInput(f"{path} is damaged or gone; run scoresim index again, it is made anew from what is stored.")


def _free(folder: Path) -> int:
    """The number of the error that keeps a file from being written here."""
    state = os.statvfs(folder)
    return errno.ENOSPC if state.f_bavail * state.f_frsize < 1 << 20 else errno.EIO
