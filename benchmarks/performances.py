"""Which notes of a performance are melody, or which hand plays them: what heads and rules say, against the score.

    python benchmarks/performances.py MODEL SCORES [--question hand] [--part test] [--most 4000] [--keep DIR]

SCORES is ASAP's folder. Its performances are MIDI without staves; their scores have these. So the first performance of
every score of the part with two staves is laid along the score by parangonar (Peter, ISMIR 2023; extra `bench`), and
a note that it finds in the score has the hand that it has there, or is melody where it is the highest of the upper
staff there (as in `melody_all`); others are not asked. Head and rules are given the performance alone, on beats that
are estimated. What the score repeats and the file does not write out is found once. Works of the part were seen by
nobody in training, as scores or as performances. Performances of more than MOST notes are left out: laying one along
its score takes seconds to a minute. Prints a table with 95 % intervals over works and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

import scoresim
from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.task import Answers
from scoresim.benchmark.tasks import hand, hand_all, melody_all
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.given import known, read_wholes
from scoresim.data.pieces import Piece, Whole, read_piece
from scoresim.data.seen import read, seen
from scoresim.errors import BadInput, ScoresimError
from scoresim.files import replacing
from scoresim.score.sandbox import Workers
from scoresim.score.tokens import default_vocabulary
from scoresim.understand import Sim
from scoresim.understand.analysis import notes_of
from scoresim.understand.heads import of_pieces

MIDDLE_C = "split at middle C"
TASKS = {"hand": hand_all.TASK, "melody": melody_all.TASK}
LABELS: dict[str, Callable[[Piece], Ints]] = {"hand": hand.label, "melody": melody_all.upper}


def found_in(score: Piece, whole: Whole) -> Ints:
    """[N] the note of its score that every note of a performance is; -1 of one that is not found there."""
    import parangonar

    written, played = read(seen(score, ()), default_vocabulary()), notes_of(whole)
    names = [("pitch", "i4"), ("id", "U12")]
    of_score = np.zeros(len(score), dtype=[("onset_beat", "f4"), ("duration_beat", "f4"), *names])
    of_score["onset_beat"], of_score["duration_beat"] = score.onset, written.length
    of_score["pitch"], of_score["id"] = written.pitch, [f"s{i}" for i in range(len(score))]
    times = [("onset_sec", "f4"), ("duration_sec", "f4"), ("velocity", "i4")]
    performed = np.zeros(len(played), dtype=[*times, *names])
    performed["onset_sec"], performed["duration_sec"] = played.seconds, played.length
    performed["pitch"], performed["velocity"] = played.pitch, played.velocity
    performed["id"] = [f"p{i}" for i in range(len(played))]
    np.random.seed(0)  # noqa: NPY002 - parangonar tries some of many ways, by the global state
    out = np.full(len(played), -1)
    for one in parangonar.AutomaticNoteMatcher()(of_score, performed):
        if one["label"] == "match":
            out[int(one["performance_id"][1:])] = int(one["score_id"][1:])
    return out


def laid_along(score: Piece, whole: Whole, keep: Path) -> Ints:
    """As `found_in`, or as it was found before and kept in a folder: by what is played, however it was read."""
    played = notes_of(whole)
    order = np.lexsort((played.pitch, played.seconds))
    moments = np.round(1000 * played.seconds[order]).astype(np.int64)
    pitch = played.pitch[order].astype(np.int64)
    file = keep / f"{hashlib.sha256(score.ids.tobytes() + moments.tobytes() + pitch.tobytes()).hexdigest()[:24]}.npy"
    if not file.is_file():
        with replacing(file) as temporary, temporary.open("wb") as out:
            np.save(out, found_in(score, whole)[order])
    note = np.empty(len(order), dtype=np.int64)
    note[order] = np.load(file, allow_pickle=False)
    return note


def firsts(scores: Path, part: str) -> Iterator[tuple[Item, Item]]:
    """Every score of a part with its first performance."""
    played: dict[PurePosixPath, Item] = {}
    for item in sorted(corpora.get("asap_performances").items(scores), key=lambda item: item.id):
        played.setdefault(PurePosixPath(item.id).parent, item)
    for item in sorted(corpora.get("asap").items(scores), key=lambda item: item.id):
        if item.split == part and PurePosixPath(item.id).parent in played:
            yield item, played[PurePosixPath(item.id).parent]


def readable(scores: Path, part: str, most: int) -> Iterator[tuple[Item, Item, Piece, Whole]]:
    """As `firsts`, each with what it is read as; what cannot be read, or has more notes, is left out and named."""
    with Workers(1) as workers:
        for written, played in firsts(scores, part):
            try:
                score = read_piece("asap", written, images=False)
                [whole] = read_wholes([played.path], workers=workers)
                whole = known(whole, played.path)
            except (ScoresimError, ValueError) as error:
                print(f"{played.id} is left out: {error}", flush=True)
                continue
            if len(whole.piece) > most:
                print(f"{played.id} is left out: {len(whole.piece)} notes", flush=True)
                continue
            yield written, played, score, whole


def said_of(sim: Sim, piece: Piece, question: str) -> dict[str, np.ndarray]:
    """[N, classes] scores of the notes of a performance, by who says it."""
    task, head = TASKS[question], sim.heads[question]
    pair = seen(piece, task.hidden)
    with sim.reading():
        [said] = of_pieces({question: head}, [piece], sim.rows)[question]
    found = {sim.name: said}
    if task.rule is not None:
        found[task.rule[0]] = task.rule[1](pair, head.config.classes)
    return found | {MIDDLE_C: hand.split(pair)} if question == "hand" else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--question", choices=tuple(TASKS), default="hand")
    parser.add_argument("--part", choices=("test", "valid"), default="test")
    parser.add_argument("--keep", type=Path, default=Path("runs/performances"), help="where alignments are kept")
    parser.add_argument("--most", type=int, default=4000)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", module="partitura|parangonar")
    sim = scoresim.load(given.model)
    if given.question not in sim.heads:
        raise BadInput(f"{given.model} has no head for {given.question}.")
    truth: list[Ints] = []
    said: dict[str, list[np.ndarray]] = {}
    works: list[str] = []
    for written, played, score, whole in readable(given.scores, given.part, given.most):
        labels = LABELS[given.question](score)
        if labels.max() < 0:
            print(f"{played.id} is left out: {len(score.staves)} staves", flush=True)
            continue
        note = laid_along(score, whole, given.keep)
        truth.append(np.where(note >= 0, labels[note], -1))
        works.append(written.work)
        for who, scores in said_of(sim, whole.piece, given.question).items():
            said.setdefault(who, []).append(scores)
        share = (note >= 0).mean()
        print(f"{played.id}: {len(whole.piece)} notes, {share:.0%} found in the score", flush=True)
    if not truth:
        raise BadInput(f"{given.scores} has no performance of the {given.part} part with a score of two staves.")
    index, _ = metrics.groups_of(works)
    lengths = [len(some) for some in truth]
    rows = []
    print(f"\n{len(truth)} performances of {len(set(works))} works, {given.part} part")
    task, classes = TASKS[given.question], sim.heads[given.question].config.classes
    for who, some in said.items():
        answers = Answers(np.concatenate(truth), np.concatenate(some).astype(np.float32), np.repeat(index, lengths))
        for figure in task.evaluate(answers, classes):
            row = figure.row() | {"who": who}
            low, high = row["ci95"]
            print(f"{who:24}{row['metric']:16}{row['value']:7.3f}  {low:.3f} to {high:.3f} {row['n']:8}")
            rows.append(row)
    about = {"benchmark": "performances", "question": given.question, "part": given.part, "performances": len(truth)}
    print(json.dumps(about | {"rows": rows}))


if __name__ == "__main__":
    main()
