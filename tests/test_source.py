"""Bars in which the engraver reads something else than the file says."""

import re
from pathlib import Path

from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.read import read_text
from scoresim.score.source import doubtful_bars

FORMATS = Path(__file__).parent / "fixtures" / "formats"
TRIO = read_text(FORMATS / "trio.musicxml", "musicxml")


def test_no_bar_of_a_text_that_is_read_right_is_doubtful() -> None:
    """Transposition, grace notes, tuplets, crossing notes and rests of several bars included."""
    drums = read_text(FORMATS / "drums.musicxml", "musicxml")
    for text in (TRIO, drums):
        assert doubtful_bars(text, Engraving(text, EngraveConfig()).reading.score) == frozenset()


def test_every_changed_note_makes_its_bar_doubtful() -> None:
    score = Engraving(TRIO, EngraveConfig()).reading.score
    pitches = list(re.finditer(r"<octave>(\d)</octave>", TRIO))
    bars = set()
    for match in pitches:
        changed = TRIO[: match.start()] + f"<octave>{int(match[1]) + 1}</octave>" + TRIO[match.end() :]
        bar = TRIO[: match.start()].count("<measure ") - 1
        assert doubtful_bars(changed, score) == {bar % 5}
        bars.add(bar % 5)
    assert bars == {0, 1, 2, 3, 4}


def test_a_note_that_begins_later_or_lasts_longer_is_found() -> None:
    score = Engraving(TRIO, EngraveConfig()).reading.score
    later = TRIO.replace('<measure number="4">', '<measure number="4"><forward><duration>2</duration></forward>', 1)
    assert doubtful_bars(later, score) == {4}
    one_tick = TRIO.replace("<duration>2</duration>", "<duration>1</duration>", 1)
    assert doubtful_bars(one_tick, score) == {1}


def test_another_number_of_bars_makes_all_of_them_doubtful() -> None:
    score = Engraving(TRIO, EngraveConfig()).reading.score
    assert doubtful_bars(TRIO.replace("</part>", '<measure number="9"/></part>'), score) == frozenset(range(5))


def test_the_pause_before_a_clef_that_the_engraver_loses() -> None:
    """The second voice begins with a pause and a change of clef; verovio puts its note at the beginning of the bar."""
    second = (
        "<backup><duration>12</duration></backup><forward><duration>6</duration></forward>"
        "<attributes><clef><sign>F</sign><line>4</line></clef></attributes><note><pitch><step>C</step>"
        "<octave>3</octave></pitch><duration>6</duration><voice>2</voice><type>quarter</type></note>"
    )
    at = TRIO.index("</measure>", TRIO.index('<measure number="4">'))
    text = TRIO[:at] + second + TRIO[at:]
    score = Engraving(text, EngraveConfig()).reading.score
    begins = [score.quarters(int(o) - score.bars[4].onset) for o in score.notes.onset[score.notes.pitch == 46]]
    assert (begins != [1]) == (4 in doubtful_bars(text, score))


def test_other_formats_say_nothing() -> None:
    text = read_text(FORMATS / "trio.krn", "kern")
    assert doubtful_bars(text, Engraving(text, EngraveConfig()).reading.score) == frozenset()
