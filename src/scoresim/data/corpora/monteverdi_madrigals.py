"""Claudio Monteverdi, madrigals of Books III, IV and V.

A file is one number of the printed book. Some madrigals go on over several numbers (prima, seconda, terza
parte): those are one work.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import Corpus, Item

_STYLE = "monteverdi madrigal"
# book -> (first, last) number of every madrigal in several parts
_CYCLES = {
    3: ((8, 10), (15, 17), (19, 20)),  # Vattene pur, crudel; Vivro fra i miei tormenti; Rimanti in pace
    4: ((6, 7),),  # Anima mia, perdona
    5: ((4, 8),),  # Ecco, Silvio
}


def _items(root: Path) -> Iterator[Item]:
    # one madrigal is there in an older encoding too ("_old"), of the same work
    found = [(re.fullmatch(r"madrigal\.(\d+)\.(\d+)(?:_old)?", path.stem), path) for path in root.glob("*.mxl")]
    for book, number, path in sorted((int(name[1]), int(name[2]), path) for name, path in found if name):
        first = next((a for a, b in _CYCLES.get(book, ()) if a <= number <= b), number)
        yield Item(
            id=path.name,
            path=path,
            format="mxl",
            work=f"monteverdi/madrigal-{book}-{first}",
            style=_STYLE,
            composer="Claudio Monteverdi",
            title=f"Madrigals, Book {book}, no. {number}",
        )


CORPUS = Corpus(
    name="monteverdi_madrigals",
    title="Monteverdi, madrigals of Books III-V",
    citation=_music21.CITATION,
    licence=_music21.LICENCE + " A few files name the printed edition that they follow (Ut Orpheus 2003).",
    source=_music21.SOURCE + ", monteverdi",
    styles=(_STYLE,),
    find=_music21.folder("monteverdi"),
    items=_items,
)
