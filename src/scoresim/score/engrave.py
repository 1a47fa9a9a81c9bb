"""Notation -> pictures of its systems, and where each bar, staff and note head stands on them.

verovio lays the music out; from one load come the notes (as MEI) and the pictures (as SVG), joined by identifiers.
Call this in a worker process (see `sandbox`): verovio can abort on a broken file.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scoresim.score.accidentals import draw
from scoresim.score.mei import Reading, read_mei, tree
from scoresim.score.svg import Sheet, parse
from scoresim.score.system import Sketch, System
from scoresim.score.texts import name_header

NOTE = re.compile(r'<g [^<>]*class="note"')  # the tag that opens the group of a note; words hold no "<"
UNIT = 10  # verovio units per half staff space
FONTS = ("Leipzig", "Bravura", "Leland", "Gootville", "Petaluma")  # all that verovio 6.4 ships
# The ranges that `vary` draws from. Lengths are in half staff spaces, verovio's unit, unless stated.
STAFF_SPACES = (6.0, 11.0)  # pixels
PAGE_WIDTHS = (40.0, 70.0)  # staff spaces
STAFF_DISTANCES = (6, 14)
SPACING_LINEAR = (0.18, 0.35)  # share of room that grows with a note's duration
SPACING_NON_LINEAR = (0.5, 0.68)  # exponent with which it grows
STAFF_LINES = (0.12, 0.24)
STEMS = (0.15, 0.32)
BAR_LINES = (0.22, 0.5)
LEDGER_LINES = (0.2, 0.4)
SLURS = (0.4, 0.9)
CONDENSE = ("auto", "none")


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class EngraveConfig:
    """How a score is engraved. Widths of strokes are in half staff spaces."""

    staff_space: float = _setting(8.0, "Pixels between two staff lines.")
    page_width: float = _setting(50.0, "Width of a system in staff spaces.")
    staff_distance: int = _setting(8, "Least gap between staves, in half staff spaces.")
    font: str = _setting("Leipzig", "Music font: Leipzig, Bravura, Leland, Gootville or Petaluma.")
    texts: bool = _setting(False, "Draw titles, names, lyrics and other words, each with its box.")
    spacing_linear: float = _setting(0.25, "How much of a note's room grows with its duration, 0 to 1.")
    spacing_non_linear: float = _setting(0.6, "The exponent with which a note's room grows with its duration, 0 to 1.")
    staff_line: float = _setting(0.15, "Thickness of staff lines, 0.1 to 0.3.")
    stem: float = _setting(0.2, "Thickness of stems, 0.1 to 0.5.")
    bar_line: float = _setting(0.3, "Thickness of bar lines, 0.1 to 0.8.")
    ledger_line: float = _setting(0.25, "Thickness of ledger lines, 0.1 to 0.5.")
    slur: float = _setting(0.6, "Thickness of slurs and ties in their middle, 0.2 to 1.")
    condense: str = _setting("auto", "Leave out the empty staves of large scores: auto or none.")

    def __post_init__(self) -> None:
        """Refuse a font or a size that cannot be drawn, where verovio would silently take another one."""
        if self.font not in FONTS:
            raise ValueError(f"there is no music font {self.font}; choose one of {', '.join(FONTS)}")
        if not 2 <= self.staff_space <= 200:
            raise ValueError(f"a staff space of {self.staff_space} pixels cannot be drawn; choose 2 to 200")

    def options(self) -> dict[str, Any]:
        """The options of verovio."""
        return {
            "unit": UNIT,
            "font": self.font,
            "pageWidth": round(2 * UNIT * (self.page_width + 2)),
            "pageHeight": 12000,
            "pageMarginLeft": 2 * UNIT,
            "pageMarginRight": 2 * UNIT,
            "adjustPageHeight": True,
            "header": "auto" if self.texts else "none",
            "footer": "none",
            "breaks": "auto",
            "systemDivider": "none",
            "condense": self.condense,
            "spacingStaff": self.staff_distance,
            "spacingLinear": self.spacing_linear,
            "spacingNonLinear": self.spacing_non_linear,
            "staffLineWidth": self.staff_line,
            "stemWidth": self.stem,
            "barLineWidth": self.bar_line,
            "ledgerLineThickness": self.ledger_line,
            "slurMidpointThickness": self.slur,
            "tieMidpointThickness": self.slur - 0.1,
            "xmlIdSeed": 1,
            "outputFormatRaw": True,
            "svgFormatRaw": True,
            "svgRemoveXlink": True,
        }


def vary(chance: random.Random) -> EngraveConfig:
    """A way of engraving drawn from the ranges above, every value uniformly and apart from the others.

    Text is off: whether words are drawn is a question of what a picture may tell, not of style.
    """
    return EngraveConfig(
        staff_space=round(chance.uniform(*STAFF_SPACES), 2),
        page_width=round(chance.uniform(*PAGE_WIDTHS), 1),
        staff_distance=chance.randint(*STAFF_DISTANCES),
        font=chance.choice(FONTS),
        spacing_linear=round(chance.uniform(*SPACING_LINEAR), 3),
        spacing_non_linear=round(chance.uniform(*SPACING_NON_LINEAR), 3),
        staff_line=round(chance.uniform(*STAFF_LINES), 3),
        stem=round(chance.uniform(*STEMS), 3),
        bar_line=round(chance.uniform(*BAR_LINES), 3),
        ledger_line=round(chance.uniform(*LEDGER_LINES), 3),
        slur=round(chance.uniform(*SLURS), 3),
        condense=chance.choice(CONDENSE),
    )


@dataclass(eq=False)
class Layout:
    """A system that is laid out but not drawn: its page and its SVG text.

    `header` holds the words above the score, on its first system only; `sketch` the shapes, once it was drawn.
    """

    sheet: Sheet
    text: str
    header: str | None = None
    sketch: Sketch | None = None

    @property
    def heads(self) -> int:
        """How many note heads it has."""
        return len(NOTE.findall(self.text))


class Engraving:
    """A loaded score: its notes, and its systems, laid out and drawn when asked for.

    Who asks for the notes alone does not wait for a layout, nor for accidentals that only a picture needs.

    Attributes:
        reading: the notes, with the identifiers of the picture.
        config: how it is engraved.
        accidentals: how many notes were given the accidental that the text leaves out.
    """

    def __init__(self, text: str, config: EngraveConfig, source: str = "", bar_accidentals: bool = False) -> None:
        """Load a notation text that verovio reads (MusicXML, MEI, kern, ABC).

        Raises:
            ValueError: verovio does not read the text, or there is no music in it.
        """
        import verovio

        verovio.enableLog(verovio.LOG_OFF)
        toolkit = verovio.toolkit()
        toolkit.setOptions(config.options() | {"breaks": "none"})  # not laid out yet: two thirds of the loading time
        if not toolkit.loadData(text):
            raise ValueError("the engraver does not read it; check that it is valid notation")
        mei = toolkit.getMEI({"scoreBased": True})
        self.reading: Reading = read_mei(mei, source, bar_accidentals)
        self.accidentals = len(self.reading.undrawn)
        self._toolkit, self._mei, self.config = toolkit, mei, config
        self._bars = {bar.id: i for i, bar in enumerate(self.reading.score.bars)}

    @cached_property
    def _laid_out(self) -> Any:
        """The engraver, with all accidentals and a layout."""
        if self.reading.undrawn and not self._toolkit.loadData(draw(tree(self._mei), self.reading.undrawn)):
            raise ValueError("the engraver does not read it with the accidentals that it lacks")
        self._toolkit.setOptions({"breaks": self.config.options()["breaks"]})
        self._toolkit.redoLayout()
        return self._toolkit

    @property
    def pages(self) -> int:
        """Number of pages that it is laid out on.

        Raises:
            ValueError: the engraver does not read its own text with the accidentals that it lacked.
        """
        return int(self._laid_out.getPageCount())

    def mei(self) -> str:
        """The score as an MEI text, with the identifiers of the notes of `reading`."""
        return str(self._laid_out.getMEI({"scoreBased": True}))

    def misleads(self, bars: Collection[int]) -> str:
        """Why a picture of some bars would show other notes than theirs; "" where it does not.

        Args:
            bars: indices of consecutive bars.
        """
        if self.reading.contradicted.intersection(bars):
            return "an accidental is not drawn or contradicts its note"
        if min(bars) in self.reading.carried:
            return "a tie from the bar before hides an accidental"
        return ""

    def page(self, number: int) -> list[Layout]:
        """Lay out one page, counted from 0, and return its systems, not yet drawn."""
        sheet = parse(self._laid_out.renderToSVG(number + 1), header=number == 0 and self.config.texts)
        layouts = [Layout(sheet, text) for text in sheet.systems]
        if layouts:
            layouts[0].header = sheet.header
        return layouts

    def bars(self, layout: Layout) -> list[int]:
        """Indices of the bars on a system from `page`, from left to right; nothing is drawn for that.

        Raises:
            ValueError: there is none, or one that is not among the bars of the score.
        """
        found = [index for index, _ in self._sketch(layout).bars]
        if not found:
            raise ValueError("a system has no bars")
        return found

    def draw(self, layout: Layout, staff_space: float | None = None) -> System:
        """Draw one system.

        Args:
            layout: from `page` of this engraving.
            staff_space: pixels between two staff lines; as in the configuration if it is not given. The shapes are
                drawn at that size, no picture is resized.

        Raises:
            ValueError: a bar or staff on it is not one of the score, or it has no staff lines.
        """
        return self._sketch(layout).finish(staff_space or self.config.staff_space)

    def _sketch(self, layout: Layout) -> Sketch:
        """The shapes of a system, read when they are first asked for."""
        if layout.sketch is None:
            sketch = Sketch(layout.sheet, self.reading, self._bars, self.config.texts)
            if layout.header is not None:
                sketch.read(layout.header)
                name_header(sketch.words)
            sketch.read(layout.text)
            layout.sketch = sketch
        return layout.sketch
