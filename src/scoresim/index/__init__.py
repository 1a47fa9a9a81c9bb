"""A searchable collection of embeddings: what stands in it, and what is nearest to a vector.

A store keeps, for every vector, the file it was made from and which passage of it, and for every file a fingerprint,
so that an index is brought up to date by embedding what is new or changed. There are two:

    a folder                  `folder.FolderStore`: SQLite, and a graph (HNSW) once a collection is large
    postgresql://host/name    `server.ServerStore`: PostgreSQL with pgvector, for collections that several machines use

    with open_store("library", weights, write=True) as store:
        known = store.known()
        found = {file: fingerprint(music / file, known.get(file)) for file in files}
        for file in changed(known, found):
            store.replace(file, found[file], entries, vectors)     # one step: a killed run has lost nothing
        for file in known.keys() - found.keys():
            store.remove(file)
    with open_store("library", weights) as store:
        hits = store.search(vectors, k=10, kind="image")

A vector belongs to the weights that made it: an index of other weights is refused.
"""

from __future__ import annotations

from pathlib import Path

from scoresim.errors import BadInput
from scoresim.index.store import (
    KINDS,
    WIDTH,
    Entry,
    Fingerprint,
    Hit,
    Kind,
    Store,
    Vectors,
    changed,
    fingerprint,
)

__all__ = [
    "KINDS",
    "WIDTH",
    "Entry",
    "Fingerprint",
    "Hit",
    "Kind",
    "Store",
    "Vectors",
    "changed",
    "fingerprint",
    "open_store",
]

SERVERS = ("postgresql://", "postgres://")


def open_store(address: str | Path, model_hash: str | None, *, write: bool = False, width: int = WIDTH) -> Store:
    """Open an index, to search in it or to change it.

    Args:
        address: a folder, or `postgresql://user@host/name`. On a server the tables stand in the first schema of the
            connection's search path, so `?options=-csearch_path%3Dmusic,public` names another index of one database.
        model_hash: identity of the weights that make the vectors (`checkpoint.weights_of`). None asks for no
            particular weights, and is for reading only.
        write: be the one that may change it; what is not there is made.
        width: numbers per vector, of an index that is made.

    Returns:
        The open store: a context manager, to be used by one thread at a time.

    Raises:
        BadInput: there is no index, it is damaged or of other weights, another process is changing it, the server
            does not let us in, or a package is missing.
    """
    text = str(address)
    if write and not model_hash:
        raise BadInput("an index is written for certain weights; give their hash.")
    if text.startswith(SERVERS):
        from scoresim.index.server import ServerStore

        return ServerStore(text, model_hash, write, width)
    if "://" in text:
        raise BadInput(f"an index is a folder or postgresql://user@host/name, and {text} is neither.")
    from scoresim.index.folder import FolderStore

    return FolderStore(Path(address), model_hash, write, width)
