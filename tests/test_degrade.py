"""Degraded pictures: boxes follow the ink, the seed decides everything, nothing drawn means nothing changed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("cv2", reason='needs OpenCV: pip install "scoresim[degrade]"')

from scoresim.score.degrade import KINDS, PHOTO_RANGES, SCAN_RANGES, Kind, degrade
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.read import read_text
from scoresim.score.system import System
from scoresim.score.warp import Warp

SPACE = 9.0


@pytest.fixture(scope="module")
def system() -> System:
    text = read_text(Path(__file__).parent / "fixtures" / "piano.musicxml", "musicxml")
    engraving = Engraving(text, EngraveConfig(staff_space=SPACE))
    return engraving.draw(engraving.page(0)[0])


def boxes_of(system: System) -> NDArray[np.float64]:
    return np.array([head.box for head in system.heads])


def darkness(image: NDArray[np.uint8], box: NDArray[np.float64]) -> float:
    x0, y0, x1, y1 = np.round(box).astype(int)
    return 255 - float(image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].mean())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS))
def test_moved_boxes_stand_on_note_heads(system: System, seed: int, kind: Kind) -> None:
    done = degrade(system.ink, SPACE, kind, seed)
    boxes = done.move(boxes_of(system))
    height, width = done.image.shape
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    inside = np.array([darkness(done.image, box) for box in boxes])
    # beside a head, 1.6 spaces to the left, there are at most staff lines, a stem or an accidental
    beside = np.array([darkness(done.image, box - (1.6 * SPACE, 0, 1.6 * SPACE, 0)) for box in boxes])
    assert np.median(inside) > np.median(beside) + 30
    assert (inside > np.median(beside)).mean() > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_one_square_moves_as_its_box_says(kind: Kind) -> None:
    """The exact test: on an empty page only the box that was filled is dark, wherever it stands."""
    for seed in range(8):
        for x, y in ((20, 15), (300, 60), (560, 130)):
            page = np.full((150, 600), 255, np.uint8)
            page[y : y + 12, x : x + 14] = 0
            warp = degrade(page, 9.0, kind, seed).move.__self__  # type: ignore[attr-defined]
            assert isinstance(warp, Warp)
            dark = warp.apply(page) < 128
            rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
            found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            moved = warp.move(np.array([[x, y, x + 14, y + 12]], dtype=float))[0]
            assert np.abs(found - moved).max() <= 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_no_strength_changes_nothing(system: System, kind: Kind) -> None:
    for seed in range(5):
        done = degrade(system.ink, SPACE, kind, seed, strength=0.0)
        assert np.array_equal(done.image, system.ink)
        assert np.allclose(done.move(boxes_of(system)), boxes_of(system), atol=1e-6)
        assert done.staff_space == pytest.approx(SPACE)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(system: System, kind: Kind) -> None:
    before = system.ink.copy()
    first, again, other = (degrade(system.ink, SPACE, kind, seed) for seed in (5, 5, 6))
    assert first.image.tobytes() == again.image.tobytes() and first.record == again.record
    assert first.image.shape != other.image.shape or first.image.tobytes() != other.image.tobytes()
    assert np.array_equal(system.ink, before), "the clean picture is not written on"


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_says_what_was_drawn(system: System, kind: Kind) -> None:
    for seed in range(20):
        record = degrade(system.ink, SPACE, kind, seed).record
        assert json.loads(json.dumps(record)) == record
        for name, (low, high) in (SCAN_RANGES if kind == "scan" else PHOTO_RANGES).items():
            assert min(low, 0) - 1e-4 <= record[name] <= max(high, 0) + 1e-4


def test_the_staff_space_is_that_of_the_picture(system: System) -> None:
    for kind in KINDS:
        for seed in range(10):
            done = degrade(system.ink, SPACE, kind, seed)
            (x0, y0, x1, y1) = system.staves[1]
            lines = np.linspace(y0, y1, 5)
            points = np.array([[(x0 + x1) / 2, y, (x0 + x1) / 2, y] for y in lines])
            assert np.diff(done.move(points)[:, 1]).mean() == pytest.approx(done.staff_space, rel=0.06)


@settings(max_examples=40, deadline=None)
@given(
    squeeze=st.floats(-0.12, 0.12),
    bow=st.floats(-20, 20),
    shift=st.lists(st.floats(-15, 15), min_size=8, max_size=8),
    margin=st.integers(0, 30),
)
def test_the_way_back_is_the_inverse(squeeze: float, bow: float, shift: list[float], margin: int) -> None:
    warp = Warp.curved(200, 700, margin, np.array(shift).reshape(4, 2), bow, squeeze)
    points = np.stack(np.meshgrid(np.linspace(0, 700, 7), np.linspace(0, 200, 5)), axis=-1).reshape(-1, 2)
    assert np.allclose(warp.back(warp.forward(points)), points, atol=1e-6)
    assert (warp.forward(points) >= margin - 1e-6).all()


def test_turning_is_clockwise_and_keeps_lengths() -> None:
    middle, right = Warp.turned(100, 300, 0, 5.0).forward(np.array([[150.0, 50.0], [250.0, 50.0]]))
    assert right - middle == pytest.approx([100 * np.cos(np.radians(5)), 100 * np.sin(np.radians(5))])


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_any_size_works_and_no_boxes_stay_none(height: int, width: int, seed: int, kind: Kind) -> None:
    done = degrade(np.full((height, width), 255, np.uint8), 8.0, kind, seed)
    assert done.image.dtype == np.uint8 and done.image.ndim == 2
    assert done.image.shape[0] >= height * 0.8 and done.image.shape[1] >= width * 0.8
    assert done.move(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("image", "space", "kind", "strength"),
    [
        (np.zeros((3, 3), np.float32), 8.0, "scan", 1.0),
        (np.zeros((3, 3, 3), np.uint8), 8.0, "scan", 1.0),
        (np.zeros((3, 0), np.uint8), 8.0, "scan", 1.0),
        (np.zeros((3, 3), np.uint8), 0.0, "scan", 1.0),
        (np.zeros((3, 3), np.uint8), 8.0, "fax", 1.0),
        (np.zeros((3, 3), np.uint8), 8.0, "photo", 1.5),
    ],
)
def test_nonsense_is_a_sentence(image: NDArray[np.uint8], space: float, kind: Kind, strength: float) -> None:
    with pytest.raises(ValueError, match=r"picture|staff space|no degradation|strength"):
        degrade(image, space, kind, 0, strength)
