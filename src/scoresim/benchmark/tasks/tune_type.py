"""Tune type: is this folk tune a jig, a reel, a hornpipe, a waltz?

The Nottingham collection holds British and American folk tunes in ABC, in files by kind of tune (Foxley; cleaned by
Jukedeck). The label is the file. One file is called "ashover" and mixes tunes of all kinds: it names a place, not a
kind, and its tunes are left out. Slip jigs, carols, Playford and morris dances are few; they are classes, but a test
part has one of each.

The split is by tune, and tunes that share a melody are in one part. A title that stands in two parts is left out.

Inputs. The melody as written; its time signature is part of the question and is shown: a waltz is in 3/4, a jig in
6/8. So simple features go far; jigs from slip jigs, and hornpipes from reels, ask for rhythm. The image is engraved
from the ABC without title and chord symbols: the notation of the collection. A transposed tune is of the same kind.

Metrics: accuracy, which chooses, and macro-F1, over windows of 512 notes (a tune is one) and over tunes.
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask, accuracy_first
from scoresim.data.corpora import Item
from scoresim.data.pieces import Piece

CLASSES = ("carol", "hornpipe", "jig", "morris", "playford", "reel", "slip jig", "waltz")


def part(item: Item) -> str | None:
    """The split by tune; None for a tune of no kind."""
    return item.split if item.labels.get("tune_type") in CLASSES else None


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the kind; -1 for one that is not asked."""
    kind = piece.labels.get("tune_type", "")
    return classes.index(kind) if kind in classes else -1


TASK = PieceTask(
    name="tune_type",
    question="Which kind of folk tune is this?",
    level="sequence",
    corpora=("nottingham",),
    part=part,
    classes=CLASSES,
    label=label,
    measures=accuracy_first,
    obtain="They are at https://github.com/jukedeck/nottingham-dataset; docs/corpora.md says how they have to lie.",
    transposes=True,
    hurries=True,
    balance=0.5,
    composers=True,
)
