"""What trained rows cost: parameters, time, device."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import nn

from scoresim.benchmark.costs import UNKNOWN, Cost, cost, mean_cost
from scoresim.benchmark.rows import markdown


def test_parameters_are_all_and_those_that_training_moves() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    module[0].requires_grad_(False)
    found = Cost(**cost(module, 60.04))
    assert (found.parameters, found.trained, found.seconds) == (20 + 12, 12, 60.0)
    assert found.device is not None
    if not torch.cuda.is_available():
        assert found.device.split()[0] == str(torch.get_num_threads())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Cost(9_259_524, 9_259_524, 7200.0, "NVIDIA H200"), ("9.3 M", "120.0 min, NVIDIA H200")),
        (Cost(6_227_589, 202_628, 90.0, "1 thread"), ("6.2 M, 0.20 M trained", "1.5 min, 1 thread")),
        (Cost(parameters=6_227_589), ("6.2 M", "")),
        (Cost(seconds=60.0), ("", "1.0 min")),
        (UNKNOWN, ("", "")),
    ],
)
def test_costs_in_words(given: Cost, words: tuple[str, str]) -> None:
    assert given.words() == words


def test_seeds_have_a_mean_and_what_one_of_them_does_not_say_is_not_known() -> None:
    run = {"parameters": 32, "trained": 12, "seconds": 10.0, "device": "1 thread", "steps": 4}
    assert mean_cost([run, run | {"seconds": 20.04}]) == Cost(32, 12, 15.0, "1 thread")
    before = {"seconds": 30.0, "steps": 4}
    assert mean_cost([run, before]) == Cost(seconds=20.0)
    assert mean_cost([{"steps": 4}]) == mean_cost([]) == UNKNOWN


def test_a_table_says_what_its_rows_cost_where_any_does() -> None:
    row: dict[str, Any] = dict.fromkeys(("what", "inputs", "pretraining", "metric"), "x")
    row |= {"value": 0.5, "ci95": [0.4, 0.6], "n": 9, "seeds": [0]}
    free = markdown([row])
    assert "| training |" not in free.splitlines()[0]
    dear = markdown([row, row | asdict(Cost(2_000_000, 2_000_000, 30.0, "1 thread"))]).splitlines()
    assert dear[0].endswith("| parameters | training |")
    assert dear[2].endswith("| 1 |  |  |")
    assert dear[3].endswith("| 1 | 2.0 M | 0.5 min, 1 thread |")
    assert {line.count("|") for line in dear} == {11}
