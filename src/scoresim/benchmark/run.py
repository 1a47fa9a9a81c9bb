"""Judge a checkpoint: every question, every way of pre-training it is compared with, every baseline, as rows.

For a learnt task the rows are: the checkpoint with the notes, with both inputs and with the image; a model
pre-trained on MIDI alone with the notes (when one is given); the same network from scratch with the notes and
with both; the majority class; and the task's rule (features, skyline). Whether images help in pre-training is
answered by one comparison alone: the checkpoint against the one pre-trained on MIDI alone, both given notes.

What is left on disk: `results.json` (the rows), `comparisons.json` (paired tests on the same works),
`results.md` (both to read), and `runs/`, one folder per fine-tuning. A benchmark that is stopped goes on
where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from scoresim import checkpoint as checkpoints
from scoresim.benchmark import baselines, linear, metrics, piece_baselines, tasks
from scoresim.benchmark.config import SYSTEMS, BenchmarkConfig, FinetuneConfig, Inputs, ProbeConfig
from scoresim.benchmark.costs import UNKNOWN, Cost, mean_cost
from scoresim.benchmark.finetune import ANSWERS, READ, RESULT, blank, finetune, fit, fit_module, load_elsewhere
from scoresim.benchmark.midibert import MidiBert
from scoresim.benchmark.parts import Parts, prepare, prepare_pieces
from scoresim.benchmark.piecewise import gather
from scoresim.benchmark.places import absent, data_of, there
from scoresim.benchmark.rows import Row, describe, markdown, published_rows, row_of, stamped
from scoresim.benchmark.task import Answers, Data, Figure, Kept, PieceTask, Probe, Result, Task, load_answers
from scoresim.checkpoint import locate, weights_of
from scoresim.data import shards
from scoresim.data.batches import batch_config
from scoresim.environment import commit
from scoresim.errors import BadInput
from scoresim.files import read_json, replacing, write_json
from scoresim.model.sim import SIM

__all__ = ["BenchmarkConfig", "FinetuneConfig", "benchmark", "finetune"]

BOTH, MIDI, SCRATCH = "score images and MIDI", "MIDI alone", "none (from scratch)"
PEER = "none (MidiBERT's network, from scratch)"
LINEAR, FROZEN = " [frozen, linear]", " [frozen]"
WITH = {  # how a row of a system says that features answer beside it, and which: the last that there are
    ", with hand-crafted features": ("hand-crafted features", "hand-crafted features of the piece"),
    ", with features along the line": ("features along the line",),
}
KINDS = {BOTH: "sim", MIDI: "midi", SCRATCH: "scratch", PEER: "midibert"}

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True)
class System:
    """One line of a table: how the model was pre-trained, and what it reads."""

    pretraining: str
    inputs: Inputs


@dataclass(frozen=True, eq=False)
class Judged:
    """A system's figures, one list per training seed (one list alone for a rule)."""

    inputs: str
    pretraining: str
    seeds: tuple[int, ...]
    figures: tuple[list[Figure], ...]
    cost: Cost = UNKNOWN

    def tables(self, index: int) -> metrics.Floats:
        """[S, G, *table] of one figure."""
        return np.stack([figures[index].tables for figures in self.figures])


@dataclass(frozen=True)
class Sources:
    """The checkpoints of a benchmark."""

    checkpoint: Path
    notes_checkpoint: Path | None


def benchmark(task_names: Sequence[str], checkpoint: Path, out: Path, config: BenchmarkConfig) -> list[Row]:
    """Judge a checkpoint on some tasks, beside the baselines.

    Args:
        task_names: names of tasks; none is all. Pre-training is judged by retrieval, too.
        checkpoint: folder that `pretrain` wrote.
        out: folder of the results.
        config: how; `config.data` and `config.notes_checkpoint` name the data and the model to compare with.

    Returns:
        The rows of `results.json`: what, inputs, pretraining, metric, value, ci95, n, seeds, command, commit, and of
        what was trained `Cost`.

    Raises:
        BadInput: an unknown task, a damaged checkpoint, data that the tasks cannot use, or options at odds.
    """
    if config.frozen and config.frozen_heads:
        raise BadInput("--frozen asks a linear model, --frozen-heads trains heads on the same states; choose one.")
    every = tuple(task_names) in ((), ("all",))
    asked = {name: tasks.get(name) for name in (tasks.names() if every else tasks.asked_with(task_names))}
    notes = None if config.notes_checkpoint is None else locate(config.notes_checkpoint)
    words = [f"scoresim benchmark {' '.join(task_names) or 'all'} --checkpoint {checkpoint} --out {out}"]
    words += config.words()
    sources = Sources(locate(checkpoint), notes)
    pairs, folder = data_of(sources.checkpoint, config, every)
    data = Kept(shards.open(pairs)) if pairs is not None else None
    rows: list[Row] = []
    comparisons: list[Row] = []
    for name, task in asked.items():
        missing = absent(task, data, folder)
        if missing and not every:
            raise BadInput(missing)
        if missing:
            _logger.warning("benchmark: left out: %s", missing)
            continue
        _logger.info("benchmark: %s", task.question)
        if isinstance(task, Probe):
            rows += judge_probe(name, task, there(data), sources, out, config)
            continue
        if isinstance(task, PieceTask):
            windowed = replace(task, notes=config.notes or task.notes)
            found, compared = judge_pieces(windowed, there(folder), sources, out, config)
            found += published_rows(task)  # of windows of its own length
        else:
            found, compared = judge_passages(task, there(data), sources, out, config)
        rows += found
        comparisons += compared
    rows = stamped(rows, " ".join(words), commit())
    write_json(out / "results.json", rows)
    write_json(out / "comparisons.json", comparisons)
    with replacing(out / "results.md") as temporary:
        temporary.write_text(markdown(rows, comparisons), encoding="utf-8")
    return rows


def systems(sources: Sources, config: BenchmarkConfig) -> list[System]:
    """The trained systems of a learnt task that are asked for, in the order of the table."""
    midi = [System(MIDI, "notes")] if sources.notes_checkpoint is not None else []
    ours = [System(BOTH, "notes"), System(BOTH, "both"), System(BOTH, "image")]
    peer = [] if config.frozen or config.frozen_heads else [System(PEER, "notes")]
    every = [*ours, *midi, System(SCRATCH, "notes"), System(SCRATCH, "both"), *peer]
    return [one for one in every if f"{KINDS[one.pretraining]}-{one.inputs}" in (config.systems or SYSTEMS)]


def judge_passages(
    task: Task, data: Data, sources: Sources, out: Path, config: BenchmarkConfig
) -> tuple[list[Row], list[Row]]:
    """Rows and comparisons of a learnt task of passages."""
    sim = checkpoints.load(sources.checkpoint).model
    first = config.finetuning(task.name, "notes", config.seed)
    parts = prepare(task, data, batch_config(sim.config, config.batch_size), first)
    chosen = [system for system in systems(sources, config) if system.pretraining != PEER]
    return judge_task(task, lambda _: parts, baselines.rules(parts, data, config.seed), chosen, sources, out, config)


def judge_pieces(
    task: PieceTask, folder: Path, sources: Sources, out: Path, config: BenchmarkConfig
) -> tuple[list[Row], list[Row]]:
    """Rows and comparisons of a task of whole pieces."""
    chosen = [system for system in systems(sources, config) if task.pictured or system.inputs == "notes"]
    if find_spec("transformers") is None and System(PEER, "notes") in chosen:
        _logger.warning("benchmark: transformers is not installed: no row of MidiBERT's network (scoresim[bench])")
        chosen.remove(System(PEER, "notes"))
    material = gather(task, folder, out / "pieces", any(system.inputs != "notes" for system in chosen))
    shape = checkpoints.load(sources.checkpoint).model.config

    kept: dict[str, Parts] = {}

    def ready(settings: FinetuneConfig) -> Parts:
        """The parts for some inputs; those of the last ones are kept, with what was decoded: seeds share them."""
        if settings.inputs not in kept:
            kept.clear()
            kept[settings.inputs] = prepare_pieces(material, batch_config(shape, config.batch_size), settings)
        return kept[settings.inputs]

    first: list[tuple[System, Parts, Answers]] = []
    ruled = out / "runs" / f"windows-of-{config.notes}" if config.notes else out / "runs"
    rules = piece_baselines.kept_rules(material, ruled, config.seed, config.rules)
    rows, compared = judge_task(task, ready, rules, chosen, sources, out, config, first)
    if first and find_spec("matplotlib") is not None:
        from scoresim.benchmark.task_pictures import add_pictures, draw_task

        _, parts, said = first[0]
        pictures = draw_task(out / "pictures", task.name, said, parts.classes, material.parts["test"])
        add_pictures(out / "pictures", pictures)
    return rows, compared


def judge_task(
    task: Task | PieceTask,
    ready: Callable[[FinetuneConfig], Parts],
    beside: Iterable[tuple[str, str, Answers]],
    chosen: Sequence[System],
    sources: Sources,
    out: Path,
    config: BenchmarkConfig,
    answered: list[tuple[System, Parts, Answers]] | None = None,
) -> tuple[list[Row], list[Row]]:
    """Rows and comparisons of a learnt task.

    Args:
        task: what is asked.
        ready: the parts of its data, as a fine-tuning needs them.
        beside: names, inputs and answers of the rules without a network.
        chosen: the systems that are trained.
        sources, out, config: of the benchmark.
        answered: gets every system with its parts and its answers of the first seed.
    """
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    judged, together, own = [], [], list(beside)
    features = {ending: said for ending, names in WITH.items() for name, _, said in own if name in names}
    for system in chosen:
        figures, results = [], []
        joint: dict[str, list[list[Figure]]] = {ending: [] for ending in features}
        for seed in seeds:
            settings = config.finetuning(task.name, system.inputs, seed)
            parts = ready(settings)
            where = train_one(parts, system, sources, out, settings, config.frozen)
            results.append(read_json(where / RESULT))
            said = load_answers(where / ANSWERS)
            figures.append(parts.evaluate(said, load_elsewhere(where, parts)))
            for ending, found in features.items():
                if system.inputs != "image":
                    joint[ending].append(parts.evaluate(said.times(found)))
            if answered is not None and seed == config.seed:
                answered.append((system, parts, said))
        shutil.rmtree(out / READ, ignore_errors=True)
        as_is = LINEAR if config.frozen else FROZEN if config.frozen_heads else ""
        inputs = describe(system.inputs, task, blank(task, system.inputs), config.notes) + as_is
        spent = mean_cost(results)
        judged.append(Judged(inputs, system.pretraining, seeds, tuple(figures), spent))
        for ending, both in joint.items():
            if both:
                together.append(Judged(inputs, system.pretraining + ending, seeds, tuple(both), spent))
    parts = ready(config.finetuning(task.name, "notes", config.seed))
    for name, inputs, answers in own:
        judged.append(Judged(inputs, f"none ({name})", (), (parts.evaluate(answers),)))
    judged += together
    rows = []
    for one in judged:
        for i, figure in enumerate(one.figures[0]):
            score = metrics.with_interval(one.tables(i), figure.statistic, config.seed)
            result = Result(figure.what, one.inputs, figure.metric, score)
            rows.append(row_of(result, one.pretraining, one.seeds, one.cost))
    return rows, compare(judged, config.seed)


def train_one(
    parts: Parts, system: System, sources: Sources, out: Path, config: FinetuneConfig, frozen: bool = False
) -> Path:
    """The folder of one fine-tuning, or of one linear model of frozen states, made now or before."""
    folder = sources.notes_checkpoint if system.pretraining == MIDI else sources.checkpoint
    if folder is None:
        raise BadInput("there is no checkpoint pre-trained on MIDI alone.")
    origin = weights_of(folder)
    if system.pretraining == PEER:
        origin = "MidiBERT's network"
    if system.pretraining == SCRATCH:
        origin = f"scratch {json.dumps(read_json(folder / checkpoints.CONFIG)['model'], sort_keys=True)}"
    asked = json.dumps([origin, parts.identity, asdict(config), *([linear.SETTINGS] if frozen else [])], sort_keys=True)
    kind = "linear-" if frozen else ""
    name = f"{parts.task.name}-{kind}{KINDS[system.pretraining]}-{system.inputs}-seed{config.seed}"
    where = out / "runs" / f"{name}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"
    if not (where / RESULT).is_file():
        _logger.info("benchmark: %s %s", "reading for" if frozen else "fine-tuning", name)
        if system.pretraining == PEER:
            torch.manual_seed(config.seed)
            fit_module(parts, MidiBert(parts.task.level, len(parts.classes)), origin, config, where)
            return where
        sim = checkpoints.load(folder).model
        if system.pretraining == SCRATCH:
            torch.manual_seed(config.seed)
            sim = SIM(sim.config, sim.vocabulary_sizes)
        if frozen:
            linear.probe(parts, sim, origin, config, where)
        else:
            fit(parts, sim, origin, config, where, out / READ)
    return where


def compare(judged: list[Judged], seed: int) -> list[Row]:
    """Paired tests of the pairs of systems that say something, on the first figure of the task."""
    by = {(one.pretraining, one.inputs.split(" ")[0]): one for one in judged}
    wanted = [
        ("gain of images in pre-training", (BOTH, "notes"), (MIDI, "notes")),
        ("gain of pre-training, notes read", (BOTH, "notes"), (SCRATCH, "notes")),
        ("gain of pre-training, both read", (BOTH, "both"), (SCRATCH, "both")),
        ("gain of the image as input", (BOTH, "both"), (BOTH, "notes")),
        ("gain over MidiBERT's network", (BOTH, "notes"), (PEER, "notes")),
    ]
    rules = [key for key in by if ("features" in key[0] or "skyline" in key[0]) and not key[0].endswith(tuple(WITH))]
    wanted += [(f"gain over {by[key].pretraining[6:-1]}", (BOTH, "notes"), key) for key in rules]
    for ending, names in WITH.items():
        alone = [key for key in rules if key[0][6:-1] in names][-1:]
        kind = "features" if "hand-crafted" in ending else names[0]
        wanted += [(f"gain of the model beside {kind}", (BOTH + ending, "notes"), key) for key in alone]
    found = []
    for what, a, b in wanted:
        if a in by and b in by:
            figure = by[a].figures[0][0]
            one = metrics.compare(by[a].tables(0), by[b].tables(0), figure.statistic, seed)
            found.append(
                {
                    "what": f"{figure.what}: {what}",
                    "a": f"{by[a].pretraining}; {by[a].inputs}",
                    "b": f"{by[b].pretraining}; {by[b].inputs}",
                    "metric": figure.metric,
                    "difference": round(one.difference, 6),
                    "ci95": [round(one.low, 6), round(one.high, 6)],
                    "p": round(one.p, 6),
                    "works": one.works,
                }
            )
    return found


def judge_probe(name: str, task: Probe, data: Data, sources: Sources, out: Path, config: BenchmarkConfig) -> list[Row]:
    """Rows of a question put to the checkpoints as they are."""
    rows = []
    pairs = [(BOTH, sources.checkpoint), (MIDI, sources.notes_checkpoint)]
    for pretraining, folder in pairs:
        if folder is None:
            continue
        probe = ProbeConfig(
            config.pool,
            config.probe,
            notes_only=pretraining == MIDI,
            seed=config.seed,
            part=config.part,
            looks=config.looks,
        )
        identity = [name, weights_of(folder), asdict(probe), data.manifest.get("shards")]
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        kept = out / "runs" / f"{name}-{'midi' if probe.notes_only else 'both'}-{key}.json"
        if not kept.is_file():
            model = checkpoints.load(folder).model
            model.to("cuda" if torch.cuda.is_available() else "cpu")
            results = task.ask(
                model, data, batch_config(model.config, probe.batch_size), replace(probe, lists=str(out))
            )
            write_json(kept, [asdict(result) for result in results])
        for found in read_json(kept):
            result = Result(**(found | {"score": metrics.Score(**found["score"])}))
            rule = result.baseline
            rows.append(row_of(result, f"none ({rule})" if rule else pretraining))
    return rows
