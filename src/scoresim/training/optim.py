"""The optimiser and its schedule: AdamW, linear warm-up, cosine to (nearly) zero."""

import math
import re

import torch
from torch import nn
from torch.optim import AdamW

BETAS = (0.9, 0.98)
_IN_SIM = re.compile(r"(?:^|\.)sim\.(?:blocks\.(?P<block>\d+)\.)?")
LAST = 0.01  # share of the highest learning rate at the end


def adamw(module: nn.Module, lr: float, weight_decay: float, layer_decay: float = 1.0) -> AdamW:
    """AdamW over the trainable parameters; only matrices and convolutions decay, not vectors and scalars.

    The fused step cannot mix scalars, which are never sharded, with what may be: they are a group of their own.

    Args:
        module: what is trained.
        lr: learning rate.
        weight_decay: of matrices.
        layer_decay: for every layer further below, the learning rate is multiplied by this (a group's "scale").
    """
    parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    depths = {name: depth(name) if layer_decay != 1 else None for name, _ in parameters}
    top = max((d for d in depths.values() if d is not None), default=-1) + 1
    groups = []
    for layer in dict.fromkeys(depths.values()):
        for dimensions, decay in ((2, weight_decay), (1, 0.0), (0, 0.0)):
            some = [p for name, p in parameters if depths[name] == layer and min(p.ndim, 2) == dimensions]
            scale = 1.0 if layer is None else layer_decay ** (top - layer)
            groups.append({"params": some, "weight_decay": decay, "scale": scale})
    return AdamW(groups, lr=lr, betas=BETAS, fused=True)


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


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16; "auto" does on CUDA and on CPUs with bf16 instructions.

    Raises:
        ValueError: the precision is none of auto, fp32, bf16.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision is {precision!r}; choose auto, fp32 or bf16")
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    tests = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
    return device.type == "cpu" and any(test() for test in tests if test is not None)
