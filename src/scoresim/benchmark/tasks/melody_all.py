"""Melody, of music of several kinds at once: the question of `melody`, for a head that is used on anybody's files.

A head that has learnt pop songs alone finds little in other music (`melody` asks it of songs and chorales elsewhere).
So here it learns from all that says where its melody is: the pop songs of POP909, the songs for one voice and piano of
OpenScore Lieder, whose voice is the melody, and Bach's four-part chorales, whose soprano is. In the last two there is
no bridge; a note that the piano plays with the voice is melody, for no MIDI file tells the two apart.

The parts of POP909 and of the songs are the official ones, those of the chorales by the lot of the work, so that the
test part is that of `melody` and of its questions elsewhere together. Inputs are as there.

Metrics: F1 of melody against all else, which chooses, and accuracy over the three classes. Beside them the majority
class and the skyline, which is strong in chorales and weak in songs with an accompaniment above the voice.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Ints, Statistic
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import _staves, key_lieder, melody
from scoresim.data.corpora import Item
from scoresim.data.pieces import Piece

LABELS = {"pop909": melody.label, "openscore_lieder": melody.voice, "bach_chorales": melody.soprano}


def part(item: Item) -> str:
    """The official part; by the lot of the work where there is none."""
    return item.split or _staves.part(item)


def label(piece: Piece, classes: Sequence[str] = melody.CLASSES) -> Ints:
    """[N] class of each note by its track or staff; below 0 where that does not say it."""
    return LABELS[piece.corpus](piece, classes)


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """F1 of melody chooses."""
    return {"F1 of melody": melody.melody_f1, "accuracy": metrics.accuracy}


TASK = PieceTask(
    name="melody_all",
    question="Is this note of a pop song, a song with piano or a chorale melody, bridge or accompaniment?",
    level="note",
    corpora=tuple(LABELS),
    part=part,
    classes=melody.CLASSES,
    label=label,
    measures=measures,
    obtain=f"{melody.TASK.obtain} {key_lieder.OBTAIN} The chorales come with music21.",
    hidden=melody.HIDDEN,
    transposes=True,
    hurries=True,
    rule=("skyline", melody.skyline),
)
