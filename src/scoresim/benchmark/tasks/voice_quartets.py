"""Voice, of string quartets: who plays this note, first or second violin, viola or cello?

Fifty movements of quartets by Haydn, Mozart and Beethoven stand in the music21 package. The question is that of
`voice_chorales`, and harder: the instruments cross, rest, and play two notes at once. All four are given the same
program, for their own would be the answer.

There is no official split. Ours is by work, by a hash of its name, the same as in every data set that is built. Of
sixteen works the hash gives two to validation and one to the test part, a single movement: no interval over works can
be had from one work. The task shows that a system does it at all; a claim must rest on `voice_chorales`.

Inputs, metrics and rule are those of `voice_chorales`.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.task import PieceTask, accuracy_first
from scoresim.benchmark.tasks import _staves, voice_chorales
from scoresim.data.pieces import Piece

CLASSES = ("first violin", "second violin", "viola", "cello")


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] instrument of each note from the top; below 0 in a piece that has not four staves."""
    return voice_chorales.label(piece)


TASK = PieceTask(
    name="voice_quartets",
    question="Which instrument of the quartet plays this note?",
    level="note",
    corpora=("quartets",),
    part=_staves.part,
    classes=CLASSES,
    label=label,
    measures=accuracy_first,
    obtain=voice_chorales.OBTAIN,
    hidden=("velocity",),
    transposes=True,
    hurries=True,
    composers=True,
    rule=voice_chorales.TASK.rule,
)
