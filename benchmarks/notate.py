"""How well a score comes back when only its MIDI is known: score -> MIDI -> notation, compared note by note.

    python benchmarks/notate.py [DATA] [--half 0|1] [--baselines] [--most NOTES] [--each]

DATA is the folder of the shared data sets (default ../shared/data). Four inputs are made of every score: its MIDI at
score times with and without time signatures, and a simulated performance (tempo drift of 12 %, 20 ms of jitter, keys
let go early) with its beats given and with its beats estimated. Settings were tuned on half 0; half 1 is reported.
The other programs need minutes for long scores: --baselines --most 400 compares on the short ones.
Prints a table and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import symusic
import verovio

from scoresim.score.mei import read_mei
from scoresim.score.notate import notate
from scoresim.score.notes import Bar, Beats, Score, notes_from_columns, tied_chains
from scoresim.score.read import read_text

RESOLUTION = 480
MEASURES = ("kept", "spelling", "onset", "duration", "staff", "voice", "key", "metre")


@dataclass
class Written:
    """Sounding notes of a notation: arrays of one length, times in quarter notes; bars of the piece."""

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    spelled: list[tuple[int, int, int]]
    staff: np.ndarray
    voice: np.ndarray
    bar: np.ndarray
    bars: list[tuple[float, int, int, int]]  # onset in quarters, numerator, denominator, fifths


def written(score: Score) -> Written:
    """The chains of tied notes of a notated score; grace notes and percussion are left out."""
    notes, head = score.notes, tied_chains(score.notes)
    end = np.zeros(len(notes), dtype=np.int64)
    np.maximum.at(end, head, notes.onset + notes.duration)
    kept = np.flatnonzero((head == np.arange(len(notes))) & ~notes.grace & (notes.step >= 0) & (notes.duration > 0))
    # a unison of two parts is one note on one keyboard: the longer
    part = (notes.staff == 1) & (len(score.staves) == 3)
    kept = kept[np.lexsort((notes.duration[kept] - end[kept], notes.pitch[kept], notes.onset[kept], part[kept]))]
    place = np.stack([notes.onset[kept], notes.pitch[kept], part[kept]])
    kept = kept[np.r_[True, (np.diff(place) != 0).any(0)]] if len(kept) else kept
    kept = np.sort(kept)
    q = float(score.resolution)
    bars = [(b.onset / q, b.numerator, b.denominator, b.fifths or 0) for b in score.bars]
    names = list(zip(notes.step[kept].tolist(), notes.alter[kept].tolist(), notes.octave[kept].tolist(), strict=True))
    return Written(
        notes.onset[kept] / q, (end - notes.onset)[kept] / q, notes.pitch[kept], names,
        notes.staff[kept], notes.voice[kept], notes.bar[kept], bars,
    )  # fmt: skip


def pieces(data: Path, half: int, count: int = 7, seed: int = 13) -> list[tuple[str, Score]]:
    """About forty scores from six sources, drawn with a fixed seed from one half of the files (by their names)."""
    import music21

    chorales = Path(music21.__file__).parent / "corpus" / "bach"
    sources = {
        "kern_mozart": (data / "kern_mozart").rglob("*.krn"),
        "kern_wtc": (data / "kern_wtc").rglob("*.krn"),
        "asap": (data / "asap").rglob("xml_score.mxl"),
        "lieder": (data / "openscore_lieder").rglob("*.mxl"),
        "openewld": (data / "openewld").rglob("*.mxl"),
        "chorales": chorales.glob("bwv[23]*.mxl"),
    }
    rng = random.Random(seed)
    out = []
    for name, found in sources.items():
        files = sorted(p for p in found if zlib.crc32("/".join(p.parts[-2:]).encode()) % 2 == half)
        for path in rng.sample(files, min(count, len(files))):
            toolkit = verovio.toolkit()
            toolkit.setOptions({"xmlIdSeed": 1})
            if toolkit.loadData(read_text(path, "kern" if path.suffix == ".krn" else "mxl")):
                out.append((name, read_mei(toolkit.getMEI({"scoreBased": True}), str(path)).score))
    return out


def as_midi(truth: Written, score: Score) -> Score:
    """The score at score times, with its time signatures; several instruments keep their programs."""
    notes = notes_from_columns(
        onset=np.round(truth.onset * RESOLUTION),
        duration=np.maximum(np.round(truth.duration * RESOLUTION), 1),
        pitch=truth.pitch,
        program=_programs(truth, score),
    )
    ticks = [round(b.onset * RESOLUTION / score.resolution) for b in score.bars]
    last = round((score.bars[-1].onset + score.bars[-1].duration) * RESOLUTION / score.resolution)
    bars = tuple(
        Bar(tick, max(stop - tick, 1), b.numerator or 4, b.denominator or 4)
        for tick, stop, b in zip(ticks, [*ticks[1:], last], score.bars, strict=True)
    )
    return Score(RESOLUTION, notes, bars, tempos=((0, 90.0),))


def _programs(truth: Written, score: Score) -> np.ndarray:
    """Lieder keep the voice apart from the piano; everything else is a piano."""
    staves = len(score.staves)
    return np.where((truth.staff == 1) & (staves == 3), 52, 0)


def performed(midi: Score, seed: int) -> tuple[Score, Beats]:
    """A simulated performance of a MIDI file at score times, and its beats."""
    rng = np.random.default_rng(seed)
    last = int((midi.notes.onset + midi.notes.duration).max()) + 8 * RESOLUTION
    grid = np.arange(0, last, RESOLUTION // 4)
    drift = 1 + 0.12 * np.sin(2 * np.pi * grid / (RESOLUTION * 32) + rng.uniform(0, 6))
    pace = 60 / rng.uniform(70, 130) * drift
    clock = np.r_[0, np.cumsum(pace[:-1] / 4)] + 0.5

    def at(ticks: np.ndarray) -> np.ndarray:
        return np.interp(ticks, grid, clock)

    n = len(midi.notes)
    begin = np.maximum(at(midi.notes.onset) + rng.normal(0, 0.02, n), 0)
    length = (at(midi.notes.onset + midi.notes.duration) - at(midi.notes.onset)) * rng.uniform(0.6, 1.0, n)
    onset = np.round(begin * 2 * RESOLUTION).astype(np.int64)
    duration = np.maximum(np.round(length * 2 * RESOLUTION).astype(np.int64), 20)
    order = np.lexsort((midi.notes.pitch, onset))
    notes = replace(midi.notes, onset=onset, duration=duration).take(order)
    beats, downs, signatures = [], [], []
    for bar in midi.bars:
        compound = bar.denominator >= 8 and bar.numerator % 3 == 0 and bar.numerator > 3
        compound &= all(b.duration * 8 % (12 * RESOLUTION) == 0 for b in midi.bars)
        step = 4 * RESOLUTION * (3 if compound else 1) // bar.denominator
        if not signatures or signatures[-1][1:] != (bar.numerator, bar.denominator):
            signatures.append((len(beats), bar.numerator, bar.denominator))
        for tick in range(bar.onset, bar.onset + bar.duration, step):
            beats.append(float(at(np.asarray(tick))))
            downs.append(tick == bar.onset)
    return Score(RESOLUTION, notes, (), tempos=((0, 120.0),)), Beats(
        np.asarray(beats), np.asarray(downs), tuple(signatures)
    )


def compare(truth: Written, found: Written) -> dict[str, float]:
    """Shares of the notes of the truth that came back; onsets after the best shift, and factor of tempo 1/2, 1 or 2."""
    pairs = _match(truth, found)
    if not pairs:
        return dict.fromkeys(MEASURES, 0.0)
    a, b = (np.asarray(x) for x in zip(*pairs, strict=True))
    n = len(truth.onset)
    best, factor, shift = -1, 1.0, 0.0
    for f in (0.5, 1.0, 2.0):
        off = np.round(truth.onset[a] - f * found.onset[b], 3)
        value, count = Counter(off.tolist()).most_common(1)[0]
        if count > best:
            best, factor, shift = count, f, value
    right = np.abs(truth.onset[a] - factor * found.onset[b] - shift) < 0.005
    long = np.abs(truth.duration[a] - factor * found.duration[b]) < 0.005
    out = {
        "kept": len(a) / n,
        "spelling": sum(truth.spelled[i] == found.spelled[j] for i, j in pairs) / n,
        "onset": right.sum() / n,
        "duration": (right & long).sum() / n,
        "key": float(np.mean([truth.bars[truth.bar[i]][3] == found.bars[found.bar[j]][3] for i, j in pairs])),
        "metre": float(np.mean([truth.bars[truth.bar[i]][1:3] == found.bars[found.bar[j]][1:3] for i, j in pairs])),
    }
    if set(truth.staff.tolist()) == {1, 2}:
        out["staff"] = float((truth.staff[a] == found.staff[b]).sum() / n)
        same = _same_voice(truth, a)
        out["voice"] = float(np.mean(same == _same_voice(found, b, truth, a))) if len(same) else 1.0
    return out


def _same_voice(which: Written, index: np.ndarray, frame: Written | None = None, at: np.ndarray | None = None):
    """For pairs of notes of one bar and staff (of `frame`) that follow within eight notes: is their voice the same?"""
    frame, at = (which, index) if frame is None else (frame, at)
    out = []
    order = np.lexsort((-frame.pitch[at], frame.onset[at], frame.staff[at]))
    for ahead in range(1, 8):
        i, j = order[:-ahead], order[ahead:]
        near = (frame.bar[at[i]] == frame.bar[at[j]]) & (frame.staff[at[i]] == frame.staff[at[j]])
        v = (which.voice[index[i]] == which.voice[index[j]]) & (which.staff[index[i]] == which.staff[index[j]])
        out.append(v[near])
    return np.concatenate(out)


def _match(truth: Written, found: Written) -> list[tuple[int, int]]:
    """Notes of one pitch in the order of their onsets; where the numbers differ, those nearest in time."""
    pairs: list[tuple[int, int]] = []
    scale = max(truth.onset.max(), 1) / max(found.onset.max(), 1)
    for pitch in np.unique(truth.pitch):
        a = np.flatnonzero(truth.pitch == pitch)
        b = np.flatnonzero(found.pitch == pitch)
        a, b = a[np.argsort(truth.onset[a], kind="stable")], b[np.argsort(found.onset[b], kind="stable")]
        if len(a) == len(b):
            pairs += zip(a.tolist(), b.tolist(), strict=True)
            continue
        used: set[int] = set()
        for i in a:
            free = [j for j in b if j not in used]
            if free:
                j = min(free, key=lambda k: abs(truth.onset[i] - scale * found.onset[k]))
                if abs(truth.onset[i] - scale * found.onset[j]) < 2:
                    used.add(j)
                    pairs.append((int(i), int(j)))
    return pairs


def ours(midi: Score, beats: Beats | None = None) -> Written:
    return written(read_mei(notate(midi, beats).mei).score)


def save(midi: Score, path: Path) -> None:
    """The MIDI file for the other programs."""
    out = symusic.Score(midi.resolution)
    out.tempos.append(symusic.Tempo(0, 120.0))
    metre = None
    for bar in midi.bars:
        if metre != (bar.numerator, bar.denominator):
            metre = (bar.numerator, bar.denominator)
            out.time_signatures.append(symusic.TimeSignature(bar.onset, *metre))
    for program in np.unique(midi.notes.program):
        track = symusic.Track(program=int(program))
        for i in np.flatnonzero(midi.notes.program == program):
            note = midi.notes
            track.notes.append(symusic.Note(int(note.onset[i]), int(note.duration[i]), int(note.pitch[i]), 64))
        out.tracks.append(track)
    out.dump_midi(str(path))


def by_music21(midi: Score) -> Written:
    """music21's import of the MIDI file (quantized to 16ths and triplets, its default)."""
    import music21

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mid"
        save(midi, path)
        stream = music21.converter.parse(str(path), forceSource=True)
    rows = []
    bars: list[tuple[float, int, int, int]] = []
    for staff, part in enumerate(stream.parts, 1):
        key = 0
        for number, measure in enumerate(part.getElementsByClass("Measure")):
            start = float(measure.offset)
            signature = measure.keySignature
            key = signature.sharps if signature is not None else key
            metre = measure.getContextByClass("TimeSignature")
            if staff == 1:
                bars.append((start, metre.numerator if metre else 4, metre.denominator if metre else 4, key))
            for element in measure.recurse().notes:
                voice = element.activeSite
                voice_number = int(str(voice.id)) % 8 if "Voice" in voice.classes and str(voice.id).isdigit() else 1
                for note in getattr(element, "notes", [element]):
                    if note.tie is not None and note.tie.type in ("stop", "continue"):
                        continue
                    pitch = note.pitch
                    name = ("CDEFGAB".index(pitch.step), int(pitch.alter), pitch.implicitOctave)
                    onset = start + float(element.getOffsetInHierarchy(measure))
                    tied = sum(float(n.quarterLength) for n in _chain21(note, element))
                    rows.append((onset, tied, pitch.midi, name, staff, voice_number, min(number, len(bars) - 1)))
    return _rows(rows, bars)


def _chain21(note, element):  # type: ignore[no-untyped-def]
    """The durations of a note and of those tied to it; music21 splits at bar lines."""
    yield element
    tie, current = note.tie, element
    while tie is not None and tie.type in ("start", "continue"):
        following = current.next("GeneralNote")
        if following is None:
            return
        inner = [n for n in getattr(following, "notes", [following]) if getattr(n, "pitch", None) == note.pitch]
        if not inner:
            return
        yield following
        tie, current = inner[0].tie, following


def by_partitura(midi: Score) -> Written:
    """partitura's import of the MIDI file with its spelling; its estimate of the key fails in 1.9."""
    import partitura
    from partitura.score import Measure

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mid"
        save(midi, path)
        score = partitura.load_score_midi(str(path), part_voice_assign_mode=0)
    rows = []
    bars: list[tuple[float, int, int, int]] = []
    for staff, part in enumerate(score.parts, 1):
        quarters = part.quarter_map
        measures = sorted(part.iter_all(Measure), key=lambda m: m.start.t)
        if staff == 1:
            for m in measures:
                top, bottom, _ = part.time_signature_map(m.start.t)
                bars.append(
                    (float(quarters(m.start.t)), int(top), int(bottom), int(part.key_signature_map(m.start.t)[0]))
                )
        starts = [b[0] for b in bars]
        for note in part.notes_tied:
            onset = float(quarters(note.start.t))
            name = ("CDEFGAB".index(note.step), int(note.alter or 0), int(note.octave))
            length = float(quarters(note.start.t + note.duration_tied)) - onset
            number = max(int(np.searchsorted(starts, onset + 1e-6)) - 1, 0)
            rows.append((onset, length, note.midi_pitch, name, staff, note.voice or 1, number))
    return _rows(rows, bars)


def _rows(rows: list, bars: list) -> Written:
    columns = list(zip(*rows, strict=True))
    arrays = [np.asarray(columns[i]) for i in (0, 1, 2)]
    return Written(*arrays, list(columns[3]), *(np.asarray(columns[i]) for i in (4, 5, 6)), bars)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--half", type=int, default=1, choices=(0, 1))
    parser.add_argument("--baselines", action="store_true")
    parser.add_argument("--most", type=int, default=100_000, help="leave out scores of more notes")
    parser.add_argument("--each", action="store_true")
    args = parser.parse_args()
    verovio.enableLog(verovio.LOG_OFF)
    scores = [(n, s) for n, s in pieces(args.data, args.half) if len(s.notes) <= args.most]
    methods: dict[str, Callable[[Score, Score, Beats], Written]] = {
        "score times": lambda midi, _, __: ours(midi),
        "score times, no metre": lambda midi, _, __: ours(replace(midi, bars=())),
        "performance, beats": lambda _, played, beats: ours(played, beats),
        "performance, estimated": lambda _, played, __: ours(played),
    }
    if args.baselines:
        methods |= {
            "music21: score times": lambda midi, _, __: by_music21(midi),
            "music21: performance": lambda _, played, __: by_music21(played),
            "partitura: score times": lambda midi, _, __: by_partitura(midi),
            "partitura: performance": lambda _, played, __: by_partitura(played),
        }
    table: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in methods}
    taken: dict[str, float] = dict.fromkeys(methods, 0.0)
    for number, (source, score) in enumerate(scores):
        truth = written(score)
        midi = as_midi(truth, score)
        played, beats = performed(midi, number)
        for name, method in methods.items():
            begin = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if ":" in name else "error")
                result = compare(truth, method(midi, played, beats))
            taken[name] += time.perf_counter() - begin
            for measure, value in result.items():
                table[name][measure].append(value)
            if args.each:
                shown = " ".join(f"{m}={result[m]:.3f}" for m in MEASURES if m in result)
                print(f"{source:12} {Path(score.source).name[:20]:20} {name:24} {shown}", file=sys.stderr)
    print(f"{len(scores)} scores" + "".join(f"{m:>10}" for m in MEASURES) + "   seconds")
    for name, columns in table.items():
        cells = "".join(f"{100 * float(np.mean(columns[m])):10.1f}" for m in MEASURES)
        print(f"{name:24}{cells}{taken[name]:10.1f}")
    summary = {n: {m: round(float(np.mean(c[m])), 4) for m in MEASURES} for n, c in table.items()}
    print(json.dumps({"scores": len(scores), "half": args.half, "seconds": taken, "rows": summary}))


if __name__ == "__main__":
    main()
