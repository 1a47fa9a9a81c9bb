"""Polyphony of the fourteenth and early fifteenth century from the volumes of PMFC.

Italian pieces (style "trecento": Landini, Jacopo, Giovanni, Ciconia, mass movements of volumes 12, 13 and
24) and French ones (style "ars nova": Vitry's motets of volume 1, the Kyries of Apt and Barcelona in volume
23). The work is the number in its volume; versions a and b of one number, from two manuscripts, are one
work.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _music21
from scoresim.data.corpora._item import FORMATS, Corpus, Item, safe_id, slug

_FRENCH = ("PMFC_01", "PMFC_23")
_NUMBER = re.compile(r"^PMFC_(\d+)[-_](Jacopo|Giovanni|Piero)?[-_]?(\d+)?[ab]?[-_ ]?(.*)$")
# Kyrie "Summe clementissime" stands in two volumes; PMFC_06_8 and _10 are by Jacopo
_SAME = {"pmfc-23-22": "pmfc-13-1", "pmfc-6-8": "pmfc-6-jacopo-8", "pmfc-6-10": "pmfc-6-jacopo-10"}
_COMPOSERS = {
    "PMFC_01": "Philippe de Vitry",
    "PMFC_04": "Francesco Landini",
    "PMFC_06_8": "Jacopo da Bologna",
    "PMFC_06_10": "Jacopo da Bologna",
    "Jacopo": "Jacopo da Bologna",
    "Giovanni": "Giovanni da Cascia",
    "Piero": "Piero",
    "PMFC_24": "Johannes Ciconia",
    "Gherardello": "Gherardello da Firenze",
    "Lorenzo": "Lorenzo da Firenze",
    "Gratiosus": "Gratiosus da Padova",
    "Egardus": "Egardus",
    "Bartholus": "Bartholus de Florentia",
    "Phillippoctus": "Philippoctus de Caserta",
    "PMFC_23_18": "Chipre",
    "PMFC_23_19": "Perrinet",
    "PMFC_23_21": "Guymont",
    "PMFC_23_22": "Johannes Graneti",
    "PMFC_13_01": "Johannes Graneti",
}


def _items(root: Path) -> Iterator[Item]:
    for path in sorted(root.iterdir()):
        if path.suffix not in FORMATS:
            continue
        work, title = _work_and_title(path.stem)
        yield Item(
            id=safe_id(path.name),
            path=path,
            format=FORMATS[path.suffix],
            work=f"trecento/{work}",
            style="ars nova" if path.name.startswith(_FRENCH) else "trecento",
            composer=next((name for part, name in _COMPOSERS.items() if part in path.name), "anonymous"),
            title=title,
        )


def _work_and_title(stem: str) -> tuple[str, str]:
    """Key of the work and title, from a file name such as "PMFC_06_Giovanni-07_In_Sulla_Ripa"."""
    found = _NUMBER.match(stem)
    if found is None:
        return slug(stem.replace("_", " ")), stem.replace("_", " ")
    volume, composer, number, rest = found.groups()
    title = rest.replace("_", " ").strip()
    key = "-".join(part for part in (str(int(volume)), composer, str(int(number)) if number else slug(title)) if part)
    work = f"pmfc-{key.lower()}"
    return _SAME.get(work, work), title


CORPUS = Corpus(
    name="trecento",
    title="Polyphony of the Trecento and the Ars nova",
    citation=(
        "Encoded by Michael Scott Cuthbert and students after Polyphonic Music of the Fourteenth "
        "Century (PMFC), "
        "Editions de l'Oiseau-Lyre. " + _music21.CITATION
    ),
    licence=_music21.LICENCE,
    source=_music21.SOURCE + ", trecento",
    styles=("trecento", "ars nova"),
    find=_music21.folder("trecento"),
    items=_items,
)
