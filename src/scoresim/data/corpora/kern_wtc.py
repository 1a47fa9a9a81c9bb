"""Johann Sebastian Bach, the Well-Tempered Clavier; a prelude and its fugue are one work, as their BWV number."""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap, _kern, _labels
from scoresim.data.corpora._item import Corpus, Item

_STYLE = "baroque keyboard"
_NAMED = re.compile(r"wtc[12][pf]\d\d")


_FIRST = {"1": 846, "2": 870}  # BWV numbers of the first pair of each book


def _label(stem: str) -> str:
    """Work label of a file such as "wtc1f08": book, prelude or fugue, number."""
    return f"Bach/bwv{_FIRST[stem[3]] + int(stem[5:7]) - 1}" if _NAMED.fullmatch(stem) else f"Bach/{stem}"


def _items(root: Path) -> Iterator[Item]:
    return _kern.items(
        root,
        "kern_wtc",
        "Johann Sebastian Bach",
        _label,
        lambda _, label: _asap.work_of(label),
        lambda path, row: _STYLE,
    )


CORPUS = Corpus(
    name="kern_wtc",
    title="Bach, the Well-Tempered Clavier",
    citation=(
        "David Huron, Craig Stuart Sapp and others: Bach, the Well-Tempered Clavier, in Humdrum kern. "
        + _kern.CIPI_CITATION
    ),
    licence="None stated in the repository; the music is in the public domain.",
    source=_labels.PUBLISHED.format(
        what="A clone of the repository", origin="https://github.com/humdrum-tools/bach-wtc"
    ),
    styles=(_STYLE,),
    find=_labels.finder("kern_wtc", "kern/wtc1f01.krn", also="bach-wtc"),
    items=_items,
)
