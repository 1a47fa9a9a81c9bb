"""Arousal: is this phrase from a video game exciting or calm?

The phrases, the listeners, the split by game and the metrics are those of `valence`; the label is the sign of the
arousal. Loud, fast and dense music excites, so notes with velocity and tempo say much of it, and simple features are
hard to beat.
"""

from __future__ import annotations

from scoresim.benchmark.task import PieceTask, official
from scoresim.benchmark.tasks import valence

TASK = PieceTask(
    name="arousal",
    question="Is this phrase of a video game exciting?",
    level="sequence",
    corpora=("vgmidi",),
    part=official,
    classes=valence.CLASSES,
    label=valence.sign("arousal"),
    measures=valence.measures,
    obtain=valence.OBTAIN,
    transposes=True,
    balance=0.5,
)
