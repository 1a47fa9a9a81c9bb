"""EMOPIA 1.0: clips of pop piano covers with an emotion each, transcribed from recordings.

``quadrant`` is that of Russell's plane: 1 high valence and arousal, 2 low valence and high arousal, 3 both low,
4 high valence and low arousal. The work is the song, since its clips repeat one another; `Item.split` is the
official clip split, which is disjoint by song, and ``split_midibert`` that of MidiBERT-Piano, which is not.

The set is read as its authors publish version 1.0 (``midis``, ``label.csv`` and ``split``), or from a table of
labels.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels, _midibert
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._recorded import named

_STYLE = "pop piano"


_CLIP = re.compile(r"Q([1-4])_(.+)_\d+")
"""Quadrant and song in the name of a clip."""
_VALENCE = {"1": "high", "2": "low", "3": "low", "4": "high"}
_AROUSAL = {"1": "high", "2": "high", "3": "low", "4": "low"}


def _published(root: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Clips of the set as it is published, with their labels."""
    annotators = {row["ID"]: row["annotator"] for row in _labels.rows(root / "label.csv", "ID", "annotator")}
    parts = {
        row["clip_name"].removesuffix(".mid"): part
        for part, name in (("train", "train"), ("valid", "val"), ("test", "test"))
        for row in _labels.rows(root / "split" / f"{name}_clip.csv", "clip_name")
    }
    for path in sorted((root / "midis").glob("*.mid")):
        found = _CLIP.fullmatch(path.stem)
        if found:
            quadrant = found[1]
            yield (
                path,
                {
                    "file": f"midi/{path.name}",
                    "split": parts.get(path.stem, ""),
                    "split_midibert": _midibert.EMOPIA.get(path.stem, "train"),
                    "quadrant": quadrant,
                    "valence": _VALENCE[quadrant],
                    "arousal": _AROUSAL[quadrant],
                    "song": found[2],
                    "annotator": annotators.get(path.stem, ""),
                },
            )


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "quadrant", "song", published=_published):
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
    source=_labels.PUBLISHED.format(what="EMOPIA_1.0", origin="https://zenodo.org/record/5090631"),
    styles=(_STYLE,),
    find=_labels.either(
        _labels.finder("emopia", "labels.csv", "midi"),
        _labels.finder("emopia", "label.csv", "midis", "split/test_clip.csv", also="EMOPIA_1.0"),
    ),
    items=_items,
)
