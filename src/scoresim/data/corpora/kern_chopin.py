"""Frederic Chopin, first editions; the editions of one piece are one work.

Mazurkas of op. 6 and 7 are one work and so are op. 41 and op. 72, since the editions order and number them
differently. Parts of chamber works and the songs carry the styles of their kind; piano parts of the concertos
are "romantic piano".
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap, _kern, _labels
from scoresim.data.corpora._item import Corpus, Item
from scoresim.data.corpora._works import work

_PIANO, _CHAMBER, _SONG = "romantic piano", "romantic", "romantic song"
_CHAMBER_WORKS = frozenset({"Chopin/op3", "Chopin/op8", "Chopin/op65", "Chopin/GDC"})
# labels that are no opus number
_TITLES = {
    "Chopin/GDC": "Grand Duo concertant",
    "Chopin/PolGsharpm": "Polonaise in G-sharp minor",
    "Chopin/VGNA": "Variations on a German national air",
    "Chopin/WaltzEm": "Waltz in E minor",
    "Chopin/op6-7": "Op. 6",
}


def _work(_: Path, label: str) -> str:
    if label in _TITLES:
        return work("Chopin", _TITLES[label])
    return _asap.work_of(label)


def _style(path: Path, row: dict[str, str]) -> str:
    if row["work"] in _CHAMBER_WORKS or path.stem.endswith(("-violino", "-violoncello", "-violin")):
        return _CHAMBER
    return _SONG if row["form"] == "Song" else _PIANO


def _items(root: Path) -> Iterator[Item]:
    return _kern.items(root, "Frederic Chopin", _work, _style)


CORPUS = Corpus(
    name="kern_chopin",
    title="Chopin, first editions",
    citation="The Fryderyk Chopin Institute: Chopin first editions in Humdrum kern. " + _kern.CIPI_CITATION,
    licence="CC BY 4.0 (LICENSE.txt).",
    source=_labels.SHARED.format(
        name="kern_chopin", origin="https://github.com/pl-wnifc/humdrum-chopin-first-editions"
    ),
    styles=(_PIANO, _CHAMBER, _SONG),
    find=_labels.finder("kern_chopin", "labels.csv", "kern/001-1-BRZ.krn"),
    items=_items,
)
