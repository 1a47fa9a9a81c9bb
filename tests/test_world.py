"""Several processes that train together do what one process does.

Run as a program, this file is one of two such processes: `python tests/test_world.py FOLDER RANK`.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scoresim.cli import run
from scoresim.data.batches import Batch, Passages
from scoresim.data.rows import BatchConfig
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.model import layers
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import default_vocabulary
from scoresim.training import pretrain as pretraining
from scoresim.training.loop import Stopped, TrainConfig, train
from scoresim.training.objectives import MBAM, SMC, SMM, Grounding, Objective
from scoresim.training.sharded import clip_gradients, is_sharded, shard, whole_weights
from scoresim.training.tally import means
from scoresim.training.world import ALONE, World, joined

MICRO = SIMConfig(width=32, layers=2, heads=4, stem_channels=(4, 8), embedding=32)
OBJECTIVES: tuple[Objective, ...] = (
    MBAM(image_cover=0.5),
    SMC(chunk=2),
    SMM(altered=0.5, hard=0.5),
    Grounding(),
)
CONFIG = TrainConfig(steps=3, warmup=2, log_every=1, checkpoint_every=1, validate_every=2, seed=3, precision="fp32")
COMMAND = ["pretrain", "synthetic", "--steps", "2", "--log-every", "1", "--precision", "fp32"]
LAYOUTS = ("held", "sharded")


def micro(seed: int = 0, sharded: bool = False) -> SIM:
    torch.manual_seed(seed)
    model = SIM(MICRO, default_vocabulary().sizes)
    if sharded:
        shard(model)
    return model


def passages(world: World = ALONE) -> Passages:
    part = world.rank, world.size
    return Passages(synthetic(24, 0), BatchConfig(batch_size=8), vocabulary=default_vocabulary(), part=part)


def held_out(world: World = ALONE) -> list[Batch]:
    return [passages(world).batch(seed, 0) for seed in (1, 2)]


class Interrupted:
    """Passages whose stream sends this process a signal before the batch of one step."""

    def __init__(self, inner: Passages, step: int) -> None:
        self.inner, self.step = inner, step

    def stream(self, seed: int, start: int) -> Iterator[Batch]:
        for step, batch in enumerate(self.inner.stream(seed, start), start):
            if step == self.step:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch


# -- One of two processes.


def work(folder: Path, world: World) -> None:
    """What the two do together; the first leaves what was found in `folder`."""
    found: dict[str, Any] = {"gradients": gradients(world), "command": commands(folder, world)}
    for layout in LAYOUTS:
        sharded = layout == "sharded"
        whole = micro(sharded=sharded)
        asked = held_out(world)
        train(whole, OBJECTIVES, passages(world), CONFIG, folder / layout, world=world, held_out=asked)
        keep(folder / f"{layout}.safetensors", whole, world)
        stopping = Interrupted(passages(world), 1) if world.rank == 1 else passages(world)
        with contextlib.suppress(Stopped):
            stopped, model = folder / "stopped" / layout, micro(sharded=sharded)
            train(model, OBJECTIVES, stopping, CONFIG, stopped, world=world, held_out=asked)  # type: ignore[arg-type]
        found[f"{layout} stopped"] = len((folder / "stopped" / layout / "log.jsonl").read_text().splitlines())
        again(folder / "stopped" / layout, folder / f"{layout} resumed.safetensors", sharded, world)
        again(copied(folder, layout, "damaged", world), folder / f"{layout} damaged.safetensors", sharded, world)
        again(copied(folder, layout, "before", world), folder / f"{layout} changed.safetensors", not sharded, world)
        copied(folder, layout, "one", world)
    if world.first:
        (folder / "found.json").write_text(json.dumps(found))


def again(out: Path, weights: Path, sharded: bool, world: World) -> None:
    """Go on with a run, from other weights than it began with."""
    model = micro(9, sharded)
    train(model, OBJECTIVES, passages(world), CONFIG, out, world=world, held_out=held_out(world))
    keep(weights, model, world)


def keep(path: Path, model: SIM, world: World) -> None:
    weights = whole_weights(model) if is_sharded(model) else model.state_dict()
    if world.first:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)


def copied(folder: Path, layout: str, name: str, world: World) -> Path:
    """A finished run again, with its last state damaged or gone."""
    out = folder / name / layout

    def copy_run() -> None:
        shutil.copytree(folder / layout, out)
        state = out / "state"
        last = state / "last.safetensors" if layout == "held" else state / "step-00000003"
        if name == "damaged":
            file = last if last.is_file() else sorted(last.glob("*.safetensors"))[1]
            content = bytearray(file.read_bytes())
            content[-100] ^= 1
            file.write_bytes(content)
        elif last.is_file():
            last.unlink()
        else:
            shutil.rmtree(last)

    world.agreed(copy_run)
    return out


def gradients(world: World) -> list[dict[str, Any]]:
    """Losses, shares and gradients of single objectives and of all, beside those of one process.

    Rows of like length are read apart however few they are: other ones in each process, but of the sharded model.
    """
    layers.GROUP = 1
    rows = []
    alone = {type(objective).__name__: (objective,) for objective in OBJECTIVES}
    del alone["SMM"]  # it needs the similarities that another one finds
    for name, objectives in {**alone, "all": OBJECTIVES}.items():
        models = micro(), micro(), micro(sharded=True)
        batches = passages().batch(0, 1), passages(world).batch(0, 1), passages(world).batch(0, 1)
        losses: list[dict[str, float]] = []
        reports: list[dict[str, float]] = []
        for model, batch in zip(models, batches, strict=True):
            there = World(*batch.part)
            own: dict[str, float] = {}
            reports.append({})
            for objective in objectives:
                parts, tally = objective(model, batch)
                torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
                own |= {key: loss.item() for key, loss in parts.items()}
                reports[-1] |= means(tally, there)
            there.add_gradients(model)
            losses.append(there.summed(own))
        grads = [whole_gradients(model) for model in models]
        rows.append(
            {
                "what": name,
                "same_names": grads[0].keys() == grads[1].keys() == grads[2].keys(),
                "loss": [max(abs(losses[0][key] - other[key]) for key in losses[0]) for other in losses[1:]],
                "report": [max(abs(reports[0][key] - other[key]) for key in reports[0]) for other in reports[1:]],
                "gradient": [
                    max(float((grads[0][key] - other[key]).abs().max() / norm_of(grads[0])) for key in other)
                    for other in grads[1:]
                ],
                "norm": [float(clip_gradients(model, 1.0, world)) for model in models],
                "clipped": [norm_of(whole_gradients(model)) for model in models],
            }
        )
    return rows


def whole_gradients(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: (p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad).clone()
        for name, p in model.named_parameters()
        if p.grad is not None
    }


def norm_of(grads: dict[str, Tensor]) -> float:
    return float(nn.utils.get_total_norm(grads.values()))


def commands(folder: Path, world: World) -> list[Any]:
    """What two commands leave and say: one that runs, and one whose batch cannot be shared; of both processes."""
    pretraining.SYNTHETIC = 16
    said = []
    for size in ("8", "7"):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*COMMAND[:2], str(folder / f"batch {size}"), *COMMAND[2:], "--batch-size", size, "--json"])
        said.append((code, out.getvalue(), err.getvalue()))
    everyone: list[Any] = [None] * world.size
    dist.all_gather_object(everyone, said)
    return everyone


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    dist.init_process_group("gloo", init_method=f"file://{place / 'meet'}", rank=int(sys.argv[2]), world_size=2)
    with joined(cuda=False) as us:
        work(place, us)
    time.sleep(0.1)
    dist.destroy_process_group()


# -- The tests.


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes have worked."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-W", "error", __file__, str(folder)]
    processes = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(2)]
    for process in processes:
        error = process.communicate(timeout=180)[1]
        assert process.returncode == 0, error
    return folder


@pytest.fixture(scope="module")
def found(two: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((two / "found.json").read_text())
    return result


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """What one process makes of the same batches: its weights and its log."""
    folder = tmp_path_factory.mktemp("one")
    model = micro()
    train(model, OBJECTIVES, passages(), CONFIG, folder, held_out=held_out())
    return model.state_dict(), log(folder)


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The greatest difference of two weights.

    The biases of keys are left out: attention does not depend on them, their gradient is zero but for rounding, and
    Adam makes steps of the usual length of whatever that is.
    """
    assert a.keys() == b.keys()
    width = MICRO.width
    queries_and_values = torch.tensor([*range(width), *range(2 * width, 3 * width)])
    return max(
        float((a[name] - b[name])[queries_and_values if name.endswith("qkv.bias") else ...].abs().max()) for name in a
    )


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(found: dict[str, Any]) -> None:
    """Up to the order of summation: a sum over rows is made in two parts, and a matrix product over other shapes.

    Each costs a few units in the last place of a float32 (6e-8), relative to the norm of the gradient.
    """
    assert [row["what"] for row in found["gradients"]] == ["MBAM", "SMC", "Grounding", "all"]
    for row in found["gradients"]:
        assert row["same_names"]
        assert max(row["loss"]) < 2e-6, row
        assert max(row["report"]) < 1e-6, row
        assert max(row["gradient"]) < 1e-6, row
        assert row["norm"] == pytest.approx([row["norm"][0]] * 3, rel=1e-6)
        assert row["norm"][0] > 1, "there is something to clip"
        assert row["clipped"] == pytest.approx([1.0] * 3, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_processes_train_as_one_does(
    two: Path, one: tuple[dict[str, Tensor], list[dict[str, float]]], layout: str
) -> None:
    """Three steps of all objectives, with altered and hard negatives: rounding as in the gradient, times three."""
    weights, lines = one
    assert distance(load_file(two / f"{layout}.safetensors"), weights) < 3e-6
    assert ["held_out/loss" in line for line in lines] == [False, True, True], "of what is not trained on, too"
    theirs = log(two / layout)
    assert [list(line) for line in theirs] == [list(line) for line in lines]
    for line, alone in zip(theirs, lines, strict=True):
        assert line == pytest.approx(alone, abs=5e-6)  # six digits are written


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stopping_one_process_stops_both_and_going_on_equals_not_stopping(
    two: Path, found: dict[str, Any], layout: str
) -> None:
    """Bit for bit, since the same sums are made in the same order."""
    assert found[f"{layout} stopped"] == 2, "steps"
    whole, resumed = (load_file(two / f"{layout}{name}.safetensors") for name in ("", " resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert log(two / layout) == log(two / "stopped" / layout)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_damaged_last_state_falls_back_to_the_one_before(two: Path, layout: str) -> None:
    whole, again = (load_file(two / f"{layout}{name}.safetensors") for name in ("", " damaged"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_goes_on_in_another_layout(two: Path, tmp_path: Path, layout: str) -> None:
    """A sharded run as one that is not, and the reverse; on two processes, and on one."""
    whole = load_file(two / f"{layout}.safetensors")
    assert distance(load_file(two / f"{layout} changed.safetensors"), whole) < 2e-6
    shutil.copytree(two / "one" / layout, tmp_path / "run")
    model = micro(9)
    train(model, OBJECTIVES, passages(), CONFIG, tmp_path / "run")
    assert distance(model.state_dict(), whole) < 2e-6
    assert [line["step"] for line in log(tmp_path / "run")] == [1, 2, 3]


@pytest.mark.slow
def test_two_states_of_a_sharded_run_are_kept_as_safetensors(two: Path) -> None:
    state = two / "sharded" / "state"
    assert sorted(path.name for path in state.iterdir()) == ["step-00000002", "step-00000003"]
    assert {path.suffix for path in state.rglob("*") if path.is_file()} == {".safetensors", ".json"}


@pytest.mark.slow
def test_damaged_sharded_states_without_another_are_one_sentence(two: Path, tmp_path: Path) -> None:
    shutil.copytree(two / "sharded", tmp_path / "run")
    for file in (tmp_path / "run" / "state").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(BadInput, match="step-00000002 is damaged"):
        train(micro(), OBJECTIVES, passages(), CONFIG, tmp_path / "run")


@pytest.mark.slow
def test_the_first_process_speaks_for_both(two: Path, found: dict[str, Any]) -> None:
    (done, refused), (silent, refused_too) = found["command"]
    assert (done[0], done[2], silent) == (0, "", [0, "", ""])
    assert json.loads(done[1])["steps"] == 2
    assert sorted(path.name for path in (two / "batch 8").iterdir())[0] == "checkpoint"
    sentence = "scoresim: 2 processes cannot share a batch of 7 rows evenly; choose another number.\n"
    assert refused == refused_too == [2, "", sentence]


def test_a_batch_is_the_stretches_of_its_processes() -> None:
    whole = passages().batch(1, 2)
    parts = [passages(World(rank, 4)).batch(1, 2) for rank in range(4)]
    assert torch.cat([part.index for part in parts]).tolist() == whole.index.tolist()
    for part in parts:
        own = slice(2 * part.part[0], 2 * part.part[0] + 2)
        width = part.bar.shape[1]
        assert whole.draws is not None and part.draws is not None
        assert torch.equal(part.draws.partners, whole.draws.partners[own])
        assert torch.equal(part.draws.notes, whole.draws.notes[own, :width])
        assert part.altered is not None and whole.altered is not None
        assert torch.equal(part.altered.ids, whole.altered.ids[own, : part.altered.ids.shape[1]])
        assert part.select(torch.tensor([0])).part == (0, 1)


@pytest.mark.slow
def test_a_killed_torchrun_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Sharded; one of the processes is killed, and torchrun ends the other."""
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node", "2"]
    options = ["--steps", "8", "--batch-size", "4", "--log-every", "1", "--checkpoint-every", "1"]
    for name, kill_after in (("killed", 3), ("killed", None), ("whole", None)):
        command = [*torchrun, "-m", "scoresim", "pretrain", "synthetic", str(tmp_path / name), *options]
        process = subprocess.Popen([*command, "--sharded", "yes"], stdout=subprocess.DEVNULL)
        file = tmp_path / name / "log.jsonl"
        deadline = time.monotonic() + 90
        while kill_after is not None and process.poll() is None and time.monotonic() < deadline:
            if file.is_file() and file.read_bytes().count(b"\n") >= kill_after:
                for worker in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                    os.kill(int(worker), signal.SIGKILL)
                break
            time.sleep(0.005)
        assert (process.wait(timeout=90) == 0) == (kill_after is None)
    killed, whole = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    assert log(tmp_path / "killed") == log(tmp_path / "whole")
