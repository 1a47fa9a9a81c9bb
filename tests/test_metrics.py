from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from scoresim.benchmark import metrics
from scoresim.errors import BadInput

labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def table(truth: list[int], predicted: list[int], classes: int = 4) -> np.ndarray:
    return metrics.confusion(np.array(truth), np.array(predicted), classes).sum(0)


@given(labels)
def test_truth_scores_one(pairs: list[tuple[int, int]]) -> None:
    truth = [t for t, _ in pairs]
    own = table(truth, truth)
    assert metrics.accuracy(own) == 1.0
    assert metrics.macro_f1(own) == pytest.approx(1.0)


@given(labels)
def test_agrees_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    counts = table(truth, predicted)
    assert metrics.accuracy(counts) == pytest.approx(accuracy_score(truth, predicted))
    wanted = f1_score(truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0.0)
    assert metrics.macro_f1(counts) == pytest.approx(wanted)
    yes_truth, yes_predicted = [int(t == 1) for t in truth], [int(p == 1) for p in predicted]
    binary = table(yes_truth, yes_predicted, 2)
    assert metrics.f1(binary) == pytest.approx(f1_score(yes_truth, yes_predicted, zero_division=0.0))


def test_majority_has_the_known_value() -> None:
    truth = [0] * 6 + [1] * 3 + [2]
    counts = table(truth, [0] * 10)
    assert metrics.accuracy(counts) == pytest.approx(0.6)
    assert metrics.macro_f1(counts) == pytest.approx((2 * 6 / 16) / 3)


@given(labels, st.integers(0, 30))
def test_padding_cannot_help(pairs: list[tuple[int, int]], pads: int) -> None:
    truth, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    padded = table(truth + [-1] * pads, predicted + [0] * pads)
    np.testing.assert_array_equal(padded, table(truth, predicted))


@pytest.mark.parametrize(
    ("truth", "predicted"), [([0, 1], [0]), ([0, 4], [0, 1]), ([0, 1], [0, -1]), ([0.5, 1.0], [0.0, 1.0])]
)
def test_misfits_are_refused(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(BadInput):
        metrics.confusion(np.array(truth), np.array(predicted), 4)


def test_ranks_without_ties() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]])
    found = metrics.ranks(scores, np.array([0, 1, 2]))
    np.testing.assert_allclose(found.expected, [1, 3, 2])
    np.testing.assert_allclose(found.reciprocal, [1, 1 / 3, 1 / 2])
    np.testing.assert_allclose(found.recall_at(1), [1, 0, 0])
    np.testing.assert_allclose(found.recall_at(2), [1, 0, 1])


@pytest.mark.parametrize("pool", [1, 2, 7, 200])
def test_a_constant_score_matrix_gives_chance(pool: int) -> None:
    found = metrics.ranks(np.full((pool, pool), 0.3), np.arange(pool))
    assert found.expected == pytest.approx((pool + 1) / 2)
    assert found.reciprocal == pytest.approx((1.0 / np.arange(1, pool + 1)).mean())
    for k in (1, 5, 10):
        assert found.recall_at(k) == pytest.approx(min(1.0, k / pool))


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 4))
@settings(max_examples=60)
def test_ties_are_the_mean_over_all_ways_to_break_them(seed: int, pool: int, values: int) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, values, size=(1, pool)).astype(float)
    found = metrics.ranks(scores, np.array([0]))
    broken = []
    for _ in range(400):
        noise = draw.uniform(0, 0.5, size=pool)
        broken.append(metrics.ranks(scores + noise, np.array([0])).expected[0])
    assert found.expected[0] == pytest.approx(np.mean(broken), abs=0.25 * pool)
    assert min(broken) <= found.expected[0] <= max(broken) + 1e-9 or len(set(broken)) == 1


def test_rounding_noise_is_a_tie() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-9, size=(50, 50))
    best_for_us = noise + 1e-8 * np.eye(50)
    assert metrics.ranks(0.5 + best_for_us, np.arange(50)).recall_at(1).mean() == pytest.approx(1 / 50)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BadInput, match="finite"):
        metrics.ranks(np.array([[np.nan, 1.0]]), np.array([0]))
    with pytest.raises(BadInput):
        metrics.ranks(np.zeros((2, 3)), np.array([0]))
    with pytest.raises(BadInput):
        metrics.ranks(np.zeros((1, 3)), np.array([3]))


def tables(right: list[int], total: int = 10) -> np.ndarray:
    """One training, one table per work: `right` of `total` items right, two classes."""
    return np.array([[[[r, total - r], [0, 0]] for r in right]], dtype=np.float64)


def test_intervals_are_golden_and_seeded() -> None:
    score = metrics.with_interval(tables([10, 8, 6, 9, 3, 7, 8, 10]), metrics.accuracy, seed=1)
    assert score.value == pytest.approx(61 / 80)
    assert score.n == 80
    assert score.low < score.value < score.high
    again = metrics.with_interval(tables([10, 8, 6, 9, 3, 7, 8, 10]), metrics.accuracy, seed=1)
    assert score == again
    assert (score.low, score.high) == pytest.approx((0.6125, 0.8875), abs=0.02)


def test_works_are_resampled_not_items() -> None:
    wide = metrics.with_interval(tables([10, 0] * 5), metrics.accuracy)
    narrow = metrics.with_interval(tables([5] * 10), metrics.accuracy)
    assert wide.high - wide.low > 0.4
    assert narrow.high - narrow.low == 0.0


def test_works_without_an_item_are_none_of_the_draw() -> None:
    """Else a resample of these alone would have nothing right."""
    sums = np.array([[[3.0, 3.0]] * 2 + [[0.0, 0.0]] * 10])
    counts = np.concatenate([tables([10, 10]), tables([0] * 10, 0)], axis=1)
    for score in (metrics.with_interval(counts, metrics.accuracy), metrics.with_interval(sums, metrics.mean)):
        assert (score.low, score.value, score.high) == (1.0, 1.0, 1.0)
    unlike = tables([10, 8, 6, 9, 3, 7, 8, 10])
    spread = np.insert(unlike, [0, 3, 8], 0.0, axis=1)
    assert metrics.with_interval(spread, metrics.accuracy) == metrics.with_interval(unlike, metrics.accuracy)
    wrong = metrics.with_interval(tables([10, 0]), metrics.accuracy)
    assert (wrong.low, wrong.value, wrong.high) == (0.0, 0.5, 1.0)
    half = np.concatenate([tables([5, 5]), tables([0] * 10, 0)], axis=1)
    between = metrics.compare(counts, half, metrics.accuracy)
    assert (between.low, between.difference, between.high, between.works) == (0.5, 0.5, 0.5, 2)


def test_one_work_has_no_interval() -> None:
    score = metrics.with_interval(tables([7]), metrics.accuracy)
    assert (score.low, score.value, score.high) == (0.7, 0.7, 0.7)


def test_seeds_are_averaged() -> None:
    both = np.concatenate([tables([10, 10, 10]), tables([0, 0, 0])])
    assert metrics.with_interval(both, metrics.accuracy).value == 0.5


def test_median_rank() -> None:
    groups = np.array([0, 0, 1, 1, 2])
    score = metrics.median_with_interval(np.array([1.0, 2.0, 3.0, 9.0, 9.0]), groups)
    assert score.value == 3.0
    assert score.low <= 3.0 <= score.high


def test_compare_finds_a_difference_and_no_difference() -> None:
    better, worse = tables([9, 8, 9, 10, 9, 8, 9, 9, 10, 9]), tables([5, 4, 6, 5, 5, 4, 3, 5, 5, 6])
    found = metrics.compare(better, worse, metrics.accuracy)
    assert found.difference == pytest.approx(0.42)
    assert found.p < 0.01
    assert found.low > 0
    assert found.works == 10
    same = metrics.compare(better, better, metrics.accuracy)
    assert same.difference == 0.0
    assert same.p == 1.0
    with pytest.raises(BadInput):
        metrics.compare(better, tables([1, 2]), metrics.accuracy)


def test_mean_of_sums() -> None:
    groups, works = metrics.groups_of(["b", "a", "b"])
    assert works == 2
    assert groups.tolist() == [1, 0, 1]
    sums = metrics.sums_by_group(np.array([1.0, 0.5, 0.0]), groups)
    score = metrics.with_interval(sums[None], metrics.mean)
    assert score.value == pytest.approx(0.5)
    assert score.n == 3


def test_temperature_makes_confidence_as_large_as_it_should_be() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((4000, 1)) > chance.cumsum(axis=1)).sum(axis=1)
    assert metrics.temperature(truth, logits) == pytest.approx(1, abs=0.1)
    assert metrics.temperature(truth, 3 * logits) == pytest.approx(3, abs=0.3)
    assert metrics.temperature(truth, 20 * logits) == pytest.approx(20, abs=2)
    assert metrics.temperature(np.full(4000, -1), logits) == 1.0
    assert metrics.temperature(np.r_[truth, -1], np.r_[3 * logits, [[9, 9, 9]]]) == pytest.approx(3, abs=0.3)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_error_weighs_items_as_if_they_came_more_often(items: list[tuple[float, bool]]) -> None:
    sure, right = np.array([p for p, _ in items]), np.array([hit for _, hit in items])
    times = np.arange(len(items)) % 3 + 1
    weighed = metrics.calibration_error(sure, right, times.astype(float))
    assert weighed == pytest.approx(metrics.calibration_error(np.repeat(sure, times), np.repeat(right, times)))
    assert 0 <= weighed <= 1


def test_calibration_error_of_known_answers() -> None:
    assert metrics.calibration_error(np.array([0.25] * 4), np.array([1, 0, 0, 0])) == 0
    assert metrics.calibration_error(np.array([0.95, 0.95, 0.05]), np.array([1, 0, 1])) == pytest.approx(1.85 / 3)
    assert metrics.calibration_error(np.zeros(0), np.zeros(0)) == 0
