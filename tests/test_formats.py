"""One small piece in every format: the same bars, onsets, durations and pitches, and every system becomes a pair.

The piece: a clarinet in Bb over a piano; a pick-up bar, a repeat with two endings, a change of key, metre and clef, a
triplet, a grace note, a tie over the bar line, notes that cross to the lower staff.
"""

import zipfile
from fractions import Fraction
from pathlib import Path

import mido
import pytest

from scoresim.data.corpora._abc import read_book
from scoresim.data.pair import PassageRules, excerpt, make_pair
from scoresim.errors import BadInput
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.notes import TIED_FROM, TIED_TO, Score
from scoresim.score.read import check_abc, read_midi, read_text
from scoresim.score.source_abc import doubtful_abc
from scoresim.score.tokens import default_vocabulary

FORMATS = Path(__file__).parent / "fixtures" / "formats"
ABOUT = dict.fromkeys(("id", "corpus", "item", "work", "style", "composer", "title", "split"), "x")
DECLARED = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "latin-1": "ISO-8859-1"}
Event = tuple[int, Fraction, Fraction, int]  # bar, onset in the bar, duration, sounding pitch


def listed(*rows: tuple[int, str, str, int]) -> list[Event]:
    return sorted((bar, Fraction(onset), Fraction(duration), pitch) for bar, onset, duration, pitch in rows)


CLARINET = listed(
    (0, "0", "1", 67),
    *((1, "0", "1", 72), (1, "1", "1/3", 74), (1, "4/3", "1/3", 76), (1, "5/3", "1/3", 77)),
    *((1, "2", "0", 81), (1, "2", "1", 79), (2, "0", "2", 79), (2, "2", "1", 77)),
    *((3, "0", "3", 72), (4, "0", "1", 70), (4, "1", "1", 69)),
)
RIGHT = listed(
    *((1, "0", "2", 64), (1, "2", "1", 67), (2, "0", "1", 72), (2, "2", "1", 60), (3, "0", "3", 64), (4, "0", "2", 70))
)
CROSSING = listed((2, "1", "1/2", 55), (2, "3/2", "1/2", 59))
LEFT = listed(
    *((1, "0", "3", 48), (1, "0", "3", 52), (2, "0", "2", 48), (3, "0", "3", 48), (4, "0", "1", 62), (4, "1", "1", 64))
)


def events(score: Score, staff: int) -> list[Event]:
    notes = score.notes
    return sorted(
        (
            int(notes.bar[i]),
            score.quarters(int(notes.onset[i]) - score.bars[notes.bar[i]].onset),
            score.quarters(int(notes.duration[i])),
            int(notes.pitch[i]),
        )
        for i in range(len(notes))
        if notes.staff[i] == staff
    )


def engraved(text: str, abc: bool = False) -> Score:
    """Engrave a text, and see every system of it become a pair."""
    engraving = Engraving(text, EngraveConfig(), "x", bar_accidentals=abc)
    rules = PassageRules(min_notes=1)
    score = engraving.reading.score
    bars = []
    for page in range(engraving.pages):
        for layout in engraving.page(page):
            taken = excerpt(score, engraving.bars(layout), default_vocabulary(), rules)
            pair = make_pair(taken, (engraving.draw(layout),), rules, dict(ABOUT))
            bars += range(pair.first_bar, pair.first_bar + pair.n_bars)
    assert bars == list(range(len(score.bars)))
    return score


def mxl(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(FORMATS / "trio.musicxml", "trio.musicxml")
    return path


def check_trio(score: Score, crossing_staff: int = 3) -> None:
    assert [score.quarters(bar.duration) for bar in score.bars] == [1, 3, 3, 3, 2]
    assert [(bar.numerator, bar.denominator, bar.fifths) for bar in score.bars] == [(3, 4, 2)] * 4 + [(2, 4, 1)]
    assert [staff.transposition for staff in score.staves] == [-2, 0, 0]
    assert events(score, 1) == CLARINET
    assert events(score, 2) == sorted(RIGHT + (CROSSING if crossing_staff == 2 else []))
    assert events(score, 3) == sorted(LEFT + (CROSSING if crossing_staff == 3 else []))
    tied = [(int(score.notes.pitch[i]), int(t)) for i, t in enumerate(score.notes.tie) if t]
    assert tied == [(79, TIED_TO), (79, TIED_FROM)]


@pytest.mark.parametrize("name", ["trio.musicxml", "trio-3.mei", "trio-4.mei", "trio-5.mei", "trio.krn"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_the_piece_in_every_format_and_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    form = {".musicxml": "musicxml", ".mei": "mei", ".krn": "kern"}[Path(name).suffix]
    text = (FORMATS / name).read_text(encoding="utf-8")
    path = tmp_path / name
    path.write_bytes(text.replace('encoding="UTF-8"', f'encoding="{DECLARED[encoding]}"').encode(encoding))
    if encoding != "utf-8":
        assert "Étude" in read_text(path, form)  # the same music as in UTF-8, which is engraved below
        return
    check_trio(engraved(read_text(path, form)), crossing_staff=2 if form == "kern" else 3)


def test_the_piece_in_a_compressed_file(tmp_path: Path) -> None:
    check_trio(engraved(read_text(mxl(tmp_path / "trio.mxl"), "mxl")))


def test_a_percussion_part_and_a_rest_of_three_bars() -> None:
    """Sounds come from the instruments of the part; a rest for three bars is drawn as three."""
    score = engraved(read_text(FORMATS / "drums.musicxml", "musicxml"))
    assert events(score, 1) == listed((0, "0", "1", 36), (0, "1", "1", 38), (0, "2", "2", 36), (4, "0", "4", 38))
    assert set(score.notes.program.tolist()) == {128} and set(score.notes.step.tolist()) == {-1}
    assert [bar.label for bar in score.bars] == ["1", "2", "3", "4", "5"]


def tune(number: int) -> Score:
    return engraved(check_abc(read_book(FORMATS / "book.abc")[number], FORMATS / "book.abc"), abc=True)


def test_a_tune_of_a_book() -> None:
    score = tune(0)
    assert [score.quarters(bar.duration) for bar in score.bars] == [1, 3, 3, 3, 2]
    assert [(bar.numerator, bar.fifths) for bar in score.bars] == [(3, 2)] * 4 + [(2, 2)]
    melody = [(b, o, d, p + 2) for b, o, d, p in CLARINET if b < 4]  # as the clarinet, without its transposition
    written = [*melody, *listed((4, "0", "1", 73), (4, "1", "1", 72))]
    assert events(score, 1) == sorted(written)


def test_a_tune_that_changes_its_key() -> None:
    score = tune(1)
    assert [bar.fifths for bar in score.bars] == [2, -1, 1, 1, 1, 1]
    assert events(score, 1) == listed(
        *((0, "0", "1", 78), (0, "1", "1", 73), (1, "0", "1", 70), (1, "1", "1", 72)),
        *((2, "0", "3/2", 78), (2, "3/2", "1/2", 73), (5, "0", "2", 67)),
    )


@pytest.mark.parametrize("endings", ['[1"G"abcd:|[2"C"abcd||', "[1abcd:|[2abcd||", "|1abcd:|2 abcd||"])
def test_no_note_and_no_process_is_lost_after_the_number_of_an_ending(endings: str) -> None:
    text = check_abc(f"X:1\nM:4/4\nL:1/4\nK:C\nabcd|{endings}\nabcd|]\n", Path("a.abc"))
    assert engraved(text, abc=True).notes.pitch.tolist() == [81, 83, 72, 74] * 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A>[ce]", ["3/4", "1/4", "1/4"]),
        ("A<(B c)d", ["1/4", "3/4", "1/2", "1/2"]),
        ("A<B c>d", ["1/4", "3/4", "3/4", "1/4"]),
        ("A>>B", ["7/8", "1/8"]),
    ],
)
def test_broken_rhythms_that_the_engraver_reads_right_are_kept(body: str, expected: list[str]) -> None:
    score = engraved(check_abc(f"X:1\nM:none\nL:1/8\nK:C\n{body}|]\n", Path("a.abc")), abc=True)
    assert [score.quarters(int(d)) for d in score.notes.duration] == [Fraction(e) for e in expected]


def test_a_key_before_a_repeat_makes_no_empty_bar() -> None:
    text = check_abc("X:1\nM:2/4\nL:1/4\nK:A\nac:|\nK:D\n|:f/c/c|Bc:|\n", Path("a.abc"))
    score = engraved(text, abc=True)
    assert [(bar.fifths, score.quarters(bar.duration)) for bar in score.bars] == [(3, 2), (2, 2), (2, 2)]
    assert score.notes.pitch.tolist() == [81, 73, 78, 73, 73, 71, 73]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("cF(3dcA GABd", ["1/2", "1/2", "1/3", "1/3", "1/3", "1/2", "1/2", "1/2", "1/2"]),
        ("cF((3dcA)GABd", ["1/2", "1/2", "1/3", "1/3", "1/3", "1/2", "1/2", "1/2", "1/2"]),
        ('"G"(3dc"D"A(3GABcd', ["1/3"] * 6 + ["1/2"] * 2),
        ("(3:2:3dcA G2", ["1/3", "1/3", "1/3", "1"]),
        ("(3A/B/c/ d (3d/e/f/g/", ["1/6"] * 3 + ["1/2"] + ["1/6"] * 3 + ["1/4"]),
        ("(3.d.d.d.d2", ["1/3", "1/3", "1/3", "1"]),
    ],
)
def test_tuplets_of_a_tune_take_in_their_notes_and_no_others(body: str, expected: list[str]) -> None:
    text = check_abc(f"X:1\nM:none\nL:1/8\nK:C\n{body}|]\n", Path("a.abc"))
    score = engraved(text, abc=True)
    assert [score.quarters(int(d)) for d in score.notes.duration] == [Fraction(e) for e in expected]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("(3d2c2A2 G2|]", "tuplet of quarter notes"),
        ("[ce]>A B2|]", "broken rhythm"),
        ("[c2e2]<A B2|]", "broken rhythm"),
        ("(f=e)>(g f)|]", "broken rhythm"),
        ("B/>(u.=A>u.c)|]", "broken rhythm"),
        ("V:1\nABcd|]\nV:2\nABcd|]", "several voices"),
        ("AB[K:F]cd|]", "inside a bar"),
        ("ABcd|[K:Hijaz]ABcd|]", "not known"),
        ("ABcd|[K:C bass]ABcd|]", "changes its clef"),
        ("ABc(3d|]", "not followed by its notes"),
        ("(3AzB c6|]", "tuplet with a rest"),
        ("ABcd & A4|]", "two voices in a bar"),
    ],
)
def test_a_tune_that_would_be_drawn_wrong_is_refused(body: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        check_abc(f"X:1\nM:4/4\nL:1/8\nK:C\n{body}\n", Path("a.abc"))


@pytest.mark.parametrize(
    ("key", "sharps"),
    [("", 0), (" % to be found", 0), ("G bass", 1), ("F bass", -1), ("Gm bass", -2), ("D clef=treble", 2)],
)
def test_the_key_of_a_header_is_read_beside_its_clef_and_may_be_empty(key: str, sharps: int) -> None:
    text = f"X:1\nM:4/4\nL:1/4\nK:{key}\nABcd|]\n"
    score = engraved(check_abc(text, Path("a.abc")), abc=True)
    assert [bar.fifths for bar in score.bars] == [sharps] and len(score.notes) == 4
    assert doubtful_abc(text, score) == frozenset()


@pytest.mark.parametrize("key", ["Fb", "G#", "Gb minor"])
def test_a_key_of_more_than_seven_sharps_or_flats_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match="more than seven"):
        check_abc(f"X:1\nM:4/4\nL:1/4\nK:{key}\nABcd|]\n", Path("a.abc"))


@pytest.mark.parametrize(
    ("header", "change"), [("G", "D clef=treble"), ("G clef=treble", "D treble"), ("G bass", "D clef=bass")]
)
def test_a_change_of_key_may_name_the_clef_again(header: str, change: str) -> None:
    text = check_abc(f"X:1\nM:4/4\nL:1/4\nK:{header}\nABcd|\nK:{change}\nABcd|]\n", Path("a.abc"))
    assert [bar.fifths for bar in engraved(text, abc=True).bars] == [1, 2]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("c > d e", ["3/4", "1/4", "1/2"]),
        ('c <"G"d e', ["1/4", "3/4", "1/2"]),
        ("^c5 c ^d10-|d", ["2", "1/2", "1/2", "4", "1", "1/2"]),
        ("z5 d7 {g5}d2", ["7/2", "1", "0"]),
        ("[1 c5 d [ce]5", ["2", "1/2", "1/2", "3", "3"]),  # an ending is no chord
        ("c5 d |]", ["2", "1/2", "1/2"]),
        ("|[1 c5 d", ["2", "1/2", "1/2"]),
        ("[ce]5", ["3", "3"]),  # a chord would lose its tie
    ],
)
def test_what_the_engraver_reads_only_when_it_is_written_otherwise(body: str, expected: list[str]) -> None:
    text = check_abc(f"X:1\nM:none\nL:1/8\nK:C\n{body}|]\n", Path("a.abc"))
    score = engraved(text, abc=True)
    assert [score.quarters(int(d)) for d in score.notes.duration] == [Fraction(e) for e in expected]
    if "^" in body:
        assert score.notes.tie.tolist() == [TIED_TO, TIED_FROM, 0, TIED_TO, TIED_FROM | TIED_TO, TIED_FROM]
        assert score.notes.alter.tolist() == [1] * 6


@pytest.mark.parametrize("body", ["c5 d z5 z", "c>^d5", "c> d5", "[1 [ce]2 d|]"])
def test_what_is_written_in_parts_keeps_words_and_broken_rhythms(body: str) -> None:
    words = "w:a b\n" if body.startswith("c5") else ""
    text = check_abc(f"X:1\nM:none\nL:1/8\nK:C\n{body}\n{words}", Path("a.abc"))
    line = text.splitlines()[4]
    assert line == {"c5 d z5 z": "c5 d z4z1 z", "[1 [ce]2 d|]": "[1 [c2e2] d|]"}.get(body, body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[ce]2 d2", ["1", "1", "1"]),
        ('["G"ce]/[!fermata!df]/ d', ["1/4"] * 4 + ["1/2"]),
        ("[c2e2]3/2 d", ["3/2", "3/2", "1/2"]),
        ("(3[ce]/d/e/ [1[^c_e]4 d", ["1/6"] * 4 + ["2", "2", "1/2"]),
        ("[1 AB [ce]2 d", ["1/2", "1/2", "1", "1", "1/2"]),
    ],
)
def test_a_length_after_a_chord_is_that_of_its_notes(body: str, expected: list[str]) -> None:
    text = f"X:1\nM:none\nL:1/8\nK:C\n{body}|]\n"
    score = engraved(check_abc(text, Path("a.abc")), abc=True)
    assert [score.quarters(int(d)) for d in score.notes.duration] == [Fraction(e) for e in expected]
    assert doubtful_abc(text, score) == frozenset()


def test_midi_with_a_change_of_metre_drums_and_a_repeated_key(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=96)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("time_signature", numerator=3, denominator=4))
    track.append(mido.Message("program_change", channel=0, program=71))
    for message in ("note_on 0 60", "note_off 96 60", "note_on 0 60", "note_off 32 60"):
        kind, time, note = message.split()
        track.append(mido.Message(kind, note=int(note), velocity=80, time=int(time)))
    track.append(mido.MetaMessage("time_signature", numerator=2, denominator=4, time=160))
    track.append(mido.Message("note_on", channel=9, note=38, velocity=100))
    track.append(mido.Message("note_off", channel=9, note=38, time=48))
    file.save(tmp_path / "a.mid")
    score = read_midi(tmp_path / "a.mid")
    notes = score.notes
    rows = zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), notes.program.tolist(), strict=True)
    assert list(rows) == [(0, 96, 60, 71), (96, 32, 60, 71), (288, 48, 38, 128)]
    assert [(bar.onset, bar.duration, bar.numerator) for bar in score.bars] == [(0, 288, 3), (288, 192, 2)]


@pytest.mark.parametrize("comment", ["see (3 below", "[V:1] odd", "from [K:G] on"])
def test_what_stands_in_a_comment_is_no_music(comment: str) -> None:
    lines = f"X:1\nT:a\n%%MIDI program 5\nM:4/4\nL:1/4\nK:C\nCDEF| % {comment}\n% {comment}\nGABc|]\n"
    text = check_abc(lines, Path("a.abc"))
    assert text.count("%") == 2 and "\n\n" not in text and len(engraved(text, abc=True).notes) == 8


def test_a_beam_named_at_every_note_of_a_chord_costs_no_note(tmp_path: Path) -> None:
    chord = "".join(
        f"<note>{mark}<pitch><step>{step}</step><octave>4</octave></pitch><duration>1</duration><voice>1</voice>"
        "<type>eighth</type><notehead>normal</notehead><beam number='1'>{0}</beam><beam number='2'>{0}</beam></note>"
        for mark, step in (("", "C"), ("<chord/>", "E"), ("<chord />", "G"))
    )
    bar = "".join(chord.replace("{0}", place) for place in ("begin", "continue", "continue", "end"))
    path = tmp_path / "a.musicxml"
    path.write_text(
        "<score-partwise><part-list><score-part id='P1'><part-name/></score-part></part-list><part id='P1'>"
        "<measure number='1'><attributes><divisions>2</divisions><time><beats>2</beats><beat-type>4</beat-type></time>"
        f"<clef><sign>G</sign><line>2</line></clef></attributes>{bar}</measure></part></score-partwise>"
    )
    score = engraved(read_text(path, "musicxml"))
    assert score.notes.pitch.tolist() == [60, 64, 67] * 4
    assert [score.quarters(int(onset)) for onset in score.notes.onset] == [Fraction(i // 3, 2) for i in range(12)]
