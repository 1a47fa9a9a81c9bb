"""Make the folder of weights that comes with the package: half precision, heads beside it, and a model card.

    python runs/ship.py CHECKPOINT HEADS OUT --data CARD [--figures results/pretraining.json] [--check CHECK.json]

CHECKPOINT is a folder that `scoresim pretrain` wrote. HEADS holds a folder for every head, named as its question
(`melody`, `style-image`), with the `head.safetensors` of a fine-tuning of the *half-precision* weights: make those
first with `--weights-only`. CARD is the folder of the training data's card and manifest. CHECK holds the figures that
anyone can make again from what is in the package and in music21 (`runs/check_card.py`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from scoresim import checkpoint
from scoresim.benchmark import tasks
from scoresim.benchmark.task import PieceTask
from scoresim.data import corpora
from scoresim.files import read_json
from scoresim.model.lowrank import merge_low_rank

QUESTIONS = {
    "melody": "which notes are melody",
    "velocity": "how loud a note of a pop song is played (six classes)",
    "emotion": "which of four moods a clip of a pop song for piano has",
    "composer": "which of eight pianists and composers of pop and jazz plays",
    "style": "of which repertoire a passage is",
    "style-image": "the same, from the picture alone",
    "key": "in which of 24 keys a pop song is",
    "difficulty": "how hard a piano piece is to play, from 1 to 9",
    "meter": "in which time signature a song is written",
}


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "heads", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--figures", type=Path, default=Path("results/pretraining.json"))
    parser.add_argument("--check", type=Path, default=Path("results/check.json"))
    parser.add_argument("--weights-only", action="store_true")
    given = parser.parse_args()
    loaded = checkpoint.load(checkpoint.folder_of(given.checkpoint))
    provenance = {name: value for name, value in loaded.provenance.items() if name not in ("data", "versions")}
    checkpoint.save(given.out, loaded.model, loaded.vocabulary, provenance, half=True)
    if given.weights_only:
        return
    weights = checkpoint.weights_of(given.out)
    model = checkpoint.load(given.out).model
    (given.out / checkpoint.HEADS).mkdir()
    heads = []
    stands = {file: checkpoint.head_stands(file) for file in sorted(given.heads.glob("*/head.safetensors"))}
    bodies = {"": model}
    for file, (_, on) in sorted(stands.items(), key=lambda item: item[1][1] != ""):
        tagger, config = checkpoint.load_head(file, bodies[on], weights)
        if not config.corpora:
            asked = tasks.learnt(config.task)
            config = replace(config, corpora=asked.corpora if isinstance(asked, PieceTask) else ())
        name = file.parent.name
        target = given.out / checkpoint.HEADS / f"{name}.safetensors"
        checkpoint.save_head(target, tagger, config)
        heads.append((name, config, target.stat().st_size))
        merge_low_rank(tagger.sim)
        bodies[checkpoint.head_stands(target)[0]] = tagger.sim  # what stands on it was trained on it as it ships
    heads.sort()
    check = read_json(given.check) if given.check.is_file() else []
    card = model_card(provenance, read_json(given.data / "manifest.json"), heads, read_json(given.figures), check)
    (given.out / "README.md").write_text(card, encoding="utf-8")
    print(f"{given.out}: {sum(f.stat().st_size for f in given.out.rglob('*') if f.is_file()) / 1e6:.1f} MB")


def model_card(
    provenance: dict[str, Any], manifest: dict[str, Any], heads: list[Any], figures: list[Any], check: list[Any]
) -> str:
    """The model card, in the form of the Hugging Face hub."""
    pretrain = provenance["pretrain"]
    sources = [corpora.get(name) for name in manifest["items_by_corpus"]]
    terms = "\n".join(f"| {one.name} | {one.title} | {one.licence} |" for one in sources)
    return TEXT.format(
        steps=pretrain["steps"],
        batch=pretrain["batch_size"],
        pairs=", ".join(f"{n:,} {part}" for part, n in manifest["pairs"].items()),
        corpora=len(sources),
        questions=", ".join(sorted({name.split("-")[0] for name, *_ in heads})),
        terms=terms,
        figures=figure_table(figures),
        heads="\n".join(head_row(*head) for head in heads),
        check="\n".join(f"| {row['what']} | {row['metric']} | {row['value']:.4f} | {row['n']} |" for row in check),
    )


def figure_table(figures: list[Any]) -> str:
    """The figures of the weights themselves."""
    wanted = (
        "hidden pitch",
        "hidden duration",
        "matching: another",
        "matching: one bar altered",
        "grounding",
        "retrieval, ",
    )
    rows = []
    for row in figures:
        kept = row["what"].startswith(wanted) and row["metric"] in ("accuracy", "share right", "R@1")
        if kept and row["pretraining"] == "score images and MIDI":
            low, high = row["ci95"]
            figure = f"{row['value']:.3f} | {low:.3f} to {high:.3f} | {row['n']}"
            rows.append(f"| {row['what']} | {row['inputs']} | {row['metric']} | {figure} |")
    return "\n".join(rows)


def head_row(name: str, config: checkpoint.HeadConfig, size: int) -> str:
    """What a head is for and what it was measured to know."""
    said = "; ".join(f"{row['what']}: {row['metric']} {row['value']:.3f}" for row in config.figures[:4])
    asked = QUESTIONS.get(name, config.task)
    return f"| {name} | {asked} | {config.inputs} | {', '.join(config.corpora)} | {said} | {size / 1e6:.1f} MB |"


TEXT = """---
library_name: scoresim
license: other
license_name: research-use
tags:
- music
- sheet-music
- midi
- symbolic-music
- multimodal
- music-information-retrieval
---

# scoresim small

One Transformer of six million parameters (width 256, six layers) that reads music as notes (MIDI) and as the picture of
its score. These are the weights behind `scoresim.load("small")`, in half precision, with heads for questions that
musicians ask. The idea is that of SIM: Qin et al., *Score Images as a Modality*, Sensors 24(15):5017, 2024.

## What it is for
Research and tools on Western staff notation and on MIDI: finding the score of a page, saying whether a page and a file
show the same music and where they do not, vectors for search, and what its heads say ({questions}), as
`scoresim analyze` gives it. It also is a body to fine-tune.

It is not for transcription, for handwriting, tablature or chant, or for deciding who a work belongs to. Its heads have
learnt from the sources that stand beside them; of other music their confidence means less.

## How it was trained
On pairs of engraved passages and their notes, checked note by note, from {corpora} sources: {pairs}. The card of the
data is `results/small/data.md` in the repository, and `results/small/excluded-works.tsv` lists the works of the
validation and test parts: none of them is in the training part, and no near-duplicate of one. The last stretch was
{steps} steps of {batch} passages; all options stand in `config.json`, all stretches in `docs/log.md`. Pictures were
engraved by one program in five fonts, with the looks of scans and photographs; no real scan was seen.

### Sources and their terms
| source | title | terms, as the source says |
|---|---|---|
{terms}

Some of these sources may be used for research only, or not commercially. **So these weights are for research.** A
variant from sources whose terms allow anything (CC0, CC BY, MIT) is planned; the program works with any weights.

## What it knows, measured
Held-out works, 95 % intervals over works, from `results/pretraining.json`:

| what | inputs | metric | value | 95 % | n |
|---|---|---|--:|--:|--:|
{figures}

### Heads
Each trained on the notes or pictures of the sources named, and asked about the test parts of the same sources.

| head | question | reads | learnt from | test part | size |
|---|---|---|---|---|--:|
{heads}

### Figures that anyone can make again
`python runs/check_card.py` builds a small set from music21's corpus (held-out works alone are asked) and asks these
weights, without a network:

| what | metric | value | n |
|---|---|--:|--:|
{check}

## Limits
Engraved notation of one program dominates: old prints are read by what was learnt from it. Passages of one or two
systems; scores of more than four staves were rare. Pop songs in MIDI were written down by a program before they were
engraved. European art music, folk tunes of Europe and China, and pop for piano are what it knows.
The head for melody has learnt of piano scores that the highest note of the upper staff is melody; where the left hand
sings, it does not hear it. Velocity stands on its reading: keep both files.

## To cite
Qin, Y.; Xie, H.; Ding, S.; Li, Y.; Tan, B.; Ye, M. Score Images as a Modality: Enhancing Symbolic Music Understanding
through Large-Scale Multimodal Pre-Training. Sensors 2024, 24(15), 5017.
"""

if __name__ == "__main__":
    main()
