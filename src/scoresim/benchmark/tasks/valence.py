"""Valence: is this phrase from a video game pleasant or not?

VGMIDI holds phrases of the music of video games, as piano MIDI; thirty people heard each and followed its valence and
its arousal (Ferreira & Whitehead, ISMIR 2019). The labels are the signs. The second question is `arousal`.

There is no official split. Ours is by game, by a hash of its name, so that no game's music is in two parts. The set is
very small: a test phrase is more than four points. Read the interval before the figure.

Inputs. Notes with velocity as they are in the file; the image is engraved from these notes. Training phrases are
transposed, but not hurried: fast and slow are not felt alike.

Metrics: accuracy and macro-F1, over windows and over phrases. Two thirds of the phrases are pleasant, so macro-F1 says
more; it chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Statistic
from scoresim.benchmark.task import PieceTask, official
from scoresim.data.pieces import Piece

CLASSES = ("low", "high")
SIGNS = {"-1": 0, "1": 1}
OBTAIN = "VGMIDI is at https://github.com/lucasnfe/vgmidi; docs/corpora.md says how its labelled part has to lie."


def sign(name: str) -> Callable[[Piece, Sequence[str]], int]:
    """What reads a label: 1 where it is high, 0 where it is low, -1 where there is none."""

    def label(piece: Piece, classes: Sequence[str]) -> int:
        return SIGNS.get(piece.labels.get(name, ""), -1)

    return label


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """Macro-F1 chooses."""
    return {"macro-F1": metrics.macro_f1, "accuracy": metrics.accuracy}


TASK = PieceTask(
    name="valence",
    question="Is this phrase of a video game pleasant?",
    level="sequence",
    corpora=("vgmidi",),
    part=official,
    classes=CLASSES,
    label=sign("valence"),
    measures=measures,
    obtain=OBTAIN,
    transposes=True,
    balance=0.5,
)
