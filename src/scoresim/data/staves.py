"""Finding the staves on a picture, from its ink alone, and laying them out as strips of one height.

A staff is five long lines at a known distance. Cut out around its middle line, every staff stands at the same
height in its strip, so that the height of a note head there *is* its place on the staff; a model need not
learn to read each pitch anew at every offset. The staves of a system are joined by a vertical line; systems
follow each other in time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REACH = 8  # staff spaces kept above and below the middle line: six ledger lines
INKED = 24  # of 255: a thin line between two rows of pixels is faint
SHORTEST_LINE = 0.25  # of the longest: a last system may be short
GAP, CLEF = 1.1, 2.2  # staff spaces: narrowest gap before the first note; where the clef surely has begun
LAST_BEGIN, USUAL_BEGIN, LINE_HALF = 14.0, 8.0, 0.22  # staff spaces
JOINED = 0.95  # share of inked rows in a column that joins two staves
APART = 6.0  # staff spaces between the middle lines of two staves, at least: beams over a staff are nearer

Ink = NDArray[np.uint8]


class Staff(NamedTuple):
    """One staff on a picture.

    Attributes:
        middle: row of its middle line.
        system: index of its system, from the top.
        number: index in its system, from the top.
    """

    middle: int
    system: int
    number: int


def find_staves(ink: Ink, space: float) -> list[Staff]:
    """The staves of a level picture, from top to bottom; empty when there are none.

    Args:
        ink: [h, w], 255 is black.
        space: distance between staff lines in pixels.
    """
    middles = middle_lines((ink >= INKED).mean(axis=1), space)
    staves: list[Staff] = []
    for middle in middles:
        above = staves[-1] if staves else None
        if above is None:
            staves.append(Staff(middle, 0, 0))
        elif joined(ink[above.middle : middle + 1]):
            staves.append(Staff(middle, above.system, above.number + 1))
        else:
            staves.append(Staff(middle, above.system + 1, 0))
    return staves


def middle_lines(inked: NDArray[np.float64], space: float) -> list[int]:
    """Rows that have a long line at -2, -1, 0, 1 and 2 spaces; of rows within `APART` spaces, the best.

    Args:
        inked: [h] share of each row that has ink.
        space: in pixels.
    """
    reach = int(np.ceil(2 * space)) + 1
    padded = np.pad(inked, reach)
    near = np.maximum(padded, np.maximum(np.roll(padded, 1), np.roll(padded, -1)))
    offsets = [round(k * space) for k in (-2, -1, 1, 2)]
    lines = np.stack([padded, *(np.roll(near, -offset) for offset in offsets)])[:, reach:-reach]
    score = np.where(lines.min(axis=0) >= SHORTEST_LINE * inked.max(initial=0), lines.mean(axis=0), 0.0)
    found: list[int] = []
    for row in np.argsort(-score, kind="stable"):
        if score[row] <= 0:
            break
        if all(abs(int(row) - other) >= APART * space for other in found):
            found.append(int(row))
    return sorted(found)


def joined(between: Ink) -> bool:
    """Does a vertical line run through these rows (from one middle line to the next)?"""
    return bool(((between >= INKED).mean(axis=0) >= JOINED).any())


def strips(ink: Ink, staves: list[Staff], height: int) -> Ink:
    """The staves, each in the middle of a strip of its own, under each other: [len(staves) * height, w].

    What stands between two staves is in both strips; what is farther from any staff than half a strip is
    lost.
    """
    padded = np.pad(ink, ((height, height), (0, 0)))
    tops = [staff.middle + height - height // 2 for staff in staves]
    return np.concatenate([padded[top : top + height] for top in tops])


def bars_of_cells(
    cells: NDArray[np.int16], staves: list[Staff], size: tuple[float, float], boxes: NDArray[np.float32]
) -> NDArray[np.int16]:
    """In which bar each cell of the strips stands: [m], -1 outside of all bars.

    Args:
        cells: [m, 2] row and column.
        staves: of each row of cells; empty when none were found (then rows are places on the picture).
        size: height and width of a cell in pixels of the picture.
        boxes: [bars, 4] x0, y0, x1, y1 of every bar over all staves of its system, in pixels of the picture.
    """
    row, column = cells.T.astype(np.int64)
    middles = np.array([staff.middle for staff in staves], dtype=np.float64)
    y = middles[row] if staves else (row + 0.5) * size[0]
    x = (column + 0.5) * size[1]
    x0, y0, x1, y1 = boxes.T[..., None]
    inside = (x0 <= x) & (x < x1) & (y0 <= y) & (y <= y1)
    if not len(inside):
        return np.full(len(cells), -1, dtype=np.int16)
    return np.where(inside.any(axis=0), inside.argmax(axis=0), -1).astype(np.int16)


def music_begins(ink: Ink, staves: list[Staff], space: float) -> float:
    """The column at which the notes begin: after the first white gap that follows clef, key and meter.

    Within the signatures gaps are narrower than `GAP` spaces; the gap before the first note is wider. Where none is
    found within `LAST_BEGIN` spaces, a usual place is taken. On 796 passages of the demo's training part the first note
    head was met to within a staff space in 92 %; a fixed place, 8 spaces, met 39 %.

    Args:
        ink: [h, w], 255 is black.
        staves: found on it; must not be empty.
        space: distance between staff lines in pixels.
    """
    used = np.zeros(ink.shape[1], dtype=bool)
    for staff in (staff for staff in staves if staff.system == 0):
        rows = np.arange(max(int(staff.middle - 3 * space), 0), min(int(staff.middle + 3 * space), len(ink)))
        height = (rows - staff.middle) / space
        lines = np.abs(height[:, None] - np.arange(-2, 3)).min(axis=1) <= LINE_HALF
        used |= (ink[rows[~lines]] > 100).any(axis=0)
    inked = np.flatnonzero(used[int(CLEF * space) :]) + int(CLEF * space)
    wide = np.flatnonzero(np.diff(inked, prepend=int(CLEF * space)) - 1 >= GAP * space)
    begin = float(inked[wide[0]]) if len(wide) else np.inf
    return begin if begin < LAST_BEGIN * space else USUAL_BEGIN * space
