"""What the order of notes gives away in the published preparation of POP909.

    python benchmarks/note_order.py DATA [--train small|midibert|FOLDER] [--steps 0] [--seed 0] [--json OUT]

MidiBERT-Piano's public code (wazenmai/MIDI-BERT, `data_creation/`) moves the notes of a song to a grid of 16ths,
reads its tracks one after the other (vocal, bridge, piano), each by pitch, and then sorts all by their onset alone. The
sort keeps what is equal in order: at every onset the notes of the vocal come first, then those of the bridge, then
those of the piano. The question is from which track a note comes, and the order of the input says it. Where the pitch
falls within an onset, another track begins.

Without `--train` a rule reads that order off, and learns nothing: what stands before the first fall of an onset is
called melody, and where there are two falls, what stands between them is called bridge. With it a head is trained
twice, on the same notes on the same grid: by onset and pitch, and by onset, track and pitch.

Prints the shares, and with `--train` accuracy on the validation and the test part.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scoresim import checkpoint
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.finetune import fit, fit_module, prepare_pieces
from scoresim.benchmark.midibert import MidiBert
from scoresim.benchmark.piecewise import Material, gather
from scoresim.benchmark.tasks import melody
from scoresim.data.batches import batch_config
from scoresim.data.pieces import Piece
from scoresim.score.notes import Ints
from scoresim.score.tokens import FIRST, GRID

SIXTEENTHS = 4  # of a quarter note
OTHER = 2  # the class of the piano
PEER = "midibert"


def on_sixteenths(piece: Piece, by_track: bool) -> Piece:
    """The notes of a song on a grid of 16ths, by onset and pitch, or by onset, track and pitch; durations stay."""
    onset = np.round(piece.onset * SIXTEENTHS) / SIXTEENTHS
    last = len(piece.bar_onset) - 2
    bar = np.searchsorted(piece.bar_onset, onset + 1e-6, side="right").clip(1, last + 1) - 1
    ids = piece.ids.copy()
    ids[:, 1] = FIRST + np.round((onset - piece.bar_onset[bar]) * GRID).astype(np.int64)
    track = melody.label(piece) if by_track else np.zeros(len(piece), dtype=np.int64)
    order = np.lexsort((ids[:, 3], ids[:, 2], track, ids[:, 1], bar))
    columns = {name: getattr(piece, name)[order] for name in ("velocity", "track", "staff", "voice")}
    return replace(piece, ids=ids[order], bar=bar[order], onset=onset[order], lines=(), **columns)


def ordered(material: Material, by_track: bool) -> Material:
    """The songs of the task with their notes in one of the two orders."""
    parts = {part: [on_sixteenths(piece, by_track) for piece in some] for part, some in material.parts.items()}
    return replace(material, parts=parts, identity=f"{material.identity} by_track={by_track}", elsewhere=())


def read_off(piece: Piece) -> Ints:
    """[N] class of each note by the falls of the pitch within its onset."""
    said = np.full(len(piece), OTHER, dtype=np.int64)
    together = (np.diff(piece.bar) == 0) & (np.diff(piece.ids[:, 1]) == 0)
    edges = np.r_[0, np.flatnonzero(~together) + 1, len(piece)]
    for a, b in pairwise(edges.tolist()):
        falls = a + 1 + np.flatnonzero(np.diff(piece.ids[a:b, 2]) < 0)
        if len(falls):
            said[a : falls[0]] = 0
        if len(falls) > 1:
            said[falls[0] : falls[1]] = 1
    return said


def rule(material: Material, part: str) -> dict[str, float]:
    """What the order alone tells of a part."""
    truth = np.concatenate([melody.label(piece) for piece in material.parts[part]])
    said = np.concatenate([read_off(piece) for piece in material.parts[part]])
    told = said != OTHER
    tune = truth != OTHER
    return {
        "notes": len(truth),
        "told": int(told.sum()),
        "told_and_melody_or_bridge": float(tune[told].mean()) if told.any() else 0.0,
        "melody_and_bridge_that_are_told": float(told[tune].mean()),
        "accuracy": float((said == truth).mean()),
    }


def trained(material: Material, name: str, steps: int, seed: int) -> dict[str, float]:
    """Accuracy of a head on a checkpoint, or of MidiBERT's network from scratch."""
    folder = checkpoint.locate("small" if name == PEER else name)
    model = checkpoint.load(folder).model
    config = FinetuneConfig(inputs="notes", steps=steps, seed=seed)
    parts = prepare_pieces(material, batch_config(model.config, config.batch_size), config)
    with tempfile.TemporaryDirectory() as out:
        found: dict[str, Any]
        if name == PEER:
            torch.manual_seed(seed)
            found = fit_module(parts, MidiBert("note", len(parts.classes)), name, config, Path(out))
        else:
            found = fit(parts, model, checkpoint.weights_of(folder), config, Path(out))
    return {"steps": found["steps"], "validation": found["validation"], "test": found["figures"][0]["value"]}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds pop909")
    parser.add_argument("--pieces", type=Path, help="folder where read songs are kept")
    parser.add_argument("--train", help=f"a checkpoint on which a head is trained; {PEER}: the network of MidiBERT")
    parser.add_argument("--steps", type=int, default=0, help="0 is the recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        material = gather(melody.TASK, given.data, given.pieces or Path(folder), images=False)
        out: dict[str, Any] = {}
        for by_track in (False, True):
            some = ordered(material, by_track)
            out["by track" if by_track else "by pitch"] = row = rule(some, "test")
            if given.train:
                row |= trained(some, given.train, given.steps, given.seed)
    if given.json is not None:
        given.json.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
