"""VGMIDI, the labelled part: phrases of video-game music for piano with an emotion each.

``valence`` and ``arousal`` are -1 or 1, ``quadrant`` as in `emopia`. The work is the piece; the split is by game.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item, safe_id, slug

_STYLE = "video game"


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "quadrant", "game", "piece"):
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="midi",
            work=f"vgmidi/{slug(row['game'])}-{slug(row['piece'])}",
            style=_STYLE,
            composer="unknown",
            title=f"{row['game']}: {row['piece']}",
            split=_labels.split_of(row),
            labels=_labels.labels(row, "quadrant", "valence", "arousal", "series", "game", "console"),
        )


CORPUS = Corpus(
    name="vgmidi",
    title="VGMIDI, video-game phrases with emotions (MIDI)",
    citation="Lucas N. Ferreira, Jim Whitehead: Learning to generate music with sentiment. ISMIR 2019, pp. 384-390.",
    licence="None stated in the repository; game music under copyright: research use only.",
    source=_labels.SHARED.format(name="vgmidi", origin="https://github.com/lucasnfe/vgmidi"),
    styles=(_STYLE,),
    find=_labels.finder("vgmidi", "labels.csv", "midi"),
    items=_items,
)
