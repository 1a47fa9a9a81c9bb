import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.data.batches import IGNORE, Passages, batch_config, draw
from scoresim.data.order import Order, epoch_order, stretched_sizes
from scoresim.data.pair import Pair
from scoresim.data.rows import (
    BatchConfig,
    decode,
    inked_cells,
    joined,
    lines_of,
    notes_that_fit,
    scaled,
)
from scoresim.data.spacing import along, along_lines
from scoresim.data.staves import find_staves, strips
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.model.sim import SIZES
from scoresim.score.tokens import FIRST, default_vocabulary


def test_a_step_has_the_same_rows_whenever_it_is_asked_for() -> None:
    passages, again = (Passages(synthetic(40, 0), BatchConfig(batch_size=8)) for _ in range(2))
    later = passages.batch(7, 12)
    for step in (3, 0, 12):
        again.order.rows(7, step)
    assert torch.equal(again.batch(7, 12).index, later.index)
    assert not np.array_equal(passages.order.rows(7, 0), passages.order.rows(8, 0))
    for step, batch in zip(range(4, 9), passages.stream(7, 4), strict=False):
        assert batch.index.tolist() == passages.order.rows(7, step).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 16), st.integers(0, 99))
def test_an_epoch_is_every_row_once(pieces: list[int], batch_size: int, seed: int) -> None:
    size = np.arange(len(pieces), dtype=np.int64)
    order = epoch_order(np.array(pieces, dtype=np.int64), size, batch_size, seed, 0)
    assert sorted(order.tolist()) == list(range(len(pieces)))


def test_batches_hold_couples_of_one_piece() -> None:
    passages = Passages(synthetic(64, 0), BatchConfig(batch_size=16))
    for step in range(4):
        piece = passages.piece[passages.order.rows(0, step)]
        assert len(set(piece.tolist())) == 8


def test_hardly_any_padding() -> None:
    chance = np.random.default_rng(0)
    size = np.exp(chance.normal(3, 0.5, 300_000)).astype(np.int64).clip(4, 128)
    for batch_size in (64, 256):
        order = epoch_order(np.arange(len(size)), size, batch_size, 0, 0)
        rows = size[order[: len(order) // batch_size * batch_size]].reshape(-1, batch_size)
        assert 1 - rows.sum() / (rows.max(axis=1) * batch_size).sum() < 0.11


def test_couples_are_of_like_size_and_of_two_rows() -> None:
    n, rng = 4000, np.random.default_rng(0)
    piece, row = np.arange(n) // 40, np.arange(n) // 2  # every row twice
    size = np.exp(rng.normal(4, 0.5, n // 2)).astype(np.int64)[row]
    order = epoch_order(piece, size, 4000, 0, 0, None, np.arange(n) % 2)
    first, second = order[::2], order[1::2]
    assert (piece[first] == piece[second]).mean() == 1
    assert (row[first] == row[second]).mean() < 0.05
    assert np.abs(size[first] - size[second]).mean() < 0.5 * np.abs(size - rng.permutation(size)).mean()


def test_notes_alone_need_no_couples() -> None:
    """Couples are for matching, which needs pictures."""
    alone = Passages(synthetic(64, 0), BatchConfig(batch_size=16, images=False))
    seen = [alone.order.rows(0, step).tolist() for step in range(4)]
    assert sorted(i for rows in seen for i in rows) == list(range(64))
    assert any(len(set(alone.piece[rows].tolist())) > 8 for rows in seen)


def test_notes_alone_that_are_drawn_often_do_not_meet_themselves() -> None:
    """Copies of a row are no couple: there is nothing to match."""
    weight = np.random.default_rng(0).exponential(size=1000)
    order = Order(1000, None, lambda *_: np.arange(1000), 16, weight / weight.mean())
    repeated = [16 - len(set(order.rows(0, step).tolist())) for step in range(order.steps)]
    assert 0 < np.mean(repeated) < 2, "near rows are of like size, so some meet"


def test_processes_that_cannot_share_every_kind_of_step_are_refused() -> None:
    source, config = synthetic(64, 0), BatchConfig(batch_size=24, lines=4)
    assert len(Passages(source, config, part=(1, 2)).batch(0, 3)) in (12, 6, 3)
    with pytest.raises(BadInput, match="8 processes cannot share a batch of 12 rows evenly"):
        Passages(source, config, part=(0, 8))


def test_a_copy_for_another_process_caches_for_itself() -> None:
    passages = Passages(synthetic(8, 0), BatchConfig(batch_size=8))
    batch = passages.batch(0, 0)
    other = copy.copy(passages)
    assert passages._cache and not other._cache
    assert torch.equal(other.batch(0, 0).notes.ids, batch.notes.ids)


def test_a_source_smaller_than_a_batch_is_one_batch() -> None:
    passages = Passages(synthetic(5, 0), BatchConfig(batch_size=32))
    assert sorted(passages.batch(0, 9).index.tolist()) == list(range(5))


def test_sequential_covers_all_rows_in_order() -> None:
    passages = Passages(synthetic(10, 0), BatchConfig(batch_size=4))
    assert [batch.index.tolist() for batch in passages.sequential()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batches_are_trimmed_and_padding_is_marked() -> None:
    pairs = synthetic(12, 1)
    batch = next(Passages(pairs, BatchConfig(batch_size=12)).sequential())
    counts = [len(pair.notes) for pair in pairs]
    assert batch.notes.ids.shape == (12, max(counts), 8)
    assert batch.notes.mask.sum(1).tolist() == counts
    assert torch.equal(batch.bar == -1, ~batch.notes.mask)
    assert (batch.notes.ids[~batch.notes.mask] == 0).all()
    assert batch.image.ink.shape[1] % 64 == 0
    assert batch.image.ink.shape[2] % 8 == 0
    assert batch.image.mask.any(dim=0).all(), "no column of cells is padding for all"
    assert ((batch.notes.time >= 0) & (batch.notes.time < 1)).all()
    assert (batch.notes.ids < torch.tensor(default_vocabulary().sizes)).all()


def test_cells_point_at_ink() -> None:
    batch = next(Passages(synthetic(6, 2), BatchConfig(batch_size=6)).sequential())
    B, H, W = batch.image.ink.shape
    darkest = batch.image.ink.view(B, H // 64, 64, W // 8, 8).amax(dim=(2, 4)).flatten(1)
    for b in range(B):
        listed = batch.image.cells[b][batch.image.mask[b]].tolist()
        assert listed == torch.nonzero(darkest[b] > 0.1).flatten().tolist()


def test_labels_follow_their_notes() -> None:
    def labels(pair: Pair) -> dict[str, Any]:
        return {"top": (pair.staff == 1).astype(int), "staves": pair.n_staves}

    pairs = synthetic(6, 2)
    batch = next(Passages(pairs, BatchConfig(batch_size=6, max_notes=12), labels).sequential())
    assert torch.equal(batch.labels["top"] == IGNORE, ~batch.notes.mask)
    assert batch.labels["staves"].tolist() == [pair.n_staves for pair in pairs]


def test_long_passages_lose_whole_bars() -> None:
    bars = np.array([0] * 5 + [1] * 5 + [2] * 5, dtype=np.int32)
    assert [notes_that_fit(bars, most) for most in (15, 14, 10, 9, 4)] == [15, 10, 10, 5, 4]


def test_decoding_is_the_same_with_and_without_the_cache() -> None:
    pairs = synthetic(8, 0)
    for a, b in itertools.pairwise(
        Passages(pairs, BatchConfig(batch_size=8, cache_megabytes=m)).batch(0, 0) for m in (100, 0)
    ):
        assert torch.equal(a.image.ink, b.image.ink)


def test_select_and_inputs() -> None:
    batch = next(Passages(synthetic(4, 0)).sequential())
    assert batch.select(torch.tensor([2, 0])).index.tolist() == [2, 0]
    assert batch.inputs("notes") == (batch.notes, None)
    assert batch.inputs("image") == (None, batch.image)
    with pytest.raises(ValueError, match="inputs"):
        batch.inputs("midi")


def test_staves_are_found_and_stand_at_one_height() -> None:
    for pair in synthetic(10, 4):
        ink = decode(pair.image)
        staves = find_staves(ink, pair.staff_space)
        assert [staff.number for staff in staves] == list(range(pair.n_staves))
        assert {staff.system for staff in staves} == {0}
        laid = strips(ink, staves, 128)
        assert laid.shape == (128 * pair.n_staves, ink.shape[1])
        for row in range(pair.n_staves):
            assert (laid[128 * row + 64, 20:] > 0).mean() > 0.9, "the middle line"


def test_systems_follow_each_other() -> None:
    one = decode(synthetic(2, 4)[0].image)
    staves = find_staves(np.concatenate([one, one]), 8.0)
    half = len(staves) // 2
    assert [staff.system for staff in staves] == [0] * half + [1] * half


def test_paper_has_no_staves_and_no_cells() -> None:
    paper = np.zeros((100, 50), dtype=np.uint8)
    assert find_staves(paper, 8.0) == []
    assert inked_cells(paper, 64, 16).shape == (0, 2)


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.3, 1.0])
def test_scaling_keeps_the_ink(scale: float) -> None:
    ink = decode(synthetic(1, 0)[0].image)
    small = scaled(ink, scale)
    assert small.shape[1] == pytest.approx(ink.shape[1] * scale, abs=1)
    assert small.mean() == pytest.approx(ink.mean(), rel=0.05)


@given(st.lists(st.floats(0, 60), max_size=20), st.floats(0, 64))
def test_spacing_grows_with_time(onsets: list[float], length: float) -> None:
    onset = np.sort(np.array(onsets, dtype=np.float32))
    place = along(onset, length)
    assert (np.diff(place) >= 0).all()
    assert ((place >= 0) & (place < 1)).all()


def test_long_gaps_get_less_than_their_share() -> None:
    place = along(np.array([0, 3], dtype=np.float32), 4.0)
    assert place[0] == 0
    assert 0.5 < place[1] < 0.75


def test_synthetic_notes_and_picture_agree() -> None:
    for pair in synthetic(6, 0):
        ink = decode(pair.image)
        assert len(pair.heads) == len(pair.notes) == len(pair.spelling)
        for token, x0, y0, x1, y1 in pair.heads:
            assert ink[int(y0) : int(y1), int(x0) : int(x1)].mean() > 60
            assert pair.notes[int(token), 2] - FIRST <= 79
        assert (np.lexsort((pair.notes[:, 2], pair.notes[:, 1], pair.notes[:, 0])) == np.arange(len(pair.notes))).all()


def test_cells_stand_in_the_bars_of_the_engraver() -> None:
    source = synthetic(8, seed=2)
    batch = Passages(source, BatchConfig(batch_size=8)).gather(np.arange(8))
    for b in range(8):
        pair, cells = source[b], batch.cell_bar[b][batch.image.mask[b]]
        assert set(cells.tolist()) == {-1, *range(pair.n_bars)}, "cells before the first bar line are in no bar"
        assert (batch.cell_bar[b][~batch.image.mask[b]] == -1).all()
        place = batch.image.place[b, :, 1][batch.image.mask[b]]
        means = [place[cells == bar].mean().item() for bar in range(pair.n_bars)]
        assert means == sorted(means)
        for bar in range(pair.n_bars):
            inside = batch.notes.time[b][batch.bar[b] == bar]
            own = place[cells == bar]
            assert own.min() - 0.05 <= inside.min() and inside.max() <= own.max() + 0.05


def test_random_numbers_of_a_row_follow_from_its_place_alone() -> None:
    whole = draw(3, 7, np.arange(6), 20, 6)
    part = draw(3, 7, np.array([1, 4]), 12, 6)
    assert torch.equal(part.notes, whole.notes[[1, 4], :12])
    assert torch.equal(part.bars, whole.bars[[1, 4], :12])
    assert torch.equal(part.rows, whole.rows[[1, 4]])
    assert torch.equal(part.partners, whole.partners[[1, 4]])
    assert not torch.equal(draw(3, 8, np.arange(6), 20, 6).rows, whole.rows)
    assert ((whole.notes >= 0) & (whole.notes < 1)).all()


def test_cells_of_the_page_stand_where_its_ink_is() -> None:
    shape = replace(SIZES["tiny"], staves=False, patch_height=16, patch_width=16)
    passages = Passages(synthetic(3, 0), batch_config(shape, 3))
    batch = passages.gather(np.arange(3))
    ink = batch.image.ink
    across = ink.shape[2] // 16
    for b in range(3):
        dark = {(int(c) // across, int(c) % across) for c in batch.image.cells[b][batch.image.mask[b]]}
        squares = ink[b].view(ink.shape[1] // 16, 16, across, 16).amax(dim=(1, 3))
        assert dark == {tuple(yx) for yx in (squares >= 32 / 255).nonzero().tolist()}
    assert (batch.cell_bar >= 0).any(dim=1).all(), "some cells of every passage stand in a bar"
    assert np.corrcoef(passages.size, batch.notes.mask.sum(1) + batch.image.mask.sum(1))[0, 1] > 0.5


def test_notes_alone_are_the_same_notes_beside_blank_pictures() -> None:
    source = synthetic(5, 0)
    seen = Passages(source).gather(np.arange(5))
    blind = Passages(source, BatchConfig(images=False)).gather(np.arange(5))
    assert torch.equal(seen.notes.ids, blind.notes.ids)
    assert torch.equal(seen.notes.time, blind.notes.time)
    assert not blind.image.mask.any()
    assert Passages(source, BatchConfig(images=False)).size.tolist() == seen.notes.mask.sum(1).tolist()


def test_rows_that_are_read_together_are_seen_together() -> None:
    n, rng = 40_000, np.random.default_rng(0)
    piece, size, group = np.arange(n) // 5, np.repeat(rng.integers(20, 300, n // 5), 5), np.arange(n) // 100
    order = epoch_order(piece, size, 16, 3, 1, group)
    assert sorted(order.tolist()) == list(range(n))
    read = 0
    kept: list[int] = []
    for number in group[order].tolist():
        if number in kept:
            kept.remove(number)
        else:
            read += 1
        kept = [*kept, number][-200:]  # a split keeps 512 and more
    assert read < 1.2 * 400, "every group is read about once an epoch"
    batches = order[: n // 16 * 16].reshape(-1, 16)
    assert 1 - size[batches].mean() / size[batches].max(axis=1).mean() < 0.1, "of like size"
    assert np.mean([len(set(group[batch].tolist())) for batch in batches]) > 3, "from several groups"
    couples = np.mean([len(set(piece[batch].tolist())) for batch in batches])
    assert couples < 11, "in couples of one piece"
    assert not np.array_equal(order, epoch_order(piece, size, 16, 3, 2, group))
    few = epoch_order(piece[:800], size[:800], 16, 3, 1, group[:800])
    assert np.array_equal(few, epoch_order(piece[:800], size[:800], 16, 3, 1)), "a small set is mixed as a whole"


class Chain(Sequence[Pair]):
    """Made-up passages of which four at a time follow each other in a piece."""

    def __init__(self, n: int) -> None:
        made, bar = [], 0
        for i, pair in enumerate(synthetic(n, 5)):
            bar = bar if i % 4 else 0
            made.append(replace(pair, item=f"piece {i // 4}", first_bar=bar))
            bar += pair.n_bars
        self.made = made

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, index: Any) -> Any:
        return self.made[index]

    def column(self, name: str) -> list[Any]:
        if name == "n_notes":
            return [len(pair.notes) for pair in self.made]
        return [getattr(pair, name) for pair in self.made]


def test_passages_that_follow_each_other_are_read_as_one() -> None:
    source = Chain(12)
    passages = Passages(source, BatchConfig(8, lines=4), vocabulary=default_vocabulary())
    assert passages.next_row.tolist() == [1, 2, 3, -1, 5, 6, 7, -1, 9, 10, 11, -1]
    steps = range(12)
    lines = [lines_of(passages.config, 0, step)[0] for step in steps]
    assert set(lines) == {1, 2, 4}
    together = stretched_sizes(passages.size, passages.next_row, 2).tolist()
    assert together == [a + b * (i % 4 < 3) for i, (a, b) in enumerate(pairwise([*passages.size.tolist(), 0]))]
    for step in steps:
        batch, count = passages.batch(0, step), lines[step]
        assert len(batch) == 8 // count
        assert batch.altered is not None
        for b, i in enumerate(batch.index.tolist()):
            taken = [source[i]]
            while len(taken) < count and (i + 1) % 4:
                i += 1
                taken.append(source[i])
            n = int(batch.notes.mask[b].sum())
            assert n == sum(len(pair.notes) for pair in taken)
            bars = np.concatenate([p.bar_of_note + sum(q.n_bars for q in taken[:k]) for k, p in enumerate(taken)])
            assert batch.bar[b, :n].tolist() == bars.tolist()
            assert batch.notes.ids[b, :n, 0].tolist() == (bars + FIRST).tolist()
            assert batch.notes.time[b, :n].floor().tolist() == [k for k, p in enumerate(taken) for _ in p.notes]
            cells = batch.image.mask[b]
            line = (batch.image.place[b][cells][:, 1] - 0.05).clamp(min=0).floor().int()
            assert set(line.tolist()) == set(range(len(taken)))
            assert int(batch.cell_bar[b].max()) == sum(p.n_bars for p in taken) - 1


def test_some_steps_read_notes_alone_in_long_rows() -> None:
    source = Chain(32)
    config = BatchConfig(16, lines=2, long_share=0.5, long_lines=8, long_notes=20)
    passages = Passages(source, config, vocabulary=default_vocabulary())
    notes = np.array([len(pair.notes) for pair in source.made])
    rows = stretched_sizes(notes, passages.next_row, 8, 20)
    seen = set()
    for step in range(12):
        batch, (count, alone) = passages.batch(0, step), lines_of(config, 0, step)
        assert batch.alone == alone
        seen.add(alone)
        if not alone:
            assert count in (1, 2)
            assert len(batch) == 16 // count
            assert batch.image.mask.any()
            continue
        assert count == 8
        assert len(batch) == 8, "four times as many passages as are read with images"
        assert not batch.image.mask.any()
        assert batch.altered is None
        for b, i in enumerate(batch.index.tolist()):
            taken = [source[i]]
            while (i + 1) % 4 and sum(len(pair.notes) for pair in taken) <= 20:
                i += 1
                taken.append(source[i])
            assert int(batch.notes.mask[b].sum()) == sum(len(pair.notes) for pair in taken) == rows[int(batch.index[b])]
    assert seen == {True, False}


def test_rows_of_several_lines_are_sorted_by_all_of_them() -> None:
    """They have an order of their own, as far in the pass, with the half of the padding at most; none comes twice."""
    passages = Passages(Chain(512), BatchConfig(16, lines=2))
    size = stretched_sizes(passages.size, passages.next_row, 2)
    single, own = (np.array([passages.order.rows(0, step, n) for step in range(32)]) for n in (1, 2))
    assert single.shape == (32, 16) and own.shape == (32, 8)
    assert len(np.unique(single)) == 512 and len(np.unique(own)) == 256
    before, now = ((size[rows].max(axis=1, keepdims=True) - size[rows]).mean() for rows in (single[:, :8], own))
    assert now < 0.5 * before


def test_a_note_points_at_its_own_line() -> None:
    source = Chain(4)
    config = BatchConfig(4, lines=4)
    passages = Passages(source, config)
    alone = [passages.row(i) for i in range(4)]
    row = joined(alone, config)
    assert joined(alone[:1], config) is alone[0]
    at = 0
    for i, part in enumerate(alone):
        here = slice(at, at + len(part.cells))
        assert np.array_equal(row.place[here, 1], part.place[:, 1] + np.float32(i))
        for (y, x), (v, u) in zip(row.cells[here].tolist(), part.cells.tolist(), strict=True):
            cut = row.ink[64 * y : 64 * y + 64, 8 * x : 8 * x + 8]
            was = part.ink[64 * v : 64 * v + 64, 8 * u : 8 * u + 8]
            assert np.array_equal(cut[: was.shape[0], : was.shape[1]], was)
        at += len(part.cells)
    assert row.edges.tolist() == np.cumsum([0, *(p.length for p in alone)]).tolist()
    assert np.array_equal(along_lines(row.onset, row.edges), row.time)
    lost = replace(alone[1], length=0.0)
    assert joined([alone[0], lost], config).length == 0.0
