"""Composer, of scores and performances at once, or somebody else: for a head that is used on any file.

A head that has learnt from performances alone is right of three of four performances and of one of three scores, and
nobody can say beforehand which of the two a MIDI file is. So here it learns from both, ASAP's scores and recordings
(Foscarin et al., ISMIR 2020), and from more scores of four of the composers: Beethoven's and Mozart's sonatas, Chopin,
and Bach's Well-Tempered Clavier, in Humdrum kern. The ten composers are those of whom ASAP has three works or more.

Nor can anybody say beforehand that a file is by one of the ten. A head that knows them alone calls a pop song Chopin,
and is sure of it. So there is an eleventh class, `ANOTHER`: whoever else wrote the keyboard music from Bach to Bartok
in these sources, and in the other sources of `style_all`, of whose other repertoires (songs, chorales, folk tunes, pop
for piano) a quarter is asked, about `MOST` pieces each at most, tunes once and not with their chords again. A chorale
of Bach's is Bach's, whatever its repertoire, and some songs are Schubert's.

Inputs. Notes alone, with the velocity and the tempo that the file states: a score has one of each. A transposed piece
is by the same hand. The parts are by work, as in `style_all`.

Metrics: those of `composer_asap`, over windows of 512 notes and over pieces. Most test pieces of the ten are
performances: look at each source alone, too (`benchmarks/heads.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import composer_asap, style_all
from scoresim.data.corpora import Item
from scoresim.data.corpora._styles import KEYBOARD
from scoresim.data.curate import by_lot, seeded
from scoresim.data.pieces import Piece

SCORES, PLAYED = "asap", "asap_performances"
OWN = (SCORES, PLAYED, "kern_beethoven", "kern_chopin", "kern_mozart", "kern_wtc")
AGAIN = "nottingham_midi"  # whose tunes are there in ABC
ANOTHER = "another composer"
MOST = 100  # pieces of a repertoire that is not in `KEYBOARD`, about; of smaller ones than `style_all.MOST` a quarter


def part(item: Item) -> str | None:
    """The official part, else by the lot of the work; None for what is thinned out and for fragments of no style."""
    share = 1.0 if item.style in KEYBOARD else MOST / style_all.MANY.get(item.style, style_all.MOST)
    if item.style == "unknown" or seeded(0, "composer", item.id).random() >= share:
        return None
    return item.split or by_lot(item.work)


def name(piece: Piece) -> str:
    """Of the composer, as ASAP writes it: "Franz Schubert" for "Schubert, Franz"."""
    family, comma, given = piece.composer.partition(", ")
    return f"{given} {family}" if comma else piece.composer


def classes(train: Sequence[Piece]) -> tuple[str, ...]:
    """The composers of ASAP of whom it has works enough, in alphabetical order, and another."""
    known = {p.composer for p in train if p.corpus in (SCORES, PLAYED) and p.labels.get("few_works") != "1"}
    return (*sorted(known), ANOTHER)


def label(piece: Piece, known: Sequence[str]) -> int:
    """Index of the composer."""
    return known.index(name(piece) if name(piece) in known else ANOTHER)


TASK = PieceTask(
    name="composer_all",
    question="Which of ten composers wrote this, as written or as played, or did somebody else?",
    level="sequence",
    corpora=(*OWN, *(corpus for corpus in style_all.TASK.corpora if corpus not in (*OWN, AGAIN))),
    part=part,
    classes=classes,
    label=label,
    measures=composer_asap.measures,
    obtain=f"{composer_asap.OBTAIN} docs/corpora.md says where the other sources are.",
    pictured=False,
    transposes=True,
    hurries=True,
    balance=0.5,
    shared=True,
)
