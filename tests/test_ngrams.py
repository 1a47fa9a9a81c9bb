"""N-grams of notes: how many there are, what they stand for, and that the same notes have the same for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoresim.model.counted import BUCKETS
from scoresim.score.tokens import FIRST, GRID, default_vocabulary
from scoresim.understand.ngrams import count_ngrams

OF_ONSETS, OF_NOTES = (4, 3, 4, 5, 3, 3, 2, 3, 2), (3, 1, 2, 2)  # longest runs of the streams
OF_PITCHES = (3, 1)  # of those that are of notes and name pitches
Note = tuple[float, int, float]  # onset and length in quarter notes, pitch between them

notes = st.tuples(st.integers(0, 40).map(lambda k: k / 4), st.integers(20, 100), st.sampled_from((0.25, 0.5, 1.0, 3.0)))
lists = st.lists(notes, min_size=1, max_size=12, unique_by=lambda note: note[:2])


def counted(given: Sequence[Note], loud: Sequence[int] = (16,)) -> Any:
    """N-grams of notes in 4/4."""
    onset, pitch, length = (np.array(column) for column in zip(*sorted(given), strict=True))
    ids = np.full((len(onset), 8), FIRST, dtype=np.int64)
    ids[:, 0] += (onset // 4).astype(np.int64)
    ids[:, 1] += np.round(onset % 4 * GRID).astype(np.int64)
    ids[:, 2] += pitch
    ids[:, 3] += np.round(length * GRID).astype(np.int64) - 1
    ids[:, 4] += np.resize(np.array(loud), len(onset))
    return count_ngrams(cast(Any, SimpleNamespace(notes=ids, onset=onset)), default_vocabulary())


def runs(longest: tuple[int, ...], symbols: int) -> int:
    return sum(max(symbols - n + 1, 0) for most in longest for n in range(1, most + 1))


@given(given=lists)
def test_every_run_of_every_stream_is_counted_once(given: list[Note]) -> None:
    found = counted(given)
    assert found.shape == (BUCKETS,)
    onsets = len({note[0] for note in given})
    assert found.sum() == runs(OF_ONSETS, onsets) + runs(OF_NOTES, len(given))


@given(given=lists, by=st.integers(1, 11))
def test_transposed_music_differs_in_its_pitches_alone(given: list[Note], by: int) -> None:
    other = [(onset, pitch + by, length) for onset, pitch, length in given]
    apart = np.abs(counted(given) - counted(other)).sum()
    assert 0 < apart <= 2 * runs(OF_PITCHES, len(given))


def test_rhythm_chord_loudness_and_order_tell_music_apart() -> None:
    plain: list[Note] = [(0.0, 60, 1.0), (1.0, 64, 1.0), (2.0, 67, 1.0)]
    found = {
        "as it is": counted(plain),
        "hurried": counted([(t / 2, p, d / 2) for t, p, d in plain]),
        "backwards": counted([(2 - t, p, d) for t, p, d in plain]),
        "a chord": counted([(0.0, p, d) for _, p, d in plain]),
        "shorter": counted([(t, p, 0.25) for t, p, _ in plain]),
        "louder": counted(plain, loud=(20,)),
    }
    assert len({one.tobytes() for one in found.values()}) == len(found)


def test_the_same_notes_have_the_same_buckets_for_ever() -> None:
    """Heads that ship have learnt from these buckets: whoever changes them changes `N_GRAMS`."""
    tune: list[Note] = [(k / 2, 60 + (k * 7) % 12, 0.5) for k in range(32)]
    chords: list[Note] = [(4.0 * bar, low, 4.0) for bar in range(4) for low in (40, 47, 52 + bar)]
    found = counted([*tune, *chords], loud=(12, 16, 20))
    assert hashlib.sha256(found.astype("<f4").tobytes()).hexdigest()[:16] == "53eb96314acd45cf"
