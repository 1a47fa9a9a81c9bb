"""From notation to notes and pictures, on small scores of ours."""

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from scoresim.score.engrave import EngraveConfig, Engraving, System
from scoresim.score.notes import Score, spelled
from scoresim.score.read import read_text
from scoresim.score.svg import absolute

FIXTURES = Path(__file__).parent / "fixtures"


def engraved(name: str, form: str) -> Engraving:
    text = read_text(FIXTURES / name, form)
    if form == "abc":
        text = text[: text.index("X:2")]
    return Engraving(text, EngraveConfig(), name, bar_accidentals=form == "abc")


def systems(engraving: Engraving) -> list[System]:
    return [engraving.draw(layout) for page in range(engraving.pages) for layout in engraving.page(page)]


def listed(score: Score, staff: int) -> list[tuple[str, Fraction, Fraction]]:
    notes = score.notes
    return [
        (
            spelled(int(notes.step[i]), int(notes.alter[i]), int(notes.octave[i])),
            score.quarters(int(notes.onset[i])),
            score.quarters(int(notes.duration[i])),
        )
        for i in range(len(notes))
        if notes.staff[i] == staff
    ]


def test_musicxml_pick_up_grace_triplet_tie_chord() -> None:
    score = engraved("piano.musicxml", "musicxml").reading.score
    third = Fraction(1, 3)
    assert [score.quarters(bar.duration) for bar in score.bars] == [1, 3, 3]
    assert sorted(listed(score, 1), key=lambda n: (n[1], n[2])) == [
        ("A4", 0, 1), ("E5", 1, 0), ("D5", 1, 1), ("F#5", 2, third), ("E5", 2 + third, third),
        ("D#5", 2 + 2 * third, third), ("E5", 3, 1), ("E5", 4, 2), ("C#5", 6, 1),
    ]  # fmt: skip
    assert listed(score, 2) == [("D3", 1, 3), ("A3", 1, 3), ("A2", 4, 1), ("G3", 5, 1)]
    assert [int(t) for t in score.notes.tie if t] == [2, 1]
    assert (score.bars[1].numerator, score.bars[1].denominator) == (3, 4)


def test_abc_accidentals_hold_to_the_bar_line_and_no_further() -> None:
    score = engraved("tunes.abc", "abc").reading.score
    names = [name for name, _, _ in listed(score, 1)]
    assert names[:14] == ["D4", "G4", "A4", "B4", "D5", "B4", "C#5", "D5", "C#5", "C5", "A4", "B4", "C5", "D5"]
    assert names[14:] == ["F#5", "G5", "G5", "G5", "G4"]  # by onset, then pitch; the grace note G5 precedes F#5
    assert [score.quarters(bar.duration) for bar in score.bars] == [
        Fraction(1, 2),
        3,
        3,
        Fraction(7, 2),
        Fraction(5, 2),
    ]


def test_abc_keys_do_not_leak_from_one_tune_to_the_next() -> None:
    """verovio gives a tune in C the key of the tune loaded before it; the picture shows the right one."""
    flat, plain = (f"X:1\nM:4/4\nL:1/4\nK:{key}\nBcdf|]\n" for key in ("F", "C"))
    first = Engraving(flat, EngraveConfig(), bar_accidentals=True).reading.score
    second = Engraving(plain, EngraveConfig(), bar_accidentals=True).reading.score
    assert [name for name, _, _ in listed(first, 1)] == ["Bb4", "C5", "D5", "F5"]
    assert [name for name, _, _ in listed(second, 1)] == ["B4", "C5", "D5", "F5"]


def test_a_pick_up_with_a_whole_bar_rest_on_the_other_staff_stays_a_pick_up() -> None:
    """A whole-bar rest is as long as its bar, not as its time signature."""
    text = read_text(FIXTURES / "piano.musicxml", "musicxml")
    rest = "<note><rest/><duration>6</duration><voice>5</voice><type>quarter</type><staff>2</staff></note>"
    whole = '<note><rest measure="yes"/><duration>6</duration><voice>5</voice><staff>2</staff></note>'
    score = Engraving(text.replace(rest, whole, 1), EngraveConfig()).reading.score
    assert [score.quarters(bar.duration) for bar in score.bars] == [1, 3, 3]


def test_kern_breves_octave_clef_and_ties() -> None:
    score = engraved("choir.krn", "kern").reading.score
    assert listed(score, 1) == [("A4", 0, 8), ("C5", 8, 4), ("Bb4", 12, 2), ("A4", 14, 2), ("F4", 20, 4)]
    assert [n[0] for n in listed(score, 2)] == ["F3", "G3", "A3", "A3", "F3"]
    assert len(score.staves) == 2


@pytest.mark.parametrize(
    ("name", "form"), [("piano.musicxml", "musicxml"), ("tunes.abc", "abc"), ("choir.krn", "kern")]
)
def test_every_note_is_drawn_once_where_its_pitch_stands(name: str, form: str) -> None:
    engraving = engraved(name, form)
    drawn = [head for system in systems(engraving) for head in system.heads]
    assert sorted(head.id for head in drawn) == sorted(engraving.reading.score.notes.id)
    assert max(abs(head.height_error) for head in drawn) < 0.05
    for system in systems(engraving):
        for head in system.heads:
            x0, y0, x1, y1 = (round(v) for v in head.box)
            assert (system.ink[y0:y1, x0:x1] < 128).mean() > 0.2
        bars = [bar.box for bar in system.bars]
        assert all(a[2] <= b[0] + 1 for a, b in itertools.pairwise(bars))


def test_the_picture_shows_no_title_no_names_and_no_lyrics() -> None:
    """Other words of the same width give the same pixels: none of them is drawn."""
    text = read_text(FIXTURES / "piano.musicxml", "musicxml")
    other = (
        text.replace("A title that must not be drawn", "X").replace(">Piano<", ">onaiP<").replace(">word<", ">drow<")
    )
    assert other != text
    for a, b in zip(systems(Engraving(text, EngraveConfig())), systems(Engraving(other, EngraveConfig())), strict=True):
        assert np.array_equal(a.ink, b.ink)


def test_staff_space_is_what_was_asked_for() -> None:
    text = read_text(FIXTURES / "choir.krn", "kern")
    for space in (6.0, 8.0, 12.5):
        system = systems(Engraving(text, EngraveConfig(staff_space=space)))[0]
        for box in system.staves.values():
            assert box[3] - box[1] == pytest.approx(4 * space, rel=0.02)


def test_engraving_twice_gives_the_same_pixels() -> None:
    first, second = (systems(engraved("piano.musicxml", "musicxml")) for _ in range(2))
    assert all(np.array_equal(a.ink, b.ink) for a, b in zip(first, second, strict=True))


def test_no_music_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"does not read it|no bars|no score"):
        Engraving("<score-partwise/>", EngraveConfig())


def test_svg_paths_become_absolute() -> None:
    assert absolute("M1 2l3 4h-1v2z m1 1c1 0 2 0 3 1s1 1 2 2") == (
        "M1 2 L4 6 L3 6 L3 8 Z M2 3 C3 3 4 3 5 4 C6 5 6 5 7 6"
    )
