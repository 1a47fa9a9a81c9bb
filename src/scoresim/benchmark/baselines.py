"""Answers without a neural network: what any model has to beat.

- **majority**: the most frequent class of the training part, for every item.
- **skyline**: a note is melody when it is the highest of the notes that begin with it (Uitdenbogerd & Zobel,
  *Melodic matching techniques for large music databases*, ACM Multimedia 1999).
- **features**: the quantities of `FEATURES`, computed from the note tokens that the model sees, and a
  classifier of scikit-learn: logistic regression or gradient-boosted trees, whichever does better on the
  validation part.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from scoresim.benchmark import metrics
from scoresim.benchmark.finetune import Parts
from scoresim.benchmark.metrics import Floats, Ints
from scoresim.benchmark.task import Answers, Data, Task
from scoresim.data.pair import Pair
from scoresim.data.shards import Split
from scoresim.errors import BadInput
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, Vocabulary

PITCH, DURATION, POSITION = (ATTRIBUTES.index(name) for name in ("pitch", "duration", "position"))
VELOCITY, TEMPO, SIGNATURE = (ATTRIBUTES.index(name) for name in ("velocity", "tempo", "time_signature"))

# Grid steps: 32nd, 16th, triplet and plain eighth, triplet quarter, dotted eighth, quarter ... whole.
_LENGTHS: tuple[int, ...] = (3, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96)

FEATURES: tuple[str, ...] = (
    *("pitch: mean", "pitch: deviation", "pitch: lowest", "pitch: highest", "pitch: range"),
    *("pitch: distinct", "pitch: entropy of classes"),
    *(f"pitch class {i} above the most frequent: share" for i in range(12)),
    *(f"pitch class {i}: share" for i in range(12)),
    *(f"top line: share of steps of {i} semitones" for i in range(13)),
    *("top line: share of larger steps", "top line: share going up", "top line: mean step"),
    *(f"duration: share up to {length}/{GRID} quarter" for length in _LENGTHS),
    *("duration: share of longer", "duration: mean log", "duration: deviation of log", "duration: distinct"),
    *("density: notes per quarter", "density: onsets per quarter", "density: notes per onset"),
    *("density: most notes at one onset", "density: share of single onsets"),
    *("rhythm: share on the beat", "rhythm: on the half", "rhythm: on the quarters", "rhythm: on triplets"),
    *("rhythm: share elsewhere", "rhythm: mean log time between onsets", "rhythm: its deviation"),
    *("length in quarters", "notes", "velocity: mean", "velocity: deviation", "tempo: log"),
    *("time signature: numerator", "time signature: denominator"),
)
"""Names of the hand-crafted features, in the order of `features`; every one is finite for any passage."""


def majority(truth: Ints, items: int, classes: int) -> NDArray[np.float32]:
    """[items, classes] log-share of each class in the training part's labels [N]: the same for every item."""
    share = np.bincount(truth[truth >= 0], minlength=classes) + 1e-6
    return np.tile(np.log(share / share.sum()).astype(np.float32), (items, 1))


def skyline(notes: NDArray[np.int32], onset: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[N] whether a note is the highest of those that begin with it (equal highest notes all are).

    Args:
        notes: [N, 8] token ids.
        onset: [N] in quarter notes.
    """
    _, at = np.unique(onset, return_inverse=True)
    pitch = notes[:, PITCH]
    highest = np.zeros(int(at.max(initial=0)) + 1, dtype=pitch.dtype)
    np.maximum.at(highest, at, pitch)
    return np.asarray(pitch == highest[at])


def features(pair: Pair, vocabulary: Vocabulary) -> Floats:
    """[len(FEATURES)] hand-crafted features of a passage, from its note tokens and onsets alone.

    Pitches are MIDI numbers, durations and times are quarter notes, shares lie in [0, 1]. The "top line" is
    the highest note at each onset. An empty passage gives zeros.
    """
    if not len(pair.notes):
        return np.zeros(len(FEATURES))
    index = np.maximum(pair.notes.astype(np.int64) - FIRST, 0)
    onset = pair.onset.astype(np.float64)
    values = [
        *_pitch_features(index[:, PITCH]),
        *_line_features(index[skyline(pair.notes, pair.onset), PITCH]),
        *_duration_features(np.array(vocabulary.durations)[index[:, DURATION]]),
        *_density_features(onset, float(pair.length)),
        *_rhythm_features(index[:, POSITION], onset),
    ]
    velocity = np.array(vocabulary.velocities)[index[:, VELOCITY]]
    tempo = np.array(vocabulary.tempos)[index[:, TEMPO]]
    numerator, denominator = vocabulary.time_signatures[int(index[0, SIGNATURE])]
    values += [float(pair.length), float(len(index)), velocity.mean(), velocity.std(), np.log(tempo).mean()]
    return np.array([*values, float(numerator), float(denominator)])


def _pitch_features(pitch: Ints) -> list[float]:
    share = np.bincount(pitch % 12, minlength=12) / len(pitch)
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
    low, high = float(pitch.min()), float(pitch.max())
    first = [
        float(pitch.mean()),
        float(pitch.std()),
        low,
        high,
        high - low,
        float(len(np.unique(pitch))),
        entropy,
    ]
    return [*first, *np.roll(share, -int(share.argmax())).tolist(), *share.tolist()]


def _line_features(line: Ints) -> list[float]:
    step = np.diff(line)
    if not len(step):
        return [0.0] * 16
    size = np.abs(step)
    share = np.bincount(np.minimum(size, 13), minlength=14) / len(step)
    return [*share.tolist(), float((step > 0).mean()), float(size.mean())]


def _duration_features(duration: Ints) -> list[float]:
    share = np.bincount(np.searchsorted(_LENGTHS, duration), minlength=len(_LENGTHS) + 1) / len(duration)
    log = np.log(duration / GRID)
    return [*share.tolist(), float(log.mean()), float(log.std()), float(len(np.unique(duration)))]


def _density_features(onset: Floats, length: float) -> list[float]:
    _, count = np.unique(onset, return_counts=True)
    whole = max(length, 0.25)
    per_onset = [float(count.mean()), float(count.max()), float((count == 1).mean())]
    return [len(onset) / whole, len(count) / whole, *per_onset]


def _rhythm_features(position: Ints, onset: Floats) -> list[float]:
    place = position % GRID
    kinds = [place == 0, place == GRID // 2, np.isin(place, (GRID // 4, 3 * GRID // 4))]
    kinds.append(np.isin(place, (GRID // 3, 2 * GRID // 3)))
    shares = [float(kind.mean()) for kind in kinds]
    gaps = np.diff(np.unique(onset))
    log = np.log(gaps) if len(gaps) else np.zeros(1)
    return [*shares, 1.0 - sum(shares), float(log.mean()), float(log.std())]


def features_of(split: Split, vocabulary: Vocabulary) -> Floats:
    """[P, len(FEATURES)] features of all pairs of a part."""
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
