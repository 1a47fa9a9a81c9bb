"""The processes that train together: one, or as many as `torchrun` starts on one machine or on many.

Every process holds a stretch of the rows of every batch (`Batch.part`). A loss is the sum over its rows divided by
counts of the whole batch, so that the sum of the processes' losses is the loss of the whole batch, and the sum of
their gradients its gradient: the step that one process takes, up to the order in which numbers are added. With one
process nothing here does anything.

`DistributedDataParallel` has no place in this: it hooks into one `forward` per backward pass, and objectives call other
methods of a model, and several of them per step (docs/decisions/0011).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scoresim.errors import ScoresimError

T = TypeVar("T")
PARTING = 0.1  # seconds


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    All of them call the same methods in the same order, or wait for each other for ever.

    Attributes:
        rank: number of this process, from 0; the first one writes what there is to write.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' tensors, of one shape; without gradient."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def most(self, number: int) -> int:
        """The greatest of all processes' numbers."""
        return int(self._reduced(torch.tensor(number), dist.ReduceOp.MAX))

    def any(self, yes: bool) -> bool:
        """Whether any process says yes: what all of them do together, they decide together."""
        return bool(self.most(int(yes)))

    def summed(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Sums of all processes' figures, which have the same names in the same order."""
        if self.size == 1:
            return dict(figures)
        return dict(zip(figures, self.total(torch.tensor(list(figures.values()))).tolist(), strict=True))

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows of the whole batch: [B, ..] of every process to [G, ..]; their gradients find the way back."""
        if self.size == 1:
            return rows
        out: Tensor = _Gather.apply(rows, self.rank, self.size)  # type: ignore[no-untyped-call]
        return out

    def add_gradients(self, module: nn.Module) -> None:
        """Replace the gradients of a module by their sums over the processes, in one message.

        Those of sharded parameters are left alone: their sums were made in the backward pass.
        """
        if self.size == 1:
            return
        grads = [p.grad for p in module.parameters() if p.grad is not None and not isinstance(p.grad, DTensor)]
        flat = self.total(torch.cat([grad.flatten() for grad in grads]))
        for grad, summed in zip(grads, torch.split(flat, [grad.numel() for grad in grads]), strict=True):
            grad.copy_(summed.view_as(grad))

    def agreed(self, make: Callable[[], T]) -> T:
        """What the first process makes, given to all.

        Raises:
            ScoresimError: in all processes, where the first one met it.
        """
        if self.size == 1:
            return make()
        found: list[Any] = [None, None]
        if self.first:
            try:
                found[0] = make()
            except ScoresimError as error:
                found[1] = error
        dist.broadcast_object_list(found)
        if found[1] is not None:
            raise found[1]
        made: T = found[0]
        return made

    def _reduced(self, values: Tensor, how: dist.ReduceOp.RedOpType) -> Tensor:
        if self.size == 1:
            return values
        out = values.detach().clone()
        dist.all_reduce(out, how)
        return out


ALONE = World()


class _Gather(torch.autograd.Function):
    """Rows of all processes, in the order of the processes; the gradient of ours is the sum of all that used them.

    Embeddings are small: the sum is made of all rows, and every process takes its stretch of it.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank, ctx.rows = rank, len(rows)
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.rank * ctx.rows : (ctx.rank + 1) * ctx.rows], None, None


@contextmanager
def joined(cuda: bool) -> Iterator[World]:
    """Join the processes that `torchrun` started beside this one; alone where it did not start us.

    Args:
        cuda: whether models stand on GPUs; each process of a machine then takes its own.
    """
    ours = not dist.is_initialized()
    if ours and not dist.is_torchelastic_launched():
        yield ALONE
        return
    if cuda:
        torch.cuda.set_device(dist.get_node_local_rank(fallback_rank=0))
    if ours:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        if ours:
            # Threads of gloo let go of the last tensors a moment after we have them, and need the interpreter for it:
            # one that ends in that moment takes the process with it (SIGABRT, once in twenty sharded runs).
            time.sleep(PARTING)
            dist.destroy_process_group()
