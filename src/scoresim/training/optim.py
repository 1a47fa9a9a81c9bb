"""The optimiser and its schedule: Muon and AdamW, or AdamW alone; linear warm-up, cosine to (nearly) zero."""

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from scoresim.model.precision import use_bf16

BETAS = (0.9, 0.98)
MOMENTUM = 0.95  # of Muon
RMS = 0.2  # of what Muon changes a matrix by, as a share of the learning rate: about that of AdamW
ENDS = ("note_encoder.", "image_encoder.staff", "where.", "values.", "summary")  # parameters of a SIM for AdamW alone
_IN_SIM = re.compile(r"(?:^|\.)sim\.(?:blocks\.(?P<block>\d+)\.)?")
LAST = 0.01  # share of the highest learning rate at the end


class Optimiser(Protocol):
    """What the loop and the states of runs need of an optimiser."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    @property
    def state(self) -> Any:
        """By parameter: its moments by name."""

    def step(self) -> Any: ...

    def zero_grad(self) -> None: ...


class Muon(torch.optim.Muon):
    """torch's Muon, whose matrices are orthogonalised in 32 bits where the hardware does not multiply in bfloat16.

    There torch's own steps, which are always of bfloat16, take up to forty times as long (docs/log.md, "Muon without
    bfloat16"). The size of a step is that of AdamW's: "match_rms_adamw".
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; as torch's where there is bfloat16."""
        if use_bf16("auto", self.param_groups[0]["params"][0].device):
            return super().step(closure)  # type: ignore[no-untyped-call]
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p.grad)
                momentum = state["momentum_buffer"]
                momentum.lerp_(p.grad, 1 - group["momentum"])
                along = orthogonal(
                    p.grad.lerp(momentum, group["momentum"]), group["ns_coefficients"], group["ns_steps"]
                )
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(along, alpha=-group["lr"] * RMS * math.sqrt(max(p.shape)))
        return None


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float = 1e-7) -> Tensor:
    """A matrix with its singular values brought near 1 by steps of Newton and Schulz's iteration, in its own precision.

    Args:
        matrix: [A, B].
        coefficients: of x, its cube and its fifth power.
        steps: how many.
        eps: least norm that it is divided by.
    """
    a, b, c = coefficients
    tall = len(matrix) > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Both:
    """Muon for the matrices in the middle of a model, AdamW for the rest: two optimisers as one.

    Args:
        parts: no parameter is in two of them.
    """

    def __init__(self, *parts: Muon | AdamW) -> None:
        self.parts = parts
        self.state = _States(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad()


class _States:
    """The moments of each parameter, in the optimiser that trains it."""

    def __init__(self, parts: tuple[Muon | AdamW, ...]) -> None:
        self.of = {p: part.state for part in parts for group in part.param_groups for p in group["params"]}

    def get(self, parameter: Tensor, default: Any) -> Any:
        return self.of[parameter].get(parameter, default) if parameter in self.of else default

    def __getitem__(self, parameter: Tensor) -> Any:
        return self.of[parameter][parameter]

    def __setitem__(self, parameter: Tensor, value: Any) -> None:
        self.of[parameter][parameter] = value


def optimiser_of(module: nn.Module, lr: float, weight_decay: float, layer_decay: float, muon: float) -> Optimiser:
    """Muon with `muon` times the learning rate for matrices between inputs and outputs, AdamW for the rest.

    Muon (Jordan et al. 2024) steps along the orthogonalised momentum of a matrix, here scaled to the size of AdamW's
    steps. What it is worth stands in docs/log.md ("updates that count"). With 0 all is AdamW's.
    """
    tables = {part.weight for part in module.modules() if isinstance(part, nn.Embedding)}
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad and p.ndim == 2}
    middle = {name: p for name, p in trained.items() if is_middle(name, p) and p not in tables}
    rest = adamw(module, lr, weight_decay, layer_decay, frozenset(middle.values() if muon else ()))
    if not muon or not middle:
        return rest
    scales = layer_scales([name for name, _ in module.named_parameters()], layer_decay)
    groups: list[dict[str, Any]] = []
    for scale in dict.fromkeys(scales[name] for name in middle):
        some = [p for name, p in middle.items() if scales[name] == scale]
        groups.append({"params": some, "scale": muon * scale})
    return Both(Muon(groups, lr=lr, weight_decay=weight_decay, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"), rest)


def is_middle(name: str, parameter: Tensor) -> bool:
    """Whether a matrix of a SIM stands between its inputs (tables, codes of numbers) and its outputs."""
    return min(parameter.shape) > 1 and not name.removeprefix("tagger.").removeprefix("sim.").startswith(ENDS)


def adamw(
    module: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    without: frozenset[nn.Parameter] = frozenset(),
) -> AdamW:
    """AdamW over the trainable parameters; only matrices and convolutions decay, not vectors and scalars.

    The fused step cannot mix scalars, which are never sharded, with what may be: they are a group of their own.

    Args:
        module: what is trained.
        lr: learning rate.
        weight_decay: of matrices.
        layer_decay: for every layer further below, the learning rate is multiplied by this (a group's "scale").
        without: parameters that another optimiser trains.
    """
    parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad and p not in without]
    scales = layer_scales([name for name, _ in module.named_parameters()], layer_decay)
    groups = []
    for scale in dict.fromkeys(scales[name] for name, _ in parameters):
        for dimensions, decay in ((2, weight_decay), (1, 0.0), (0, 0.0)):
            some = [p for name, p in parameters if scales[name] == scale and min(p.ndim, 2) == dimensions]
            groups.append({"params": some, "weight_decay": decay, "scale": scale})
    return AdamW(groups, lr=lr, betas=BETAS, fused=True)


def layer_scales(names: Sequence[str], layer_decay: float) -> dict[str, float]:
    """What the learning rate of each parameter of a head on a SIM is multiplied by: less, the further below."""
    depths = {name: depth(name) for name in names}
    top = max((d for d in depths.values() if d is not None), default=-1) + 1
    return {name: 1.0 if d is None else layer_decay ** (top - d) for name, d in depths.items()}


def depth(name: str) -> int | None:
    """The layer of the SIM under a head that a parameter belongs to, 0 below the blocks; None outside of it."""
    inside = _IN_SIM.search(name)
    if inside is None:
        return None
    return int(inside["block"]) + 1 if inside["block"] else 0


def learning_rate(step: int, steps: int, warmup: int, highest: float) -> float:
    """The learning rate of step `step` (from 0): a pure function, so that resuming needs no state."""
    if step < warmup:
        return highest * (step + 1) / warmup
    done = min((step - warmup) / max(steps - warmup, 1), 1.0)
    return highest * (LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * done)))
