"""One engraved system: shapes are collected from the tags of a page and painted at any size, boxes moved along."""

from __future__ import annotations

from dataclasses import dataclass
from html import unescape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoresim.score.mei import Reading
from scoresim.score.svg import SHAPES, Drawing, Sheet, attributes, paint, skip, text_element
from scoresim.score.texts import Box, Text, Words, words, write

SPACE = 200  # units of the drawn page per staff space: ten times those of `engrave.UNIT` per half space
HIGHEST = 1000  # staff spaces of a system; verovio 6.4 draws a few brackets at the least integer there is
PAPER = 128  # darker than this is ink
TEXTS = {"label", "labelAbbr", "mNum", "verse", "syl", "harm", "dir", "tempo", "reh", "fing", "pgHead", "pgFoot"}
PLACES = {"measure", "staff", "note", "notehead"}  # groups that boxes are made of


@dataclass(frozen=True)
class Head:
    """A drawn note head: the note's identifier, the box of its ink in pixels, its error of height in staff spaces."""

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
        texts: all words drawn; none unless the configuration asks for them.
    """

    ink: NDArray[np.uint8]
    bars: tuple[BarBox, ...]
    staves: dict[int, Box]
    heads: tuple[Head, ...]
    staff_space: float
    texts: tuple[Text, ...] = ()


class Sketch:
    """Collects the shapes and boxes of one system in units of the page; paints and crops it at any size."""

    def __init__(self, sheet: Sheet, reading: Reading, bars: dict[str, int], texts: bool) -> None:
        self.sheet, self.reading, self.bar_index = sheet, reading, bars
        self.left_out = {"pgFoot", "placeholder"} if texts else {*TEXTS, "placeholder"}
        self.with_texts = texts
        self.drawing = Drawing(sheet.origin)
        self.words: list[Words] = []
        self.bars: list[tuple[int, list[Box]]] = []
        self.staves: dict[int, Box] = {}
        self.heads: list[tuple[str, Box, float, int]] = []  # id, box, height of its centre, bar
        # Where `read` is: the depth of the bar, the staff, the note and the note head, -1 if in none of them.
        self._bar = self._staff = self._note = self._head = -1
        self._number, self._name = 0, ""
        self._lines: list[int] = []
        self._staff_lines: list[tuple[list[Box], int, list[int]]] = []  # boxes of the bar, staff, places of its lines

    def read(self, text: str) -> None:
        """Add all shapes of a group, given by its text; it ends where it is closed, tags after that do not count."""
        drawing, glyphs, left_out = self.drawing, self.sheet.glyphs, self.left_out
        groups: list[str] = []  # classes of the groups around the tag
        left = iter(text.split("<"))
        for tag in left:
            start = tag[:2]
            if start == "/g":
                depth = len(groups)
                groups.pop()
                if depth == 1:
                    return
                if depth == self._head:
                    self._head = -1
                elif depth == self._staff:
                    self._leave_staff()
            elif start == "g ":
                parts = tag.split('"')
                if parts[-1].lstrip()[:1] == "/":
                    continue
                classes = parts[3] if len(parts) > 4 and parts[2] == " class=" else attributes(tag).get("class", "")
                kind, _, others = classes.partition(" ")
                if kind in left_out or (others and "placeholder" in others.split()):
                    skip(left)
                    continue
                groups.append(kind)
                if kind in PLACES:
                    self._enter(classes, unescape(parts[1]), len(groups))
            elif start == "g>":
                groups.append("")
            elif start in SHAPES:
                drawing.add(tag, glyphs)
                depth = len(groups)
                if depth == self._head and start == "us":
                    self._add_head()
                elif depth == self._staff and start == "pa" and "C" not in tag:
                    self._lines.append(len(drawing.ends) - 1)
            elif start == "te" and self.with_texts:
                around = [kind for kind in groups if kind not in ("", "text", "syl")]
                self.words += words(text_element(tag, left), around[-1] if around else "")

    def _enter(self, classes: str, name: str, depth: int) -> None:
        """A bar, a staff, a note or a note head begins."""
        if classes == "staff":
            number = self.reading.staff_number.get(name)
            if number is not None and depth == self._bar + 1:
                self._staff, self._number, self._lines = depth, number, []
        elif classes.startswith("notehead"):
            self._head = depth if depth == self._note + 1 else -1
        elif classes.startswith("note"):
            self._note, self._name = depth, name
        elif classes.startswith("measure"):
            if name not in self.bar_index:
                raise ValueError("a drawn bar is not among the bars")
            self._bar = depth
            self.bars.append((self.bar_index[name], []))

    def _leave_staff(self) -> None:
        """Note which lines are those of a staff of a bar."""
        self._staff_lines.append((self.bars[-1][1], self._number, self._lines))
        self._staff = -1

    def _place_staves(self) -> None:
        """Take the boxes of staves from their lines, once all have been read."""
        ends = self.drawing.lines.tolist() if self._staff_lines else []
        for boxes, number, places in self._staff_lines:
            lines = [ends[i] for i in places if ends[i][1] == ends[i][3]]
            if lines:
                box = _union([(min(x0, x1), y, max(x0, x1), y) for x0, y, x1, _ in lines])
                boxes.append(box)
                known = self.staves.get(number)
                self.staves[number] = _union([box, known]) if known else box
        self._staff_lines = []

    def _add_head(self) -> None:
        """The glyph that was drawn last is the head of the note; a second one is a part of its head."""
        shape, x, y, size = self.drawing.glyphs[-1]
        left, low, right, high = shape.extent
        box = (x + size * left, y - size * high, x + size * right, y - size * low)
        self.heads.append((self._name, box, y, len(self.bars) - 1))
        self._head = self._note = -1

    def finish(self, space: float) -> System:
        """Paint at `space` pixels per staff space, crop to the ink with a margin of one, move all boxes along."""
        self._place_staves()
        if not self.staves:
            raise ValueError("a system has no staff lines")
        k, (ox, oy) = space / SPACE, self.drawing.origin
        ys = [w.y + sign * max(run.size for run in w.runs) for w in self.words for sign in (-1, 1)]
        ys += self.drawing.reach()
        if max(ys) - min(ys) > HIGHEST * SPACE:
            raise ValueError("a shape is drawn far away from the staves")
        top = float(np.floor((min(ys) + oy) * k - 5 * space))
        height = int(np.ceil((max(ys) + oy) * k + 5 * space - top))
        width = int(np.ceil((max(box[2] for box in self.staves.values()) + ox) * k + 3 * space))
        ink, texts = paint(self.drawing, k, width, top, height), list[Text]()
        if self.words:
            image = Image.fromarray(ink)
            texts = write(image, self.words, self.drawing.origin, k, top)
            ink = np.asarray(image)
        rows, columns = np.flatnonzero(ink.min(1) < PAPER), np.flatnonzero(ink.min(0) < PAPER)
        if not len(rows):
            raise ValueError("a system has no ink")
        margin = int(space)
        y0, y1 = max(int(rows[0]) - margin, 0), min(int(rows[-1]) + margin + 1, height)
        x0, x1 = max(int(columns[0]) - margin, 0), min(int(columns[-1]) + margin + 1, width)
        right, bottom = float(x1 - x0), float(y1 - y0)
        left, up = ox * k - x0, oy * k - top - y0

        def cut(boxes: list[Box], scale: float, across: float, down: float) -> list[Box]:
            placed = np.array(boxes).reshape(-1, 4) * scale + np.array([across, down, across, down])
            inside = np.minimum(np.maximum(placed, 0.0), np.array([right, bottom, right, bottom]))
            return [(x_low, y_low, x_high, y_high) for x_low, y_low, x_high, y_high in inside.tolist()]

        bars, heads = self._bar_boxes(), self.heads
        bar_boxes, staff_boxes, head_boxes = (
            cut(boxes, k, left, up)
            for boxes in ([box for _, box in bars], list(self.staves.values()), [box for _, box, _, _ in heads])
        )
        text_boxes = cut([text.box for text in texts], 1.0, -x0, -y0)
        return System(
            ink=np.ascontiguousarray(ink[y0:y1, x0:x1]),
            bars=tuple(BarBox(index, box) for (index, _), box in zip(bars, bar_boxes, strict=True)),
            staves=dict(zip(self.staves, staff_boxes, strict=True)),
            heads=tuple(
                Head(note, box, self._height_error(note, y))
                for (note, _, y, _), box in zip(heads, head_boxes, strict=True)
            ),
            staff_space=space,
            texts=tuple(Text(t.kind, t.content, box) for t, box in zip(texts, text_boxes, strict=True)),
        )

    def _bar_boxes(self) -> list[tuple[int, Box]]:
        """Every bar with its box: from two staff spaces over the staves to two under them, and its note heads."""
        inside: dict[int, list[Box]] = {}
        for _, box, _, bar in self.heads:
            inside.setdefault(bar, []).append(box)
        found = []
        for number, (index, boxes) in enumerate(self.bars):
            frame, heads = _union(boxes or list(self.staves.values())), inside.get(number, [])
            high = min([frame[1] - 2 * SPACE, *(box[1] for box in heads)])
            low = max([frame[3] + 2 * SPACE, *(box[3] for box in heads)])
            found.append((index, (frame[0], high, frame[2], low)))
        return found

    def _height_error(self, note: str, y: float) -> float:
        """How far a head stands from where its pitch does on its staff, in staff spaces; infinite if unknown."""
        staff, position = self.reading.place.get(note, (0, 0))
        if staff not in self.staves:
            return float("inf")
        return (y - (self.staves[staff][3] - position * SPACE / 2)) / SPACE


def _union(boxes: list[Box]) -> Box:
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )
