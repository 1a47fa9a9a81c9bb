"""Pictures of what a trained head says: what is taken for what, how sure it is when right, notes on their score."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import BINS, Floats, Ints
from scoresim.benchmark.pictures import BLUE, INK, LINE, STYLE, png_bytes, svg_text
from scoresim.benchmark.task import Answers
from scoresim.data.pieces import Piece
from scoresim.files import read_json, replacing, write_json

COLOURS = ("#c2410c", "#0b5cad", "#8a8a8a", "#15803d", "#7e22ce", "#a16207")  # of classes on a score, in their order
LINES = 4  # of a score that is shown
MOST_NAMED = 24  # classes whose names stand beside a table


def draw_task(
    folder: Path, name: str, answers: Answers, classes: Sequence[str], pieces: Sequence[Piece]
) -> list[dict[str, str]]:
    """Write pictures of answers: confusion, reliability, classes; the best and the worst piece, note by note.

    Args:
        folder: where they go.
        name: of the task; the names of the files begin with it.
        answers: of the test part.
        classes: names of the classes.
        pieces: of the test part; drawn where their notes are asked and their lines engraved.

    Returns:
        For the report: "kind", "file" and "caption" of each.
    """
    pictures = {
        "confusion": (confusion_svg(answers, classes), "share of each true class that was called each class"),
        "reliability": (reliability_svg(answers), "how often an answer is right, by the probability it was given"),
        "classes": (classes_svg(answers, classes), "F1 of every class, with its number of items"),
    }
    made = [
        _write(folder / f"{name}-{kind}.svg", standalone(text), f"{name}: {caption}.")
        for kind, (text, caption) in pictures.items()
    ]
    notes_asked = answers.piece is not None and len(answers.truth) == sum(len(piece) for piece in pieces)
    if notes_asked and any(piece.lines for piece in pieces):
        for kind, i in zip(("best", "worst"), good_and_bad(answers, pieces), strict=True):
            mine = answers.piece == i
            drawn = notes_png(pieces[i], answers.scores[mine].astype(np.float64), answers.truth[mine], classes)
            share = float((answers.predicted == answers.truth)[mine].mean())
            caption = f"{name}: the {kind} test piece, {100 * share:.1f} % of its notes right; "
            caption += "colours are what was said, frames the truth where it is another."
            made.append(_write(folder / f"{name}-{kind}.png", drawn, caption))
    return made


def standalone(text: str) -> bytes:
    """An <svg> element as a file of its own."""
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return text.replace("<svg", f"<svg {spaces}", 1).encode()


def _write(path: Path, content: bytes, caption: str) -> dict[str, str]:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return {"kind": "task", "file": path.name, "caption": caption}


def confusion_svg(answers: Answers, classes: Sequence[str]) -> str:
    """Share of the items of each true class that were called each class."""
    table = metrics.confusion(answers.truth, answers.predicted, len(classes)).sum(0)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    size = 2.0 + 0.32 * min(len(classes), 40)
    with rc_context(STYLE):
        figure = Figure(figsize=(size + 1.2, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.grid(False)
        axes.set_xlabel("said")
        axes.set_ylabel("true")
        if len(classes) <= MOST_NAMED:
            axes.set_xticks(range(len(classes)), classes, rotation=90)
            axes.set_yticks(range(len(classes)), classes)
        if len(classes) <= 9:
            for true, row in enumerate(share):
                for said, value in enumerate(row):
                    colour = "white" if value > 0.5 else INK
                    axes.text(said, true, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=colour)
        return svg_text(figure, "Share of each true class that was called each class, in percent")


def confidence(answers: Answers) -> tuple[Floats, Ints]:
    """[M] probability of what was said, and [M] 1 where it is right, of the items that count."""
    counted = answers.truth >= 0
    scores = answers.scores[counted].astype(np.float64)
    chance = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    return chance.max(1), (scores.argmax(1) == answers.truth[counted]).astype(np.int64)


def reliability_svg(answers: Answers) -> str:
    """Share of right answers by how sure the head was; on the diagonal it is as often right as it says."""
    sure, right = confidence(answers)
    at = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(at, minlength=BINS)
    filled = np.flatnonzero(count)
    mean = np.bincount(at, weights=sure, minlength=BINS)[filled] / count[filled]
    hits = np.bincount(at, weights=right, minlength=BINS)[filled] / count[filled]
    with rc_context(STYLE):
        figure = Figure(figsize=(4.0, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        axes.bar(
            (filled + 0.5) / BINS, count[filled] / count.sum(), width=0.9 / BINS, color=LINE, label="share of items"
        )
        axes.plot(
            mean,
            hits,
            marker="o",
            color=BLUE,
            label=f"right (calibration error {metrics.calibration_error(sure, right):.3f})",
        )
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("share right")
        axes.legend(loc="upper left", fontsize=8)
        return svg_text(figure, "Share of right answers by the probability that was given")


def classes_svg(answers: Answers, classes: Sequence[str]) -> str:
    """F1 of every class."""
    table = metrics.confusion(answers.truth, answers.predicted, len(classes)).sum(0)
    values = metrics.f1_per_class(table)
    count = table.sum(1).astype(int)
    with rc_context(STYLE):
        figure = Figure(figsize=(5.0, 0.9 + 0.24 * len(classes)), layout="constrained")
        axes = figure.subplots()
        axes.barh(range(len(classes)), values, color=BLUE, height=0.6)
        axes.set_yticks(range(len(classes)), [f"{name} ({n})" for name, n in zip(classes, count, strict=True)])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("F1")
        return svg_text(figure, "F1 of every class; in brackets the number of items")


def notes_png(piece: Piece, scores: Floats, truth: Ints, classes: Sequence[str], scale: int = 2) -> bytes:
    """The first lines of a piece with every note in the colour of its class; wrong ones are framed by the true colour.

    Args:
        piece: with engraved lines.
        scores: [N, C] log-probabilities of its notes; a sure answer is drawn darker.
        truth: [N] classes, below 0 for none.
        classes: names, for the key.
        scale: pixels of the picture per pixel of the lines.
    """
    chance = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    said = scores.argmax(1)
    strips = []
    for line in piece.lines[:LINES]:
        with Image.open(io.BytesIO(line.image), formats=["PNG"]) as opened:
            page = opened.convert("RGB").resize((line.width * scale, line.height * scale), Image.Resampling.LANCZOS)
        draw = ImageDraw.Draw(page, "RGBA")
        for number, *box in line.heads.tolist():
            n, (x0, y0, x1, y1) = int(number), (scale * value for value in box)
            colour = _rgb(COLOURS[said[n] % len(COLOURS)])
            draw.ellipse((x0, y0, x1, y1), fill=(*colour, int(90 + 165 * chance[n].max())))
            if truth[n] >= 0 and truth[n] != said[n]:
                frame = (x0 - 4, y0 - 4, x1 + 4, y1 + 4)
                draw.rectangle(frame, outline=(*_rgb(COLOURS[truth[n] % len(COLOURS)]), 255), width=2)
        strips.append(page)
    strips.append(_key(classes, scale))
    whole = Image.new("RGB", (max(s.width for s in strips), sum(s.height for s in strips)), "white")
    top = 0
    for strip in strips:
        whole.paste(strip, (0, top))
        top += strip.height
    return png_bytes(whole)


def good_and_bad(answers: Answers, pieces: Sequence[Piece]) -> tuple[int, int]:
    """Indices of the pieces with engraved lines whose notes were answered best and worst."""
    right = (answers.predicted == answers.truth) & (answers.truth >= 0)
    assert answers.piece is not None
    share = np.bincount(answers.piece, weights=right) / np.maximum(np.bincount(answers.piece), 1)
    shown = [i for i, piece in enumerate(pieces) if piece.lines]
    return max(shown, key=lambda i: share[i]), min(shown, key=lambda i: share[i])


def _key(classes: Sequence[str], scale: int) -> Image.Image:
    image = Image.new("RGB", (130 * scale * len(classes), 22 * scale), "white")
    draw = ImageDraw.Draw(image)
    for i, name in enumerate(classes):
        x = (10 + 130 * i) * scale
        draw.ellipse((x, 6 * scale, x + 10 * scale, 16 * scale), fill=COLOURS[i % len(COLOURS)])
        draw.text((x + 16 * scale, 4 * scale), name, fill=INK, font_size=11 * scale)
    return image


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def add_pictures(folder: Path, pictures: list[dict[str, str]]) -> None:
    """Add pictures to the list that the report reads; of one file only the last."""
    listed = folder / "pictures.json"
    before = read_json(listed) if listed.is_file() else []
    names = {picture["file"] for picture in pictures}
    write_json(listed, [picture for picture in before if picture["file"] not in names] + pictures)
