"""Many small pre-trainings: what each is trained on, when they go on, and what the smaller script beside them asks."""

from __future__ import annotations

import argparse
import json
import sys

import pytest

from scoresim.benchmark.metrics import Score
from scoresim.benchmark.task import Result


def test_packed_rows_are_for_rows_without_tokens_and_looks_of_their_own(script, tmp_path):
    runs = script("runs/ablation.py")
    (tmp_path / "pack.json").write_text(json.dumps({"degrade": "scan"}), encoding="utf-8")
    asked = argparse.Namespace(data=tmp_path / "pairs", packed=tmp_path)
    on = {row: runs.trained_on(row, asked) for row in runs.ROWS}
    assert on["pitch first"] == (tmp_path, {}) and on["notes alone"][0] == tmp_path
    assert on["pitch first, squares"] == (asked.data, {"image_tokens": "squares", "degrade": "scan"})
    assert on["pitch first, degraded images"] == (asked.data, {"degrade": "mix"})


def test_runs_of_other_options_are_not_taken_for_these(script, tmp_path, monkeypatch, capsys):
    runs = script("runs/ablation.py")
    monkeypatch.setattr(runs, "operations", lambda *_: 1.0)
    monkeypatch.setattr(runs, "train_and_ask", lambda *_: [])

    def run(*options: str) -> None:
        words = ["ablation.py", str(tmp_path / "data"), str(tmp_path), "--rows", "all", "--train-only", *options]
        monkeypatch.setattr(sys, "argv", words)
        runs.main()

    run("--steps", "600")
    run("--steps", "600", "--seeds", "2")
    with pytest.raises(SystemExit):
        run("--steps", "900")
    assert "--steps 600" in capsys.readouterr().err


def test_hidden_pitches_are_asked_with_the_picture_and_without(script, monkeypatch, capsys):
    weights = script("runs/weights.py")

    def asked_of(*given):
        inputs = "notes" if given[4].notes_only else "both"
        return [Result("hidden pitch", inputs, "accuracy", Score(0.5, 0.5, 0.5, 1))]

    monkeypatch.setattr(weights.pretraining, "hidden_attributes", asked_of)
    monkeypatch.setattr(weights, "Passages", lambda *_: None)
    monkeypatch.setattr(weights, "batch_config", lambda *_: None)
    assert weights.ask(argparse.Namespace(config=None), range(3)) == {"both": 0.5, "notes": 0.5}
    monkeypatch.setattr(sys, "argv", ["weights.py", "DATA", "--rows", "equal,default"])
    with pytest.raises(SystemExit):
        weights.main()
    assert "no such row: equal,default" in capsys.readouterr().err
