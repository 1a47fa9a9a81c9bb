"""MIDI without notation becomes a score that has every note and that the engraver draws."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scoresim.errors import BadInput
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.mei import read_mei
from scoresim.score.notate import Notation, notate, notate_all, quantized
from scoresim.score.notes import DRUMS, Bar, Beats, Score, notes_from_columns, spelled, tied_chains
from scoresim.score.read import bars_from_signatures

Row = tuple[float, float, int]  # onset and duration in quarter notes, pitch


def midi(rows: list[Row], metre: tuple[int, int] | None = (4, 4), program: int = 0, resolution: int = 480) -> Score:
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    notes = notes_from_columns(
        onset=[round(r[0] * resolution) for r in rows],
        duration=[max(round(r[1] * resolution), 1) for r in rows],
        pitch=[r[2] for r in rows],
        program=[program] * len(rows),
    )
    end = int((notes.onset + notes.duration).max())
    bars = bars_from_signatures([(0, *metre)], end, resolution) if metre else ()
    return Score(resolution, notes, bars, tempos=((0, 120.0),), source="made.mid")


def heads(notation: Notation) -> list[tuple[Fraction, Fraction, str]]:
    """Onset, duration over its ties, and name of every sounding note."""
    score = read_mei(notation.mei).score
    notes, chain = score.notes, tied_chains(score.notes)
    out = []
    for first in np.unique(chain):
        end = int((notes.onset + notes.duration)[chain == first].max())
        name = spelled(int(notes.step[first]), int(notes.alter[first]), int(notes.octave[first]))
        out.append((score.quarters(notes.onset[first]), score.quarters(end - int(notes.onset[first])), name))
    return sorted(out)


def check(notation: Notation, music: Score) -> None:
    """Every bar is full, every head has a MIDI note of its pitch, every MIDI note not reported lost has a head."""
    engraving = Engraving(notation.mei, EngraveConfig())
    score = engraving.reading.score
    assert set(score.notes.id) == set(notation.source_note)
    index = np.asarray([notation.source_note[name] for name in score.notes.id], dtype=np.int64)
    assert (music.notes.pitch[index] == score.notes.pitch).all()
    assert not [w for w in score.warnings if "duration" in w]
    lost = sum(int(w.split()[0]) for w in notation.warnings)
    assert len(set(index.tolist())) == len(music.notes) - lost
    for bar in score.bars:
        assert Fraction(bar.duration, score.resolution) <= Fraction(4 * bar.numerator, bar.denominator)


SCALE = [(float(i), 1.0, p) for i, p in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]


def test_a_scale_is_one_staff_of_quarters():
    notation = notate(midi(SCALE))
    assert notation.how == "grid"
    assert notation.mei.count("<staffDef") == 1
    assert [name for _, _, name in heads(notation)] == ["C4", "D4", "E4", "F4", "G4", "A4", "B4", "C5"]
    assert "<tie" not in notation.mei
    check(notation, midi(SCALE))


@pytest.mark.parametrize(
    ("rows", "metre", "expected"),
    [
        ([(0, 1 / 3, 60), (1 / 3, 1 / 3, 62), (2 / 3, 1 / 3, 64), (1, 3, 65)], (4, 4), 'num="3" numbase="2"'),
        ([(0, 2 / 3, 60), (2 / 3, 2 / 3, 62), (4 / 3, 2 / 3, 64), (2, 2, 65)], (4, 4), 'dur="4" pname="d"'),
        (
            [(i / 5, 1 / 5, 60 + i) for i in range(5)] + [(i, 1, 60) for i in range(1, 12)],
            (4, 4),
            'num="5" numbase="4"',
        ),
        ([(0, 1.5, 60), (1.5, 0.5, 62), (2, 0.5, 64), (2.5, 0.5, 65)], (6, 8), 'dur="4" dots="1"'),
    ],
)
def test_rhythms_are_written_as_usual(rows, metre, expected):
    notation = notate(midi(rows, metre))
    assert expected in notation.mei
    got = heads(notation)
    assert [float(onset) for onset, _, _ in got] == pytest.approx([r[0] for r in rows], abs=1e-3)
    assert [float(length) for _, length, _ in got] == pytest.approx([r[1] for r in rows], abs=1e-2)


def test_a_note_over_the_bar_line_is_tied_and_both_heads_are_one_midi_note():
    rows = [(0.0, 3.0, 60), (3.0, 2.0, 62), (5.0, 3.0, 64)]
    notation = notate(midi(rows))
    assert notation.mei.count("<tie ") == 1
    assert sorted(notation.source_note.values()) == [0, 1, 1, 2]
    assert [float(length) for _, length, _ in heads(notation)] == [3.0, 2.0, 3.0]


def test_accidentals_hold_through_their_bar_and_follow_the_key():
    d_major = [(float(i), 1.0, p) for i, p in enumerate([62, 66, 69, 67, 74, 73, 67, 66] * 4)]
    notation = notate(midi(d_major))
    assert 'keysig="2s"' in notation.mei
    assert ' accid="' not in notation.mei
    chromatic = notate(midi([*d_major, (32.0, 1.0, 68), (33.0, 1.0, 69), (34.0, 1.0, 68), (35.0, 1.0, 69)]))
    assert chromatic.mei.count(' accid="s"') == 1
    assert {name for _, _, name in heads(chromatic)} >= {"G#4", "C#5", "F#4"}


def test_hands_stand_on_two_staves():
    rows = [(float(i), 1.0, p) for i, p in enumerate([72, 74, 76, 77] * 4)]
    rows += [(float(i), 2.0, p) for i in range(0, 16, 2) for p in (43, 50)]
    score = read_mei(notate(midi(rows)).mei).score
    assert {s.number for s in score.staves} == {1, 2}
    assert (score.notes.staff == np.where(score.notes.pitch > 60, 1, 2)).all()


def test_two_lines_on_one_staff_are_two_voices():
    rows = [(0.0, 4.0, 60), (4.0, 4.0, 62)] + [(float(i), 1.0, 67 + i % 3) for i in range(8)]
    score = read_mei(notate(midi(rows, program=40)).mei).score
    assert (score.notes.voice == np.where(score.notes.pitch > 65, 1, 2)).all()


def test_percussion_is_left_out_and_said():
    music = midi([*SCALE, (0.0, 1.0, 36)])
    program = np.where(music.notes.pitch == 36, DRUMS, 0)
    music = Score(480, notes_from_columns(**{**vars(music.notes), "program": program}), music.bars)
    notation = notate(music)
    assert notation.warnings == ("1 percussion notes are left out",)
    assert sorted(set(notation.source_note.values())) == [int(i) for i in np.flatnonzero(program == 0)]


def test_a_doubled_note_is_written_once_and_said():
    notation = notate(midi([*SCALE, SCALE[0]]))
    assert len(notation.source_note) == len(SCALE)
    assert len(notation.warnings) == 1


def performance(rows: list[Row], tempo: float, seed: int) -> tuple[Score, Beats]:
    rng = np.random.default_rng(seed)
    played = [(0.4 + r[0] * tempo + rng.normal(0, 0.01), r[1] * tempo * 0.8, r[2]) for r in rows]
    music = midi([(max(a, 0) * 2, b * 2, p) for a, b, p in played], metre=None)
    count = int(max(r[0] + r[1] for r in rows)) + 1
    return music, Beats(0.4 + tempo * np.arange(count), np.arange(count) % 4 == 0, ((0, 4, 4),))


def test_a_performance_is_written_by_its_beats():
    rows = [(float(i) / 2, 0.5, 60 + (5 * i) % 13) for i in range(64)]
    music, beats = performance(rows, 0.71, 1)
    notation = notate(music, beats)
    assert notation.how == "beats"
    assert [(float(onset), float(length)) for onset, length, _ in heads(notation)] == [(r[0], r[1]) for r in rows]


def test_given_beats_count_and_bars_of_one_beat_do_not():
    rows = [(float(i) / 2, 0.5, 60 + (5 * i) % 13) for i in range(32)]
    beats = Beats(0.25 * np.arange(33), np.arange(33) % 3 == 0, ((0, 3, 4),))
    by_beats = notate(midi(rows), beats)
    assert by_beats.how == "beats"
    assert 'meter.count="3"' in by_beats.mei
    assert 'meter.count="1"' not in notate(midi(rows, (1, 4))).mei


def test_beats_are_found_where_none_are_given():
    rows = [(float(i) / 2, 0.5, 72 + (5 * i) % 7) for i in range(128)]
    rows += [(float(4 * i), 4.0, 48 - i % 3) for i in range(16)] + [(float(2 * i), 2.0, 55) for i in range(32)]
    music, _ = performance(rows, 0.63, 2)
    notation = notate(music)
    assert notation.how == "estimated"
    check(notation, music)
    onsets = sorted({onset for onset, _, _ in heads(notation)})
    steps = np.diff(np.asarray(onsets, dtype=float))
    assert np.mean(steps == np.median(steps)) > 0.95


def test_pieces_cover_the_whole_and_say_where_they_begin():
    rows = [(float(i) + 0.5, 1.0, 60 + i % 12) for i in range(40)]
    music = midi(rows)
    found = notate_all(music, bars=4)
    assert [piece.first_bar for piece in found] == [0, 4, 8]
    for piece in found:
        Engraving(piece.mei, EngraveConfig())
    assert {i for piece in found for i in piece.source_note.values()} == set(range(40))
    with pytest.raises(ValueError, match="at least one bar"):
        notate_all(music, bars=0)


def test_bounds_are_sentences():
    with pytest.raises(BadInput, match="more than 20000"):
        notate(midi([(i / 4, 0.25, 60) for i in range(20_001)]))
    with pytest.raises(BadInput, match="percussion"):
        notate(midi(SCALE, program=DRUMS))
    with pytest.raises(BadInput, match="bars"):
        notate(midi([(0.0, 1.0, 60), (30_000.0, 1.0, 62)]))


def test_the_same_music_gives_the_same_text():
    music, _ = performance([(float(i) / 2, 0.5, 60 + (5 * i) % 13) for i in range(64)], 0.5, 3)
    assert notate(music) == notate(music)


ROWS = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 2500), st.integers(0, 127)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ROWS,
    st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 16), (2, 2), (7, 8), (3, 128), None]),
    st.sampled_from([1, 3, 24, 96, 480, 479]),
    st.integers(0, 127),
    st.booleans(),
)
@example([(0, 1, 0), (0, 1, 0), (85, 1, 0)], (4, 4), 480, 0, False)  # a 24th of a quarter is shorter than a 64th
def test_any_midi_is_written_down_whole(rows, metre, resolution, program, step):
    scale = max(resolution // 4, 1) if step else 1
    notes = [(a * scale / resolution / 8, b * scale / resolution / 8, p) for a, b, p in rows]
    music = midi(notes, metre, program, resolution)
    notation = notate(music)
    check(notation, music)


@settings(max_examples=30, deadline=None)
@given(ROWS, st.lists(st.floats(0.05, 3.0), min_size=2, max_size=30), st.integers(0, 2**30))
def test_any_beats_will_do(rows, steps, downs):
    music = midi([(a / 301, b / 299, p) for a, b, p in rows], None)
    seconds = np.cumsum(steps)
    downbeat = np.asarray([bool(downs >> i & 1) for i in range(len(steps))])
    check(notate(music, Beats(seconds, downbeat)), music)


def test_bars_that_end_early_keep_their_length():
    music = midi([(0.0, 1.0, 67), *[(1.0 + i, 1.0, 60 + i) for i in range(8)]])
    bars = (Bar(0, 480, 4, 4), Bar(480, 1920, 4, 4), Bar(2400, 1920, 4, 4))
    notation = notate(Score(480, music.notes, bars))
    assert notation.mei.count('metcon="false"') == 1
    assert [bar.duration for bar in read_mei(notation.mei).score.bars] == [1, 4, 4]


def test_a_short_bar_of_rest_stays_short():
    music = midi([(0.0, 1.0, 60), (4.0, 1.0, 62), (5.0, 1.0, 64)])
    bars = (Bar(0, 1440, 4, 4), Bar(1440, 480, 4, 4), Bar(1920, 1920, 4, 4))
    score = read_mei(notate(Score(480, music.notes, bars)).mei).score
    assert [bar.duration for bar in score.bars] == [3, 1, 4]


def test_what_sounds_over_the_border_of_two_pieces_shows_its_accidental_in_both():
    rows = [(float(i), 1.0, p) for i, p in enumerate((60, 64, 67, 72, 60, 64, 67))]
    rows += [(7.0, 2.0, 78), *((float(i), 1.0, p) for i, p in enumerate((67, 64, 60, 60, 64, 67, 72), start=9))]
    whole = re.findall(r'<note [^>]*pname="f"[^>]*>', notate(midi(rows)).mei)
    assert ['accid="s"' in head for head in whole] == [True, False]  # the second is tied to the first
    pieces = notate_all(midi(rows), bars=2)
    assert len(pieces) == 2
    for piece in pieces:
        assert re.findall(r'<note [^>]*pname="f"[^>]* accid="s"/>', piece.mei)


@pytest.mark.parametrize("cut", [90, 150, 210, 330, 390, 450])
def test_what_is_left_of_a_bar_that_is_cut_anywhere_is_written_as_long_as_it_is(cut):
    """A new signature in the middle of a beat: a last cell of 11/16 of a quarter, say, cannot be divided into 16ths."""
    end = 3 + cut / 480
    rows = [(number / 4, 1 / 4, 60 + number % 7) for number in range(int(4 * end))]
    rows += [(end + beat, 1, 72) for beat in range(3)]
    bars = bars_from_signatures([(0, 4, 4), (3 * 480 + cut, 3, 4)], 6 * 480 + cut, 480)
    music = replace(midi(rows), bars=bars)
    score = read_mei(notate(music).mei).score
    lengths = [Fraction(bar.duration, score.resolution) for bar in score.bars]
    found = quantized(music)
    assert lengths == [Fraction(end), 3]
    assert [found.notes.onset[i] / found.resolution for i in range(len(rows))] == [row[0] for row in rows]


def test_a_cell_that_no_division_fits_gets_one_that_can_be_written():
    """Many notes off the grid in a 16th of 15/16: in 16 parts it would not fill its bar."""
    rows = [(number / 4, 1 / 4, 60 + number % 7) for number in range(15)]
    rows += [(3.75 + part / 64, 1 / 64, 62 + number) for number, part in enumerate((1, 3, 5, 7, 9, 11, 13, 15))]
    rows += [(4 + number / 4, 1 / 4, 72 - number % 7) for number in range(11)]
    music = midi(rows, (15, 16), resolution=960)
    score = read_mei(notate(music).mei).score
    assert [Fraction(bar.duration, score.resolution) for bar in score.bars] == [Fraction(15, 4)] * 2


def test_two_notes_of_one_place_that_sound_differently_show_both_their_accidentals():
    rows = [(float(i), 1.0, p) for i, p in enumerate((60, 64, 67, 72) * 3)]
    rows += [(12.0, 1.0, 74), (12.0, 1.0, 75), (13.0, 1.0, 76), (14.0, 1.0, 74), (15.0, 3.0, 74), (15.0, 3.0, 75)]
    rows += [(18.0, 1.0, 76), (19.0, 1.0, 74)]
    for notation in (notate(midi(rows)), *notate_all(midi(rows), bars=4)):
        reading = read_mei(notation.mei)
        assert not reading.undrawn and not reading.contradicted
        names = re.findall(r'<note [^>]*pname="d"[^>]*? accid="(.)"', notation.mei)
        assert not names or set(names) == {"n", "s"}
