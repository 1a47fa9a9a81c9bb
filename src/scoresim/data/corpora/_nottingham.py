"""The Nottingham tunes: what the ABC and the MIDI corpus share."""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Item, safe_id
from scoresim.data.corpora._works import tune

CITATION = (
    "Eric Foxley: Nottingham Music Database; cleaned by Jukedeck (https://github.com/jukedeck/nottingham-dataset)."
)
LICENCE = "GPL v3 (LICENSE.md of the repository); the tunes are traditional."
SOURCE = _labels.SHARED.format(name="nottingham", origin="https://github.com/jukedeck/nottingham-dataset")
STYLE = "english fiddle tune"
find = _labels.finder("nottingham", "labels.csv", "abc", "midi")


def items(root: Path, column: str) -> Iterator[Item]:
    """Items of one column of files: ``abc`` or ``file`` (the MIDI)."""
    table = list(_labels.rows(root / "labels.csv", "file", "abc", "split", "tune_type", "key", "title"))
    # Five titles stand in two parts. A work has one part, so theirs is left to the builder.
    parts: dict[str, set[str | None]] = {}
    for row in table:
        parts.setdefault(tune(row["title"], "nottingham"), set()).add(_labels.split_of(row))
    for row in table:
        path = _labels.inside(root, row[column])
        if path is None:
            continue
        work = tune(row["title"], "nottingham")
        is_abc = column == "abc"
        yield Item(
            id=safe_id(row[column]),
            path=path,
            format="abc" if is_abc else "midi",
            work=work,
            style=STYLE,
            composer="traditional",
            title=row["title"],
            part_of_file=0 if is_abc else None,
            split=_labels.split_of(row) if len(parts[work]) == 1 else None,
            labels=_labels.labels(
                row, "tune_type", "key", "time_signature", "abc_midi_contour", split_of_the_set="split"
            ),
        )
