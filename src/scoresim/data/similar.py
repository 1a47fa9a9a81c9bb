"""Near-duplicates: which items hold the same music, whatever its key, its engraver, its edition or its performer.

The top line of an item (the highest note of every onset) is read as intervals. `GRAM` successive intervals are one
*shingle*; keys, bar lines, note values, accompaniment and the number of repeats leave a shingle as it is. Two items
are near-duplicates when they share enough shingles that few other items have.

Comparing all pairs would not do for a million passages. So every item is cut into windows where its own shingles say
so (as long as the music is the same, the cuts are the same), every window gets a MinHash signature (Broder 1997; made
by rensa), and items whose windows meet in a bucket of a locality-sensitive hash are candidates (Leskovec, Rajaraman
and Ullman, Mining of Massive Datasets, chapter 3). Candidates are then compared shingle by shingle. What this finds
and misses on known overlaps is measured in docs/duplicates.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRAM = 6  # intervals of a shingle
SPREAD = 0.06  # quarter notes: onsets closer than this are one chord; a 64th note (0.0625) stands for itself
LEAST_INTERVALS = 3  # a shingle of fewer different intervals is a scale, a trill or a repeated note
RADIUS = 8  # shingles: a cut is the smallest hash within this distance
LONGEST = 48  # shingles of a window at most
ROWS, BANDS = 2, 16  # of the signature: windows of Jaccard similarity 0.3 meet with probability 0.78, 0.5 with 0.99
BUCKET = 32  # in a larger bucket each item is compared with its neighbours only
LEAST_OF_LONGER = 0.02  # share of the heavier item: a movement has some of any short tune by chance
COMMON = 16  # a shingle in this many items counts fully; in ten times as many, a tenth
CHUNK = 50_000  # windows that are signed at a time
SEED = 1

Hashes = NDArray[np.uint32]
Longs = NDArray[np.uint64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of an item to compare it with others.

    Attributes:
        shingles: [S] hashes in the order of the music, 4 bytes each; empty for fewer than `GRAM` + 1 onsets.
    """

    shingles: Hashes

    def to_bytes(self) -> bytes:
        """The hashes as little-endian bytes, for a file's metadata."""
        return self.shingles.astype("<u4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """The inverse of `to_bytes`.

        Raises:
            ValueError: the length is not a multiple of four.
        """
        return cls(np.frombuffer(data, dtype="<u4").astype(np.uint32))


def fingerprint(onset: NDArray[np.floating], pitch: NDArray[np.integer]) -> Fingerprint:
    """The fingerprint of an item; the same on every machine.

    Args:
        onset: [N] quarter notes from the beginning of the item, in any order. A performance may give its nominal
            quarter notes (half seconds where the file states no tempo).
        pitch: [N] MIDI pitch, 0-127. Leave out percussion, grace notes and notes tied from before.

    Raises:
        ValueError: the two differ in length.
    """
    if len(onset) != len(pitch):
        raise ValueError(f"{len(onset)} onsets and {len(pitch)} pitches")
    intervals = np.diff(_top_line(np.asarray(onset, np.float64), np.asarray(pitch, np.int64)))
    if len(intervals) < GRAM:
        return Fingerprint(np.zeros(0, np.uint32))
    grams = np.lib.stride_tricks.sliding_window_view(intervals, GRAM)
    distinct = 1 + (np.diff(np.sort(grams, axis=1), axis=1) > 0).sum(axis=1)
    hashes = np.zeros(len(grams), np.uint64)
    for column in (grams + 128).astype(np.uint64).T:
        hashes = _mix(hashes * np.uint64(257) + column)
    return Fingerprint((hashes[distinct >= LEAST_INTERVALS] >> np.uint64(32)).astype(np.uint32))


def _top_line(onset: NDArray[np.float64], pitch: Ints) -> Ints:
    """The highest pitch of every onset, in order; a spread chord is one onset."""
    order = np.lexsort((-pitch, onset))
    onset, pitch = onset[order], pitch[order]
    begins = np.r_[True, np.diff(onset) > SPREAD][: len(onset)]
    return np.maximum.reduceat(pitch, np.flatnonzero(begins)) if len(pitch) else pitch


def _mix(x: Longs) -> Longs:
    """Spread the bits of 64-bit numbers (the finalizer of SplitMix64; Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Longs = x ^ (x >> np.uint64(31))
    return mixed


def window_bounds(shingles: Hashes) -> Ints:
    """Where an item is cut into windows: [W + 1] indices from 0 to S.

    A cut stands where a hash is smaller than all within `RADIUS` before it and not larger than those behind it, so
    that it depends on the music around it only; and `LONGEST` shingles after the last one at the latest.
    """
    n = len(shingles)
    if n == 0:
        return np.zeros(1, np.int64)
    wide = np.pad(shingles.astype(np.int64), RADIUS, constant_values=1 << 40)
    views = np.lib.stride_tricks.sliding_window_view(wide, RADIUS)
    before, after = views[:n].min(axis=1), views[RADIUS + 1 : RADIUS + 1 + n].min(axis=1)
    natural = np.flatnonzero((shingles < before) & (shingles <= after))
    stops = np.unique(np.r_[0, natural, n])
    extra = [np.arange(a + LONGEST, b, LONGEST) for a, b in itertools.pairwise(stops.tolist()) if b - a > LONGEST]
    return np.unique(np.concatenate([stops, *extra])).astype(np.int64)


def near_duplicates(
    prints: Sequence[Fingerprint], threshold: float = 0.2, evidence: float = 12.0
) -> list[tuple[int, int, float]]:
    """The pairs of items that hold the same music.

    Args:
        prints: one fingerprint per item.
        threshold: least weight of the shingles that both items have, as a share of the lighter item, 0 to 1. A
            shingle weighs 1, or less when more than `COMMON` items have it. Of the heavier item they must be
            `LEAST_OF_LONGER`.
        evidence: least weight of them; an item with less than that has no near-duplicates.

    Returns:
        (i, j, share) with i < j, in order.
    """
    unique = [np.unique(p.shingles) for p in prints]
    if not unique:
        return []
    values, number = np.unique(np.concatenate(unique), return_counts=True)
    weight = np.minimum(1.0, COMMON / number)
    total = [float(weight[np.searchsorted(values, u)].sum()) for u in unique]
    found = []
    for i, j in candidates(prints).tolist():
        lighter, heavier = sorted((total[i], total[j]))
        if lighter < evidence:
            continue
        common = np.intersect1d(unique[i], unique[j], assume_unique=True)
        both = float(weight[np.searchsorted(values, common)].sum())
        if both >= max(evidence, threshold * lighter, LEAST_OF_LONGER * heavier):
            found.append((i, j, min(both / lighter, 1.0)))
    return found


def candidates(prints: Sequence[Fingerprint]) -> Ints:
    """[P, 2] pairs of items (i < j, in order) of which two windows meet in a bucket.

    Memory: 4 bytes for each shingle, 4 * `ROWS` * `BANDS` for each window, and what sorting one band takes.
    """
    bounds = [window_bounds(p.shingles) for p in prints]
    owner = np.repeat(np.arange(len(prints)), [len(b) - 1 for b in bounds])
    if len(owner) == 0:
        return np.zeros((0, 2), np.int64)
    signature = np.concatenate(list(_signatures(prints, bounds)))
    keys = [_bucket_pairs(signature[:, ROWS * b : ROWS * (b + 1)], owner, len(prints)) for b in range(BANDS)]
    pairs = np.unique(np.concatenate(keys))
    return np.stack([pairs // len(prints), pairs % len(prints)], axis=1)


def _signatures(prints: Sequence[Fingerprint], bounds: list[Ints]) -> Iterator[Hashes]:
    """[W, ROWS * BANDS] signatures of the windows of all items, some items at a time."""
    from rensa import RMinHash

    tokens: list[Hashes] = []
    lengths: list[Ints] = []
    rows = 0
    for i, (p, b) in enumerate(zip(prints, bounds, strict=True)):
        tokens.append(p.shingles)
        lengths.append(np.diff(b))
        rows += len(b) - 1
        if rows and (rows >= CHUNK or i == len(prints) - 1):
            flat = np.concatenate(tokens).astype(np.uint64)
            offsets = np.r_[0, np.cumsum(np.concatenate(lengths))].astype(np.uint64)
            matrix = RMinHash.digest_matrix_from_flat_token_hashes(_mix(flat), offsets, ROWS * BANDS, SEED)
            yield np.array(matrix.to_rows(), dtype=np.uint32)
            tokens, lengths, rows = [], [], 0


def _bucket_pairs(band: Hashes, owner: Ints, n: int) -> Ints:
    """Pairs of items in the buckets of one band, as i * n + j with i < j."""
    key = np.zeros(len(band), np.uint64)
    for column in band.T:
        key = _mix(key * np.uint64(257) + column.astype(np.uint64))
    order = np.lexsort((owner, key))
    key, item = key[order], owner[order]
    fresh = np.r_[True, (np.diff(key) != 0) | (np.diff(item) != 0)]  # an item counts once in a bucket
    key, item = key[fresh], item[fresh]
    starts = np.flatnonzero(np.r_[True, np.diff(key) != 0])
    size = np.diff(np.r_[starts, len(key)])
    size_of = np.repeat(size, size)
    pairs = []
    for step in range(1, BUCKET):
        first = np.flatnonzero((key[:-step] == key[step:]) & ((size_of[:-step] <= BUCKET) | (step == 1)))
        if len(first) == 0:
            break
        pairs.append(item[first] * n + item[first + step])
    return np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)


def group(n: int, pairs: Sequence[tuple[int, int, float]], largest: int = 64, sure: float = 0.5) -> list[int]:
    """Join items to groups: the connected components of the pairs, kept from growing over a whole corpus.

    The most similar pairs are joined first. A pair that would make a group larger than `largest` is left out unless
    its share is at least `sure`: a chain of weak likenesses (one quotation here, one there) ends, a piece with a
    hundred true copies does not.

    Args:
        n: number of items.
        pairs: (i, j, share) of `near_duplicates`.
        largest: items of a group.
        sure: share from which a pair is always joined.

    Returns:
        For every item the smallest index in its group.
    """
    parent, size = list(range(n)), [1] * n

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j, similarity in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])):
        a, b = sorted((root(i), root(j)))
        if a != b and (size[a] + size[b] <= largest or similarity >= sure):
            parent[b] = a
            size[a] += size[b]
    return [root(i) for i in range(n)]
