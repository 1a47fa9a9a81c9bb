"""Difficulty, of easy music and of hard: the question of `difficulty`, for a head that is used on anybody's files.

Of the graded pieces of `difficulty`, sonatas and Chopin, none is easier than 3, and a head that has learnt them alone
has never met a beginner's piece. So here it learns from Bartok's *Mikrokosmos*, too, 147 pieces for one who begins to
play until he can: the publisher Henle has graded them on the same scale (from 1 to 8; Ramoneda et al., ICASSP 2022).

Pieces of *Mikrokosmos* are in a part by the lot of the piece, all others in that of `difficulty`. Inputs are notes
alone, as written.

Metrics are those of `difficulty`, but Kendall's tau-b chooses: who asks wants harder pieces to be called harder. Only
*Mikrokosmos* has grades 1 and 2, so in part a head tells two styles apart: look at each source alone, too
(`benchmarks/heads.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scoresim.benchmark.metrics import Statistic
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import difficulty
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot
from scoresim.data.pieces import Piece


def grade(labels: Mapping[str, str]) -> str:
    """The grade alone: "3" for "Piano 3 easy"."""
    return labels.get("henle", "").removeprefix("Piano ").partition(" ")[0]


def part(item: Item) -> str | None:
    """The split by work, else by its lot; None for a piece without a grade."""
    return (item.split or by_lot(item.work)) if grade(item.labels) in difficulty.CLASSES else None


def label(piece: Piece, classes: Sequence[str] = difficulty.CLASSES) -> int:
    """Index of the grade; -1 where there is none."""
    known = grade(piece.labels)
    return classes.index(known) if known in classes else -1


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """Kendall's tau-b chooses."""
    known = difficulty.measures(classes)
    return {name: known[name] for name in ("Kendall's tau-b", "mean squared error", "macro accuracy")}


TASK = PieceTask(
    name="difficulty_all",
    question="How hard is this piano piece, from 1 to 9, be it for beginners or a sonata?",
    level="sequence",
    corpora=(*difficulty.TASK.corpora, "mikrokosmos"),
    part=part,
    classes=difficulty.CLASSES,
    label=label,
    measures=measures,
    obtain=f"{difficulty.TASK.obtain} Mikrokosmos is at https://github.com/PRamoneda/Mikrokosmos-difficulty.",
    pictured=False,
    balance=difficulty.TASK.balance,
)
