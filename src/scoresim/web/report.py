"""An analysis -> one page: its answers, the score with the melody in colour, a player and plots.

The browser engraves the score (verovio as WebAssembly) and plays it. A page in a file holds all that it needs and loads
nothing; one that is served links to the files in `static`. Either way no script stands between the tags of the page:
what comes from a file (titles, names, lyrics) is text or data, escaped, and a content security policy says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from scoresim import __version__
from scoresim.files import replacing

if TYPE_CHECKING:
    from scoresim.data.pieces import Sheet
    from scoresim.understand.analysis import Analysis, Answer, NoteAnswers

STATIC = "/static"  # where a server gives the files of `static`
STYLE = "report.css"
SYNTH = "vendor/webaudio-tinysynth.min.js"
SCRIPTS = ("plots.js", "player.js", "report.js")  # in this order
ENGRAVER, VEROVIO = "engraver.js", "vendor/verovio-toolkit-wasm.js.gz"  # both run in a worker
LICENCES = ("NOTICE", "verovio.COPYING.LESSER", "verovio.COPYING", "webaudio-tinysynth.LICENSE")  # in `vendor`
POLICY = (
    "default-src 'none'; script-src {scripts} 'wasm-unsafe-eval'; style-src {style}; img-src data:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'"
)

NEXT_BEST = 3  # classes shown beside an answer
DOUBTFUL = 0.5  # a system that matches with a lower probability is drawn as one that does not
DIGITS = {"seconds": 3, "length": 3, "melody": 3, "loudness": 1, "right_hand": 3}  # decimals in the page
QUESTIONS = {"meter": "Time signature"}
READ_FROM = {"notes": "the notes", "image": "the picture"}
PNG = b"\x89PNG\r\n\x1a\n"


def write_report(path: Path, analysis: Analysis, sheets: Sequence[Sheet], picture: bytes | None = None) -> None:
    """Write the page of an analysis as one file that works without a network.

    Args:
        path: the file, written whole or not at all.
        analysis, sheets, picture: see `report_html`.

    Raises:
        BadInput: the place cannot be written.
        ValueError: the picture is no PNG.
    """
    page = report_html(analysis, sheets, picture)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")  # names of files may be no text


def report_html(analysis: Analysis, sheets: Sequence[Sheet], picture: bytes | None = None, inline: bool = True) -> str:
    """The page of an analysis.

    Args:
        analysis: what is shown.
        sheets: its notes, written down, in their order; none where only a picture was read, or nothing can be engraved.
        picture: the first page of the picture as PNG, in the pixels in which the systems of the match are given.
        inline: whether the page holds styles and scripts, or links to them under `STATIC`. Such a page needs of a
            server's policy: script-src 'self' 'wasm-unsafe-eval', style-src and connect-src 'self', img-src data:,
            worker-src blob:.

    Returns:
        A whole HTML document; the same for the same arguments.

    Raises:
        ValueError: the picture is no PNG.
    """
    title = analysis.title.strip() or (Path(analysis.files[0]).name if analysis.files else "") or "Untitled"
    return _template().render(
        analysis=analysis,
        title=title,
        answers=[_card(answer) for answer in analysis.answers],
        melody=analysis.notes is not None and analysis.notes.melody is not None,
        hands=analysis.notes is not None and analysis.notes.right_hand is not None,
        loudness=_loudness(analysis.notes) if analysis.notes is not None else None,
        engraved=bool(sheets),
        picture=_picture(picture, analysis) if picture is not None else None,
        doubtful=DOUBTFUL,
        read_from=[READ_FROM.get(one, one) for one in analysis.inputs],
        data=data_block(analysis, sheets),
        version=__version__,
        **_assets(inline),
    )


def data_block(analysis: Analysis, sheets: Sequence[Sheet]) -> Markup:
    """What the scripts of the page read, as JSON between two tags `script`: no text in it can end the block.

    Keys: "notes" (None, or arrays of one length N: bar, pitch, velocity, seconds, length, staff, and melody, loudness
    and right_hand, which may be None) and "sheets" (firstBar, mei, and notes: identifier in the MEI -> index into N).
    """
    data = {
        "notes": _columns(analysis.notes) if analysis.notes is not None else None,
        "sheets": [{"firstBar": one.first_bar, "mei": one.mei, "notes": dict(one.note)} for one in sheets],
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # in JSON a "<" stands only within a text


def _columns(notes: NoteAnswers) -> dict[str, list[Any] | None]:
    """Notes as lists of plain numbers."""
    out: dict[str, list[Any] | None] = {
        name: getattr(notes, name).tolist() for name in ("bar", "pitch", "velocity", "staff")
    }
    for name, digits in DIGITS.items():
        values = getattr(notes, name)
        out[name] = None if values is None else [_plain(value, digits) for value in values.tolist()]
    return out


def _plain(value: float, digits: int) -> float:
    """A number that JSON knows; what is none becomes 0."""
    return round(value, digits) if math.isfinite(value) else 0.0


def _card(answer: Answer) -> dict[str, Any]:
    """An answer as the page shows it."""
    others = [(name, share) for name, share in answer.classes.items() if name != answer.answer]
    return {
        "question": QUESTIONS.get(answer.question, answer.question.capitalize()),
        "answer": answer.answer,
        "confidence": answer.confidence,
        "others": others[:NEXT_BEST],
        "inputs": READ_FROM.get(answer.inputs, answer.inputs),
        "learnt_from": answer.learnt_from,
    }


def _loudness(notes: NoteAnswers) -> dict[str, Any] | None:
    """What is to be said of the loudness that was given and predicted."""
    if notes.loudness is None or not len(notes.velocity):
        return None
    given = notes.velocity
    flat = int(given.min()) == int(given.max())
    error = float(abs(notes.loudness - given).mean())
    return {"flat": int(given[0]) if flat else None, "error": error}


def _picture(picture: bytes, analysis: Analysis) -> dict[str, Any]:
    """A page and the boxes of its systems, in its pixels.

    Raises:
        ValueError: it is no PNG.
    """
    if not picture.startswith(PNG) or len(picture) < 24:
        raise ValueError("the picture of a report is a PNG")
    width, height = struct.unpack(">II", picture[16:24])
    systems = analysis.match.systems if analysis.match is not None else ()
    shown = [one for one in systems if one.page == 0]
    boxes = [{"shown": one, "box": [round(value, 1) for value in one.box]} for one in shown]
    data = base64.b64encode(picture).decode("ascii")
    return {"width": width, "height": height, "boxes": boxes, "data": Markup(f"data:image/png;base64,{data}")}


@cache
def _template() -> Template:
    engine = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    engine.filters["percent"] = percent
    text = (files("scoresim.web") / "templates" / "report.html").read_text(encoding="utf-8")
    return engine.from_string(text)


def percent(share: float) -> str:
    """A share of 0 to 1 in words of a page; nothing but 1 is called 100 %."""
    if 0 < share < 0.01:
        return "under 1\N{NO-BREAK SPACE}%"
    if 0.99 < share < 1:
        return "over 99\N{NO-BREAK SPACE}%"
    return f"{share:.0%}".replace("%", "\N{NO-BREAK SPACE}%")


@cache
def _assets(inline: bool) -> Mapping[str, Any]:
    """Styles, scripts and the policy that lets these run and no others."""
    scripts = (SYNTH, *SCRIPTS)
    if not inline:
        return {
            "policy": None,
            "style": f"{STATIC}/{STYLE}",
            "scripts": [f"{STATIC}/{name}" for name in scripts],
            "engraver": f"{STATIC}/{ENGRAVER}",
            "verovio": f"{STATIC}/{VEROVIO}",
            "licences": [(name, f"{STATIC}/vendor/{name}") for name in LICENCES],
            "inline": False,
        }
    style, texts = _text(STYLE), [_text(name) for name in scripts]
    allowed = " ".join(map(_digest, texts))
    packed = base64.b64encode((files("scoresim.web") / "static" / VEROVIO).read_bytes()).decode("ascii")
    return {
        "policy": POLICY.format(scripts=allowed, style=_digest(style)),
        "style": Markup(style),
        "scripts": [Markup(text) for text in texts],
        "engraver": Markup(_text(ENGRAVER)),
        "verovio": Markup(packed),
        "licences": [(name, escape(_text(f"vendor/{name}"))) for name in LICENCES],
        "inline": True,
    }


def _text(name: str) -> str:
    """A file of `static`, to stand between two tags."""
    text = (files("scoresim.web") / "static" / name).read_text(encoding="utf-8")
    if "</script" in text or "</style" in text or "<!--" in text:
        raise ValueError(f"{name} cannot stand in a page: it would end its own block")
    return text


def _digest(text: str) -> str:
    """A text as a content security policy names it."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") + "'"
