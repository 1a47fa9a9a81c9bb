"""Following the five lines of every staff across a page that is skewed, bent or seen from the side.

A staff is looked for in narrow strips of the page, where its lines are level whatever the page does, and followed from
strip to strip. Most work is done by OpenCV on a picture whose staff space is `SPACE` pixels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.data.staves import APART
from scoresim.score.warp import opencv

SPACE = 8.0  # pixels between two staff lines of the picture on which staves are followed
SPACES = (4.0, 80.0)  # pixels: staff spaces that are looked for
STRIP = 3.0  # staff spaces: width of a strip
ZOOMS = (
    0.7,
    0.76,
    0.82,
    0.88,
    0.94,
    1.0,
    1.06,
    1.12,
)  # of the usual staff space: small staves, a page seen from the side
STEEPEST = 7.0  # degrees of skew
LINED, SEED = 0.3, 0.5  # how much of a strip is filled by four of five lines: of a staff that goes on, that begins
DRIFT = 0.35  # staff spaces by which a staff leaves its slope at most, per strip
LOST = 5  # strips without lines that a staff survives
SHORTEST = 10.0, 0.2  # staff spaces; share of the longest staff
BARE, BARER = 1.5, 2.5  # staff spaces for which a staff shows somewhere so many times more ink on lines than between
EDGE = 1.5  # staff spaces without lines: a staff has ended
REACH = round(4 * SPACE)  # pixels around the middle of a staff in which no other is begun

INKED = 96  # of 255: surely ink
BLACK = 0.35  # of the light of bright paper: what is darker over a wide space is no paper
INK, FAINT, NOISE = (
    140.0,
    28.0,
    1.7,
)  # darkness of faded ink, most of noise, of 255; of noise, in distances of quartiles

Ink = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trace:
    """One staff on a level page.

    Attributes:
        left, right: columns in which it begins and ends.
        middle, space: row of its middle line and its staff space, as polynomials of the column.
    """

    left: float
    right: float
    middle: np.polynomial.Polynomial
    space: np.polynomial.Polynomial

    def line(self, number: float, x: Any) -> Any:
        """Row of line -2 (top) to 2 (bottom) at columns x; beyond the places where it was followed, straight on."""
        first, last = self.middle.domain
        inside = np.clip(x, first, last)
        slope = self.middle.deriv()
        beyond = np.where(x < first, slope(first), slope(last)) * (x - inside)
        return self.middle(inside) + beyond + number * self.space(inside)


def darkness(grey: Ink) -> Ink:
    """How much of its paper's light a picture swallows: [h, w] uint8, 255 is all, however the paper was lit.

    Args:
        grey: [h, w], 255 is white.
    """
    cv2 = opencv()
    height, width = grey.shape
    small = cv2.resize(grey, (-(-width // 4), -(-height // 4)), interpolation=cv2.INTER_AREA)
    reach = max(width // 160, 5) | 1
    paper = cv2.dilate(small, np.ones((reach, reach), np.uint8))
    paper = cv2.blur(cv2.erode(paper, np.ones((reach, reach), np.uint8)), (reach, reach))
    paper = np.maximum(paper, max(int(BLACK * np.percentile(paper, 95)), 1)).astype(np.uint8)
    light = cv2.divide(grey, cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR), scale=255)
    return np.asarray(cv2.bitwise_not(light), dtype=np.uint8)


def inked(dark: Ink) -> Ink:
    """Darkness as ink: what is no darker than the noise of the paper is 0, what is surely ink 255; clean, it stays."""
    cv2 = opencv()
    counts = np.bincount(dark[::3, ::3].ravel(), minlength=256)
    middle, upper = np.searchsorted(np.cumsum(counts), np.array([0.5, 0.75]) * counts.sum())
    if upper <= 2:
        return dark
    faint = min(middle + NOISE * (upper - middle), FAINT)
    level = 255 * (np.arange(256) - faint) / (INK - faint)
    return np.asarray(cv2.LUT(dark, level.clip(0, 255).astype(np.uint8)), dtype=np.uint8)


def spaces_of(ink: Ink) -> list[float]:
    """Pixels between two staff lines, the widest first: usual lengths of a vertical run of ink and the paper after it.

    Cardoso and Rebelo, Robust staffline thickness and distance estimation in binary and gray-level music scores
    (ICPR 2010): the sum of both is steadier than either. A page with small staves has several; a page without, none.
    """
    dark = np.pad(ink[:, :: max(ink.shape[1] // 800, 1)] >= 96, ((1, 1), (0, 0))).T.ravel()
    ends = np.flatnonzero(dark[1:] != dark[:-1])
    black, white = ends[1:-1:2] - ends[:-2:2], ends[2::2] - ends[1:-1:2]
    length = (black + white)[(black <= white) & (white < SPACES[1])]
    counts = np.bincount(length, minlength=int(SPACES[0]) + 2).astype(float)
    counts[: int(SPACES[0])] = 0
    near = np.convolve(counts, (0.5, 1.0, 0.5), "same")
    if len(length) < 200 or near.max() < 0.05 * len(length):
        return []
    peaks = [i for i in range(1, len(near) - 1) if near[i - 1] < near[i] >= near[i + 1] and near[i] >= 0.5 * near.max()]
    around = [np.arange(i - 1, i + 2) for i in reversed(peaks)]
    means = [float((i * counts[i]).sum() / counts[i].sum()) for i in around]
    return [mean for mean in means if mean > means[0] / 2]


def thin_lines(ink: Ink) -> NDArray[np.float32]:
    """[h, w] 0 to 1: what is thinner, from top to bottom, than half a staff space."""
    cv2 = opencv()
    thick = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((round(0.6 * SPACE), 1), np.uint8))
    thin = np.asarray(cv2.subtract(ink, thick), dtype=np.float32)
    drawn = thin[::3][thin[::3] > 40]
    usual = float(np.percentile(drawn, 60)) if len(drawn) else 255.0
    return np.asarray(np.minimum(thin / np.float32(usual), 1.0), dtype=np.float32)


def strips_of(thin: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, h] how much of each row of each strip is line."""
    width = round(STRIP * SPACE)
    count = thin.shape[1] // width
    return np.ascontiguousarray(thin[:, : count * width].reshape(len(thin), count, width).mean(axis=2).T)


def tilt_of(strips: NDArray[np.float32]) -> float:
    """Degrees by which the lines of a page fall to the right: where its rows, shifted strip by strip, differ most."""
    count, height = strips.shape
    x = (np.arange(count) - (count - 1) / 2) * round(STRIP * SPACE)
    reach = int(np.tan(np.radians(STEEPEST)) * abs(x).max(initial=0)) + 2
    padded = np.pad(strips, ((0, 0), (reach, reach)))

    def sharpness(degrees: float) -> float:
        shifts = np.rint(np.tan(np.radians(degrees)) * x).astype(int) + reach
        return float(np.square(sum(padded[i, s : s + height] for i, s in enumerate(shifts))).sum())

    best, step = 0.0, 1.0
    angles = np.arange(-STEEPEST + 1, STEEPEST - 0.9, 0.4)
    for step in (0.4, 0.1, 0.03):
        best = max((float(a) for a in angles), key=sharpness)
        angles = best + np.arange(-3, 4) * step / 4
    return best


def combs(strips: NDArray[np.float32], zooms: tuple[float, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """How much each place of each strip looks like the middle of a staff: [n, h], and which of `zooms` fits: [n, h]."""
    cv2 = opencv()
    pad = int(3 * SPACE * max(zooms))
    padded = np.pad(strips, ((0, 0), (pad, pad)))
    near = cv2.dilate(padded, np.ones((1, 3), np.uint8))
    height = strips.shape[1]

    def at(picture: NDArray[np.float32], offset: float) -> NDArray[np.float32]:
        start = pad + round(offset)
        return picture[:, start : start + height]

    fits = []
    for zoom in zooms:
        lines = np.sort(np.stack([at(near, k * SPACE * zoom) for k in range(-2, 3)]), axis=0)
        sharp = np.mean([at(padded, k * SPACE * zoom) for k in range(-2, 3)], axis=0)
        between = np.mean([at(padded, (k + 0.5) * SPACE * zoom) for k in range(-2, 2)], axis=0)
        fits.append(0.7 * lines[1:].mean(axis=0) * (lines[1] > 0.15) + 0.3 * sharp - 0.7 * between)
    fit = np.stack(fits)
    return fit.max(axis=0), fit.argmax(axis=0)


def follow(fit: NDArray[np.float32], strip: int, row: int) -> list[tuple[int, int]]:
    """The places of one staff, (strip, row) from left to right, from one of them on."""
    found = [(strip, row)]
    for way in (1, -1):
        at, slope, lost, k = float(row), 0.0, 0, strip + way
        while 0 <= k < len(fit) and lost <= LOST:
            reach = DRIFT * SPACE * (1 + 0.5 * lost)
            first = max(round(at + slope - reach), 0)
            window = fit[k, first : max(round(at + slope + reach) + 1, 0)]
            if len(window) and window.max() >= LINED:
                here = first + int(window.argmax())
                slope += 0.3 * (float(np.clip((here - at) - slope, -1.5, 1.5)))
                at, lost = float(here), 0
                found.append((k, here))
            else:
                at, lost = at + slope, lost + 1
            k += way
    return sorted(found)


def traces_of(ink: Ink, zooms: tuple[float, ...] = ZOOMS) -> list[Trace]:
    """The staves of a level page, from top to bottom.

    Args:
        ink: [h, w], 255 is black.
        zooms: staff spaces that are looked for, as multiples of `SPACE`.
    """
    thin = thin_lines(ink)
    fit, zoom = combs(strips_of(thin), zooms)
    left = fit.copy()
    found: list[tuple[float, Trace]] = []
    while left.size and left.max() >= SEED:
        strip, row = np.unravel_index(int(left.argmax()), left.shape)
        strips, rows = np.array(follow(left, int(strip), int(row))).T
        for k, y in zip(strips, rows, strict=True):
            left[k, max(y - REACH, 0) : y + REACH + 1] = 0
        if len(strips) * STRIP >= SHORTEST[0]:
            trace = _trace(ink, strips, rows, np.array(zooms)[zoom[strips, rows]])
            if trace is not None:
                found.append((float(fit[strips, rows].sum()), trace))
    kept: list[Trace] = []
    for _, trace in sorted(found, key=lambda pair: -pair[0]):
        least = SHORTEST[1] * max((t.right - t.left for t in kept), default=0.0)
        if trace.right - trace.left >= least and not any(_overlap(trace, other) for other in kept):
            kept.append(trace)
    return sorted(kept, key=lambda t: float(t.middle((t.left + t.right) / 2)))


def _overlap(one: Trace, other: Trace) -> bool:
    """Do two staves stand on each other?"""
    left, right = max(one.left, other.left), min(one.right, other.right)
    x = np.linspace(left, right, 5)
    space = np.maximum(one.space(x), other.space(x))
    return left < right and bool((np.abs(one.line(0, x) - other.line(0, x)) < APART * space).any())


def _trace(ink: Ink, strips: NDArray[Any], rows: NDArray[Any], zooms: Floats) -> Trace | None:
    """Smooth curves through the places of one staff, and its ends; None where it shows its lines bare nowhere."""
    width = round(STRIP * SPACE)
    x, y = (strips + 0.5) * width, rows.astype(float)
    domain = (float(x[0] - width / 2), float(x[-1] + width / 2))
    degree = int(np.clip(len(x) // 4, 1, 5))
    weight = np.ones(len(x))
    for _ in range(3):
        middle = np.polynomial.Polynomial.fit(x, y, degree, w=weight, domain=domain)
        weight = 1 / (1 + (np.abs(y - middle(x)) / 1.0) ** 2)
    space = np.polynomial.Polynomial.fit(x, zooms * SPACE, 1 if len(x) > 6 else 0, domain=domain)
    rough = Trace(*domain, middle, space)
    columns = np.arange(ink.shape[1])

    def around(number: float) -> NDArray[np.int64]:
        """The ink of three rows around a line, or between lines: [w]."""
        row = np.rint(rough.line(number, columns)).astype(int)
        return np.asarray(
            np.sum([ink[(row + d).clip(0, len(ink) - 1), columns].astype(int) for d in (-1, 0, 1)], axis=0),
            dtype=np.int64,
        )

    lines = np.stack([around(number) for number in range(-2, 3)])
    between = np.stack([around(number + 0.5) for number in range(-2, 2)])
    near = np.ones(round(BARE * SPACE))
    drawn, empty = (np.convolve(part.mean(axis=0), near, "same") for part in (lines, between))
    if not (drawn > BARER * empty + INKED * len(near) / 2)[round(domain[0]) : round(domain[1])].any():
        return None
    solid = (between >= 3 * INKED).all(axis=0)  # as the dark edge of a page is
    staff = ((lines >= INKED).sum(axis=0) >= 4) & ~solid
    full = np.flatnonzero(np.convolve(staff, np.ones(round(SPACE)), "same") >= SPACE / 2)
    return Trace(_end(full, x[0], domain[0]), -_end(-full[::-1], -x[-1], -domain[1]), middle, space)


def _end(full: NDArray[np.int64], start: float, otherwise: float) -> float:
    """How far down columns that hold a staff reach from `start` on, without a gap of `EDGE`."""
    here = full[full <= start]
    if not len(here) or start - here[-1] > EDGE * SPACE:
        return float(otherwise)
    gaps = np.flatnonzero(np.diff(here) > EDGE * SPACE)
    return float(here[gaps[-1] + 1] if len(gaps) else here[0])
