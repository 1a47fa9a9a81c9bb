"""EMOPIA 1.0: clips of pop piano covers with an emotion each, transcribed from recordings.

``quadrant`` is that of Russell's plane: 1 high valence and arousal, 2 low valence and high arousal, 3 both low,
4 high valence and low arousal. The work is the song, since its clips repeat one another; `Item.split` is the
official clip split, which is disjoint by song, and ``split_midibert`` that of MidiBERT-Piano, which is not.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._recorded import named

_STYLE = "pop piano"


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "quadrant", "song"):
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="midi",
            work=f"emopia/{named(row['song'])}",
            style=_STYLE,
            composer="unknown",
            title=path.stem,
            split=_labels.split_of(row),
            labels=_labels.labels(row, "quadrant", "valence", "arousal", "split_midibert", "song", "annotator"),
        )


CORPUS = Corpus(
    name="emopia",
    title="EMOPIA, pop piano clips with emotions (MIDI)",
    citation=(
        "Hsiao-Tzu Hung, Joann Ching, Seungheon Doh, Nabin Kim, Juhan Nam, Yi-Hsuan Yang: EMOPIA: a multi-modal pop "
        "piano dataset for emotion recognition and emotion-based music generation. ISMIR 2021."
    ),
    licence="CC BY-NC-SA 4.0 (README of the original); the songs are under copyright: research use only.",
    source=_labels.SHARED.format(name="emopia", origin="https://zenodo.org/record/5090631"),
    styles=(_STYLE,),
    find=_labels.finder("emopia", "labels.csv", "midi"),
    items=_items,
)
