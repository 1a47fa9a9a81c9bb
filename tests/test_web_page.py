"""The page in a real browser: files chosen and dropped, the report, a search, a refusal; wide, narrow, by keyboard."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("fastapi", reason="the extra web is not installed")

from scoresim import understand
from scoresim.index import open_store
from scoresim.index.collect import collect
from scoresim.web.app import make_app
from scoresim.web.server import address_of, listen, server_of

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 740}
SCRIPT = "<img src=x onerror=document.title='pwned'>"


@pytest.fixture(scope="module")
def library(drawn_tune: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection with a file whose name and title are markup."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copy(drawn_tune / "page.png", folder)
    text = (drawn_tune / "tune.abc").read_text().replace("T:Long", f"T:{SCRIPT}")
    (folder / "<b>tune<b>.abc").write_text(text)
    return folder


@pytest.fixture(scope="module")
def address(weights: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server, as the program runs it."""
    sim, index = understand.load(weights), tmp_path_factory.mktemp("index") / "index"
    with open_store(index, sim.weights, write=True, width=32) as store:
        collect(library, store, sim)
    with listen("127.0.0.1", 0) as socket:
        server = server_of(make_app(sim, index, library))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        yield address_of(socket)
        server.should_exit = True
        thread.join(20)
    sim.workers.close()
    assert not thread.is_alive()


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def page(browser: Any, address: str, library: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The first page; in the end nothing was asked of another host, and the browser found no fault."""
    context = browser.new_context(viewport=request.param, accept_downloads=True)
    opened = context.new_page()
    faults: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda one: asked.append(one.url))
    opened.goto(address)
    yield opened
    assert str(library) not in opened.content() and "checkpoint”" in opened.content(), "no place of the server"
    context.close()
    refused = "Failed to load resource: the server responded with a status of "
    assert [fault for fault in faults if not fault.startswith(refused)] == []
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


def no_wider(page: Any) -> bool:
    """Whether nothing is to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def shot(page: Any, name: str, tmp_path: Path) -> None:
    """A picture to look at."""
    page.screenshot(path=tmp_path / f"{name}.png")


@pytest.mark.slow
def test_files_are_chosen_and_the_report_opens(page: Any, library: Path, tmp_path: Path) -> None:
    assert no_wider(page)
    page.set_input_files("#files", [library / "<b>tune<b>.abc", library / "page.png"])
    assert page.locator("#chosen li").count() == 2
    shot(page, "chosen", tmp_path)
    page.click("#analyze")
    report = page.frame_locator("#report")
    report.locator("h1").wait_for(timeout=60_000)
    assert "‹b›tune‹b›.abc" in report.locator("body").inner_text() or SCRIPT in report.locator("body").inner_text()
    report.locator("svg .note").first.wait_for(timeout=60_000)  # engraved by the browser
    assert report.locator("#play").is_visible()
    report.locator("#play").click()
    report.locator("body.playing").wait_for(timeout=10_000)
    frame = page.frames[-1]
    report.locator(".sounding").first.wait_for(state="attached", timeout=20_000)
    report.locator("#play").click()
    shot(page, "report", tmp_path)
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() != "pwned" and no_wider(page)
    page.click("#back")
    page.locator("#analyze").wait_for(state="visible")
    assert page.locator("#chosen li").count() == 2, "the files are still chosen"
    assert page.evaluate("document.activeElement.id") == "analyze"


def test_the_keyboard_is_enough(page: Any, library: Path) -> None:
    choosers: list[Any] = []
    page.on(
        "filechooser", lambda one: choosers.append(one)
    )  # long before the key: the browser is told of it in its own time
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached
    assert reached == ["files", "analyze", "search", "save", "A"]
    page.focus("#files")
    page.keyboard.press("Enter")
    while not choosers:
        page.wait_for_timeout(50)
    choosers[0].set_files(library / "<b>tune<b>.abc")
    page.focus("#analyze")
    page.keyboard.press("Enter")
    page.frame_locator("#report").locator("h1").wait_for(timeout=60_000)
    while page.evaluate("document.activeElement.id") != "report":  # when all of it is loaded
        page.wait_for_timeout(50)
    page.go_back()
    page.locator("#analyze").wait_for(state="visible")


@pytest.mark.slow
def test_a_search_is_a_table(page: Any, library: Path, tmp_path: Path) -> None:
    page.set_input_files("#files", library / "page.png")
    page.click("#search")
    page.locator("#rows tr").first.wait_for(timeout=60_000)
    assert page.locator("#rows tr").count() == 2
    names = page.locator("#rows td.file").all_inner_texts()
    assert sorted(names) == ["<b>tune<b>.abc", "page.png"]
    assert page.locator("#rows b, #rows a").count() == 0
    assert page.inner_text("#status") == "2 files found."
    assert page.evaluate("document.activeElement.id") == "results-title"
    assert page.get_by_role("cell", name="<b>tune<b>.abc").count() == 1, "a table also where it is narrow"
    assert no_wider(page)
    page.locator("#results").scroll_into_view_if_needed()
    page.mouse.wheel(0, 2000)
    shot(page, "search", tmp_path)


def test_what_is_refused_is_said(page: Any, tmp_path: Path) -> None:
    page.click("#analyze")
    assert page.inner_text("#problem").startswith("Choose a file of notes")
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd nothing")
    page.set_input_files("#files", broken)
    page.click("#analyze")
    page.locator("#problem", has_text="broken.mid cannot").wait_for(timeout=60_000)
    assert str(tmp_path) not in page.inner_text("#problem") and "scoresim-serve" not in page.inner_text("#problem")
    assert page.get_by_role("alert").inner_text() == page.inner_text("#problem")
    assert page.evaluate("document.activeElement.id") == "problem"
    shot(page, "refused", tmp_path)
    other = tmp_path / f"{'x' * 60}.exe"
    other.write_bytes(b"MZ")
    page.set_input_files("#files", other)
    assert "is of no known kind" in page.inner_text("#problem")
    assert no_wider(page)


DROP = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name));
    const drop = document.getElementById("drop");
    for (const kind of ["dragenter", "dragover", "drop"]) {
        drop.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
        if (kind === "dragenter") window.lit = drop.classList.contains("over");
    }
}"""


def test_files_are_dropped(page: Any) -> None:
    page.evaluate(DROP, ["dropped.abc", "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|]\n"])
    assert page.evaluate("window.lit")
    assert page.inner_text("#chosen li").startswith("dropped.abc")
    page.click("#analyze")
    page.frame_locator("#report").locator("h1").wait_for(timeout=60_000)


def test_a_report_is_saved(page: Any, library: Path) -> None:
    page.set_input_files("#files", library / "<b>tune<b>.abc")
    with page.expect_download(timeout=60_000) as download:
        page.click("#save")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert download.value.suggested_filename == "scoresim-report.html"
    assert text.startswith("<!") and 'src="/static' not in text


def test_a_server_that_is_gone_is_said(page: Any, library: Path) -> None:
    page.set_input_files("#files", library / "page.png")
    page.route("**/report", lambda route: route.fulfill(status=500, body="no JSON"))
    page.click("#analyze")
    page.locator("#problem", has_text="status 500").wait_for()
    assert "status 500" in page.inner_text("#problem")


def test_without_scripts_the_form_leads_to_the_report(
    browser: Any, address: str, library: Path, tmp_path: Path
) -> None:
    context = browser.new_context(viewport=NARROW, java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#search").is_hidden()
    page.set_input_files("#files", library / "page.png")
    page.click("#analyze")
    page.wait_for_url("**/report")
    assert "page.png" in page.inner_text("body")
    page.go_back()
    other = tmp_path / "a.exe"
    other.write_bytes(b"MZ")
    page.set_input_files("#files", other)
    page.click("#analyze")
    page.get_by_role("link", name="Back").click()
    page.wait_for_url(f"{address}/")
    context.close()


def test_it_works_in_the_dark(browser: Any, address: str, tmp_path: Path) -> None:
    context = browser.new_context(viewport=NARROW, color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    shot(page, "dark", tmp_path)
    context.close()


def test_a_big_file_is_refused_while_it_is_sent(browser: Any, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    answer = page.evaluate(
        """async () => {
            const body = new FormData();
            body.append("files", new File([new Uint8Array(60_000_000)], "big.png"));
            const reply = await fetch("/api/v1/analyze", { method: "POST", body });
            return [reply.status, await reply.text()];
        }"""
    )
    assert answer[0] == 413
    assert "larger than" in json.loads(answer[1])["error"]
    context.close()
