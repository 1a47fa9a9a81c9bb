"""What was right, counted for people: sums and numbers of cases that stay on the device until a step has ended."""

import torch
from torch import Tensor

from scoresim.training.world import World

Tally = dict[str, Tensor]  # by name, [2] sum and number of cases


def put(tally: Tally, name: str, right: Tensor, asked: Tensor | None = None) -> None:
    """Add the cases of [K] bool or shares under `name`, or of those that are asked ([K] bool).

    The names are the same in all processes. Nothing here waits for a GPU.
    """
    right = right.float()
    if asked is None:
        tally[name] = torch.stack([right.sum(), right.new_full((), right.numel())])
    else:
        tally[name] = torch.stack([(right * asked).sum(), asked.sum(dtype=torch.float)])


def means(tally: Tally, world: World) -> dict[str, float]:
    """The mean over all processes' cases of each name; nothing where there is no case."""
    if not tally:
        return {}
    figures = world.total(torch.stack(list(tally.values()))).tolist()
    return {name: total / count for name, (total, count) in zip(tally, figures, strict=True) if count}
