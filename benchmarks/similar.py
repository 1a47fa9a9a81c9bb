"""How well and how fast near-duplicates are found: python benchmarks/similar.py [--data DIR] [--cache DIR].

Reads the labelled overlaps of the shared data sets and of music21's tune books (about ten minutes the first time; the
notes are kept in the cache), chooses the thresholds on one half of the pieces and reports on the other, then grows a
made-up collection to a million passages. Prints tables; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import re
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from scoresim.data import corpora
from scoresim.data import similar as method
from scoresim.files import replacing
from scoresim.score.sandbox import Failure, run_all

ROOT = Path(__file__).parent.parent
Task = tuple[str, str, str, int | None, str]  # key, path, format, tune of a book, file of the cache
TUNES = ("nott", "ryan_mammoth", "oneill_1850", "aird_airs")
GRID = [(e, s) for e in (8.0, 12.0, 16.0, 24.0, 32.0) for s in (0.05, 0.1, 0.15, 0.2)]
BUILDER = (12.0, 0.2)  # what `scoresim build` takes


def rows(data: Path, name: str) -> list[dict[str, str]]:
    """The labels of one data set."""
    with (data / name / "labels.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tasks(data: Path, cache: Path) -> list[Task]:
    """What is read: key, file and format of every item of the sample."""
    found: list[tuple[str, Path, str, int | None]] = []
    for r in rows(data, "nottingham"):
        found.append((f"nott/midi/{Path(r['file']).stem}", data / "nottingham" / r["file"], "midi", None))
        found.append((f"nott/abc/{Path(r['file']).stem}", data / "nottingham" / r["abc"], "abc", 0))
    performances: dict[str, int] = defaultdict(int)
    for r in rows(data, "asap"):
        path = data / "asap" / r["file"]
        if r["kind"] == "score_midi":
            found.append((f"asap/midi/{r['folder']}", path, "midi", None))
        elif r["kind"] == "score" and r["composer"] == "Bach":
            found.append((f"asap/mxl/{r['folder']}", path, "mxl", None))
        elif r["kind"] == "performance" and performances[r["folder"]] < 2:
            performances[r["folder"]] += 1
            found.append((f"asap/perf/{r['folder']}#{path.stem}", path, "midi", None))
    for name, most in (("pop909", 300), ("emopia", None), ("pianist8", None)):
        found += [(f"{name}/{r['file']}", data / name / r["file"], "midi", None) for r in rows(data, name)[:most]]
    plain = [r for r in rows(data, "kern_chopin") if int(r["n_notes"]) < 2500]
    plain = [r for r in plain if not re.match(r"kern/0(03|08|65|11|21|02|01)-", r["file"])][:220]
    for short, name, kept in (
        ("wtc", "kern_wtc", rows(data, "kern_wtc")),
        ("chopin", "kern_chopin", plain),
        ("beeth", "kern_beethoven", rows(data, "kern_beethoven")[:30]),
        ("mozart", "kern_mozart", rows(data, "kern_mozart")[:20]),
    ):
        found += [(f"{short}/{Path(r['file']).stem}", data / name / r["file"], "kern", None) for r in kept]
    for name, every in (("ryan_mammoth", 1), ("oneill_1850", 3), ("aird_airs", 2), ("bach_chorales", 1)):
        corpus = corpora.get(name)
        root = corpus.find(None)
        items = [] if root is None else list(corpus.items(root))[::every]
        short = "chorale" if name == "bach_chorales" else name
        found += [(f"{short}/{i.id}|{i.title}", i.path, i.format, i.part_of_file) for i in items]
    return [
        (key, str(path), form, tune, str(cache / f"{hashlib.sha1(key.encode()).hexdigest()}.npz"))
        for key, path, form, tune in found
    ]


def read(task: Task) -> None:
    """Read the notes of one item into the cache; runs in a worker process."""
    _, path, form, tune, out = task
    if Path(out).exists():
        return
    from scoresim.data.corpora._abc import read_book
    from scoresim.score.mei import read_mei
    from scoresim.score.notes import TIED_FROM
    from scoresim.score.read import read_midi, read_text

    if form == "midi":
        score = read_midi(Path(path))
    else:
        import verovio

        toolkit = verovio.toolkit()
        toolkit.setOptions({"breaks": "none", "xmlIdSeed": 1, "header": "none", "footer": "none"})
        text = read_text(Path(path), form) if tune is None else read_book(Path(path))[tune]
        if not toolkit.loadData(text):
            raise ValueError("the engraver does not read it")
        score = read_mei(toolkit.getMEI({"scoreBased": True}), path, form == "abc").score
    notes = score.notes
    keep = (notes.tie & TIED_FROM) == 0
    with replacing(Path(out)) as temporary, temporary.open("wb") as file:  # a worker may be ended at any moment
        np.savez(
            file,
            onset=notes.onset[keep] / score.resolution,
            pitch=notes.pitch[keep],
            dur=notes.duration[keep],
            grace=notes.grace[keep],
            program=notes.program[keep],
        )


def collect(todo: list[Task]) -> dict[str, method.Fingerprint]:
    """Fingerprints of all items that could be read, by key."""
    missing = [task for task in todo if not Path(task[4]).exists()]
    failed = sum(isinstance(outcome, Failure) for _, outcome in run_all(read, missing, 1, 30.0))
    print(f"{len(todo)} items, {failed} could not be read", file=sys.stderr)
    prints = {}
    for key, _, _, _, out in todo:
        if Path(out).exists():
            notes = np.load(out)
            keep = ~notes["grace"] & (notes["program"] != 128) & (notes["dur"] > 0)
            prints[key] = method.fingerprint(notes["onset"][keep], notes["pitch"][keep])
    return prints


def kind(key: str) -> str:
    """The set that an item is from, with its format where a set has several."""
    parts = key.split("/")
    return "/".join(parts[:2]) if parts[0] in ("nott", "asap") else parts[0]


def piece(key: str) -> str | None:
    """The piece of an item by the names of the files; None where the names do not say."""
    parts = key.split("/")
    name = "/".join(parts[2:]).split("#")[0]
    if parts[0] == "nott":
        return f"nott-{parts[2]}"
    if parts[0] == "asap":
        name = re.sub(r"_(no_)?(first_|2_)?repeat$|_no_trio$", "", name)
        if m := re.match(r"Bach/(Fugue|Prelude)/bwv_(\d+)", name):
            number = int(m[2])
            book, key_number = (1, number - 845) if number <= 869 else (2, number - 869)
            return f"wtc{book}{m[1][0].lower()}{key_number:02d}"
        if m := re.match(r"(Beethoven|Mozart)/Piano_Sonatas/(\d+)-(\d)", name):
            return f"{m[1]}-{int(m[2]):02d}-{m[3]}"
        if m := re.match(r"Chopin/Etudes_op_(\d+)/(\d+)", name):
            return f"chopin-{int(m[1])}-{int(m[2])}"
        if m := re.match(r"Chopin/Sonata_2/(\d)", name):
            return f"chopin-35-{m[1]}"
        return None if name.startswith("Chopin") else f"asap-{name}"
    if parts[0] == "wtc":
        m = re.match(r"wtc\d[pf]\d+", parts[1])
        return m[0] if m else None
    if parts[0] in ("beeth", "mozart"):
        m = re.match(r"sonata(\d+-\d)(.*)", parts[1])
        return f"{'Beethoven' if parts[0] == 'beeth' else 'Mozart'}-{m[1]}{m[2]}" if m else None
    if (
        parts[0] == "chopin"
    ):  # editions number the pieces of op. 33 and 41 differently; one has op. 7 no. 5 as op. 6 no. 5
        m = re.match(r"(\d+).*-(\d{3})$", parts[1])
        opus, number = (int(m[1]), int(m[2])) if m else (0, 0)
        return None if m is None or opus in (33, 41) or (opus, number) == (6, 5) else f"chopin-{opus}-{number}"
    return key


def label(a: str, b: str) -> bool | None:
    """Whether two items are the same music; None where that is not known from the names.

    Not known: two tunes of different names (tune books hold variants), two chorales, two clips or songs of pop.
    """
    one, two = piece(a), piece(b)
    if one is not None and one == two:
        return True
    loose = ("nott", "chorale", "emopia", "pianist8", *TUNES)
    first, second = a.split("/")[0], b.split("/")[0]
    if one is None or two is None or (first in loose and second in loose) or {first, second} == {"pop909"}:
        return None
    return None if {first, second} & {"pop909"} and {first, second} & {"emopia", "pianist8"} else False


def half(a: str, b: str) -> int:
    """0 or 1: the half to which a pair belongs, by the piece of its first item."""
    return hashlib.sha1((piece(min(a, b)) or min(a, b)).encode()).digest()[0] & 1


def accuracy(prints: dict[str, method.Fingerprint]) -> dict[str, Any]:
    """Precision and recall on both halves, recall by kind of overlap, and what else was found."""
    names = list(prints)
    of_piece: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        if (p := piece(name)) is not None:
            of_piece[p].append(i)
    true = {pair for group in of_piece.values() for pair in itertools.combinations(group, 2)}
    scored: dict[tuple[float, float], dict[str, Any]] = {}
    for evidence, share in GRID:
        found = {(i, j) for i, j, _ in method.near_duplicates(list(prints.values()), share, evidence)}
        scored[evidence, share] = {"found": found, "halves": [counts(names, true, found, h) for h in (0, 1)]}
    best = max(GRID, key=lambda g: (scored[g]["halves"][0]["f1"], g[0], g[1]))
    print("evidence  share  precision  recall   (half on which the thresholds are chosen)")
    for evidence, share in GRID:
        h = scored[evidence, share]["halves"][0]
        print(f"{evidence:8.0f} {share:6.2f} {h['precision']:10.4f} {h['recall']:7.4f}")
    found = scored[best]["found"]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for pair in true:
        if half(names[pair[0]], names[pair[1]]) == 1:
            kinds[" - ".join(sorted((kind(names[pair[0]]), kind(names[pair[1]]))))].append(pair in found)
    print(f"\nchosen: evidence {best[0]:g}, share {best[1]:g}; other half: {scored[best]['halves'][1]}")
    print(f"as the builder does, {BUILDER[0]:g} and {BUILDER[1]:g}; both halves: {scored[BUILDER]['halves']}")
    for name, hits in sorted(kinds.items()):
        print(f"{name:28} {len(hits):5} {np.mean(hits):.3f}")
    other = [(names[i], names[j]) for i, j in sorted(found) if label(names[i], names[j]) is None]
    wrong = [(names[i], names[j]) for i, j in sorted(found) if label(names[i], names[j]) is False]
    print(f"\nfound where names do not say: {len(other)}; wrong: {wrong}")
    candidates = len(method.candidates(list(prints.values())))
    return {
        "items": len(names),
        "candidates": candidates,
        "evidence": best[0],
        "share": best[1],
        "chosen_on": scored[best]["halves"][0],
        "other_half": scored[best]["halves"][1],
        "builder": scored[BUILDER]["halves"],
        "recall_by_kind": {k: [len(v), round(float(np.mean(v)), 4)] for k, v in sorted(kinds.items())},
        "unlabelled_found": len(other),
        "wrong": wrong,
        "all_found": [(names[i], names[j]) for i, j in sorted(found)],
    }


def counts(names: list[str], true: set[tuple[int, int]], found: set[tuple[int, int]], h: int) -> dict[str, float]:
    """Precision, recall and F1 of one half."""
    here = {p for p in true if half(names[p[0]], names[p[1]]) == h}
    hit = len(here & found)
    pairs = [(names[i], names[j]) for i, j in found]
    false = sum(label(a, b) is False and half(a, b) == h for a, b in pairs)
    precision, recall = hit / max(hit + false, 1), hit / max(len(here), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"pairs": len(here), "precision": precision, "recall": recall, "f1": f1, "wrong": false}


def scaling(sizes: list[int], seed: int = 0) -> list[dict[str, float]]:
    """Time and memory on made-up music: ten passages of 40 onsets an item, one item in twenty a changed copy."""
    rng = np.random.default_rng(seed)
    steps = np.array([-12, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 12])
    chance = np.array([1, 2, 3, 4, 7, 15, 12, 8, 12, 15, 7, 5, 4, 3, 2], float)
    table = []
    for passages in sizes:
        n = passages // 10
        prints, truth = [], set()
        line = np.zeros(0, np.int64)
        for i in range(n):
            if i % 20 == 19:
                line = line + int(rng.integers(-6, 7))
                at = rng.random(len(line)) < 0.03  # three notes in a hundred are others
                line = line + at * rng.integers(-3, 4, len(line))
                truth.add((i - 1, i))
            else:
                line = np.cumsum(rng.choice(steps, 400, p=chance / chance.sum()))
            prints.append(method.fingerprint(np.arange(len(line)), line))
        started, cpu = time.monotonic(), time.process_time()
        found = method.near_duplicates(prints)
        row = {
            "passages": passages,
            "items": n,
            "seconds": round(time.monotonic() - started, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            "recall": round(len(truth & {(i, j) for i, j, _ in found}) / max(len(truth), 1), 4),
            "wrong": len({(i, j) for i, j, _ in found} - truth),
        }
        print(row)
        table.append(row)
    return table


def main() -> None:
    """Run both parts and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path("similar-cache"))
    parser.add_argument("--passages", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--pairs", type=Path, help="write the pairs found as JSON")
    args = parser.parse_args()
    result: dict[str, Any] = {}
    if args.data.is_dir():
        args.cache.mkdir(parents=True, exist_ok=True)
        result["accuracy"] = accuracy(collect(tasks(args.data, args.cache)))
        found = result["accuracy"].pop("all_found")
        if args.pairs:
            args.pairs.write_text(json.dumps(found))
    else:
        print(f"{args.data} is absent; accuracy is skipped")
    result["scaling"] = scaling(args.passages)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
