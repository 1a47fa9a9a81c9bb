"""Packed data sets: the rows are those that pairs would have become, whole runs are the same."""

import shutil
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from scoresim.data import shards
from scoresim.data.batches import Passages
from scoresim.data.config import PackConfig
from scoresim.data.looks import DegradedSplit
from scoresim.data.packed import PARTS, PackedSet, is_packed, pack, packed, unpacked
from scoresim.data.rows import BatchConfig, Row, prepare
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.score.tokens import default_vocabulary
from scoresim.training.config import PretrainConfig
from scoresim.training.feed import Fed
from scoresim.training.pretrain import held_out_batches, open_training_split, pretrain
from scoresim.training.world import ALONE


@pytest.fixture(scope="module")
def small(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "rows"
    pack(built, out, PackConfig(levels=16, workers=1))
    return out


def assert_same(row: Row, was: Row, grey: float) -> None:
    for name, _, _ in PARTS:
        assert np.array_equal(getattr(row, name), getattr(was, name)), name
        assert getattr(row, name).dtype == getattr(was, name).dtype, name
    assert (row.length, row.bars) == (was.length, was.bars)
    assert np.abs(row.ink.astype(int) - was.ink).max() <= grey


@given(st.integers(0, 63), st.integers(2, 16))
@settings(max_examples=20, deadline=None)
def test_a_row_survives_packing_but_for_shades_of_grey(i: int, levels: int) -> None:
    was = prepare(synthetic(64, seed=1)[i], BatchConfig(), None)
    size, block = packed(was, levels)
    assert_same(unpacked(pa.py_buffer(block), size), was, 255 / (levels - 1) / 2 + 1)


def test_a_packed_set_holds_the_rows_of_its_pairs(built: Path, small: Path) -> None:
    pairs, rows = shards.open(built).split("train"), PackedSet(small).split("train")
    assert is_packed(small) and not is_packed(built)
    assert len(rows) == len(pairs)
    for name in ("id", "item", "n_notes", "staff_space", "first_bar"):
        assert rows.column(name) == pairs.column(name)
    for i in range(0, len(pairs), 7):
        assert_same(rows[i], prepare(pairs[i], BatchConfig(), None), 9)


def test_the_same_rows_make_the_same_batch(built: Path, small: Path) -> None:
    (pairs, *_, weight), (rows, _, _, packed_weight) = open_training_split(built), open_training_split(small)
    config = BatchConfig(batch_size=4, lines=2)
    first, second = Passages(pairs, config, weight=weight), Passages(rows, config, weight=packed_weight)
    index = first.order.rows(3, 0)
    a, b = first.gather(index), second.gather(index)
    assert torch.equal(a.notes.ids, b.notes.ids)
    assert torch.equal(a.image.cells, b.image.cells) and torch.equal(a.cell_bar, b.cell_bar)


def test_a_packed_set_counts_its_tokens(built: Path, small: Path, tmp_path: Path) -> None:
    rows = PackedSet(small).split("train")
    passages = Passages(rows, BatchConfig(batch_size=4))
    batch = passages.gather(np.arange(len(rows)))
    assert (passages.size == (batch.notes.mask.sum(1) + batch.image.mask.sum(1)).numpy()).all()
    shutil.copytree(small, tmp_path / "rows")
    for file in (tmp_path / "rows").glob("train-*.parquet"):  # as they were before cells were counted
        pq.write_table(pq.read_table(file).drop_columns("n_cells"), file)
    before = PackedSet(tmp_path / "rows").split("train")
    assert rows.tokens() is not None and before.tokens() is None
    guessed = Passages(shards.open(built).split("train"), BatchConfig(batch_size=4)).size
    assert Passages(before, BatchConfig(batch_size=4)).size.tolist() == guessed.tolist()


def test_notes_alone_have_no_pictures(small: Path) -> None:
    rows = open_training_split(small)[0]
    batch = Passages(rows, BatchConfig(batch_size=4, images=False)).batch(0, 0)
    assert not batch.image.mask.any() and batch.notes.mask.any()


def test_packing_goes_on_and_refuses_another(built: Path, tmp_path: Path) -> None:
    manifest = pack(built, tmp_path / "rows", PackConfig(workers=1))
    (tmp_path / "rows" / "manifest.json").unlink()  # stopped just before its end
    shard = tmp_path / "rows" / manifest["shards"]["train"][0]["name"]
    written = shard.stat().st_mtime_ns
    assert pack(built, tmp_path / "rows", PackConfig(workers=1)) == manifest
    assert shard.stat().st_mtime_ns == written
    with pytest.raises(BadInput, match="holds another data set"):
        pack(built, tmp_path / "rows", PackConfig(workers=1, levels=4))
    with pytest.raises(BadInput, match="holds another data set"):
        pack(built, built, PackConfig(workers=1))
    with pytest.raises(BadInput, match="has no part 'exam'"):
        pack(built, tmp_path / "other", PackConfig(parts=("exam",)))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="file"):
        pack(built, tmp_path / "file", PackConfig(workers=1))
    with pytest.raises(BadInput, match="pack the pairs again with --degrade scan"):
        open_training_split(tmp_path / "rows", "scan")


def test_looks_are_packed(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    pack(built, tmp_path / "rows", PackConfig(degrade="scan", levels=16, workers=1))
    pairs, rows = (
        DegradedSplit(shards.open(built).split("train"), "scan", 0),
        PackedSet(tmp_path / "rows").split("train"),
    )
    assert_same(rows[0], prepare(pairs[0], BatchConfig(), None), 9)


@pytest.mark.parametrize("field", [{"levels": 1}, {"levels": 17}, {"degrade": "fax"}, {"workers": 0}])
def test_what_makes_no_sense_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(field))):
        PackConfig(**field)


def test_processes_make_the_batches_that_a_thread_makes(small: Path) -> None:
    rows, vocabulary, *_ = open_training_split(small)
    passages = Passages(rows, BatchConfig(batch_size=4), vocabulary=vocabulary)
    with closing(passages.stream(5, 3)) as one, closing(Fed(passages, 2).stream(5, 3)) as other:
        for a, b in zip(islice(one, 5), islice(other, 5), strict=True):
            assert torch.equal(a.index, b.index) and torch.equal(a.image.ink, b.image.ink)
            assert a.draws is not None and b.draws is not None and torch.equal(a.draws.notes, b.draws.notes)
            assert a.altered is not None and b.altered is not None and torch.equal(a.altered.ids, b.altered.ids)


def test_a_damaged_shard_is_one_sentence_from_another_process_too(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "rows")
    rows = open_training_split(tmp_path / "rows")[0]
    passages = Passages(rows, BatchConfig(batch_size=4))
    for shard in (tmp_path / "rows").glob("*.parquet"):
        shard.write_bytes(shard.read_bytes()[:4] + bytes(len(shard.read_bytes()) - 4))
    with closing(Fed(passages, 1).stream(0, 0)) as stream, pytest.raises(BadInput, match="is damaged") as caught:
        next(stream)
    assert "Traceback" not in str(caught.value)


def test_a_run_on_packed_rows_with_processes_goes_on_as_with_a_thread(small: Path, tmp_path: Path) -> None:
    shape = {"size": "tiny", "batch_size": 4, "log_every": 1, "checkpoint_every": 2, "device": "cpu"}
    weights = []
    for name, workers in (("thread", 0), ("processes", 1)):
        pretrain(small, tmp_path / name, PretrainConfig(steps=3, workers=workers, **shape))
        weights.append(load_file(tmp_path / name / "checkpoint" / "model.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    pretrain(small, tmp_path / "processes", PretrainConfig(steps=3, workers=0, **shape))  # done already: says so


def test_held_out_rows_are_packed_or_not_asked(built: Path, small: Path, tmp_path: Path) -> None:
    config = PretrainConfig(steps=2, batch_size=4, log_every=1, validate_every=1, validate_batches=1)
    with pytest.raises(BadInput, match=r"no passages in its valid part.*--parts valid"):
        pretrain(small, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    pack(built, tmp_path / "both", PackConfig(parts=("train", "valid"), workers=1))
    valid = shards.open(built).split("valid")
    assert len(valid) and {pair.id for pair in valid}.isdisjoint(shards.open(built).split("train").column("id"))
    for data in (built, tmp_path / "both"):
        [batch] = held_out_batches(data, config, default_vocabulary(), ALONE)
        for row, i in enumerate(batch.index.tolist()):
            notes = batch.notes.ids[row][batch.notes.mask[row]]
            assert notes.tolist() == valid[i].notes.tolist()
    assert pretrain(tmp_path / "both", tmp_path / "run", config)["last"]["held_out/mbam/pitch"] >= 0


def test_rows_for_other_image_tokens_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="packed for other image tokens"):
        pretrain(small, tmp_path / "run", PretrainConfig(steps=1, image_tokens="squares"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("field", [{"muon": -1.0}, {"pitch_often": 0.0}, {"workers": -1}])
def test_numbers_of_training_that_make_no_sense_are_refused(field: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=next(iter(field))):
        PretrainConfig(steps=1, **field)  # type: ignore[arg-type]
