"""The JSON of the answers, for the OpenAPI document: what stands where, in which unit."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from scoresim.web.limits import FILES, Limits
from scoresim.web.uploads import FIELD


class Problem(BaseModel):
    """What was not answered."""

    error: str = Field(description="One sentence for a person.")


class Health(BaseModel):
    """What runs here."""

    version: str = Field(description="Of scoresim.")
    model: str = Field(description="Name of the weights.")
    index: bool = Field(description="Whether a collection can be searched.")
    vectors: int = Field(description="Passages in the collection; 0 without one.")


class ShownSystem(BaseModel):
    """A system of a picture and the bars that it is taken to show."""

    page: int = Field(description="From 0.")
    system: int = Field(description="From 0.")
    box: list[float] = Field(description="x0, y0, x1, y1 in pixels of the page.", min_length=4, max_length=4)
    first_bar: int = Field(description="From 0.")
    end_bar: int = Field(description="The first bar after it, from 0.")
    probability: float = Field(description="That system and bars show the same music.", ge=0, le=1)
    missing: list[int] = Field(description="Bars with a note that does not seem to stand on the system.")


class Matched(BaseModel):
    """Whether a picture and notes show the same music."""

    probability: float = Field(description="Mean over the systems.", ge=0, le=1)
    similarity: float = Field(description="Mean cosine of each system and its bars, each read alone.")
    systems: list[ShownSystem]


class FoundFile(BaseModel):
    """A file of the collection."""

    file: str = Field(description="Relative to the collection's folder.")
    kind: str = Field(description="notes or image.")
    similarity: float = Field(description="Mean cosine of what was laid along each other.")
    probability: float | None = Field(description="That query and file show the same music; null where not asked.")
    first_bar: int | None = Field(description="Of the bars that answer the query, from 0; null for pictures.")
    end_bar: int | None = Field(description="The first bar after them, from 0; null for pictures.")


class FoundFiles(BaseModel):
    """What a search found, the best first."""

    query: str = Field(description="Name of the file that was asked with.")
    found: list[FoundFile]


class Analyzed(BaseModel):
    """What is said about a piece. More fields than these may come."""

    model_config = ConfigDict(extra="allow")

    files: list[str] = Field(description="Names of the files.")
    inputs: list[str] = Field(description="What was read: notes, image.")
    title: str
    composer: str
    bars: int = Field(description="How many; 0 where they are not known.")
    stated: dict[str, str] = Field(description="What the file itself says.")
    notes: dict[str, Any] | None = Field(description="Answers for every note; null without notes.")
    answers: list[dict[str, Any]] = Field(description="Answers for the whole piece.")
    match: Matched | None = Field(description="Picture against notes; null where not both were given.")
    unknown: list[str] = Field(description="Questions that these weights do not answer.")
    model: str = Field(description="Name of the weights.")


REASONS = {
    400: "The form is broken, or the server is not known under this name.",
    403: "A page of another site asked.",
    404: "There is no such page, or no collection to search.",
    405: "The address does not answer to this method.",
    408: "The files did not arrive in time.",
    413: "A file or the request is too large, or has too many pages or notes.",
    415: "No form, or a file of no known kind.",
    422: "A file cannot be read, or the files are not those that are asked for.",
    429: "Too many requests of one client at once.",
    500: "A mistake of the server.",
    503: "The server is busy or has no room.",
    504: "The answer took too long.",
}
REF, TEXT = "#/components/schemas/Problem", {"type": "string"}
OF_ALL = (400, 405, 500)
OF_UPLOADS = (400, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503, 504)


def problems(statuses: tuple[int, ...], page: bool = False) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, as OpenAPI has them.

    Args:
        statuses: HTTP statuses.
        page: whether they can also come as a page.
    """
    out: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        out[status] = {"description": REASONS[status]}
        if page:  # FastAPI would say of a page that all its answers are pages
            out[status]["content"] = {"application/json": {"schema": {"$ref": REF}}, "text/html": {"schema": TEXT}}
        else:
            out[status]["model"] = Problem
        if status in (429, 503):
            out[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
            }
    return out


def form(limits: Limits, least: int, most: int, what: str) -> dict[str, Any]:
    """The body of a route that takes files, as OpenAPI has it.

    Args:
        limits: bounds, which the description names.
        least, most: number of files.
        what: which files, as a sentence.
    """
    files = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": least,
        "maxItems": min(most, FILES),
        "description": f"{what} At most {limits.megabytes:g} MB each, {limits.pages} pages, {limits.notes} notes.",
    }
    schema = {"type": "object", "properties": {FIELD: files}, "required": [FIELD], "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
