"""A SIM with a head that names things: a class for the passage, or for every note of it."""

import torch
from torch import Tensor, nn

from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM, Reading

LEVELS = ("sequence", "note")


class Tagger(nn.Module):
    """SIM and a classifier on it; the classifier returns logits, the objective owns the loss.

    Args:
        sim: the body; trained further together with the head.
        level: "sequence" (one class per passage) or "note" (one class per note).
        classes: number of classes.
        dropout: on the head's input.
    """

    def __init__(self, sim: SIM, level: str, classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}; choose one of {', '.join(LEVELS)}")
        self.sim = sim
        self.level = level
        width = sim.config.width
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * width if level == "sequence" else width, width),
            nn.GELU(),
            nn.Linear(width, classes),
        )

    def forward(self, notes: NoteInput | None, image: ImageInput | None) -> Tensor:
        """Logits [B, classes], or [B, N, classes] at note level.

        Raises:
            ValueError: a note-level head is given no notes, or there is nothing to read.
        """
        reading = self.sim(notes, image)
        if self.level == "sequence":
            return self._head(torch.cat([reading.summary, mean_state(reading, notes, image)], dim=-1))
        if reading.notes is None:
            raise ValueError("a note-level head needs notes")
        return self._head(reading.notes)

    def _head(self, states: Tensor) -> Tensor:
        out: Tensor = self.head(states)
        return out


def mean_state(reading: Reading, notes: NoteInput | None, image: ImageInput | None) -> Tensor:
    """Mean of the states of all notes and cells, padding left out: [B, width]; zeros without any."""
    total, count = torch.zeros_like(reading.summary), reading.summary.new_zeros(len(reading.summary), 1)
    for states, given in ((reading.notes, notes), (reading.cells, image)):
        if states is not None and given is not None:
            total = total + (states * given.mask[..., None]).sum(dim=1)
            count = count + given.mask.sum(dim=1, keepdim=True)
    return total / count.clamp(min=1)
