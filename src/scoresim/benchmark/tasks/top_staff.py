"""The top staff: does this note stand on it?

In songs, quartets, choruses and keyboard music the top staff usually carries the tune, and the score says for
every note on which staff it stands. So the label costs nothing and is exact, but it is the score's, not a
listener's: where the tune wanders into the tenor, the top staff is still the right answer.

Only passages are asked in which the question is open: at least two staves, with notes on the top staff and on
another. Two notes of the same pitch that begin together cannot be told apart by any MIDI file; they get one
label, top if any of them is.

Inputs. From the notes alone, the model must hear the top line. With the image the answer can be seen, for the
image is the composer's own notation: a row with the image says how well the model finds each note on the
page, not how well it hears. For the image alone, the notes are given as blanks: every attribute is hidden,
only the time of each note and its place in the order (by pitch inside a chord) are told, so that there is
something to label.

Metrics: accuracy over notes, and F1 of "top" (padding is never counted; intervals are over works). Beside
them: the majority class, and the skyline, the textbook rule that the tune is the highest note that begins
at each onset (Uitdenbogerd & Zobel, ACM Multimedia 1999).
"""

from __future__ import annotations

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.task import Answers, Figure, Task
from scoresim.data.pair import Pair
from scoresim.data.shards import Split
from scoresim.errors import BadInput
from scoresim.score.tokens import ATTRIBUTES

PITCH = ATTRIBUTES.index("pitch")


def classes(train: Split) -> tuple[str, ...]:
    """Two classes, always: 0 is another staff, 1 is the top staff."""
    return ("other", "top")


def rows(split: Split, known: tuple[str, ...]) -> tuple[int, ...]:
    """Passages with notes on the top staff and on another."""
    several = [i for i, staves in enumerate(split.column("n_staves")) if staves >= 2]
    return tuple(i for i in several if len(np.unique(split[i].staff == 1)) == 2)


def labels(pair: Pair, known: tuple[str, ...] = ("other", "top")) -> metrics.Ints:
    """[N] 1 for a note of the top staff, and for its doubles of the same onset and pitch."""
    top = pair.staff == 1
    _, same = np.unique(np.stack([pair.onset, pair.notes[:, PITCH]], axis=1), axis=0, return_inverse=True)
    any_top = np.zeros(len(top), dtype=bool)
    np.logical_or.at(any_top, same.reshape(-1), top)
    return any_top[same.reshape(-1)].astype(np.int64)


def validate(answers: Answers) -> None:
    """Refuse answers without a note on the top staff.

    Raises:
        BadInput: there is none, or the labels do not fit together.
    """
    metrics.validate(answers.truth, answers.predicted, 2)
    if not (answers.truth == 1).any():
        raise BadInput("no note of the test part stands on a top staff; this task needs music in staves.")


def select(answers: Answers) -> float:
    """Accuracy over notes."""
    return float(metrics.accuracy(metrics.confusion(answers.truth, answers.predicted, 2).sum(0)))


def evaluate(answers: Answers) -> list[Figure]:
    """Accuracy over notes, and F1 of the top staff."""
    validate(answers)
    table = metrics.confusion(answers.truth, answers.predicted, 2, answers.work)
    return [
        Figure("top staff, notes", "F1", table, metrics.f1),
        Figure("top staff, notes", "accuracy", table, metrics.accuracy),
    ]


TASK = Task(
    name="top_staff",
    question="Does this note stand on the top staff?",
    level="note",
    select=select,
    classes=classes,
    rows=rows,
    labels=labels,
    evaluate=evaluate,
)
