"""POP909: pop songs arranged for piano, three tracks (melody, bridge, piano), with annotated beats.

``beat_midi/NNN.txt`` gives one beat per line: seconds from the beginning of the MIDI file (no offset: on 44
songs, in nine of ten the median note begins within a thousandth of a beat of a quarter of a beat), then marks.
The third column marks the beginnings of bars; the second those of half bars. Bars of two, three, five and six
beats occur beside those of four.

The set is read as its authors publish it (a folder ``POP909/NNN`` for every song, with ``NNN.mid``,
``beat_midi.txt`` and ``key_audio.txt``), in the parts of MidiBERT-Piano, or from a table of labels. Titles and
artists stand in the table alone: the authors give them as a spreadsheet.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoresim.data.corpora import _labels, _midibert
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.errors import BadInput
from scoresim.score.notes import Beats

_STYLE = "pop piano"
_LABELS = ("key", "n_keys", "key_share", "beats_per_measure", "quavers_per_beat", "title", "artist")
_COMPOUND = frozenset({"014", "092", "350", "442", "575", "579", "741", "856"})
"""Songs whose beats have three quavers each (``num_quavers_per_beat`` of the set's index.xlsx)."""
_TONICS = {"Db": "C#", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "Fb": "E", "E#": "F", "B#": "C"}
_MODES = {"maj": "major", "min": "minor"}


def _published(root: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Songs of the set as it is published, with their labels."""
    for path in sorted((root / "POP909").glob("[0-9][0-9][0-9]/[0-9][0-9][0-9].mid")):
        number = path.stem
        part = _midibert.POP909.get(number, "train")
        if number != path.parent.name or part == "out":
            continue
        row = {"file": f"midi/{path.name}", "split": part, "title": f"POP909 {number}", "artist": ""}
        row["quavers_per_beat"] = "3" if number in _COMPOUND else "2"
        yield path, row | _keys(path.with_name("key_audio.txt"))


def _keys(path: Path) -> dict[str, str]:
    """Labels of a table of keys (seconds from, to, key): the one that holds longest, how many, and its share.

    Raises:
        BadInput: the file is there and is no such table.
    """
    if not path.is_file():
        return {}
    seconds: dict[str, float] = defaultdict(float)
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                begin, end, name = line.split()
                tonic, mode = name.split(":")
                seconds[f"{_TONICS.get(tonic, tonic)} {_MODES[mode]}"] += float(end) - float(begin)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} is no table of keys ({error}); fetch the data set again.") from error
    if not seconds:
        return {}
    key = max(seconds, key=seconds.__getitem__)
    share = seconds[key] / sum(seconds.values())
    return {"key": key, "n_keys": str(len(seconds)), "key_share": str(round(share, 3))}


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "key", "title", "artist", published=_published):
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="midi",
            work=f"pop909/{path.stem}",
            style=_STYLE,
            composer="unknown",
            title=f"{row['title']} ({row['artist']})" if row["artist"] else row["title"],
            split=_labels.split_of(row),
            labels=_labels.labels(row, *_LABELS),
        )


def _beats(item: Item) -> Beats | None:
    """Beats of a song; None where the annotation is not there.

    Raises:
        BadInput: the annotation is no table of three columns with increasing times.
    """
    published = item.path.with_name("beat_midi.txt")
    path = published if published.is_file() else item.path.parent.parent / "beat_midi" / f"{item.path.stem}.txt"
    if not path.is_file():
        return None
    try:
        table = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no table of beats ({error}); fetch the data set again.") from error
    if table.shape[0] == 0 or table.shape[1] != 3 or not np.all(np.diff(table[:, 0]) > 0):
        raise BadInput(f"{path} is no table of beats: it needs three columns and increasing times.")
    downbeat = table[:, 2] == 1
    compound = item.labels.get("quavers_per_beat") == "3"
    return Beats(seconds=table[:, 0], downbeat=downbeat, signatures=_signatures(downbeat, compound))


def _signatures(downbeat: NDArray[np.bool_], compound: bool) -> tuple[tuple[int, int, int], ...]:
    """Time signature wherever the number of beats in the bar changes; the pick-up counts as a usual bar."""
    starts = np.flatnonzero(downbeat)
    if len(starts) < 2:
        return ()
    lengths = np.diff(starts)
    usual = Counter(lengths.tolist()).most_common(1)[0][0]
    # before the first bar line and after the last one no length is known
    bars = [(0, usual), *zip(starts[:-1].tolist(), lengths.tolist(), strict=True), (int(starts[-1]), usual)]
    bars = bars[1:] if starts[0] == 0 else bars
    found: list[tuple[int, int, int]] = []
    for start, beats in bars:
        signature = (3 * beats, 8) if compound else (beats, 4)
        if not found or found[-1][1:] != signature:
            found.append((start, *signature))
    return tuple(found)


CORPUS = Corpus(
    name="pop909",
    title="POP909, piano arrangements of pop songs with beats (MIDI)",
    citation=(
        "Ziyu Wang, Ke Chen, Junyan Jiang, Yiyi Zhang, Maoran Xu, Shuqi Dai, Xianbin Gu, Gus Xia: POP909: a pop-song "
        "dataset for music arrangement generation. ISMIR 2020."
    ),
    licence="MIT (LICENSE of the repository); the songs are under copyright: research use, do not redistribute.",
    source=_labels.PUBLISHED.format(
        what="A clone of the repository", origin="https://github.com/music-x-lab/POP909-Dataset"
    ),
    styles=(_STYLE,),
    find=_labels.either(
        _labels.finder("pop909", "labels.csv", "beat_midi", "midi"),
        _labels.finder("pop909", "POP909/001/001.mid", also="POP909-Dataset"),
    ),
    items=_items,
    beats=_beats,
)
