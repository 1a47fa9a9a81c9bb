"""ASAP, the scores: piano works from Bach to Prokofiev in MusicXML.

The score MIDI files of the set are no items: they repeat the scores. Its performances are
`asap_performances`, with the same works and the same split.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap
from scoresim.data.corpora._item import Corpus, Item


def _items(root: Path) -> Iterator[Item]:
    return _asap.items(root, "score")


CORPUS = Corpus(
    name="asap",
    title="ASAP, piano scores",
    citation=_asap.CITATION,
    licence=_asap.LICENCE,
    source=_asap.SOURCE,
    styles=_asap.STYLES,
    find=_asap.find,
    items=_items,
)
