"""The parts every Transformer here is made of: where a token stands, attention by nearness, the block."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

GROUP, CUDA_GROUP = 256, 16384  # tokens that might be read in the time that another group of rows costs
SAVED = 0.9  # of what all rows together cost is the most that groups may
FREQUENCIES = 16  # of each sinusoid ladder
FUSED = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]  # what comes first is taken where it can be
EVEN = 8  # on a GPU rows are padded to a multiple of so many tokens: fused kernels copy others


class Waves(nn.Module):
    """A number as sinusoids: a smooth code in which near numbers look alike (Vaswani et al. 2017, 3.5).

    Args:
        shortest, longest: wavelengths of the ladder, in the unit of the number.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        super().__init__()
        ladder = torch.logspace(math.log10(longest), math.log10(shortest), FREQUENCIES, device="cpu")
        self.register_buffer("turns", 2 * math.pi / ladder, persistent=False)
        self.turns: Tensor

    def forward(self, values: Tensor) -> Tensor:
        """[..] numbers to [.., 2 * FREQUENCIES] features in [-1, 1]."""
        angles = values[..., None] * self.turns
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Where(nn.Module):
    """Where in the passage: one code for the time of a note and the x of an image cell.

    Both are shares of the passage in [0, 1), and engraved music runs nearly evenly along the line, so that a
    note and the place where it is drawn get nearly the same code before anything is learned.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.waves = Waves(shortest=1 / 48, longest=4.0)
        self.project = nn.Linear(2 * FREQUENCIES, width, bias=False)

    def forward(self, place: Tensor) -> Tensor:
        """[..] shares of the passage to [.., width]."""
        out: Tensor = self.project(self.waves(place))
        return out


def nearness(place: Tensor, mask: Tensor, slopes: Tensor, stream: Tensor | None = None) -> Tensor:
    """Attention bias: a head with slope s adds -s * distance between the places of two tokens.

    The idea is ALiBi's (Press et al. 2022), with musical time and horizontal place in the role of the
    position. Heads with slope 0 look everywhere. Padding is never looked at; a token that has no place is near to all.

    Args:
        place: [B, L] shares of the passage, NaN for tokens without a place.
        mask: [B, L] True for tokens, False for padding; a row has at least one token (of every stream).
        slopes: [heads].
        stream: [B, L] tokens of different numbers do not see each other; None is one stream.

    Returns:
        [B, heads, L, L], minus infinity where a token must not look.
    """
    distance = (place[:, :, None] - place[:, None, :]).abs().nan_to_num(0.0)
    bias: Tensor = -slopes[:, None, None] * distance[:, None]
    hidden = ~mask[:, None, :]
    if stream is not None:
        hidden = hidden | (stream[:, :, None] != stream[:, None, :])
    return bias.masked_fill(hidden[:, None], -math.inf)


def head_slopes(heads: int) -> list[float]:
    """Half of the heads look everywhere, the others at ever smaller neighbourhoods."""
    near = heads // 2
    return [0.0] * (heads - near) + [8.0 * 4.0 ** (i / max(near - 1, 1)) for i in range(near)]


class Glance(nn.Module):
    """What stands beside a token in the other modality, before any attention is learned.

    Every note adds to itself the cells around its place, and every cell the notes around its own, weighted by
    exp(-slope * distance) with a learned slope. To read a note off the picture, and to see that a picture and notes
    disagree, is then a matter of one position at a time; attention refines it (docs/log.md, "Glance").
    """

    def __init__(self, width: int, slope: float = 60.0) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.tensor(math.log(slope)))
        self.to_notes, self.to_cells = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self, notes: Tensor, time: Tensor, note_mask: Tensor, cells: Tensor, place: Tensor, cell_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """notes [B, N, width] at time [B, N] and cells [B, M, width] at place [B, M] to the same shapes."""
        near = -self.log_slope.exp() * (time[:, :, None] - place[:, None, :]).abs()
        return (
            notes + self.to_notes(mean_of(cells, near, cell_mask)),
            cells + self.to_cells(mean_of(notes, near.transpose(1, 2), note_mask)),
        )


def mean_of(values: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Mean of values [B, M, width] weighted by softmax of logits [B, N, M] where mask [B, M] is True; else zeros."""
    weights = logits.masked_fill(~mask[:, None, :], -1e4).softmax(dim=-1) * mask.any(dim=1)[:, None, None]
    return weights.to(values.dtype) @ values


class Dropout(nn.Dropout):
    """Dropout that does not wait for its random numbers on a CPU: a byte for each number, eight from each draw.

    There the share that is dropped is rounded to 256ths, and what is kept is scaled by what is really kept.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x [..] to the same shape."""
        dropped = round(256 * self.p)
        if x.device.type != "cpu" or not self.training or dropped in (0, 256):
            return super().forward(x)
        chance = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
        kept = chance[: x.numel()].view(x.shape) >= dropped
        return x * (kept.to(x.dtype) * (256 / (256 - dropped)))


class Block(nn.Module):
    """One pre-norm Transformer layer: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.steady = False  # whether shapes come again and again, so that plans for them pay
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [B, L, width] to the same; bias [B, heads, L, L] is added to the attention's logits."""
        x = x + self.dropout(self.attend(self.attention_norm(x), bias))
        hidden: Tensor = self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x))))
        out: Tensor = x + self.dropout(hidden)
        return out

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        B, L, width = x.shape
        if torch.compiler.is_compiling() and x.device.type != "cpu":
            torch._check(L % EVEN == 0)  # type: ignore[no-untyped-call] # or each block copies a bias that is aligned
        q, k, v = self.qkv(x).view(B, L, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = attention(q, k, v, bias.to(q.dtype), self.steady)
        out: Tensor = self.attention_out(seen.transpose(1, 2).reshape(B, L, width))
        return out


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, steady: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v over [B, heads, L, d], with bias [B, heads, L, L].

    On a GPU fused; where shapes are `steady` by cuDNN, whose kernel is the faster and is planned for every new shape, a
    tenth of a second (docs/log.md, "who keeps a GPU waiting"). On a CPU as three plain steps, for sequences as short as
    ours: there the backward pass of the fused kernel takes five to ten times as long in bf16 ("attention on a CPU").
    """
    if q.device.type != "cpu":
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, *FUSED] if steady else FUSED, set_priority=True):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    B, heads, L, d = q.shape
    q, k, v = (part.reshape(B * heads, L, d) for part in (q, k, v))
    logits = torch.baddbmm(bias.reshape(B * heads, L, L), q, k.transpose(1, 2), alpha=d**-0.5)
    return torch.bmm(logits.softmax(dim=-1), v).view(B, heads, L, d)


def compact(mask: Tensor) -> Tensor:
    """Which tokens to keep so that no row carries padding that the longest row does not need.

    Args:
        mask: [B, L] True for tokens.

    Returns:
        [B, K] indices into L, K the room for the most tokens of any row, at most L; the tokens of a row in order, then
        its padding.
    """
    longest = room_for(int(mask.sum(dim=1).max()), mask.device)
    return mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]


def room_for(tokens: int, device: torch.device) -> int:
    """How many tokens a row of so many is padded to: on a GPU to few lengths, all of them multiples of `EVEN`."""
    if device.type == "cpu":
        return tokens
    return -(-tokens // EVEN) * EVEN


def of_like_length(mask: Tensor) -> list[Tensor]:
    """Rows in groups that are better read one after the other, each no longer than its longest row.

    Lines of music differ: where windows of pieces are read, two thirds of a batch would be padding. All rows stay
    together where groups would save less than a tenth.

    Args:
        mask: [B, L] True for tokens.

    Returns:
        Their numbers, each [..] long; all rows are in one of them.
    """
    everything = [torch.arange(len(mask), device=mask.device)]
    if len(mask) == 0:
        return everything
    another = GROUP if mask.device.type == "cpu" else CUDA_GROUP
    lengths = mask.sum(dim=1).cpu()
    together = len(mask) * int(lengths.max())
    if int(lengths.sum()) + 2 * another > SAVED * together:  # no two groups could save enough
        return everything
    length, count = torch.unique(lengths, return_counts=True)  # ascending
    before = torch.cat([count.new_zeros(1), count.cumsum(0)])  # rows shorter than each length, and all
    cost, begin = torch.zeros(len(length) + 1, dtype=torch.long), [0] * (len(length) + 1)
    for end in range(1, len(length) + 1):  # the cheapest way to read the rows up to a length
        ways = cost[:end] + (before[end] - before[:end]) * length[end - 1] + another
        begin[end] = int(ways.argmin())
        cost[end] = ways[begin[end]]
    if cost[-1] > SAVED * together:
        return everything
    order, groups, end = lengths.argsort(stable=True), [], len(length)
    while end:
        groups.append(order[before[begin[end]] : before[end]].to(mask.device))
        end = begin[end]
    return groups


def initialise(module: nn.Module, layers: int) -> None:
    """Weights before training: small normals, and residual branches that begin near zero (GPT-2's rule)."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            last = name.endswith(("attention_out", "mlp_out"))
            nn.init.normal_(part.weight, std=part.in_features**-0.5 * ((2 * layers) ** -0.5 if last else 1.0))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
