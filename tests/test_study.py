"""Presets, and which steps of a study run again. The smoke study itself runs in CI."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from scoresim.benchmark import report, study
from scoresim.cli import app
from scoresim.data import corpora
from scoresim.errors import BadInput, CheckFailed
from scoresim.files import read_json


@pytest.mark.parametrize("name", study.PRESETS)
def test_presets_fit_together(name: str) -> None:
    chosen = study.preset(name, seed=3)
    assert set(chosen.build.corpora) <= set(corpora.names())
    assert chosen.build.seed == chosen.pretrain.seed == chosen.midi.seed == chosen.benchmark.seed == 3
    assert (chosen.pretrain.inputs, chosen.midi.inputs) == ("both", "notes")
    assert chosen.midi.size == chosen.pretrain.size
    json.dumps(asdict(chosen))
    assert len(study.steps(chosen, Path("runs/x"))) == 6


@pytest.mark.parametrize("name", study.PRESETS)
def test_commands_do_what_the_steps_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is given its command's own words: the same folders, the same tasks, the same configuration."""
    from scoresim.benchmark import run
    from scoresim.training import pretrain

    called: list[tuple[object, ...]] = []
    for module, function in ((study, "build"), (pretrain, "pretrain"), (run, "benchmark")):
        monkeypatch.setattr(module, function, lambda *given: called.append(given))
    every = study.steps(study.preset(name, seed=3), Path("runs/x"))
    steps = [step for step in every if step.name not in ("verify", "pictures")]
    assert [step.command.split()[1] for step in steps] == ["build", "pretrain", "pretrain", "benchmark"]
    for step in steps:
        step.run()
        *where, config = called.pop()
        _, bound, _ = app.parse_args(step.command.removeprefix("scoresim "))
        assert asdict(bound.kwargs["config"]) == asdict(config), step.name
        said = [*bound.args, *(bound.kwargs[key] for key in ("checkpoint", "out") if key in bound.kwargs)]
        assert [words(one) for one in said] == [words(one) for one in where], step.name
    assert called == []


def words(given: object) -> list[str]:
    """A folder, or tasks in whatever order, as they stand in a command."""
    return sorted(given) if isinstance(given, tuple) else [str(given)]


def test_full_has_three_seeds() -> None:
    assert study.preset("full", 0).benchmark.seeds >= 3


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="smoke, demo, full"):
        study.study("large", tmp_path, 0)


class Recorder:
    """Steps that only write their result, and remember that they ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.settings = {"a": 1, "b": 2, "c": 3}
        monkeypatch.setattr(study, "steps", lambda _, out: self.steps(out))
        monkeypatch.setattr(report, "report", lambda _: {"key_figures": []})

    def steps(self, out: Path) -> list[study.Step]:
        return [
            study.Step(name, f"run {name}", value, out / name, lambda n=name: self.run(out, n))
            for name, value in self.settings.items()
        ]

    def run(self, out: Path, name: str) -> None:
        self.ran.append(name)
        out.mkdir(exist_ok=True)
        (out / name).write_text("done")


def test_finished_steps_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    first = study.study("smoke", tmp_path, 0)
    assert recorder.ran == ["a", "b", "c"]
    assert set(first["steps"]) == {"a", "b", "c"}
    assert first["peak_memory_mb"] > 0
    study.study("smoke", tmp_path, 0)
    assert recorder.ran == ["a", "b", "c"]
    (tmp_path / "b").unlink()
    study.study("smoke", tmp_path, 0)
    assert recorder.ran == ["a", "b", "c", "b"]
    assert set(read_json(tmp_path / "study.json")["steps"]["a"]) == {"command", "hash", "seconds"}


def test_a_changed_step_runs_again_with_those_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    study.study("smoke", tmp_path, 0)
    recorder.settings["b"] = 5
    study.study("smoke", tmp_path, 0)
    assert recorder.ran == ["a", "b", "c", "b", "c"]


def test_a_step_that_fails_is_run_again_and_those_before_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    run = recorder.run

    def broken(out: Path, name: str) -> None:
        if name == "b":
            raise CheckFailed("no")
        run(out, name)

    monkeypatch.setattr(recorder, "run", broken)
    with pytest.raises(CheckFailed):
        study.study("smoke", tmp_path, 0)
    monkeypatch.setattr(recorder, "run", run)
    study.study("smoke", tmp_path, 0)
    assert recorder.ran == ["a", "b", "c"]


def test_another_study_in_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    study.study("smoke", tmp_path, 0)
    with pytest.raises(BadInput, match="seed 0"):
        study.study("smoke", tmp_path, 1)
    (tmp_path / "study.json").write_text("[]")
    with pytest.raises(BadInput, match="not the record"):
        study.study("smoke", tmp_path, 0)


def test_a_data_set_that_does_not_verify_stops_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "verify", lambda _: ["a work stands in two parts"])
    with pytest.raises(CheckFailed, match="two parts"):
        study.check(tmp_path / "data", tmp_path)
    assert not (tmp_path / "verify.json").exists()
    monkeypatch.setattr(study, "verify", lambda _: [])
    study.check(tmp_path / "data", tmp_path)
    assert (tmp_path / "verify.json").is_file()
