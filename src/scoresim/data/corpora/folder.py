"""Any folder of scores: MusicXML, Humdrum, ABC, MEI and MIDI files, by their names, in all its subfolders.

The work is the file's path without its suffix, so that ``a.mid`` and ``a.musicxml`` are one work; a tune of
an ABC book with several tunes is a work by its title within the book. Nothing is judged here: a file that
is broken, or no score at all, is listed like the others and refused by whoever reads it. Links that lead
out of the folder and linked folders are not followed.
"""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scoresim.data.corpora._abc import field, read_book
from scoresim.data.corpora._item import FORMATS, Corpus, Item, safe_id, slug
from scoresim.data.corpora._recorded import named
from scoresim.errors import BadInput

_STYLE = "unknown"


def _find(path: Path | None) -> Path | None:
    return path if path is not None and path.is_dir() else None


def _items(root: Path) -> Iterator[Item]:
    for relative in _files(root):
        yield from items_of(root / relative, relative)


def items_of(path: Path, name: PurePosixPath, first: int = 0) -> Iterator[Item]:
    """The piece in a file, or the tunes of a tune book from the `first` on; `name` is what the file is called."""
    stem = name.with_suffix("")
    whole = Item(
        id=safe_id(name),
        path=path,
        format=FORMATS[name.suffix.lower()],
        work=f"folder/{safe_id(stem)}",
        style=_STYLE,
        composer="unknown",
        title=stem.name.encode("utf-8", "replace").decode(),
    )
    yield from _tunes(whole, first) if whole.format == "abc" else [whole]


def _files(root: Path) -> list[PurePosixPath]:
    """Paths of all scores under root, relative to it, in the order of their parts."""
    inside = root.resolve()
    found = []
    for folder, _, names in os.walk(root, onerror=_refuse):
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() not in FORMATS or not path.is_file():
                continue  # is_file also keeps away from pipes, which would hang the reader
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                continue
            found.append(PurePosixPath(path.relative_to(root).as_posix()))
    return sorted(found, key=lambda path: path.parts)


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed would silently cost all files in it."""
    raise BadInput(f"{error.filename} cannot be listed: {error.strerror}.") from error


def _tunes(whole: Item, first: int) -> Iterator[Item]:
    try:
        book = read_book(whole.path)
    except (OSError, ValueError):
        book = ()  # the reader refuses the file, with the reason
    if not book and not first:
        yield whole
    for index in range(first, len(book)):
        tune = book[index]
        title = field(tune, "T")
        yield Item(
            id=f"{whole.id}/{index:04d}",
            path=whole.path,
            format="abc",
            work=whole.work if len(book) == 1 else f"{whole.work}/{_local(title) or index}",
            style=_STYLE,
            composer=field(tune, "C") or whole.composer,
            title=title or whole.title,
            part_of_file=index,
        )


def _local(title: str) -> str:
    """A title as a name within its book; what has letters that are not Latin is told from others by its hash."""
    latin = all("LATIN" in unicodedata.name(letter, "") for letter in title if letter.isalpha())
    return "" if not title else slug(title) if latin else named(title)


CORPUS = Corpus(
    name="folder",
    title="Any folder of scores (give its path)",
    citation="None: the files are yours; cite their sources.",
    licence="As the files in the folder say.",
    source="folder=PATH",
    styles=(_STYLE,),
    find=_find,
    items=_items,
)
