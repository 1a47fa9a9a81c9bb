"""What each objective, the image tokens and the masking are worth: many small pre-trainings, one table.

    python runs/ablation.py DATA OUT [--rows all+squares] [--seeds 3] [--steps 600] [--batch-size 32] [--workers 2]
        [--packed ROWS] [--train-only]

Every row is the recipe of equal weights with one of `CHANGES`, or the default one with one of `NOW` ("pitch first");
`--rows equal` and `--rows now` are all of either. It is pre-trained once per seed with equal floating-point operations
(those of the row `--like` in `--steps` steps; counted by torch on the first batches), so that a cheaper row takes more
steps. Each is then asked the pre-training tasks on the validation part, of clean images alone unless you say `--looks
all`. Runs that are done are kept: stop it and start it again as you like.
Options that decide what a run is stay those that OUT was begun with.
Several runs at a time share the cores evenly. `--packed` trains on rows of DATA that `scoresim pack` has made; a row
with other image tokens is trained on DATA, given the look of these rows, and so is one with a look of its own. With
`--train-only` nothing is asked: on a GPU the runs are trained, then, without it, asked anywhere.
Writes OUT/ablation.json (rows as in results/) and OUT/ablation.md: means over seeds and their 95 % t-intervals.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import statistics
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scoresim.files import read_json, write_json

T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # two-sided 95 % of Student's t, by number of seeds
EQUAL = {
    "each": 0.0,
    "muon": 0.0,
    "single": 0.0,
    "mask_ratio": 0.5,
    "pitch_weight": 1.0,
    "smc_weight": 1.0,
    "smm_weight": 1.0,
    "ground_weight": 1.0,
}
CHANGES: dict[str, dict[str, Any]] = {  # of equal weights
    "all": {},
    "without mbam": {"objectives": ("smc", "smm", "ground")},
    "without smc": {"objectives": ("mbam", "smm", "ground"), "hard": 0.0},
    "without smm": {"objectives": ("mbam", "smc", "ground")},
    "without ground": {"objectives": ("mbam", "smc", "smm")},
    "notes alone": {"objectives": ("mbam",), "inputs": "notes"},
    "squares": {"image_tokens": "squares"},
    "tall": {"image_tokens": "tall"},
    "mask ratio .15": {"mask_ratio": 0.15},
    "mask ratio .3": {"mask_ratio": 0.3},
    "mask ratio .7": {"mask_ratio": 0.7},
    "always the mask": {"masked_share": 1.0, "random_share": 0.0},
    "no altered partners": {"altered": 0.0},
    "no hard partners": {"hard": 0.0},
    "images covered .3": {"image_cover": 0.3},
    "smc weighs 3": {"smc_weight": 3.0},
    "smm weighs 3": {"smm_weight": 3.0},
    "mbam weighs 3": {"mbam_weight": 3.0},
}
PARTS = tuple(name for name in CHANGES if name.startswith("without") or name == "notes alone")
NOW: dict[str, dict[str, Any]] = {  # of the default recipe
    "pitch first": {},
    **{f"pitch first, {name}": CHANGES[name] for name in PARTS},
    "pitch first, equal weights": {name: value for name, value in EQUAL.items() if name.endswith("weight")},
    "pitch first, pitch 4 times, .7 masked": {"pitch_often": 4.0, "masked_share": 0.7, "random_share": 0.2},
    "pitch first, notes not asked one by one": {"each": 0.0},
    "pitch first, AdamW": {"muon": 0.0},
    "pitch first, .15 of all hidden": {"single": 0.0, "mask_ratio": 0.15},
    "pitch first, a share of all hidden": {"single": 0.0},
    "pitch first, .5 of all hidden": {"single": 0.0, "mask_ratio": 0.5},
    "pitch first, squares": CHANGES["squares"],
    "pitch first, tall": CHANGES["tall"],
    "pitch first, degraded images": {"degrade": "mix"},
    "pitch first, four lines": {"lines": 4},
}
ROWS = {name: EQUAL | change for name, change in CHANGES.items()} | NOW
SETS = {"equal": tuple(CHANGES), "now": tuple(NOW)}
SETTLED = ("steps", "like", "size", "batch_size", "probe", "looks", "packed")  # options that decide what a run is
COLUMNS = {  # heading: (beginning of "what", beginning of "inputs", metric)
    "pitch, image": ("hidden pitch", "both", "accuracy"),
    "pitch, notes": ("hidden pitch", "notes", "accuracy"),
    "duration, image": ("hidden duration", "both", "accuracy"),
    "other piece": ("matching: another piece", "both", "accuracy"),
    "same piece": ("matching: another passage", "both", "accuracy"),
    "altered": ("matching: one bar altered", "both", "accuracy"),
    "grounding": ("grounding of bars", "both", "share right"),
    "R@1 image": ("retrieval, image to notes", "each", "R@1"),
    "R@1 notes": ("retrieval, notes to image", "each", "R@1"),
    "R@1 in piece": ("retrieval within a piece, image", "each", "R@1"),
    "R@1 scan": ("retrieval from scan-like images, image", "each", "R@1"),
    "R@1 photo": ("retrieval from photo-like images, image", "each", "R@1"),
    "pitch, scan": ("hidden pitch, scan", "both", "accuracy"),
    "pitch, photo": ("hidden pitch, photo", "both", "accuracy"),
}


def arguments(chosen: dict[str, Any]) -> list[str]:
    """Options as words of a command."""
    words: list[str] = []
    for name, value in chosen.items():
        for one in value if isinstance(value, tuple) else (value,):
            words += [f"--{name.replace('_', '-')}", str(one)]
    return words


def trained_on(row: str, asked: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """The data of a row, and its options: packed rows have the tokens of the default, and their look."""
    if asked.packed is None or not ROWS[row].keys() & {"image_tokens", "degrade"}:
        return asked.packed or asked.data, ROWS[row]
    look = json.loads((asked.packed / "pack.json").read_text(encoding="utf-8"))["degrade"]
    return asked.data, {"degrade": look} | ROWS[row]


def operations(data: Path, chosen: dict[str, Any], size: str, batch_size: int) -> float:
    """Floating-point operations of a step, the mean of four."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from scoresim.data.batches import Passages
    from scoresim.training import pretrain as pre
    from scoresim.training.config import PretrainConfig
    from scoresim.training.loop import make_optimiser, take_step

    config = PretrainConfig(size=size, steps=4, batch_size=batch_size, device="cpu", **chosen)  # type: ignore[arg-type]
    source, vocabulary, _, weight = pre.open_training_split(data, config.degrade, config.seed)
    rows = pre.rows_of(config)
    batches = Passages(source, rows, weight=weight, vocabulary=vocabulary if config.altered else None)
    model, settings = pre.make_model(config, vocabulary).train(), pre.train_config(config, 4)
    optimiser, objectives = make_optimiser(model, settings), pre.make_objectives(config)
    torch.set_num_threads(max(os.cpu_count() or 1, 1))
    with FlopCounterMode(display=False) as counter:
        for step in range(4):
            take_step(model, objectives, batches.batch(0, step), optimiser, settings, step)
    return float(counter.get_total_flops()) / 4


def train_and_ask(row: str, seed: int, steps: int, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """One pre-training and its figures, none with `--train-only`; what is done is not done again."""
    run = asked.out / f"{re.sub(r'[^a-z0-9-]', '', row.lower().replace(' ', '-'))}-{seed}"
    data, options = trained_on(row, asked)
    command = [sys.executable, "-m", "scoresim", "pretrain", str(data), str(run / "pretrain")]
    command += ["--size", asked.size, "--steps", str(steps), "--batch-size", str(asked.batch_size), "--seed", str(seed)]
    command += arguments(options)
    judge = [sys.executable, "-m", "scoresim", "benchmark", "pretraining", "retrieval", "--data", str(asked.data)]
    judge += ["--checkpoint", str(run / "pretrain" / "checkpoint"), "--out", str(run / "benchmark"), "--part", "valid"]
    judge += ["--looks", asked.looks, "--probe", str(asked.probe), "--pool", "1000"]
    environment = {"OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // asked.workers, 1))} | os.environ
    todo = [] if (run / "pretrain" / "checkpoint").is_dir() else [command]
    todo += [] if asked.train_only or (run / "benchmark" / "results.json").is_file() else [judge]
    for words in todo:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{shlex.join(words)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    print(f"{row}, seed {seed}: {steps} steps, done", file=sys.stderr, flush=True)
    if asked.train_only:
        return []
    found: list[dict[str, Any]] = json.loads((run / "benchmark" / "results.json").read_text(encoding="utf-8"))
    return found


def figure(rows: list[dict[str, Any]], column: tuple[str, str, str]) -> float | None:
    """A model's figure, None where it was not asked."""
    what, inputs, metric = column
    hits = [
        r["value"]
        for r in rows
        if r["what"].startswith(what) and r["inputs"].startswith(inputs) and r["metric"] == metric
        and not r["pretraining"].startswith("none")
    ]  # fmt: skip
    return hits[0] if hits else None


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean over seeds and the ends of its 95 % t-interval."""
    mean = statistics.fmean(values)
    half = T95[len(values)] * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return mean, mean - half, mean + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", default="equal+now", help="names of rows, equal or now, with + between them")
    parser.add_argument("--seeds", type=int, default=3, choices=sorted(T95))
    parser.add_argument("--steps", type=int, default=600, help="of the row that the others cost as much as")
    parser.add_argument("--like", default="all", choices=tuple(ROWS), help="that row")
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--probe", type=int, default=500, help="validation passages that are asked")
    parser.add_argument("--looks", default="clean", choices=("clean", "all"), help="images that are asked")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time")
    parser.add_argument("--packed", type=Path, help="packed rows of DATA that are trained on")
    parser.add_argument("--train-only", action="store_true", help="ask nothing")
    asked = parser.parse_args()
    rows = [row for name in asked.rows.split("+") for row in SETS.get(name, (name,))]
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    about = {name: str(getattr(asked, name)) for name in SETTLED} | {"packed": str(asked.packed is not None)}
    if (begun := asked.out / "options.json").is_file() and (before := read_json(begun)) != about:
        other = ", ".join(f"--{name.replace('_', '-')} {before.get(name)}" for name in SETTLED)
        parser.error(f"{asked.out} holds runs with {other}; choose another folder.")
    write_json(begun, about)
    kept = asked.out / "operations.json"
    costs: dict[str, float] = read_json(kept) if kept.is_file() else {}
    for row in dict.fromkeys((asked.like, *rows)):
        costs[row] = costs.get(row) or operations(*trained_on(row, asked), asked.size, asked.batch_size)
        write_json(kept, costs)
    steps = {row: round(asked.steps * costs[asked.like] / costs[row]) for row in rows}
    todo = [(row, seed) for seed in range(asked.seeds) for row in rows]
    with ThreadPoolExecutor(asked.workers) as pool:
        answers = pool.map(lambda job: train_and_ask(job[0], job[1], steps[job[0]], asked), todo)
        found: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
        for (row, _), answer in zip(todo, answers, strict=True):
            found[row].append(answer)
    if not asked.train_only:
        write_tables(found, steps, asked)


def write_tables(
    found: dict[str, list[list[dict[str, Any]]]], steps: dict[str, int], asked: argparse.Namespace
) -> None:
    """The means as JSON and as a Markdown table."""
    command = f"python runs/ablation.py DATA OUT --steps {asked.steps} --batch-size {asked.batch_size}"
    command += f" --rows {shlex.quote(asked.rows)} --like {shlex.quote(asked.like)}"
    for name, default in (("size", "tiny"), ("seeds", 3), ("probe", 500), ("looks", "clean")):
        command += f" --{name} {getattr(asked, name)}" if getattr(asked, name) != default else ""
    command += " --packed ROWS" if asked.packed else ""
    asked_for = [
        name for name, column in COLUMNS.items() if any(figure(a[0], column) is not None for a in found.values())
    ]
    lines = [f"| row | steps | {' | '.join(asked_for)} |", "|---|--:|" + "--:|" * len(asked_for)]
    out = []
    for row, answers in found.items():
        cells = []
        for name in asked_for:
            column = COLUMNS[name]
            values = [value for value in (figure(answer, column) for answer in answers) if value is not None]
            if not values:
                cells.append("")
                continue
            mean, low, high = interval(values)
            cells.append(f"{100 * mean:.1f} ± {100 * (high - mean):.1f}")
            out.append(
                {"what": name, "inputs": column[1], "pretraining": row, "metric": column[2], "value": round(mean, 4)}
                | {"ci95": [round(low, 4), round(high, 4)], "n": len(values), "seeds": list(range(len(values)))}
                | {"command": command, "commit": answers[0][0]["commit"], "steps": steps[row]}
            )
        lines.append(f"| {row} | {steps[row]} | {' | '.join(cells)} |")
    (asked.out / "ablation.json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    commits = ", ".join(sorted({answer[0]["commit"] for answers in found.values() for answer in answers}))
    about = (
        f"`{command}`, size `{asked.size}`, code of {commits}. Means over {asked.seeds} seeds and half of their 95 % "
        f"t-intervals, in percent, on {asked.probe} validation passages and pools of 1,000. Every row took as many "
        f"floating-point operations as the row `{asked.like}` in its steps. Pitch and duration: share of hidden notes "
        "guessed, with the image and without. Other piece, same piece, altered: matching, by kind of partner (.5 is "
        "chance). Grounding: share of bars that point into their box. R@1: image to notes, notes to image, within "
        "a piece."
    )
    title = ["# What each objective, the image tokens and the masking are worth", "", about, ""]
    (asked.out / "ablation.md").write_text("\n".join([*title, *lines]) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
