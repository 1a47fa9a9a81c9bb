"""Opening files from outside: bounded, decoded, refused with one sentence."""

import contextlib
import io
import zipfile
from pathlib import Path

import pytest
import symusic

from scoresim.errors import BadInput
from scoresim.score.read import bars_from_signatures, read_midi, read_text

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


def test_another_encoding_is_decoded_and_its_name_taken_out(tmp_path: Path) -> None:
    """The engraver is given UTF-8 and would decode it once more."""
    path = tmp_path / "a.musicxml"
    path.write_bytes(
        XML.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"')
        .replace("<score-p", "<!--\u00e9--><score-p", 1)
        .encode("latin-1")
    )
    text = read_text(path, "musicxml")
    assert "\u00e9" in text and "ISO-8859-1" not in text and text.startswith("<?xml")


def test_slashes_and_rests_of_several_bars_are_written_out(tmp_path: Path) -> None:
    kern = tmp_path / "a.krn"
    kern.write_text("**kern\t**text\n*rep\t*\n4c\t*rep*\n*Xrep\t*report\n*-\t*-\n", encoding="utf-8")
    assert read_text(kern, "kern") == "**kern\t**text\n*\t*\n4c\t*rep*\n*\t*report\n*-\t*-\n"
    path = tmp_path / "a.musicxml"
    for rest in ('<multiple-rest use-symbols="no">3</multiple-rest>', "<multiple-rest/>"):
        path.write_text(XML.replace("</attributes>", f"<measure-style>{rest}</measure-style></attributes>", 1), "utf-8")
        assert "multiple-rest" not in read_text(path, "musicxml")


def test_kern_lines_of_null_tokens_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "a.krn"
    path.write_text("**kern\t**kern\n=1\t=1\n.\t.\n4c\t8e\n.\t8f\n.\t.\n=2\t=2\n*-\t*-\n", encoding="utf-8")
    assert read_text(path, "kern") == "**kern\t**kern\n=1\t=1\n4c\t8e\n.\t8f\n=2\t=2\n*-\t*-\n"


def test_a_transposition_that_changes_on_the_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.musicxml"
    once = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>"
    first = XML.replace("</attributes>", once, 1)
    path.write_text(first, encoding="utf-8")
    assert once in read_text(path, "musicxml")
    later = f"<attributes>{once.replace('-2', '-3')}"
    path.write_text(first.replace("</measure>", f"{later}</measure>", 1), encoding="utf-8")
    with pytest.raises(BadInput, match="changes the transposition"):
        read_text(path, "musicxml")


def test_kern_with_a_clef_on_a_sixth_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.krn"
    path.write_text("**kern\n*clefG6\n*M4/4\n=1\n4c\n*-\n")
    with pytest.raises(BadInput, match="clef on a line that no staff has"):
        read_text(path, "kern")
    path.write_text("**kern\n*clefG2\n*M4/4\n=1\n4c\n*-\n")
    assert "clefG2" in read_text(path, "kern")


@pytest.mark.parametrize(("end", "bars"), [(1, 1), (1440, 1), (1441, 2), (2880, 2), (4320, 3)])
def test_no_bar_begins_where_the_music_ends(tmp_path: Path, end: int, bars: int) -> None:
    """Whether it ends on a bar line or behind one, and whatever signature stands there."""
    signatures = [(0, 3, 4), (end, 4, 4)] if end > 1 else [(0, 3, 4)]
    assert [bar.onset for bar in bars_from_signatures(signatures, end, 480)] == [1440 * i for i in range(bars)]
    midi = symusic.Score(480)
    midi.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    midi.tracks.append(symusic.Track())
    midi.tracks[0].notes.append(symusic.Note(0, end, 60, 64))
    midi.dump_midi(tmp_path / "song.mid")
    assert len(read_midi(tmp_path / "song.mid").bars) == bars
