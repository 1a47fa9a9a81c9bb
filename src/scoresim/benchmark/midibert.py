"""The network of MidiBERT-Piano, to stand beside ours with the same data and the same budget.

Chou et al., *MidiBERT-Piano: Large-scale Pre-training for Symbolic Music Understanding*, 2021 (arXiv:2107.05223): a
note is one compound word, each attribute has an embedding of its own, these are joined and projected to the width of a
BERT, which reads up to 512 notes. A note's class comes from two layers on its state; that of a sequence from four
weighted means of all states, whose weights are learnt, and two layers on them (as the authors' code does it: 256 units
and ReLU, dropout of .1 for notes, 128 units for the weights).

What differs: words have our eight attributes, not four (the bar says "new" or "goes on", as theirs). BERT is that of
Hugging Face, which no longer has the relative positions of their code; its learnt places begin as large as the words,
or a network from scratch would hardly see the order. Theirs has 12 layers of width 768, which are 87 M parameters here;
`MidiBert` is by default as wide and deep as our `small`, 5.7 M parameters (6.0 M for sequences) beside its 7.7 M, so
that both learn in about the same time.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor, nn

from scoresim.errors import BadInput
from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.tagger import in_windows
from scoresim.score.tokens import ATTRIBUTES, FIRST, MASK, default_vocabulary

LONGEST = 512  # notes that BERT reads at a time
EMBEDDING = 256  # of an attribute
HIDDEN, VIEWS, VIEW_UNITS = 256, 4, 128  # of the heads
PLACES = 0.5  # standard deviation of the places, about that of the projected words
BAR = ATTRIBUTES.index("bar")
NEW, SAME = FIRST, FIRST + 1  # values of the bar


class CompoundBert(nn.Module):
    """An embedding of each attribute, and BERT over their projection.

    Args:
        sizes: number of ids of each of the A attributes.
        width, layers, heads: of BERT.
        plain: plain attention, which is faster on a CPU where nothing is padded; otherwise torch's fused one.

    Raises:
        BadInput: transformers is not installed.
    """

    def __init__(self, sizes: tuple[int, ...], width: int, layers: int, heads: int, plain: bool = False) -> None:
        super().__init__()
        if find_spec("transformers") is None:
            raise BadInput("the network of MidiBERT needs transformers: pip install 'scoresim[bench]'")
        from transformers import BertConfig, BertModel

        shape = BertConfig(
            vocab_size=2,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            max_position_embeddings=LONGEST,
            attn_implementation="eager" if plain else "sdpa",
        )
        self.embed = nn.ModuleList(nn.Embedding(size, EMBEDDING) for size in sizes)
        self.project = nn.Linear(len(sizes) * EMBEDDING, width)
        self.bert = BertModel(shape, add_pooling_layer=False)
        nn.init.normal_(self.bert.embeddings.position_embeddings.weight, std=PLACES)
        self.bert.embeddings.word_embeddings.requires_grad_(False)  # compound words stand for them

    def forward(self, words: Tensor, mask: Tensor | None = None) -> Tensor:
        """States [B, T, width] of words [B, T, A], T at most `LONGEST`; mask [B, T] is True where there is one."""
        x = self.project(torch.cat([embed(words[..., i]) for i, embed in enumerate(self.embed)], dim=-1))
        given = None if mask is None else mask.long()
        out: Tensor = self.bert(inputs_embeds=x, attention_mask=given).last_hidden_state
        return out


class MidiBert(nn.Module):
    """MidiBERT-Piano's network with a classifier, for the batches that a `Tagger` reads; it looks at no image.

    Args:
        level: "sequence" (one class per window) or "note" (one class per note).
        classes: number of classes.
        width, layers, heads: of BERT.
    """

    def __init__(self, level: str, classes: int, width: int = 256, layers: int = 6, heads: int = 4) -> None:
        super().__init__()
        if level not in ("sequence", "note"):
            raise ValueError(f"level is {level!r}; choose one of sequence, note")
        self.level = level
        sizes = list(default_vocabulary().sizes)
        sizes[BAR] = SAME + 1
        self.body = CompoundBert(tuple(sizes), width, layers, heads)
        if level == "sequence":
            shape = (nn.Linear(width, VIEW_UNITS, bias=False), nn.Tanh(), nn.Linear(VIEW_UNITS, VIEWS, bias=False))
            self.views = nn.Sequential(*shape)
        given, dropout = (width, 0.1) if level == "note" else (VIEWS * width, 0.0)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(given, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))

    def forward(self, notes: NoteInput | None, image: ImageInput | None, window: Tensor | None = None) -> Tensor:
        """Logits [W, classes] of W windows, or [B, N, classes] of notes; zeros at padding.

        Args:
            notes: B segments, padded to N notes.
            image: not looked at.
            window: [B] window of each segment, not decreasing; None makes each its own.

        Raises:
            ValueError: there are no notes.
        """
        if notes is None:
            raise ValueError("the network of MidiBERT reads notes; give it notes")
        row, at, of_window, slot, mask = in_windows(notes.mask, window)
        W, longest = mask.shape
        pieces = -(-longest // LONGEST)  # a longer window is read in pieces
        length = longest if pieces == 1 else pieces * LONGEST
        mask = nn.functional.pad(mask, (0, length - longest))
        words = notes.ids.new_zeros(W, length, notes.ids.shape[-1])
        words[of_window, slot] = with_new_bars(notes.ids[row, at], notes.time[row, at], slot)
        shape = W * pieces, length // pieces
        seen = mask.view(shape).clone()
        seen[:, 0] = True  # nothing attends to nothing
        states = self.body(words.view(*shape, -1), seen).view(W, length, -1)
        if self.level == "note":
            said: Tensor = self.head(states[of_window, slot])
            return said.new_zeros(*notes.mask.shape, said.shape[-1]).index_put((row, at), said)
        weights = self.views(states).masked_fill(~mask[..., None], float("-inf")).softmax(dim=1)
        out: Tensor = self.head((weights.transpose(1, 2) @ states).flatten(1))
        return out


def with_new_bars(ids: Tensor, time: Tensor, slot: Tensor) -> Tensor:
    """Notes [K, 8] with "new" or "goes on" for a bar; a hidden bar stays hidden.

    A bar is new where its number is another than that of the note before, or where the place along the line goes back:
    numbers count from the beginning of each line. The first note of a window begins a bar.

    Args:
        ids: notes of one window after the other, in order.
        time: [K] place along the line.
        slot: [K] number of the note in its window.
    """
    bar = ids[:, BAR]
    new = (bar != bar.roll(1)) | (time < time.roll(1)) | (slot == 0)
    out = ids.clone()
    out[:, BAR] = torch.where(bar == MASK, bar, torch.where(new, NEW, SAME))
    return out
