"""`benchmarks/heads.py`: what is asked, as written and as played, and that rows stand beside the right truth."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np
import pytest

from scoresim.benchmark.piecewise import Material
from scoresim.benchmark.tasks import hand_all
from scoresim.data.corpora.folder import items_of
from scoresim.data.pieces import read_piece
from scoresim.data.seen import PITCH

EXAMPLE = Path(__file__).parents[1] / "examples" / "menuet.krn"


@pytest.fixture
def heads(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("benchmarks/heads.py")


@pytest.fixture(scope="module")
def material() -> Material:
    """A minuet of two staves in the test part of the task that asks for hands."""
    [item] = items_of(EXAMPLE, PurePosixPath(EXAMPLE.name))
    classes = hand_all.TASK.classes
    assert isinstance(classes, tuple)
    return Material(hand_all.TASK, classes, {"test": [read_piece("asap", item, images=False)]}, "")


def test_played_notes_keep_the_hands_they_were_written_for(
    heads: ModuleType, material: Material, tmp_path: Path
) -> None:
    written, played = heads.asked_of(material.parts["test"], material, tmp_path)
    assert (written.how, played.how) == (heads.WRITTEN, heads.PLAYED)
    assert len(played.truth) == len(played.piece) <= len(written.piece) == len(written.truth)
    mean = [[one.piece.ids[one.truth == hand, PITCH].mean() for hand in (0, 1)] for one in (written, played)]
    np.testing.assert_allclose(mean[0], mean[1], atol=1.0)  # of each hand, in semitones: a few notes are not played
    assert [one.how for one in heads.asked_of(material.parts["test"], material)] == [""]


def test_what_was_not_written_is_not_played(heads: ModuleType, material: Material, tmp_path: Path) -> None:
    _, played = heads.asked_of(material.parts["test"], material, tmp_path)
    assert played.piece.notation == "machine" and heads.asked_of([played.piece], material, tmp_path) == []


def test_the_truth_is_right(heads: ModuleType, material: Material, tmp_path: Path) -> None:
    asked = heads.asked_of(material.parts["test"], material, tmp_path)
    said = [np.eye(len(material.classes))[one.truth] for one in asked]
    rows = heads.rows(material.task, material.classes, heads.answered(asked, said))
    assert {row["value"] for row in rows if row["metric"] == "accuracy"} == {1.0}


def test_what_ships_is_asked_of_what_is_written_and_of_what_is_played(
    heads: ModuleType,
    material: Material,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(heads, "gather", lambda *_, **__: material)
    monkeypatch.setattr(sys, "argv", ["heads.py", "small", ".", "hand_all", "--played", "--keep", str(tmp_path)])
    heads.main()
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    right = {row["who"]: row["value"] for row in rows if row["metric"] == "accuracy"}
    rule = hand_all.TASK.rule
    assert rule is not None
    assert set(right) == {f"{who}, {how}" for who in ("small", rule[0]) for how in ("written", "played")}
    assert min(right.values()) > 0.8
