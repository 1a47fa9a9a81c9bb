"""The routes: a page for people, its report, and the same answers as JSON for programs."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from scoresim import __version__
from scoresim.data.given import KINDS_BY_SUFFIX
from scoresim.errors import ScoresimError
from scoresim.index import Store, open_store
from scoresim.index.collect import search as look_up
from scoresim.web.desk import Desk
from scoresim.web.guard import LOOPBACK, Guard
from scoresim.web.limits import TOP, Limits
from scoresim.web.look import look
from scoresim.web.refusal import TEMPLATES, Refusal, as_response, of_status, renamed, without_paths
from scoresim.web.report import report_html
from scoresim.web.schema import (
    OF_ALL,
    OF_UPLOADS,
    Analyzed,
    FoundFiles,
    Health,
    Matched,
    form,
    problems,
)
from scoresim.web.uploads import Cabinet, Upload, receive

if TYPE_CHECKING:
    from scoresim.understand import Sim

T = TypeVar("T")
LIMITS = Limits()
STATIC = Path(__file__).with_name("static")
EITHER = "A file of notes, a picture of a score, or one of each."
BOTH = "A picture of a score and a file of notes, in any order."
ONE = "A file of notes, or a picture of a score."

mimetypes.add_type("application/wasm", ".wasm")  # not every system knows it, and a browser insists
mimetypes.add_type("text/javascript", ".js")


class House:
    """What the routes share: the model, the collection, the desk, and where files are put.

    Args:
        sim: a model; one thread at a time uses it.
        index: address of a collection; it is opened by that thread.
        folder: that was indexed.
        limits: bounds.

    Raises:
        BadInput: there is no such collection, or it is of other weights.
    """

    def __init__(self, sim: Sim, index: str | Path | None, folder: Path | None, limits: Limits) -> None:
        self.sim, self.limits = sim, limits
        # whole paths: a folder called "music" is not to be mistaken for the word
        self.index = index if index is None or "://" in str(index) else Path(index).absolute()
        self.folder = None if folder is None else folder.absolute()
        self.model = sim.name if sim.name.startswith("hf:") else Path(sim.name).name  # its place is nobody's business
        self.desk, self.cabinet = Desk(limits), Cabinet()
        self._store: Store | None = None
        self.vectors = 0
        if index is not None:
            with open_store(index, sim.weights) as store:
                self.vectors = len(store)

    async def answer(self, request: Request, check: Callable[[Sequence[Upload]], None], work: Work[T]) -> T:
        """Take the files of a request, and have the model asked about them.

        Args:
            request: whose body was not read yet.
            check: refuses files that are not those that are asked for.
            work: what is done with them, by the thread of the desk.

        Raises:
            Refusal: anything is not as it should be.
        """
        visit = self.desk.come_in(request.client.host if request.client else "")
        try:
            with self.cabinet.drawer() as folder:
                uploads = await receive(request, folder, self.limits)
                check(uploads)
                return await visit.work(partial(self._asked, work, uploads), request)
        finally:
            visit.leave()

    def _asked(self, work: Work[T], uploads: Sequence[Upload]) -> T:
        """Runs in the thread of the desk."""
        names = {upload.path: upload.shown for upload in uploads}
        try:
            look(uploads, self.limits, self.sim.workers)
            return renamed(work(uploads), names)
        except ScoresimError as error:
            raise Refusal(422, without_paths(self._without_places(str(error)), names)) from None

    def _without_places(self, sentence: str) -> str:
        """A sentence without the places of the collection, which are nobody's business."""
        for place, word in ((self.index, "the collection"), (self.folder, "the collection's folder")):
            if place is not None:
                sentence = sentence.replace(str(place), word)
        return sentence

    def analyze(self, uploads: Sequence[Upload]) -> Any:
        """See `understand.Sim.analyze`; as JSON values."""
        return {**self.sim.analyze(*(one.path for one in uploads)).to_dict(), "model": self.model}

    def match(self, uploads: Sequence[Upload]) -> Any:
        """See `understand.Sim.match`; as JSON values."""
        kinds = {one.kind: one.path for one in uploads}
        return self.sim.match(kinds["image"], kinds["notes"]).to_dict()

    def search(self, top: int, uploads: Sequence[Upload]) -> Any:
        """See `index.collect.search`; as JSON values."""
        if self.index is None:
            raise Refusal(404, "There is no collection to search here.")
        [query] = uploads
        try:
            if self._store is None:
                self._store = open_store(self.index, self.sim.weights)
            found = look_up(self._store, self.sim, query.path, top, self.folder)
        except BaseException:
            self.leave_store()  # a server of a database may have gone away; the next one asks it anew
            raise
        return {"query": query.path.name, "found": [one.to_dict() for one in found]}

    def report(self, inline: bool, uploads: Sequence[Upload]) -> str:
        """The page of an analysis; with `inline` as one file that needs no server."""
        analysis = self.sim.analyze(*(one.path for one in uploads), show=True)
        analysis = renamed(replace(analysis, model=self.model), {one.path: one.shown for one in uploads})
        return report_html(analysis, analysis.sheets, analysis.picture, inline=inline)

    def leave_store(self) -> None:
        """Close the collection; by the thread that opened it."""
        if self._store is not None:
            store, self._store = self._store, None
            store.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self.desk.close(self.leave_store)
        self.cabinet.close()


Work = Callable[[Sequence[Upload]], T]


def of_different_kinds(uploads: Sequence[Upload]) -> None:
    """One file, or two of different kinds.

    Raises:
        Refusal: they are not.
    """
    if len({one.kind for one in uploads}) < len(uploads):
        what = "files of notes" if uploads[0].kind == "notes" else "pictures"
        raise Refusal(422, f"These are two {what}; give one of notes, one picture, or one of each.")


def of_both_kinds(uploads: Sequence[Upload]) -> None:
    """One of notes and one picture.

    Raises:
        Refusal: they are not.
    """
    if {one.kind for one in uploads} != {"notes", "image"}:
        raise Refusal(422, "A picture is compared with notes; give one picture and one file of notes.")


def single(uploads: Sequence[Upload]) -> None:
    """One file.

    Raises:
        Refusal: there are more.
    """
    if len(uploads) != 1:
        raise Refusal(422, "A search is asked with one file; give one of notes, or one picture.")


def make_app(
    sim: Sim,
    index: str | Path | None = None,
    folder: Path | None = None,
    limits: Limits = LIMITS,
    hosts: Collection[str] | None = LOOPBACK,
) -> FastAPI:
    """The server as an ASGI application.

    Args:
        sim: a model.
        index: address of a collection that can be searched: a folder, or postgresql://user@host/name.
        folder: that was indexed; the first answers of a search are then read together with the query.
        limits: bounds of what is taken from visitors.
        hosts: names under which the server may be asked, without ports; None for any.

    Raises:
        BadInput: there is no such collection, or it is of other weights.
    """
    house = House(sim, index, folder, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        house.cabinet.open()
        try:
            yield
        finally:
            house.close()

    app = FastAPI(
        title="scoresim",
        summary="Reads music as notes and as pictures of scores.",
        description=(
            "Files are sent as a form and removed when the answer is there. Every refusal is JSON with one sentence."
        ),
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.house = house
    app.add_middleware(Guard, hosts=hosts)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(RequestValidationError, _invalid)
    _add_pages(app, house)
    _add_api(app, house)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return as_response(error, request.headers)


def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = of_status(request, error.status_code)
    refusal.headers.update(error.headers or {})
    return as_response(refusal, request.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = str(first["loc"][-1])
    return as_response(Refusal(422, f"The value of {where} is not taken: {first['msg']}."), request.headers)


def _add_pages(app: FastAPI, house: House) -> None:
    """The page, and the report that its form leads to."""
    template = Template((TEMPLATES / "page.html").read_text(encoding="utf-8"))
    limits = house.limits
    page = template.substitute(
        accept=escape(",".join(KINDS_BY_SUFFIX)),
        version=escape(__version__),
        model=escape(house.model),
        megabytes=f"{limits.megabytes:g}",
        pages=limits.pages,
        notes=f"{limits.notes:,}",
        search="" if house.index is None else "data-search",
    )

    @app.get("/", summary="The page for people.", response_class=HTMLResponse, responses=problems(OF_ALL, True))
    async def first() -> Response:
        return HTMLResponse(page)

    @app.post(
        "/report",
        summary="What is said about a piece, as a page.",
        response_class=HTMLResponse,
        responses=problems(OF_UPLOADS, True),
        openapi_extra=form(limits, 1, 2, EITHER),
    )
    async def report(
        request: Request,
        save: Annotated[bool, Query(description="As one file to keep, which needs no server.")] = False,
    ) -> Response:
        text = await house.answer(request, of_different_kinds, partial(house.report, save))
        headers = {"content-disposition": 'attachment; filename="scoresim-report.html"'} if save else None
        return HTMLResponse(text, headers=headers)


def _add_api(app: FastAPI, house: House) -> None:
    """What programs ask."""
    limits, refusals = house.limits, problems(OF_UPLOADS)

    @app.get("/api/v1/health", summary="What runs here.", response_model=Health, responses=problems(OF_ALL))
    async def health() -> Response:
        return JSONResponse(
            {
                "version": __version__,
                "model": house.model,
                "index": house.index is not None,
                "vectors": house.vectors,
            }
        )

    @app.post(
        "/api/v1/analyze",
        summary="What is said about a piece.",
        response_model=Analyzed,
        responses=refusals,
        openapi_extra=form(limits, 1, 2, EITHER),
    )
    async def analyze(request: Request) -> Response:
        return JSONResponse(await house.answer(request, of_different_kinds, house.analyze))

    @app.post(
        "/api/v1/match",
        summary="Do a picture and notes show the same music?",
        response_model=Matched,
        responses=refusals,
        openapi_extra=form(limits, 2, 2, BOTH),
    )
    async def match(request: Request) -> Response:
        return JSONResponse(await house.answer(request, of_both_kinds, house.match))

    @app.post(
        "/api/v1/search",
        summary="What of the collection is, or shows, the music of a file?",
        response_model=FoundFiles,
        responses=refusals,
        openapi_extra=form(limits, 1, 1, ONE),
    )
    async def search(
        request: Request, top: Annotated[int, Query(ge=1, le=TOP, description="How many answers.")] = 10
    ) -> Response:
        if house.index is None:
            raise Refusal(404, "There is no collection to search here.")
        return JSONResponse(await house.answer(request, single, partial(house.search, top)))
