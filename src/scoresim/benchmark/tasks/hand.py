"""Hand: on which of the two staves of a piano score does this note stand?

ASAP holds scores of piano music in MusicXML (Foscarin et al., ISMIR 2020). The upper staff is mostly the right hand,
the lower one the left, and who writes music down from MIDI must decide it for every note. The label is the staff of
the score, not the hand of a player: where the hands cross, or one hand reaches over, the staff is the right answer. A
score with another number of staves than two is left out. The split is by work.

Inputs. Notes as written, velocity hidden, one program: no token says the staff. In the image the answer can be seen,
for it is the composer's notation (of the edition): a row with an image says how well a system finds each note on the
page. Two notes of one pitch that begin together get one class, upper if either is.

Metrics: accuracy, which chooses, and macro-F1, over notes. Beside them the rule of a fixed split: middle C and what is
higher stands on the upper staff.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoresim.benchmark.metrics import Floats, Ints
from scoresim.benchmark.task import PieceTask, accuracy_first, official
from scoresim.benchmark.tasks import _staves, composer_asap
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.score.tokens import FIRST

CLASSES = ("upper staff", "lower staff")
MIDDLE_C = 60


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] 0 on the upper staff, 1 on the lower; below 0 in a score that has not two staves."""
    return _staves.of_staff(piece, (0, 1)) if len(piece.staves) == len(CLASSES) else _staves.none(piece)


def split(pair: Pair, classes: Sequence[str] = CLASSES) -> Floats:
    """[N, 2] scores by the side of middle C on which a note lies."""
    said = (pair.notes[:, _staves.PITCH] < FIRST + MIDDLE_C).astype(np.int64)
    return np.log(np.eye(len(classes))[said] + 1e-6)


TASK = PieceTask(
    name="hand",
    question="On which staff of the piano score does this note stand?",
    level="note",
    corpora=("asap",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=accuracy_first,
    obtain=composer_asap.OBTAIN,
    hidden=("velocity",),
    transposes=True,
    hurries=True,
    composers=True,
    rule=("split at middle C", split),
)
