"""Wolfgang Amadeus Mozart, piano sonatas, one file per movement or variation; the work is the sonata.

The files count as the old complete edition does: its 15 is K. 545, 16 is K. Anh. 136 (doubtful), 17 is
K. 576 (reference records SCT of the files); up to 14 they agree with today's numbers.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap, _kern, _labels
from scoresim.data.corpora._item import Corpus, Item

_STYLE = "classical piano"
_OLD = {"Mozart/sonata15": "mozart/k545", "Mozart/sonata16": "mozart/kanh136", "Mozart/sonata17": "mozart/k576"}


def _work(_: Path, label: str) -> str:
    return _OLD.get(label) or _asap.work_of(label)


def _items(root: Path) -> Iterator[Item]:
    return _kern.items(
        root,
        "kern_mozart",
        "Wolfgang Amadeus Mozart",
        lambda stem: f"Mozart/{stem.partition('-')[0]}",
        _work,
        lambda path, row: _STYLE,
    )


CORPUS = Corpus(
    name="kern_mozart",
    title="Mozart, piano sonatas",
    citation="Craig Stuart Sapp: Mozart piano sonatas in Humdrum kern. " + _kern.CIPI_CITATION,
    licence="CC BY-NC-SA 4.0 (LICENSE.txt).",
    source=_labels.PUBLISHED.format(
        what="A clone of the repository", origin="https://github.com/craigsapp/mozart-piano-sonatas"
    ),
    styles=(_STYLE,),
    find=_labels.finder("kern_mozart", "kern/sonata01-1.krn", also="mozart-piano-sonatas"),
    items=_items,
)
