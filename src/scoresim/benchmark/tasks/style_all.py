"""Style, of whole pieces, as written or as played: the question of `style`, for a head that is used on any file.

`style` is asked of the passages of a data set, so of notated music, and of a dozen bars at a time. Here whole pieces
are asked, in windows of 512 notes: the notated sources, and ASAP's performances, pop songs, film and game music for
piano. The label is the repertoire (`corpora._styles`) of the collection or of composer and scoring, decided by editors.
Large repertoires are thinned by lot to about four hundred pieces, so that no head learns German folk song alone; of
English tunes, which stand there with one voice (ABC) and with chords (MIDI), to so many in either form.

The parts are those of data sets: by the official split, else by the lot of the work. One tune stands in several
books, under one name or under several. So a work is in one part, whichever book it is in, and a piece of the training
or validation part that is a near-duplicate of one in a more protected part (`data/similar.py`) is left out.

Inputs. Notes alone, with velocity and tempo: what is transcribed from recordings has many of each, so that a repertoire
of recordings may be told by them. A transposed piece is of the same style.

Metrics: balanced accuracy (every repertoire counts alike), which chooses, accuracy and macro-F1, over windows and over
pieces. Of the smallest repertoires a few pieces are asked: look at the interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import composer_asap
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot, seeded
from scoresim.data.pieces import Piece

MOST = 400  # pieces of a repertoire, about
FEWEST_WORKS = 5  # of the training part
MANY = {  # repertoires of more items than that in these sources
    "classical piano": 588,
    "romantic piano": 1385,
    "pop piano": 2043,
    "romantic song": 1138,
    "palestrina mass": 1318,
    "irish tune": 2009,
    "scottish air": 1180,
    "american fiddle tune": 1059,
    "english fiddle tune": 931,
    "chinese folk song": 1236,
    "german folk song": 5202,
    "lorraine folk song": 678,
    "other folk song": 1089,
}


def part(item: Item) -> str | None:
    """The official part, else by the lot of the work; None for what is thinned out and for fragments of no style."""
    if item.style == "unknown" or seeded(0, "style", item.id).random() >= MOST / MANY.get(item.style, MOST):
        return None
    return item.split or by_lot(item.work)


def classes(train: Sequence[Piece]) -> tuple[str, ...]:
    """The styles of which the training part has `FEWEST_WORKS` works, in alphabetical order."""
    works = Counter(style for style, _ in {(piece.style, piece.work) for piece in train})
    return tuple(sorted(style for style, count in works.items() if count >= FEWEST_WORKS))


def label(piece: Piece, known: Sequence[str]) -> int:
    """Index of the style; -1 for a rarer one."""
    return known.index(piece.style) if piece.style in known else -1


TASK = PieceTask(
    name="style_all",
    question="Of which repertoire is this piece?",
    level="sequence",
    corpora=(
        *("aird_airs", "bach_chorales", "essen_folksong", "folk_misc", "monteverdi_madrigals", "music21_misc"),
        *("oneill_1850", "palestrina_masses", "quartets", "ryan_mammoth", "trecento"),
        *("asap", "kern_beethoven", "kern_chopin", "kern_mozart", "kern_wtc", "mikrokosmos", "nottingham"),
        *("openewld", "openscore_lieder", "polish_piano"),
        *("asap_performances", "emopia", "nottingham_midi", "pianist8", "pop909", "vgmidi"),
    ),
    part=part,
    classes=classes,
    label=label,
    measures=composer_asap.measures,
    obtain="docs/corpora.md says where its sources are; those of music21 come with that library.",
    pictured=False,
    transposes=True,
    hurries=True,
    balance=0.5,
    shared=True,
)
