"""What pre-training asks of a model. An objective is `(model, batch) -> (losses, tally)`.

    mbam   masked bar-attribute modeling: hidden attributes of bars, from other notes and the image
    smm    score-MIDI matching: do this image and these notes show the same music?
    smc    score-MIDI contrast: among the batch, which notes belong to this image, each read alone?
    ground bar grounding: where on the image does each bar of the notes stand?

Losses are summed by the loop. A tally counts what was right, for people (`means`). Random choices take the numbers that
the batch holds (`Draws`): a step is a function of the weights and its batch.

Where several processes share a batch (`Batch.part`, `World`), a loss is the part of our rows in the loss of the whole
batch, and a tally is that of our rows. Of notes alone (`Batch.alone`) only masked modeling asks anything.

A GPU works through what it was told while we say what comes next. Where a number is wanted from it we wait, and then it
does: so objectives ask for numbers before a model reads, not after, and those for people are fetched once a step.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from scoresim.data.batches import ROW_DRAWS, Batch, Draws
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SHOWN, SIM, Reading
from scoresim.score.tokens import ATTRIBUTES
from scoresim.training.masking import MASKED, RANDOM, digests, first_alike, hide
from scoresim.training.tally import Tally, put
from scoresim.training.world import ALONE, World

WITHHELD, COVERED, FALSE, SAME_PIECE, ALTERED, HARD, SINGLE = range(ROW_DRAWS)  # what a row's random numbers decide

Losses = dict[str, Tensor]


class Objective(Protocol):
    """One question asked of a module about a batch."""

    def __call__(self, model: Any, batch: Batch, /) -> tuple[Losses, Tally]:
        """The losses to be summed, and by name the cases whose means are accuracies in [0, 1]."""
        ...


@dataclass(frozen=True)
class MBAM:
    """Masked bar-attribute modeling: hide single attributes of whole bars, predict them.

    Args:
        inputs: "both", or "notes" to pre-train on MIDI alone.
        mask_ratio: share of the (bar, attribute) units that is hidden.
        image_dropout: share of the rows whose image is withheld, so that notes are also learned to be read
            alone.
        image_cover: share of the rows whose image is covered over half of the bars of which something is hidden, drawn
            at random: what is asked of these can be read from the other bars only, of notes and image.
        shares: of the chosen units that get the mask and random values; what is left stays as it is.
        pitch: how many times as much the loss of pitch counts as that of another attribute.
        single: share of the rows in which one attribute of every bar is hidden instead.
        often: how many times as often that is pitch as another attribute.
    """

    inputs: str = "both"
    mask_ratio: float = 0.3
    image_dropout: float = 0.15
    image_cover: float = 0.0
    shares: tuple[float, float] = (MASKED, RANDOM)
    pitch: float = 1.0
    single: float = 0.0
    often: float = 1.0

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Tally]:
        """Losses and accuracies by attribute; beside them the share of the batch's most frequent value.

        An attribute's loss is its mean cross-entropy divided by the number of attributes, so that together they
        are a mean, but for that of pitch: what a picture is read for is drowned by what is guessed without it.

        Accuracies are given apart for rows with the image and, as `.../notes`, for rows without.
        """
        draws = draws_of(batch)
        single = draws.rows[:, SINGLE] < self.single if self.single else None
        sizes, width = list(model.vocabulary_sizes), len(ATTRIBUTES)
        ways = self.shares, single, self.often
        shown, asked = hide(batch.notes, batch.bar, self.mask_ratio, model.vocabulary_sizes, draws.notes, *ways)
        _, image = batch.inputs("notes" if batch.alone else self.inputs)
        seen = torch.zeros(len(batch), dtype=torch.bool, device=asked.device)
        if image is not None:
            seen = draws.rows[:, WITHHELD] >= self.image_dropout
            mask = image.mask & seen[:, None]
            if self.image_cover:
                covered = draws.rows[:, COVERED] < self.image_cover
                drawn = draws.bars.gather(1, first_alike(batch.bar)) < 0.5
                chosen = asked.any(dim=-1) & drawn
                mask = mask & ~(covered[:, None] & in_bars(batch.cell_bar, batch.bar, chosen))
            image = image._replace(mask=mask)
        case, attribute = asked.flatten(0, 1).T.nonzero().flip(-1).unbind(-1)  # sorted by attribute
        per_attribute = asked.sum(dim=(0, 1)).tolist()
        states = model(shown, image).notes
        truth = batch.notes.ids.flatten(0, 1)[case, attribute]
        number = model.note_encoder.starts[attribute] + truth  # of a value among those of all attributes
        counted = torch.zeros(sum(sizes), device=case.device).index_add(0, number, torch.ones_like(number).float())
        world = World(*batch.part)
        counts = torch.split(world.total(counted), sizes)  # how often each value is asked for
        with_image = seen[:, None].expand_as(batch.bar).flatten()[case]
        said = model.said(states).flatten(0, 1)
        losses: Losses = {}
        tally: Tally = {}
        parts = (torch.split(some, per_attribute) for some in (case, truth, with_image))
        for k, (name, cases, true, shown_image, count) in enumerate(zip(ATTRIBUTES, *parts, counts, strict=True)):
            logits = model.one_attribute_logits(said[cases], k)
            total = F.cross_entropy(logits.float(), true, reduction="sum")
            weight = self.pitch if name == "pitch" else 1.0
            losses[f"mbam/{name}"] = weight * total / count.sum().clamp(min=1) / width
            right = logits.argmax(dim=-1) == true
            put(tally, f"mbam/{name}", right, shown_image)
            put(tally, f"mbam/{name}/notes", right, ~shown_image)
            put(tally, f"mbam/{name}/majority", true == count.argmax())
        return losses, tally


def in_bars(cell_bar: Tensor, bar: Tensor, chosen: Tensor) -> Tensor:
    """[B, M] True for image cells of a bar ([B, M] `cell_bar`) in which a note ([B, N] `bar`) is `chosen`."""
    bars = max(int(bar.max()) + 1, 1)
    hit = torch.zeros(len(bar), bars + 1, dtype=torch.bool, device=bar.device)
    row = torch.arange(len(bar), device=bar.device)[:, None].expand_as(bar)
    hit[row[chosen], bar[chosen]] = True
    return hit.gather(1, torch.where((cell_bar >= 0) & (cell_bar < bars), cell_bar, bars))


@dataclass(frozen=True)
class SMM:
    """Score-MIDI matching on a batch in which about half of the images are given other notes.

    Args:
        same_piece: share of the false rows that get another passage of the same piece where the batch has
            one; the others get notes of another piece.
        altered: share of the false rows that get their own notes with one bar altered (`data.alter`), where the
            batch has such.
        hard: share of the false rows whose other notes are those nearest to the image in the batch, by the similarities
            that the contrastive objective has left there; without it they are drawn at random.
        ground: weight of bar grounding, which is then asked of the same reading, of the rows with their own notes.
        each: weight of asking every single note, too, whether it stands on the picture.
    """

    same_piece: float = 0.5
    altered: float = 0.0
    hard: float = 0.0
    ground: float = 0.0
    each: float = 0.0

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Tally]:
        """The loss, and that of grounding where it is asked; accuracy over all rows, over matched rows, and by grade of
        the false ones.
        """
        if batch.alone:
            return {}, {}
        source, world = self.choose(batch), World(*batch.part)
        own = source == places_of(batch)
        all_notes = gathered_notes(batch.notes, world)
        notes = NoteInput(*(tensor[source] for tensor in all_notes))
        altered = torch.zeros_like(own)
        if self.altered and batch.altered is not None and batch.alteration is not None:
            altered = ~own & (batch.alteration >= 0) & (draws_of(batch).rows[:, ALTERED] < self.altered)
            notes = NoteInput(
                *(
                    torch.where(altered.view(-1, *(1,) * (a.dim() - 1)), a, b)
                    for a, b in zip(widened(batch.altered, notes.mask.shape[1]), notes, strict=True)
                )
            )
        bars = asked_bars(batch, own) if self.ground else None
        reading = model(notes, batch.image)
        flaws = model.note_flaws(reading, notes) if self.each else None
        logits = model.match_logit(reading, notes, batch.image, flaws).float()
        right = (logits > 0) == own
        same_piece = ~own & ~altered & (world.gathered(batch.piece)[source] == batch.piece)
        tally: Tally = {}
        put(tally, "smm", right)
        put(tally, "smm/matched", right, own)
        put(tally, "smm/other_piece", right, ~own & ~altered & ~same_piece)
        put(tally, "smm/same_piece", right, same_piece)
        put(tally, "smm/altered", right, altered)
        loss = F.binary_cross_entropy_with_logits(logits, own.to(logits.dtype), reduction="sum")
        losses = {"smm": loss / len(all_notes.mask)}
        if flaws is not None:
            shown = stands_among(notes, batch.notes, model.vocabulary_sizes)
            wrong = F.binary_cross_entropy_with_logits(flaws, (~shown).to(flaws.dtype), reduction="none")
            losses["smm/each"] = self.each * (wrong * notes.mask).sum() / world.total(notes.mask.sum()).clamp(min=1)
            put(tally, "smm/notes_shown", flaws < 0, notes.mask & shown)
            put(tally, "smm/notes_not_shown", flaws > 0, notes.mask & ~shown)
            put(tally, "smm/notes_altered", flaws > 0, notes.mask & ~shown & altered[:, None])
        if bars is not None:
            narrow = reading._replace(notes=reading.notes[:, : batch.bar.shape[1]])
            pointing, pointed_at = grounding(model, narrow, batch, bars)
            losses["ground"], tally = self.ground * pointing, tally | pointed_at
        return losses, tally

    def choose(self, batch: Batch) -> Tensor:
        """Whose notes each image gets: [B] long, places in the whole batch. The very same notes are no false ones."""
        draws, world = draws_of(batch), World(*batch.part)
        allowed = ~same_notes(batch.notes, world)
        related = batch.piece[:, None] == world.gathered(batch.piece)
        wanted = draws.rows[:, SAME_PIECE, None] < self.same_piece
        liking = draws.partners + (related == wanted)
        if self.hard and batch.similarity is not None:
            near = batch.similarity.float().argsort(dim=1).argsort(dim=1) / related.shape[1] + (related == wanted)
            liking = torch.where(draws.rows[:, HARD, None] < self.hard, near, liking)
        other = liking.masked_fill(~allowed, -1.0).argmax(dim=1)
        false = draws.rows[:, FALSE] < 0.5
        return torch.where(false & allowed.any(dim=1), other, places_of(batch))


@dataclass(frozen=True)
class SMC:
    """Score-MIDI contrast: each read alone, an image's vector is nearest to its own notes' (CLIP's loss).

    Args:
        chunk: rows that are read at a time; 0 is the whole batch. With chunks the activations of one chunk only are in
            memory: they are computed anew in the backward pass (as in GradCache, Gao et al. 2021), so that the number
            of negatives does not depend on what fits, and the gradients are the same.
    """

    chunk: int = 0

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Tally]:
        """One loss; the share of rows that rank first in the batch, both ways, ties counted against us.

        The similarities stay in the batch, for whoever looks for hard negatives.
        """
        if batch.alone:
            return {}, {}
        pair = torch.stack(self.embed(model, batch), dim=1).float()
        world, place, scale = World(*batch.part), places_of(batch), model.scale()
        everyone = world.gathered(pair)
        truth = F.one_hot(place, len(everyone)).bool()
        twins = same_notes(batch.notes, world) & ~truth
        total, tally = pair.new_zeros(()), Tally()
        for side, name in enumerate(("smc/image_to_notes", "smc/notes_to_image")):
            logits = (scale * pair[:, side] @ everyone[:, 1 - side].T).masked_fill(twins, -torch.inf)
            total = total + F.cross_entropy(logits, place, reduction="sum")
            own = logits.gather(1, place[:, None])[:, 0]
            put(tally, name, own > logits.masked_fill(truth, -torch.inf).amax(dim=1))
            if side == 0:
                batch.similarity = logits.detach()
        return {"smc": 0.5 * total / len(everyone)}, tally

    def embed(self, model: SIM, batch: Batch) -> tuple[Tensor, Tensor]:
        """[B, embedding] vectors of all images and of all notes, read in chunks."""
        if not self.chunk or self.chunk >= len(batch):
            return embeddings(model, batch)
        rows = torch.split(torch.arange(len(batch), device=batch.index.device), self.chunk)
        parts = [checkpoint(embeddings, model, batch.select(some), use_reentrant=False) for some in rows]
        images, notes = zip(*parts, strict=True)
        return torch.cat(images), torch.cat(notes)


def embeddings(model: SIM, batch: Batch) -> tuple[Tensor, Tensor]:
    """The images and the notes of a batch, each read alone, as unit vectors: two [B, embedding]."""
    notes, image = model.read_apart(batch.notes, batch.image)
    return model.embed_image(image), model.embed_notes(notes)


@dataclass(frozen=True)
class Grounding:
    """Bar grounding: from the joint reading, the notes of each bar point to the image cells of that bar.

    The truth is the engraver's: the cells that stand in the box of the bar, each as likely as the other. Bars without
    notes, or whose box holds no cell, are not asked.
    """

    def __call__(self, model: SIM, batch: Batch, /) -> tuple[Losses, Tally]:
        """One loss (cross-entropy, nats per bar).

        Counted: the share of bars whose highest cell is in the right box; what pointing at random would reach; and the
        mean IoU of the cells with at least half of the highest probability and the cells of the bar.
        """
        if batch.alone:
            return {}, {}
        bars = asked_bars(batch)
        loss, tally = grounding(model, model(batch.notes, batch.image), batch, bars)
        return {"ground": loss}, tally


class Bars(NamedTuple):
    """The K bars of a batch that are asked for: those that have notes and image cells.

    Attributes:
        row, bar: [K] passage and number of each.
        right: [K, M] True for the image cells of the bar.
        most: bars of the longest passage of the batch.
    """

    row: Tensor
    bar: Tensor
    right: Tensor
    most: int


def asked_bars(batch: Batch, rows: Tensor | None = None) -> Bars:
    """The bars of a batch, or of some of its rows ([B] bool), that are asked for."""
    most = max(int(batch.bar.max()) + 1, 1)
    numbers = torch.arange(most, device=batch.bar.device)
    right = batch.cell_bar[:, None, :] == numbers[None, :, None]
    asked = right.any(dim=-1) & (batch.bar[:, None, :] == numbers[None, :, None]).any(dim=-1)
    row, bar = (asked if rows is None else asked & rows[:, None]).nonzero().unbind(dim=1)
    return Bars(row, bar, right[row, bar], most)


def grounding(model: SIM, reading: Reading, batch: Batch, bars: Bars) -> tuple[Tensor, Tally]:
    """The loss and the tally of `Grounding`, of some bars in a joint reading of the batch."""
    logits, world = pointed(model, reading, batch, bars), World(*batch.part)
    log_probability = logits.log_softmax(dim=-1).masked_fill(~bars.right, 0.0)
    tally: Tally = {}
    for name, value in zip(("peak", "iou", "chance"), pointing_figures(logits, bars.right), strict=True):
        put(tally, f"ground/{name}", value)
    count = world.total(torch.tensor(len(bars.row), device=logits.device)).clamp(min=1)
    return -(log_probability.sum(dim=-1) / bars.right.sum(dim=-1)).sum() / count, tally


def pointed(model: SIM, reading: Reading, batch: Batch, bars: Bars) -> Tensor:
    """Where K bars of a batch are pointed to in a joint reading of it: [K, M] logits, minus infinity at padding."""
    return model.point(reading, batch.bar, batch.image.mask, bars.most).float()[bars.row, bars.bar]


def pointing_figures(logits: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each of K bars: is the highest cell in it; IoU of the cells marked and its own; what chance would reach.

    A cell is marked when it has at least half of the highest probability.
    """
    marked = logits >= logits.amax(dim=-1, keepdim=True) - math.log(2)
    peak = right.gather(1, logits.argmax(dim=-1, keepdim=True))[:, 0]
    iou = (marked & right).sum(dim=-1) / (marked | right).sum(dim=-1)
    return peak, iou, right.sum(dim=-1) / logits.isfinite().sum(dim=-1)


@dataclass(frozen=True)
class Weighted:
    """An objective whose losses count more or less than others'."""

    objective: Objective
    weight: float

    def __call__(self, model: Any, batch: Batch, /) -> tuple[Losses, Tally]:
        """The losses times the weight; the tally as it is."""
        losses, tally = self.objective(model, batch)
        return {name: self.weight * loss for name, loss in losses.items()}, tally


@dataclass(frozen=True, eq=False)
class HeadObjective:
    """A downstream task: cross-entropy between a `Tagger`'s logits and labels; a label below 0 counts nowhere.

    Args:
        label: name of the labels in the batch.
        inputs: what the model is shown: "notes", "image" or "both".
        class_weights: [C] weight of each class in the loss, or None for equal ones.
    """

    label: str
    inputs: str = "both"
    class_weights: Tensor | None = None

    def __call__(self, model: nn.Module, batch: Batch, /) -> tuple[Losses, Tally]:
        """One loss and the accuracy over what has a label."""
        labels = batch.labels[self.label].flatten()
        asked = (labels >= 0).nonzero()[:, 0]
        logits, labels = model(*batch.inputs(self.inputs), batch.window).flatten(0, -2)[asked].float(), labels[asked]
        weights = torch.ones(logits.shape[-1]) if self.class_weights is None else self.class_weights
        weights, world = weights.to(logits.device), World(*batch.part)
        total = world.total(weights[labels].sum()).clamp(min=1e-9)
        loss = F.cross_entropy(logits, labels, weights, reduction="sum") / total
        tally: Tally = {}
        put(tally, self.label, logits.argmax(dim=-1) == labels)
        return {self.label: loss}, tally


def places_of(batch: Batch) -> Tensor:
    """[B] long: where the rows stand in the whole batch."""
    return batch.part[0] * len(batch) + torch.arange(len(batch), device=batch.index.device)


def stands_among(notes: NoteInput, others: NoteInput, sizes: Sequence[int]) -> Tensor:
    """[B, N] True for notes that begin, sound and last as one of the others of their row: what a picture tells."""
    radix = torch.tensor([math.prod(sizes[k + 1 : SHOWN]) for k in range(SHOWN)], device=notes.ids.device)
    one, other = ((some.ids[..., :SHOWN] * radix).sum(-1).masked_fill(~some.mask, -1) for some in (notes, others))
    return (one[:, :, None] == other[:, None, :]).any(-1)


def widened(notes: NoteInput, width: int) -> NoteInput:
    """Notes padded to some number of notes per row."""
    more = width - notes.mask.shape[1]
    return NoteInput(F.pad(notes.ids, (0, 0, 0, more)), F.pad(notes.mask, (0, more)), F.pad(notes.time, (0, more)))


def gathered_notes(notes: NoteInput, world: World) -> NoteInput:
    """The notes of the whole batch."""
    return NoteInput(*(world.gathered(part) for part in widened(notes, world.most(notes.mask.shape[1]))))


def same_notes(notes: NoteInput, world: World = ALONE) -> Tensor:
    """[B, G] True where a picture shows two passages alike, as a repeated strain: ours, and all of the batch."""
    prints = digests((notes.ids[..., :SHOWN] * notes.mask[..., None]).flatten(1))
    return prints[:, None] == world.gathered(prints)


def draws_of(batch: Batch) -> Draws:
    """The random numbers of a training batch.

    Raises:
        ValueError: the batch was made for asking, not for training.
    """
    if batch.draws is None:
        raise ValueError("the batch has no random numbers; take training batches from Passages.batch or .stream")
    return batch.draws


OBJECTIVES: dict[str, Callable[..., Objective]] = {"mbam": MBAM, "smm": SMM, "smc": SMC, "ground": Grounding}
