from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scoresim.data import given
from scoresim.data.given import Stretch, kind_of, read_notes, stretches, wide
from scoresim.data.pieces import Piece
from scoresim.errors import BadInput
from scoresim.score.sandbox import KILLED, Failure

CRASH = Path(__file__).parent / "fixtures" / "crash.krn"
TUNES = "X:1\nT:One\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n\nX:2\nT:Two\nM:3/4\nL:1/4\nK:G\nGAB|]\n"


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tunes.abc"
    path.write_text(TUNES)
    return path


def test_files_are_told_apart_by_name(tune: Path, tmp_path: Path) -> None:
    assert kind_of(tune) == "notes"
    (tmp_path / "page.PNG").write_bytes(b"x")
    assert kind_of(tmp_path / "page.PNG") == "image"


@pytest.mark.parametrize(("name", "content", "why"), [
    ("a.doc", b"x", "no known kind"), ("a.mid", b"", "has 0 bytes"), ("b.mid", None, "is no file"),
    ("c.mid", b"xx", "has 2 bytes"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "LARGEST", 1)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=why):
        kind_of(tmp_path / name)


def test_files_become_pieces_in_their_order(tune: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd nothing")
    failure, piece = read_notes([broken, tune])
    assert isinstance(failure, Failure)
    assert "\n" not in failure.reason
    assert isinstance(piece, Piece)
    assert (piece.id, len(piece), piece.title) == ("tunes.abc", 16, "One")
    assert not piece.lines


LONG = """<?xml version="1.0"?><score-partwise version="3.1"><part-list><score-part id="P1"><part-name>x</part-name>
</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions><time><beats>4</beats>
<beat-type>4</beat-type></time></attributes><note><pitch><step>C</step><octave>4</octave></pitch>
<duration>{}</duration><type>whole</type></note></measure></part></score-partwise>"""


def test_a_note_that_lasts_for_years_is_refused(tmp_path: Path) -> None:
    for quarters in (4, 166_000_000):
        (tmp_path / f"{quarters}.xml").write_text(LONG.format(quarters))
    short, long = read_notes([tmp_path / "4.xml", tmp_path / "166000000.xml"])
    assert isinstance(short, Piece)
    assert isinstance(long, Failure)
    assert "lasts longer than 100000 quarter notes" in long.reason


def test_stretches_begin_at_every_bar_and_are_about_as_wide_as_a_line(tune: Path) -> None:
    [piece] = read_notes([tune])
    assert isinstance(piece, Piece)
    assert wide(piece).tolist() == [0, 4, 8, 12, 16]
    assert stretches(piece, (4.0, 9.0)) == [
        Stretch(0, 1, 0, 4), Stretch(0, 2, 0, 8), Stretch(1, 2, 4, 8), Stretch(1, 3, 4, 12), Stretch(2, 3, 8, 12),
        Stretch(2, 4, 8, 16), Stretch(3, 4, 12, 16),
    ]  # fmt: skip
    assert stretches(piece, (0.1,)) == [Stretch(i, i + 1, 4 * i, 4 * i + 4) for i in range(4)], "a bar at least"
    everything = stretches(piece, (1e9,))
    assert everything == [Stretch(i, 4, 4 * i, 16) for i in range(4)]
    for one in stretches(piece):
        assert (piece.bar[one.first : one.end] >= one.first_bar).all()
        assert (piece.bar[one.first : one.end] < one.end_bar).all()
        assert one.end > one.first
    assert np.diff([one.first_bar for one in stretches(piece)]).min() >= 0


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("the parser crashed (exit code -6)", "crashed (exit code -6); open it in another program, and save it anew."),
        ("took longer than 60 s", "took longer than 60 s; give a shorter piece, or fewer pages."),
        ("needed more memory than a worker has", "than a worker has; give a smaller file."),
        (KILLED, "was killed twice; try again while less is running, or give a smaller file."),
        ("it holds no notes", "cannot be read: it holds no notes."),
    ],
)
def test_what_happened_to_a_worker_comes_with_advice(reason: str, said: str) -> None:
    assert str(given.refusal(Failure(reason), Path("a.krn"))).endswith(said)


def test_a_file_over_which_the_parser_falls_is_a_sentence() -> None:
    [failure] = read_notes([CRASH])
    assert isinstance(failure, Failure)
    assert str(given.refusal(failure, CRASH)).endswith("save it anew.")
