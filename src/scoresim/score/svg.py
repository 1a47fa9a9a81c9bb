"""A small renderer of the few SVG shapes that verovio draws: glyphs, lines, curves, polygons, rectangles, ellipses.

It draws one system at a time into an 8-bit grey picture, at any size: shapes are kept in the units of the page and
scaled when they are painted. Texts (titles, composers' names, lyrics, instrument names, bar numbers) are not drawn
here: they would tell a reader of the picture what the notes do not say. `texts` draws them where they are asked for.
Measured against general renderers in docs/decisions/0003.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import aggdraw
import numpy as np
from lxml import etree
from numpy.typing import NDArray

SVG = "{http://www.w3.org/2000/svg}"
TSPAN = SVG + "tspan"
SHAPES = {"pa", "us", "po", "re", "el"}  # how the tags of path, use, polygon, polyline, rect and ellipse begin
GLYPHS_KEPT = 4096  # outlines kept in a process
FLAT = 0.5  # units of a font, 250 to a staff space: 0.02 pixels at 10 pixels per staff space
THINNEST = 0.6  # pixels; a thinner line vanishes where it falls between two rows
NUMBER = re.compile(r"-?\d*\.?\d+(?:[eE][-+]?\d+)?")
COMMAND = re.compile(r"([MmLlHhVvCcSsZz])([^MmLlHhVvCcSsZz]*)")
BEND = 24  # pieces of each of the two curves of a slur; 900 systems then have the size they have with finer curves
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
    """One engraved page: the SVG text of its systems and its glyphs.

    Attributes:
        systems: the text of each `g.system` element from top to bottom, from after the "<" of its opening tag on; there
            may be more behind the tag that closes it.
        header: the text of the `g.pgHead` element in the same way, if it has one and was asked for.
        glyphs: "#id" -> glyph.
        origin: the page's margin in units.
    """

    systems: list[str]
    header: str | None
    glyphs: dict[str, Glyph]
    origin: Point


def parse(svg: str, header: bool = False) -> Sheet:
    """Cut the SVG text of a page into its systems, and what stands above them where that is asked for.

    The text comes from verovio, not from outside: its tags are regular, and "<" stands in it only where a tag begins.
    So systems are found by searching, and read by cutting them at every "<" and each tag at its quotes. Over 20 scores
    that and the reading of the tags take a third of the time that an XML parser and a walk over its tree took.

    Raises:
        ValueError: the text does not look like a page drawn by verovio.
    """
    begin = svg.find('<g class="page-margin"')
    if begin < 0:
        raise ValueError("not a page drawn by verovio")
    glyphs = {
        "#" + attributes(group)["id"]: glyph(attributes(tag)["d"])
        for group, tag in itertools.pairwise(svg[:begin].split("<"))
        if tag.startswith("path ") and group.startswith("g id=")
    }
    margin = svg[begin + 1 : svg.find("<", begin + 1)]
    x, y = plain_numbers(attributes(margin).get("transform", "0 0"))[:2]
    systems = _opened(svg, "system", begin)
    headers = _opened(svg, "pgHead", begin) if header else []
    ends = dict(itertools.pairwise(sorted([*systems, *headers, len(svg) + 1])))
    cut = {i: svg[i : ends[i] - 1] for i in ends}
    return Sheet([cut[i] for i in systems], next((cut[i] for i in headers), None), glyphs, (x, y))


def _opened(svg: str, name: str, begin: int) -> list[int]:
    """Places after the "<" where groups of a class open from `begin` on, without those that hold nothing."""
    found = []
    at = svg.find(name, begin)
    while at >= 0:
        start, end = svg.rfind("<", begin, at) + 1, svg.find("<", at)
        tag = svg[start : end if end >= 0 else None]
        if (
            tag.startswith("g ")
            and not tag.rstrip().endswith("/>")
            and name in attributes(tag).get("class", "").split()
        ):
            found.append(start)
        at = svg.find(name, end) if end >= 0 else -1
    return found


def attributes(tag: str) -> dict[str, str]:
    """The attributes of a tag, which is what stands between two "<" of the text; entities in them are not resolved."""
    parts = tag.split('"')
    return {name.rsplit(" ", 1)[-1][:-1]: value for name, value in zip(parts[0::2], parts[1::2], strict=False)}


def skip(left: Iterator[str]) -> None:
    """Move an iterator over tags past the end of the group that is open."""
    depth = 1
    for tag in left:
        start = tag[:2]
        if start == "/g":
            depth -= 1
            if not depth:
                return
        elif start in ("g ", "g>") and not tag.rstrip().endswith("/>"):
            depth += 1


def text_element(tag: str, left: Iterator[str]) -> Any:
    """The XML tree of a `<text>` element from its opening tag and an iterator over the tags after it."""
    tags = [tag]
    while not tags[-1].startswith("/text") and not tag.rstrip().endswith("/>"):
        tags.append(next(left))
    text = "<".join(["", *tags]).rstrip()
    return etree.fromstring(f'<svg xmlns="{SVG[1:-1]}">{text}</svg>'.encode())[0]


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
    return list(map(float, text.translate(BETWEEN).split()))


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
        ends: "Mx0 y0 Lx1 y1" of every line, letters or not; `lines` gives the numbers.
        widths: the width of every line, as it is written.
        polygons: flat lists of points.
        curves: (points [K, 2], stroke width) of filled outlines.
        ellipses: (x0, y0, x1, y1).
    """

    origin: Point
    glyphs: list[tuple[Glyph, float, float, float]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    widths: list[str] = field(default_factory=list)
    polygons: list[list[float]] = field(default_factory=list)
    curves: list[tuple[NDArray[np.float64], float]] = field(default_factory=list)
    ellipses: list[tuple[float, float, float, float]] = field(default_factory=list)

    def add(self, tag: str, glyphs: dict[str, Glyph]) -> None:
        """Add the shape of one tag, as of `attributes`; other tags add nothing."""
        start = tag[:2]
        if start == "pa":
            self._path(tag)
        elif start == "us":
            parts = tag.split('"')
            move = parts[3].split(" ")  # translate(1, 2) scale(0.8, 0.8)
            size = float(move[2][6:-1]) if len(move) > 2 else 1.0
            self.glyphs.append((glyphs[parts[1]], float(move[0][10:-1]), float(move[1][:-1]), size))
        elif start == "po":
            given = attributes(tag)
            if tag.startswith("polygon"):
                self.polygons.append(plain_numbers(given["points"]))
            else:
                self._lines(given["points"], given.get("stroke-width", "0"))
        elif start == "re":
            x, y, w, h = _four(tag, "x", "y", "width", "height")
            self.polygons.append([x, y, x + w, y, x + w, y + h, x, y + h])
        elif start == "el":
            x, y, rx, ry = _four(tag, "cx", "cy", "rx", "ry")
            self.ellipses.append((x - rx, y - ry, x + rx, y + ry))

    def _path(self, tag: str) -> None:
        parts = tag.split('"')
        width = parts[3] if parts[2] == " stroke-width=" else attributes(tag).get("stroke-width", "0")
        if "C" in parts[1]:
            self.curves.append((_outline(parts[1]), float(width)))
        elif parts[1].count(" ") == 3 and " L" in parts[1]:  # M1 2 L3 4
            self.ends.append(parts[1])
            self.widths.append(width)
        else:
            self._lines(parts[1], width)

    def _lines(self, path: str, width: str) -> None:
        numbers = path.translate(BETWEEN).split()
        for i in range(0, len(numbers) - 3, 2):
            self.ends.append(" ".join(numbers[i : i + 4]))
            self.widths.append(width)

    @cached_property
    def lines(self) -> NDArray[np.float64]:
        """[L, 4] x0, y0, x1, y1 of every line, to be asked for when all have been added.

        Three of five shapes are lines: their numbers are read all together.
        """
        return np.array(plain_numbers(" ".join(self.ends))).reshape(-1, 4)

    def reach(self) -> tuple[float, float]:
        """The least and the greatest y at which something is drawn, without the reach of glyphs around their place."""
        ys = [y for _, _, y, _ in self.glyphs]
        ys += [y for _, y0, _, y1 in self.ellipses for y in (y0, y1)]
        for points in self.polygons:
            ys += points[1::2]
        lines = self.lines[:, 1::2]
        for heights in (lines, *(points[:, 1] for points, _ in self.curves)):
            if heights.size:
                ys += [float(heights.min()), float(heights.max())]
        return min(ys, default=float("inf")), max(ys, default=float("-inf"))


def _four(tag: str, *names: str) -> list[float]:
    given = attributes(tag)
    return [float(given[name]) for name in names]


def _slur() -> NDArray[np.float64]:
    """[2 * BEND, 7] what each corner of two joined curves adds to each point on them."""
    t = np.linspace(0, 1, BEND + 1)[:, None]
    basis = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3], axis=1)
    out = np.zeros((2 * BEND, 7))
    out[:BEND, :4], out[BEND:, 3:] = basis[:-1], basis[:-1]
    return out


SLUR = _slur()


def _outline(path: str) -> NDArray[np.float64]:
    """[K, 2] the points of a closed path of absolute M, L and C commands.

    The rasterizer would cut its curves into some ten times as many pieces. Nearly all are slurs: there and back.
    """
    corners = plain_numbers(path)
    if len(corners) == 14 and path.count("C") == 2:
        points: NDArray[np.float64] = SLUR @ np.array(corners).reshape(7, 2)
        return points
    return np.concatenate(_polygons(path))


def paint(drawing: Drawing, k: float, width: int, top: float, height: int) -> NDArray[np.uint8]:
    """Draw the shapes into a grey picture ([height, width], read-only), 255 is paper.

    Args:
        drawing: the shapes.
        k: pixels per unit of the page.
        width: of the picture in pixels.
        top: height of its upper edge on the page, in pixels.
        height: of the picture in pixels.
    """
    canvas = aggdraw.Draw("L", (width, height), 255)
    black = aggdraw.Brush("black")
    (ox, oy), shift = drawing.origin, (np.array(drawing.origin), np.array([0.0, top]))

    def place(points: Any, columns: int) -> list[list[float]]:
        placed = (np.array(points).reshape(-1, 2) + shift[0]) * k - shift[1]
        return placed.reshape(-1, columns).tolist()  # type: ignore[no-any-return]

    pens = {w: aggdraw.Pen("black", max(float(w) * k, THINNEST)) for w in set(drawing.widths)}
    for line, w in zip(place(drawing.lines, 4), drawing.widths, strict=True):
        canvas.line(line, pens[w])
    corners = [v for points in drawing.polygons for v in points]
    flat, begin = place(corners, max(len(corners), 2)), 0
    for points in drawing.polygons:
        canvas.polygon(flat[0][begin : begin + len(points)], black)
        begin += len(points)
    for ellipse in place(drawing.ellipses, 4):
        canvas.ellipse(ellipse, black)
    for outline, stroke in drawing.curves:
        pen = aggdraw.Pen("black", stroke * k) if stroke > 0 else None
        canvas.polygon(place(outline, outline.size)[0], pen, black)
    alike: dict[tuple[Glyph, float], list[float]] = {}
    for shape, x, y, size in drawing.glyphs:
        alike.setdefault((shape, size), []).extend(((x + ox) / size, -(y + oy) / size))
    for (shape, size), places in alike.items():
        canvas.settransform((size * k, 0, 0, 0, -size * k, -top))
        canvas.symbol(places, shape.symbol, None, black)
    return np.frombuffer(canvas.tobytes(), np.uint8).reshape(height, width)
