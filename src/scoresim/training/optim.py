"""The optimiser and its schedule: AdamW, linear warm-up, cosine to (nearly) zero."""

import math

import torch
from torch import nn
from torch.optim import AdamW

BETAS = (0.9, 0.98)
LAST = 0.01  # share of the highest learning rate at the end


def adamw(module: nn.Module, lr: float, weight_decay: float) -> AdamW:
    """AdamW over the trainable parameters; only matrices and convolutions decay, not vectors and scalars.

    The fused step cannot mix scalars, which are never sharded, with what may be: they are a group of their own.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        {"params": [p for p in parameters if p.ndim == 0], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, betas=BETAS, fused=True)


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
