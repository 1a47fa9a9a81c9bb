"""The data card: what is in a data set, where it comes from, and what was left out and why.

`card` counts; `write_card` writes a README.md in the form of a Hugging Face data-set card (front matter in YAML that
the hub reads, then sections for people) and its pictures beside it.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.data.curate import SPLITS
from scoresim.data.harmonize import MEASURES, quantiles, read_table
from scoresim.data.shards import PairSet, manifest_of
from scoresim.data.shards import open as open_pairs
from scoresim.files import Place, place, replacing

COLUMNS = (
    *("style", "corpus", "work", "n_bars", "n_staves", "n_notes"),
    *("staff_space", "font", "degraded", "format", "notation", "beats", "official_split"),
)
GRID_POINTS = 1001  # of the uniform target of complexity

Floats = NDArray[np.float64]


def card(folder: Place | str) -> dict[str, Any]:
    """Count a data set by source, style, split and staves.

    Args:
        folder: the data set, or its address.

    Returns:
        "sources" (with licence and citation), "pairs", "works", "notes", "bars" by split, "styles" and "corpora"
        (name -> split -> pairs and works), "staves" (number of staves -> pairs), "rejected" (reason -> passages),
        "quarantine" (files with reasons), "reasons" (the same, counted; see `reasons`), "yield" (format -> items and
        items that gave pairs), "accepted" (share of passages), "groups", "harmonization", "images", "tools",
        "config".
    """
    with manifest_of(folder):
        return _counts(open_pairs(folder))


def _counts(pairs: PairSet) -> dict[str, Any]:
    """See `card`."""
    manifest = pairs.manifest
    columns = {split: _columns(pairs, split) for split in SPLITS}
    accepted, seen = sum(manifest["pairs"].values()), manifest["passages"]
    return {
        "sources": manifest["sources"],
        "pairs": manifest["pairs"],
        "works": manifest["works"],
        "notes": {split: sum(c["n_notes"]) for split, c in columns.items()},
        "bars": {split: sum(c["n_bars"]) for split, c in columns.items()},
        "styles": _table(columns, "style"),
        "corpora": _table(columns, "corpus"),
        "staves": dict(sorted(Counter(n for c in columns.values() for n in c["n_staves"]).items())),
        "passages": seen,
        "accepted": accepted / seen if seen else 0.0,
        "rejected": manifest["rejected"],
        "items": manifest["items"],
        "items_by_corpus": manifest.get("items_by_corpus", {}),
        "quarantine": manifest["quarantine"],
        "reasons": reasons(manifest["quarantine"]),
        "groups": manifest.get("groups", {}),
        "harmonization": manifest.get("harmonization", {}),
        "images": {name: _counted(columns, name) for name in ("staff_space", "font", "degraded")},
        "formats": _counted(columns, "format"),
        "notation": _counted(columns, "notation"),
        "beats": {name: n for name, n in _counted(columns, "beats").items() if name},
        "official_splits": _counted(columns, "official_split"),
        "seconds": manifest.get("seconds"),
        "tools": manifest["tools"],
        "config": manifest["config"],
    }


def _columns(pairs: PairSet, split: str) -> dict[str, list[Any]]:
    part = pairs.split(split)
    return {name: part.column(name) for name in COLUMNS}


def _counted(columns: Mapping[str, Mapping[str, list[Any]]], name: str) -> dict[str, int]:
    """Value (in words) -> pairs, the most frequent first; numbers are rounded to one half."""
    values = [v for c in columns.values() for v in c[name]]
    words = [f"{round(2 * v) / 2:g}" if isinstance(v, float) else str(v) for v in values]
    return dict(sorted(Counter(words).items(), key=lambda entry: (-entry[1], entry[0])))


def _table(columns: dict[str, dict[str, list[Any]]], key: str) -> dict[str, dict[str, dict[str, int]]]:
    """value of `key` -> split -> number of pairs and works."""
    values = sorted({value for c in columns.values() for value in c[key]})
    table: dict[str, dict[str, dict[str, int]]] = {}
    for value in values:
        table[value] = {}
        for split, c in columns.items():
            works = [work for work, v in zip(c["work"], c[key], strict=True) if v == value]
            table[value][split] = {"pairs": len(works), "works": len(set(works))}
    return table


def plain_reason(reason: str) -> str:
    """A reason without what differs from file to file: paths, names, quotations and numbers.

    >>> plain_reason("scores/a b/12.krn is not well-formed (line 3)")
    'the file is not well-formed (line N)'
    """
    text = re.sub(r"^.*/\S*(?=\s)", "the file", reason) if reason.startswith(("/", ".")) else reason
    text = re.sub(r"^\S.*?\.(?:musicxml|xml|mxl|krn|abc|mei|midi?)\b", "the file", text, flags=re.IGNORECASE)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|“[^”]*”", "…", text)
    text = re.sub(r"[\w#.:+-]*\d[\w#.+-]*", "N", text)
    return text.strip().rstrip(".")


def reasons(quarantine: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Quarantined items counted by reason and format: [{"reason", "format", "items", "corpora": {name: items}}]."""
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry in quarantine:
        key = plain_reason(str(entry["reason"])), str(entry.get("format", "unknown"))
        table[key][str(entry["corpus"])] += 1
    rows = [
        {"reason": reason, "format": form, "items": sum(count.values()), "corpora": dict(sorted(count.items()))}
        for (reason, form), count in table.items()
    ]
    return sorted(rows, key=lambda row: (-row["items"], row["reason"], row["format"]))


@dataclass(frozen=True, eq=False)
class Balance:
    """The training part before and after harmonization.

    Attributes:
        style: [N] style of every pair.
        values: name of a measure, or "level" -> [N] values.
        weight: [N] weights of mean 1.
        names: the styles in alphabetical order.
        before, after: [S] share of every style.
        total_variation, jensen_shannon: distance of the shares from equal ones, (before, after), 0 to 1.
        distances: (style, measure) -> Wasserstein distance (before, after) of the style's passages from the target:
            the range from the style's least to its greatest value evenly filled. On the scale of quantiles over all
            styles, 0 to 1.
    """

    style: NDArray[np.str_]
    values: dict[str, Floats]
    weight: Floats
    names: list[str]
    before: Floats
    after: Floats
    total_variation: tuple[float, float]
    jensen_shannon: tuple[float, float]
    distances: dict[tuple[str, str], tuple[float, float]]


def balance(folder: Place) -> Balance | None:
    """Measure what the weights in ``sampling.parquet`` do to the training part; None where the part is empty.

    Needs scipy.

    Raises:
        BadInput: the table of weights is missing or damaged.
    """
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import wasserstein_distance

    table = read_table(folder)
    train = np.array(table.column("split").to_pylist(), dtype=np.str_) == "train"
    if not train.any():
        return None
    style = np.array(table.column("style").to_pylist(), dtype=np.str_)[train]
    values = {name: np.asarray(table.column(name).to_numpy(), float)[train] for name in (*MEASURES, "level")}
    weight = np.asarray(table.column("weight").to_numpy(), float)[train]
    names, number = np.unique(style, return_inverse=True)
    shares = [np.bincount(number, weights=w) / w.sum() for w in (np.ones(len(style)), weight)]
    even = np.full(len(names), 1 / len(names))
    distances = {}
    for s, name in enumerate(names.tolist()):
        mine = number == s
        for measure, v in values.items():
            scale = (v if measure == "level" else quantiles(v))[mine]
            target = np.linspace(scale.min(), scale.max(), GRID_POINTS)
            found = [float(wasserstein_distance(scale, target, w[mine])) for w in (np.ones(len(v)), weight)]
            distances[name, measure] = (found[0], found[1])
    variation = [float(np.abs(share - even).sum() / 2) for share in shares]
    shannon = [float(jensenshannon(share, even, base=2)) if len(names) > 1 else 0.0 for share in shares]
    return Balance(
        style,
        values,
        weight,
        names.tolist(),
        shares[0],
        shares[1],
        (variation[0], variation[1]),
        (shannon[0], shannon[1]),
        distances,
    )


def write_card(folder: Place | str, out: Path) -> None:
    """Write README.md and its pictures.

    Args:
        folder: the data set; ``sampling.parquet`` must be there.
        out: folder for the card, made when missing. A hub wants it in the folder of the data set itself; elsewhere
            the page names the shards by the way that leads to them from there.

    Raises:
        BadInput: there is no data set, its weights are missing, or `out` cannot be written.
    """
    from scoresim.data.card_pictures import draw_card
    from scoresim.data.card_text import card_text

    where = place(folder)
    facts, measured = card(where), balance(where)
    pictures = draw_card(facts, measured, open_pairs(where))
    for name, data in pictures.items():
        with replacing(out / name) as temporary:
            temporary.write_bytes(data)
    # a set in a store is copied to a hub as it is, the card with it
    way = Path(os.path.relpath(where, out)).as_posix() if isinstance(where, Path) else "."
    with replacing(out / "README.md") as temporary:
        with manifest_of(folder):
            text = card_text(facts, measured, list(pictures), "" if way == "." else way)
        temporary.write_text(text, encoding="utf-8")
