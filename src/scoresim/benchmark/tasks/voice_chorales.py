"""Voice, of chorales: who sings this note, soprano, alto, tenor or bass?

Bach's chorales stand in the music21 package, mostly four voices on four staves. Chords mostly have four notes, one to
each; but voices cross, two sing one note, and one holds while others move, so the rule that counts from the top is not
always right. Chorales with instruments of their own, or with other than four staves, are left out.

There is no official split. Ours is by BWV number, by a hash of it, the same as in every data set that is built: what
is tested here is in no pre-training. Several chorales share a tune, and some of them are in different parts.

Inputs. Notes as written, velocity hidden, one program: no token says the staff. In the image the answer can be seen,
for each voice has its staff: a row with an image says how well a system finds each note on the page. Two voices on one
note get one class, the higher voice.

Metrics: accuracy, which chooses, and macro-F1, over notes. Beside them the rule that counts from the top: of the
pitches that sound when a note begins the highest is soprano, the lowest bass, the second alto, any other tenor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoresim.benchmark.metrics import Floats, Ints
from scoresim.benchmark.task import PieceTask, accuracy_first
from scoresim.benchmark.tasks import _staves
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.score.tokens import default_vocabulary
from scoresim.understand.note_features import ranks

CLASSES = ("soprano", "alto", "tenor", "bass")
OBTAIN = "It is read from the music21 package, which pip installs."


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] voice of each note from the top; below 0 in a chorale that has not four staves."""
    return _staves.of_staff(piece, (0, 1, 2, 3)) if len(piece.staves) == len(CLASSES) else _staves.none(piece)


def counted(pair: Pair, classes: Sequence[str] = CLASSES) -> Floats:
    """[N, 4] scores by how many pitches sound above and below each note."""
    above, below = ranks(pair, default_vocabulary())
    said = np.select([above == 0, below == 0, above == 1], [0, 3, 1], 2)
    scores: Floats = np.log(np.eye(len(classes))[said] + 1e-6)
    return scores


TASK = PieceTask(
    name="voice_chorales",
    question="Which of four voices sings this note?",
    level="note",
    corpora=("bach_chorales",),
    part=_staves.part,
    classes=CLASSES,
    label=label,
    measures=accuracy_first,
    obtain=OBTAIN,
    hidden=("velocity",),
    transposes=True,
    hurries=True,
    composers=True,
    rule=("counted from the top", counted),
)
