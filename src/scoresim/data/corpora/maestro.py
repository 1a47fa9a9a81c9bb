"""MAESTRO v3: piano performances of the International Piano-e-Competition, as MIDI.

Layout of the archive maestro-v3.0.0-midi.zip: ``maestro-v3.0.0.csv`` with canonical_composer, canonical_title,
split, year, midi_filename, audio_filename, duration, beside one folder per year. The split is the official one;
ASAP, which holds some of the recordings, has another: a builder that takes both goes by the work.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._styles import KEYBOARD, keyboard
from scoresim.data.corpora._works import work

_TABLE = "maestro-v3.0.0.csv"
_COLUMNS = ("canonical_composer", "canonical_title", "split", "year", "midi_filename")


def _items(root: Path) -> Iterator[Item]:
    for row in _labels.rows(root / _TABLE, *_COLUMNS):
        path = _labels.inside(root, row["midi_filename"])
        if path is None:
            continue
        composer, title = row["canonical_composer"], row["canonical_title"]
        yield Item(
            id=safe_id(row["midi_filename"]),
            path=path,
            format="midi",
            work=work(composer, title),
            style=keyboard(composer_key(composer)),
            composer=composer,
            title=title,
            split=_labels.split_of(row),
            labels=_labels.labels(row, "year", "duration"),
        )


CORPUS = Corpus(
    name="maestro",
    title="MAESTRO v3, piano performances (MIDI)",
    citation=(
        "Curtis Hawthorne, Andriy Stasyuk, Adam Roberts, Ian Simon, Cheng-Zhi Anna Huang, Sander Dieleman, Erich "
        "Elsen, Jesse Engel, Douglas Eck: Enabling factorized piano music modeling and generation with the MAESTRO "
        "dataset. ICLR 2019."
    ),
    licence="CC BY-NC-SA 4.0.",
    source="https://magenta.tensorflow.org/datasets/maestro, maestro-v3.0.0-midi.zip, unpacked",
    styles=KEYBOARD,
    find=_labels.finder("maestro-v3.0.0", _TABLE, also="maestro"),
    items=_items,
)
