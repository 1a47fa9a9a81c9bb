"""A model whose parameters, gradients and moments are spread over the processes, each holding a share (FSDP2).

Every block is put together for its own passes and freed after them; what stands outside the blocks is put together for
a whole pass forward and back. The numbers are those of a model that every process holds whole, up to rounding.

The state of such a run is a folder, `state/step-NUMBER/`: the tensors as each process holds them, written side by side
as safetensors (PyTorch's distributed checkpoint), and `run.json` with their checksums and the rest of the state. It is
written under a temporary name and renamed; the last two are kept. Any number of processes can go on from one, and
so can a model that is not sharded.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from scoresim.errors import BadInput
from scoresim.files import read_json, remove_tree, replacing, sha256, write_json
from scoresim.model.sim import SIM
from scoresim.training.optim import Optimiser
from scoresim.training.state import MOMENTS, RunState, resume, save_state, tensors_of
from scoresim.training.world import World

RUN = "run.json"  # beside the tensors: the rest of the state
KEPT = 2  # states of a sharded run

_logger = logging.getLogger("scoresim")


def shard(model: SIM) -> None:
    """Spread a model over all processes, in place; it stands on its device already, with the same weights everywhere.

    Losses are divided by counts of the whole batch: gradients are added up, not averaged. The two single numbers among
    the parameters cannot be split; every process holds them.
    """
    model.grouped = False  # all processes call a block equally often: each time they exchange its parameters
    for parameter in model.parameters():
        parameter.data = parameter.data.contiguous()  # FSDP2 takes no other layout
    single = {parameter for parameter in model.parameters() if parameter.ndim == 0}
    for part in (*model.blocks, model):
        fully_shard(part, ignored_params=single)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # gloo knows no other kind
    # nobody changes a reading in place
    warnings.filterwarnings("ignore", r"FSDP2-wrapped module \(\w+\) returned a view tensor", UserWarning)
    for method in ("look", "read_apart"):  # the others work on what `forward` or these returned
        register_fsdp_forward_method(model, method)


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model, on the CPU, for the first process; an empty dictionary for the others.

    All processes call it together.
    """
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))  # type: ignore[return-value]


def is_sharded(module: nn.Module) -> bool:
    return any(isinstance(parameter, DTensor) for parameter in module.parameters())


def clip_gradients(module: nn.Module, most: float, world: World) -> Tensor:
    """Scale gradients so that their norm, over all processes' shares, is at most `most`; returns the norm before."""
    if not is_sharded(module):
        return nn.utils.clip_grad_norm_(module.parameters(), most)
    grads = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    shares = [grad.to_local() for grad in grads if isinstance(grad, DTensor)]
    plain = [grad for grad in grads if not isinstance(grad, DTensor)]
    norm = (world.total(nn.utils.get_total_norm(shares) ** 2) + nn.utils.get_total_norm(plain) ** 2).sqrt()
    scale = (most / (norm + 1e-6)).clamp(max=1.0)  # as PyTorch's own
    for part in (*shares, *plain):
        part.mul_(scale)
    return norm


def save_run(last: Path, module: nn.Module, optimiser: Optimiser, state: RunState, world: World) -> None:
    """Write a run's state: of a sharded model all processes their shares, of another one the first process all.

    Args:
        last: where the state of a model that is not sharded stands; that of a sharded one stands beside it.
        module, optimiser, state: what to write.
        world: all of its processes call this together.
    """
    if is_sharded(module):
        save_shards(last.parent, module, optimiser, state, world)
    elif world.first:
        save_state(last, module, optimiser, state)


def save_shards(folder: Path, module: nn.Module, optimiser: Optimiser, state: RunState, world: World) -> None:
    """Write `folder/step-NUMBER/`, whole or not at all, and remove all but the last two.

    Raises:
        BadInput: it cannot be written.
    """
    path = folder / f"step-{state.step:08}"
    with ExitStack() as stack:

        def begin() -> Path:
            temporary = stack.enter_context(replacing(path))
            temporary.mkdir()
            return temporary

        temporary = world.agreed(begin)
        writer = HuggingFaceStorageWriter(str(temporary), save_distributed=True)
        with failures(f"{path} cannot be written"):
            save(tensors_of(module, optimiser), storage_writer=writer)
        if world.first:
            files = {file.name: sha256(file) for file in sorted(temporary.glob("*.safetensors"))}
            write_json(temporary / RUN, {"state": asdict(state), "files": files})
    if world.first:
        for old in (*saved(folder)[KEPT:], *folder.glob(".step-*.tmp")):
            remove_tree(old)


def saved(folder: Path) -> list[Path]:
    """The sharded states in a folder, the newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def resume_run(last: Path, module: nn.Module, optimiser: Optimiser, world: World, ours: bool = True) -> RunState:
    """Where a run goes on: from the newest state that is whole, sharded or not, whatever the model is now; else anew.

    Where it is not `ours`, its files are left as they are.

    Raises:
        BadInput: there are states, but none that can be used; or the processes do not see the same.
    """
    whole, states = world.agreed(
        lambda: (last.is_file(), [p for p in saved(last.parent) if step_of(p) > step_of(last)])
    )
    for path in states:
        try:
            return load_shards(path, module, optimiser, world)
        except BadInput as error:
            if path == states[-1] and not whole:
                raise
            if world.first:
                _logger.warning("%s Going on from the state before it.", error)
    state = resume(last, module, optimiser, ours)
    if (world.most(state.step), -world.most(-state.step)) != (state.step, state.step):
        raise BadInput(
            f"the processes do not find the same state in {last.parent}; give a folder that all of them see."
        )
    return state


def step_of(path: Path) -> int:
    """The step after which a state was saved; -1 where that cannot be read."""
    if path.name.startswith("step-"):
        return int(path.name.removeprefix("step-"))
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads(file.metadata()["state"])["step"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return -1


def load_shards(path: Path, module: nn.Module, optimiser: Optimiser, world: World) -> RunState:
    """Put a sharded state back into module and optimiser.

    Raises:
        BadInput: in all processes, where a file is damaged or belongs to another model.
    """
    run: dict[str, Any] = world.agreed(lambda: read_json(path / RUN))
    files = sorted(run["files"].items())[world.rank :: world.size]
    if world.any(any(not (path / name).is_file() or sha256(path / name) != digest for name, digest in files)):
        raise BadInput(f"{path} is damaged: a checksum differs. To begin anew, remove its folder.")
    reader = HuggingFaceStorageReader(str(path))
    names = reader.read_metadata().state_dict_metadata
    for name, parameter in module.named_parameters():
        if f"step/{name}" in names:
            moments = {moment: torch.zeros_like(parameter, requires_grad=False) for moment in MOMENTS}
            optimiser.state[parameter] = {**moments, "step": torch.zeros((), device=parameter.device)}
    with failures(f"{path} does not fit this run"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # so it is with one process
        load(tensors_of(module, optimiser), storage_reader=reader)
    return RunState(**run["state"])


@contextmanager
def failures(what: str) -> Iterator[None]:
    """What PyTorch's distributed checkpoint raises in all processes, as a sentence.

    Raises:
        BadInput: with the first process's reason.
    """
    try:
        yield
    except CheckpointException as error:
        reason = next(iter(error.failures.values()))[0]
        raise BadInput(f"{what} ({reason}).") from error
