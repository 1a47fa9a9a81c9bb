"""The same passage with one bar altered."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.data.alter import KINDS, alter
from scoresim.data.batches import Passages
from scoresim.data.rows import BatchConfig
from scoresim.data.spacing import along
from scoresim.data.synthetic import make, synthetic
from scoresim.score.tokens import ATTRIBUTES, FIRST, default_vocabulary

VOCABULARY = default_vocabulary()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 200), st.integers(0, 1000))
def test_one_bar_differs_in_one_way_and_the_rest_stays(index: int, seed: int) -> None:
    pair = make(index, 3)
    ids, bar = pair.notes.astype(np.int16), pair.bar_of_note.astype(np.int16)
    new = alter(ids, bar, pair.onset, pair.length, VOCABULARY, np.random.default_rng(seed))
    assert new.kind >= 0
    before, after = (
        {b: sorted(map(tuple, rows[bars == b].tolist())) for b in range(pair.n_bars)}
        for rows, bars in ((ids, bar), (new.ids, new.bar))
    )
    changed = [b for b in before if before[b] != after[b]]
    assert len(changed) == 1
    old, altered = np.array(before[changed[0]]), np.array(after[changed[0]])
    kind = KINDS[new.kind]
    if kind == "transposed":
        steps = np.unique(np.sort(altered[:, 2]) - np.sort(old[:, 2]))
        assert len(steps) == 1 and 1 <= abs(steps[0]) <= 7
    elif kind == "pitch":
        assert sorted(altered[:, 1]) == sorted(old[:, 1])
        assert sum((np.sort(altered[:, 2]) != np.sort(old[:, 2])).tolist()) >= 1
    else:
        assert sorted(altered[:, 2]) == sorted(old[:, 2])
        assert sorted(altered[:, 1]) != sorted(old[:, 1])
    assert [tuple(r) for r in new.ids[:, :3].tolist()] == sorted(map(tuple, new.ids[:, :3].tolist()))
    assert (np.diff(new.onset) >= 0).all()
    np.testing.assert_allclose(new.onset, new.bar * 4 + (new.ids[:, 1] - FIRST) / 24, atol=1e-4)


def test_a_single_grace_note_can_be_moved_by_pitch_only() -> None:
    ids = np.full((1, 8), FIRST, dtype=np.int16)
    ids[0, 2] += 60
    zero = np.zeros(1, np.int16)
    kinds = {
        alter(ids, zero, zero.astype(np.float32), 4.0, VOCABULARY, np.random.default_rng(i)).kind for i in range(20)
    }
    assert {KINDS[k] for k in kinds} == {"pitch", "transposed"}


def test_altered_batches_are_a_function_of_seed_and_step_and_keep_places_exact() -> None:
    source = synthetic(16, seed=1)
    passages = Passages(source, BatchConfig(batch_size=8), vocabulary=VOCABULARY)
    one, again, other = passages.batch(0, 0), passages.batch(0, 0), passages.batch(1, 0)
    assert one.altered is not None and again.altered is not None and one.alteration is not None
    assert (one.altered.ids == again.altered.ids).all()
    assert other.altered is not None
    assert (one.alteration >= 0).all()
    assert (one.altered.mask == one.notes.mask).all()
    for b, row in enumerate(one.index.tolist()):
        n = int(one.notes.mask[b].sum())
        ids = one.altered.ids[b, :n].numpy()
        onset = (ids[:, 0] - FIRST) * 4 + (ids[:, 1] - FIRST) / 24
        np.testing.assert_allclose(
            one.altered.time[b, :n].numpy(), along(onset.astype(np.float32), source[row].length), atol=1e-4
        )
    assert Passages(source).batch(0, 0).altered is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 95), st.integers(1, 900)), min_size=1, max_size=8, unique_by=lambda n: n[0]))
def test_long_and_tied_notes_never_leave_their_bar_or_the_vocabulary(notes: list[tuple[int, int]]) -> None:
    """Two bars of 96 steps with the same onsets; durations may reach over the bar line, as tied notes do."""
    onsets = sorted(notes)
    ids = np.full((2 * len(onsets), 8), FIRST, dtype=np.int16)
    bar = np.repeat([0, 1], len(onsets)).astype(np.int16)
    for i, (position, duration) in enumerate(onsets * 2):
        nearest = np.abs(np.array(VOCABULARY.durations) - duration).argmin()
        ids[i, :4] = FIRST + bar[i], FIRST + position, FIRST + 60, FIRST + nearest
    onset = (bar * 4 + (ids[:, 1] - FIRST) / 24).astype(np.float32)
    for seed in range(6):
        new = alter(ids, bar, onset, 8.0, VOCABULARY, np.random.default_rng(seed))
        position = new.ids[:, 1] - FIRST
        assert (position >= 0).all() and (position < 96).all()
        assert (new.ids < np.array(VOCABULARY.sizes)).all()
        np.testing.assert_allclose(new.onset, new.bar * 4 + position / 24, atol=1e-4)
        moved = set(position.tolist()) - {p for p, _ in onsets}
        assert all(p % 3 == 0 or p % 4 == 0 for p in moved)


def test_a_note_that_is_held_over_bars_stays_in_its_own() -> None:
    """Nothing begins in the two bars after it; moved there, its position would be one that no bar of four has."""
    ids = np.full((2, 8), FIRST, dtype=np.int16)
    bars = np.array([0, 3], dtype=np.int16)
    metre = VOCABULARY.time_signatures.index((4, 4))
    held = np.abs(np.array(VOCABULARY.durations) - 288).argmin()
    for row, bar in enumerate(bars.tolist()):
        ids[row, :4] = FIRST + bar, FIRST, FIRST + 60, FIRST + held
        ids[row, ATTRIBUTES.index("time_signature")] = FIRST + metre
    onset = (bars * 4).astype(np.float32)
    kinds = set()
    for seed in range(60):
        new = alter(ids, bars, onset, 16.0, VOCABULARY, np.random.default_rng(seed))
        kinds.add(KINDS[new.kind])
        assert (new.ids[:, 1] - FIRST < 96).all() and (np.diff(new.onset) > 0).all()
    assert "rhythm" in kinds
