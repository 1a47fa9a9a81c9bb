"""Which works go into the set, and into which part of it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence

from scoresim.data.corpora import Item

SPLITS = ("train", "valid", "test")


def seeded(seed: int, *names: object) -> random.Random:
    """A random generator that depends on the seed and the names only, on every machine."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def limit_works(items: Iterable[Item], limit: int | None, max_items: int | None, seed: int) -> list[Item]:
    """At most `limit` works of every style and `max_items` items of a work, by the seed; the order is kept.

    Args:
        items: all items of the set.
        limit: works per style, or None for all.
        max_items: files or tunes per work (a mass has many movements), or None for all.
        seed: decides the choice.
    """
    items = list(items)
    if limit is not None:
        kept: set[str] = set()
        for style, works in works_by_style(items).items():
            order = list(works)
            seeded(seed, "limit", style).shuffle(order)
            kept.update(order[:limit])
        items = [item for item in items if item.work in kept]
    if max_items is not None:
        of_work: dict[str, list[Item]] = {}
        for item in items:
            of_work.setdefault(item.work, []).append(item)
        chosen = {
            (item.path, item.part_of_file)
            for work, group in of_work.items()
            for item in seeded(seed, "items", work).sample(group, min(max_items, len(group)))
        }
        items = [item for item in items if (item.path, item.part_of_file) in chosen]
    return items


def works_by_style(items: Sequence[Item]) -> dict[str, list[str]]:
    """The works of every style, sorted; a work that has items of several styles counts for the first it has."""
    style_of: dict[str, str] = {}
    for item in items:
        style_of.setdefault(item.work, item.style)
    styles = sorted(set(style_of.values()))
    return {style: sorted(work for work in style_of if style_of[work] == style) for style in styles}


def split_works(items: Sequence[Item], seed: int, shares: tuple[float, float] = (0.1, 0.1)) -> dict[str, str]:
    """Put every work into one part, within each style by the same shares; so the parts are disjoint by construction.

    Args:
        items: all items of the set.
        seed: decides the order in which works are dealt.
        shares: of the validation and the test part; each gets at least one work where a style has three or more.

    Returns:
        work -> "train", "valid" or "test".
    """
    split: dict[str, str] = {}
    for style, works in works_by_style(items).items():
        order = list(works)
        seeded(seed, "split", style).shuffle(order)
        counts = [max(round(len(order) * share), 1) if len(order) >= 3 else 0 for share in shares]
        for i, work in enumerate(order):
            split[work] = "valid" if i < counts[0] else "test" if i < sum(counts) else "train"
    return split
