"""Composer, of performances: who wrote the piece that this pianist plays?

The question, the works, the split and the metrics are those of `composer_asap`, asked of the recordings in ASAP
(Foscarin et al., ISMIR 2020): pianists on computer-controlled instruments, as MIDI. A work has up to dozens of
recordings and all are in one part, so a system that knows a piece by heart gains nothing.

Inputs. Notes with velocity, on estimated beats, for a performance states none; so bars and note values are often
wrong, as they are for a user. The image is engraved from these notes and shows nothing more.

A piece is one performance. Many performances of few works: the interval, which is over works, is wide.
"""

from __future__ import annotations

from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import composer_asap

TASK = PieceTask(
    name="composer_performances",
    question="Who wrote the piece that is played here?",
    level="sequence",
    corpora=("asap_performances",),
    part=composer_asap.part,
    classes=composer_asap.classes,
    label=composer_asap.label,
    measures=composer_asap.measures,
    obtain=composer_asap.OBTAIN,
    transposes=True,
    hurries=True,
    balance=0.5,
)
