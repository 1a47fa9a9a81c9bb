"""Adding up MEI: exact durations, ties, sources' own durations; all on texts of ours."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.score.mei import Reading, read_mei
from scoresim.score.notes import TIED_FROM, TIED_TO, tied_chains


def mei(*bars: str, staff: str = "", after: str = "") -> str:
    measures = "".join(
        f'<measure xml:id="m{i}" n="{i + 1}"><staff xml:id="s{i}" n="1">'
        f'<layer n="1">{bar}</layer></staff>{after}</measure>'
        for i, bar in enumerate(bars)
    )
    return (
        '<mei xmlns="http://www.music-encoding.org/ns/mei"><music><body><mdiv><score>'
        '<scoreDef><staffGrp><staffDef n="1" clef.shape="G" clef.line="2" meter.count="4" meter.unit="4" '
        f"{staff}/></staffGrp></scoreDef><section>{measures}</section></score></mdiv></body></music></mei>"
    )


def note(name: str, dur: str, id_: str, more: str = "") -> str:
    return f'<note xml:id="{id_}" pname="{name[0]}" oct="{name[1]}" dur="{dur}" {more}/>'


def durations(reading: Reading) -> list[Fraction]:
    score = reading.score
    return [score.quarters(int(d)) for d in score.notes.duration]


WRITTEN = st.tuples(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]), st.integers(0, 3))
GROUPS = st.lists(
    st.tuples(
        st.lists(WRITTEN, min_size=1, max_size=4), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=2)
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(GROUPS)
def test_any_nest_of_tuplets_and_dots_is_exact(
    groups: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]],
) -> None:
    """Against the same sum in fractions."""
    text, expected, count = "", [], 0
    for lengths, ratios in groups:
        inner = ""
        scale = Fraction(1)
        for above, below in ratios:
            scale *= Fraction(above, below)
        for dur, dots in lengths:
            inner += note("c4", str(dur), f"n{count}", f'dots="{dots}"')
            count += 1
            expected.append(Fraction(4, dur) * (2 - Fraction(1, 2**dots)) * scale)
        for above, below in ratios:
            inner = f'<tuplet num="{below}" numbase="{above}">{inner}</tuplet>'
        text += inner
    reading = read_mei(mei(text, note("c4", "4", "last")))
    score = reading.score
    assert durations(reading) == [*expected, 1]
    onsets = [score.quarters(int(o)) for o in score.notes.onset]
    assert onsets == [sum(expected[:i], Fraction(0)) for i in range(len(expected) + 1)]
    assert score.quarters(score.bars[0].duration) == sum(expected) and score.bars[1].onset == score.notes.onset[-1]
    exact = [*expected, *onsets]
    assert all((score.resolution * value).denominator == 1 for value in exact)


def test_the_sources_duration_counts_where_the_written_one_is_off_by_more_than_rounding() -> None:
    """A triplet that is not marked as one and a whole rest in 2/4; rounded thirds stay thirds."""
    bare = "".join(note("c4", "8", f"a{i}", 'dur.ppq="4"') for i in range(3))
    rounded = "".join(note("c4", "8", f"b{i}", f'dur.ppq="{n}"') for i, n in enumerate((85, 85, 86)))
    rest = '<rest dur="1" dur.ppq="24"/>' + note("c4", "4", "c", 'dur.ppq="12"')
    assert durations(read_mei(mei(bare, staff='ppq="12"'))) == [Fraction(1, 3)] * 3
    tuplet = f'<tuplet num="3" numbase="2">{rounded}</tuplet>'
    assert durations(read_mei(mei(tuplet, staff='ppq="256"'))) == [Fraction(1, 3)] * 3
    score = read_mei(mei(rest, staff='ppq="12"')).score
    assert score.quarters(int(score.notes.onset[0])) == 2


def test_what_a_note_plays_counts_where_it_looks_different() -> None:
    assert durations(read_mei(mei(note("c4", "4", "a", 'dur.ges="8" dots.ges="0"') + note("d4", "8", "b")))) == [
        Fraction(1, 2),
        Fraction(1, 2),
    ]


def test_a_tie_that_does_not_meet_its_end_goes_to_the_note_that_does() -> None:
    """Two voices hold the same pitch, and both ties are led to the last note."""
    voices = (
        '<measure xml:id="m" n="1"><staff xml:id="s" n="1">'
        f'<layer n="1">{note("c4", "2", "a")}{note("e4", "2", "x")}</layer>'
        f'<layer n="2"><space dur="2"/>{note("c4", "2", "b")}</layer></staff>'
        '<tie startid="#a" endid="#c"/><tie startid="#b" endid="#c"/></measure>'
    )
    text = mei(note("c4", "1", "c")).replace("<section>", "<section>" + voices)
    score = read_mei(text).score
    tie = {name: int(bits) for name, bits in zip(score.notes.id, score.notes.tie, strict=True)}
    assert tie == {"a": TIED_TO, "b": TIED_TO | TIED_FROM, "c": TIED_FROM, "x": 0}
    heads = {score.notes.id[i]: score.notes.id[h] for i, h in enumerate(tied_chains(score.notes).tolist())}
    assert heads == {"a": "a", "b": "a", "c": "a", "x": "x"}


def test_two_voices_that_hold_one_pitch_each_hold_their_own() -> None:
    def bar(number: int) -> str:
        layers = "".join(f'<layer n="{n}">{note("c5", "1", f"v{n}b{number}")}</layer>' for n in (1, 2))
        return f'<measure xml:id="q{number}" n="{number}"><staff xml:id="r{number}" n="1">{layers}</staff>'

    ties = "".join(f'<tie startid="#v{n}b1" endid="#v{n}b2"/>' for n in (1, 2))
    text = mei().replace("<section>", f"<section>{bar(1)}{ties}</measure>{bar(2)}</measure>")
    score = read_mei(text).score
    heads = {score.notes.id[i]: score.notes.id[h] for i, h in enumerate(tied_chains(score.notes).tolist())}
    assert heads == {"v1b1": "v1b1", "v2b1": "v2b1", "v1b2": "v1b1", "v2b2": "v2b1"}


def test_a_tempo_holds_from_its_beat_on() -> None:
    tempos = "".join(f'<tempo midi.bpm="{bpm}" tstamp="{beat}"/>' for bpm, beat in ((180, 3), (60, 1)))
    four = "".join(note("c4", "4", f"n{i}") for i in range(4))
    score = read_mei(mei(four, after=tempos)).score
    assert [(score.quarters(tick), bpm) for tick, bpm in score.tempos] == [(0, 60.0), (2, 180.0)]
    odd = read_mei(mei(four, after='<tempo midi.bpm="90" tstamp="soon"/><tempo midi.bpm="70" tstamp="nan"/>')).score
    assert [tick for tick, _ in odd.tempos] == [0, 0]
    between = read_mei(
        mei(note("c4", "1", "a"), note("c4", "1", "b"), after='<tempo midi.bpm="90" tstamp="1.5"/>')
    ).score
    assert [between.quarters(tick) for tick, _ in between.tempos] == [1, 5]


def test_a_tie_may_cross_to_another_staff() -> None:
    text = mei(note("c4", "1", "a"), note("c4", "1", "b", 'staff="2"'), after='<tie startid="#a" endid="#b"/>')
    score = read_mei(text).score
    assert score.notes.staff.tolist() == [1, 2] and tied_chains(score.notes).tolist() == [0, 0]


def test_a_rest_for_several_bars_is_several_bars() -> None:
    score = read_mei(mei('<multiRest num="3"/>', note("c4", "1", "a"))).score
    assert [score.quarters(bar.onset) for bar in score.bars] == [0, 4, 8, 12] and score.notes.bar.tolist() == [3]
    assert [bar.id for bar in score.bars] == ["m0", "", "", "m1"]


def test_percussion_stands_where_it_is_written_and_sounds_as_its_instrument() -> None:
    drum = '<note xml:id="d" dur="4" pnum="38" loc="5"/><note xml:id="e" dur="4" loc="3"/>'
    reading = read_mei(mei(drum))
    assert reading.place == {"d": (1, 5)} and reading.score.notes.pitch.tolist() == [38]
    assert reading.score.notes.program.tolist() == [128] and reading.score.notes.step.tolist() == [-1]
    assert reading.score.warnings == ("bar 1: a note has no pitch",)


def test_identifiers_given_twice_and_a_doubled_attribute_do_not_lose_the_file() -> None:
    """verovio writes both: fingerings with one identifier, and trills with two symbols."""
    twice = '<fing xml:id="f">1</fing><fing xml:id="f">2</fing><trill xml:id="t" symbol="a" startid="#a" symbol="b"/>'
    assert len(read_mei(mei(note("c4", "1", "a"), after=twice)).score.notes) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<mei", "not well-formed"),
        ("<mei/>", "no score"),
        ("<mei><score/></mei>", "no bars"),
        (mei(note("c4", "999999", "a")), "no common denominator"),
        (mei(f'<tuplet num="0" numbase="2">{note("c4", "4", "a")}</tuplet>'), "no common denominator"),
    ],
)
def test_what_is_no_score_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_mei(text)
