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

from scoresim.model.image_encoder import ImageEncoder, ImageInput
from scoresim.model.layers import Block, Glance, Where, compact, head_slopes, initialise, nearness
from scoresim.model.note_encoder import NoteEncoder, NoteInput

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
        embedding: width of the vectors used for search.
        dropout: share of the residual branches' outputs dropped in training.
    """

    width: int = 128
    layers: int = 3
    heads: int = 4
    stem_channels: tuple[int, ...] = (8, 16)
    patch_height: int = 64
    patch_width: int = 8
    embedding: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built, or that only a damaged file would ask for.

        Raises:
            ValueError: with the field and its range.
        """
        ranges = {
            "width": (8, 8192), "layers": (1, 256), "heads": (1, 256), "embedding": (1, 8192),
            "patch_height": (1, 1024), "patch_width": (1, 1024),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; it lies between {low} and {high}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not 1 <= len(self.stem_channels) <= 8 or not all(1 <= c <= 8192 for c in self.stem_channels):
            raise ValueError(f"stem_channels is {self.stem_channels}; it has 1 to 8 numbers between 1 and 8192")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it lies between 0 and 1")


SIZES: dict[str, SIMConfig] = {
    "tiny": SIMConfig(),
    "small": SIMConfig(width=384, layers=10, heads=6, stem_channels=(16, 32, 32), embedding=256, dropout=0.1),
    "base": SIMConfig(width=768, layers=12, heads=12, stem_channels=(32, 64, 64), embedding=256, dropout=0.1),
}


class Reading(NamedTuple):
    """What SIM makes of its input; a part that was not given is None, and padding reads as zeros.

    Attributes:
        notes: [B, N, width] one state per note.
        cells: [B, M, width] one state per inked image cell.
        summary: [B, width] the whole passage.
    """

    notes: Tensor | None
    cells: Tensor | None
    summary: Tensor


class SIM(nn.Module):
    """The joint model.

    Args:
        config: its shape.
        vocabulary_sizes: number of ids of each of the eight attributes.
    """

    def __init__(self, config: SIMConfig, vocabulary_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        width = config.width
        self.where = Where(width)
        self.note_encoder = NoteEncoder(self.vocabulary_sizes, width)
        self.image_encoder = ImageEncoder((config.patch_height, config.patch_width), config.stem_channels, width)
        self.summary = nn.Parameter(torch.randn(width) * 0.1)
        self.glance = Glance(width)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.summary_norm = nn.LayerNorm(width)
        self.register_buffer("slopes", torch.tensor(head_slopes(config.heads)), persistent=False)
        self.slopes: Tensor
        self.guess = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.values = nn.Linear(width, sum(self.vocabulary_sizes))
        self.match = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.note_space = nn.Linear(width, config.embedding, bias=False)
        self.image_space = nn.Linear(width, config.embedding, bias=False)
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
        given = notes.mask if notes is not None else image.mask if image is not None else None
        if given is None:
            raise ValueError("there is nothing to read: give notes, an image, or both")
        B, nowhere = len(given), self.slopes.new_zeros(len(given), 1)
        tokens, masks, places = [self.summary.expand(B, 1, -1)], [given.new_ones(B, 1)], [nowhere]
        if notes is not None:
            tokens.append(self.note_encoder(notes, self.where))
            masks.append(notes.mask)
            places.append(notes.time)
        if image is not None:
            tokens.append(self.image_encoder(image, self.where))
            masks.append(image.mask)
            places.append(image.place[..., 1])
        if notes is not None and image is not None:
            tokens[1:] = self.glance(tokens[1], places[1], masks[1], tokens[2], places[2], masks[2])
        states = self.transform(torch.cat(tokens, 1), torch.cat(masks, 1), torch.cat(places, 1))
        split = 1 + (notes.mask.shape[1] if notes is not None else 0)
        read_notes = states[:, 1:split] if notes is not None else None
        read_cells = states[:, split:] if image is not None else None
        summary = states[:, 0]
        for part, given_part in ((read_notes, notes), (read_cells, image)):
            if part is not None and given_part is not None:
                summary = summary + part.sum(dim=1) / given_part.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return Reading(read_notes, read_cells, self.summary_norm(summary))

    def transform(self, x: Tensor, mask: Tensor, place: Tensor) -> Tensor:
        """Run the blocks over x [B, L, width] without its padding; padding comes back as zeros."""
        kept = compact(mask)
        wide = kept[..., None].expand(-1, -1, x.shape[-1])
        mask_kept = mask.gather(1, kept)
        bias = nearness(place.gather(1, kept), mask_kept, self.slopes)
        states = x.gather(1, wide)
        for block in self.blocks:
            states = block(states, bias)
        states = self.norm(states) * mask_kept[..., None]
        return torch.zeros_like(x, dtype=states.dtype).scatter(1, wide, states)

    def attribute_logits(self, states: Tensor) -> tuple[Tensor, ...]:
        """States of notes [.., width] to eight logits [.., number of ids], one tensor per attribute."""
        return self.values(self.guess(states)).split(list(self.vocabulary_sizes), dim=-1)  # type: ignore[no-any-return]

    def one_attribute_logits(self, states: Tensor, attribute: int) -> Tensor:
        """The logits of one attribute alone, [.., number of its ids]: all that masked modeling pays for."""
        start, size = sum(self.vocabulary_sizes[:attribute]), self.vocabulary_sizes[attribute]
        rows = slice(start, start + size)
        return F.linear(self.guess(states), self.values.weight[rows], self.values.bias[rows])

    def match_logit(self, summary: Tensor) -> Tensor:
        """Do this image and these notes show the same music? [B, width] of a joint reading to logits [B]."""
        out: Tensor = self.match(summary).squeeze(-1)
        return out

    def point(self, reading: Reading, bar: Tensor, mask: Tensor) -> Tensor:
        """Where does each bar stand on the image? From a joint reading.

        Args:
            reading: of notes and an image.
            bar: [B, N] bar of each note, -1 at padding.
            mask: [B, M] True where there is an image cell.

        Returns:
            [B, bars, M] logits over the cells, minus infinity at padding; bars are 0 to the greatest in `bar`. The bar
            asks with the mean of its notes.

        Raises:
            ValueError: the reading is not of both.
        """
        if reading.notes is None or reading.cells is None:
            raise ValueError("pointing needs a reading of notes and image together")
        bars = torch.arange(max(int(bar.max()) + 1, 1), device=bar.device)
        member = (bar[:, None, :] == bars[None, :, None]).to(reading.notes.dtype)
        mean = member @ reading.notes / member.sum(dim=-1, keepdim=True).clamp(min=1)
        logits: Tensor = self.point_from(mean) @ self.point_to(reading.cells).transpose(1, 2) * self.config.width**-0.5
        return logits.masked_fill(~mask[:, None, :], -math.inf)

    def embed_notes(self, reading: Reading) -> Tensor:
        """A notes-only reading as unit vectors [B, embedding]."""
        return F.normalize(self.note_space(reading.summary), dim=-1)

    def embed_image(self, reading: Reading) -> Tensor:
        """An image-only reading as unit vectors [B, embedding]."""
        return F.normalize(self.image_space(reading.summary), dim=-1)

    def scale(self) -> Tensor:
        """The contrastive objective's inverse temperature, learned, at most `LARGEST_SCALE`."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()
