"""ASAP, the performances: recordings on computer-controlled pianos, as MIDI.

Each is a performance of a score of `asap` and shares its work. The label ``maestro`` is 1 where the
recording is in MAESTRO too. The copy has no annotations of the performances' beats.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap
from scoresim.data.corpora._item import Corpus, Item


def _items(root: Path) -> Iterator[Item]:
    return _asap.items(root, "performance")


CORPUS = Corpus(
    name="asap_performances",
    title="ASAP, piano performances (MIDI)",
    citation=_asap.CITATION,
    licence=_asap.LICENCE,
    source=_asap.SOURCE,
    styles=_asap.STYLES,
    find=_asap.find,
    items=_items,
)
