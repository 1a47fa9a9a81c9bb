"""Features of notes for a head that stands beside some weights: `runs/beside.py`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import scoresim
from scoresim.benchmark import beside_notes
from scoresim.checkpoint import COUNTED
from scoresim.errors import BadInput
from scoresim.files import read_json
from scoresim.model.counted import CountedNotes


@pytest.fixture
def run(
    weights: Path,
    songs: Path,
    tmp_path: Path,
    script: Callable[[str], ModuleType],
    piece_task: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Path]:
    """Name of a head, folder, options -> the weights, whose head takes features along."""
    shutil.copytree(weights, tmp_path / "weights")
    module = script("runs/beside.py")
    monkeypatch.setattr(beside_notes, "FEWEST", 40)
    monkeypatch.setattr(beside_notes, "MOST", 40)
    monkeypatch.setattr(module.tasks, "learnt", lambda name: piece_task(name, notes=64, hidden=()))

    def ran(name: str, out: str = "out", *more: str) -> Path:
        given = ["beside.py", str(tmp_path / "weights"), str(songs), name, str(tmp_path / out), *more]
        monkeypatch.setattr(sys, "argv", given)
        module.main()
        return tmp_path / "weights"

    return ran


def test_a_head_takes_features_along_and_others_stay(
    run: Callable[..., Path], weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("melody")
    head = scoresim.load(folder).heads["melody"]
    assert head.config.rule == COUNTED
    assert head.config.rule_weight > 0
    assert isinstance(head.tagger.counted, CountedNotes)
    figures = {(row["what"], row["metric"]): row["value"] for row in head.config.figures}
    assert figures["melody, notes, with hand-crafted features", "accuracy"] > figures["melody, notes", "accuracy"]
    assert "nothing stands on it" in capsys.readouterr().out
    for name in ("velocity", "style", "emotion"):
        file = Path("heads") / f"{name}.safetensors"
        assert (folder / file).read_bytes() == (weights / file).read_bytes()
    run("melody", "further", "--further")
    assert "goes_on_from" in read_json(tmp_path / "further" / "counted" / beside_notes.CONFIG)


def test_heads_that_are_not_about_notes_are_refused(run: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="has no head key"):
        run("key")
    with pytest.raises(BadInput, match="no head about notes"):
        run("emotion")
