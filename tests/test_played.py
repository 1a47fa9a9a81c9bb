"""Notated pieces as they are played by rule: learnt from and chosen by, with the classes they were written with."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from scoresim.benchmark import finetune, played
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.piecewise import Material, cut_part, labels_of
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import difficulty_all, hand_all, melody_all
from scoresim.data import made, rubato
from scoresim.data.corpora.folder import items_of
from scoresim.data.pieces import Piece, read_piece
from scoresim.data.seen import PITCH
from scoresim.errors import BadInput
from scoresim.score.sandbox import Failure

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
    monkeypatch.setattr(made, "run_all", None)
    again = played.with_played(some, tmp_path, workers=1)
    assert first.identity == again.identity
    np.testing.assert_array_equal(first.parts["train"][1].ids, again.parts["train"][1].ids)
    assert not np.array_equal(again.parts["train"][1].ids, again.parts["valid"][1].ids)


def test_what_has_no_beat_and_what_was_heard_is_not_played(
    minuet: Piece, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {name: getattr(minuet, name)[:1] for name in ("ids", "onset", "bar", "velocity", "track", "staff", "voice")}
    bar = dataclasses.replace(minuet, **one, bar_onset=np.array([0.0, 1.0]))
    heard = dataclasses.replace(minuet, notation="machine")
    with caplog.at_level(logging.WARNING, "scoresim"):
        assert rubato.play_all([bar, heard], tmp_path, workers=1) == []
        assert "two beats" in caplog.text and len(caplog.records) == 1
        monkeypatch.setattr(made, "run_all", None)
        assert rubato.play_all([bar, heard], tmp_path, workers=1) == [], "it is not tried again"
        assert len(caplog.records) == 2
    with pytest.raises(BadInput, match="hand_all was read from notation"):
        played.with_played(material(hand_all.TASK, heard), tmp_path)


def test_what_failed_among_others_is_tried_once_more_alone(
    minuet: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def crowded(function: Callable[[Any], Any], tasks: list[Any], workers: int, _: float) -> Iterator[tuple[int, Any]]:
        tried.append(workers)
        for i, task in enumerate(tasks):
            yield i, Failure("killed twice", may_be_load=True) if len(tried) == 1 else function(task)

    monkeypatch.setattr(made, "run_all", crowded)
    [(_, playing, note)] = rubato.play_all([minuet], tmp_path, workers=2)
    assert tried == [2, 1] and len(playing) == len(note)


def test_a_playing_knows_what_is_known_of_its_piece_today(minuet: Piece, tmp_path: Path) -> None:
    [(_, first, note)] = rubato.play_all([minuet], tmp_path, workers=1)
    today = dataclasses.replace(minuet, labels={"henle": "5"}, split="valid", work="another")
    [(_, playing, _)] = rubato.play_all([today], tmp_path, workers=1)
    np.testing.assert_array_equal(first.ids, playing.ids)
    assert (playing.labels, playing.split, playing.work) == (today.labels, "valid", "another")
    np.testing.assert_array_equal(minuet.ids[note, PITCH], playing.ids[:, PITCH])
    [file] = tmp_path.glob("*.npy")
    file.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="is damaged"):
        rubato.play_all([minuet], tmp_path, workers=1)
    file.unlink()
    with pytest.raises(BadInput, match="is damaged"):
        rubato.play_all([minuet], tmp_path, workers=1)


def test_playings_are_refused_where_they_cannot_be_had(tmp_path: Path) -> None:
    """Before anything is read: there is no data in the folder."""
    with pytest.raises(BadInput, match="--inputs notes"):
        finetune.finetune("hand_all", None, tmp_path, tmp_path, FinetuneConfig(played=True, size="tiny"))
    with pytest.raises(BadInput, match="--played are for tasks of whole pieces"):
        config = FinetuneConfig(inputs="notes", played=True, size="tiny")
        finetune.finetune("top_staff", None, tmp_path, tmp_path, config)


def test_a_head_learns_from_playings(minuet: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = material(hand_all.TASK, minuet)
    monkeypatch.setattr(played, "gather", lambda *_, **__: some)
    config = FinetuneConfig(inputs="notes", played=True, size="tiny", steps=2, windows=1, validations=1)
    found = finetune.finetune("hand_all", None, tmp_path, tmp_path, config)
    assert found["finetune"]["played"] and found["items"] == len(minuet)
    alone = dataclasses.replace(config, played=False)
    with pytest.raises(BadInput, match="another fine-tuning"):
        finetune.finetune("hand_all", None, tmp_path, tmp_path, alone)
