"""String quartets by Haydn, Mozart and Beethoven; the work is the opus or Koechel number.

Sixteen works by three composers, too few for a style each: they share the style "classical quartet".
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import FORMATS, Corpus, Item

_STYLE = "classical quartet"
_COMPOSERS = {
    "haydn": "Joseph Haydn",
    "mozart": "Wolfgang Amadeus Mozart",
    "beethoven": "Ludwig van Beethoven",
}
_NOT_QUARTETS = frozenset({"mozart/k545"})  # a piano sonata, in music21_misc
_SUFFIXES = frozenset({".mxl", ".krn"})  # four movements of Beethoven's op. 18 no. 1 are there as both
_PREFIX = {"opus": "op", "k": "k"}
_OPUS = re.compile(r"^(opus|k)(\d+)(?:no(\d+))?$")


def _items(root: Path) -> Iterator[Item]:
    for folder, composer in _COMPOSERS.items():
        for path in sorted(path for path in (root / folder).rglob("*") if path.suffix in _SUFFIXES):
            relative = path.relative_to(root)
            name = relative.parts[1].removesuffix(".mxl")
            found = _OPUS.match(name)
            if found is None or f"{folder}/{name}" in _NOT_QUARTETS:
                continue
            work = f"{folder}/{_PREFIX[found[1]]}{found[2]}" + (f"-no{found[3]}" if found[3] else "")
            catalogue = {"opus": "op.", "k": "K."}[found[1]] + f" {found[2]}" + (f" no. {found[3]}" if found[3] else "")
            movement = re.sub(r"^movement(\d+)$", r", movement \1", path.stem) if len(relative.parts) > 2 else ""
            yield Item(
                id=str(relative.as_posix()),
                path=path,
                format=FORMATS[path.suffix],
                work=work,
                style=_STYLE,
                composer=composer,
                title=f"String Quartet {catalogue}{movement}",
            )


CORPUS = Corpus(
    name="quartets",
    title="Haydn, Mozart, Beethoven, string quartets",
    citation=_music21.CITATION,
    licence=_music21.LICENCE,
    source=_music21.SOURCE + ", haydn, mozart, beethoven",
    styles=(_STYLE,),
    find=_music21.folder(holds=tuple(_COMPOSERS)),
    items=_items,
)
