"""What commands print: a table or lines for a person, or one JSON object for a program."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

__all__ = ["Json", "results_only", "show_json", "show_mapping", "show_table"]

Json = Annotated[
    bool,
    Parameter(
        name="--json",
        help="Print one JSON object on standard output and nothing else there.",
        show_default=False,
    ),
]


@contextmanager
def results_only() -> Iterator[None]:
    """Send whatever the work prints to standard error: standard output is for the result alone."""
    with redirect_stdout(sys.stderr):
        yield


def show_json(value: Mapping[str, object]) -> None:
    """Print one JSON object."""
    readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not readable, allow_nan=False, indent=1))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns whose cells are all numbers stand to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _console().print(table)


def show_mapping(value: Mapping[str, object], depth: int = 0) -> None:
    """Print a nested mapping as indented ``name: value`` lines."""
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            print(f"{'  ' * depth}{name}:")
            show_mapping(item, depth + 1)
        else:
            print(f"{'  ' * depth}{name}: {_cell(item)}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return str(value)


def _console() -> Console:
    """The console of standard output; wide when nobody watches, so that piped tables are not cut."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, markup=False, highlight=False)
