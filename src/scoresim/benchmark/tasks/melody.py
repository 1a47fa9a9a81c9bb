"""Melody: is this note of a pop song melody, bridge or accompaniment?

POP909 holds pop songs arranged for piano in three tracks: the vocal melody, a second melody or bridge (the lead
instrument between the lines), and the piano. Here they are one MIDI file without tracks, and every note must say from
which it came. The question, the songs and the split are those of MidiBERT-Piano (Chou et al., arXiv:2107.05223), so
that its figures can stand beside ours; docs/benchmark.md lists what differs. One thing differs much: in their public
code the notes of one onset are in the order of their tracks, which tells three of four notes of melody and bridge
without fail. Here they are in the order of pitch.

Inputs. Note tokens with one program for all, velocity hidden (the tracks were recorded at different loudness), at most
512 notes at a time. The image, where one is read, is engraved from the merged notes: it shows nothing that they do not
say. A transposed song has the same melody, so training songs are transposed and hurried.

Metrics: accuracy over all notes of the test songs, the published one; and F1 of the class melody against the others.
Beside them the majority class; and the skyline (Uitdenbogerd & Zobel, ACM Multimedia 1999), which calls a note melody
when it is the highest of all that sound as it begins, held ones included, and any other accompaniment. Its published
78.54 and 79.51 % are over two classes, with the bridge as accompaniment and as melody.

Elsewhere. A head that has learnt pop songs is asked of music of other kinds, without further training, where it is
there: the voice of the songs for one voice and piano in OpenScore Lieder (test part), and the soprano of Bach's
four-part chorales (those whose lot is the test part). There the truth has two classes, so F1 of melody is the only
figure. A note that the piano plays with the voice is melody, for no MIDI file tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats, Ints, Statistic
from scoresim.benchmark.task import Elsewhere, PieceTask, Published, official
from scoresim.benchmark.tasks import _staves
from scoresim.data.corpora import Item
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.score.tokens import default_vocabulary
from scoresim.understand.note_features import top_line

CLASSES = ("melody", "bridge", "accompaniment")
HIDDEN = ("velocity",)
TRACKS = {"MELODY": 0, "BRIDGE": 1, "PIANO": 2}


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] class of each note by the name of its track; below 0 in any other track."""
    of_track = np.array([*(TRACKS.get(name.strip().upper(), -1) for name in piece.tracks), -1])
    return of_track[piece.track].astype(np.int64)


def skyline(pair: Pair, classes: Sequence[str] = CLASSES) -> Floats:
    """[N, 3] scores that call the highest of all sounding notes melody and any other accompaniment."""
    highest = top_line(pair, default_vocabulary())
    said = np.where(highest, classes.index("melody"), classes.index("accompaniment"))
    return np.log(np.eye(len(classes))[said] + 1e-6)


def melody_f1(table: Floats) -> Floats:
    """F1 of melody against the other two, from confusion counts [..., 3, 3]."""
    return metrics.f1_per_class(table)[..., 0]


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """Accuracy chooses."""
    return {"accuracy": metrics.accuracy, "F1 of melody": melody_f1}


def only_f1(classes: Sequence[str]) -> dict[str, Statistic]:
    """The one figure of pieces in which there is no bridge."""
    return {"F1 of melody": melody_f1}


def voice(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] melody on the top of three staves in two parts, accompaniment elsewhere; below 0 in any other song."""
    alone = len(piece.staves) == 3 and piece.labels.get("n_parts") == "2"
    return _staves.of_staff(piece, (0, 2, 2)) if alone else _staves.none(piece)


def soprano(piece: Piece, classes: Sequence[str] = CLASSES) -> Ints:
    """[N] melody on the top staff of four, accompaniment elsewhere; below 0 in a chorale of other staves."""
    return _staves.of_staff(piece, (0, 2, 2, 2)) if len(piece.staves) == 4 else _staves.none(piece)


def tested(item: Item) -> bool:
    """Whether an item is in the official test part."""
    return item.split == "test"


def tested_by_lot(item: Item) -> bool:
    """Whether an item is in the test part by the lot of its work."""
    return _staves.part(item) == "test"


TASK = PieceTask(
    name="melody",
    question="Is this note melody, bridge or accompaniment?",
    level="note",
    corpora=("pop909",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain="POP909 is at https://github.com/music-x-lab/POP909-Dataset: put a clone there, under that name.",
    hidden=HIDDEN,
    transposes=True,
    hurries=True,
    width=128,
    rule=("skyline", skyline),
    published=(
        Published(
            "RNN, compound word (MidiBERT-Piano)",
            "accuracy",
            0.8866,
            "16th-note grid; notes of an onset in the order of their tracks",
        ),
        Published(
            "MidiBERT-Piano",
            "accuracy",
            0.9637,
            "notes of an onset in the order of their tracks; saw test songs",
        ),
        Published("M2BERT (arXiv:2507.04776)", "accuracy", 0.983, "context of 1,024 notes; five folds"),
    ),
    elsewhere=(
        Elsewhere("openscore_lieder", ("openscore_lieder",), tested, voice, only_f1),
        Elsewhere("bach_chorales", ("bach_chorales",), tested_by_lot, soprano, only_f1),
    ),
)
