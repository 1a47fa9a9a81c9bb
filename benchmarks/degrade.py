"""How like real scans are the degraded pictures? Simple statistics of clean, scanned and photographed passages.

    python benchmarks/degrade.py --scans ../shared/data/scans [--passages 60] [--pages 60] [--picture docs/images]

Every statistic is taken the same way from every picture: binarize (Otsu's threshold; for uneven light a local one),
measure staff line and staff space from vertical runs, level, find the staves, look inside them. Lengths are in
staff spaces, so that pictures of other resolutions compare. Prints a table (median, and 5th to 95th percentile) and
ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoresim.data.staves import find_staves
from scoresim.score.degrade import degrade
from scoresim.score.engrave import EngraveConfig, Engraving, vary
from scoresim.score.read import read_text
from scoresim.score.system import System

Grey = NDArray[np.uint8]
NAMES = ("line thickness", "stroke width", "ink in staves", "line gaps", "specks", "contrast", "skew")
UNITS = ("space", "space", "share", "share", "per 1000 space^2", "0-1", "degrees")
SPECK = 0.2  # staff spaces: a smaller blot of ink, squared, is a speck
STEEPEST = 3.0  # degrees of skew looked for


def binarized(image: Grey, space: float) -> tuple[Grey, float]:
    """Ink (255) and paper (0), and the contrast between their mean levels (0-1)."""
    level, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    ink = image <= level
    contrast = (image[~ink].mean() - image[ink].mean()) / 255 if ink.any() and not ink.all() else 0.0
    paper = cv2.GaussianBlur(cv2.dilate(image, np.ones((3, 3), np.uint8), iterations=int(space)), (0, 0), space)
    if float(np.percentile(paper, 95)) - float(np.percentile(paper, 5)) > 25:  # light is uneven
        ink = image < paper.astype(np.float32) * (0.5 + 0.5 * float(level) / max(float(np.median(paper)), 1.0))
    return np.where(ink, 255, 0).astype(np.uint8), float(contrast)


def runs(ink: Grey) -> tuple[float, float]:
    """Thickness of a staff line and staff space in pixels: the usual lengths of vertical runs of ink and of paper."""
    flat = np.pad(ink > 0, ((1, 1), (0, 0))).T.ravel()
    ends = np.flatnonzero(np.diff(flat.astype(np.int8)))
    black, white = ends[1::2] - ends[0::2], ends[2::2] - ends[1:-1:2]
    usual = []
    for lengths, least in ((black, 1), (white, 3)):
        counts = np.bincount(lengths[(lengths >= least) & (lengths < 60)], minlength=61)
        mode = int(counts.argmax())
        near = np.arange(max(mode - 1, least), mode + 2)
        usual.append(float((near * counts[near]).sum() / max(counts[near].sum(), 1)))
    return usual[0], usual[0] + usual[1]


def skew(ink: Grey) -> float:
    """Degrees by which the lines of a picture fall to the right: where its rows differ most."""
    blocks = np.array_split(np.arange(ink.shape[1]), 32)
    profile = np.stack([ink[:, block].mean(1) for block in blocks])
    middles = np.array([block.mean() for block in blocks]) - ink.shape[1] / 2
    reach = int(np.tan(np.radians(STEEPEST)) * ink.shape[1] / 2) + 1
    padded = np.pad(profile, ((0, 0), (reach, reach)))

    def sharpness(angle: float) -> float:
        shifts = np.round(np.tan(np.radians(angle)) * middles).astype(int) + reach
        summed = sum(padded[i, s : s + ink.shape[0]] for i, s in enumerate(shifts))
        return float(np.var(summed))

    coarse = _best(np.arange(-STEEPEST, STEEPEST + 0.01, 0.25), sharpness)
    return _best(np.arange(coarse - 0.25, coarse + 0.26, 0.05), sharpness)


def _best(angles: NDArray[np.float64], sharpness: Callable[[float], float]) -> float:
    """The best angle; the middle of them where several are equally good, as on a short picture."""
    values = np.array([sharpness(float(angle)) for angle in angles])
    return float(angles[values >= values.max() - 1e-9].mean())


def statistics(image: Grey, space: float) -> tuple[float, ...] | None:
    """The values of `NAMES`, or None where no staff is found; `space` is roughly known, in pixels."""
    ink, contrast = binarized(image, space)
    guess, (thickness, space) = space, runs(ink)
    if not 0.7 * guess < space < 1.4 * guess:  # so blurred or noisy that the lines were not measured
        return None
    angle = skew(ink)
    height, width = ink.shape
    shear = np.array([[1, 0, 0], [-np.tan(np.radians(angle)), 1, np.tan(np.radians(angle)) * width / 2]])
    level = np.asarray(cv2.warpAffine(ink, shear, (width, height), flags=cv2.INTER_NEAREST), dtype=np.uint8)
    staves = find_staves(level, space)
    if not staves:
        return None
    shares, gaps = [], []
    for staff in staves:
        band = level[max(int(staff.middle - 2.5 * space), 0) : int(staff.middle + 2.5 * space)] > 0
        columns = np.flatnonzero(band.mean(0) > 3 * thickness / (5 * space))
        if len(columns) < 10 * space:
            continue
        left, right = int(columns[0]), int(columns[-1])
        shares.append(float(band[:, left:right].mean()))
        for k in (-2, -1, 0, 1, 2):
            row = staff.middle + k * space
            near = level[max(round(row - 0.3 * space), 0) : round(row + 0.3 * space) + 1, left:right]
            gaps.append(1 - float((near > 0).any(0).mean()))
    if not shares:
        return None
    count, _, found, _ = cv2.connectedComponentsWithStats(ink)
    specks = int((found[1:count, cv2.CC_STAT_AREA] < (SPECK * space) ** 2).sum())
    edges = int((ink != cv2.erode(ink, np.ones((3, 3), np.uint8))).sum())
    return (
        thickness / space,
        2 * float((ink > 0).sum()) / max(edges, 1) / space,
        float(np.mean(shares)),
        float(np.mean(gaps)),
        1000 * specks * space**2 / ink.size,
        contrast,
        angle,
    )


def real_pages(folder: Path, count: int) -> Iterator[tuple[Grey, float]]:
    """Scanned pages of the training part, spread over all of it, with a guess of their staff space."""
    with (folder / "labels.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["split"] == "train"]
    for name in names[:: max(len(names) // count, 1)][:count]:
        image = np.array(Image.open(folder / name).convert("L"))
        yield image, runs(255 - image)[1]


def passages(count: int, varied: bool) -> list[System]:
    """Systems of keyboard music, choir and quartet from music21's corpus, each engraved in its own way."""
    from music21 import corpus

    found: list[System] = []
    paths = [*corpus.getComposer("bach"), *corpus.getComposer("mozart"), *corpus.getComposer("joplin")]
    paths += [*corpus.getComposer("schumann"), *corpus.getComposer("haydn")]
    paths = [p for p in map(Path, paths) if p.suffix == ".mxl"]
    chance = random.Random(0)
    for path in paths[:: max(len(paths) // (count // 2), 1)]:
        engraving = Engraving(read_text(path, "mxl"), vary(chance) if varied else EngraveConfig(), path.name)
        found += [engraving.draw(layout) for layout in engraving.page(0)[:2]]
    return found[:count]


def write_pictures(folder: Path, scans: Path) -> None:
    """Clean, scanned, photographed and a real scan: two pictures for the documentation, palettes of grey."""
    from music21 import corpus

    path = next(p for p in map(Path, corpus.getComposer("mozart")) if p.suffix == ".mxl" and "k156" in str(p))
    engraving = Engraving(read_text(path, "mxl"), EngraveConfig(page_width=46), path.name)
    system = engraving.draw(engraving.page(0)[1], 9.0)
    page, space = next(real_pages(scans, 1))
    tall = system.ink.shape[0]
    real = Image.fromarray(page).resize([round(v * 9.0 / space) for v in page.shape[::-1]], Image.Resampling.LANCZOS)
    left, top = real.width // 14, real.height // 5
    rows = [Image.fromarray(system.ink)]
    rows += [Image.fromarray(degrade(system.ink, 9.0, "scan", seed).image) for seed in (1, 4)]
    rows.append(real.crop((left, top, left + system.ink.shape[1], top + tall)))
    _stack(rows).save(folder / "degrade-scan.png", optimize=True)
    rows = [Image.fromarray(degrade(system.ink, 9.0, "photo", seed).image) for seed in (2, 3)]
    _stack(rows).quantize(24).save(folder / "degrade-photo.png", optimize=True)


def _stack(rows: list[Image.Image]) -> Image.Image:
    whole = Image.new("L", (max(r.width for r in rows), sum(r.height + 12 for r in rows) - 12), 200)
    y = 0
    for row in rows:
        whole.paste(row, (0, y))
        y += row.height + 12
    return whole


def summary(rows: list[tuple[float, ...]]) -> dict[str, list[float]]:
    """Every statistic: median, 5th and 95th percentile."""
    table = np.array(rows)
    return {name: [round(float(v), 4) for v in np.percentile(table[:, i], (50, 5, 95))] for i, name in enumerate(NAMES)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, default=Path("../shared/data/scans"))
    parser.add_argument("--passages", type=int, default=60)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--picture", type=Path, help="a folder: also write the pictures of the documentation")
    options = parser.parse_args()
    systems = passages(options.passages, varied=True)
    measured: dict[str, list[tuple[float, ...] | None]] = {"clean": [statistics(s.ink, s.staff_space) for s in systems]}
    cost = {}
    for kind in ("scan", "photo"):
        begun = time.process_time()
        done = [degrade(s.ink, s.staff_space, kind, seed) for seed, s in enumerate(systems)]
        area = sum(s.ink.size for s in systems) / (800 * 250)
        cost[kind] = round(1000 * (time.process_time() - begun) / area, 1)
        measured[kind] = [statistics(d.image, d.staff_space) for d in done]
    if (options.scans / "labels.csv").is_file():
        measured["real scans"] = [statistics(*page) for page in real_pages(options.scans, options.pages)]
        if options.picture:
            write_pictures(options.picture, options.scans)
    else:
        sys.stderr.write(f"{options.scans} is not there: no real scans to compare with\n")
    kept = {kind: [row for row in rows if row is not None] for kind, rows in measured.items()}
    result = {kind: summary(rows) for kind, rows in kept.items() if rows}
    lines = [f"{'':18}{'':18}" + "".join(f"{kind:>26}" for kind in result)]
    for name, unit in zip(NAMES, UNITS, strict=True):
        cells = (result[kind][name] for kind in result)
        lines.append(f"{name:18}{unit:18}" + "".join(f"{f'{m:.3f} ({a:.3f} to {b:.3f})':>26}" for m, a, b in cells))
    found = {kind: [len(kept[kind]), len(rows)] for kind, rows in measured.items()}
    lines.append(f"{'staves found':36}" + "".join(f"{f'{a} of {b}':>26}" for a, b in found.values()))
    lines.append("ms for 800 x 250 pixels: " + ", ".join(f"{kind} {ms}" for kind, ms in cost.items()))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(json.dumps({"statistics": result, "staves_found": found, "ms_per_800x250": cost}) + "\n")


if __name__ == "__main__":
    main()
