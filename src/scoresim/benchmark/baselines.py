"""Answers without a neural network: what any model has to beat.

- **majority**: the most frequent class of the training part, for every item.
- **skyline**: a note is melody when it is the highest of the notes that begin with it (Uitdenbogerd & Zobel,
  *Melodic matching techniques for large music databases*, ACM Multimedia 1999).
- **features**: the quantities of `understand.features.FEATURES`, computed from the note tokens that the model sees,
  and a classifier of scikit-learn: logistic regression or gradient-boosted trees, whichever does better on the
  validation part.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats, Ints
from scoresim.benchmark.parts import Parts
from scoresim.benchmark.task import Answers, Data, Task
from scoresim.data.shards import Split
from scoresim.errors import BadInput
from scoresim.score.tokens import Vocabulary
from scoresim.understand.features import features, skyline


def majority(truth: Ints, items: int, classes: int) -> NDArray[np.float32]:
    """[items, classes] log-share of each class in the training part's labels [N]: the same for every item."""
    share = np.bincount(truth[truth >= 0], minlength=classes) + 1e-6
    return np.tile(np.log(share / share.sum()).astype(np.float32), (items, 1))


def features_of(split: Split, vocabulary: Vocabulary) -> Floats:
    """[P, F] features of all pairs of a part."""
    return np.stack([features(split[i], vocabulary) for i in range(len(split))])


def classify(
    train: tuple[Floats, Ints], valid: tuple[Floats, Ints], test: Floats, classes: int, seed: int
) -> tuple[NDArray[np.float32], str]:
    """Fit both classifiers on the training part, answer with the one that does better on the validation part.

    Args:
        train, valid: features [P, F] and classes [P].
        test: features [Q, F].
        classes: number of classes C.
        seed: of the trees.

    Returns:
        [Q, C] log-probabilities, and the name of the classifier that was chosen (by macro-F1).

    Raises:
        BadInput: the training part has fewer than two classes.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(train[1])) < 2:
        raise BadInput("a classifier needs at least two classes in the training part.")
    linear = LogisticRegression(C=0.3, max_iter=2000, class_weight="balanced")
    trees = HistGradientBoostingClassifier(max_iter=100, class_weight="balanced", random_state=seed)
    candidates = {
        "logistic regression": make_pipeline(StandardScaler(), linear),
        "gradient-boosted trees": trees,
    }
    best, best_score = "", -1.0
    for name, candidate in candidates.items():
        candidate.fit(*train)
        score = 0.0
        if len(valid[1]):
            table = metrics.confusion(valid[1], np.asarray(candidate.predict(valid[0]), dtype=np.int64), classes)
            score = float(metrics.macro_f1(table.sum(0)))
        if score > best_score:
            best, best_score = name, score
    chosen = candidates[best]
    scores = np.full((len(test), classes), -20.0, dtype=np.float32)
    scores[:, np.asarray(chosen.classes_, dtype=np.int64)] = np.log(chosen.predict_proba(test) + 1e-9)
    return scores, best


def rules(parts: Parts, data: Data, seed: int) -> Iterable[tuple[str, str, Answers]]:
    """The baselines of a task of passages: name, inputs, answers of majority, and of features or skyline."""
    task, view = parts.task, parts.test.source
    assert isinstance(task, Task)
    pairs = [view[i] for i in range(len(view))]
    truths = [task.labels(pair, parts.classes) for pair in pairs]
    truth = np.concatenate(truths)
    groups, _ = metrics.groups_of(view.column("work"))
    work = np.repeat(groups, [len(t) for t in truths])
    scores = majority(parts.labels, len(truth), len(parts.classes))
    yield "majority class", "nothing", Answers(truth, scores, work)
    if task.level == "note":
        top = np.concatenate([skyline(pair.notes, pair.onset) for pair in pairs])
        yield "skyline", "notes", Answers(truth, np.stack([~top, top], axis=1).astype(np.float32), work)
    else:
        vocabulary = Vocabulary.from_json(data.manifest["vocabulary"])
        train = features_of(parts.train.source, vocabulary), parts.labels
        seen = parts.valid.source
        known = np.concatenate([task.labels(seen[i], parts.classes) for i in range(len(seen))])
        valid = features_of(seen, vocabulary), known
        test = features_of(view, vocabulary)
        scores, name = classify(train, valid, test, len(parts.classes), seed)
        yield f"features, {name}", "notes", Answers(truth, scores, work)
