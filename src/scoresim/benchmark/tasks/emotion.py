"""Emotion: which of four moods has this clip of a pop song?

EMOPIA holds clips of pop songs played on the piano, transcribed from recordings, and a listener's judgement of each
(Hung et al., ISMIR 2021). The classes are the quadrants of Russell's plane: happy or excited (high valence, high
arousal), tense (low, high), sad (low, low), calm (high, low).

The clips of one song resemble each other. Here no song has clips in two parts: the official split. The question with
the split of MidiBERT-Piano, whose songs are torn apart, is `emotion_midibert`.

Inputs. Notes with velocity, in the tempo of the estimated beats; the image is engraved from these notes. Training
clips are transposed, but not hurried: tempo is half of arousal. A clip is read in windows of 512 notes; most have one.

Metrics: accuracy and macro-F1, over windows and over clips. A clip is 1.1 points, and the clips of a song share its
luck: look at the interval, which is over songs.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask, accuracy_first, official
from scoresim.data.pieces import Piece

CLASSES = (
    "high valence, high arousal",
    "low valence, high arousal",
    "low valence, low arousal",
    "high valence, low arousal",
)
OBTAIN = "EMOPIA is at https://zenodo.org/record/5090631: put its folder EMOPIA_1.0 there."


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the quadrant; -1 where there is none."""
    quadrant = piece.labels.get("quadrant", "")
    return int(quadrant) - 1 if quadrant in ("1", "2", "3", "4") else -1


TASK = PieceTask(
    name="emotion",
    question="Which of four emotions has this clip?",
    level="sequence",
    corpora=("emopia",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=accuracy_first,
    obtain=OBTAIN,
    transposes=True,
)
