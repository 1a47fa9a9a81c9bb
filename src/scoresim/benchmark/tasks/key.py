"""Key: in which of 24 keys is this pop song?

POP909 comes with keys that a program heard in the recordings of the songs, in seconds; the label is the key that lasts
longest (Wang et al., ISMIR 2020). So there are wrong labels, and songs that change the key have one answer all the
same. The songs and the split are those of `melody`.

Inputs. Notes with velocity. The image is engraved from them: its key signature is our own guess from the notes, not
the label. A transposed song is in the key that is as far away, so where notes are read alone every training song is
learnt from in several keys, its own and others by lot (`piecewise.in_keys`); otherwise what a system must learn for
one key it must learn twelve times, from 14 to 47 songs of each. Training songs are hurried, too.

Metrics: accuracy, and the weighted score of MIREX audio key detection, which chooses: 1 for the right key, .5 for a
fifth above or below it in the same mode, .3 for the relative key, .2 for the parallel one, else 0. (mir_eval counts
the fifth above alone.) Over windows of 512 notes and over songs.

Beside them the rule that any key finder has to beat (`score/keys.py`): how long each pitch class sounds, correlated
with profiles of the keys. Of four published pairs (Aarden's, Krumhansl and Kessler's, Temperley's, Bellman's) Aarden's
are best on the validation part of `key_all`. A head that is shipped answers together with it (`benchmark.beside`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats, Statistic
from scoresim.benchmark.task import PieceTask, official
from scoresim.benchmark.tasks import melody
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.windows import moved
from scoresim.score.keys import KEYS, TONICS, key_profiles

CLASSES = KEYS


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the key; -1 where there is none."""
    key = piece.labels.get("key", "")
    return classes.index(key) if key in classes else -1


def profiles(pair: Pair, classes: Sequence[str] = CLASSES) -> Floats:
    """[24] how well some notes fit the profile of each key."""
    return key_profiles(pair.notes)


def turned(piece: Piece, steps: int, named: Callable[[Piece], int] = label) -> Piece:
    """A piece so many semitones higher, in the key that it has then; one without a key has none.

    Args:
        named: index of the key of a piece; -1 for none.
    """
    mode, tonic = divmod(named(piece), len(TONICS))
    key = CLASSES[len(TONICS) * mode + (tonic + steps) % len(TONICS)] if mode >= 0 else ""
    return replace(piece, ids=moved(piece.ids, steps, 0), labels={**piece.labels, "key": key})


def credit() -> Floats:
    """[24, 24] what an answer (column) is worth by the true key (row)."""
    mode, tonic = np.divmod(np.arange(len(CLASSES)), len(TONICS))
    away = (tonic[None, :] - tonic[:, None]) % 12
    same = mode[:, None] == mode[None, :]
    relative = np.where(mode[:, None] == 0, away == 9, away == 3)
    cases = [same & (away == 0), same & ((away == 7) | (away == 5)), ~same & relative, ~same & (away == 0)]
    return np.select(cases, [1.0, 0.5, 0.3, 0.2], 0.0)


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """The weighted score chooses."""
    return {"MIREX weighted score": metrics.mean_worth(credit()), "accuracy": metrics.accuracy}


TASK = PieceTask(
    name="key",
    question="In which key is this pop song?",
    level="sequence",
    corpora=("pop909",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain=melody.TASK.obtain,
    hurries=True,
    rule=("key profiles", profiles),
    turned=turned,
)
