"""In which order the rows of a source are seen, and which make a batch: arithmetic on sizes, without reading a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput

WINDOW = 64  # batches whose rows are sorted by size among each other
WINDOW_ROWS = 8192  # and at least so many rows
ALIKE = 8  # rows of a piece, drawn at random, of which those of like size become couples
MIXED = 24  # groups of rows that a window is made of, at least
WINDOWS = 4  # at least so many: else a small set would have the same batches in every epoch
ONCE = 4  # times as many passages are read in a step that reads notes alone, and once

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Order:
    """The rows of every training step: a pure function of source, batch size, seed and step.

    Rows that are read with those that follow them, as one, have an order of their own, by what they are together.

    Attributes:
        count: number of rows R.
        piece: [R] piece of each row, couples of which are near each other; None where nothing is matched.
        size: [R] tokens of each row together with those that are read with it, of the lines that a row has and whether
            it is read without images.
        batch_size: passages of a step.
        weight: [R] how often a row is drawn, with mean 1; None is once each.
        group: [R] rows of one number are read together; None where every row is read alone.
    """

    count: int
    piece: Ints | None
    size: Callable[[int, bool], Ints]
    batch_size: int
    weight: NDArray[np.float64] | None = None
    group: Ints | None = None
    _known: dict[tuple[int, bool], tuple[tuple[int, int], Ints]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Whole batches in one pass; a source smaller than a batch is one batch."""
        return max(self.count // self.batch_size, 1)

    def rows_of(self, lines: int, alone: bool) -> int:
        """How many rows a step has, of passages that are read as one: about as much to read whatever they are."""
        most = min(self.batch_size, self.count)
        return most if lines == 1 else max(min(most * (ONCE if alone else 1) // lines, most), 1)

    def share(self, kinds: Sequence[tuple[int, bool]], processes: int) -> None:
        """See that some processes can share the steps of all kinds, (lines, alone), evenly.

        Raises:
            BadInput: they cannot.
        """
        for rows in (self.rows_of(*kind) for kind in kinds):
            if rows % processes:
                raise BadInput(
                    f"{processes} processes cannot share a batch of {rows} rows evenly; choose another number."
                )

    def rows(self, seed: int, step: int, lines: int = 1, alone: bool = False) -> Ints:
        """The rows of a step, the first of those that are read as one.

        Args:
            seed, step: of the run; steps count from 0.
            lines: passages that are read as one; then there are fewer rows, about as much to read.
            alone: whether without images, and so more of them.
        """
        (epoch, at), count = divmod(step, self.steps), self.rows_of(lines, alone)
        known = self._known.get((lines, alone))
        if known is None or known[0] != (seed, epoch):
            known = (seed, epoch), self._drawn(seed, epoch, count, self.size(lines, alone), alone)
            self._known[lines, alone] = known
        at = at * (self.count // count) // self.steps  # as far in the pass, whatever is read as one
        return known[1][at * count : (at + 1) * count]

    def _drawn(self, seed: int, epoch: int, count: int, size: Ints, alone: bool) -> Ints:
        """One pass over the rows, for batches of so many rows of these sizes."""
        drawn = drawn_rows(self.weight, self.count, seed, epoch)
        piece = np.arange(len(drawn)) if self.piece is None or alone else self.piece[drawn]
        group = None if self.group is None else self.group[drawn]
        again = np.arange(len(drawn)) - np.searchsorted(drawn, drawn)  # they are sorted
        out: Ints = drawn[epoch_order(piece, size[drawn], count, seed, epoch, group, again)]
        return out


def drawn_rows(weight: NDArray[np.float64] | None, n: int, seed: int, epoch: int) -> Ints:
    """The rows of one epoch, as many as there are, sorted: each as often as its weight says, rounded at random.

    Systematic resampling: a row of weight w is drawn floor(w) or ceil(w) times, w times on average.

    Args:
        weight: [R] with mean 1, or None for every row once.
        n: number of rows R.
        seed, epoch: say which of the random draws.
    """
    if weight is None:
        return np.arange(n)
    rng = np.random.default_rng([seed, epoch, 1])
    shuffled = rng.permutation(n)
    edges = np.cumsum(weight[shuffled]) * (n / weight.sum())
    out: Ints = np.sort(shuffled[np.searchsorted(edges, np.arange(n) + rng.random()).clip(0, n - 1)])
    return out


def epoch_order(
    piece: Ints,
    size: Ints,
    batch_size: int,
    seed: int,
    epoch: int,
    group: Ints | None = None,
    again: Ints | None = None,
) -> Ints:
    """One pass over all rows: random, in couples of one piece (for matching), rows of like size together.

    A couple is made of two of `ALIKE` rows of the piece, drawn at random, that are of like size. Couples are drawn into
    windows, sorted by size there, cut into batches, and the batches are shuffled. Where the rows of a window can come
    from enough groups, all rows of a group are in one window, so that it is read once.

    Args:
        piece: [R] piece of each row.
        size: [R] tokens of each row.
        batch_size: rows per batch.
        seed, epoch: say which of the random orders.
        group: [R] rows of one number are read together; None where every row is read alone.
        again: [R] how often the same row was named before, so that it is no couple with itself; None is never.

    Returns:
        [R] rows; the batches are consecutive stretches of it. What is left after whole batches changes by
        epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(piece))
    turn = np.zeros(len(piece), dtype=np.int64) if again is None else again
    by_piece = shuffled[np.lexsort((turn[shuffled], piece[shuffled]))]
    starts = np.r_[True, np.diff(piece[by_piece]) != 0]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(piece)), 0))
    some = (np.arange(len(piece)) - first) // ALIKE
    by_piece = by_piece[np.lexsort((size[by_piece], some, piece[by_piece]))]
    # Rows 0 and 1, 2 and 3, ... of a piece stay together.
    couple = np.cumsum((np.arange(len(piece)) - first) % 2 == 0) - 1
    couples = couple[-1] + 1 if len(couple) else 0
    weight = np.zeros(couples)
    np.maximum.at(weight, couple, size[by_piece])
    together = max(min(max(batch_size * WINDOW, WINDOW_ROWS), len(piece) // WINDOWS), 1)
    place = rng.permutation(couples)
    near = group is not None and together * len(np.unique(group)) >= MIXED * len(group)
    if near and group is not None:
        of_couple = np.zeros(couples, dtype=np.int64)
        of_couple[couple] = group[by_piece]
        place = np.argsort(np.lexsort((place, rng.permutation(group.max() + 1)[of_couple])))
    window = place * 2 // together
    rank = np.empty(couples, dtype=np.int64)
    # Up in one window and down in the next: a batch that reaches over the border has rows of like size too.
    rank[np.lexsort((rng.random(couples), np.where(window % 2, -weight, weight), window))] = np.arange(couples)
    order = by_piece[np.argsort(rank[couple], kind="stable")]
    whole = len(order) // batch_size
    mixed = rng.permutation(whole)
    if near:  # batches of one window stay near each other
        mixed = mixed[np.argsort(mixed * batch_size // together, kind="stable")]
    stretches = [order[i * batch_size : (i + 1) * batch_size] for i in mixed]
    return np.concatenate([*stretches, order[whole * batch_size :]])


def stretched_sizes(size: Ints, next_row: Ints, lines: int, most: int | None = None) -> Ints:
    """[R] sizes of rows together with those that follow them, as in `rows.stretched`, about: rows may lose notes.

    Args:
        size: [R] of each row alone.
        next_row: see `following`.
        lines: rows together, at most.
        most: no more are added to a row above this size; None is no limit.
    """
    total, at = size.copy(), next_row
    for _ in range(lines - 1):
        on = (at >= 0) if most is None else (at >= 0) & (total <= most)
        total = total + np.where(on, size[at], 0)
        at = np.where(on, next_row[at], -1)
    return total
