from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.benchmark import baselines, metrics
from scoresim.data import seen
from scoresim.data.pair import Pair
from scoresim.score.tokens import FIRST, default_vocabulary
from scoresim.understand import features

VOCABULARY = default_vocabulary()


def pair(ids: np.ndarray, onset: np.ndarray, length: float = 4.0) -> Pair:
    n = len(ids)
    about = dict.fromkeys(("id", "corpus", "item", "work", "style", "composer", "title", "split"), "x")
    return Pair(
        **about,
        first_bar=0,
        n_bars=1,
        n_systems=1,
        image=b"",
        width=1,
        height=1,
        staff_space=8.0,
        notes=ids.astype(np.int32),
        bar_of_note=np.zeros(n, dtype=np.int32),
        onset=onset.astype(np.float32),
        length=length,
        staff=np.ones(n, dtype=np.int16),
        voice=np.ones(n, dtype=np.int16),
        n_staves=1,
        heads=np.zeros((0, 5), dtype=np.float32),
        bar_boxes=np.zeros((1, 4), dtype=np.float32),
        staff_boxes=np.zeros((0, 6), dtype=np.float32),
        spelling=["C4"] * n,
        onset_exact=["0/1"] * n,
        duration_exact=["1/1"] * n,
        agreement=1.0,
    )


def notes(*pitches: int) -> np.ndarray:
    ids = np.full((len(pitches), 8), FIRST, dtype=np.int32)
    ids[:, seen.PITCH] = np.array(pitches) + FIRST
    ids[:, seen.DURATION] = 23 + FIRST
    return ids


def test_skyline_on_a_hand_made_example() -> None:
    #      two chords and a held tune with a bass note under its second note
    ids, onset = notes(48, 55, 64, 50, 67, 41), np.array([0, 0, 0, 1, 1, 1.5])
    assert features.skyline(ids, onset).tolist() == [False, False, True, False, True, True]


def test_skyline_marks_doubles_of_the_highest_note() -> None:
    assert features.skyline(notes(60, 72, 72), np.zeros(3)).tolist() == [False, True, True]


def test_skyline_of_nothing() -> None:
    assert features.skyline(notes(), np.zeros(0)).shape == (0,)


def test_majority_is_the_most_frequent_class() -> None:
    scores = baselines.majority(np.array([2, 2, 0, 2, 1, -1, -1, -1, -1]), 5, 3)
    assert scores.shape == (5, 3)
    assert scores.argmax(1).tolist() == [2] * 5


def test_features_have_known_values() -> None:
    values = dict(
        zip(
            features.FEATURES,
            features.features(pair(notes(60, 64, 67, 72), np.arange(4.0)), VOCABULARY),
            strict=True,
        )
    )
    assert values["pitch: range"] == 12
    assert values["pitch: distinct"] == 4
    assert values["pitch class 0: share"] == 0.5
    assert values["top line: mean step"] == 4.0
    assert values["top line: share going up"] == 1.0
    assert values["duration: share up to 24/24 quarter"] == 1.0
    assert values["density: notes per quarter"] == 1.0
    assert values["rhythm: share on the beat"] == 1.0
    assert values["notes"] == 4.0


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_features_are_finite_on_any_passage(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    low = draw.integers(0, FIRST + 1)  # now and then padding or mask ids
    ids = np.stack([draw.integers(low, size, size=n) for size in VOCABULARY.sizes], axis=1).astype(np.int32)
    onset = np.sort(draw.choice([0.0, 0.5, 1 / 3, 2.0, 1e6], size=n))
    found = features.features(pair(ids, onset, float(draw.choice([0.0, 4.0, 1e6]))), VOCABULARY)
    assert found.shape == (len(features.FEATURES),)
    assert np.isfinite(found).all()


def test_classifier_learns_and_says_which() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, size=240)
    found = draw.normal(size=(240, 4)) + 3 * np.eye(3, 4)[truth]
    scores, name = baselines.classify((found[:120], truth[:120]), (found[120:180], truth[120:180]), found[180:], 4, 0)
    assert name in {"logistic regression", "gradient-boosted trees"}
    assert scores.shape == (60, 4)
    table = metrics.confusion(truth[180:], scores.argmax(1), 4)
    assert metrics.macro_f1(table.sum(0)) > 0.85
