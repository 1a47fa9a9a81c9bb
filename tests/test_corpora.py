"""Every corpus walks through the same checks; tune books and folders are tested on texts of our own."""

import os
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresim.data import corpora
from scoresim.data.corpora import Corpus, Item, abc_text, split_abc
from scoresim.data.corpora._item import safe_id, slug
from scoresim.data.corpora._styles import STYLES
from scoresim.errors import BadInput

FORMATS = {"musicxml", "mxl", "kern", "abc", "mei", "midi"}
FIXTURES = Path(__file__).parent / "fixtures" / "corpora"
SHARED = Path(__file__).parents[2] / "shared" / "data"
SETS = [name for name in corpora.names() if name != "folder"]
INSTALLED = [name for name in SETS if corpora.get(name).find(None) is not None]
WITH_FILES = [name for name in SETS if name not in INSTALLED]


@cache
def items_of(name: str, where: str = "") -> tuple[Item, ...]:
    """Items of a corpus in its default place, or among the fixtures or the shared data."""
    root = corpora.get(name).find({"": None, "fixtures": FIXTURES, "shared": SHARED}[where])
    if root is None:
        assert where != "fixtures", f"{name} has no fixture: see tests/fixtures/corpora/make.py"
        pytest.skip(f"{name} is not among the shared data beside the repository")
    return tuple(corpora.get(name).items(root))


EVERYWHERE = [
    *((name, "") for name in INSTALLED),
    *((name, where) for name in WITH_FILES for where in ("fixtures", "shared")),
]


@pytest.mark.parametrize("name", corpora.names())
def test_a_corpus_says_what_it_is(name: str) -> None:
    corpus = corpora.get(name)
    assert isinstance(corpus, Corpus)
    assert corpus.name == name
    assert corpus.title
    assert corpus.citation
    assert corpus.licence
    assert corpus.source
    assert corpus.styles
    assert len(set(corpus.styles)) == len(corpus.styles)
    assert set(corpus.styles) <= set(STYLES)


def test_styles_are_few() -> None:
    assert len(STYLES) <= 45
    assert {style for name in corpora.names() for style in corpora.get(name).styles} == set(STYLES)


@pytest.mark.parametrize(("name", "where"), EVERYWHERE)
def test_items_are_well_formed(name: str, where: str) -> None:
    items = items_of(name, where)
    assert items, "a corpus that is present has items"
    assert len({item.id for item in items}) == len(items)
    assert {item.style for item in items} <= set(corpora.get(name).styles)
    for item in items:
        assert re.fullmatch(r"[A-Za-z0-9_./-]+", item.id)
        assert ".." not in item.id.split("/")
        assert item.format in FORMATS
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", item.work)
        assert item.composer
        assert item.split in (None, "train", "valid", "test")
        assert all(key and value for key, value in item.labels.items())
        assert (item.part_of_file is not None) == (item.format == "abc")
    assert all(path.is_file() for path in {item.path for item in items})


@pytest.mark.parametrize(("name", "where"), [case for case in EVERYWHERE if case[1] != "shared"])
def test_order_is_always_the_same(name: str, where: str) -> None:
    first = items_of(name, where)
    corpus = corpora.get(name)
    root = corpus.find(FIXTURES if where else None)
    assert root is not None
    assert tuple(corpus.items(root)) == first


def test_at_least_eight_styles_have_twenty_works() -> None:
    works: dict[str, set[str]] = defaultdict(set)
    for name in INSTALLED:
        for item in items_of(name):
            works[item.style].add(item.work)
    assert sum(len(found) >= 20 for found in works.values()) >= 8


def test_an_item_of_one_corpus_is_in_no_other() -> None:
    seen: dict[tuple[Path, int | None], str] = {}
    for name, where in EVERYWHERE:
        for item in items_of(name, where) if where != "shared" else ():
            assert seen.setdefault((item.path, item.part_of_file), name) == name


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("bach_chorales", "bwv248.12-2.mxl", "bwv248.9-s.mxl"),
        ("bach_chorales", "bwv120.6.mxl", "bwv120.8-a.mxl"),
        ("palestrina_masses", "Kyrie_103.krn", "Agnus_II_79.krn"),
        ("monteverdi_madrigals", "madrigal.5.4.mxl", "madrigal.5.8.mxl"),
        ("quartets", "haydn/opus1no1/movement1.mxl", "haydn/opus1no1/movement5.mxl"),
        ("oneill_1850", "0626-0635/0000", "0626-0700/0000"),
        ("quartets", "beethoven/opus18no1/movement1.krn", "beethoven/opus18no1/movement4.mxl"),
        ("bach_chorales", "bwv277.krn", "bwv277.mxl"),
        ("music21_misc", "schumann_robert/opus48no2.mxl", "schumann_robert/dichterliebe_no2.xml"),
    ],
)
def test_parts_of_one_work_stay_together(name: str, first: str, second: str) -> None:
    work = {item.id: item.work for item in items_of(name)}
    assert work[first] == work[second]


def test_works_that_differ_stay_apart() -> None:
    chorales = {item.id: item.work for item in items_of("bach_chorales")}
    assert chorales["bwv253.mxl"] != chorales["bwv254.mxl"]
    madrigals = {item.id: item.work for item in items_of("monteverdi_madrigals")}
    assert madrigals["madrigal.5.3.mxl"] != madrigals["madrigal.5.4.mxl"]
    assert len({item.work for item in items_of("palestrina_masses")}) == 101


def test_every_installed_tune_is_complete() -> None:
    for name in INSTALLED:
        for item in items_of(name):
            if item.format == "abc":
                tune = abc_text(item)
                assert tune.startswith("X:")
                assert re.search(r"^L: *1/\d+", tune, re.MULTILINE), item.id
                assert re.search(r"^K:", tune, re.MULTILINE), item.id


def test_music21_is_found_without_being_imported() -> None:
    code = (
        "import sys; from scoresim.data import corpora\n"
        "for name in corpora.names(): corpora.get(name).find(None)\n"
        "assert 'music21' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_corpus_is_absent_where_its_folder_is_not(tmp_path: Path) -> None:
    assert corpora.get("folder").find(None) is None
    assert corpora.get("folder").find(tmp_path / "nowhere") is None
    assert corpora.get("quartets").find(tmp_path) is None
    assert corpora.get("bach_chorales").find(tmp_path / "nowhere") is None


def test_a_corpus_is_found_in_a_given_place(tmp_path: Path) -> None:
    (tmp_path / "corpus" / "ryansMammoth").mkdir(parents=True)
    (tmp_path / "corpus" / "ryansMammoth" / "AReel.abc").write_bytes(b"X:1\nT:My Own -- Reel\xbf\nK:G\nGABc|\n")
    ryan = corpora.get("ryan_mammoth")
    for place in (tmp_path, tmp_path / "corpus", tmp_path / "corpus" / "ryansMammoth"):
        root = ryan.find(place)
        assert root is not None
        assert [(item.id, item.work) for item in ryan.items(root)] == [("AReel/0000", "tune/my-own-reel")]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"essen_folksong.*oneill_1850"):
        corpora.get("nottinghamm")


# --- titles and ids ---


def test_slug_forgets_case_articles_and_accents() -> None:
    assert slug("The Rakes of Mallow.") == slug("RAKES OF MALLOW, THE") == "rakes-of-mallow"
    assert slug("Già fu chi m'ebbe cara") == "gia-fu-chi-mebbe-cara"
    assert slug("???") == "untitled"


@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_are_safe_and_do_not_meet(a: str, b: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_./-]+", safe_id(a))
    assert (safe_id(a) == safe_id(b)) == (a == b)


# --- tune books ---

BOOK = """% A book of our own
M:3/4
L:1/4
R:waltz
H:history is not passed on

X:1
T:First
K:G
% a comment
GAB|"a::b"cde::
fga|bag

some words between the tunes

X:2
T:Second
M:none
K:H
GAB|
w: la la la
X:3
T:Third
T:Other name
M:2/4
L:1/16
R:reel
K:Em
|:E2G2|!trill!A2B2:|
"""


def test_a_book_is_cut_into_complete_tunes() -> None:
    first, second, third = split_abc(BOOK)
    assert first == 'X:1\nL:1/4\nR:waltz\nT:First\nM:3/4\nK:G\nGAB|"a::b"cde:||:\nfga|bag\n|]\n'
    assert second == "X:2\nL:1/4\nR:waltz\nT:Second\nK:B\nGAB|\nw: la la la\n"
    assert third == "X:3\nT:Third\nT:Other name\nL:1/16\nR:reel\nM:2/4\nK:Em\n|:E2G2|!trill!A2B2:|\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("M:4/4\nK:C", "M:4/4\nL:1/8\nK:C"),
        ("M:2/4\nK:C", "M:2/4\nL:1/16\nK:C"),
        ("M:3/4\nK:C", "M:3/4\nL:1/8\nK:C"),
        ("M:C|\nK:C", "M:C|\nL:1/8\nK:C"),
        ("M:2+3/8\nK:C", "M:2+3/8\nL:1/16\nK:C"),
        ("M:FREI4/4\nL:1/4\nK:Es", "L:1/4\nK:Eb"),
        ("M:2/2]\nL:1/4\nK:HP", "M:2/2\nL:1/4\nK:HP"),
        ("M:9/8 % in the book 6/8\nL:1/8\nK:Dmix", "L:1/8\nM:9/8\nK:Dmix"),
        ("N:a note that goes\non in a second line\nL:1/8\nK:C", "N:a note that goes\nL:1/8\nK:C"),
        ("T:a stray blank line\n\nL:1/8\nK:C", "T:a stray blank line\nL:1/8\nK:C"),
        ("T:no key", "T:no key\nL:1/8\nK:C"),
    ],
)
def test_headers_name_metre_unit_and_key(header: str, expected: str) -> None:
    (tune,) = split_abc(f"X:1\n{header}\nCDEF|]\n")
    assert sorted(tune.splitlines()) == sorted(["X:1", *expected.splitlines(), "CDEF|]"])
    assert tune.index("K:") > tune.index("L:")


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("CDEF|GABc", "CDEF|GABc\n|]"),
        ("CDEF|[GBd]", "CDEF|[GBd]\n|]"),
        ("CDEF|]", "CDEF|]"),
        ("CDEF:|", "CDEF:|"),
        ("CDEF||", "CDEF||"),
        ("CDEF::", "CDEF:|"),
        ("CDEF| % the end", "CDEF| % the end"),
        ("CDEF % no | here", "CDEF % no | here\n|]"),
        ("A:|", "A:|"),
        ("CDEF\nW: words", "CDEF\nW: words\n|]"),
        ("CDEF|!\n!GABc|", "CDEF|\nGABc|"),
        ("CDEF|\n!\nGABc|", "CDEF|\nGABc|"),
        ("!fermata!C|!D|", "!fermata!C|D|"),
        ("|::CDEF::|", "|::CDEF::|"),
    ],
)
def test_tunes_end_with_a_bar_line(music: str, expected: str) -> None:
    (tune,) = split_abc(f"X:1\nL:1/8\nK:C\n{music}\n")
    assert tune == f"X:1\nL:1/8\nK:C\n{expected}\n"


def test_line_ends_and_marks_of_other_systems() -> None:
    plain = "X:1\nL:1/8\nK:C\nCD|\n\nX:2\nL:1/8\nK:C\nEF|\n"
    for end in ("\r\n", "\r"):
        assert split_abc("\ufeff" + plain.replace("\n", end)) == split_abc(plain)
    assert split_abc("") == split_abc("no tune here") == []
    assert split_abc("X:1") == ["X:1\nL:1/8\nK:C\n"]


ABC_LINES = st.one_of(
    st.sampled_from(["X:1", "X: 2", "T:a", "M:3/4", "M:none", "L:1/4", "K:G", "K:H", "", "w: la", "%%x", "% y", "V:1"]),
    st.text("ABCdefGz|:[]!\"\\% 23/'", max_size=20),
    st.text(max_size=10),
)


@given(st.lists(ABC_LINES, max_size=30))
def test_one_tune_for_every_number(lines: list[str]) -> None:
    text = "\n".join(lines)
    numbers = sum(line.startswith("X:") for line in re.split(r"\r\n|\r|\n", text.replace("\0", "").lstrip("\ufeff")))
    tunes = split_abc(text)
    assert len(tunes) == numbers
    for tune in tunes:
        assert len(re.findall(r"^X:", tune, re.MULTILINE)) == 1
        assert re.search(r"^L:", tune, re.MULTILINE)
        assert re.search(r"^K:", tune, re.MULTILINE)
    assert split_abc("\n".join(tunes)) == tunes


# --- any folder ---


def listed(root: Path) -> list[Item]:
    folder = corpora.get("folder")
    assert folder.find(root) == root
    return list(folder.items(root))


def test_folder_lists_scores_in_order(tmp_path: Path) -> None:
    for name in (
        "b/two.MID",
        "b/one.krn",
        "a.musicxml",
        "a.mxl",
        "c.xml",
        "d.mei",
        "e.midi",
        "notes.txt",
        "mid",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.mid").mkdir()
    items = listed(tmp_path)
    assert [(item.id, item.format) for item in items] == [
        ("a.musicxml", "musicxml"),
        ("a.mxl", "mxl"),
        ("b/one.krn", "kern"),
        ("b/two.MID", "midi"),
        ("c.xml", "musicxml"),
        ("d.mei", "mei"),
        ("e.midi", "midi"),
    ]
    assert items[0].work == items[1].work == "folder/a"
    assert {item.style for item in items} == {"unknown"}
    assert listed(tmp_path) == items


def test_folder_cuts_tune_books_and_lists_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "book.abc").write_bytes(
        b"X:1\nT:The One\xbf\nC:Ada\nK:C\nCD|\n\nX:2\nT:One, The\nK:C\nEF|\n\nX:3\nK:C\nG|\n"
    )
    (tmp_path / "empty.abc").write_bytes(b"")
    (tmp_path / "picture.mid").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "single.abc").write_bytes(b"X:1\nT:Alone\nK:C\nCD|\n")
    items = {item.id: item for item in listed(tmp_path)}
    assert list(items) == [
        "book.abc/0000",
        "book.abc/0001",
        "book.abc/0002",
        "empty.abc",
        "picture.mid",
        "single.abc/0000",
    ]
    assert items["book.abc/0000"].work == items["book.abc/0001"].work == "folder/book/one"
    assert items["book.abc/0002"].work == "folder/book/2"
    assert items["book.abc/0000"].composer == "Ada"
    assert items["single.abc/0000"].work == "folder/single"
    assert items["empty.abc"].part_of_file is None
    assert abc_text(items["empty.abc"]) == ""
    assert abc_text(items["book.abc/0001"]).endswith("K:C\nEF|\n")


def test_folder_tells_titles_without_latin_letters_apart(tmp_path: Path) -> None:
    titles = ("春の海", "荒城の月", "Калинка", "春の海", "???", "", "Песня 1", "Танец 1", "Träumerei", "TRAUMEREI")
    tunes = [f"X:{number}\nT:{title}\nK:C\nCD|\n" for number, title in enumerate(titles)]
    (tmp_path / "book.abc").write_text("\n".join(tunes), encoding="utf-8")
    items = listed(tmp_path)
    assert [item.title for item in items] == [title or "book" for title in titles]
    works = [item.work for item in items]
    assert works[0] == works[3] and works[8] == works[9]
    assert len(set(works)) == 8
    assert all(re.fullmatch(r"folder/book/[a-z0-9-]+", work) for work in works)
    assert works[5] == "folder/book/5"


def test_folder_names_stay_apart_when_made_safe(tmp_path: Path) -> None:
    for name in ("a b.mid", "a_b.mid", "ä.mid", "ö.mid"):
        (tmp_path / name).write_bytes(b"")
    items = listed(tmp_path)
    assert len({item.id for item in items}) == len({item.work for item in items}) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_./-]+", item.id) for item in items)


def test_folder_does_not_follow_links_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "in.mid").write_bytes(b"")
    (outside / "out.mid").write_bytes(b"")
    (root / "linked.mid").symlink_to(outside / "out.mid")
    (root / "again.mid").symlink_to(root / "in.mid")
    (root / "dangling.mid").symlink_to(root / "nothing.mid")
    (root / "linked").symlink_to(outside, target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "pipe.mid")
    assert [item.id for item in listed(root)] == ["again.mid", "in.mid"]
