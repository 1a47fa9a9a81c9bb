"""Hand-crafted features of every note of a piece, from what a system may see of it: no track, no staff, no voice.

All are local: they look at most 64 notes, or the notes within seven semitones that began last and begin next, away.
Two tables do most of the work: which pitches begin at each onset, and which sound then. A hidden attribute is the same
in all notes, and so is what follows from it alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.seen import (
    EDGE,
    PITCH,
    PITCHES,
    POSITION,
    SIGNATURE,
    TEMPO,
    VELOCITY,
    Floats,
    Ints,
    read,
    seen,
    tables,
)
from scoresim.score.tokens import ATTRIBUTES, GRID, Vocabulary, default_vocabulary

NEAR = 7  # semitones within which a note may go on a line
AROUND = (8, 32, 64)  # notes on each side
FAR = 64.0  # quarter notes to what is not there
BAR = ATTRIBUTES.index("bar")
LARGEST = 60_000.0  # that 16 bits hold


@dataclass(frozen=True, eq=False)
class NoteCounts:
    """Features of the notes of some pieces.

    Attributes:
        features: [N, F] float16 of every piece.
        identity: hash of the names of the features.
    """

    features: list[NDArray[np.float16]]
    identity: str


def note_counts(pieces: Sequence[Piece], hidden: Sequence[str]) -> NoteCounts:
    """The features of all notes of some pieces, as who must not see some attributes may see them."""
    vocabulary, found, names = default_vocabulary(), [], ""
    for piece in pieces:
        columns = note_features(seen(piece, hidden), vocabulary)
        found.append(np.stack(list(columns.values()), axis=1).clip(-LARGEST, LARGEST).astype(np.float16))
        names = "\n".join(columns)
    return NoteCounts(found, hashlib.sha256(names.encode()).hexdigest())


def note_features(pair: Pair, vocabulary: Vocabulary) -> dict[str, Floats]:
    """Features of the notes of a piece by name, [N] each, finite.

    Pitches are MIDI numbers and intervals semitones, times are quarter notes; "top" and "bottom" are the highest and
    the lowest pitch, "chord" the notes that begin together.

    Args:
        pair: the notes in their order (see `seen`).
        vocabulary: of their tokens.
    """
    index, pitch, length, onset, velocity, times, row = read(pair, vocabulary)
    out = _own(index, pitch, length, vocabulary)
    begins, sounds = tables(pitch, row, times, onset + length)
    out |= _chord(pitch, row, begins, "chord")
    before, after = falls(pair)
    out |= {"chord: falls before": before.astype(np.float64), "chord: falls after": after.astype(np.float64)}
    out |= _chord(pitch, row, sounds, "sounding")
    out |= _held(pitch, row, np.searchsorted(times, onset + length - 1e-6), begins)
    out |= _line(pitch, length, row, times, begins)
    out |= _gaps(row, times, length)
    out |= _around(pitch, length, onset)
    out |= _against(length, row, "duration") | _against(velocity, row, "velocity")
    return {name: np.nan_to_num(values.astype(np.float64), posinf=FAR, neginf=-FAR) for name, values in out.items()}


def top_line(pair: Pair, vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """[N] whether a note is the highest of all that sound when it begins, the ones that are held included."""
    _, pitch, length, onset, _, times, row = read(pair, vocabulary)
    sounds = tables(pitch, row, times, onset + length)[1] > 0
    top = PITCHES - 1 - sounds[:, ::-1].argmax(axis=1) - EDGE
    return np.asarray(pitch == top[row])


def falls(pair: Pair) -> tuple[Ints, Ints]:
    """How often the pitch falls from note to note within an onset before a note, and after it: two [N].

    Never, where the notes of an onset are in the order of their pitch.
    """
    pitch, place = pair.notes[:, PITCH].astype(np.int64), pair.notes[:, POSITION]
    first = np.r_[True, (np.diff(pair.bar_of_note) != 0) | (np.diff(place) != 0)]
    group = np.cumsum(first) - 1
    down = np.r_[False, np.diff(pitch) < 0] & ~first
    so_far = np.cumsum(down)
    before = so_far - so_far[first][group]
    return before, np.bincount(group, down)[group].astype(np.int64) - before


def ranks(pair: Pair, vocabulary: Vocabulary) -> tuple[Ints, Ints]:
    """How many pitches sound above a note, and below it, when it begins, the ones that are held included: two [N]."""
    _, pitch, length, onset, _, times, row = read(pair, vocabulary)
    up_to = np.cumsum(tables(pitch, row, times, onset + length)[1] > 0, axis=1)
    mine = up_to[row, pitch + EDGE]
    return up_to[row, -1] - mine, mine - 1


def _own(index: Ints, pitch: Ints, length: Floats, vocabulary: Vocabulary) -> dict[str, Floats]:
    position = index[:, POSITION]
    signature = np.array(vocabulary.time_signatures)[index[:, SIGNATURE]]
    place = index[:, BAR]
    top, bottom = np.full(place.max() + 1, -1), np.full(place.max() + 1, 999)
    np.maximum.at(top, place, pitch)
    np.minimum.at(bottom, place, pitch)
    return {
        "pitch": pitch,
        "pitch class": pitch % 12,
        "log duration": np.log(length),
        "position in bar": position / GRID,
        "position in quarter": position % GRID,
        "velocity": np.array(vocabulary.velocities)[index[:, VELOCITY]],
        "log tempo": np.log(np.array(vocabulary.tempos)[index[:, TEMPO]]),
        "beats of bar": signature[:, 0],
        "unit of bar": signature[:, 1],
        "bar: top above": top[place] - pitch,
        "bar: bottom below": pitch - bottom[place],
    }


def _chord(pitch: Ints, row: Ints, table: NDArray[np.int16], name: str) -> dict[str, Floats]:
    """Where a note stands among the pitches of its row of a table."""
    there = table > 0
    column = pitch + EDGE
    pitches = np.arange(PITCHES)
    up_to = np.maximum.accumulate(np.where(there, pitches, -999), axis=1)
    down_to = np.minimum.accumulate(np.where(there, pitches, 999)[:, ::-1], axis=1)[:, ::-1]
    rank = np.cumsum(there, axis=1, dtype=np.int16)
    count = rank[:, -1]
    return {
        f"{name}: top above": up_to[row, -1] - column,
        f"{name}: bottom below": column - down_to[row, 0],
        f"{name}: pitches": count[row],
        f"{name}: pitches below": rank[row, column - 1],
        f"{name}: pitches above": count[row] - rank[row, column],
        f"{name}: to next above": np.minimum(down_to[row, column + 1] - column, 99),
        f"{name}: to next below": np.minimum(column - up_to[row, column - 1], 99),
        f"{name}: octave above": there[row, column + 12],
        f"{name}: octave below": there[row, column - 12],
        f"{name}: unisons": table[row, column],
    }


def _held(pitch: Ints, row: Ints, end: Ints, begins: NDArray[np.int16]) -> dict[str, Floats]:
    """What begins while a note sounds, after it, and in the two onsets on either side of it."""
    pitches = np.arange(PITCHES) - EDGE
    top = np.where(begins > 0, pitches, -999).max(axis=1)
    bottom = np.where(begins > 0, pitches, 999).min(axis=1)
    notes = np.r_[0, np.cumsum(begins.sum(axis=1))]
    after, end = row + 1, np.maximum(end, row + 1)
    out = {
        "held: onsets": end - after,
        "held: notes": notes[end] - notes[after],
        "held: top above": np.maximum(highest(top, after, end) - pitch, -99),
        "held: bottom below": np.maximum(pitch + highest(-bottom, after, end), -99),
    }
    for step in (-2, -1, 1, 2):
        beside = np.clip(row + step, 0, len(top) - 1)
        out[f"onset {step:+}: top above"] = top[beside] - pitch
        out[f"onset {step:+}: bottom below"] = pitch - bottom[beside]
    return out


def highest(values: Ints, first: Ints, end: Ints) -> Ints:
    """[K] the largest of values[first[k]:end[k]], -999 where there is none; by a table of powers of two."""
    levels = [values]
    while 2 ** len(levels) <= len(values):
        half = 2 ** (len(levels) - 1)
        levels.append(np.maximum(levels[-1][:-half], levels[-1][half:]))
    size = end - first
    level = np.log2(np.maximum(size, 1)).astype(np.int64)
    out = np.full(len(first), -999)
    for number, table in enumerate(levels):
        here = (level == number) & (size > 0)
        out[here] = np.maximum(table[first[here]], table[end[here] - 2**number])
    return out


def _line(pitch: Ints, length: Floats, row: Ints, times: Floats, begins: NDArray[np.int16]) -> dict[str, Floats]:
    """The note that began last, and the one that begins next, in the register of a note: the nearest of them."""
    there = begins > 0
    T = len(times)
    above = there.sum(axis=1, keepdims=True) - np.cumsum(there, axis=1)
    before = np.maximum.accumulate(np.where(there, np.arange(T)[:, None], -1), axis=0)
    before = np.concatenate([np.full((1, PITCHES), -1), before[:-1]])
    after = np.minimum.accumulate(np.where(there, np.arange(T)[:, None], T)[::-1], axis=0)[::-1]
    after = np.concatenate([after[1:], np.full((1, PITCHES), T)])
    steps = np.array(sorted(range(-NEAR, NEAR + 1), key=abs))
    columns = pitch[:, None] + EDGE + steps
    out: dict[str, Floats] = {}
    for name, rows, sign in (("last", before, 1), ("next", after, -1)):
        near = rows[row[:, None], columns]  # [N, 15] row in which each pitch stands
        best = (sign * near).argmax(axis=1)
        where = near[np.arange(len(pitch)), best]
        known = (where >= 0) & (where < T)
        at = np.clip(where, 0, T - 1)
        gap = np.where(known, np.abs(times[at] - times[row]), FAR)
        out[f"{name} near: interval"] = np.where(known, steps[best], 99)
        out[f"{name} near: time"] = np.minimum(gap, FAR)
        out[f"{name} near: pitches above it"] = np.where(known, above[at, pitch + EDGE + steps[best]], 99)
        same = near[:, 0]
        known = (same >= 0) & (same < T)
        gap = np.abs(times[np.clip(same, 0, T - 1)] - times[row])
        out[f"{name} of the pitch: time"] = np.where(known, np.minimum(gap, FAR), FAR)
    out["share of time to next near"] = np.minimum(length / np.maximum(out["next near: time"], 1 / GRID), 8.0)
    return out


def _gaps(row: Ints, times: Floats, length: Floats) -> dict[str, Floats]:
    gaps = np.diff(times, prepend=times[0] - FAR, append=times[-1] + FAR)
    out = {"time since last onset": gaps[row], "time to next onset": gaps[row + 1]}
    out["share of time to next onset"] = np.minimum(length / np.maximum(gaps[row + 1], 1 / GRID), 8.0)
    at = times[row]
    note_times = np.sort(at)
    for reach in (1.0, 4.0):
        for name, values in (("onsets", times), ("notes", note_times)):
            found = np.searchsorted(values, at + reach, "right") - np.searchsorted(values, at - reach)
            out[f"{name} within {reach:g}"] = found.astype(np.float64)
    return out


def _around(pitch: Ints, length: Floats, onset: Floats) -> dict[str, Floats]:
    """Pitch and duration against those of the notes before and after, in their order."""
    n, most = len(pitch), max(AROUND)
    out: dict[str, Floats] = {}
    log = np.log(length)
    sums = {name: np.r_[0.0, np.cumsum(values)] for name, values in (("pitch", pitch), ("log duration", log))}
    squares = np.r_[0.0, np.cumsum(pitch.astype(np.float64) ** 2)]
    padded = np.pad(pitch, most, constant_values=-1)
    views = sliding_window_view(padded, 2 * most + 1)
    place = np.arange(n)
    for reach in AROUND:
        first, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, n)
        count = end - first
        mean = (sums["pitch"][end] - sums["pitch"][first]) / count
        spread = np.sqrt(np.maximum((squares[end] - squares[first]) / count - mean**2, 1.0))
        out[f"{reach} around: above mean"] = pitch - mean
        out[f"{reach} around: deviations above mean"] = (pitch - mean) / spread
        out[f"{reach} around: spread"] = spread
        slower = (sums["log duration"][end] - sums["log duration"][first]) / count
        out[f"{reach} around: longer than mean"] = log - slower
        out[f"{reach} around: time"] = onset[end - 1] - onset[first]
        out[f"{reach} around: top above"] = (highest(pitch, first, end) - pitch).astype(np.float64)
        view = views[:, most - reach : most + reach + 1]
        out[f"{reach} around: share above"] = (view > pitch[:, None]).sum(axis=1) / count
        out[f"{reach} around: share of the pitch"] = (view == pitch[:, None]).sum(axis=1) / count
    return out


def _against(values: Floats, row: Ints, name: str) -> dict[str, Floats]:
    """A value against the largest, the smallest and the mean of the chord, and the mean of 65 notes around."""
    top, bottom = np.full(row.max() + 1, -np.inf), np.full(row.max() + 1, np.inf)
    np.maximum.at(top, row, values)
    np.minimum.at(bottom, row, values)
    sums = np.r_[0.0, np.cumsum(values)]
    place = np.arange(len(values))
    first, end = np.maximum(place - 32, 0), np.minimum(place + 33, len(values))
    return {
        f"{name}: below the chord's largest": top[row] - values,
        f"{name}: above the chord's smallest": values - bottom[row],
        f"{name}: above the mean around": values - (sums[end] - sums[first]) / (end - first),
    }
