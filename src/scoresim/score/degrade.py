"""A clean picture of music -> one that looks scanned from an old print, or photographed; note heads are found again.

`scan`: print and scanner (ink that spread or thinned, broken lines, specks, the back page shining through, low
resolution, threshold, dark borders, skew). `photo`: a page in the hand (perspective, curved paper, uneven light,
shadow, defocus, shaking, moiré against the sensor's grid, noise, JPEG).
All is drawn from the seed: the same picture, seed and versions of numpy and OpenCV give the same bytes.
OpenCV does the work on pixels; why not another library stands in docs/decisions/0007. The ranges of `scan` were set by
comparing with real scans (docs/images-of-scores.md); for `photo` there was nothing real to compare with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoresim.score.warp import Boxes, Warp, opencv

Grey = NDArray[np.uint8]
Plane = NDArray[np.float32]
Kind = Literal["scan", "photo"]
KINDS: tuple[Kind, ...] = ("scan", "photo")

# What is drawn, each uniformly between its two ends and multiplied by the strength. Lengths in staff spaces,
# darkness from 0 (paper) to 1 (ink), unless stated. Where two ends have different signs, 0 is "nothing".
SCAN_RANGES = {
    "skew": (-0.8, 0.8),  # degrees
    "margin": (0.5, 2.0),
    "blur": (0.03, 0.07),  # sigma of print and lens together
    "spread": (-0.26, 0.0),  # how much lower than half the darkness of a staff line lies what still counts as ink
    "patches": (0.0, 0.08),  # ink is unevenly thick: amplitude as for "spread", over lengths of about six spaces
    "grain": (0.02, 0.09),  # standard deviation of noise from pixel to pixel, as for "spread"
    "specks": (3.0, 45.0),  # dark specks on 1000 square spaces
    "holes": (0.0, 6.0),  # white specks on 1000 square spaces, in ink they break lines
    "bleed": (0.0, 0.22),  # darkness of the back page
    "coarseness": (0.0, 0.2),  # share of the resolution that is lost
    "border": (-0.6, 0.9),  # width of the dark edge of the scanner's bed, as a share of the margin
}
BILEVEL = 0.7  # share of scans stored in black and white
PHOTO_RANGES = {
    "margin": (1.0, 3.0),
    "corners": (0.0, 0.035),  # how far the corners move, as a share of the picture's width
    "curl": (-1.6, 1.6),  # height of the bow of a staff line
    "squeeze": (-0.12, 0.12),  # change of scale from left to right
    "paper": (0.02, 0.22),  # darkness of the paper
    "fade": (0.0, 0.35),  # how much lighter than black the ink is
    "slope": (-0.25, 0.25),  # change of light across the picture
    "shadow": (-0.2, 0.35),  # darkness of a soft shadow over part of the page
    "blur": (0.03, 0.14),  # sigma of defocus
    "shake": (-0.15, 0.25),  # length of the path of a moving camera
    "moire": (-0.03, 0.05),  # amplitude
    "noise": (0.005, 0.04),  # standard deviation of the sensor's noise
    "jpeg": (10.0, 65.0),  # 100 less the quality that the picture is stored with
}
SIGNED = {"skew", "spread", "curl", "squeeze", "slope"}  # negative amounts of the others are nothing


@dataclass(frozen=True, eq=False)
class Degraded:
    """A degraded picture.

    Attributes:
        image: [H', W'] grey, 255 is paper; larger than the clean one by its margins.
        move: [K, 4] boxes (x0, y0, x1, y1) of the clean picture -> the upright boxes around them on this one.
        staff_space: pixels between two staff lines, the median over the picture.
        record: what was drawn, by name; can be written as JSON.
    """

    image: Grey
    move: Callable[[Boxes], Boxes]
    staff_space: float
    record: dict[str, Any]


def degrade(image: Grey, staff_space: float, kind: Kind, seed: int, strength: float = 1.0) -> Degraded:
    """Make a clean picture look scanned or photographed.

    Args:
        image: [H, W] uint8 grey, 255 is paper.
        staff_space: pixels between two staff lines.
        kind: "scan" or "photo".
        seed: everything is drawn from it; 0 or more.
        strength: multiplies every amount; 0 gives the picture back as it is, 1 the stated ranges.

    Raises:
        ValueError: the picture is not grey and uint8, the staff space is not positive, the kind is unknown, or the
            strength is not between 0 and 1.
    """
    if image.ndim != 2 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError("a picture to degrade must be grey, [height, width] of uint8, and not empty")
    if not staff_space > 0:
        raise ValueError(f"a staff space of {staff_space} pixels is not a size; give what the picture was drawn with")
    if kind not in KINDS:
        raise ValueError(f"there is no degradation {kind!r}; choose scan or photo")
    if not 0 <= strength <= 1:
        raise ValueError(f"a strength of {strength} is outside 0 to 1")
    chance = np.random.default_rng([KINDS.index(kind), seed])
    ranges = SCAN_RANGES if kind == "scan" else PHOTO_RANGES
    drawn = {name: float(chance.uniform(*ends)) for name, ends in ranges.items()}
    amount = {n: strength * (v if n in SIGNED else max(v, 0.0)) for n, v in drawn.items()}
    choice = chance.uniform(-1, 1, 8)  # places and directions
    warp = _warp(image.shape, staff_space, kind, amount, choice)
    record: dict[str, Any] = {"kind": kind, "seed": seed, "strength": strength, **amount}
    if kind == "scan":
        record["bilevel"] = bool(chance.random() < BILEVEL) and strength > 0
        result = _scanned(image, staff_space, warp, amount, choice, record["bilevel"], chance)
    else:
        result = _photographed(image, staff_space, warp, amount, choice, chance)
    record = json.loads(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()}))
    return Degraded(result, warp.move, staff_space * warp.scale(), record)


def _warp(shape: tuple[int, ...], space: float, kind: Kind, amount: dict[str, float], choice: NDArray[Any]) -> Warp:
    height, width = shape[0], shape[1]
    margin = round(amount["margin"] * space)
    if kind == "scan":
        return Warp.turned(height, width, margin, amount["skew"])
    shift = amount["corners"] * width * choice.reshape(4, 2)
    shift[:, 1] *= min(1.0, 2 * height / width)  # a low picture is not folded over by its width
    return Warp.curved(height, width, margin, shift, amount["curl"] * space, amount["squeeze"])


def _scanned(
    image: Grey,
    space: float,
    warp: Warp,
    amount: dict[str, float],
    choice: NDArray[Any],
    bilevel: bool,
    chance: np.random.Generator,
) -> Grey:
    cv2 = opencv()
    page = warp.apply(image)
    if not any(value for name, value in amount.items() if name not in ("margin", "skew")):
        return page
    height, width = page.shape
    ink: Plane = (255 - page).astype(np.float32) / np.float32(255)
    if amount["bleed"]:
        ink = np.maximum(ink, np.float32(amount["bleed"]) * _back_page(ink, space, choice))
    keep = 1 - amount["coarseness"]
    small = (max(round(width * keep), 1), max(round(height * keep), 1))
    if keep < 1:
        ink = cv2.resize(ink, small, interpolation=cv2.INTER_AREA)
    per_pixel = space * keep
    if amount["blur"]:
        ink = cv2.GaussianBlur(ink, (0, 0), max(amount["blur"] * per_pixel, 0.3))
    line = _line_darkness(ink)
    _spots(ink, per_pixel, amount["specks"], 0.9, chance)
    _spots(ink, per_pixel, amount["holes"], 0.0, chance)
    level = 0.5 - amount["spread"] + amount["patches"] * _clouds(ink.shape, 6 * per_pixel, chance)
    level += amount["grain"] * chance.standard_normal(ink.shape, dtype=np.float32)
    contrast = 20.0 if bilevel else 2.0
    ink = np.asarray(np.clip((ink / line - level) * contrast + 0.5, 0, 1), dtype=np.float32)
    if keep < 1:
        ink = cv2.resize(ink, (width, height), interpolation=cv2.INTER_LINEAR)
    _border(ink, amount, space, choice)
    if bilevel:
        return np.where(ink >= 0.5, 0, 255).astype(np.uint8)
    return _to_grey(1 - ink)


def _photographed(
    image: Grey,
    space: float,
    warp: Warp,
    amount: dict[str, float],
    choice: NDArray[Any],
    chance: np.random.Generator,
) -> Grey:
    cv2 = opencv()
    page = warp.apply(image)
    if not any(value for name, value in amount.items() if name not in ("margin", "corners", "curl", "squeeze")):
        return page
    height, width = page.shape
    light = page.astype(np.float32) * ((1 - amount["fade"]) / 255) + amount["fade"]
    if amount["blur"]:
        light = cv2.GaussianBlur(light, (0, 0), max(amount["blur"] * space, 0.2))
    if amount["shake"] * space >= 1:
        light = cv2.filter2D(light, -1, _path(amount["shake"] * space, np.pi * choice[0]))
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    shine = (1 - amount["paper"]) * (1 - amount["slope"] * (np.float32(choice[1]) * y + x) / 2)
    edge = (x - np.float32(choice[2]) + np.float32(0.5 * choice[3]) * y) * np.float32(np.sign(choice[4]) * 6)
    shine = shine - np.float32(amount["shadow"]) * np.clip(0.5 + 0.5 * edge, 0, 1)
    light *= np.clip(shine, 0.25, 1)
    if amount["moire"]:
        light *= 1 + amount["moire"] * _moire(height, width, choice)
    if amount["noise"]:
        light += amount["noise"] * chance.standard_normal(light.shape, dtype=np.float32)
    grey = _to_grey(light)
    quality = round(100 - amount["jpeg"])
    if quality >= 100:
        return grey
    stored = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _to_grey(light: Plane) -> Grey:
    return (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)


def _back_page(ink: Plane, space: float, choice: NDArray[Any]) -> Plane:
    """What shines through: the page itself from behind and moved, since no other page is at hand."""
    cv2 = opencv()
    moved = np.roll(ink[:, ::-1], (round(4 * space * choice[0]), round(9 * space * choice[1])), (0, 1))
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(moved), (0, 0), 0.15 * space), dtype=np.float32)


def _line_darkness(ink: Plane) -> float:
    """How dark the staff lines are: the usual darkness of pixels darker than what is above and below them.

    Blurred, a thin line is paler than a note head. A scanner's threshold is set so that the lines stay.
    """
    inner = ink[1:-1]
    peaks = inner[(inner > ink[:-2]) & (inner >= ink[2:]) & (inner > 0.15)]
    return float(np.median(peaks)) if len(peaks) else 1.0


def _spots(ink: Plane, space: float, density: float, darkness: float, chance: np.random.Generator) -> None:
    """Paint spots of up to .25 staff spaces, `density` on 1000 square spaces, in place."""
    cv2 = opencv()
    number = chance.poisson(density * ink.size / space**2 / 1000)
    places = chance.random((number, 3))
    for down, right, size in places.tolist():
        centre = (int(right * ink.shape[1]), int(down * ink.shape[0]))
        axes = (int((0.02 + 0.1 * size) * space + 0.4), int((0.02 + 0.08 * (1 - size)) * space + 0.4))
        cv2.ellipse(ink, centre, axes, 360 * size, 0, 360, darkness, -1)


def _clouds(shape: tuple[int, ...], length: float, chance: np.random.Generator) -> Plane:
    """Smooth noise between about -1 and 1 that changes over `length` pixels."""
    cv2 = opencv()
    few = (int(shape[0] / length) + 3, int(shape[1] / length) + 3)
    return np.asarray(
        cv2.resize(chance.uniform(-1, 1, few).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    )


def _border(ink: Plane, amount: dict[str, float], space: float, choice: NDArray[Any]) -> None:
    """The dark edge beside the paper, inside the margin, on one side or two, in place."""
    width = int(amount["border"] * amount["margin"] * space)
    if width < 1:
        return
    if choice[2] > 0:
        ink[:, :width] = 1
    else:
        ink[:, -width:] = 1
    if choice[3] > 0.3:
        ink[:width] = 1


def _path(length: float, angle: float) -> Plane:
    """The kernel of a straight movement of `length` pixels."""
    cv2 = opencv()
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    dx, dy = length / 2 * np.cos(angle), length / 2 * np.sin(angle)
    ends = [(round((reach + sign * dx) * 256), round((reach + sign * dy) * 256)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 8)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _moire(height: int, width: int, choice: NDArray[Any]) -> Plane:
    """Two gratings of nearly one period, seen through each other: a slow wave, of 10 to 60 pixels."""
    period = 35 + 25 * choice[5]
    x = np.arange(width, dtype=np.float32) * np.float32(2 * np.pi * np.cos(choice[6]) / period)
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(2 * np.pi * np.sin(choice[6]) / period)
    return np.asarray(np.sin(x) * np.cos(y) + np.cos(x) * np.sin(y), dtype=np.float32)
