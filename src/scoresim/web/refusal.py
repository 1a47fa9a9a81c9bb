"""What a server does not answer: a status, and one sentence for the person who asked. No path, no traceback."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.datastructures import Headers

T = TypeVar("T")
TEMPLATES = Path(__file__).with_name("templates")
AGAIN = 5  # seconds after which one who was sent away may ask again
_PATHS = re.compile(r"(?<![\w./:<])/(?:[^/\s'\",;:()]+/)+[^/\s'\",;:()]*?(?=\.?(?:[\s'\",;:()]|$))")


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: HTTP status, 400 to 599.
        sentence: for a person.
        headers: of the response, beside the usual ones.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


def later(status: int, sentence: str) -> Refusal:
    """A refusal of one who may come again."""
    return Refusal(status, sentence, {"Retry-After": str(AGAIN)})


def as_response(refusal: Refusal, headers: Headers) -> Response:
    """A refusal as JSON, or as a page where a browser goes from page to page.

    Args:
        refusal: what is not answered.
        headers: of the request.
    """
    accepted = headers.get("accept", "")
    if "text/html" not in accepted or "application/json" in accepted:
        return JSONResponse({"error": refusal.sentence}, refusal.status, refusal.headers)
    page = Template((TEMPLATES / "refused.html").read_text(encoding="utf-8"))
    text = page.substitute(sentence=escape(refusal.sentence), what=escape(HTTPStatus(refusal.status).phrase))
    return HTMLResponse(text, refusal.status, refusal.headers)


def of_status(request: Request, status: int) -> Refusal:
    """What the router does not answer: no such page, or not in this way."""
    if status == HTTPStatus.NOT_FOUND:
        return Refusal(status, "There is no such page here; the first page is /.")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return Refusal(status, f"This address does not answer to {request.method}; see /api/openapi.json.")
    return Refusal(status, f"This was not answered: {HTTPStatus(status).phrase}.")


def with_names(text: str, names: Mapping[Path, str]) -> str:
    """A text in which the visitor's own names stand for the files of the server.

    Args:
        text: what the program said.
        names: for each file of the server, how it is called for the visitor.
    """
    for path, shown in names.items():
        for own in (str(path), path.name, path.stem):
            text = text.replace(own, shown)
    return text


def without_paths(text: str, names: Mapping[Path, str]) -> str:
    """A sentence of one line with the visitor's own names, and without any other path of the server."""
    return " ".join(_PATHS.sub("a file of the server", with_names(text, names)).replace("\0", "").split())


def renamed(value: T, names: Mapping[Path, str]) -> T:
    """The same value with the visitor's own names wherever a text in it names a file of the server.

    Args:
        value: JSON values, tuples, or frozen dataclasses of them; anything else is left as it is.
        names: for each file of the server, how it is called for the visitor.
    """
    out: Any = value
    if isinstance(value, str):
        out = with_names(value, names) if any(path.stem in value for path in names) else value
    elif isinstance(value, Mapping):
        out = {key: renamed(item, names) for key, item in value.items()}
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        out = type(value)(*(renamed(item, names) for item in value))
    elif isinstance(value, list | tuple):
        out = type(value)(renamed(item, names) for item in value)
    elif is_dataclass(value) and not isinstance(value, type):
        old = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        new = {name: renamed(item, names) for name, item in old.items()}
        changed = {name: item for name, item in new.items() if not same(item, old[name])}
        out = replace(value, **changed) if changed else value
    return out  # type: ignore[no-any-return]


def same(one: object, other: object) -> bool:
    """Whether nothing was renamed: the same object, or equal texts and sequences of the same objects."""
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, Sequence):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, str) and one == other
