"""What befalls a run: it is killed, the disk is full, a shard vanishes. It goes on as if nothing had been."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scoresim.cli import run
from scoresim.data import shards
from scoresim.data.harmonize import write_sampling
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.files import append, write_json
from scoresim.training import loop
from scoresim.training.state import checksum, read_tensors

# Every start is a process of its own that does all that `scoresim pretrain` does; it is forked from one in which the
# undisturbed run was, so that modules are imported once. A kill comes after a moment drawn by the seed, counted from a
# mark: from the start, from a new line of the log, or from the instant at which a file is half written.
PROGRAM = textwrap.dedent(
    """
    import os, random, signal, sys, time
    from pathlib import Path
    import torch
    from scoresim.cli import run
    from scoresim.training import pretrain

    torch.set_num_threads(1)
    pretrain.SYNTHETIC = 8
    folder, draw = Path(sys.argv[1]), random.Random(5)
    options = "--size tiny --steps 24 --batch-size 2 --warmup 2 --log-every 1 --checkpoint-every 1 --device cpu".split()

    def start(out):
        return run(["pretrain", "synthetic", str(out), *options, "--json"])

    def fork(out):
        child = os.fork()
        if child == 0:
            os._exit(start(out))
        return child

    def lines(out):
        return (out / "log.jsonl").read_bytes().count(b"\\n") if (out / "log.jsonl").is_file() else 0

    def kill(out, mark, wait):
        before, child, deadline = lines(out), fork(out), time.monotonic() + 60
        while not mark(out, before) and time.monotonic() < deadline and os.waitid(os.P_PID, child, OPTIONS) is None:
            time.sleep(0.0005)
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the run had ended before it was killed"

    OPTIONS = os.WEXITED | os.WNOHANG | os.WNOWAIT
    at_once = lambda out, before: True
    new_line = lambda out, before: lines(out) > before
    half_state = lambda out, before: any((out / "state").glob(".*"))
    half_checkpoint = lambda out, before: any(out.glob(".checkpoint.*"))

    assert start(folder / "whole") == 0
    out, torn = folder / "killed", 0
    marks = [at_once] * 2 + [new_line, half_state] * 3 + [new_line]
    draw.shuffle(marks)
    for mark in [*marks, half_checkpoint]:
        wait = draw.uniform(0, 0.004 if mark is half_state else 0.1)
        kill(out, mark, 0 if mark is half_checkpoint else wait)
        torn += half_state(out, 0) or not (out / "state" / "last.safetensors").is_file()
    print("torn", torn)
    assert start(out) == 0
    """
)


def timeless(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.slow
def test_a_run_killed_at_ten_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^torn [1-9]", done.stdout, re.MULTILINE), "some of the kills fall into the writing of a state"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    weights = [(out / "checkpoint" / "model.safetensors").read_bytes() for out in (whole, killed)]
    assert weights[0] == weights[1]
    states = [load_file(out / "state" / "last.safetensors") for out in (whole, killed)]
    assert states[0].keys() == states[1].keys()
    assert all(states[0][name].equal(states[1][name]) for name in states[0])
    assert timeless(whole / "log.jsonl") == timeless(killed / "log.jsonl")
    assert [line["step"] for line in timeless(killed / "log.jsonl")] == list(range(1, 25))
    shown = EventAccumulator(str(killed / "tensorboard"))
    shown.Reload()
    assert [point.step for point in shown.Scalars("loss")] == list(range(1, 25))
    assert hidden(killed) == []


OPTIONS = ["--size", "tiny", "--batch-size", "2", "--warmup", "2", "--log-every", "1", "--device", "cpu", "--json"]
SIX = ["--steps", "6", "--checkpoint-every", "2"]


def pretrain(data: Path | str, out: Path) -> int:
    return run(["pretrain", str(data), str(out), *OPTIONS, *SIX])


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on standard error, where nothing is on standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()[-1]


def same_end(one: Path, other: Path) -> bool:
    weights = [(out / "checkpoint" / "model.safetensors").read_bytes() for out in (one, other)]
    return weights[0] == weights[1] and timeless(one / "log.jsonl") == timeless(other / "log.jsonl")


def step_saved(out: Path) -> int:
    """The step of the last state; its checksum is right."""
    tensors, header = read_tensors(out / "state" / "last.safetensors")
    assert header["checksum"] == checksum(tensors, header["state"])
    return int(json.loads(header["state"])["step"])


def before_step(patch: pytest.MonkeyPatch, step: int, happens: Callable[[], None]) -> None:
    """Let something happen before a step is taken."""
    take = loop.take_step

    def taking(*words: Any) -> dict[str, float]:
        if words[-1] == step:
            happens()
        return take(*words)

    patch.setattr(loop, "take_step", taking)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two shards, with four row groups each."""
    folder = tmp_path_factory.mktemp("data")
    entries = []
    for number in range(2):
        path = folder / f"train-{number:05}.parquet"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shards, "ROW_GROUP", 2)
            shards.write_table(path, shards.to_table(list(synthetic(8, seed=number))))
        entries.append(shards.shard_entry(path, 8))
    parts: dict[str, Any] = {"train": entries, "valid": [], "test": []}
    write_json(folder / shards.MANIFEST, {"kind": "scoresim pairs", "shards": parts})
    write_sampling(folder, 0.0, False)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run of six steps that nothing befell."""
    out = tmp_path_factory.mktemp("whole")
    assert pretrain(data, out) == 0
    return out


@pytest.fixture
def limit_files() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow beyond some bytes: the system refuses, as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("what", ["log.jsonl", "state/last.safetensors"])
@pytest.mark.slow
def test_a_full_disk_stops_a_run_that_goes_on_when_there_is_room(
    tmp_path: Path, data: Path, whole: Path, what: str, capsys: Any, limit_files: Callable[[int], None]
) -> None:
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        before_step(patch, 3, lambda: limit_files((out / what).stat().st_size + (9 if what == "log.jsonl" else -9)))
        code = pretrain(data, out)
    limit_files(resource.RLIM_INFINITY)  # before pytest writes its own line, perhaps to a long file
    assert code == 2
    said = sentence(capsys)
    assert said.startswith(f"scoresim: cannot write {out / what}: ")
    assert said.endswith("or choose another disk.")
    assert hidden(out) == []
    assert (step_saved(out), [line["step"] for line in timeless(out / "log.jsonl")][:3]) == (2, [1, 2, 3])
    assert pretrain(data, out) == 0
    assert same_end(whole, out)


def test_a_log_line_is_whole_or_not_there(tmp_path: Path, limit_files: Callable[[int], None]) -> None:
    path = tmp_path / "log"
    append(path, "12345\n")
    limit_files(9)
    with pytest.raises(BadInput, match="cannot write"):
        append(path, "12345\n")
    limit_files(resource.RLIM_INFINITY)  # before pytest writes its own line, perhaps to a long file
    assert path.read_text() == "12345\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_called_by_its_name() -> None:
    with pytest.raises(
        BadInput, match=r"cannot write /dev/full: the disk is full; free some space and run the command"
    ):
        append(Path("/dev/full"), "1\n")


@pytest.mark.parametrize("damage", ["gone", "cut off", "empty"])
@pytest.mark.parametrize("moment", ["before the run", "between two starts", "during the run"])
@pytest.mark.slow
def test_a_vanished_shard_stops_a_run_that_goes_on_when_it_is_back(
    tmp_path: Path, data: Path, whole: Path, damage: str, moment: str, capsys: Any
) -> None:
    out, copy = tmp_path / "run", Path(shutil.copytree(data, tmp_path / "data"))
    shard = copy / "train-00001.parquet"
    content = shard.read_bytes()

    def vanish() -> None:
        if damage == "gone":
            shard.unlink()
        else:
            os.truncate(shard, 0 if damage == "empty" else len(content) // 3)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        if moment == "before the run":
            vanish()
        else:
            patch.setattr("scoresim.data.batches.AHEAD", 1)
            before_step(patch, 0, vanish if moment == "during the run" else stop)
        if moment == "between two starts":
            assert pretrain(copy, out) == 143
            vanish()
            capsys.readouterr()
        code = pretrain(copy, out)
    if (damage, moment) == ("gone", "during the run"):  # a file that is open can be read although it has no name
        assert code == 0
    else:
        assert code == 2
        said = sentence(capsys)
        assert str(shard) in said
        assert ("is missing" if damage == "gone" else "is damaged") in said
        assert said.endswith("build again.")
    shard.write_bytes(content)
    assert pretrain(copy, out) == 0
    assert same_end(whole, out)
