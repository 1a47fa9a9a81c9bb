"""OpenScore Lieder: songs for voice and piano, with the split of OLiMPiC.

The split is by song, so the work is the song, not the cycle: its number in the opus, or its title.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._styles import SONGS, song
from scoresim.data.corpora._works import catalogue, plain

_NUMBERED = re.compile(r"^(\d+)[a-z]?\.?\s+(.*)$")


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "composer", "set", "title"):
        composer = composer_key(row["composer"])
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="mxl",
            work=f"{composer}/{_song(composer, row['set'], row['title'])}",
            style=song(composer),
            composer=row["composer"],
            title=row["title"],
            split=_labels.split_of(row),
            labels=_labels.labels(row, "set", "fifths", "mode", "time_signature", "n_parts"),
        )


def _song(composer: str, cycle: str, title: str) -> str:
    numbered = _NUMBERED.match(title)
    number, name = (int(numbered[1]), numbered[2]) if numbered else (None, title)
    own = catalogue(composer, name)
    if own:
        return own
    opus = catalogue(composer, cycle)
    if opus is None:
        return plain(name)
    if "-no" in opus:
        return f"{opus}-{number}" if number else f"{opus}-{plain(name)}"
    return f"{opus}-no{number}" if number else f"{opus}-{plain(name)}"


CORPUS = Corpus(
    name="openscore_lieder",
    title="OpenScore Lieder, songs for voice and piano",
    citation=(
        "Mark Gotham, Peter Jonas: The OpenScore Lieder Corpus. Music Encoding Conference 2021, pp. 131-136. Split: "
        "Jiri Mayer, Milan Straka, Jan Hajic jr., Pavel Pecina: Practical end-to-end optical music recognition for "
        "pianoform music (OLiMPiC). ICDAR 2024."
    ),
    licence="CC0 1.0 (LICENSE.txt).",
    source=_labels.SHARED.format(name="openscore_lieder", origin="https://github.com/OpenScore/Lieder"),
    styles=SONGS,
    find=_labels.finder("openscore_lieder", "labels.csv", "mxl"),
    items=_items,
)
