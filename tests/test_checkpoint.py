import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from scoresim import checkpoint
from scoresim.errors import BadInput
from scoresim.files import sha256
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import default_vocabulary

VOCABULARY = default_vocabulary()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = SIM(SIMConfig(width=16, layers=1, heads=2, stem_channels=(4, 4)), VOCABULARY.sizes)
    checkpoint.save(tmp_path / "checkpoint", model, VOCABULARY, {"seed": 3})
    return tmp_path / "checkpoint"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_comes_back_as_it_was(folder: Path) -> None:
    loaded = checkpoint.load(folder)
    assert loaded.model.config == SIMConfig(width=16, layers=1, heads=2, stem_channels=(4, 4))
    assert loaded.vocabulary.hash == VOCABULARY.hash
    assert loaded.provenance["seed"] == 3
    assert loaded.provenance["versions"]["torch"] == torch.__version__
    assert not loaded.model.training
    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.model.state_dict().items())


def test_how_sure_a_match_is_stays_with_the_weights(folder: Path) -> None:
    loaded = checkpoint.load(folder)
    assert loaded.match == checkpoint.AS_IT_IS
    checkpoint.save(folder, loaded.model, VOCABULARY, {}, match=(0.5, -0.25))
    assert checkpoint.load(folder).match == (0.5, -0.25)
    edit(folder, lambda c: c.pop("match"))  # weights written before there was such a thing
    assert checkpoint.load(folder).match == checkpoint.AS_IT_IS


def test_who_may_read_the_shape_may_read_the_weights(folder: Path) -> None:
    modes = {path.name: path.stat().st_mode for path in folder.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


def test_saving_again_replaces(folder: Path) -> None:
    loaded = checkpoint.load(folder)
    checkpoint.save(folder, loaded.model, VOCABULARY, {"seed": 4})
    assert checkpoint.load(folder).provenance["seed"] == 4
    assert sorted(path.name for path in folder.parent.iterdir()) == ["checkpoint"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_missing_parts_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BadInput, match=name):
        checkpoint.load(folder)


@pytest.mark.parametrize("at", [4, 300, -5])
def test_one_flipped_byte_is_found(folder: Path, at: int) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="damaged"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(format="something else"),
        lambda c: c.pop("model"),
        lambda c: c["model"].update(width=24),
        lambda c: c["model"].update(layers=10**12),
        lambda c: c["model"].update(width="wide"),
        lambda c: c["model"].update(surprise=1),
        lambda c: c["model"].update(stem_channels=7),
        lambda c: c["vocabulary"].update(bars=3),
        lambda c: c.update(vocabulary=[]),
        lambda c: c.update(provenance=5),
        lambda c: c.update(match=[0, 1]),
        lambda c: c.update(match=[1, float("nan")]),
        lambda c: c.update(match=[10**400, 1]),
        lambda c: c.update(match=[1]),
        lambda c: c.update(match="sure"),
    ],
)
def test_foreign_or_hostile_configs_are_refused(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit(folder, change)
    with pytest.raises(BadInput) as caught:
        checkpoint.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\xff" * 64, b"PK\x03\x04" + b"0" * 100])
def test_other_files_are_no_weights(folder: Path, content: bytes) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    edit(folder, lambda c: c.update(weights_sha256=sha256(path)))
    with pytest.raises(BadInput, match="does not hold the weights"):
        checkpoint.load(folder)


def test_weights_of_another_shape_or_not_finite_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["norm.weight"] = torch.full_like(tensors["norm.weight"], float("nan"))
    save_file(tensors, path)
    edit(folder, lambda c: c.update(weights_sha256=sha256(path)))
    with pytest.raises(BadInput, match="not finite"):
        checkpoint.load(folder)
    del tensors["norm.weight"]
    save_file(tensors, path)
    edit(folder, lambda c: c.update(weights_sha256=sha256(path)))
    with pytest.raises(BadInput, match="does not hold the weights"):
        checkpoint.load(folder)


def test_half_as_many_bits_are_nearly_the_same_weights(folder: Path, tmp_path: Path) -> None:
    model = checkpoint.load(folder).model
    checkpoint.save(tmp_path / "half", model, VOCABULARY, {}, half=True)
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.6 * (
        folder / "model.safetensors"
    ).stat().st_size
    again = checkpoint.load(tmp_path / "half").model
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=name)


def test_weights_are_found_by_folder_and_by_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoint.locate(folder) == folder
    assert checkpoint.locate(str(folder.parent)) == folder
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "weights")
    with pytest.raises(BadInput, match="come with scoresim: none"):
        checkpoint.locate("little")
    folder.parent.joinpath("weights").mkdir()
    folder.rename(tmp_path / "weights" / "little")
    assert checkpoint.locate("little") == tmp_path / "weights" / "little"
    for name in ("../weights/little2", "huge", str(tmp_path / "nothing")):
        with pytest.raises(BadInput, match="no folder of a checkpoint; weights that come with scoresim: little"):
            checkpoint.locate(name)


def test_weights_of_the_hub_need_a_name_and_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("hf:", "hf:owner", "hf:owner/name/more", "hf:../x y"):
        with pytest.raises(BadInput, match="written hf:owner/name"):
            checkpoint.locate(name)
    with pytest.raises(BadInput, match=r"hf:owner/name cannot be fetched .* give a folder of weights"):
        checkpoint.locate("hf:owner/name")


def test_weights_of_the_hub_are_those_of_its_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = []
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **rest: asked.append((name, rest)) or str(folder))
    assert checkpoint.load(checkpoint.locate("hf:owner/name")).vocabulary.hash == VOCABULARY.hash
    [(name, rest)] = asked
    assert name == "owner/name"
    assert all(not pattern.endswith((".bin", ".py", "*")) for pattern in rest["allow_patterns"])
