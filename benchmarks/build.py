"""How fast scores become pairs: our stages, beside the engraver's bare layout and two notation programs.

    python benchmarks/build.py [--scores 100] [--repeat 3] [--memory 5000] [--lilypond 10] [--workers]

The scores are the first of ``build_scores.txt``, MusicXML files of music21's corpus that all programs read. Times are
CPU seconds (user and system, children included) on one core. A host that others use is now fast, now slow: score by
score verovio alone and ours take turns, `--repeat` times, and of each score the median counts.
The limit is verovio alone: load the file, lay out, write every page as SVG, nothing else. As pictures show no lyrics,
ours takes them out first; the second limit is verovio alone on that text.
MuseScore converts the same files to PNG in one process, once in every repetition, and the median counts; LilyPond
takes one after the other, once, so it gets fewer of them.
Both draw the lyrics, and neither gives boxes or notes. A program that is not installed is left out with a message.
Prints tables and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scoresim.data import corpora, parts
from scoresim.data.config import BuildConfig
from scoresim.data.corpora import Item
from scoresim.data.pair import Pair, PassageRules, Rejected, excerpt, make_pair
from scoresim.data.shards import to_table, write_table
from scoresim.score.engrave import EngraveConfig, Engraving, Layout
from scoresim.score.lyrics import without_lyrics
from scoresim.score.read import read_text
from scoresim.score.sandbox import Failure, run_all
from scoresim.score.source import doubtful_bars
from scoresim.score.tokens import default_vocabulary

LIST = Path(__file__).with_name("build_scores.txt")
SETTINGS = EngraveConfig()


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def items(count: int) -> list[Item]:
    """The first of the named scores."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        sys.exit("benchmarks/build.py needs the music21 package; pip install 'scoresim[corpora]'.")
    root = Path(spec.origin).parent / "corpus"
    names = LIST.read_text().splitlines()[:: max(100 // count, 1)][:count]
    return [
        Item(name, root / name, "mxl" if name.endswith(".mxl") else "musicxml", f"bench/{i}", "", "", "")
        for i, name in enumerate(names)
    ]


class Clock:
    """CPU seconds of this process by stage; asked for some ten times a passage, so by the quickest call there is."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - begun


def limit(text: str) -> float:
    """CPU seconds of verovio alone."""
    import verovio

    begun = time.process_time()
    toolkit = verovio.toolkit()
    toolkit.setOptions(SETTINGS.options())
    toolkit.loadData(text)
    for page in range(toolkit.getPageCount()):
        toolkit.renderToSVG(page + 1)
    del toolkit
    return time.process_time() - begun


def ours(item: Item, path: Path) -> tuple[Clock, int, int]:
    """CPU seconds of every stage from file to shard, and the bars and pairs made."""
    clock, vocabulary, rules = Clock(), default_vocabulary(), PassageRules()
    with clock("read"):
        stated = read_text(item.path, item.format)
        text = without_lyrics(stated, item.format)
    with clock("engrave, notes"):
        engraving = Engraving(text, SETTINGS, str(item.path))
    score = engraving.reading.score
    with clock("verify against the file"):
        doubtful = doubtful_bars(stated, score)
    pairs: list[Pair] = []
    layouts: list[Layout] = []
    layout: Layout | None = None
    for page in range(engraving.pages):
        with clock("engrave, SVG"):
            layouts = engraving.page(page)
        for k, layout in enumerate(layouts):
            about = dict.fromkeys(("corpus", "item", "work", "style", "composer", "title", "split", "id"), "")
            try:
                with clock("rasterize, boxes"):
                    drawn = engraving.bars(layout)
                if doubtful.intersection(drawn) or engraving.misleads(drawn):
                    continue
                with clock("verify, tokens, PNG"):
                    taken = excerpt(score, drawn, vocabulary, rules)
                with clock("rasterize, boxes"):
                    system = engraving.draw(layout)
                with clock("verify, tokens, PNG"):
                    pairs.append(make_pair(taken, (system,), rules, about | {"id": f"{page}.{k}"}))
            except (Rejected, ValueError):
                continue
    with clock("write"):
        write_table(path, to_table(pairs), parts.COMPRESSION)
    bars = len(score.bars)
    with clock("engrave, notes"):
        del engraving, layouts, layout  # the engraver's tree takes its time to go
    return clock, bars, len(pairs)


def musescore(program: str, todo: list[Item], folder: Path) -> float:
    """CPU seconds of MuseScore, files to PNG pages at the resolution of 8 pixels per staff space.

    Args:
        folder: for its pages; nothing of an earlier run lies there.
    """
    jobs = [{"in": str(item.path), "out": str(folder / f"m{i}.png")} for i, item in enumerate(todo)]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    begun = cpu()
    command = [program, "-r", "115", "-j", str(folder / "jobs.json")]
    subprocess.run(command, env=environment, capture_output=True, check=False)
    seconds = cpu() - begun
    pages = len(list(folder.glob("m*.png")))
    if pages < len(todo):
        print(f"MuseScore left only {pages} pages of {len(todo)} scores", file=sys.stderr)
    return seconds


def lilypond(todo: list[Item], folder: Path) -> float:
    """CPU seconds of LilyPond, files to PNG pages."""
    begun = cpu()
    for i, item in enumerate(todo):
        flags = ["--compressed"] if item.format == "mxl" else []
        into = folder / f"l{i}.ly"
        subprocess.run(["musicxml2ly", *flags, "-o", str(into), str(item.path)], capture_output=True, check=False)
        command = ["lilypond", "--png", "-dresolution=115", "-o", str(folder / f"l{i}"), str(into)]
        subprocess.run(command, capture_output=True, check=False)
    return cpu() - begun


def bars_of(todo: list[Item]) -> int:
    """Number of bars in the scores."""
    return sum(len(Engraving(read_text(i.path, i.format), SETTINGS).reading.score.bars) for i in todo)


def wall(tasks: list[parts.Task], workers: int) -> float:
    """Seconds in which some workers make the parts of all tasks."""
    begun = time.monotonic()
    for _, outcome in run_all(parts.make_part, tasks, workers, 120.0):
        if isinstance(outcome, Failure):
            print(f"left out: {outcome.reason}", file=sys.stderr)
    return time.monotonic() - begun


def resident(task: parts.Task) -> float:
    """Make a part; the largest memory that this worker has had so far, in MB."""
    parts.make_part(task)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(count: int, folder: Path) -> list[float]:
    """Largest memory of one worker in MB after each of some files of all kinds, in one process to the end."""
    names = ("bach_chorales", "oneill_1850", "palestrina_masses", "essen_folksong", "quartets", "trecento", "aird_airs")
    found: list[list[tuple[str, Item]]] = []
    for name in names:
        root = corpora.get(name).find(None)
        found.append([(name, item) for item in corpora.get(name).items(root)] if root is not None else [])
    mixed = sorted((i / len(group), name, item) for group in found for i, (name, item) in enumerate(group))
    chosen = [(name, item) for _, name, item in mixed][:: max(len(mixed) // count, 1)][:count]
    config = BuildConfig(corpora=())
    tasks = [parts.Task(item, name, folder / f"x{i % 16}.parquet", config) for i, (name, item) in enumerate(chosen)]
    return [mb for _, mb in run_all(resident, tasks, 1, 120.0, tasks_per_worker=10**9) if not isinstance(mb, Failure)]


def interpreter() -> str:
    """Which Python runs, and who built it when: much of our time is its own."""
    return f"Python {platform.python_version()} ({', '.join(platform.python_build())}; {platform.python_compiler()})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3, help="how often the scores are timed; 0 leaves times out")
    parser.add_argument("--lilypond", type=int, default=10, help="scores for LilyPond; 0 leaves it out")
    parser.add_argument("--memory", type=int, default=0, help="files for the memory of one worker; 5000 takes minutes")
    parser.add_argument("--workers", action="store_true", help="also compare two workers with one")
    asked = parser.parse_args()
    todo = items(asked.scores)
    out: dict[str, Any] = {"benchmark": "build", "scores": len(todo), "repeat": asked.repeat, "cpus": os.cpu_count()}
    out["python"] = interpreter()
    print(out["python"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out |= speed(todo, asked, folder) if asked.repeat else {}
        if asked.workers and asked.repeat:
            config = BuildConfig(corpora=(), vary=False)
            tasks = [parts.Task(item, "folder", folder / f"w{i}.parquet", config) for i, item in enumerate(todo)]
            one, two = zip(*((wall(tasks, 1), wall(tasks, 2)) for _ in range(asked.repeat)), strict=True)
            out["two_workers_over_one"] = round(statistics.median(a / b for a, b in zip(one, two, strict=True)), 2)
            print(f"two workers are {out['two_workers_over_one']} times as fast as one")
        if asked.memory:
            course = memory(asked.memory, folder)
            marks = [course[round(k * (len(course) - 1))] for k in (0.02, 0.1, 0.25, 0.5, 0.75, 1.0)]
            out["memory_files"], out["memory_mb"] = len(course), [round(mb) for mb in marks]
            print(f"largest memory of one worker after 2, 10, 25, 50, 75, 100 % of {len(course)} files: ", end="")
            print(", ".join(f"{mb:.0f} MB" for mb in marks))
    print(json.dumps(out))


def speed(todo: list[Item], asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The table of stages and programs."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    muse = shutil.which("mscore3") or shutil.which("mscore")
    if not muse:
        print("MuseScore is not installed and left out (Debian: musescore3)", file=sys.stderr)
    few = todo[:: max(len(todo) // asked.lilypond, 1)][: asked.lilypond] if asked.lilypond else []
    if few and not shutil.which("lilypond"):
        print("LilyPond is not installed and left out (Debian: lilypond)", file=sys.stderr)
        few = []
    texts = [read_text(item.path, item.format) for item in todo]
    unsung = [without_lyrics(text, item.format) for text, item in zip(texts, todo, strict=True)]
    turns: list[list[dict[str, float]]] = []  # [repeat][score] seconds
    others: dict[str, list[float]] = {"MuseScore": []} if muse else {}
    bars = made = 0
    for _ in range(asked.repeat):
        turns.append([])
        bars = made = 0
        for i, item in enumerate(todo):
            bare = {"limit": limit(texts[i]), "limit, no lyrics": limit(unsung[i])}
            clock, count, pairs = ours(item, folder / f"{i}.parquet")
            bars, made = bars + count, made + pairs
            bare["ours"] = sum(clock.seconds.values())
            turns[-1].append(bare | {f"  {stage}": seconds for stage, seconds in clock.seconds.items()})
        if muse:
            with tempfile.TemporaryDirectory(dir=folder) as pages:
                others["MuseScore"].append(musescore(muse, todo, Path(pages)))
    names = list(dict.fromkeys(name for turn in turns[0] for name in turn))
    per_bar = {
        name: sum(statistics.median(turn[i].get(name, 0.0) for turn in turns) for i in range(len(todo))) / bars
        for name in names
    }
    per_bar |= {name: statistics.median(seconds) / bars for name, seconds in others.items()}
    if few:
        per_bar["LilyPond"] = lilypond(few, folder) / bars_of(few)
    print(f"{len(todo)} scores, {bars} bars, {made} pairs; median of {asked.repeat}, one core")
    print(f"{'':24}{'ms per bar':>12}{'bars/s':>10}{'of the limit':>14}")
    for name, seconds in per_bar.items():
        print(f"{name:24}{1000 * seconds:12.2f}{1 / seconds:10.1f}{per_bar['limit'] / seconds:14.2f}")

    ratios = sorted(sum(t["limit"] for t in turn) / sum(t["ours"] for t in turn) for turn in turns)
    result: dict[str, Any] = {"bars": bars, "pairs": made}
    result["share_of_limit"] = round(per_bar["limit"] / per_bar["ours"], 3)
    result["share_of_limit_without_lyrics"] = round(per_bar["limit, no lyrics"] / per_bar["ours"], 3)
    result["shares_of_limit"] = [round(ratio, 3) for ratio in ratios]
    result["ms_per_bar"] = {name.strip(): round(1000 * seconds, 3) for name, seconds in per_bar.items()}
    result |= {
        f"times_{o.lower()}": round(per_bar[o] / per_bar["ours"], 2) for o in ("MuseScore", "LilyPond") if o in per_bar
    }
    for name in ("MuseScore", "LilyPond"):
        if (times := result.get(f"times_{name.lower()}")) is not None:
            print(f"ours is {times} times as fast as {name}")
    return result


if __name__ == "__main__":
    main()
