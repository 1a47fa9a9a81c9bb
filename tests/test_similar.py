"""Near-duplicates: the same music in other clothes is found, other music is not."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresim.data.similar import (
    GRAM,
    LONGEST,
    Fingerprint,
    candidates,
    fingerprint,
    group,
    near_duplicates,
    window_bounds,
)
from scoresim.score.read import read_midi

FIXTURE = Path(__file__).parent / "fixtures" / "similar" / "tunes.json"
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def tunes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(FIXTURE.read_text())
    assert len(rows) == 96
    return rows


def prints_of(rows: list[dict[str, Any]]) -> list[Fingerprint]:
    return [fingerprint(np.array(row["onset"]), np.array(row["pitch"])) for row in rows]


def walk(seed: int, n: int = 200) -> np.ndarray:
    """A made-up line of n pitches with all kinds of intervals."""
    rng = np.random.default_rng(seed)
    return 64 + np.cumsum(rng.choice([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5], n)) % 24


def test_every_variant_is_found_and_no_other_tune(tunes: list[dict[str, Any]]) -> None:
    found = {(i, j) for i, j, _ in near_duplicates(prints_of(tunes))}
    same = {
        (i, j)
        for i, a in enumerate(tunes)
        for j, b in enumerate(tunes)
        if i < j and a["tune"] == b["tune"] and "ornamented" not in (a["variant"], b["variant"])
    }
    assert same - found == set()
    assert all(tunes[i]["tune"] == tunes[j]["tune"] for i, j in found)
    ornamented = [i for i, row in enumerate(tunes) if row["variant"] == "ornamented"]
    hit = [(i - 4, i) in found for i in ornamented]  # five ornaments in 64 notes break up to half of the shingles
    assert np.mean(hit) >= 0.75


def test_groups_are_the_tunes(tunes: list[dict[str, Any]]) -> None:
    label = group(len(tunes), near_duplicates(prints_of(tunes)))
    for number in range(12):
        mine = {label[i] for i, row in enumerate(tunes) if row["tune"] == number and row["variant"] != "ornamented"}
        assert len(mine) == 1
    assert len(set(label)) >= 12


def test_order_of_items_does_not_matter(tunes: list[dict[str, Any]]) -> None:
    prints = prints_of(tunes)
    order = np.random.default_rng(0).permutation(len(prints))
    straight = {(i, j): s for i, j, s in near_duplicates(prints)}
    mixed = near_duplicates([prints[k] for k in order])
    back = {tuple(sorted((int(order[i]), int(order[j])))): s for i, j, s in mixed}
    assert back == pytest.approx(straight)


def test_formulas_do_not_join_pieces() -> None:
    """A phrase of 40 notes that stands in 200 pieces is common property; in two pieces it is a likeness."""
    phrase = walk(0, 40)
    pieces = [np.concatenate([walk(k + 1, 150), phrase]) for k in range(200)]
    prints = [fingerprint(np.arange(len(p)), p) for p in pieces]
    assert near_duplicates(prints) == []
    assert [pair[:2] for pair in near_duplicates(prints[:2], threshold=0.1)] == [(0, 1)]


def test_scales_and_repeated_notes_leave_no_print() -> None:
    for line in (np.arange(30, 90), np.full(60, 60), np.tile([60, 67], 30)):
        assert len(fingerprint(np.arange(len(line)), line).shingles) == 0


def test_many_copies_stay_one_group_and_weak_chains_end() -> None:
    copies = [(0, j, 0.9) for j in range(1, 300)]
    assert set(group(300, copies)) == {0}
    chain = [(i, i + 1, 0.1) for i in range(299)]
    assert max(np.bincount(group(300, chain))) <= 64
    assert group(4, []) == [0, 1, 2, 3]


def test_a_bucket_of_copies_is_a_chain_not_a_square() -> None:
    same = fingerprint(np.arange(200), walk(3))
    pairs = candidates([same] * 500)
    assert len(pairs) == 499
    assert set(group(500, near_duplicates([same] * 500, evidence=1))) == {0}


@given(st.integers(0, 10_000), st.integers(-12, 12), st.sampled_from([0.25, 1.0, 1.5]), st.integers(0, 5))
def test_key_tempo_and_order_of_the_notes_do_not_matter(seed: int, key: int, stretch: float, shuffle: int) -> None:
    line = walk(seed % 50, 60)
    onset = np.arange(60) * stretch
    order = np.random.default_rng(shuffle).permutation(60)
    plain = fingerprint(np.arange(60.0), line)
    assert np.array_equal(plain.shingles, fingerprint(onset[order], line[order] + key).shingles)
    assert np.array_equal(plain.shingles, Fingerprint.from_bytes(plain.to_bytes()).shingles)


@given(st.lists(st.integers(0, 127), max_size=40))
def test_any_notes_give_a_print(pitch: list[int]) -> None:
    made = fingerprint(np.arange(len(pitch)), np.array(pitch, int))
    assert made.shingles.dtype == np.uint32 and len(made.shingles) <= max(len(pitch) - GRAM, 0)
    assert near_duplicates([made, made], evidence=1) == [] or len(made.shingles) > 0


@given(st.integers(0, 1000), st.integers(0, 60))
def test_cuts_follow_the_music(seed: int, dropped: int) -> None:
    shingles = fingerprint(np.arange(400), walk(seed, 400)).shingles
    bounds = window_bounds(shingles)
    assert bounds[0] == 0 and bounds[-1] == len(shingles)
    assert (np.diff(bounds) > 0).all() and np.diff(bounds).max() <= LONGEST
    late = window_bounds(shingles[dropped:]) + dropped  # the same music without its beginning
    common = set(bounds.tolist()) & set(late.tolist())
    assert len(common) >= 0.5 * len(late)


def test_a_print_is_the_same_on_every_machine() -> None:
    line = np.array([60, 64, 62, 67, 65, 69, 60, 71, 64, 72])
    assert fingerprint(np.arange(10), line).to_bytes().hex() == "b4c5f1e28d9199e43f01be759aae6deb"


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="onsets"):
        fingerprint(np.arange(3), np.arange(2))
    with pytest.raises(ValueError):
        Fingerprint.from_bytes(b"abc")
    assert near_duplicates([]) == [] and near_duplicates([Fingerprint(np.zeros(0, np.uint32))] * 3) == []


@pytest.mark.skipif(not (SHARED / "asap").is_dir(), reason="needs the ASAP data set at ../shared/data")
def test_performances_are_found_with_their_score() -> None:
    with (SHARED / "asap" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["composer"] == "Bach" and row["kind"] != "score"]
    rows = sorted(rows, key=lambda row: row["folder"])[:60]
    prints = []
    for row in rows:
        score = read_midi(SHARED / "asap" / row["file"])
        prints.append(fingerprint(score.notes.onset / score.resolution, score.notes.pitch))
    found = {(i, j) for i, j, _ in near_duplicates(prints)}
    same = {(i, j) for i in range(60) for j in range(i + 1, 60) if rows[i]["folder"] == rows[j]["folder"]}
    assert len(same) > 50
    assert len(found & same) / len(same) > 0.95
    assert len(found - same) <= 2
