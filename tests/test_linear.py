"""What frozen weights know: linear models of states, as rows of the benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from scoresim import checkpoint
from scoresim.benchmark import linear, run
from scoresim.benchmark.config import BenchmarkConfig, FinetuneConfig
from scoresim.benchmark.linear import LinearProbe, probe
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piecewise import Material, answers
from scoresim.benchmark.task import PieceTask, load_answers
from scoresim.data.batches import batch_config
from scoresim.errors import BadInput
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import default_vocabulary

MICRO = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)
BATCHES = batch_config(MICRO, 4)


def micro(seed: int = 0) -> SIM:
    torch.manual_seed(seed)
    return SIM(MICRO, default_vocabulary().sizes)


@pytest.mark.parametrize("inputs", ["notes", "both", "image"])
def test_notes_are_asked_of_a_model_that_stays_as_it_is(melody: Material, tmp_path: Path, inputs: Any) -> None:
    config = FinetuneConfig(inputs=inputs, windows=3)
    parts, sim = prepare_pieces(melody, BATCHES, config), micro()
    before = [p.clone() for p in sim.parameters()]
    result = probe(parts, sim, "micro", config, tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(before, sim.parameters(), strict=True))
    found = load_answers(tmp_path / "run" / "answers.npz")
    assert result["items"] == len(found.truth) == sum(len(piece) for piece in melody.parts["test"])
    assert result["strength"] in linear.STRENGTHS and result["rows"] > 0
    assert probe(parts, micro(1), "micro", config, tmp_path / "run") == result, "it was done"
    with pytest.raises(BadInput, match="another fine-tuning"):
        probe(parts, sim, "others", config, tmp_path / "run")


def test_a_window_is_the_mean_and_the_deviation_of_its_lines(composer: Material) -> None:
    config = FinetuneConfig(inputs="notes", windows=3)
    module = LinearProbe(micro(), "sequence", len(composer.classes), blanks=False).eval()
    asked = prepare_pieces(composer, BATCHES, config).test
    batch = asked.gather(np.arange(2))
    notes, image = batch.inputs("notes")
    together = module.states(notes, image, batch.window)
    _, vectors = module.tagger.read(notes, image)
    own = vectors[batch.window == 0]
    assert len(own) > 1
    torch.testing.assert_close(together[0], torch.cat([own.mean(0), own.std(0, correction=0)]), atol=0.02, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        said = module(notes, image, batch.window)
    assert said.dtype == torch.float32, "what was fitted in 32 bits answers in 32 bits"


def test_states_of_blanks_do_not_know_the_notes(melody: Material) -> None:
    config = FinetuneConfig(inputs="image", windows=3)
    batch = prepare_pieces(melody, BATCHES, config).test.gather(np.arange(1))
    notes, image = batch.inputs("both")
    assert notes is not None
    module = LinearProbe(micro(), "note", 3, blanks=True).eval()
    other = notes._replace(ids=notes.ids.flip(1))
    assert torch.equal(module.states(notes, image, batch.window), module.states(other, image, batch.window))


def test_the_linear_model_answers_as_it_was_fitted() -> None:
    """Three classes of which one is never seen, apart along one of many directions of very different sizes."""
    chance = np.random.default_rng(0)
    y = chance.integers(0, 2, 400) * 2
    x = chance.normal(size=(400, 32)) * np.geomspace(1e-3, 1e3, 32) + 50
    x[:, 7] += 8 * (y - 1) * x[:, 7].std()
    parts: Any = SimpleNamespace(
        classes=("a", "b", "c"),
        task=SimpleNamespace(name="made up"),
        select=lambda said: float((said.predicted == said.truth).mean()),
    )
    module = LinearProbe(micro(), "note", 3, blanks=False)
    rows = x.astype(np.float32), y
    best, _ = linear._fit(module, parts, rows, rows, torch.ones(3))
    said = module.linear(torch.from_numpy(rows[0])).argmax(1).numpy()
    assert best > 0.99 and (said == y).mean() > 0.99 and not (said == 1).any()


def test_one_class_is_a_sentence(composer: Material, tmp_path: Path) -> None:
    config = FinetuneConfig(inputs="notes", windows=3)
    [first] = [piece for piece in composer.parts["train"] if composer.label(piece) == 0][:1]
    one = dataclasses.replace(composer, parts=composer.parts | {"train": [first]})
    with pytest.raises(BadInput, match="at least two classes in the training part of composer"):
        probe(prepare_pieces(one, BATCHES, config), micro(), "micro", config, tmp_path)


@pytest.mark.slow
def test_what_frozen_weights_know_stands_in_a_table(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_task: Callable[..., PieceTask]
) -> None:
    monkeypatch.setattr("scoresim.benchmark.tasks.melody.TASK", piece_task("melody"))
    checkpoint.save(tmp_path / "sim", micro(), default_vocabulary(), {})
    config = BenchmarkConfig(data=str(songs), systems=("sim-notes", "sim-both", "midibert-notes"), frozen=True)
    rows = run.benchmark(("melody",), tmp_path / "sim", tmp_path / "out", config)
    command = "scoresim benchmark melody --checkpoint {0}/sim --out {0}/out --data {1} --systems sim-notes "
    command += "--systems sim-both --systems midibert-notes --frozen"
    assert {r["command"] for r in rows if r["seeds"]} == {command.format(tmp_path, songs)}
    named = [(r["inputs"], r["pretraining"]) for r in rows if r["metric"] == "accuracy"]
    assert named[:2] == [
        ("notes [frozen, linear]", run.BOTH),
        ("both (engraved from the notes) [frozen, linear]", run.BOTH),
    ]
    assert not any("MidiBERT's network" in pretraining for _, pretraining in named)
    assert "gain of the image as input" in (tmp_path / "out" / "results.md").read_text(encoding="utf-8")


def test_answers_do_not_depend_on_what_is_read_together(melody: Material) -> None:
    config = FinetuneConfig(inputs="notes", windows=3)
    module = LinearProbe(micro(), "note", 3, blanks=False).eval()
    some, few = (prepare_pieces(melody, batch_config(MICRO, 4), config).test for _ in range(2))
    few.config = dataclasses.replace(few.config, batch_size=1)
    a, b = (answers(module, asked, melody.parts["test"], "notes") for asked in (some, few))
    np.testing.assert_allclose(a.scores, b.scores, atol=0.05)
