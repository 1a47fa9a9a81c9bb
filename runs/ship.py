"""Make the folder of weights that comes with the package: half precision, heads beside it, and a model card.

    python runs/ship.py CHECKPOINT HEADS OUT --data SET --figures FIGURES [--name small] [--packed ROWS] [--beside FIG.]

CHECKPOINT is a folder that `scoresim pretrain` wrote. HEADS holds a folder for every head, named as its question
(`melody`, `style-image`), with the `head.safetensors` of a fine-tuning of the *half-precision* weights: make those
first with `--weights-only`; an empty folder where there are none. SET is the data set that was trained on, ROWS what
was packed from it; weights are called free only where they began from nothing, or from `small-free` as it is in the
package, and saw free sources alone, which the hash of the data says. FIGURES are results of `scoresim benchmark`,
those of other weights, asked the same, with `--beside`. results/NAME/check.json, where it is, holds the figures that
anyone can make again from what is in the package and in music21 (`runs/check_card.py`). The card of the data, DATA.md,
is what `scoresim card SET` says; put it beside the model card.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ship_heads import FREE, put, with_heads

from scoresim import checkpoint
from scoresim.data import corpora, shards
from scoresim.data.packed import PackedSet
from scoresim.files import read_json

BEFORE = {  # hashes of what was `small-free` before
    "2857132522cad4835590886f8da810771af525682e670013761007c8bdd397e9",  # 70,400 passages
}
IMAGE = "score images and MIDI"
INDEXED = (  # what the front matter of a card says: title, how a row and its inputs begin, metric
    ("Hidden pitches of a bar, read off the picture", "hidden pitch", "both", "accuracy"),
    ("Image to notes, of 1,000", "retrieval, image to notes, pool", "each", "R@1"),
    ("Notes to image, of 1,000", "retrieval, notes to image, pool", "each", "R@1"),
    ("Do image and notes match, partner from another piece", "matching: another piece", "both", "accuracy"),
    ("Do image and notes match, one bar altered", "matching: one bar altered", "both", "accuracy"),
    ("Bars found on the picture", "grounding of bars", "both", "share right"),
)


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "heads", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--packed", type=Path)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--name", default="small")
    parser.add_argument("--weights-only", action="store_true")
    given = parser.parse_args()
    loaded = checkpoint.load(checkpoint.folder_of(given.checkpoint))
    provenance = {name: value for name, value in loaded.provenance.items() if name not in ("data", "versions")}
    checkpoint.save(given.out, loaded.model, loaded.vocabulary, provenance, half=True, match=loaded.match)
    if given.weights_only:
        return
    if given.figures is None:
        parser.error("--figures says where the figures of these weights are.")
    file = Path("results") / given.name / "check.json"
    check = read_json(file) if file.is_file() else []
    figures = figure_table(read_json(given.figures), read_json(given.beside) if given.beside else None)
    pairs = shards.open(given.data)
    sources = [corpora.get(source) for source in pairs.manifest["items_by_corpus"]]
    free = {source.name for source in sources} <= FREE and is_all(provenance, pairs, given.packed)
    card = model_card(given, provenance, pairs.manifest["pairs"], sources, free, figures, check, loaded.match)
    if heads := put(given.out, given.heads, free):
        card = with_heads(card, given.out, heads)
    (given.out / "README.md").write_text(card, encoding="utf-8")
    print(f"{given.out}: {sum(f.stat().st_size for f in given.out.rglob('*') if f.is_file()) / 1e6:.1f} MB")


def is_all(provenance: dict[str, Any], pairs: shards.PairSet, packed: Path | None) -> bool:
    """Whether weights have learnt from a data set, as it is or as it was packed, and from nothing before it.

    They may have begun with the `small-free` that comes with the package, or with what it was before.
    """
    known = {pairs.hash}
    if packed is not None and (rows := PackedSet(packed)).manifest["source"] == pairs.hash:
        known.add(rows.hash)
    before = provenance["pretrain"]["start"]
    free = before in {None, checkpoint.weights_of(checkpoint.BUNDLED / "small-free"), *BEFORE}
    return free and provenance["data_manifest_sha256"] in known


def model_card(
    given: argparse.Namespace,
    provenance: dict[str, Any],
    pairs: dict[str, int],
    sources: list[corpora.Corpus],
    free: bool,
    figures: str,
    check: list[Any],
    match: tuple[float, float],
) -> str:
    """The model card, in the form of the Hugging Face hub."""
    rows = "\n".join(f"| {row['what']} | {row['metric']} | {row['value']:.4f} | {row['n']} |" for row in check)
    return TEXT.format(
        name=given.name,
        index=model_index(given.name, read_json(given.figures)),
        licence="cc-by-4.0" if free else "other\nlicense_name: research-use",
        use=(ANYONE + (BESIDE if given.beside else "")) if free else RESEARCH,
        known=KNOWN_FREE if free else KNOWN,
        steps=provenance["steps"],
        batch=provenance["pretrain"]["batch_size"],
        pairs=", ".join(f"{n:,} {part}" for part, n in pairs.items()),
        corpora=len(sources),
        terms="\n".join(f"| {one.name} | {one.title} | {one.licence} |" for one in sources),
        file=given.figures,
        figures=figures,
        slope=match[0],
        shift=match[1],
        check=CHECK.format(name=given.name, check=rows) if check else "",
    )


def figure_table(figures: list[Any], beside: list[Any] | None) -> str:
    """The figures of the weights themselves; those of others beside them, where these were asked the same."""
    wanted = (
        "hidden pitch",
        "hidden duration",
        "matching: another",
        "matching: one bar altered",
        "grounding",
        "retrieval, ",
    )
    other = {_key(row): f" {row['value']:.3f} |" for row in beside or [] if row["pretraining"] == IMAGE}
    rows = [
        "| what | inputs | metric | value | 95 % | n |" + (" `small` |" if beside else ""),
        "|---|---|---|--:|--:|--:|" + ("--:|" if beside else ""),
    ]
    for row in figures:
        kept = row["what"].startswith(wanted) and row["metric"] in ("accuracy", "share right", "R@1")
        if kept and row["pretraining"] == IMAGE:
            low, high = row["ci95"]
            figure = f"{row['value']:.3f} | {low:.3f} to {high:.3f} | {row['n']} |" + (
                other.get(_key(row), " |") if beside else ""
            )
            rows.append(f"| {row['what']} | {row['inputs']} | {row['metric']} | {figure}")
    return "\n".join(rows)


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["what"], row["inputs"], row["metric"]


def model_index(name: str, figures: list[dict[str, Any]]) -> str:
    """The figures of clean pictures as the hub reads them, in the front matter of a card."""
    out = f"model-index:\n- name: scoresim {name}\n  results:\n"
    for title, what, inputs, metric in INDEXED:
        row = next(
            row
            for row in figures
            if row["what"].startswith(what) and row["inputs"].startswith(inputs) and row["metric"] == metric
            and row["pretraining"] == IMAGE
        )  # fmt: skip
        out += f"""  - task:
      type: {"text-retrieval" if metric == "R@1" else "other"}
      name: {title}
    dataset:
      type: held-out-works
      name: held-out works of its sources, clean pictures
    metrics:
    - type: {"recall" if metric == "R@1" else "accuracy"}
      name: {metric}
      value: {row["value"]:.3f}
"""
    return out


def indexed(card: str, name: str, figures: list[dict[str, Any]]) -> str:
    """A card whose front matter ends with these figures, and not with older ones."""
    _, front, rest = card.split("---\n", 2)
    return f"---\n{front.partition('model-index:')[0]}{model_index(name, figures)}---\n{rest}"


TEXT = """---
library_name: scoresim
license: {licence}
tags:
- music
- sheet-music
- midi
- symbolic-music
- multimodal
- music-information-retrieval
{index}---

# scoresim {name}

One Transformer of six million parameters (width 256, six layers) that reads music as notes (MIDI) and as the picture of
its score. These are the weights behind `scoresim.load("{name}")`, in half precision.
The idea is that of SIM: Qin et al., *Score Images as a Modality*, Sensors 24(15):5017, 2024.

## What it is for
Research and tools on Western staff notation and on MIDI: finding the score of a page, saying whether a page and a file
show the same music and where they do not, vectors for search. It also is a body to fine-tune.

It is not for transcription, for handwriting, tablature or chant, or for deciding who a work belongs to.

## How it was trained
On pairs of engraved passages and their notes, checked note by note, from {corpora} sources: {pairs}. The card of the
data is `DATA.md` beside this one; `results/small/excluded-works.tsv` in the repository lists the works of the
validation and test parts of all our sources: none of them is in the training part, nor what was found to be the same
music. The last stretch was {steps} steps of {batch} passages; all options stand in `config.json`, all stretches in
`docs/log.md`. Pictures were engraved by one program in five fonts, with the looks of scans and photographs; no real
scan was seen.

### Sources and their terms
| source | title | terms, as the source says |
|---|---|---|
{terms}

{use}

## What it knows, measured
Held-out works, 95 % intervals over works, from `{file}`:

{figures}

A probability of `scoresim match` is the sigmoid of {slope:g} times the logit plus {shift:g}, so that it is right on
validation works (`runs/calibrate.py`; 1 and 0 are logits as they are). The figures above are of logits as they are.

{check}## Limits
Engraved notation of one program dominates: old prints are read by what was learnt from it. Passages of one or two
systems; scores of more than four staves were rare. {known} are what it knows.

## To cite
Qin, Y.; Xie, H.; Ding, S.; Li, Y.; Tan, B.; Ye, M. Score Images as a Modality: Enhancing Symbolic Music Understanding
through Large-Scale Multimodal Pre-Training. Sensors 2024, 24(15), 5017.
"""

RESEARCH = """Some of these sources may be used for research only, or not commercially. **So these weights are for
research.** The variant `small-free` has learnt from sources alone whose terms allow anything (CC0, CC BY, MIT)."""

ANYONE = """All of these terms, as the sources state them, allow any use, at most with the name of the source (CC0,
CC BY, MIT), and so do these weights: CC BY 4.0; name scoresim and the sources."""

BESIDE = """ The last column of the next table
is `small`, which has learnt from more sources and is for research, asked the same."""

KNOWN = """Pop songs in MIDI were written down by a program before they
were engraved. European art music, folk tunes of Europe and China, and pop for piano"""
KNOWN_FREE = "Songs with piano, piano music of the nineteenth century and lead sheets"

CHECK = """### Figures that anyone can make again
`python runs/check_card.py --model {name}` builds a small set from music21's corpus
(held-out works alone are asked) and asks these weights, without a network:

| what | metric | value | n |
|---|---|--:|--:|
{check}

"""

if __name__ == "__main__":
    main()
