import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scoresim.data.batches import Batch, Passages
from scoresim.data.rows import BatchConfig
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput, CheckFailed
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.training.config import PretrainConfig
from scoresim.training.loop import Stopped, TrainConfig, train
from scoresim.training.objectives import MBAM, SMC, SMM, HeadObjective
from scoresim.training.optim import learning_rate, use_bf16
from scoresim.training.pretrain import pretrain

MICRO = SIMConfig(width=32, layers=2, heads=4, stem_channels=(4, 8), embedding=16)
CONFIG = TrainConfig(steps=6, warmup=2, log_every=2, checkpoint_every=2, seed=3)
OBJECTIVES = (MBAM(), SMM(), SMC())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def micro(seed: int = 0) -> SIM:
    torch.manual_seed(seed)
    return SIM(MICRO, default_vocabulary().sizes)


def passages(n: int = 24, seed: int = 0, batch_size: int = 8) -> Passages:
    return Passages(synthetic(n, seed), BatchConfig(batch_size=batch_size))


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def timeless(out: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines(out)]


class Interrupted:
    """Passages whose stream sends this process a signal before the batch of one step."""

    def __init__(self, inner: Passages, step: int, number: int) -> None:
        self.inner, self.step, self.number = inner, step, number

    def stream(self, seed: int, start: int) -> Iterator[Batch]:
        for step, batch in enumerate(self.inner.stream(seed, start), start):
            if step == self.step:
                os.kill(os.getpid(), self.number)
            yield batch


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_and_going_on_equals_not_stopping(tmp_path: Path, number: int) -> None:
    whole = micro()
    train(whole, OBJECTIVES, passages(), CONFIG, tmp_path / "whole")
    with pytest.raises(Stopped, match="step 4 of 6"):
        train(micro(), OBJECTIVES, Interrupted(passages(), 3, number), CONFIG, tmp_path / "parts")  # type: ignore[arg-type]
    parts = micro(seed=99)
    train(parts, OBJECTIVES, passages(), CONFIG, tmp_path / "parts")
    assert same(weights(whole), weights(parts))
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")
    moments = [load_file(tmp_path / run / "state" / "last.safetensors") for run in ("whole", "parts")]
    assert same(*moments)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    model = micro()
    train(model, OBJECTIVES, passages(), CONFIG, tmp_path)
    again = micro(seed=5)
    state = train(again, OBJECTIVES, passages(), CONFIG, tmp_path)
    assert state.step == 6
    assert same(weights(model), weights(again))
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 6]


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings = {"steps": 10, "batch_size": 4, "warmup": 2, "log_every": 1, "checkpoint_every": 1, "seed": 1}
    program = (
        "import sys, torch; from pathlib import Path; torch.set_num_threads(1);"
        "import scoresim.training.pretrain as p; p.SYNTHETIC = 8;"
        f"from scoresim.training.config import PretrainConfig as C; c = C(**{settings!r});"
        "p.pretrain(Path('synthetic'), Path(sys.argv[1]), c)"
    )
    for kill_after in (4, None):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "killed")])
        log = tmp_path / "killed" / "log.jsonl"
        deadline = time.monotonic() + 60
        while kill_after is not None and process.poll() is None and time.monotonic() < deadline:
            if log.is_file() and log.read_bytes().count(b"\n") >= kill_after:
                process.kill()
            time.sleep(0.005)
        code = process.wait(timeout=90)
        assert code == (0 if kill_after is None else -signal.SIGKILL)
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "whole")], check=True)
    killed, whole = (load_file(tmp_path / run / "checkpoint" / "model.safetensors") for run in ("killed", "whole"))
    assert same(killed, whole)
    assert timeless(tmp_path / "killed") == timeless(tmp_path / "whole")


def test_training_learns(tmp_path: Path) -> None:
    """A hundred steps on made-up music: losses fall, and held-out pictures find their notes."""
    torch.manual_seed(0)
    shape = SIMConfig(width=64, layers=2, heads=4, stem_channels=(4, 8), embedding=16)
    model = SIM(shape, default_vocabulary().sizes)
    config = TrainConfig(steps=100, lr=3e-3, warmup=10, log_every=10)
    train(model, OBJECTIVES, passages(256, batch_size=16), config, tmp_path)
    log = lines(tmp_path)
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert log[-1]["loss/smc"] < log[0]["loss/smc"]
    with torch.no_grad():
        reports = [SMC()(model, batch)[1] for batch in passages(192, seed=9, batch_size=64).sequential()]
    found = sum(report["smc/image_to_notes"] for report in reports) / len(reports)
    assert found > 2 / 64, "twice chance in pools of 64"


def test_a_head_keeps_its_best_weights(tmp_path: Path) -> None:
    scores = iter([0.2, 0.9, 0.5])
    seen: list[dict[str, Tensor]] = []

    def validate(module: nn.Module) -> float:
        assert not module.training
        seen.append(weights(module))
        return next(scores)

    tagger = Tagger(micro(), "sequence", 2)
    batches = Passages(synthetic(16, 0), BatchConfig(batch_size=8), lambda pair: {"staves": pair.n_staves - 1})
    config = TrainConfig(steps=6, warmup=1, validate_every=2, log_every=2, checkpoint_every=3)
    state = train(tagger, [HeadObjective("staves")], batches, config, tmp_path, validate, keep_best=True)
    assert (state.best, state.best_step) == (0.9, 4)
    assert same(weights(tagger), seen[1])
    assert [line["validation"] for line in lines(tmp_path)] == [0.2, 0.9, 0.5]


def test_a_loss_that_is_no_number_stops_with_a_sentence(tmp_path: Path) -> None:
    def broken(model: nn.Module, _batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        return {"broken": next(model.parameters()).sum() * float("nan")}, {}

    with pytest.raises(CheckFailed, match="no longer a number at step 0"):
        train(micro(), [broken], passages(), CONFIG, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a state", None])
def test_a_damaged_or_foreign_state_is_refused(tmp_path: Path, content: bytes | None) -> None:
    state = tmp_path / "state" / "last.safetensors"
    if content is None:
        train(nn.Linear(2, 2), [], passages(), TrainConfig(steps=0), tmp_path)
        train(micro(), OBJECTIVES, passages(), TrainConfig(steps=1), tmp_path)
        other: nn.Module = nn.Linear(2, 2)
    else:
        state.parent.mkdir()
        state.write_bytes(content)
        other = micro()
    with pytest.raises(BadInput, match=r"last\.safetensors"):
        train(other, OBJECTIVES, passages(), CONFIG, tmp_path)


@pytest.mark.parametrize("damage", ["flipped byte", "cut off", "gone"])
def test_a_damaged_last_state_falls_back_to_the_one_before_and_ends_alike(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = micro()
    train(whole, OBJECTIVES, passages(), CONFIG, tmp_path / "whole")
    out = tmp_path / "run"
    with pytest.raises(Stopped):
        train(micro(), OBJECTIVES, Interrupted(passages(), 4, signal.SIGTERM), CONFIG, out)  # type: ignore[arg-type]
    last = out / "state" / "last.safetensors"
    data = bytearray(last.read_bytes())
    if damage == "gone":
        last.unlink()
    elif damage == "cut off":
        last.write_bytes(data[: len(data) // 2])
    else:
        data[-100] ^= 1
        last.write_bytes(data)
    again = micro(seed=7)
    train(again, OBJECTIVES, passages(), CONFIG, out)
    assert same(weights(whole), weights(again))
    assert timeless(out) == timeless(tmp_path / "whole")
    told = [record.message for record in caplog.records if "damaged" in record.message]
    assert len(told) == (damage != "gone")
    assert all("last.safetensors" in line and "state before it" in line for line in told)


def test_schedule_warms_up_and_falls() -> None:
    rates = [learning_rate(step, 100, 10, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] < 0.02
    assert [learning_rate(step, 100, 10, 1.0) for step in range(9)] == [
        learning_rate(step, 9999, 10, 1.0) for step in range(9)
    ]


def test_precision_is_one_of_three() -> None:
    assert use_bf16("bf16", torch.device("cpu"))
    assert not use_bf16("fp32", torch.device("cpu"))
    with pytest.raises(ValueError, match="precision"):
        use_bf16("fp8", torch.device("cpu"))


@pytest.fixture
def small_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoresim.training.pretrain.SYNTHETIC", 16)


@pytest.mark.usefixtures("small_source")
def test_pretrain_writes_a_run_and_does_not_repeat_it(tmp_path: Path) -> None:
    config = PretrainConfig(steps=2, batch_size=4, log_every=1)
    result = pretrain(Path("synthetic"), tmp_path / "run", config)
    assert result["steps"] == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint",
        "config.json",
        "log.jsonl",
        "state",
    ]
    before = (tmp_path / "run" / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    assert pretrain(Path("synthetic"), tmp_path / "run", config)["last"]["step"] == 2
    assert (tmp_path / "run" / "checkpoint" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="another config"):
        pretrain(Path("synthetic"), tmp_path / "run", PretrainConfig(steps=3, batch_size=4))


@pytest.mark.usefixtures("small_source")
def test_minutes_become_a_fixed_number_of_steps(tmp_path: Path) -> None:
    config = PretrainConfig(minutes=0.02, batch_size=4, objectives=("mbam",), inputs="notes")
    result = pretrain(Path("synthetic"), tmp_path, config)
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == result["steps"] >= 1
    assert pretrain(Path("synthetic"), tmp_path, config)["steps"] == result["steps"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"steps": 1, "minutes": 1.0},
        {"steps": 1, "objectives": ("mbam", "guess")},
        {"steps": 1, "size": "huge"},
        {"steps": 1, "sharded": "maybe"},
        {"steps": 1, "inputs": "notes"},
        {"steps": 0},
        {"minutes": -1.0},
    ],
)
def test_options_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        PretrainConfig(**fields)
