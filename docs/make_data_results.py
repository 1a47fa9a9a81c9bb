"""Publish the figures of the data set: results/build.json and results/build.md.

    python docs/make_data_results.py MEASURED [SET]

MEASURED is what ``runs/measure_data.sh`` left, SET a data set built by ``runs/all_data.sh``. Nothing is typed by hand:
the rows come from the JSON lines of the benchmarks, the manifest of the set, and the commands that stand with them.
Rows that are not made anew stay as they are, with the commit that they were made by.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
BUILDERS = "of the builder"  # of near-duplicates: BUILDER in benchmarks/similar.py


def measured(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The JSON line of a benchmark, and its command and commit."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return json.loads(lines[-1]), {"commit": lines[0].removeprefix("# "), "command": lines[1].removeprefix("# ")}


def row(what: str, inputs: str, metric: str, value: float, n: int) -> Row:
    """One figure; what follows from no sample has no interval."""
    return {"what": what, "inputs": inputs, "pretraining": "none", "metric": metric, "value": value} | {
        "ci95": None,
        "n": n,
        "seeds": 1,
    }


def exactness(found: dict[str, Any]) -> Iterator[Row]:
    """Agreement with independent readers."""
    for r in found["rows"]:
        inputs = f"{r.get('compared', r['files'])} {r['form']} files, seed {found['seed']}"
        yield row("notes of accepted passages that an independent reader finds", inputs, "share",
                  round(r["accepted agreement"], 6), r["accepted notes"])  # fmt: skip


def files_with_pairs(found: dict[str, Any]) -> Iterator[Row]:
    """Yield of a sample of files."""
    for form, (pairs, files) in found["by format"].items():
        yield row("notated files that give a pair", f"{files} {form} files", "share", round(pairs / files, 4), files)


def duplicates(found: dict[str, Any]) -> Iterator[Row]:
    """Near-duplicates: precision and recall on the half on which no threshold was chosen, and scale.

    Precision is of the pairs that were found and of which names say something, recall of those that are there.
    """
    accuracy = found.get("accuracy")
    if accuracy:
        known = {accuracy["share"]: accuracy["other_half"], BUILDERS: accuracy["builder"][1]}
        for share, half in known.items():
            hits = round(half["recall"] * half["pairs"])
            for metric, n in (("precision", hits + half["wrong"]), ("recall", half["pairs"])):
                yield row("the same music under two names", f"share {share}", metric, round(half[metric], 4), n)
    for r in found["scaling"]:
        for metric in ("seconds", "cpu_seconds", "peak_gb", "recall"):
            yield row(
                "duplicates among made-up passages", f"{r['passages']} passages", metric, r[metric], r["passages"]
            )


def notation(found: dict[str, Any]) -> Iterator[Row]:
    """MIDI written down; of all scores, and beside other programs of the short ones alone."""
    for method, measures in found["rows"].items():
        for metric, value in measures.items():
            yield row("MIDI written down", f"{found['scores']} scores, {method}", metric, value, found["scores"])


def speed(found: dict[str, Any]) -> Iterator[Row]:
    """Bars per second and what they are compared with."""
    inputs = f"{found['scores']} scores"
    for name, value in found.get("ms_per_bar", {}).items():
        yield row("score to pairs", f"{inputs}: {name}", "CPU ms per bar", value, found["bars"])
    for name in ("share_of_limit", "times_musescore", "times_lilypond", "two_workers_over_one"):
        if name in found:
            yield row("score to pairs", inputs, name.replace("_", " "), found[name], found["bars"])
    if "memory_mb" in found:
        yield row("largest memory of a worker", f"{found['memory_files']} files", "MB", max(found["memory_mb"]),
                  found["memory_files"])  # fmt: skip


def looks(found: dict[str, Any]) -> Iterator[Row]:
    """Degraded pictures beside real scans: medians."""
    for kind, statistics in found["statistics"].items():
        for name, values in statistics.items():
            number = found["staves_found"][kind][0]
            yield row("statistics of pictures", kind, name, values[0] if isinstance(values, list) else values, number)


def whole(folder: Path) -> Iterator[Row]:
    """The set that was built from everything."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    commit = (folder / "commit.txt").read_text(encoding="utf-8").strip()
    about = {"command": "sh runs/all_data.sh DATA OUT", "commit": commit}
    everything = f"{manifest['items']} files and tunes of {len(manifest['sources'])} sources"
    if "seconds" in manifest:  # built in one go
        minutes = round(manifest["seconds"] / 60, 1)
        yield row("the whole build", everything, "minutes", minutes, manifest["items"]) | about
    pairs = sum(manifest["pairs"].values())
    yield row("the whole build", everything, "pairs", pairs, manifest["items"]) | about
    yield row("the whole build", everything, "share of passages that are pairs",
              round(pairs / manifest["passages"], 4), manifest["passages"]) | about  # fmt: skip
    for corpus, entry in sorted(manifest["items_by_corpus"].items()):
        value = round(entry["with_pairs"] / entry["items"], 4)
        yield row("files or tunes that give pairs", corpus, "share", value, entry["items"]) | about


READERS = {
    "build": speed,
    "memory": speed,
    "exactness": exactness,
    "exactness-new": exactness,
    "yield": files_with_pairs,
    "similar": duplicates,
    "notate": notation,
    "notate-others": notation,
    "degrade": looks,
}


def table(rows: list[Row]) -> str:
    """The rows for people."""
    lines = ["| what | of what | metric | value | n | command | commit |", "|---|---|---|--:|--:|---|---|"]
    for r in rows:
        cells = (r["what"], r["inputs"], r["metric"], f"{r['value']:g}", r["n"], f"`{r['command']}`", r["commit"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(folder: Path, built: Path | None) -> None:
    """Write the two files."""
    rows: list[Row] = []
    for name, reader in READERS.items():
        path = folder / f"{name}.txt"
        if path.is_file():
            found, about = measured(path)
            rows += [r | about for r in reader(found)]
    if built is not None:
        rows += list(whole(built))
    file = ROOT / "results" / "build.json"
    rows = json.loads(file.read_text(encoding="utf-8")) + rows
    rows = list({(r["what"], r["inputs"], r["metric"]): r for r in rows}.values())  # the last of each, in its old place
    file.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    heading = "# The data set: what was measured\n\nMade by `python docs/make_data_results.py`.\n\n"
    (ROOT / "results" / "build.md").write_text(f"{heading}{table(rows)}\n", encoding="utf-8")


if __name__ == "__main__":
    if not all(Path(name).is_dir() for name in sys.argv[1:]) or len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
