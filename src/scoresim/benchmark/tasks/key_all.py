"""Key, of music of several kinds at once: the question of `key`, for a head that is used on anybody's files.

A head that has learnt pop songs alone has heard few of the ways in which older music says its key. So here it learns
from POP909, whose keys a program heard in recordings, and from piano music in Humdrum kern, in which an editor has
written the first key down: the sonatas of Mozart and Beethoven, Bach's Well-Tempered Clavier, Chopin, and the piano
music of the Polish Music Heritage; and from the folk tunes of Nottingham, whose ABC says the key, as written and as
MIDI with their chords. Lead sheets (OpenEWLD) are left out: their keys are read off the signature, all of them major.
Keys of one sound are one class: F sharp major is G flat major. A piece that changes its key has one answer, its first
one; modes other than major and minor are not asked.

Inputs. Notes alone: the composer's notation shows the signature, and half of the pieces have none. Training pieces are
learnt from in several keys, and hurried, as in `key`. The parts are the official ones, by work.

Metrics and rule: those of `key`. The weighted score of MIREX chooses, beside it accuracy; over windows of 512 notes and
over pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from scoresim.benchmark.task import PieceTask, official
from scoresim.benchmark.tasks import key, melody
from scoresim.data.pieces import Piece

ENHARMONIC = {"Cb": "B", "Db": "C#", "D#": "Eb", "E#": "F", "Fb": "E", "Gb": "F#", "G#": "Ab", "A#": "Bb", "B#": "C"}


def label(piece: Piece, classes: Sequence[str] = key.CLASSES) -> int:
    """Index of the key, however it is spelled; -1 where there is none."""
    tonic, _, mode = piece.labels.get("key", "").partition(" ")
    name = f"{ENHARMONIC.get(tonic, tonic)} {mode}"
    return classes.index(name) if name in classes else -1


TASK = PieceTask(
    name="key_all",
    question="In which key is this pop song, piano piece or folk tune?",
    level="sequence",
    corpora=(
        *("pop909", "kern_beethoven", "kern_chopin", "kern_mozart", "kern_wtc", "polish_piano"),
        *("nottingham", "nottingham_midi"),
    ),
    part=official,
    classes=key.CLASSES,
    label=label,
    measures=key.measures,
    obtain=f"{melody.TASK.obtain} docs/corpora.md says where the piano scores and the tunes are.",
    pictured=False,
    hurries=True,
    rule=key.TASK.rule,
    turned=partial(key.turned, named=label),
)
