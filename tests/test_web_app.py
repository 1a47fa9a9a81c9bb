"""The server without a browser: every route, every bound, hostile names, and nothing left behind."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("fastapi", reason="the extra web is not installed")

import httpx2
from fastapi.testclient import TestClient

import scoresim
from scoresim import understand
from scoresim.errors import BadInput, CheckFailed
from scoresim.files import locked
from scoresim.index import open_store
from scoresim.index.collect import collect
from scoresim.score.sandbox import Workers
from scoresim.understand.analysis import Analysis
from scoresim.understand.results import Match, Shown
from scoresim.web import uploads
from scoresim.web.app import make_app
from scoresim.web.guard import HEADERS
from scoresim.web.limits import Limits
from scoresim.web.refusal import renamed, without_paths
from scoresim.web.uploads import shown_name

ABC = b"X:1\nT:Song\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n"
HERE = "http://127.0.0.1:8000"


def said(*files: Path) -> Analysis:
    """What the fake model says."""
    names, kinds = tuple(map(str, files)), tuple("image" if one.suffix == ".png" else "notes" for one in files)
    return Analysis(names, kinds, "<script>alert(1)</script>", "", {}, 4, (), ("Who plays.",), "fake")


class Fake:
    """A model that does what a test wants."""

    name, weights = "fake", "f" * 64

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.asked: list[tuple[Path, ...]] = []
        self.act: Callable[[tuple[Path, ...]], None] = lambda paths: None

    def analyze(self, *files: Path, show: bool = False) -> Analysis:
        """As the real one."""
        self.asked.append(files)
        assert all(path.is_file() for path in files)
        self.act(files)
        return said(*files)

    def match(self, image: Path, notes: Path) -> Match:
        """As the real one."""
        assert (image.suffix, notes.suffix) == (".png", ".abc")
        return Match(0.5, 0.25, (Shown(0, 0, (0.0, 0.0, 9.0, 9.0), 0, 2, 0.5, (1,)),))


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as pool:
        yield pool


@pytest.fixture
def fake(workers: Workers) -> Fake:
    return Fake(workers)


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test leaves is found."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield
    assert [path.name for path in folder.iterdir() if "torch" not in path.name] == []


@pytest.fixture
def client(fake: Fake) -> Iterator[TestClient]:
    with TestClient(make_app(fake), base_url=HERE) as client:
        yield client
        assert left(client) == []


def left(client: TestClient) -> list[str]:
    """Files that are there between requests; a lock is none."""
    folder = client.app.state.house.cabinet.open()
    return [path.name for path in folder.rglob("*") if path.name != ".lock"]


def files(*some: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """A form's files."""
    return [("files", one) for one in some]


def png(size: tuple[int, int] = (40, 40)) -> bytes:
    """A white picture."""
    out = io.BytesIO()
    Image.new("L", size, 255).save(out, "PNG")
    return out.getvalue()


def sentence(reply: Any) -> str:
    """What a refusal says: JSON with one sentence and nothing else."""
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json()) == {"error"}
    text = reply.json()["error"]
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and "temporary" not in text, text
    return text


# ---- what is answered


@pytest.mark.parametrize("address", ["/", "/static/page.js", "/static/page.css", "/static/icon.svg", "/nowhere"])
def test_every_answer_has_the_headers_of_safety(client: TestClient, address: str) -> None:
    reply = client.get(address)
    assert reply.status_code == (404 if address == "/nowhere" else 200)
    assert {name: reply.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe-eval" not in HEADERS["content-security-policy"].replace("wasm-unsafe-eval", "")
    assert reply.headers["cache-control"] == ("no-cache" if "static" in address else "no-store")


def test_the_page_holds_no_script_and_names_no_other_host(client: TestClient) -> None:
    page = client.get("/").text
    assert "<script>" not in page and " on" not in page.split("<main>")[0] and "style=" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert 'lang="en"' in page and "data-search" not in page and "32&nbsp;MB" in page and "20,000 notes" in page


def test_health(client: TestClient) -> None:
    reply = client.get("/api/v1/health").json()
    assert reply == {"version": scoresim.__version__, "model": "fake", "index": False, "vectors": 0}


def test_analyze_names_files_as_the_visitor_does(client: TestClient, fake: Fake) -> None:
    modes = []
    fake.act = lambda paths: modes.extend(folder.stat().st_mode & 0o777 for folder in list(paths[0].parents)[:2])
    reply = client.post("/api/v1/analyze", files=files(("tune.ABC", ABC), ("page.png", png())))
    assert modes == [0o700, 0o700], "nobody else reads it"
    assert reply.status_code == 200, reply.text
    assert reply.json()["files"] == ["tune.ABC", "page.png"]
    assert reply.json()["inputs"] == ["notes", "image"]
    [(notes, image)] = fake.asked
    assert notes.suffix == ".abc" and "tune" not in str(notes)
    assert not notes.exists() and not image.parent.exists()


def test_match_takes_the_files_in_any_order(client: TestClient) -> None:
    for some in ((("a.abc", ABC), ("b.png", png())), (("b.png", png()), ("a.abc", ABC))):
        reply = client.post("/api/v1/match", files=files(*some))
        assert reply.json()["systems"][0]["box"] == [0, 0, 9, 9]


def test_the_report_is_a_page_and_holds_no_script_of_a_visitor(client: TestClient) -> None:
    reply = client.post("/report", files=files(("tune.abc", ABC)))
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script>alert" not in reply.text
    assert "content-disposition" not in reply.headers
    saved = client.post("/report?save=true", files=files(("tune.abc", ABC)))
    assert saved.headers["content-disposition"] == 'attachment; filename="scoresim-report.html"'


def test_a_real_model_matches_and_searches(
    weights: Path, drawn_tune: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sim = understand.load(weights)
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        collect(drawn_tune, store, sim)
    tune, page = (drawn_tune / "tune.abc").read_bytes(), (drawn_tune / "page.png").read_bytes()
    with TestClient(make_app(sim, tmp_path / "index", drawn_tune), base_url=HERE) as client:
        assert client.get("/api/v1/health").json()["index"] is True
        assert "data-search" in client.get("/").text
        reply = client.post("/api/v1/match", files=files(("p.png", page), ("t.abc", tune)))
        assert reply.status_code == 200, reply.text
        assert len(reply.json()["systems"]) > 1
        for _ in range(2):  # the collection stays open from one to the next
            reply = client.post("/api/v1/search?top=1", files=files(("asked.png", page)))
            assert reply.json()["query"] == "asked.png"
            [found] = reply.json()["found"]
            assert found["file"] in ("tune.abc", "page.png")
        reply = client.post("/api/v1/search", files=files(("asked.abc", b"no music")))
        assert reply.status_code == 422
        assert sentence(reply).startswith("asked.abc is not ABC")
        (tmp_path / "index" / "passages.sqlite").write_bytes(b"not any more")
        client.app.state.house._store = None
        reply = client.post("/api/v1/search", files=files(("asked.png", page)))
        assert reply.status_code == 422
        assert str(tmp_path) not in sentence(reply)
        assert left(client) == []
    assert caplog.messages == []


def test_a_server_without_its_collection_does_not_begin(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="index"):
        make_app(fake, tmp_path / "nothing")


# ---- what is refused


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 415, "multipart/form-data"),
        ({"json": {"files": "x"}}, 415, "multipart/form-data"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 415, "multipart"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "broken"),
        ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "ends before"),
        (
            {"content": b"x" * 9, "headers": {"content-type": f"multipart/form-data; boundary={'b' * 300}"}},
            400,
            "broken",
        ),
        (
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.abc"\r\n\r\nX:1',
                "headers": {"content-type": "multipart/form-data; boundary=b"},
            },
            400,
            "ends before",
        ),
        ({"files": [("others", ("a.abc", ABC))]}, 422, "not known here"),
        ({"data": {"files": "a.abc"}, "files": [("files", ("a.abc", ABC))]}, 422, "holds no file"),
        ({"files": files(("", b""))}, 422, "holds no file"),
        ({"files": files(("a.abc", b""))}, 422, "a.abc is empty"),
        ({"files": files(("a.abc", ABC), ("b.png", png()), ("c.abc", ABC))}, 422, "more than 2 files"),
        ({"files": files(("a.abc", ABC), ("b.mid", ABC))}, 422, "two files of notes"),
        ({"files": files(("a.png", ABC), ("b.pdf", ABC))}, 422, "two pictures"),
        ({"files": files(("a.exe", b"MZ"))}, 415, "a.exe is of no known kind; scoresim reads "),
        ({"files": files(("abc", ABC))}, 415, "abc is of no known kind"),
        ({"files": files((f"{'a' * 300}.abc", ABC))}, 422, "more than 255 characters"),
    ],
)
def test_refusals_are_sentences(client: TestClient, body: dict[str, Any], status: int, words: str) -> None:
    for address in ("/api/v1/analyze", "/report"):
        reply = client.post(address, **body)
        assert reply.status_code == status, reply.text
        assert words in sentence(reply)


def test_a_form_with_nothing_chosen(client: TestClient) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n%s\r\n--b--\r\n'
    for content, words in ((b"", "There is no file"), (b"x", "a file without a name")):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        reply = client.post("/api/v1/analyze", content=part % content, headers=headers)
        assert reply.status_code == 422
        assert words in sentence(reply)


@pytest.mark.parametrize(
    ("address", "some", "words"),
    [
        ("/api/v1/match", (("a.abc", ABC),), "one picture and one file of notes"),
        ("/api/v1/match", (("a.abc", ABC), ("b.mid", ABC)), "one picture and one file of notes"),
    ],
)
def test_the_files_that_are_asked_for(client: TestClient, address: str, some: Any, words: str) -> None:
    reply = client.post(address, files=files(*some))
    assert reply.status_code == 422
    assert words in sentence(reply)


def test_what_is_not_there(client: TestClient) -> None:
    assert "first page" in sentence(client.get("/nowhere"))
    for address in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2f..%2fetc%2fpasswd", "/static/"):
        reply = client.get(address)
        assert reply.status_code == 404, address
        sentence(reply)
    reply = client.get("/api/v1/analyze")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert "GET" in sentence(reply)
    reply = client.post("/api/v1/search", files=files(("a.abc", ABC)))
    assert reply.status_code == 404
    assert "no collection" in sentence(reply)
    reply = client.post("/api/v1/search?top=0")
    assert reply.status_code == 422
    assert "top" in sentence(reply)


def test_a_browser_that_goes_from_page_to_page_gets_a_page(client: TestClient) -> None:
    reply = client.post("/report", files=files(("<b>.exe", ABC)), headers={"accept": "text/html,*/*;q=0.8"})
    assert reply.status_code == 415
    assert reply.headers["content-type"].startswith("text/html")
    assert "<b>" not in reply.text and "of no known kind" in reply.text and 'href="/"' in reply.text


HOSTILE = [
    ("../../x.abc", "x.abc"),
    ("/etc/passwd.abc", "passwd.abc"),
    ("C:\\fakepath\\x.abc", "x.abc"),
    ("a\0b.abc", "a b.abc"),
    ("a\r\nb.abc", None),
    ("x.abc\0.png", "x.abc .png"),
    ("\u202egnp.abc", "gnp.abc"),
    ("\u05d0\u05d1.abc", "\u05d0\u05d1.abc"),
    ("<img src=x onerror=alert(1)>.abc", "‹img src=x onerror=alert(1)›.abc"),
    ("a" * 200 + ".abc", "a" * 67 + "…aaaaaaaa.abc"),
    ("%2e%2e%2fx.abc", "%2e%2e%2fx.abc"),
    (".abc", None),
    ("con.abc", "con.abc"),
]


@pytest.mark.parametrize(("name", "shown"), HOSTILE, ids=lambda one: repr(one)[:20])
def test_hostile_names(client: TestClient, fake: Fake, name: str, shown: str | None) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    headers = {"content-type": "multipart/form-data; boundary=b"}
    reply = client.post("/api/v1/analyze", content=head + ABC + b"\r\n--b--\r\n", headers=headers)
    if shown is None:
        assert reply.status_code in (400, 415)
        sentence(reply)
        assert fake.asked == []
    else:
        assert reply.json()["files"] == [shown]
        [[path]] = fake.asked
        assert path.stem.isalnum() and len(path.stem) == 32


def test_names_as_they_are_shown() -> None:
    assert shown_name("") == shown_name("///") == shown_name("\u202e\u200b") == "file"
    assert shown_name("Ünï  çödé.mid") == "Ünï çödé.mid"
    assert all(len(shown_name("x" * n)) <= 80 for n in range(200))


def test_sentences_without_paths() -> None:
    path = Path("/tmp/scoresim-serve-x/y/0123456789abcdef0123456789abcdef.mid")
    names = {path: "my tune.mid"}
    text = f"{path} cannot be read ([Errno 2] '/home/me/lib/x.py', in 4/4 or 6/8):\n {path.stem}."
    assert (
        without_paths(text, names)
        == "my tune.mid cannot be read ([Errno 2] 'a file of the server', in 4/4 or 6/8): my tune.mid."
    )
    some = replace(said(path), stated={"a": path.name}, picture=b"x")
    assert renamed(some, names).files == ("my tune.mid",)
    assert renamed(some, names).stated == {"a": "my tune.mid"}
    assert renamed(some, names).picture == b"x"
    assert renamed(said(Path("x")), names).files == ("x",)
    untouched = said(Path("x")).answers
    assert renamed(untouched, names) == untouched


# ---- bounds


def test_a_file_that_is_too_large(fake: Fake) -> None:
    with TestClient(make_app(fake, limits=Limits(megabytes=0.01)), base_url=HERE) as client:
        reply = client.post("/api/v1/analyze", files=files(("a.abc", b"x" * 10_001)))
        assert reply.status_code == 413
        assert "a.abc is larger than 0.01 MB" in sentence(reply)
        assert client.post("/api/v1/analyze", files=files(("a.abc", b"x" * 10_000))).status_code == 200
        assert left(client) == []


@pytest.mark.parametrize("chunked", [True, False])
def test_a_request_that_is_too_large(fake: Fake, chunked: bool) -> None:
    request = httpx2.Request("POST", HERE, files=files(("a.abc", b"x" * 9000), ("b.png", b"x" * 9000)))
    body, headers = request.read(), {"content-type": request.headers["content-type"]}
    pieces = (body[i : i + 1000] for i in range(0, len(body), 1000))
    with TestClient(make_app(fake, limits=Limits(request_megabytes=0.015)), base_url=HERE) as client:
        reply = client.post("/api/v1/analyze", content=pieces if chunked else body, headers=headers)
        assert ("content-length" in reply.request.headers) is not chunked
        assert reply.status_code == 413
        assert "larger than 0.015 MB" in sentence(reply)
        assert left(client) == []
    assert fake.asked == []


def test_pages_and_notes_are_counted(fake: Fake) -> None:
    pages = io.BytesIO()
    white = Image.new("L", (30, 30), 255)
    white.save(pages, "TIFF", save_all=True, append_images=[white] * 3)
    with TestClient(make_app(fake, limits=Limits(pages=3, notes=15)), base_url=HERE) as client:
        reply = client.post("/api/v1/analyze", files=files(("a.tif", pages.getvalue())))
        assert reply.status_code == 413
        assert sentence(reply) == "a.tif has 4 pages; this server reads 3 at a time, at most."
        reply = client.post("/api/v1/analyze", files=files(("a.abc", ABC)))
        assert reply.status_code == 413
        assert sentence(reply) == "a.abc has 16 notes; this server reads 15 at a time, at most."
        damaged = pages.getvalue()[:40] + b"x" * 999
        assert (
            client.post("/api/v1/analyze", files=files(("a.tif", damaged))).status_code == 200
        )  # the model's to judge
    with TestClient(make_app(fake, limits=Limits(pages=4)), base_url=HERE) as client:
        assert client.post("/api/v1/analyze", files=files(("a.tif", pages.getvalue()))).status_code == 200


@pytest.mark.parametrize("name", ["megabytes", "pages", "seconds", "per_client", "waiting"])
def test_bounds_that_let_nothing_through(name: str) -> None:
    with pytest.raises(BadInput, match=f"--{name.replace('_', '-')} is -1"):
        Limits(**{name: -1})
    with pytest.raises(BadInput):
        Limits(**{name: float("nan")})


# ---- what goes wrong


def raise_(error: BaseException) -> Callable[[tuple[Path, ...]], None]:
    def act(paths: tuple[Path, ...]) -> None:
        if isinstance(error, BadInput):
            raise BadInput(f"{paths[0]} cannot be read: {error} in /usr/lib/python3/x.py.")
        raise error

    return act


def test_what_the_model_refuses(client: TestClient, fake: Fake) -> None:
    fake.act = raise_(BadInput("it is odd"))
    reply = client.post("/api/v1/analyze", files=files(("my tune.abc", ABC)))
    assert reply.status_code == 422
    assert sentence(reply) == "my tune.abc cannot be read: it is odd in a file of the server."
    fake.act = raise_(CheckFailed("No."))
    assert client.post("/report", files=files(("a.abc", ABC))).status_code == 422


def test_a_mistake_of_ours_stays_in_the_log(
    client: TestClient, fake: Fake, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("scoresim"), "propagate", True)
    fake.act = raise_(RuntimeError("secret"))
    reply = client.post("/api/v1/analyze", files=files(("a.abc", ABC)))
    assert reply.status_code == 500
    assert "secret" not in sentence(reply)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert set(caplog.messages) == {"POST /api/v1/analyze failed"}
    assert "secret" in caplog.text


def test_a_full_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.Form, "on_part_data", full)
    reply = client.post("/api/v1/analyze", files=files(("a.abc", ABC)))
    assert reply.status_code == 503
    assert "no room" in sentence(reply)
    assert reply.headers["retry-after"] == "5"


def asks(app: Any, test: Callable[[httpx2.AsyncClient], Awaitable[None]]) -> None:
    """Run a test with a client whose requests go on side by side."""

    async def run() -> None:
        transport = httpx2.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
            await test(client)

    apart(run)


def apart(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a loop in a thread of its own: in this one the browser of other tests may have one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(run())).result()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


def test_one_is_answered_some_wait_and_the_rest_are_sent_away(fake: Fake) -> None:
    go, together = threading.Event(), []
    lock = threading.Lock()

    def act(_: object) -> None:
        assert lock.acquire(blocking=False), "two at once"
        go.wait(10)
        together.append(1)
        lock.release()

    fake.act = act
    app = make_app(fake, limits=Limits(waiting=2, per_client=9))

    async def test(client: httpx2.AsyncClient) -> None:
        first = [asyncio.create_task(client.post("/api/v1/analyze", files=files(("a.abc", ABC)))) for _ in range(3)]
        await until(lambda: app.state.house.desk.visitors == 3 and len(fake.asked) == 1)
        reply = await client.post("/api/v1/analyze", files=files(("a.abc", ABC)))
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert "busy" in sentence(reply)
        assert (await client.get("/api/v1/health")).status_code == 200
        go.set()
        assert [(await one).status_code for one in first] == [200] * 3
        assert (await client.post("/api/v1/analyze", files=files(("a.abc", ABC)))).status_code == 200
        assert app.state.house.desk.visitors == 0

    asks(app, test)


def test_one_client_does_not_take_all_places(fake: Fake) -> None:
    go = threading.Event()
    fake.act = lambda _: go.wait(10) and None
    app = make_app(fake, limits=Limits(per_client=1))

    async def test(client: httpx2.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/report", files=files(("a.abc", ABC))))
        await until(lambda: len(fake.asked) == 1)
        reply = await client.post("/report", files=files(("a.abc", ABC)))
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        go.set()
        assert (await first).status_code == 200

    asks(app, test)


def test_what_takes_too_long_is_given_up_and_keeps_its_place_until_it_ends(fake: Fake) -> None:
    go = threading.Event()
    fake.act = lambda _: go.wait(10) and None
    app = make_app(fake, limits=Limits(seconds=0.2, waiting=1))

    async def test(client: httpx2.AsyncClient) -> None:
        desk = app.state.house.desk
        start = time.perf_counter()
        reply = await client.post("/api/v1/analyze", files=files(("a.abc", ABC)))
        assert reply.status_code == 504
        assert "longer than 0.2 seconds" in sentence(reply)
        assert time.perf_counter() - start < 5
        assert not fake.asked[0][0].parent.exists(), "the files are gone at once"
        assert desk.visitors == 1
        reply = await client.post("/api/v1/analyze", files=files(("a.abc", ABC)))  # it waits, and never begins
        assert reply.status_code == 504
        assert desk.visitors == 1 and len(fake.asked) == 1
        go.set()
        await until(lambda: desk.visitors == 0)
        assert (await client.post("/api/v1/analyze", files=files(("a.abc", ABC)))).status_code == 200

    asks(app, test)


def call(app: Any, receive: Callable[[], Awaitable[Any]], headers: dict[str, str] | None = None) -> list[Any]:
    """Ask as a server does, message by message."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1", "content-type": "multipart/form-data; boundary=b", **(headers or {})}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/analyze",
        "raw_path": b"/api/v1/analyze",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
    }

    async def run() -> None:
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)
            assert [path.name for path in app.state.house.cabinet.open().iterdir()] == [".lock"]

    apart(run)
    return sent


PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.abc"\r\n\r\n' + ABC
END = b"\r\n--b--\r\n"


def test_a_client_that_goes_away_while_it_sends(fake: Fake) -> None:
    messages = iter([{"type": "http.request", "body": PART, "more_body": True}])

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    assert call(make_app(fake), receive)[0]["status"] == 400
    assert fake.asked == []


def test_a_client_that_goes_away_while_it_waits(fake: Fake) -> None:
    go = threading.Event()
    fake.act = lambda _: go.wait(10) and None
    messages = iter([{"type": "http.request", "body": PART + END}])

    async def receive() -> Any:
        if (message := next(messages, None)) is not None:
            return message
        await until(lambda: len(fake.asked) == 1)
        return {"type": "http.disconnect"}

    threading.Timer(1.0, go.set).start()
    assert call(make_app(fake), receive)[0]["status"] == 400


def test_a_client_that_is_too_slow(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "DRAIN_SECONDS", 0.1)

    async def receive() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"-", "more_body": True}

    first = call(make_app(fake, limits=Limits(upload_seconds=0.1)), receive)[0]
    assert first["status"] in (400, 408)


def test_a_client_that_sends_nothing(fake: Fake) -> None:
    async def receive() -> Any:
        await asyncio.sleep(60)

    start, body = call(make_app(fake, limits=Limits(upload_seconds=0.1)), receive)
    assert start["status"] == 408
    assert "within 0.1 seconds" in json.loads(body["body"])["error"]


# ---- whose page asks


def test_pages_of_other_sites_may_not_ask(client: TestClient, fake: Fake) -> None:
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://example.org"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "null"},
    ):
        for address in ("/report", "/api/v1/analyze", "/api/v1/match", "/api/v1/search", "/"):
            reply = client.post(address, files=files(("a.abc", ABC)), headers=headers)
            assert reply.status_code == 403, (headers, address)
            assert "other sites" in sentence(reply)
    assert fake.asked == []
    for headers in ({"sec-fetch-site": "same-origin", "origin": HERE}, {"sec-fetch-site": "none"}):
        assert client.post("/report", files=files(("a.abc", ABC)), headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_names_that_are_not_ours(client: TestClient, host: str) -> None:
    for address in ("/", "/api/v1/health", "/static/page.js"):
        reply = client.get(address, headers={"host": host})
        assert reply.status_code == 400
        assert "name" in sentence(reply)


def test_names_that_are_ours(fake: Fake) -> None:
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000", "[::1]"):
        assert TestClient(make_app(fake)).get("/", headers={"host": host}).status_code == 200
    named = TestClient(make_app(fake, hosts=("music.example",)))
    assert named.get("/", headers={"host": "music.example"}).status_code == 200
    assert named.get("/", headers={"host": "localhost"}).status_code == 400
    assert TestClient(make_app(fake, hosts=None)).get("/", headers={"host": "any.thing"}).status_code == 200


# ---- leftovers


def test_what_a_killed_server_left_is_removed(fake: Fake, tmp_path: Path) -> None:
    place = tmp_path / "temporary"
    for name in ("scoresim-serve-dead", "scoresim-serve-alive", "another"):
        (place / name / "inner").mkdir(parents=True)
    (place / "scoresim-serve-dead" / ".lock").touch()
    (place / "scoresim-serve-link").symlink_to(place / "another")
    with locked(place / "scoresim-serve-alive"), TestClient(make_app(fake), base_url=HERE):
        there = {path.name for path in place.iterdir()}
        assert "scoresim-serve-dead" not in there
        assert {"scoresim-serve-alive", "another", "scoresim-serve-link"} < there
    (place / "scoresim-serve-link").unlink()
    for name in ("scoresim-serve-alive", "another"):
        assert (place / name / "inner").is_dir()
        uploads.remove_tree(place / name)


# ---- the description of the API


def test_the_description_is_complete(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert set(document["paths"]) == {
        *("/", "/report", "/api/v1/health", "/api/v1/analyze", "/api/v1/match", "/api/v1/search")
    }
    assert "HTTPValidationError" not in json.dumps(document)
    for path, item in document["paths"].items():
        for method, route in item.items():
            assert route["summary"]
            refusals = {code for code in route["responses"] if code != "200"}
            assert refusals >= ({"400", "403", "413", "415", "422", "503", "504"} if method == "post" else {"400"}), (
                path
            )
            for code in refusals:
                schema = route["responses"][code]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
            if method == "post":
                body = route["requestBody"]["content"]["multipart/form-data"]["schema"]
                assert body["required"] == ["files"]
    assert document["paths"]["/api/v1/search"]["post"]["parameters"][0]["schema"]["maximum"] == 100
