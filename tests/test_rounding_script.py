"""The benchmark of rhythm: what is right, and where the beats of a score lie in its performance."""

from __future__ import annotations

import numpy as np
import pytest

from scoresim.data.rubato import Written

pytest.importorskip("parangonar", reason="performances are laid along scores by parangonar")
QUARTERS = np.array([0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.75, 3.0])


def test_a_rhythm_is_right_at_any_octave_of_the_tempo_and_wrong_where_a_note_is_late(script):
    right = script("benchmarks/rounding.py").right
    assert [right(tempo * QUARTERS + 7, QUARTERS) for tempo in (1, 2, 0.5)] == [1.0, 1.0, 1.0]
    late = QUARTERS + np.array([0, 0, 0, 0.25, 0, 0, 0, 0])
    assert right(late, QUARTERS) == pytest.approx(4 / 6), "itself, and the one after it"
    apart = QUARTERS + np.array([0, 0, 0, 0, 0, 0, 0, 1])
    assert right(np.r_[apart, 9], np.r_[QUARTERS, np.nan]) == pytest.approx(5 / 6), "one that is not found is not asked"


def test_beats_lie_between_the_notes_that_are_found(script):
    ones = np.ones(8, dtype=np.int64)
    score = Written(QUARTERS, QUARTERS * 0 + 0.25, 60 * ones, ones, np.array([0.0, 2.0, 5.0]), ((2, 4), (3, 4)))
    found = script("benchmarks/rounding.py").beats_of(score, QUARTERS, 0.6 * QUARTERS + 1)
    assert found.seconds == pytest.approx(0.6 * np.arange(4) + 1)
    assert found.downbeat.tolist() == [True, False, True, False]
    assert found.signatures == ((0, 2, 4), (2, 3, 4))
