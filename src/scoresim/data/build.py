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
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.curate import SPLITS, limit_works, seeded, split_works
from scoresim.data.pair import Pair, PassageRules, Rejected, make_pair, passages
from scoresim.data.shards import MANIFEST, schema, shard_entry, to_table, write_table
from scoresim.errors import BadInput, ScoresimError
from scoresim.files import read_json, write_json
from scoresim.progress import Progress
from scoresim.score.engrave import EngraveConfig, Engraving, Layout
from scoresim.score.read import check_abc, read_midi, read_text
from scoresim.score.sandbox import Failure, run_all
from scoresim.score.tokens import default_vocabulary

SHORT_PRINT = 8 * 16  # bytes: fewer than eight notes may be alike by chance
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


class Unwritable(Exception):
    """A worker could not write its part; the item is not to blame and stays to be done."""


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
    _check(config)
    settings = identity(config)
    try:
        if _begun(out, settings) and (out / MANIFEST).is_file():
            _tidy(out)
            finished: dict[str, Any] = read_json(out / MANIFEST)
            return finished
        tasks, sources = _plan(out, config)
        write_json(out / "build.json", settings)
        (out / "parts").mkdir(exist_ok=True)
        started = time.monotonic()
        _make_parts(tasks, config)
        manifest = _merge(out, tasks, sources, settings)
        manifest["seconds"] = round(time.monotonic() - started, 1)
        write_json(out / MANIFEST, manifest)
        _tidy(out)
    except OSError as error:
        raise BadInput(f"{error.filename or out} cannot be used: {error.strerror}.") from error
    except Unwritable as error:
        raise BadInput(str(error)) from None
    return manifest


def _check(config: BuildConfig) -> None:
    """Refuse numbers that make no sense."""
    least: dict[str, float] = {
        "limit": 1,
        "max_items": 1,
        "max_passages": 1,
        "max_systems": 1,
        "few_notes": 0,
        "max_notes": 1,
    }
    least |= {"min_notes": 0, "staff_space": 2, "page_width": 10, "shard_rows": 1, "workers": 1, "timeout": 0.1}
    for name, low in least.items():
        value = getattr(config, name)
        if value is not None and not low <= value < float("inf"):
            raise BadInput(f"{name.replace('_', '-')} is {value}; it must be at least {low}.")


def _begun(out: Path, settings: dict[str, Any]) -> bool:
    """Whether this very build was begun in the folder; refuses a folder that holds something else."""
    if (out / "build.json").is_file():
        if read_json(out / "build.json") != settings:
            raise BadInput(f"{out} holds a data set of another configuration; choose another folder or remove it.")
        return True
    if out.is_dir() and any(not path.name.endswith(".tmp") for path in out.iterdir()):
        raise BadInput(f"{out} is not empty and not a data set; choose another folder.")
    return False


def _tidy(out: Path) -> None:
    """Remove the parts of a finished build, and what a killed one left half written."""
    shutil.rmtree(out / "parts", ignore_errors=True)
    for path in out.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def _make_parts(tasks: list[_Task], config: BuildConfig) -> None:
    """Make the parts that are not there yet; what failed is written down only when all others are done."""
    todo = [task for task in tasks if not task.part.is_file()]
    failures: list[tuple[_Task, str]] = []
    with Progress("Building pairs", len(tasks), "files") as progress:
        progress.advance(len(tasks) - len(todo))
        for i, outcome in run_all(make_part, todo, config.workers, config.timeout):
            if isinstance(outcome, Failure):
                failures.append((todo[i], outcome.reason))
            progress.advance()
    for task, reason in failures:
        _write_part(task, [], _refused(task, reason))


def identity(config: BuildConfig) -> dict[str, Any]:
    """The part of a configuration that decides what the shards hold (not how many workers make them)."""
    settings = {k: v for k, v in asdict(config).items() if k not in ("workers", "timeout")}
    settings["corpora"] = [_printable(entry) for entry in config.corpora]
    return settings | {"format": FORMAT, "vocabulary": default_vocabulary().hash, "verovio": version("verovio")}


def _plan(out: Path, config: BuildConfig) -> tuple[list[_Task], list[dict[str, Any]]]:
    """All items in order with their splits, and what the manifest says of the sources."""
    found: list[tuple[str, Item]] = []
    sources = []
    names = [entry.partition("=")[0] for entry in config.corpora]
    for number, entry in enumerate(config.corpora):
        name, _, place = entry.partition("=")
        corpus = corpora.get(name)
        root = corpus.find(Path(place) if place else None)
        if root is None:
            where = place or "its usual place"
            raise BadInput(f"corpus {name} is not present at {where}; see scoresim corpora for where it comes from.")
        items = list(corpus.items(root))
        if names.count(name) > 1:
            items = [replace(item, id=f"{number}/{item.id}", work=f"{number}/{item.work}") for item in items]
        found += [(name, item) for item in items]
        sources.append(
            {"name": name, "title": corpus.title, "licence": corpus.licence, "citation": corpus.citation}
            | {"items_found": len(items)}
        )
    if not found:
        raise BadInput("the corpora hold no files of a known format; nothing to build.")
    _refuse_overlap([item for _, item in found])
    items = [item for _, item in found]
    chosen = limit_works(items, config.limit, config.max_items, config.seed)
    split = split_works(chosen, config.seed)
    wanted = {id(item) for item in chosen}
    tasks = []
    for name, item in found:
        if id(item) in wanted:
            part = out / "parts" / _part_name(name, item, split[item.work])
            tasks.append(_Task(item, name, split[item.work], part, config))
    return tasks, sources


def _refuse_overlap(items: list[Item]) -> None:
    """One file in two corpora would stand in two parts of the split."""
    seen: set[tuple[Path, int | None]] = set()
    for item in items:
        key = (item.path.resolve(), item.part_of_file)
        if key in seen:
            raise BadInput(f"{_printable(str(item.path))} is in two of the corpora; give every file only once.")
        seen.add(key)


def _part_name(corpus: str, item: Item, split: str) -> str:
    """A name that changes when the item, its file or its split does, so that a stale part is never taken."""
    state = item.path.stat()
    key = (corpus, item.id, item.work, item.part_of_file, split, state.st_size, state.st_mtime_ns)
    return hashlib.sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()[:24] + ".parquet"


def make_part(task: _Task) -> int:
    """Make all pairs of one item and leave them on disk; runs in a worker process.

    Returns:
        Number of pairs.

    Raises:
        ScoresimError, ValueError: the item is not to be read; the message is the reason.
    """
    try:
        pairs, info = make_pairs(task)
    except (ScoresimError, ValueError, MemoryError):
        raise
    except Exception as error:  # whatever a strange file does to a parser costs that file; the reason says what it was
        raise ValueError(f"the reader failed ({type(error).__name__}: {error})") from None
    try:
        _write_part(task, pairs, info)
    except BadInput as error:
        raise Unwritable(str(error)) from None
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
    record = {"corpus": task.corpus, "item": task.item.id, "file": _printable(str(task.item.path))}
    record["reason"] = _printable(reason)
    return record | {"split": task.split, "work": task.item.work, "style": task.item.style}


def _printable(text: str) -> str:
    """The text with bytes that are no UTF-8 (file names can hold them) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _write_part(task: _Task, pairs: list[Pair], info: dict[str, Any]) -> None:
    table = to_table(pairs).replace_schema_metadata({INFO: json.dumps(info, sort_keys=True).encode()})
    write_table(task.part, table)


def _merge(out: Path, tasks: list[_Task], sources: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """Join the parts, in the order of the tasks, into shards; gather the records into the manifest."""
    records = [json.loads(pq.read_schema(task.part).metadata[INFO]) for task in tasks]
    shards: dict[str, list[dict[str, Any]]] = {}
    seen: set[bytes] = set()  # music of the parts before: test first, so that training loses what both hold
    twins = 0
    for split in reversed(SPLITS):
        shards[split] = []
        tables: list[pa.Table] = []
        rows, new = 0, set[bytes]()
        for task in tasks:
            if task.split != split:
                continue
            table = pq.read_table(task.part, schema=schema())
            prints = [music_print(notes) for notes in table.column("notes").to_pylist()]
            new.update(prints)
            fresh = [p not in seen or len(p) < SHORT_PRINT for p in prints]
            twins += len(fresh) - sum(fresh)
            table = table.filter(pa.array(fresh, type=pa.bool_()))
            tables.append(table)
            rows += len(table)
            if rows >= settings["shard_rows"]:
                shards[split].append(_shard(out, split, len(shards[split]), tables))
                tables, rows = [], 0
        if rows or not shards[split]:
            shards[split].append(_shard(out, split, len(shards[split]), tables))
        seen |= new
    shards = {split: shards[split] for split in SPLITS}
    rejected = Counter[str]({"the same notes stand in another part of the split": twins} if twins else {})
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


def music_print(notes: list[int]) -> bytes:
    """Bar, position, pitch and duration of all notes of a passage ([N * 8] ids): equal for equal music."""
    return np.array(notes, dtype=np.int32).reshape(-1, 8)[:, :4].tobytes()


def _shard(out: Path, split: str, number: int, tables: list[pa.Table]) -> dict[str, Any]:
    table = pa.concat_tables(tables) if tables else schema().empty_table()
    path = out / f"{split}-{number:05d}.parquet"
    write_table(path, table.replace_schema_metadata(None))
    return shard_entry(path, len(table))
