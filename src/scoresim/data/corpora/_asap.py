"""The ASAP set: what its scores and its performances share.

The set is read as its authors publish it, too, without a table of labels: works then come from the names of folders,
and there is no split.
"""

import re
from collections import Counter
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
SOURCE = _labels.PUBLISHED.format(
    what="A clone of the repository", origin="https://github.com/fosfrancesco/asap-dataset"
)
STYLES = tuple(style for style in KEYBOARD if style != "piano")
find = _labels.either(
    _labels.finder("asap", "labels.csv", "Bach"),
    _labels.finder("asap", "Bach/Prelude/bwv_846", "Beethoven/Piano_Sonatas", also="asap-dataset"),
)

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
_FEW = 3  # works: composers of fewer are no class
_KINDS = {"xml_score.musicxml": "score", "xml_score.mxl": "score", "midi_score.mid": "score_midi"}
# names of the set that no title of other sources has
_NAMED = {
    "Liszt/Sonata": "Sonata, S. 178",
    "Mozart/Fantasie_475": "Fantasie, K. 475",
    "Glinka/The_Lark": "The Lark",
}
_SONATA = re.compile(r"^sonata0*(\d+)$")
_OPUS = re.compile(r"^op(\d+)_0*(\d+)$")


# works of Chopin by their folders; an opus number behind other words names the work, too
_CHOPIN = {"Ballades/1": "op23", "Ballades/2": "op38", "Ballades/3": "op47", "Ballades/4": "op52"}
_CHOPIN |= {"Barcarolle": "op60", "Sonata_2": "op35", "Sonata_3": "op58"}
_PLAYED = re.compile(r"(?:_no)?(?:_first|_second|_third)?_(?:repeats?|trio|variations?)$")
_BWV = re.compile(r"bwv_(\d+)")
_NUMBERED = re.compile(r"Sonatas/(\d+)-")
_ETUDE = re.compile(r"Etudes_op_(\d+)/(\d+)")
_PRINTED = re.compile(r"(?:Polonaises|Scherzos)/(\d+)|\w+_op_(\d+)")


def label_of(folder: str) -> str:
    """Work label of a folder of the set, such as "Beethoven/Piano_Sonatas/1-1": what `work_of` takes.

    >>> label_of("Bach/Fugue/bwv_846"), label_of("Chopin/Etudes_op_10/5"), label_of("Haydn/Keyboard_Sonatas/6-1")
    ('Bach/bwv846', 'Chopin/op10_005', 'Haydn/sonata06')
    """
    composer, _, rest = folder.partition("/")
    rest = _PLAYED.sub("", rest)
    if found := _BWV.search(rest):
        return f"Bach/bwv{found[1]}"
    if found := _NUMBERED.search(rest):
        return f"{composer}/sonata{int(found[1]):02}"
    if composer == "Chopin":
        if found := _ETUDE.match(rest):
            return f"Chopin/op{found[1]}_{int(found[2]):03}"
        if found := _PRINTED.match(rest):
            return f"Chopin/op{found[1] or found[2]}"
        return "Chopin/" + next((opus for name, opus in _CHOPIN.items() if f"{rest}/".startswith(f"{name}/")), rest)
    return f"{composer}/{rest}"


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
    for path, row in _labels.listed(root, "split", "kind", "composer", "work", "folder", published=_published):
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


def _published(root: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files of a clone with what their places say."""
    files = sorted(path for name in NAMES for path in (root / name).rglob("*") if path.is_file())
    folders = {path: path.parent.relative_to(root).as_posix() for path in files}
    works = Counter(label.partition("/")[0] for label in {label_of(folder) for folder in folders.values()})
    for path, folder in folders.items():
        composer = folder.partition("/")[0]
        if kind := _KINDS.get(path.name, "performance" if path.suffix == ".mid" else ""):
            yield (
                path,
                {
                    "file": path.relative_to(root).as_posix(),
                    "kind": kind,
                    "composer": composer,
                    "work": label_of(folder),
                    "folder": folder,
                    "few_works": str(int(works[composer] < _FEW)),
                    "performer": path.stem if kind == "performance" else "",
                },
            )
