"""Train the network that hears how a beat is divided (`scoresim.score.division`), and put it in its place.

    python runs/division.py DATA OUT [--steps 5000] [--seed 0] [--sources NAME ...] [--weights FILE]

DATA is the folder of the sources, OUT a folder for the training; one that was stopped goes on. What it learns from:
`runs/along.py`. Half of the playings come with their beats, half with these moved to the nearest onset, sometimes at
half or twice the tempo. The truth is the coarsest division of a cell on which all of its notes stand in the score. The
state that is best on playings of the validation parts is written to FILE (src/scoresim/score/division.npz).
`python benchmarks/rounding.py SCORES` says what it is worth. Eight to nine minutes on one core.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from along import Along, Row, Rows, asked, cut, learn
from torch import Tensor, nn
from torch.nn import functional as F

import scoresim.score
from scoresim.data.rubato import GRACE, NEAR, TICKS, Played, Written, play
from scoresim.score.division import DILATIONS, DIVISIONS, WEIGHTS, features, possible, table
from scoresim.score.notes import Beats, Score, notes_from_columns
from scoresim.score.quantize import together
from scoresim.score.timeline import Timeline, from_beats
from scoresim.training.tally import Tally

WIDTH = 48
LENGTH = 192  # cells of a stretch
BARS = (16, 100)  # of a stretch of a score, at least and at most
KNOWN = 0.5  # share of the playings whose beats are known
TOGETHER = 0.07  # seconds within which a beat moves to an onset
OCTAVE = 0.2  # share at half the tempo, and at twice
OFF = 8  # ticks that a note may lie beside its place
NOBODY = -1.0  # there is nothing to be divided


class Heard(NamedTuple):
    """K beats.

    Attributes:
        beats: when they are, and where bars begin.
        places: [K] quarter notes of the score at which they are.
    """

    beats: Beats
    places: np.ndarray


def division(features: int) -> Along:
    """The network."""
    return Along(features, len(DIVISIONS), WIDTH, DILATIONS)


class FindDivisions:
    """The loss: of the division of every cell in which a note begins."""

    def __call__(self, module: nn.Module, batch: Rows) -> tuple[dict[str, Tensor], Tally]:
        out = module(batch.features, batch.mask).float()
        truth = torch.where(batch.mask > 0, batch.truth[..., 0], NOBODY).long()
        return {"division": F.cross_entropy(out.flatten(0, 1), truth.flatten(), ignore_index=int(NOBODY))}, {}


def row(score: Written, rng: np.random.Generator) -> Row:
    """`LENGTH` cells of a performance."""
    played = play(score, rng)
    heard = known(score, played) if rng.random() < KNOWN else moved(score, played, rng)
    return cut(cells(score, played, heard), LENGTH, rng)


def known(score: Written, played: Played) -> Heard:
    """The beats as they are."""
    places, down, _ = score.beats()
    return Heard(Beats(played.beats, down, score.metres(places)), places)


def moved(score: Written, played: Played, rng: np.random.Generator) -> Heard:
    """The beats as somebody may find them who does not know the metre: at onsets, at any octave of the tempo."""
    moments = np.sort(played.onset)
    after = np.clip(np.searchsorted(moments, played.beats), 1, len(moments) - 1)
    near = np.where(
        np.abs(moments[after] - played.beats) < np.abs(moments[after - 1] - played.beats),
        moments[after],
        moments[after - 1],
    )
    loose = played.beats + rng.normal(0, 0.01, len(near))
    times = np.maximum.accumulate(np.where(np.abs(near - played.beats) < TOGETHER, near, loose))
    places, _, compound = score.beats()
    octave = rng.random()
    if octave < OCTAVE and len(times) > 4:
        times, places = times[::2], places[::2]
    elif octave < 2 * OCTAVE:
        times, places = (np.sort(np.r_[some, (some[1:] + some[:-1]) / 2]) for some in (times, places))
    count = int(rng.choice([2, 3, 4]))
    three = bool(compound.mean() > 0.5 and rng.random() < 0.6)
    return _increasing(times, places, np.arange(len(times)) % count == 0, (3 * count, 8) if three else (count, 4))


def _increasing(times: np.ndarray, places: np.ndarray, down: np.ndarray, metre: tuple[int, int]) -> Heard:
    """Beats without those that are no later, or no later in the score, than the one before."""
    kept = np.r_[True, (np.diff(times) > NEAR) & (np.diff(places) > NEAR)]
    return Heard(Beats(times[kept], down[kept], ((0, *metre),)), places[kept])


def _performance(played: Played, more: np.ndarray) -> Score:
    """MIDI of what is played, in its order, and of some moments after that."""
    onset, empty = np.r_[played.onset, more], np.zeros(len(more), dtype=np.int64)
    notes = notes_from_columns(
        onset=np.maximum(np.round(onset * 2 * TICKS), 0).astype(np.int64),
        duration=np.maximum(np.round(np.r_[played.length, empty] * 2 * TICKS), 1).astype(np.int64),
        pitch=np.r_[played.pitch, empty],
        velocity=np.r_[played.velocity, empty],
    )
    return Score(TICKS, notes, (), tempos=((0, 120.0),))


def cells(score: Written, played: Played, heard: Heard) -> Row:
    """Of the cells between some beats: features, and the number of their division in `DIVISIONS`."""
    line = from_beats(_performance(played, heard.beats.seconds), heard.beats, "beats")
    count = len(played.onset)
    inside = (played.place >= heard.places[0] - NEAR) & (played.place <= heard.places[-1] + NEAR)
    truth = np.interp(played.place, heard.places, line.onset[count:])
    grace = score.duration[played.note] < GRACE + NEAR
    asked_of = replace(line, onset=line.onset[:count][inside], end=line.end[:count][inside])
    said = coarsest(line, truth[inside & ~grace])
    return table(asked_of, together(asked_of)), said[:, None].astype(np.float32)


def coarsest(line: Timeline, onset: np.ndarray) -> np.ndarray:
    """[C] number of the division with the fewest parts on which all notes of a cell stand; `NOBODY` where none is."""
    count = len(line.cells) - 1
    at = np.round(onset)
    cell = np.clip(np.searchsorted(line.cells, at, side="right") - 1, 0, count - 1)
    size = np.diff(line.cells)[cell]
    part = (at - line.cells[cell]) / size
    out = np.full(count, NOBODY)
    there = np.isin(np.arange(count), cell)[:, None] & possible(line.cells, np.asarray(DIVISIONS))
    for number in np.argsort(DIVISIONS)[::-1]:
        parts = DIVISIONS[number]
        off = np.abs(part * parts - np.round(part * parts)) / parts * size > OFF
        out[there[:, number] & ~np.isin(np.arange(count), cell[off])] = number
    return out


def main() -> None:
    given = asked(__doc__, 5000, Path(scoresim.score.__file__).parent / WEIGHTS)
    one = from_beats(
        Score(TICKS, notes_from_columns(onset=np.array([0]), duration=np.array([1]), pitch=np.array([60])), ()),
        Beats(np.arange(4.0), np.zeros(4, dtype=bool)),
        "beats",
    )
    learn(given, row, BARS, division, FindDivisions(), list(features(one, one.onset)))


if __name__ == "__main__":
    main()
