"""Pages as they come from a scanner or a phone: systems found, upright, in order, and hostile files refused."""

import csv
import io
import itertools
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

pytest.importorskip("cv2", reason='needs OpenCV: pip install "scoresim[pages]"')

from scoresim.data.page import Limits, PageSystem, open_pages, systems_of
from scoresim.data.rows import scaled
from scoresim.data.staves import find_staves
from scoresim.errors import BadInput
from scoresim.score.degrade import degrade
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.read import read_text
from scoresim.score.warp import Warp

Grey = NDArray[np.uint8]
FIXTURES = Path(__file__).parent / "fixtures"
SCANS = Path(__file__).parents[2] / "shared" / "data" / "scans"


@cache
def engraved(space: float = 9.0) -> tuple[Grey, ...]:
    """Systems of a piano piece, drawn by the package: [h, w] each, 255 is paper."""
    config = EngraveConfig(staff_space=space, page_width=90.0)
    engraving = Engraving(read_text(FIXTURES / "piano.musicxml", "musicxml"), config)
    return tuple(engraving.draw(layout).ink for layout in engraving.page(0))


def stacked(systems: list[Grey], gaps: list[int], left: int = 60, right: int = 50) -> tuple[Grey, NDArray[np.float64]]:
    """Systems under each other on a page, gaps before each and after the last, and their boxes."""
    height = sum(len(system) for system in systems) + sum(gaps)
    page = np.full((height, left + max(system.shape[1] for system in systems) + right), 255, np.uint8)
    boxes, y = [], 0
    for system, gap in zip(systems, gaps, strict=False):
        y += gap
        page[y : y + len(system), left : left + system.shape[1]] = system
        boxes.append([left, y, left + system.shape[1], y + len(system)])
        y += len(system)
    return page, np.array(boxes, dtype=float)


@cache
def piano_page(count: int = 4, space: float = 9.0) -> tuple[Grey, NDArray[np.float64]]:
    systems = list(itertools.islice(itertools.cycle(engraved(space)), count))
    return stacked(systems, [round(4 * space)] * (count + 1), round(6 * space), round(5 * space))


def check(found: list[PageSystem], boxes: NDArray[np.float64], staves: int, same: float = 0.5) -> None:
    """As many systems as boxes, each around its own, with its staves, which the reader of passages sees again."""
    assert [system.staves for system in found] == [staves] * len(boxes)
    for system, box in zip(found, boxes, strict=True):
        low, high = np.maximum(system.box[:2], box[:2]), np.minimum(system.box[2:], box[2:])
        shared = (high - low).clip(0).prod()
        union = (np.array(system.box[2:]) - system.box[:2]).prod() + (box[2:] - box[:2]).prod() - shared
        assert shared / union > same
        again = find_staves(system.image, system.space)
        assert [(staff.system, staff.number) for staff in again] == [(0, k) for k in range(staves)]
        assert np.median(system.image) == 0, "the paper is white"


@pytest.mark.parametrize("space", [5.0, 9.0, 12.5, 24.0])
def test_systems_of_an_engraved_page(space: float) -> None:
    page, boxes = piano_page(3, space)
    found = systems_of(page)
    check(found, boxes, 2)
    for system in found:
        small = find_staves(scaled(system.image, 4.0 / system.space), 4.0)
        assert len(small) == 2, "also at the size at which the model reads"


def test_a_picture_of_one_system() -> None:
    system = engraved()[0]
    check(systems_of(system), np.array([[0, 0, system.shape[1], len(system)]], dtype=float), 2)


@pytest.mark.parametrize("degrees", [-6.0, -3.0, -1.0, 0.4, 2.0, 5.0])
def test_a_skewed_page(degrees: float) -> None:
    page, boxes = piano_page()
    warp = Warp.turned(*page.shape, 20, degrees)
    check(systems_of(warp.apply(page)), warp.move(boxes), 2)


@pytest.mark.parametrize("seed", range(6))
def test_a_photographed_page(seed: int) -> None:
    page, boxes = piano_page()
    photo = degrade(page, 9.0, "photo", seed)
    check(systems_of(photo.image), photo.move(boxes), 2)


def test_a_sheet_on_a_dark_table_seen_from_the_side() -> None:
    page, boxes = piano_page(5, 12.0)
    height, width = page.shape
    table = np.full((height + 300, width + 400), 50, np.uint8)
    table[150:-150, 200:-200] = np.minimum(page, 225)
    table = np.rint(table * np.linspace(1.0, 0.6, table.shape[1])).astype(np.uint8)
    shift = np.array([[30.0, 10.0], [-20.0, 25.0], [40.0, -10.0], [-10.0, 0.0]])
    warp = Warp.curved(*table.shape, 0, shift, 6.0, 0.0)
    photo = warp.apply(table)
    photo = np.clip(photo + np.random.default_rng(0).normal(0, 6, photo.shape), 0, 255).astype(np.uint8)
    check(systems_of(photo), warp.move(boxes + np.array([200, 150, 200, 150])), 2)


QUARTET = """**kern	**kern	**kern	**kern
*clefF4	*clefG2	*clefG2	*clefG2
*M4/4	*M4/4	*M4/4	*M4/4
=1	=1	=1	=1
4C	4e	4g	4cc
4D	4f	4a	4dd
2E	2g	2b	2ee
=2	=2	=2	=2
1F	1a	1cc	1ff
==	==	==	==
*-	*-	*-	*-
"""


def test_four_staves_whose_joining_line_has_gaps() -> None:
    engraving = Engraving(QUARTET, EngraveConfig(staff_space=9.0))
    system = engraving.draw(engraving.page(0)[0]).ink.copy()
    blank = np.flatnonzero((system < 128).mean(axis=1) < 0.2)
    for row in blank[(blank % 25) == 0]:
        system[row : row + 3] = np.where((system[row : row + 3] < 128).mean() < 0.2, 255, system[row : row + 3])
    page, boxes = stacked([system, system], [50, 50, 50])
    check(systems_of(page), boxes, 4, same=0.4)


def test_staves_that_nothing_joins_are_systems_of_their_own(tune: Callable[[int], str]) -> None:
    engraving = Engraving(tune(1), EngraveConfig(staff_space=9.0, page_width=60.0))
    page, boxes = stacked([engraving.draw(layout).ink for layout in engraving.page(0)] * 2, [60] * 20)
    found = systems_of(page)
    assert len(boxes) >= 2
    assert [system.staves for system in found] == [1] * len(boxes)


def test_an_opened_book_is_read_page_by_page() -> None:
    page, boxes = piano_page(3)
    book = np.concatenate([page, np.full((len(page), 60), 255, np.uint8), page], axis=1)
    shift = page.shape[1] + 60.0
    check(systems_of(book), np.concatenate([boxes, boxes + np.array([shift, 0, shift, 0])]), 2)


def test_titles_borders_and_stains_are_no_systems() -> None:
    page, boxes = piano_page()
    page = np.pad(page, ((200, 120), (40, 0)), constant_values=255)
    page[:, :25] = 0
    picture = Image.fromarray(page)
    pen = ImageDraw.Draw(picture)
    for line in range(9):
        pen.text((150, 20 + 18 * line), "Sonate für das Pianoforte, dem Fürsten gewidmet " * 2, fill=0)
    pen.ellipse((300, 230, 420, 330), fill=180)
    check(systems_of(np.asarray(picture)), boxes + np.array([40, 200, 40, 200]), 2)


@settings(max_examples=20, deadline=None)
@given(
    which=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    gaps=st.lists(st.integers(15, 150), min_size=7, max_size=7),
    left=st.integers(20, 200),
    right=st.integers(5, 200),
)
def test_any_stack_of_systems(which: list[int], gaps: list[int], left: int, right: int) -> None:
    systems = engraved()
    page, _ = stacked([systems[k % len(systems)] for k in which], gaps[: len(which) + 1], left, right)
    found = systems_of(page)
    assert [system.staves for system in found] == [2] * len(which)
    assert all(above.box[1] < below.box[1] for above, below in itertools.pairwise(found))
    for system in found:
        assert system.image.dtype == np.uint8 and 0 <= system.box[0] < system.box[2] <= page.shape[1]
        assert len(find_staves(system.image, system.space)) == 2


def text_page() -> Grey:
    picture = Image.new("L", (900, 1200), 255)
    pen = ImageDraw.Draw(picture)
    for line in range(60):
        pen.text((60, 40 + 18 * line), "There is no music on this page, only words about it. " * 2, fill=0)
    return np.asarray(picture)


NO_MUSIC = {
    "paper": np.full((800, 600), 255, np.uint8),
    "black": np.zeros((800, 600), np.uint8),
    "a pixel": np.zeros((1, 1), np.uint8),
    "a line": np.full((1, 3000), 255, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (700, 500)).astype(np.uint8),
    "stripes": np.repeat(np.arange(600) // 9 % 2 * 255, 400).reshape(600, 400).astype(np.uint8)[:, :30],
    "words": text_page(),
    "a long strip": np.repeat(np.arange(60_000) // 2 % 2 * 255, 20).reshape(60_000, 20).astype(np.uint8),
}


@pytest.mark.parametrize("name", NO_MUSIC)
def test_a_page_without_staves_says_so(name: str) -> None:
    with pytest.raises(BadInput, match=r"^No staff was found on this picture; [^.]*\.$"):
        systems_of(NO_MUSIC[name])


def test_a_picture_in_colour_or_of_floats_is_a_mistake_of_the_caller() -> None:
    for image in (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9)), np.zeros((0, 9), np.uint8)):
        with pytest.raises(ValueError, match="grey"):
            systems_of(image)


# --- files ---


def saved(page: Grey, kind: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(page).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def pdf_of(pages: int) -> bytes:
    """A PDF of pictures, as Pillow writes it."""
    buffer = io.BytesIO()
    first, *rest = [Image.fromarray(np.full((60, 40), 255, np.uint8))] * pages
    first.save(buffer, "PDF", save_all=True, append_images=rest)
    return buffer.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "L"), ("PNG", "1"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "RGB"), ("TIFF", "1")],
)
def test_pictures_of_many_kinds_are_read(tmp_path: Path, kind: str, mode: str) -> None:
    page, boxes = piano_page(2)
    path = tmp_path / "named wrongly.txt"
    if mode == "I;16":
        buffer = io.BytesIO()
        Image.fromarray(page.astype(np.uint16) * 257).save(buffer, kind)
        path.write_bytes(buffer.getvalue())
    else:
        path.write_bytes(saved(page, kind, mode))
    (read,) = open_pages(path)
    assert read.shape == page.shape and read.dtype == np.uint8
    assert np.abs(read.astype(int) - page).mean() < 8
    check(systems_of(read), boxes, 2)


def test_what_is_transparent_is_paper(tmp_path: Path) -> None:
    page = np.zeros((20, 30, 4), np.uint8)
    Image.fromarray(page).save(tmp_path / "page.png")
    assert (open_pages(tmp_path / "page.png")[0] == 255).all()


def test_a_phone_says_how_it_was_held(tmp_path: Path) -> None:
    page, _ = piano_page(2)
    picture = Image.fromarray(np.rot90(page))
    exif = picture.getexif()
    exif[0x0112] = 6  # turn clockwise
    picture.save(tmp_path / "photo.jpg", exif=exif)
    assert open_pages(tmp_path / "photo.jpg")[0].shape == page.shape


def test_all_pages_of_a_tiff_and_of_a_pdf(tmp_path: Path) -> None:
    page, boxes = piano_page(2)
    first, second = Image.fromarray(page).convert("1"), Image.fromarray(page[::-1].copy()).convert("1")
    first.save(tmp_path / "book.tif", save_all=True, append_images=[second], compression="group4")
    pages = open_pages(tmp_path / "book.tif")
    assert len(pages) == 2
    assert np.array_equal(pages[0], np.asarray(first.convert("L")))
    pytest.importorskip("pypdfium2", reason='needs pypdfium2: pip install "scoresim[pages]"')
    first.convert("L").save(tmp_path / "book.pdf", save_all=True, append_images=[second.convert("L")], resolution=150)
    pages = open_pages(tmp_path / "book.pdf", Limits(dpi=150))
    assert len(pages) == 2
    assert pages[0].shape == pytest.approx(page.shape, abs=2)
    check(systems_of(pages[0]), boxes, 2)


HOSTILE = {
    "empty": b"",
    "words": b"These are only words.",
    "truncated": saved(text_page(), "PNG")[:3000],
    "truncated jpeg": saved(text_page(), "JPEG")[:5000],
    "bomb": bomb(),
    "large": bomb(12_000, 12_000),
    "a kind not asked for": saved(text_page(), "GIF"),
    "no pdf": b"%PDF-1.7\nnothing",
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(BadInput, match=r"page\.png .*\.$") as caught:
        open_pages(path)
    assert "\n" not in str(caught.value)


def test_limits(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason='needs pypdfium2: pip install "scoresim[pages]"')
    book, tiff = tmp_path / "book.pdf", tmp_path / "book.tif"
    book.write_bytes(pdf_of(4))
    page = Image.fromarray(np.full((60, 40), 255, np.uint8))
    page.save(tiff, save_all=True, append_images=[page] * 3)
    for path in (book, tiff):
        assert len(open_pages(path, Limits(pages=4))) == 4
        with pytest.raises(BadInput, match="has more than 3 pages; give fewer at a time"):
            open_pages(path, Limits(pages=3))
        with pytest.raises(BadInput, match="together"):
            open_pages(path, Limits(total=0.007))
        with pytest.raises(BadInput, match="MB"):
            open_pages(path, Limits(megabytes=0.0005))
    with pytest.raises(BadInput, match="megapixels"):
        open_pages(tiff, Limits(megapixels=0.002))
    shape = open_pages(book, Limits(megapixels=0.002))[0].shape
    assert shape[0] * shape[1] <= 2000, "a page of a PDF is drawn as large as it may be"
    for path in (tmp_path, tmp_path / "not there.png"):
        with pytest.raises(BadInput, match="is not a file"):
            open_pages(path)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["PNG", "JPEG", "TIFF", "PDF"]), changes=st.lists(st.integers(0, 2**32), max_size=12))
@pytest.mark.slow
def test_a_damaged_file_is_read_or_refused(
    kind: str, changes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(pdf_of(2) if kind == "PDF" else saved(text_page()[:200, :200], kind))
    for change in changes:
        data[(change >> 8) % len(data)] = change & 255
    path = tmp_path_factory.mktemp("damaged") / "page"
    path.write_bytes(data)
    try:
        pages = open_pages(path, Limits(megapixels=4, total=8, dpi=72))
    except BadInput:
        return
    assert all(page.ndim == 2 and page.dtype == np.uint8 for page in pages)


@pytest.mark.skipif(not SCANS.is_dir(), reason="the scanned pages are not beside the repository")
def test_real_scans() -> None:
    with (FIXTURES / "scan_systems.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    names = sorted({line["file"] for line in lines})[::8]
    assert len(names) == 6
    for name in names:
        boxes = [[float(line[key]) for key in ("x0", "y0", "x1", "y1")] for line in lines if line["file"] == name]
        found = systems_of(open_pages(SCANS / name)[0])
        assert [system.staves for system in found] == [2] * len(boxes)
        for system, box in zip(found, boxes, strict=True):
            assert np.abs(np.array(system.box) - box).max() < 40, "pixels"
