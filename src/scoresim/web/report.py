"""A stand-in for the page of an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any


def report_html(analysis: Any, sheets: Sequence[Any], picture: bytes | None, inline: bool) -> str:
    """A whole page that shows an analysis."""
    title = escape(analysis.title or ", ".join(analysis.files))
    rows = "".join(f"<li>{escape(str(one))}</li>" for one in analysis.answers)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p id='bars'>{analysis.bars} bars</p><ul>{rows}</ul></body></html>"
    )
