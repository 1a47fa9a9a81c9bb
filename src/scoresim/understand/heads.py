"""Heads on a pre-trained model: what each says about pieces and about pictures, as probabilities."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoresim.checkpoint import HEADS, HeadConfig, head_stands, load_head
from scoresim.data.batches import Batch, Windows
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.windows import Segments, Window, cut
from scoresim.errors import BadInput
from scoresim.model.counted import Counted, CountedNotes
from scoresim.model.lowrank import merge_low_rank
from scoresim.model.precision import exactly
from scoresim.model.sim import SIM
from scoresim.model.tagger import Tagger
from scoresim.score.keys import RULES
from scoresim.understand.features import Counts, counts_of
from scoresim.understand.note_features import NoteCounts, note_counts

EDGE = 64  # notes from the edge of a window within which its answers count less
WINDOW = 512  # notes of a window for a head that was trained on passages
TOGETHER = 8  # windows that are read at a time

_logger = logging.getLogger("scoresim")

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head on the weights that it was trained on.

    Attributes:
        tagger: (notes, image, window) -> logits.
        config: what it is for, and how it is asked.
        body: digest of the head whose additions are in the weights under it, its own or another's; "" for none.
    """

    tagger: Tagger
    config: HeadConfig
    body: str = ""

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


def of_pieces(heads: Mapping[str, Head], pieces: Sequence[Piece], rows: BatchConfig) -> dict[str, list[Scores]]:
    """What heads that read notes say: probabilities of every piece, [C], or of its notes, [N, C].

    Heads that stand on the same weights, with the same additions, and are shown the same are asked on one reading.

    Args:
        heads: by name.
        pieces: what is asked.
        rows: how passages become tensors.
    """
    groups: dict[tuple[Any, ...], dict[str, Head]] = {}
    for name, head in heads.items():
        config = head.config
        kind = config.level, config.hidden, config.notes or WINDOW, config.least, config.lines, config.bars
        groups.setdefault((*kind, head.body), {})[name] = head
    out: dict[str, list[Scores]] = {}
    for (level, hidden, notes, least, lines, bars, _), some in groups.items():
        note_level = level == "note"
        hop = max(notes // 2, 1) if note_level else notes
        segments, found = cut(pieces, notes, hop, least, whole=note_level, bars=bars)
        classes = None if note_level else np.zeros(len(found), dtype=np.int64)
        shown = replace(rows, batch_size=TOGETHER, images=False, lines=lines)
        asked = Windows(Segments(pieces, segments, hidden), found, shown, "", classes)
        scores = said([head.tagger for head in some.values()], asked, "notes")
        counting = any(head.tagger.counted is not None for head in some.values())
        counts = counts_of(pieces, found, hidden) if counting and not note_level else None
        noted = note_counts(pieces, hidden) if counting and note_level else None
        for (name, head), of_windows in zip(some.items(), scores, strict=True):
            if note_level:
                whole = blended(found, of_windows, [len(piece) for piece in pieces])
                if noted is not None and isinstance(head.tagger.counted, CountedNotes):
                    beside = counted_notes(head.tagger.counted, head.config.features, noted)
                    whole = [one + head.config.rule_weight * more for one, more in zip(whole, beside, strict=True)]
            else:
                first = np.searchsorted(asked.piece, np.arange(len(pieces) + 1)).tolist()
                whole = [np.concatenate(of_windows[a:b]).mean(axis=0) for a, b in pairwise(first)]
                more_of = _beside(head, pieces, found, counts)
                whole = [one + more for one, more in zip(whole, more_of, strict=True)] if len(more_of) else whole
            out[name] = [head.probabilities(one) for one in whole]
    return out


def _beside(head: Head, pieces: Sequence[Piece], found: Sequence[Window], counts: Counts | None) -> Scores:
    """What the rule beside a head adds to its log-probabilities of pieces, [P, C]; [0] without a rule."""
    config, counted = head.config, head.tagger.counted
    if isinstance(counted, Counted) and counts is not None:
        said = counted_pieces(counted, config.features, counts, found)
    else:
        said = np.array([RULES[config.rule](piece.ids) for piece in pieces] if config.rule else [])
    return (config.rule_weight * said).astype(np.float32)


def counted_pieces(counted: Counted, features: str, counts: Counts, found: Sequence[Window]) -> NDArray[np.float64]:
    """Log-probabilities [P, C] of pieces, the mean of those of their windows, by what has learnt from features.

    Args:
        counted: what has learnt.
        features: hash of the names of what it has learnt from.
        counts: of windows.
        found: these windows, piece by piece.

    Raises:
        BadInput: the features of this version are others.
    """
    _check(counts.identity, features)
    with exactly(counts.features.device):
        scores = counted(counts.features, counts.ngrams).numpy().astype(np.float64)
    return means_of_pieces(scores, found)


def counted_notes(counted: CountedNotes, features: str, counts: NoteCounts) -> list[Scores]:
    """Log-probabilities [N, C] of the notes of every piece, by what has learnt from features.

    Args:
        counted: what has learnt.
        features: hash of the names of what it has learnt from.
        counts: of the pieces.

    Raises:
        BadInput: the features of this version are others.
    """
    _check(counts.identity, features)
    if any(one.shape[1] != len(counted.mean) for one in counts.features):
        raise BadInput("a head counts another number of features than it says; take another copy.")
    counted.eval()
    device = counted.mean.device
    with exactly(device):
        return [counted.of_piece(torch.from_numpy(one).to(device)).cpu().numpy() for one in counts.features]


def _check(identity: str, features: str) -> None:
    """Refuse a head that has learnt from other features.

    Raises:
        BadInput: it has.
    """
    if identity != features:
        raise BadInput("a head counts features that this version of scoresim has not; take the head of this version.")


def means_of_pieces(scores: NDArray[np.float64], found: Sequence[Window]) -> NDArray[np.float64]:
    """[P, C] means of what is said of windows, [W, C], which stand piece by piece, at least one of each."""
    of_piece = np.array([window.piece for window in found])
    first = np.searchsorted(of_piece, np.arange(of_piece[-1] + 1))
    return np.asarray(np.add.reduceat(scores, first) / np.bincount(of_piece)[:, None])


def said(taggers: Sequence[Tagger], asked: Windows, inputs: str) -> list[list[Scores]]:
    """Log-probabilities of every window, [1, C], or of its notes, [n, C], by each of some taggers on one reading.

    Args:
        taggers: of one level, and on the same weights.
        asked: windows; of classes, or of notes.
        inputs: "notes", "image" or "both".
    """
    first = taggers[0]

    def read(*batch: Any) -> list[Tensor]:
        notes, image, window = batch
        states, passages = first.read(notes, image)
        return [tagger.judge(states, passages, notes, window) for tagger in taggers]

    device = next(first.parameters()).device
    for tagger in taggers:
        tagger.eval()
    return answers(read, asked, inputs, device)


def answers(
    read: Callable[..., Sequence[Tensor]], asked: Windows, inputs: str, device: torch.device
) -> list[list[Scores]]:
    """What some taggers say of all windows, in the order of the windows.

    Args:
        read: (notes, image, window) -> logits of each tagger.
        asked, inputs: as of `said`.
        device: on which they are asked.
    """
    order = np.argsort(asked.size, kind="stable")
    found: list[dict[int, Scores]] = []
    with torch.inference_mode():
        for start in range(0, len(order), asked.config.batch_size):
            index = order[start : start + asked.config.batch_size]
            batch = asked.gather(index).to(device)
            for k, logits in enumerate(read(*batch.inputs(inputs), batch.window)):
                if k == len(found):
                    found.append({})
                scores = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
                if asked.classes is not None:
                    found[k] |= {int(i): scores[b : b + 1] for b, i in enumerate(index)}
                elif batch.window is not None:
                    window, mask = batch.window.cpu().numpy(), batch.notes.mask.cpu().numpy()
                    found[k] |= {int(i): scores[window == b][mask[window == b]] for b, i in enumerate(index)}
    return [[one[i] for i in range(len(order))] for one in found]


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
        BadInput: a head is damaged, was trained on other weights, or stands on a head that is not there.
    """
    files = {path: head_stands(path) for path in sorted((folder / HEADS).glob("*.safetensors"))}
    bodies = {"": model}
    found = {}
    for path, (digest, on) in sorted(files.items(), key=lambda item: item[1][1] != ""):
        if on not in bodies:
            raise BadInput(f"{path} stands on a head that is not beside it; take all heads from one place.")
        tagger, config = load_head(path, bodies[on], weights)
        merge_low_rank(tagger.sim)
        if config.rank:
            bodies[digest] = tagger.sim
        found[path.stem] = Head(tagger, config, digest if config.rank else on)
        if config.inputs == "both":
            _logger.warning("%s reads notes and pictures together; only heads that read one of them are asked", path)
    return dict(sorted(found.items()))
