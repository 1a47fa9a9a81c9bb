import math

import pytest
import torch

from scoresim.model.layers import Waves, compact, head_slopes, nearness


def test_compact_keeps_every_token_and_drops_padding_that_no_row_needs() -> None:
    mask = torch.tensor([[1, 0, 1, 0, 1], [1, 1, 0, 0, 0]], dtype=torch.bool)
    kept = compact(mask)
    assert kept.shape == (2, 3)
    assert kept[0].tolist() == [0, 2, 4]
    assert kept[1, :2].tolist() == [0, 1]


def test_nearness_prefers_near_places_and_forbids_padding() -> None:
    place = torch.tensor([[0.0, 0.1, 0.2, 0.9]])
    mask = torch.tensor([[True, True, True, False]])
    bias = nearness(place, mask, torch.tensor([0.0, 10.0]))
    assert bias.shape == (1, 2, 4, 4)
    assert bias[0, 1, 1, 2] == pytest.approx(-1.0)
    assert bias[0, 0, 1, 2] == 0
    assert (bias[..., 3] == -math.inf).all()
    assert (bias[0, 1, 0, :3] == 0).all(), "the summary token has no place"


def test_half_of_the_heads_look_everywhere() -> None:
    assert [slope == 0 for slope in head_slopes(4)] == [True, True, False, False]
    assert head_slopes(1) == [0.0]


def test_waves_are_alike_for_near_numbers() -> None:
    code = Waves(shortest=1 / 48, longest=4.0)(torch.tensor([0.5, 0.501, 0.9]))
    assert code.shape == (3, 32)
    assert code.abs().max() <= 1
    assert (code[0] - code[1]).norm() < (code[0] - code[2]).norm()
