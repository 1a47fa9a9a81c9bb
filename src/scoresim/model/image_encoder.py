"""Score images as tokens of the Transformer: one per cell of a grid that has ink in it."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scoresim.model.layers import FREQUENCIES, Waves, Where

EVEN_SIZES = 64  # of pictures where they are evened: pixels across and their number are multiples of it
EVENED = ("cuda",)  # kinds of device that are given pictures of few sizes


class ImageInput(NamedTuple):
    """The pictures of B passages on one canvas size, at most M inked cells each.

    Attributes:
        ink: [B, H, W] uint8 up to 255, or float up to 1, which is black; H and W are multiples of the cell, padded
            with 0 (paper) at the right and at the bottom.
        cells: [B, M] long, row * (W // cell width) + column of every cell with ink; 0 at padding.
        mask: [B, M] bool, True where there is a cell.
        place: [B, M, 2] float, where the cell's centre stands in the music: its staff from the top of its
            system (0.5, 1.5, ...), and its share of the passage along the systems, in [0, 1) (negative for
            clef and key before the notes).
        seen: [B, M, features] what `ImageEncoder.look` makes of the cells, where that is known already.
    """

    ink: Tensor
    cells: Tensor
    mask: Tensor
    place: Tensor
    seen: Tensor | None = None


class ImageEncoder(nn.Module):
    """A small convolutional stem (Xiao et al. 2021: early convolutions help), then one token per inked cell.

    Every stage is a 3 x 3 convolution with stride 2 on an even canvas: it reads one pixel of padding at the
    left and the top and none at the right and the bottom. So more paper at the right or the bottom changes no
    token.

    Args:
        cell: (height, width) in pixels, multiples of 2 ** len(channels).
        channels: of the stages; few at full resolution, where time is spent.
        width: of a token.
        strips: whether each row of cells is a picture of its own (a staff), looked at alone and only where it holds
            cells, or all rows are one.
    """

    def __init__(self, cell: tuple[int, int], channels: tuple[int, ...], width: int, strips: bool = False) -> None:
        super().__init__()
        stride = 2 ** len(channels)
        if cell[0] % stride or cell[1] % stride:
            raise ValueError(f"a cell of {cell} pixels is not a multiple of the stem's stride {stride}")
        self.cell, self.strips = cell, strips
        self.spots = (cell[0] // stride, cell[1] // stride)
        features = channels[-1] * math.prod(self.spots)
        pairs = zip((1, *channels), channels, strict=False)
        stages = [nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GELU()) for a, b in pairs]
        self.stem = nn.Sequential(*stages)
        self.stem.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.norm = nn.LayerNorm(features)
        self.project = nn.Linear(features, width)
        self.kind = nn.Parameter(torch.empty(width).normal_(std=0.1))
        self.staff = nn.Sequential(Waves(shortest=1.5, longest=48.0), nn.Linear(2 * FREQUENCIES, width, bias=False))

    def forward(self, image: ImageInput, where: Where) -> Tensor:
        """ImageInput to tokens [B, M, width]; what stands at padding has no meaning."""
        cells = self.project(self.norm(self.look(image) if image.seen is None else image.seen))
        staff, along = image.place.unbind(dim=-1)
        out: Tensor = cells + where(along) + self.staff(staff) + self.kind
        return out

    def look(self, image: ImageInput) -> Tensor:
        """What the stem sees in every inked cell: [B, M, features]."""
        B, H, W = image.ink.shape
        per_row, per_picture = W // self.cell[1], (H // self.cell[0]) * (W // self.cell[1])
        picture = torch.arange(B, device=image.cells.device)[:, None]
        number, ink = picture * per_picture + image.cells, image.ink  # of a cell among all cells of the batch
        if self.strips:
            used, row = torch.unique(number // per_row, return_inverse=True)
            number, ink = row * per_row + number % per_row, ink.view(-1, self.cell[0], W)[used]
        if ink.device.type in EVENED:
            ink, number, per_row = evened(ink, number, per_row, self.cell[1], alone=self.strips)
        if ink.dtype == torch.uint8:
            ink = ink.float().div_(255.0)
        seen: Tensor = self.stem(ink[:, None].contiguous(memory_format=torch.channels_last))
        if seen.requires_grad:  # what comes back through the cells is in their order: GELU would be slow on it
            seen.register_hook(_channels_last)  # type: ignore[no-untyped-call]
        (down, across), C = self.spots, seen.shape[1]
        grid = seen.view(len(ink), C, -1, down, per_row, across).permute(0, 2, 4, 3, 5, 1)
        return grid.reshape(-1, down * across * C)[number]


def evened(ink: Tensor, number: Tensor, per_row: int, cell: int, alone: bool) -> tuple[Tensor, Tensor, int]:
    """Pictures in one of few sizes: more paper at the right, and more empty pictures where many are staves.

    A GPU's convolutions are planned anew for every size, in milliseconds (docs/log.md, "who keeps a GPU waiting").

    Args:
        ink: [P, h, W] pictures.
        number: [..] of cells among all of them, row by row.
        per_row: cells of a row.
        cell: pixels across a cell.
        alone: whether they are single staves, not pages.

    Returns:
        The same for the pictures of that size: [P', h, W'], W' a multiple of `EVEN_SIZES`, and P' where P is above it.
    """
    P, _, W = ink.shape
    across, down = -W % math.lcm(EVEN_SIZES, cell), -P % EVEN_SIZES if alone and P > EVEN_SIZES else 0
    wide = (W + across) // cell
    return F.pad(ink, (0, across, 0, 0, 0, down)), number // per_row * wide + number % per_row, wide


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)
