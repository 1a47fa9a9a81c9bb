"""Answers to tasks of whole pieces without a neural network: what any model has to beat.

- **majority**: the most frequent class of the training part, for every item.
- The task's own **rule**, where it has one (the skyline of `tasks/melody.py`).
- **features** of notes: what stands in `note_features`, for gradient-boosted trees; and **along the line**, for the
  convolutions that answer beside heads (`beside_notes.learn_notes`).
- **features** of windows: ours (`understand.features`), those of music21, and both; and ours of the whole piece, which
  say more than a window does: look at their figures over pieces. For logistic regression or gradient-boosted trees.
- **features and n-grams** of windows, for the logistic regression that answers beside heads (`beside.learn`).

Every choice (classifier, its options, number of trees) is made on the validation part by the task's first metric. The
weight of a class is that which a network gets (`PieceTask.balance`), and so are the keys in which training pieces are
read (`piecewise.in_keys`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scoresim.benchmark import baselines, metrics
from scoresim.benchmark.beside import learn
from scoresim.benchmark.beside_notes import learn_notes, together
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.finetune import ANSWERS
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.music21_features import music21_features, music21_is_there
from scoresim.benchmark.piecewise import Material, cut_part, in_keys, labels_of, windows
from scoresim.benchmark.task import Answers, load_answers, save_answers
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.seen import seen
from scoresim.data.windows import Window
from scoresim.errors import BadInput
from scoresim.score.tokens import Vocabulary, default_vocabulary
from scoresim.understand.features import counts_of, window_features
from scoresim.understand.note_features import note_counts, note_features

LEAVES = (31, 127)  # of a tree of notes
LINEAR = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # C of the logistic regression of windows
WINDOW_LEAVES = (4, 15)  # of a tree of windows
ROUNDS, EVERY = 200, 10  # of boosting, at most, and after how many the validation part is asked
RATE = 0.1  # of boosting
MOST_NOTES = 300_000  # of the training part, a seeded choice
MOST_WINDOWS = 4_000  # the same

Numbers = NDArray[np.float32]
Kind = Callable[[Pair, Vocabulary], Mapping[str, float]]

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True, eq=False)
class Items:
    """Items of a part in the order of `piecewise.answers`.

    Attributes:
        truth: [M] class; below 0 is not asked.
        work, piece: [M] index of the item's work and piece.
        windows: [M] the windows, of a task of sequences.
    """

    truth: Ints
    work: Ints
    piece: Ints
    windows: Sequence[Window] = ()

    def answered(self, scores: NDArray[np.floating[Any]]) -> Answers:
        """Scores [M, C] as answers."""
        return Answers(self.truth, scores.astype(np.float32), self.work, self.piece)


def items_of(material: Material, part: str, notes: int = 0) -> Items:
    """All items of a part: the notes of its pieces, or its windows.

    Args:
        notes: of a window; 0 is the task's own number.
    """
    some, labels = material.parts[part], labels_of(material, part)
    groups, _ = metrics.groups_of([piece.work for piece in some])
    if material.task.level == "note":
        piece = np.repeat(np.arange(len(some)), [len(p) for p in some])
        return Items(labels, groups[piece], piece)
    windows = cut_part(material, part, notes)[1]
    piece = np.array([window.piece for window in windows], dtype=np.int64)
    return Items(labels[piece], groups[piece], piece, windows)


@dataclass(frozen=True)
class Rule:
    """A way to answer without a network.

    Attributes:
        name: "hand-crafted features".
        inputs: what it reads, "notes".
        answer: fits it, which may take minutes, and answers.
    """

    name: str
    inputs: str
    answer: Callable[[], Answers]


def kept_rules(material: Material, folder: Path, seed: int, which: str) -> list[tuple[str, str, Answers]]:
    """(name, inputs, answers) of the rules of a task; answers lie in a folder as soon as they are there.

    Args:
        folder: of the runs of a benchmark.
        which: "all", "ours" or "none" (`BenchmarkConfig.rules`).
    """
    key = hashlib.sha256(f"{material.learnt_content} {seed}".encode()).hexdigest()[:8]
    found = []
    own = folder / f"{material.task.name}-rules-{key}"
    for rule in rules(material, seed=seed, music21=which == "all", folder=own / "counted") if which != "none" else ():
        kept = own / rule.name.replace(" ", "-") / ANSWERS
        if not kept.is_file():
            save_answers(kept, rule.answer())
        found.append((rule.name, rule.inputs, load_answers(kept)))
    return found


def rules(
    material: Material,
    notes: int = 0,
    seed: int = 0,
    part: str = "test",
    music21: bool = True,
    folder: Path | None = None,
) -> Iterator[Rule]:
    """All rules of a task, the quick ones first.

    Args:
        material: of the task.
        notes: of a window; 0 is the task's own number.
        seed: of the choice of training items, of the trees, and of what is trained by steps.
        part: that is answered.
        music21: whether its features are asked too, where it is installed.
        folder: where what is trained by steps goes on, if it is stopped; None keeps nothing.

    Raises:
        BadInput: (when they answer) the training part has fewer than two classes.
    """
    task, whole = material.task, items_of(material, "train", notes).truth  # of what is asked: notes, or windows
    material = in_keys(material)
    items = {name: items_of(material, name, notes) for name in ("train", "valid", part)}
    labels = labels_of(material, "train")
    most = partial(baselines.majority, whole, len(items[part].truth), len(material.classes))
    yield Rule("majority class", "nothing", lambda: items[part].answered(most()))
    if task.rule is not None:
        name, rule = task.rule

        def ruled() -> Answers:
            shown = (seen(piece, task.hidden, a, b) for piece, a, b in _stretches(material, part, items[part].windows))
            said = [rule(pair, material.classes) for pair in shown]
            return items[part].answered(np.concatenate(said) if task.level == "note" else np.stack(said))

        yield Rule(name, "notes", ruled)
    if task.level == "note":

        def of_notes() -> Answers:
            chosen = _chosen(labels, MOST_NOTES, seed)
            x = {name: _of_notes(material, name, chosen if name == "train" else None) for name in items}
            return _learnt(material, x, labels[chosen], items, part, _trees(LEAVES, seed))

        def along() -> Answers:
            weights = metrics.class_weights(labels, len(material.classes), task.balance)
            cut = windows(material, "train", BatchConfig(images=False), FinetuneConfig(inputs="notes", notes=notes))
            with TemporaryDirectory() as nowhere:
                learnt, _ = learn_notes(material, cut, weights, folder or Path(nowhere), seed)
            return items[part].answered(together(learnt, note_counts(material.parts[part], task.hidden)))

        yield Rule("features along the line", "notes", along)
        yield Rule("hand-crafted features", "notes", of_notes)
        return
    truth = items["train"].truth
    chosen = _chosen(truth, MOST_WINDOWS, seed)
    candidates = [*_linear(), *_trees(WINDOW_LEAVES, seed)]

    @cache
    def table(kind: Kind) -> dict[str, Numbers]:
        windows = {name: some.windows for name, some in items.items()}
        windows["train"] = [one for one, taken in zip(windows["train"], chosen, strict=True) if taken]
        return {name: _of_windows(material, name, some, kind) for name, some in windows.items()}

    def of_windows(*kinds: Kind) -> Answers:
        tables = [table(kind) for kind in kinds]
        x = {name: np.concatenate([one[name] for one in tables], axis=1) for name in items}
        return _learnt(material, x, truth[chosen], items, part, candidates)

    def of_pieces() -> Answers:
        x = {name: _of_pieces(material, name) for name in items}
        of_item = {name: some.piece for name, some in items.items()}
        return _learnt(material, x, labels, items, part, candidates, of_item)

    def of_counts() -> Answers:
        learnt = learn(material, notes)[0]
        found = counts_of(material.parts[part], items[part].windows, task.hidden)
        with torch.inference_mode():
            return items[part].answered(learnt(found.features, found.ngrams).numpy())

    yield Rule("features and n-grams", "notes", of_counts)
    yield Rule("hand-crafted features", "notes", partial(of_windows, window_features))
    if music21 and music21_is_there():
        yield Rule("features of music21", "notes", partial(of_windows, music21_features))
        yield Rule("both kinds of features", "notes", partial(of_windows, window_features, music21_features))
    yield Rule("hand-crafted features of the piece", "notes", of_pieces)


def _stretches(material: Material, part: str, windows: Sequence[Window]) -> Iterator[tuple[Piece, int, int]]:
    """The pieces of a part with the first note and the first after the last of each window, or of all of the piece."""
    some = material.parts[part]
    if material.task.level == "note":
        yield from ((piece, 0, len(piece)) for piece in some)
    else:
        yield from ((some[window.piece], window.first, window.end) for window in windows)


def _chosen(truth: Ints, most: int, seed: int) -> NDArray[np.bool_]:
    """[M] at most so many of the items that have a class, a seeded choice."""
    asked = np.flatnonzero(truth >= 0)
    if len(asked) > most:
        asked = np.random.default_rng(seed).choice(asked, most, replace=False)
    out = np.zeros(len(truth), dtype=bool)
    out[asked] = True
    return out


def _of_notes(material: Material, part: str, chosen: NDArray[np.bool_] | None) -> Numbers:
    """[K, F] features of the notes of a part, or of the chosen ones among them."""
    rows: list[Numbers] = []
    at = 0
    for piece in material.parts[part]:
        columns = note_features(seen(piece, material.task.hidden), default_vocabulary())
        table = np.stack(list(columns.values()), axis=1).astype(np.float32)
        rows.append(table if chosen is None else table[chosen[at : at + len(piece)]])
        at += len(piece)
    return np.concatenate(rows)


def _of_windows(material: Material, part: str, windows: Sequence[Window], kind: Kind) -> Numbers:
    """[K, F] features of some windows of a part."""
    some, hidden = material.parts[part], material.task.hidden
    rows = [kind(seen(some[w.piece], hidden, w.first, w.end), default_vocabulary()) for w in windows]
    return np.array([list(row.values()) for row in rows], dtype=np.float32)


def _of_pieces(material: Material, part: str) -> Numbers:
    """[P, F] features of the whole pieces of a part."""
    rows = [window_features(seen(piece, material.task.hidden), default_vocabulary()) for piece in material.parts[part]]
    return np.array([list(row.values()) for row in rows], dtype=np.float32)


def _linear() -> list[tuple[str, Any]]:
    """Logistic regressions that can be chosen."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return [
        (f"logistic regression, C {C}", make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000)))
        for C in LINEAR
    ]


def _trees(leaves: Sequence[int], seed: int) -> list[tuple[str, Any]]:
    """Gradient-boosted trees that can be chosen."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    options = {"learning_rate": RATE, "max_iter": ROUNDS, "early_stopping": False, "random_state": seed}
    return [(f"trees of {n} leaves", HistGradientBoostingClassifier(max_leaf_nodes=n, **options)) for n in leaves]


def _learnt(
    material: Material,
    x: Mapping[str, Numbers],
    y: Ints,
    items: Mapping[str, Items],
    part: str,
    candidates: Sequence[tuple[str, Any]],
    of_item: Mapping[str, Ints] | None = None,
) -> Answers:
    """Fit all candidates on the training part, answer with what does best on the validation part.

    Args:
        x: [K, F] features by part.
        y: [K] classes of the training part's rows.
        items: by part.
        part: that is answered.
        candidates: names and classifiers.
        of_item: [M] row of each item, where rows are pieces.

    Raises:
        BadInput: the training part has fewer than two classes.
    """
    task, classes = material.task, material.classes
    if len(np.unique(y)) < 2:
        raise BadInput(f"a classifier needs at least two classes in the training part of {task.name}.")
    share = np.bincount(y, minlength=len(classes)) / len(y)
    weight = np.maximum(share, 1e-9)[y] ** -task.balance
    weight /= weight.mean()
    best, said, found = -np.inf, "", np.zeros(0)
    for name, model in candidates:
        weights = (
            {f"{model.steps[-1][0]}__sample_weight": weight} if hasattr(model, "steps") else {"sample_weight": weight}
        )
        model.fit(x["train"], y, **weights)
        asked = (_stages(model, x[one], len(classes)) for one in ("valid", part))
        for (rounds, valid), (_, scores) in zip(*asked, strict=True):
            if of_item is not None:
                valid, scores = valid[of_item["valid"]], scores[of_item[part]]
            figure = task.select(items["valid"].answered(valid), classes)
            if figure > best:
                best, said, found = figure, f"{name}, {rounds} rounds" if rounds else name, scores
    _logger.info("%s: %d features, %d rows: %s, validation %.4f", task.name, x["train"].shape[1], len(y), said, best)
    return items[part].answered(found)


def _stages(model: Any, x: Numbers, classes: int) -> Iterator[tuple[int, Numbers]]:
    """Log-probabilities [K, C] of a classifier; of trees (rounds, the same) after every `EVERY` of them."""
    staged = getattr(model, "staged_predict_proba", None)
    found = enumerate(staged(x), 1) if staged is not None else [(0, model.predict_proba(x))]
    known = np.asarray(model.classes_, dtype=np.int64)
    for rounds, shares in found:
        if rounds % EVERY == 0:
            scores = np.full((len(x), classes), -20.0, dtype=np.float32)
            scores[:, known] = np.log(shares + 1e-9)
            yield rounds, scores
