"""The private state of a training run: one file, replaced as a whole, from which it goes on bit for bit.

Weights and the optimiser's tensors are safetensors; step, running means and the best validation so far stand
in its header as JSON, with a checksum of all. Nothing about the data or random numbers is in it: both are pure
functions of (seed, step). The state before the last is kept: where the last is damaged the run goes on from there,
and ends with the same weights.
"""

import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from scoresim.checkpoint import plain, save_tensors
from scoresim.errors import BadInput, CheckFailed, in_short
from scoresim.files import replacing
from scoresim.training.optim import Optimiser

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of AdamW
MOMENTUM = "momentum_buffer"  # of Muon
BEFORE = "before.safetensors"  # the state before the last

_logger = logging.getLogger("scoresim")


@dataclass
class RunState:
    """Where a run stands, besides its tensors.

    Attributes:
        step: steps done.
        seconds: of training so far, over all its parts.
        sums: for the next log line, by name: [sum, number of steps that had it].
        best: best validation so far, or None; best_step: when.
    """

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)
    best: float | None = None
    best_step: int = 0


def save_state(path: Path, module: nn.Module, optimiser: Optimiser, state: RunState) -> None:
    """Write the run's state, whole or not at all; the one that stands there is kept as `BEFORE`, beside it.

    Raises:
        BadInput: it cannot be written; the states that stand there are as they were.
        CheckFailed: it holds something that is not a number; the same.
    """
    words = json.dumps(asdict(state))
    tensors = plain(tensors_of(module, optimiser))
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise CheckFailed(
            f"The weights are no longer numbers after step {state.step}, so they were not saved; "
            "begin anew in another folder with a lower learning rate."
        )
    with replacing(path) as temporary:
        save_tensors(temporary, tensors, {"state": words, "checksum": checksum(tensors, words)})
        if path.is_file():
            os.replace(path, path.with_name(BEFORE))


def tensors_of(module: nn.Module, optimiser: Optimiser) -> dict[str, Tensor]:
    """All tensors of a run's state by name: the weights, and what the optimiser knows of each."""
    tensors = {f"weights/{name}": tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        for moment, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = tensor
    return tensors


def checksum(tensors: Mapping[str, Tensor], words: str) -> str:
    """CRC-32 of names, contents and the header's words; it is there to notice damage, not malice."""
    crc = zlib.crc32(words.encode())
    for name in sorted(tensors):
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


def resume(path: Path, module: nn.Module, optimiser: Optimiser, ours: bool = True) -> RunState:
    """Where a run goes on: from its last state, from the one before where the last is damaged or gone, else anew.

    Args:
        path: of the last state.
        module, optimiser: the saved tensors are put into them.
        ours: whether we go on with the run; else its files are left as they are, for whoever does.

    Raises:
        BadInput: there is a state, but none that can be used.
    """
    before = path.with_name(BEFORE)
    if not path.is_file() and not before.is_file():
        return RunState()
    try:
        if not path.is_file():
            raise BadInput(f"{path} is gone.")
        return load_state(path, module, optimiser)
    except BadInput as error:
        if not before.is_file():
            raise
        state = load_state(before, module, optimiser)
        _logger.warning("%s Going on from the state before it, of step %d.", error, state.step)
    if ours:
        path.unlink(missing_ok=True)  # or the next save would put it in the place of the one that is whole
    return state


def load_state(path: Path, module: nn.Module, optimiser: Optimiser) -> RunState:
    """Put a saved state back into module and optimiser.

    The optimiser's tensors take the memory layout of their parameters: the fused step walks both in step.

    Raises:
        BadInput: the file is damaged or belongs to another model.
    """
    tensors, header = read_tensors(path)
    if "checksum" not in header:
        raise BadInput(f"{path} is no state of this version of scoresim; to begin anew, remove its folder.")
    if header["checksum"] != checksum(tensors, header.get("state", "")):
        raise BadInput(f"{path} is damaged: its checksum differs. To begin anew, remove its folder.")
    try:
        state = RunState(**json.loads(header["state"]))
        own = module.state_dict()
        load_weights(module, {k[8:]: laid_like(v, own.get(k[8:])) for k, v in tensors.items() if k[:8] == "weights/"})
        for name, parameter in module.named_parameters():
            for moment in (*MOMENTS, MOMENTUM):
                if f"{moment}/{name}" in tensors:
                    saved = laid_like(tensors[f"{moment}/{name}"], parameter)
                    like = parameter if saved.shape == parameter.shape else saved.to(parameter.device)
                    optimiser.state[parameter][moment] = torch.empty_like(like).copy_(saved).detach()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"{path} does not fit this run ({in_short(error)}); remove its folder to begin anew.") from error
    return state


def laid_like(saved: Tensor, like: Tensor | None) -> Tensor:
    """Our share of a tensor, where the one that it is for is spread over several processes; else the tensor."""
    if isinstance(like, DTensor) and saved.shape == like.shape:
        return distribute_tensor(saved, like.device_mesh, like.placements, src_data_rank=None)
    return saved


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a module's weights alone, whole or not at all."""
    with replacing(path) as temporary:
        save_tensors(temporary, plain(module.state_dict()))


def load_weights(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy weights into a module, in place; all must be there and fit."""
    module.load_state_dict(tensors)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a safetensors file, and its header's own words.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is damaged ({error}); remove its folder to begin anew.") from error
