"""Hand, of piano music of several kinds at once: the question of `hand`, for a head that is used on anybody's files.

Whoever plays from a MIDI file, prints it or practises with it wants to know which notes are for which hand, and most
files do not say it. The scores of ASAP are two hundred, of which few are easy. So here it learns from all piano scores
of two staves whose staves are known: those of ASAP, sonatas of Beethoven and Mozart, Chopin, preludes and fugues of
Bach, the Polish Music Heritage, Bartok's *Mikrokosmos*, and from the piano parts of the songs of OpenScore Lieder,
whose voice is taken out beforehand. As in `hand`, the label is the staff.

Inputs. Notes as written, velocity hidden, one program, no picture. Sources share works, which are in one part, that of
the source or by their lot, and copies of more protected pieces are left out.

Metrics: those of `hand`. The rule is that of the engraver of MIDI files: a chain over the onsets, which parts the hands
at a gap between what sounds, near the middle of the keyboard (`score.hands`). Its constants have been chosen on half of
the scores of four of these sources, whatever their part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scoresim.benchmark.metrics import Floats
from scoresim.benchmark.task import PieceTask, accuracy_first
from scoresim.benchmark.tasks import composer_asap, hand, key_lieder
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot
from scoresim.data.pair import Pair
from scoresim.data.pieces import NOTE_COLUMNS, Piece
from scoresim.data.seen import read
from scoresim.score.hands import lower
from scoresim.score.tokens import default_vocabulary

SONGS = "openscore_lieder"
VOICE_AND_PIANO = 3  # staves


def part(item: Item) -> str:
    """The official part, else by the lot of the work."""
    return item.split or by_lot(item.work)


def piano_part(piece: Piece) -> Piece:
    """A song without its voice, the top one of three staves; every other piece as it is."""
    own = np.flatnonzero(piece.staff > 1)
    if piece.corpus != SONGS or len(piece.staves) != VOICE_AND_PIANO or not len(own):
        return piece
    columns = {name: getattr(piece, name)[own] for name in ("ids", "onset", *NOTE_COLUMNS)}
    columns["staff"] = columns["staff"] - 1
    return replace(piece, lines=(), staves=piece.staves[1:], **columns)


def chain(pair: Pair, classes: Sequence[str] = hand.CLASSES) -> Floats:
    """[N, 2] scores of the staff on which the engraver would put a note."""
    notes = read(pair, default_vocabulary())
    said = lower(notes.pitch, notes.onset, notes.onset + notes.length)
    return np.log(np.eye(len(classes))[said] + 1e-6)


TASK = PieceTask(
    name="hand_all",
    question="On which staff of a piano score, or of the piano part of a song, does this note stand?",
    level="note",
    corpora=(
        "asap",
        "kern_beethoven",
        "kern_chopin",
        "kern_mozart",
        "kern_wtc",
        "polish_piano",
        "mikrokosmos",
        SONGS,
    ),
    part=part,
    classes=hand.CLASSES,
    label=hand.label,
    measures=accuracy_first,
    obtain=f"{composer_asap.OBTAIN} {key_lieder.OBTAIN} docs/corpora.md says where the other sources are.",
    hidden=hand.TASK.hidden,
    pictured=False,
    transposes=True,
    hurries=True,
    prepared=piano_part,
    rule=("chain over the onsets", chain),
    shared=True,
)
