"""Options of fine-tuning and of the benchmark; importable without torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

Inputs = Literal["notes", "both", "image"]
SYSTEMS = ("sim-notes", "sim-both", "sim-image", "midi-notes", "scratch-notes", "scratch-both", "midibert-notes")


@dataclass(frozen=True)
class Recipe:
    """How heads of one kind are trained where nothing else is said; chosen on validation parts (docs/benchmark.md).

    Attributes:
        epochs: passes over the training part; steps: at least so many optimiser steps.
        windows: of a step, at most, for whole pieces.
        notes: of a step, about: fewer windows are read where they have more together; 0 does not ask.
        lr: highest learning rate.
        layer_decay: what it is multiplied by for every layer below the head.
        validations: how often the validation part is asked.
        muon: matrices are trained by Muon with so many times the learning rate; 0 is by AdamW.
        context: blocks that see all of a window; narrow: what the model's width is divided by to be theirs.
        views: weighted means of a window's notes that answer for it; 0 is the mean of its passages.
        dropout: share of what each block under the head adds that is dropped in training.
    """

    epochs: float
    steps: int
    windows: int
    lr: float
    layer_decay: float
    validations: int
    muon: float = 0.0
    context: int = 0
    narrow: int = 1
    views: int = 0
    dropout: float = 0.0
    notes: int = 0


RECIPES = {
    "passages": Recipe(epochs=0, steps=600, windows=1, lr=5e-4, layer_decay=1.0, validations=4),
    "note": Recipe(epochs=2.25, steps=120, windows=16, lr=1e-3, layer_decay=0.9, validations=3, muon=4.0, context=4),
    "sequence": Recipe(
        epochs=1.05,
        steps=250,
        windows=16,
        notes=4096,
        lr=5e-4,
        layer_decay=0.9,
        validations=5,
        muon=4.0,
        context=2,
        views=4,
        dropout=0.1,
    ),
    "note, frozen": Recipe(
        epochs=2.25, steps=200, windows=16, lr=1e-3, layer_decay=1.0, validations=4, muon=4.0, context=2, narrow=4
    ),
    "sequence, frozen": Recipe(
        epochs=2.25, steps=400, windows=16, lr=1e-3, layer_decay=1.0, validations=8, muon=4.0, views=8
    ),
}


@dataclass(frozen=True)
class FinetuneConfig:
    """How a head is trained for a task, together with the model under it."""

    inputs: Inputs = field(
        default="both",
        metadata={
            "help": "What the model reads: the notes, the image, or both; some tasks show no image, and scoresim "
            "analyze asks no head that reads both."
        },
    )
    steps: int = field(default=0, metadata={"help": "Optimiser steps, at most; 0 is the recipe of the task's kind."})
    batch_size: int = field(default=32, metadata={"help": "Passages per step, for tasks of passages."})
    windows: int = field(
        default=0, metadata={"help": "Windows per step, for tasks of whole pieces; 0 is the recipe of the task's kind."}
    )
    notes: int = field(default=0, metadata={"help": "Notes of a window, for tasks of whole pieces; 0: the task's own."})
    lines: int = field(default=1, metadata={"help": "Lines that are read as one, for tasks of whole pieces."})
    context: int = field(
        default=-1,
        metadata={"help": "Blocks that see all of a window, for tasks of whole pieces; below 0 is the recipe's."},
    )
    context_width: int = field(
        default=-1,
        metadata={
            "help": "Width of these blocks, for a head of few numbers; 0 is that of the model, below 0 the recipe's."
        },
    )
    sources: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Sources that are learnt from and asked, for tasks of whole pieces; none is all of the "
            "task's. Where sources share works, all have to be there."
        },
    )
    played: bool = field(
        default=False,
        metadata={
            "help": "Learn from notated pieces as somebody would play them, too, by rule and with estimated beats: for "
            "heads that are asked of any MIDI file, from notes alone."
        },
    )
    augment: bool = field(
        default=True, metadata={"help": "Transpose and hurry training pieces where the task says that it may be done."}
    )
    views: int = field(
        default=-1,
        metadata={
            "help": "Weighted means of its notes that answer for a window; 0 is the mean of its passages, below 0 the "
            "recipe's."
        },
    )
    dropout: float = field(
        default=-1.0,
        metadata={"help": "Share of what each block adds that is dropped in training; below 0 is the recipe's."},
    )
    rank: int = field(
        default=0,
        metadata={"help": "Train additions of this rank to the blocks' matrices, beside the head; 0: all weights."},
    )
    on: str = field(
        default="",
        metadata={
            "help": "Train the head alone, on what another head has added to the weights (its head.safetensors): both "
            "are then asked on one reading. Read from notes alone, the networks of features beside a head for the same "
            "task are trained further."
        },
    )
    frozen: bool = field(
        default=False,
        metadata={
            "help": "Train the head alone: the model under it stays as it is, and reads every piece once, unvaried."
        },
    )
    lr: float = field(
        default=0.0, metadata={"help": "Highest learning rate, after warm-up; 0 is the recipe of the task's kind."}
    )
    layer_decay: float = field(
        default=0.0,
        metadata={"help": "What the learning rate is multiplied by for every layer below the head; 0 is the recipe's."},
    )
    muon: float = field(
        default=-1.0,
        metadata={
            "help": "Matrices are trained by Muon with so many times the learning rate; below 0 is the recipe's."
        },
    )
    balance: float = field(
        default=0.5,
        metadata={
            "help": "Weight of a class in the loss, for tasks of passages: its share to the power of minus this."
        },
    )
    patience: int = field(
        default=0, metadata={"help": "Stop when so many validations in a row were no better than the best; 0 is never."}
    )
    validations: int = field(
        default=0, metadata={"help": "How often the validation part is asked; the best state is kept; 0 is the recipe."}
    )
    max_valid: int = field(default=400, metadata={"help": "At most this many validation passages are asked; 0 is all."})
    max_test: int = field(default=0, metadata={"help": "At most this many test passages are asked; 0 is all."})
    size: Literal["tiny", "small", "base"] = field(
        default="tiny", metadata={"help": "Size of the model where it starts from scratch."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the head, the order of passages and dropout."})


def recipe_of(config: FinetuneConfig, kind: str) -> Recipe:
    """How heads of a kind are trained: see `filled`."""
    kept = kind != "passages" and (config.frozen or config.on)
    return RECIPES[f"{kind}, frozen" if kept else kind]


def filled(config: FinetuneConfig, kind: str) -> FinetuneConfig:
    """The options of a fine-tuning with the recipe in the place of what nobody has said, but for the steps.

    Args:
        kind: "passages", or the level of a task of whole pieces.
    """
    recipe = recipe_of(config, kind)
    views = recipe.views if config.views < 0 else config.views
    return replace(
        config,
        windows=config.windows or recipe.windows,
        lr=config.lr or recipe.lr,
        layer_decay=config.layer_decay or recipe.layer_decay,
        validations=config.validations or recipe.validations,
        muon=recipe.muon if config.muon < 0 else config.muon,
        context=recipe.context if config.context < 0 else config.context,
        views=0 if kind == "note" or config.inputs == "image" else views,  # without notes there is nothing to weigh
        dropout=recipe.dropout if config.dropout < 0 else config.dropout,
    )


@dataclass(frozen=True)
class BenchmarkConfig:
    """How a checkpoint is judged."""

    data: str | None = field(
        default=None, metadata={"help": "Folder of the data set; by default that of the checkpoint."}
    )
    notes_checkpoint: str | None = field(
        default=None, metadata={"help": "Checkpoint pre-trained on MIDI alone, for the rows to compare with."}
    )

    systems: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Trained systems of the tables: sim-notes, sim-both, sim-image, midi-notes, scratch-notes, "
            "scratch-both, midibert-notes (the network of MidiBERT, for whole pieces); none is all."
        },
    )
    frozen: bool = field(
        default=False,
        metadata={
            "help": "Ask what the weights know as they are, by a linear model of their states, instead of training "
            "heads: minutes for hours."
        },
    )
    frozen_heads: bool = field(
        default=False,
        metadata={
            "help": "Train heads on what the weights say as they are, which is read once for all seeds, instead of "
            "training both."
        },
    )
    rules: Literal["all", "ours", "none"] = field(
        default="all",
        metadata={
            "help": "Rows without a network, of tasks of pieces: all; ours, without music21's slow features; none."
        },
    )
    notes: int = field(default=0, metadata={"help": "Notes of a window, for tasks of whole pieces; 0: the task's own."})
    seeds: int = field(default=1, metadata={"help": "How many trainings of every head, with seeds from SEED on."})
    seed: int = field(default=0, metadata={"help": "The first seed."})
    style_steps: int = field(default=600, metadata={"help": "Optimiser steps of a style head."})
    top_staff_steps: int = field(default=400, metadata={"help": "Optimiser steps of a head for the top staff."})
    piece_steps: int = field(
        default=0, metadata={"help": "Optimiser steps of a head for whole pieces; 0 is the recipe of its kind."}
    )
    batch_size: int = field(default=32, metadata={"help": "Passages per step."})
    lr: float = field(default=5e-4, metadata={"help": "Highest learning rate of heads for passages, after warm-up."})
    validations: int = field(
        default=4, metadata={"help": "How often the validation part is asked for passages; the best state is kept."}
    )
    max_valid: int = field(default=400, metadata={"help": "At most this many validation passages are asked; 0 is all."})
    max_test: int = field(default=0, metadata={"help": "At most this many test passages are asked; 0 is all."})
    pool: int = field(default=1000, metadata={"help": "At most this many pairs in a retrieval pool."})
    probe: int = field(
        default=500, metadata={"help": "At most this many held-out passages for the pre-training tasks."}
    )

    part: Literal["test", "valid"] = field(
        default="test", metadata={"help": "Part that pre-training tasks are asked on; valid for choosing among models."}
    )
    looks: Literal["all", "clean"] = field(
        default="all",
        metadata={"help": "Images of the pre-training tasks: all looks (clean, scan, photo), or clean ones."},
    )

    def words(self) -> list[str]:
        """The options that differ from their defaults, as words of a command."""
        said: list[str] = []
        for f in fields(self):
            value, name = getattr(self, f.name), f"--{f.name.replace('_', '-')}"
            if value is True:
                said.append(name)
            elif value != f.default:
                said += [f"{name} {one}" for one in (value if isinstance(value, tuple) else [value])]
        return said

    def finetuning(self, task: str, inputs: Inputs, seed: int) -> FinetuneConfig:
        """The options of one fine-tuning of this benchmark."""
        steps = {"style": self.style_steps, "top_staff": self.top_staff_steps}
        of_passages = task in steps
        return FinetuneConfig(
            inputs=inputs,
            steps=steps.get(task, self.piece_steps),
            batch_size=self.batch_size,
            lr=self.lr if of_passages else 0.0,
            validations=self.validations if of_passages else 0,
            max_valid=self.max_valid,
            max_test=self.max_test,
            frozen=self.frozen_heads,
            seed=seed,
        )


@dataclass(frozen=True)
class ProbeConfig:
    """How much a pre-trained model is asked."""

    pool: int = field(default=1000, metadata={"help": "At most this many pairs in a retrieval pool."})
    passages: int = field(
        default=500, metadata={"help": "At most this many held-out passages for the pre-training tasks."}
    )
    batch_size: int = field(default=32, metadata={"help": "Passages read at a time."})
    notes_only: bool = field(default=False, metadata={"help": "The model never saw an image: ask notes alone."})
    seed: int = field(default=0, metadata={"help": "Seed of the choice of passages, bars and negatives."})
    part: Literal["test", "valid"] = field(default="test", metadata={"help": "Part of the data set that is asked."})
    looks: Literal["all", "clean"] = field(default="all", metadata={"help": "Looks of images: all, or clean ones."})
    lists: str | None = field(default=None, metadata={"help": "Folder into which the lists of pools are written."})
