"""Heads on a pre-trained model: what each says about pieces and about pictures, as probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from scoresim.checkpoint import HeadConfig, load_head
from scoresim.data.batches import Batch, Windows
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.windows import Segments, Window, cut
from scoresim.model.sim import SIM
from scoresim.model.tagger import Tagger

FOLDER = "heads"  # beside the weights
EDGE = 64  # notes from the edge of a window within which its answers count less
WHOLE = 1 << 30  # notes of a window that holds any piece
TOGETHER = 8  # windows that are read at a time

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head on the weights that it was trained on.

    Attributes:
        tagger: (notes, image, window) -> logits.
        config: what it is for, and how it is asked.
    """

    tagger: Tagger
    config: HeadConfig

    def of_pieces(self, pieces: Sequence[Piece], rows: BatchConfig) -> list[Scores]:
        """Probabilities of every piece, [C], or of its notes, [N, C].

        Args:
            pieces: what is asked; the head reads notes.
            rows: how passages become tensors.
        """
        config = self.config
        size = config.notes or WHOLE
        hop = size if config.level == "sequence" else max(size // 2, 1)
        segments, found = cut(pieces, size, hop, whole=config.level == "note", bars=config.bars)
        source = Segments(pieces, segments, config.hidden)
        shown = replace(rows, batch_size=TOGETHER, images=False, lines=config.lines)
        classes = np.zeros(len(found), dtype=np.int64) if config.level == "sequence" else None
        asked = Windows(source, found, shown, config.task, classes)
        if config.level == "note":
            scores = blended(found, said(self.tagger, asked, "notes"), [len(piece) for piece in pieces])
            return [self.probabilities(of_piece) for of_piece in scores]
        of_window = said(self.tagger, asked, "notes", alone=not config.notes)
        out: list[list[Scores]] = [[] for _ in pieces]
        for window, scores_of in zip(found, of_window, strict=True):
            out[window.piece].append(scores_of)
        return [self.probabilities(np.concatenate(some).mean(axis=0)) for some in out]

    def of_systems(self, batches: Iterator[Batch]) -> Scores:
        """Probabilities of a picture, [C], from its systems; the head reads images."""
        scores = []
        with torch.inference_mode():
            for batch in batches:
                window = torch.zeros(len(batch.index), dtype=torch.long) if self.config.context else None
                logits = self.tagger(*batch.inputs("image"), window)
                scores.append(torch.log_softmax(logits.float(), dim=-1).numpy())
        return self.probabilities(np.concatenate(scores).mean(axis=0))

    def probabilities(self, scores: Scores) -> Scores:
        """[.., C] log-probabilities as probabilities, made as sure as the validation part showed them to be right."""
        scaled = scores / self.config.temperature
        odds = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        out: Scores = odds / odds.sum(axis=-1, keepdims=True)
        return out


def said(module: nn.Module, asked: Windows, inputs: str, alone: bool = False) -> list[Scores]:
    """Log-probabilities of every window, [1, C], or of its notes, [n, C].

    Args:
        module: (notes, image, window) -> logits, as those of a `Tagger`.
        asked: windows; of classes, or of notes.
        inputs: "notes", "image" or "both".
        alone: every passage of a window is asked for itself, and the window gets the mean.
    """
    device = next(module.parameters()).device
    order = np.argsort(asked.size, kind="stable")
    found: dict[int, Scores] = {}
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(order), asked.config.batch_size):
            index = order[start : start + asked.config.batch_size]
            batch = asked.gather(index).to(device)
            logits = module(*batch.inputs(inputs), None if alone else batch.window)
            scores = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
            if batch.window is None or (asked.classes is not None and not alone):
                found |= {int(i): scores[b : b + 1] for b, i in enumerate(index)}
                continue
            window = batch.window.cpu().numpy()
            if alone:
                found |= {int(i): scores[window == b].mean(axis=0, keepdims=True) for b, i in enumerate(index)}
            else:
                mask = batch.notes.mask.cpu().numpy()
                found |= {int(i): scores[window == b][mask[window == b]] for b, i in enumerate(index)}
    return [found[i] for i in range(len(order))]


def blended(windows: Sequence[Window], scores: Sequence[Scores], lengths: Sequence[int]) -> list[Scores]:
    """Log-probabilities [N, C] of the notes of every piece: the weighted mean of the windows that a note stands in.

    Near the edge of a window less is known: there an answer weighs less.

    Args:
        windows: their pieces and notes; every note stands in one.
        scores: [n, C] of the notes of every window.
        lengths: notes of every piece.
    """
    sums = [np.zeros((n, scores[0].shape[1] + 1)) for n in lengths]
    for window, of_notes in zip(windows, scores, strict=True):
        n = np.arange(window.end - window.first)
        weight = np.minimum(np.minimum(n, n[::-1]) + 1, EDGE).astype(np.float64)[:, None]
        sums[window.piece][window.first : window.end] += weight * np.c_[of_notes, np.ones(len(n))]
    return [(one[:, :-1] / one[:, -1:]).astype(np.float32) for one in sums]


def load_heads(folder: Path, model: SIM, weights: str) -> dict[str, Head]:
    """The heads that stand beside some weights, by the names of their files.

    Args:
        folder: of the weights.
        model: the weights themselves.
        weights: their SHA-256.

    Raises:
        BadInput: a head is damaged, or was trained on other weights.
    """
    return {
        path.stem: Head(*load_head(path, model, weights)) for path in sorted((folder / FOLDER).glob("*.safetensors"))
    }
