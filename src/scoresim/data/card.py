"""The data card: what is in a data set, where it comes from, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from scoresim.data.curate import SPLITS
from scoresim.data.shards import PairSet
from scoresim.data.shards import open as open_pairs


def card(folder: Path) -> dict[str, Any]:
    """Count a data set by source, style, split and staves.

    Args:
        folder: the data set.

    Returns:
        "sources" (with licence and citation), "pairs", "works", "notes", "bars" by split, "styles" and "corpora"
        (name -> split -> pairs and works), "staves" (number of staves -> pairs), "rejected" (reason -> passages),
        "quarantine" (files with reasons), "accepted" (share of passages), "tools" and "config".
    """
    pairs = open_pairs(folder)
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
        "quarantine": manifest["quarantine"],
        "seconds": manifest.get("seconds"),
        "tools": manifest["tools"],
        "config": manifest["config"],
    }


def _columns(pairs: PairSet, split: str) -> dict[str, list[Any]]:
    part = pairs.split(split)
    return {name: part.column(name) for name in ("style", "corpus", "work", "n_bars", "n_staves", "n_notes")}


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
