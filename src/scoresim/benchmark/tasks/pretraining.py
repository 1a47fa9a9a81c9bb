"""The pre-training tasks, asked on works that were never seen: what did the model learn?

**Hidden attributes (MBAM).** In every passage one bar is chosen (seeded, the same for every model). Then, one
attribute at a time, that attribute is hidden for all notes of that bar and nothing else is: the model sees
the other attributes, the other bars and, where the row says so, the image. Where bar or position are hidden,
the time of the notes is hidden too, for it would tell them. The figure is the share of notes whose value was
guessed exactly. Beside it:

- the same model without the image, which says what the image is worth;
- the most frequent value of the training part;
- the most frequent value of the hidden bar itself, which is told to this rule and to no model. Where it is
  nearly 1 (tempo, time signature), the attribute does not vary inside a bar.

**Matching (SMM).** Every held-out image is shown with its own notes, with the notes of a passage of another
piece, where its piece has one with the notes of another passage of the same piece, and with its own notes of which
one bar is altered (one pitch, the rhythm, or the whole bar transposed; seeded, the same for every model). Passages
with the very same notes never serve as false ones. How far an alteration is heard in the notes alone is asked with the
image of another piece: the share of passages whose altered notes seem less likely to belong to it than the untouched
ones, one half if nothing is heard. Shares of right decisions are given by grade; for a false grade,
"accuracy" is the mean of its share and of the share for the matched pairs, so that a model that always says
yes gets one half. "All" are the grades with notes of other passages.

**Grounding.** From the joint reading the notes of each bar point to image cells. Figures: the share of bars whose
highest cell stands in the engraver's box of the bar, and the mean intersection over union of the cells with at least
half of the highest probability and the cells in the box. Beside them: pointing at random; and a rule without any
learning, which points to the cell nearest to where an engraver would put the bar's notes along the line (`spacing`).
Only a model that was trained to point can do it.

Pitch, duration, matching and grounding are asked once more of the same passages with scan-like and photo-like images.

Intervals are over works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from scoresim.benchmark import metrics
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.metrics import Floats, Ints, Score
from scoresim.benchmark.task import Data, Probe, Result, some
from scoresim.data.alter import KINDS
from scoresim.data.batches import Batch, Passages
from scoresim.data.looks import DegradedSplit, looks
from scoresim.data.rows import BatchConfig
from scoresim.data.shards import Split
from scoresim.errors import BadInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM
from scoresim.score.tokens import ATTRIBUTES, MASK, default_vocabulary
from scoresim.training.masking import hidden_time
from scoresim.training.objectives import asked_bars, pointed, pointing_figures

WITH_IMAGE = "both (composer's notation)"
MOST_TRAIN = 1000
GRADES = ("another piece", "another passage of the same piece")
ALTERED, MATCHED = "one bar altered", "matched pairs"
LOOKED_AT = ("pitch", "duration")  # attributes that are asked of every look


def chosen_bar(pair_id: str, bars: Ints, seed: int) -> int:
    """One of the bars that hold notes, by the passage's name and the seed: the same for every model.

    Args:
        pair_id: name of the passage.
        bars: [N] bar of each note.
        seed: another seed chooses other bars.
    """
    digest = hashlib.sha256(f"{seed} {pair_id}".encode()).digest()
    held = np.unique(bars)
    return int(held[int.from_bytes(digest[:8], "big") % len(held)])


def hide_one(batch: Batch, bar: Tensor, attribute: int) -> tuple[Batch, Tensor]:
    """Hide one attribute of one bar per passage.

    Args:
        batch: B passages.
        bar: [B] the bar of each.
        attribute: index into `ATTRIBUTES`.

    Returns:
        What the model is shown, and [B, N] bool, the notes that are asked.
    """
    asked = (batch.bar == bar[:, None]) & batch.notes.mask
    ids = batch.notes.ids.clone()
    ids[..., attribute][asked] = MASK
    gone = torch.zeros_like(ids, dtype=torch.bool)
    gone[..., attribute] = asked
    shown = batch.notes._replace(ids=ids, time=hidden_time(batch.notes, gone))
    return replace(batch, notes=shown), asked


def guess(model: SIM, shown: Batch, asked: Tensor, attribute: int, image: bool) -> Tensor:
    """[K] guessed ids of the asked notes, in the order of rows and notes."""
    states = model(shown.notes, shown.image if image else None).notes
    if states is None:
        raise BadInput("the model returned no states for notes.")
    return model.one_attribute_logits(model.said(states[asked]), attribute).argmax(-1)


def hidden_attributes(
    model: SIM,
    passages: Passages,
    rows: Ints,
    majority: Ints | None,
    config: ProbeConfig,
    names: Sequence[str] = ATTRIBUTES,
) -> list[Result]:
    """Accuracy of attributes, with and without the image, beside both most-frequent-value rules.

    Args:
        majority: [8] the most frequent id of each attribute in the training part; None leaves out the rules, and what
            the notes say alone.
        names: the attributes that are asked.
    """
    ids = passages.source.column("id")
    works, _ = metrics.groups_of([passages.source.column("work")[i] for i in rows])
    work_of = dict(zip(rows.tolist(), works.tolist(), strict=True))
    kinds = ("notes",) if config.notes_only else ("both",) if majority is None else ("both", "notes")
    rules = () if config.notes_only or majority is None else ("corpus", "bar")
    asked_for = [ATTRIBUTES.index(name) for name in names]
    sums = {key: np.zeros((len(ATTRIBUTES), works.max() + 1, 2)) for key in (*kinds, *rules)}
    for batch in _batches(passages, rows, config.batch_size, _device(model)):
        held = [batch.bar[b][batch.notes.mask[b]].cpu().numpy() for b in range(len(batch))]
        index = batch.index.tolist()
        bars = [chosen_bar(ids[i], held[b], config.seed) for b, i in enumerate(index)]
        target = torch.tensor(bars, device=batch.bar.device)
        for k in asked_for:
            shown, asked = hide_one(batch, target, k)
            truth = batch.notes.ids[..., k][asked].cpu().numpy()
            row = asked.nonzero()[:, 0].cpu().numpy()
            right = {}
            for kind in kinds:
                right[kind] = guess(model, shown, asked, k, kind == "both").cpu().numpy() == truth
            if rules and majority is not None:
                right["corpus"] = truth == majority[k]
                right["bar"] = _is_mode(truth, row)
            group = np.array([work_of[i] for i in index])[row]
            for key, hits in right.items():
                np.add.at(sums[key][k], group, np.stack([hits, np.ones(len(hits))], axis=1))
    inputs = {"both": WITH_IMAGE, "notes": "notes", "corpus": "nothing", "bar": "nothing"}
    rule = {"corpus": "most frequent value of the corpus", "bar": "most frequent value of the bar, told"}
    return [
        Result(
            f"hidden {ATTRIBUTES[k].replace('_', ' ')}",
            inputs[key],
            "accuracy",
            _score(table[k], config.seed),
            rule.get(key),
        )
        for k in asked_for
        for key, table in sums.items()
    ]


def match_logits(
    model: SIM, passages: Passages, rows: Ints, config: ProbeConfig
) -> tuple[dict[str, tuple[Ints, Floats]], Ints]:
    """What the model says of matched pairs and of false ones, by grade.

    Args:
        model, passages: as of `ask`.
        rows: [R] passages whose images are asked.

    Returns:
        MATCHED or a grade -> [K] which of the rows have such a partner, and [K] logits; [R] how the notes of
        each row are altered (an index of KINDS), -1 where they cannot be.
    """
    said = {MATCHED: (np.arange(len(rows)), _decisions(model, passages, rows, rows, config))}
    for grade, other in zip(GRADES, false_notes(passages, rows, config.seed), strict=True):
        there = np.flatnonzero(other >= 0)
        if len(there):
            said[grade] = there, _decisions(model, passages, rows[there], other[there], config)
    logits, kind = _altered_decisions(model, passages, rows, rows, config)
    if (altered := np.flatnonzero(kind >= 0)).size:
        said[ALTERED] = altered, logits[altered]
    return said, kind


def matching(model: SIM, passages: Passages, rows: Ints, config: ProbeConfig) -> list[Result]:
    """Right decisions on matched pairs and on false ones, by grade."""
    column = passages.source.column("work")
    works, groups = metrics.groups_of([column[i] for i in rows])
    said, kind = match_logits(model, passages, rows, config)
    table = {
        name: _sums((logits > 0) == (name == MATCHED), works[there], groups) for name, (there, logits) in said.items()
    }
    if ALTERED in said:
        there, logits = said[ALTERED]
        for i, name in enumerate(KINDS):
            if (of_kind := kind[there] == i).any():
                table[f"{ALTERED}: {name}"] = _sums(logits[of_kind] <= 0, works[there[of_kind]], groups)
    others = [table[grade] for grade in GRADES if grade in table]
    results = [
        Result(f"matching: {name}", WITH_IMAGE, "share right", _score(sums, config.seed))
        for name, sums in table.items()
    ]
    results += heard_alone(model, passages, rows[kind >= 0], works[kind >= 0], config)
    false = {"all": others} | {name: [sums] for name, sums in table.items() if name != MATCHED}
    for name, parts in false.items():
        if parts:
            stacked = np.concatenate([table[MATCHED], *parts], axis=1)
            score = metrics.with_interval(stacked[None], _balanced, config.seed)
            results.append(Result(f"matching: {name}", WITH_IMAGE, "accuracy", score))
    return results


def heard_alone(model: SIM, passages: Passages, rows: Ints, works: Ints, config: ProbeConfig) -> list[Result]:
    """How far an alteration is heard in the notes alone: beside an image of another piece, which says nothing."""
    away = false_notes(passages, rows, config.seed)[0] if len(rows) else rows
    there = away >= 0
    if not there.any():
        return []
    altered, _ = _altered_decisions(model, passages, rows[there], away[there], config)
    plain = _decisions(model, passages, away[there], rows[there], config)
    sums = _sums((altered < plain) + 0.5 * (altered == plain), works[there], int(works.max()) + 1)
    what = f"matching: {ALTERED}, heard in the notes alone"
    return [Result(what, "notes", "share right", _score(sums, config.seed))]


def grounding(model: SIM, passages: Passages, rows: Ints, config: ProbeConfig) -> list[Result]:
    """Share of bars that are found on the image, beside chance, and the overlap of what is marked."""
    column = passages.source.column("work")
    works, groups = metrics.groups_of([column[i] for i in rows])
    work_of = dict(zip(rows.tolist(), works.tolist(), strict=True))
    sums = {name: np.zeros((groups, 2)) for name in ("peak in the bar", "IoU", "chance", "spacing")}
    for batch in _batches(passages, rows, config.batch_size, _device(model)):
        bars = asked_bars(batch)
        logits = pointed(model, model(batch.notes, batch.image), batch, bars)
        group = np.array([work_of[i] for i in batch.index.tolist()])[bars.row.cpu().numpy()]
        nearest = bars.right.gather(1, nearest_cells(batch)[:, None])[:, 0]
        for table, values in zip(sums.values(), (*pointing_figures(logits, bars.right), nearest), strict=True):
            figures = values.double().cpu().numpy()
            np.add.at(table, group, np.stack([figures, np.ones(len(figures))], axis=1))
    peak, iou, chance, spacing = (_score(table, config.seed) for table in sums.values())
    return [
        Result("grounding of bars", WITH_IMAGE, "share right", peak),
        Result("grounding of bars", WITH_IMAGE, "IoU", iou),
        Result("grounding of bars", "nothing", "share right", chance, "chance"),
        Result("grounding of bars", WITH_IMAGE, "share right", spacing, "an engraver's spacing"),
    ]


def nearest_cells(batch: Batch) -> Tensor:
    """[K] the image cell whose place is nearest to the mean place of the notes of each bar; bars as in `asked_bars`."""
    bars = torch.arange(int(batch.bar.max()) + 1, device=batch.bar.device)
    member = batch.bar[:, None, :] == bars[None, :, None]
    time = (member * batch.notes.time[:, None, :]).sum(-1) / member.sum(-1).clamp(min=1)
    distance = (batch.image.place[:, None, :, 1] - time[..., None]).abs()
    asked = member.any(-1) & (batch.cell_bar[:, None, :] == bars[None, :, None]).any(-1)
    return distance.masked_fill(~batch.image.mask[:, None], torch.inf)[asked].argmin(-1)


def false_notes(passages: Passages, rows: Ints, seed: int) -> tuple[Ints, Ints]:
    """For every row, a row of another piece, and another of the same piece with other notes; -1 is none."""
    draw = np.random.default_rng([seed, len(rows)])
    prints = {int(i): passages.source[int(i)].notes.tobytes() for i in rows}
    piece = passages.piece[rows]
    away, near = np.full(len(rows), -1), np.full(len(rows), -1)
    for n, i in enumerate(rows.tolist()):
        for out, pool in ((away, rows[piece != piece[n]]), (near, rows[(piece == piece[n]) & (rows != i)])):
            for candidate in draw.permutation(pool)[:8].tolist():
                if prints[candidate] != prints[i]:
                    out[n] = candidate
                    break
    return away, near


def most_frequent(train: Split, sizes: tuple[int, ...], seed: int) -> Ints:
    """[8] most frequent id of each attribute in (at most 1,000 seeded passages of) the training part."""
    counts = [np.zeros(size, dtype=np.int64) for size in sizes]
    for i in some(range(len(train)), MOST_TRAIN, seed):
        ids = train[i].notes
        for k, count in enumerate(counts):
            count += np.bincount(ids[:, k], minlength=len(count))
    return np.array([count.argmax() for count in counts])


def ask(model: SIM, data: Data, batches: BatchConfig, config: ProbeConfig) -> list[Result]:
    """The pre-training tasks on held-out passages."""
    split = data.split(config.part)
    passages = Passages(split, batches)
    if not len(passages):
        raise BadInput(f"the data set has no {config.part} part; build a larger one.")
    rows = np.array(some(range(len(passages)), config.passages, config.seed), dtype=np.int64)
    majority = most_frequent(data.split("train"), model.vocabulary_sizes, config.seed)
    model.eval()
    with torch.inference_mode():
        results = hidden_attributes(model, passages, rows, majority, config)
        if config.notes_only:
            return results
        results += matching(model, passages, rows, config) + grounding(model, passages, rows, config)
        clean = set(split.column("degraded")) == {"none"}  # other pictures stay as they are
        for look in looks() if config.looks == "all" and clean else ():
            shown = Passages(DegradedSplit(split, look, config.seed), batches)
            found = hidden_attributes(model, shown, rows, None, config, LOOKED_AT)
            found += matching(model, shown, rows, config) + grounding(model, shown, rows, config)
            results += [
                replace(result, what=f"{result.what}, {look}-like images")
                for result in found
                if result.inputs == WITH_IMAGE and result.baseline is None
            ]
        return results


def _decisions(model: SIM, passages: Passages, images: Ints, notes: Ints, config: ProbeConfig) -> Floats:
    """[R] match logits of the images of some rows with the notes of others."""
    order = np.argsort(passages.size[images], kind="stable")
    out = np.zeros(len(images))
    for start in range(0, len(order), config.batch_size):
        at = order[start : start + config.batch_size]
        image = passages.gather(images[at]).to(_device(model)).image
        given = passages.gather(notes[at]).to(_device(model)).notes
        out[at] = model.match_logit(model(given, image), given, image).double().cpu().numpy()
    return out


def _altered_decisions(
    model: SIM, passages: Passages, rows: Ints, images: Ints, config: ProbeConfig
) -> tuple[Floats, Ints]:
    """[R] match logits of images with the notes of rows, of which one bar is altered; [R] how, -1 for not at all."""
    order = np.argsort(passages.size[rows], kind="stable")
    logits, kind = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(order), config.batch_size):
        at = order[start : start + config.batch_size]
        image = passages.gather(images[at]).to(_device(model)).image
        altered, how = passages.altered(rows[at], default_vocabulary(), (config.seed,))
        notes = NoteInput(*(tensor.to(_device(model)) for tensor in altered))
        logits[at] = model.match_logit(model(notes, image), notes, image).double().cpu().numpy()
        kind[at] = how.numpy()
    return logits, kind


def _batches(passages: Passages, rows: Ints, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Some rows in batches of like size."""
    order = rows[np.argsort(passages.size[rows], kind="stable")]
    for start in range(0, len(order), batch_size):
        yield passages.gather(order[start : start + batch_size]).to(device)


def _device(model: SIM) -> torch.device:
    return next(model.parameters()).device


def _is_mode(truth: Ints, row: Ints) -> np.ndarray:
    """[K] whether each value is the most frequent one of its row (the smallest of several)."""
    out = np.zeros(len(truth), dtype=bool)
    for r in np.unique(row):
        here = row == r
        values, counts = np.unique(truth[here], return_counts=True)
        out[here] = truth[here] == values[counts.argmax()]
    return out


def _sums(right: np.ndarray, works: Ints, groups: int) -> Floats:
    table = np.zeros((groups, 2))
    np.add.at(table, works, np.stack([right, np.ones(len(right))], axis=1))
    return table


def _score(sums: Floats, seed: int) -> Score:
    return metrics.with_interval(sums[None], metrics.mean, seed)


def _balanced(table: Floats) -> Floats:
    """Mean of the share for matched pairs and of the mean share of the false grades, from their sums."""
    parts = table.reshape(*table.shape[:-1], -1, 2)
    shares = metrics.mean(parts)
    there = parts[..., 1] > 0  # a resample may hold no pair of a grade
    false = shares[..., 1:].sum(-1) / np.maximum(there[..., 1:].sum(-1), 1)
    kinds = there[..., 0] + there[..., 1:].any(-1).astype(int)
    return np.asarray((shares[..., 0] + false) / np.maximum(kinds, 1))


TASK = Probe(
    name="pretraining",
    question="What hides in this bar, and does this image belong to these notes?",
    ask=ask,
)
