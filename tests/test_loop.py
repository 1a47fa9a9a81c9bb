import dataclasses
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scoresim import checkpoint
from scoresim.data.batches import Batch, Passages
from scoresim.data.rows import BatchConfig
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput, CheckFailed
from scoresim.files import locked
from scoresim.model.precision import use_bf16
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.training.config import PretrainConfig
from scoresim.training.loop import Stopped, TrainConfig, train
from scoresim.training.objectives import MBAM, SMC, SMM, HeadObjective
from scoresim.training.optim import MOMENTUM, Both, Muon, adamw, learning_rate, optimiser_of
from scoresim.training.pretrain import export, pretrain, train_config
from scoresim.training.state import RunState, resume, save_state

MICRO = SIMConfig(width=32, layers=2, heads=4, stem_channels=(4, 8), embedding=32)
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


@pytest.mark.parametrize(("number", "muon"), [(signal.SIGTERM, 0.0), (signal.SIGINT, 4.0)])
def test_stopping_and_going_on_equals_not_stopping(tmp_path: Path, number: int, muon: float) -> None:
    config = dataclasses.replace(CONFIG, muon=muon)
    whole = micro()
    train(whole, OBJECTIVES, passages(), config, tmp_path / "whole")
    with pytest.raises(Stopped, match="step 4 of 6") as stopped:
        train(micro(), OBJECTIVES, Interrupted(passages(), 3, number), config, tmp_path / "parts")  # type: ignore[arg-type]
    assert stopped.value.exit_code == 128 + number
    parts = micro(seed=99)
    train(parts, OBJECTIVES, passages(), config, tmp_path / "parts")
    assert same(weights(whole), weights(parts))
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")
    moments = [load_file(tmp_path / run / "state" / "last.safetensors") for run in ("whole", "parts")]
    assert same(*moments)


@pytest.mark.slow
def test_weights_are_taken_out_of_a_run_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, run, stream = PretrainConfig(steps=4, batch_size=4), tmp_path / "run", Passages.stream

    def interrupted(self: Passages, seed: int, start: int) -> Iterator[Batch]:
        for step, batch in enumerate(stream(self, seed, start), start):
            if step == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with pytest.raises(BadInput, match="holds no run"):
        export(run, tmp_path / "taken")
    with monkeypatch.context() as change, pytest.raises(Stopped):
        change.setattr(Passages, "stream", interrupted)
        pretrain(Path("synthetic"), run, config)
    (run / "state" / "last.safetensors").replace(run / "state" / "before.safetensors")
    (run / "state" / "last.safetensors").write_bytes(b"damaged")
    assert export(run, tmp_path / "taken")["step"] == 2
    assert (run / "state" / "last.safetensors").read_bytes() == b"damaged", "the run is not ours to mend"
    (run / "state" / "before.safetensors").replace(run / "state" / "last.safetensors")
    with pytest.raises(BadInput, match="holds a run"):
        export(run, run)
    taken = checkpoint.load(tmp_path / "taken" / "checkpoint")
    assert taken.provenance["step"] == 2
    saved = load_file(run / "state" / "last.safetensors")
    assert same(weights(taken.model), {k.removeprefix("weights/"): v for k, v in saved.items() if k[:8] == "weights/"})
    pretrain(Path("synthetic"), run, config)
    assert export(run, tmp_path / "taken")["step"] == 4
    ended = checkpoint.load(run / "checkpoint")
    assert checkpoint.load(tmp_path / "taken" / "checkpoint").weights == ended.weights != taken.weights
    shutil.rmtree(run / "state")
    with pytest.raises(BadInput, match="has not saved its state"):
        export(run, tmp_path / "taken")


def test_every_parameter_has_one_optimiser_and_tables_and_outputs_have_adamw() -> None:
    model = micro()
    both = optimiser_of(model, 1e-3, 0.1, 1.0, 4.0)
    assert isinstance(both, Both)
    muon, _ = both.parts
    trained = [p for part in both.parts for group in part.param_groups for p in group["params"]]
    assert len(trained) == len(set(trained)) == len(list(model.parameters()))
    names = {p: name for name, p in model.named_parameters()}
    middle = {names[p] for group in muon.param_groups for p in group["params"]}
    assert {"blocks.0.qkv.weight", "blocks.1.mlp_out.weight", "image_encoder.project.weight"} <= middle
    assert not middle & {"note_encoder.table", "note_encoder.below.weight", "values.weight", "where.project.weight"}
    assert [group["scale"] for group in both.param_groups] == [4.0] + [1.0] * (len(both.param_groups) - 1)
    assert isinstance(optimiser_of(model, 1e-3, 0.1, 1.0, 0.0), torch.optim.AdamW)


def test_tables_are_adamws_in_whatever_they_stand() -> None:
    """Below a head that has no picture, and in a network of others."""
    model = nn.Module()
    model.tagger, model.embed, model.linear = Tagger(micro(), "note", 2), nn.Embedding(9, 4), nn.Linear(4, 4)
    both = optimiser_of(model, 1e-3, 0.1, 1.0, 4.0)
    assert isinstance(both, Both)
    names = {p: name for name, p in model.named_parameters()}
    middle = {names[p] for group in both.parts[0].param_groups for p in group["params"]}
    assert {"tagger.sim.blocks.0.qkv.weight", "linear.weight"} <= middle
    assert not middle & {"embed.weight", "tagger.sim.note_encoder.table", "tagger.sim.values.weight"}


def test_muon_without_bfloat16_steps_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide and tall matrices, three steps with and three without: the same but for the rounding of bfloat16."""
    ended = []
    for there in (True, False):
        monkeypatch.setattr("scoresim.training.optim.use_bf16", lambda asked, device, there=there: there)
        torch.manual_seed(0)
        matrices = [nn.Parameter(torch.randn(shape)) for shape in ((8, 24), (24, 8), (16, 16))]
        idle = nn.Parameter(torch.ones(4, 4))
        muon = Muon([*matrices, idle], lr=0.1, weight_decay=0.1, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw")
        begun = [matrix.detach().clone() for matrix in matrices]
        for step in range(3):
            for matrix, before in zip(matrices, begun, strict=True):
                matrix.grad = torch.sin((step + 1.0) * before)
            muon.step()
        assert torch.equal(idle, torch.ones(4, 4))
        moved = [matrix.detach() - before for matrix, before in zip(matrices, begun, strict=True)]
        ended.append((moved, {name for matrix in matrices for name in muon.state[matrix]}))
    (theirs, kept), (ours, names) = ended
    assert kept == names == {"momentum_buffer"}
    for one, other in zip(theirs, ours, strict=True):
        assert (one - other).norm() < 0.02 * one.norm()


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    model = micro()
    train(model, OBJECTIVES, passages(), CONFIG, tmp_path)
    again = micro(seed=5)
    state = train(again, OBJECTIVES, passages(), CONFIG, tmp_path)
    assert state.step == 6
    assert same(weights(model), weights(again))
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 6]


@pytest.mark.slow
def test_training_learns(tmp_path: Path) -> None:
    """A hundred steps on made-up music: losses fall, and held-out pictures find their notes."""
    torch.manual_seed(0)
    shape = SIMConfig(width=64, layers=2, heads=4, stem_channels=(4, 8), embedding=32)
    model = SIM(shape, default_vocabulary().sizes)
    config = TrainConfig(steps=100, lr=3e-3, warmup=10, log_every=10)
    train(model, OBJECTIVES, passages(256, batch_size=16), config, tmp_path)
    log = lines(tmp_path)
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert log[-1]["loss/smc"] < log[0]["loss/smc"]
    with torch.no_grad():
        tallies = [SMC()(model, batch)[1] for batch in passages(192, seed=9, batch_size=64).sequential()]
    found, count = torch.stack([tally["smc/image_to_notes"] for tally in tallies]).sum(dim=0)
    assert found > 2 / 64 * count, "twice chance in pools of 64"


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


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_no_number_stops_the_run_before_it_does_damage(tmp_path: Path, what: str) -> None:
    """The loss is not finite, or it is and its gradient is not: the last state is from before, the weights are."""
    steps: list[dict[str, Tensor]] = []

    def broken(model: nn.Module, _batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        steps.append(weights(model))
        total = torch.stack([parameter.sum() for parameter in model.parameters()]).sum()
        if len(steps) < 4:
            return {"sound": total * 1e-3}, {}
        return {"broken": total * float("nan") if what == "loss" else (total * 0).sqrt()}, {}

    model = micro()
    with pytest.raises(CheckFailed, match=f"{what} is no longer a number at step 3.*lower learning rate") as caught:
        train(model, [broken], passages(), CONFIG, tmp_path)
    assert caught.value.exit_code == 1
    assert same(weights(model), steps[3])
    saved = load_file(tmp_path / "state" / "last.safetensors")
    assert all(torch.equal(saved[f"weights/{name}"], tensor) for name, tensor in steps[2].items())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    model = micro()
    state = tmp_path / "state" / "last.safetensors"
    train(model, OBJECTIVES, passages(), dataclasses.replace(CONFIG, steps=2), tmp_path)
    before = state.read_bytes()
    with torch.no_grad():
        next(model.parameters()).fill_(float("inf"))
    with pytest.raises(CheckFailed, match="after step 3, so they were not saved"):
        save_state(state, model, adamw(model, 1e-3, 0.0), RunState(step=3))
    assert [path.name for path in state.parent.iterdir()] == ["last.safetensors"]
    assert state.read_bytes() == before


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


@pytest.mark.parametrize("damage", ["flipped bit", "cut off", "empty", "gone"])
@pytest.mark.slow
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
    elif damage == "flipped bit":
        data[-100] ^= 1
        last.write_bytes(data)
    else:
        last.write_bytes(data[: len(data) // 2 if damage == "cut off" else 0])
    again = micro(seed=7)
    train(again, OBJECTIVES, passages(), CONFIG, out)
    assert same(weights(whole), weights(again))
    assert timeless(out) == timeless(tmp_path / "whole")
    told = [record.message for record in caplog.records if "state before it" in record.message]
    assert len(told) == 1
    assert told[0].startswith(f"{last} is {'gone' if damage == 'gone' else 'damaged'}")
    assert told[0].endswith("Going on from the state before it, of step 4.")


def test_a_damaged_state_never_takes_the_place_of_a_whole_one(tmp_path: Path) -> None:
    """A run that went on from the state before the last is killed as it saves the next: there is a whole one still."""
    last, before = (tmp_path / "state" / name for name in ("last.safetensors", "before.safetensors"))
    train(micro(), OBJECTIVES, passages(), dataclasses.replace(CONFIG, steps=4), tmp_path)
    last.write_bytes(b"damaged")
    model = micro()
    state = resume(last, model, adamw(model, 1e-3, 0.0))
    save_state(last, model, adamw(model, 1e-3, 0.0), state)
    last.unlink()
    assert before.is_file()
    assert resume(last, micro(), adamw(model, 1e-3, 0.0)).step == state.step == 2


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
        "starts.jsonl",
        "state",
        "tensorboard",
    ]
    assert len((tmp_path / "run" / "starts.jsonl").read_text().splitlines()) == 1
    before = (tmp_path / "run" / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    assert pretrain(Path("synthetic"), tmp_path / "run", config)["last"]["step"] == 2
    assert (tmp_path / "run" / "checkpoint" / "model.safetensors").stat().st_mtime_ns == before
    assert len((tmp_path / "run" / "starts.jsonl").read_text().splitlines()) == 1, "nothing was started"
    with pytest.raises(BadInput, match="another config"):
        pretrain(Path("synthetic"), tmp_path / "run", PretrainConfig(steps=3, batch_size=4))


@pytest.mark.usefixtures("small_source")
def test_asking_the_held_out_part_changes_nothing_that_is_learned(tmp_path: Path) -> None:
    config = PretrainConfig(steps=3, batch_size=4, log_every=1)
    asked = dataclasses.replace(config, validate_every=2, validate_batches=2)
    pretrain(Path("synthetic"), tmp_path / "plain", config)
    pretrain(Path("synthetic"), tmp_path / "asked", asked)
    one, two = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("plain", "asked"))
    assert same(one, two)
    for plain, line in zip(timeless(tmp_path / "plain"), timeless(tmp_path / "asked"), strict=True):
        held_out = {name.removeprefix("held_out/") for name in line if name.startswith("held_out/")}
        assert {name: value for name, value in line.items() if not name.startswith("held_out/")} == plain
        assert (held_out == set()) == (line["step"] == 1)
        assert line["step"] == 1 or {"loss", "loss/mbam/pitch", "mbam/pitch", "smc/image_to_notes"} <= held_out
    assert line["held_out/loss"] != line["loss"]


@pytest.mark.usefixtures("small_source")
def test_what_is_to_be_spread_over_processes_has_one_optimiser_on_any_number_of_them(tmp_path: Path) -> None:
    """Muon needs whole matrices, so that a run of one process could not go on with two."""
    ways = [{"size": "base"}, {"sharded": "yes"}, {"size": "base", "sharded": "no"}, {}]
    assert [train_config(PretrainConfig(steps=1, **way), 1).muon for way in ways] == [0, 0, 4, 4]  # type: ignore[arg-type]
    config = PretrainConfig(steps=1, batch_size=4, muon=0.0)
    pretrain(Path("synthetic"), tmp_path, config)
    pretrain(Path("synthetic"), tmp_path, dataclasses.replace(config, sharded="yes", muon=4.0))  # the same run
    with pytest.raises(BadInput, match="another config"):
        pretrain(Path("synthetic"), tmp_path, dataclasses.replace(config, muon=4.0))


@pytest.mark.usefixtures("small_source")
def test_degraded_images_are_learned_from_and_change_what_is_learned(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="the extra 'degrade' is not installed")
    losses = []
    for look in ("none", "mix"):
        config = PretrainConfig(steps=2, batch_size=4, log_every=1, degrade=look)  # type: ignore[arg-type]
        losses.append(pretrain(Path("synthetic"), tmp_path / look, config)["last"]["loss"])
    assert losses[0] != losses[1]


@pytest.mark.usefixtures("small_source")
def test_training_goes_on_from_the_weights_of_another_run(tmp_path: Path) -> None:
    config = PretrainConfig(steps=2, batch_size=4, lr=1e-9, log_every=1)
    pretrain(Path("synthetic"), tmp_path / "one", config)
    then = dataclasses.replace(config, start=str(tmp_path / "one"), seed=1)
    pretrain(Path("synthetic"), tmp_path / "two", then)
    one, two = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(two[name], one[name], atol=1e-6) for name in one)
    fresh = dataclasses.replace(then, start=None)
    pretrain(Path("synthetic"), tmp_path / "three", fresh)
    three = load_file(tmp_path / "three" / "checkpoint" / "model.safetensors")
    assert not torch.allclose(three["summary"], one["summary"], atol=1e-3)
    with pytest.raises(BadInput, match="another config"):
        pretrain(Path("synthetic"), tmp_path / "two", fresh)
    with pytest.raises(BadInput, match="another shape"):
        pretrain(Path("synthetic"), tmp_path / "four", dataclasses.replace(then, image_tokens="tall"))


@pytest.mark.usefixtures("small_source")
@pytest.mark.parametrize("name", ["mbam", "smc", "smm", "ground"])
def test_each_objective_trains_alone(name: str, tmp_path: Path) -> None:
    config = PretrainConfig(steps=1, batch_size=4, objectives=(name,))
    last = pretrain(Path("synthetic"), tmp_path, config)["last"]
    losses, shares = ([key for key in last if key.startswith(start)] for start in (f"loss/{name}", name))
    assert losses and shares, "a loss, and an accuracy beside it"
    assert last["loss"] == pytest.approx(sum(last[key] for key in last if key.startswith("loss/")), abs=1e-4)


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
        {"steps": 1, "degrade": "wet"},
        {"steps": 1, "lines": 3},
        {"steps": 1, "objectives": ("smm", "smc")},
        {"steps": 1, "objectives": ("smc",), "long_share": 0.5},
        {"steps": 1, "validate_every": -1},
        {"steps": 1, "inputs": "notes"},
        {"steps": 0},
        {"minutes": -1.0},
    ],
)
def test_options_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        PretrainConfig(**fields)


def test_layers_further_below_learn_slower_by_either_optimiser() -> None:
    tagger = Tagger(micro(), "note", 2, context=1)
    optimiser = optimiser_of(tagger, 1e-3, 0.05, 0.5, 4.0)
    assert isinstance(optimiser, Both)
    names = {parameter: name for name, parameter in tagger.named_parameters()}
    scale = {names[p]: group["scale"] for group in optimiser.param_groups for p in group["params"]}
    assert set(scale) == set(names.values())
    layers = MICRO.layers
    assert scale["head.1.weight"] == 4.0
    assert scale["head.1.bias"] == 1.0
    for layer in range(layers):
        assert scale[f"sim.blocks.{layer}.qkv.weight"] == 4 * 0.5 ** (layers - layer)
        assert scale[f"sim.blocks.{layer}.qkv.bias"] == 0.5 ** (layers - layer)
    assert scale["sim.note_encoder.table"] == 0.5 ** (layers + 1), "a table of inputs is AdamW's"


def test_two_do_not_train_in_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BadInput, match="another process is at work"):
        pretrain(Path("synthetic"), tmp_path, PretrainConfig(steps=1))
