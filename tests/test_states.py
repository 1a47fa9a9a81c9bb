"""States of weights that stay as they are: what is kept says what reading again would say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scoresim import checkpoint
from scoresim.benchmark import run, states
from scoresim.benchmark.config import BenchmarkConfig, FinetuneConfig
from scoresim.benchmark.finetune import Blanks, fit
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piecewise import Material, answers, windows
from scoresim.benchmark.states import keep, unique_passages
from scoresim.benchmark.task import PieceTask, load_answers
from scoresim.data.batches import batch_config
from scoresim.errors import BadInput
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Known, Tagger
from scoresim.score.tokens import default_vocabulary

MICRO = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)
BATCHES = batch_config(MICRO, 4)


def tagger(level: str, **options: Any) -> Tagger:
    torch.manual_seed(0)
    return Tagger(SIM(MICRO, default_vocabulary().sizes), level, 3, **options).eval()


def test_what_stands_in_two_windows_is_read_once(melody: Material) -> None:
    some = windows(melody, "train", BATCHES, FinetuneConfig(inputs="notes"))
    passages, groups = unique_passages(some)
    assert len(groups) < len(some.segments) and sum(map(len, passages)) == len(some.segments)
    assert [len(rows) for rows in groups] == [1] * len(groups)
    for window, mine in zip(some.windows, passages, strict=True):
        found = [some.segments.rows[groups[number][0]] for number in mine]
        assert found == list(some.segments.rows[window.row : window.end_row])


def test_lines_that_are_read_as_one_are_one_passage(melody: Material) -> None:
    some = windows(melody, "train", BATCHES, FinetuneConfig(inputs="notes", lines=2))
    passages, groups = unique_passages(some)
    assert max(map(len, groups)) == 2
    for window, mine in zip(some.windows, passages, strict=True):
        assert len(mine) == -(-(window.end_row - window.row) // 2)


@pytest.mark.parametrize(("inputs", "part"), [("notes", "train"), ("both", "valid"), ("image", "test")])
def test_heads_of_notes_say_the_same_of_what_was_kept(melody: Material, tmp_path: Path, inputs: Any, part: str) -> None:
    some = windows(melody, part, BATCHES, FinetuneConfig(inputs=inputs))
    head, blank = tagger("note", context=1), inputs == "image"
    shown = "both" if blank else inputs
    kept = keep(head, some, shown, tmp_path, "micro", blank=blank)
    asked = melody.parts[part]
    plain, known = answers(Blanks(head) if blank else head, some, asked, shown), answers(head, kept, asked, shown)
    np.testing.assert_array_equal(plain.truth, known.truth)
    np.testing.assert_allclose(plain.scores, known.scores, atol=0.03)
    assert np.ptp(plain.scores[:, 0]) > 0.03  # or all would be alike


@pytest.mark.parametrize("views", [0, 2])
def test_heads_of_pieces_say_the_same_of_what_was_kept(composer: Material, tmp_path: Path, views: int) -> None:
    some = windows(composer, "test", BATCHES, FinetuneConfig(inputs="notes"))
    head = tagger("sequence", context=1, views=views)
    kept = keep(head, some, "notes", tmp_path, "micro", notes=views > 0)
    plain, known = (answers(head, asked, composer.parts["test"], "notes") for asked in (some, kept))
    np.testing.assert_array_equal(plain.truth, known.truth)
    np.testing.assert_allclose(plain.scores, known.scores, atol=0.03)
    batch = kept.gather(np.array([1, 0]))
    [known_of, nothing] = batch.inputs("both")
    assert isinstance(known_of, Known) and nothing is None and (known_of.states is None) == (views == 0)
    assert batch.labels["composer"].tolist() == some.gather(np.array([1, 0])).labels["composer"].tolist()
    moved = batch.to("cpu").inputs("notes")[0]
    assert torch.equal(moved.passages, known_of.passages) and torch.equal(moved.notes.mask, known_of.notes.mask)


def test_training_batches_are_those_of_the_windows(melody: Material, tmp_path: Path) -> None:
    some = windows(melody, "train", BATCHES, FinetuneConfig(inputs="notes", augment=False))
    kept = keep(tagger("note"), some, "notes", tmp_path, "micro")
    for step in (0, 7):
        ours, theirs = kept.batch(3, step), some.batch(3, step)
        for name in ("index", "window", "piece"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name))
        assert torch.equal(ours.labels["melody"], theirs.labels["melody"])
        assert torch.equal(ours.notes.time, theirs.notes.time) and torch.equal(ours.notes.mask, theirs.notes.mask)


def test_reading_that_was_stopped_goes_on(melody: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = windows(melody, "train", BATCHES, FinetuneConfig(inputs="notes"))
    whole = keep(tagger("note"), some, "notes", tmp_path / "whole", "micro")
    monkeypatch.setattr(states, "IN_FILE", 4)
    head, read, asked = tagger("note"), Tagger.read, []

    def stopping(self: Tagger, notes: Any, image: Any) -> Any:
        asked.append(len(notes.mask))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return read(self, notes, image)

    monkeypatch.setattr(Tagger, "read", stopping)
    with pytest.raises(KeyboardInterrupt):
        keep(head, some, "notes", tmp_path / "stopped", "micro")
    kept = keep(head, some, "notes", tmp_path / "stopped", "micro")
    passages = len(unique_passages(some)[1])
    assert sum(asked) == passages + asked[2]  # the third file alone was begun twice
    every = np.arange(whole.states.states.shape[0])
    np.testing.assert_allclose(kept.states.states[every], whole.states.states[every], atol=0.02)
    for name in ("first", "time", "marks"):
        np.testing.assert_array_equal(getattr(kept.states, name), getattr(whole.states, name))
    keep(head, some, "notes", tmp_path / "stopped", "micro")
    assert sum(asked) == passages + asked[2]
    keep(head, some, "notes", tmp_path / "stopped", "other weights")
    assert sum(asked) == 2 * passages + asked[2]


@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=6), width=st.integers(0, 2), data=st.data())
def test_rows_of_several_files_are_those_of_one(lengths: list[int], width: int, data: st.DataObject) -> None:
    parts = [np.full((n, width), 10 * k, np.float16) + np.arange(n)[:, None] for k, n in enumerate(lengths)]
    whole = np.concatenate(parts).astype(np.float16)
    mapped = states.Mapped([part.astype(np.float16) for part in parts])
    assert mapped.shape == whole.shape
    at = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)) if len(whole) else []
    found = mapped[np.array(at, dtype=np.int64)]
    np.testing.assert_array_equal(found, whole[at])
    assert found.dtype == np.float16


def test_states_stay_in_their_files(composer: Material, tmp_path: Path) -> None:
    some = windows(composer, "test", BATCHES, FinetuneConfig(inputs="notes"))
    for notes in (True, False):
        kept = keep(tagger("sequence"), some, "notes", tmp_path, "micro", notes=notes)
        assert kept.states.states.shape == (len(kept.states.time), MICRO.width if notes else 0)
        assert all(isinstance(part, np.memmap) for part in kept.states.states.parts)


def test_pieces_of_one_shape_are_not_taken_for_each_other(melody: Material, tmp_path: Path) -> None:
    [one], settings = melody.parts["test"][:1], FinetuneConfig(inputs="notes")
    other = dataclasses.replace(one, id="other", ids=np.where(np.arange(8) == 2, one.ids + 1, one.ids))
    said = []
    for piece in (one, other):
        some = windows(dataclasses.replace(melody, parts={"test": [piece]}), "test", BATCHES, settings)
        known = keep(tagger("note"), some, "notes", tmp_path, "the same")
        said.append(answers(tagger("note"), known, [piece], "notes").scores)
    assert np.abs(said[0] - said[1]).max() > 1e-4


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_what_was_kept_and_is_damaged_is_a_sentence(composer: Material, tmp_path: Path, suffix: str) -> None:
    some = windows(composer, "test", BATCHES, FinetuneConfig(inputs="notes"))
    keep(tagger("sequence"), some, "notes", tmp_path, "micro")
    [path] = tmp_path.glob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"is damaged .*remove it and run again"):
        keep(tagger("sequence"), some, "notes", tmp_path, "micro")


@pytest.mark.slow
def test_a_head_on_frozen_weights_reads_once_and_leaves_nothing_behind(
    melody: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, passages = Tagger.read, [0]

    def counted(self: Tagger, notes: Any, image: Any) -> Any:
        passages[0] += len(notes.mask)
        return read(self, notes, image)

    monkeypatch.setattr(Tagger, "read", counted)
    config = FinetuneConfig(inputs="notes", frozen=True, steps=8, windows=3, validations=4)
    parts = prepare_pieces(melody, BATCHES, config)
    torch.manual_seed(0)
    fit(parts, SIM(MICRO, default_vocabulary().sizes), "micro", config, tmp_path / "run")
    assert passages[0] == sum(len(unique_passages(p)[1]) for p in (parts.train, parts.valid, parts.test))  # type: ignore[arg-type]
    assert not (tmp_path / "run" / "read").exists()


def test_another_head_in_the_folder_is_a_sentence_before_anything_is_read(
    composer: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FinetuneConfig(inputs="notes", frozen=True, steps=2, windows=3)
    sim = SIM(MICRO, default_vocabulary().sizes)
    fit(prepare_pieces(composer, BATCHES, config), sim, "micro", config, tmp_path / "run")
    monkeypatch.setattr(Tagger, "read", None)
    other = dataclasses.replace(config, seed=1)
    with pytest.raises(BadInput, match="holds another fine-tuning"):
        fit(prepare_pieces(composer, BATCHES, other), sim, "micro", other, tmp_path / "run")


def test_frozen_weights_are_asked_one_way_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose one"):
        run.benchmark(("melody",), tmp_path, tmp_path / "out", BenchmarkConfig(frozen=True, frozen_heads=True))


@pytest.mark.slow
def test_the_benchmark_trains_heads_on_frozen_weights(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_task: Callable[..., PieceTask]
) -> None:
    monkeypatch.setattr("scoresim.benchmark.tasks.melody.TASK", piece_task("melody", notes=40))
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "sim", SIM(MICRO, default_vocabulary().sizes), default_vocabulary(), {})
    config = BenchmarkConfig(
        data=str(songs),
        systems=("sim-notes", "sim-image", "midibert-notes"),
        frozen_heads=True,
        notes=30,
        seeds=2,
        piece_steps=4,
    )
    read, times = Tagger.read, [0]

    def counted(self: Tagger, notes: Any, image: Any) -> Any:
        times[0] += 1
        return read(self, notes, image)

    monkeypatch.setattr(Tagger, "read", counted)
    rows = run.benchmark(("melody",), tmp_path / "sim", tmp_path / "out", config)
    named = [(r["inputs"], r["seeds"]) for r in rows if r["metric"] == "accuracy" and r["seeds"]]
    assert named[:2] == [
        ("notes (windows of 30) [frozen]", [0, 1]),
        ("image (engraved from the notes; notes as blanks; windows of 30) [frozen]", [0, 1]),
    ]
    trained = [r for r in rows if r["seeds"]]
    assert all("--frozen-heads --notes 30" in r["command"] and "MidiBERT" not in r["pretraining"] for r in trained)
    assert not (tmp_path / "out" / "read").exists()
    seen = [load_answers(folder / "answers.npz").scores for folder in sorted((tmp_path / "out" / "runs").glob("*sim*"))]
    assert len(seen) == 4 and not any(np.allclose(a, b) for a, b in pairwise(seen))
    first = times[0]
    assert run.benchmark(("melody",), tmp_path / "sim", tmp_path / "out", config) == rows
    assert times[0] == first
