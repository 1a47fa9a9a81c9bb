"""The private state of a training run: one file, replaced as a whole, from which it goes on bit for bit.

Weights and the optimiser's tensors are safetensors; step, running means and the best validation so far stand
in its header as JSON. Nothing about the data or random numbers is in it: both are pure functions of (seed,
step).
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from scoresim.checkpoint import plain
from scoresim.errors import BadInput
from scoresim.files import replacing

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


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


def save_state(path: Path, module: nn.Module, optimiser: Optimizer, state: RunState) -> None:
    """Write the run's state, whole or not at all."""
    tensors = {f"weights/{name}": tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        for moment, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = tensor
    with replacing(path) as temporary:
        save_file(plain(tensors), temporary, metadata={"state": json.dumps(asdict(state))})


def load_state(path: Path, module: nn.Module, optimiser: Optimizer) -> RunState:
    """Put a saved state back into module and optimiser.

    The optimiser's tensors take the memory layout of their parameters: the fused step walks both in step.

    Raises:
        BadInput: the file is damaged or belongs to another model.
    """
    tensors, header = read_tensors(path)
    try:
        state = RunState(**json.loads(header["state"]))
        load_weights(module, {k[8:]: v for k, v in tensors.items() if k.startswith("weights/")})
        for name, parameter in module.named_parameters():
            if f"step/{name}" in tensors:
                for moment in MOMENTS:
                    saved = tensors[f"{moment}/{name}"]
                    like = parameter if saved.shape == parameter.shape else saved.to(parameter.device)
                    optimiser.state[parameter][moment] = torch.empty_like(like).copy_(saved).detach()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"{path} does not fit this run ({error}); remove its folder to begin anew.") from error
    return state


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a module's weights alone, whole or not at all."""
    with replacing(path) as temporary:
        save_file(plain(module.state_dict()), temporary)


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
