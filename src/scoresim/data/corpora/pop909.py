"""POP909: pop songs arranged for piano, three tracks (melody, bridge, piano), with annotated beats.

``beat_midi/NNN.txt`` gives one beat per line: seconds from the beginning of the MIDI file (no offset: on 44
songs, in nine of ten the median note begins within a thousandth of a beat of a quarter of a beat), then marks.
The third column marks the beginnings of bars; the second those of half bars. Bars of two, three, five and six
beats occur beside those of four.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.errors import BadInput
from scoresim.score.notes import Beats

_STYLE = "pop piano"
_LABELS = ("key", "n_keys", "key_share", "beats_per_measure", "quavers_per_beat", "title", "artist")


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "key", "title", "artist"):
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="midi",
            work=f"pop909/{path.stem}",
            style=_STYLE,
            composer="unknown",
            title=f"{row['title']} ({row['artist']})",
            split=_labels.split_of(row),
            labels=_labels.labels(row, *_LABELS),
        )


def _beats(item: Item) -> Beats | None:
    """Beats of a song; None where the annotation is not there.

    Raises:
        BadInput: the annotation is no table of three columns with increasing times.
    """
    path = item.path.parent.parent / "beat_midi" / f"{item.path.stem}.txt"
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
    source=_labels.SHARED.format(name="pop909", origin="https://github.com/music-x-lab/POP909-Dataset"),
    styles=(_STYLE,),
    find=_labels.finder("pop909", "labels.csv", "beat_midi", "midi"),
    items=_items,
    beats=_beats,
)
