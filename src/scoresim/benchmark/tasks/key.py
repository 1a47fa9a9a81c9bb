"""Key: in which of 24 keys is this pop song?

POP909 comes with keys that a program heard in the recordings of the songs, in seconds; the label is the key that lasts
longest (Wang et al., ISMIR 2020). So there are wrong labels, and songs that change the key have one answer all the
same. The songs and the split are those of `melody`.

Inputs. Notes with velocity. The image is engraved from them: its key signature is our own guess from the notes, not
the label. A transposed song has another key, so training songs are hurried only, and what a system must learn for one
key it must learn twelve times. Each of 24 keys has 14 to 47 training songs.

Metrics: accuracy, and the weighted score of MIREX audio key detection, which chooses: 1 for the right key, .5 for a
fifth above or below it in the same mode, .3 for the relative key, .2 for the parallel one, else 0. (mir_eval counts
the fifth above alone.) Over windows of 512 notes and over songs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats, Statistic
from scoresim.benchmark.task import PieceTask, official
from scoresim.benchmark.tasks import melody
from scoresim.data.pieces import Piece

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
CLASSES = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the key; -1 where there is none."""
    key = piece.labels.get("key", "")
    return classes.index(key) if key in classes else -1


def credit() -> Floats:
    """[24, 24] what an answer (column) is worth by the true key (row)."""
    mode, tonic = np.divmod(np.arange(len(CLASSES)), len(TONICS))
    away = (tonic[None, :] - tonic[:, None]) % 12
    same = mode[:, None] == mode[None, :]
    relative = np.where(mode[:, None] == 0, away == 9, away == 3)
    cases = [same & (away == 0), same & ((away == 7) | (away == 5)), ~same & relative, ~same & (away == 0)]
    return np.select(cases, [1.0, 0.5, 0.3, 0.2], 0.0)


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """The weighted score chooses."""
    return {"MIREX weighted score": metrics.mean_worth(credit()), "accuracy": metrics.accuracy}


TASK = PieceTask(
    name="key",
    question="In which key is this pop song?",
    level="sequence",
    corpora=("pop909",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain=melody.TASK.obtain,
    hurries=True,
)
