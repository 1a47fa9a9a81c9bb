"""Bela Bartok, Mikrokosmos (Sz. 107), with a grade of difficulty per piece.

``difficulty`` is 0 for beginners, 1 moderate, 2 professional. The set has no single split: its authors publish
fifty random ones (splits.json), for the mean over them.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item, safe_id

_STYLE = "modern piano"


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "difficulty", "title"):
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="mxl",
            work=f"bartok/sz107-no{int(path.stem)}",
            style=_STYLE,
            composer="Bela Bartok",
            title=f"Mikrokosmos {int(path.stem)}: {row['title']}",
            labels=_labels.labels(row, "difficulty", "henle", "book", "time_signature"),
        )


CORPUS = Corpus(
    name="mikrokosmos",
    title="Bartok, Mikrokosmos with grades of difficulty",
    citation=(
        "Pedro Ramoneda, Nazif Can Tamer, Vsevolod Eremenko, Xavier Serra, Marius Miron: Score difficulty analysis "
        "for piano performance education based on fingering. ICASSP 2022, pp. 201-205."
    ),
    licence=(
        "None stated in the repository; the music is in the public domain where the term is life plus 70 years, and "
        "under copyright in the United States: research use, do not redistribute."
    ),
    source=_labels.SHARED.format(name="mikrokosmos", origin="https://github.com/PRamoneda/Mikrokosmos-difficulty"),
    styles=(_STYLE,),
    find=_labels.finder("mikrokosmos", "labels.csv", "mxl", "splits.json"),
    items=_items,
)
