"""Which hand plays a note, asked of performances: the head that comes with some weights, and rules, against the score.

    python benchmarks/played_hands.py MODEL SCORES [--part test] [--most 4000]

SCORES is ASAP's folder. Its performances are MIDI without staves; their scores have these. So the first performance of
every score of the part with two staves is laid along the score by parangonar (Peter, ISMIR 2023; extra `bench`), and
a note that it finds in the score has the staff that it has there; others are not asked. Head and rules are given the
performance alone, on beats that are estimated. What the score repeats and the file does not write out is found once.
Works of the part were seen by nobody in training, as scores or as performances. Performances of more than MOST notes
are left out: laying one along its score takes seconds to a minute. Prints a table with 95 % intervals over works and
ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

import scoresim
from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.task import Answers, Figure
from scoresim.benchmark.tasks import hand, hand_all
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.given import known, read_wholes
from scoresim.data.pieces import Piece, Whole, read_piece
from scoresim.data.seen import read, seen
from scoresim.errors import BadInput, ScoresimError
from scoresim.score.sandbox import Workers
from scoresim.score.tokens import default_vocabulary
from scoresim.understand import Sim
from scoresim.understand.analysis import notes_of
from scoresim.understand.heads import of_pieces

MIDDLE_C, CHAIN = "split at middle C", "chain over the onsets"


def found_in(score: Piece, whole: Whole) -> Ints:
    """[N] the staff as a class of every note of a performance that is found in its score; -1 of any other."""
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
    labels, out = np.asarray(hand.label(score)), np.full(len(played), -1)
    for one in parangonar.AutomaticNoteMatcher()(of_score, performed):
        if one["label"] == "match":
            out[int(one["performance_id"][1:])] = labels[int(one["score_id"][1:])]
    return out


def firsts(scores: Path, part: str) -> Iterator[tuple[Item, Item]]:
    """Every score of a part with its first performance."""
    played: dict[PurePosixPath, Item] = {}
    for item in sorted(corpora.get("asap_performances").items(scores), key=lambda item: item.id):
        played.setdefault(PurePosixPath(item.id).parent, item)
    for item in sorted(corpora.get("asap").items(scores), key=lambda item: item.id):
        if item.split == part and PurePosixPath(item.id).parent in played:
            yield item, played[PurePosixPath(item.id).parent]


def said_of(sim: Sim, piece: Piece) -> dict[str, np.ndarray]:
    """[N, 2] scores of the notes of a performance, by who says it."""
    pair = seen(piece, hand_all.TASK.hidden)
    with sim.reading():
        [head] = of_pieces({"hand": sim.heads["hand"]}, [piece], sim.rows)["hand"]
    return {sim.name: head, CHAIN: hand_all.chain(pair), MIDDLE_C: hand.split(pair)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--part", choices=("test", "valid"), default="test")
    parser.add_argument("--most", type=int, default=4000)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", module="partitura|parangonar")
    sim = scoresim.load(given.model)
    if "hand" not in sim.heads:
        raise BadInput(f"{given.model} has no head for hands.")
    truth: list[Ints] = []
    said: dict[str, list[np.ndarray]] = {}
    works: list[str] = []
    with Workers(1) as workers:
        for written, played in firsts(given.scores, given.part):
            try:
                score = read_piece("asap", written, images=False)
                [whole] = read_wholes([played.path], workers=workers)
                whole = known(whole, played.path)
            except (ScoresimError, ValueError) as error:
                print(f"{played.id} is left out: {error}", flush=True)
                continue
            if hand.label(score).max() < 0 or len(whole.piece) > given.most:
                print(f"{played.id} is left out: {len(whole.piece)} notes, {len(score.staves)} staves", flush=True)
                continue
            truth.append(found_in(score, whole))
            works.append(written.work)
            for who, scores in said_of(sim, whole.piece).items():
                said.setdefault(who, []).append(scores)
            share = (truth[-1] >= 0).mean()
            print(f"{played.id}: {len(whole.piece)} notes, {share:.0%} found in the score", flush=True)
    if not truth:
        raise BadInput(f"{given.scores} has no performance of the {given.part} part with a score of two staves.")
    index, _ = metrics.groups_of(works)
    lengths = [len(some) for some in truth]
    rows = []
    print(f"\n{len(truth)} performances of {len(set(works))} works, {given.part} part")
    for who, some in said.items():
        answers = Answers(np.concatenate(truth), np.concatenate(some).astype(np.float32), np.repeat(index, lengths))
        table = metrics.confusion(answers.truth, answers.predicted, 2, answers.work)
        row = Figure("hands of performances, notes", "accuracy", table, metrics.accuracy).row() | {"who": who}
        print(f"{who:24}{row['value']:7.3f}  {row['ci95'][0]:.3f} to {row['ci95'][1]:.3f} {row['n']:8}")
        rows.append(row)
    print(json.dumps({"benchmark": "played_hands", "part": given.part, "performances": len(truth), "rows": rows}))


if __name__ == "__main__":
    main()
