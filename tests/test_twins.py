"""Passages that stand in two parts: found by their bars, in any key, and not because of what all music shares."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from scoresim.data import shards
from scoresim.data.build import BuildConfig, build
from scoresim.data.pair import Pair
from scoresim.data.twins import SAME_BARS, SAME_NOTES, Twins, bar_prints

BARS = np.random.default_rng(0).integers(0, 12, (12, 8)).tolist()  # twelve bars of eight notes


def passage(*bars: list[int], up: int = 0) -> dict[str, object]:
    """One row: bars of eighth notes as semitones above middle C."""
    notes = [
        [2 + b, 2 + 12 * i, 62 + pitch + up, 13, 20, 20, 5, 2]
        for b, bar in enumerate(bars)
        for i, pitch in enumerate(bar)
    ]
    bar_of_note = [b for b, bar in enumerate(bars) for _ in bar]
    return {"notes": [v for note in notes for v in note], "bar_of_note": bar_of_note, "n_bars": len(bars)}


def judged(held_out: list[list[dict[str, object]]], *training: dict[str, object]) -> list[str]:
    """The verdicts on passages of training, with items of another part known."""
    twins = Twins()
    for item, passages in enumerate(held_out):
        twins.judge(pa.Table.from_pylist(passages), item, remember=True)
    twins.next_part()
    return twins.judge(pa.Table.from_pylist(list(training)), 99, remember=False)


def test_a_passage_is_a_twin_by_half_of_its_bars_in_any_key_and_layout() -> None:
    held_out = [[passage(*BARS[0:3]), passage(*BARS[3:6])]]
    assert (
        judged(
            held_out,
            passage(*BARS[0:3]),  # the same
            passage(*BARS[2:4], up=5),  # in another key, over the border of two passages
            passage(BARS[1], BARS[8], BARS[4], BARS[9]),  # half of it
            passage(BARS[1], BARS[8], BARS[9]),  # a third
            passage(BARS[1], BARS[1], BARS[1]),  # one bar only, again and again
            passage(*BARS[6:9]),
        )
        == [SAME_NOTES, SAME_BARS, SAME_BARS, "", "", ""]
    )


def test_figures_that_many_pieces_share_make_no_twin() -> None:
    scattered = [[passage(BARS[k], BARS[k + 4])] for k in range(4)]
    assert judged(scattered, passage(*BARS[0:4])) == [""]
    dull = [[0] * 8, [0, 4] * 4, [0, 4, 7]]  # one pitch, two pitches, three notes
    assert judged([[passage(*dull)]], passage(*dull, BARS[0])) == [""]
    assert bar_prints(np.zeros((0, 4), np.int32), np.zeros(0, np.int64), 2)[0].tolist() == [0, 0]


def quote(number: int) -> list[str]:
    """Two tunes: the second quotes the first a fifth higher and goes on otherwise."""
    rng = np.random.default_rng(number)
    scale, higher = "CDEFGAB", "GABcdef"
    bars = [rng.integers(0, 7, 8) for _ in range(6)]
    first = "|".join("".join(scale[i] for i in bar) for bar in bars[:4])
    second = "|".join("".join(higher[i] for i in bar) for bar in [*bars[:3], bars[5]])
    head = "M:4/4\nL:1/8\n"
    return [
        f"X:{2 * number}\nT:Tune {number}\n{head}K:C\n{first}|]\n",
        f"X:{2 * number + 1}\nT:Other {number}\n{head}K:G\n{second}|]\n",
    ]


def bars_of(pair: Pair) -> list[tuple[tuple[int, ...], ...]]:
    """Position, pitch above the lowest, and duration of the notes of every bar."""
    out = []
    for i in range(pair.n_bars):
        bar = pair.notes[pair.bar_of_note == i, 1:4].copy()
        bar[:, 1] -= bar[:, 1].min()
        out.append(tuple(map(tuple, bar.tolist())))
    return out


def test_no_training_passage_stands_in_a_held_out_piece(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "book.abc").write_text("\n".join(tune for number in range(1, 25) for tune in quote(number)))
    manifest = build(
        tmp_path / "set", BuildConfig(corpora=(f"folder={folder}",), workers=2, duplicate_threshold=0.0, vary=False)
    )
    assert manifest["rejected"][SAME_BARS] > 0
    pairs = shards.open(tmp_path / "set")
    held_out: dict[str, set[object]] = {}
    for split in ("valid", "test"):
        for pair in pairs.split(split):
            held_out.setdefault(pair.item, set()).update(bars_of(pair))
    for pair in pairs.split("train"):
        bars = bars_of(pair)
        for held in held_out.values():
            shared = [bar for bar in bars if bar in held]
            assert len(set(shared)) < 2 or 2 * len(shared) < len(bars)
