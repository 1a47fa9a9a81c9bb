"""Heads beside the weights that come with the package: put there, said in the card, and asked source by source."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import scoresim
from scoresim.checkpoint import BUNDLED, HEADS
from scoresim.data.given import read_wholes
from scoresim.errors import BadInput
from scoresim.understand.heads import of_pieces

FIXTURES = Path(__file__).parent / "fixtures" / "corpora"
EXAMPLE = Path(__file__).parents[1] / "examples" / "menuet.krn"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights that ship, without their heads, and those heads as trainings leave them."""
    folder = tmp_path_factory.mktemp("ship")
    shutil.copytree(BUNDLED / "small", folder / "weights", ignore=shutil.ignore_patterns(HEADS))
    for name in ("melody", "velocity", "key"):
        (folder / "trained" / name).mkdir(parents=True)
        shutil.copy(BUNDLED / "small" / HEADS / f"{name}.safetensors", folder / "trained" / name / "head.safetensors")
    return folder


def test_heads_are_put_beside_weights_with_those_that_they_stand_on(
    bare: Path, tmp_path: Path, script: Callable[[str], ModuleType]
) -> None:
    shutil.copytree(bare / "weights", tmp_path / "weights")
    found = script("runs/ship_heads.py").put(tmp_path / "weights", bare / "trained", free=False)
    assert set(found) == {"melody", "velocity", "key"}
    assert found["velocity"].body == found["melody"].body != ""
    again = scoresim.load(tmp_path / "weights").heads
    shipped = scoresim.load("small").heads
    assert {name: head.config for name, head in again.items()} == {name: shipped[name].config for name in found}


def test_a_head_that_learnt_on_the_additions_of_its_own_name_takes_them_over(
    bare: Path, tmp_path: Path, script: Callable[[str], ModuleType]
) -> None:
    """Here that for loudness, which stands on the melody, is put in its place; what stood on the old says the same."""
    weights, ship = tmp_path / "weights", script("runs/ship_heads.py")
    shutil.copytree(bare / "weights", weights)
    shutil.copytree(bare / "trained" / "melody", tmp_path / "old" / "melody")
    for name in ("velocity", "hand"):
        (tmp_path / "old" / name).mkdir()
        shutil.copy(BUNDLED / "small" / HEADS / f"{name}.safetensors", tmp_path / "old" / name / "head.safetensors")
    ship.put(weights, tmp_path / "old", free=False)
    before = scoresim.load(weights)
    shutil.copytree(bare / "trained" / "velocity", tmp_path / "new" / "melody")
    found = ship.put(weights, tmp_path / "new", free=False)
    assert found["melody"].config.on == "" and found["melody"].config.rank == before.heads["melody"].config.rank > 0
    assert found["melody"].config.classes == before.heads["velocity"].config.classes
    after = scoresim.load(weights)
    assert after.heads["velocity"].body == after.heads["hand"].body == after.heads["melody"].body != ""
    [piece] = [whole.piece for whole in read_wholes([EXAMPLE])]
    said = [of_pieces(dict(sim.heads), [piece], sim.rows) for sim in (before, after)]
    for name in ("velocity", "hand"):
        np.testing.assert_allclose(said[0][name][0], said[1][name][0], atol=1e-5)
    np.testing.assert_allclose(said[0]["velocity"][0], said[1]["melody"][0], atol=2e-3)


def test_beside_weights_for_any_use_stand_no_heads_for_some(
    bare: Path, tmp_path: Path, script: Callable[[str], ModuleType]
) -> None:
    shutil.copytree(bare / "weights", tmp_path / "weights")
    with pytest.raises(BadInput, match=r"has learnt from .*pop909.*, and .* may be used for anything"):
        script("runs/ship_heads.py").put(tmp_path / "weights", bare / "trained", free=True)
    assert not (tmp_path / "weights" / HEADS).exists()


@pytest.mark.parametrize("name", ["small", "small-free"])
def test_a_card_says_which_heads_there_are_and_says_it_once(name: str, script: Callable[[str], ModuleType]) -> None:
    ship, folder = script("runs/ship_heads.py"), BUNDLED / name
    card, heads = (folder / "README.md").read_text(encoding="utf-8"), scoresim.load(name).heads
    assert ship.with_heads(card, folder, heads) == card
    table = card.partition("### Heads")[2].partition("\n#")[0]
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.startswith("| ")][1:] == [
        *sorted(heads)
    ]
    shipped = scoresim.load("small").heads
    other = ship.with_heads(card, BUNDLED / "small", {"key": shipped["key"]})
    assert "what its heads say (key)" in other and "| melody |" not in other and "Velocity stands" not in other
    assert ship.with_heads(other, folder, heads) == card


@pytest.mark.slow
def test_a_head_is_asked_source_by_source(
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    heads = script("benchmarks/heads.py")
    words = ["heads.py", "small", str(FIXTURES), "emotion_midibert", "--keep", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    heads.main()
    said = capsys.readouterr().out.splitlines()
    found = json.loads(said[-1])
    assert said[0] == "small, head emotion, learnt from emopia, vgmidi; test part"
    assert {(row["source"], row["who"], row["metric"], row["n"]) for row in found["rows"]} == {
        ("emopia", "small", "accuracy", 1),
        ("emopia", "small", "macro-F1", 1),
        ("emopia", "majority class", "accuracy", 1),
        ("emopia", "majority class", "macro-F1", 1),
    }
    several = ["heads.py", "small", str(FIXTURES), "key_all", "--part", "valid", "--keep", str(tmp_path)]
    monkeypatch.setattr("sys.argv", several)
    heads.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    counted = {(row["source"], row["who"], row["n"]) for row in found["rows"]}
    assert counted == {
        (source, who, n)
        for who in ("small", "key profiles")
        for source, n in (("pop909", 1), ("polish_piano", 1), ("all of them", 2))
    }
    for who in ("small", "key profiles"):
        one, other, both = (
            row["value"] for row in found["rows"] if row["who"] == who and row["metric"] == "MIREX weighted score"
        )
        assert both == pytest.approx((one + other) / 2)
    assert all(row["learnt"] for row in found["rows"])
    monkeypatch.setattr("sys.argv", [*words, "--head", "key"])
    with pytest.raises(BadInput, match="one head of small has to answer emotion_midibert, and there is none"):
        heads.main()
