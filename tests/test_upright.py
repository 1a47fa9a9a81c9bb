"""Paper made white, lines made straight: on made-up staves of known tilt, and on pictures that need nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.data.staves import find_staves
from scoresim.data.upright import upright, whitened
from scoresim.score.degrade import degrade

SPACE = 8.0


def staves(count: int = 2, tilt: float = 0.0, bend: float = 0.0, width: int = 480) -> np.ndarray:
    """Staves with a few heads, their lines sloping down by `tilt` spaces and sagging by `bend` spaces; 255 is black."""
    ink = np.zeros((int((count * 12 + 8) * SPACE), width), dtype=np.uint8)
    x = np.arange(width)
    down = tilt * SPACE * (x / width - 0.5) + bend * SPACE * (4 * (x / width - 0.5) ** 2 - 0.3)
    for staff in range(count):
        middle = (staff * 12 + 8) * SPACE
        for line in range(-2, 3):
            y = np.rint(middle + line * SPACE + down).astype(int)
            ink[y, x] = 255
        for k, left in enumerate(range(60, width - 20, 50)):
            top = round(middle + (k % 5 - 2) * SPACE / 2 + down[left])
            ink[top - 3 : top + 4, left : left + 10] = 255
    ink[round(6 * SPACE) : round((count * 12 - 2) * SPACE), 8] = 255
    return ink


@given(st.integers(1, 3), st.floats(-4, 4), st.floats(-1.5, 1.5))
@settings(max_examples=25, deadline=None)
def test_tilted_and_bent_staves_are_found(count: int, tilt: float, bend: float) -> None:
    level, _ = upright(staves(count, tilt, bend), SPACE)
    assert len(find_staves(level, SPACE)) == count


def test_lines_run_along_rows_afterwards() -> None:
    ink = staves(2, 4.0, 1.5)
    before, after = ((picture > 128).mean(axis=1).max() for picture in (ink, upright(ink, SPACE)[0]))
    assert before < 0.5 < 0.8 < after


def test_a_level_picture_is_left_as_it_is() -> None:
    ink = staves()
    level, moved = upright(ink, SPACE)
    assert level is ink
    assert not moved.any()


def test_columns_were_moved_as_it_says() -> None:
    ink = staves(2, tilt=3.0)
    level, moved = upright(ink, SPACE)
    assert moved[0] < -SPACE < SPACE < moved[-1]
    column = 240
    shift = moved[column]
    inside = slice(max(shift, 0), len(ink) + min(shift, 0))
    assert np.array_equal(
        level[max(-shift, 0) : len(ink) - max(shift, 0), column][: len(ink[inside])], ink[inside, column]
    )


@pytest.mark.parametrize("seed", range(4))
def test_grey_paper_becomes_white_and_ink_stays(seed: int) -> None:
    pytest.importorskip("cv2")
    photo = 255 - degrade(255 - staves(), SPACE, "photo", seed).image
    assert np.median(photo) > 8, "the paper of a photograph is grey"
    white = whitened(photo, SPACE)
    assert np.median(white) == 0
    assert 0.3 < (white > 128).mean() / (staves() > 128).mean() < 2.5
    assert len(find_staves(upright(photo, SPACE)[0], SPACE)) == 2


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_any_picture_keeps_its_size(height: int, width: int, seed: int) -> None:
    ink = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    level, moved = upright(ink, SPACE)
    assert level.shape == ink.shape
    assert level.dtype == np.uint8
    assert moved.shape == (width,)
