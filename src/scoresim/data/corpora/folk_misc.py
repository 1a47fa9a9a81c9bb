"""Smaller tune books in ABC: American fife, Northumbrian Minstrelsy, two Nottingham tunes."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._abc import tunes
from scoresim.data.corpora._item import Corpus, Item
from scoresim.data.corpora._works import tune

# path -> (collection, style, tune)
_BOOKS = {
    "miscFolk/americanfifeopus.abc": ("american-fife", "american fife tune"),
    "miscFolk/northumbrianminstrelsyopus.abc": ("northumbrian-minstrelsy", "northumbrian tune"),
    "nottingham-dataset/reelsa-c.abc": ("nottingham", "english fiddle tune"),
}


def _items(root: Path) -> Iterator[Item]:
    for name, (collection, style) in _BOOKS.items():
        if (root / name).is_file():
            yield from tunes([root / name], collection, style, tune)


CORPUS = Corpus(
    name="folk_misc",
    title="American fife, Northumbrian and Nottingham tunes",
    citation=(
        "Colonial and Civil War American fife music, and J. C. Bruce and J. Stokoe: Northumbrian "
        "Minstrelsy (1882), "
        "both edited in ABC by Jack Campin (https://www.campin.me.uk); Eric Foxley: Nottingham "
        "Music Database. " + _music21.CITATION
    ),
    licence="The tunes are traditional; the files state no licence of their own. " + _music21.LICENCE,
    source=_music21.SOURCE + ", miscFolk, nottingham-dataset",
    styles=tuple(style for _, style in _BOOKS.values()),
    find=_music21.folder(holds=tuple(_BOOKS)),
    items=_items,
)
