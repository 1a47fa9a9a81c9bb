"""The one training loop, for pre-training and for task heads.

A step is a pure function of the weights, the optimiser's moments, the seed and the step's number: data order,
random choices and learning rate follow from them. So a run that is killed and started again ends with the
same bits (on one machine's CPU) as one that was not.
"""

import json
import math
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from scoresim.data.batches import Batch
from scoresim.errors import BadInput, CheckFailed, ScoresimError
from scoresim.files import append, replacing, sweep
from scoresim.model.precision import use_bf16
from scoresim.model.sim import SIM
from scoresim.progress import Progress
from scoresim.training.objectives import Objective
from scoresim.training.optim import Optimiser, learning_rate, optimiser_of
from scoresim.training.record import Curves, record_start
from scoresim.training.sharded import clip_gradients, is_sharded, resume_run, save_run
from scoresim.training.state import RunState, load_weights, read_tensors, save_weights
from scoresim.training.tally import Tally, means
from scoresim.training.world import ALONE, World

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.jsonl"
STARTS, CURVES = "starts.jsonl", "tensorboard"


class Stopped(ScoresimError):
    """Someone asked the run to stop (Ctrl-C, SIGTERM); its state is saved.

    The exit code is the shell's for that signal: 130 or 143; 130 where another of several processes heard it.
    """

    def __init__(self, message: str, number: int = int(signal.SIGINT)) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Batches(Protocol):
    """Where batches come from."""

    def stream(self, seed: int, start: int) -> Generator[Batch, None, None]:
        """Training batches from step `start` on; a pure function of seed and step."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        steps: how many in all.
        lr: highest learning rate; warmup: steps until it is reached; then a cosine to nearly zero.
        weight_decay: of matrices.
        muon: matrices between inputs and outputs are trained by Muon with so many times the learning rate; 0 is not.
        layer_decay: what a layer's learning rate is multiplied by for the layer under it (of a head on a SIM).
        clip: largest norm of the gradient.
        seed: of data order and random choices.
        precision: auto, fp32 or bf16.
        log_every, checkpoint_every: in steps.
        validate_every: in steps; 0 is never.
        patience: validations without a new best after which training ends; 0 is never.
        device: of the module.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 50
    weight_decay: float = 0.05
    muon: float = 0.0
    layer_decay: float = 1.0
    clip: float = 1.0
    seed: int = 0
    precision: str = "auto"
    log_every: int = 20
    checkpoint_every: int = 200
    validate_every: int = 0
    patience: int = 0
    device: str = "cpu"


def train(
    module: nn.Module,
    objectives: Sequence[Objective],
    batches: Batches,
    config: TrainConfig,
    out: Path,
    validate: Callable[[nn.Module], float] | None = None,
    keep_best: bool = False,
    world: World = ALONE,
    held_out: Sequence[Batch] = (),
) -> RunState:
    """Train a module in place, from where the run in `out` stands.

    Writes `out/log.jsonl` (a line of means every `log_every` steps), the same as curves in `out/tensorboard/`,
    `out/starts.jsonl` (with what the run was started, each time) and `out/state/` (private).
    Of several processes the first one writes (of a sharded model all write their shares); all stop at the same step.

    Args:
        module: its weights before training; a saved state replaces them.
        objectives: their losses are summed.
        batches: training data.
        config: how.
        out: folder of the run.
        validate: a figure of merit of the module, higher is better; asked every `validate_every` steps and at
            the end.
        keep_best: end with the weights that validated best, not with the last.
        world: the processes that share every batch, all with the same weights; `batches` gives each its part.
        held_out: batches that are not trained on; the objectives' losses and shares of them, as ``held_out/...``, come
            into the log every `validate_every` steps and at the end.

    Raises:
        CheckFailed: the loss or its gradient is no longer a number; the saved state is from before that.
        Stopped: on SIGTERM or Ctrl-C, after saving.
        BadInput: the saved states are damaged or of another model; the disk is full; the data cannot be read any more
            (after saving). The same command goes on when that is mended.
    """
    module.to(config.device).train()
    optimiser = make_optimiser(module, config)
    last = out / "state" / LAST
    if world.first:
        sweep(out)
        sweep(last.parent)
    state = resume_run(last, module, optimiser, world)
    if world.first:
        cut_log(out / LOG, state.step)
        if state.step < config.steps:
            record_start(out / STARTS, state.step, config.device, config.precision)
    clock = time.monotonic() - state.seconds
    with (
        closing(batches.stream(config.seed, state.step)) as stream,
        closing(Curves(out / CURVES, state.step)) as curves,
        Progress("train", config.steps - state.step, "steps", quiet=not world.first) as progress,
        stop_signals() as stop,
    ):
        stopped = False
        while state.step < config.steps and not stopped and not tired(state, config):
            try:
                batch = next_batch(stream, world)
            except ScoresimError:  # a shard has vanished: no step is lost
                save_run(last, module, optimiser, state, world)
                raise
            figures = take_step(module, objectives, batch.to(config.device), optimiser, config, state.step)
            state.step += 1
            state.seconds = time.monotonic() - clock
            add(state.sums, figures)
            ended, stopped = state.step == config.steps, world.any(bool(stop))
            if ended or due(state.step, config.validate_every):
                if validate is not None:
                    judge(validate, module, state, out / "state" / BEST if keep_best else None)
                add(state.sums, figures_of(held_out, module, objectives, config))
            if world.first and (ended or due(state.step, config.log_every)):
                write_line(out / LOG, curves, state, config)
            if ended or stopped or due(state.step, config.checkpoint_every):
                save_run(last, module, optimiser, state, world)
            progress.advance(note=f"loss {figures['loss']:.3f}")
    if stopped and state.step < config.steps:
        raise Stopped(
            f"Stopped at step {state.step} of {config.steps}; the state is saved in {out}, "
            "run the same command to go on.",
            *stop[:1],
        )
    if keep_best and (out / "state" / BEST).is_file():
        load_weights(module, read_tensors(out / "state" / BEST)[0])
    module.eval()
    return state


def make_optimiser(module: nn.Module, config: TrainConfig) -> Optimiser:
    """The optimiser of a run.

    Raises:
        ValueError: Muon is asked for, which needs whole matrices, of a model that is spread over processes.
    """
    if config.muon and is_sharded(module):
        raise ValueError("a model that is spread over processes is trained by AdamW: set muon to 0")
    return optimiser_of(module, config.lr, config.weight_decay, config.layer_decay, config.muon)


def next_batch(stream: Iterator[Batch], world: World) -> Batch:
    """The next batch.

    Raises:
        ScoresimError: in all processes, where one of them cannot read its rows.
    """
    failed: ScoresimError | None = None
    try:
        batch = next(stream)
    except ScoresimError as error:
        failed = error
    if world.any(failed is not None):
        raise failed or BadInput("another process cannot read its rows; it says which and why.")
    return batch


def take_step(
    module: nn.Module,
    objectives: Sequence[Objective],
    batch: Batch,
    optimiser: Optimiser,
    config: TrainConfig,
    step: int,
) -> dict[str, float]:
    """One step of training; returns the loss of the whole batch, its parts, and the shares that the objectives count.

    Raises:
        CheckFailed: the loss or its gradient is no longer a number; the weights are as they were.
    """
    world = World(*batch.part)
    seed_step(config.seed, step, world.rank)
    parts: dict[str, Tensor] = {}
    tally: Tally = {}
    device = torch.device(config.device)
    optimiser.zero_grad()
    seen: Tensor | None = None
    if (
        isinstance(module, SIM) and len(objectives) > 1 and not batch.alone and batch.image.mask.any()
    ):  # one look for all
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16(config.precision, device)):
            seen = module.look(batch.image)
        batch = replace(batch, image=batch.image._replace(seen=seen.detach().requires_grad_()))
    for objective in objectives:
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16(config.precision, device)):
            losses, counted = objective(module, batch)
        if not losses:
            continue
        total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        parts |= {"loss": total.detach() + parts.get("loss", 0.0)}
        parts |= {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        tally |= counted
    if seen is not None and batch.image.seen is not None and batch.image.seen.grad is not None:
        seen.backward(batch.image.seen.grad)  # type: ignore[no-untyped-call]
    world.add_gradients(module)
    norm = clip_gradients(module, config.clip, world)
    *values, length = torch.stack([*parts.values(), norm]).tolist()
    figures = world.summed(dict(zip(parts, values, strict=True))) | means(tally, world)
    if not (math.isfinite(figures["loss"]) and math.isfinite(length)):
        what = "gradient" if math.isfinite(figures["loss"]) else "loss"
        raise CheckFailed(
            f"The {what} is no longer a number at step {step}, so the weights were left as they were; "
            "begin anew in another folder with a lower learning rate."
        )
    for group in optimiser.param_groups:
        group["lr"] = group["scale"] * learning_rate(step, config.steps, config.warmup, config.lr)
    optimiser.step()
    return figures


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch's global generators, of which only dropout asks, as a pure function of (seed, step, process)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1))


def tired(state: RunState, config: TrainConfig) -> bool:
    """Whether the last best state is too long ago; a function of the state, so that a resumed run ends alike."""
    waited = state.step - state.best_step if state.best is not None else 0
    return 0 < config.patience * config.validate_every <= waited


def due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def judge(validate: Callable[[nn.Module], float], module: nn.Module, state: RunState, best: Path | None) -> None:
    """Ask for the module's figure of merit; keep its weights in `best` when it is the best so far."""
    module.eval()
    with torch.no_grad():
        value = validate(module)
    module.train()
    add(state.sums, {"validation": value})
    if state.best is None or value > state.best:
        state.best, state.best_step = value, state.step
        if best is not None:
            save_weights(best, module)


def figures_of(
    batches: Sequence[Batch], module: nn.Module, objectives: Sequence[Objective], config: TrainConfig
) -> dict[str, float]:
    """Means over some batches of the objectives' losses and shares, as ``held_out/...``; nothing is learned.

    What an objective does not say of a batch does not count for that name.
    """
    device = torch.device(config.device)
    sums: dict[str, list[float]] = {}
    module.eval()
    for held_out in batches:
        batch, losses = held_out.to(config.device), dict[str, Tensor]()
        for objective in objectives:
            with (
                torch.no_grad(),
                torch.autocast(device.type, torch.bfloat16, enabled=use_bf16(config.precision, device)),
            ):
                parts, tally = objective(module, batch)
            losses |= parts
            add(sums, means(tally, World(*batch.part)))
        if losses:
            figures = {f"loss/{name}": float(loss) for name, loss in losses.items()}
            add(sums, World(*batch.part).summed({"loss": sum(figures.values()), **figures}))
    module.train()
    return {f"held_out/{name}": total / count for name, (total, count) in sums.items()}


def add(sums: dict[str, list[float]], figures: Mapping[str, float]) -> None:
    """Add one step's figures to the running sums."""
    for name, value in figures.items():
        entry = sums.setdefault(name, [0.0, 0.0])
        entry[0] += value
        entry[1] += 1


def write_line(path: Path, curves: Curves, state: RunState, config: TrainConfig) -> None:
    """Add the means since the last line to the log and the curves, and begin new ones."""
    shown = {name: round(total / count, 6) for name, (total, count) in state.sums.items()}
    rate = learning_rate(state.step - 1, config.steps, config.warmup, config.lr)
    line = {"step": state.step, "seconds": round(state.seconds, 2), "lr": rate, **shown}
    append(path, json.dumps(line) + "\n")
    curves.add(state.step, {"lr": rate, **shown})
    state.sums.clear()


def cut_log(path: Path, step: int) -> None:
    """Drop the log's lines after `step`: they will be written again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    with replacing(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that is no longer empty once SIGTERM or Ctrl-C came; a second one is what it was before."""
    came: list[int] = []
    before: dict[int, object] = {}

    def note(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, before[number])  # type: ignore[arg-type]

    try:
        for number in (int(signal.SIGTERM), int(signal.SIGINT)):
            before[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread: signals are not ours
        before.clear()
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
