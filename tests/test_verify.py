"""What `verify` finds in a data set that someone has touched."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoresim.data.shards import KIND, MANIFEST, schema, shard_entry, write_table
from scoresim.data.verify import verify
from scoresim.errors import BadInput
from scoresim.files import write_json
from scoresim.score.tokens import default_vocabulary


def rewritten(folder: Path, out: Path, change: Any) -> Path:
    """A copy of a data set whose rows were changed by someone who also mended the checksums."""
    shutil.copytree(folder, out)
    manifest = json.loads((out / "manifest.json").read_text())
    for split, entries in manifest["shards"].items():
        rows = [row for entry in entries for row in pq.read_table(out / entry["name"]).to_pylist()]
        change(split, rows)
        write_table(out / entries[0]["name"], pa.Table.from_pylist(rows, schema=schema()))
        manifest["shards"][split] = [shard_entry(out / entries[0]["name"], len(rows))]
    write_json(out / "manifest.json", manifest)
    return out


@pytest.mark.slow
def test_verify_finds_one_flipped_byte(built: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(8):
        out = tmp_path / str(number)
        shutil.copytree(built, out)
        shard = out / json.loads((out / "manifest.json").read_text())["shards"]["train"][0]["name"]
        data = bytearray(shard.read_bytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        shard.write_bytes(data)
        problems = verify(out)
        assert any("SHA-256 differs" in problem and shard.name in problem for problem in problems)


def test_verify_finds_swapped_pictures(built: Path, tmp_path: Path) -> None:
    def swap(split: str, rows: list[dict[str, Any]]) -> None:
        if split == "train":
            columns = ("image", "width", "height")
            first, second = rows[2], rows[5]
            for name in columns:
                first[name], second[name] = second[name], first[name]

    problems = verify(rewritten(built, tmp_path / "swapped", swap))
    assert any("note heads are not on the picture" in problem for problem in problems)
    assert not any("SHA-256" in problem for problem in problems)


def test_verify_finds_a_work_in_two_parts_and_a_pair_twice(built: Path, tmp_path: Path) -> None:
    stolen: list[dict[str, Any]] = []

    def leak(split: str, rows: list[dict[str, Any]]) -> None:
        if split == "train":
            stolen.append(rows[0])
        if split == "test":
            rows.append(stolen[0] | {"split": "test"})

    problems = verify(rewritten(built, tmp_path / "leaked", leak))
    assert any("stands in several parts: test" in p and "train" in p for p in problems)
    assert any("stands 2 times" in p for p in problems)


def test_verify_finds_a_changed_note(built: Path, tmp_path: Path) -> None:
    def alter(split: str, rows: list[dict[str, Any]]) -> None:
        if split == "train":
            rows[0]["notes"][3] += 40

    problems = verify(rewritten(built, tmp_path / "altered", alter))
    assert any("does not have the onset and duration" in p for p in problems)


def test_verify_finds_a_pitch_that_is_not_the_spelled_one(built: Path, tmp_path: Path) -> None:
    def alter(split: str, rows: list[dict[str, Any]]) -> None:
        if split == "train":
            rows[0]["notes"][8 * (len(rows[0]["spelling"]) - 1) + 2] += 1

    problems = verify(rewritten(built, tmp_path / "altered", alter))
    assert any("does not sound as it is spelled" in p for p in problems)


@pytest.mark.parametrize(
    ("column", "change", "said"),
    [
        ("bar_boxes", lambda boxes: [value + 5000 for value in boxes], "bar box"),
        ("staff_boxes", lambda boxes: [*boxes[:2], -9.0, *boxes[3:]], "staff box"),
        ("staff", lambda staves: [9 for _ in staves], "staves"),
        ("length", lambda length: -length, "length"),
    ],
)
def test_verify_finds_fields_that_make_no_sense(
    built: Path, tmp_path: Path, column: str, change: Any, said: str
) -> None:
    def alter(split: str, rows: list[dict[str, Any]]) -> None:
        if split == "train":
            rows[0][column] = change(rows[0][column])

    assert any(said in problem for problem in verify(rewritten(built, tmp_path / "altered", alter)))


def test_verify_finds_wrong_counts_and_a_lost_sampling_table(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(built, out)
    (out / "sampling.parquet").unlink()
    assert any("sampling" in problem for problem in verify(out))
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["pairs"]["train"] += 1
    write_json(out / "manifest.json", manifest)
    assert any("counts" in problem for problem in verify(out))


@pytest.mark.parametrize(
    "change",
    [
        {"pairs": None},
        {"pairs": [3]},
        {"shards": {"train": 3}},
        {"shards": {"train": ["train-00000.parquet"]}},
        {"shards": {"train": [{"rows": 3}]}},
        {"groups": []},
        {"groups": {"merged_works": [3]}},
        {"groups": {"merged_works": [["a", "b"]]}},
        {"shards": {"train": [{"name": "../../elsewhere.parquet", "rows": 3}]}},
    ],
)
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    """None is a key that is missing."""
    words = default_vocabulary()
    whole = {"kind": KIND, "vocabulary": words.to_json(), "vocabulary_hash": words.hash, "shards": {}, "pairs": {}}
    write_json(tmp_path / MANIFEST, whole)
    assert verify(tmp_path) == []
    write_json(tmp_path / MANIFEST, {name: value for name, value in (whole | change).items() if value is not None})
    with pytest.raises(BadInput, match=r"^manifest\.json of .+ is damaged \(.+\); put a whole one back, [^\n]+\.$"):
        verify(tmp_path)
