"""Whole pieces: every note once, lines where bars stand, windows that lose nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.data import corpora
from scoresim.data.pieces import Line, Piece, load_piece, pieces, read_piece, save_piece
from scoresim.data.windows import BLANK, LINE_NOTES, MOST_NOTES, Marked, Segments, cut, lines_of, moved
from scoresim.errors import BadInput
from scoresim.score.read import read_midi
from scoresim.score.sandbox import Failure
from scoresim.score.tokens import FIRST, MASK


@pytest.fixture(scope="module")
def piece(songs: Path) -> Piece:
    corpus = corpora.get("pop909")
    item = next(iter(corpus.items(songs / "pop909")))
    return read_piece("pop909", item)


def test_every_note_of_a_midi_file_is_there_once(piece: Piece, songs: Path) -> None:
    midi = read_midi(songs / "pop909" / piece.id)
    said = sorted(zip(piece.onset.tolist(), (piece.ids[:, 2] - FIRST).tolist(), piece.velocity.tolist(), strict=True))
    wanted = zip(
        (midi.notes.onset / 480).tolist(), midi.notes.pitch.tolist(), midi.notes.velocity.tolist(), strict=True
    )
    assert said == sorted(wanted)
    assert [piece.tracks[t] for t in piece.track[:3]] == ["PIANO", "PIANO", "PIANO"]
    assert np.bincount(piece.track).tolist() == [48, 4, 36]
    assert (np.diff(piece.bar) >= 0).all()
    assert piece.bar_onset.tolist() == [4.0 * i for i in range(13)]


def test_its_lines_show_all_its_bars(piece: Piece) -> None:
    assert piece.lines[0].first_bar == 0
    assert sum(len(line.bar_boxes) for line in piece.lines) == 12
    assert piece.lines[-1].end_bar == 12
    assert all(line.image.startswith(b"\x89PNG") and line.staves == 2 for line in piece.lines)
    assert not piece.warnings
    drawn = np.concatenate([line.heads[:, 0] for line in piece.lines]).astype(int)
    assert sorted(set(drawn.tolist())) == list(range(len(piece))), "every note has a head"
    for line in piece.lines:
        for number, x0, y0, x1, y1 in line.heads.tolist():
            box = line.bar_boxes[piece.bar[int(number)] - line.first_bar]
            assert box[0] - 1 <= x0 < x1 <= box[2] + 1
            assert 0 <= y0 < y1 <= line.height
    assert [(a, b) for a, b, _ in lines_of(piece)] == [(line.first_bar, line.end_bar) for line in piece.lines]


def test_a_notated_file_keeps_its_staves(tmp_path: Path) -> None:
    item = next(
        iter(corpora.get("openscore_lieder").items(Path(__file__).parent / "fixtures/corpora/openscore_lieder"))
    )
    found = read_piece("openscore_lieder", item)
    assert found.notation == "composer"
    assert (len(found), found.staves, found.staff.tolist()) == (4, ("P",), [1, 1, 1, 1])
    assert len(found.lines) == 1
    bare = read_piece("openscore_lieder", item, images=False)
    assert not bare.lines
    assert np.array_equal(bare.ids, found.ids)


def test_what_is_written_is_read_again(piece: Piece, tmp_path: Path) -> None:
    save_piece(tmp_path / "p.npz", piece)
    again = load_piece(tmp_path / "p.npz")
    for name in ("ids", "bar", "onset", "bar_onset", "velocity", "track", "staff", "voice"):
        assert np.array_equal(getattr(again, name), getattr(piece, name)), name
    assert [(n.first_bar, n.image, n.height, n.width, n.staves) for n in again.lines] == [
        (n.first_bar, n.image, n.height, n.width, n.staves) for n in piece.lines
    ]
    assert (again.id, again.labels, again.tracks) == (piece.id, piece.labels, piece.tracks)
    (tmp_path / "p.npz").write_bytes((tmp_path / "p.npz").read_bytes()[:500])
    with pytest.raises(BadInput, match="damaged"):
        load_piece(tmp_path / "p.npz")


def test_pieces_are_read_once_and_what_cannot_be_read_is_named(
    songs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = list(corpora.get("pop909").items(songs / "pop909"))[:2]
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd is all there is")
    items.append(replace(items[0], id="broken.mid", path=broken))
    with caplog.at_level(logging.WARNING, "scoresim"):
        found = pieces("pop909", items, tmp_path / "kept", images=False, workers=1)
    assert [p.id for p in found] == [items[0].id, items[1].id]
    assert "broken.mid is left out" in caplog.text
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert len(kept) == 3
    assert len(pieces("pop909", items, tmp_path / "kept", images=False, workers=1)) == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()} == kept


def test_a_crowded_machine_leaves_no_piece_out(songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = list(corpora.get("pop909").items(songs / "pop909"))[:2]
    calls: list[tuple[int, int]] = []

    def crowded(function: Any, tasks: list[Any], workers: int, timeout: float) -> Iterator[tuple[int, Any]]:
        calls.append((len(tasks), workers))
        for i, task in enumerate(list(tasks)):
            late = len(calls) == 1 and i == 0
            yield i, Failure("it took too long", may_be_load=True) if late else function(task)

    monkeypatch.setattr("scoresim.data.made.run_all", crowded)
    assert len(pieces("pop909", items, tmp_path / "kept", images=False)) == 2
    assert calls == [(2, 2), (1, 1)]


@st.composite
def made_up(draw: st.DrawFn) -> Piece:
    """A piece with some notes in each bar, and lines over some of its bars."""
    counts = draw(st.lists(st.integers(0, 200), min_size=1, max_size=12))
    bar = np.repeat(np.arange(len(counts)), counts)
    place = np.concatenate([np.arange(n) * 4 / max(n, 1) for n in counts]) if len(bar) else np.zeros(0)
    ids = np.full((len(bar), 8), FIRST, dtype=np.int32)
    ids[:, 2] = FIRST + 60
    lines, at = [], 0
    for width in draw(st.lists(st.integers(1, 3), max_size=4)):
        at += draw(st.integers(0, 2))
        if at + width > len(counts):
            break
        lines.append(Line(at, np.zeros((width, 4), np.float32), np.zeros((0, 5), np.float32), BLANK, 1, 1, 1))
        at += width
    zeros = np.zeros(len(bar), dtype=np.int64)
    about = {"id": "a", "corpus": "c", "work": "w", "split": "", "style": "", "composer": "", "title": "", "labels": {}}
    bars = np.arange(len(counts) + 1) * 4.0
    return Piece(**about, ids=ids, bar=bar, onset=bar * 4 + place, bar_onset=bars, velocity=zeros + 64,
                 track=zeros, staff=zeros, voice=zeros, lines=tuple(lines))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(made_up(), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_lines_cover_all_bars_and_windows_all_notes(piece: Piece, notes: int, hop: int, whole: bool) -> None:
    lines = lines_of(piece)
    assert [a for a, _, _ in lines] == [0, *(b for _, b, _ in lines[:-1])]
    assert lines[-1][1] == len(piece.bar_onset) - 1
    for a, b, line in lines:
        if line < 0 and b - a > 1:
            assert ((piece.bar >= a) & (piece.bar < b)).sum() <= LINE_NOTES
    segments, windows = cut([piece], notes, min(hop, notes), whole=whole)
    seen = np.zeros(len(piece), dtype=int)
    for window in windows:
        rows = segments[window.row : window.end_row]
        assert [r.first for r in rows] == [window.first, *(r.end for r in rows[:-1])] if rows else not len(piece)
        assert not rows or rows[-1].end == window.end
        assert all(0 < r.end - r.first <= MOST_NOTES for r in rows)
        assert window.end - window.first <= notes
        assert not whole or window.end - window.first == min(notes, len(piece))
        seen[window.first : window.end] += 1
    assert (seen >= 1).all()


def test_a_short_last_window_is_left_out_but_never_a_whole_piece(piece: Piece) -> None:
    _, windows = cut([piece], 30, 30, least=29)
    assert [(w.first, w.end) for w in windows] == [(0, 30), (30, 60)]
    assert len(piece) == 88
    _, windows = cut([piece], 512, 512, least=256)
    assert [(w.first, w.end) for w in windows] == [(0, 88)]


def test_a_segment_shows_what_its_task_may_see(piece: Piece) -> None:
    segments, _ = cut([piece], 512, 512)
    marks = np.arange(len(piece))
    rows = Segments([piece], segments, ("velocity", "tempo"), lambda _: marks)
    assert rows.column("n_notes") == [r.end - r.first for r in segments]
    second = rows[1]
    assert isinstance(second, Marked)
    assert second.notes[:, 0].min() == FIRST, "bars count from the line on"
    assert (second.notes[:, [4, 5]] == MASK).all()
    assert (second.notes[:, 7] == FIRST).all()
    assert second.marks.tolist() == list(range(segments[1].first, segments[1].end))
    assert second.onset[0] == 0.0
    assert second.length == 4.0 * second.n_bars
    assert second.image == piece.lines[1].image
    assert (piece.ids[:, 4] >= FIRST).all(), "the piece itself stays as it is"
    with pytest.raises(KeyError):
        rows.column("colour")


def test_transposing_moves_pitches_and_tempo_and_nothing_hidden(piece: Piece) -> None:
    ids = piece.ids.astype(np.int16)
    ids[:3, 2], ids[:3, 5] = MASK, MASK
    up = moved(ids, 5, -2)
    assert (up[:3] == ids[:3]).all()
    assert (up[3:, 2] == ids[3:, 2] + 5).all()
    assert (up[3:, 5] == ids[3:, 5] - 2).all()
    others = [0, 1, 3, 4, 6, 7]
    assert (up[:, others] == ids[:, others]).all()
    high = ids.copy()
    high[:, 2] = FIRST + 126
    assert (moved(high, 5, 0)[:, 2] == FIRST + 126 + 5 - 12).all()
    assert (moved(ids, 0, 100)[3:, 5] == FIRST + 48).all()


def test_drums_are_no_notes_of_a_piece(tmp_path: Path, make_song: Callable[..., None]) -> None:
    make_song(tmp_path / "a.mid", 0)
    import symusic

    score = symusic.Score(str(tmp_path / "a.mid"))
    drums = symusic.Track("drums", is_drum=True)
    drums.notes.append(symusic.Note(0, 100, 36, 100))
    score.tracks.append(drums)
    score.dump_midi(tmp_path / "b.mid")
    item = replace(next(iter(corpora.get("folder").items(tmp_path))), id="b", path=tmp_path / "b.mid", format="midi")
    assert len(read_piece("folder", item, images=False)) == 88


def test_a_piece_one_of_whose_bars_is_cut_stays_without_lines(tmp_path: Path) -> None:
    """A bar of twenty quarters is two in the tokens: lines would show the bars beside those of their notes."""
    path = tmp_path / "long.krn"
    bar = "\n".join(["4c", "4d", "4e", "4f"] * 5)
    path.write_text(f"**kern\n*M4/4\n=1\n{bar}\n=2\n4c\n4d\n4e\n4f\n==\n*-\n")
    [item] = corpora.get("folder").items(tmp_path)
    whole = read_piece("folder", item)
    assert len(whole.bar_onset) - 1 == 3 and whole.lines == ()
    assert whole.warnings[-1] == "its bars are not those of its notes"


def test_what_is_said_of_an_item_is_said_of_its_piece(tmp_path: Path) -> None:
    (tmp_path / "tune.abc").write_text("X:1\nT:a\nM:4/4\nL:1/4\nK:C\nCDEF|]\n")
    [item] = corpora.get("folder").items(tmp_path)
    for key in ("C major", "A minor"):
        [piece] = pieces("folder", [replace(item, labels={"key": key})], tmp_path / "kept", False, 1)
        assert piece.labels == {"key": key}
