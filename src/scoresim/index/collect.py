"""A folder of music put into an index, and files looked up in it.

A query and a file of the index are compared as wholes: what a picture shows, system after system, is laid along the
stretches of bars of notes (`data.align`). Which files are compared so is said by single vectors, which the store
finds fast. Where one side is a picture and the other notes, the first answers are read together in the end.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scoresim.data.align import Place, align
from scoresim.data.books import addresses, file_of
from scoresim.data.given import KINDS_BY_SUFFIX, kind_of
from scoresim.errors import BadInput, NotNow
from scoresim.index.store import KINDS, Entry, Fingerprint, Kind, Store, Vectors, changed, fingerprint
from scoresim.progress import Progress

if TYPE_CHECKING:
    from scoresim.understand import Sim
    from scoresim.understand.results import Embedding

AT_ONCE = 16  # files that are embedded at a time
ASKED, NEAR = 24, 40  # vectors of a query that are looked up, and answers to each, of each kind
COMPARED = 50  # files of a kind that are compared as wholes

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True)
class Collected:
    """What bringing an index up to date did: numbers of files.

    Attributes:
        new: read now: they were not in the index, or have changed.
        same: as they were.
        gone: taken out of the index, for they are not in the folder any more.
        refused: names of those that cannot be read, whether that was tried now or before; they are none of the above.
    """

    new: int
    same: int
    gone: int
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """An answer to a query.

    Attributes:
        file: relative to the folder that was indexed.
        kind: how it is in the index.
        similarity: mean cosine of what was laid along each other.
        probability: that query and file show the same music, read together; None where that was not asked.
        first_bar, end_bar: bars that answer the query, from 0; None for pictures.
    """

    file: str
    kind: str
    similarity: float
    probability: float | None
    first_bar: int | None
    end_bar: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def collect(folder: Path, store: Store, sim: Sim, workers: int = 1) -> Collected:
    """Bring an index up to date with a folder and its subfolders; it can be stopped and begun again at any time.

    A file that cannot be read is left out, with a warning, and tried again when it has changed; where a package, memory
    or time was missing, it is tried again each time. Of a file that cannot be opened, and of all in a folder that
    cannot be looked into, what is stored stays.

    Raises:
        BadInput: there is no such folder, it holds no music, or the index cannot be written.
    """
    closed: list[str] = []
    files = music_in(folder, closed)
    known = store.known()
    found = dict(_fingerprints(folder, files, known))
    todo = changed(known, found)
    asked = set(todo)
    unopened = [file for file in files if file not in found]
    closed += unopened  # of a book its tunes stay
    refused = unopened + [file for file in store.silent() if file in found and file not in asked]
    with Progress("index", len(todo), "files") as progress:
        for start in range(0, len(todo), AT_ONCE):
            some = todo[start : start + AT_ONCE]
            for file, outcome in zip(some, sim.embed_each([folder / file for file in some], workers), strict=True):
                if isinstance(outcome, BadInput):
                    _logger.warning("%s", outcome)
                    refused.append(file)
                    if isinstance(outcome, NotNow):
                        store.remove(file)  # what is stored is of other bytes
                    else:
                        store.replace(file, found[file], [], np.zeros((0, store.width), dtype=np.float32))
                else:
                    store.replace(file, found[file], entries(outcome), outcome.vectors)
                progress.advance()
    for file in found:
        if file in known and file not in asked and known[file] != found[file]:
            store.touch(file, found[file])
    kept = tuple(f"{place}/" for place in closed)
    gone = sorted(set(known).difference(files))
    gone = [file for file in gone if not f"{file_of(Path(file))}/".startswith(kept)]
    for file in gone:
        store.remove(file)
    new = len(asked.difference(refused))
    return Collected(new, len(files) - new - len(refused), len(gone), tuple(sorted(refused)))


def _fingerprints(
    folder: Path, files: Sequence[str], known: Mapping[str, Fingerprint]
) -> Iterator[tuple[str, Fingerprint]]:
    """What files are now, tunes as their books; those that cannot be opened are left out, with a warning."""
    last: tuple[Path, Fingerprint] | None = None
    for file in files:
        path = file_of(folder / file)
        try:
            last = last if last is not None and last[0] == path else (path, fingerprint(path, known.get(file)))
            yield file, last[1]
        except BadInput as error:
            _logger.warning("%s", error)


def music_in(folder: Path, closed: list[str] | None = None) -> list[str]:
    """The files of music under a folder, relative to it, of a book of tunes the addresses of each.

    Left out, with a warning, are files whose names are not UTF-8, and what cannot be looked into.

    Args:
        folder: where it lies.
        closed: to which the folders and files are added that cannot be looked into, relative to the folder.

    Raises:
        BadInput: there is no such folder, or it holds no music: a disk that is not there is not to empty an index.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder.")
    if files := list(_files(folder, [] if closed is None else closed)):
        return files
    raise BadInput(f"{folder} holds no notes and no pictures of scores; an index that was made of it stays as it is.")


def _files(folder: Path, closed: list[str]) -> Iterator[str]:
    """Files of music under a folder, relative to it; links that lead elsewhere are not followed."""

    def unreadable(error: OSError) -> None:
        _logger.warning("%s cannot be read (%s); what the index has of it stays.", error.filename, error.strerror)
        closed.append(Path(error.filename).relative_to(folder).as_posix())

    def is_file(path: Path) -> bool:
        try:
            return path.is_file() and not path.is_symlink()
        except OSError as error:
            unreadable(error)
            return False

    def tunes(path: Path, file: str) -> list[str]:
        try:
            return [one.relative_to(folder).as_posix() for one in addresses(path)]
        except BadInput as error:
            _logger.warning("%s", error)
            return []

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if path.suffix.lower() not in KINDS_BY_SUFFIX or not is_file(path):
                continue
            file = path.relative_to(folder).as_posix()
            if not any("\ud800" <= letter <= "\udfff" for letter in file):  # bytes that are no text
                yield from tunes(path, file)
            else:
                shown = os.fsencode(path).decode("utf-8", "backslashreplace")
                _logger.warning("%s is left out: its name is not UTF-8; rename it.", shown)


def entries(one: Embedding) -> list[Entry]:
    """What the vectors of a file are, for the store."""
    kind: Kind = "image" if one.kind == "image" else "notes"
    if kind == "image":
        return [Entry(kind, n, page=place.page, system=place.first) for n, place in enumerate(one.places)]
    return [Entry(kind, n, first_bar=place.first, end_bar=place.end) for n, place in enumerate(one.places)]


def search(
    store: Store, sim: Sim, query: Path, top: int = 10, folder: Path | None = None, check: int = 3
) -> list[Found]:
    """What in an index is, or shows, the music of a file.

    Args:
        store: the index.
        sim: a model with the weights of the index.
        query: a file of notes or a picture.
        top: answers.
        folder: that was indexed; with it the first answers of the other kind are read together with the query.
        check: how many.

    Raises:
        BadInput: the query cannot be read, no answer is asked for, or the index is of other weights.
    """
    if top < 1:
        raise BadInput(f"top is {top}; it is a number of answers, from 1.")
    [asked] = sim.embed(query)
    if store.model_hash != sim.weights:
        raise BadInput("the index was made with other weights; search with those, or make a new index.")
    few = np.linspace(0, len(asked.vectors) - 1, min(len(asked.vectors), ASKED)).round().astype(int)
    likely = [file for kind in KINDS for file in _likely(store, asked.vectors[few], kind)]
    stored = ((file, *_stored(store, file)) for file in likely)
    some = [compared(asked, file, entries, vectors) for file, entries, vectors in stored if entries]
    found = sorted(some, key=lambda one: -one.similarity)[:top]
    return read_again(found, sim, query, folder, check) if folder is not None else found


def _likely(store: Store, vectors: Vectors, kind: Kind) -> list[str]:
    """The files of a kind that the vectors of a query are nearest to, the nearest first.

    Each kind is asked for itself: of many stretches of the same notes none would leave a place to a picture.
    """
    best: dict[str, float] = {}
    for hits in store.search(vectors, NEAR, kind):
        nearest: dict[str, float] = {}
        for hit in hits:
            nearest[hit.file] = max(nearest.get(hit.file, 0.0), hit.cosine)
        for file, cosine in nearest.items():
            best[file] = best.get(file, 0.0) + cosine
    return sorted(best, key=lambda file: (-best[file], file))[:COMPARED]


def _stored(store: Store, file: str) -> tuple[list[Entry], Vectors]:
    """What is stored of a file; nothing, where somebody has taken it out since it was found."""
    try:
        return store.get(file)
    except BadInput:
        if file in store.known():
            raise
        return [], np.zeros((0, store.width), dtype=np.float32)


def compared(asked: Embedding, file: str, known: Sequence[Entry], vectors: Vectors) -> Found:
    """A file of the index laid along a query, or the query along it."""
    kind = known[0].kind
    if kind == "notes":
        places = [Place(entry.first_bar or 0, entry.end_bar or 0) for entry in known]
        rows = asked.vectors if asked.kind == "image" else asked.vectors[row_of_lines(asked.places)]
        score, path = align(rows @ vectors.T, places)
        return Found(file, kind, round(score, 4), None, places[path[0]].first, places[path[-1]].end)
    if asked.kind == "notes":
        score, _ = align(vectors @ asked.vectors.T, asked.places)
    else:
        score = float((asked.vectors @ vectors.T).max(axis=1).mean())
    return Found(file, kind, round(score, 4), None, None, None)


def row_of_lines(places: Sequence[Place]) -> list[int]:
    """Stretches that follow each other from the first bar to the last, each the widest that begins where one ended."""
    chosen: list[int] = []
    widest: dict[int, int] = {}
    for number, place in enumerate(places):
        if place.first not in widest or place.end > places[widest[place.first]].end:
            widest[place.first] = number
    bar = min(widest)
    while bar <= max(widest):
        if bar in widest:
            chosen.append(widest[bar])
            bar = places[widest[bar]].end
        else:
            bar += 1
    return chosen


def read_again(found: Sequence[Found], sim: Sim, query: Path, folder: Path, check: int) -> list[Found]:
    """The first answers of the other kind read together with the query, and put in the order of what that says.

    They share the places that they held among the others. One that cannot be read any more stays as it was.
    """
    kind = kind_of(query)
    out = list(found)
    places: list[int] = []
    again: list[Found] = []
    for number, one in enumerate(found):
        path = folder / one.file
        if len(again) >= check or one.kind == kind or not file_of(path).is_file():
            continue
        image, notes = (query, path) if kind == "image" else (path, query)
        try:
            read = sim.match(image, notes)
        except BadInput as error:
            _logger.warning("%s", error)
            continue
        places.append(number)
        again.append(replace(one, probability=read.probability))
        if one.kind == "notes":  # a closer look than that of vectors
            first, end = min(s.first_bar for s in read.systems), max(s.end_bar for s in read.systems)
            again[-1] = replace(again[-1], first_bar=first, end_bar=end)
    for number, one in zip(places, sorted(again, key=lambda one: -(one.probability or 0.0)), strict=True):
        out[number] = one
    return out
