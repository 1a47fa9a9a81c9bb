"""Sources of scores, one module each; a module without a leading underscore in this folder is a corpus.

To add one, write ``NAME.py`` with a ``CORPUS`` (see `Corpus`): citation, licence, styles, a ``find`` that
looks for its files and an ``items`` that lists them. Nothing here parses scores: listing a source reads
file names and the few header lines that name a work. The default sources are read from the installed
music21 package by their file paths; music21 itself is never imported.
"""

import importlib
import pkgutil

from scoresim.data.corpora._abc import abc_text, split_abc
from scoresim.data.corpora._item import FORMATS, Corpus, Item
from scoresim.errors import BadInput

__all__ = ["FORMATS", "Corpus", "Item", "abc_text", "get", "names", "split_abc"]


def names() -> list[str]:
    """Names of all corpora, in alphabetical order."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))


def get(name: str) -> Corpus:
    """Return the corpus of that name.

    Raises:
        BadInput: no corpus has that name; the message lists those that are known.
    """
    known = names()
    if name not in known:
        raise BadInput(f"There is no corpus {name!r}; the known ones are: {', '.join(known)}.")
    corpus = importlib.import_module(f"{__name__}.{name}").CORPUS
    assert isinstance(corpus, Corpus)
    return corpus
