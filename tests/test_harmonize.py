"""Harmonization: weights with a known answer, and what holds for any data."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresim.data import shards
from scoresim.data.harmonize import (
    CAP,
    SAMPLING,
    bins,
    complexity,
    harmonize,
    quantiles,
    read_sampling,
    read_table,
    write_sampling,
)
from scoresim.errors import BadInput


def test_the_measures_of_a_passage_done_by_hand() -> None:
    # four quarters C D E F, then a whole-note chord C G: two bars of 4/4
    onset = np.array([0, 1, 2, 3, 4, 4])
    duration = np.array([1, 1, 1, 1, 4, 4])
    found = complexity(onset, duration, np.array([60, 62, 64, 65, 48, 67]), 8)
    assert found.density == 6 / 8
    assert found.pitch_range == 19
    thirds = [4 / 6, 2 / 6]
    assert found.variety == pytest.approx(-sum(p * np.log2(p) for p in thirds))
    even = complexity(np.arange(8) / 2, np.full(8, 0.5), np.full(8, 60), 4)
    assert even == (2.0, 0.0, 0.0)


@pytest.mark.parametrize("length", [0, -1, float("nan")])
def test_a_passage_without_length_is_refused(length: float) -> None:
    with pytest.raises(ValueError, match="length above 0"):
        complexity(np.zeros(1), np.ones(1), np.array([60]), length)
    with pytest.raises(ValueError, match="length above 0"):
        complexity(np.zeros(0), np.ones(0), np.array([], int), 4)


def test_style_shares_with_a_known_answer() -> None:
    styles = ["folk"] * 900 + ["piano"] * 90 + ["choir"] * 10
    measures = np.random.default_rng(0).random((1000, 3))
    for balance, expected in (
        (0.0, {"folk": 0.9, "piano": 0.09, "choir": 0.01}),
        (1.0, {"folk": 1 / 3, "piano": 1 / 3, "choir": 1 / 3}),
        (0.5, {"folk": 30 / (30 + 90**0.5 + 10**0.5)}),
    ):
        made = harmonize(styles, measures, balance, False)
        for style, share in expected.items():
            assert made.style_target[style] == pytest.approx(share)
            mine = np.array([s == style for s in styles])
            assert made.weight[mine].sum() / made.weight.sum() == pytest.approx(share)
    assert np.allclose(harmonize(styles, measures, 0.0, False).weight, 1.0)


def test_easy_and_hard_with_a_known_answer() -> None:
    """Folk is mostly easy, piano is evenly easy and hard: after balancing both are even."""
    easy, hard = [1.0, 5.0, 0.5], [9.0, 40.0, 3.0]
    styles = ["folk"] * 100 + ["piano"] * 100
    measures = np.array([easy] * 80 + [hard] * 20 + [easy] * 50 + [hard] * 50)
    made = harmonize(styles, measures, 1.0, True)
    folk, piano = made.weight[:100], made.weight[100:]
    assert folk[:80].sum() == pytest.approx(50) and folk[80:].sum() == pytest.approx(50)
    assert np.allclose(piano, 1.0)
    assert np.unique(made.level).tolist() == pytest.approx([0.325, 0.825])  # mid-ranks of 130 and 70 of 200
    assert made.quantile[:100].tolist() == pytest.approx([0.4] * 80 + [0.9] * 20)


def test_a_rare_level_is_not_repeated_without_bound() -> None:
    styles = ["folk"] * 100 + ["piano"] * 100
    measures = np.array([[1.0] * 3] * 98 + [[9.0] * 3] * 2 + [[9.0] * 3] * 100)
    made = harmonize(styles, measures, 0.0, True)
    assert np.allclose(made.weight[98:100], CAP)
    assert np.allclose(made.weight[:98], 90 / 98)
    assert np.allclose(made.weight[100:], 1.0)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), *[st.integers(0, 6)] * 3), min_size=1, max_size=80),
    st.floats(0, 1),
    st.booleans(),
)
def test_what_holds_for_any_data(rows: list[tuple[str, int, int, int]], balance: float, levels: bool) -> None:
    styles = [row[0] for row in rows]
    measures = np.array([row[1:] for row in rows], float)
    made = harmonize(styles, measures, balance, levels)
    assert made.weight.mean() == pytest.approx(1.0)
    assert (made.weight > 0).all()
    assert sum(made.style_target.values()) == pytest.approx(1.0)
    for style, share in made.style_target.items():
        mine = np.array([s == style for s in styles])
        weight = made.weight[mine]
        assert weight.sum() / len(rows) == pytest.approx(share)
        assert weight.max() <= CAP * weight.mean() * (1 + 1e-9)
        drawn = np.bincount(bins(made.level[mine]), weights=weight, minlength=5) / weight.sum()
        natural = np.bincount(bins(made.level[mine]), minlength=5) / mine.sum()
        if levels:  # every bin is even, or at its cap
            even = drawn.max()
            assert all(
                d == pytest.approx(even) or d == pytest.approx(CAP * p)
                for d, p in zip(drawn, natural, strict=True)
                if p > 0
            )
    assert ((made.level > 0) & (made.level < 1)).all() and ((made.quantile > 0) & (made.quantile < 1)).all()
    order = np.random.default_rng(0).permutation(len(rows))
    again = harmonize([styles[i] for i in order], measures[order], balance, levels)
    assert np.allclose(again.weight, made.weight[order])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_quantiles_keep_the_order_and_have_mean_one_half(values: list[float]) -> None:
    made = quantiles(np.array(values))
    assert made.mean() == pytest.approx(0.5)
    order = np.argsort(values)
    assert (np.diff(made[order]) >= 0).all()


@pytest.mark.parametrize("balance", [-0.1, 1.1, float("nan")])
def test_a_temperature_outside_its_range_is_refused(balance: float) -> None:
    with pytest.raises(BadInput, match="style-balance"):
        harmonize(["a"], np.ones((1, 3)), balance, False)


def test_measures_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        harmonize(["a"], np.full((1, 3), np.nan), 0.0, False)
    with pytest.raises(ValueError, match="2 styles"):
        harmonize(["a", "b"], np.ones((1, 3)), 0.0, False)
    assert len(harmonize([], np.zeros((0, 3)), 0.5, True).weight) == 0


class Part:
    """A part of a data set that has columns only."""

    def __init__(self, split: str, n: int) -> None:
        rng = np.random.default_rng(n)
        self.columns: dict[str, list[Any]] = {
            "id": [f"{split}#{i}" for i in range(n)],
            "style": [("folk", "piano")[i % 3 == 0] for i in range(n)],
            "density": rng.random(n).tolist(),
            "pitch_range": rng.integers(5, 40, n).tolist(),
            "variety": rng.random(n).tolist(),
        }

    def column(self, name: str) -> list[Any]:
        return self.columns[name]


def test_the_table_is_written_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"train": Part("train", 40), "valid": Part("valid", 7), "test": Part("test", 0)}
    monkeypatch.setattr(shards, "open", lambda _: SimpleNamespace(split=parts.__getitem__))
    with pytest.raises(BadInput, match="missing or damaged"):
        read_sampling(tmp_path, "train", parts["train"].column("id"))
    write_sampling(tmp_path, 1.0, True)
    table = read_table(tmp_path)
    assert table.column_names == [
        *("id", "split", "style", "density", "pitch_range", "variety", "quantile", "level", "weight")
    ]
    assert table.schema.metadata == {b"style_balance": b"1.0", b"complexity_balance": b"on"}
    for split, part in parts.items():
        weight = read_sampling(tmp_path, split, part.column("id"))
        assert len(weight) == len(part.column("id"))
        if split == "train":
            folk = np.array(part.column("style")) == "folk"
            assert weight.mean() == pytest.approx(1.0)
            assert weight[folk].sum() == pytest.approx(weight[~folk].sum())
    write_sampling(tmp_path, 0.0, False)  # the sampler changes, the pairs do not
    assert np.allclose(read_sampling(tmp_path, "train", parts["train"].column("id")), 1.0)
    parts["train"].columns["id"][0] = "another"
    with pytest.raises(BadInput, match="does not fit"):
        read_sampling(tmp_path, "train", parts["train"].column("id"))
    data = bytearray((tmp_path / "sampling.parquet").read_bytes())
    (tmp_path / "sampling.parquet").write_bytes(data[:-20])
    with pytest.raises(BadInput, match="missing or damaged"):
        read_sampling(tmp_path, "valid", parts["valid"].column("id"))


def test_reading_the_table_leaves_no_thread_that_aborts_python_when_it_ends(tmp_path: Path) -> None:
    """pyarrow's reader of whole data sets did, every other time, on a table of this size."""
    n = 50_000
    pq.write_table(pa.table({"id": [f"a pair {i}" for i in range(n)], "weight": [1.0] * n}), tmp_path / SAMPLING)
    code = "import pathlib, sys; from scoresim.data.harmonize import read_table; read_table(pathlib.Path(sys.argv[1]))"
    for _ in range(5):
        assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60).returncode == 0
