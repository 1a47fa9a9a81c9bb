"""Velocity, of music of several kinds at once: the question of `velocity`, for a head that is used on anybody's files.

POP909 is loud: two of three of its notes have a velocity of 80 or more. Piano music elsewhere is not, and a head that
has learnt pop songs alone expects of a nocturne what it knows of a chorus. So here it learns from all sources whose
velocities were played, not typed: the arrangements of POP909, piano covers and new piano music that was transcribed
from audio (Pianist8, EMOPIA), and the performances of ASAP, of which a quarter, chosen by lot, has half as many notes
as the songs. VGMIDI is left out: in nearly half of its files all notes are equally loud.

How loud a recording is as a whole is a matter of the instrument and of who transcribed it, and hardly stands in the
notes; so no system is near 1, and figures are read source by source (`benchmarks/heads.py`). The parts are the official
ones; pieces that are a copy of a more protected one under another name are left out.

Metrics: those of `velocity`. The rule gives every note the velocity 64, as the MIDI standard tells instruments that
measure none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoresim.benchmark.metrics import Floats
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import composer, composer_asap, emotion, melody, velocity
from scoresim.data.corpora import Item
from scoresim.data.corpora._styles import KEYBOARD
from scoresim.data.curate import seeded
from scoresim.data.pair import Pair

PLAYED, SHARE = "asap_performances", 0.25  # several performances of every work: so many of them are asked
USUAL = 64  # MIDI velocity


def part(item: Item) -> str | None:
    """The official part; None for what is thinned out."""
    kept = item.style not in KEYBOARD or seeded(0, "velocity", item.id).random() < SHARE
    return item.split if kept else None


def usual(pair: Pair, classes: Sequence[str] = velocity.CLASSES) -> Floats:
    """[N, C] the same for every note: that it is as loud as MIDI's default."""
    return np.tile(np.arange(len(classes)) == np.digitize(USUAL, velocity.EDGES[1:-1]), (len(pair.notes), 1)) * 1.0


TASK = PieceTask(
    name="velocity_all",
    question="Of six degrees of loudness, which has this note of a pop song, a piano cover or a performance?",
    level="note",
    corpora=("pop909", "pianist8", "emopia", PLAYED),
    part=part,
    classes=velocity.CLASSES,
    label=velocity.label,
    measures=velocity.measures,
    obtain=f"{melody.TASK.obtain} {composer.TASK.obtain} {emotion.TASK.obtain} {composer_asap.OBTAIN}",
    hidden=velocity.TASK.hidden,
    pictured=False,
    transposes=True,
    hurries=True,
    rule=("velocity 64", usual),
    shared=True,
)
