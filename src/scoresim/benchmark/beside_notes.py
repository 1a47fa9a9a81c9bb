"""What answers beside a head about notes: features of every note, read along the line of notes (decision 0023).

Small networks of convolutions learn them, in the one training loop, on the windows of the head. What they say together
of a whole piece is added to what the head says, by a weight that the validation part chooses. Where a task names
another question about the same notes, they are asked that, too, while they learn (decision 0024).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scoresim.benchmark.beside import Beside, weighed
from scoresim.benchmark.metrics import Floats
from scoresim.benchmark.piecewise import Material, labels_of
from scoresim.benchmark.states import told
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.checkpoint import COUNTED
from scoresim.data.batches import Batch, Windows
from scoresim.errors import BadInput
from scoresim.files import read_json, write_json
from scoresim.model.counted import WIDTH, AlongLine, CountedNotes
from scoresim.model.image_encoder import ImageInput
from scoresim.model.tagger import Known, in_windows
from scoresim.training.loop import TrainConfig, train
from scoresim.training.objectives import HeadObjective, Losses, Objective
from scoresim.training.tally import Tally
from scoresim.understand.heads import counted_notes
from scoresim.understand.note_features import NoteCounts, note_counts

EPOCHS, FEWEST, MOST = 5.0, 200, 3000  # steps: passes over the training windows, at least and at most
WINDOWS = 16  # of a step
LR = 2e-3
VALIDATIONS = 4
MEMBERS = 3  # networks
ALSO = 0.5  # weight of the other question in the loss
CONFIG = "counted.json"

_logger = logging.getLogger("scoresim")


class OfWindows(nn.Module):
    """What learns from features, asked as a `Tagger` is asked of what is known of windows.

    Args:
        counted: what learns.
        also: classes of another question, whose answers stand after the others; they are for training alone.
    """

    def __init__(self, counted: AlongLine, also: int = 0) -> None:
        super().__init__()
        self.counted = counted
        self.also = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, also)) if also else None

    def forward(self, known: Known, image: ImageInput | None, window: Tensor) -> Tensor:
        """Log-probabilities [B, N, classes] of the notes of B passages, from their features [B, N, F].

        [B, N, classes + also] where another question is asked, its classes as logits.
        """
        if known.states is None or known.notes is None:
            raise ValueError("there are no features of notes")
        slots = in_windows(known.notes.mask, window)
        features = known.states.new_zeros(*slots.mask.shape, known.states.shape[-1])
        features = features.index_put((slots.window, slots.slot), known.states[slots.row, slots.at])
        states = self.counted.known(features, slots.mask)
        said = self.counted.judge(states)
        if self.also is not None:
            said = torch.cat([said, self.also(states)], dim=-1)
        nothing = said.new_zeros(*known.notes.mask.shape, said.shape[-1])
        out: Tensor = nothing.index_put((slots.row, slots.at), said[slots.window, slots.slot])
        return out


class Both:
    """Two questions about the same notes, answered at once: the losses of both, the second `ALSO` times.

    Args:
        first, second: of the classes that a model answers one after the other, and of the labels [B, N, 2] that stand
            under the name of the first.
        classes: of the first.
    """

    def __init__(self, first: HeadObjective, second: HeadObjective, classes: int) -> None:
        self.first, self.second, self.classes = first, second, classes

    def __call__(self, model: nn.Module, batch: Batch, /) -> tuple[Losses, Tally]:
        """The losses, and the accuracies."""
        said = model(*batch.inputs(self.first.inputs), batch.window)
        labels = batch.labels[self.first.label]
        losses: Losses = {}
        tally: Tally = {}
        answers = said[..., : self.classes], said[..., self.classes :]
        for number, (asked, answer) in enumerate(zip((self.first, self.second), answers, strict=True)):
            one = replace(batch, labels={asked.label: labels[..., number]})
            loss, counted = asked(Said(answer), one)
            losses |= {name: value * (ALSO if number else 1.0) for name, value in loss.items()}
            tally |= counted
        return losses, tally


class Said(nn.Module):
    """What has been answered, for who asks."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *_: object) -> Tensor:
        """The answer."""
        return self.answer


def beside_notes(
    material: Material, windows: Windows, weights: NDArray[np.float32], said: Answers, out: Path, seed: int
) -> Beside:
    """What a head about notes gains from features: the weight that makes the notes of the validation part likeliest.

    Args:
        material: of the task.
        windows: of the training part, on which the head has learnt.
        weights: [C] of the classes in the loss.
        said: by the head, of the notes of the validation part.
        out: folder of the training; one that was stopped goes on.
        seed: of the training.

    Returns:
        No rule where the training part has one class alone.
    """
    labels = labels_of(material, "train")
    if len(np.unique(labels[labels >= 0])) < 2:
        return weighed(Beside("", 0.0, 1.0, notes=True), said, (0.0,))
    learnt, counts = learn_notes(material, windows, weights, out, seed)
    tested = note_counts(material.parts["test"], material.task.hidden)
    of_parts = {"valid": counts, "test": tested}
    scores = {part: together(learnt, some) for part, some in of_parts.items()}
    return weighed(Beside(COUNTED, 0.0, 1.0, learnt, counts.identity, scores, notes=True), said)


def learn_notes(
    material: Material, windows: Windows, weights: NDArray[np.float32], out: Path, seed: int
) -> tuple[CountedNotes, NoteCounts]:
    """What has learnt from the features of the notes of a training part, and the features of the validation part.

    Raises:
        BadInput: the training part has fewer than two classes, or the folder holds another training.
    """
    task, classes, labels = material.task, len(material.classes), labels_of(material, "train")
    if len(np.unique(labels[labels >= 0])) < 2:
        raise BadInput(f"a classifier needs at least two classes in the training part of {task.name}.")
    asked = note_counts(material.parts["valid"], task.hidden)
    some = windows.segments.pieces
    features = note_counts(some, task.hidden).features
    also = [] if task.also is None else [np.asarray(task.also.label(one, names_of(task.also))) for one in some]
    measured = torch.from_numpy(np.concatenate(features)).float()
    several = replace(windows.config, batch_size=WINDOWS)
    known = told(Windows(windows.segments, windows.windows, several, windows.task), features, also)
    steps = round(np.clip(EPOCHS * len(known.windows) / WINDOWS, FEWEST, MOST))
    about = {"task": task.name, "material": material.identity, "features": asked.identity, "steps": steps, "seed": seed}
    about |= {"also": task.also.name if task.also is not None else "", "members": MEMBERS}
    if (out / CONFIG).is_file() and read_json(out / CONFIG) != about:
        raise BadInput(f"{out} holds what was learnt of other pieces or features; remove it, or choose another folder.")
    write_json(out / CONFIG, about)
    asks = HeadObjective(task.name, "notes", torch.from_numpy(weights))
    objective: Objective = asks
    if task.also is not None:
        objective = Both(asks, HeadObjective(task.also.name, "notes"), classes)
    truth = labels_of(material, "valid")
    there = truth >= 0

    def likely(trained: nn.Module) -> float:
        counted = CountedNotes.of([trained.counted]) if isinstance(trained, OfWindows) else trained
        scores = together(cast(CountedNotes, counted), asked)[there]
        return float(scores[np.arange(len(scores)), truth[there]].mean())

    members = []
    for number in range(MEMBERS):
        own = MEMBERS * seed + number
        torch.manual_seed(own)
        member = AlongLine(measured.shape[1], classes)
        member.measure(measured)
        settings = TrainConfig(
            steps=steps,
            lr=LR,
            warmup=max(steps // 10, 1),
            seed=own,
            log_every=max(steps // 20, 1),
            validate_every=max(steps // VALIDATIONS, 1),
            device="cuda" if torch.cuda.is_available() else "cpu",
        )
        learns = OfWindows(member, len(names_of(task.also)) if task.also is not None else 0)
        train(learns, [objective], known, settings, out / str(number), likely, keep_best=True)
        members.append(member.cpu().requires_grad_(False).eval())
    counted = CountedNotes.of(members)
    _logger.info("features of notes: loss of the validation part %.4f", -likely(counted))
    return counted, asked


def names_of(task: PieceTask) -> tuple[str, ...]:
    """The classes of a task that has the same ones whatever it is asked about."""
    if not isinstance(task.classes, tuple):
        raise ValueError(f"the classes of {task.name} are those of its training pieces")
    return task.classes


def together(counted: CountedNotes, counts: NoteCounts) -> Floats:
    """[M, C] what is said of the notes of all pieces, one after the other."""
    return np.concatenate(counted_notes(counted, counts.identity, counts)).astype(np.float64)
