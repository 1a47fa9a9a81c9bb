"""Bars in which the engraver reads something else than the tokens of a kern file say."""

from pathlib import Path

import pytest

from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.read import read_text
from scoresim.score.source import doubtful
from scoresim.score.source_kern import kern_bars

FORMATS = Path(__file__).parent / "fixtures" / "formats"
C, D, E, F, G, A, B = ((step, 0, 4) for step in range(7))


def kern(*lines: str) -> str:
    """A text of columns of notes; blanks between tokens stand for tabs, ``+`` joins the notes of a chord."""
    columns = len(lines[0].split())
    text = "\n".join(line.replace(" ", "\t").replace("+", " ") for line in lines)
    return "\n".join(["\t".join(["**kern"] * columns), text, "\t".join(["*-"] * columns), ""])


def told(*lines: str) -> list[object]:
    return [None if bar is None else dict(bar) for bar in kern_bars(kern(*lines))]


def doubted(*lines: str) -> frozenset[int]:
    text = kern(*lines)
    return doubtful(text, "kern", Engraving(text, EngraveConfig()).reading.score)


@pytest.mark.parametrize(
    ("lines", "bar"),
    [
        (["4.c", "8d"], {C: [(0, 1.5, 0)], D: [(1.5, 0.5, 0)]}),
        (["2c 4g", ". 4a"], {C: [(0, 2, 0)], G: [(0, 1, 0)], A: [(1, 1, 0)]}),
        (
            ["2c 3g", ". 3a", "4e .", ". 3b", "4r ."],
            {
                C: [(0, 2, 0)],
                G: [(0, 4 / 3, 0)],
                A: [(4 / 3, 4 / 3, 0)],
                E: [(2, 1, 0)],
                (6, 0, 4): [(8 / 3, 4 / 3, 0)],
            },
        ),
        (["4c+8e", "8qf", "4d"], {C: [(0, 1, 0)], E: [(0, 0.5, 0)], F: [(1, 0, 0)], D: [(1, 1, 0)]}),
        (["0c"], {C: [(0, 8, 0)]}),
        (["3%2c"], {C: [(0, 8 / 3, 0)]}),
        (["4CC#", "4b-", "4B--"], {(0, 1, 2): [(0, 1, 0)], (6, -1, 4): [(1, 1, 0)], (6, -2, 3): [(2, 1, 0)]}),
        (["[4c", "8c_", "8c]"], {C: [(0, 1, 2), (1, 0.5, 3), (1.5, 0.5, 1)]}),
    ],
)
def test_what_a_bar_states(lines: list[str], bar: dict[object, object]) -> None:
    read = told(*lines)[0]
    assert isinstance(read, dict)
    assert read.keys() == bar.keys()
    for key, notes in bar.items():
        assert read[key] == [pytest.approx(note) for note in notes]  # type: ignore[attr-defined]


def test_columns_split_and_join() -> None:
    bars = told("4c", "*^", "2d 4f", ". 4g", "*v *v", "4e", "=", "4c")
    assert bars == [{C: [(0, 1, 0)], D: [(1, 2, 0)], F: [(1, 1, 0)], G: [(2, 1, 0)], E: [(3, 1, 0)]}, {C: [(0, 1, 0)]}]


def test_a_transposing_instrument_is_read_as_it_is_written() -> None:
    assert told("*ITrd1c2", "4c", "4b-") == [{D: [(0, 1, 0)], (0, 0, 5): [(1, 1, 0)]}]
    assert told("*ITrd-3c-5", "4f#", "4b") == [{(0, 1, 4): [(0, 1, 0)], (3, 1, 4): [(1, 1, 0)]}]


def test_another_reading_is_left_out() -> None:
    bars = told("*^", "*S/sic *S/ossia", "4c 4d", "*S/fin *S/fin", "*v *v")
    assert bars == [{C: [(0, 1, 0)]}]


@pytest.mark.parametrize("lines", [["2c 4g", "4d 4a"], ["4c ."], ["c"], ["4c 4h"], ["4c#- 4c"], ["4c 4d", "4e"]])
def test_what_cannot_be_told_is_unclear(lines: list[str]) -> None:
    assert told(*lines) == [None]


def test_no_bar_of_a_text_that_is_read_right_is_doubtful() -> None:
    text = read_text(FORMATS / "trio.krn", "kern")
    assert doubtful(text, "kern", Engraving(text, EngraveConfig()).reading.score) == frozenset()


def test_a_changed_note_makes_its_bar_doubtful() -> None:
    text = kern("4c", "4d", "=", "2e", "=", "4f#", "==")
    score = Engraving(text, EngraveConfig()).reading.score
    assert doubtful(text, "kern", score) == frozenset()
    assert doubtful(text.replace("2e", "2e-"), "kern", score) == {1}
    assert doubtful(text.replace("4d", "8d"), "kern", score) == {0}
    assert doubtful(text.replace("4f#", "[4f#"), "kern", score) == {2}
    assert doubtful(text.replace("==", "=\n4g\n=="), "kern", score) == {0, 1, 2}


def test_a_chord_whose_notes_last_differently() -> None:
    """verovio 6.4 gives all notes of a chord the first length."""
    assert doubted("4c 4e+8g", "4c 4e+4g", "= =", "2c 2e") == {0}
