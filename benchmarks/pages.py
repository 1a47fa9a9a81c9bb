"""How well are the systems of real scanned pages found, as they are, turned, and made to look photographed?

    python benchmarks/pages.py SCANS [--photo] [--every N] [--truth tests/fixtures/scan_systems.csv]

SCANS holds folders of scanned pages of piano music (PNG). TRUTH lists where every system stands on some of them, looked
at one by one. A system is right where a box found covers it, and it the box, to 60 % of their union; a box that is
right for none is false. Of all pages, checked or not: the share of systems that have two staves, the share in which
`find_staves` sees the same staves again, and, for changed pages, whether the systems of the page as it was are found
where the change moved them. Times are seconds of one core. Prints a table and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scoresim.data.page import PageSystem, open_pages, systems_of
from scoresim.data.staves import find_staves
from scoresim.errors import BadInput
from scoresim.score.degrade import degrade
from scoresim.score.warp import Warp

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]
Move = Callable[[Any], Any]
SAME = 0.6  # of the union of two boxes
PRINTED = 11.5  # pixels between the staff lines of the scans, about: what a photograph's amounts are measured by
TURNS = 1.0, 3.0  # degrees


def turned(page: Grey, number: int) -> tuple[Grey, Move]:
    """A page laid askew on the glass."""
    chance = np.random.default_rng([1, number])
    degrees = float(chance.uniform(*TURNS) * chance.choice((-1, 1)))
    warp = Warp.turned(*page.shape, 10, degrees)
    return warp.apply(page), warp.move


def photographed(page: Grey, number: int) -> tuple[Grey, Move]:
    """A page in the hand."""
    done = degrade(page, PRINTED, "photo", number)
    return done.image, done.move


def both(page: Grey, number: int) -> tuple[Grey, Move]:
    """A page held askew."""
    askew, first = turned(page, number)
    photo, second = photographed(askew, number)
    return photo, lambda boxes: second(first(boxes))


def on_a_table(page: Grey, number: int) -> tuple[Grey, Move]:
    """A page on a dark table, seen from the side and turned, its paper curved, in light that falls off."""
    chance = np.random.default_rng([2, number])
    height, width = page.shape
    above, under, left, right = chance.integers(60, 400, 4)
    size = (int(width + left + right), int(height + above + under))
    table = 40 + cv2.resize(chance.normal(0, 25, (40, 40)), size)
    table[above : above + height, left : left + width] = 30 + 0.8 * cv2.GaussianBlur(page, (0, 0), 1.2)
    shift = chance.uniform(-0.06, 0.06, (4, 2)) * width
    side = Warp.curved(*table.shape, 0, shift, float(chance.uniform(-30, 30)), float(chance.uniform(-0.1, 0.1)))
    photo = side.apply(np.clip(table, 0, 255).astype(np.uint8)) * np.linspace(1, 0.5, side.size[1])
    photo = photo * np.linspace(0.8, 1, side.size[0])[:, None] + chance.normal(0, 7, photo.shape)
    turn = Warp.turned(*photo.shape, 0, float(chance.uniform(-4, 4)))
    stored = cv2.imencode(".jpg", np.clip(photo, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    image = turn.apply(np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), dtype=np.uint8))
    return image, lambda boxes: turn.move(side.move(boxes + np.array([left, above, left, above])))


LOOKS: dict[str, Callable[[Grey, int], tuple[Grey, Move]]] = {
    "as scanned": lambda page, _: (page, lambda boxes: boxes),
    "turned": turned,
    "photographed": photographed,
    "turned, photographed": both,
    "on a table": on_a_table,
}


def overlap(one: Floats, other: Floats) -> Floats:
    """[K, M] shared area of boxes, [K, 4] and [M, 4], as a share of their union."""
    low, high = np.maximum(one[:, None, :2], other[None, :, :2]), np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    area = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    out: Floats = shared / (area[0][:, None] + area[1][None] - shared)
    return out


def seen_again(system: PageSystem) -> bool:
    """Does the reader of passages see the same staves, as one system?"""
    staves = find_staves(system.image, system.space)
    return len(staves) == system.staves and staves[-1].system == 0


def compared(found: Floats, true: Floats) -> tuple[int, int, int]:
    """Systems, right ones among them, and false boxes."""
    same = overlap(true, found) >= SAME
    return len(true), int(same.any(axis=1).sum()), int((~same.any(axis=0)).sum())


def boxes_of(systems: list[PageSystem]) -> Floats:
    return np.array([system.box for system in systems], dtype=np.float64).reshape(-1, 4)


def read(page: Grey) -> list[PageSystem]:
    try:
        return systems_of(page)
    except BadInput:
        return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=Path)
    parser.add_argument("--photo", action="store_true", help="also turned by 1 to 3 degrees, photographed, on a table")
    parser.add_argument("--every", type=int, default=1, help="of the pages that are not in TRUTH, every so many")
    parser.add_argument("--truth", type=Path, default=Path(__file__).parent.parent / "tests/fixtures/scan_systems.csv")
    args = parser.parse_args()
    true: dict[str, list[list[float]]] = defaultdict(list)
    with args.truth.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            true[line["file"]].append([float(line[name]) for name in ("x0", "y0", "x1", "y1")])
    files = sorted(path.relative_to(args.scans).as_posix() for path in args.scans.rglob("*.png"))
    others = [name for name in files if name not in true][:: args.every]
    files = [name for name in files if name in true or name in set(others)]
    if not files:
        print(f"There are no pages in {args.scans}.", file=sys.stderr)
        return 2
    looks = list(LOOKS) if args.photo else list(LOOKS)[:1]
    counts: dict[str, Counter[str]] = {look: Counter() for look in looks}
    for number, name in enumerate(files):
        page = open_pages(args.scans / name)[0]
        before = read(page)
        for look in looks:
            count = counts[look]
            changed, move = LOOKS[look](page, number)
            start = time.process_time()
            systems = read(changed)
            count["seconds"] += time.process_time() - start  # type: ignore[assignment]
            count["pages"] += 1
            count["systems"] += len(systems)
            count["two staves"] += sum(system.staves == 2 for system in systems)
            count["seen again"] += sum(map(seen_again, systems))
            for kind, boxes in (("checked", np.array(true.get(name, ())).reshape(-1, 4)), ("before", boxes_of(before))):
                if kind == "before" or name in true:
                    all_, right, false = compared(boxes_of(systems), move(boxes))
                    count[f"{kind} pages"] += 1
                    count[f"{kind} systems"] += all_
                    count[f"{kind} right"] += right
                    count[f"{kind} false"] += false
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(files)}", end="", file=sys.stderr)
    rows = []
    print(f"{'look':21} {'checked: right':>19} {'false':>5} {'as before: right':>22} {'false':>5}", end=" ")
    print(f"{'systems':>7} {'two staves':>10} {'seen again':>10} {'s/page':>6}")
    for look, count in counts.items():
        row = {"look": look, **{key: round(value, 3) for key, value in count.items()}}
        rows.append(row)
        shares = [f"{count[k + ' right']}/{count[k + ' systems']}" for k in ("checked", "before")]
        parts = [count[k + " right"] / max(count[k + " systems"], 1) for k in ("checked", "before")]
        print(f"{look:21} {shares[0]:>11} {parts[0]:7.2%} {count['checked false']:5}", end=" ")
        print(f"{shares[1]:>14} {parts[1]:7.2%} {count['before false']:5} {count['systems']:7}", end=" ")
        two, again = (count[key] / max(count["systems"], 1) for key in ("two staves", "seen again"))
        print(f"{two:10.2%} {again:10.2%} {count['seconds'] / count['pages']:6.2f}")
    print(json.dumps({"benchmark": "pages", "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
