"""Frederic Chopin, first editions; the editions of one piece are one work.

Mazurkas of op. 6 and 7 are one work and so are op. 41 and op. 72, since the editions order and number them
differently. Parts of chamber works and the songs carry the styles of their kind; piano parts of the concertos
are "romantic piano".
"""

import re
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


# works of several movements or parts, whose files are numbered
_WHOLE = frozenset({4, 8, 11, 12, 18, 21, 35, 36, 41, 45, 58, 60, 65, 72})
_NAMED = re.compile(r"(?P<opus>\d{3})(?:_(?P<from>\d+)[^-]*|[a-z]+)?-.*?(?:-(?P<number>\d{3}))?(?:-[a-z]+)?")


def _label(stem: str) -> str:
    """Work label of a file such as "028-1-BH-004": opus, impression, publisher, number."""
    found = _NAMED.fullmatch(stem)
    if found is None:
        return f"Chopin/{stem.partition('-')[0]}"
    opus, number = int(found["opus"]), found["number"] or found["from"]
    if opus in (6, 7):
        return "Chopin/op6-7"
    return f"Chopin/op{opus}" if number is None or opus in _WHOLE else f"Chopin/op{opus}_{int(number):03}"


def _work(_: Path, label: str) -> str:
    if label in _TITLES:
        return work("Chopin", _TITLES[label])
    return _asap.work_of(label)


def _style(path: Path, row: dict[str, str]) -> str:
    if row["work"] in _CHAMBER_WORKS or path.stem.endswith(("-violino", "-violoncello", "-violin")):
        return _CHAMBER
    return _SONG if row["form"] == "Song" or row["work"].startswith("Chopin/op74") else _PIANO


def _items(root: Path) -> Iterator[Item]:
    return _kern.items(root, "kern_chopin", "Frederic Chopin", _label, _work, _style)


CORPUS = Corpus(
    name="kern_chopin",
    title="Chopin, first editions",
    citation="The Fryderyk Chopin Institute: Chopin first editions in Humdrum kern. " + _kern.CIPI_CITATION,
    licence="CC BY 4.0 (LICENSE.txt).",
    source=_labels.PUBLISHED.format(
        what="A clone of the repository", origin="https://github.com/pl-wnifc/humdrum-chopin-first-editions"
    ),
    styles=(_PIANO, _CHAMBER, _SONG),
    find=_labels.finder("kern_chopin", "kern/001-1-BRZ.krn", also="humdrum-chopin-first-editions"),
    items=_items,
)
