"""The pictures of a study: pairs with their boxes, and bars whose pitches were hidden, with guesses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from scoresim import checkpoint as checkpoints
from scoresim.benchmark.pictures import PITCH, Guess, masked_png, pair_png
from scoresim.benchmark.tasks.pretraining import chosen_bar, guess, hide_one
from scoresim.checkpoint import folder_of
from scoresim.data import shards
from scoresim.data.batches import Passages, batch_config
from scoresim.data.pair import Pair
from scoresim.data.shards import Split
from scoresim.files import replacing, write_json
from scoresim.model.sim import SIM
from scoresim.score.tokens import FIRST


def draw_pictures(data: Path, checkpoint: Path, out: Path, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw pairs and hidden bars of the test part, chosen by chance and not by result.

    Args:
        data: folder of the data set.
        checkpoint: folder of the pre-trained model.
        out: folder of the pictures, and of `pictures.json`, which lists them with captions.
        count: how many of each kind.
        seed: of the choice.

    Returns:
        What is in `pictures.json`: kind, file, caption of each.
    """
    split = shards.open(data).split("test")
    model = checkpoints.load(folder_of(checkpoint)).model
    listed = []
    for number, i in enumerate(rows_of_styles(split, count, seed)):
        pair = split[i]
        caption = f"{about(pair)}. Blue: bars. Orange: note heads, each joined to a note of the MIDI side."
        listed.append(_write(out, f"pair-{number}.png", pair_png(pair), "pair", caption))
    passages = Passages(split, batch_config(model.config, 1))
    for number, i in enumerate(rows_of_styles(split, count, seed + 1)):
        pair = split[i]
        said = guess_bar(model, passages, i, seed)
        true = pair.notes[said.notes, PITCH] - FIRST
        right = [int((guessed == true).sum()) for guessed in (said.with_image, said.without_image)]
        caption = f"{about(pair)}. All {len(true)} pitches of the tinted bar were hidden from the model. "
        caption += f"It found {right[0]} of them with the image and {right[1]} without it."
        listed.append(_write(out, f"hidden-{number}.png", masked_png(pair, said), "hidden", caption))
    write_json(out / "pictures.json", listed)
    return listed


def rows_of_styles(split: Split, count: int, seed: int) -> list[int]:
    """Rows of `count` passages of different styles where there are so many, chosen by the seed."""
    draw = np.random.default_rng([seed, 7])
    styles, notes = split.column("style"), split.column("n_notes")
    order = [i for i in draw.permutation(len(split)).tolist() if notes[i] >= 8]
    seen: dict[str, int] = {}
    rank = {}
    for i in order:
        rank[i] = seen.get(styles[i], 0)
        seen[styles[i]] = rank[i] + 1
    return sorted(order, key=lambda i: rank[i])[:count]


def guess_bar(model: SIM, passages: Passages, row: int, seed: int) -> Guess:
    """The pitches that a model finds in one hidden bar of a passage, with and without the image."""
    batch = passages.gather(np.array([row]))
    held = batch.bar[0][batch.notes.mask[0]].numpy()
    bar = chosen_bar(passages.source[row].id, held, seed)
    shown, asked = hide_one(batch, torch.tensor([bar]), PITCH)
    with torch.inference_mode():
        found = [guess(model, shown, asked, PITCH, image).numpy() - FIRST for image in (True, False)]
    return Guess(bar, np.flatnonzero(asked[0].numpy()), found[0], found[1])


def about(pair: Pair) -> str:
    """What a passage is, in words."""
    name = pair.title or pair.item
    last = pair.first_bar + pair.n_bars
    composer = f"{pair.composer}, " if pair.composer else ""
    return f"{composer}{name}, bars {pair.first_bar + 1} to {last} ({pair.style})"


def _write(out: Path, name: str, png: bytes, kind: str, caption: str) -> dict[str, Any]:
    with replacing(out / name) as temporary:
        temporary.write_bytes(png)
    return {"kind": kind, "file": name, "caption": caption}
