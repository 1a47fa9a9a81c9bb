"""The same build by one process, by a cluster that loses a worker, and into another file system."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from scoresim.data import shards
from scoresim.data.build import BuildConfig, build
from scoresim.data.verify import verify
from scoresim.errors import BadInput
from scoresim.files import place, read_json, replacing, sha256, write_json

LETTERS = "CDEFGABc"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a dozen tunes, one a file."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(1, 13):
        turn = [LETTERS[(number * 3 + i * (1 + number % 5)) % 8] for i in range(32)]
        bars = "|".join("".join(turn[i : i + 8]) for i in range(0, 32, 8))
        (folder / f"tune{number:02d}.abc").write_text(f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:C\n{bars}|]\n")
    return folder


def config(source: Path, **more: Any) -> BuildConfig:
    return BuildConfig(corpora=(f"folder={source}",), duplicate_threshold=0.0, **more)


@pytest.fixture(scope="module")
def alone(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of the same build by one process, without the time it took."""
    return without_seconds(build(tmp_path_factory.mktemp("alone") / "set", config(source, workers=1)))


def without_seconds(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "seconds"}


def ray_workers() -> list[int]:
    """Processes of Ray that are at work on a chunk."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "cmdline").read_bytes().startswith(b"ray::work"):
                    found.append(int(folder.name))
            except OSError:
                continue  # it ended while we looked
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers of Ray in /proc")
def test_a_cluster_that_loses_a_worker_makes_the_same_set(source: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    out, script = tmp_path / "set", tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path; from scoresim.data import build, cluster\n"
        "cluster.ITEMS_PER_TASK = 2\n"
        f"build.build(Path({str(out)!r}), build.{config(source, workers=2, cluster='local')!r})\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    killed = False
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        at_work = ray_workers()
        if not killed and at_work and list(out.glob("parts/*.parquet")):
            os.kill(at_work[0], signal.SIGKILL)
            killed = True
        time.sleep(0.01)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert killed, "the build was over before a worker could be killed"
    assert without_seconds(read_json(out / "manifest.json")) == alone
    assert verify(out) == []


@pytest.mark.slow
def test_an_item_that_kills_the_workers_of_a_cluster_costs_itself(tmp_path: Path) -> None:
    """Its chunk is handed out item by item; every other task is done, and each has one outcome."""
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    code = (
        "import json, os, signal; from pathlib import Path; from scoresim.data import cluster\n"
        "cluster.ITEMS_PER_TASK, cluster.RETRIES, cluster.RETRIES_OF_ONE = 4, 1, 0\n"
        f"tasks = [Path({str(tmp_path)!r}, str(i)) for i in range(10)]\n"
        "def done(task):\n"
        "    if task.name == '5':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return task.exists()\n"
        "outcomes = list(cluster.run_on_cluster(Path.touch, tasks, 'local', 2, 60.0, done))\n"
        "again = cluster.run_on_cluster(Path.touch, tasks[5:6], 'local', 1, 60.0, done, alone=True)\n"
        "outcomes += [(5, outcome) for _, outcome in again]\n"
        "print(json.dumps([(i, outcome and vars(outcome)) for i, outcome in outcomes]))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    outcomes = json.loads(result.stdout.splitlines()[-1])
    lost = {"reason": "its workers on the cluster died", "may_be_load": True}
    assert sorted((i for i, _ in outcomes)) == sorted([*range(10), 5])
    assert [(i, outcome) for i, outcome in outcomes if outcome] == [(5, lost), (5, lost)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(i) for i in range(10) if i != 5]


def test_a_cluster_that_is_not_there_is_a_sentence(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    code = (
        "from pathlib import Path; from scoresim.data import build\n"
        f"build.build(Path({str(tmp_path / 'set')!r}), build.{config(source, cluster='127.0.0.1:1')!r})\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "there is no Ray cluster at 127.0.0.1:1" in result.stderr.splitlines()[-1]


def test_a_set_in_another_file_system_is_the_same(source: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    """An address goes through fsspec; "local" is the file system that worker processes share."""
    out = f"local://{tmp_path}/bucket/set"
    manifest = build(out, config(source, workers=2))
    assert without_seconds(manifest) == alone
    assert verify(out) == [] and not (tmp_path / "bucket" / "set" / "parts").exists()
    opened = shards.open(out)
    assert [pair.id for pair in opened.split("train")] == opened.split("train").column("id")
    assert without_seconds(build(out, config(source, workers=2))) == alone


def test_files_on_a_store_are_whole_or_not_there() -> None:
    memory = place("memory://bucket/x.json")
    write_json(memory, {"a": 1})
    assert read_json(memory) == {"a": 1} and len(sha256(memory)) == 64
    with pytest.raises(RuntimeError, match="half"), replacing(memory) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half")
    assert json.loads(fsspec.filesystem("memory").cat("/bucket/x.json")) == {"a": 1}
    with pytest.raises(BadInput, match=r"nonsense://x cannot be reached"):
        place("nonsense://x")
    with pytest.raises(BadInput, match="does not exist"):
        read_json(place("memory://bucket/y.json"))


def test_the_sampler_changes_without_building_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    first = build(out, config(source, workers=2))
    again = build(out, config(source, workers=2, style_balance=1.0, complexity_balance="on"))
    assert again["shards"] == first["shards"]
    assert again["harmonization"] == {"style_balance": 1.0, "complexity_balance": "on"}
    assert verify(out) == []
    with pytest.raises(BadInput, match="no-resume"):
        build(out, config(source, workers=2, resume=False))
