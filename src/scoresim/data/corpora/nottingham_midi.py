"""The Nottingham folk tunes as MIDI, melody and chords on two tracks; works as in `nottingham`."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _nottingham
from scoresim.data.corpora._item import Corpus, Item


def _items(root: Path) -> Iterator[Item]:
    return _nottingham.items(root, "file")


CORPUS = Corpus(
    name="nottingham_midi",
    title="Nottingham tunes as MIDI",
    citation=_nottingham.CITATION,
    licence=_nottingham.LICENCE,
    source=_nottingham.SOURCE,
    styles=(_nottingham.STYLE,),
    find=_nottingham.find,
    items=_items,
)
