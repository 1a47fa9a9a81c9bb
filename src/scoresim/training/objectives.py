"""What pre-training asks of a model. An objective is `(model, batch) -> (losses, report)`.

    mbam   masked bar-attribute modeling: hidden attributes of bars, from other notes and the image
    smm    score-MIDI matching: do this image and these notes show the same music?
    smc    score-MIDI contrast: among the batch, which notes belong to this image, each read alone?

Losses are summed by the loop. A report holds figures for people, each with the number of cases it is a mean
of. Random choices use torch's global generator, which the loop seeds for every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scoresim.data.batches import IGNORE, Batch
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM
from scoresim.score.tokens import ATTRIBUTES
from scoresim.training.masking import hide

Losses = dict[str, Tensor]
Report = dict[str, float]


class Objective(Protocol):
    """One question asked of a module about a batch."""

    def __call__(self, model: Any, batch: Batch, /) -> tuple[Losses, Report]:
        """The losses to be summed, and accuracies in [0, 1] by name."""
        ...


@dataclass(frozen=True)
class MBAM:
    """Masked bar-attribute modeling: hide single attributes of whole bars, predict them.

    Args:
        inputs: "both", or "notes" to pre-train on MIDI alone.
        mask_ratio: share of the (bar, attribute) units that is hidden.
        image_dropout: share of the rows whose image is withheld, so that notes are also learned to be read
            alone.
    """

    inputs: str = "both"
    mask_ratio: float = 0.3
    image_dropout: float = 0.15

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Report]:
        """Losses and accuracies by attribute; beside them the share of the batch's most frequent value.

        An attribute's loss is its mean cross-entropy divided by the number of attributes, so that together they
        are a mean: as a sum they drown the other objectives.

        Accuracies are given apart for rows with the image and, as `.../notes`, for rows without.
        """
        shown, asked = hide(batch.notes, batch.bar, self.mask_ratio, model.vocabulary_sizes)
        _, image = batch.inputs(self.inputs)
        seen = torch.zeros(len(batch), dtype=torch.bool, device=asked.device)
        if image is not None:
            seen = torch.rand(len(batch), device=asked.device) >= self.image_dropout
            image = image._replace(mask=image.mask & seen[:, None])
        states = model(shown, image).notes
        losses: Losses = {}
        report: Report = {}
        for k, name in enumerate(ATTRIBUTES):
            logits = model.one_attribute_logits(states[asked[..., k]], k)
            truth = batch.notes.ids[..., k][asked[..., k]]
            total = F.cross_entropy(logits.float(), truth, reduction="sum")
            losses[f"mbam/{name}"] = total / max(len(truth), 1) / len(ATTRIBUTES)
            with_image = seen[:, None].expand_as(asked[..., k])[asked[..., k]]
            right = logits.argmax(dim=-1) == truth
            put(report, f"mbam/{name}", right[with_image])
            put(report, f"mbam/{name}/notes", right[~with_image])
            put(report, f"mbam/{name}/majority", truth == truth.mode().values if len(truth) else truth.bool())
        return losses, report


@dataclass(frozen=True)
class SMM:
    """Score-MIDI matching on a batch in which half of the images are given other notes.

    Args:
        same_piece: share of the false rows that get another passage of the same piece where the batch has
            one; the others get notes of another piece.
    """

    same_piece: float = 0.5

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Report]:
        """One loss; accuracy over all rows, over matched rows, and by grade of the false ones."""
        source = self.choose(batch)
        matched = source == torch.arange(len(batch), device=source.device)
        notes = NoteInput(*(tensor[source] for tensor in batch.notes))
        logits = model.match_logit(model(notes, batch.image).summary).float()
        right = (logits > 0) == matched
        same_piece = ~matched & (batch.piece[source] == batch.piece)
        report: Report = {}
        put(report, "smm", right)
        put(report, "smm/matched", right[matched])
        put(report, "smm/other_piece", right[~matched & ~same_piece])
        put(report, "smm/same_piece", right[same_piece])
        return {"smm": F.binary_cross_entropy_with_logits(logits, matched.to(logits.dtype))}, report

    def choose(self, batch: Batch) -> Tensor:
        """Row whose notes each image gets: [B] long. The very same notes never serve as false ones."""
        B, device = len(batch), batch.piece.device
        allowed = ~same_notes(batch.notes)
        related = batch.piece[:, None] == batch.piece[None, :]
        wanted = torch.rand(B, 1, device=device) < self.same_piece
        liking = torch.rand(B, B, device=device) + (related == wanted)
        other = liking.masked_fill(~allowed, -1.0).argmax(dim=1)
        false = torch.rand(B, device=device).argsort().argsort() < B // 2
        return torch.where(false & allowed.any(dim=1), other, torch.arange(B, device=device))


@dataclass(frozen=True)
class SMC:
    """Score-MIDI contrast: each read alone, an image's vector is nearest to its own notes' (CLIP's loss)."""

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Report]:
        """One loss; the share of rows that rank first in the batch, both ways, ties counted against us."""
        images = model.embed_image(model(None, batch.image))
        notes = model.embed_notes(model(batch.notes, None))
        truth = torch.arange(len(batch), device=images.device)
        twins = same_notes(batch.notes) & (truth[:, None] != truth[None, :])
        logits = (model.scale() * images.float() @ notes.float().T).masked_fill(twins, -torch.inf)
        loss = 0.5 * (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth))
        own, rivals = logits.diagonal(), logits.detach().clone().fill_diagonal_(-torch.inf)
        report: Report = {}
        put(report, "smc/image_to_notes", own > rivals.amax(dim=1))
        put(report, "smc/notes_to_image", own > rivals.amax(dim=0))
        return {"smc": loss}, report


@dataclass(frozen=True, eq=False)
class HeadObjective:
    """A downstream task: cross-entropy between a `Tagger`'s logits and labels; `IGNORE` counts nowhere.

    Args:
        label: name of the labels in the batch.
        inputs: what the model is shown: "notes", "image" or "both".
        class_weights: [C] weight of each class in the loss, or None for equal ones.
    """

    label: str
    inputs: str = "both"
    class_weights: Tensor | None = None

    def __call__(self, model: nn.Module, batch: Batch, /) -> tuple[Losses, Report]:
        """One loss and the accuracy over what has a label."""
        labels = batch.labels[self.label].flatten()
        logits = model(*batch.inputs(self.inputs)).flatten(0, -2)[labels != IGNORE].float()
        labels = labels[labels != IGNORE]
        weights = torch.ones(logits.shape[-1]) if self.class_weights is None else self.class_weights
        weights = weights.to(logits.device)
        total = weights[labels].sum().clamp(min=1e-9)
        loss = F.cross_entropy(logits, labels, weights, reduction="sum") / total
        report: Report = {}
        put(report, self.label, logits.argmax(dim=-1) == labels)
        return {self.label: loss}, report


def same_notes(notes: NoteInput) -> Tensor:
    """[B, B] True where two passages hold the very same notes, as in a repeated strain."""
    weights = torch.arange(1, notes.ids[0].numel() + 1, device=notes.ids.device) * 2654435761 % 4294967291
    prints = ((notes.ids * notes.mask[..., None]).flatten(1) * weights).sum(dim=1)
    return prints[:, None] == prints[None, :]


def put(report: Report, name: str, right: Tensor) -> None:
    """Add the mean of [K] bool under `name`; nothing where there is no case."""
    if right.numel():
        report[name] = right.float().mean().item()


OBJECTIVES: dict[str, Callable[..., Objective]] = {"mbam": MBAM, "smm": SMM, "smc": SMC}


def names() -> Sequence[str]:
    """The pre-training objectives by name."""
    return tuple(OBJECTIVES)
