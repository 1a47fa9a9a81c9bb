"""Hostile files: damaged music and pictures (damage.py), each of which must give a result or one sentence.

    python benchmarks/fuzz.py [--files 10000] [--model small] [--seed 0] [--first 0] [--out FOLDER] [--json OUT]

Every file is read and analyzed as `scoresim analyze` does. The table says what came of them: results; refusals, by
their sentence; and faults: a traceback, a sentence of several lines or none, a file left behind. Ends with exit code 1
when there is a fault. `--out` keeps the faulty files.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from damage import mutate, seeds

BATCH = 100  # files between two looks at the folder


def run(files: int, model: str, seed: int, kept: Path | None, first: int = 0) -> dict[str, object]:
    """Mutate, ask, and say what came of it."""
    from scoresim import understand
    from scoresim.data.given import SECONDS
    from scoresim.errors import BadInput

    sim, forms = understand.load(model), seeds()
    suffixes = sorted(forms)
    outcomes: dict[str, Counter[str]] = {suffix: Counter() for suffix in suffixes}
    reasons: Counter[str] = Counter()
    faults: list[str] = []
    begun = time.monotonic()
    slowest = 0.0
    for start in range(first, files, BATCH):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for i in range(start, min(start + BATCH, files)):
                chance, suffix = np.random.default_rng([seed, i]), suffixes[i % len(suffixes)]
                some = forms[suffix]
                data = mutate(some[int(chance.integers(len(some)))], suffix, some, chance)
                path = Path(folder) / f"{i:06d}{suffix}"
                path.write_bytes(data)
                paths.append(path)
            asked = time.monotonic()
            try:
                found = sim.analyze_each(paths)
            except Exception as error:
                found = [error for _ in paths]  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - asked)
            for path, one in zip(paths, found, strict=True):
                fault = ""
                if isinstance(one, BadInput):
                    sentence = str(one)
                    if "\n" in sentence or not sentence.endswith(".") or "Traceback" in sentence:
                        fault = f"no sentence: {sentence!r}"
                    said = sentence.replace(str(path), "FILE")
                    reasons[re.sub(r"[\d']+|\(.*?\)|FILE\S*", "#", said)[:90]] += 1
                elif isinstance(one, Exception):
                    fault = f"{type(one).__name__}: {one}"
                outcomes[path.suffix]["fault" if fault else "refused" if isinstance(one, BadInput) else "result"] += 1
                if fault:
                    faults.append(f"{path.name}: {fault}")
                    if kept is not None:
                        kept.mkdir(parents=True, exist_ok=True)
                        shutil.copy(path, kept / path.name)
            strangers = sorted({p.name for p in Path(folder).iterdir()} - {p.name for p in paths})
            faults += [f"left behind: {name}" for name in strangers]
        print(f"{min(start + BATCH, files)} files, {len(faults)} faults", file=sys.stderr, flush=True)
    return {
        "files": files,
        "first": first,
        "seed": seed,
        "limit_seconds": SECONDS,
        "outcomes": {suffix: dict(counts) for suffix, counts in outcomes.items()},
        "reasons": dict(reasons.most_common(40)),
        "faults": faults,
        "seconds": round(time.monotonic() - begun, 1),
        "slowest_batch_seconds": round(slowest, 1),
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--model", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="begin here: a run that was stopped goes on")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = run(given.files, given.model, given.seed, given.out, given.first)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return int(bool(found["faults"]))


if __name__ == "__main__":
    sys.exit(main())
