"""Velocity: how loud is this note of a pop song played?

The songs, the split and the six classes are those of MidiBERT-Piano (Chou et al., arXiv:2107.05223) on POP909: MIDI
velocities below 32, 48, 64, 80, 96 and 128. The velocity itself is hidden, so the answer must come from the notes: the
voice that sings is louder, a chord that accompanies is softer, the end of a song fades. Most of it is a matter of how
the arrangement was recorded: no system is near 1.

Inputs. Note tokens with one program for all, velocity hidden; the image, where one is read, is engraved from the
merged notes, without dynamics. Training songs are transposed and hurried.

Metrics: accuracy over all notes, the published one, chooses. Since the classes are in order, the mean absolute error
in classes stands beside it (0 is perfect, smaller is better): to take very soft for very loud is worse than for soft.
Macro-F1 says whether the rare classes are found at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Ints, Statistic
from scoresim.benchmark.task import PieceTask, Published, official
from scoresim.benchmark.tasks import melody
from scoresim.data.pieces import Piece

EDGES = (0, 32, 48, 64, 80, 96, 128)
CLASSES = tuple(f"{low}-{high - 1}" for low, high in pairwise(EDGES))


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] class of the velocity of each note."""
    return np.digitize(piece.velocity, EDGES[1:-1]).astype(np.int64)


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """Accuracy chooses."""
    error = metrics.absolute_error(range(len(classes)))
    return {"accuracy": metrics.accuracy, "mean absolute error in classes": error, "macro-F1": metrics.macro_f1}


TASK = PieceTask(
    name="velocity",
    question="Of six degrees of loudness, which has this note?",
    level="note",
    corpora=("pop909",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain=melody.TASK.obtain,
    hidden=("velocity",),
    transposes=True,
    hurries=True,
    published=(
        Published("RNN, compound word (MidiBERT-Piano)", "accuracy", 0.4377, "16th-note grid, notes of 4/4 songs"),
        Published("MidiBERT-Piano", "accuracy", 0.5163, "pre-trained on the test songs too; 16th-note grid"),
        Published("M2BERT (arXiv:2507.04776)", "accuracy", 0.535, "context of 1,024 notes; five folds"),
    ),
)
