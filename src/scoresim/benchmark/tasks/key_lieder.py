"""Key signature: how many sharps or flats does this song begin with?

OpenScore Lieder holds songs for voice and piano with the key signature that the composer wrote (Gotham & Jonas, MEC
2021). Its files hardly ever name the mode, so the question is the signature: C major and A minor have one answer. All
15 signatures are classes, from seven flats (-7) to seven sharps (7), whether training has them or not. The split is
that of OLiMPiC, by song.

Inputs. Notes: a token has a pitch and no spelling, and nothing in it says the signature. In the image the answer can
be seen, for it is the composer's notation, with the signature at the beginning of every line: a row with an image says
how well a system reads, not how well it hears. Only rows from notes alone answer a question about music. For them
training songs are learnt from in several keys, as in `key`: a transposed song is given the signature of fewest sharps
or flats, and of six as its own was. Training songs are hurried, too.

Metrics: accuracy, which chooses, and the mean distance to the right signature on the line of fifths (0 is perfect,
smaller is better), over windows of 512 notes and over songs. The question is about the beginning of the song, but all
its windows are asked. Beside them the profiles of `key`: the signature of the key that fits best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats, Statistic
from scoresim.benchmark.task import PieceTask, official
from scoresim.benchmark.tasks import key
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.windows import moved

CLASSES = tuple(str(fifths) for fifths in range(-7, 8))
OBTAIN = "OpenScore Lieder is at https://github.com/OpenScore/Lieder; docs/corpora.md says how it has to lie."


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the signature; -1 where there is none."""
    fifths = piece.labels.get("fifths", "")
    return classes.index(fifths) if fifths in classes else -1


def turned(piece: Piece, steps: int) -> Piece:
    """A song so many semitones higher, with the signature that it has then; one without a signature has none."""
    labels = dict(piece.labels)
    if label(piece) >= 0:
        old = int(labels["fifths"])
        new = (old + 7 * steps + 5) % 12 - 5  # -5 to 6
        labels["fifths"] = str(-6 if new == 6 and old < 0 else new)
    return replace(piece, ids=moved(piece.ids, steps, 0), labels=labels)


def profiles(pair: Pair, classes: Sequence[str] = CLASSES) -> Floats:
    """[15] correlation with the best key of each signature; of two that sound alike that of fewer signs is ahead."""
    said = key.profiles(pair)
    fifths = np.array([int(name) for name in classes])
    major = 7 * fifths % 12
    best: Floats = np.maximum(said[major], said[12 + (major + 9) % 12]) - 1e-6 * abs(fifths)
    return best


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """Accuracy chooses."""
    distance = metrics.absolute_error([int(fifths) for fifths in classes])
    return {"accuracy": metrics.accuracy, "mean distance in fifths": distance}


TASK = PieceTask(
    name="key_lieder",
    question="With how many sharps or flats does this song begin?",
    level="sequence",
    corpora=("openscore_lieder",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain=OBTAIN,
    hurries=True,
    composers=True,
    rule=("key profiles", profiles),
    turned=turned,
)
