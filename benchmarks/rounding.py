"""How well the rhythm of performances is written down, against their scores.

    python benchmarks/rounding.py SCORES [--part test] [--most 4000] [--keep FOLDER] [--each]

SCORES is ASAP's folder. As in `benchmarks/performances.py`, whose alignments are kept in FOLDER, the first performance
of every score of the part with two staves is laid along the score. A note that is found there is right if it begins as
many quarter notes after the middle of the onset before (in the score) as it does there; ornaments that are written out,
rolled chords and mistakes of the alignment count as wrong; notes of one pitch that fall together when the performance
is read are asked as one. A performance may be written at a quarter to four times the tempo of the score. Once with the
beats of the score, interpolated between the notes that are found, and once with those that are estimated. Performances
of more than MOST notes are left out, and those that share less than four fifths of their notes with the score. Mean
over performances, 95 % intervals over works; --each prints each of them. Needs the extra `bench`. Ends with one line
of JSON.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from beats import SHARED, increasing
from performances import laid_along, readable

from scoresim.benchmark import metrics
from scoresim.data.pieces import Whole
from scoresim.data.rubato import Written
from scoresim.errors import BadInput
from scoresim.score import pulse
from scoresim.score.notes import Beats, Score, notes_from_columns
from scoresim.score.quantize import quantize
from scoresim.score.timeline import QUARTER, from_beats
from scoresim.understand.analysis import notes_of

TEMPOS = (0.25, 1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0, 3.0, 4.0)
NEAR = 0.02  # quarter notes
TICKS = 480  # per half second


def midi_of(whole: Whole) -> Score:
    """The notes of a performance in the order in which it is read."""
    notes = notes_of(whole)
    onset = np.round(notes.seconds * 2 * TICKS).astype(np.int64)
    duration = np.maximum(np.round(notes.length * 2 * TICKS).astype(np.int64), 1)
    some = notes_from_columns(onset=onset, duration=duration, pitch=notes.pitch, velocity=notes.velocity)
    return Score(TICKS, some, (), tempos=((0, 120.0),))


def beats_of(score: Written, quarters: np.ndarray, seconds: np.ndarray) -> Beats:
    """The beats of a score in its performance, whose notes are found at some quarter notes of it (nan: nowhere)."""
    there = ~np.isnan(quarters)
    moments, row = np.unique(np.round(quarters[there], 4), return_inverse=True)
    times = np.array([np.median(seconds[there][row == number]) for number in range(len(moments))])
    some = increasing(times)
    places, down, _ = score.beats()
    inside = (places >= moments[some[0]] - 1e-3) & (places <= moments[some[-1]] + 1e-3)
    found = np.interp(places[inside], moments[some], times[some])
    return Beats(found, down[inside], score.metres(places[inside]))


def right(found: np.ndarray, quarters: np.ndarray) -> float:
    """Share of the notes that lie as far from the onset before as in the score, at the tempo that suits best."""
    there = ~np.isnan(quarters)
    moments, row = np.unique(np.round(quarters[there], 3), return_inverse=True)
    middle = np.array([np.median(found[there][row == number]) for number in range(len(moments))])
    last = np.maximum(row - 1, 0)
    step, truth = found[there] - middle[last], moments[row] - moments[last]
    return max(float(np.mean((np.abs(step * tempo - truth) < NEAR)[row > 0])) for tempo in TEMPOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--part", choices=("train", "valid", "test"), default="test")
    parser.add_argument("--keep", type=Path, default=Path("runs/performances"), help="where alignments are kept")
    parser.add_argument("--most", type=int, default=4000)
    parser.add_argument("--each", action="store_true")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", module="partitura|parangonar")
    table, works = [], []
    for written, played, score, whole in readable(given.scores, given.part, given.most):
        note = laid_along(score, whole, given.keep)
        if (note >= 0).mean() < SHARED:
            print(f"{played.id} is left out: {(note >= 0).mean():.0%} of its notes are in the score", flush=True)
            continue
        quarters = np.where(note >= 0, score.onset[note], np.nan)
        midi = midi_of(whole)
        ways = {
            "beats": beats_of(Written.of(score), quarters, midi.notes.onset / (2 * TICKS)),
            "estimated": pulse.beats(midi),
        }
        figures = [
            right(quantize(from_beats(midi, beats, how), midi.notes.pitch)[0] / QUARTER, quarters)
            for how, beats in ways.items()
        ]
        table.append(figures)
        works.append(written.work)
        if given.each:
            print(f"{played.id:70}" + "".join(f"{figure:8.3f}" for figure in figures), flush=True)
    if not table:
        raise BadInput(f"{given.scores} has no performance of the {given.part} part with a score.")
    groups, count = metrics.groups_of(works)
    rows = []
    print(f"\n{len(table)} performances of {count} works, {given.part} part; notes whose rhythm is right")
    for name, values in zip(("with the beats of the score", "beats estimated"), np.array(table).T, strict=True):
        score_of = metrics.with_interval(metrics.sums_by_group(values, groups)[None], metrics.mean)
        print(f"  {name:28}{score_of.value:7.3f}  {score_of.low:.3f} to {score_of.high:.3f}")
        rows.append({"what": name, "value": score_of.value, "ci95": [score_of.low, score_of.high], "n": len(table)})
    print(json.dumps({"benchmark": "rounding", "part": given.part, "works": count, "rows": rows}))


if __name__ == "__main__":
    main()
