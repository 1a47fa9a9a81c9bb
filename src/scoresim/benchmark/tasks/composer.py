"""Composer: which of eight pianists wrote or arranged this piece?

Pianist8 holds 411 pieces by eight artists, transcribed from recordings, with the split of MidiBERT-Piano (Chou et al.,
arXiv:2107.05223). A piece is read in windows of 512 notes one after the other; a last window of fewer than 256 notes is
left out, as there. The published figure is the share of right windows; a user asks about pieces, so the share of right
pieces stands beside it, a piece's answer being the mean log-probability of its windows.

Inputs. Notes with velocity, in the tempo of the estimated beats; the image is engraved from these notes. A transposed
piece is by the same hand.

Metrics: accuracy and macro-F1, over windows and over pieces. A window is .8 points, a piece 2.7: look at the interval.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask, Published, accuracy_first, official
from scoresim.data.pieces import Piece


def classes(train: Sequence[Piece]) -> tuple[str, ...]:
    """The artists of the training part, in alphabetical order."""
    return tuple(sorted({piece.labels["artist"] for piece in train}))


def label(piece: Piece, known: Sequence[str]) -> int:
    """Index of the artist; -1 for one that is not in the training part."""
    artist = piece.labels.get("artist", "")
    return known.index(artist) if artist in known else -1


TASK = PieceTask(
    name="composer",
    question="Which of eight pianists is this?",
    level="sequence",
    corpora=("pianist8",),
    part=official,
    classes=classes,
    label=label,
    measures=accuracy_first,
    obtain="Pianist8 is at https://github.com/joann8512/Pianist8: put a clone there, under that name.",
    least=256,
    transposes=True,
    hurries=True,
    published=(
        Published("RNN, compound word (MidiBERT-Piano)", "accuracy", 0.6032, "windows; 16th-note grid of 120 a minute"),
        Published("MidiBERT-Piano", "accuracy", 0.7857, "windows; pre-trained on the test pieces too"),
        Published("M2BERT (arXiv:2507.04776)", "accuracy", 0.744, "five folds of its own"),
    ),
)
