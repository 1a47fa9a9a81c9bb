"""Bars in which the engraver reads something else than an ABC tune says."""

from pathlib import Path

import pytest

from scoresim.data.corpora._abc import split_abc
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.read import check_abc
from scoresim.score.source import doubtful
from scoresim.score.source_abc import abc_bars

HEAD = "X:1\nL:1/8\nM:4/4\nK:"
C, D, E, F, G, A, B = ((step, 0, 4) for step in range(7))


def told(music: str, key: str = "C") -> list[object]:
    return [None if bar is None else dict(bar) for bar in abc_bars(HEAD + key + "\n" + music + "\n")]


def doubted(music: str, key: str = "C") -> frozenset[int]:
    """Doubtful bars of a tune, as a build finds them."""
    tune = split_abc(HEAD + key + "\n" + music + "\n")[0]
    engraving = Engraving(check_abc(tune, Path("a.abc")), EngraveConfig(), bar_accidentals=True)
    return doubtful(tune, "abc", engraving.reading.score)


@pytest.mark.parametrize(
    ("music", "bar"),
    [
        ("C2 D/E//|", {C: [(0, 1, 0)], D: [(1, 0.25, 0)], E: [(1.25, 0.125, 0)]}),
        ("C>D E<<F|", {C: [(0, 0.75, 0)], D: [(0.75, 0.25, 0)], E: [(1, 0.125, 0)], F: [(1.125, 0.875, 0)]}),
        ("(3CDE F|", {C: [(0, 1 / 3, 0)], D: [(1 / 3, 1 / 3, 0)], E: [(2 / 3, 1 / 3, 0)], F: [(1, 0.5, 0)]}),
        ("(3:2:2C2D F|", {C: [(0, 2 / 3, 0)], D: [(2 / 3, 1 / 3, 0)], F: [(1, 0.5, 0)]}),
        ("[CE]2 z [FA]/|", {C: [(0, 1, 0)], E: [(0, 1, 0)], F: [(1.5, 0.25, 0)], A: [(1.5, 0.25, 0)]}),
        ('"Am"!trill!{CD}(E F)|', {C: [(0, 0, 0)], D: [(0, 0, 0)], E: [(0, 0.5, 0)], F: [(0.5, 0.5, 0)]}),
        ("C-C D,|", {C: [(0, 0.5, 2), (0.5, 0.5, 1)], (1, 0, 3): [(1, 0.5, 0)]}),
        ("[C-E]C|", {C: [(0, 0.5, 2), (0.5, 0.5, 1)], E: [(0, 0.5, 0)]}),
        ("C>{D}E|", {C: [(0, 0.75, 0)], D: [(0.75, 0, 0)], E: [(0.75, 0.25, 0)]}),
    ],
)
def test_what_a_bar_states(music: str, bar: dict[object, object]) -> None:
    (read,) = told(music)
    assert isinstance(read, dict) and read.keys() == bar.keys()
    for key in bar:
        assert read[key] == [pytest.approx(note) for note in bar[key]]  # type: ignore[attr-defined]


def test_accidentals_hold_through_the_bar_in_their_octave() -> None:
    first, second = told("^c c C =f|cf|", "D")
    assert isinstance(first, dict) and isinstance(second, dict)
    assert set(first) == {(0, 1, 5), (0, 1, 4), (3, 0, 5)} and set(second) == {(0, 1, 5), (3, 1, 5)}
    first, second = told("^f-|f f|")
    assert isinstance(second, dict) and set(second) == {(3, 1, 5), (3, 0, 5)}


def test_keys_and_modes_change_on_the_way() -> None:
    bars = told("B|[K:F]B|\nK:D dor\nB|\nL:1/4\nB|", "C")
    assert bars == [
        {B: [(0, 0.5, 0)]},
        {(6, -1, 4): [(0, 0.5, 0)]},
        {B: [(0, 0.5, 0)]},
        {B: [(0, 1, 0)]},
    ]


def test_bars_are_those_of_the_text_however_full() -> None:
    assert len(told("|:C2|CDEFGABcdefg||[1 C:|2 D|]")) == 4


@pytest.mark.parametrize("music", ["C&E|", "[C2E]|", "(3CD|", "C>|", "C @|", "V:2\nC|"])
def test_what_is_beyond_the_reader_is_unclear(music: str) -> None:
    assert told(music) == [None]


def test_no_bar_of_a_tune_that_is_read_right_is_doubtful() -> None:
    music = '|:"G"B>c (3def g2 {a}g2|^f2 [c2e2g2] f-f z2|Z|f4- f2 G,2:|[1 E8:|2 c8||\nK:F\nB2 b2 =B2 B2|]'
    assert doubted(music, "G") == frozenset()


def test_what_the_engraver_loses_of_chords() -> None:
    """verovio 6.4 sees neither a tie inside the brackets of a chord nor one after them."""
    assert doubted("[F4-A4-] [F4A4]|C8|") == {0}
    assert doubted("C8|[FA]4-[FA]4|") == {1}
    assert doubted("C5 D3|z3 E5-|[1 E4-E4|") == set()  # what no dots write is written as two that are tied
    assert doubted("C8|[FA]4 [FA]4|") == set()  # a length after them neither, but it is written at the notes


def test_a_changed_note_makes_its_bar_doubtful_and_a_lost_bar_all() -> None:
    tune = split_abc(HEAD + "C\nC4 D4|E4 F4|G8|]\n")[0]
    score = Engraving(check_abc(tune, Path("a.abc")), EngraveConfig(), bar_accidentals=True).reading.score
    assert doubtful(tune.replace("F4", "^F4"), "abc", score) == {1}
    assert doubtful(tune.replace("E4", "E3"), "abc", score) == {1}
    assert doubtful(tune.replace("D4|", "D4"), "abc", score) == {0, 1, 2}
