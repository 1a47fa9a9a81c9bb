"""Sets that come as a folder with a table of labels: find them, read the table, make items of its rows."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from scoresim.errors import BadInput

Row = Mapping[str, str]
Published = Callable[[Path], Iterable[tuple[Path, dict[str, str]]]]

SHARED = "The folder {name} of the shared data (labels.csv beside the files); the files are from {origin}."
"""Text for `Corpus.source`."""
PUBLISHED = "{what}, as it is published at {origin}; or its files with a labels.csv of one row each."
"""Text for `Corpus.source` of a set that is read in both forms."""

_REST = "\0rest"
_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}


def finder(name: str, *holds: str, also: str = "") -> Callable[[Path | None], Path | None]:
    """Make the ``find`` of a set that is one folder and lies nowhere by default.

    The ``find`` takes the folder itself, or the folder that holds it under its name; both must hold all of
    `holds`. With no path, or where nothing fits, it returns None.

    Args:
        name: the folder's usual name.
        holds: files and folders that must be there, relative to the folder.
        also: another usual name.
    """

    def find(path: Path | None) -> Path | None:
        if path is None:
            return None
        places = [path / name, *([path / also] if also else []), path]
        return next(
            (place for place in places if all((place / inner).exists() for inner in holds)),
            None,
        )

    return find


def either(*finds: Callable[[Path | None], Path | None]) -> Callable[[Path | None], Path | None]:
    """Make the ``find`` of a set that is read in several forms: the first that is there."""
    return lambda path: next((root for find in finds if (root := find(path)) is not None), None)


def rows(path: Path, *columns: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a table as column -> text, in order.

    Args:
        path: a CSV file in UTF-8 with a header.
        columns: those that must be there.
        delimiter: what separates the columns.

    Raises:
        BadInput: the table cannot be read, or lacks one of the columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, restkey=_REST, restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise BadInput(f"{path} has no column {missing[0]!r}: is this the table of that data set?")
            for row in reader:
                row.pop(_REST, None)  # a list of what stands behind the last column, where text is expected
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as a table ({error}); fetch the data set again.") from error


def inside(root: Path, name: str) -> Path | None:
    """The file that a table names, where it is there and under the root: a table may come from anywhere."""
    relative = PurePosixPath(name.strip())
    path = root / relative
    return None if relative.is_absolute() or ".." in relative.parts or not path.is_file() else path


def listed(root: Path, *columns: str, published: Published | None = None) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files of ``labels.csv`` with their rows; a file that is not there is left out, so part of a set works too.

    Args:
        root: the folder of the set.
        columns: those that must be there.
        published: gives files and rows of a set that is read as its authors publish it, where there is no table.

    Raises:
        BadInput: as `rows`, or of `published`.
    """
    if published is not None and not (root / "labels.csv").is_file():
        yield from published(root)
        return
    for row in rows(root / "labels.csv", "file", *columns):
        path = inside(root, row["file"])
        if path is not None:
            yield path, row


def split_of(row: Row, column: str = "split") -> str | None:
    """The official split of a row as ``train``, ``valid`` or ``test``; None where it names none of them."""
    return _SPLITS.get(row.get(column, "").strip().lower())


def labels(row: Row, *names: str, **renamed: str) -> dict[str, str]:
    """Labels of a row that are not empty.

    Args:
        row: a row of a table.
        names: columns taken under their own name.
        renamed: label -> column.
    """
    wanted = {name: name for name in names} | renamed
    found = {label: row.get(column, "").strip() for label, column in wanted.items()}
    return {label: value for label, value in found.items() if value}
