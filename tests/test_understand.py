from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import scoresim
from scoresim import checkpoint
from scoresim.data.align import Place, align
from scoresim.data.given import read_notes
from scoresim.data.page import PageSystem
from scoresim.data.pieces import Piece
from scoresim.errors import BadInput
from scoresim.understand import Sim, write_embeddings
from scoresim.understand.results import Shown

TUNE = "X:1\nT:One\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n"


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.abc"
    path.write_text(TUNE)
    return path


def test_weights_make_the_round_trip(weights: Path, tmp_path: Path) -> None:
    sim = scoresim.load(weights)
    sim.save_pretrained(tmp_path / "again")
    again = Sim.from_pretrained(tmp_path / "again")
    for (name, a), b in zip(sim.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert again.loaded.vocabulary.hash == sim.loaded.vocabulary.hash
    sim.save_pretrained(tmp_path / "again")  # in the place of the one that stands there
    (tmp_path / "mine").mkdir()
    for name in ("thesis.txt", "config.json"):
        (tmp_path / "mine" / name).write_text("{}")
        with pytest.raises(BadInput, match="holds other files than those of a checkpoint"):
            sim.save_pretrained(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "{}"


def test_the_notes_of_a_file_become_vectors_of_its_stretches(weights: Path, tune: Path) -> None:
    sim = scoresim.load(weights)
    [found] = sim.embed(tune)
    assert (found.file, found.kind) == (str(tune), "notes")
    assert found.vectors.shape == (len(found.places), 32)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    assert {place.first for place in found.places} == {0, 1, 2, 3}
    assert found.to_dict()["places"][0] == {"first": 0, "end": found.places[0].end, "page": 0}
    [again] = sim.embed(str(tune))
    assert np.array_equal(found.vectors, again.vectors)


def test_what_cannot_be_read_is_said_in_one_sentence(weights: Path, tmp_path: Path) -> None:
    sim = scoresim.load(weights)
    (tmp_path / "bad.mid").write_bytes(b"no midi at all")
    with pytest.raises(BadInput, match=r"bad\.mid is not a MIDI file") as refused:
        sim.embed(tmp_path / "bad.mid")
    assert "\n" not in str(refused.value)
    (tmp_path / "bad.xml").write_bytes(b"<score-partwise>\n<part-list\x00/>\n</score-partwise>")
    with pytest.raises(BadInput, match=r"bad\.xml is not well-formed") as refused:  # the parser says it on two lines
        sim.embed(tmp_path / "bad.xml")
    assert "\n" not in str(refused.value)
    with pytest.raises(BadInput, match="at least one file"):
        sim.embed()
    with pytest.raises(BadInput, match="no folder of a checkpoint"):
        scoresim.load(tmp_path)


def test_a_picture_becomes_vectors_of_its_systems(weights: Path, drawn_tune: Path) -> None:
    sim = scoresim.load(weights)
    notes, picture = sim.embed(drawn_tune / "tune.abc", drawn_tune / "page.png")
    assert (notes.kind, picture.kind) == ("notes", "image")
    assert picture.places == tuple(Place(i, i + 1) for i in range(len(picture.places)))
    assert len(picture.places) > 1
    np.testing.assert_allclose(np.linalg.norm(picture.vectors, axis=1), 1, atol=1e-5)


def test_a_match_is_as_sure_as_its_weights_were_found_right(weights: Path, drawn_tune: Path, tmp_path: Path) -> None:
    page, tune = drawn_tune / "page.png", drawn_tune / "tune.abc"
    loaded = checkpoint.load(weights)
    sure, unsure = scoresim.load(weights), tmp_path / "unsure"
    checkpoint.save(unsure, loaded.model, loaded.vocabulary, {}, match=(0.5, -1.0))
    for one, other in zip(sure.match(page, tune).systems, scoresim.load(unsure).match(page, tune).systems, strict=True):
        assert (one.first_bar, one.end_bar) == (other.first_bar, other.end_bar)
        odds = 0.5 * math.log(one.probability / (1 - one.probability)) - 1
        assert other.probability == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-3)
    scoresim.load(unsure).save_pretrained(tmp_path / "again")
    assert checkpoint.load(tmp_path / "again").match == (0.5, -1.0)


def test_a_picture_is_laid_along_its_notes(weights: Path, drawn_tune: Path) -> None:
    sim, page, tune = scoresim.load(weights), drawn_tune / "page.png", drawn_tune / "tune.abc"
    found = sim.match(page, tune)
    assert len(found.systems) == len(sim.embed(page)[0].places)
    assert 0 <= found.probability <= 1
    assert [one.system for one in found.systems] == list(range(len(found.systems)))
    for before, after in itertools.pairwise(found.systems):
        assert before.end_bar <= after.first_bar
    for one in found.systems:
        assert 0 <= one.first_bar < one.end_bar <= 33
        assert set(one.missing) <= set(range(one.first_bar, one.end_bar))
    assert json.dumps(found.to_dict()) == json.dumps(sim.match(page, tune).to_dict())
    shown = found.systems[0]
    where = sim.locate(page, tune, shown.first_bar)
    assert where.system == 0
    assert shown.box[0] <= where.box[0] < where.box[2] <= shown.box[2] + 1
    for bar in (-1, 32, 99):
        with pytest.raises(BadInput, match="has the bars 1 to 32"):
            sim.locate(page, tune, bar)
    with pytest.raises(BadInput, match="give the picture first"):
        sim.match(tune, page)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_systems_that_follow_each_other_are_found(widths: list[int], begin: int, seed: int) -> None:
    starts = begin + np.cumsum([0, *widths])
    places = [Place(a, b) for a in range(int(starts[-1]) + 3) for b in range(a + 1, a + 5)]
    truth = [places.index(Place(a, b)) for a, b in itertools.pairwise(starts.tolist())]
    similarity = np.random.default_rng(seed).uniform(0, 0.4, (len(widths), len(places)))
    similarity[np.arange(len(widths)), truth] = 0.9
    score, path = align(similarity, places)
    assert path == truth
    assert score == pytest.approx(0.9)


def test_bars_between_systems_cost_and_what_cannot_follow_is_taken_one_by_one() -> None:
    places = [Place(0, 2), Place(5, 6)]
    score, path = align(np.array([[0.8, 0.1], [0.1, 0.6]]), places, skip=0.02)
    assert path == [0, 1]
    assert score == pytest.approx((0.8 + 0.6 - 3 * 0.02) / 2)
    score, path = align(np.array([[0.8], [0.4]]), places[:1])
    assert path == [0, 0]
    assert score == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("bars", "without"), [("z4|CDEF|z4|GABc|z4|z4|", {0, 2, 4, 5}), (f"{'C/4D/4E/4F/4' * 4}|" * 10, {8, 9})]
)
def test_a_bar_without_notes_that_are_read_lies_between_its_neighbours(
    weights: Path, tmp_path: Path, bars: str, without: set[int]
) -> None:
    """A rest, or the end of a system of more notes than are read."""
    sim, path = scoresim.load(weights), tmp_path / "tune.abc"
    path.write_text(f"X:1\nT:Rests\nM:4/4\nL:1/4\nK:C\n{bars}]\n")
    [piece] = read_notes([path])
    assert isinstance(piece, Piece)
    image = np.zeros((80, 400), dtype=np.uint8)
    image[24:60:8], image[:, 30::50] = 255, 255
    system = PageSystem(image, 8.0, 1, (0.0, 0.0, 400.0, 80.0))
    count = len(piece.bar_onset) - 1
    spans = [sim.span(system, piece, Shown(0, 0, system.box, 0, count, 0.5, ()), bar) for bar in range(count)]
    assert all(0 <= left <= right <= 1 for left, right in spans)
    for bar in without:
        ends = [spans[one][1] for one in range(bar) if one not in without]
        begins = [spans[one][0] for one in range(bar, count) if one not in without]
        assert set(spans[bar]) == {max(ends, default=0.0), min(begins, default=1.0)}


@pytest.mark.parametrize("name", ["out.npz", "out.parquet"])
def test_vectors_are_written_whole(weights: Path, tune: Path, tmp_path: Path, name: str) -> None:
    [found] = scoresim.load(weights).embed(tune)
    write_embeddings(tmp_path / name, [found])
    if name.endswith("npz"):
        with np.load(tmp_path / name, allow_pickle=False) as arrays:
            assert np.array_equal(arrays["vector"], found.vectors)
            assert arrays["first"].tolist() == [place.first for place in found.places]
            assert set(arrays["kind"].tolist()) == {"notes"}
    else:
        table = pq.read_table(tmp_path / name)
        assert np.array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), found.vectors)
        assert table["end"].to_pylist() == [place.end for place in found.places]
    with pytest.raises(BadInput, match=r"name it \.npz or \.parquet"):
        write_embeddings(tmp_path / "out.txt", [found])
    assert not (tmp_path / "out.txt").exists()
