"""Put heads beside the weights that come with the package, and say in their card what they are.

    python runs/ship_heads.py WEIGHTS HEADS

WEIGHTS is a folder of weights with their card, as `runs/ship.py` makes it (src/scoresim/weights/small-free). HEADS
holds a folder for every head, named as its question (`melody`, `style-image`), with the `head.safetensors` of a
`scoresim finetune` of *these* weights. A head of the same name is replaced; others stay. One that was trained on what
the head of its own name has added to the weights (--on) takes these additions over, and what stands on the old one
stands on the new, new heads among them; so both are put there at once, or the other first. Beside weights that may be
used for anything no head is put that has learnt from sources of which that cannot be said.
"""

from __future__ import annotations

import argparse
import copy
import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from scoresim import checkpoint
from scoresim.errors import BadInput
from scoresim.files import replacing
from scoresim.model.lowrank import merge_low_rank
from scoresim.understand.heads import Head, load_heads

FREE = {  # sources whose terms allow anything, at most with the name of the source: CC0, CC BY, MIT
    "kern_chopin",
    "openewld",
    "openscore_lieder",
    "polish_piano",
}
ANY_USE = "license: cc-by-4.0"  # of the card of such weights
QUESTIONS = {
    "melody": "which notes are melody",
    "velocity": "how loud a note of piano music is played (six classes)",
    "hand": "on which staff a note of piano music stands: which hand plays it",
    "emotion": "which of four moods a piece has, a clip of a pop song or a phrase from a video game",
    "composer": "which of ten composers from Bach to Rachmaninoff wrote a piece, or whether another did",
    "style": "to which repertoire a piece belongs, as written or as played",
    "style-image": "to which repertoire a passage belongs, from the picture alone",
    "key": "in which of 24 keys a piece is",
    "difficulty": "how hard a piano piece is to play, from 1 to 9",
    "meter": "in which time signature a song is written",
}


def main() -> None:
    """Put them there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("heads", type=Path)
    given = parser.parse_args()
    card = given.weights / "README.md"
    text = card.read_text(encoding="utf-8")
    heads = put(given.weights, given.heads, free=ANY_USE in text)
    with replacing(card) as temporary:
        temporary.write_text(with_heads(text, given.weights, heads), encoding="utf-8")
    print(f"{given.weights}: {', '.join(heads)}")


def taken_over(weights: Path, name: str, stage: Path) -> list[str]:
    """Give a head on a stage the additions of that of its own name beside some weights, where it was trained on them.

    Returns:
        Names of the files of heads that stood on the old one: they stand on the new one from now on.
    """
    old = weights / checkpoint.HEADS / name
    if not old.is_file() or checkpoint.head_stands(stage / name)[1] != (before := checkpoint.head_stands(old)[0]):
        return []
    model, origin = checkpoint.load(weights).model, checkpoint.weights_of(weights)
    below, added = checkpoint.load_head(old, model, origin)
    merge_low_rank(body := copy.deepcopy(below.sim))
    tagger, config = checkpoint.load_head(stage / name, body, origin)
    tagger.sim = below.sim
    checkpoint.save_head(stage / name, tagger, replace(config, on="", rank=added.rank))
    after, moved = checkpoint.head_stands(stage / name)[0], []
    for file in sorted(stage.glob("*.safetensors")):
        if file.name != name and checkpoint.head_stands(file)[1] == before:
            other, about = checkpoint.load_head(file, body, origin)
            checkpoint.save_head(file, other, replace(about, on=after))
            moved.append(file.name)
    return moved


def put(weights: Path, heads: Path, free: bool) -> dict[str, Head]:
    """Copy heads beside weights: all of them, or none; the heads that are there then.

    Raises:
        BadInput: a head stands on other weights or on a head that is not there, or may not stand beside free ones.
    """
    new = {f"{file.parent.name}.safetensors": file for file in sorted(heads.glob("*/head.safetensors"))}
    with TemporaryDirectory() as folder:
        stage = Path(folder) / checkpoint.HEADS
        stage.mkdir()
        for name, file in ({one.name: one for one in (weights / checkpoint.HEADS).glob("*")} | new).items():
            shutil.copy(file, stage / name)
        moved = {other for name in new for other in taken_over(weights, name, stage)}
        found = load_heads(Path(folder), checkpoint.load(weights).model, checkpoint.weights_of(weights))
        for name, head in found.items():
            if free and (strings := sorted(set(head.config.corpora) - FREE)):
                raise BadInput(f"{name} has learnt from {', '.join(strings)}, and {weights} may be used for anything.")
        for name in {*new, *moved}:
            with replacing(weights / checkpoint.HEADS / name) as temporary:
                shutil.copy(stage / name, temporary)
    return found


def with_heads(card: str, weights: Path, heads: dict[str, Head]) -> str:
    """A model card that says which heads there are, and what it said before of nothing else."""
    questions = ", ".join(sorted({name.split("-")[0] for name in heads}))
    rows = "\n".join(row(name, head, weights) for name, head in sorted(heads.items()))
    said = f", and what its heads say ({questions}), as\n`scoresim analyze` gives it"
    card = re.sub(r"half precision(, with heads for\squestions that\smusicians ask)?\.", PRECISION, card)
    search = r"vectors for search(, and what its heads say \([^)]*\), as\s`scoresim analyze` gives it)?\."
    card = re.sub(search, lambda _: f"vectors for search{said}.", card)
    limits = "".join(limit for name, limit in LIMITS.items() if name in heads)
    counting = [n for n, h in sorted(heads.items()) if h.config.level == "note" and h.config.rule == checkpoint.COUNTED]
    limits += f"Together with features of every note (docs/decisions/0022) answers: {', '.join(counting)}.\n" * bool(
        counting
    )
    card = re.sub(r"### Heads\n.*?(?=## |### )", "", card, flags=re.DOTALL)
    before = "### Figures that anyone can make again" if "### Figures that anyone" in card else "## Limits"
    return card.replace(before, TABLE.format(rows=rows, limits=limits) + before, 1)


def row(name: str, head: Head, weights: Path) -> str:
    """What a head is for and what it was measured to know."""
    config, size = head.config, (weights / checkpoint.HEADS / f"{name}.safetensors").stat().st_size
    shown = [row for i, row in enumerate(config.figures) if i < 4 or (config.rule and config.rule in row["what"])]
    said = "; ".join(f"{row['what']}: {row['metric']} {row['value']:.3f}" for row in shown)
    asked = QUESTIONS.get(name, config.task)
    also = "; notated ones as written and as played by rule" if config.played else ""
    return f"| {name} | {asked} | {config.inputs} | {', '.join(config.corpora)}{also} | {said} | {size / 1e6:.1f} MB |"


PRECISION = "half precision, with heads for questions that\nmusicians ask."
TABLE = """### Heads
Each trained on the notes or pictures of the sources named, and asked about the test parts of the same sources; of
other music their confidence means less. Figures are of the day of the training; results/heads.json has those of MIDI
as it is read now.

| head | question | reads | learnt from | test part | size |
|---|---|---|---|---|--:|
{rows}

{limits}
"""
LIMITS = {
    "melody": """The head for melody has learnt of piano scores that the highest note of the upper staff is melody;
where the left hand sings, it does not hear it.
""",
    "composer": """Whoever is none of its ten is "another composer": of folk song, pop and old music it says so nearly
always; of Polish piano music of the time a third, of game music three of seven pieces get one of the ten names. Of the
pieces of Chopin's in kern it calls more than a third another's. Performances it knows better than scores.
""",
    "style": """A style is one of its repertoires, whatever the file holds. Neighbours are mixed up: tunes of Irish and
American books, songs of Germany and Lorraine, lead sheets of pop, jazz and rock: four of five lead sheets and half
of the folk songs of the Essen collection are missed. Recordings it knows by velocities and tempi, too. Folk tunes with
chords under them it has met as MIDI from Nottingham alone: it may call those of others English.
""",
    "emotion": """Moods, composers, difficulty and, of notes, styles are answered by the head together with a regression
of hand-crafted features and n-grams (docs/decisions/0021), for whole pieces. A mood has been learnt from few pieces
that nobody had recorded: 100 phrases from video games.
""",
    "key": """A key is answered by the head together with profiles of keys (docs/decisions/0019), for whole pieces;
one that changes its key has one answer.
""",
    "difficulty": """How hard a piece is to play is asked of piano music alone: of a song or a quartet the answer is
that of notes that sound alike. It has learnt from the scores of Bartok's Mikrokosmos, Chopin, and sonatas of Mozart and
Beethoven, whose movements all have the grade of the sonata; of such scores as they are played by rule it knows as much.
Recordings of works of grades 6 to 9 it calls 8 or 9 in six cases of seven; half of them are. The grades are Henle's, as
listed for research by CIPI (Ramoneda et al., Expert Systems with Applications 238, 2024) and Mikrokosmos-difficulty
(Ramoneda et al., ICASSP 2022).
""",
    "hand": """Hands have been learnt from the staves of scores: where they cross or help each other, it is the staff
that is said. They stand on the reading of the melody: keep both files.
""",
    "velocity": """Velocity stands on that reading, too. How loud a recording is as a whole hardly stands in
its notes: what is said is what is usual.
""",
}

if __name__ == "__main__":
    main()
