"""GiantMIDI-Piano: classical piano recordings from the web, transcribed to MIDI.

Layout: ``midis/*.mid`` named "Surname, Given, Title, videoid.mid", and the table
``full_music_pieces_youtube_similarity_pianosoloprob_split.csv`` (separated by tabs) in the root, in
``metadata`` or in ``resources``. The columns used here were read off the scripts of the repository. The table's
split counts files off one by one, so it parts the recordings of one work: it is a label (``split_giantmidi``),
not the split. Without the table the file names must do.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._styles import KEYBOARD, keyboard
from scoresim.data.corpora._works import work

_TABLE = "full_music_pieces_youtube_similarity_pianosoloprob_split.csv"
_COLUMNS = ("surname", "firstname", "music", "audio_name", "split")
_LABELS = ("nationality", "birth", "death", "piano_solo_prob", "similarity", "surname_in_youtube_title")


def _items(root: Path) -> Iterator[Item]:
    rows = _table(root)
    for path in sorted((root / "midis").glob("*.mid")):
        row = rows.get(path.stem, {})
        composer, title = _named(path.stem)
        composer = f"{row['surname']}, {row['firstname']}" if row else composer
        title = row["music"] if row else title
        yield Item(
            id=safe_id(path.name),
            path=path,
            format="midi",
            work=work(composer, title),
            style=keyboard(composer_key(composer)),
            composer=composer or "unknown",
            title=title,
            labels=_labels.labels(row, *_LABELS, split_giantmidi="split"),
        )


def _table(root: Path) -> dict[str, dict[str, str]]:
    places = [root / inner / _TABLE for inner in ("", "metadata", "resources")]
    table = next((place for place in places if place.is_file()), None)
    if table is None:
        return {}
    return {row["audio_name"]: row for row in _labels.rows(table, *_COLUMNS, delimiter="\t") if row["audio_name"]}


def _named(stem: str) -> tuple[str, str]:
    """Composer and title of "Surname, Given, Title, with commas, videoid"."""
    parts = stem.split(", ")
    if len(parts) < 4:
        return "", stem
    return ", ".join(parts[:2]), ", ".join(parts[2:-1])


CORPUS = Corpus(
    name="giantmidi",
    title="GiantMIDI-Piano, transcribed piano recordings (MIDI)",
    citation=(
        "Qiuqiang Kong, Bochen Li, Jitong Chen, Yuxuan Wang: GiantMIDI-Piano: a large-scale MIDI dataset for "
        "classical piano music. TISMIR 5(1), 2022."
    ),
    licence="After agreeing to the authors' disclaimer: research use; the recordings are under copyright.",
    source="https://github.com/bytedance/GiantMIDI-Piano (disclaimer.md leads to the download), unpacked",
    styles=KEYBOARD,
    find=_labels.finder("GiantMIDI-PIano", "midis", also="giantmidi"),
    items=_items,
)
