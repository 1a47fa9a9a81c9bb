"""Accidentals that the notes have and the text does not ask to draw; all on texts of ours."""

from itertools import groupby
from pathlib import Path

import pytest
import verovio
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.data import parts
from scoresim.data.config import BuildConfig
from scoresim.data.corpora import Item
from scoresim.files import place
from scoresim.score.accidentals import draw
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.mei import read_mei, tree
from scoresim.score.notes import TIED_FROM

NAMES = {1: "s", -1: "f", 0: "n", 2: "x", -2: "ff"}


def note(id_: str, alter: int, more: str = "", drawn: str = "", step: str = "f", octave: int = 4) -> str:
    sound = f'accid.ges="{NAMES[alter]}"' if alter else ""
    sign = f'accid="{drawn}"' if drawn else ""
    return f'<note xml:id="{id_}" dur="4" oct="{octave}" pname="{step}" {sound} {sign} {more}/>'


def mei(*bars: str, key: str = "0", more: str = "") -> str:
    """One staff; every bar is the inside of its layers, one layer to a line."""
    measures = ""
    for i, bar in enumerate(bars):
        layers = "".join(f'<layer n="{k}">{layer}</layer>' for k, layer in enumerate(bar.split("\n"), 1))
        measures += f'<measure xml:id="m{i}" n="{i + 1}"><staff xml:id="s{i}" n="1">{layers}</staff>{more}</measure>'
    return (
        '<mei xmlns="http://www.music-encoding.org/ns/mei" meiversion="5.0"><meiHead/><music><body><mdiv><score>'
        f'<scoreDef keysig="{key}"><staffGrp><staffDef n="1" lines="5" clef.shape="G" clef.line="2" meter.count="4" '
        f'meter.unit="4"/></staffGrp></scoreDef><section>{measures}</section></score></mdiv></body></music></mei>'
    )


def undrawn(text: str) -> dict[str, int]:
    return read_mei(text).undrawn


def test_an_accidental_that_only_sounds_is_missing_once_a_bar() -> None:
    assert undrawn(mei(note("a", 1) + note("b", 1), note("c", 1) + note("d", 0))) == {"a": 1, "c": 1, "d": 0}


def test_an_accidental_holds_for_its_own_octave_only() -> None:
    assert undrawn(mei(note("a", 1, drawn="s") + note("b", 1, octave=5))) == {"b": 1}


def test_the_key_signature_needs_no_accidental_and_a_natural_does() -> None:
    assert undrawn(mei(note("a", 1) + note("b", 0), key="1s")) == {"b": 0}


def test_a_tie_carries_its_accidental_over_the_bar_line() -> None:
    assert undrawn(mei(note("a", 1, 'tie="i"', "s"), note("b", 1, 'tie="t"') + note("c", 1))) == {"c": 1}


def test_a_grace_note_comes_before_its_note_and_after_the_grace_note_before() -> None:
    graces = note("g", 1, 'grace="unacc"', "s") + note("h", 0, 'grace="unacc"')
    assert undrawn(mei(graces + note("a", 0))) == {"h": 0}


def test_a_voice_reads_the_accidental_of_the_other_at_its_time_but_not_before() -> None:
    first, second = note("a", 0, step="g") + note("b", 1, drawn="s"), note("c", 1) + note("d", 1)
    assert undrawn(mei(first + "\n" + second)) == {"c": 1}


def test_a_key_signature_inside_a_bar_counts_from_there() -> None:
    assert undrawn(mei(note("a", 0) + '<keySig sig="1s"/>' + note("b", 1) + note("c", 0))) == {"c": 0}


def test_a_key_signature_inside_a_bar_begins_anew_in_every_layer_and_holds_after_it() -> None:
    first = note("a", 0, step="g") + '<keySig sig="1s"/>' + note("b", 1)
    assert undrawn(mei(first + "\n" + note("c", 1) + note("d", 1))) == {"c": 1}
    second = note("c", 0) + '<keySig sig="1s"/>' + note("d", 1)
    assert undrawn(mei(first + "\n" + second, note("e", 1) + note("f", 0))) == {"f": 0}


@pytest.mark.parametrize("alters", [(1, 0), (0, 1)])
def test_two_heads_of_one_place_that_sound_differently_need_an_accidental_each(alters: tuple[int, int]) -> None:
    text = mei(note("a", alters[0]) + "\n" + note("b", alters[1]))
    assert undrawn(text) == dict(zip("ab", alters, strict=True))
    cured = read_mei(draw(tree(text), undrawn(text)))
    assert not cured.undrawn and not cured.contradicted


def test_an_accidental_that_contradicts_its_note_is_no_reading() -> None:
    assert read_mei(mei(note("a", 1), note("b", 1, drawn="n"))).contradicted == {1}
    quarter_tone = note("a", 0, drawn="1qs")
    assert read_mei(mei(quarter_tone)).contradicted == {0}


def played(text: str) -> list[int]:
    """What a player makes of the accidentals in an MEI text of ours: the alteration of each note, voice by voice."""
    heard: dict[str, int] = {}
    order = []
    for bar in tree(text).iter("{*}measure"):
        notes = []
        for layer in bar.iter("{*}layer"):
            for time, element in enumerate(layer.iter("{*}note")):
                own = element.get("accid") or next((a.get("accid") for a in element.iter("{*}accid")), None)
                notes.append((time, element.get("oct"), own, element.get("{http://www.w3.org/XML/1998/namespace}id")))
                order.append(notes[-1][-1])
        line: dict[str, int] = {}
        for _, together in groupby(sorted(notes, key=lambda n: n[0]), key=lambda n: n[0]):
            struck = list(together)
            line |= {octave: {v: k for k, v in NAMES.items()}[own] for _, octave, own, _ in struck if own}
            heard |= {name: line.get(octave, 0) for _, octave, _, name in struck}
    return [heard[name] for name in order]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(-2, 2), st.integers(4, 5)), min_size=4, max_size=4), min_size=1, max_size=3)
)
def test_what_is_drawn_after_the_cure_is_what_sounds(bars: list[list[tuple[int, int]]]) -> None:
    sounds = [alter for bar in bars for alter, _ in bar]
    text = mei(*("".join(note(f"n{b}.{i}", a, octave=o) for i, (a, o) in enumerate(bar)) for b, bar in enumerate(bars)))
    cured = draw(tree(text), undrawn(text))
    assert played(cured) == sounds
    before, after = read_mei(text), read_mei(cured)
    assert not after.undrawn
    assert after.score.notes.alter.tolist() == before.score.notes.alter.tolist()
    assert (after.contradicted, after.carried) == (
        before.contradicted,
        before.carried,
    )


MUSICXML = """<score-partwise version="3.1"><part-list><score-part id="P1"><part-name/></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>1</divisions><key><fifths>1</fifths></key>
<time><beats>4</beats><beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes>
{notes}</measure></part></score-partwise>"""
PITCH = "<pitch><step>{}</step><alter>{}</alter><octave>4</octave></pitch><duration>1</duration><type>quarter</type>"


def musicxml(*notes: tuple[str, int]) -> str:
    return MUSICXML.format(notes="".join(f"<note>{PITCH.format(*n)}</note>" for n in notes))


def test_musicxml_with_alterations_alone_is_drawn_with_accidentals() -> None:
    engraving = Engraving(musicxml(("F", 0), ("F", 1), ("B", -1), ("B", -1)), EngraveConfig())
    tags = engraving.page(0)[0].text.split("<")
    signs = [i for i, tag in enumerate(tags) if 'class="accid"' in tag and tags[i + 1].startswith("use")]
    assert len(signs) == engraving.accidentals == 3  # natural, sharp, one flat
    assert not engraving.misleads([0])
    assert engraving.reading.score.notes.alter.tolist() == [0, 1, -1, -1]


def test_who_asks_for_notes_alone_waits_for_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("loadData", "redoLayout"):
        own = getattr(verovio.toolkit, name)
        monkeypatch.setattr(verovio.toolkit, name, lambda *a, own=own, name=name: (calls.append(name), own(*a))[1])
    engraving = Engraving(musicxml(("F", 0), ("F", 1), ("B", -1), ("B", -1)), EngraveConfig())
    assert len(engraving.reading.score.notes) == 4
    assert calls == ["loadData"]
    assert engraving.pages == 1
    assert engraving.mei().count("<note ") == 4
    assert calls == ["loadData", "loadData", "redoLayout"], "laid out once, with the accidentals that were lacking"


TIED = "<note>{}{}<notations>{}</notations></note>"


def test_no_picture_begins_with_a_note_whose_accidental_a_tie_has_left_behind(tmp_path: Path) -> None:
    """Forty bars of one sharpened note, tied all through: only the first system shows the sharp."""
    bars = ""
    for number in range(40):
        types = [t for t, there in (("stop", number > 0), ("start", number < 39)) if there]
        ties, tied = ("".join(f'<{kind} type="{t}"/>' for t in types) for kind in ("tie", "tied"))
        pitch = PITCH.format("F", 1).replace("<type>", f"{ties}<type>", 1)
        sharp = "" if number else "<accidental>sharp</accidental>"
        rest = "".join(f"<note>{PITCH.format(step, 0)}</note>" for step in "GAB")
        attributes = (
            MUSICXML.partition("<attributes>")[2].partition("</attributes>")[0].replace("1</fifths>", "0</fifths>")
        )
        head = f"<attributes>{attributes}</attributes>" if not number else ""
        tied_note = TIED.format(pitch, sharp, tied) if number % 4 != 3 else f"<note>{PITCH.format('G', 0)}</note>"
        bars += f'<measure number="{number + 1}">{"" if number else head}{tied_note}{rest}</measure>'
    text = MUSICXML.partition("<measure")[0] + bars + "</part></score-partwise>"
    engraving = Engraving(text, EngraveConfig(page_width=40.0))
    score = engraving.reading.score
    starts = {bar.onset: i for i, bar in enumerate(score.bars)}
    hidden = [starts[o] for o, a, t in zip(score.notes.onset, score.notes.alter, score.notes.tie, strict=True)
              if a == 1 and t & TIED_FROM and o in starts]  # fmt: skip
    assert hidden
    systems = [engraving.draw(layout) for page in range(engraving.pages) for layout in engraving.page(page)]
    for system in systems:
        bars_of = [bar.index for bar in system.bars]
        assert bool(engraving.misleads(bars_of)) == (bars_of[0] in hidden)
    path = tmp_path / "a.musicxml"
    path.write_text(text)
    item = Item("a", path, "musicxml", "a", "", "", "")
    task = parts.Task(item, "folder", place(tmp_path / "p"), BuildConfig(corpora=(), vary=False))
    pairs, info = parts.make_pairs(task)
    assert info["rejected"]["a tie from the bar before hides an accidental"] > 0
    assert all(pair.first_bar not in hidden for pair in pairs)


def test_a_bar_whose_accidental_contradicts_its_note_becomes_no_pair(tmp_path: Path) -> None:
    path = tmp_path / "a.mei"
    path.write_text(mei(note("f", 1, drawn="n") + "".join(note(name, 0, step=name) for name in "gab")))
    item = Item("a", path, "mei", "a", "", "", "")
    pairs, info = parts.make_pairs(parts.Task(item, "folder", place(tmp_path / "p"), BuildConfig(corpora=())))
    assert not pairs
    assert info["rejected"] == {"an accidental is not drawn or contradicts its note": 1}
