"""Passages of one part of the split that stand, note by note, in another: they are left out where less is lost.

Works that hold the same music are kept together (`similar`), but two works may share a line, a tune of two bars, a
chorale's first phrase. A passage is a *twin* when all of its notes are those of a passage of another part, or when at
least half of its bars stand in one item of another part, in whatever key and order: at least two different bars,
which hold `SAID` notes or more together. Bars that say little (`NOTES`, `PITCHES`) do not count, and bars that stand
here and there in several items make no twin: dances share their figures (docs/log.md, 2026-11-25).

Of the parts that were written before, 16 bytes are kept for a passage and 12 for a bar; of training nothing is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SHORT = 8  # notes: passages with fewer may be alike by chance
NOTES, PITCHES = 4, 3  # a bar of fewer notes, or of fewer different pitches, says nothing
SAID = 16  # notes of the different bars that are shared, together
SAME_NOTES = "the same notes stand in another part of the split"
SAME_BARS = "its bars stand in a piece of another part of the split"

Ints = NDArray[np.int64]
Longs = NDArray[np.uint64]


class Twins:
    """What the parts of a split hold that were written before this one."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._prints, self._items = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
        self._new: set[bytes] = set()
        self._new_bars: list[tuple[Longs, int]] = []

    def judge(self, table: pa.Table, item: int, remember: bool) -> list[str]:
        """Why each passage of an item is left out; "" where it is not.

        Args:
            table: the passages of one item, with the columns "notes", "bar_of_note" and "n_bars".
            item: its number.
            remember: whether parts that follow are to be compared with it.
        """
        out = []
        columns = (table.column(name).to_pylist() for name in ("notes", "bar_of_note", "n_bars"))
        for notes, bar, n_bars in zip(*columns, strict=True):
            music = np.array(notes, dtype=np.int32).reshape(-1, 8)[:, :4]
            whole = hashlib.blake2b(music.tobytes(), digest_size=16).digest()
            prints, counts = bar_prints(music, np.array(bar, dtype=np.int64), n_bars)
            reason = ""
            if len(music) >= SHORT and whole in self._seen:
                reason = SAME_NOTES
            elif self._shares_bars(prints, counts):
                reason = SAME_BARS
            out.append(reason)
            if remember:
                self._new.add(whole)
                self._new_bars.append((prints[prints > 0], item))
        return out

    def next_part(self) -> None:
        """From now on passages are compared with those that were remembered, too."""
        self._seen |= self._new
        prints = [self._prints, *(bars for bars, _ in self._new_bars)]
        items = [self._items, *(np.full(len(bars), item, np.uint32) for bars, item in self._new_bars)]
        pairs = np.zeros(sum(map(len, prints)), dtype=[("print", np.uint64), ("item", np.uint32)])
        pairs["print"], pairs["item"] = np.concatenate(prints), np.concatenate(items)
        pairs = np.unique(pairs)
        self._prints, self._items = pairs["print"].copy(), pairs["item"].copy()
        self._new, self._new_bars = set(), []

    def _shares_bars(self, prints: Longs, counts: Ints) -> bool:
        """Whether one item of the parts before holds enough of the bars: [B] prints, [B] their numbers of notes."""
        different, first, times = np.unique(prints, return_index=True, return_counts=True)
        low = np.searchsorted(self._prints, different, "left")
        found = np.searchsorted(self._prints, different, "right") - low
        there = (found > 0) & (different > 0)
        if there.sum() < 2 or 2 * times[there].sum() < len(prints):
            return False
        items = np.concatenate([self._items[a : a + n] for a, n in zip(low[there], found[there], strict=True)])
        bar = np.repeat(np.flatnonzero(there), found[there])
        _, group = np.unique(items, return_inverse=True)
        kinds, bars, notes = (np.bincount(group, weight[bar]) for weight in (np.ones(len(first)), times, counts[first]))
        return bool(((kinds >= 2) & (2 * bars >= len(prints)) & (notes >= SAID)).any())


def bar_prints(music: NDArray[np.int32], bar_of_note: Ints, n_bars: int) -> tuple[Longs, Ints]:
    """What stands for every bar of a passage, in whatever key and wherever it stands.

    Args:
        music: [N, 4] ids of bar, position, pitch and duration, in the order of tokens.
        bar_of_note: [N], 0 .. n_bars - 1.
        n_bars: number of bars.

    Returns:
        [n_bars] prints of position, pitch above the lowest, and duration; 0 for a bar that says nothing. And [n_bars]
        numbers of notes.
    """
    prints, counts = np.zeros(n_bars, np.uint64), np.bincount(bar_of_note, minlength=n_bars)
    edges: Sequence[int] = np.concatenate([[0], np.cumsum(counts)]).tolist()
    for i in np.flatnonzero(counts >= NOTES).tolist():
        bar = music[edges[i] : edges[i + 1], 1:].copy()
        if len(np.unique(bar[:, 1])) >= PITCHES:
            bar[:, 1] -= bar[:, 1].min()
            prints[i] = max(int.from_bytes(hashlib.blake2b(bar.tobytes(), digest_size=8).digest(), "little"), 1)
    return prints, counts
