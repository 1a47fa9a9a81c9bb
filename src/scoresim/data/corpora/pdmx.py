"""PDMX: scores that users of MuseScore uploaded as public domain, in MusicXML.

Layout: ``PDMX.csv`` with one row per score (``mxl`` is its path, "./mxl/..."; "NA" where there is none) beside the
unpacked ``mxl.tar.gz``; the columns were checked against the record's description and programs that read it. Rows
whose file states another licence than the site (``subset:no_license_conflict`` False) are left out, as the
authors advise. ``subset:deduplicated`` and the rating are labels.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scoresim.data.corpora import _labels
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._recorded import named
from scoresim.data.corpora._works import catalogue, plain

_STYLE = "user score"
_LABELS = ("genres", "license", "rating", "n_ratings", "n_tracks")
_COLUMNS = ("mxl", "subset:no_license_conflict")


def _items(root: Path) -> Iterator[Item]:
    for row in _labels.rows(root / "PDMX.csv", *_COLUMNS):
        relative = PurePosixPath(row["mxl"].strip())
        if row["subset:no_license_conflict"].strip().lower() != "true" or relative.suffix != ".mxl":
            continue
        path = _labels.inside(root, row["mxl"])
        if path is None:
            continue
        composer, title = _text(row, "composer_name"), _text(row, "title") or _text(row, "song_name")
        yield Item(
            id=safe_id(relative),
            path=path,
            format="mxl",
            work=_work(composer, title, relative.stem),
            style=_STYLE,
            composer=composer or "unknown",
            title=title,
            labels=_labels.labels(
                {name: _text(row, name) for name in row}, *_LABELS, deduplicated="subset:deduplicated"
            ),
        )


def _text(row: dict[str, str], column: str) -> str:
    text = row.get(column, "").strip()
    return "" if text in ("NA", "nan", "None") else text


def _work(composer: str, title: str, stem: str) -> str:
    """By catalogue number or composer and title; a score that lacks one of the two is a work of its own."""
    key = composer_key(composer)
    number = catalogue(key, title) if composer else None
    if number:
        return f"{key}/{number}"
    if not composer or plain(title) == "untitled":
        return f"pdmx/{named(stem)}"
    return f"{key}/{plain(title)}"


CORPUS = Corpus(
    name="pdmx",
    title="PDMX, public-domain scores of MuseScore users",
    citation=(
        "Phillip Long, Zachary Novack, Taylor Berg-Kirkpatrick, Julian McAuley: PDMX: a large-scale public domain "
        "MusicXML dataset for symbolic music processing. ICASSP 2025."
    ),
    licence="CC BY 4.0 for the compilation; every score is public domain or CC0 by its uploader (column license).",
    source="https://zenodo.org/records/15571083, PDMX.csv and mxl.tar.gz, unpacked",
    styles=(_STYLE,),
    find=_labels.finder("PDMX", "PDMX.csv", also="pdmx"),
    items=_items,
)
