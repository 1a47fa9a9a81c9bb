"""Notation -> pictures of its systems, and where each bar, staff and note head stands on them.

verovio lays the music out; from one load come the notes (as MEI) and the pictures (as SVG), joined by identifiers.
Call this in a worker process (see `sandbox`): verovio can abort on a broken file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.score.mei import Reading, read_mei
from scoresim.score.svg import HREF, SVG, Drawing, Sheet, add_shape, numbers, paint, parse

Box = tuple[float, float, float, float]
UNIT = 10  # verovio units per half staff space
TEXTS = {"label", "labelAbbr", "mNum", "verse", "harm", "dir", "tempo", "reh", "fing", "pgHead", "pgFoot"}
HEAD_WIDTH = {"E0A0": 2.4, "E0A1": 2.4, "E0A2": 1.69}  # staff spaces; all other heads 1.18 (SMuFL, Leipzig)


@dataclass(frozen=True)
class EngraveConfig:
    """How a score is engraved."""

    staff_space: float = field(default=8.0, metadata={"help": "Pixels between two staff lines."})
    page_width: float = field(default=50.0, metadata={"help": "Width of a system in staff spaces."})
    staff_distance: int = field(default=8, metadata={"help": "Least gap between staves, in half staff spaces."})


@dataclass(frozen=True)
class Head:
    """A drawn note head: the note's identifier, its box in pixels, and its error of height in staff spaces."""

    id: str
    box: Box
    height_error: float


@dataclass(frozen=True)
class BarBox:
    """A bar on a system: its index in the score and its box over all staves, in pixels."""

    index: int
    box: Box


@dataclass(frozen=True, eq=False)
class System:
    """One line of music across its staves.

    Attributes:
        ink: [height, width] grey picture, 255 is paper.
        bars: its bars from left to right.
        staves: staff number -> box of its five lines over the whole system, in pixels.
        heads: all drawn note heads.
        staff_space: pixels between two staff lines.
    """

    ink: NDArray[np.uint8]
    bars: tuple[BarBox, ...]
    staves: dict[int, Box]
    heads: tuple[Head, ...]
    staff_space: float


@dataclass(frozen=True, eq=False)
class Layout:
    """A system that is laid out but not drawn: its page, its SVG element, its number of note heads."""

    sheet: Sheet
    element: Any
    heads: int


class Engraving:
    """A loaded and laid-out score: its notes, and its systems, drawn when asked for.

    Attributes:
        reading: the notes, with the identifiers of the picture.
        pages: number of pages it is laid out on.
    """

    def __init__(self, text: str, config: EngraveConfig, source: str = "", bar_accidentals: bool = False) -> None:
        """Load a notation text that verovio reads (MusicXML, MEI, kern, ABC).

        Raises:
            ValueError: verovio does not read the text, or there is no music in it.
        """
        import verovio

        verovio.enableLog(verovio.LOG_OFF)
        toolkit = verovio.toolkit()
        toolkit.setOptions(
            {
                "unit": UNIT,
                "scale": 100 * config.staff_space / (2 * UNIT),
                "pageWidth": round(2 * UNIT * (config.page_width + 2)),
                "pageHeight": 12000,
                "pageMarginLeft": 2 * UNIT,
                "pageMarginRight": 2 * UNIT,
                "adjustPageHeight": True,
                "header": "none",
                "footer": "none",
                "breaks": "auto",
                "spacingStaff": config.staff_distance,
                "xmlIdSeed": 1,
            }
        )
        if not toolkit.loadData(text):
            raise ValueError("the engraver does not read it; check that it is valid notation")
        self.reading: Reading = read_mei(toolkit.getMEI({"scoreBased": True}), source, bar_accidentals)
        self._toolkit, self._config = toolkit, config
        self._bars = {bar.id: i for i, bar in enumerate(self.reading.score.bars)}
        self.pages = int(toolkit.getPageCount())

    def page(self, number: int) -> list[Layout]:
        """Lay out one page, counted from 0, and return its systems, not yet drawn."""
        sheet = parse(self._toolkit.renderToSVG(number + 1))
        return [Layout(sheet, system, _count_notes(system)) for system in sheet.systems]

    def draw(self, layout: Layout) -> System:
        """Draw one system.

        Raises:
            ValueError: a bar or staff on it is not one of the score, or it has no staff lines.
        """
        sketch = _Sketch(layout.sheet, self._config.staff_space, self.reading, self._bars)
        sketch.walk(layout.element)
        return sketch.finish()


def _count_notes(system: Any) -> int:
    return sum(1 for group in system.iter(f"{SVG}g") if group.get("class") == "note")


class _Sketch:
    """Collects the shapes and boxes of one system in page pixels, then paints and crops it."""

    def __init__(self, sheet: Sheet, space: float, reading: Reading, bars: dict[str, int]) -> None:
        self.sheet, self.space, self.reading, self.bar_index = sheet, space, reading, bars
        self.drawing = Drawing()
        self.bars: list[tuple[int, list[Box]]] = []
        self.staves: dict[int, Box] = {}
        self.lines: dict[int, Box] = {}  # staff number -> box of its lines in the current bar
        self.heads: list[tuple[str, Box, float, int]] = []  # id, box, height of its centre, bar

    def walk(self, element: Any) -> None:
        """Add an SVG element and everything in it."""
        if element.tag != f"{SVG}g":
            add_shape(self.drawing, element, self.sheet)
            return
        classes = (element.get("class") or "").split()
        kind = classes[0] if classes else ""
        if kind in TEXTS or "placeholder" in classes:
            return
        if kind == "measure":
            self._measure(element)
        elif kind == "note":
            self._note(element)
        for child in element:
            self.walk(child)

    def _measure(self, element: Any) -> None:
        if element.get("id") not in self.bar_index:
            raise ValueError("a drawn bar is not among the bars")
        self.lines = {}
        for staff in element.iterfind(f"{SVG}g"):
            number = self.reading.staff_number.get(staff.get("id", ""))
            if number is None or staff.get("class") != "staff":
                continue
            box = self._five_lines(staff)
            if box is not None:
                self.lines[number] = box
                self.staves[number] = _union([box, *([self.staves[number]] if number in self.staves else [])])
        self.bars.append((self.bar_index[element.get("id")], list(self.lines.values())))

    def _five_lines(self, staff: Any) -> Box | None:
        paths = [numbers(p.get("d")) for p in staff.iterfind(f"{SVG}path")]
        lines = [p for p in paths if len(p) == 4 and p[1] == p[3]]
        if not lines:
            return None
        k, (ox, oy) = self.sheet.scale, self.sheet.origin
        xs, ys = [x for p in lines for x in p[0::2]], [p[1] for p in lines]
        return (min(xs) + ox) * k, (min(ys) + oy) * k, (max(xs) + ox) * k, (max(ys) + oy) * k

    def _note(self, element: Any) -> None:
        k, (ox, oy) = self.sheet.scale, self.sheet.origin
        for child in element.iterfind(f"{SVG}g"):
            use = child.find(f"{SVG}use") if "notehead" in (child.get("class") or "").split() else None
            if use is None:
                continue
            move = numbers(use.get("transform"))
            x, y = (move[0] + ox) * k, (move[1] + oy) * k
            size = self.space * (move[2] if len(move) > 2 else 1.0) / (0.08 * UNIT)
            width = HEAD_WIDTH.get(use.get(HREF)[1:5], 1.18) * size
            box = (x, y - size / 2, x + width, y + size / 2)
            self.heads.append((element.get("id"), box, y, len(self.bars) - 1))
            return

    def finish(self) -> System:
        """Paint, crop to the ink with a margin of one staff space, and move all boxes along."""
        if not self.staves:
            raise ValueError("a system has no staff lines")
        space = self.space
        top = np.floor(self.drawing.highest - 5 * space)
        height = int(np.ceil(self.drawing.lowest + 5 * space - top))
        width = int(np.ceil(max(box[2] for box in self.staves.values()) + 3 * space))
        ink = paint(self.drawing, self.sheet, width, top, height)
        margin = int(space)
        if not (ink < 128).any():
            raise ValueError("a system has no ink")
        rows, columns = np.flatnonzero((ink < 128).any(1)), np.flatnonzero((ink < 128).any(0))
        y0, y1 = max(rows[0] - margin, 0), min(rows[-1] + margin + 1, height)
        x0, x1 = max(columns[0] - margin, 0), min(columns[-1] + margin + 1, width)

        def moved(box: Box) -> Box:
            x, y = (np.clip((box[0] - x0, box[2] - x0), 0, x1 - x0), np.clip((box[1], box[3]) - top - y0, 0, y1 - y0))
            return float(x[0]), float(y[0]), float(x[1]), float(y[1])

        bars = []
        for number, (index, boxes) in enumerate(self.bars):
            inside = [box for _, box, _, bar in self.heads if bar == number]
            frame = _union(boxes or list(self.staves.values()))
            high = min([frame[1] - 2 * space, *(box[1] for box in inside)])
            low = max([frame[3] + 2 * space, *(box[3] for box in inside)])
            bars.append(BarBox(index, moved((frame[0], high, frame[2], low))))
        heads = tuple(Head(note, moved(box), self._height_error(note, y)) for note, box, y, _ in self.heads)
        staves = {number: moved(box) for number, box in self.staves.items()}
        return System(np.ascontiguousarray(ink[y0:y1, x0:x1]), tuple(bars), staves, heads, space)

    def _height_error(self, note: str, y: float) -> float:
        """How far a head stands from where its pitch does on its staff, in staff spaces; infinite if unknown."""
        staff, position = self.reading.place.get(note, (0, 0))
        if staff not in self.staves:
            return float("inf")
        return (y - (self.staves[staff][3] - position * self.space / 2)) / self.space


def _union(boxes: list[Box]) -> Box:
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )
