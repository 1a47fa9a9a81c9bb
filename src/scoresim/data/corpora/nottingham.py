"""The Nottingham folk tunes in ABC, one tune per file; `nottingham_midi` has them as MIDI with chords."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _nottingham
from scoresim.data.corpora._item import Corpus, Item


def _items(root: Path) -> Iterator[Item]:
    return _nottingham.items(root, "abc")


CORPUS = Corpus(
    name="nottingham",
    title="Nottingham tunes in ABC",
    citation=_nottingham.CITATION,
    licence=_nottingham.LICENCE,
    source=_nottingham.SOURCE,
    styles=(_nottingham.STYLE,),
    find=_nottingham.find,
    items=_items,
)
