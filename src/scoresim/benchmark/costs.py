"""What a trained row of a table costs: parameters, time of training, and on what."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Cost:
    """What it takes to train a network for a task; None where it is not known, or nothing was trained.

    Attributes:
        parameters: of the network with its head, those of an image encoder that is not asked included.
        trained: of these, those that training may move.
        seconds: of training, mean over seeds; what weights that stay have said of the pieces had been read before. Of
            a linear model, reading included.
        device: on which that was.
    """

    parameters: int | None = None
    trained: int | None = None
    seconds: float | None = None
    device: str | None = None

    def words(self) -> tuple[str, str]:
        """Parameters and training as cells of a table, "" for what is not known."""
        size = "" if self.parameters is None else f"{self.parameters / 1e6:.1f} M"
        if self.trained not in (None, self.parameters):
            size += f", {self.trained / 1e6:.2f} M trained"
        time = "" if self.seconds is None else f"{self.seconds / 60:.1f} min"
        return size, ", ".join(part for part in (time, self.device) if part)


UNKNOWN = Cost()


def cost(module: nn.Module, seconds: float) -> dict[str, Any]:
    """What a module that was trained so long has cost, for the result of a run."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    threads = torch.get_num_threads()
    on_cpu = f"{threads} thread{'s' * (threads > 1)}"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else on_cpu
    every, moved = sum(size for size, _ in sizes), sum(size for size, moves in sizes if moves)
    return asdict(Cost(every, moved, round(seconds, 1), device))


def mean_cost(results: Sequence[Mapping[str, Any]]) -> Cost:
    """Of the runs of one system with several seeds, as far as all of them say it."""
    known = [name for name in Cost.__dataclass_fields__ if all(one.get(name) is not None for one in results)]
    found = {name: results[0][name] for name in known if results}
    if "seconds" in found:
        found["seconds"] = round(statistics.fmean(one["seconds"] for one in results), 1)
    return Cost(**found)
