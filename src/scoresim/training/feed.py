"""Training batches made by several processes, for a GPU that one thread beside the loop cannot keep busy."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from scoresim.data.batches import Batch, Passages
from scoresim.errors import ScoresimError

AHEAD = 2  # batches that every process makes in advance


class Steps(Dataset[Any]):
    """The batch of every step of a run, or the error that kept it from being made."""

    def __init__(self, passages: Passages, seed: int) -> None:
        self.passages, self.seed = passages, seed

    def __getitem__(self, step: int) -> Batch | ScoresimError:
        try:
            return self.passages.batch(self.seed, step)
        except ScoresimError as error:
            return error


class From(Sampler[int]):
    """The steps from one on, without end."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, 1 << 62))


class Fed:
    """Passages as batches that other processes make: the same batches in the same order.

    Args:
        passages: what they are made of; every process holds a copy, without what it has cached.
        workers: number of processes.
        pinned: whether they lie in page-locked memory, from where a GPU takes them without waiting.
    """

    def __init__(self, passages: Passages, workers: int, pinned: bool = False) -> None:
        self.passages, self.workers, self.pinned = passages, workers, pinned

    def stream(self, seed: int, start: int) -> Generator[Batch, None, None]:
        """Endless training batches from step `start` on.

        Raises:
            ScoresimError: a batch could not be made.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])  # torch is read once, and not by every process
        loader = DataLoader(
            Steps(self.passages, seed),
            batch_size=None,
            sampler=From(start),
            num_workers=self.workers,
            collate_fn=_as_it_is,
            pin_memory=self.pinned,
            prefetch_factor=AHEAD,
            multiprocessing_context=context,
            worker_init_fn=_quiet,
        )
        for batch in loader:
            if isinstance(batch, ScoresimError):
                raise batch
            yield batch


def _as_it_is(batch: Any) -> Any:
    return batch


def _quiet(_worker: int) -> None:
    """One thread, and Ctrl-C is the loop's to hear."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
