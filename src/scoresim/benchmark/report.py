"""A folder of a study (or of a benchmark alone) -> one page that can be mailed, and the same as JSON.

The page holds everything it shows: pictures and plots stand inside it, it loads nothing, and whatever came
from a score (titles, composers, reasons) is escaped. What is missing in the folder is left out of the page.
"""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, UndefinedError
from markupsafe import Markup

from scoresim.benchmark.pictures import curves_svg, intervals_svg
from scoresim.benchmark.report_tables import (
    Table,
    card_tables,
    comparison_table,
    grounding_table,
    hidden_table,
    key_figures,
    learnt_subjects,
    learnt_tables,
    matching_table,
    quarantine_table,
    retrieval_table,
    step_table,
    subject,
)
from scoresim.data.card import card
from scoresim.data.shards import MANIFEST
from scoresim.environment import environment
from scoresim.errors import BadInput, in_short
from scoresim.files import read_json, replacing, write_json

CURVES = {
    "mbam/pitch": "hidden pitch, image given",
    "mbam/pitch/notes": "hidden pitch, image withheld",
    "smm": "matching",
    "smc/image_to_notes": "own notes found in the batch",
}
RUNS = {"pretrain": "Pre-trained on images and MIDI", "pretrain-midi": "Pre-trained on MIDI alone"}


def report(folder: Path) -> dict[str, Any]:
    """Write `report.html` and `report.json` into a folder of results.

    Args:
        folder: of a study, or of a benchmark.

    Returns:
        What is in `report.json`: key figures, rows, comparisons, data card, pre-training, steps, environment.

    Raises:
        BadInput: there are no results in the folder, or they are none of ours.
    """
    try:
        found, page = _gathered(folder)
        write_json(folder / "report.json", found)
    except (AttributeError, KeyError, TypeError, UndefinedError, ValueError) as error:
        raise BadInput(f"{folder} holds results that scoresim did not write ({in_short(error)}).") from error
    with replacing(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return found


def _gathered(folder: Path) -> tuple[dict[str, Any], str]:
    """What is in `report.json`, and the page.

    Raises:
        BadInput: there are no results in the folder.
    """
    results = next((p for p in (folder / "benchmark", folder) if (p / "results.json").is_file()), None)
    if results is None:
        raise BadInput(f"{folder} holds no results; give the folder of a study or of a benchmark.")
    rows = read_json(results / "results.json")
    compared = results / "comparisons.json"
    data = folder / "data"
    study = folder / "study.json"
    found: dict[str, Any] = {
        "key_figures": key_figures(rows),
        "rows": rows,
        "comparisons": read_json(compared) if compared.is_file() else [],
        "card": card(data) if (data / MANIFEST).is_file() else None,
        "pretraining": {name: _run(folder / name) for name in RUNS if (folder / name / "log.jsonl").is_file()},
        "study": read_json(study) if study.is_file() else None,
        "environment": environment(),
    }
    return found, render(found, _pictures(folder / "pictures") + _pictures(folder / "benchmark" / "pictures"))


def render(found: dict[str, Any], pictures: list[dict[str, Any]]) -> str:
    """The page, from what `report.json` holds and pictures as data."""
    text = (files("scoresim.benchmark") / "templates" / "report.html").read_text(encoding="utf-8")
    engine = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    engine.filters["count"] = lambda value: f"{value:,}".replace(",", "\u202f")
    rows, study = found["rows"], found["study"]
    sections: list[tuple[str, str, list[Table]]] = [
        ("What hides in this bar?", "hidden", [hidden_table(rows)]),
        ("Does this image belong to these notes?", "matching", [matching_table(rows)]),
        ("Where on the image is this bar?", "grounding", [grounding_table(rows)]),
        ("Which notes belong to this image?", "retrieval", [retrieval_table(rows)]),
        (
            "Fine-tuned",
            "learnt",
            [*learnt_tables(rows), comparison_table(found["comparisons"])],
        ),
    ]
    return engine.from_string(text).render(
        found=found,
        sections=[(title, key, [t for t in tables if t.rows]) for title, key, tables in sections],
        cards=card_tables(found["card"]) if found["card"] else [],
        quarantine=quarantine_table(found["card"]) if found["card"] else None,
        intervals=[Markup(svg) for svg in _interval_plots(rows)],
        curves=[(title, note, Markup(svg)) for title, note, svg in _curves(found["pretraining"])],
        pairs=[p for p in pictures if p["kind"] == "pair"],
        hidden=[p for p in pictures if p["kind"] == "hidden"],
        answered=[p for p in pictures if p["kind"] == "task"],
        steps=step_table(study) if study else None,
        preset=study["preset"] if study else None,
        seed=study["seed"] if study else None,
    )


def _run(folder: Path) -> dict[str, Any]:
    """Options and log of a pre-training."""
    config = folder / "config.json"
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "config": read_json(config) if config.is_file() else {},
        "log": [json.loads(line) for line in lines if line.strip()],
    }


def _pictures(folder: Path) -> list[dict[str, Any]]:
    """Pictures as data for the page."""
    listed = folder / "pictures.json"
    if not listed.is_file():
        return []
    found = []
    for picture in read_json(listed):
        path = folder / Path(picture["file"]).name
        if path.is_file():
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            kind = "svg+xml" if path.suffix == ".svg" else "png"
            found.append(picture | {"data": f"data:image/{kind};base64,{encoded}"})
    return found


def _curves(runs: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(title, note, svg): the loss of every run, then accuracies on training passages."""
    plots = []
    for name, run in runs.items():
        points = [(line["step"], line["loss"]) for line in run["log"] if "loss" in line]
        if points:
            one = (RUNS[name], [p[0] for p in points], [p[1] for p in points])
            svg = curves_svg([one], "loss (sum of its parts)", f"Training loss: {RUNS[name]}")
            plots.append((RUNS[name], "Loss on training passages, mean between two points.", svg))
    log = runs.get("pretrain", {}).get("log", [])
    series = []
    for key, label in CURVES.items():
        points = [(line["step"], line[key]) for line in log if key in line]
        if points:
            series.append((label, [p[0] for p in points], [p[1] for p in points]))
    if series:
        note = "Share right on training passages, as they are seen for the first time or again."
        svg = curves_svg(series, "share right", "Training accuracies")
        plots.insert(1, ("What it gets right while it learns", note, svg))
    return plots


def _interval_plots(rows: list[dict[str, Any]]) -> list[str]:
    """One picture per learnt task: every system's figure with its interval."""
    plots = []
    for task in learnt_subjects(rows):
        first = next(r for r in rows if subject(r) == task)
        what, metric = first["what"], first["metric"]
        here = [r for r in rows if r["what"] == what and r["metric"] == metric]
        lines = [(_short(r), r["value"], *(r["ci95"] or (r["value"], r["value"]))) for r in here]
        plots.append(intervals_svg(lines, f"{what}: {metric}", f"{metric} of {what} by system"))
    return plots


def _short(row: dict[str, Any]) -> str:
    """A system in a few words."""
    name = {"score images and MIDI": "SIM", "MIDI alone": "MIDI alone", "none (from scratch)": "from scratch"}
    pretraining, beside, more = str(row["pretraining"]).partition(", with ")
    known = name.get(pretraining)
    if known is None:
        return pretraining.removeprefix("none (").removesuffix(")")
    return f"{known}, reads {row['inputs'].split(' ')[0]}{beside}{more}"
