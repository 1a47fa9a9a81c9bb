"""Scores in, shards of verified pairs out.

The unit of work is one item (a file, or one tune of a tune book). A worker process makes its pairs and leaves them
as a part (`parts`), under a temporary name that is renamed. When all parts are there they are merged (`merge`) in the
order of the corpora into shards. A build that is killed at any moment and started again therefore ends with the same
shards, however many workers, processes of a cluster, or attempts it took.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scoresim.data import corpora
from scoresim.data.cluster import run_on_cluster
from scoresim.data.config import BuildConfig, check, identity, printable, published
from scoresim.data.corpora import Item
from scoresim.data.curate import hold_out, limit_works, read_held_out, split_works
from scoresim.data.harmonize import write_sampling
from scoresim.data.merge import merge, record
from scoresim.data.parts import Task, Unwritable, make_part, part_name, refused, write_part
from scoresim.data.shards import MANIFEST
from scoresim.errors import BadInput
from scoresim.files import LOCK, Place, locked, place, read_json, remove_tree, write_json
from scoresim.progress import Progress
from scoresim.score.sandbox import Failure, run_all

__all__ = ["BuildConfig", "build", "identity"]

_logger = logging.getLogger("scoresim")


def build(out: Place | str, config: BuildConfig) -> dict[str, Any]:
    """Build a data set, or finish one that was begun with the same configuration.

    Args:
        out: folder of the data set, or its address (``s3://bucket/folder``); made when missing.
        config: what to build.

    Returns:
        The manifest, also written to ``manifest.json``.

    Raises:
        BadInput: an unknown or absent corpus, a folder that holds another data set or that another process builds in,
            or a place that cannot be written.
    """
    check(config)
    out = place(out)
    with locked(out):
        try:
            return _built(out, config)
        except OSError as error:
            raise BadInput(f"{error.filename or out} cannot be used: {error.strerror or error}.") from error
        except Unwritable as error:
            raise BadInput(str(error)) from None


def _built(out: Place, config: BuildConfig) -> dict[str, Any]:
    """The manifest of a data set that is whole, was begun, or is built from the beginning."""
    settings = identity(config)
    begun = _begun(out, settings, config.resume)
    if begun and (out / MANIFEST).is_file():
        _tidy(out)
        manifest: dict[str, Any] = read_json(out / MANIFEST)
    else:
        tasks, split, sources = _plan(out, config)
        write_json(out / "build.json", settings)
        started = time.monotonic()
        in_one_go = _make_parts(tasks, config)
        manifest = merge(out, tasks, split, sources, published(settings))
        if in_one_go:
            manifest["seconds"] = round(time.monotonic() - started, 1)
        write_json(out / MANIFEST, manifest)
        _tidy(out)
    return _harmonized(out, manifest, config)


def _begun(out: Place, settings: dict[str, Any], resume: bool) -> bool:
    """Whether this very build was begun in the folder; refuses a folder that holds something else."""
    if (out / "build.json").is_file():
        if read_json(out / "build.json") != settings:
            raise BadInput(f"{out} holds a data set of another configuration; choose another folder or remove it.")
        if not resume:
            raise BadInput(f"{out} holds this data set, whole or begun; leave --no-resume out to go on with it.")
        return True
    if out.is_dir() and any(not _ours(path.name) for path in out.iterdir()):
        raise BadInput(f"{out} is not empty and not a data set; choose another folder.")
    return False


def _ours(name: str) -> bool:
    """Whether a file is a leftover, or the lock, of a build that was killed before it began."""
    return name.endswith(".tmp") or name == LOCK


def _tidy(out: Place) -> None:
    """Remove the parts of a finished build, and what a killed one left half written."""
    remove_tree(out / "parts")
    for path in out.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def _harmonized(out: Place, manifest: dict[str, Any], config: BuildConfig) -> dict[str, Any]:
    """The manifest after the sampling weights of the passages were written, if they are not yet as asked for."""
    wanted = {"style_balance": config.style_balance, "complexity_balance": config.complexity_balance}
    if manifest.get("harmonization") != wanted:
        write_sampling(out, config.style_balance, config.complexity_balance == "on")
        manifest["harmonization"] = wanted
        write_json(out / MANIFEST, manifest)
    return manifest


def _make_parts(tasks: list[Task], config: BuildConfig) -> bool:
    """Make the parts that are not there yet, and say whether that was all of them.

    What failed is written down only when all others are done.

    What may have failed because the machine was crowded is made once more when nothing else runs.
    """
    todo = _to_do(tasks)
    refusals: list[tuple[Task, str]] = []
    again: list[Task] = []
    with Progress("Building pairs", len(tasks), "files") as progress:
        progress.advance(len(tasks) - len(todo))
        for i, outcome in _outcomes(todo, config):
            if isinstance(outcome, Failure) and outcome.may_be_load:
                again.append(todo[i])
                continue
            if isinstance(outcome, Failure):
                refusals.append((todo[i], outcome.reason))
            progress.advance()
        for i, outcome in _outcomes(again, config, alone=True):
            if isinstance(outcome, Failure):
                refusals.append((again[i], outcome.reason))
            progress.advance()
    for task, reason in refusals:
        write_part(task, [], refused(task, reason) | {"rejected": {}, "passages": 0})
    return len(todo) == len(tasks)


def _to_do(tasks: list[Task]) -> list[Task]:
    """The tasks whose parts are not there; a part that cannot be read any more is removed and made again."""
    folder = tasks[0].part.parent if tasks else None
    # an object store has no empty folders
    there = {path.name for path in folder.iterdir()} if folder is not None and folder.is_dir() else set[str]()
    todo = []
    for task in tasks:
        if task.part.name in there:
            try:
                record(task)
                continue
            except ValueError:
                task.part.unlink()
        todo.append(task)
    return todo


def _outcomes(todo: list[Task], config: BuildConfig, alone: bool = False) -> Iterator[tuple[int, Any]]:
    """(Index, result or `Failure`) of every task; alone: one at a time on every machine."""
    if not todo:
        return iter(())
    if config.cluster is None:
        return run_all(make_part, todo, 1 if alone else config.workers, config.timeout)
    return run_on_cluster(make_part, todo, config.cluster, config.workers, config.timeout, _done, alone)


def _done(task: Task) -> bool:
    return task.part.is_file()


def _plan(out: Place, config: BuildConfig) -> tuple[list[Task], dict[str, str], list[dict[str, Any]]]:
    """All items in order, the part of every work by its name, and what the manifest says of the sources."""
    found: list[tuple[str, Path, Item]] = []
    sources = []
    plain: dict[str, str] = {}  # names of works before a number was put before them
    names = [entry.partition("=")[0] for entry in config.corpora]
    for number, entry in enumerate(config.corpora):
        name, _, where = entry.partition("=")
        corpus = corpora.get(name)
        root = corpus.find(Path(where) if where else None)
        if root is None:
            there = where or "its usual place"
            raise BadInput(f"corpus {name} is not present at {there}; see scoresim corpora for where it comes from.")
        items = list(corpus.items(root))
        if names.count(name) > 1:
            plain |= {f"{number}/{item.work}": item.work for item in items}
            items = [replace(item, id=f"{number}/{item.id}", work=f"{number}/{item.work}") for item in items]
        found += [(name, root, item) for item in items]
        sources.append(
            {"name": name, "title": corpus.title, "licence": corpus.licence, "citation": corpus.citation}
            | {"source": corpus.source, "items_found": len(items)}
        )
    if not found:
        raise BadInput("the corpora hold no files of a known format; nothing to build.")
    items = [item for _, _, item in found]
    _refuse_overlap(items)
    split = split_works(items)
    if config.held_out is not None:
        listed = read_held_out(Path(config.held_out))
        found_in = {work: listed[plain.get(work, work)] for work in split if plain.get(work, work) in listed}
        split = hold_out(split, found_in)
        _logger.log(
            logging.INFO if found_in else logging.WARNING,
            "%s: %d of its %d works are in this set.",
            config.held_out,
            len(found_in),
            len(listed),
        )
    chosen = limit_works(items, split, config.limit, config.max_items, config.seed)
    wanted = {id(item) for item in chosen}
    tasks = [
        Task(item, name, out / "parts" / part_name(name, item), config, root)
        for name, root, item in found
        if id(item) in wanted
    ]
    return tasks, split, sources


def _refuse_overlap(items: list[Item]) -> None:
    """One file in two corpora would stand in two parts of the split."""
    seen: set[tuple[Path, int | None]] = set()
    for item in items:
        key = (item.path.resolve(), item.part_of_file)
        if key in seen:
            raise BadInput(f"{printable(str(item.path))} is in two of the corpora; give every file only once.")
        seen.add(key)
