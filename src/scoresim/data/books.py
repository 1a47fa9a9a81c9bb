"""Books of ABC tunes: every tune has an address of its own, ``book.abc#3`` for the third.

An address stands wherever the path of a file of notes does. A book that is given without one is read as its first tune.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from scoresim.data.corpora._abc import count_tunes, field, read_tune
from scoresim.errors import BadInput

MOST = 20_000  # tunes of a book: the largest that are published have some thousands
_ADDRESS = re.compile(r"(?P<file>.+\.abc)#(?P<tune>[1-9][0-9]{0,5})", re.IGNORECASE | re.DOTALL)


def parted(path: Path) -> tuple[Path, int | None]:
    """The file of an address, and which of its tunes is meant, from 0; a path that is no address, and None."""
    found = _ADDRESS.fullmatch(path.name)
    return (path, None) if found is None else (path.with_name(found["file"]), int(found["tune"]) - 1)


def file_of(path: Path) -> Path:
    """The file of an address; of any other path, that path."""
    return parted(path)[0]


def tunes_in(path: Path) -> int:
    """How many tunes a file holds; 1 for what is no book of tunes, or cannot be opened: its reader says why.

    Raises:
        BadInput: it holds too many.
    """
    if (count := _count(path)) > MOST:
        raise BadInput(f"{path} holds {count} tunes; scoresim reads books of {MOST}: give it in parts.")
    return count


def _count(path: Path) -> int:
    """As `tunes_in`, however many."""
    try:
        return max(count_tunes(path), 1) if path.suffix.lower() == ".abc" else 1
    except (OSError, ValueError):
        return 1


def addresses(path: Path) -> list[Path]:
    """A file, or the addresses of its tunes where it is a book of several.

    Raises:
        BadInput: as `tunes_in`.
    """
    count = tunes_in(path)
    return [path] if count == 1 else [path.with_name(f"{path.name}#{tune + 1}") for tune in range(count)]


def only_first(paths: Iterable[Path]) -> list[str]:
    """What is said where a book was given without an address: a sentence for each."""
    counts = [_count(path) for path in paths]
    return [f"The file is a book of {count} tunes, of which this is the first." for count in counts if count > 1]


def title_of(path: Path) -> str:
    """The title of the tune at an address; empty where there is none, and for any other path."""
    file, tune = parted(path)
    try:
        return "" if tune is None else field(read_tune(file, tune), "T")
    except (OSError, ValueError, IndexError):
        return ""


def sole(path: Path) -> Path:
    """The path, where it says which music is meant.

    Raises:
        BadInput: it is a book of several tunes, or as `tunes_in`.
    """
    if (count := tunes_in(path)) > 1:
        raise BadInput(f"{path} is a book of {count} tunes; give one of them, from {path}#1 to {path}#{count}.")
    return path


def each_tune(paths: Iterable[Path]) -> list[Path]:
    """Files in their order, books of tunes as their tunes.

    Raises:
        BadInput: as `tunes_in`.
    """
    return [one for path in paths for one in addresses(path)]
