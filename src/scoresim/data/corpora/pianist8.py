"""Pianist8: piano pieces of eight artists, transcribed from recordings, with the split of MidiBERT-Piano.

The work is the piece by its title under the artist. Files of unknown title ("Yiruma_Unknown_1") are works of
their own.

The set is read as its authors publish it (a folder ``midi/ARTIST`` for each), or from a table of labels.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels, _midibert
from scoresim.data.corpora._item import Corpus, Item, safe_id, slug

_NAMES = {
    "Bethel": "Bethel Music",
    "Clayderman": "Richard Clayderman",
    "Einaudi": "Ludovico Einaudi",
    "Hancock": "Herbie Hancock",
    "Hillsong": "Hillsong Worship",
    "Hisaishi": "Joe Hisaishi",
    "Ryuichi": "Ryuichi Sakamoto",
    "Yiruma": "Yiruma",
}
_CONTEMPORARY = "contemporary piano"
_STYLES = {"Bethel": "pop piano", "Hillsong": "pop piano", "Hancock": "jazz piano"}


def _published(root: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Pieces of the set as it is published, with their labels."""
    for path in sorted(path for artist in _NAMES for path in (root / "midi" / artist).glob("*.mid")):
        artist = path.parent.name
        part = _midibert.PIANIST8.get(f"{artist}/{path.stem}", "train")
        yield path, {"file": f"midi/{artist}/{path.name}", "split": part, "composer": artist}


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "composer", published=_published):
        artist = row["composer"]
        title = path.stem.removeprefix(artist).strip("_ ").replace("_", " ")
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="midi",
            work=f"{slug(_NAMES.get(artist, artist))}/{slug(title)}",
            style=_STYLES.get(artist, _CONTEMPORARY),
            composer=_NAMES.get(artist, artist),
            title=title,
            split=_labels.split_of(row),
            labels={"artist": artist},
        )


CORPUS = Corpus(
    name="pianist8",
    title="Pianist8, piano pieces of eight artists (MIDI)",
    citation=(
        "Yi-Hui Chou, I-Chun Chen, Chin-Jui Chang, Joann Ching, Yi-Hsuan Yang: MidiBERT-Piano: large-scale "
        "pre-training for symbolic music understanding. arXiv:2107.05223, 2021."
    ),
    licence="None stated in the repository; the works are under copyright: research use only, do not redistribute.",
    source=_labels.PUBLISHED.format(what="A clone of the repository", origin="https://github.com/joann8512/Pianist8"),
    styles=(_CONTEMPORARY, *dict.fromkeys(_STYLES.values())),
    find=_labels.finder("pianist8", "midi/Yiruma", also="Pianist8"),
    items=_items,
)
