"""SIM: one Transformer that reads notes, score images, or both together.

    notes  -> NoteEncoder  --+
                             +-->  [summary] notes cells  -> blocks -> norm ->  Reading
    image  -> ImageEncoder --+

The same weights read either input alone (for search) and both jointly (for matching and understanding). After
Qin et al., Score Images as a Modality, Sensors 24(15):5017, 2024; sizes and details are our own choices.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from scoresim.model.image_encoder import ImageEncoder, ImageInput
from scoresim.model.layers import (
    Block,
    Glance,
    Where,
    compact,
    head_slopes,
    initialise,
    nearness,
    of_like_length,
    room_for,
)
from scoresim.model.note_encoder import NoteEncoder, NoteInput

PLACES = 8  # along a passage, at each of which a part of its embedding is made
SHOWN = 4  # attributes of a note, the first: bar, position, pitch and duration are what a picture shows
LARGEST_SCALE = 100.0  # of the contrastive logits (Radford et al. 2021)


@dataclass(frozen=True)
class SIMConfig:
    """The shape of a SIM.

    Attributes:
        width: of a token.
        layers: number of Transformer blocks.
        heads: attention heads per block; divides the width.
        stem_channels: of the image stem's stages, each of which halves the picture.
        patch_height, patch_width: of an image cell in pixels (at 4 pixels per staff space, 16 x 2 staff
            spaces: a staff with six ledger lines on both sides).
        staves: whether cells are cut from strips, one around each staff that is found, or from the page as it is.
        embedding: width of the vectors used for search, a multiple of 4 * `PLACES` = 32: a quarter for the passage as a
            whole, the rest in equal parts for its places.
        dropout: share of the residual branches' outputs dropped in training.
    """

    width: int = 128
    layers: int = 3
    heads: int = 4
    stem_channels: tuple[int, ...] = (8, 16)
    patch_height: int = 64
    patch_width: int = 8
    staves: bool = True
    embedding: int = 256
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built, or that only a damaged file would ask for.

        Raises:
            ValueError: with the field and its range.
        """
        ranges = {
            "width": (8, 8192), "layers": (1, 256), "heads": (1, 256), "embedding": (32, 8192),
            "patch_height": (1, 1024), "patch_width": (1, 1024),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; it lies between {low} and {high}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.embedding % (4 * PLACES):
            raise ValueError(f"embedding is {self.embedding}; it is a multiple of {4 * PLACES}")
        if not 1 <= len(self.stem_channels) <= 8 or not all(1 <= c <= 8192 for c in self.stem_channels):
            raise ValueError(f"stem_channels is {self.stem_channels}; it has 1 to 8 numbers between 1 and 8192")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it lies between 0 and 1")


SIZES: dict[str, SIMConfig] = {
    "tiny": SIMConfig(),
    "small": SIMConfig(width=256, layers=6, heads=4, stem_channels=(16, 32, 32)),
    "base": SIMConfig(width=768, layers=12, heads=12, stem_channels=(32, 64, 64)),
}


class Reading(NamedTuple):
    """What SIM makes of its input; a part that was not given is None, and padding reads as zeros.

    Attributes:
        notes: [B, N, width] one state per note.
        cells: [B, M, width] one state per inked image cell.
        summary: [B, width] the whole passage.
        places: [B, PLACES, width] what stands at evenly spaced places along it.
    """

    notes: Tensor | None
    cells: Tensor | None
    summary: Tensor
    places: Tensor


class Stretch(NamedTuple):
    """The tokens of one modality on their way into the blocks.

    Attributes:
        tokens: [B, K, width]; mask: [B, K], False at padding; place: [B, K] shares of the passage.
    """

    tokens: Tensor
    mask: Tensor
    place: Tensor


def at_places(states: Tensor, place: Tensor, mask: Tensor) -> Tensor:
    """Means of states [B, K, width] around evenly spaced places of the passage: [B, PLACES, width].

    Weights fall off like a normal curve whose standard deviation is half the distance of two places, by each token's
    place [B, K] as a share of all lines of the passage; where nothing is near, the mean is zero.
    """
    lines = (place.masked_fill(~mask, 0.0).amax(dim=1, keepdim=True) - 0.05).floor().clamp(min=0) + 1
    place = place / lines
    centre = (torch.arange(PLACES, device=place.device) + 0.5) / PLACES
    near = torch.exp(-0.5 * ((place[:, None, :] - centre[:, None]) * (2 * PLACES)) ** 2) * mask[:, None, :]
    near = near / (near.sum(dim=-1, keepdim=True) + 1e-3)
    return near.to(states.dtype) @ states


class Space(nn.Module):
    """A reading of one modality as a vector for search, not yet of unit length.

    Notes and cells have places in common, so that what stands at a place is compared with what stands there.
    """

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.whole = nn.Linear(width, embedding // 4, bias=False)
        self.place = nn.Linear(width, (embedding - embedding // 4) // PLACES, bias=False)

    def forward(self, reading: Reading) -> Tensor:
        """A reading to [B, embedding]."""
        return torch.cat([self.whole(reading.summary), self.place(reading.places).flatten(1)], dim=-1)


class SIM(nn.Module):
    """The joint model.

    Args:
        config: its shape.
        vocabulary_sizes: number of ids of each of the eight attributes.
    """

    def __init__(self, config: SIMConfig, vocabulary_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        self.recompute = False  # blocks in the backward pass instead of keeping what they computed
        self.grouped = True  # whether rows of like length may go through the blocks apart from others
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        width = config.width
        self.where = Where(width)
        self.note_encoder = NoteEncoder(self.vocabulary_sizes, width)
        cell = config.patch_height, config.patch_width
        self.image_encoder = ImageEncoder(cell, config.stem_channels, width, strips=config.staves)
        self.summary = nn.Parameter(torch.empty(width).normal_(std=0.1))
        self.glance = Glance(width)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.summary_norm = nn.LayerNorm(width)
        self.register_buffer("slopes", torch.tensor(head_slopes(config.heads)), persistent=False)
        self.slopes: Tensor
        self.guess = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.values = nn.Linear(width, sum(self.vocabulary_sizes))
        self.match = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.flaw = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.doubt = nn.Parameter(torch.zeros(SHOWN))
        self.note_space = Space(width, config.embedding)
        self.image_space = Space(width, config.embedding)
        self.point_from = nn.Linear(width, width, bias=False)
        self.point_to = nn.Linear(width, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        initialise(self, config.layers)
        nn.init.normal_(self.values.weight, std=0.02)

    def forward(self, notes: NoteInput | None, image: ImageInput | None) -> Reading:
        """Read notes, an image, or both together.

        Raises:
            ValueError: neither is given.
        """
        stretches = [self.embedded_notes(notes)] if notes is not None else []
        if image is not None:
            stretches.append(self.embedded_image(image))
        if not stretches:
            raise ValueError("there is nothing to read: give notes, an image, or both")
        if len(stretches) == 2:
            stretches = self.look_across(*stretches)
        [(states, summary, places)] = self.transform(stretches)
        cells = states[-1] if image is not None else None
        return Reading(states[0] if notes is not None else None, cells, summary, places)

    def read_apart(self, notes: NoteInput, image: ImageInput) -> tuple[Reading, Reading]:
        """The notes read alone and the image read alone, in one pass: as `forward` reads them, with less padding.

        Where a batch is sorted by the length of both together, either alone varies more than their sum.
        """
        readings = self.transform([self.embedded_notes(notes)], [self.embedded_image(image)])
        ([states], *of_notes), ([cells], *of_image) = readings
        return Reading(states, None, *of_notes), Reading(None, cells, *of_image)

    def look(self, image: ImageInput) -> Tensor:
        """What stands in the cells of an image, [B, M, features]: most of what reading a picture costs.

        Who reads it several times gives it back as `ImageInput.seen`.
        """
        return self.image_encoder.look(image)

    def embedded_notes(self, notes: NoteInput) -> Stretch:
        """Notes as tokens, before anything looks at anything."""
        return Stretch(self.note_encoder(notes, self.where), notes.mask, notes.time)

    def embedded_image(self, image: ImageInput) -> Stretch:
        """An image as tokens, before anything looks at anything."""
        return Stretch(self.image_encoder(image, self.where), image.mask, image.place[..., 1])

    def look_across(self, notes: Stretch, cells: Stretch) -> list[Stretch]:
        """Every token with a glance at the other modality."""
        seen = self.glance(notes.tokens, notes.place, notes.mask, cells.tokens, cells.place, cells.mask)
        return [part._replace(tokens=tokens) for part, tokens in zip((notes, cells), seen, strict=True)]

    def transform(self, *streams: list[Stretch]) -> list[tuple[list[Tensor], Tensor, Tensor]]:
        """Run the blocks over some streams, which do not see each other, without the padding that no row needs.

        Returns:
            For each stream the states of its stretches, padding as zeros; what its passages are as a whole, [B, width];
            and at places along them, [B, PLACES, width].
        """
        B = len(streams[0][0].mask)
        tokens, masks, places, numbers = [], [], [], []
        for i, stream in enumerate(streams):
            begin = Stretch(
                self.summary.expand(B, 1, -1),
                self.slopes.new_ones(B, 1, dtype=torch.bool),
                self.slopes.new_full((B, 1), math.nan),
            )
            for part in (begin, *stream):
                tokens.append(part.tokens)
                masks.append(part.mask)
                places.append(part.place)
                numbers.append(torch.full_like(part.mask, i, dtype=torch.uint8))
        number = torch.cat(numbers, 1) if len(streams) > 1 else None
        spread = self.through(torch.cat(tokens, 1), torch.cat(masks, 1), torch.cat(places, 1), number)
        parts = iter(torch.split(spread, [part.shape[1] for part in masks], dim=1))
        return [self.gathered(next(parts)[:, 0], [(next(parts), part) for part in stream]) for stream in streams]

    def through(self, x: Tensor, mask: Tensor, place: Tensor, number: Tensor | None) -> Tensor:
        """Tokens x [B, T, width] through the blocks: states of the same shape, padding as zeros.

        Args:
            x: tokens.
            mask: [B, T] True for tokens; padding may stand anywhere.
            place, number: [B, T] as in `nearness`.
        """
        groups = of_like_length(mask) if self.grouped else []
        if len(groups) > 1:
            parts = [
                self.through_together(x[rows], mask[rows], place[rows], None if number is None else number[rows])
                for rows in groups
            ]
            return torch.cat(parts)[torch.cat(groups).argsort()]
        return self.through_together(x, mask, place, number)

    def through_together(self, x: Tensor, mask: Tensor, place: Tensor, number: Tensor | None) -> Tensor:
        """The same, all rows as long as the longest of them."""
        kept = compact(mask)
        more = room_for(kept.shape[1], mask.device) - kept.shape[1]  # a GPU's rows may have to be longer than all is
        if more > 0:
            x, mask, place = F.pad(x, (0, 0, 0, more)), F.pad(mask, (0, more)), F.pad(place, (0, more))
            number = None if number is None else F.pad(number, (0, more))
            out = self.through_together(x, mask, place, number)
            return out[:, :-more]
        wide = kept[..., None].expand(-1, -1, x.shape[-1])
        mask_kept = mask.gather(1, kept)
        number = None if number is None else number.gather(1, kept)
        bias = nearness(place.gather(1, kept), mask_kept, self.slopes, number)
        if torch.is_autocast_enabled(x.device.type):  # once, and not in every block
            bias = bias.to(torch.get_autocast_dtype(x.device.type))
        states = x.gather(1, wide)
        for block in self.blocks:
            again = self.recompute and torch.is_grad_enabled()
            states = checkpoint(block, states, bias, use_reentrant=False) if again else block(states, bias)
        states = self.norm(states) * mask_kept[..., None]
        return torch.zeros_like(x, dtype=states.dtype).scatter(1, wide, states)

    def gathered(self, summary: Tensor, parts: list[tuple[Tensor, Stretch]]) -> tuple[list[Tensor], Tensor, Tensor]:
        """What `transform` returns for a stream, of its summary token [B, width] and the states of its stretches."""
        for states, part in parts:
            summary = summary + states.sum(dim=1) / part.mask.sum(dim=1, keepdim=True).clamp(min=1)
        states = torch.cat([states for states, _ in parts], dim=1)
        place, mask = (torch.cat([part[i] for _, part in parts], dim=1) for i in (2, 1))
        return [states for states, _ in parts], self.summary_norm(summary), at_places(states, place, mask)

    def attribute_logits(self, states: Tensor) -> tuple[Tensor, ...]:
        """States of notes [.., width] to eight logits [.., number of ids], one tensor per attribute."""
        return self.values(self.said(states)).split(list(self.vocabulary_sizes), dim=-1)  # type: ignore[no-any-return]

    def said(self, states: Tensor) -> Tensor:
        """States of notes [.., width] to what is said of all attributes together, of the same shape."""
        out: Tensor = self.guess(states)
        return out

    def one_attribute_logits(self, said: Tensor, attribute: int) -> Tensor:
        """The logits of one attribute alone, [.., number of its ids]: all that masked modeling pays for.

        Args:
            said: [.., width] what `said` makes of the states.
            attribute: its number.
        """
        start, size = sum(self.vocabulary_sizes[:attribute]), self.vocabulary_sizes[attribute]
        rows = slice(start, start + size)
        return F.linear(said, self.values.weight[rows], self.values.bias[rows])

    def match_logit(
        self, reading: Reading, notes: NoteInput, image: ImageInput, note_flaws: Tensor | None = None
    ) -> Tensor:
        """Do this image and these notes show the same music? A joint reading, and what was read, to logits [B].

        Every note and every cell says whether it has found its counterpart. One that has not outweighs many that have:
        a soft maximum, where a mean would drown it. Who has asked for `note_flaws` gives them.
        """
        if reading.notes is None or reading.cells is None:
            raise ValueError("matching needs a reading of notes and image together")
        mask = torch.cat([notes.mask, image.mask], dim=1)
        of_notes = self.note_flaws(reading, notes) if note_flaws is None else note_flaws
        flaws = torch.cat([of_notes, self.flaw(reading.cells).squeeze(-1).float()], dim=1)
        worst = flaws.masked_fill(~mask, -math.inf).logsumexp(dim=1) - mask.sum(dim=1).clamp(min=1).log()
        out: Tensor = self.match(reading.summary).squeeze(-1) - worst
        return out

    def note_flaws(self, reading: Reading, notes: NoteInput) -> Tensor:
        """Does each note stand on the picture? A joint reading and its notes to logits [B, N], positive if it does not.

        Masked modeling says what should stand there; the less it expects what does, the more it counts.
        """
        if reading.notes is None or reading.cells is None:
            raise ValueError("matching needs a reading of notes and image together")
        flaws: Tensor = self.flaw(reading.notes).squeeze(-1).float()
        said = self.said(reading.notes)
        for k in range(SHOWN):
            expected = self.one_attribute_logits(said, k).float().log_softmax(dim=-1)
            flaws = flaws - self.doubt[k] * expected.gather(-1, notes.ids[..., k, None]).squeeze(-1)
        return flaws

    def point(self, reading: Reading, bar: Tensor, mask: Tensor, most: int | None = None) -> Tensor:
        """Where does each bar stand on the image? From a joint reading.

        Args:
            reading: of notes and an image.
            bar: [B, N] bar of each note, -1 at padding.
            mask: [B, M] True where there is an image cell.
            most: number of bars, where it is known: finding it out waits for a GPU.

        Returns:
            [B, bars, M] logits over the cells, minus infinity at padding; bars are 0 to the greatest in `bar`. The bar
            asks with the mean of its notes.

        Raises:
            ValueError: the reading is not of both.
        """
        if reading.notes is None or reading.cells is None:
            raise ValueError("pointing needs a reading of notes and image together")
        bars = torch.arange(max(int(bar.max()) + 1, 1) if most is None else most, device=bar.device)
        member = (bar[:, None, :] == bars[None, :, None]).to(reading.notes.dtype)
        mean = member @ reading.notes / member.sum(dim=-1, keepdim=True).clamp(min=1)
        logits: Tensor = self.point_from(mean) @ self.point_to(reading.cells).transpose(1, 2) * self.config.width**-0.5
        return logits.masked_fill(~mask[:, None, :], -math.inf)

    def embed_notes(self, reading: Reading) -> Tensor:
        """A notes-only reading as unit vectors [B, embedding]."""
        return F.normalize(self.note_space(reading), dim=-1)

    def embed_image(self, reading: Reading) -> Tensor:
        """An image-only reading as unit vectors [B, embedding]."""
        return F.normalize(self.image_space(reading), dim=-1)

    def scale(self) -> Tensor:
        """The contrastive objective's inverse temperature, learned, at most `LARGEST_SCALE`."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()
