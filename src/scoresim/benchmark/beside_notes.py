"""What answers beside a head about notes: features of every note, read along their line (decisions 0023 to 0025).

Small networks of convolutions learn them, in the one training loop, on the windows of the head; those of a head that
learns more of its question begin with what they know (decision 0029). What they say together of a whole piece is added
to what the head says, by a weight that the validation part chooses.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scoresim.benchmark.beside import Beside, weighed
from scoresim.benchmark.metrics import Floats
from scoresim.benchmark.piecewise import Material, labels_of
from scoresim.benchmark.states import MovedWindows
from scoresim.benchmark.task import Answers
from scoresim.checkpoint import COUNTED
from scoresim.data.batches import Windows
from scoresim.errors import BadInput
from scoresim.files import read_json, write_json
from scoresim.model.counted import AlongLine, CountedNotes
from scoresim.model.image_encoder import ImageInput
from scoresim.model.tagger import Known
from scoresim.training.loop import TrainConfig, train
from scoresim.training.objectives import HeadObjective
from scoresim.understand.heads import Head, counted_notes
from scoresim.understand.note_features import NoteCounts, note_counts

EPOCHS, FEWEST, MOST = 5.0, 200, 3000  # steps: passes over the training windows, at least and at most
WINDOWS = 16  # of a step
LR = 2e-3
VALIDATIONS = 4
MEMBERS = 3  # networks
CONFIG = "counted.json"

_logger = logging.getLogger("scoresim")


class OfWindows(nn.Module):
    """What learns from features, asked as a `Tagger` is asked of what is known of windows, one stretch each."""

    def __init__(self, counted: AlongLine) -> None:
        super().__init__()
        self.counted = counted

    def forward(self, known: Known, image: ImageInput | None, window: Tensor) -> Tensor:
        """Log-probabilities [B, N, classes] of the notes of B windows, from their features [B, N, F]."""
        if known.states is None or known.notes is None:
            raise ValueError("there are no features of notes")
        said: Tensor = self.counted(known.states, known.notes.mask)
        return said


def beside_notes(
    material: Material,
    windows: Windows,
    weights: NDArray[np.float32],
    said: Answers,
    out: Path,
    seed: int,
    start: CountedNotes | None = None,
) -> Beside:
    """What a head about notes gains from features: the weight that makes the notes of the validation part likeliest.

    Args:
        material: of the task.
        windows: of the training part, on which the head has learnt.
        weights: [C] of the classes in the loss.
        said: by the head, of the notes of the validation part.
        out: folder of the training; one that was stopped goes on.
        seed: of the training.
        start: networks that are trained further (see `trained_before`); None for new ones.

    Returns:
        No rule where the training part has one class alone.
    """
    labels = labels_of(material, "train")
    if len(np.unique(labels[labels >= 0])) < 2:
        return weighed(Beside("", 0.0, 1.0, notes=True), said, (0.0,))
    learnt, counts = learn_notes(material, windows, weights, out, seed, start)
    tested = note_counts(material.parts["test"], material.task.hidden)
    of_parts = {"valid": counts, "test": tested}
    scores = {part: together(learnt, some) for part, some in of_parts.items()}
    return weighed(Beside(COUNTED, 0.0, 1.0, learnt, counts.identity, scores, notes=True), said)


def learn_notes(
    material: Material,
    windows: Windows,
    weights: NDArray[np.float32],
    out: Path,
    seed: int,
    start: CountedNotes | None = None,
) -> tuple[CountedNotes, NoteCounts]:
    """What has learnt from the features of the notes of a training part, and the features of the validation part.

    See `beside_notes`.

    Raises:
        BadInput: the training part has fewer than two classes, or the folder holds another training.
    """
    task, classes, labels = material.task, len(material.classes), labels_of(material, "train")
    if len(np.unique(labels[labels >= 0])) < 2:
        raise BadInput(f"a classifier needs at least two classes in the training part of {task.name}.")
    asked = note_counts(material.parts["valid"], task.hidden)
    features = note_counts(windows.segments.pieces, task.hidden).features
    measured = torch.from_numpy(np.concatenate(features)).float()
    several = replace(windows.config, batch_size=WINDOWS)
    known = MovedWindows(Windows(windows.segments, windows.windows, several, windows.task), features)
    steps = round(np.clip(EPOCHS * len(known.windows) / WINDOWS, FEWEST, MOST))
    about = {"task": task.name, "material": material.identity, "features": asked.identity, "steps": steps, "seed": seed}
    about |= {"members": MEMBERS, "width": task.width, "moved": True}
    if start is not None:
        about |= {"goes_on_from": _digest(start)}
    if (out / CONFIG).is_file() and read_json(out / CONFIG) != about:
        raise BadInput(
            f"{out} holds what was learnt of other pieces or features, or from elsewhere; remove it, or choose another."
        )
    write_json(out / CONFIG, about)
    objective = HeadObjective(task.name, "notes", torch.from_numpy(weights))
    truth = labels_of(material, "valid")
    there = truth >= 0

    def likely(counted: CountedNotes, _: nn.Module | None = None) -> float:
        scores = together(counted, asked)[there]
        return float(scores[np.arange(len(scores)), truth[there]].mean())

    settings = TrainConfig(
        steps=steps,
        lr=LR if start is None else LR / 2,
        warmup=max(steps // 10, 1),
        log_every=max(steps // 20, 1),
        validate_every=max(steps // VALIDATIONS, 1),
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    members = []
    for number in range(MEMBERS):
        own = MEMBERS * seed + number
        torch.manual_seed(own)
        member = AlongLine(measured.shape[1], classes, task.width)
        if start is None:
            member.measure(measured)
        else:  # with mean and deviation of the features as they were measured then
            member.load_state_dict(start.members[number].state_dict())
        here, chooses = out / str(number), partial(likely, CountedNotes.of([member]))
        train(OfWindows(member), [objective], known, replace(settings, seed=own), here, chooses, keep_best=True)
        members.append(member.cpu().requires_grad_(False).eval())
    counted = CountedNotes.of(members)
    _logger.info("features of notes: loss of the validation part %.4f", -likely(counted))
    return counted, asked


def trained_before(below: Head, material: Material) -> CountedNotes | None:
    """Networks beside a head that can be trained further for a task: they read the same features of the same notes, and
    say the same classes; None where there are none.
    """
    task, counted = material.task, below.tagger.counted
    if below.config.task != task.name or not isinstance(counted, CountedNotes):
        return None
    features = note_counts(material.parts["valid"][:1], task.hidden)
    fresh = CountedNotes(features.features[0].shape[1], len(material.classes), task.width, MEMBERS)
    shapes = [{name: one.shape for name, one in some.state_dict().items()} for some in (counted, fresh)]
    known, asked = (below.config.features, below.config.classes), (features.identity, material.classes)
    fits = known == asked and set(below.config.hidden) == set(task.hidden) and shapes[0] == shapes[1]
    _logger.info("features of notes: networks of the head below %s", "are trained further" if fits else "do not fit")
    return counted if fits else None


def _digest(counted: CountedNotes) -> str:
    """Of all that some networks know."""
    tensors = counted.state_dict().values()
    return hashlib.sha256(b"".join(one.cpu().numpy().tobytes() for one in tensors)).hexdigest()[:16]


def together(counted: CountedNotes, counts: NoteCounts) -> Floats:
    """[M, C] what is said of the notes of all pieces, one after the other."""
    return np.concatenate(counted_notes(counted, counts.identity, counts)).astype(np.float64)
