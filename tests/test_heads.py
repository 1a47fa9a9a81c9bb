import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from scoresim import checkpoint
from scoresim.checkpoint import HeadConfig, head_stands, load_head, save_head
from scoresim.data.batches import Passages, batch_config
from scoresim.data.given import read_notes
from scoresim.data.pieces import Piece
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.model.lowrank import add_low_rank, merge_low_rank
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.understand.heads import Head, load_heads, of_pieces

MICRO = SIMConfig(width=32, layers=2, heads=2, stem_channels=(4, 4), embedding=32)
CONFIG = HeadConfig("tune", "sequence", ("jig", "reel"), "both", (), 512, 1, True, 1, 2, 1.5, "abc", ({"value": 1.0},))


def micro() -> SIM:
    torch.manual_seed(0)
    return SIM(MICRO, default_vocabulary().sizes).eval()


def trained(rank: int = 2, views: int = 0) -> Tagger:
    body = micro()
    if rank:
        add_low_rank(body, rank)
    tagger = Tagger(body, "sequence", 2, 1, views=views).eval()
    for parameter in tagger.parameters():
        if parameter.requires_grad and parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.1)
    return tagger


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_head(tmp_path / "tune.safetensors", trained(), CONFIG)
    return tmp_path / "tune.safetensors"


@pytest.mark.parametrize(("rank", "views"), [(0, 0), (2, 0), (2, 3)])
def test_a_head_comes_back_on_the_same_weights(tmp_path: Path, rank: int, views: int) -> None:
    tagger, config = trained(rank, views), replace(CONFIG, rank=rank, views=views)
    if not rank:
        tagger.sim.load_state_dict(micro().state_dict())
    save_head(tmp_path / "head", tagger, config)
    assert not any("qkv.linear" in name or "note_encoder" in name for name in load_file(tmp_path / "head"))
    model = micro()
    again, about = load_head(tmp_path / "head", model, "abc")
    assert about == config
    batch = Passages(synthetic(4, seed=5)).batch(0, 0)
    expected, found = tagger(batch.notes, batch.image), again(batch.notes, batch.image)
    torch.testing.assert_close(expected, found, rtol=1e-2, atol=1e-2)
    assert again.sim.note_encoder.table.data_ptr() == model.note_encoder.table.data_ptr(), "shared"
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in micro().named_parameters()]


def test_a_head_stands_on_what_another_has_added(tmp_path: Path) -> None:
    (tmp_path / "heads").mkdir()
    base, over = tmp_path / "heads" / "base.safetensors", tmp_path / "heads" / "another.safetensors"
    save_head(base, trained(), CONFIG)
    digest, on = head_stands(base)
    assert on == ""
    below, _ = load_head(base, micro(), "abc")
    merge_low_rank(below.sim)
    tagger = Tagger(below.sim, "sequence", 2, 0).eval()
    save_head(over, tagger, replace(CONFIG, rank=0, context=0, on=digest))
    assert head_stands(over)[1] == digest
    assert not any(name.startswith("sim.") for name in load_file(over))
    found = load_heads(tmp_path, micro(), "abc")
    assert [head.body for head in found.values()] == [digest, digest]
    batch = Passages(synthetic(4, seed=5)).batch(0, 0)
    expected, said = tagger(batch.notes, batch.image), found["another"].tagger(batch.notes, batch.image)
    torch.testing.assert_close(expected, said, rtol=1e-2, atol=1e-2)
    base.unlink()
    with pytest.raises(BadInput, match="not beside it"):
        load_heads(tmp_path, micro(), "abc")
    over.write_bytes(b"no head")
    with pytest.raises(BadInput, match="damaged head"):
        load_heads(tmp_path, micro(), "abc")


def test_a_head_of_other_weights_is_refused(file: Path) -> None:
    with pytest.raises(BadInput, match="other weights"):
        load_head(file, micro(), "def")


@pytest.mark.parametrize("at", [3, 60, -3])
def test_a_flipped_byte_is_found(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x55
    file.write_bytes(data)
    with pytest.raises(BadInput, match="damaged head"):
        load_head(file, micro(), "abc")


def test_what_is_no_head_is_refused(file: Path, tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"not a head" * 9)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match="damaged head"):
            load_head(tmp_path / name, micro(), "abc")
    with pytest.raises(BadInput, match="damaged head"):
        load_head(tmp_path / "nothing", micro(), "abc")
    with safe_open(file, framework="pt") as opened:
        about = json.loads(opened.metadata()["about"])
    for change in ({"classes": ["one", "two", "three"]}, {"rank": 0}, {"format": "other"}, {"strange": 1}):
        save_file(load_file(file), tmp_path / "changed", {"about": json.dumps(about | change), "digest": ""})
        with pytest.raises(BadInput, match="damaged head"):
            load_head(tmp_path / "changed", micro(), "abc")


def test_a_head_that_is_refused_has_changed_nothing(file: Path) -> None:
    """Not even one whose checksum is right."""
    with safe_open(file, framework="pt") as read:
        about = read.metadata()["about"]
    tensors, model = load_file(file), micro()
    strange = tensors | {"sim.norm.weight": torch.zeros_like(model.norm.weight)}
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in tensors.items()}
    for some in (strange, broken):
        save_file(some, file, {"about": about, "digest": checkpoint._digest(some, about)})
        with pytest.raises(BadInput, match="damaged head"):
            load_head(file, model, "abc")
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), micro().parameters(), strict=True))


def test_a_last_window_of_few_notes_does_not_answer_where_it_has_not_learnt_to(drawn_tune: Path) -> None:
    [piece] = read_notes([drawn_tune / "tune.abc"])
    assert isinstance(piece, Piece) and len(piece) == 108
    about = replace(CONFIG, inputs="notes", notes=100, rank=0, context=0)
    found = {}
    for least in (1, 8, 9):
        head = Head(Tagger(micro(), "sequence", 2, 0).eval(), replace(about, least=least))
        torch.nn.init.normal_(head.tagger.head[-1].weight, generator=torch.Generator().manual_seed(0))
        found[least] = of_pieces({"tune": head}, [piece], batch_config(MICRO, 4))["tune"][0].tolist()
    assert found[1] == found[8] != found[9]


def test_a_head_that_reads_both_is_said_not_to_be_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "heads").mkdir()
    for inputs in ("notes", "both"):
        save_head(tmp_path / "heads" / f"{inputs}.safetensors", trained(), replace(CONFIG, inputs=inputs))
    assert set(load_heads(tmp_path, micro(), "abc")) == {"notes", "both"}
    [said] = caplog.messages
    assert "both.safetensors reads notes and pictures together" in said
