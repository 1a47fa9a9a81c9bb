"""Paper made white and staff lines made straight, so that a photograph of a page is read like the page.

Both are looked for in the picture alone, and a picture that has white paper and level lines is left as it is, bit for
bit. What remains of a photograph is what no global change undoes: blur, noise, faint strokes.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ink = NDArray[np.uint8]

TILE = 4.0  # staff spaces: within a tile the light is even, and some of it is paper
PAPER = 25.0  # percentile of a tile's darkness that is surely paper
WHITE = 4  # of 255: paper darker than this is grey
FAINT, DARK = 0.06, 0.5  # share of the paper's light that is swallowed: below it is noise, above it is ink
INKED, LEVEL = 24, 0.8  # of 255; share of the inked columns of a row that a level line fills
BLOCK = 2.5  # staff spaces: columns of which lines are followed together
STEP = 0.35  # staff spaces by which lines move at most from one block to the next, beside their slope
BENDS = (1, 3)  # degrees of the curves that lines may follow: a slope, a wave
SHARPER = 1.02  # times as sharp as the picture as it is: else it is left so


def whitened(ink: Ink, space: float) -> Ink:
    """The picture with white paper and black ink, where its paper is grey or unevenly lit; else itself.

    Args:
        ink: [h, w], 255 is black.
        space: distance between staff lines in pixels.
    """
    tile = max(round(TILE * space), 2)
    height, width = ink.shape
    down, across = -(-height // tile), -(-width // tile)
    padded = np.pad(ink, ((0, down * tile - height), (0, across * tile - width)), mode="edge")
    tiles = padded.reshape(down, tile, across, tile).transpose(0, 2, 1, 3).reshape(down, across, -1)
    paper = np.percentile(tiles, PAPER, axis=2, method="lower").astype(np.uint8)
    if (paper <= WHITE).mean() > 0.5:
        return ink
    dark = np.asarray(Image.fromarray(paper).resize((across * tile, down * tile), Image.Resampling.BILINEAR))
    light = np.maximum(255.0 - dark[:height, :width], 32.0)
    swallowed = 1.0 - (255.0 - ink) / light
    return (255.0 * ((swallowed - FAINT) / (DARK - FAINT)).clip(0.0, 1.0)).astype(np.uint8)


def drift(ink: Ink, space: float) -> NDArray[np.float64]:
    """How far down the staff lines stand along the picture, against its middle: [k, 3] x, pixels, and how surely.

    Blocks of columns are laid over the ones before, from the middle outwards, at most `STEP` spaces off the slope that
    they have had.
    """
    height, width = ink.shape
    block = max(round(BLOCK * space), 2)
    count = width // block
    profile = ink[:, : count * block].reshape(height, count, block).mean(axis=2).T
    profile -= profile.mean(axis=1, keepdims=True)
    off, sure = np.zeros(count), np.ones(count)
    reach = max(round(STEP * space), 1)
    middle = count // 2
    for way in (1, -1):
        known, at, slope = profile[middle].copy(), 0.0, 0.0
        for k in range(middle + way, count if way > 0 else -1, way):
            around = range(round(at + slope) - reach, round(at + slope) + reach + 1)
            here = [np.roll(profile[k], -shift) for shift in around]
            fits = np.array([known @ one for one in here])
            best = int(fits.argmax())
            length = np.linalg.norm(known) * np.linalg.norm(profile[k])
            sure[k] = max(fits[best] / length, 0.0) if length > 0 else 0.0
            slope += 0.3 * sure[k] * (around[best] - at - slope)
            at = around[best] if sure[k] > 0.3 else at + slope
            off[k] = at
            known = 0.8 * known + 0.2 * here[best]
    return np.stack([(np.arange(count) + 0.5) * block, off, sure + 1e-3], axis=1)


def straightened(ink: Ink, space: float) -> tuple[Ink, NDArray[np.int64]]:
    """The picture with its columns moved so that its rows are sharpest: as it is, or along the drift of its lines.

    Args:
        ink: [h, w], 255 is black.
        space: distance between staff lines in pixels.

    Returns:
        [h, w] the picture, and [w] how many pixels each column was moved up.
    """
    width = ink.shape[1]
    still = np.zeros(width, dtype=np.int64)
    level = (ink >= INKED).mean(axis=1).max() >= LEVEL
    if level or width // max(round(BLOCK * space), 2) < max(BENDS) + 2:
        return ink, still
    x, off, sure = drift(ink, space).T
    best, found = SHARPER * sharpness(ink), (ink, still)
    for degree in BENDS:
        curve = np.polynomial.Polynomial.fit(x, off, degree, w=sure, domain=(0.0, float(width)))
        moved = np.rint(curve(np.arange(width) + 0.5)).astype(np.int64)
        if np.abs(moved).max() <= 1 or np.abs(moved).max() >= len(ink):
            continue
        rows = np.arange(len(ink))[:, None] + moved
        inside = (rows >= 0) & (rows < len(ink))
        level = np.where(inside, ink[rows.clip(0, len(ink) - 1), np.arange(width)], 0).astype(np.uint8)
        if sharpness(level) > best:
            best, found = sharpness(level), (level, moved)
    return found


def sharpness(ink: Ink) -> float:
    """How unevenly ink is spread over the rows: greatest where long lines are level."""
    return float(np.square(ink.mean(axis=1)).sum())


def upright(ink: Ink, space: float) -> tuple[Ink, NDArray[np.int64]]:
    """The picture with white paper and straight staff lines: see `whitened` and `straightened`."""
    return straightened(whitened(ink, space), space)
