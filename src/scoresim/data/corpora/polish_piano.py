"""Polish Music Heritage in Open Access, the pieces for piano alone.

The file name holds the shelf mark, the composer and the title. Numbers of one opera or sonata in one print are
one work; other pieces are works by their opus number or title. Anonymous pieces stay within their print.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import Corpus, Item, safe_id, slug
from scoresim.data.corpora._styles import keyboard
from scoresim.data.corpora._works import catalogue

_STYLES = ("classical piano", "romantic piano", "modern piano")
_WHOLE = frozenset({"Opera", "Sonata"})


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "composer", "key", "form", "title"):
        anonymous = row["composer"] in ("Anonim", "")
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="kern",
            work=_work(path.stem, row, anonymous),
            style=keyboard(composer_key(row["composer"]), "romantic piano"),
            composer="anonymous" if anonymous else row["composer"],
            title=row["title"],
            split=_labels.split_of(row),
            labels=_labels.labels(row, "key", "n_keys", "time_signature", "n_time_signatures", "form", genre="agn"),
        )


def _work(stem: str, row: dict[str, str], anonymous: bool) -> str:
    # "LIBRARY__LIBRARY--SHELF-MARK--NUMBER_COMPOSER--TITLE"
    head, _, tail = stem.partition("__")[2].partition("_")
    shelf_mark = slug(re.sub(r"(?:--\d{3}(?:-\d{3})*)$", "", head))
    if anonymous:
        return f"polish-print/{shelf_mark}"
    composer = composer_key(row["composer"])
    if row["form"] in _WHOLE:
        return f"{composer}/print-{shelf_mark}"
    # title of the print, then of the piece
    name = tail.partition("--")[2] or row["title"]
    number = catalogue(composer, row["title"]) or catalogue(composer, name.replace("-", " "))
    if number is None:
        return f"{composer}/{slug(name)}"
    return f"{composer}/{number}" if "-no" in number else f"{composer}/{number}-{slug(row['title'])}"


CORPUS = Corpus(
    name="polish_piano",
    title="Polish Music Heritage, piano pieces",
    citation=(
        "The Fryderyk Chopin Institute: Polish Music Heritage in Open Access (https://polishscores.org), in Humdrum "
        "kern."
    ),
    licence="CC BY 4.0 (LICENSE.txt).",
    source=_labels.SHARED.format(name="polish_piano", origin="https://github.com/pl-wnifc/humdrum-polish-scores"),
    styles=_STYLES,
    find=_labels.finder("polish_piano", "labels.csv", "kern"),
    items=_items,
)
