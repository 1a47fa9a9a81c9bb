"""Parts -> shards: works are grouped by their music, put into their split, and written down in one order.

The merge is a function of the parts and their order alone, so that it does not matter which worker made which part,
when, or how often the build was stopped.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from scoresim.data.curate import SPLITS, merge_splits
from scoresim.data.parts import INFO, Task
from scoresim.data.shards import parquet, schema, shard_entry, write_table
from scoresim.data.similar import Fingerprint, group, near_duplicates
from scoresim.data.twins import Twins
from scoresim.files import Place
from scoresim.score.tokens import default_vocabulary

COUNTED = ("items", "with_pairs", "pairs", "notes", "accidentals")  # of a corpus
READERS = 8  # threads that open parts; on an object store each waits for the network


def merge(
    out: Place,
    tasks: list[Task],
    split: Mapping[str, str],
    sources: list[dict[str, Any]],
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Join the parts, in the order of the tasks, into shards; gather the records into the manifest.

    Args:
        out: the data set.
        tasks: all items; their parts are there.
        split: part of every work by its name alone.
        sources: what the manifest says of the corpora.
        settings: the configuration as the manifest keeps it.

    Returns:
        The manifest.
    """
    with ThreadPoolExecutor(READERS) as pool:
        records = list(pool.map(record, tasks))
    same, music = _same_works(records, settings["duplicate_threshold"])
    works = sorted({entry["work"] for entry in records})
    groups = _groups(works, same)
    split = merge_splits({work: split[work] for work in works}, groups)
    for entry in records:
        entry["split"] = split[entry["work"]]
    shards, rejected, kept = _write_shards(out, tasks, records, settings["shard_rows"])
    for entry in records:
        rejected.update(entry.get("rejected", {}))
    vocabulary = default_vocabulary()
    return {
        "kind": "scoresim pairs",
        "format": settings["format"],
        "config": settings,
        "vocabulary": vocabulary.to_json(),
        "vocabulary_hash": vocabulary.hash,
        "tools": {name: version(name) for name in ("scoresim", "verovio", "aggdraw", "pyarrow", "numpy")},
        "sources": sources,
        "shards": shards,
        "pairs": {part: sum(shard["rows"] for shard in shards[part]) for part in SPLITS},
        "items": len(records),
        "items_by_corpus": _by_corpus(records, kept),
        "works": {part: len({r["work"] for r in records if r["split"] == part}) for part in SPLITS},
        "groups": {
            "pairs": music,
            "merged_works": [[a, b, round(share, 3)] for a, b, share in same if groups[a] == groups[b]],
            "left_apart": [[a, b, round(share, 3)] for a, b, share in same if groups[a] != groups[b]],
            "largest": max(Counter(groups.values()).values(), default=0),
        },
        "passages": sum(r.get("passages", 0) for r in records),
        "bars": sum(r.get("bars", 0) for r in records),
        "rejected": dict(rejected.most_common()),
        "quarantine": _quarantine(records, kept),
        "warnings": sum(len(r.get("warnings", [])) for r in records),
    }


def record(task: Task) -> dict[str, Any]:
    """What a part says of its item.

    Raises:
        ValueError: the part is damaged.
    """
    try:
        file = parquet(task.part)
        found: dict[str, Any] = json.loads(file.schema_arrow.metadata[INFO])
        file.close()
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{task.part} is damaged: {error}") from error
    return found


def _quarantine(records: list[dict[str, Any]], kept: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Items that were not read, and items of which no passage was kept, each with its reason."""
    entries = []
    for record in records:
        reason = record["reason"]
        if not reason and sum(record["rejected"].values()) == record["passages"]:
            most = max(
                record["rejected"], key=lambda r: (record["rejected"][r], r), default="there is no passage in it"
            )
            reason = f"no passage was kept, most often because {most}"
        elif not reason and not kept[record["corpus"], record["item"]]:
            reason = "no passage was kept, because the others stand in another part of the split"
        if reason:
            entries.append({key: record[key] for key in ("corpus", "item", "file", "format")} | {"reason": reason})
    return entries


def _by_corpus(records: list[dict[str, Any]], kept: Mapping[tuple[str, str], int]) -> dict[str, dict[str, Any]]:
    """corpus -> formats, numbers of items, of those that gave pairs, of pairs, of notes, of accidentals added."""
    table: dict[str, dict[str, Any]] = {}
    for record in records:
        entry = table.setdefault(record["corpus"], dict.fromkeys(COUNTED, 0) | {"formats": {}})
        entry["formats"][record["format"]] = entry["formats"].get(record["format"], 0) + 1
        entry["items"] += 1
        entry["with_pairs"] += kept[record["corpus"], record["item"]] > 0
        entry["pairs"] += kept[record["corpus"], record["item"]]
        entry["notes"] += record.get("written_notes", 0)
        entry["accidentals"] += record.get("accidentals", 0)
    return table


def _same_works(records: list[dict[str, Any]], threshold: float) -> tuple[list[tuple[str, str, float]], int]:
    """Pairs of different works that hold the same music, with the largest similarity; and the number of item pairs."""
    with_music = [record for record in records if record.get("fingerprint")]
    prints = [Fingerprint.from_bytes(base64.b64decode(record.pop("fingerprint"))) for record in with_music]
    pairs = near_duplicates(prints, threshold) if threshold > 0 else []
    same: dict[tuple[str, str], float] = {}
    for i, j, share in pairs:
        a, b = sorted((with_music[i]["work"], with_music[j]["work"]))
        if a != b:
            same[a, b] = max(share, same.get((a, b), 0.0))
    return [(a, b, share) for (a, b), share in sorted(same.items())], len(pairs)


def _groups(works: list[str], same: list[tuple[str, str, float]]) -> dict[str, str]:
    """work -> first work of its group."""
    index = {work: i for i, work in enumerate(works)}
    found = group(len(works), [(index[a], index[b], share) for a, b, share in same])
    return {work: works[found[i]] for i, work in enumerate(works)}


def _write_shards(
    out: Place, tasks: list[Task], records: list[dict[str, Any]], shard_rows: int
) -> tuple[dict[str, list[dict[str, Any]]], Counter[str], Counter[tuple[str, str]]]:
    """Shards of every split, the passages left out as twins by reason, and the pairs kept of every (corpus, item)."""
    shards: dict[str, list[dict[str, Any]]] = {}
    known = Twins()
    kept, left_out = Counter[tuple[str, str]](), Counter[str]()
    for split in reversed(SPLITS):  # test first, so that training loses what both hold
        shards[split] = []
        tables: list[pa.Table] = []
        rows = 0
        for number, (task, record) in enumerate(zip(tasks, records, strict=True)):
            if record["split"] != split or not record.get("passages"):
                continue
            file = parquet(task.part)
            table = file.read().cast(schema())
            file.close()
            reasons = known.judge(table, number, remember=split != SPLITS[0])
            left_out.update(reason for reason in reasons if reason)
            table = table.filter(pa.array([not reason for reason in reasons], type=pa.bool_()))
            at = table.schema.get_field_index("split")
            table = table.set_column(at, schema().field(at), pa.array([split] * len(table), pa.string()))
            kept[record["corpus"], record["item"]] += len(table)
            tables.append(table)
            rows += len(table)
            if rows >= shard_rows:
                shards[split].append(_shard(out, split, len(shards[split]), tables))
                tables, rows = [], 0
        if rows or not shards[split]:
            shards[split].append(_shard(out, split, len(shards[split]), tables))
        known.next_part()
    return {split: shards[split] for split in SPLITS}, left_out, kept


def _shard(out: Place, split: str, number: int, tables: list[pa.Table]) -> dict[str, Any]:
    table = pa.concat_tables(tables) if tables else schema().empty_table()
    path = out / f"{split}-{number:05d}.parquet"
    write_table(path, table.replace_schema_metadata(None))
    return shard_entry(path, len(table))
