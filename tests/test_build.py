"""From files to shards: whole, repeatable, resumable, and honest about what was left out."""

import json
import multiprocessing
import operator
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoresim.cli import run
from scoresim.data import build as build_step
from scoresim.data import shards
from scoresim.data.build import BuildConfig, _plan, build, identity
from scoresim.data.card import card
from scoresim.data.pair import Pair, passages, png
from scoresim.data.parts import Task, make_part
from scoresim.data.shards import to_table
from scoresim.data.twins import SAME_NOTES
from scoresim.data.verify import verify
from scoresim.errors import BadInput
from scoresim.files import LOCK, locked, write_json

FIXTURES = Path(__file__).parent / "fixtures"


def digests(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())["shards"]


def all_pairs(folder: Path) -> list[Pair]:
    return [pair for split in ("train", "valid", "test") for pair in shards.open(folder).split(split)]


def test_pairs_are_what_was_written(built: Path) -> None:
    pairs = all_pairs(built)
    assert verify(built) == []
    assert {pair.item.split(".")[0].split("/")[0] for pair in pairs} == {"piano", "choir", "book"}
    piano = [pair for pair in pairs if pair.item.startswith("piano")]
    assert sum(pair.n_bars for pair in piano) == 3
    assert sum(len(pair.notes) for pair in piano) == 12  # thirteen heads, two of them tied
    assert sum(len(pair.heads) for pair in piano) == 13
    tied = next(
        i for pair in piano for i, d in enumerate(pair.duration_exact) if d == "3/1" and pair.spelling[i] == "E5"
    )
    assert tied >= 0
    for pair in pairs:
        assert pair.notes.dtype == np.int32 and len(pair.notes) == len(pair.onset) == len(pair.spelling)
        assert pair.agreement == 1.0 and pair.staff_space == 8.0
        assert pair.image.startswith(b"\x89PNG")


def test_random_access_equals_reading_in_order(built: Path) -> None:
    part = shards.open(built).split("train")
    in_order = [pair.id for pair in part]
    assert [part[i].id for i in (len(part) - 1, 0)] == [in_order[-1], in_order[0]]
    assert part.column("id") == in_order
    assert part.column("n_notes") == [len(pair.notes) for pair in part]
    with pytest.raises(IndexError):
        part[len(part)]


def test_a_part_goes_to_the_worker_processes_of_a_data_loader(built: Path) -> None:
    """It can be pickled after it was read from, and a process started from nothing reads it on its own."""
    part = shards.open(built).split("train")
    first, fresh = part[0], shards.open(built).split("train")
    assert len(pickle.dumps(part)) == len(pickle.dumps(fresh))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(operator.getitem, (part, 0))
        assert pool.apply(len, (part,)) == len(part)
    assert there.id == first.id and there.image == first.image and (there.notes == first.notes).all()
    assert part[0].id == first.id


def test_building_again_changes_nothing_and_another_configuration_is_refused(
    built: Path, source: Path, build_config: BuildConfig
) -> None:
    before = digests(built)
    started = time.monotonic()
    build(built, build_config)
    assert digests(built) == before and time.monotonic() - started < 2
    with pytest.raises(BadInput, match="another configuration"):
        build(built, replace(build_config, seed=1))
    with pytest.raises(BadInput, match="not empty"):
        build(source, build_config)


def test_two_systems_are_joined_only_where_they_hold_few_notes() -> None:
    assert passages([5, 6, 7, 30, 2], max_systems=2, few_notes=12) == [(0, 1), (2,), (3,), (4,)]
    assert passages([5, 6], max_systems=1, few_notes=12) == [(0,), (1,)]


def test_two_systems_on_one_picture(build_config: BuildConfig, tmp_path: Path) -> None:
    """Tunes wrap over two systems when a passage may hold many notes; boxes follow the stacking."""
    build(tmp_path / "set", replace(build_config, max_systems=2, few_notes=64, page_width=30.0))
    joined = [pair for pair in all_pairs(tmp_path / "set") if pair.n_systems == 2]
    assert joined and verify(tmp_path / "set") == []
    assert all(pair.staff_boxes[:, 0].max() == 1 and pair.bar_boxes[-1, 1] > pair.bar_boxes[0, 3] for pair in joined)


@pytest.mark.slow
def test_a_build_killed_at_any_moment_ends_with_the_same_shards(
    built: Path, build_config: BuildConfig, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    code = (
        "from pathlib import Path; from scoresim.data.build import BuildConfig, build\n"
        f"if __name__ == '__main__':\n    build(Path({str(out)!r}), {build_config!r})\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    for wait in (1, 4, 9):  # parts on disk before the kill
        process = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if len(list((out / "parts").glob("*.parquet"))) >= wait:
                break
            time.sleep(0.005)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = (out / "manifest.json").is_file()
    manifest = build(out, build_config)
    assert done or "seconds" not in manifest  # nobody knows how long it took in all
    assert "seconds" in json.loads((built / "manifest.json").read_text())
    assert digests(out) == digests(built)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in built.iterdir())


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_a_signal_ends_a_build_and_its_workers(source: Path, tmp_path: Path) -> None:
    """SIGTERM to the program alone, as a batch system sends it: 143, a sentence, and no process is left."""
    out = tmp_path / "set"
    words = [sys.executable, "-m", "scoresim", "build", str(out), "--corpus", f"folder={source}", "--workers", "2"]
    process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((out / "parts").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    assert "run the same command again" in process.communicate(timeout=60)[1]
    assert process.returncode == 143
    while of_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert of_session(process.pid) == []


def of_session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, state, _, _, session, *_ = ("x " + stat.read_text().rpartition(")")[2]).split()
        except OSError:
            continue
        found += [int(stat.parent.name)] if int(session) == leader and state != "Z" else []
    return found


def test_two_builds_in_one_folder_are_refused_and_a_killed_one_is_not_in_the_way(
    built: Path, source: Path, build_config: BuildConfig, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    words = [sys.executable, "-m", "scoresim", "build", str(out), "--corpus", f"folder={source}"]
    with locked(out):
        second = subprocess.run(words, capture_output=True, text=True, timeout=60)
        with pytest.raises(BadInput, match="another process is at work"):
            build(out, build_config)
    assert second.returncode == 2 and len(second.stderr.splitlines()) == 1 and "at work in" in second.stderr
    assert not out.exists()
    code = f"import os, pathlib; from scoresim.files import locked\nwith locked(pathlib.Path({str(out)!r})): os.abort()"
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert [path.name for path in out.iterdir()] == [LOCK]
    build(out, build_config)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in built.iterdir())
    assert LOCK not in {path.name for path in built.iterdir()}


def crowded(task: Task) -> int:
    """Make a part; of a piano piece it takes too long while others are made, of a choir's it is killed twice."""
    tries = task.part.parent.parent.parent / "tries"
    tries.mkdir(exist_ok=True)
    count = len(list(tries.glob(f"{task.item.format}.*")))
    (tries / f"{task.item.format}.{os.getpid()}.{time.monotonic_ns()}").touch()
    if task.item.format == "musicxml" and count < 1:
        time.sleep(60)
    if task.item.format == "kern" and count < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return make_part(task)


@pytest.mark.slow
def test_a_crowded_machine_quarantines_nothing(
    built: Path, build_config: BuildConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails by time or by a kill is made once more, alone, before it is given up."""
    monkeypatch.setattr(build_step, "make_part", crowded)
    manifest = build(tmp_path / "set", replace(build_config, timeout=4.0))
    assert manifest["quarantine"] == [] and digests(tmp_path / "set") == digests(built)


def hanging(task: Task) -> int:
    """Make a part, but of a piano piece never."""
    if task.item.format == "musicxml":
        time.sleep(60)
    return make_part(task)


@pytest.mark.slow
def test_what_takes_too_long_alone_too_is_given_up(
    build_config: BuildConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_step, "make_part", hanging)
    manifest = build(tmp_path / "set", replace(build_config, timeout=2.0))
    assert [(entry["item"], entry["reason"]) for entry in manifest["quarantine"]] == [
        ("piano.musicxml", "took longer than 2 s")
    ]


def test_broken_files_cost_themselves_only(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    whole = (FIXTURES / "piano.musicxml").read_text()
    (folder / "good.musicxml").write_text(whole)
    (folder / "truncated.musicxml").write_text(whole[:1500])
    (folder / "empty.mid").write_bytes(b"")
    (folder / "picture.mid").write_bytes(png(np.zeros((4, 4), dtype=np.uint8)))
    shutil.copy(FIXTURES / "crash.krn", folder / "crash.krn")
    (folder / "divides_by_zero.musicxml").write_text(whole.replace("<divisions>6<", "<divisions>0<"))
    out = tmp_path / "set"
    manifest = build(out, BuildConfig(corpora=(f"folder={folder}",), workers=2))
    reasons = {Path(entry["file"]).name: entry["reason"] for entry in manifest["quarantine"]}
    assert set(reasons) >= {"truncated.musicxml", "empty.mid", "picture.mid", "crash.krn"}
    assert "not well-formed" in reasons["truncated.musicxml"]
    assert "empty" in reasons["empty.mid"] and "not a MIDI file" in reasons["picture.mid"]
    assert "crashed" in reasons["crash.krn"]
    assert "good.musicxml" not in reasons and sum(manifest["pairs"].values()) >= 1
    assert verify(out) == []
    assert len(card(out)["quarantine"]) == len(reasons)


def test_strange_files_cost_themselves_only(tmp_path: Path) -> None:
    """What makes a reader raise anything at all goes to quarantine with its reason; bytes in names do no harm."""
    folder = tmp_path / "strange"
    folder.mkdir()
    shutil.copy(FIXTURES / "choir.krn", folder)
    layer = '<tuplet num="0"><note pname="c" oct="4" dur="4"/></tuplet>'
    (folder / "zero.mei").write_text(
        '<mei xmlns="http://www.music-encoding.org/ns/mei"><music><body><mdiv><score><scoreDef><staffGrp>'
        '<staffDef n="1" lines="5"/></staffGrp></scoreDef><section><measure n="1"><staff n="1"><layer n="1">'
        f"{layer}</layer></staff></measure></section></score></mdiv></body></music></mei>"
    )
    with zipfile.ZipFile(folder / "empty_container.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "")
        archive.writestr("a.xml", (FIXTURES / "piano.musicxml").read_text())
    (folder / "metre.abc").write_text("X:1\nM:4/" + "9" * 5000 + "\nK:C\nCDEF|]\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.mid")).write_bytes(b"nothing")
    manifest = build(tmp_path / "set", BuildConfig(corpora=(f"folder={folder}",), workers=2))
    reasons = {Path(entry["file"]).name: entry["reason"] for entry in manifest["quarantine"]}
    assert "not a MIDI file" in reasons["bad\\udcff.mid"]
    assert "choir.krn" not in reasons and sum(manifest["pairs"].values()) >= 1
    assert all("\n" not in reason for reason in reasons.values())


def test_a_set_does_not_say_where_its_sources_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here" / "scores"
    (folder / "in").mkdir(parents=True)
    shutil.copy(FIXTURES / "piano.musicxml", folder)
    (folder / "in" / "bad.mid").write_bytes(b"nothing")
    (folder / "in" / "bad.mxl").write_bytes(b"nothing")
    (folder / "in" / "bad.musicxml").write_text((folder / "piano.musicxml").read_text()[:1500])
    out = tmp_path / "set"
    manifest = build(out, BuildConfig(corpora=(f"folder={folder}",), workers=2))
    assert [entry["file"] for entry in manifest["quarantine"]] == ["in/bad.mid", "in/bad.musicxml", "in/bad.mxl"]
    assert all("bad" in entry["reason"] for entry in manifest["quarantine"])
    assert manifest["config"]["corpora"] == ["folder"]
    for path in (out / "manifest.json", out / "build.json"):
        assert "here" not in path.read_text()
    (tmp_path / "there").mkdir()
    shutil.copytree(folder, tmp_path / "there" / "scores")
    with pytest.raises(BadInput, match="another configuration"):
        build(out, BuildConfig(corpora=(f"folder={tmp_path / 'there' / 'scores'}",), workers=2))
    monkeypatch.chdir(tmp_path)
    again = build(tmp_path / "again", BuildConfig(corpora=("folder=here/scores",), workers=2))
    assert again["quarantine"] == manifest["quarantine"]


def test_a_set_without_a_pair_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "bad.mid").write_bytes(b"nothing")
    assert run(["build", str(tmp_path / "set"), "--corpus", f"folder={tmp_path / 'scores'}"]) == 1
    said = capsys.readouterr()
    assert "0 pairs" in said.out and said.err.splitlines()[-1].endswith(
        "holds no pair: 0 passages were rejected, 1 files or tunes are in quarantine; "
        "its manifest.json says why, and how many for each reason."
    )


def test_a_changed_file_is_made_anew_on_resume(build_config: BuildConfig, built: Path, tmp_path: Path) -> None:
    """Parts are named after what they were made from, so a stale one is never merged."""
    out = tmp_path / "set"
    tasks, *_ = _plan(out, build_config)
    (out / "parts").mkdir(parents=True)
    write_json(out / "build.json", identity(build_config))
    stale = tasks[0].part.with_name("0" * 24 + ".parquet")
    stale.write_bytes(b"made from an older file")
    tasks[1].part.write_bytes(b"cut off by a full disk")
    tasks[2].part.write_bytes(b"")
    (out / ".train-00000.parquet.1.tmp").write_bytes(b"half")
    build(out, build_config)
    assert digests(out) == digests(built)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in built.iterdir())


def test_one_file_in_two_corpora_is_refused_and_two_folders_are_kept_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(FIXTURES / "choir.krn", tmp_path / name / "same.krn")
    with pytest.raises(BadInput, match="two of the corpora"):
        build(tmp_path / "x", BuildConfig(corpora=(f"folder={tmp_path}", f"folder={tmp_path / 'a'}"), workers=1))
    manifest = build(
        tmp_path / "set", BuildConfig(corpora=(f"folder={tmp_path / 'a'}", f"folder={tmp_path / 'b'}"), workers=1)
    )
    assert manifest["items"] == 2 and sum(manifest["works"].values()) == 2


def test_the_same_music_never_stands_in_two_parts(tmp_path: Path, tune: Callable[[int], str]) -> None:
    """A tune under two titles: whatever parts its copies are dealt into, its passages stay in one."""
    folder = tmp_path / "twins"
    folder.mkdir()
    book = [tune(i) for i in range(1, 9)]
    book += [text.replace("T:Tune", "T:Again") for text in book]
    (folder / "book.abc").write_text("\n".join(book))
    out = tmp_path / "set"
    manifest = build(out, BuildConfig(corpora=(f"folder={folder}",), workers=2, duplicate_threshold=0.0, vary=False))
    prints = {
        split: {pair.notes[:, :4].tobytes() for pair in shards.open(out).split(split)}
        for split in ("train", "valid", "test")
    }
    assert not prints["train"] & prints["test"] and not prints["valid"] & (prints["train"] | prints["test"])
    assert manifest["rejected"][SAME_NOTES] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 0},
        {"staff_space": float("nan")},
        {"max_items": -1},
        {"page_width": -5},
        {"timeout": 0},
        {"style_balance": 1.5},
        {"degrade": "fog"},
        {"complexity_balance": "maybe"},
    ],
)
def test_numbers_without_sense_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"must be at least|must be from 0 to 1|choose"):
        build(tmp_path / "x", BuildConfig(corpora=("folder=.",), **change))


def test_rows_survive_the_shard(built: Path) -> None:
    pair = all_pairs(built)[0]
    again = shards.from_row(to_table([pair]).to_pylist()[0])
    for name in pair.__dataclass_fields__:
        assert np.array_equal(getattr(pair, name), getattr(again, name)), name


def test_a_damaged_shard_is_a_sentence_when_read(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(built, out)
    shard = out / digests(out)["train"][0]["name"]
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(BadInput, match="damaged"):
        list(shards.open(out).split("train"))
    with pytest.raises(BadInput, match="no data set"):
        shards.open(tmp_path / "nothing")
