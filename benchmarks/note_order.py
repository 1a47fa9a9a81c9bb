"""What the order of notes gives away in the published preparation of POP909.

    python benchmarks/note_order.py DATA [--train small|midibert|FOLDER] [--steps 0] [--seed 0] [--json OUT]

The preparation is that of the task `melody_midibert` (`tasks/_midibert.py`): the notes of an onset stand in the order
of their tracks. The question is from which track a note comes, and the order of the input says it: where the pitch
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
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scoresim import checkpoint
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.finetune import fit, fit_module
from scoresim.benchmark.midibert import MidiBert
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piecewise import Material, gather
from scoresim.benchmark.tasks import melody
from scoresim.benchmark.tasks._midibert import on_sixteenths, read_off
from scoresim.data.batches import batch_config
from scoresim.data.seen import seen

OTHER = melody.CLASSES.index("accompaniment")
PEER = "midibert"


def ordered(material: Material, by_track: bool) -> Material:
    """The songs of the task with their notes in one of the two orders."""
    parts = {part: [on_sixteenths(piece, by_track) for piece in some] for part, some in material.parts.items()}
    return replace(material, parts=parts, identity=f"{material.identity} by_track={by_track}", elsewhere=())


def rule(material: Material, part: str) -> dict[str, float]:
    """What the order alone tells of a part."""
    truth = np.concatenate([melody.label(piece) for piece in material.parts[part]])
    said = np.concatenate([read_off(seen(piece, melody.HIDDEN)).argmax(axis=1) for piece in material.parts[part]])
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
