"""The contract of a source: what a corpus says of itself and of every piece in it."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scoresim.score.notes import Beats

FORMATS = {
    ".musicxml": "musicxml",
    ".xml": "musicxml",
    ".mxl": "mxl",
    ".krn": "kern",
    ".abc": "abc",
    ".mei": "mei",
    ".mid": "midi",
    ".midi": "midi",
}
"""File name suffix (lower case) -> format; a name is a claim, the reader checks it."""

# letters that Unicode does not take apart into a plain one and a sign
_PLAIN = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "ß": "ss", "æ": "ae", "Æ": "Ae", "’": "'"})
_ARTICLE_FIRST = re.compile(r"^(?:the|an?)\s+(?=\S)", re.IGNORECASE)
_ARTICLE_LAST = re.compile(r",\s*(?:the|an?)\W*$", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One piece, movement or tune: the unit that is engraved and cut into passages.

    Attributes:
        id: unique inside the corpus and stable between runs; characters ``[A-Za-z0-9_.-/]`` only.
        path: the file; several items may share one (the tunes of a tune book).
        format: ``musicxml``, ``mxl``, ``kern``, ``abc``, ``mei`` or ``midi``, as the file name claims.
        work: what a split may not tear apart, unique over all corpora: ``"<composer or collection>/<work>"``.
        style: one of the corpus' ``styles``.
        composer: name, or ``"anonymous"``, ``"traditional"``, ``"unknown"``.
        title: for people; may be empty.
        part_of_file: index of the tune in ``split_abc`` of the file, from 0; None where the file is one
            piece.
        split: ``train``, ``valid`` or ``test`` where the source has an official split, else None.
        labels: what the source says of the piece (key, emotion, difficulty, ...), name -> value as text.
    """

    id: str
    path: Path
    format: str
    work: str
    style: str
    composer: str
    title: str
    part_of_file: int | None = None
    split: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """One source of scores.

    Attributes:
        name: the module's name and the name on the command line.
        title: one line for people.
        citation: whom to cite.
        licence: what the source says of its use, in words.
        source: where it comes from (an address or a package).
        styles: every style that an item may carry.
        find: a path given by the user, or None for the default place -> the root folder, None when absent.
        items: root folder -> its items, always in the same order.
        beats: item -> its beats as the source annotates them, None where it does not; absent for a source
            that annotates none. Called in a worker, when the item is read.
    """

    name: str
    title: str
    citation: str
    licence: str
    source: str
    styles: tuple[str, ...]
    find: Callable[[Path | None], Path | None]
    items: Callable[[Path], Iterator[Item]]
    beats: Callable[[Item], Beats | None] | None = None


def slug(text: str) -> str:
    """Reduce a title to what two spellings of it share: no case, accents, articles or punctuation.

    >>> slug("The Rakes of Mallow."), slug("RAKES OF MALLOW, THE")
    ('rakes-of-mallow', 'rakes-of-mallow')
    """
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode().strip()
    plain = _ARTICLE_FIRST.sub("", _ARTICLE_LAST.sub("", plain))
    # an apostrophe joins (Jack's = Jacks), anything else separates
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "").lower()).strip("-") or "untitled"


def safe_id(relative: PurePosixPath | str) -> str:
    """Turn a path inside a corpus into an id of safe characters.

    A name that must be altered gets six digits of its hash, so that two names never meet in one id.
    """
    text = str(relative)
    safe = re.sub(r"[^A-Za-z0-9_./-]+", "_", text)
    if safe == text:
        return safe
    return f"{safe}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"
