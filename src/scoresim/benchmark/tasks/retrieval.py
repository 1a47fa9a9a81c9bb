"""Retrieval: find the notes that belong to an image, and the image that belongs to some notes.

Every held-out passage is read twice, its image alone and its notes alone, and each reading becomes a unit
vector (the embeddings that the contrastive objective SMC aligned). A query is one vector; the pool is all
vectors of the other kind; candidates are ordered by the dot product. The right answer is the one that was cut
from the same bars. Its size is stated, for a rank means nothing without it. There are two kinds of pool, fixed lists
that are written beside the results: passages drawn over all pieces; and, harder, the passages of the query's own piece.
Both are asked with clean images, and with images that look scanned and photographed.

Metrics: R@1, R@5, R@10 (share of queries whose right answer stands in the first k), MRR (mean reciprocal
rank) and the median rank. Equal scores are a tie and count as their expectation over a random order (see
`metrics`); two passages with the very same music are a true tie for no fault of the model, and still count
against it. No query is dropped. Beside them: chance, which is k divided by the size of the pool; and bootleg scores
(`bootleg`), the rule that the field uses, here with the note heads and staff lines of the engraver. Nothing is
trained here, and no passage of a held-out work was seen in pre-training. Intervals are over the works of the
queries, with the pool as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from scoresim.benchmark import bootleg, metrics
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.metrics import Floats, Ints, Score
from scoresim.benchmark.task import Data, Probe, Result, some
from scoresim.data.batches import Passages
from scoresim.data.looks import DegradedSplit, looks
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.files import write_json
from scoresim.model.sim import SIM
from scoresim.training.objectives import embeddings

RECALLS = (1, 5, 10)
INPUTS = "each alone (composer's notation)"
BOXES = "note heads against staff lines, and pitches"
OUTSIDE = -1e6  # score of what does not belong to a query's pool

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True, eq=False)
class Vectors:
    """Embeddings of P passages.

    Attributes:
        images, notes: [P, E] unit vectors.
        works: P names of works.
    """

    images: Floats
    notes: Floats
    works: list[str]


def validate(vectors: Vectors) -> None:
    """Refuse pools in which there is nothing to find.

    Raises:
        BadInput: fewer than two passages, or shapes that do not fit.
    """
    if len(vectors.works) < 2:
        raise BadInput("retrieval needs at least two held-out passages; build a larger data set.")
    if vectors.images.shape != vectors.notes.shape or len(vectors.images) != len(vectors.works):
        raise BadInput("there must be one vector of each kind for every passage.")


def embed(model: SIM, passages: Passages, rows: Ints, batch_size: int) -> tuple[Floats, Floats]:
    """Unit vectors [P, E] of the images and of the notes of some rows, each read alone."""
    images: list[np.ndarray] = []
    notes: list[np.ndarray] = []
    order = rows[np.argsort(passages.size[rows], kind="stable")]
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = passages.gather(order[start : start + batch_size]).to(device)
            of_images, of_notes = embeddings(model, batch)
            images.append(of_images.double().cpu().numpy())
            notes.append(of_notes.double().cpu().numpy())
    back = np.argsort(np.argsort(passages.size[rows], kind="stable"))
    return np.concatenate(images)[back], np.concatenate(notes)[back]


def figures(scores: Floats, works: list[str], seed: int) -> dict[str, Score]:
    """R@k, MRR and median rank of a [P, P] score matrix whose right answers stand on the diagonal."""
    groups, _ = metrics.groups_of(works)
    found = metrics.ranks(scores, np.arange(len(works)))

    def share(values: Floats) -> Score:
        return metrics.with_interval(metrics.sums_by_group(values, groups)[None], metrics.mean, seed)

    out = {f"R@{k}": share(found.recall_at(k)) for k in RECALLS}
    out["MRR"] = share(found.reciprocal)
    out["median rank"] = metrics.median_with_interval(found.expected, groups, seed)
    return out


def evaluate(
    scores: Floats, pool: Pool, works: list[str], seed: int, inputs: str = INPUTS, baseline: str | None = None
) -> list[Result]:
    """All figures in both directions.

    Args:
        scores: [P, P] images (rows) against notes; right answers on the diagonal.
        pool: whose passages these are.
        works: P names.
        seed: of the intervals.
        inputs: what was looked at.
        baseline: name of the rule, None for the model.
    """
    results = []
    for direction, table in (("image to notes", scores), ("notes to image", scores.T)):
        for metric, score in figures(pool.within(table), works, seed).items():
            results.append(Result(pool.what(direction), inputs, metric, score, baseline=baseline))
    return results


@dataclass(frozen=True, eq=False)
class Pool:
    """A fixed list of passages among which is searched.

    Attributes:
        rows: P rows of the part.
        same_piece: [P, P] True for passages of one piece where only those are searched; None where all are.
        look: "none" for clean pictures, "scan" or "photo".
    """

    rows: Ints
    same_piece: np.ndarray | None = None
    look: Literal["none", "scan", "photo"] = "none"

    def within(self, scores: Floats) -> Floats:
        """Scores in which candidates outside of a query's pool stand behind all others."""
        return scores if self.same_piece is None else np.where(self.same_piece, scores, OUTSIDE)

    def what(self, direction: str) -> str:
        """The name of a row."""
        look = "" if self.look == "none" else f" from {self.look}-like images"
        if self.same_piece is None:
            return f"retrieval{look}, {direction}, pool of {len(self.rows)}"
        return f"retrieval within a piece{look}, {direction}, pools of {self.same_piece.sum(1).mean():.1f} on average"


def pools(passages: Passages, most: int, seed: int) -> list[Pool]:
    """The fixed lists: passages drawn over all pieces, and all passages of pieces drawn until there are `most`."""
    drawn = np.array(some(range(len(passages)), most, seed), dtype=np.int64)
    found = [Pool(drawn)]
    piece = passages.piece
    counts = np.bincount(piece)
    rows: list[int] = []
    for number in np.random.default_rng([seed, 1]).permutation(np.flatnonzero(counts > 1)).tolist():
        if len(rows) + counts[number] <= most:
            rows += np.flatnonzero(piece == number).tolist()
    if rows:
        chosen = np.array(sorted(rows), dtype=np.int64)
        found.append(Pool(chosen, piece[chosen][:, None] == piece[chosen][None, :]))
    return found


def ask(model: SIM, data: Data, batches: BatchConfig, config: ProbeConfig) -> list[Result]:
    """Embed the held-out passages and rank them, clean and with each look, over all pieces and within each."""
    if config.notes_only:
        return []
    split = data.split(config.part)
    passages = Passages(split, batches)
    if len(passages) < 2:
        raise BadInput("retrieval needs at least two held-out passages; build a larger data set.")
    works, ids = split.column("work"), split.column("id")
    results: list[Result] = []
    lists: dict[str, list[str]] = {}
    found = pools(passages, config.pool, config.seed)
    if config.looks == "all" and set(split.column("degraded")) == {"none"}:  # others stay as they are
        found += [replace(pool, look=look) for pool in found for look in looks()]
    for pool in found:
        named = [works[i] for i in pool.rows]
        source = split if pool.look == "none" else DegradedSplit(split, pool.look, config.seed)
        images, notes = embed(model, Passages(source, batches), pool.rows, config.batch_size)
        validate(Vectors(images, notes, named))
        results += evaluate(images @ notes.T, pool, named, config.seed)
        if pool.look == "none":
            lists[pool.what("both directions")] = [ids[i] for i in pool.rows]
            chance = np.zeros((len(named), len(named)))
            results += evaluate(chance, pool, named, config.seed, "nothing", "chance")
            rule = bootleg.scores([split[int(i)] for i in pool.rows])
            results += evaluate(rule, pool, named, config.seed, BOXES, "bootleg score")
    if config.lists is not None:
        write_json(Path(config.lists) / "retrieval-pools.json", lists)
    return results


TASK = Probe(
    name="retrieval",
    question="Which notes belong to this image, and which image to these notes?",
    ask=ask,
)
