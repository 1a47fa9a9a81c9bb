from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import scoresim
from scoresim import checkpoint
from scoresim.errors import BadInput
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import default_vocabulary
from scoresim.understand import Sim

TUNE = "X:1\nT:One\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    vocabulary = default_vocabulary()
    model = SIM(SIMConfig(width=16, layers=1, heads=2, stem_channels=(4, 4), embedding=32), vocabulary.sizes)
    folder = tmp_path_factory.mktemp("weights") / "checkpoint"
    checkpoint.save(folder, model, vocabulary, {"seed": 0})
    return folder


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.abc"
    path.write_text(TUNE)
    return path


def test_weights_make_the_round_trip(weights: Path, tmp_path: Path) -> None:
    sim = scoresim.load(weights)
    sim.save_pretrained(tmp_path / "again")
    again = Sim.from_pretrained(tmp_path / "again")
    for (name, a), b in zip(sim.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert again.loaded.vocabulary.hash == sim.loaded.vocabulary.hash


def test_the_notes_of_a_file_become_vectors_of_its_stretches(weights: Path, tune: Path) -> None:
    sim = scoresim.load(weights)
    [found] = sim.embed(tune)
    assert (found.file, found.kind) == (str(tune), "notes")
    assert found.vectors.shape == (len(found.places), 32)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    assert {place.first for place in found.places} == {0, 1, 2, 3}
    assert found.to_dict()["places"][0] == {"first": 0, "end": found.places[0].end, "page": 0}
    [again] = sim.embed(str(tune))
    assert np.array_equal(found.vectors, again.vectors)


def test_what_cannot_be_read_is_said_in_one_sentence(weights: Path, tmp_path: Path) -> None:
    sim = scoresim.load(weights)
    (tmp_path / "bad.mid").write_bytes(b"no midi at all")
    with pytest.raises(BadInput, match=r"bad\.mid cannot be read: ") as refused:
        sim.embed(tmp_path / "bad.mid")
    assert "\n" not in str(refused.value)
    with pytest.raises(BadInput, match="no folder of a checkpoint"):
        scoresim.load(tmp_path)
