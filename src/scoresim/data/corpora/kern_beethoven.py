"""Ludwig van Beethoven, piano sonatas, one file per movement; the work is the sonata."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _asap, _kern, _labels
from scoresim.data.corpora._item import Corpus, Item

_STYLE = "classical piano"


def _items(root: Path) -> Iterator[Item]:
    return _kern.items(
        root,
        "kern_beethoven",
        "Ludwig van Beethoven",
        lambda stem: f"Beethoven/{stem.partition('-')[0]}",
        lambda _, label: _asap.work_of(label),
        lambda path, row: _STYLE,
    )


CORPUS = Corpus(
    name="kern_beethoven",
    title="Beethoven, piano sonatas",
    citation="Craig Stuart Sapp: Beethoven piano sonatas in Humdrum kern. " + _kern.CIPI_CITATION,
    licence=(
        "None stated in the repository (its sister repositories: CC BY-NC-SA 4.0); the music is in the public domain."
    ),
    source=_labels.PUBLISHED.format(
        what="A clone of the repository", origin="https://github.com/craigsapp/beethoven-piano-sonatas"
    ),
    styles=(_STYLE,),
    find=_labels.finder("kern_beethoven", "kern/sonata01-1.krn", also="beethoven-piano-sonatas"),
    items=_items,
)
