"""Retrieval: find the notes that belong to an image, and the image that belongs to some notes.

Every held-out passage is read twice, its image alone and its notes alone, and each reading becomes a unit
vector (the embeddings that the contrastive objective SMC aligned). A query is one vector; the pool is all
vectors of the other kind; candidates are ordered by the dot product. The right answer is the one that was cut
from the same bars. The pool holds other passages of the same piece, which are the hard ones, and its size is
stated, for a rank means nothing without it.

Metrics: R@1, R@5, R@10 (share of queries whose right answer stands in the first k), MRR (mean reciprocal
rank) and the median rank. Equal scores are a tie and count as their expectation over a random order (see
`metrics`); two passages with the very same music are a true tie for no fault of the model, and still count
against it. No query is dropped. Beside them: chance, which is k divided by the size of the pool. Nothing is
trained here, and no passage of a held-out work was seen in pre-training. Intervals are over the works of the
queries, with the pool as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from scoresim.benchmark import metrics
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.metrics import Floats, Ints, Score
from scoresim.benchmark.task import Data, Probe, Result, some
from scoresim.data.batches import Passages
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.model.sim import SIM

RECALLS = (1, 5, 10)
INPUTS = "each alone (composer's notation)"


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
            images.append(model.embed_image(model(None, batch.image)).double().cpu().numpy())
            notes.append(model.embed_notes(model(batch.notes, None)).double().cpu().numpy())
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


def evaluate(vectors: Vectors, seed: int) -> list[Result]:
    """All figures in both directions, beside chance."""
    validate(vectors)
    pool = len(vectors.works)
    results = []
    scores = vectors.images @ vectors.notes.T
    for direction, table in (("image to notes", scores), ("notes to image", scores.T)):
        what = f"retrieval, {direction}, pool of {pool}"
        for metric, score in figures(table, vectors.works, seed).items():
            results.append(Result(what, INPUTS, metric, score))
        for metric, score in figures(np.zeros((pool, pool)), vectors.works, seed).items():
            results.append(Result(what, "nothing", metric, score, baseline="chance"))
    return results


def ask(model: SIM, data: Data, batches: BatchConfig, config: ProbeConfig) -> list[Result]:
    """Embed the held-out passages and rank them."""
    if config.notes_only:
        return []
    passages = Passages(data.split("test"), batches)
    rows = np.array(some(range(len(passages)), config.pool, config.seed), dtype=np.int64)
    if len(rows) < 2:
        raise BadInput("retrieval needs at least two held-out passages; build a larger data set.")
    images, notes = embed(model, passages, rows, config.batch_size)
    works = passages.source.column("work")
    return evaluate(Vectors(images, notes, [works[i] for i in rows]), config.seed)


TASK = Probe(
    name="retrieval",
    question="Which notes belong to this image, and which image to these notes?",
    ask=ask,
)
