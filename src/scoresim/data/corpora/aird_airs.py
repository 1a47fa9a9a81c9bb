"""James Aird, A Selection of Scotch, English, Irish and Foreign Airs, six books in ABC."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._abc import tunes
from scoresim.data.corpora._item import Corpus, Item
from scoresim.data.corpora._works import tune

_STYLE = "scottish air"


def _items(root: Path) -> Iterator[Item]:
    return tunes(sorted(root.glob("*.abc")), "aird", _STYLE, tune)


CORPUS = Corpus(
    name="aird_airs",
    title="Aird's Airs, six books",
    citation=(
        "James Aird: A Selection of Scotch, English, Irish and Foreign Airs, Glasgow 1778-1801; "
        "transcribed by Jack "
        "Campin (https://www.campin.me.uk). " + _music21.CITATION
    ),
    licence="The books are out of copyright; the files state no licence of their own. " + _music21.LICENCE,
    source=_music21.SOURCE + ", airdsAirs",
    styles=(_STYLE,),
    find=_music21.folder("airdsAirs"),
    items=_items,
)
