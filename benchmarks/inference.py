"""How fast a user's files are answered, beside the network of MidiBERT-Piano on the same notes.

    python benchmarks/inference.py [--model small] [--files 200] [--notes 500] [--repeats 5] [--json OUT]

Music is made up: a tune over chords, MIDI, as many notes in every file as asked for, each file another. Medians of some
repeats:

- `help`: `scoresim --help`, a new process.
- `import`: `import torch` and what of scoresim reads weights, in a new process; `load`: then the weights and all heads.
- `cold`: `scoresim analyze FILE`, a new process, until it has ended.
- `report`: one file with the model loaded, until its report is written.
- `files`: all files with the model loaded, read by one worker while this process asks the heads; files a second.
- `melody`: the notes of all files, read already, put to our head for melody, and to the network of MidiBERT with a head
  of notes, as published (12 layers of 768, one network for one question) and as wide and deep as ours; notes a second.
  Both in the precision that is fastest here, windows of 512 notes, eight at a time. What it answers does not matter for
  its speed: its weights are random. `whole`: our melody as a user gets it, cut into windows, with the features of every
  note and what reads them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TOGETHER = 8


def write_song(path: Path, notes: int, seed: int) -> None:
    """A MIDI file of so many notes: a tune that walks over chords in 4/4."""
    import symusic

    chance = np.random.default_rng(seed)
    midi = symusic.Score(480)
    midi.tempos.append(symusic.Tempo(0, 100))
    midi.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    right, left = symusic.Track("Right", 0), symusic.Track("Left", 0)
    pitch, time_of, count = 72, 0, 0
    while count < notes:
        for step in (0, 4, 7)[: notes - count]:
            left.notes.append(symusic.Note(time_of, 900, 45 + step + int(chance.integers(0, 6)), 60))
            count += 1
        for eighth in range(min(4, notes - count)):
            pitch = int(np.clip(pitch + chance.integers(-4, 5), 62, 88))
            right.notes.append(symusic.Note(time_of + 240 * eighth, 220, pitch, int(chance.integers(60, 100))))
            count += 1
        time_of += 960
    midi.tracks.append(right)
    midi.tracks.append(left)
    midi.dump_midi(path)


def median(work: Callable[[], Any], repeats: int) -> float:
    """Median of the seconds that some work takes."""
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def command(*words: str) -> None:
    """Run scoresim in a process of its own."""
    subprocess.run([sys.executable, "-m", "scoresim", *words], check=True, stdout=subprocess.DEVNULL)


LOAD = """
import sys, time
begun = time.perf_counter()
from scoresim import understand
imported = time.perf_counter()
understand.load(sys.argv[1]).heads
print(imported - begun, time.perf_counter() - imported)
"""


def loading(model: str, repeats: int) -> dict[str, float]:
    """Seconds until the libraries, and then until weights and heads are there; each time in a new process."""
    runs = [
        subprocess.run([sys.executable, "-c", LOAD, model], check=True, capture_output=True, text=True).stdout.split()
        for _ in range(repeats)
    ]
    imported, loaded = (statistics.median(map(float, column)) for column in zip(*runs, strict=True))
    return {"import_seconds": round(imported, 2), "load_seconds": round(loaded, 2)}


def melody_speeds(sim: Any, paths: list[Path], repeats: int) -> dict[str, float]:
    """Notes a second that are put to heads for melody."""
    from dataclasses import replace

    import torch

    from scoresim.benchmark.midibert import MidiBert
    from scoresim.data.batches import Windows
    from scoresim.data.given import read_notes
    from scoresim.data.windows import Segments, cut
    from scoresim.understand.heads import of_pieces

    pieces = list(read_notes(paths, workers=sim.workers))
    segments, found = cut(pieces, 512, 256, whole=True)
    rows = replace(sim.rows, batch_size=TOGETHER, images=False)
    asked = Windows(Segments(pieces, segments, ("velocity",)), found, rows, "melody")
    batches = [asked.gather(np.arange(a, min(a + TOGETHER, len(found)))) for a in range(0, len(found), TOGETHER)]
    notes = sum(window.end - window.first for window in found)
    shape = sim.model.config
    networks: dict[str, Any] = {
        "ours": sim.heads["melody"].tagger,
        "midibert_published": MidiBert("note", 3, 768, 12, 12),
        "midibert_same_width": MidiBert("note", 3, shape.width, shape.layers, shape.heads),
    }
    out = {}
    for name, network in networks.items():
        network.eval()

        def ask(network: Any = network) -> None:
            for batch in batches:
                network(*batch.inputs("notes"), batch.window)

        speeds = []
        for half in (True, False):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                ask()
                speeds.append(notes / median(ask, repeats))
        out[name] = round(max(speeds))

    def answer() -> None:
        with sim.reading():
            of_pieces({"melody": sim.heads["melody"]}, pieces, sim.rows)

    answer()
    return {**out, "ours_whole": round(sum(map(len, pieces)) / median(answer, repeats))}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--notes", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    from scoresim import understand
    from scoresim.web.report import write_report

    sim = understand.load(given.model)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i:04d}.mid" for i in range(given.files)]
        for i, path in enumerate(paths):
            write_song(path, given.notes, i)

        def report() -> None:
            found = sim.analyze(paths[0], show=True)
            write_report(Path(folder) / "report.html", found, found.sheets, found.picture)

        def everything() -> None:
            if any(isinstance(one, Exception) for one in sim.analyze_each(paths)):
                raise SystemExit("a file was refused")

        report()
        out: dict[str, Any] = {
            "files": given.files,
            "notes": given.notes,
            "heads": sorted(sim.heads),
            "help_seconds": round(median(lambda: command("--help"), given.repeats), 3),
            **loading(given.model, given.repeats),
            "cold_seconds": round(
                median(lambda: command("analyze", str(paths[0]), "--model", given.model), given.repeats), 2
            ),
            "report_seconds": round(median(report, 2 * given.repeats), 3),
            "report_megabytes": round((Path(folder) / "report.html").stat().st_size / 1e6, 2),
            "files_per_second": round(given.files / median(everything, max(given.repeats // 2, 1)), 1),
            "melody_notes_per_second": melody_speeds(sim, paths[:40], given.repeats),
        }
    ours = out["melody_notes_per_second"]["ours"]
    out["times_midibert"] = {
        name.removeprefix("midibert_"): round(ours / speed, 2)
        for name, speed in out["melody_notes_per_second"].items()
        if name.startswith("midibert")
    }
    if given.json is not None:
        given.json.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
