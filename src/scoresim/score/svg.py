"""A small renderer of the few SVG shapes that verovio draws: glyphs, lines, curves, polygons, rectangles, ellipses.

It draws one system at a time into an 8-bit grey picture, at any size: shapes are kept in the units of the page and
scaled when they are painted. Texts (titles, composers' names, lyrics, instrument names, bar numbers) are not drawn
here: they would tell a reader of the picture what the notes do not say. `texts` draws them where they are asked for.
Measured against general renderers in docs/decisions/0003.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import aggdraw
import numpy as np
from lxml import etree
from numpy.typing import NDArray
from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
G, USE, PATH, POLYGON, POLYLINE, RECT, ELLIPSE, TEXT, TSPAN = (
    SVG + name for name in ("g", "use", "path", "polygon", "polyline", "rect", "ellipse", "text", "tspan")
)
GLYPHS_KEPT = 4096  # outlines kept in a process
FLAT = 0.5  # units of a font, 250 to a staff space: 0.02 pixels at 10 pixels per staff space
THINNEST = 0.6  # pixels; a thinner line vanishes where it falls between two rows
NUMBER = re.compile(r"-?\d*\.?\d+(?:[eE][-+]?\d+)?")
COMMAND = re.compile(r"([MmLlHhVvCcSsZz])([^MmLlHhVvCcSsZz]*)")
ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4}
# verovio writes plain decimals between letters, commas and brackets: cutting there is quicker than NUMBER.
BETWEEN = str.maketrans(dict.fromkeys("MLCZabcdefghijklmnopqrstuvwxyz(),", " "))
Point = tuple[float, float]
Extent = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Glyph:
    """An outline of a music font.

    Attributes:
        symbol: the outline as the rasterizer holds it.
        extent: x0, y0, x1, y1 of its ink in units of the font (1000 to four staff spaces), y upwards.
    """

    symbol: Any
    extent: Extent


@dataclass
class Sheet:
    """One engraved page: its SVG tree and its glyphs.

    Attributes:
        systems: the `g.system` elements from top to bottom.
        header: the `g.pgHead` element, if it has one.
        glyphs: "#id" -> glyph.
        origin: the page's margin in units.
    """

    systems: list[Any]
    header: Any
    glyphs: dict[str, Glyph]
    origin: Point


def parse(svg: str) -> Sheet:
    """Parse the SVG text of a page.

    Raises:
        ValueError: the text does not look like a page drawn by verovio.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
    root = etree.fromstring(svg.encode(), parser)
    inner, definitions = root.find(f"{SVG}svg"), root.find(f"{SVG}defs")
    if inner is None:
        raise ValueError("not a page drawn by verovio")
    glyphs = {}
    for group in definitions if definitions is not None else ():
        path = group.find(PATH)
        if path is not None:
            glyphs["#" + group.get("id", "")] = glyph(path.get("d", ""))
    margin = inner.find(G)
    if margin is None:
        raise ValueError("not a page drawn by verovio")
    origin = numbers(margin.get("transform", "translate(0, 0)"))
    systems, header = [], None
    for group in margin.iter(G):
        classes = (group.get("class") or "").split()
        if "system" in classes:
            systems.append(group)
        elif "pgHead" in classes and header is None:
            header = group
    return Sheet(systems, header, glyphs, (origin[0], origin[1]))


@lru_cache(GLYPHS_KEPT)
def glyph(path: str) -> Glyph:
    """The glyph of an SVG path. Every page repeats the outlines that it uses, so they are kept in the process.

    Its curves become polygons here, once: the rasterizer would cut them into some ten times as many pieces each time.
    """
    rings = _polygons(absolute(path))
    text = " ".join("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in ring) + " Z" for ring in rings)
    if not rings:
        return Glyph(aggdraw.Symbol("M0 0"), (0.0, 0.0, 0.0, 0.0))
    points = np.concatenate(rings)
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return Glyph(aggdraw.Symbol(text), (x0, y0, x1, y1))


def _polygons(path: str) -> list[NDArray[np.float64]]:
    """The rings of an absolute path, [K, 2] each; a ring leaves its curves by no more than `FLAT`."""
    rings: list[list[NDArray[np.float64]]] = []
    for letter, text in COMMAND.findall(path):
        if letter == "Z":
            continue
        given = np.array(numbers(text)).reshape(-1, 2)
        if letter == "M":
            rings.append([given])
        elif letter == "L":
            rings[-1].append(given)
        else:
            corners = np.concatenate([rings[-1][-1][-1:], given])
            bend = np.abs(np.diff(corners, 2, axis=0)).sum(1).max()
            t = np.linspace(0, 1, int(np.ceil((0.75 * bend / FLAT) ** 0.5)) + 1)[1:, None]
            basis = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3], axis=1)
            rings[-1].append(basis @ corners if len(t) else given[-1:])
    return [np.concatenate(ring) for ring in rings]


def numbers(text: str | None) -> list[float]:
    """All numbers in an SVG attribute."""
    return [float(n) for n in NUMBER.findall(text or "")]


def plain_numbers(text: str) -> list[float]:
    """All numbers in an attribute that verovio wrote: plain decimals between letters, commas and brackets."""
    return [float(n) for n in text.translate(BETWEEN).split()]


def absolute(path: str) -> str:
    """An SVG path with absolute M, L, C and Z commands only, each written out, as the rasterizer reads them best."""
    out: list[str] = []
    x = y = start_x = start_y = control_x = control_y = 0.0
    for letter, text in COMMAND.findall(path):
        command, values = letter.upper(), numbers(text)
        if command == "Z":
            out.append("Z")
            x, y = start_x, start_y
            continue
        size = ARGUMENTS[command]
        for i in range(0, len(values) - size + 1, size):
            group = values[i : i + size]
            if letter.islower():
                base = {"H": (x,), "V": (y,)}.get(command, (x, y))
                group = [v + base[j % len(base)] for j, v in enumerate(group)]
            if command == "S":
                group = [control_x, control_y, *group]
            last_x = x if command == "V" else group[-1] if command == "H" else group[-2]
            last_y = y if command == "H" else group[-1]
            if command in "CS":
                out.append("C" + " ".join(f"{v:g}" for v in group))
                control_x, control_y = 2 * last_x - group[2], 2 * last_y - group[3]
            else:
                kind = "M" if command == "M" and i == 0 else "L"
                out.append(f"{kind}{last_x:g} {last_y:g}")
                control_x, control_y = last_x, last_y
            x, y = last_x, last_y
            if command == "M" and i == 0:
                start_x, start_y = x, y
    return " ".join(out)


@dataclass
class Drawing:
    """The shapes of one system, in units of the page.

    Attributes:
        origin: what to add to every coordinate.
        glyphs: (glyph, x, y, size), size 1 where the font's unit is the page's.
        lines: (x0, y0, x1, y1) of every line.
        widths: the width of every line.
        polygons: flat lists of points.
        curves: (outline, stroke width).
        ellipses: (x0, y0, x1, y1).
        lowest: the greatest y drawn at, without the reach of glyphs.
        highest: the least.
    """

    origin: Point
    glyphs: list[tuple[Glyph, float, float, float]] = field(default_factory=list)
    lines: list[tuple[float, float, float, float]] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    polygons: list[list[float]] = field(default_factory=list)
    curves: list[tuple[Any, float]] = field(default_factory=list)
    ellipses: list[tuple[float, float, float, float]] = field(default_factory=list)
    lowest: float = float("-inf")
    highest: float = float("inf")

    def reach(self, *ys: float) -> None:
        """Note that something is drawn at these heights."""
        self.lowest, self.highest = max(self.lowest, *ys), min(self.highest, *ys)


def add_shape(drawing: Drawing, element: Any, glyphs: dict[str, Glyph]) -> None:
    """Add one SVG element to the drawing; groups and texts add nothing."""
    tag = element.tag
    if tag == USE:
        move = plain_numbers(element.get("transform"))
        x, y = move[0], move[1]
        drawing.glyphs.append((glyphs[element.get(HREF)], x, y, move[2] if len(move) > 2 else 1.0))
        drawing.lowest, drawing.highest = max(drawing.lowest, y), min(drawing.highest, y)
    elif tag == PATH:
        width, text = float(element.get("stroke-width") or 0), element.get("d")
        values = plain_numbers(text)
        drawing.reach(*values[1::2])
        if "C" in text:
            drawing.curves.append((aggdraw.Symbol(text), width))
        else:
            _add_lines(drawing, values, width)
    elif tag == POLYGON:
        points = plain_numbers(element.get("points"))
        drawing.reach(*points[1::2])
        drawing.polygons.append(points)
    elif tag == POLYLINE:
        points = plain_numbers(element.get("points"))
        drawing.reach(*points[1::2])
        _add_lines(drawing, points, float(element.get("stroke-width") or 0))
    elif tag == RECT:
        x, y, w, h = (float(element.get(name)) for name in ("x", "y", "width", "height"))
        drawing.polygons.append([x, y, x + w, y, x + w, y + h, x, y + h])
        drawing.reach(y, y + h)
    elif tag == ELLIPSE:
        x, y, rx, ry = (float(element.get(name)) for name in ("cx", "cy", "rx", "ry"))
        drawing.ellipses.append((x - rx, y - ry, x + rx, y + ry))
        drawing.reach(y)


def _add_lines(drawing: Drawing, points: list[float], width: float) -> None:
    for i in range(0, len(points) - 3, 2):
        drawing.lines.append((points[i], points[i + 1], points[i + 2], points[i + 3]))
        drawing.widths.append(width)


def paint(drawing: Drawing, k: float, width: int, top: float, height: int) -> Image.Image:
    """Draw the shapes into a grey picture, 255 is paper.

    Args:
        drawing: the shapes.
        k: pixels per unit of the page.
        width: of the picture in pixels.
        top: height of its upper edge on the page, in pixels.
        height: of the picture in pixels.
    """
    image = Image.new("L", (width, height), 255)
    canvas = aggdraw.Draw(image)
    black = aggdraw.Brush("black")
    ox, oy = drawing.origin
    pens = {w: aggdraw.Pen("black", max(w * k, THINNEST)) for w in set(drawing.widths)}
    for line, w in zip(_placed(drawing.lines, drawing.origin, k, top), drawing.widths, strict=True):
        canvas.line(line, pens[w])
    for points in drawing.polygons:
        canvas.polygon([(v + oy) * k - top if i % 2 else (v + ox) * k for i, v in enumerate(points)], black)
    for ellipse in _placed(drawing.ellipses, drawing.origin, k, top):
        canvas.ellipse(ellipse, black)
    for shape, x, y, size in drawing.glyphs:
        canvas.settransform((size * k, 0, (x + ox) * k, 0, -size * k, (y + oy) * k - top))
        canvas.symbol((0, 0), shape.symbol, None, black)
    canvas.settransform((k, 0, ox * k, 0, k, oy * k - top))
    for symbol, w in drawing.curves:
        canvas.symbol((0, 0), symbol, aggdraw.Pen("black", w * k) if w > 0 else None, black)
    canvas.flush()
    return image


def _placed(boxes: list[tuple[float, float, float, float]], origin: Point, k: float, top: float) -> list[list[float]]:
    """[K, 4] coordinates in pixels."""
    if not boxes:
        return []
    moved = (np.array(boxes) + np.array([*origin, *origin])) * k
    moved[:, 1::2] -= top
    return moved.tolist()  # type: ignore[no-any-return]
