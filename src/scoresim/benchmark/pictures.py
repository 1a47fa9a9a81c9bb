"""Pictures and plots for the report: passages with their boxes, a masked bar with guesses, curves, intervals.

Pictures of music are PNG, plots are SVG with real text, ready to stand inside an HTML page. Nothing here
needs a screen, a network or torch.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scoresim.data.pair import Pair
from scoresim.score.tokens import ATTRIBUTES, FIRST

INK, QUIET, LINE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
BLUE, ORANGE, TINT = "#0b5cad", "#c2410c", "#fde68a"
_TINT = np.array([254, 243, 199]) / 255
PITCH = ATTRIBUTES.index("pitch")
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "G♯", "A", "B♭", "B")

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eeeeee",
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "scoresim",
}


@dataclass(frozen=True, eq=False)
class Guess:
    """What a model said about the hidden pitches of one bar.

    Attributes:
        bar: index of the bar in the passage.
        notes: [K] indices of the bar's notes.
        with_image, without_image: [K] guessed MIDI pitches.
    """

    bar: int
    notes: NDArray[np.int64]
    with_image: NDArray[np.int64]
    without_image: NDArray[np.int64]


def pitch_name(pitch: int) -> str:
    """MIDI pitch as a name: 60 is C4."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def open_image(pair: Pair) -> Image.Image:
    """The passage's picture, 8-bit grey."""
    with Image.open(io.BytesIO(pair.image), formats=["PNG"]) as image:
        return image.convert("L")


def pair_png(pair: Pair, scale: int = 2) -> bytes:
    """The passage with the box of every bar and of every note head, as PNG."""
    page = open_image(pair)
    page = page.resize((page.width * scale, page.height * scale), Image.Resampling.LANCZOS).convert("RGB")
    layer = Image.new("RGBA", page.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for number, box in enumerate(pair.bar_boxes.tolist()):
        corners = [value * scale for value in box]
        fill = (11, 92, 173, 26) if number % 2 else (11, 92, 173, 10)
        draw.rectangle(corners, outline=(11, 92, 173, 200), fill=fill, width=1)
    for head in pair.heads[:, 1:].tolist():
        draw.rectangle([value * scale for value in head], outline=(194, 65, 12, 255), width=1)
    return png_bytes(Image.alpha_composite(page.convert("RGBA"), layer).convert("RGB"))


def masked_png(pair: Pair, guess: Guess) -> bytes:
    """A passage with one bar tinted, and under it the pitches of that bar, true and guessed.

    Both panels share the x axis: a guess stands under its note head.
    """
    page = open_image(pair)
    where = _places(pair)
    pitch = pair.notes[:, PITCH].astype(np.int64) - FIRST
    width = min(max(page.width / 70, 5.0), 8.0)
    top = width * page.height / page.width
    with rc_context(STYLE):
        figure = Figure(figsize=(width, top + 2.6), dpi=150, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[top, 2.4])
        x0, y0, x1, y1 = pair.bar_boxes[guess.bar].tolist()
        tinted = np.repeat(np.asarray(page, dtype=np.float64)[..., None] / 255, 3, axis=2)
        tinted[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] *= _TINT
        upper.imshow(tinted, aspect="auto", interpolation="bilinear")
        upper.set_axis_off()
        lower.axvspan(x0, x1, color=TINT, alpha=0.3, linewidth=0)
        given = np.setdiff1d(np.arange(len(pitch)), guess.notes)
        given = given[pair_systems(pair)[given] == pair_systems(pair)[guess.notes[:1]]]
        lower.plot(where[given], pitch[given], "o", color=LINE, markersize=6, label="given notes")
        _guesses(lower, guess, where[guess.notes], pitch[guess.notes])
        lower.set_xlim(0, page.width)
        lower.tick_params(bottom=False, labelbottom=False)
        lower.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        lower.yaxis.set_major_formatter(lambda value, _: pitch_name(int(value)))
        lower.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=4, fontsize=8, handletextpad=0.3)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def pair_systems(pair: Pair) -> NDArray[np.int64]:
    """[N] system of each note: a bar whose box begins left of the one before it begins a new system."""
    starts = pair.bar_boxes[:, 0]
    system = np.concatenate([[0], np.cumsum(np.diff(starts) < 0)]).astype(np.int64)
    return np.asarray(system[pair.bar_of_note])


def curves_svg(series: Sequence[tuple[str, Sequence[float], Sequence[float]]], y: str, label: str) -> str:
    """Lines over training steps.

    Args:
        series: (name, steps, values) of each line.
        y: what stands on the vertical axis.
        label: of the picture, for those who cannot see it.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.0), layout="constrained")
        axes = figure.subplots()
        shades = (BLUE, ORANGE, "#4d7c0f", "#7e22ce", "#0e7490", "#a16207", "#be123c", "#475569")
        for i, (name, steps, values) in enumerate(series):
            axes.plot(list(steps), list(values), color=shades[i % len(shades)], linewidth=1.4, label=name)
        axes.set_xlabel("step")
        axes.set_ylabel(y)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len(series) > 1:
            axes.legend(fontsize=9, ncols=2)
        return svg_text(figure, label)


def intervals_svg(rows: Sequence[tuple[str, float, float, float]], x: str, label: str) -> str:
    """A dot with its interval for each (name, value, low, high), from top to bottom."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.7 + 0.34 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for i, (_, value, low, high) in enumerate(rows):
            axes.plot([low, high], [i, i], color=BLUE, linewidth=1.6, alpha=0.5, solid_capstyle="butt")
            axes.plot([value], [i], "o", color=BLUE, markersize=6)
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, max(1.0, *(row[3] for row in rows)) if rows else 1)
        axes.set_xlabel(x)
        axes.grid(axis="y", visible=False)
        return svg_text(figure, label)


def _guesses(axes: Axes, guess: Guess, where: NDArray[np.float64], true: NDArray[np.int64]) -> None:
    axes.plot(where, true, "o", mfc="none", mec=INK, mew=1.4, markersize=12, label="true")
    axes.plot(where, guess.without_image, "x", color=ORANGE, markersize=9, mew=1.8, label="without it")
    axes.plot(where, guess.with_image, "o", color=BLUE, markersize=5.5, label="with the image")


def _places(pair: Pair) -> NDArray[np.float64]:
    """[N] x of each note: the middle of its first head, or the middle of its bar."""
    boxes = pair.bar_boxes[pair.bar_of_note]
    where = ((boxes[:, 0] + boxes[:, 2]) / 2).astype(np.float64)
    for token, x0, _, x1, _ in pair.heads[::-1].tolist():
        where[int(token)] = (x0 + x1) / 2
    return where


def svg_text(figure: Figure, label: str) -> str:
    """The figure as an <svg> element for an HTML page: no header, no metadata, no namespace, a label."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = (
        re.sub(r'\s+(xmlns(:\w+)?|width|height|version)="[^"]*"', "", text[: text.index(">")]) + text[text.index(">") :]
    )
    safe = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{safe}"', 1)


def png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
