"""Small scores that music21 holds to show and test notation: tuplets, voices, drums, chord symbols, exercises.

They are no repertoire, so their style is "unknown"; but they are scores, and every way of writing they test is
one that a reader meets.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import FORMATS, Corpus, Item, safe_id, slug

_STYLE = "unknown"
_FOLDERS = ("demos", "theoryExercises")


def _items(root: Path) -> Iterator[Item]:
    for folder in _FOLDERS:
        for path in sorted((root / folder).glob("*")):
            if path.suffix not in (".mxl", ".xml", ".musicxml"):
                continue
            yield Item(
                id=safe_id(f"{folder}/{path.name}"),
                path=path,
                format=FORMATS[path.suffix],
                work=f"music21-demo/{slug(path.stem)}",
                style=_STYLE,
                composer="unknown",
                title=path.stem,
            )


CORPUS = Corpus(
    name="music21_demos",
    title="music21, demonstrations and exercises",
    citation=_music21.CITATION,
    licence=_music21.LICENCE,
    source=_music21.SOURCE + ", demos, theoryExercises",
    styles=(_STYLE,),
    find=_music21.folder(holds=_FOLDERS),
    items=_items,
)
