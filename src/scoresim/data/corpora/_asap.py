"""The ASAP set: what its scores and its performances share."""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import FORMATS, Item, safe_id
from scoresim.data.corpora._styles import KEYBOARD, keyboard
from scoresim.data.corpora._works import work

CITATION = (
    "Francesco Foscarin, Andrew McLeod, Philippe Rigaux, Florent Jacquemard, Masahiko Sakai: ASAP: a dataset of "
    "aligned scores and performances for piano transcription. ISMIR 2020, pp. 534-541."
)
LICENCE = "CC BY-NC-SA 4.0 (README of the repository)."
SOURCE = _labels.SHARED.format(name="asap", origin="https://github.com/fosfrancesco/asap-dataset")
STYLES = tuple(style for style in KEYBOARD if style != "piano")
find = _labels.finder("asap", "labels.csv", "Bach")

NAMES = {
    "Bach": "Johann Sebastian Bach",
    "Balakirev": "Mily Balakirev",
    "Beethoven": "Ludwig van Beethoven",
    "Brahms": "Johannes Brahms",
    "Chopin": "Frederic Chopin",
    "Debussy": "Claude Debussy",
    "Glinka": "Mikhail Glinka",
    "Haydn": "Joseph Haydn",
    "Liszt": "Franz Liszt",
    "Mozart": "Wolfgang Amadeus Mozart",
    "Prokofiev": "Sergei Prokofiev",
    "Rachmaninoff": "Sergei Rachmaninoff",
    "Ravel": "Maurice Ravel",
    "Schubert": "Franz Schubert",
    "Schumann": "Robert Schumann",
    "Scriabin": "Alexander Scriabin",
}
# names of the set that no title of other sources has
_NAMED = {
    "Liszt/Sonata": "Sonata, S. 178",
    "Mozart/Fantasie_475": "Fantasie, K. 475",
    "Glinka/The_Lark": "The Lark",
}
_SONATA = re.compile(r"^sonata0*(\d+)$")
_OPUS = re.compile(r"^op(\d+)_0*(\d+)$")


def work_of(label: str) -> str:
    """Canonical work of a work label of these sets, such as "Beethoven/sonata01", "Chopin/op10_010"."""
    composer, _, name = label.partition("/")
    sonata, opus = _SONATA.match(name), _OPUS.match(name)
    if sonata:
        number = {"Haydn": "Hob. XVI:", "Schubert": "D. "}.get(composer, "No. ") + sonata[1]
        return work(composer, f"Piano Sonata, {number}")
    return work(composer, f"Op. {opus[1]} No. {opus[2]}" if opus else _NAMED.get(label, name))


def items(root: Path, kind: str) -> Iterator[Item]:
    """Items of one kind of file: ``score`` or ``performance``."""
    for path, row in _labels.listed(root, "split", "kind", "composer", "work", "folder"):
        if row["kind"] != kind:
            continue
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format=FORMATS[path.suffix.lower()],
            work=work_of(row["work"]),
            style=keyboard(composer_key(row["composer"])),
            composer=NAMES.get(row["composer"], row["composer"]),
            title=row["folder"].replace("_", " "),
            split=_labels.split_of(row),
            labels=_labels.labels(row, "performer", "few_works", maestro="from_maestro"),
        )
