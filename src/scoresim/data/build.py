"""Scores in, shards of verified pairs out.

The unit of work is one item (a file, or one tune of a tune book). A worker process engraves it, makes its pairs and
leaves them as ``parts/<name>.parquet`` under a temporary name that is renamed; the name follows from the item and the
configuration, so a part that exists is a part that is done. When all parts are there they are merged in the order of
the corpora into shards. A build that is killed at any moment and started again therefore ends with the same shards.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.curate import SPLITS, limit_works, seeded, split_works
from scoresim.data.pair import Pair, PassageRules, Rejected, make_pair, passages
from scoresim.data.shards import MANIFEST, schema, shard_entry, to_table, write_table
from scoresim.errors import BadInput
from scoresim.files import read_json, write_json
from scoresim.progress import Progress
from scoresim.score.engrave import EngraveConfig, Engraving, Layout
from scoresim.score.read import check_abc, read_midi, read_text
from scoresim.score.sandbox import Failure, run_all
from scoresim.score.tokens import default_vocabulary

FORMAT = 1  # of parts and shards; a new number makes old parts useless
INFO = b"scoresim"


@dataclass(frozen=True)
class BuildConfig:
    """What `scoresim build` makes."""

    corpora: tuple[str, ...] = field(metadata={"help": "Sources, each NAME or NAME=PATH."})
    limit: int | None = field(default=None, metadata={"help": "At most this many works of every style."})
    max_items: int | None = field(default=None, metadata={"help": "At most this many files or tunes of one work."})
    seed: int = field(default=0, metadata={"help": "Decides the choice of works and passages, and the split."})
    workers: int = field(default=2, metadata={"help": "Number of worker processes."})
    max_passages: int | None = field(default=None, metadata={"help": "At most this many passages of one file or tune."})
    max_systems: int = field(default=1, metadata={"help": "Systems of a passage: 1, or 2 where they hold few notes."})
    few_notes: int = field(
        default=24, metadata={"help": "Two systems are joined when they hold at most this many notes."}
    )
    max_notes: int = field(default=128, metadata={"help": "Passages with more written notes are left out."})
    min_notes: int = field(default=4, metadata={"help": "Passages with fewer written notes are left out."})
    staff_space: float = field(default=8.0, metadata={"help": "Pixels between two staff lines."})
    page_width: float = field(default=50.0, metadata={"help": "Width of a system in staff spaces."})
    shard_rows: int = field(default=5000, metadata={"help": "Pairs per shard."})
    timeout: float = field(default=60.0, metadata={"help": "Seconds after which a file is given up."})


@dataclass(frozen=True)
class _Task:
    """All that a worker needs for one item."""

    item: Item
    corpus: str
    split: str
    part: Path
    config: BuildConfig


def build(out: Path, config: BuildConfig) -> dict[str, Any]:
    """Build a data set, or finish one that was begun with the same configuration.

    Args:
        out: folder of the data set; made when missing.
        config: what to build.

    Returns:
        The manifest, also written to ``manifest.json``.

    Raises:
        BadInput: an unknown or absent corpus, a folder that holds another data set, or a place that cannot be written.
    """
    settings = identity(config)
    begun = out / "build.json"
    if begun.is_file() and read_json(begun) != settings:
        raise BadInput(f"{out} holds a data set of another configuration; choose another folder or remove it.")
    if (out / MANIFEST).is_file() and begun.is_file():
        manifest: dict[str, Any] = read_json(out / MANIFEST)
        return manifest
    if out.is_dir() and not begun.is_file() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty and not a data set; choose another folder.")
    tasks, sources = _plan(out, config)
    write_json(begun, settings)
    (out / "parts").mkdir(exist_ok=True)
    started = time.monotonic()
    todo = [task for task in tasks if not task.part.is_file()]
    with Progress("Building pairs", len(tasks), "files") as progress:
        progress.advance(len(tasks) - len(todo))
        for i, outcome in run_all(make_part, todo, max(config.workers, 1), config.timeout):
            if isinstance(outcome, Failure):
                _write_part(todo[i], [], _refused(todo[i], outcome.reason))
            progress.advance()
    manifest = _merge(out, tasks, sources, settings)
    manifest["seconds"] = round(time.monotonic() - started, 1)
    write_json(out / MANIFEST, manifest)
    shutil.rmtree(out / "parts")
    return manifest


def identity(config: BuildConfig) -> dict[str, Any]:
    """The part of a configuration that decides what the shards hold (not how many workers make them)."""
    settings = {k: v for k, v in asdict(config).items() if k not in ("workers", "timeout")}
    settings["corpora"] = list(config.corpora)
    return settings | {"format": FORMAT, "vocabulary": default_vocabulary().hash, "verovio": version("verovio")}


def _plan(out: Path, config: BuildConfig) -> tuple[list[_Task], list[dict[str, Any]]]:
    """All items in order with their splits, and what the manifest says of the sources."""
    found: list[tuple[str, Item]] = []
    sources = []
    for entry in config.corpora:
        name, _, place = entry.partition("=")
        corpus = corpora.get(name)
        root = corpus.find(Path(place) if place else None)
        if root is None:
            where = place or "its usual place"
            raise BadInput(f"corpus {name} is not present at {where}; see scoresim corpora for where it comes from.")
        items = list(corpus.items(root))
        found += [(name, item) for item in items]
        sources.append(
            {"name": name, "title": corpus.title, "licence": corpus.licence, "citation": corpus.citation}
            | {"items_found": len(items)}
        )
    if not found:
        raise BadInput("the corpora hold no files of a known format; nothing to build.")
    items = [item for _, item in found]
    chosen = limit_works(items, config.limit, config.max_items, config.seed)
    split = split_works(chosen, config.seed)
    wanted = {id(item) for item in chosen}
    tasks = []
    for name, item in found:
        if id(item) in wanted:
            part = out / "parts" / (hashlib.sha256(f"{name}/{item.id}".encode()).hexdigest()[:24] + ".parquet")
            tasks.append(_Task(item, name, split[item.work], part, config))
    if len({task.part for task in tasks}) != len(tasks):
        raise BadInput("two items have the same name; give every corpus only once.")
    return tasks, sources


def make_part(task: _Task) -> int:
    """Make all pairs of one item and leave them on disk; runs in a worker process.

    Returns:
        Number of pairs.

    Raises:
        ScoresimError, ValueError: the item is not to be read; the message is the reason.
    """
    pairs, info = make_pairs(task)
    _write_part(task, pairs, info)
    return len(pairs)


def make_pairs(task: _Task) -> tuple[list[Pair], dict[str, Any]]:
    """The pairs of one item, and the record of what was left out and why."""
    item, config = task.item, task.config
    if item.format == "midi":
        read_midi(item.path)
        raise BadInput(f"{item.path} is MIDI without notation, which this version does not engrave.")
    text = read_text(item.path, item.format)
    if item.format == "abc":
        text = check_abc(corpora.abc_text(item), item.path)
    settings = EngraveConfig(staff_space=config.staff_space, page_width=config.page_width)
    engraving = Engraving(text, settings, str(item.path), bar_accidentals=item.format == "abc")
    chosen = _choose(engraving, task)
    vocabulary = default_vocabulary()
    rules = PassageRules(max_notes=config.max_notes, min_notes=config.min_notes)
    pairs, rejected = [], Counter[str]()
    for name, layouts in chosen:
        about = {
            "id": f"{task.corpus}/{item.id}#{name}",
            "corpus": task.corpus,
            "item": item.id,
            "work": item.work,
            "style": item.style,
            "composer": item.composer,
            "title": item.title,
            "split": task.split,
        }
        try:
            systems = tuple(engraving.draw(layout) for layout in layouts)
            pairs.append(make_pair(engraving.reading.score, systems, vocabulary, rules, about))
        except (Rejected, ValueError) as reason:
            rejected[str(reason)] += 1
    info = _refused(task, "")
    score = engraving.reading.score
    info |= {"bars": len(score.bars), "written_notes": len(score.notes), "warnings": list(score.warnings[:5])}
    info |= {"passages": len(chosen), "rejected": dict(sorted(rejected.items()))}
    return pairs, info


def _choose(engraving: Engraving, task: _Task) -> list[tuple[str, list[Layout]]]:
    """The passages of an item, as "<page>.<number>" and their systems; where a limit is set, from pages by the seed."""
    config, limit = task.config, task.config.max_passages
    pages = list(range(engraving.pages))
    random = seeded(config.seed, "passages", task.corpus, task.item.id)
    if limit is not None:
        random.shuffle(pages)
    chosen: list[tuple[int, int, list[Layout]]] = []
    for page in pages:
        if limit is not None and len(chosen) >= limit:
            break
        systems = engraving.page(page)
        groups = passages([system.heads for system in systems], config.max_systems, config.few_notes)
        chosen += [(page, number, [systems[i] for i in group]) for number, group in enumerate(groups)]
    if limit is not None and len(chosen) > limit:
        chosen = random.sample(chosen, limit)
    return [(f"{page}.{number}", layouts) for page, number, layouts in sorted(chosen, key=lambda c: c[:2])]


def _refused(task: _Task, reason: str) -> dict[str, Any]:
    """The record of an item; with a reason it goes to the quarantine list."""
    record = {"corpus": task.corpus, "item": task.item.id, "file": str(task.item.path), "reason": reason}
    return record | {"split": task.split, "work": task.item.work, "style": task.item.style}


def _write_part(task: _Task, pairs: list[Pair], info: dict[str, Any]) -> None:
    table = to_table(pairs).replace_schema_metadata({INFO: json.dumps(info, sort_keys=True).encode()})
    write_table(task.part, table)


def _merge(out: Path, tasks: list[_Task], sources: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """Join the parts, in the order of the tasks, into shards; gather the records into the manifest."""
    records = [json.loads(pq.read_schema(task.part).metadata[INFO]) for task in tasks]
    shards: dict[str, list[dict[str, Any]]] = {}
    for split in SPLITS:
        shards[split] = []
        tables: list[pa.Table] = []
        rows = 0
        for task in tasks:
            if task.split != split:
                continue
            table = pq.read_table(task.part, schema=schema())
            tables.append(table)
            rows += len(table)
            if rows >= settings["shard_rows"]:
                shards[split].append(_shard(out, split, len(shards[split]), tables))
                tables, rows = [], 0
        if rows or not shards[split]:
            shards[split].append(_shard(out, split, len(shards[split]), tables))
    rejected = Counter[str]()
    for record in records:
        rejected.update(record.get("rejected", {}))
    return {
        "kind": "scoresim pairs",
        "format": FORMAT,
        "config": settings,
        "vocabulary": default_vocabulary().to_json(),
        "vocabulary_hash": default_vocabulary().hash,
        "tools": {name: version(name) for name in ("scoresim", "verovio", "aggdraw", "pyarrow")},
        "sources": sources,
        "shards": shards,
        "pairs": {split: sum(shard["rows"] for shard in shards[split]) for split in SPLITS},
        "items": len(records),
        "works": {split: len({r["work"] for r in records if r["split"] == split}) for split in SPLITS},
        "passages": sum(record.get("passages", 0) for record in records),
        "bars": sum(record.get("bars", 0) for record in records),
        "rejected": dict(rejected.most_common()),
        "quarantine": [{key: r[key] for key in ("corpus", "item", "file", "reason")} for r in records if r["reason"]],
        "warnings": sum(len(record.get("warnings", [])) for record in records),
    }


def _shard(out: Path, split: str, number: int, tables: list[pa.Table]) -> dict[str, Any]:
    table = pa.concat_tables(tables) if tables else schema().empty_table()
    path = out / f"{split}-{number:05d}.parquet"
    write_table(path, table.replace_schema_metadata(None))
    return shard_entry(path, len(table))
