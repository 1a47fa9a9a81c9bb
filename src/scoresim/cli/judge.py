"""Commands that ask questions and show the answers: benchmark, study, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from scoresim.benchmark.config import BenchmarkConfig
from scoresim.cli.output import Json, results_only, show_json, show_table

__all__ = ["benchmark", "report", "study"]

_BENCHMARK = BenchmarkConfig()


def benchmark(
    tasks: Annotated[
        tuple[str, ...],
        Parameter(help="Names of tasks, such as pretraining or melody; all, or none: every task whose data is there."),
    ] = (),
    /,
    *,
    checkpoint: Annotated[
        Path,
        Parameter(help="small or small-free, a folder that scoresim pretrain wrote, or hf:owner/name."),
    ],
    out: Annotated[Path, Parameter(help="Folder for results.json.")] = Path("benchmark-results"),
    config: Annotated[BenchmarkConfig, Parameter(name="*")] = _BENCHMARK,
    json: Json = False,
) -> None:
    """Score a checkpoint on tasks, beside the baselines, and write results.json."""
    from scoresim.benchmark import run as step

    with results_only():
        rows = step.benchmark(tasks, checkpoint, out, config)
    if json:
        show_json({"results": rows})
    else:
        _show_rows(rows)


def study(
    *,
    preset: Annotated[Literal["smoke", "demo", "full"], Parameter(help="How much: seconds, minutes or hours.")],
    out: Annotated[Path, Parameter(help="Folder for everything; a study that was stopped goes on there.")],
    seed: Annotated[int, Parameter(help="Number that all random choices follow from.")] = 0,
    json: Json = False,
) -> None:
    """Build, pre-train, fine-tune, benchmark and report, in one.

    A step whose result is there with the same configuration is not run again.
    """
    from scoresim.benchmark import study as step

    with results_only():
        summary = step.study(preset, out, seed)
    if json:
        show_json(summary)
        return
    _show_key_figures(summary["key_figures"])
    minutes, memory = summary["seconds_of_all_steps"] / 60, summary["peak_memory_mb"] / 1000
    print(f"All steps took {minutes:.1f} minutes and at most {memory:.1f} GB of memory.")
    print(f"The report: {summary['report']}")


def report(
    folder: Annotated[Path, Parameter(help="Folder of a study or a benchmark.")], /, *, json: Json = False
) -> None:
    """Write report.html, one page with its plots inside, and report.json."""
    from scoresim.benchmark import report as step

    with results_only():
        found = step.report(folder)
    if json:
        show_json(found)
        return
    _show_key_figures(found["key_figures"])
    print(f"The report: {folder / 'report.html'}")


def _show_key_figures(figures: Sequence[Mapping[str, Any]]) -> None:
    show_table("", ["figure", "value", "beside"], [[f["name"], f["text"], f["beside"]] for f in figures])


def _show_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """Print result rows with their intervals."""
    columns = ("what", "inputs", "pretraining", "metric", "value", "95 %", "n", "seeds")
    cells = []
    for row in rows:
        interval = row.get("ci95")
        low_high = f"{interval[0]:.3f} to {interval[1]:.3f}" if isinstance(interval, list | tuple) else ""
        cells.append([low_high if column == "95 %" else row.get(column) for column in columns])
    show_table("", columns, cells)
