"""A page as it comes from a scanner or a phone -> its systems, from top to bottom, upright and on white paper.

Every system is cut out along its own staff lines, so that they are level and `SPACE` pixels apart wherever the page was
turned, bent or seen from the side; what is left for the reader of passages is a picture like an engraved one.
"""

import io
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from scoresim.data.staves import joined
from scoresim.data.trace import (
    INKED,
    SPACE,
    ZOOMS,
    Ink,
    Trace,
    darkness,
    inked,
    spaces_of,
    strips_of,
    thin_lines,
    tilt_of,
    traces_of,
)
from scoresim.errors import BadInput, NotNow
from scoresim.score.warp import opencv

WIDEST = 2400  # pixels: a wider picture is read from a smaller copy
FINE = 6.0  # pixels: where the staff space of the copy is less, the picture is read as it is
LARGEST, LONGEST = 1e8, 30_000  # pixels, of a picture with such a staff space and of its sides: no page is so large
AROUND = 6.5  # staff spaces kept above and below a system, and beside it (brace, last bar line)
BESIDE = 3.0, 1.5
NEAREST = 2.5  # staff spaces beyond an outer line before which no picture is cut
DRAWN = 150  # of 255, of a line over its thickness: it is whole, where a dotted one has gaps
WIDTH = 1.5  # staff spaces: a line that joins staves is thinner
INDENT = 4.0  # staff spaces: staves that begin so far apart are not joined at their left
LEAN = 0.1  # steepest lean of a vertical line, pixels per row
JOINED, CROSSED = 0.75, 0.9  # share of the rows between two staves that a line at their left, a bar line, fills


NO_STAFF = "No staff was found on this picture; give a page, or a system, of printed music."
FORMATS = ("PNG", "JPEG", "TIFF")  # and PDF
POINTS = 72  # per inch, of a PDF


@dataclass(frozen=True)
class Limits:
    """What a file may hold; one that holds more is refused.

    Attributes:
        megabytes: size of the file.
        pages: how many.
        megapixels: size of a page.
        total: megapixels of all pages together: so many megabytes of memory they take.
        dpi: resolution to which the pages of a PDF are drawn, less where one would be too large.
    """

    megabytes: float = 200.0
    pages: int = 64
    megapixels: float = 100.0
    total: float = 1000.0
    dpi: float = 300.0


@dataclass(frozen=True, eq=False)
class PageSystem:
    """One system of a page.

    Attributes:
        image: [h, w] uint8, 255 is black, its paper is white and its lines are level.
        space: distance between staff lines in pixels of it.
        staves: how many it has.
        box: x0, y0, x1, y1 of the upright box around it, in pixels of the page as it was given.
    """

    image: Ink
    space: float
    staves: int
    box: tuple[float, float, float, float]


def open_pages(path: str | Path, limits: Limits = Limits()) -> list[NDArray[np.uint8]]:
    """The pages of a PNG, JPEG, TIFF or PDF file: each [h, w] uint8, 255 is white, as it is held when it is read.

    What a file is, its content says, not its name.

    Raises:
        BadInput: the file is missing, damaged, of another kind or beyond a limit, or it is a PDF and pypdfium2 is not
            installed.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is not a file; give a picture (PNG, JPEG, TIFF) or a PDF.")
    if path.stat().st_size > limits.megabytes * 1e6:
        raise BadInput(f"{path} has more than {limits.megabytes:g} MB; give a smaller file.")
    data = path.read_bytes()
    pages = _pdf_pages if b"%PDF-" in data[:1024] else _picture_pages
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on tags that are odd and on sizes that are judged here
            return pages(data, limits)
    except BadInput as error:
        raise type(error)(f"{path} {error}") from None
    except Image.DecompressionBombError:
        raise BadInput(f"{path} {_too_large(limits)}") from None
    except Exception as error:  # a decoder may stumble in any way over a damaged file
        raise BadInput(f"{path} cannot be read as a PNG, JPEG, TIFF or PDF; it may be damaged.") from error


def _picture_pages(data: bytes, limits: Limits) -> list[NDArray[np.uint8]]:
    pages: list[NDArray[np.uint8]] = []
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        while True:
            _within(limits, len(pages) + 1, picture.size, sum(page.size for page in pages))
            pages.append(_grey(ImageOps.exif_transpose(picture)))
            if picture.format != "TIFF":  # what else a JPEG may hold is a preview
                return pages
            try:
                picture.seek(len(pages))
            except EOFError:
                return pages


def _pdf_pages(data: bytes, limits: Limits) -> list[NDArray[np.uint8]]:
    try:
        from pypdfium2 import PdfDocument
    except ImportError:
        raise NotNow("is a PDF, which needs pypdfium2; install it with: pip install 'scoresim[pages]'.") from None
    pages: list[NDArray[np.uint8]] = []
    document = PdfDocument(data)
    try:
        _within(limits, len(document), (0, 0), 0)
        for page in document:
            width, height = page.get_size()
            scale = min(limits.dpi / POINTS, (0.9 * limits.megapixels * 1e6 / max(width * height, 1.0)) ** 0.5)
            size = (int(width * scale) + 1, int(height * scale) + 1)
            _within(limits, len(pages) + 1, size, sum(page.size for page in pages))
            drawn = page.render(scale=scale, grayscale=True).to_numpy()
            pages.append(np.array(drawn, dtype=np.uint8).reshape(drawn.shape[:2]))
    finally:
        document.close()
    return pages


def _within(limits: Limits, number: int, size: tuple[int, int], before: int) -> None:
    """Refuse page `number` of a file that has too many, or that is too large by itself or with the `before` pixels."""
    if number > limits.pages:
        raise BadInput(f"has more than {limits.pages} pages; give fewer at a time.")
    pixels = size[0] * size[1]
    if pixels > limits.megapixels * 1e6 or pixels + before > limits.total * 1e6:
        raise BadInput(_too_large(limits))


def _too_large(limits: Limits) -> str:
    return (
        f"has a page of more than {limits.megapixels:g} megapixels, or pages of more than {limits.total:g} together; "
        "scan it at 300 dpi, or give fewer pages."
    )


def _grey(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture of any mode as grey; what is transparent is paper."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float64)
        top = 65535.0 if picture.mode.startswith("I") else max(float(np.nanmax(values)), 1e-9)
        return np.asarray(np.nan_to_num(values * (255.0 / top)).clip(0, 255), dtype=np.uint8)
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return np.array(picture.convert("L"), dtype=np.uint8)


def systems_of(image: NDArray[np.uint8]) -> list[PageSystem]:
    """The systems of a page from top to bottom, of an opened book page by page.

    Args:
        image: [h, w] uint8, 255 is white.

    Raises:
        BadInput: there is no staff on it, or OpenCV is not installed.
        ValueError: it is not grey and uint8, or empty.
    """
    if image.ndim != 2 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError("a page must be grey, [height, width] of uint8, and not empty")
    dark, spaces = measured(np.ascontiguousarray(image))
    if not spaces:
        raise BadInput(NO_STAFF)
    cv2 = opencv()
    scale = SPACE / spaces[0]
    size = (max(round(dark.shape[1] * scale), 1), max(round(dark.shape[0] * scale), 1))
    if size[0] * size[1] > LARGEST or max(size) > LONGEST:
        raise BadInput(NO_STAFF)
    ink = inked(cv2.resize(dark, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
    turn, canvas = turned(size, tilt_of(strips_of(thin_lines(ink))))
    level = cv2.warpAffine(ink, turn, canvas, flags=cv2.INTER_LINEAR)
    zooms = {round(zoom * space / spaces[0], 2) for space in spaces for zoom in ZOOMS}
    groups = grouped(level, traces_of(level, tuple(sorted(zooms))))
    if not groups:
        raise BadInput(NO_STAFF)
    back = cv2.invertAffineTransform(turn)
    every = [trace for group in groups for trace in group]
    return [_cut(ink, level, group, every, back, image.shape[1] / size[0]) for group in groups]


def measured(grey: NDArray[np.uint8]) -> tuple[Ink, list[float]]:
    """A picture's darkness, reduced where it is wider than `WIDEST` if its staves allow it, and its staff spaces."""
    cv2 = opencv()
    factor = -(-grey.shape[1] // WIDEST)
    size = (max(grey.shape[1] // factor, 1), max(grey.shape[0] // factor, 1))
    if factor > 1:
        dark = darkness(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        spaces = spaces_of(inked(dark))
        if spaces and spaces[0] >= FINE:
            return dark, spaces
    dark = darkness(grey)
    return dark, spaces_of(inked(dark))


def turned(size: tuple[int, int], degrees: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The affine map that turns lines falling by `degrees` level, and the size of a canvas that holds the picture."""
    cv2 = opencv()
    width, height = size
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    a = abs(np.radians(degrees))
    canvas = (int(width * np.cos(a) + height * np.sin(a)) + 1, int(height * np.cos(a) + width * np.sin(a)) + 1)
    turn[:, 2] += (canvas[0] - width) / 2, (canvas[1] - height) / 2
    return turn, canvas


def grouped(level: Ink, traces: list[Trace]) -> list[list[Trace]]:
    """Staves that a line joins are one system; those of the left page of an opened book come first."""
    groups: list[list[Trace]] = []
    for column in _columns(traces):
        for upper, trace in zip([None, *column[:-1]], column, strict=True):
            if upper is not None and are_joined(level, upper, trace):
                groups[-1].append(trace)
            else:
                groups.append([trace])
    return groups


def _columns(traces: list[Trace]) -> list[list[Trace]]:
    """Staves that stand over each other, from left to right; each from top to bottom."""
    columns: list[list[Trace]] = []
    for trace in sorted(traces, key=lambda t: t.left):
        if columns and trace.left < max(t.right for t in columns[-1]):
            columns[-1].append(trace)
        else:
            columns.append([trace])
    return [sorted(column, key=lambda t: float(t.line(0, (t.left + t.right) / 2))) for column in columns]


def are_joined(level: Ink, upper: Trace, lower: Trace) -> bool:
    """Does a line run between two staves: at their left, with a few gaps, or as bar lines further on?"""
    left, right = max(upper.left, lower.left), min(upper.right, lower.right)
    if right - left < 4 * SPACE:
        return False
    ends = sorted((upper.left, lower.left))
    first = (ends[0] if ends[1] - ends[0] < INDENT * SPACE else ends[1]) - 1.5 * SPACE
    share = coverage(level, upper, lower, first, right + SPACE)
    change = np.diff((share >= JOINED).astype(int), prepend=1, append=0)
    begun, ended = np.flatnonzero(change == 1), np.flatnonzero(change == -1)[1:]
    begun = begun[ended - begun <= WIDTH * SPACE]  # the dark edge of a page is wider, or there from the beginning
    crossed = np.diff((share >= CROSSED).astype(int), prepend=0) == 1
    return bool((begun < ends[1] + 2 * SPACE - first).any() or crossed.sum() >= 2)


def coverage(level: Ink, upper: Trace, lower: Trace, left: float, right: float) -> NDArray[np.float64]:
    """[columns] the largest share of the rows between two staves that a nearly upright line there fills with ink."""
    cv2 = opencv()
    x = np.arange(max(int(left), 0), min(int(right), level.shape[1]))
    top, bottom = upper.line(2, x), lower.line(-2, x)
    rows = max(round(float((bottom - top).mean())), 2)
    y = top + (bottom - top) * np.linspace(0, 1, rows)[:, None]
    dark = level[np.rint(y).astype(int).clip(0, len(level) - 1), x]
    summed = cv2.boxFilter(dark, cv2.CV_32F, (3, 1), normalize=False)  # a thin line may stand between two columns
    filled = (summed >= DRAWN).astype(np.float32)
    shares = []
    for lean in np.linspace(-LEAN, LEAN, 2 * max(round(LEAN * rows / 2), 1) + 1):
        shear = np.array([[1, lean, -lean * rows / 2], [0, 1, 0]])
        shares.append(cv2.warpAffine(filled, shear, filled.shape[::-1], flags=cv2.INTER_NEAREST).mean(axis=0))
    return np.asarray(np.max(shares, axis=0), dtype=np.float64)


def _cut(ink: Ink, level: Ink, group: list[Trace], every: list[Trace], back: NDArray[Any], scale: float) -> PageSystem:
    """One system with level lines, taken from `ink`: `back` leads there from `level`, and `scale` to the page."""
    cv2 = opencv()
    left = max(min(t.left for t in group) - BESIDE[0] * SPACE, 0.0)
    right = min(max(t.right for t in group) + BESIDE[1] * SPACE, level.shape[1] - 1.0)
    middle = (left + right) / 2
    zoom = float(np.mean([t.space(np.clip(middle, t.left, t.right)) for t in group])) / SPACE
    x = np.linspace(left, right, max(round((right - left) / zoom), 2))
    lines = np.stack([t.line(number, x) for t in group for number in (-2, 2)])
    between = np.diff(np.stack([t.line(0, x) for t in group]), axis=0).mean(axis=1) / zoom
    middles = np.cumsum([AROUND * SPACE + 2 * SPACE, *np.rint(between)])
    knots = np.stack([middles - 2 * SPACE, middles + 2 * SPACE], axis=1).ravel()
    rows = np.arange(int(middles[-1] + (AROUND + 2) * SPACE) + 1)
    below = np.clip(np.searchsorted(knots, rows, side="right") - 1, 0, len(knots) - 2)
    part = ((rows - knots[below]) / np.diff(knots)[below])[:, None]
    y = (lines[below] * (1 - part) + lines[below + 1] * part).astype(np.float32)
    across = np.broadcast_to(x.astype(np.float32), y.shape)
    flat = cv2.remap(level, np.ascontiguousarray(across), y, cv2.INTER_LINEAR, borderValue=0)
    lean = leaning(flat[round(knots[0]) : round(knots[-1]) + 1])
    down = rows[:, None] - (knots[0] + knots[-1]) / 2
    columns = (np.arange(len(x)) - lean(np.arange(len(x))) * down).astype(np.float32)
    here = np.broadcast_to(rows[:, None].astype(np.float32), y.shape).copy()
    across = (left + columns * (right - left) / (len(x) - 1)).astype(np.float32)
    y = cv2.remap(y, columns, here, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = [(back[i, 0] * across + back[i, 1] * y + back[i, 2]).astype(np.float32) for i in (0, 1)]
    image = np.asarray(cv2.remap(ink, *there, cv2.INTER_LINEAR, borderValue=0), dtype=np.uint8)
    first, last = _ends(image, knots, _room(group, every, middle))
    edges = np.stack([np.concatenate([m[first], m[last - 1], m[first:last, 0], m[first:last, -1]]) for m in there])
    box = np.concatenate([edges.min(axis=1), edges.max(axis=1) + 1]) * scale
    limit = np.array([ink.shape[1], ink.shape[0]] * 2) * scale
    box = np.clip(box, 0.0, limit)
    image = mended(image[first:last], [int(m) - first for m in middles])
    return PageSystem(image, SPACE, len(group), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))


def leaning(flat: Ink) -> np.polynomial.Polynomial:
    """How far vertical lines lean, in pixels per row, as a line over the columns: where columns are sharpest."""
    cv2 = opencv()
    height, width = flat.shape
    wide = cv2.dilate((flat >= INKED).astype(np.float32), np.ones((1, 3), np.uint8))
    upright = cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((round(2 * SPACE), 1), np.uint8))
    leans = np.linspace(-LEAN, LEAN, 2 * round(LEAN * height / 1.5) + 1)
    sharp = []
    for lean in leans:
        shear = np.array([[1, lean, -lean * (height - 1) / 2], [0, 1, 0]])
        profile = cv2.warpAffine(upright, shear, (width, height), flags=cv2.INTER_LINEAR).mean(axis=0)
        sharp.append([float(np.square(part).sum()) for part in np.array_split(profile, 3)])
    gain = np.array(sharp) / np.maximum(np.array(sharp)[len(leans) // 2], 1e-6)
    best = gain.argmax(axis=0)
    weight = np.where(np.array(sharp).max(axis=0) > 0, gain.max(axis=0) - gain.min(axis=0) + 1e-3, 1e-3)
    if gain.max() < 1.05:
        return np.polynomial.Polynomial([0.0])
    return np.polynomial.Polynomial.fit((np.arange(3) + 0.5) * width / 3, leans[best], 1, w=weight, domain=(0, width))


def _room(group: list[Trace], every: list[Trace], x: float) -> tuple[float, float]:
    """Pixels between the outer lines of a system and those of its neighbours above and below; infinite without one."""
    top, bottom = float(group[0].line(-2, x)), float(group[-1].line(2, x))
    others = [t for t in every if t not in group and t.left < x < t.right]
    above = [top - float(t.line(2, x)) for t in others if float(t.line(0, x)) < top]
    below = [float(t.line(-2, x)) - bottom for t in others if float(t.line(0, x)) > bottom]
    return min(above, default=np.inf), min(below, default=np.inf)


def _ends(image: Ink, knots: NDArray[np.float64], room: tuple[float, float]) -> tuple[int, int]:
    """The rows at which a system is cut from its neighbours, where there is least ink: first, and after the last."""
    share = (image >= INKED).mean(axis=1)
    ends = []
    for edge, way, free in ((round(knots[0]), -1, room[0]), (round(knots[-1]), 1, room[1])):
        near = min(NEAREST * SPACE, free / 2)
        far = min(AROUND * SPACE, max(free - NEAREST * SPACE, free / 2))
        steps = np.arange(int(near), max(int(far), int(near)) + 1)
        rows = (edge + way * steps).clip(0, len(image) - 1)
        ends.append(int(rows[np.argmin(share[rows] + 1e-4 * np.abs(steps - min(free / 2, far)))]))
    return ends[0], ends[1] + 1


def mended(image: Ink, middles: list[int]) -> Ink:
    """The picture with the line that joins its staves drawn through, where the print has gaps in it."""
    cv2 = opencv()
    for top, bottom in pairwise(middles):
        if joined(image[top : bottom + 1]):
            continue
        image = image.copy()
        dark = cv2.dilate((image[top : bottom + 1] >= INKED).astype(np.uint8), np.ones((1, 3), np.uint8))
        column = int(dark[:, : round(8 * SPACE)].mean(axis=0).argmax())
        image[top : bottom + 1, column] = 255
    return image
