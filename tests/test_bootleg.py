"""Bootleg scores and other looks: rules and pictures that the retrieval task puts beside a model."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoresim.benchmark import bootleg
from scoresim.data.looks import DegradedSplit
from scoresim.data.pair import Pair
from scoresim.data.synthetic import SPACE, STAVES, synthetic
from scoresim.score.degrade import Kind


def with_staves(pair: Pair) -> Pair:
    """A made-up passage with the boxes of its staves: worked out from where a head of known pitch stands."""
    boxes = []
    for staff in range(1, pair.n_staves + 1):
        note = int(np.flatnonzero(pair.staff == staff)[0])
        y = float(pair.heads[note, [2, 4]].mean())
        name = pair.spelling[note]
        step = 7 * int(name[-1]) + "CDEFGAB".index(name[0])
        bottom = y + (step - STAVES[staff - 1][0]) * SPACE / 2
        boxes.append([0, staff, 0, bottom - 4 * SPACE, pair.width, bottom])
    return replace(pair, staff_boxes=np.array(boxes, np.float32))


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [with_staves(pair) for pair in synthetic(24, 4)]


def test_every_head_is_among_the_heights_that_its_pitch_can_have(pairs: list[Pair]) -> None:
    for pair in pairs:
        image, notes = bootleg.image_columns(pair), bootleg.note_columns(pair)
        assert len(image) == len(notes) == len(np.unique(pair.onset))
        assert (image <= notes).all()
        assert image.sum() == len(pair.heads)


def test_a_passage_fits_its_own_image_best(pairs: list[Pair]) -> None:
    scores = bootleg.scores(pairs)
    np.testing.assert_allclose(scores.diagonal(), 0.0, atol=1e-6)
    best = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1)
    assert (best == 1).mean() > 0.9


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_warping_is_the_least_cost_over_all_paths(C: int, L: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = (rng.random((C, 2 * bootleg.HEIGHTS)) < 0.1).astype(np.float32)
    notes = (rng.random((1, L, 2 * bootleg.HEIGHTS)) < 0.3).astype(np.float32)
    cost = 1 - (image @ notes[0].T) / np.maximum(image.sum(1, keepdims=True), 1e-9)

    def paths(i: int, j: int) -> list[tuple[float, int]]:
        if i == C - 1 and j == L - 1:
            return [(float(cost[i, j]), 1)]
        steps = [(1, 1), (1, 0), (0, 1)]
        rest = [p for a, b in steps if i + a < C and j + b < L for p in paths(i + a, j + b)]
        return [(total + float(cost[i, j]), count + 1) for total, count in rest]

    least = min(total for total, _ in paths(0, 0))
    allowed = {round(total / count, 5) for total, count in paths(0, 0) if abs(total - least) < 1e-5}
    found = float(bootleg.warped(image, notes, np.array([L]))[0])
    assert any(abs(found - value) < 1e-4 for value in allowed)


def test_no_notes_and_no_staves_fit_nothing(pairs: list[Pair]) -> None:
    bare = replace(pairs[0], staff_boxes=np.zeros((0, 6), np.float32))
    assert bootleg.scores([bare, pairs[1]])[0].tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("kind", ["scan", "photo"])
def test_another_look_moves_boxes_and_is_the_same_every_time(kind: Kind) -> None:
    pytest.importorskip("cv2", reason="the extra 'degrade' is not installed")
    part = DegradedSplit(synthetic(4, 0), kind, 1)
    one, again = part[2], part[2]
    assert one.image == again.image != part.source[2].image
    assert one.degraded == kind
    picture = Image.open(io.BytesIO(one.image))
    assert picture.size == (one.width, one.height)
    dark = np.asarray(picture.convert("L"), dtype=float)
    for _, x0, y0, x1, y1 in one.heads.tolist():
        y, x = int((y0 + y1) / 2), int((x0 + x1) / 2)
        around = dark[max(y - 20, 0) : y + 20, max(x - 20, 0) : x + 20]
        inside = dark[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
        assert inside.min() < around.mean(), "every head still stands on ink"
    assert not np.array_equal(one.heads, part.source[2].heads)
    assert len(part) == 4 and part.column("id") == part.source.column("id")


def test_a_mix_has_all_looks_and_leaves_the_clean_third_as_it_is() -> None:
    pytest.importorskip("cv2", reason="the extra 'degrade' is not installed")
    part = DegradedSplit(synthetic(24, 0), "mix", 1)
    kinds = [pair.degraded for pair in (part[i] for i in range(24))]
    assert set(kinds) == {"none", "scan", "photo"}
    assert kinds != [part.source[i].degraded for i in range(24)]
    assert all(part[i].image == part.source[i].image for i, kind in enumerate(kinds) if kind == "none")
    assert kinds != [pair.degraded for pair in (DegradedSplit(synthetic(24, 0), "mix", 2)[i] for i in range(24))]
