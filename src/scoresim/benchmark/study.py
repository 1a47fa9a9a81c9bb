"""All of it in one: scores -> pairs -> two pre-trainings -> fine-tunings and figures -> a report.

    OUT/data            the pairs                              scoresim build, scoresim verify
    OUT/pretrain        pre-trained on images and MIDI         scoresim pretrain
    OUT/pretrain-midi   pre-trained on MIDI alone              scoresim pretrain --inputs notes
    OUT/benchmark       rows, intervals, fine-tuned heads      scoresim benchmark
    OUT/pictures        pairs, and bars that were hidden
    OUT/report.html     what came out                          scoresim report
    OUT/study.json      which steps ran, with what, how long

Each step is also a command. A step whose result is there, made with the same configuration from the same
earlier steps, is not run again, so a study that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoresim.benchmark.config import BenchmarkConfig
from scoresim.data.build import build
from scoresim.data.config import BuildConfig
from scoresim.data.verify import verify
from scoresim.errors import BadInput, CheckFailed
from scoresim.files import read_json, write_json

if TYPE_CHECKING:
    from scoresim.training.config import PretrainConfig

PRESETS = ("smoke", "demo", "full")
MUSIC21 = (
    *("bach_chorales", "essen_folksong", "monteverdi_madrigals", "oneill_1850", "palestrina_masses"),
    *("aird_airs", "folk_misc", "quartets", "ryan_mammoth", "trecento"),
)
# The demo leaves out the sources with five and more staves: they cost most of the time and add two styles.
DEMO = ("bach_chorales", "essen_folksong", "oneill_1850", "aird_airs", "ryan_mammoth", "trecento")
MIDI_ALONE: dict[str, Any] = {"inputs": "notes", "objectives": ("mbam",)}
STUDY = "study.json"

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True)
class Preset:
    """How much a study does.

    Attributes:
        build: of the pairs.
        pretrain: on images and MIDI; midi: on MIDI alone.
        benchmark: the questions and baselines.
        pictures: pairs shown in the report, of each kind.
    """

    build: BuildConfig
    pretrain: PretrainConfig
    midi: PretrainConfig
    benchmark: BenchmarkConfig
    pictures: int


@dataclass(frozen=True)
class Step:
    """One step: its name, its command, what it depends on, the file that it leaves, and how to run it."""

    name: str
    command: str
    settings: object
    result: Path
    run: Callable[[], object]


def preset(name: str, seed: int) -> Preset:
    """The configurations behind the name of a preset.

    Raises:
        BadInput: there is no such preset.
    """
    from scoresim.training.config import PretrainConfig

    if name == "smoke":
        sources = ("bach_chorales", "oneill_1850", "ryan_mammoth", "trecento")
        return Preset(
            BuildConfig(corpora=sources, limit=8, max_passages=3, seed=seed),
            PretrainConfig(steps=12, batch_size=8, warmup=4, log_every=2, seed=seed),
            PretrainConfig(steps=6, batch_size=8, warmup=4, log_every=2, seed=seed, **MIDI_ALONE),
            BenchmarkConfig(
                seed=seed,
                style_steps=4,
                top_staff_steps=4,
                batch_size=8,
                validations=1,
                max_valid=16,
                max_test=24,
                pool=24,
                probe=12,
            ),
            pictures=2,
        )
    if name == "demo":
        return Preset(
            BuildConfig(corpora=DEMO, limit=45, max_items=1, max_passages=6, seed=seed),
            PretrainConfig(steps=900, seed=seed),
            PretrainConfig(steps=900, seed=seed, **MIDI_ALONE),
            BenchmarkConfig(
                seed=seed,
                style_steps=300,
                top_staff_steps=100,
                batch_size=16,
                lr=1e-3,
                validations=2,
                max_valid=150,
                max_test=500,
                pool=500,
                probe=150,
            ),
            pictures=4,
        )
    if name == "full":
        steps: dict[str, Any] = {
            "size": "small",
            "steps": 20_000,
            "batch_size": 64,
            "warmup": 1000,
            "seed": seed,
        }
        return Preset(
            BuildConfig(corpora=MUSIC21, seed=seed),
            PretrainConfig(**steps),
            PretrainConfig(**steps, **MIDI_ALONE),
            BenchmarkConfig(seeds=3, seed=seed, style_steps=3000, top_staff_steps=2000, max_valid=2000, probe=2000),
            pictures=6,
        )
    raise BadInput(f"there is no preset called {name!r}; the presets are {', '.join(PRESETS)}.")


def study(name: str, out: Path, seed: int = 0) -> dict[str, Any]:
    """Run a study, or what is left of it.

    Args:
        name: of the preset: smoke, demo or full.
        out: folder of the study.
        seed: of everything.

    Returns:
        What is in `study.json`, and where the report is.

    Raises:
        BadInput: an unknown preset, or a folder that holds another study.
        CheckFailed: the built data set does not verify.
    """
    from scoresim.benchmark.report import report
    from scoresim.environment import peak_memory

    chosen = preset(name, seed)
    record = open_record(out / STUDY, name, seed)
    begin = time.monotonic()
    before = ""
    for step in steps(chosen, out):
        before = hashlib.sha256(json.dumps([before, step.settings], sort_keys=True).encode()).hexdigest()
        done = record["steps"].get(step.name, {})
        if done.get("hash") == before and step.result.is_file():
            continue
        _logger.info("study: %s", step.name)
        start = time.monotonic()
        step.run()
        record["steps"][step.name] = {
            "command": step.command,
            "hash": before,
            "seconds": round(time.monotonic() - start, 1),
        }
        record["peak_memory"] = max(record["peak_memory"], peak_memory())
        write_json(out / STUDY, record)
    made = report(out)
    total = sum(step["seconds"] for step in record["steps"].values())
    return {
        "report": str(out / "report.html"),
        "key_figures": made["key_figures"],
        "seconds": round(time.monotonic() - begin, 1),
        "seconds_of_all_steps": round(total, 1),
        "peak_memory_mb": round(record["peak_memory"] / 1e6),
        "steps": {key: step["seconds"] for key, step in record["steps"].items()},
    }


def open_record(path: Path, name: str, seed: int) -> dict[str, Any]:
    """What `study.json` says, or a new record.

    Raises:
        BadInput: it belongs to another preset or seed.
    """
    fresh: dict[str, Any] = {"preset": name, "seed": seed, "steps": {}, "peak_memory": 0}
    if not path.is_file():
        return fresh
    found: dict[str, Any] = read_json(path)
    if not isinstance(found, dict) or not set(fresh) <= set(found):
        raise BadInput(f"{path} is not the record of a study; choose another folder, or remove it.")
    if (found["preset"], found["seed"]) != (name, seed):
        raise BadInput(
            f"{path.parent} holds a study with preset {found['preset']} and seed {found['seed']}; "
            "choose another folder, or remove it."
        )
    return found


def steps(chosen: Preset, out: Path) -> list[Step]:
    """The steps of a study in their order."""
    from scoresim.benchmark.run import benchmark
    from scoresim.benchmark.study_pictures import draw_pictures
    from scoresim.training.pretrain import pretrain

    data, both, midi = out / "data", out / "pretrain", out / "pretrain-midi"
    judged = asdict(chosen.benchmark) | {"data": str(data), "notes_checkpoint": str(midi)}
    config = BenchmarkConfig(**judged)
    sources = " ".join(f"--corpus {name}" for name in chosen.build.corpora)
    trained = Path("checkpoint") / "config.json"
    return [
        Step(
            "build",
            f"scoresim build {data} {sources}{options(chosen.build, 'limit', 'max_items', 'max_passages', 'seed')}",
            {k: v for k, v in asdict(chosen.build).items() if k not in ("workers", "timeout")},
            data / "manifest.json",
            lambda: build(data, chosen.build),
        ),
        Step("verify", f"scoresim verify {data}", "verify", out / "verify.json", lambda: check(data, out)),
        Step(
            "pretrain",
            f"scoresim pretrain {data} {both}{pretraining_options(chosen.pretrain)}",
            asdict(chosen.pretrain),
            both / trained,
            lambda: pretrain(data, both, chosen.pretrain),
        ),
        Step(
            "pretrain on MIDI alone",
            f"scoresim pretrain {data} {midi}{pretraining_options(chosen.midi)}",
            asdict(chosen.midi),
            midi / trained,
            lambda: pretrain(data, midi, chosen.midi),
        ),
        Step(
            "benchmark",
            f"scoresim benchmark style top_staff retrieval pretraining --checkpoint {both} "
            f"--out {out / 'benchmark'} {' '.join(config.words())}",
            asdict(chosen.benchmark),
            out / "benchmark" / "results.json",
            lambda: benchmark(("pretraining", "retrieval", "style", "top_staff"), both, out / "benchmark", config),
        ),
        Step(
            "pictures",
            "",
            ["pictures", chosen.pictures],
            out / "pictures" / "pictures.json",
            lambda: draw_pictures(data, both, out / "pictures", chosen.pictures, chosen.build.seed),
        ),
    ]


def check(data: Path, out: Path) -> None:
    """Verify the data set and write down that it holds.

    Raises:
        CheckFailed: it does not.
    """
    problems = verify(data)
    if problems:
        raise CheckFailed(f"{data} does not verify, {len(problems)} problem(s), the first: {problems[0]}")
    write_json(out / "verify.json", {"problems": []})


def options(config: Any, *names: str) -> str:
    """Some fields of a configuration as options of a command, where they differ from None."""
    values = {name: getattr(config, name) for name in names}
    return "".join(f" --{k.replace('_', '-')} {v}" for k, v in values.items() if v is not None)


def pretraining_options(config: PretrainConfig) -> str:
    """The options of a pre-training that say what it is."""
    objectives = "" if config.inputs == "both" else f" --objectives {','.join(config.objectives)} --inputs notes"
    return options(config, "size", "steps", "minutes", "batch_size", "warmup", "log_every", "seed") + objectives
