"""Metre: in which time signature is this song?

OpenScore Lieder holds songs for voice and piano with the time signature that the composer wrote first (Gotham & Jonas,
MEC 2021). Classes are the nine signatures that at least ten training songs have, and "other" for all the rest, so that
no song is left out for its answer. The split is that of OLiMPiC, by song. (POP909 cannot be asked: the songs of the
split are those in 4/4.)

What would tell the answer is hidden. A note token names its time signature, its bar and its position in the bar: all
three are hidden. A model reads line by line, and a line begins at a bar line: so here a piece is cut into stretches of
64 notes without regard to bars, and the time of a note counts from the first one of its stretch. What is left is
pitches, note values in quarter notes and distances along the stretch. From these the accents must be heard. There is
no image: the composer's notation shows the signature and the bar lines, and so would a machine's. Whatever inputs are
asked for, the picture is blank.

Two signatures may be one rhythm: 2/4 in eighths sounds as 2/2 in quarters, 3/8 as 3/4. The note values tell how the
composer wrote, not how it sounds; so no system need reach 1.

Metrics: accuracy, which chooses, and macro-F1, over windows of 512 notes and over songs. Songs that change the metre
have one answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask, accuracy_first, official
from scoresim.benchmark.tasks import key_lieder
from scoresim.data.pieces import Piece

CLASSES = ("2/2", "2/4", "3/4", "3/8", "4/4", "6/4", "6/8", "9/8", "12/8", "other")


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the first time signature; -1 where there is none."""
    signature = piece.labels.get("time_signature", "")
    if not signature:
        return -1
    return classes.index(signature if signature in classes else "other")


TASK = PieceTask(
    name="meter",
    question="In which time signature is this song?",
    level="sequence",
    corpora=("openscore_lieder",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=accuracy_first,
    obtain=key_lieder.OBTAIN,
    hidden=("bar", "position", "time_signature"),
    pictured=False,
    transposes=True,
    hurries=True,
)
