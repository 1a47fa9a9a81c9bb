"""Ryan's Mammoth Collection (Boston 1883): reels, jigs, hornpipes, clogs for the fiddle, in ABC."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._abc import tunes
from scoresim.data.corpora._item import Corpus, Item
from scoresim.data.corpora._works import tune

_STYLE = "american fiddle tune"


def _items(root: Path) -> Iterator[Item]:
    return tunes(sorted(root.glob("*.abc")), "ryan", _STYLE, tune)


CORPUS = Corpus(
    name="ryan_mammoth",
    title="Ryan's Mammoth Collection, 1050 fiddle tunes",
    citation=(
        "William Bradbury Ryan: Ryan's Mammoth Collection, Elias Howe, Boston 1883; transcribed "
        "by Ray Davies, John "
        "Chambers and others (named in every tune's Z field). " + _music21.CITATION
    ),
    licence="The book is out of copyright; the files state no licence of their own. " + _music21.LICENCE,
    source=_music21.SOURCE + ", ryansMammoth",
    styles=(_STYLE,),
    find=_music21.folder("ryansMammoth"),
    items=_items,
)
