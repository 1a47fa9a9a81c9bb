"""The words on a page: read from verovio's SVG, drawn with the fonts that verovio ships, each with its box.

verovio measures words with the widths of Times and ships Liberation Serif, which has the same widths, inside a style
sheet; its music fonts lie beside it. Pillow reads them from there, so no font of the system is needed and the picture
is the same everywhere. Characters that the font lacks are left out of the picture and of the content.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from scoresim.score.svg import SVG, TSPAN, Point

Box = tuple[float, float, float, float]
KINDS = {
    "label": "instrument", "labelAbbr": "instrument", "mNum": "bar number", "verse": "lyric", "syl": "lyric",
    "harm": "harmony", "dir": "direction", "dynam": "dynamics", "tempo": "tempo", "reh": "rehearsal",
    "fing": "fingering",
    "ending": "ending", "tuplet": "tuplet", "pgHead": "header", "octave": "octave", "pedal": "pedal",
}  # fmt: skip
HEADER_KINDS = ("title", "subtitle", "composer", "lyricist", "arranger")
BOLD, ITALIC = {"ending", "fing", "reh", "tempo"}, {"dir", "dynam", "mNum"}  # as verovio's style sheet has it
FACE = re.compile(r"@font-face\s*\{(.*?)\}", re.DOTALL)
DATA = re.compile(r"base64,([A-Za-z0-9+/=]+)")
SMALLEST = 2.0  # pixels; smaller words are specks
MISSING = "\U0010ffff"  # a character that no font has: its picture is the font's sign for "missing"


@dataclass(frozen=True)
class Text:
    """Words on a picture.

    Attributes:
        kind: "title", "subtitle", "composer", "lyricist", "lyric", "tempo", "direction", "dynamics", "bar number",
            "instrument", "fingering", "harmony", "rehearsal", "ending" or "other".
        content: the characters drawn; signs of the music font stand at their SMuFL code points.
        box: x0, y0, x1, y1 around the ink, in pixels.
    """

    kind: str
    content: str
    box: Box


@dataclass(frozen=True)
class Run:
    """Characters of one font: `family` "" is the text font, else a music font; `size` in units of the page."""

    content: str
    size: float
    family: str
    bold: bool
    italic: bool


@dataclass
class Words:
    """Runs that follow each other on one base line from (or around, or up to) a point, in units of the page."""

    kind: str
    x: float
    y: float
    anchor: str
    runs: list[Run] = field(default_factory=list)


@dataclass(frozen=True)
class _Style:
    size: float
    anchor: str
    family: str
    bold: bool
    italic: bool


def words(element: Any, group: str) -> list[Words]:
    """The words of a `<text>` element that stands in a group of class `group`."""
    found: list[Words] = []
    kind = KINDS.get(group, "other")
    _read(element, kind, _Style(0.0, "start", "", group in BOLD, group in ITALIC), found)
    return [w for w in found if w.runs]


def _read(element: Any, kind: str, style: _Style, found: list[Words]) -> None:
    """Walk a text element and its spans; a span with a place of its own begins new words."""
    get = element.get
    style = _Style(
        float((get("font-size") or f"{style.size}px").removesuffix("px")),
        get("text-anchor") or style.anchor,
        style.family if get("font-family") is None else _music_font(get("font-family")),
        style.bold if get("font-weight") is None else get("font-weight") == "bold",
        style.italic if get("font-style") is None else get("font-style") == "italic",
    )
    title = element.find(f"{SVG}title")
    if title is not None and (title.text or "").strip().lower() in HEADER_KINDS:
        kind = title.text.strip().lower()
    if get("x") is not None or not found:
        last = found[-1] if found else None
        x = get("x") or (last.x if last else 0)
        y = get("y") or (last.y if last else 0)
        found.append(Words(kind, float(x), float(y), style.anchor))
    spans = element.findall(TSPAN)
    if not spans and element.text and style.size:
        if not found[-1].runs:
            found[-1].anchor, found[-1].kind = style.anchor, kind
        found[-1].runs.append(Run(element.text, style.size, style.family, style.bold, style.italic))
    for span in spans:
        _read(span, kind, style, found)


def name_header(found: list[Words]) -> None:
    """Say what the words above a score are by their place, as printers have it, where verovio does not.

    In the middle stands the title, what follows there is the subtitle; on the right the composer, on the left the
    author of the words.
    """
    for item in (item for item in found if item.kind == "header"):
        titled = any(other.kind == "title" for other in found)
        centre = "subtitle" if titled else "title"
        item.kind = {"middle": centre, "end": "composer"}.get(item.anchor, "lyricist")


def _music_font(family: str) -> str:
    return family if _style_sheet(family) is not None and family != "Liberation" else ""


def _style_sheet(family: str) -> Path | None:
    import verovio

    path = Path(verovio.__file__).parent / "data" / f"{family}.css"
    return path if family.isalnum() and path.is_file() else None


@lru_cache(16)
def _faces(family: str) -> dict[tuple[bool, bool], bytes]:
    """The fonts inside a style sheet of verovio: (bold, italic) -> the file's bytes."""
    path = _style_sheet(family)
    if path is None:
        raise ValueError(f"verovio ships no font {family}; install the verovio of constraints.txt")
    faces = {}
    for rule in FACE.findall(path.read_text()):
        data = DATA.search(rule)
        if data:
            faces["weight: bold" in rule, "style: italic" in rule] = base64.b64decode(data[1])
    return faces


@lru_cache(256)
def _font(family: str, bold: bool, italic: bool, size: float) -> ImageFont.FreeTypeFont:
    faces = _faces(family or "Liberation")
    face = faces.get((bold, italic)) or faces[False, False]
    return ImageFont.truetype(BytesIO(face), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(4096)
def _has(family: str, bold: bool, italic: bool, character: str) -> bool:
    font = _font(family, bold, italic, 40.0)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask(MISSING))


def write(image: Image.Image, found: list[Words], origin: Point, k: float, top: float) -> list[Text]:
    """Draw words into a grey picture and return them with their boxes.

    Args:
        image: drawn on in place.
        found: the words.
        origin: what to add to their coordinates.
        k: pixels per unit of the page.
        top: height of the picture's upper edge on the page, in pixels.
    """
    pen = ImageDraw.Draw(image)
    written = []
    for item in found:
        parts: list[tuple[str, ImageFont.FreeTypeFont]] = []
        for run in item.runs:
            look = (run.family, run.bold, run.italic)
            content = "".join(c for c in run.content if _has(*look, c))
            if content and run.size * k >= SMALLEST:
                parts.append((content, _font(*look, round(run.size * k, 2))))
        width = sum(font.getlength(content) for content, font in parts)
        share = {"middle": 0.5, "end": 1.0}.get(item.anchor, 0.0)
        x, y = (item.x + origin[0]) * k - share * width, round((item.y + origin[1]) * k - top)
        boxes: list[Box] = []
        for content, font in parts:
            place = (round(x), y)
            pen.text(place, content, fill=0, font=font, anchor="ls")
            box = font.getbbox(content, anchor="ls")
            if content.strip():
                boxes.append((place[0] + box[0], y + box[1], place[0] + box[2], y + box[3]))
            x += font.getlength(content)
        if boxes:
            lefts, tops, rights, bottoms = zip(*boxes, strict=True)
            around = (float(min(lefts)), float(min(tops)), float(max(rights)), float(max(bottoms)))
            written.append(Text(item.kind, "".join(content for content, _ in parts), around))
    return written
