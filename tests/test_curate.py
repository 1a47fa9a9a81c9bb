"""Which works go into a set, and into which part of it."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresim.data import shards
from scoresim.data.build import BuildConfig, _plan, build
from scoresim.data.corpora import Item
from scoresim.data.curate import (
    SPLITS,
    draw,
    hold_out,
    limit_works,
    merge_splits,
    read_held_out,
    split_works,
    works_by_style,
)
from scoresim.data.pair import Pair
from scoresim.errors import BadInput

HELD_OUT = st.sampled_from(SPLITS[1:])


def pairs_of(folder: Path) -> list[Pair]:
    return [pair for part in SPLITS for pair in shards.open(folder).split(part)]


def test_works_are_split_disjointly_and_by_style() -> None:
    items = [Item(f"i{i}", Path("x"), "abc", f"w{i // 2}", f"s{i % 3}", "", "") for i in range(1200)]
    split = split_works(items)
    assert split == split_works(list(reversed(items))) and set(split) == {item.work for item in items}
    for works in works_by_style(items).values():
        parts = [split[work] for work in works]
        assert all(0.03 < parts.count(part) / len(parts) < 0.17 for part in ("test", "valid"))
    few = [Item(f"i{i}", Path("x"), "abc", f"w{i}", "rare", "", "") for i in range(3)]
    assert sorted(split_works(few).values()) == ["test", "train", "valid"]


@given(st.integers(1, 60), st.integers(0, 3), st.integers(1, 30), st.data())
def test_a_test_work_is_a_test_work_of_every_data_set(n: int, seed: int, limit: int, data: st.DataObject) -> None:
    """Other corpora, a limit and another seed move no work out of its part (but for the few that fill an empty one)."""
    items = [Item(f"i{i}", Path(f"{i}"), "abc", f"a/w{i}", "s", "", "") for i in range(n)]
    more = items + [Item(f"j{i}", Path(f"j{i}"), "abc", f"b/w{i}", "t", "", "") for i in range(n)]
    split = split_works(more)
    assert {work: part for work, part in split.items() if work.startswith("a/")} == split_works(items)
    for work, part in split_works(items).items():
        assert part == "test" or draw(work) >= 0.1
    chosen = limit_works(more, split, limit, None, seed)
    assert all(len(works) <= limit for works in works_by_style(chosen).values())
    held_out = {part for item in chosen if (part := split[item.work]) != "train"}
    assert limit < 3 or held_out == set(split.values()) - {"train"}
    assert [item for item in more if item in chosen] == chosen


def test_official_splits_hold_and_the_most_protected_one_wins() -> None:
    def item(name: str, work: str, split: str | None) -> Item:
        return Item(name, Path(name), "kern", work, "s", "", "", split=split)

    items = [item("a", "x/1", "train"), item("b", "x/1", "test"), item("c", "x/2", "train"), item("d", "x/3", "valid")]
    assert split_works(items) == {"x/1": "test", "x/2": "train", "x/3": "valid"}
    split = {"a/1": "train", "b/1": "valid", "c/1": "train", "d/1": "test", "e/1": "train"}
    group = {"a/1": "a/1", "b/1": "a/1", "c/1": "a/1", "d/1": "a/1", "e/1": "e/1"}
    assert merge_splits(split, group) == {"a/1": "test", "b/1": "test", "c/1": "test", "d/1": "test", "e/1": "train"}


def test_listed_works_do_not_stand_in_training(source: Path, tmp_path: Path) -> None:
    """The list is part of what the set is, wherever it lies."""
    plain = build(tmp_path / "plain", held_out_config(source, None))
    trained = next(pair.work for pair in pairs_of(tmp_path / "plain") if pair.split == "train")
    listed = tmp_path / "listed.tsv"
    listed.write_text(f"part\twork\n# why\n\nvalid\t{trained}\ntest\t{trained}\ntest\tof another set\n")
    manifest = build(tmp_path / "set", held_out_config(source, listed))
    assert {pair.split for pair in pairs_of(tmp_path / "set") if pair.work == trained} == {"test"}
    assert sum(manifest["pairs"].values()) == sum(plain["pairs"].values())
    assert str(tmp_path) not in json.dumps(manifest) and manifest["config"]["held_out"]
    listed.rename(tmp_path / "moved.tsv")
    build(tmp_path / "set", held_out_config(source, tmp_path / "moved.tsv"))  # what it says counts, not where it lies
    (tmp_path / "moved.tsv").write_text("valid\tanother\n")
    with pytest.raises(BadInput, match="another configuration"):
        build(tmp_path / "set", held_out_config(source, tmp_path / "moved.tsv"))


def held_out_config(source: Path, listed: Path | None) -> BuildConfig:
    return BuildConfig(corpora=(f"folder={source}",), vary=False, held_out=listed and str(listed))


@given(st.dictionaries(st.text(max_size=3), st.sampled_from(SPLITS)), st.dictionaries(st.text(max_size=3), HELD_OUT))
def test_a_list_only_protects(split: dict[str, str], listed: dict[str, str]) -> None:
    after = hold_out(split, listed)
    assert set(after) == set(split)
    for work, part in after.items():
        assert SPLITS.index(part) == max(map(SPLITS.index, (split[work], listed.get(work, "train"))))


@pytest.mark.parametrize(
    "text", [b"train\ta\n", b"test a\n", b"test\t \n", b"test\ta\tb\n", b"test\ta\nwork\n", b"\xff\tb"]
)
def test_a_list_of_another_form_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "list").write_bytes(text)
    with pytest.raises(BadInput, match=r"line \d: write valid or test|UTF-8"):
        read_held_out(tmp_path / "list")
    with pytest.raises(BadInput, match="cannot be read"):
        read_held_out(tmp_path / "none")


def test_a_list_is_heard_where_two_folders_hold_works_of_one_name(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = tmp_path / "listed.tsv"
    config = held_out_config(source, listed)
    listed.write_text("test\tof another set\n")
    with caplog.at_level(logging.WARNING, "scoresim"):
        _, plain, _ = _plan(tmp_path / "set", config)
    assert "0 of its 1 works are in this set" in caplog.text
    listed.write_text("".join(f"test\t{work}\n" for work in plain))
    other = tmp_path / "other"
    other.mkdir()
    for file in source.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    both = replace(config, corpora=(*config.corpora, f"folder={other}"))
    assert set(_plan(tmp_path / "set", both)[1].values()) == {"test"}
