"""Difficulty: how hard is this piano piece, on a scale from 1 to 9?

CIPI ("Can I play it?", Ramoneda et al., Expert Systems with Applications 238, 2024) is a list of piano pieces with the
grades of the publisher Henle, 1 easy to 9 very hard. Its scores are not free; those of its pieces that stand in free
sets (sonatas of Beethoven and Mozart, and Chopin) are asked here, a quarter of the list. So no published figure stands
beside ours. The split is by work, the same as in every set of these works.

One grade may cover a sonata of several movements. Each movement is a piece here and has the grade of the whole, though
one of them is usually the hard one: that is a limit of the labels.

Inputs. Notes as written, without velocity; the image is the composer's notation (of the edition), without words and
fingering. A transposed piece is not as hard, and a faster one is harder: training pieces are left as they are.

Metrics. Grades are in order and few are at the ends. Macro accuracy is the mean over grades of the share of right
answers, and chooses; the mean squared error of the grade (0 is perfect, smaller is better) punishes far misses;
Kendall's tau-b says whether harder pieces are called harder. Over windows of 512 notes and over movements.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Statistic
from scoresim.benchmark.task import PieceTask
from scoresim.data.corpora import Item
from scoresim.data.pieces import Piece

CLASSES = tuple(str(grade) for grade in range(1, 10))


def part(item: Item) -> str | None:
    """The split by work; None for a piece without a grade."""
    return item.split if item.labels.get("henle") in CLASSES else None


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the grade; -1 where there is none."""
    grade = piece.labels.get("henle", "")
    return classes.index(grade) if grade in classes else -1


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """Macro accuracy chooses."""
    return {
        "macro accuracy": metrics.balanced_accuracy,
        "mean squared error": metrics.squared_error([int(grade) for grade in classes]),
        "Kendall's tau-b": metrics.kendall_tau_b,
    }


TASK = PieceTask(
    name="difficulty",
    question="How hard is this piano piece, from 1 to 9?",
    level="sequence",
    corpora=("kern_beethoven", "kern_chopin", "kern_mozart"),
    part=part,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain="The grades are at https://github.com/PRamoneda/rubricnet; docs/corpora.md says how they have to lie.",
    balance=0.5,
    composers=True,
)
