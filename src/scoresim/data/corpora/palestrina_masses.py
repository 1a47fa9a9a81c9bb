"""Giovanni Pierluigi da Palestrina, the masses.

1318 sections in Humdrum kern. The work is the mass, as the reference record ``!!!OPR`` names it with its
print or book in brackets; the sections of Kyrie, Gloria, Credo, Sanctus and Agnus Dei of one mass are one
work.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import Corpus, Item, safe_id, slug

_STYLE = "palestrina mass"
_RECORD = re.compile(r"^!!!(OPR|OMD|OTL):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_HEADER_BYTES = 1024


def _items(root: Path) -> Iterator[Item]:
    for path in sorted(root.glob("*.krn")):
        with path.open("rb") as file:
            records = dict(_RECORD.findall(file.read(_HEADER_BYTES).decode("latin-1").replace("\r", "")))
        mass = records.get("OPR", "")
        section = ", ".join(part for part in (records.get("OMD"), records.get("OTL")) if part)
        yield Item(
            id=safe_id(path.name),
            path=path,
            format="kern",
            work=f"palestrina/{slug(mass or path.stem)}",
            style=_STYLE,
            composer="Giovanni Pierluigi da Palestrina",
            title=f"{mass}: {section}" if section else mass,
        )


CORPUS = Corpus(
    name="palestrina_masses",
    title="Palestrina, masses",
    citation=(
        "John Miller: The Palestrina masses in Humdrum (encoded 1992-2000 from Le Opere "
        "Complete, converted to kern by "
        "Bret Aarden). " + _music21.CITATION
    ),
    licence=(
        "Copyright 2000 John Miller, 'rights to all derivative electronic formats reserved', licence at "
        "music-cog.ohio-state.edu/HumdrumDatabases/Palestrina/license.txt (header of every file). " + _music21.LICENCE
    ),
    source=_music21.SOURCE + ", palestrina",
    styles=(_STYLE,),
    find=_music21.folder("palestrina"),
    items=_items,
)
