"""Fine-tuning and the benchmark on a made-up data set: everything runs, resumes, and says what it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from scoresim import checkpoint
from scoresim.benchmark import run
from scoresim.benchmark.config import BenchmarkConfig, FinetuneConfig
from scoresim.benchmark.metrics import class_weights
from scoresim.benchmark.rows import Row
from scoresim.benchmark.task import PieceTask, load_answers
from scoresim.data.shards import MANIFEST, shard_entry, to_table, write_table
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.files import read_json, write_json
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import default_vocabulary

TINY = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)
QUICK = BenchmarkConfig(
    style_steps=3, top_staff_steps=3, batch_size=8, validations=1, max_valid=8, max_test=10, pool=12, probe=8
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of made-up passages."""
    folder = tmp_path_factory.mktemp("data")
    shards = {}
    for seed, (part, rows) in enumerate({"train": 40, "valid": 16, "test": 24}.items()):
        pairs = [dataclasses.replace(pair, split=part) for pair in synthetic(rows, seed)]
        write_table(folder / f"{part}-00000.parquet", to_table(pairs))
        shards[part] = [shard_entry(folder / f"{part}-00000.parquet", rows)]
    vocabulary = default_vocabulary().to_json()
    write_json(folder / MANIFEST, {"kind": "scoresim pairs", "shards": shards, "vocabulary": vocabulary})
    return folder


def make_checkpoint(folder: Path, data: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    vocabulary = default_vocabulary()
    checkpoint.save(folder, SIM(TINY, vocabulary.sizes), vocabulary, {"data": str(data)})
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return make_checkpoint(folder / "both", data, 0), make_checkpoint(folder / "midi", data, 1)


@pytest.mark.slow
def test_benchmark_has_every_row_and_resumes(
    tmp_path: Path, checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(QUICK, notes_checkpoint=str(checkpoints[1]))
    rows = run.benchmark((), checkpoints[0], tmp_path, config)
    assert rows == read_json(tmp_path / "results.json")
    keys = {"what", "inputs", "pretraining", "metric", "value", "ci95", "n", "seeds", "command", "commit"}
    costs = {"parameters", "trained", "seconds", "device"}
    for row in rows:
        assert set(row) == keys | costs
        assert {row[name] is None for name in costs} == {not row["seeds"]}, "what is trained says what it costs"
        assert row["ci95"][0] <= row["ci95"][1]
        assert np.isfinite(row["value"])
    style = [r for r in rows if r["what"] == "style, passages" and r["metric"] == "macro-F1"]
    found = [(r["pretraining"].split(",")[0], r["inputs"]) for r in style]
    assert found == [
        ("score images and MIDI", "notes"),
        ("score images and MIDI", "both (composer's notation)"),
        ("score images and MIDI", "image (composer's notation)"),
        ("MIDI alone", "notes"),
        ("none (from scratch)", "notes"),
        ("none (from scratch)", "both (composer's notation)"),
        ("none (majority class)", "nothing"),
        ("none (features", "notes"),
    ]
    top = [r for r in rows if r["what"] == "top staff, notes" and r["metric"] == "F1"]
    assert top[-1]["pretraining"] == "none (skyline)"
    assert top[-1]["value"] > 0.6
    assert top[2]["inputs"] == "image (composer's notation; notes as blanks)"
    whats = {r["what"] for r in rows}
    assert "hidden pitch" in whats
    assert "retrieval, image to notes, pool of 12" in whats
    assert "matching: another piece" in whats
    table = (tmp_path / "results.md").read_text()
    assert "gain of images in pre-training" in table
    assert len(read_json(tmp_path / "comparisons.json")) == 10

    def trained_again(*_: object) -> None:
        raise AssertionError("a finished fine-tuning was trained again")

    monkeypatch.setattr(run, "fit", trained_again)
    assert run.benchmark((), checkpoints[0], tmp_path, config) == rows


def test_the_same_seed_gives_the_same_answers(tmp_path: Path, data: Path) -> None:
    config = FinetuneConfig(inputs="notes", steps=2, batch_size=8, validations=1, max_test=6)
    once = run.finetune("top_staff", None, tmp_path / "a", data, config)
    again = run.finetune("top_staff", None, tmp_path / "b", data, config)
    first, second = (load_answers(tmp_path / name / "answers.npz") for name in "ab")
    np.testing.assert_array_equal(first.scores, second.scores)
    assert once["figures"] == again["figures"]
    assert run.finetune("top_staff", None, tmp_path / "a", data, config) == once
    assert not (tmp_path / "a" / "state").exists()


def test_another_run_in_the_folder_is_refused(tmp_path: Path, data: Path) -> None:
    config = FinetuneConfig(inputs="notes", steps=1, batch_size=4, validations=1, max_test=4)
    run.finetune("style", None, tmp_path, data, config)
    with pytest.raises(BadInput, match="another fine-tuning"):
        run.finetune("style", None, tmp_path, data, dataclasses.replace(config, seed=1))


def test_wrong_names_are_refused(tmp_path: Path, data: Path, checkpoints: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="the tasks are"):
        run.finetune("dance", None, tmp_path, data, FinetuneConfig())
    with pytest.raises(BadInput, match=r"fine-tune for .*melody, .*style"):
        run.finetune("retrieval", None, tmp_path, data, FinetuneConfig())
    with pytest.raises(BadInput, match="holds no data set"):
        run.benchmark(("style",), checkpoints[0], tmp_path, BenchmarkConfig(data=str(tmp_path)))


def test_published_figures_are_of_windows_of_their_own_length(
    tmp_path: Path, songs: Path, checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def judged(task: PieceTask, *_: object) -> tuple[list[Row], list[Row]]:
        asked.append(task.notes)
        return [], []

    monkeypatch.setattr(run, "judge_task", judged)
    config = BenchmarkConfig(data=str(songs), notes=64, systems=("sim-notes",), rules="none")
    rows = run.benchmark(("composer",), checkpoints[0], tmp_path, config)
    assert asked == [64]
    assert "published: MidiBERT-Piano" in {row["pretraining"] for row in rows}
    assert {row["what"] for row in rows} == {"composer, windows of 512 notes"}


def test_class_weights_have_mean_one() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    weights = class_weights(labels, 2, 0.5)
    assert weights[labels].mean() == pytest.approx(1.0)
    assert weights[1] / weights[0] == pytest.approx(2.0)
    assert class_weights(labels, 2, 0.0).tolist() == [1.0, 1.0]
