"""Composer, of scores and performances at once: the question of `composer_asap`, for a head that is used on any file.

A head that has learnt from performances alone is right of three of four performances and of one of three scores, and
nobody can say beforehand which of the two a MIDI file is. So here it learns from both, ASAP's scores and recordings
(Foscarin et al., ISMIR 2020), and from more scores of four of the composers: Beethoven's and Mozart's sonatas, Chopin,
and Bach's Well-Tempered Clavier, in Humdrum kern. The ten composers are those of whom ASAP has three works or more.

Inputs. Notes alone, with the velocity and the tempo that the file states: a score has one of each. A transposed piece
is by the same hand. The parts are by work, and one work is in one part whatever source it is in.

Metrics: those of `composer_asap`, over windows of 512 notes and over pieces. Most test pieces are performances: look at
each source alone, too (`benchmarks/heads.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import composer_asap
from scoresim.data.pieces import Piece

SCORES, PLAYED = "asap", "asap_performances"


def classes(train: Sequence[Piece]) -> tuple[str, ...]:
    """The composers of ASAP's part of the training pieces, in alphabetical order."""
    return composer_asap.classes([piece for piece in train if piece.corpus in (SCORES, PLAYED)])


TASK = PieceTask(
    name="composer_all",
    question="Who wrote this piano piece, as written or as played?",
    level="sequence",
    corpora=(SCORES, PLAYED, "kern_beethoven", "kern_chopin", "kern_mozart", "kern_wtc"),
    part=composer_asap.part,
    classes=classes,
    label=composer_asap.label,
    measures=composer_asap.measures,
    obtain=f"{composer_asap.OBTAIN} It says where the scores in kern are, too.",
    pictured=False,
    transposes=True,
    hurries=True,
    balance=0.5,
)
