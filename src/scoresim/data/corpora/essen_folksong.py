"""The Essen folk song collection, in ABC: songs of Germany and its neighbours, and of China.

The style is the region that ``O:`` names. The work is the title: the collection holds dozens of variants of
one ballad under one title, and a split may not tear them apart. Where another tune
book has a song of that title, it is the same work.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._abc import field, tunes
from scoresim.data.corpora._item import Corpus, Item
from scoresim.data.corpora._works import tune

_OTHER = "other folk song"
# The first word found in the origin decides. The Lorraine songs (Pinck) come before Germany: their origin
# often reads "Deutschland / Frankreich, Lothringen".
_REGIONS = {
    "china": "chinese folk song",
    "lothringen": "lorraine folk song",
    "deutschland": "german folk song",
    "oesterreich": "alpine folk song",
    "tirol": "alpine folk song",
    "steiermark": "alpine folk song",
    "niederlande": "dutch folk song",
    "schweiz": "alpine folk song",
}


def _style(path: Path, tune: str) -> str:
    if path.name.startswith("han"):
        return "chinese folk song"
    origin = field(tune, "O").lower()
    return next((style for word, style in _REGIONS.items() if word in origin), _OTHER)


def _items(root: Path) -> Iterator[Item]:
    return tunes(sorted(root.glob("*.abc")), "essen", _style, tune)


CORPUS = Corpus(
    name="essen_folksong",
    title="Essen folk song collection",
    citation=(
        "Helmut Schaffrath: The Essen Folksong Collection, continued by Ewa Dahlig-Turek "
        "(https://www.esac-data.org); "
        "ABC by Seymour Shlien (https://ifdo.ca/~seymour/runabc/esac/esacdatabase.html). " + _music21.CITATION
    ),
    licence=(
        "Legal status unclear, since many people entered the data; Ewa Dahlig-Turek permits non-commercial "
        "distribution and use in music21 (corpus/essenFolksong/license.txt)."
    ),
    source=_music21.SOURCE + ", essenFolksong",
    styles=tuple(dict.fromkeys([*_REGIONS.values(), _OTHER])),
    find=_music21.folder("essenFolksong"),
    items=_items,
)
