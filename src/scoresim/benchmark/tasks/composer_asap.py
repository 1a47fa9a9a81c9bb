"""Composer, of scores: who wrote this piano piece, from Bach to Ravel?

ASAP holds scores of piano music in MusicXML (Foscarin et al., ISMIR 2020). The split is ours and by work: the
movements of a sonata, a prelude and its fugue are in one part. Composers with fewer than three works in the set are
left out; ten stay. Recordings of the same works are `composer_performances`.

Inputs. Notes as written: all have one velocity, and no tempo but the marked one. The image is the composer's notation
(of the edition): it shows staves, slurs and spelling that no MIDI file holds, so a row with an image says so. Titles
and names are left out of the picture. A transposed piece is by the same hand.

Metrics: balanced accuracy (every composer counts alike), which chooses, accuracy and macro-F1, over windows of 512
notes and over pieces. The test part is small and half of it is Bach and Beethoven.

SyMuRBench asks for 7 composers of ASAP on 197 pieces. We have not read which seven, nor its folds; its figures are
named beside ours for scale, not for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Statistic
from scoresim.benchmark.task import PieceTask, Published
from scoresim.data.corpora import Item
from scoresim.data.pieces import Piece

OBTAIN = "ASAP is at https://github.com/fosfrancesco/asap-dataset: put a clone there, under that name."
DIFFERS = "seven composers, 197 pieces, other folds"
WHICH_F1 = "which mean of F1 is not known to us"


def part(item: Item) -> str | None:
    """The split by work; None for a composer of few works."""
    return None if item.labels.get("few_works") == "1" else item.split


def classes(train: Sequence[Piece]) -> tuple[str, ...]:
    """The composers of the training part, in alphabetical order."""
    return tuple(sorted({piece.composer for piece in train}))


def label(piece: Piece, known: Sequence[str]) -> int:
    """Index of the composer; -1 for one who is not in the training part."""
    return known.index(piece.composer) if piece.composer in known else -1


def measures(known: Sequence[str]) -> dict[str, Statistic]:
    """Balanced accuracy chooses."""
    return {
        "balanced accuracy": metrics.balanced_accuracy,
        "accuracy": metrics.accuracy,
        "macro-F1": metrics.macro_f1,
    }


TASK = PieceTask(
    name="composer_asap",
    question="Who wrote this piano piece?",
    level="sequence",
    corpora=("asap",),
    part=part,
    classes=classes,
    label=label,
    measures=measures,
    obtain=OBTAIN,
    transposes=True,
    hurries=True,
    balance=0.5,
    composers=True,
    published=(
        Published("music21 features (SyMuRBench)", "balanced accuracy", 0.61, DIFFERS, of_pieces=True),
        Published("jSymbolic features (SyMuRBench)", "balanced accuracy", 0.73, DIFFERS, of_pieces=True),
        Published("music21 features (SyMuRBench)", "macro-F1", 0.73, f"{DIFFERS}; {WHICH_F1}", of_pieces=True),
        Published("jSymbolic features (SyMuRBench)", "macro-F1", 0.82, f"{DIFFERS}; {WHICH_F1}", of_pieces=True),
    ),
)
