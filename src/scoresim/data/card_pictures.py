"""Pictures of the data card, as PNG files in memory: distributions before and after harmonization, counts, examples."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoresim.data.card import Balance
from scoresim.data.curate import SPLITS
from scoresim.data.pair import Pair
from scoresim.data.shards import PairSet

BEFORE, AFTER = "#9aa5b1", "#b4481e"
PARTS = {"train": "#33658a", "valid": "#86bbd8", "test": "#f6ae2d"}
UNITS = {
    "density": "notes per quarter note",
    "pitch_range": "range in semitones",
    "variety": "rhythmic variety in bits",
    "level": "complexity, quantile over all styles",
}
EXAMPLES = 4


def draw_card(facts: dict[str, Any], measured: Balance | None, pairs: PairSet) -> dict[str, bytes]:
    """All pictures: file name -> PNG; a picture of which there is no data is left out. Needs matplotlib."""
    drawn = {"passages.png": _passages(facts), "images.png": _images(facts)}
    if measured is not None:
        drawn |= {"styles.png": _styles(measured), "complexity.png": _complexity(measured)}
    if facts["reasons"]:
        drawn["quarantine.png"] = _quarantine(facts)
    examples = _examples(pairs)
    return drawn | ({"examples.png": examples} if examples else {})


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A figure and its axes in one row, without touching the caller's matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})  # the same bytes from the same data
    return buffer.getvalue()


def _rows(n: int, least: float = 2.0) -> float:
    """Height in inches of a chart of n rows."""
    return max(least, 0.9 + 0.3 * n)


def _styles(measured: Balance) -> bytes:
    order = np.argsort(measured.before)
    figure, (ax,) = _figure(7, _rows(len(order)))
    at = np.arange(len(order))
    ax.barh(at + 0.2, 100 * measured.before[order], 0.38, color=BEFORE, label="before (pairs)")
    ax.barh(at - 0.2, 100 * measured.after[order], 0.38, color=AFTER, label="after (drawn)")
    ax.axvline(100 / len(order), color="black", lw=0.8, ls=":", label="uniform")
    ax.set_yticks(at, [measured.names[i] for i in order])
    ax.set_xlabel("share of the training part in percent", fontsize=8)
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return _png(figure)


def _quantiles(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 5, 25, 50, 75 and 95 % quantiles of a weighted sample."""
    order = np.argsort(values)
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return np.interp([0.05, 0.25, 0.5, 0.75, 0.95], share, values[order])


def _complexity(measured: Balance) -> bytes:
    figure, axes = _figure(13, _rows(len(measured.names), 2.6), len(UNITS))
    for ax, (measure, unit) in zip(axes, UNITS.items(), strict=True):
        for row, name in enumerate(reversed(measured.names)):
            mine = measured.style == name
            values = measured.values[measure][mine]
            for shift, weight, colour in (
                (0.17, np.ones(len(values)), BEFORE),
                (-0.17, measured.weight[mine], AFTER),
            ):
                low, left, middle, right, high = _quantiles(values, weight)
                ax.plot([low, high], [row + shift] * 2, color=colour, lw=1)
                ax.plot([left, right], [row + shift] * 2, color=colour, lw=5, solid_capstyle="butt")
                ax.plot([middle], [row + shift], "|", color="black", ms=7)
            before, after = measured.distances[name, measure]
            ax.annotate(
                f"{before:.2f} → {after:.2f}",
                (1.0, row),
                xycoords=("axes fraction", "data"),
                fontsize=7,
                va="center",
                ha="left",
            )
        ax.set_yticks(range(len(measured.names)), list(reversed(measured.names)) if ax is axes[0] else [])
        ax.set_ylim(-0.6, len(measured.names) - 0.4)
        ax.set_xlabel(unit, fontsize=8)
    figure.suptitle(
        "middle half and 5 to 95 % of the passages, before (grey) and after (red); right: distance from the target",
        fontsize=9,
    )
    return _png(figure)


def _passages(facts: dict[str, Any]) -> bytes:
    def total(name: str) -> int:
        return sum(part["pairs"] for part in facts["corpora"][name].values())

    names = sorted(facts["corpora"], key=total)
    figure, (ax,) = _figure(7, _rows(len(names)))
    left = np.zeros(len(names))
    for split in SPLITS:
        counts = np.array([facts["corpora"][name][split]["pairs"] for name in names], float)
        ax.barh(names, counts, left=left, color=PARTS[split], label=split)
        left += counts
    ax.set_xlabel("pairs", fontsize=8)
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return _png(figure)


def _quarantine(facts: dict[str, Any]) -> bytes:
    rows = facts["reasons"][:15][::-1]
    figure, (ax,) = _figure(9, _rows(len(rows)))
    labels = [f"{row['reason'][:80]} ({row['format']})" for row in rows]
    ax.barh(range(len(rows)), [row["items"] for row in rows], color=BEFORE)
    ax.set_yticks(range(len(rows)), labels)
    ax.set_xlabel("items in quarantine", fontsize=8)
    ax.xaxis.get_major_locator().set_params(integer=True)
    return _png(figure)


def _images(facts: dict[str, Any]) -> bytes:
    figure, axes = _figure(10, 2.8, 3)
    titles = {"staff_space": "staff space in pixels", "font": "music font", "degraded": "degradation"}
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        counts = facts["images"][name]
        labels = sorted(counts, key=float) if name == "staff_space" else list(counts)
        total = max(sum(counts.values()), 1)
        ax.bar(range(len(labels)), [100 * counts[label] / total for label in labels], color=PARTS["train"])
        ax.set_xticks(range(len(labels)), labels, rotation=60 if len(labels) > 6 else 0)
        ax.set_title(title, fontsize=9)
        ax.set_ylabel("percent of the pairs", fontsize=8)
    return _png(figure)


def _examples(pairs: PairSet) -> bytes:
    """Some pairs of different styles with the boxes of their bars and note heads; empty where there are no pairs."""
    from matplotlib.patches import Rectangle

    part = next((part for part in map(pairs.split, SPLITS) if len(part)), None)
    if part is None:
        return b""
    first: dict[str, int] = {}
    for i, style in enumerate(part.column("style")):
        first.setdefault(style, i)
    order = list(dict.fromkeys([*first.values(), *range(len(part))]))
    chosen: list[Pair] = [part[i] for i in order[:EXAMPLES]]
    heights = [0.35 + min(9 * pair.height / max(pair.width, 1), 3.5) for pair in chosen]
    figure, _ = _figure(9, sum(heights) + 0.3)
    figure.clear()
    axes = figure.subplots(len(chosen), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, pair in zip(axes, chosen, strict=True):
        with Image.open(io.BytesIO(pair.image)) as image:
            ax.imshow(np.asarray(image.convert("L")), cmap="gray", vmin=0, vmax=255)
        for boxes, colour, width in ((pair.bar_boxes, PARTS["train"], 1.2), (pair.heads[:, 1:], AFTER, 0.8)):
            for x0, y0, x1, y1 in boxes.tolist():
                ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=colour, lw=width))
        ax.set_title(f"{pair.id} ({pair.style})", fontsize=8, loc="left")
        ax.set_axis_off()
    return _png(figure)
