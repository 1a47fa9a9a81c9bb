"""Francis O'Neill, Music of Ireland (1903): airs, jigs, reels, hornpipes and marches in ABC.

Several people transcribed the book, and some of the files overlap. The work is the tune: two settings with
one title are one work, and so are two transcriptions of one number of the book.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._abc import abc_text, field, tunes
from scoresim.data.corpora._item import Corpus, Item
from scoresim.data.corpora._works import tune

_STYLE = "irish tune"


def _items(root: Path) -> Iterator[Item]:
    found = [(item, field(abc_text(item), "X")) for item in tunes(sorted(root.glob("*.abc")), "oneill", _STYLE, tune)]
    parent: dict[str, str] = {}

    def first(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for item, number in found:
        if number.isdigit():
            parent[first(f"number {number}")] = first(item.work)
    for item, _ in found:
        yield replace(item, work=first(item.work))


CORPUS = Corpus(
    name="oneill_1850",
    title="O'Neill's Music of Ireland, 1850 tunes",
    citation=(
        "Francis O'Neill: Music of Ireland, Chicago 1903; transcribed by the volunteers of the "
        "O'Neill's ABC project "
        "(named in every tune's Z field). " + _music21.CITATION
    ),
    licence="The book is out of copyright; the files state no licence of their own. " + _music21.LICENCE,
    source=_music21.SOURCE + ", oneills1850",
    styles=(_STYLE,),
    find=_music21.folder("oneills1850"),
    items=_items,
)
