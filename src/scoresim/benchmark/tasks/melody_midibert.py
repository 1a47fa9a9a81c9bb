"""Melody as MidiBERT-Piano prepared it: the same songs and split, its grid, and its order of the notes.

The question is that of `melody`. Here the notes stand on a grid of 16ths, and those of one onset in the order of their
tracks, as in the public code behind the published figures (`tasks/_midibert.py`): a figure of this task can stand
beside them, and says how well a system reads that order as much as how well it hears a melody. For a melody that is to
be heard, look at `melody`: a MIDI file of a user has no such order.

Metrics: accuracy over all notes of the test songs, and F1 of melody. The rule calls melody what stands before the first
fall of the pitch within an onset, bridge what stands between two falls, and all else accompaniment; what it calls
melody or bridge is never accompaniment.
"""

from __future__ import annotations

from dataclasses import replace

from scoresim.benchmark.task import Published
from scoresim.benchmark.tasks import _midibert, melody

TASK = replace(
    melody.TASK,
    name="melody_midibert",
    question="Is this note melody, bridge or accompaniment, in the order of MidiBERT-Piano?",
    pictured=False,
    prepared=_midibert.on_sixteenths,
    rule=("falls of the pitch", _midibert.read_off),
    elsewhere=(),
    published=(
        Published("RNN, compound word (MidiBERT-Piano)", "accuracy", 0.8866, "durations on a grid of their own"),
        Published("MidiBERT-Piano", "accuracy", 0.9637, "pre-trained on the test songs too"),
        Published("M2BERT (arXiv:2507.04776)", "accuracy", 0.983, "context of 1,024 notes; five folds"),
    ),
)
