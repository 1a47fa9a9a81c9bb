"""Pre-training as a run on disk: a folder that says what was done, and goes on when it is asked again."""

import copy
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scoresim import checkpoint
from scoresim.data import shards
from scoresim.data.batches import Batch, Passages, batch_config
from scoresim.data.harmonize import read_sampling
from scoresim.data.looks import DegradedSplit, Kinds
from scoresim.data.packed import PackedSet, is_packed
from scoresim.data.rows import BatchConfig
from scoresim.data.shards import Split
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.files import locked, place, read_json, write_json
from scoresim.model.layers import Block
from scoresim.model.sim import SIM, SIZES, SIMConfig
from scoresim.score.tokens import Vocabulary, default_vocabulary
from scoresim.training.config import PretrainConfig
from scoresim.training.feed import Fed
from scoresim.training.loop import LAST, Batches, TrainConfig, make_optimiser, next_batch, take_step, train
from scoresim.training.objectives import MBAM, SMC, SMM, Grounding, Objective, Weighted
from scoresim.training.sharded import is_sharded, resume_run, shard, whole_weights
from scoresim.training.world import ALONE, World, joined

SYNTHETIC = 1024  # passages made up for `scoresim pretrain synthetic OUT`


IMAGE_TOKENS: dict[str, dict[str, Any]] = {
    "staves": {},
    "squares": {"staves": False, "patch_height": 16, "patch_width": 16},
    "tall": {"staves": False, "patch_height": 32, "patch_width": 8},
}
LEARNING_RATES = {"tiny": 1.5e-3, "small": 1e-3, "base": 3e-4}


def pretrain(data: Path, out: Path, config: PretrainConfig) -> dict[str, Any]:
    """Pre-train a SIM on a data set's training split; run again, it goes on or is done.

    Under `torchrun` all its processes train together, on one machine or on many that see the same folders. The whole
    batch and what is learned from it stay the same, so that a run may go on with another number of them.

    Args:
        data: folder of a data set; the word "synthetic" stands for made-up passages.
        out: folder of the run: config.json, what `train` writes, and at the end checkpoint/.
        config: what to do.

    Returns:
        What was done: steps, seconds, checkpoint, the last line of the log. Empty in all processes but the first.

    Raises:
        BadInput: `out` holds another run or cannot be written, the data cannot be read, or the processes cannot share a
            batch evenly.
        Stopped: after SIGTERM or Ctrl-C; run again to go on.
        CheckFailed: the loss or its gradient is no longer a number.
    """
    with joined(cuda=on_cuda(config)) as world, ExitStack() as stack:
        world.agreed(lambda: stack.enter_context(locked(out)))
        return pretrain_together(data, out, config, world)


def pretrain_together(data: Path, out: Path, config: PretrainConfig, world: World) -> dict[str, Any]:
    """See `pretrain`; all processes of a world call it with the same arguments."""
    source, vocabulary, data_hash, weight = open_training_split(data, config.degrade, config.seed)
    held_out = held_out_batches(data, config, vocabulary, world)
    if is_packed(data):
        PackedSet(place(data)).check(rows_of(config))
    asked = {"pretrain": json.loads(json.dumps(asdict(config))), "data_manifest_sha256": data_hash}
    for name in ("sharded", "workers", "validate_every", "validate_batches"):  # decide nothing
        del asked["pretrain"][name]
    asked["pretrain"]["muon"] = train_config(config, 1).muon
    if config.start is not None:
        asked["pretrain"]["start"] = checkpoint.weights_of(Path(config.start))
    resolved = world.agreed(lambda: begun(out, asked))
    passages = Passages(
        source, rows_of(config), weight=weight, vocabulary=altering(config, vocabulary), part=(world.rank, world.size)
    )
    batches = Fed(passages, config.workers, pinned=on_cuda(config)) if config.workers else passages
    model = make_model(config, vocabulary)
    spread = spread_over(config)
    objectives = make_objectives(config)
    if resolved is None:
        steps = config.steps or steps_in(config.minutes or 1.0, model, objectives, batches, config, spread, world)
        resolved = {**asked, "data": str(data), "steps": steps, "versions": checkpoint.versions()}
        resolved["held_out"] = {"every": config.validate_every, "batches": config.validate_batches}
        if world.first:
            write_json(out / "config.json", resolved)
    settings = train_config(config, resolved["steps"])
    prepared(model, settings, spread, world)
    state = train(model, objectives, batches, settings, out, world=world, held_out=held_out)
    weights = whole_weights(model) if is_sharded(model) else model.state_dict()
    if not world.first:
        return {}
    if not (out / "checkpoint" / checkpoint.CONFIG).is_file():
        whole = SIM(shape_of(config), vocabulary.sizes)
        whole.load_state_dict(weights)
        checkpoint.save(out / "checkpoint", whole, vocabulary, resolved)
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "passages": len(source),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "checkpoint": str(out / "checkpoint"),
        "last": json.loads(lines[-1]),
    }


def export(run: Path, out: Path) -> dict[str, Any]:
    """Write the weights of a run that has not ended, as they were when its state was last saved, as a checkpoint.

    The run is left as it is and can go on. Its learning rate had not come down: these weights know less than those of a
    run planned to end there.

    Args:
        run: folder of the run.
        out: folder for the checkpoint, ``out/checkpoint``.

    Raises:
        BadInput: there is no run, or none that has saved its state; its state is damaged; `out` holds a run itself, or
            cannot be written.
    """
    if not (run / "config.json").is_file():
        raise BadInput(f"{run} holds no run; give a folder that scoresim pretrain has written.")
    if (out / "config.json").is_file():
        raise BadInput(f"{out} holds a run, which writes its checkpoint there when it ends; choose another folder.")
    resolved: dict[str, Any] = read_json(run / "config.json")
    try:
        asked = {**resolved["pretrain"], "objectives": tuple(resolved["pretrain"]["objectives"]), "start": None}
        config = PretrainConfig(**{**asked, "device": "cpu", "compile": False})
    except (KeyError, TypeError, BadInput) as error:
        raise BadInput(f"{run / 'config.json'} is not of this version of scoresim ({error}).") from error
    vocabulary = default_vocabulary()
    model = make_model(config, vocabulary)
    state = resume_run(run / "state" / LAST, model, make_optimiser(model, train_config(config, 1)), ALONE, ours=False)
    if not state.step:
        raise BadInput(f"{run} has not saved its state yet; it does so every {config.checkpoint_every} steps.")
    checkpoint.save(out / "checkpoint", model, vocabulary, {**resolved, "step": state.step})
    return {"step": state.step, "steps": resolved["steps"], "checkpoint": str(out / "checkpoint")}


def begun(out: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the run in a folder; None where there is no run.

    Raises:
        BadInput: another run is there.
    """
    if not (out / "config.json").is_file():
        return None
    resolved: dict[str, Any] = read_json(out / "config.json")
    if {name: resolved.get(name) for name in asked} != asked:
        raise BadInput(f"{out} holds a run with another config or data; choose another folder, or remove this one.")
    return resolved


def prepared(model: SIM, settings: TrainConfig, spread: bool, world: World) -> SIM:
    """The model on its device, its parameters spread over the processes where that is wanted and there are several."""
    model.to(settings.device)
    if spread and world.size > 1:
        shard(model)
    return model


def open_training_split(
    data: Path, degrade: Literal["none"] | Kinds = "none", seed: int = 0
) -> tuple[Split, Vocabulary, str, NDArray[np.float64] | None]:
    """The training rows of a data set, its vocabulary, the hash of its manifest, and how often each row is drawn.

    Args:
        data: folder of the data set, or the word "synthetic".
        degrade: what clean images are made to look like: "none", "scan", "photo" or "mix".
        seed: of these looks.

    Raises:
        BadInput: the data set cannot be read, or its training split is empty; OpenCV is needed and not there.
    """
    if str(data) == "synthetic":
        made_up = synthetic(SYNTHETIC, seed=0)
        return _looking(made_up, degrade, seed), default_vocabulary(), f"synthetic {SYNTHETIC}", None
    if is_packed(data) and degrade != "none":
        raise BadInput(f"{data} is packed, with its looks; pack the pairs again with --degrade {degrade}.")
    pairs = PackedSet(place(data)) if is_packed(data) else shards.open(data)
    split = pairs.split("train")
    if len(split) == 0:
        raise BadInput(f"{data} has no passages in its training split; build it with more scores.")
    weight = read_sampling(pairs.folder, "train", split.column("id"))
    even = bool((weight == 1).all())
    shown = _looking(split, degrade, seed)
    return shown, default_vocabulary(), pairs.hash, None if even else weight


def _looking(split: Split, degrade: Literal["none"] | Kinds, seed: int) -> Split:
    return split if degrade == "none" else DegradedSplit(split, degrade, seed)


def held_out_batches(data: Path, config: PretrainConfig, vocabulary: Vocabulary, world: World) -> list[Batch]:
    """The first batches of the validation part, by seed 0, for the curves of what is not trained on.

    Raises:
        BadInput: they are asked for, and there is no validation part.
    """
    if not config.validate_every:
        return []
    if str(data) == "synthetic":
        source: Split = synthetic(SYNTHETIC, seed=1)
    else:
        pairs = PackedSet(place(data)) if is_packed(data) else shards.open(data)
        if not sum(shard["rows"] for shard in pairs.manifest["shards"].get("valid", [])):
            how = "pack it with --parts train --parts valid" if is_packed(data) else "build it with more scores"
            raise BadInput(f"{data} has no passages in its valid part for --validate-every; {how}.")
        source = pairs.split("valid")
    size = min(config.batch_size, len(source)) // world.size * world.size
    if not size:
        raise BadInput(f"the valid part of {data} has fewer passages than there are processes; leave --validate-every.")
    rows = replace(rows_of(config), long_share=0.0, batch_size=size)
    shown = _looking(source, config.degrade, config.seed)
    passages = Passages(shown, rows, vocabulary=altering(config, vocabulary), part=(world.rank, world.size))
    stream = (passages.batch(0, step) for step in range(config.validate_batches))
    return [next_batch(stream, world) for _ in range(config.validate_batches)]


def altering(config: PretrainConfig, vocabulary: Vocabulary) -> Vocabulary | None:
    """The vocabulary, where passages with one bar altered are asked for."""
    return vocabulary if config.altered and "smm" in config.objectives else None


def shape_of(config: PretrainConfig) -> SIMConfig:
    """The shape that a config asks for."""
    return replace(SIZES[config.size], **IMAGE_TOKENS[config.image_tokens])


def rows_of(config: PretrainConfig) -> BatchConfig:
    """How pairs become tensors for the model that a config asks for."""
    rows = batch_config(shape_of(config), config.batch_size)
    rows = replace(rows, images=config.inputs == "both", lines=config.lines)
    return replace(rows, long_share=config.long_share, long_lines=config.long_lines)


def make_model(config: PretrainConfig, vocabulary: Vocabulary) -> SIM:
    """A model with the first weights of the config's seed, or with those of the checkpoint that it names.

    Raises:
        BadInput: that is missing, damaged, or of another shape.
    """
    torch.manual_seed(config.seed)
    model = SIM(shape_of(config), vocabulary.sizes)
    if config.start is not None:
        begin = checkpoint.load(checkpoint.locate(config.start))
        if (begin.model.config, begin.vocabulary) != (shape_of(config), vocabulary):
            raise BadInput(f"{config.start} is of another shape or vocabulary; give its size and its image tokens.")
        model.load_state_dict(begin.model.state_dict())
    model.recompute = config.recompute
    for block in model.modules():
        if isinstance(block, Block):  # batches are of one size, and of rows of some thirty lengths
            block.steady = True
    if config.compile:
        compile_blocks(model)
    return model


def compile_blocks(model: SIM) -> None:
    """Have torch compile the blocks when they are first used, for batches of any size."""
    for block in model.blocks:
        block.compile(dynamic=True)


def make_objectives(config: PretrainConfig) -> list[Objective]:
    """The objectives that a config names, in its order, with its weights.

    Beside matching, grounding asks of the reading that matching has made: half of the rows, and no reading of its own.
    """
    together = {"smm", "ground"} <= set(config.objectives) and config.smm_weight > 0
    beside = config.ground_weight / config.smm_weight if together else 0.0
    known: dict[str, Objective] = {
        "mbam": MBAM(
            config.inputs,
            config.mask_ratio,
            config.image_dropout,
            config.image_cover,
            (config.masked_share, config.random_share),
            config.pitch_weight,
            config.single,
            config.pitch_often,
        ),
        "smm": SMM(config.same_piece, config.altered, config.hard, beside, config.each),
        "smc": SMC(config.smc_chunk),
        "ground": Grounding(),
    }
    names = [name for name in config.objectives if not (together and name == "ground")]
    weights = {name: getattr(config, f"{name}_weight") for name in names}
    return [known[name] if weights[name] == 1 else Weighted(known[name], weights[name]) for name in names]


def train_config(config: PretrainConfig, steps: int) -> TrainConfig:
    """The loop's part of the config.

    Muon needs whole matrices: what is to be spread over processes has AdamW, on one process, too, so that a run may go
    on with another number of them.
    """
    return TrainConfig(
        steps=steps,
        lr=config.lr or LEARNING_RATES[config.size],
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        muon=0.0 if spread_over(config) else config.muon,
        seed=config.seed,
        precision=config.precision,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        validate_every=config.validate_every,
        device="cuda" if on_cuda(config) else "cpu",
    )


def spread_over(config: PretrainConfig) -> bool:
    """Whether the model is spread over the processes of a run, where there are several."""
    return config.sharded == "yes" or (config.sharded == "auto" and config.size == "base")


def on_cuda(config: PretrainConfig) -> bool:
    return config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())


def steps_in(
    minutes: float,
    model: SIM,
    objectives: list[Objective],
    batches: Batches,
    config: PretrainConfig,
    spread: bool = False,
    world: World = ALONE,
) -> int:
    """How many steps fit into some minutes: times a few on a copy of the model, so that the run stays a pure
    function of its number of steps. The timing is part of the minutes. All processes time, the first one decides.
    """
    settings = train_config(config, 1000)
    trial = prepared(copy.deepcopy(model), settings, spread, world).train()
    optimiser = make_optimiser(trial, settings)
    begin = time.monotonic()
    marks: list[float] = []
    with closing(batches.stream(config.seed, 0)) as stream:
        while world.any(len(marks) < 4 or (len(marks) < 64 and marks[-1] - begin < 1.5 * minutes)):
            batch = next_batch(stream, world).to(settings.device)
            take_step(trial, objectives, batch, optimiser, settings, len(marks))
            marks.append(time.monotonic())
    per_step = (marks[-1] - marks[1]) / (len(marks) - 2)
    return world.agreed(lambda: max(1, int((60 * minutes - (marks[-1] - begin)) / per_step)))
