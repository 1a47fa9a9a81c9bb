"""The benchmark of beats: what it counts, and how beats of a score are found in its performance."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import symusic

from scoresim.data.corpora import Item
from scoresim.score.notes import Beats
from scoresim.score.read import read_midi

mir_eval = pytest.importorskip("mir_eval", reason="the benchmark of beats needs mir_eval")


def midi(path: Path, onsets: np.ndarray, pitches: np.ndarray) -> Path:
    """Notes at seconds, as MIDI with 960 ticks a second."""
    out = symusic.Score(480)
    out.tempos.append(symusic.Tempo(0, 120.0))
    track = symusic.Track("Piano", 0)
    for onset, pitch in zip(onsets, pitches, strict=True):
        track.notes.append(symusic.Note(round(onset * 960), 300, int(pitch), 64))
    out.tracks.append(track)
    out.dump_midi(str(path))
    return path


def test_the_truth_is_one_and_half_the_tempo_is_an_octave(script, tmp_path):
    beats = script("benchmarks/beats.py")
    times = 1 + 0.5 * np.arange(40)
    down = np.arange(40) % 4 == 0
    one = beats.Asked("ASAP", "work", None, times, down)
    assert beats.figures(one, Beats(times, down)) == [1, 1, 1]
    half = beats.figures(one, Beats(times[::2], down[::2]))
    assert half == [pytest.approx(2 / 3), 1, 1]
    beside = beats.figures(one, Beats(times + 0.25, down))
    assert beside[0] < 0.1 and beside[2] < 0.1
    more = beats.figures(one, Beats(np.r_[times, 60 + times], np.r_[down, down]))
    assert more == [1, 1, 1]  # what lies after the truth is not asked
    assert beats.figures(one, Beats(np.array([100.0, 101.0]), np.zeros(2, dtype=bool))) == [0, 0, 0]


def test_what_increases_longest(script):
    beats = script("benchmarks/beats.py")
    assert beats.increasing(np.array([1.0, 5.0, 2.0, 3.0, 3.0, 9.0])).tolist() in ([0, 2, 3, 5], [0, 2, 4, 5])
    assert beats.increasing(np.array([3.0])).tolist() == [0]


def test_beats_of_a_score_are_found_in_its_performance(script, tmp_path):
    pytest.importorskip("parangonar", reason="performances are laid along scores by parangonar")
    beats = script("benchmarks/beats.py")
    rng = np.random.default_rng(0)
    written = 0.5 * np.arange(60)
    pitches = rng.integers(48, 84, 60)
    played = 2 + np.cumsum(np.r_[0, np.diff(written) * (1.2 + 0.3 * np.sin(np.arange(59) / 6))])
    midi(tmp_path / "midi_score.mid", written, pitches)
    path = midi(tmp_path / "played.mid", played, pitches)
    lines = [f"{at}\t{at}\t{'db,3/4' if k % 3 == 0 else 'b'}" for k, at in enumerate(written)]
    (tmp_path / "midi_score_annotations.txt").write_text("\n".join(lines) + "\n")
    item = Item(id="played.mid", path=path, format="midi", work="w", style="", composer="", title="")
    beats.lay_along(item, read_midi(path), tmp_path / "kept.npz")
    kept = np.load(tmp_path / "kept.npz")
    assert kept["beats"] == pytest.approx(played, abs=0.01) and kept["share"] == 1
    assert kept["down"].tolist() == [k % 3 == 0 for k in range(60)]
    (tmp_path / "midi_score_annotations.txt").unlink()
    with pytest.raises(beats.BadInput, match="is not there"):
        beats.lay_along(dataclasses.replace(item), read_midi(path), tmp_path / "kept.npz")
