"""Let a head about notes that stands beside some weights take features of notes along, as it is (decision 0022).

    python runs/beside.py WEIGHTS DATA NAME OUT [--further]

WEIGHTS is a folder of weights with heads beside them (src/scoresim/weights/small), DATA the folder of the sources of
the head's task, NAME the head, OUT a folder for the training of what reads the features; one that was stopped goes on.
The head is asked about the validation part, features are weighed against it there, and the head is written anew; what
stands on it stands on the new one. Networks begin from nothing; with --further from those that the head has, as those
of the melody of `small` have begun (docs/decisions/0029). `scoresim finetune` does the same for a head that it trains.
Afterwards the card wants `python runs/ship_heads.py WEIGHTS EMPTY`.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import scoresim
from scoresim import checkpoint
from scoresim.benchmark import metrics, tasks
from scoresim.benchmark.beside_notes import beside_notes, trained_before
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.piecewise import gather, labels_of, windows
from scoresim.benchmark.played import with_played
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.files import replacing
from scoresim.understand import Sim
from scoresim.understand.heads import Head, of_pieces

TOGETHER = 16  # pieces that are asked at a time


def asked(sim: Sim, head: Head, pieces: Sequence[Piece], task: PieceTask) -> Answers:
    """What a head alone says of the notes of some pieces: log-probabilities."""
    said = []
    with sim.reading():
        for start in range(0, len(pieces), TOGETHER):
            said += of_pieces({"head": head}, pieces[start : start + TOGETHER], sim.rows)["head"]
    works, _ = metrics.groups_of([piece.work for piece in pieces])
    index = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    truth = np.concatenate([np.asarray(task.label(piece, head.config.classes)) for piece in pieces])
    scores = np.log(np.concatenate(said).clip(1e-9)).astype(np.float32)
    return Answers(truth.astype(np.int64), scores, works[index], index)


def main() -> None:
    """Learn, weigh, and write the head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--further", action="store_true", help="train the networks that the head has further")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = given.weights / checkpoint.HEADS
    sim = scoresim.load(given.weights)
    if given.name not in sim.heads:
        raise BadInput(f"{given.weights} has no head {given.name}; there is {', '.join(sim.heads)}.")
    known = sim.heads[given.name]
    task = tasks.learnt(known.config.task)
    if not isinstance(task, PieceTask) or task.level != "note" or known.config.inputs != "notes":
        raise BadInput(f"{given.name} is no head about notes that are read alone.")
    if set(known.config.hidden) != set(task.hidden) or known.config.notes != task.notes:
        raise BadInput(f"{given.name} is shown other notes than {task.name} shows now; train it anew.")
    if set(known.config.corpora) < set(task.corpora):
        task = task.of_sources(known.config.corpora)
    material = gather(task, given.data, given.out / "pieces", images=False)
    if known.config.played:
        material = with_played(material, given.out / "pieces")
        task = material.task  # which knows the classes of what is played
    if material.classes != known.config.classes:
        raise BadInput(f"{given.name} knows other classes than the sources in {given.data} have.")
    start = trained_before(known, material) if given.further else None
    known.tagger.counted = None
    alone = replace(known, config=replace(known.config, rule="", rule_weight=0.0, features="", temperature=1.0))
    said = {part: asked(sim, alone, material.parts[part], task) for part in ("valid", "test")}
    weights = metrics.class_weights(labels_of(material, "train"), len(material.classes), task.balance)
    cut = windows(material, "train", BatchConfig(images=False), FinetuneConfig(inputs="notes"))
    more = beside_notes(material, cut, weights, said["valid"], given.out / "counted", 0, start)
    model, origin = checkpoint.load(given.weights).model, checkpoint.weights_of(given.weights)
    path = folder / f"{given.name}.safetensors"
    before = checkpoint.head_stands(path)[0]
    tagger, config = checkpoint.load_head(path, model, origin)
    tagger.counted = more.counted
    figures = tuple(figure.row() for figure in task.evaluate(said["test"], material.classes))
    rows = (*figures, *more.rows(material, said["test"]))
    shown = {"rule": more.rule, "rule_weight": more.weight, "features": more.features, "temperature": more.temperature}
    standing = {one.stem: one for one in folder.glob("*.safetensors") if checkpoint.head_stands(one)[1] == before}
    body = sim.heads[given.name].tagger.sim
    loaded = {name: checkpoint.load_head(one, body, origin) for name, one in standing.items()}
    with TemporaryDirectory() as folder_of_new:
        stage = Path(folder_of_new)
        checkpoint.save_head(stage / path.name, tagger, replace(config, figures=rows, **shown))
        after = checkpoint.head_stands(stage / path.name)[0]
        for name, (other, about) in loaded.items():
            checkpoint.save_head(stage / standing[name].name, other, replace(about, on=after))
        for new in stage.glob("*"):
            with replacing(folder / new.name) as temporary:
                shutil.copy(new, temporary)
    for row in rows:
        print(f"{row['what']}: {row['metric']} {row['value']:.4f}")
    print(f"{path}: weight {more.weight:.3g}; {', '.join(standing) or 'nothing'} stands on it")


if __name__ == "__main__":
    main()
