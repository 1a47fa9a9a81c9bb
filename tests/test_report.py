"""The report of a small made-up study: self-contained, escaped, complete."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scoresim.benchmark import pictures
from scoresim.benchmark.report import _short, report
from scoresim.benchmark.report_tables import learnt_tables
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.files import read_json, write_json

HOSTILE = '<script>alert("x")</script> & "quotes" {{ 7 * 7 }}'


def row(what: str, metric: str, value: float, pretraining: str, inputs: str) -> dict[str, Any]:
    return {
        "what": what,
        "inputs": inputs,
        "pretraining": pretraining,
        "metric": metric,
        "value": value,
        "ci95": [value - 0.1, value + 0.1],
        "n": 40,
        "seeds": [0],
        "command": "scoresim benchmark",
        "commit": "abc",
    }


def rows() -> list[dict[str, Any]]:
    ours, midi = "score images and MIDI", "MIDI alone"
    image = "both (composer's notation)"
    pool = "retrieval, image to notes, pool of 200"
    return [
        row("hidden pitch", "accuracy", 0.8, ours, image),
        row("hidden pitch", "accuracy", 0.3, ours, "notes"),
        row("hidden pitch", "accuracy", 0.25, midi, "notes"),
        row("matching: all", "accuracy", 0.9, ours, image),
        row("matching: matched pairs", "share right", 0.95, ours, image),
        row(pool, "R@1", 0.4, ours, "each alone (composer's notation)"),
        row(pool, "median rank", 3.0, ours, "each alone (composer's notation)"),
        row(pool, "R@1", 0.005, "none (chance)", "nothing"),
        row("style, passages", "macro-F1", 0.6, ours, "notes"),
        row("style, passages", "macro-F1", 0.1, "none (majority class)", "nothing"),
        row("top staff, notes", "accuracy", 0.9, ours, "notes"),
        row("top staff, notes", "F1", 0.85, ours, "notes"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "benchmark" / "results.json", rows())
    comparison = {"what": "style: gain", "a": "a", "b": "b", "metric": "macro-F1", "difference": 0.2}
    comparison |= {"ci95": [0.1, 0.3], "p": 0.004, "works": 12}
    write_json(tmp_path / "benchmark" / "comparisons.json", [comparison])
    step = {"command": f"scoresim build {HOSTILE}", "hash": "0", "seconds": 93.0}
    write_json(tmp_path / "study.json", {"preset": "demo", "seed": 0, "steps": {"build": step}, "peak_memory": 2**31})
    lines = [{"step": s, "loss": 9.0 / s, "smm": 0.5 + s / 100, "mbam/pitch": s / 50} for s in range(1, 20)]
    run = tmp_path / "pretrain"
    run.mkdir()
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(run / "config.json", {"pretrain": {"size": "tiny"}})
    pair = synthetic(1, 0)[0]
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(pictures.pair_png(pair))
    listed = [{"kind": "hidden", "file": "a.png", "caption": HOSTILE}]
    write_json(tmp_path / "pictures" / "pictures.json", listed)
    return tmp_path


class Page(HTMLParser):
    """Collects what a page would load, and the balance of its elements."""

    EMPTY = ("meta", "img", "br", "hr", "link", "input", "path", "use", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def read_page(folder: Path) -> tuple[str, Page]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    return text, page


def test_the_page_is_self_contained_and_well_formed(folder: Path) -> None:
    report(folder)
    text, page = read_page(folder)
    assert page.open == []
    assert page.loads
    assert all(load.startswith(("data:image/png;base64,", "#")) for load in page.loads)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(http" not in text
    assert page.tags.count("svg") == 4  # two plots of intervals, the loss, the accuracies


def test_hostile_text_is_escaped(folder: Path) -> None:
    report(folder)
    text, _ = read_page(folder)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "{{ 7 * 7 }}" in text


def test_key_figures_come_first_and_say_what_they_stand_beside(folder: Path) -> None:
    found = report(folder)
    assert found == read_json(folder / "report.json")
    keys = {key["name"]: key for key in found["key_figures"]}
    assert keys["Hidden pitches found, with the image"]["beside"] == "30.0\u00a0% without the image"
    assert keys["Right notes found first (R@1)"]["beside"] == "80 times chance, pool of 200"
    assert keys["Style of a passage, notes alone (macro-F1)"]["beside"] == "10.0\u00a0% for the majority class"
    text, _ = read_page(folder)
    assert text.index("Hidden pitches found") < text.index("<table")
    assert "1 min 33 s" in text
    assert "2.15 GB" in text


def test_figures_of_works_stand_beside_those_of_passages() -> None:
    whats = ("style, passages", "style of works", "top staff, notes")
    tables = learnt_tables([row(what, "accuracy", 0.6, "MIDI alone", "notes") for what in whats])
    assert [(table.title, table.head[2:]) for table in tables] == [
        ("Style", ["passages: accuracy", "works: accuracy"]),
        ("Top staff", ["notes: accuracy"]),
    ]
    assert [[cell.text for cell in line] for line in tables[0].rows] == [["MIDI alone", "notes", "60.0", "60.0"]]
    assert tables[0].note.startswith("Test part: 40 passages and 40 works.")


def test_a_benchmark_alone_has_a_report(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", rows())
    report(tmp_path)
    text, page = read_page(tmp_path)
    assert page.open == []
    assert "Pre-training</h2>" not in text


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no results"):
        report(tmp_path)


def test_pictures_of_any_passage() -> None:
    for pair in synthetic(4, 1):
        with Image.open(BytesIO(pictures.pair_png(pair))) as image:
            assert image.size == (2 * pair.width, 2 * pair.height)
        notes = np.flatnonzero(pair.bar_of_note == pair.n_bars - 1)
        true = pair.notes[notes, pictures.PITCH].astype(np.int64) - 2
        guess = pictures.Guess(pair.n_bars - 1, notes, true, true + 3)
        with Image.open(BytesIO(pictures.masked_png(pair, guess))) as image:
            assert min(image.size) > 100


def test_plots_are_labelled_and_carry_no_outside_names() -> None:
    plot = pictures.curves_svg([("a < b", [1, 2], [0.5, 0.25])], "loss", 'loss of "x" <y>')
    assert plot.startswith('<svg role="img" aria-label="loss of &quot;x&quot; &lt;y>"')
    assert not re.search(r"https?:", plot)
    assert pictures.pitch_name(60) == "C4"


def test_systems_have_short_names() -> None:
    named = {
        ("score images and MIDI", "both (composer's notation)"): "SIM, reads both",
        ("score images and MIDI, with hand-crafted features", "notes [frozen, linear]"): (
            "SIM, reads notes, with hand-crafted features"
        ),
        (
            "none (from scratch), with hand-crafted features",
            "notes",
        ): "from scratch, reads notes, with hand-crafted features",
        ("none (hand-crafted features)", "notes"): "hand-crafted features",
        ("published: MidiBERT-Piano", "notes"): "published: MidiBERT-Piano",
    }
    for (pretraining, inputs), short in named.items():
        assert _short({"pretraining": pretraining, "inputs": inputs}) == short


@pytest.mark.parametrize("text", ["null", '{"a": 1}', "[{}]", "[3]"])
def test_results_of_somebody_else_are_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(BadInput, match="holds results that scoresim did not write"):
        report(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
