"""Johann Sebastian Bach, four-part chorales and chorales from the cantatas, motets, passions and oratorios.

The work is the BWV number: the chorales of one passion, an instrumental version beside a vocal one and the
early version of a cantata ("BWV 120a") all belong to the one work, since they share tunes and often
settings. Three chorales are there in MusicXML and in kern, as items of one work. The Prelude BWV 846, which
lies in the same folder, is no chorale and is in `music21_misc`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import FORMATS, Corpus, Item

_NAME = re.compile(r"^bwv(\d+)(.*)$")
_NOT_CHORALES = frozenset({"846"})
_STYLE = "bach chorale"


def _items(root: Path) -> Iterator[Item]:
    for path in sorted(root.iterdir()):
        found = _NAME.match(path.stem)
        if found is None or path.suffix not in FORMATS or found[1] in _NOT_CHORALES:
            continue
        yield Item(
            id=path.name,
            path=path,
            format=FORMATS[path.suffix],
            work=f"bach/bwv{found[1]}",
            style=_STYLE,
            composer="Johann Sebastian Bach",
            title=f"Chorale BWV {found[1]}{found[2]}",
        )


CORPUS = Corpus(
    name="bach_chorales",
    title="J. S. Bach, chorales",
    citation="Encoded by Margaret Greentree (jsbchorales.net), given to the music21 corpus. " + _music21.CITATION,
    licence=_music21.LICENCE,
    source=_music21.SOURCE + ", bach",
    styles=(_STYLE,),
    find=_music21.folder("bach"),
    items=_items,
)
