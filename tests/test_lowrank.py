import pytest
import torch

from scoresim.data.batches import Passages
from scoresim.data.synthetic import synthetic
from scoresim.model.lowrank import LowRank, add_low_rank, merge_low_rank
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import default_vocabulary

MICRO = SIMConfig(width=32, layers=2, heads=2, stem_channels=(4, 4), embedding=32)


@pytest.fixture
def model() -> SIM:
    torch.manual_seed(0)
    return SIM(MICRO, default_vocabulary().sizes).eval()


def test_additions_begin_at_nothing_are_all_that_learns_and_can_be_merged(model: SIM) -> None:
    batch = Passages(synthetic(4, seed=5)).batch(0, 0)
    before = model(batch.notes, batch.image)
    names = [name for name, _ in model.named_parameters()]
    add_low_rank(model, 3)
    after = model(batch.notes, batch.image)
    assert torch.equal(before.summary, after.summary)
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(learning) == 2 * 4 * MICRO.layers
    assert all(name.endswith(("down.weight", "up.weight")) for name in learning)
    assert sum(p.numel() for p in learning.values()) == MICRO.layers * 3 * (4 * 32 + 2 * 32 + 5 * 32 + 5 * 32)
    for parameter in learning.values():
        torch.nn.init.normal_(parameter, std=0.1)
    changed = model(batch.notes, batch.image)
    assert not torch.allclose(changed.summary, before.summary, atol=1e-2)
    merge_low_rank(model)
    assert [name for name, _ in model.named_parameters()] == names
    torch.testing.assert_close(model(batch.notes, batch.image).summary, changed.summary, rtol=1e-4, atol=1e-4)


def test_a_layer_keeps_its_weights() -> None:
    linear = torch.nn.Linear(4, 2)
    weight = linear.weight.detach().clone()
    layer = LowRank(linear, 1)
    layer(torch.randn(3, 4)).sum().backward()
    assert linear.weight.grad is None
    assert layer.up.weight.grad is not None
    assert torch.equal(linear.weight, weight)
