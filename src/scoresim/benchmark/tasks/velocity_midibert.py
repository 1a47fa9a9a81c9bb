"""Velocity as MidiBERT-Piano prepared it: the same songs and split, its grid, and its order of the notes.

The question is that of `velocity`, and the preparation that of `melody_midibert`: notes of one onset stand in the order
of their tracks, each of which was played with a loudness of its own, so the order of the notes tells part of the
answer. For what a user's own file may be asked, look at `velocity`.

Metrics: accuracy over all notes, mean absolute error in classes, macro-F1.
"""

from __future__ import annotations

from dataclasses import replace

from scoresim.benchmark.task import Published
from scoresim.benchmark.tasks import _midibert, velocity

TASK = replace(
    velocity.TASK,
    name="velocity_midibert",
    question="Of six degrees of loudness, which has this note, in the order of MidiBERT-Piano?",
    pictured=False,
    prepared=_midibert.on_sixteenths,
    published=(
        Published("RNN, compound word (MidiBERT-Piano)", "accuracy", 0.4377, "durations on a grid of their own"),
        Published("MidiBERT-Piano", "accuracy", 0.5163, "pre-trained on the test songs too"),
        Published("M2BERT (arXiv:2507.04776)", "accuracy", 0.535, "context of 1,024 notes; five folds"),
    ),
)
