"""Melody, of music of several kinds at once: the question of `melody`, for a head that is used on anybody's files.

A head that has learnt pop songs alone finds little in other music (`melody` asks it of songs and chorales elsewhere).
So here it learns from all that says where its melody is: the pop songs of POP909, the songs for one voice and piano of
OpenScore Lieder, whose voice is the melody, and Bach's four-part chorales, whose soprano is. Of piano music nobody has
written down which notes are its melody. There the highest of the upper staff stands for it, in the sonatas of Mozart
and Beethoven and in Chopin: wrong where the left hand sings, right for most listeners elsewhere. In all but the pop
songs there is no bridge; a note that the piano plays with the voice is melody, for no MIDI file tells the two apart.

The parts are the official ones, those of the chorales by the lot of the work, so that the test part holds that of
`melody` and of its questions elsewhere. Inputs are as there.

Metrics: F1 of melody against all else, which chooses, and accuracy over the three classes. Beside them the majority
class and the skyline, which is strong in chorales and weak in songs with an accompaniment above the voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Ints, Statistic
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import _staves, key_lieder, melody
from scoresim.data.corpora import Item
from scoresim.data.pieces import NOTE_COLUMNS, Piece
from scoresim.data.seen import seen
from scoresim.score.tokens import default_vocabulary
from scoresim.understand.note_features import top_line

STAFF = 1  # the upper one


def upper(piece: Piece, classes: Sequence[str] = melody.CLASSES) -> Ints:
    """[N] melody for the highest of all that sound on the upper of two staves as it begins; below 0 in other scores."""
    own = np.flatnonzero(piece.staff == STAFF)
    if len(piece.staves) != 2 or not len(own):
        return _staves.none(piece)
    columns = {name: getattr(piece, name)[own] for name in ("ids", "onset", *NOTE_COLUMNS)}
    highest = top_line(seen(replace(piece, lines=(), **columns), melody.HIDDEN), default_vocabulary())
    out = np.full(len(piece), classes.index("accompaniment"), dtype=np.int64)
    out[own[highest]] = classes.index("melody")
    return out


LABELS = {
    "pop909": melody.label,
    "openscore_lieder": melody.voice,
    "bach_chorales": melody.soprano,
    "kern_mozart": upper,
    "kern_beethoven": upper,
    "kern_chopin": upper,
}


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
    question="Is this note of a pop song, a song, a chorale or a piano piece melody, bridge or accompaniment?",
    level="note",
    corpora=tuple(LABELS),
    part=part,
    classes=melody.CLASSES,
    label=label,
    measures=measures,
    obtain=f"{melody.TASK.obtain} {key_lieder.OBTAIN} The chorales come with music21; "
    "docs/corpora.md says where the piano scores are.",
    hidden=melody.HIDDEN,
    transposes=True,
    hurries=True,
    width=128,
    rule=("skyline", melody.skyline),
)
