"""Which works go into the set, and into which part of it.

A work's part is a matter of its name: of the split that its source publishes, else of a hash of the name. No seed and
no limit takes part. A work whose lot is test is a test work of every data set; other corpora can only move works to a
more protected part, or out of a part that a small style was filled up with (`FEW`). Where works turn out to be the
same music (`merge_splits`), all of them go to the most protected part among them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scoresim.data.corpora import Item
from scoresim.errors import BadInput

SPLITS = ("train", "valid", "test")
SHARE = 0.1  # of the works of a style without an official split: validation, and the same again test
LONGEST = 64 * 2**20  # bytes of a list of works
FEW = 3  # a style with so many works has at least one in each part


def seeded(seed: int, *names: object) -> random.Random:
    """A random generator that depends on the seed and the names only, on every machine."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def draw(work: str) -> float:
    """The lot of a work: a number in [0, 1) that depends on its name only."""
    return int.from_bytes(hashlib.sha256(f"scoresim split of {work}".encode()).digest()[:8], "big") / 2**64


def by_lot(work: str) -> str:
    """The part of a work by its lot alone: where no source and no small style (`FEW`) says otherwise."""
    lot = draw(work)
    return "test" if lot < SHARE else "valid" if lot < 2 * SHARE else "train"


def protected(splits: Iterable[str]) -> str:
    """The most protected of some parts: test before validation before training."""
    return max(splits, key=SPLITS.index)


def split_works(items: Sequence[Item]) -> dict[str, str]:
    """Put every work into one part; so the parts are disjoint by construction.

    A work goes where its source's official split puts it (to the most protected part, where two sources differ).
    The others of a style go by their lot: below `SHARE` to test, below twice that to validation; where a style of
    `FEW` or more works would leave a part empty, the works with the lowest lots fill it.

    Args:
        items: all items of all corpora, before any limit.

    Returns:
        work -> "train", "valid" or "test".
    """
    official: dict[str, str] = {}
    for item in items:
        if item.split is not None:
            official[item.work] = protected([item.split, official.get(item.work, "train")])
    split = dict(official)
    for works in works_by_style(items).values():
        there = {official[work] for work in works if work in official}
        free = sorted((work for work in works if work not in official), key=draw)
        lots = [draw(work) for work in free]
        least = [int(len(works) >= FEW and part not in there) for part in ("test", "valid")]
        test = max(sum(lot < SHARE for lot in lots), least[0])
        valid = max(sum(lot < 2 * SHARE for lot in lots) - test, least[1])
        for i, work in enumerate(free):
            split[work] = "test" if i < test else "valid" if i < test + valid else "train"
    return split


def merge_splits(split: Mapping[str, str], group: Mapping[str, str]) -> dict[str, str]:
    """Bring works that hold the same music into one part: the most protected among them.

    Args:
        split: work -> part.
        group: work -> name of the group of works whose music is the same.
    """
    part: dict[str, str] = {}
    for work, name in group.items():
        part[name] = protected([split[work], part.get(name, "train")])
    return {work: part[group[work]] for work in split}


def read_held_out(path: Path) -> dict[str, str]:
    """A list of works that are kept out of training: work -> "valid" or "test".

    Args:
        path: a text file (UTF-8, at most `LONGEST` bytes); in every line a part, a tab and a work. A first line
            ``part<TAB>work``, empty lines and lines that begin with ``#`` say nothing.

    Raises:
        BadInput: the file cannot be read, or a line is not of that form.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise BadInput(f"{path} is longer than {LONGEST // 2**20} MiB; it should be a list of works.")
        text = content.decode("utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not a list of works in UTF-8.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        part, tab, work = line.partition("\t")
        if not line.strip() or line.startswith("#") or (number == 1 and (part, work) == ("part", "work")):
            continue
        work = work.strip()
        if not tab or part not in SPLITS[1:] or not work or "\t" in work:
            raise BadInput(f"{path}, line {number}: write valid or test, a tab, and the name of a work, nothing else.")
        found[work] = protected([part, found.get(work, SPLITS[0])])
    return found


def hold_out(split: Mapping[str, str], listed: Mapping[str, str]) -> dict[str, str]:
    """Move works that are listed to the part the list says, unless they stand in a more protected one.

    Args:
        split: work -> part.
        listed: work -> part; works that are not in the split do not matter.
    """
    return {work: protected([part, listed.get(work, SPLITS[0])]) for work, part in split.items()}


def limit_works(
    items: Iterable[Item], split: Mapping[str, str], limit: int | None, max_items: int | None, seed: int
) -> list[Item]:
    """At most `limit` works of every style and `max_items` items of a work, by the seed; the order is kept.

    Validation and test keep their shares of the limit (at least one work each, where there is one), whatever the seed.

    Args:
        items: all items of the set.
        split: part of every work.
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
            parts = {part: [work for work in order if split[work] == part] for part in SPLITS}
            held_out = max(round(limit * SHARE), 1) if limit >= FEW else 0
            chosen = parts["test"][:held_out] + parts["valid"][:held_out]
            kept.update(chosen + parts["train"][: limit - len(chosen)])
        items = [item for item in items if item.work in kept]
    if max_items is not None:
        of_work: dict[str, list[Item]] = {}
        for item in items:
            of_work.setdefault(item.work, []).append(item)
        chosen_items = {
            (item.path, item.part_of_file)
            for work, group in of_work.items()
            for item in seeded(seed, "items", work).sample(group, min(max_items, len(group)))
        }
        items = [item for item in items if (item.path, item.part_of_file) in chosen_items]
    return items


def works_by_style(items: Sequence[Item]) -> dict[str, list[str]]:
    """The works of every style, sorted; a work that has items of several styles counts for the first it has."""
    style_of: dict[str, str] = {}
    for item in items:
        style_of.setdefault(item.work, item.style)
    found: dict[str, list[str]] = {}
    for work in sorted(style_of):
        found.setdefault(style_of[work], []).append(work)
    return dict(sorted(found.items()))
