"""The kern sets of keyboard works: one table, one layout, and the grades of CIPI where they lie beside them.

They are read as they are published, too: a folder ``kern`` without a table. Keys, time signatures and forms then come
from the files, works from their names, and there is no split.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Item, safe_id
from scoresim.errors import BadInput

CIPI_CITATION = (
    "Grades of difficulty: Pedro Ramoneda, Dasaem Jeong, Vsevolod Eremenko, Nazif Can Tamer, Marius Miron, Xavier "
    "Serra: Combining piano performance dimensions for score difficulty classification. Expert Systems with "
    "Applications 238, 2024."
)
_KEY = re.compile(r"(?m)(?:^|\t)\*([A-Ga-g][#-]*):(?=\t|\r?$)")
_METRE = re.compile(r"(?m)(?:^|\t)\*M(\d+/\d+)(?=\t|\r?$)")
_FORM = re.compile(r"(?m)^!!!AGN:\s*(.*?)\s*$")
_OF = re.compile(r"(?m)^!!!COM:.*?(Bach|Beethoven|Mozart)")
_CIPI = ("cipi_id", "henle", "fold0", "fold1", "fold2", "fold3", "fold4")


def items(
    root: Path,
    name: str,
    composer: str,
    label: Callable[[str], str],
    work: Callable[[Path, str], str],
    style: Callable[[Path, dict[str, str]], str],
) -> Iterator[Item]:
    """Items of a set.

    Args:
        root: its folder; where the folder ``cipi`` lies beside it, its grades become labels (``henle`` 1-9).
        name: of the set.
        composer: full name.
        label: name of a file without its suffix -> work label of the set, where no table says it.
        work: (file, work label of the set) -> canonical work.
        style: (file, row) -> style.

    Raises:
        BadInput: the folder is that of another set.
    """
    grades = _grades(root)
    columns, published = ("split", "composer", "work", "key", "time_signature"), partial(_published, composer, label)
    for path, row in _labels.listed(root, *columns, published=published):
        if row["composer"] not in composer:
            raise BadInput(f"{root} holds works of {row['composer']}, not of {composer}; give the other folder.")
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="kern",
            work=work(path, row["work"]),
            style=style(path, row),
            composer=composer,
            title=f"{row['work'].replace('/', ', ')} ({path.stem})",
            split=_labels.split_of(row),
            labels=_labels.labels(row, "key", "n_keys", "time_signature", "n_time_signatures", "form")
            | grades.get(f"{name}/{row['file']}", {}),
        )


def _published(composer: str, label: Callable[[str], str], root: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files of a set without a table, with what they state."""
    for path in sorted((root / "kern").glob("*.krn")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error
        named = _OF.search(text)
        keys, metres, form = _KEY.findall(text), _METRE.findall(text), _FORM.search(text)
        yield (
            path,
            {
                "file": f"kern/{path.name}",
                "composer": named[1] if named else composer,
                "work": label(path.stem),
                "key": key_name(keys[0]) if keys else "",
                "n_keys": str(len(set(keys))),
                "time_signature": metres[0] if metres else "",
                "n_time_signatures": str(len(set(metres))),
                "form": form[1] if form else "",
            },
        )


def key_name(token: str) -> str:
    """A key of kern in words.

    >>> key_name("E-"), key_name("f#")
    ('Eb major', 'F# minor')
    """
    return f"{token[0].upper()}{token[1:].replace('-', 'b')} {'minor' if token[0].islower() else 'major'}"


def _grades(root: Path) -> dict[str, dict[str, str]]:
    table = root.parent / "cipi" / "labels.csv"
    if not table.is_file():
        return {}
    found = {}
    for row in _labels.rows(table, "files", *_CIPI):
        for file in row["files"].split(";"):
            found[file] = _labels.labels(row, *_CIPI)
    return found
