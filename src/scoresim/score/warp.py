"""Moving a picture and the boxes on it together: skew, perspective, curved paper.

One object knows the way there (for boxes) and the way back (for pixels), each in closed form and each the inverse of
the other, so boxes follow the pixels through curves too. General libraries move the corners of a box only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput

Boxes = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
PER_EDGE = 9  # points of a box's edge that are moved: a bow over a box is followed between its corners
STEP = 8  # pixels between the places where the way back is computed; in between it is interpolated


@dataclass(frozen=True, eq=False)
class Warp:
    """A movement of a picture: first bent, then seen from the side, then put on its canvas.

    Attributes:
        source: height and width of the picture before.
        size: height and width after.
        matrix: [3, 3], homogeneous, from bent to canvas.
        bow: height of the bow of a horizontal line, in pixels.
        squeeze: change of scale from left to right, -1 to 1.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    matrix: Floats
    bow: float = 0.0
    squeeze: float = 0.0

    @staticmethod
    def turned(height: int, width: int, margin: int, degrees: float) -> Warp:
        """Turned clockwise around its middle, on a canvas with a margin that holds all of it."""
        a = np.radians(degrees)
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        return _on_canvas(Warp((height, width), (height, width), turn), margin)

    @staticmethod
    def curved(height: int, width: int, margin: int, shift: Floats, bow: float, squeeze: float) -> Warp:
        """Bent like the page of an open book, its corners then moved by `shift` ([4, 2] x and y, clockwise)."""
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
        matrix = _homography(corners, corners + shift)
        return _on_canvas(Warp((height, width), (height, width), matrix, bow, squeeze), margin)

    def forward(self, points: Floats) -> Floats:
        """[K, 2] places (x, y) on the picture before -> after."""
        width = self.source[1]
        u = points[:, 0] / width
        x = width * (u + self.squeeze * u * (1 - u))
        y = points[:, 1] + self.bow * 4 * u * (1 - u)
        return _project(self.matrix, np.stack([x, y], axis=1))

    def back(self, points: Floats) -> Floats:
        """[K, 2] places after -> before: the inverse of `forward`."""
        width, s = self.source[1], self.squeeze
        bent = _project(np.asarray(np.linalg.inv(self.matrix), dtype=np.float64), points)
        v = bent[:, 0] / width
        # v = u + s u (1 - u); outside the picture the parabola may have no root, and what is there is paper anyway
        u = 2 * v / ((1 + s) + np.sqrt(np.maximum((1 + s) ** 2 - 4 * s * v, 1e-9)))
        return np.stack([width * u, bent[:, 1] - self.bow * 4 * u * (1 - u)], axis=1)

    def scale(self) -> float:
        """By how much lengths across the staff grow, the median over the picture."""
        height, width = self.source
        x, y = (g.ravel() for g in np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height - 1, 5)))
        low = self.forward(np.stack([x, y], axis=1))
        high = self.forward(np.stack([x, y + 1], axis=1))
        return float(np.median(np.hypot(*(high - low).T)))

    def move(self, boxes: Boxes) -> Boxes:
        """[K, 4] boxes (x0, y0, x1, y1) -> the upright boxes around them after the movement, inside the canvas."""
        given = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        t = np.linspace(0, 1, PER_EDGE)
        zero, one = np.zeros(PER_EDGE), np.ones(PER_EDGE)
        right, down = np.concatenate([t, t, zero, one]), np.concatenate([zero, one, t, t])
        x = given[:, :1] + (given[:, 2:3] - given[:, :1]) * right
        y = given[:, 1:2] + (given[:, 3:] - given[:, 1:2]) * down
        moved = self.forward(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(len(given), 4 * PER_EDGE, 2)
        height, width = self.size
        around = np.concatenate([moved.min(1), moved.max(1)], axis=1)
        return np.asarray(np.clip(around, 0.0, np.array([width, height, width, height], dtype=np.float64)))

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Move a grey picture; what comes from outside of it is paper (255)."""
        cv2 = opencv()
        height, width = self.size
        if self.size == self.source and self.bow == self.squeeze == 0 and np.allclose(self.matrix, np.eye(3)):
            return image.copy()
        if self.bow == self.squeeze == 0:
            # OpenCV counts from the middle of a pixel, boxes from its corner
            half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
            matrix = np.linalg.inv(half) @ self.matrix @ half
            moved = cv2.warpPerspective(image, matrix, (width, height), borderValue=255, flags=cv2.INTER_LINEAR)
            return np.asarray(moved, dtype=np.uint8)
        columns, rows = int(np.ceil(width / STEP)) + 1, int(np.ceil(height / STEP)) + 1
        x, y = np.meshgrid(np.arange(columns) * STEP, np.arange(rows) * STEP)
        origin = self.back(np.stack([x.ravel(), y.ravel()], axis=1).astype(float)).astype(np.float32)
        # the middle of pixel i lies at (i + 0.5) / STEP between the places computed
        spread = np.array([[STEP, 0, -0.5], [0, STEP, -0.5]])
        maps = [
            cv2.warpAffine(np.ascontiguousarray(origin[:, i].reshape(rows, columns)), spread, (width, height),
                           flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - np.float32(0.5)
            for i in (0, 1)
        ]  # fmt: skip
        return np.asarray(cv2.remap(image, *maps, cv2.INTER_LINEAR, borderValue=255), dtype=np.uint8)


def _project(matrix: Floats, points: Boxes) -> Floats:
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[:, :2] / moved[:, 2:])


def _homography(before: Floats, after: Floats) -> Floats:
    """The [3, 3] matrix that takes four points to four points."""
    rows, values = [], []
    for (x, y), (u, v) in zip(before, after, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved = np.linalg.solve(np.array(rows), np.array(values))
    return np.append(solved, 1.0).reshape(3, 3)


def _on_canvas(warp: Warp, margin: int) -> Warp:
    """The same movement, shifted and on a canvas that holds the whole picture with a margin around it."""
    height, width = warp.source
    x, y = np.linspace(0, width, 33), np.linspace(0, height, 33)
    edges = [np.stack([x, np.full(33, v)], axis=1) for v in (0.0, height)]
    edges += [np.stack([np.full(33, v), y], axis=1) for v in (0.0, width)]
    moved = warp.forward(np.concatenate(edges))
    low, high = np.floor(moved.min(0) + 1e-6) - margin, np.ceil(moved.max(0) - 1e-6) + margin
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    size = (int(high[1] - low[1]), int(high[0] - low[0]))
    return Warp(warp.source, size, shift @ warp.matrix, warp.bow, warp.squeeze)


def opencv() -> Any:
    """OpenCV on one core: a build runs as many workers as there are cores.

    Raises:
        BadInput: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise BadInput(
            'Degrading or splitting pictures needs OpenCV; install it with: pip install "scoresim[degrade]".'
        ) from error
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)
    return cv2
