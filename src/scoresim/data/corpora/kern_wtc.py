"""Johann Sebastian Bach, the Well-Tempered Clavier; a prelude and its fugue are one work, as their BWV number."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap, _kern, _labels
from scoresim.data.corpora._item import Corpus, Item

_STYLE = "baroque keyboard"


def _items(root: Path) -> Iterator[Item]:
    return _kern.items(root, "Johann Sebastian Bach", lambda _, label: _asap.work_of(label), lambda path, row: _STYLE)


CORPUS = Corpus(
    name="kern_wtc",
    title="Bach, the Well-Tempered Clavier",
    citation=(
        "David Huron, Craig Stuart Sapp and others: Bach, the Well-Tempered Clavier, in Humdrum kern. "
        + _kern.CIPI_CITATION
    ),
    licence="None stated in the repository; the music is in the public domain.",
    source=_labels.SHARED.format(name="kern_wtc", origin="https://github.com/humdrum-tools/bach-wtc"),
    styles=(_STYLE,),
    find=_labels.finder("kern_wtc", "labels.csv", "kern/wtc1f01.krn"),
    items=_items,
)
