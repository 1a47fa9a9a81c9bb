"""What the weights know as they are: logistic regression on the states of a model that is not trained further.

The quick way to every row of a table: a task takes minutes where training heads takes an hour, and what is found was
there before anybody asked (Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016). A
note is its state in the line where it stands; a window, mean and deviation over its lines of what the model says
of each. A line is read alone: nothing here sees all of a window but that mean.

The strength of the regularization is chosen on the validation part by the task's own metric.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scoresim.benchmark import metrics
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.costs import cost
from scoresim.benchmark.finetune import CONFIG, blank, conclude, kept_result
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.parts import Parts
from scoresim.benchmark.states import blanked
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.data.batches import Windows
from scoresim.errors import BadInput
from scoresim.files import write_json
from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.precision import reading
from scoresim.model.sim import SIM
from scoresim.model.tagger import Tagger, mean_of_windows

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C of the logistic regression
ITEMS = {"train": 4000, "valid": 400}  # windows or passages that are read, at most, a seeded choice
NOTE_ITEMS = 600  # the same of questions about notes
READ_AT_ONCE, NOTES_AT_ONCE = 16, 1600  # windows, and how many of their notes are taken, at most
STREAM = 5  # of random numbers
# What a linear model depends on besides the options of a fine-tuning:
SETTINGS = {"items": ITEMS, "note_items": NOTE_ITEMS, "notes": NOTES_AT_ONCE / READ_AT_ONCE, "strengths": STRENGTHS}

_logger = logging.getLogger("scoresim")


class LinearProbe(nn.Module):
    """States of a frozen model, and a linear model on them once it is fitted.

    Args:
        sim: the model; it is not changed.
        level: "sequence" or "note".
        classes: how many.
        blanks: every attribute of the notes is hidden, and only their times are given.
    """

    def __init__(self, sim: SIM, level: str, classes: int, blanks: bool) -> None:
        super().__init__()
        self.tagger = Tagger(sim, level, classes).requires_grad_(False)
        self.level, self.blanks = level, blanks
        width = sim.config.width * (1 if level == "note" else 4)
        self.linear = nn.Linear(width, classes).requires_grad_(False)

    def states(self, notes: NoteInput | None, image: ImageInput | None, window: Tensor | None = None) -> Tensor:
        """What is known of each note, [B, N, width], or of each window, [W, 4 width], as `Tagger.forward` is asked."""
        if self.blanks and notes is not None:
            notes = blanked(notes)
        of_notes, vectors = self.tagger.read(notes, image)
        if self.level == "note":
            if of_notes is None:
                raise ValueError("a question about notes needs notes")
            return of_notes.float()
        vectors = vectors.float()
        if window is None:
            window = torch.arange(len(vectors), device=vectors.device)
        mean = mean_of_windows(vectors, window)
        return torch.cat([mean, mean_of_windows((vectors - mean[window]).square(), window).sqrt()], dim=-1)

    def forward(self, notes: NoteInput | None, image: ImageInput | None, window: Tensor | None = None) -> Tensor:
        """Logits [W, classes], or [B, N, classes] of notes."""
        states = self.states(notes, image, window)
        with torch.autocast(states.device.type, enabled=False):  # the scale of the states stands in the weights
            out: Tensor = self.linear(states)
        return out


def probe(parts: Parts, sim: SIM, origin: str, config: FinetuneConfig, out: Path) -> dict[str, Any]:
    """Fit a linear model on the states of a model, judge it on the test part; run again, it is done at once.

    What is left on disk is that of `finetune.fit_module`, without weights.

    Args:
        parts: prepared parts.
        sim: the model; it is not changed.
        origin: identity of its weights.
        config: what is read, and the seed of the choice of items.
        out: folder.

    Raises:
        BadInput: the training part has fewer than two classes, or the folder holds another run.
    """
    asked = {
        "task": parts.task.name,
        "origin": origin,
        "data_manifest_sha256": parts.identity,
        "linear": SETTINGS,
        "finetune": asdict(config),
    }
    asked = json.loads(json.dumps(asked))
    if (done := kept_result(out, asked)) is not None:
        return done
    write_json(out / CONFIG, asked)
    inputs = "both" if blank(parts.task, config.inputs) else config.inputs
    module = LinearProbe(sim, parts.task.level, len(parts.classes), blank(parts.task, config.inputs)).eval()
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    start = time.monotonic()
    x, y = _read(module, parts, "train", inputs, config.seed)
    x_valid, y_valid = _read(module, parts, "valid", inputs, config.seed)
    balance = parts.task.balance if isinstance(parts.task, PieceTask) else config.balance
    best, strength = _fit(
        module, parts, (x, y), (x_valid, y_valid), metrics.class_weights(y, len(parts.classes), balance)
    )
    learnt = {"validation": best, "strength": strength, "rows": len(y)}
    spent = cost(module, time.monotonic() - start) | {"trained": sum(p.numel() for p in module.linear.parameters())}
    return conclude(parts, module, config, inputs, out, asked | learnt | spent)


def _read(module: LinearProbe, parts: Parts, part: str, inputs: str, seed: int) -> tuple[NDArray[np.float32], Ints]:
    """States [K, F] and classes [K] of some items of a part, a seeded choice; those without a class are left out."""
    some, note = getattr(parts, part), module.level == "note"
    chance = np.random.default_rng([seed, STREAM])
    most = NOTE_ITEMS if note else ITEMS[part]
    chosen = np.arange(len(some.size))
    if len(chosen) > most:
        chosen = np.sort(chance.choice(chosen, most, replace=False))
    chosen = chosen[np.argsort(some.size[chosen], kind="stable")]
    device = next(module.parameters()).device
    states: list[NDArray[np.float32]] = []
    classes: list[Ints] = []
    with reading(device):
        for start in range(0, len(chosen), READ_AT_ONCE):
            batch = some.gather(chosen[start : start + READ_AT_ONCE]).to(device)
            window = batch.window if isinstance(some, Windows) else None
            notes, image = batch.inputs(inputs)
            found = module.states(notes, image, window).cpu().numpy()
            labels = batch.labels[parts.task.name].cpu().numpy()
            if note:
                at = chance.permutation(np.flatnonzero(labels >= 0))[:NOTES_AT_ONCE]
                found, labels = found.reshape(-1, found.shape[-1])[at], labels.reshape(-1)[at]
            states.append(found[labels >= 0])
            classes.append(labels[labels >= 0].astype(np.int64))
    return np.concatenate(states), np.concatenate(classes)


def _fit(
    module: LinearProbe,
    parts: Parts,
    train: tuple[NDArray[np.float32], Ints],
    valid: tuple[NDArray[np.float32], Ints],
    weights: NDArray[np.float32],
) -> tuple[float, float]:
    """Put the linear model that does best on the validation part into the module; its figure and its strength."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x, y = train
    if len(np.unique(y)) < 2:
        raise BadInput(f"a classifier needs at least two classes in the training part of {parts.task.name}.")
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    nobody = np.zeros(len(valid[1]), dtype=np.int64)
    best, strength = -np.inf, 0.0
    for c in STRENGTHS:
        model = LogisticRegression(C=c, max_iter=500)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the state it has then is judged like any other
            model.fit((x - centre) / scale, y, sample_weight=weights[y])
        weight, bias = _whole(model, len(parts.classes))
        weight = weight / scale
        bias = bias - weight @ centre
        scores = valid[0] @ weight.T + bias
        figure = parts.select(Answers(valid[1], scores.astype(np.float32), nobody))
        if figure > best:
            best, strength = figure, c
            module.linear.weight.copy_(torch.from_numpy(weight))
            module.linear.bias.copy_(torch.from_numpy(bias))
    name = parts.task.name
    _logger.info("%s: %d states of %d numbers, strength %g, validation %.4f", name, *x.shape, strength, best)
    return best, strength


def _whole(model: Any, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [C, F] and biases [C] for all classes; one that was not in the training part is never the answer."""
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    out, offset = np.zeros((classes, weight.shape[1])), np.full(classes, -1e4)
    out[model.classes_], offset[model.classes_] = weight, bias
    return out, offset
