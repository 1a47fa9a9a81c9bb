"""What answers beside a head: a rule about whole pieces, weighed by the validation part (decisions 0019 and 0020).

For the 24 keys it is the rule of `score.keys`. For any other question about pieces it is learnt, from what is
counted by hand in every window: a logistic regression of features and n-grams (`understand.features`).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats
from scoresim.benchmark.piecewise import Material, cut_part
from scoresim.benchmark.task import Answers
from scoresim.checkpoint import COUNTED
from scoresim.errors import BadInput
from scoresim.model.counted import Counted, CountedNotes
from scoresim.score.keys import KEYS, RULES
from scoresim.understand.features import Counts, counts_of
from scoresim.understand.heads import counted_pieces, means_of_pieces

WEIGHTS = (0.0, *(2.0 ** (k / 2) for k in range(-6, 15)))  # of a rule beside a head, 1/8 to 128
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # C of the logistic regression
MOST_WINDOWS = 20_000  # of the training part, a seeded choice: a matrix of 350 MB

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True, eq=False)
class Beside:
    """What answers beside a head, and how much it counts.

    Attributes:
        rule: its name, "" for nothing.
        weight: of its scores, which are added to the log-probabilities of a piece.
        temperature: of both together.
        counted: what has learnt from what is counted, where that is the rule.
        features: hash of the names of what it has learnt from.
        said: [P, C] scores of the pieces of the validation and the test part, or [M, C] of their notes.
        notes: whether it answers about notes.
    """

    rule: str
    weight: float
    temperature: float
    counted: Counted | CountedNotes | None = None
    features: str = ""
    said: Mapping[str, Floats] = field(default_factory=dict)
    notes: bool = False

    def together(self, said: Answers, part: str) -> Answers:
        """What head and rule say of the pieces of a part, or of their notes.

        Args:
            said: by the head, of windows of these pieces, or of all their notes.
            part: "valid" or "test".
        """
        whole = said if self.notes else said.by_piece()
        if not self.rule:
            return whole
        asked = np.arange(len(whole.truth)) if self.notes or whole.piece is None else whole.piece
        return replace(whole, scores=(whole.scores + self.weight * self.said[part][asked]).astype(np.float32))

    def rows(self, material: Material | None, said: Answers) -> list[dict[str, Any]]:
        """Figures of both about pieces of the test part (or notes), from what the head says; none without a rule."""
        if not self.rule or material is None:
            return []
        found = material.task.evaluate(self.together(said, "test"), material.classes)
        rows = [figure.row() for figure in found if self.notes or figure.what.endswith("pieces")]
        return [row | {"what": f"{row['what']}, with {self.rule}"} for row in rows]


def beside(material: Material | None, said: Answers, notes: int = 0) -> Beside:
    """What a head gains from a rule: the weight that makes validation pieces likeliest.

    Args:
        material: of the task, training pieces in the keys that are learnt from; None for no rule.
        said: of the windows of the validation part.
        notes: of a window; 0 is the task's own number.

    Returns:
        No rule of a question about notes, or where the training part has one class alone, or scikit-learn is missing.
    """
    rule = None if material is None or material.task.level != "sequence" else _rule(material, notes)
    if rule is None:
        return Beside("", 0.0, metrics.temperature(said.truth, said.scores))
    return weighed(rule, said)


def weighed(rule: Beside, said: Answers, weights: Sequence[float] = WEIGHTS) -> Beside:
    """A rule with the weight and the temperature that make the validation part likeliest.

    Args:
        rule: what may answer.
        said: by the head, of the validation part.
        weights: that are tried.
    """
    found = []
    for weight in weights:
        both = replace(rule, weight=weight).together(said, "valid")
        warmth = metrics.temperature(both.truth, both.scores)
        warm = replace(both, scores=both.scores / np.float32(warmth))
        asked = np.flatnonzero(both.truth >= 0)
        found.append((-warm.log_probabilities[asked, both.truth[asked]].mean(), weight, warmth))
    loss, weight, warmth = min(found)
    items = "notes" if rule.notes else "pieces"
    _logger.info("%s beside the head: weight %.3g, loss of validation %s %.4f", rule.rule, weight, items, loss)
    return replace(rule, weight=weight, temperature=warmth)


def _rule(material: Material, notes: int) -> Beside | None:
    """What may answer beside a head, before it is weighed."""
    name, _ = material.task.rule or ("", None)
    if name in RULES and material.classes == KEYS:
        asked = {part: material.parts[part] for part in ("valid", "test")}
        said = {part: np.stack([RULES[name](piece.ids) for piece in some]) for part, some in asked.items()}
        return Beside(name, 0.0, 1.0, said=said)
    if find_spec("sklearn") is None:
        _logger.info("nothing is counted beside the head: that needs pip install 'scoresim[report]'")
        return None
    return _counted(material, notes)


def _counted(material: Material, notes: int) -> Beside | None:
    """What is learnt from what is counted in windows; nothing where there is one class alone."""
    labels = [material.label(piece) for piece in material.parts["train"]]
    if len(set(labels)) < 2:
        return None
    learnt, valid, identity = learn(material, notes)
    cut, hidden = {part: cut_part(material, part, notes)[1] for part in ("valid", "test")}, material.task.hidden
    tested = counted_pieces(learnt, identity, counts_of(material.parts["test"], cut["test"], hidden), cut["test"])
    said = {"valid": means_of_pieces(valid, cut["valid"]), "test": tested}
    return Beside(COUNTED, 0.0, 1.0, learnt, identity, said)


def learn(material: Material, notes: int = 0) -> tuple[Counted, Floats, str]:
    """A regression of what is counted in windows, as strong as makes those of the validation part likeliest.

    All classes count alike where the task weighs them at all (`PieceTask.balance`).

    Args:
        material: of a task of pieces.
        notes: of a window; 0 is the task's own number.

    Returns:
        What has learnt; what it says of the windows of the validation part, [W, C]; hash of what is counted.

    Raises:
        BadInput: the training part has fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression

    hidden, classes = material.task.hidden, len(material.classes)
    counts: dict[str, Counts] = {}
    truth: dict[str, metrics.Ints] = {}
    for part in ("train", "valid"):
        some, found = material.parts[part], cut_part(material, part, notes)[1]
        labels = np.array([material.label(piece) for piece in some], dtype=np.int64)
        if part == "train" and len(found) > MOST_WINDOWS:
            chosen = np.random.default_rng(0).choice(len(found), MOST_WINDOWS, replace=False)
            found = [found[i] for i in np.sort(chosen).tolist()]
        counts[part] = counts_of(some, found, hidden)
        truth[part] = labels[[window.piece for window in found]]
    if len(np.unique(truth["train"])) < 2:
        raise BadInput(f"a classifier needs at least two classes in the training part of {material.task.name}.")
    weight = 1 / np.bincount(truth["train"])[truth["train"]] if material.task.balance else np.ones(len(truth["train"]))
    weight /= weight.mean()
    x = {part: (one.features, one.ngrams) for part, one in counts.items()}
    best, kept, said = np.inf, Counted(counts["train"].features.shape[1], classes), np.zeros((0, classes))
    kept.measure(*x["train"])
    with torch.inference_mode():
        known = kept.known(*x["train"]).numpy()
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=1000, tol=1e-3)
            model.fit(known, truth["train"], sample_weight=weight)
            tried = copy.deepcopy(kept)
            take(tried, model)
            scores = tried(*x["valid"]).numpy().astype(np.float64)
            loss = float(-scores[np.arange(len(scores)), truth["valid"]].mean())
            _logger.info("what is counted, C %g: loss of validation windows %.4f", strength, loss)
            if loss < best:
                best, kept, said = loss, tried, scores
    return kept, said, counts["train"].identity


def take(counted: Counted, model: Any) -> None:
    """Put a logistic regression of what a module reads into it; a class that it has not met is nearly impossible."""
    weight = np.zeros((counted.linear.out_features, counted.linear.in_features))
    bias = np.full(len(weight), -20.0)
    if len(model.classes_) == 2:  # it has one row for both
        rows, shifts = np.concatenate([-model.coef_, model.coef_]) / 2, np.r_[-model.intercept_, model.intercept_] / 2
    else:
        rows, shifts = model.coef_, model.intercept_
    weight[model.classes_], bias[model.classes_] = rows, shifts
    with torch.no_grad():
        counted.linear.weight.copy_(torch.from_numpy(weight))
        counted.linear.bias.copy_(torch.from_numpy(bias))
    counted.requires_grad_(False)
