"""N-grams of a stretch of music, counted in buckets: which turns a composer takes, as words tell who wrote a text.

Thirteen streams of symbols, most of them one symbol for every onset: steps of the highest and of the lowest beginning
pitch, with and without rhythm; times to the next onset, with and without the length of the top note; the chord that is
struck, as intervals above its lowest pitch, with and without rhythm; the pitch classes that sound above the lowest,
with and without its step. And one for every note: pitch, pitch with length, place in the bar, velocity. Of each, all
runs of up to five symbols. A run has a bucket by its hash (Weinberger et al., "Feature hashing for large scale
multitask learning", ICML 2009), so that no vocabulary has to be kept; runs that share one are counted together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoresim.data.pair import Pair
from scoresim.data.seen import EDGE, PITCHES, POSITION, VELOCITY, read, tables
from scoresim.model.counted import BUCKETS
from scoresim.score.tokens import Vocabulary

N_GRAMS = f"n-grams of 13 streams in {BUCKETS} buckets, 1"  # whoever changes what is counted changes this
TIMES = (0.2, 0.3, 0.4, 0.6, 0.9, 1.5, 2.5)  # quarter notes: edges between kinds of length, and of time to the next
LEAP = 13  # semitones: a step that is as large or larger

Hashes = NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio
_DOWN = np.uint64(29)


def count_ngrams(pair: Pair, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """[BUCKETS] how many n-grams of some notes fall in each bucket.

    Args:
        pair: at least one note (see `data.seen.seen`).
        vocabulary: of the tokens.
    """
    runs = []
    for number, (longest, columns) in enumerate(_streams(pair, vocabulary), 1):
        symbol = np.full(len(columns[0]), number, dtype=np.uint64)
        for column in columns:
            symbol = _mixed(symbol, column)
        run = np.full(len(symbol), 76 + number, dtype=np.uint64)
        for n in range(1, min(longest, len(symbol)) + 1):
            run = _mixed(run[: len(symbol) - n + 1], symbol[n - 1 :])
            runs.append(_mixed(run, np.full(1, n)))
    bucket = (np.concatenate(runs) % np.uint64(BUCKETS)).astype(np.int64)
    return np.bincount(bucket, minlength=BUCKETS).astype(np.float32)


def _mixed(state: Hashes, more: NDArray[np.integer]) -> Hashes:
    """[N] hashes of what was hashed to a state and of what comes after it."""
    out = (state ^ more.astype(np.uint64)) * _ODD
    return np.asarray(out ^ (out >> _DOWN))


def _streams(pair: Pair, vocabulary: Vocabulary) -> list[tuple[int, tuple[NDArray[np.integer], ...]]]:
    """Longest run and columns of every stream, in an order that may not change; what makes a symbol stands in a row."""
    index, pitch, length, onset, _, times, row = read(pair, vocabulary)
    begins, sounds = (table > 0 for table in tables(pitch, row, times, onset + length))
    high, low = PITCHES - 1 - begins[:, ::-1].argmax(axis=1) - EDGE, begins.argmax(axis=1) - EDGE
    up, down = _steps(high), _steps(low)
    gap = np.searchsorted(TIMES, np.diff(times, append=times[-1] + 1.0))
    long = np.searchsorted(TIMES, length)
    top = np.zeros(len(times), dtype=np.int64)
    at_top = pitch == high[row]
    top[row[at_top]] = long[at_top]
    chord, harmony = _sums(begins, begins.argmax(axis=1)), _classes(sounds)
    return [
        (4, (up,)),
        (3, (up, gap)),
        (4, (down,)),
        (5, (gap,)),
        (3, (gap, top)),
        (3, (chord,)),
        (2, (chord, gap)),
        (3, (harmony,)),
        (2, (harmony, down)),
        (3, (pitch,)),
        (1, (pitch, long)),
        (2, (index[:, POSITION],)),
        (2, (index[:, VELOCITY],)),
    ]


def _steps(line: NDArray[np.int64]) -> NDArray[np.int64]:
    """[T] steps to each pitch of a line from the one before, from 0 for a leap down to 2 * LEAP."""
    return np.asarray(np.diff(line, prepend=line[0]).clip(-LEAP, LEAP) + LEAP)


def _sums(there: NDArray[np.bool_], lowest: NDArray[np.int64]) -> Hashes:
    """[T] hash of the pitches that are there, [T, PITCHES], as distances from the lowest."""
    row, column = np.nonzero(there)
    distance = _mixed(np.zeros(len(row), dtype=np.uint64), column - lowest[row] + 1)
    out = np.zeros(len(there), dtype=np.uint64)
    np.add.at(out, row, distance)
    return out


def _classes(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[T] pitch classes that are there above the lowest, as bits."""
    row, column = np.nonzero(there)
    classes = np.zeros((len(there), 12), dtype=bool)
    classes[row, (column - there.argmax(axis=1)[row]) % 12] = True
    return np.asarray(classes @ (1 << np.arange(12)))
