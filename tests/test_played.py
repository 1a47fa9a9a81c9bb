"""Notated pieces as they are played by rule: learnt from and chosen by, with the classes they were written with."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from scoresim.benchmark import finetune, played
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.piecewise import Material, cut_part, labels_of
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import difficulty_all, hand_all, melody_all
from scoresim.data import rubato
from scoresim.data.corpora.folder import items_of
from scoresim.data.pieces import Line, Piece, read_piece
from scoresim.data.seen import PITCH
from scoresim.errors import BadInput

EXAMPLE = Path(__file__).parents[1] / "examples" / "menuet.krn"


@pytest.fixture(scope="module")
def minuet() -> Piece:
    [item] = items_of(EXAMPLE, PurePosixPath(EXAMPLE.name))
    return dataclasses.replace(read_piece("kern_mozart", item, images=False), labels={"henle": "2"})


def material(task: PieceTask, piece: Piece) -> Material:
    assert isinstance(task.classes, tuple)
    parts = {part: [dataclasses.replace(piece, id=f"{part}.krn")] for part in ("train", "valid", "test")}
    return Material(task, task.classes, parts, "these", content="these")


@pytest.mark.parametrize("task", [hand_all.TASK, melody_all.TASK, difficulty_all.TASK], ids=lambda task: str(task.name))
def test_a_playing_has_the_classes_of_what_is_written(task: PieceTask, minuet: Piece, tmp_path: Path) -> None:
    some = material(task, minuet)
    more = played.with_played(some, tmp_path, workers=1)
    assert {part: len(found) for part, found in more.parts.items()} == {"train": 2, "valid": 2, "test": 1}
    assert more.identity != some.identity and more.learnt_content != some.learnt_content
    written, heard = more.parts["train"]
    assert heard.notation == "machine" and not heard.staff.any()
    if task.level == "sequence":
        assert more.label(heard) == more.label(written) == 1
        return
    found, truth = np.asarray(more.label(heard)), np.asarray(more.label(written))
    assert len(found) == len(heard) <= len(written)
    assert abs((found == 0).mean() - (truth == 0).mean()) < 0.05
    assert abs(heard.ids[found == 0, PITCH].mean() - written.ids[truth == 0, PITCH].mean()) < 1
    assert len(labels_of(more, "train")) == len(written) + len(heard)
    assert {segment.piece for segment in cut_part(more, "train")[0]} == {0, 1}


def test_what_was_played_once_is_not_played_again(
    minuet: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = material(hand_all.TASK, minuet)
    first = played.with_played(some, tmp_path, workers=1)
    monkeypatch.setattr(rubato, "run_all", None)
    again = played.with_played(some, tmp_path, workers=1)
    assert first.identity == again.identity
    np.testing.assert_array_equal(first.parts["train"][1].ids, again.parts["train"][1].ids)
    assert not np.array_equal(again.parts["train"][1].ids, again.parts["valid"][1].ids)


def test_what_has_no_beat_and_what_was_heard_is_not_played(
    minuet: Piece, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = {name: getattr(minuet, name)[:1] for name in ("ids", "onset", "bar", "velocity", "track", "staff", "voice")}
    bar = dataclasses.replace(minuet, **one, bar_onset=np.array([0.0, 1.0]))
    heard = dataclasses.replace(minuet, notation="machine")
    with caplog.at_level(logging.WARNING, "scoresim"):
        assert rubato.play_all([bar, heard], tmp_path, workers=1) == []
    assert "two beats" in caplog.text and len(caplog.records) == 1


def test_pictures_are_refused(minuet: Piece, tmp_path: Path) -> None:
    line = Line(0, np.zeros((1, 4), np.float32), np.zeros((0, 5), np.float32), b"", 1, 1, 2)
    drawn = material(hand_all.TASK, dataclasses.replace(minuet, lines=(line,)))
    with pytest.raises(BadInput, match="--inputs notes"):
        played.with_played(drawn, tmp_path)


def test_a_head_learns_from_playings(minuet: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = material(hand_all.TASK, minuet)
    monkeypatch.setattr(finetune, "gather", lambda *_, **__: some)
    config = FinetuneConfig(inputs="notes", played=True, size="tiny", steps=2, windows=1, validations=1)
    found = finetune.finetune("hand_all", None, tmp_path, tmp_path, config)
    assert found["finetune"]["played"] and found["items"] == len(minuet)
    alone = dataclasses.replace(config, played=False)
    with pytest.raises(BadInput, match="another fine-tuning"):
        finetune.finetune("hand_all", None, tmp_path, tmp_path, alone)
