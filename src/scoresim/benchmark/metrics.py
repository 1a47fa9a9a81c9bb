"""Metrics, their intervals over works, and paired comparisons.

Conventions. Classes are whole numbers from 0. A truth below 0 is padding or an item without a label: it is
never counted, neither as right nor as wrong. Items of one work depend on each other, so the unit that is
resampled is the **work**: intervals are percentile bootstraps over works (Efron & Tibshirani, *An
Introduction to the Bootstrap*, 1993), and two systems are compared on the same works by a
permutation test that swaps their answers work by work (Good, *Permutation, Parametric and Bootstrap Tests of
Hypotheses*, 2005).

Everything is computed from one table per work, its confusion counts, or its sums of per-query figures. A
resample of works is then a sum of tables, and a thousand of them cost one matrix product.

- **accuracy**: share of items whose class was said.
- **macro-F1**: mean over classes of the harmonic mean of precision and recall; over the classes that occur in
  the truth, so that a resample without any item of a class does not count that class as missed.
- **F1**: the same for one class, the positive one.
- **balanced accuracy**, also macro accuracy: mean over the classes that occur in the truth of the share of their items
  that were found. A system that always says one class gets one over the number of classes.
- **mean worth** of the answers by a table of what each is worth for each truth (MIREX: Raffel et al., ISMIR 2014);
  with distances as worth, the **mean absolute** and the **mean squared error**: 0 is perfect, smaller is better.
- **Kendall's tau-b**: of all pairs of items with different truths, do the answers put them in the same order? 1 is
  always, 0 as often as not; equal answers are ties and cost (Kendall, *Biometrika* 33, 1945).
- **R@k, MRR, median rank**: of the right answer among all candidates, ordered by score. Equal scores are a
  tie, and every figure is its expectation over a random order of the tie: the rank is the mean rank of the
  tie, R@k the share of the tie that stands in the first k, the reciprocal rank the mean of 1/rank over the
  tie. So a model that gives every candidate the same score gets chance, and no query is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From summed tables [..., *table] to figures [...]."""

RESAMPLES = 1000
BINS = 10  # of confidence
TIE_DECIMALS = 6


@dataclass(frozen=True)
class Score:
    """A figure with its 95 % interval.

    Attributes:
        value: the figure; shares lie in [0, 1], ranks begin at 1.
        low, high: ends of the interval.
        n: number of items counted.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """System A minus system B on the same works.

    Attributes:
        difference: A's figure minus B's.
        low, high: 95 % interval of the difference over works.
        p: two-sided p-value of the paired permutation test.
        works: number of works.
    """

    difference: float
    low: float
    high: float
    p: float
    works: int


def validate(truth: Ints, predicted: Ints, classes: int) -> None:
    """Refuse labels that do not fit together.

    Args:
        truth: [N] classes in 0..classes-1, or below 0 for an item that does not count.
        predicted: [N] classes in 0..classes-1 wherever the truth counts.

    Raises:
        BadInput: the shapes differ, or a class is out of range.
    """
    if truth.ndim != 1 or truth.shape != predicted.shape:
        raise BadInput(f"truth {truth.shape} and prediction {predicted.shape} must be lists of one length.")
    if not np.issubdtype(truth.dtype, np.integer) or not np.issubdtype(predicted.dtype, np.integer):
        raise BadInput("truth and prediction must be whole numbers (class indices).")
    counted = truth >= 0
    for name, values in (("truth", truth[counted]), ("prediction", predicted[counted])):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise BadInput(f"the {name} holds a class outside 0..{classes - 1}.")


def confusion(truth: Ints, predicted: Ints, classes: int, groups: Ints | None = None) -> Floats:
    """Count items by true and predicted class.

    Args:
        truth: [N] true classes; below 0 is not counted.
        predicted: [N] predicted classes.
        classes: number of classes C.
        groups: [N] group index (a work) of each item, 0..G-1; None puts all into one.

    Returns:
        [G, C, C] counts, rows true, columns predicted.

    Raises:
        BadInput: see `validate`.
    """
    validate(truth, predicted, classes)
    where = np.zeros(len(truth), dtype=np.int64) if groups is None else groups
    counted = truth >= 0
    table = np.zeros((int(where.max(initial=0)) + 1, classes, classes))
    np.add.at(table, (where[counted], truth[counted], predicted[counted]), 1.0)
    return table


def accuracy(table: Floats) -> Floats:
    """Share of right items of confusion counts [..., C, C]; 0 where there is no item."""
    return _ratio(np.trace(table, axis1=-2, axis2=-1), table.sum((-2, -1)))


def f1_per_class(table: Floats) -> Floats:
    """F1 of every class, [..., C], from confusion counts [..., C, C]; 0 where a class was never hit."""
    hit = np.diagonal(table, axis1=-2, axis2=-1)
    return _ratio(2 * hit, table.sum(-1) + table.sum(-2))


def macro_f1(table: Floats) -> Floats:
    """Mean F1 over the classes that occur in the truth, from confusion counts [..., C, C]."""
    occurs = table.sum(-1) > 0
    return _ratio((f1_per_class(table) * occurs).sum(-1), occurs.sum(-1).astype(np.float64))


def balanced_accuracy(table: Floats) -> Floats:
    """Mean recall over the classes that occur in the truth, from confusion counts [..., C, C]."""
    items = table.sum(-1)
    recall = _ratio(np.diagonal(table, axis1=-2, axis2=-1), items)
    return _ratio(recall.sum(-1), (items > 0).sum(-1).astype(np.float64))


def mean_worth(worth: Floats) -> Statistic:
    """What the answers are worth on average, as a statistic of confusion counts [..., C, C]; 0 where there is no item.

    Args:
        worth: [C, C] of a class said (column) by the true class (row).
    """

    def statistic(table: Floats) -> Floats:
        return _ratio((table * worth).sum((-2, -1)), table.sum((-2, -1)))

    return statistic


def absolute_error(values: Sequence[float]) -> Statistic:
    """Mean distance from the truth, where the classes are numbers.

    Args:
        values: [C] the number that each class stands for.
    """
    return mean_worth(np.abs(np.subtract.outer(np.array(values, dtype=np.float64), np.array(values))))


def squared_error(values: Sequence[float]) -> Statistic:
    """Mean squared distance from the truth, where the classes are numbers.

    Args:
        values: [C] the number that each class stands for.
    """
    return mean_worth(np.subtract.outer(np.array(values, dtype=np.float64), np.array(values)) ** 2)


def kendall_tau_b(table: Floats) -> Floats:
    """Kendall's tau-b of truth and answer, from confusion counts [..., C, C] of classes in order.

    0 where it is not defined: all truths, or all answers, are one class.
    """
    later = table[..., ::-1, ::-1].cumsum(-2).cumsum(-1)[..., ::-1, ::-1]  # [i, j]: items at i and j or later
    crossed = table[..., ::-1, :].cumsum(-2).cumsum(-1)[..., ::-1, :]  # [i, j]: items at i or later, at j or earlier
    agree = (table[..., :-1, :-1] * later[..., 1:, 1:]).sum((-2, -1))
    differ = (table[..., :-1, 1:] * crossed[..., 1:, :-1]).sum((-2, -1))
    whole = table.sum((-2, -1)) ** 2
    truths, answers = (whole - (table.sum(axis) ** 2).sum(-1) for axis in (-1, -2))
    return _ratio(agree - differ, np.sqrt(truths * answers) / 2)


def f1(table: Floats) -> Floats:
    """F1 of class 1 ("yes") from confusion counts [..., 2, 2]."""
    return f1_per_class(table)[..., 1]


def mean(table: Floats) -> Floats:
    """Mean from sums [..., 2] = (sum of the figure, number of items)."""
    return _ratio(table[..., 0], table[..., 1])


@dataclass(frozen=True)
class Ranks:
    """Where the right answer stood for each of N queries among P candidates.

    Attributes:
        above: [N] candidates scored higher than the right answer.
        tied: [N] candidates with its score, itself included (at least 1).
        pool: P.
    """

    above: Ints
    tied: Ints
    pool: int

    @property
    def expected(self) -> Floats:
        """[N] expected rank, from 1 to P."""
        return self.above + (self.tied + 1) / 2

    @property
    def reciprocal(self) -> Floats:
        """[N] expected reciprocal rank, in (0, 1]."""
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, self.pool + 1))])
        return np.asarray((harmonic[self.above + self.tied] - harmonic[self.above]) / self.tied)

    def recall_at(self, k: int) -> Floats:
        """[N] probability that the right answer stands in the first k."""
        return np.clip((k - self.above) / self.tied, 0.0, 1.0)


def ranks(scores: Floats, right: Ints) -> Ranks:
    """Rank the right answer of every query.

    Args:
        scores: [N, P] score of each of P candidates for each of N queries, higher is better; scores that
            differ by less than rounding noise (6 decimals) count as equal.
        right: [N] index of the right candidate, 0..P-1.

    Raises:
        BadInput: the shapes do not fit, an index is out of range, or a score is not finite.
    """
    if scores.ndim != 2 or right.shape != scores.shape[:1] or not scores.shape[1]:
        raise BadInput(f"scores {scores.shape} and right answers {right.shape} do not belong together.")
    if not np.isfinite(scores).all():
        raise BadInput("a score is not a finite number; the model's weights are probably broken.")
    if right.size and (right.min() < 0 or right.max() >= scores.shape[1]):
        raise BadInput("a right answer stands outside the pool.")
    rounded = np.round(scores, TIE_DECIMALS)
    own = np.take_along_axis(rounded, right[:, None], axis=1)
    return Ranks((rounded > own).sum(1), (rounded == own).sum(1), scores.shape[1])


def groups_of(names: Sequence[str]) -> tuple[Ints, int]:
    """Index of each item's work, in sorted order of the names, and the number of works."""
    index = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([index[name] for name in names], dtype=np.int64), len(index)


def sums_by_group(values: Floats, groups: Ints) -> Floats:
    """[G, 2] sum of a per-item figure [N] and number of items of each group: the table of `mean`."""
    table = np.zeros((int(groups.max(initial=0)) + 1, 2))
    np.add.at(table, groups, np.stack([values, np.ones(len(values))], axis=1))
    return table


def class_weights(labels: Ints, classes: int, balance: float) -> NDArray[np.float32]:
    """[classes] share of each class to the power of minus `balance`, with mean 1 over the items."""
    labels = labels[labels >= 0]
    share = np.maximum(np.bincount(labels, minlength=classes), 1) / max(len(labels), 1)
    weights = share**-balance
    return np.asarray(weights / (weights * share).sum(), dtype=np.float32)


def temperature(truth: Ints, scores: NDArray[np.floating[Any]]) -> float:
    """What scores are to be divided by so that their softmax is as likely as can be (Guo et al., ICML 2017).

    Args:
        truth: [M] classes; below 0 is not asked.
        scores: [M, C] logits or log-probabilities.

    Returns:
        One of 91 values from 1/8 to 64; 1 without items.
    """
    known = truth >= 0
    if not known.any():
        return 1.0
    right, logits = truth[known], np.asarray(scores[known], dtype=np.float64)
    losses = []
    tried = np.geomspace(1 / 8, 64, 91)
    for value in tried:
        scaled = logits / value
        highest = scaled.max(axis=1, keepdims=True)
        total = np.log(np.exp(scaled - highest).sum(axis=1)) + highest[:, 0]
        losses.append((total - scaled[np.arange(len(right)), right]).mean())
    return float(tried[int(np.argmin(losses))])


def calibration_error(sure: Floats, right: NDArray[Any], weight: Floats | None = None) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al., ICML 2017): 0 is perfect, and without items.

    Args:
        sure: [M] probabilities.
        right: [M] 1 or True where what was said comes true.
        weight: [M] how much each counts; None is alike.
    """
    if not len(sure):
        return 0.0
    at = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(at, weights=(right - sure) if weight is None else weight * (right - sure), minlength=BINS)
    return float(np.abs(gaps).sum() / (len(sure) if weight is None else weight.sum()))


def resample_weights(works: int, seed: int, resamples: int = RESAMPLES) -> Floats:
    """[R, G] how often each work was drawn in each bootstrap resample; the same for the same seed."""
    draw = np.random.default_rng([seed, works])
    return draw.multinomial(works, np.full(works, 1.0 / works), size=resamples).astype(np.float64)


def with_interval(tables: Floats, statistic: Statistic, seed: int = 0, resamples: int = RESAMPLES) -> Score:
    """A figure and its 95 % interval over works, averaged over seeds of training.

    Args:
        tables: [S, G, *table] one table per training seed and work (S = 1 for one training).
        statistic: from summed tables to figures.
        seed: of the resampling.

    Returns:
        The mean over training seeds, with the interval over works; `n` counts the items of one seed.
    """
    tables = tables[:, _asked(tables)]  # a work without items is none of the draw
    works = tables.shape[1]
    value = float(statistic(tables.sum(1)).mean())
    items = round(_items(tables[:1].sum((0, 1))))
    if works < 2:
        return Score(value, value, value, items)
    weights = resample_weights(works, seed, resamples)
    drawn = statistic(_weighted(weights, tables)).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Score(value, float(low), float(high), items)


def median_with_interval(values: Floats, groups: Ints, seed: int = 0, resamples: int = RESAMPLES) -> Score:
    """The median of a per-item figure [N] (a median rank) with its 95 % interval over works."""
    value = float(np.median(values))
    works = int(groups.max(initial=0)) + 1
    if works < 2:
        return Score(value, value, value, len(values))
    order = np.argsort(values, kind="stable")
    weights = resample_weights(works, seed, resamples)[:, groups[order]]
    cumulative = np.cumsum(weights, axis=1)
    at = (cumulative < cumulative[:, -1:] / 2).sum(1)
    low, high = np.percentile(values[order][np.minimum(at, len(values) - 1)], [2.5, 97.5])
    return Score(value, float(low), float(high), len(values))


def compare(a: Floats, b: Floats, statistic: Statistic, seed: int = 0, resamples: int = RESAMPLES) -> Comparison:
    """Is system A better than system B on the same works?

    Args:
        a, b: [S, G, *table] tables of the two systems on the same G works.
        statistic: from summed tables to figures.

    Returns:
        The difference with its bootstrap interval, and the p-value of the permutation test that swaps A and B
        in each work at random (two-sided; the observed order counts as one permutation, so p is never 0).

    Raises:
        BadInput: the two do not stand on the same works.
    """
    if a.shape[1:] != b.shape[1:]:
        raise BadInput("two systems can only be compared on the same works.")

    def figure(tables: Floats) -> Floats:
        return np.asarray(statistic(tables).mean(-1))

    there = _asked(a) | _asked(b)
    a, b = a[:, there], b[:, there]
    works = a.shape[1]
    observed = float(figure(a.sum(1)) - figure(b.sum(1)))
    weights = resample_weights(works, seed, resamples)
    drawn = figure(_weighted(weights, a)) - figure(_weighted(weights, b))
    low, high = np.percentile(drawn, [2.5, 97.5])
    if a.shape[0] != b.shape[0]:
        a, b = a.mean(0, keepdims=True), b.mean(0, keepdims=True)
        observed_swap = float(figure(a.sum(1)) - figure(b.sum(1)))
    else:
        observed_swap = observed
    keep = np.random.default_rng([seed, works, 1]).integers(0, 2, size=(resamples, works)).astype(np.float64)
    one = figure(_weighted(keep, a) + _weighted(1 - keep, b))
    other = figure(_weighted(keep, b) + _weighted(1 - keep, a))
    swapped = np.abs(one - other)
    p = (1 + int((swapped >= abs(observed_swap) - 1e-12).sum())) / (1 + resamples)
    return Comparison(observed, float(low), float(high), p, works)


def _weighted(weights: Floats, tables: Floats) -> Floats:
    """[R, S, *table] tables [S, G, *table] summed over works with weights [R, G]."""
    return np.tensordot(weights, tables, axes=(1, 1))


def _asked(tables: Floats) -> NDArray[np.bool_]:
    """[G] which works of tables [S, G, *table] have items."""
    return np.asarray(tables[:1].any(axis=(0, *range(2, tables.ndim))))


def _items(table: Floats) -> float:
    """Number of items in one summed table: confusion counts [C, C], or pairs of (sum, count) in a row."""
    return float(table.sum()) if table.ndim == 2 else float(table[1::2].sum())


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=np.asarray(below) > 0)
