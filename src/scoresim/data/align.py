"""Systems of a picture, which follow each other, laid along the stretches of bars of a piece."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoresim.data.given import Stretch
from scoresim.data.pieces import Piece

SKIP = 0.02  # of similarity: what a bar costs that stands between two systems and on neither


class Place(NamedTuple):
    """What a vector stands for: bars `first` to `end` of the notes, or system `first` of page `page` of a picture."""

    first: int
    end: int
    page: int = 0


def around(piece: Piece, stretch: Stretch) -> list[Stretch]:
    """A stretch and those that begin or end one bar earlier or later."""
    edges = np.searchsorted(piece.bar, np.arange(len(piece.bar_onset)))
    out = []
    for first, end in product(range(stretch.first_bar - 1, stretch.first_bar + 2), range(-1, 2)):
        last = stretch.end_bar + end
        if 0 <= first < last < len(edges) and edges[last] > edges[first]:
            out.append(Stretch(first, last, int(edges[first]), int(edges[last])))
    return out


def align(
    similarity: NDArray[np.floating[Any]], places: Sequence[Place], skip: float = SKIP
) -> tuple[float, list[int]]:
    """Which stretch of bars each system shows, where systems follow each other in the piece.

    Args:
        similarity: [S, P] of systems, in their order, and stretches.
        places: bars of each stretch.
        skip: what a bar costs that is left out between two systems.

    Returns:
        The mean similarity of what was chosen, less what was skipped, and the index of a stretch for each system. Where
        there are more systems than can follow each other, the best stretch of each.
    """
    first = np.array([place.first for place in places])
    end = np.array([place.end for place in places])
    bars = int(end.max()) + 1
    best, chosen = np.zeros(bars), []  # by the bar after the last system; it may begin anywhere
    for row in similarity:
        slope = skip * np.arange(bars)
        reached = np.maximum.accumulate(best + slope) - slope
        at = np.maximum.accumulate(np.where(best + slope >= reached + slope, np.arange(bars), 0))
        total = reached[first] + row
        best, taken = np.full(bars, -np.inf), np.full(bars, -1)
        order = np.argsort(total, kind="stable")
        best[end[order]], taken[end[order]] = total[order], order
        chosen.append((taken, at))
    last = int(best.argmax())
    if not np.isfinite(best[last]):
        return float(similarity.max(axis=1).mean()), similarity.argmax(axis=1).tolist()
    path, score = [], float(best[last]) / len(similarity)
    for taken, at in reversed(chosen):
        path.append(int(taken[last]))
        last = int(at[first[path[-1]]])
    return score, path[::-1]
