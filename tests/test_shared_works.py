"""Tasks whose sources share works: one tune stands in several books, under one name or under several."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scoresim.benchmark import piecewise, tasks
from scoresim.benchmark.piecewise import asked, without_copies
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import composer_all, style_all
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot
from scoresim.data.pieces import Piece
from scoresim.errors import BadInput
from scoresim.score.tokens import ATTRIBUTES, FIRST

PITCH = ATTRIBUTES.index("pitch")


def piece(name: str, seed: int, style: str = "reel", higher: int = 0) -> Piece:
    """A tune of 64 quarter notes, chosen by the seed; so many semitones higher."""
    onset = np.arange(64, dtype=np.float64)
    ids = np.full((64, len(ATTRIBUTES)), FIRST, dtype=np.int32)
    ids[:, PITCH] += np.random.default_rng(seed).integers(55, 80, 64).astype(np.int32) + higher
    ones = np.ones(64, dtype=np.int64)
    facts = dict.fromkeys(("corpus", "split", "composer", "title"), "")
    return Piece(
        id=name, work=name, style=style, labels={}, ids=ids, bar=(onset // 4).astype(np.int64), onset=onset,
        bar_onset=np.arange(0.0, 65, 4), velocity=64 * ones, track=0 * ones, staff=ones, voice=ones, **facts,
    )  # fmt: skip


def item(name: str, work: str, split: str | None = None, style: str = "reel") -> Item:
    return Item(name, Path(name), "abc", work, style, "", "", split=split)


def test_a_piece_that_a_more_protected_part_holds_is_left_out() -> None:
    parts = {
        "train": [piece("a", 1), piece("b", 2), piece("c", 3), piece("c again", 3)],
        "valid": [piece("b in another book", 2, higher=3), piece("d", 4)],
        "test": [piece("a in another key", 1, higher=-5), piece("d under another name", 4)],
    }
    kept = without_copies(parts)
    assert {part: [one.id for one in some] for part, some in kept.items()} == {
        "train": ["c", "c again"],
        "valid": ["b in another book"],
        "test": ["a in another key", "d under another name"],
    }


def test_a_work_is_in_one_part_whichever_book_it_is_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held_out = next(name for name in map(str, range(100)) if by_lot(name) == "test")
    books = {
        "one": [item("1", "x", "valid"), item("2", held_out, "train"), item("3", "y")],
        "two": [item("4", "x"), item("5", held_out), item("6", "x", "train"), item("7", "z", style="unknown")],
    }
    fakes = {
        name: SimpleNamespace(find=lambda folder: folder, items=lambda root, some=some: some)
        for name, some in books.items()
    }
    monkeypatch.setattr(piecewise.corpora, "get", fakes.get)
    task = replace(style_all.TASK, corpora=tuple(books))
    found = {one.id: part for some in asked(task, tmp_path).values() for one, part in some}
    assert found.keys() == set("123456"), "what has no style is not asked"
    assert {found[name] for name in "146"} == {"valid"}, "the most protected official part, for all of them"
    assert {found[name] for name in "25"} == {"train"}, "an official part goes before the lot"
    alone = {one.id: part for some in asked(replace(task, shared=False), tmp_path).values() for one, part in some}
    assert [alone[name] for name in "156"] == ["valid", "test", "train"]


def test_some_sources_alone_are_asked_in_the_parts_that_all_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def book(*items_of: tuple[str, str, str]) -> list[Item]:
        return [item(*one) for one in items_of]

    books = {
        "one": book(("1", "x", "train"), ("2", "y", "train"), ("3", "z", "train"), ("4", "w", "valid")),
        "two": book(("5", "x", "test"), ("6", "v", "test"), ("7", "u", "train")),
    }
    seeds = dict(zip("1234567", (1, 2, 3, 4, 1, 2, 5), strict=True))  # 6 is 2 under another name

    def read(name: str, items: list[Item], *others: object) -> list[Piece]:
        return [replace(piece(one.id, seeds[one.id]), corpus=name) for one in items]

    fakes = {
        name: SimpleNamespace(find=lambda folder: folder, items=lambda root, some=some: some)
        for name, some in books.items()
    }
    monkeypatch.setattr(piecewise.corpora, "get", fakes.get)
    monkeypatch.setattr(piecewise, "pieces", read)
    task = replace(style_all.TASK, corpora=tuple(books), classes=("reel",), label=style_all.label)

    def found(task: PieceTask) -> dict[str, str]:
        parts = piecewise.gather(task, tmp_path, tmp_path, images=False).parts
        return {one.id: part for part, some in parts.items() for one in some}

    assert found(task) == {"1": "test", "3": "train", "4": "valid", "5": "test", "6": "test", "7": "train"}
    assert found(task.of_sources(["one"])) == {"1": "test", "3": "train", "4": "valid"}
    with pytest.raises(BadInput, match="the valid part of two has no piece"):
        found(task.of_sources(["two"]))


def test_styles_of_few_works_are_not_asked_and_large_ones_are_thinned() -> None:
    few = [piece(str(i), i, "waltz") for i in range(style_all.FEWEST_WORKS - 1)]
    many = [piece(str(i), i, "jig") for i in range(style_all.FEWEST_WORKS)]
    one_work = [replace(one, work="w", style="air") for one in many]
    assert style_all.classes([*few, *many, *one_work]) == ("jig",)
    assert [style_all.label(one, ("jig",)) for one in (few[0], many[0])] == [-1, 0]
    kept = Counter(
        style
        for style in ("german folk song", "trecento")
        for i in range(4000)
        if style_all.part(item(str(i), str(i), style=style)) is not None
    )
    assert kept["trecento"] == 4000
    assert 4000 * style_all.MOST / style_all.MANY["german folk song"] == pytest.approx(
        kept["german folk song"], rel=0.2
    )


def test_a_composer_is_one_of_the_ten_or_another() -> None:
    def by(composer: str, corpus: str = "asap", **labels: str) -> Piece:
        return replace(piece("a", 1), composer=composer, corpus=corpus, labels=labels)

    liszt, rare = by("Franz Liszt", "asap_performances"), by("Mily Balakirev", few_works="1")
    schubert, song = by("Franz Schubert"), by("Schubert, Franz", "openscore_lieder")
    known = composer_all.classes([liszt, schubert, rare, song, by("Bela Bartok", "mikrokosmos")])
    assert known == ("Franz Liszt", "Franz Schubert", composer_all.ANOTHER)
    asked = (liszt, song, rare, by("traditional", "nottingham"), by("", "pop909"))
    assert [composer_all.label(one, known) for one in asked] == [0, 1, 2, 2, 2]
    names = [composer_all.name(by(name)) for name in ("Schubert, Franz", "Franz Schubert", "unknown")]
    assert names == ["Franz Schubert", "Franz Schubert", "unknown"]


def test_of_composers_keyboard_music_is_kept_and_other_repertoires_are_thinned() -> None:
    kept = Counter(
        style
        for style in ("romantic piano", "pop piano", "irish tune", "unknown")
        for i in range(4000)
        if composer_all.part(item(str(i), str(i), style=style)) is not None
    )
    assert (kept["romantic piano"], kept["unknown"]) == (4000, 0)
    for style in ("pop piano", "irish tune"):
        assert kept[style] == pytest.approx(4000 * composer_all.MOST / style_all.MANY[style], rel=0.2)


@pytest.mark.parametrize("name", ["composer_all", "style_all"])
def test_styles_and_composers_are_asked_of_all_sources_but_a_few(name: str) -> None:
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    others = {"music21_demos"}  # fragments of no style
    if name == "composer_all":
        others.add("nottingham_midi")  # the tunes of nottingham again
    large = {"giantmidi", "lakh", "maestro", "pdmx", "pop1k7"}  # that nobody has here
    assert sorted(task.corpora) == sorted(set(corpora.names()) - others - large - {"folder"})
    assert task.shared
    some = task.of_sources(("nottingham", "asap"))
    assert (some.corpora, some.kept) == (task.corpora, ("asap", "nottingham"))
    with pytest.raises(BadInput, match="has no source folder; its sources"):
        task.of_sources(("asap", "folder"))
    assert task.of_sources(()) is task
