import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.model.layers import (
    Dropout,
    Waves,
    attention,
    compact,
    head_slopes,
    nearness,
    of_like_length,
    room_for,
)


def test_compact_keeps_every_token_and_drops_padding_that_no_row_needs() -> None:
    mask = torch.tensor([[1, 0, 1, 0, 1], [1, 1, 0, 0, 0]], dtype=torch.bool)
    kept = compact(mask)
    assert kept.shape == (2, 3)
    assert kept[0].tolist() == [0, 2, 4]
    assert kept[1, :2].tolist() == [0, 1]


def test_nearness_prefers_near_places_and_forbids_padding() -> None:
    place = torch.tensor([[math.nan, 0.1, 0.2, 0.9]])
    mask = torch.tensor([[True, True, True, False]])
    bias = nearness(place, mask, torch.tensor([0.0, 10.0]))
    assert bias.shape == (1, 2, 4, 4)
    assert bias[0, 1, 1, 2] == pytest.approx(-1.0)
    assert bias[0, 0, 1, 2] == 0
    assert (bias[..., 3] == -math.inf).all()
    assert (bias[0, 1, 0, :3] == 0).all(), "the summary token has no place"


def test_streams_do_not_see_each_other() -> None:
    place, mask = torch.tensor([[math.nan, 0.1, math.nan, 0.1]]), torch.ones(1, 4, dtype=torch.bool)
    bias = nearness(place, mask, torch.tensor([10.0]), torch.tensor([[0, 0, 1, 1]], dtype=torch.uint8))
    assert bias[0, 0].isfinite().tolist() == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_attention_is_torchs_own(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 7, 8).to(kind)
    bias = torch.randn(2, 4, 7, 7).masked_fill(torch.rand(2, 4, 7, 7) < 0.2, -math.inf).to(kind)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(
        attention(q, k, v, bias), wanted, atol=1e-5 if kind == torch.float32 else 0.05, rtol=0.02
    )


def test_half_of_the_heads_look_everywhere() -> None:
    assert [slope == 0 for slope in head_slopes(4)] == [True, True, False, False]
    assert head_slopes(1) == [0.0]


def test_waves_are_alike_for_near_numbers() -> None:
    code = Waves(shortest=1 / 48, longest=4.0)(torch.tensor([0.5, 0.501, 0.9]))
    assert code.shape == (3, 32)
    assert code.abs().max() <= 1
    assert (code[0] - code[1]).norm() < (code[0] - code[2]).norm()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=300))
def test_groups_of_like_length_hold_every_row_once_and_save_padding(lengths: list[int]) -> None:
    count = torch.tensor(lengths)
    groups = of_like_length(torch.arange(200) < count[:, None])
    assert sorted(torch.cat(groups).tolist()) == list(range(len(lengths)))
    alone, together = len(lengths) * max(lengths), sum(len(rows) * int(count[rows].max()) for rows in groups)
    assert len(groups) == 1 or together + 256 * len(groups) <= 0.9 * alone
    assert together <= alone


def test_short_and_long_rows_are_two_groups() -> None:
    count = torch.tensor([10, 100] * 50)
    groups = of_like_length(torch.arange(100) < count[:, None])
    assert [set(count[rows].tolist()) for rows in groups] == [{100}, {10}]
    assert len(of_like_length(torch.ones(100, 100, dtype=torch.bool))) == 1


@given(st.integers(1, 3000))
def test_a_gpu_is_given_rows_of_few_lengths(tokens: int) -> None:
    room = room_for(tokens, torch.device("cuda"))
    assert room % 8 == 0 and tokens <= room < tokens + max(8, tokens / 4)
    assert room_for(room, torch.device("cuda")) == room
    assert room_for(tokens, torch.device("cpu")) == tokens


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(257, 99, dtype=kind, requires_grad=True)
    seen = Dropout(share)(x)
    assert (seen.dtype, seen.shape) == (kind, x.shape)
    assert float((seen == 0).float().mean()) == pytest.approx(share, abs=0.01)
    assert float(seen.detach().float().mean()) == pytest.approx(1, abs=0.04)
    seen.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, seen.detach()), "a gradient goes where a number went"
    torch.manual_seed(0)
    assert torch.equal(Dropout(share)(x), seen), "the seed alone decides"
    assert not torch.equal(Dropout(share)(x), seen)


def test_dropout_of_nothing_of_all_and_after_training() -> None:
    x = torch.ones(3, 5)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), 0 * x)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert Dropout(0.5)(torch.ones(0, 4)).shape == (0, 4)
