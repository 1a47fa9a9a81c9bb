"""Opening files from outside: bounded, decoded, refused with one sentence."""

import contextlib
import io
import zipfile
from pathlib import Path

import pytest

from scoresim.errors import BadInput
from scoresim.score.read import check_abc, read_text

FIXTURES = Path(__file__).parent / "fixtures"
XML = (FIXTURES / "piano.musicxml").read_text(encoding="utf-8")


def mxl(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


CONTAINER = b'<container><rootfiles><rootfile full-path="music/score.xml"/></rootfiles></container>'


def test_mxl_by_its_container_and_without_one(tmp_path: Path) -> None:
    named = mxl(
        tmp_path / "a.mxl", {"other.xml": b"<x/>", "META-INF/container.xml": CONTAINER, "music/score.xml": XML.encode()}
    )
    assert read_text(named, "mxl") == XML
    assert read_text(mxl(tmp_path / "b.mxl", {"score.xml": XML.encode()}), "mxl") == XML


def test_utf16_with_either_kind_of_quotes(tmp_path: Path) -> None:
    for quote in "\"'":
        declared = XML.replace('encoding="UTF-8"', f"encoding={quote}UTF-16{quote}")
        path = tmp_path / "a.musicxml"
        path.write_bytes(declared.encode("utf-16"))
        assert "score-partwise" in read_text(path, "musicxml")


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.xml", b" " * 30_000_000)
    return buffer.getvalue()


ENTITY = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><score-partwise>&a;</score-partwise>'


@pytest.mark.parametrize(
    ("name", "form", "content", "says"),
    [
        ("a.musicxml", "musicxml", XML[:900].encode(), "not well-formed"),
        ("b.musicxml", "musicxml", b"", "empty"),
        ("c.musicxml", "musicxml", b"\x89PNG\r\n\x1a\n\0\0", "not well-formed"),
        ("d.musicxml", "musicxml", ENTITY.encode(), "entities"),
        ("e.mxl", "mxl", b"PK\x03\x04 nothing", "MXL"),
        ("f.mxl", "mxl", bomb(), "unpacks to"),
        ("g.krn", "kern", b"just words\n", "Humdrum"),
        ("h.abc", "abc", b"just words\n", "ABC"),
        ("i.krn", "kern", b"**kern\n\0\0", "binary"),
    ],
)
def test_bad_files_are_refused_with_one_sentence(
    tmp_path: Path, name: str, form: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=says) as error:
        read_text(path, form)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_every_flipped_byte_of_an_mxl_is_read_or_refused(tmp_path: Path) -> None:
    path = mxl(tmp_path / "a.mxl", {"META-INF/container.xml": CONTAINER, "music/score.xml": XML.encode()})
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 0x41
        path.write_bytes(data)
        with contextlib.suppress(BadInput):
            assert "score-partwise" in read_text(path, "mxl")
    empty = mxl(tmp_path / "b.mxl", {"META-INF/container.xml": b"", "a.xml": XML.encode()})
    with pytest.raises(BadInput, match=r"b\.mxl"):
        read_text(empty, "mxl")


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_text(tmp_path / "none.krn", "kern")


def test_a_tune_that_changes_its_key_is_refused() -> None:
    tune = "X:1\nK:D\nfcgd|\n"
    assert check_abc(tune + "abc|]\n", Path("a.abc")) == tune + "abc|]\n"
    for change in ("K:F\nBcde|]\n", "abc|[K:Em] fcgd|]\n"):
        with pytest.raises(BadInput, match="changes its key"):
            check_abc(tune + change, Path("a.abc"))
