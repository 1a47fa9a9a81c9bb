"""How well the beats of performances are found, whose MIDI does not state them.

    python benchmarks/beats.py DATA [--part test] [--most 4000] [--each 2] [--keep FOLDER]

Two sources of DATA, the folder of the shared data sets. *POP909*: the beats that come with the set, of all songs of the
part. *ASAP*: the first EACH performances of every score of the part, of at most MOST notes; each is laid along the MIDI
of its score by parangonar (Peter, ISMIR 2023; extra `bench`), and beats of the score's annotations lie in between.
Performances that share less than four fifths of their notes with the score are left out. No recording of either set
was learnt from, and no score of ASAP.

F-measure of mir_eval with its window of 70 ms, for beats, for beats where half and double tempo count too (the best of
them for each performance), and for beginnings of bars; means over performances, 95 % intervals over works. KEEP
keeps what is laid along: that takes seconds to a minute each. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

import mir_eval
import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.piecewise import root_of
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.errors import BadInput, ScoresimError
from scoresim.files import replacing
from scoresim.score import pulse
from scoresim.score.notes import Beats, Score
from scoresim.score.performance import seconds
from scoresim.score.read import read_midi

SHARED = 0.8  # of a performance's notes that have to be found in its score
FIGURES = ("beats", "beats, any octave of tempo", "bars")


@dataclass(frozen=True, eq=False)
class Asked:
    """A performance whose beats are known.

    Attributes:
        source, work: what is counted together, and drawn together for intervals.
        midi: its notes.
        beats, down: [K] seconds of the beats, and whether a bar begins there; between the first note and the last.
    """

    source: str
    work: str
    midi: Score
    beats: np.ndarray
    down: np.ndarray


def pop909(root: Path, part: str) -> Iterator[Asked]:
    """Songs of POP909 with the set's beats."""
    corpus = corpora.get("pop909")
    for item in corpus.items(root):
        if item.split != part:
            continue
        midi, known = read_midi(item.path), corpus.beats(item)
        onset = seconds(midi, midi.notes.onset)
        inside = (known.seconds >= onset.min() - 0.1) & (known.seconds <= onset.max() + 0.1)
        yield Asked("POP909", item.work, midi, known.seconds[inside], known.downbeat[inside])


def asap(root: Path, part: str, each: int, most: int, keep: Path) -> Iterator[Asked]:
    """Performances of ASAP with the beats of their scores."""
    items = sorted(corpora.get("asap_performances").items(root), key=lambda item: item.id)
    for _, some in groupby((item for item in items if item.split == part), lambda item: PurePosixPath(item.id).parent):
        for item in list(some)[:each]:
            try:
                midi = read_midi(item.path)
                file = keep / f"{item.id.replace('/', '_')}.npz"
                if len(midi.notes) > most:
                    print(f"{item.id} is left out: {len(midi.notes)} notes", flush=True)
                    continue
                if not file.is_file():
                    lay_along(item, midi, file)
                known = np.load(file)
            except ScoresimError as error:
                print(f"{item.id} is left out: {error}", flush=True)
                continue
            if known["share"] < SHARED:
                print(f"{item.id} is left out: {known['share']:.0%} of its notes are in the score", flush=True)
                continue
            yield Asked("ASAP", item.work, midi, known["beats"], known["down"])


def lay_along(item: Item, midi: Score, file: Path) -> None:
    """Find the beats of a score in its performance, and keep them."""
    import parangonar

    score = read_midi(item.path.parent / "midi_score.mid")
    written, played = columns(score, "s", "beat"), columns(midi, "p", "sec")
    np.random.seed(0)  # noqa: NPY002 - parangonar tries some of many ways, by the global state
    found = parangonar.AutomaticNoteMatcher()(written, played)
    pairs = np.array([(int(a["score_id"][1:]), int(a["performance_id"][1:])) for a in found if a["label"] == "match"])
    moments, row = np.unique(np.round(written["onset_beat"][pairs[:, 0]], 4), return_inverse=True)
    times = np.array([np.median(played["onset_sec"][pairs[row == k, 1]]) for k in range(len(moments))])
    kept = increasing(times)
    lines = [line.split("\t") for line in annotations(item.path.parent / "midi_score_annotations.txt")]
    at = np.array([float(line[0]) for line in lines])
    down = np.array([line[2].split(",")[0] == "db" for line in lines])
    inside = (at >= moments[kept[0]] - 1e-3) & (at <= moments[kept[-1]] + 1e-3)
    with replacing(file) as temporary, temporary.open("wb") as out:
        beats = np.interp(at[inside], moments[kept], times[kept])
        np.savez(out, beats=beats, down=down[inside], share=len(pairs) / len(midi.notes))


def columns(midi: Score, prefix: str, unit: str) -> np.ndarray:
    """The notes of a MIDI file as parangonar reads those of a score ("beat") or a performance ("sec"), in seconds."""
    begin = seconds(midi, midi.notes.onset)
    names = [(f"onset_{unit}", "f4"), (f"duration_{unit}", "f4"), ("pitch", "i4"), ("velocity", "i4"), ("id", "U12")]
    out = np.zeros(len(midi.notes), dtype=names)
    out[f"onset_{unit}"], out["pitch"], out["velocity"] = begin, midi.notes.pitch, midi.notes.velocity
    out[f"duration_{unit}"] = seconds(midi, midi.notes.onset + midi.notes.duration) - begin
    out["id"] = [f"{prefix}{number}" for number in range(len(out))]
    return out


def annotations(path: Path) -> list[str]:
    """The lines of a score's beats.

    Raises:
        BadInput: there are none.
    """
    if not path.is_file():
        raise BadInput(f"{path} is not there.")
    return path.read_text(encoding="utf-8").splitlines()


def increasing(values: np.ndarray) -> np.ndarray:
    """Indices of a longest part of the values that increases."""
    ends: list[float] = []
    last: list[int] = []
    before = np.full(len(values), -1)
    for number, value in enumerate(values.tolist()):
        place = int(np.searchsorted(ends, value))
        ends[place : place + 1], last[place : place + 1] = [value], [number]
        before[number] = last[place - 1] if place else -1
    out = [last[-1]]
    while before[out[-1]] >= 0:
        out.append(int(before[out[-1]]))
    return np.array(out[::-1])


def figures(one: Asked, said: Beats) -> list[float]:
    """What `FIGURES` names, of one performance."""
    found = said.seconds, said.seconds[said.downbeat]
    beats, bars = (some[(some >= one.beats[0] - 0.1) & (some <= one.beats[-1] + 0.1)] for some in found)

    def f(truth: np.ndarray, some: np.ndarray) -> float:
        return float(mir_eval.beat.f_measure(truth, some)) if len(truth) and len(some) else 0.0

    twice = np.sort(np.r_[one.beats, (one.beats[1:] + one.beats[:-1]) / 2])
    octaves = max(f(truth, beats) for truth in (one.beats, one.beats[::2], one.beats[1::2], twice))
    return [f(one.beats, beats), octaves, f(one.beats[one.down], bars)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", choices=("test", "valid"), default="test")
    parser.add_argument("--most", type=int, default=4000)
    parser.add_argument("--each", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("build") / "beats")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", module="partitura|parangonar|mir_eval")
    given.keep.mkdir(parents=True, exist_ok=True)
    asked: list[Asked] = []
    for name in ("pop909", "asap_performances"):
        root = root_of(name, given.data)
        if root is None:
            raise BadInput(f"{name} is not in {given.data}; docs/corpora.md says where it comes from.")
        some = pop909(root, given.part)
        asked += some if name == "pop909" else asap(root, given.part, given.each, given.most, given.keep)
    rows = []
    for source in ("POP909", "ASAP"):
        some = [one for one in asked if one.source == source]
        if not some:
            continue
        start = time.perf_counter()
        found = [pulse.beats(one.midi) for one in some]
        each = (time.perf_counter() - start) / len(some)
        table = np.array([figures(one, said) for one, said in zip(some, found, strict=True)])
        groups, works = metrics.groups_of([one.work for one in some])
        print(f"\n{source}, {given.part}: {len(some)} performances of {works} works, {each:.2f} s each")
        for name, values in zip(FIGURES, table.T, strict=True):
            score = metrics.with_interval(metrics.sums_by_group(values, groups)[None], metrics.mean)
            print(f"  {name:28}{score.value:7.3f}  {score.low:.3f} to {score.high:.3f}")
            row = {"source": source, "metric": f"F of {name}", "value": score.value, "ci95": [score.low, score.high]}
            rows.append(row | {"n": len(some), "works": works, "seconds": each})
    print(json.dumps({"benchmark": "beats", "part": given.part, "rows": rows}))


if __name__ == "__main__":
    main()
