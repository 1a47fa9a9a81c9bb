"""The kern sets of keyboard works: one table, one layout, and the grades of CIPI where they lie beside them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Item, safe_id
from scoresim.errors import BadInput

CIPI_CITATION = (
    "Grades of difficulty: Pedro Ramoneda, Dasaem Jeong, Vsevolod Eremenko, Nazif Can Tamer, Marius Miron, Xavier "
    "Serra: Combining piano performance dimensions for score difficulty classification. Expert Systems with "
    "Applications 238, 2024."
)
_CIPI = ("cipi_id", "henle", "fold0", "fold1", "fold2", "fold3", "fold4")


def items(
    root: Path, composer: str, work: Callable[[Path, str], str], style: Callable[[Path, dict[str, str]], str]
) -> Iterator[Item]:
    """Items of a set.

    Args:
        root: its folder; where the folder ``cipi`` lies beside it, its grades become labels (``henle`` 1-9).
        composer: full name.
        work: (file, work label of the set) -> canonical work.
        style: (file, row) -> style.
    """
    grades = _grades(root)
    for path, row in _labels.listed(root, "split", "composer", "work", "key", "time_signature"):
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
            | grades.get(f"{root.name}/{row['file']}", {}),
        )


def _grades(root: Path) -> dict[str, dict[str, str]]:
    table = root.parent / "cipi" / "labels.csv"
    if not table.is_file():
        return {}
    found = {}
    for row in _labels.rows(table, "files", *_CIPI):
        for file in row["files"].split(";"):
            found[file] = _labels.labels(row, *_CIPI)
    return found
