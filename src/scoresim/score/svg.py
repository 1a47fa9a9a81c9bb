"""A small renderer of the few SVG shapes that verovio draws: glyphs, lines, curves, polygons, rectangles, ellipses.

It draws one system at a time into an 8-bit grey picture and leaves every text out (titles, composers' names, lyrics,
instrument names, bar numbers), because texts would tell a reader of the picture what the notes do not say.
Measured against general renderers in docs/decisions/0003.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import aggdraw
import numpy as np
from lxml import etree
from numpy.typing import NDArray
from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
NUMBER = re.compile(r"-?\d*\.?\d+(?:[eE][-+]?\d+)?")
COMMAND = re.compile(r"([MmLlHhVvCcSsZz])([^MmLlHhVvCcSsZz]*)")
ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4}
Point = tuple[float, float]


@dataclass
class Sheet:
    """One engraved page: its SVG tree, its glyphs, and the scale from its units to pixels.

    Attributes:
        systems: the `g.system` elements from top to bottom.
        scale: pixels per unit of the page.
        origin: the page's margin in units.
    """

    systems: list[Any]
    glyphs: dict[str, Any]
    scale: float
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
        path = group.find(f"{SVG}path")
        if path is not None:
            glyphs["#" + group.get("id", "")] = aggdraw.Symbol(absolute(path.get("d", "")))
    margin = inner.find(f"{SVG}g")
    if margin is None:
        raise ValueError("not a page drawn by verovio")
    box = numbers(inner.get("viewBox"))
    width = float(root.get("width", "0").removesuffix("px"))
    origin = numbers(margin.get("transform", "translate(0, 0)"))
    systems = [g for g in margin.iter(f"{SVG}g") if "system" in (g.get("class") or "").split()]
    return Sheet(systems, glyphs, width / box[2], (origin[0], origin[1]))


def numbers(text: str | None) -> list[float]:
    """All numbers in an SVG attribute."""
    return [float(n) for n in NUMBER.findall(text or "")]


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
    """The shapes of one system in pixels, before it is known how high the picture is.

    Attributes:
        glyphs: (name, x, y, scale).
        lines: (x0, y0, x1, y1, width).
        polygons: flat lists of points.
        curves: (path text, stroke width).
        ellipses: (x0, y0, x1, y1).
    """

    glyphs: list[tuple[Any, float, float, float]] = field(default_factory=list)
    lines: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    polygons: list[list[float]] = field(default_factory=list)
    curves: list[tuple[str, float]] = field(default_factory=list)
    ellipses: list[tuple[float, float, float, float]] = field(default_factory=list)
    lowest: float = float("-inf")
    highest: float = float("inf")

    def reach(self, *ys: float) -> None:
        """Note that something is drawn at these heights."""
        self.lowest, self.highest = max(self.lowest, *ys), min(self.highest, *ys)


def add_shape(drawing: Drawing, element: Any, sheet: Sheet) -> None:
    """Add one SVG element to the drawing; groups and texts add nothing."""
    tag, k, (ox, oy) = element.tag, sheet.scale, sheet.origin
    if tag == f"{SVG}use":
        move = numbers(element.get("transform"))
        x, y, size = (move[0] + ox) * k, (move[1] + oy) * k, move[2] if len(move) > 2 else 1.0
        drawing.glyphs.append((sheet.glyphs[element.get(HREF)], x, y, size * k))
        drawing.reach(y)
    elif tag == f"{SVG}path":
        width = float(element.get("stroke-width") or 0) * k
        text, values = element.get("d"), numbers(element.get("d"))
        ys = [(y + oy) * k for y in values[1::2]]
        drawing.reach(*ys)
        if "C" in text.upper():
            drawing.curves.append((text, width))
        else:
            xs = [(x + ox) * k for x in values[0::2]]
            for i in range(len(xs) - 1):
                drawing.lines.append((xs[i], ys[i], xs[i + 1], ys[i + 1], width))
    elif tag in (f"{SVG}polygon", f"{SVG}polyline"):
        values = numbers(element.get("points"))
        points = [(v + (oy if i % 2 else ox)) * k for i, v in enumerate(values)]
        drawing.reach(*points[1::2])
        if tag == f"{SVG}polygon":
            drawing.polygons.append(points)
        else:
            width = float(element.get("stroke-width") or 0) * k
            for i in range(0, len(points) - 2, 2):
                drawing.lines.append((*points[i : i + 4], width))  # type: ignore[arg-type]
    elif tag == f"{SVG}rect":
        x, y = (float(element.get("x")) + ox) * k, (float(element.get("y")) + oy) * k
        w, h = float(element.get("width")) * k, float(element.get("height")) * k
        drawing.polygons.append([x, y, x + w, y, x + w, y + h, x, y + h])
        drawing.reach(y, y + h)
    elif tag == f"{SVG}ellipse":
        cx, cy, rx, ry = (float(element.get(name)) for name in ("cx", "cy", "rx", "ry"))
        x, y = (cx + ox) * k, (cy + oy) * k
        drawing.ellipses.append((x - rx * k, y - ry * k, x + rx * k, y + ry * k))
        drawing.reach(y)


def paint(drawing: Drawing, sheet: Sheet, width: int, top: float, height: int) -> NDArray[np.uint8]:
    """Draw the shapes into a picture ([height, width] grey, 255 is paper) whose upper edge is at `top`."""
    image = Image.new("L", (width, height), 255)
    canvas = aggdraw.Draw(image)
    black = aggdraw.Brush("black")
    pens: dict[float, Any] = {}
    k, (ox, oy) = sheet.scale, sheet.origin
    for x0, y0, x1, y1, w in drawing.lines:
        if w not in pens:
            pens[w] = aggdraw.Pen("black", max(w, 0.6))
        canvas.line((x0, y0 - top, x1, y1 - top), pens[w])
    for points in drawing.polygons:
        canvas.polygon([v - top if i % 2 else v for i, v in enumerate(points)], black)
    for x0, y0, x1, y1 in drawing.ellipses:
        canvas.ellipse((x0, y0 - top, x1, y1 - top), black)
    for symbol, x, y, size in drawing.glyphs:
        canvas.settransform((size, 0, x, 0, -size, y - top))
        canvas.symbol((0, 0), symbol, None, black)
    canvas.settransform((k, 0, ox * k, 0, k, oy * k - top))
    for text, w in drawing.curves:
        pen = aggdraw.Pen("black", w) if w > 0 else None
        canvas.symbol((0, 0), aggdraw.Symbol(text), pen, black)
    canvas.flush()
    return np.asarray(image)
