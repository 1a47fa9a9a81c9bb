"""In which precision to compute: bfloat16 where the hardware has it (docs/decisions/0005)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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


@contextmanager
def reading(device: torch.device) -> Iterator[None]:
    """No gradients, and bfloat16 where that is faster."""
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=use_bf16("auto", device)):
        yield


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """No gradients, and 32 bits, also where what is around is read in bfloat16."""
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield
