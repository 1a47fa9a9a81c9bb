"""The page of an analysis: what it holds, what it escapes, and that a browser engraves and plays it."""

import base64
import gzip
import hashlib
import io
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoresim.score.mei import read_mei
from scoresim.score.notate import notate
from scoresim.score.notes import Score
from scoresim.score.read import read_midi, read_text
from scoresim.web.report import percent, report_html, write_report

FIXTURES = Path(__file__).parent / "fixtures"
STATIC = Path(__file__).parent.parent / "src" / "scoresim" / "web" / "static"
HOSTILE = ("</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>", '"><b>', "{{ 7 * 7 }}")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; worker-src blob:"
)


def answer(question: str, name: str, confidence: float, inputs: str = "notes", **others: float) -> Any:
    classes = {name: confidence} | others
    return SimpleNamespace(
        question=question, answer=name, confidence=confidence, classes=classes, inputs=inputs, learnt_from=""
    )


def analysis(score: Score | None = None, **changes: Any) -> Any:
    """An analysis with made-up answers: the highest note of every moment is the melody."""
    notes = None
    if score is not None:
        n, onset = score.notes, score.notes.onset / score.resolution
        length = np.maximum(n.duration / score.resolution, 0.25)
        top = {moment: n.pitch[onset == moment].max() for moment in onset}
        melody = np.array([0.95 if pitch == top[at] else 0.1 for at, pitch in zip(onset, n.pitch, strict=True)])
        notes = SimpleNamespace(
            bar=n.bar,
            onset=onset,
            duration=length,
            pitch=n.pitch,
            velocity=n.velocity,
            seconds=onset / 2,
            length=length / 2,
            staff=n.staff,
            melody=melody.astype(np.float32),
            loudness=(60 + 20 * melody).astype(np.float32),
            right_hand=(n.staff == 1).astype(np.float32),
        )
    given = {
        "files": ("piece.musicxml",),
        "inputs": ("notes",),
        "title": "A piece",
        "composer": "Somebody",
        "stated": {"key signature": "2 sharps"},
        "bars": len(score.bars) if score else 0,
        "notes": notes,
        "answers": (answer("key", "D major", 0.9, **{"B minor": 0.08}), answer("meter", "3/4", 0.999)),
        "match": None,
        "unknown": ("Who plays.",),
        "model": "small",
    }
    return SimpleNamespace(**(given | changes))


@pytest.fixture(scope="module")
def piece() -> tuple[Score, Any]:
    """Piano music: its notes, and the sheet on which they stand."""
    verovio = pytest.importorskip("verovio")
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({"breaks": "none", "xmlIdSeed": 1})
    assert toolkit.loadData(read_text(FIXTURES / "piano.musicxml", "musicxml"))
    mei = toolkit.getMEI({"scoreBased": True})
    score = read_mei(mei).score
    ids = {name: i for i, name in enumerate(score.notes.id)}
    return score, SimpleNamespace(first_bar=0, mei=mei, note=ids)


def picture(width: int = 300, height: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 255).save(out, "PNG")
    return out.getvalue()


def match() -> Any:
    box = (10.0, 20.0, 290.0, 80.0)
    right = SimpleNamespace(page=0, system=0, box=box, first_bar=0, end_bar=2, probability=0.995, missing=())
    wrong = SimpleNamespace(page=1, system=0, box=box, first_bar=2, end_bar=4, probability=0.2, missing=(3,))
    return SimpleNamespace(probability=0.6, similarity=0.5, systems=(right, wrong))


class Tags(HTMLParser):
    """What a browser makes of a page: its tags, the texts of its scripts, and the words that are seen."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self.words = ""
        self._in: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._in = None

    def handle_data(self, data: str) -> None:
        if self._in is None:
            self.words += data
        else:
            self.blocks[self._in] = self.blocks.get(self._in, "") + data


LOADING = ("src", "href", "data", "poster", "srcset", "action", "data-src")


def loaded(tags: Tags) -> list[str]:
    """Every address that a page might load, links to places on the page left out."""
    found = [value or "" for _, attributes in tags.tags for key, value in attributes.items() if key in LOADING]
    return [value for value in found if not value.startswith("#")]


def test_a_file_holds_all_that_it_needs(piece: tuple[Score, Any], tmp_path: Path) -> None:
    score, sheet = piece
    write_report(tmp_path / "report.html", analysis(score), [sheet])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    tags = Tags(page)
    assert loaded(tags) == []
    assert not re.search(r"@import|url\(", tags.blocks["style"])
    assert gzip.decompress(base64.b64decode(tags.blocks["verovio"])).startswith(b"(function (global")
    assert len(page) < 4_000_000
    for words in (
        "A piece",
        "Somebody",
        "2 sharps",
        "D major",
        "B minor",
        "Time signature",
        "Who plays.",
        "GNU LESSER",
    ):
        assert words in tags.words


def test_no_script_but_ours_may_run(piece: tuple[Score, Any]) -> None:
    score, sheet = piece
    tags = Tags(report_html(analysis(score), [sheet]))
    [policy] = [a["content"] or "" for tag, a in tags.tags if tag == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "http" not in policy
    digest = base64.b64encode(hashlib.sha256((STATIC / "report.js").read_bytes()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert not [key for _, attributes in tags.tags for key in attributes if key.startswith("on") or key == "style"]


def test_a_served_page_links_to_files_that_are_there(piece: tuple[Score, Any]) -> None:
    score, sheet = piece
    page = report_html(analysis(score), [sheet], inline=False)
    addresses = loaded(Tags(page))
    assert len(addresses) == 11  # a style, four scripts, the engraver and verovio, four licences
    assert all(one.startswith("/static/") and (STATIC / one.removeprefix("/static/")).is_file() for one in addresses)
    assert len(page) < 100_000


def test_the_data_come_back_as_they_were(piece: tuple[Score, Any]) -> None:
    score, sheet = piece
    sheet = SimpleNamespace(first_bar=3, mei=sheet.mei.replace("<music>", "<!-- </script> --><music>"), note=sheet.note)
    data = json.loads(Tags(report_html(analysis(score), [sheet])).blocks["data"])
    assert data["sheets"] == [{"firstBar": 3, "mei": sheet.mei, "notes": sheet.note}]
    assert data["notes"]["pitch"] == score.notes.pitch.tolist()
    assert set(data["notes"]["melody"]) == {0.1, 0.95}
    assert len({len(values) for values in data["notes"].values()}) == 1


def test_the_same_page_for_the_same_analysis(piece: tuple[Score, Any]) -> None:
    score, sheet = piece
    assert report_html(analysis(score), [sheet], picture()) == report_html(analysis(score), [sheet], picture())


texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))


@settings(max_examples=40)
@given(title=texts, composer=texts, name=texts, file=texts, stated=texts, sentence=texts, mei=texts)
def test_nothing_that_a_file_says_becomes_a_tag(
    title: str, composer: str, name: str, file: str, stated: str, sentence: str, mei: str, piece: tuple[Score, Any]
) -> None:
    score, sheet = piece
    hostile = SimpleNamespace(first_bar=0, mei=mei, note={mei: 0})
    said = {"title": title, "composer": composer, "files": (file, "b"), "stated": {"tempo": stated, stated: "x"}}
    said |= {"answers": (answer("style", name, 0.5, **{"a" + name: 0.3}),), "unknown": (sentence,), "model": name}
    page = Tags(report_html(analysis(score, **said), [hostile], inline=False))
    plain = dict.fromkeys(("title", "composer"), "x") | {"files": ("x", "b"), "stated": {"tempo": "x", "y": "x"}}
    plain |= {"answers": (answer("style", "x", 0.5, y=0.3),), "unknown": ("x",), "model": "x"}
    expected = Tags(report_html(analysis(score, **plain), [sheet], inline=False))
    composed = [tag for tag in page.tags if tag != ("p", {"class": "composer"})]
    assert composed == [tag for tag in expected.tags if tag != ("p", {"class": "composer"})]
    assert json.loads(page.blocks["data"])["sheets"][0]["mei"] == mei
    assert sentence in page.words and name in page.words


def test_a_picture_alone() -> None:
    found = analysis(files=("scan.png",), inputs=("image",), title="", answers=(answer("style", "folk", 0.5, "image"),))
    tags = Tags(report_html(found, [], picture()))
    assert "scan.png" in tags.words and "the picture" in tags.words
    [image] = [attributes["href"] or "" for tag, attributes in tags.tags if tag == "image"]
    assert base64.b64decode(image.removeprefix("data:image/png;base64,")) == picture()
    assert not [tag for tag, _ in tags.tags if tag == "script"]


def test_picture_and_notes(piece: tuple[Score, Any]) -> None:
    score, sheet = piece
    found = analysis(score, files=("piece.musicxml", "scan.png"), inputs=("notes", "image"), match=match())
    page = report_html(found, [sheet], picture())
    tags = Tags(page)
    assert 'viewBox="0 0 300 200"' in page
    assert [a for tag, a in tags.tags if tag == "g" and a.get("class") == "doubtful"] == []  # it stands on page 2
    assert len([a for tag, a in tags.tags if tag == "g" and a.get("class") == "agreed"]) == 1
    rows = page[page.index("<tbody>") : page.index("</tbody>")]
    assert "page 2, 1" in rows and "3 to 4" in rows and "20\N{NO-BREAK SPACE}%" in rows and "<td>4</td>" in rows


def test_what_is_missing_is_left_out(piece: tuple[Score, Any]) -> None:
    score, sheet = piece
    found = analysis(score)
    found.notes.melody = found.notes.loudness = found.notes.right_hand = None
    tags = Tags(report_html(found, [sheet]))
    ids = {attributes.get("id") for _, attributes in tags.tags}
    assert {"paper", "roll", "accompaniment-volume"} <= ids
    assert not {"melody-volume", "right-volume", "left-volume", "loudness", "predicted", "picture"} & ids
    assert "paper" not in {a.get("id") for _, a in Tags(report_html(found, [])).tags}


def test_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="PNG"):
        report_html(analysis(), [], b"GIF89a")


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0 %"), (0.001, "under 1 %"), (0.5, "50 %"), (0.996, "over 99 %"), (1, "100 %")]
)
def test_nothing_uncertain_is_called_certain(share: float, words: str) -> None:
    assert percent(share) == words.replace(" %", "\N{NO-BREAK SPACE}%")


def test_a_page_is_made_at_once(piece: tuple[Score, Any]) -> None:
    """Of 500 notes, in processor time: nothing is compressed again."""
    score, sheet = piece
    found = analysis(score)
    many = np.arange(500) % len(found.notes.pitch)
    for name, values in vars(found.notes).items():
        setattr(found.notes, name, values[many])
    report_html(found, [sheet])
    start = time.process_time()
    report_html(found, [sheet])
    assert time.process_time() - start < 0.1


def test_the_programs_of_others_are_those_that_are_listed() -> None:
    vendor = STATIC / "vendor"
    listed = dict(line.split()[::-1] for line in (vendor / "SHA256SUMS").read_text().splitlines())
    there = {}
    for path in vendor.iterdir():
        if path.name not in ("SHA256SUMS", "NOTICE"):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            there[path.name.removesuffix(".gz")] = hashlib.sha256(data).hexdigest()
    assert there == listed
    assert all(name in (vendor / "NOTICE").read_text() for name in ("verovio 6.3.0", "webaudio-tinysynth 1.1.3"))


# ---- in a browser


class Visit:
    """A page that was opened, with what it asked for and what went wrong."""

    def __init__(self, browser: Any, width: int = 1280, height: int = 900, **more: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height}, **more)
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)

    def open(self, address: str) -> Any:
        self.page.goto(address)
        self.page.wait_for_selector("#paper[aria-busy=false] .sheet", timeout=60_000)
        return self.page

    def close(self) -> None:
        self.page.close()
        assert self.wrong == []


def indices(page: Any, selector: str) -> set[int]:
    return set(page.evaluate("s => [...document.querySelectorAll(s)].map(e => Number(e.dataset.note))", selector))


def test_a_browser_engraves_and_plays_it(browser: Any, piece: tuple[Score, Any], tmp_path: Path) -> None:
    score, sheet = piece
    found = analysis(score)
    write_report(tmp_path / "report.html", found, [sheet])
    visit = Visit(browser)
    page = visit.open((tmp_path / "report.html").as_uri())
    everything = set(range(len(score.notes)))
    melody = set(np.flatnonzero(found.notes.melody > 0.5).tolist())
    assert indices(page, "#paper .note") == everything
    assert indices(page, "#paper .note.melody") == indices(page, "#paper .note.p4") == melody
    assert indices(page, "#paper .note.p0") == everything - melody
    colour = "s => getComputedStyle(document.querySelector(s + ' use')).fill"
    assert page.evaluate(colour, "#paper .p4") != page.evaluate(colour, "#paper .p0")
    assert "right hand, melody 95 %" in page.text_content("#paper .p4 title")

    assert indices(page, "#paper .sounding") == set()
    page.click("#play")
    page.wait_for_selector("#paper .sounding")
    first = indices(page, "#paper .sounding")
    page.wait_for_function(
        "first => { const now = [...document.querySelectorAll('#paper .sounding')].map((e) => Number(e.dataset.note));"
        " return now.length && !now.some((i) => first.includes(i)); }",
        arg=sorted(first),
        polling=50,
    )
    page.click("#plots")  # the space bar belongs to a button that has the focus
    page.evaluate("document.activeElement.blur()")
    if page.get_attribute("#play", "aria-label") == "Play":  # a busy machine: it has come to its end meanwhile
        page.keyboard.press(" ")
        page.wait_for_selector("#play[aria-label=Pause]")
    page.keyboard.press(" ")
    page.wait_for_selector("#play[aria-label=Play]")
    assert page.inner_text("#status").startswith("Paused in bar")
    still = page.input_value("#position")
    page.wait_for_timeout(300)
    assert page.input_value("#position") == still

    last = int(np.argmax(found.notes.seconds))
    page.click(f"#paper [data-note='{last}'] .notehead")
    assert last in indices(page, "#paper .sounding")
    page.keyboard.press("ArrowLeft")
    assert last not in indices(page, "#paper .sounding")
    page.click("#stop")
    assert indices(page, "#paper .sounding") == set()
    assert page.input_value("#position") == "0"
    assert page.evaluate("[...new Set(player.channel)].sort().join()") == "0,1,2,3"
    page.evaluate(
        "id => { const s = document.getElementById(id); s.value = 50; s.dispatchEvent(new Event('input')); }",
        "left-volume",
    )
    assert page.evaluate("player.volume") == [1, 1, 0.5, 0.5] and page.inner_text("#left-volume-value") == "50 %"
    assert [one for one in visit.asked if not one.startswith(("file:", "data:", "blob:"))] == []
    visit.close()


def test_a_phone_shows_all_of_it(browser: Any, piece: tuple[Score, Any], tmp_path: Path) -> None:
    score, sheet = piece
    found = analysis(score, match=match(), inputs=("notes", "image"), composer="W" * 200)
    write_report(tmp_path / "report.html", found, [sheet, sheet], picture())
    visit = Visit(browser, 375, 700, color_scheme="dark")
    page = visit.open((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.querySelectorAll('#paper .note').length") == 2 * len(score.notes)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    narrow = page.evaluate("document.querySelectorAll('#paper .system').length")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function(
        "narrow => { const now = document.querySelectorAll('#paper .system').length; return now && now < narrow; }",
        arg=narrow,
    )
    visit.close()


def test_a_served_page_works_under_a_strict_policy(browser: Any, make_song: Any, tmp_path: Path) -> None:
    make_song(tmp_path / "song.mid", 0)
    midi = read_midi(tmp_path / "song.mid")
    notation = notate(midi)
    sheet = SimpleNamespace(first_bar=0, mei=notation.mei, note=notation.source_note)
    html = report_html(analysis(midi, title=HOSTILE[0]), [sheet], inline=False)

    def serve(route: Any) -> None:
        path = route.request.url.removeprefix("http://127.0.0.1:9")
        if path == "/":
            headers = {"content-security-policy": POLICY, "content-type": "text/html"}
            route.fulfill(body=html, headers=headers)
        else:
            route.fulfill(path=STATIC / path.removeprefix("/static/"))

    visit = Visit(browser)
    visit.page.route("http://127.0.0.1:9/**", serve)
    page = visit.open("http://127.0.0.1:9/")
    assert page.title().startswith(HOSTILE[0])
    assert indices(page, "#paper .note") == set(range(len(midi.notes)))
    visit.close()


def test_what_stands_in_the_notation_cannot_act(browser: Any, piece: tuple[Score, Any], tmp_path: Path) -> None:
    score, sheet = piece
    mei = re.sub(
        r"(<note [^>]*[^/])>", r'\1><verse n="1"><syl>&lt;script&gt;alert(1)&lt;/script&gt;</syl></verse>', sheet.mei
    )
    assert mei != sheet.mei
    hostile = SimpleNamespace(first_bar=0, mei=mei, note=sheet.note)
    broken = SimpleNamespace(first_bar=0, mei="no notation", note={})
    write_report(tmp_path / "report.html", analysis(score), [hostile])
    visit = Visit(browser)
    page = visit.open((tmp_path / "report.html").as_uri())
    assert "<script>alert(1)</script>" in page.text_content("#paper")
    assert page.evaluate("document.querySelectorAll('#paper script').length") == 0
    write_report(tmp_path / "broken.html", analysis(score), [broken])
    page.goto((tmp_path / "broken.html").as_uri())
    page.wait_for_selector("#paper[aria-busy=false]")
    assert "could not be engraved" in page.inner_text("#paper")
    visit.close()
