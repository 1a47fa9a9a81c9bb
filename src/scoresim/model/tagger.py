"""A SIM with a head that names things: a class for the passage or the piece, or for every note of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from scoresim.model.counted import Counted, CountedNotes
from scoresim.model.image_encoder import ImageInput
from scoresim.model.layers import FREQUENCIES, Block, Dropout, Waves, nearness
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM, Reading

LEVELS = ("sequence", "note")
NEAR = (1.0, 4.0)  # slopes of the heads that look at what is near, per line
TOGETHER = 48  # rows that are read at a time on a CPU


class Known(NamedTuple):
    """What a SIM that stays as it is has said of B passages, kept in the place of their notes and images.

    Attributes:
        states: [B, N, width] of notes; None where a head does not ask for them.
        passages: [B, 2 width], a vector of each passage.
        notes: where the notes stand; their ids are not asked. None where there were none.
    """

    states: Tensor | None
    passages: Tensor
    notes: NoteInput | None


class Tagger(nn.Module):
    """SIM and a classifier on it; the classifier returns logits, the objective owns the loss.

    A window of several passages is read passage by passage, as the SIM was taught; then blocks that see all of the
    window read what the SIM says of its notes (or of its passages, where the window has one class).

    Args:
        sim: the body; trained further together with the head.
        level: "sequence" (one class per window) or "note" (one class per note).
        classes: number of classes.
        context: blocks over the window; with 0 a note is read in its passage, and a window is the mean of its passages.
        dropout: on the head's input.
        views: of a window that has one class: blocks read its notes, not its passages, and so many weighted means of
            them are its vector; 0 reads passages.
        narrow: width of the blocks over the window, for a head of few numbers: they read what a linear layer says of
            the SIM's states, and another adds to these; 0 is as wide as the SIM.

    Attributes:
        counted: what has learnt from hand-crafted features and answers beside the head, where something has; it is not
            asked here (`understand.heads`).
    """

    def __init__(
        self,
        sim: SIM,
        level: str,
        classes: int,
        context: int = 0,
        dropout: float = 0.1,
        views: int = 0,
        narrow: int = 0,
    ) -> None:
        super().__init__()
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}; choose one of {', '.join(LEVELS)}")
        if level == "note" and views:
            raise ValueError("views are of windows that have one class")
        self.sim = sim
        self.level = level
        width, heads = sim.config.width, sim.config.heads
        if narrow % heads:
            raise ValueError(f"blocks of width {narrow} cannot have the {heads} heads of the model")
        of_notes = level == "note" or views > 0
        self.gather = nn.Linear(2 * width, width) if not of_notes and context else None
        self.views = nn.Linear(width, views) if level == "sequence" and views else None
        self.blocks = nn.ModuleList(Block(narrow or width, heads, dropout) for _ in range(context))
        self.narrow = nn.Linear(width, narrow) if context and narrow else None
        if self.narrow is not None:
            self.inner, self.widen = nn.LayerNorm(narrow), nn.Linear(narrow, width)
            nn.init.zeros_(self.widen.weight)
        if context:
            self.where = nn.Sequential(Waves(shortest=0.5, longest=128.0), nn.Linear(2 * FREQUENCIES, narrow or width))
            self.norm = nn.LayerNorm(width)
            near = [NEAR[0] + (NEAR[1] - NEAR[0]) * i / max(heads // 2 - 1, 1) for i in range(heads // 2)]
            self.register_buffer("slopes", torch.tensor([0.0] * (heads - heads // 2) + near), persistent=False)
        self.slopes: Tensor
        self.counted: Counted | CountedNotes | None = None
        self.head = nn.Sequential(
            Dropout(dropout),
            nn.Linear(width * (views or (2 if level == "sequence" and not context else 1)), width),
            nn.GELU(),
            nn.Linear(width, classes),
        )

    def forward(
        self, notes: NoteInput | Known | None, image: ImageInput | None, window: Tensor | None = None
    ) -> Tensor:
        """Logits [W, classes] of W windows, or [B, N, classes] at note level.

        Args:
            notes, image: B passages, or what is given of them, or what `read` has said of them before.
            window: [B] window of each passage, not decreasing; None makes each its own.

        Raises:
            ValueError: a note-level head is given no notes, or there is nothing to read.
        """
        known = notes if isinstance(notes, Known) else Known(*self.read(notes, image), notes)
        return self.judge(*known, window)

    def judge(self, states: Tensor | None, passages: Tensor, notes: NoteInput | None, window: Tensor | None) -> Tensor:
        """Logits as of `forward`, from what `read` has given: of this tagger, or of another on the same weights.

        Raises:
            ValueError: a note-level head is given no notes.
        """
        if self.level == "note":
            if notes is None or states is None:
                raise ValueError("a note-level head needs notes")
            if self.blocks:
                states = self.note_context(states, notes, window)
            return self._head(states)
        if self.views is not None:
            if notes is None or states is None:
                raise ValueError("a head that weighs notes needs notes")
            return self._head(self.viewed(states, notes, window))
        if self.gather is None:
            return self._head(passages if window is None else mean_of_windows(passages, window))
        return self._head(self.passage_context(self.gather(passages), window))

    def read(self, notes: NoteInput | None, image: ImageInput | None) -> tuple[Tensor | None, Tensor]:
        """States of notes [B, N, width] and a vector for each passage [B, 2 width], rows of like length together."""
        given = notes.mask if notes is not None else None
        if image is not None:
            given = image.mask if given is None else torch.cat([given, image.mask], dim=1)
        if given is None:
            raise ValueError("there is nothing to read: give notes, an image, or both")
        B = len(given)
        if B <= TOGETHER or given.device.type != "cpu":
            reading = self.sim(notes, image)
            vectors = torch.cat([reading.summary, mean_state(reading, notes, image)], dim=-1)
            return reading.notes, vectors
        order = given.sum(dim=1).argsort()
        states: list[Tensor] = []
        vectors_of: list[Tensor] = []
        for rows in torch.split(order, TOGETHER):
            some_notes = None if notes is None else shortened(NoteInput(*(part[rows] for part in notes)))
            some_image = None if image is None else ImageInput(*(p[rows] for p in image[:4]))
            some, vectors = self.read(some_notes, some_image)
            vectors_of.append(vectors)
            if some is not None and notes is not None:
                states.append(nn.functional.pad(some, (0, 0, 0, notes.mask.shape[1] - some.shape[1])))
        back = order.argsort()
        return torch.cat(states)[back] if states else None, torch.cat(vectors_of)[back]

    def note_context(self, states: Tensor, notes: NoteInput, window: Tensor | None) -> Tensor:
        """States of notes [B, N, width] after the blocks that see the whole window: the same shape."""
        slots = in_windows(notes.mask, window)
        x = self.over_windows(states, notes, window, slots)
        at = slots.row, slots.at
        return torch.zeros_like(states).index_put(at, x[slots.window, slots.slot].to(states.dtype))

    def viewed(self, states: Tensor, notes: NoteInput, window: Tensor | None) -> Tensor:
        """Weighted means of the notes' states, [B, N, width], of each window: [W, views * width]."""
        slots = in_windows(notes.mask, window)
        x = self.over_windows(states, notes, window, slots)
        if self.views is None:
            raise ValueError("this head weighs no notes")
        weights = self.views(x).masked_fill(~slots.mask[..., None], -1e4).softmax(dim=1)
        means: Tensor = weights.transpose(1, 2).to(x.dtype) @ x
        return means.flatten(1)

    def over_windows(self, states: Tensor, notes: NoteInput, window: Tensor | None, slots: Slots) -> Tensor:
        """States of notes [B, N, width] after the blocks that see the whole window, in windows: [W, T, width]."""
        row, at, of_window, slot, mask = slots
        line = line_number(window)[row] if window is not None else 0
        place = states.new_zeros(mask.shape, dtype=torch.float32)
        place[of_window, slot] = line + notes.time[row, at]
        x = states.new_zeros(*mask.shape, states.shape[-1])
        x = x.index_put((of_window, slot), states[row, at])
        return self.through(x, place, mask) if self.blocks else x

    def passage_context(self, vectors: Tensor, window: Tensor | None) -> Tensor:
        """Vectors of passages [B, width] to one of each window, [W, width]."""
        if window is None:
            window = torch.arange(len(vectors), device=vectors.device)
        number = line_number(window)
        shape = int(window.max()) + 1, int(number.max()) + 1
        mask = torch.zeros(shape, dtype=torch.bool, device=vectors.device)
        mask[window, number] = True
        x = vectors.new_zeros(*shape, vectors.shape[-1]).index_put((window, number), vectors)
        place = torch.arange(shape[1], device=vectors.device, dtype=torch.float32).expand(shape)
        x = self.through(x, place, mask) * mask[..., None]
        return x.sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def through(self, x: Tensor, place: Tensor, mask: Tensor) -> Tensor:
        """Tokens [W, T, width] at places [W, T], in lines, through the blocks."""
        seen = (x if self.narrow is None else self.narrow(x)) + self.where(place)
        bias = nearness(place, mask | ~mask.any(dim=1, keepdim=True), self.slopes)
        if torch.is_autocast_enabled(x.device.type):
            bias = bias.to(torch.get_autocast_dtype(x.device.type))
        for block in self.blocks:
            seen = block(seen, bias)
        out: Tensor = self.norm(seen if self.narrow is None else x + self.widen(self.inner(seen)))
        return out

    def _head(self, states: Tensor) -> Tensor:
        out: Tensor = self.head(states)
        return out


class Slots(NamedTuple):
    """Where the notes of B passages stand in their windows, K notes in order.

    Attributes:
        row, at: [K] passage and place in it of each note.
        window, slot: [K] window of each note and its place in it.
        mask: [W, T] True where a window has a note.
    """

    row: Tensor
    at: Tensor
    window: Tensor
    slot: Tensor
    mask: Tensor


def in_windows(given: Tensor, window: Tensor | None) -> Slots:
    """The notes of passages ([B, N] True where there is one) one after the other in their windows.

    Args:
        given: at least one note.
        window: [B] window of each passage, not decreasing; None makes each its own.
    """
    if window is None:
        window = torch.arange(len(given), device=given.device)
    row, at = given.nonzero(as_tuple=True)
    of_note = window[row]
    count = torch.bincount(of_note, minlength=int(window.max()) + 1)
    slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[of_note]
    mask = torch.arange(int(count.max()), device=row.device) < count[:, None]
    return Slots(row, at, of_note, slot, mask)


def mean_of_windows(passages: Tensor, window: Tensor) -> Tensor:
    """Vectors of passages [B, D] to the mean of each window, [W, D]; `window` is [B]."""
    total = passages.new_zeros(int(window.max()) + 1, passages.shape[1]).index_add(0, window, passages)
    return total / torch.bincount(window)[:, None]


def line_number(window: Tensor) -> Tensor:
    """[B] how many passages of its window come before each; `window` does not decrease."""
    first = torch.searchsorted(window, window)
    return torch.arange(len(window), device=window.device) - first


def shortened(notes: NoteInput) -> NoteInput:
    """Notes without the padding that no row needs."""
    longest = max(int(notes.mask.sum(dim=1).max()), 1)
    return NoteInput(notes.ids[:, :longest], notes.mask[:, :longest], notes.time[:, :longest])


def mean_state(reading: Reading, notes: NoteInput | None, image: ImageInput | None) -> Tensor:
    """Mean of the states of all notes and cells, padding left out: [B, width]; zeros without any."""
    total, count = torch.zeros_like(reading.summary), reading.summary.new_zeros(len(reading.summary), 1)
    for states, given in ((reading.notes, notes), (reading.cells, image)):
        if states is not None and given is not None:
            total = total + (states * given.mask[..., None]).sum(dim=1)
            count = count + given.mask.sum(dim=1, keepdim=True)
    return total / count.clamp(min=1)
