from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from scoresim import understand
from scoresim.cli import run
from scoresim.data.align import Place
from scoresim.errors import BadInput, NotNow
from scoresim.index import collect as collecting
from scoresim.index import open_store
from scoresim.index.collect import Found, collect, music_in, read_again, row_of_lines, search
from scoresim.index.store import Entry, Fingerprint
from scoresim.understand import Sim

TUNES = {
    "one": "CDEF|GABc|cBAG|FEDC|",
    "two": "G2G2|A4|B2c2|d4|",
    "three": "c/B/A/G/ F/E/D/C/|E2G2|c4|z4|",
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    (folder / "inner").mkdir(parents=True)
    for i, (name, music) in enumerate(TUNES.items()):
        path = folder / ("inner" if i else ".") / f"{name}.abc"
        path.write_text(f"X:1\nT:{name}\nM:4/4\nL:1/4\nK:C\n{music}]\n")
    (folder / "readme.txt").write_text("no music")
    return folder


def test_an_index_follows_its_folder(
    weights: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = understand.load(weights)
    (library / "broken.mid").write_bytes(b"MThd nothing")
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        done = collect(library, store, sim)
        assert (done.new, done.same, done.gone, done.refused) == (3, 0, 0, ("broken.mid",))
        assert set(store.known()) == {"one.abc", "inner/two.abc", "inner/three.abc", "broken.mid"}
        (library / "one.abc").touch()
        (library / "inner" / "two.abc").unlink()
        (library / "inner" / "three.abc").write_text("X:1\nT:three\nM:4/4\nL:1/4\nK:C\nC4|]\n")
        read = []
        monkeypatch.setattr(
            sim, "embed_each", lambda paths, workers: read.extend(paths) or Sim.embed_each(sim, paths, workers)
        )
        done = collect(library, store, sim)
        assert (done.new, done.same, done.gone, done.refused) == (1, 1, 1, ("broken.mid",))
        assert [path.name for path in read] == ["three.abc"]
        assert collect(library, store, sim) == type(done)(0, 2, 0, ("broken.mid",))  # it is not tried again
    with pytest.raises(BadInput, match="is no folder"):
        collect(tmp_path / "nowhere", store, sim)
    (tmp_path / "unmounted").mkdir()
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        with pytest.raises(BadInput, match="an index that was made of it stays as it is"):
            collect(tmp_path / "unmounted", store, sim)
        assert len(store.known()) == 3


def test_a_stopped_run_goes_on(weights: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sim = understand.load(weights)
    monkeypatch.setattr("scoresim.index.collect.AT_ONCE", 1)
    calls = []

    def embed_each(paths: list[Path], workers: int) -> list[understand.Embedding | BadInput]:
        calls.append(paths)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return Sim.embed_each(sim, paths, workers)

    monkeypatch.setattr(sim, "embed_each", embed_each)
    with pytest.raises(KeyboardInterrupt), open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        collect(library, store, sim)
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        assert len(store.known()) == 1
        assert collect(library, store, sim).new == 2


def test_a_file_finds_itself(weights: Path, library: Path, tmp_path: Path) -> None:
    sim = understand.load(weights)
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        collect(library, store, sim)
    with open_store(tmp_path / "index", sim.weights) as store:
        for file in store.known():
            found = search(store, sim, library / file, top=2)
            assert len(found) == 2
            assert found[0].file == file
            assert found[0].similarity == pytest.approx(1, abs=1e-2)
            assert (found[0].first_bar, found[0].end_bar) == (0, 4)
            assert found[0].probability is None


def test_lines_of_a_query_follow_each_other() -> None:
    places = [Place(0, 1), Place(0, 3), Place(1, 2), Place(3, 4), Place(4, 6), Place(4, 5)]
    assert row_of_lines(places) == [1, 3, 4]
    assert row_of_lines([Place(2, 3), Place(7, 8)]) == [0, 1]


def test_the_commands(weights: Path, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = str(tmp_path / "index")
    assert run(["index", str(library), "-o", index, "--model", str(weights), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["new"], said["refused"]) == (3, [])
    assert run(["index", str(library), "-o", index, "--model", str(weights)]) == 0
    assert "0 files new or changed, 3 as they were, 0 gone;" in capsys.readouterr().out
    query = str(library / "one.abc")
    assert run(["search", index, query, "--model", str(weights), "--top", "1", "--folder", str(library), "--json"]) == 0
    assert [one["file"] for one in json.loads(capsys.readouterr().out)["found"]] == ["one.abc"]
    assert run(["search", index, query, "--model", str(weights)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("one.abc")
    assert run(["embed", query, "-o", str(tmp_path / "v.npz"), "--model", str(weights)]) == 0
    assert "notes" in capsys.readouterr().out
    assert run(["embed", str(library / "readme.txt"), "-o", str(tmp_path / "v.npz"), "--model", str(weights)]) == 2
    assert "no known kind" in capsys.readouterr().err
    assert run(["search", index, query, "--model", str(weights), "--folder", str(tmp_path)]) == 2
    assert "give the folder that was indexed" in capsys.readouterr().err
    assert run(["search", index, query, "--model", str(weights), "--top", "0"]) == 2
    assert "top" in capsys.readouterr().err
    for folder in (tmp_path / "empty", tmp_path / "empty" / "nowhere"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert run(["index", str(folder), "-o", str(tmp_path / "new"), "--model", str(weights)]) == 2
        assert not (tmp_path / "new").exists()
    capsys.readouterr()
    assert run(["search", str(tmp_path / "none"), query, "--model", str(weights)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_cannot_be_read_for_now_keeps_what_is_stored_and_is_tried_again(
    weights: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sim = understand.load(weights)
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        collect(library, store, sim)
        (library / "one.abc").write_text("X:1\nT:other\nM:4/4\nL:1/4\nK:C\nE4|]\n")
        with monkeypatch.context() as busy:
            busy.setattr(sim, "embed_each", lambda paths, workers: [NotNow("one.abc took longer.")] * len(paths))
            done = collect(library, store, sim)
            assert (done.refused, done.gone) == (("one.abc",), 0)
            assert "one.abc" not in store.known()  # what was stored is not what it is
        with monkeypatch.context() as locked:
            fingerprint = collecting.fingerprint

            def closed(path: Path, old: object) -> object:
                if path.name == "two.abc":
                    raise BadInput(f"{path} cannot be read (Permission denied).")
                return fingerprint(path, old)

            locked.setattr(collecting, "fingerprint", closed)
            done = collect(library, store, sim)
            assert (done.new, done.gone, done.refused) == (1, 0, ("inner/two.abc",))
        assert "Permission denied" in caplog.text and len(store.get("inner/two.abc")[0]) > 0
        assert collect(library, store, sim) == type(done)(0, 3, 0, ())


def test_a_folder_that_cannot_be_looked_into_empties_no_index(
    weights: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def walk(top: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
        yield str(top), ["inner"], ["one.abc"]
        onerror(PermissionError(13, "Permission denied", f"{top}/inner"))

    sim = understand.load(weights)
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        collect(library, store, sim)
        monkeypatch.setattr(collecting.os, "walk", walk)
        done = collect(library, store, sim)
        assert (done.new, done.same, done.gone, done.refused) == (0, 1, 0, ())
        assert len(store.known()) == 3 and "inner cannot be read" in caplog.text
        monkeypatch.undo()
        (library / "inner" / "two.abc").unlink()
        assert collect(library, store, sim).gone == 1


def test_a_name_that_is_no_text_is_left_out(library: Path, caplog: pytest.LogCaptureFixture) -> None:
    (library / os.fsdecode(b"\xff\xfe.abc")).write_text("X:1\nK:C\nC4|]\n")
    assert music_in(library) == ["one.abc", "inner/three.abc", "inner/two.abc"]
    assert "\\xff\\xfe.abc is left out: its name is not UTF-8" in caplog.text


def test_many_notes_leave_a_place_to_the_picture(weights: Path, tmp_path: Path) -> None:
    sim = understand.load(weights)
    same = np.tile(np.eye(32, dtype=np.float32)[0], (30, 1))
    near = np.full(32, 0.5, np.float32) / np.linalg.norm(np.full(32, 0.5))
    mark = Fingerprint(1, 1, "0" * 64)
    with open_store(tmp_path / "index", sim.weights, write=True, width=32) as store:
        for number in range(3):
            bars = [Entry("notes", n, first_bar=n, end_bar=n + 1) for n in range(30)]
            store.replace(f"{number}.mid", mark, bars, same)
        store.replace("page.png", mark, [Entry("image", 0, page=0, system=0)], near[None])
        assert collecting._likely(store, same[:1], "image") == ["page.png"]
        assert collecting._likely(store, same[:1], "notes") == ["0.mid", "1.mid"]
        assert collecting._stored(store, "gone.mid")[0] == []


def test_what_is_read_again_shares_its_places_and_what_cannot_be_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("a.png", "same.abc", "broken.png", "b.png", "c.png")
    kinds = ("image", "notes", "image", "image", "image")
    found = [
        Found(n, kind, 1 - 0.1 * i, None, None, None) for i, (n, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    for name in (*names, "query.abc"):
        (tmp_path / name).write_bytes(b"x")

    class Matching:
        def match(self, image: Path, notes: Path) -> Any:
            if image.name == "broken.png":
                raise BadInput(f"{image} is broken.")
            return SimpleNamespace(probability={"a.png": 0.1, "b.png": 0.9}[image.name])

    out = read_again(found, cast(Any, Matching()), tmp_path / "query.abc", tmp_path, check=2)
    assert [(one.file, one.probability) for one in out] == [
        ("b.png", 0.9), ("same.abc", None), ("broken.png", None), ("a.png", 0.1), ("c.png", None),
    ]  # fmt: skip
    assert "broken.png is broken" in caplog.text


def test_bars_that_were_read_again_are_those_of_the_closer_look(tmp_path: Path) -> None:
    for name in ("tune.abc", "page.png"):
        (tmp_path / name).write_bytes(b"x")
    shown = [SimpleNamespace(first_bar=1, end_bar=6), SimpleNamespace(first_bar=6, end_bar=9)]
    sim: Any = SimpleNamespace(match=lambda image, notes: SimpleNamespace(probability=0.5, systems=shown))
    [out] = read_again([Found("tune.abc", "notes", 0.4, None, 0, 8)], sim, tmp_path / "page.png", tmp_path, 3)
    assert out == Found("tune.abc", "notes", 0.4, 0.5, 1, 9)
