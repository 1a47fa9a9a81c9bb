"""Harmonization: how often each pair is drawn, so that styles, and easy and hard music within them, are balanced.

*Style.* A style of n pairs is drawn with a share proportional to n^(1-T): T = 0 is the natural distribution, T = 1 the
uniform one.

*Complexity.* Three measures per passage (`Complexity`). Each is turned into its quantile among all passages of the
part, and the mean of the three is the *level* of a passage, from 0 (easy) to 1 (hard), on one scale for all styles.
Quantiles within a style say whether a passage is hard for its style, but they are uniform in every style by
construction: nothing is left to balance. So the balance is stated on the level: within every style, the range from
its easiest to its hardest passage is cut into `BINS` bins of equal width, and the bins are drawn equally often. A bin
that holds few passages is not repeated without bound: no passage weighs more than `CAP` times the average of its
style, and what is left goes to the other bins in equal shares. A bin that holds nothing stays empty.

Nothing here changes the pairs: the weights are a table beside the shards (`write_sampling`) and can be made again.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scoresim.data.curate import SPLITS
from scoresim.errors import BadInput
from scoresim.files import Place, replacing

SAMPLING = "sampling.parquet"
MEASURES = ("density", "pitch_range", "variety")
GRID = 24  # steps of a quarter note on which rhythms are compared
BINS = 5  # of complexity within a style, of equal width
CAP = 5.0  # most that a passage may weigh, in averages of its style

Floats = NDArray[np.float64]


class Complexity(NamedTuple):
    """How much there is to play.

    Attributes:
        density: notes per quarter note over all staves; a chain of tied notes is one note.
        pitch_range: semitones from the lowest to the highest note.
        variety: entropy in bits of the pairs (time to the next onset, duration) of all notes, on a grid of 24 steps
            per quarter note; 0 when all notes are alike, at most log2 of their number.
    """

    density: float
    pitch_range: float
    variety: float


def complexity(
    onset_quarters: NDArray[np.floating],
    duration_quarters: NDArray[np.floating],
    pitch: NDArray[np.integer],
    length_quarters: float,
) -> Complexity:
    """Measure a passage.

    Args:
        onset_quarters: [N] quarter notes from the beginning of the passage.
        duration_quarters: [N] quarter notes, whole chains of ties.
        pitch: [N] MIDI pitch, 0-127.
        length_quarters: of the passage, > 0.

    Raises:
        ValueError: there are no notes, the arrays differ in length or the passage has no length.
    """
    n = len(onset_quarters)
    if n == 0 or not n == len(duration_quarters) == len(pitch) or not length_quarters > 0:
        raise ValueError("a passage needs notes, arrays of one length, and a length above 0")
    onset, duration = (
        np.round(np.asarray(quarters, np.float64) * GRID).astype(np.int64).tolist()
        for quarters in (onset_quarters, duration_quarters)
    )
    times = sorted(set(onset))
    end = max(round(length_quarters * GRID), times[-1])
    gaps = dict(zip(times, (after - time for time, after in itertools.pairwise([*times, end])), strict=True))
    kinds = Counter((gaps[time], length) for time, length in zip(onset, duration, strict=True))
    share = np.array([kinds[kind] for kind in sorted(kinds)]) / n
    entropy = max(float(-(share * np.log2(share)).sum()), 0.0)
    return Complexity(n / length_quarters, float(np.max(pitch) - np.min(pitch)), entropy)


@dataclass(frozen=True, eq=False)
class Harmonized:
    """Weights for drawing pairs, and what they are made of.

    Attributes:
        weight: [N] how often a pair is drawn, relative to the average; mean 1.
        style_target: style -> share of it that the weights give, sum 1.
        quantile: [N] complexity among the passages of the same style, 0 to 1.
        level: [N] complexity among all passages, 0 to 1; the scale on which it is balanced.
    """

    weight: Floats
    style_target: dict[str, float]
    quantile: Floats
    level: Floats


def harmonize(
    styles: Sequence[str], measures: NDArray[np.floating], style_balance: float, complexity_balance: bool
) -> Harmonized:
    """Weights of N pairs.

    Args:
        styles: N names.
        measures: [N, 3] density, pitch range and variety.
        style_balance: T in 0 (natural) .. 1 (uniform).
        complexity_balance: whether easy and hard passages are balanced within every style.

    Raises:
        BadInput: T is not within 0 and 1.
        ValueError: shapes differ, or a measure is not a finite number.
    """
    if not 0 <= style_balance <= 1:
        raise BadInput(f"style-balance is {style_balance}; it must lie between 0 (natural) and 1 (uniform).")
    values = np.asarray(measures, np.float64).reshape(-1, len(MEASURES))
    if len(values) != len(styles) or not np.isfinite(values).all():
        raise ValueError(f"{len(styles)} styles and measures of shape {np.shape(measures)}; all must be finite")
    names, style, count = np.unique(np.asarray(styles, dtype=np.str_), return_inverse=True, return_counts=True)
    n = len(values)
    target = count ** (1.0 - style_balance)
    target = target / target.sum() if n else target
    level, quantile, weight = _level(values), np.zeros(n), np.zeros(n)
    for s in range(len(names)):
        mine = np.flatnonzero(style == s)
        quantile[mine] = _level(values[mine])
        within = _flat(level[mine]) if complexity_balance else np.ones(len(mine))
        weight[mine] = within * target[s] * n / len(mine)
    shares = {str(name): float(share) for name, share in zip(names, target, strict=True)}
    return Harmonized(weight, shares, quantile, level)


def quantiles(values: NDArray[np.floating]) -> Floats:
    """[N] mid-rank of every value as a share of all, in (0, 1); equal values share the mean of their ranks."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + upto) / (2.0 * max(len(values), 1))


def _level(values: Floats) -> Floats:
    """[N] mean over the three measures of their quantiles."""
    mean: Floats = np.mean([quantiles(column) for column in values.T], axis=0)
    return mean


def bins(level: Floats) -> NDArray[np.int64]:
    """[N] the bin of every passage of one style, 0 .. `BINS` - 1, between its least and its greatest level."""
    if len(level) == 0 or np.ptp(level) == 0:
        return np.zeros(len(level), np.int64)
    number: NDArray[np.int64] = (BINS * (level - level.min()) / np.ptp(level)).astype(np.int64)
    return np.minimum(number, BINS - 1)


def _flat(level: Floats) -> Floats:
    """[N] weights of mean 1 that draw every bin which is not empty equally often, none above `CAP`."""
    number = bins(level)
    natural = np.bincount(number, minlength=BINS) / len(level)
    share = np.zeros(BINS)
    open_bins, left = natural > 0, 1.0
    while open_bins.any():
        even = left / open_bins.sum()
        full = open_bins & (natural * CAP < even)
        if not full.any():
            share[open_bins] = even
            break
        share[full] = natural[full] * CAP
        left -= float(share[full].sum())
        open_bins &= ~full
    return (share / np.where(natural > 0, natural, 1.0))[number]


def write_sampling(folder: Place, style_balance: float, complexity_balance: bool) -> None:
    """Write ``sampling.parquet`` beside the shards: one row per pair, every part balanced for itself.

    Columns: id, split, style, density, pitch_range, variety, quantile, level, weight; the balances in the metadata.

    Raises:
        BadInput: there is no data set, or T is not within 0 and 1.
    """
    from scoresim.data.shards import open as open_pairs  # a shard holds pairs, and a pair is measured by this file

    pairs = open_pairs(folder)
    tables = []
    for split in SPLITS:
        part = pairs.split(split)
        style = part.column("style")
        measured = {name: part.column(name) for name in MEASURES}
        values = np.array(list(measured.values()), np.float64).T.reshape(-1, len(MEASURES))
        made = harmonize(style, values, style_balance, complexity_balance)
        columns = {"id": part.column("id"), "split": [split] * len(style), "style": style, **measured}
        strings = {name: pa.array(columns.pop(name), pa.string()) for name in ("id", "split", "style")}
        numbers = {name: pa.array(values, pa.float64()) for name, values in columns.items()}
        numbers |= {name: pa.array(getattr(made, name)) for name in ("quantile", "level", "weight")}
        tables.append(pa.table(strings | numbers))
    table = pa.concat_tables(tables).replace_schema_metadata(
        {"style_balance": str(float(style_balance)), "complexity_balance": "on" if complexity_balance else "off"}
    )
    with replacing(folder / SAMPLING) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(folder: Place) -> pa.Table:
    """The table that `write_sampling` wrote.

    Raises:
        BadInput: it is missing or damaged.
    """
    from scoresim.data.shards import parquet  # see write_sampling

    path = folder / SAMPLING
    try:
        # not pq.read_table: one of its threads may let go of an open file so late that Python, ending, is aborted by it
        with parquet(path) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path} is missing or damaged ({error}); build the data set again.") from error


def read_sampling(folder: Place, split: str, ids: list[str]) -> Floats:
    """[N] weights of the pairs of a part, which have these ids in the order of its rows; mean 1.

    Raises:
        BadInput: the table is missing, damaged, or of other pairs than the part has.
    """
    table = read_table(folder)
    mine = table.filter(pc.equal(table.column("split"), split))
    if mine.column("id").to_pylist() != ids:
        raise BadInput(f"{folder / SAMPLING} does not fit the pairs of {split}; write it again.")
    weight: Floats = mine.column("weight").to_numpy()
    return weight
