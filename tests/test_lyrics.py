"""Texts without their lyrics: no syllable is left, and every note is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from scoresim.data.config import BuildConfig
from scoresim.data.corpora import Item
from scoresim.data.parts import Task, make_pairs
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.lyrics import without_lyrics
from scoresim.score.read import read_text

FIXTURES = Path(__file__).parent / "fixtures"
SYLLABLES = "verybroadsyllables"
MUSICXML = (FIXTURES / "piano.musicxml").read_text(encoding="utf-8").replace(">word<", f">{SYLLABLES}<")
KERN = (
    "**kern\t**text\t**kern\t**silbe\n*clefG2\t*\t*clefG2\t*\n*M4/4\t*\t*M4/4\t*\n=1\t=1\t=1\t=1\n"
    f"4c\t{SYLLABLES}\t2e\t{SYLLABLES}\n4d\t{SYLLABLES}\t.\t.\n2e\t{SYLLABLES}\t2g\t{SYLLABLES}\n==\t==\t==\t==\n"
    "*-\t*-\t*-\t*-\n"
)
ABC = f"X:1\nT:w: is no line of words\nM:4/4\nL:1/4\nK:G\nGABc|\nw: {SYLLABLES} {SYLLABLES} a b\nd2 d2|]\nw: c d\n"


def mei() -> str:
    """Our small score as the engraver writes it."""
    return Engraving(MUSICXML, EngraveConfig()).mei()


TEXTS = {"musicxml": (MUSICXML, 1), "kern": (KERN, 5), "abc": (ABC, 4), "mei": (mei(), 1)}


@pytest.mark.parametrize("form", TEXTS)
def test_every_note_stays_and_no_syllable_does(form: str) -> None:
    text, least = TEXTS[form]
    engravings = [
        Engraving(t, EngraveConfig(texts=True), bar_accidentals=form == "abc")
        for t in (text, without_lyrics(text, form))
    ]
    sung, plain = (
        [text for page in range(e.pages) for layout in e.page(page) for text in e.draw(layout).texts]
        for e in engravings
    )
    assert sum(text.kind == "lyric" for text in sung) >= least
    assert not any(text.kind == "lyric" for text in plain)
    assert [t.content for t in sung if t.kind != "lyric"] == [t.content for t in plain]
    before, after = (e.reading.score.notes for e in engravings)
    for f in dataclasses.fields(before):
        if f.name != "id":
            assert np.array_equal(getattr(before, f.name), getattr(after, f.name)), f.name


ELEMENTS = (
    "<lyric><text>a</text></lyric>",
    "<lyric number='1>2' name=\"a/b\"><syllabic>single</syllabic><text>b</text><extend/></lyric>",
    "<lyric/>",
    '<lyric default-y="-80" />',
    "<!-- <lyric> -->",
    "<!-- <?a -->",
    "<?a <lyric> ?>",
    "<?b <!-- ?>",
    "<lyric-language/>",
    "<note><lyric\n><text>c</text></lyric\n></note>",
    "<pitch>C</pitch>",
)


@given(st.lists(st.sampled_from(ELEMENTS)))
def test_exactly_the_lyrics_are_taken_out(elements: list[str]) -> None:
    text = "<part>" + "".join(elements) + "</part>"
    left = etree.fromstring(without_lyrics(text, "musicxml"))
    wanted = etree.fromstring(text)
    etree.strip_elements(wanted, "lyric", with_tail=False)
    for tree in (wanted, left):
        etree.strip_elements(tree, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    assert etree.tostring(left, method="c14n") == etree.tostring(wanted, method="c14n")


def test_instructions_do_not_hide_notes() -> None:
    text = mei().replace("<note ", "<?proof <verse> ?><note ", 1)
    assert len(Engraving(without_lyrics(text, "mei"), EngraveConfig()).reading.score.notes) == 13


def test_marked_sections_are_left_alone() -> None:
    text = MUSICXML.replace(SYLLABLES, "<![CDATA[</lyric>]]>")
    assert without_lyrics(text, "musicxml") == text


def test_a_picture_without_words_has_no_room_for_them(tmp_path: Path) -> None:
    """What a build draws is what it would draw had there never been lyrics; with words, they have their room."""
    path = tmp_path / "song.musicxml"
    path.write_text(MUSICXML, encoding="utf-8")
    bare = tmp_path / "bare.musicxml"
    bare.write_text(without_lyrics(read_text(path, "musicxml"), "musicxml"), encoding="utf-8")

    def widths(source: Path, texts: bool) -> list[tuple[int, ...]]:
        config = BuildConfig(corpora=(), vary=False, texts=texts, min_notes=1)
        item = Item(source.name, source, "musicxml", "song", "", "", "")
        pairs, info = make_pairs(Task(item, "folder", tmp_path, config))
        assert pairs and not info["rejected"]
        return [tuple(pair.bar_boxes[:, 2].round().astype(int)) for pair in pairs]

    assert widths(path, texts=False) == widths(bare, texts=False) != widths(path, texts=True)
