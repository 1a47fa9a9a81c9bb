"""Is a data set what it says it is? Recompute everything that can be recomputed."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from scoresim.data.harmonize import read_sampling
from scoresim.data.pair import Pair, from_row
from scoresim.data.shards import PairSet, manifest_of, parquet, schema
from scoresim.data.shards import open as open_pairs
from scoresim.errors import ScoresimError
from scoresim.files import Place, sha256
from scoresim.progress import Progress
from scoresim.score.notes import spelled_pitch
from scoresim.score.sandbox import Failure, run_all
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, Vocabulary

MAX_REPORTED = 20  # problems of one kind
SHARD_SECONDS = 3600.0  # after which a shard is given up
# Least share of ink (0-1) in the box of a drawn note head. Of 16,614 heads of 603 pictures the palest had .43 on clean
# pictures, .62 on scan-like and .29 on photo-like ones.
HEAD_INK, DEGRADED_HEAD_INK = 0.30, 0.20
BLOCK = 6  # staff spaces: the paper of a degraded picture is judged in squares of this size


@dataclass(frozen=True)
class _Check:
    """What a worker needs to check one shard."""

    path: Place
    shard: dict[str, Any]
    split: str
    vocabulary: Vocabulary


@dataclass
class _Found:
    """What was found in one shard: its problems, a pair of every work in it, and all ids."""

    problems: list[str]
    works: dict[str, str]
    ids: list[str]


def verify(folder: Place | str, workers: int = 2) -> list[str]:
    """Check a data set: shards against their checksums, pictures against notes, parts against each other.

    Args:
        folder: the data set, or its address.
        workers: number of processes; each takes a shard.

    Returns:
        One sentence per problem (at most 20 per shard); empty when all is well.

    Raises:
        BadInput: there is no data set, or its manifest is damaged.
    """
    with manifest_of(folder):
        return _problems(folder, open_pairs(folder), workers)


def _problems(folder: Place | str, pairs: PairSet, workers: int) -> list[str]:
    """See `verify`."""
    manifest = pairs.manifest
    problems: list[str] = []
    try:
        vocabulary = Vocabulary.from_json(manifest["vocabulary"])
    except (KeyError, ValueError) as error:
        return [f"{folder}/manifest.json has no usable vocabulary ({error})."]
    if vocabulary.hash != manifest.get("vocabulary_hash"):
        problems.append("the vocabulary in manifest.json does not have the hash that stands beside it.")
    works: dict[str, dict[str, str]] = {}
    ids: Counter[str] = Counter()
    checks = [
        _Check(pairs.folder / shard["name"], shard, split, vocabulary)
        for split, shards in manifest["shards"].items()
        for shard in shards
    ]
    outcomes: dict[int, _Found | Failure] = {}
    with Progress("Verifying pairs", sum(check.shard["rows"] for check in checks), "pairs") as progress:
        for i, outcome in run_all(_check_shard, checks, workers, SHARD_SECONDS):
            outcomes[i] = outcome
            progress.advance(checks[i].shard["rows"])
    for i, check in enumerate(checks):  # in the order of the manifest, whichever shard was done first
        found = outcomes[i]
        if isinstance(found, Failure):
            problems.append(f"{check.path} cannot be checked: {found.reason}.")
            continue
        problems += found.problems[:MAX_REPORTED]
        if len(found.problems) > MAX_REPORTED:
            problems.append(f"{check.path.name}: and {len(found.problems) - MAX_REPORTED} more problems.")
        for work, name in found.works.items():
            works.setdefault(work, {}).setdefault(check.split, name)
        ids.update(found.ids)
    for split, stated in manifest["pairs"].items():
        held = sum(shard["rows"] for shard in manifest["shards"].get(split, []))
        if held != stated:
            problems.append(f"manifest.json counts {stated} pairs in {split}; its shards hold {held}.")
    for work, places in sorted(works.items()):
        if len(places) > 1:
            where = " and ".join(f"{split} ({pair})" for split, pair in sorted(places.items()))
            problems.append(f"the work {work} stands in several parts: {where}.")
    problems += [f"the pair {name} stands {count} times in the set." for name, count in ids.items() if count > 1]
    for a, b, share in manifest.get("groups", {}).get("merged_works", []):
        parts = {*works.get(a, {}), *works.get(b, {})}
        if len(parts) > 1:
            problems.append(f"the works {a} and {b} hold the same music (share {share}) in different parts.")
    return problems or _check_sampling(pairs)


def _check_sampling(pairs: PairSet) -> list[str]:
    """The sampling weights name the passages of every part, and are usable as weights."""
    problems = []
    for split in pairs.manifest["shards"]:
        try:
            weight = read_sampling(pairs.folder, split, pairs.split(split).column("id"))
        except ScoresimError as error:
            problems.append(str(error))
            continue
        if not np.isfinite(weight).all() or (weight < 0).any() or (len(weight) and abs(weight.mean() - 1) > 1e-6):
            problems.append(f"sampling.parquet has weights for {split} that are negative or do not average 1.")
    return problems


def _check_shard(check: _Check) -> _Found:
    """All problems of one shard, and its works and pair ids; runs in a worker process."""
    path, shard, problems = check.path, check.shard, list[str]()
    found = _Found(problems, {}, [])
    if not path.is_file():
        problems.append(f"{path} is missing.")
        return found
    if sha256(path) != shard["sha256"]:
        problems.append(f"{path} is not the file that was written: its SHA-256 differs from the manifest.")
    try:
        file = parquet(path)
        if not file.schema_arrow.equals(schema()):
            problems.append(f"{path} does not have the columns of a shard.")
            return found
        if file.metadata.num_rows != shard["rows"]:
            problems.append(f"{path} has {file.metadata.num_rows} rows, the manifest says {shard['rows']}.")
        for group in range(file.metadata.num_row_groups):
            for row in file.read_row_group(group).to_pylist():
                found.works.setdefault(row["work"], row["id"])
                found.ids.append(row["id"])
                try:
                    faults = check_pair(from_row(row), check.split, check.vocabulary)
                    problems += [f"{path.name}: {row['id']}: {fault}" for fault in faults]
                except (ValueError, TypeError, ArithmeticError, LookupError, ScoresimError) as error:
                    problems.append(f"{path.name}: {row['id']}: its fields do not fit together ({error}).")
    except (OSError, pa.ArrowException) as error:
        problems.append(f"{path} is damaged and cannot be read: {error}.")
    return found


def check_pair(pair: Pair, split: str, vocabulary: Vocabulary) -> list[str]:
    """Do the picture and the notes of one pair still agree?

    Checks that the picture has its stated size, that every token has a drawn head and every head a token, that every
    head stands on ink, that tokens are in order and in the vocabulary, and that their times are the exact ones.

    Returns:
        One phrase per problem.
    """
    problems = []
    if pair.split != split:
        problems.append(f"it says it belongs to {pair.split}, but stands in {split}")
    n = len(pair.notes)
    per_note = (
        pair.bar_of_note,
        pair.onset,
        pair.staff,
        pair.voice,
        pair.spelling,
        pair.onset_exact,
        pair.duration_exact,
    )
    if any(len(column) != n for column in per_note) or len(pair.bar_boxes) != pair.n_bars:
        return [*problems, "its note or bar columns have different lengths"]
    try:
        image = np.asarray(Image.open(io.BytesIO(pair.image), formats=["PNG"]).convert("L"))
    except (OSError, ValueError, Image.DecompressionBombError):
        return [*problems, "its picture cannot be decoded"]
    if image.shape != (pair.height, pair.width):
        problems.append(f"its picture is {image.shape[1]} x {image.shape[0]} pixels, not {pair.width} x {pair.height}")
    edge = np.array([pair.width, pair.height, pair.width, pair.height]) + 0.5
    for name, boxes in (("bar", pair.bar_boxes), ("staff", pair.staff_boxes[:, 2:]), ("text", pair.text_boxes)):
        if (boxes < -0.5).any() or (boxes > edge).any() or (boxes[:, 2:] < boxes[:, :2]).any():
            problems.append(f"a {name} box is not on its picture")
    if pair.length <= 0 or pair.staff.max(initial=1) > pair.n_staves or pair.staff.min(initial=1) < 1:
        problems.append("its length or its staves make no sense")
    if set(pair.heads[:, 0].astype(int).tolist()) != set(range(n)):
        problems.append("its drawn heads and its notes do not correspond one to one")
    clean = pair.degraded == "none"
    ink = head_ink(image if clean else on_white(image, pair.staff_space), pair.heads[:, 1:])
    bare = int((ink < (HEAD_INK if clean else DEGRADED_HEAD_INK)).sum())
    if bare:
        problems.append(f"{bare} of its {len(pair.heads)} note heads are not on the picture; the picture was changed")
    return problems + _check_tokens(pair, vocabulary)


def on_white(image: NDArray[np.uint8], space: float) -> NDArray[np.uint8]:
    """A picture ([h, w] grey) with its paper, judged square by square, lifted to white."""
    side = max(round(BLOCK * space), 1)
    down, across = -(-image.shape[0] // side), -(-image.shape[1] // side)
    padded = np.pad(image, ((0, down * side - image.shape[0]), (0, across * side - image.shape[1])), mode="edge")
    squares = padded.reshape(down, side, across, side).swapaxes(1, 2).reshape(down, across, -1)
    level = np.maximum(np.percentile(squares, 90, axis=2), 1).astype(np.uint8)
    paper = Image.fromarray(level).resize(padded.shape[::-1], Image.Resampling.BILINEAR)
    lifted = padded.astype(np.float32) * 255 / np.asarray(paper, dtype=np.float32)
    return np.minimum(lifted, 255).astype(np.uint8)[: image.shape[0], : image.shape[1]]


def head_ink(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of ink, 0 to 1, in boxes ([K, 4] x0, y0, x1, y1 in pixels) of a grey picture; 0 outside of it."""
    dark = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.cumsum(255 - image, axis=0, dtype=np.int64), axis=1, out=dark[1:, 1:])
    x = np.clip(np.round(boxes[:, [0, 2]]).astype(int), 0, image.shape[1])
    y = np.clip(np.round(boxes[:, [1, 3]]).astype(int), 0, image.shape[0])
    total = dark[y[:, 1], x[:, 1]] - dark[y[:, 0], x[:, 1]] - dark[y[:, 1], x[:, 0]] + dark[y[:, 0], x[:, 0]]
    area = (x[:, 1] - x[:, 0]) * (y[:, 1] - y[:, 0])
    return np.asarray(total / (255.0 * np.maximum(area, 1)))


def _check_tokens(pair: Pair, vocabulary: Vocabulary) -> list[str]:
    problems = []
    ids = pair.notes
    if (ids < FIRST).any() or (ids >= np.array(vocabulary.sizes)).any():
        return ["a token is not in the vocabulary"]
    order = [tuple(row) for row in ids[:, [0, 1, 2]].tolist()]
    if order != sorted(order):
        problems.append("its tokens are not in the order of bar, position and pitch")
    if (ids[:, 0] - FIRST != pair.bar_of_note % vocabulary.bars).any() or pair.bar_of_note.max(
        initial=0
    ) >= pair.n_bars:
        problems.append("its tokens do not count the bars of the passage")
    problems += _check_music(pair, vocabulary)
    durations = np.array(vocabulary.durations)[ids[:, ATTRIBUTES.index("duration")] - FIRST]
    for i, (onset, duration) in enumerate(zip(pair.onset_exact, pair.duration_exact, strict=True)):
        exact = Fraction(duration) * GRID
        nearest = min(max(exact, Fraction(1)), Fraction(vocabulary.durations[-1]))
        if abs(durations[i] - nearest) > max(1, nearest / 8) or abs(float(Fraction(onset)) - pair.onset[i]) > 1e-3:
            problems.append(f"note {i} does not have the onset and duration that stand beside it")
            break
    return problems


def _check_music(pair: Pair, vocabulary: Vocabulary) -> list[str]:
    """Pitches against spellings (a staff may transpose, by one interval), positions against exact onsets."""
    pitch = pair.notes[:, ATTRIBUTES.index("pitch")] - FIRST
    position = pair.notes[:, ATTRIBUTES.index("position")] - FIRST
    onset = [Fraction(text) * GRID for text in pair.onset_exact]
    intervals: dict[int, int] = {}
    starts: dict[int, Fraction] = {}
    for i, (bar, staff) in enumerate(zip(pair.bar_of_note.tolist(), pair.staff.tolist(), strict=True)):
        written = spelled_pitch(pair.spelling[i])
        if written is not None and intervals.setdefault(staff, int(pitch[i]) - written) != int(pitch[i]) - written:
            return [f"note {i} does not sound as it is spelled"]
        if abs(onset[i] - int(position[i]) - starts.setdefault(bar, onset[i] - int(position[i]))) > 1:
            return [f"note {i} does not stand in its bar where its onset does"]
    return []
