"""Notes as tokens, OctupleMIDI's way: one token per sounding note, eight attributes in it.

Time stands on a grid of 24 positions per quarter note, on which triplets and thirty-second notes are exact.
Written rules, for every source:

- A chain of tied notes is one token with the sum of their durations.
- A grace note is a token of one grid step at the place where it stands.
- A rest is no token: it is the absence of one.
- Any pitch 0-127, any number of bars, any time signature, no tempo, empty tracks and percussion encode without an
  exception. A time signature outside the vocabulary gets the value "other" and keeps its true bar lines; a
  stretch longer than sixteen quarter notes without a bar line is cut into bars of that length; the bar attribute
  counts modulo 256, and the true number is kept beside it.

Source of the token: Zeng et al., MusicBERT, Findings of ACL 2021 (OctupleMIDI). The vocabulary is data: ordered by
rule, hashed, saved with every data set and checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import Bar, Notes, Score, notes_from_columns, tied_chains

ATTRIBUTES = ("bar", "position", "pitch", "duration", "velocity", "tempo", "time_signature", "program")
PAD, MASK, FIRST = 0, 1, 2
GRID = 24
LONGEST_BAR = 16 * GRID  # grid steps
DEFAULT_TEMPO = 120.0

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Vocabulary:
    """The values that every attribute can take, in the order of their ids (id = index + `FIRST`).

    Attributes:
        bars: number of bar values; bar numbers count modulo this.
        positions: number of positions in a bar, in grid steps.
        durations: representable durations in grid steps, increasing.
        velocities: representable velocities, increasing.
        tempos: representable tempos in quarter notes per minute, increasing.
        time_signatures: (numerator, denominator); (0, 0) is "other".
    """

    bars: int
    positions: int
    durations: tuple[int, ...]
    velocities: tuple[int, ...]
    tempos: tuple[float, ...]
    time_signatures: tuple[tuple[int, int], ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of ids of each attribute, padding and mask included, in the order of `ATTRIBUTES`."""
        counts = (self.bars, self.positions, 128, len(self.durations), len(self.velocities), len(self.tempos))
        return tuple(FIRST + n for n in (*counts, len(self.time_signatures), 129))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the vocabulary as JSON, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_json(), separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Durations, velocities and the logarithms of the tempos, for looking up the nearest."""
        return np.array(self.durations), np.array(self.velocities), np.log(np.array(self.tempos))

    @cached_property
    def signature_index(self) -> dict[tuple[int, int], int]:
        """(numerator, denominator) -> place among the time signatures."""
        return {pair: i for i, pair in enumerate(self.time_signatures)}

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as plain lists and numbers."""
        return {
            "grid": GRID,
            "bars": self.bars,
            "positions": self.positions,
            "durations": list(self.durations),
            "velocities": list(self.velocities),
            "tempos": list(self.tempos),
            "time_signatures": [list(pair) for pair in self.time_signatures],
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Vocabulary:
        """The inverse of `to_json`.

        Raises:
            ValueError: the data is not a vocabulary on this grid.
        """
        try:
            if data["grid"] != GRID:
                raise ValueError(f"the vocabulary has a grid of {data['grid']} per quarter note, not {GRID}")
            return Vocabulary(
                bars=int(data["bars"]),
                positions=int(data["positions"]),
                durations=tuple(int(v) for v in data["durations"]),
                velocities=tuple(int(v) for v in data["velocities"]),
                tempos=tuple(float(v) for v in data["tempos"]),
                time_signatures=tuple((int(a), int(b)) for a, b in data["time_signatures"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a vocabulary: {error!r}") from error

    def value(self, attribute: str, token_id: int) -> Any:
        """The musical value of one id: a number, or a (numerator, denominator) pair; None for padding or mask."""
        if token_id < FIRST:
            return None
        table: dict[str, Any] = {
            "duration": self.durations,
            "velocity": self.velocities,
            "tempo": self.tempos,
            "time_signature": self.time_signatures,
        }
        index = int(token_id) - FIRST
        return table[attribute][index] if attribute in table else index


@cache
def default_vocabulary() -> Vocabulary:
    """The vocabulary of this version; changing it changes its hash, and with it what checkpoints fit."""
    whole = 4 * GRID
    durations = [
        *range(1, whole + 1),
        *range(whole + 6, 4 * whole + 1, 6),
        *range(4 * whole + GRID, 16 * whole + 1, GRID),
    ]
    while durations[-1] < 1 << 20:
        durations.append(durations[-1] * 5 // 4)
    signatures = [(0, 0)]
    for denominator, most in ((1, 4), (2, 12), (4, 16), (8, 24), (16, 24), (32, 8)):
        signatures += [(n, denominator) for n in range(1, most + 1)]
    return Vocabulary(
        bars=256,
        positions=LONGEST_BAR,
        durations=tuple(durations),
        velocities=tuple(range(2, 128, 4)),
        tempos=tuple(round(16 * 2 ** (i / 12), 2) for i in range(49)),
        time_signatures=tuple(signatures),
    )


@dataclass(frozen=True, eq=False)
class Tokens:
    """A score as note tokens in the order of (bar, position, pitch, duration, program).

    Attributes:
        ids: [N, 8] ids in the order of `ATTRIBUTES`.
        bar: [N] true bar index, not wrapped.
        bar_starts: [B + 1] grid step at which each bar begins, and the end of the last.
        note: [N] index of the written note (first of its tied chain) in the score.
        of_note: [M] token of each written note of the score.
    """

    ids: Ids
    bar: NDArray[np.int64]
    bar_starts: NDArray[np.int64]
    note: NDArray[np.int64]
    of_note: NDArray[np.int64]


def to_grid(ticks: NDArray[np.int64], resolution: int) -> NDArray[np.int64]:
    """Ticks rounded to grid steps, halves up; exact in integers."""
    return (2 * GRID * ticks + resolution) // (2 * resolution)


def grid_step(tick: int, resolution: int) -> int:
    """One tick rounded to a grid step, as `to_grid` does."""
    return (2 * GRID * tick + resolution) // (2 * resolution)


def encode(score: Score, vocabulary: Vocabulary) -> Tokens:
    """Write a score as note tokens; never raises for a valid `Score` (see the rules on top of this file)."""
    notes = score.notes
    head = tied_chains(notes)
    is_first = np.zeros(len(head), dtype=bool)
    is_first[head] = True
    firsts, of_note = np.flatnonzero(is_first), (np.cumsum(is_first) - 1)[head]
    length = np.zeros(len(firsts), dtype=np.int64)
    np.add.at(length, of_note, notes.duration)
    onset = to_grid(notes.onset[firsts], score.resolution)
    end = to_grid(notes.onset[firsts] + length, score.resolution)
    duration = np.maximum(end - onset, 1)  # a grace note has no length, unless it is tied to the note it leads to
    bars = _bar_table(score, int(onset.max(initial=0)))
    starts = np.array([bar.onset for bar in bars] + [bars[-1].onset + bars[-1].duration], dtype=np.int64)
    bar = np.searchsorted(starts[:-1], onset, side="right") - 1
    known = notes.bar[firsts]
    if score.bars and len(bars) == len(score.bars):
        bar = np.where(known >= 0, known, bar)
    position = np.minimum(np.maximum(onset - starts[bar], 0), vocabulary.positions - 1)
    durations, velocities, _ = vocabulary.arrays
    columns = np.stack(
        [
            bar % vocabulary.bars,
            position,
            notes.pitch[firsts],
            _nearest(durations, duration),
            _nearest(velocities, notes.velocity[firsts]),
            _tempo_index(score, notes.onset[firsts], vocabulary),
            _signature_index(bars, vocabulary)[bar],
            notes.program[firsts],
        ],
        axis=1,
    )
    order = np.lexsort((columns[:, 7], duration, columns[:, 2], position, bar))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ids = (columns[order] + FIRST).astype(np.int32)
    return Tokens(ids, bar[order], starts, firsts[order], rank[of_note])


def decode(tokens: Tokens, vocabulary: Vocabulary) -> Score:
    """The notes that tokens say, as a score with 24 ticks per quarter note (ties merged, no notation)."""
    index = tokens.ids.astype(np.int64) - FIRST
    onset = tokens.bar_starts[tokens.bar] + index[:, 1]
    notes = notes_from_columns(
        onset=onset,
        duration=np.array(vocabulary.durations)[index[:, 3]],
        pitch=index[:, 2],
        velocity=np.array(vocabulary.velocities)[index[:, 4]],
        program=index[:, 7],
        bar=tokens.bar,
    )
    tempos: list[tuple[int, float]] = []
    for tick, tempo in zip(onset.tolist(), np.array(vocabulary.tempos)[index[:, 5]].tolist(), strict=True):
        if not tempos or tempos[-1][1] != tempo:
            tempos.append((tick, tempo))
    return Score(GRID, notes, tempos=tuple(tempos), source="tokens")


def _bar_table(score: Score, last_onset: int) -> list[Bar]:
    """The bars on the grid; bars longer than sixteen quarter notes are cut, and bars go on past the last note."""
    bars: list[Bar] = []
    for bar in score.bars:
        start, end = (grid_step(tick, score.resolution) for tick in (bar.onset, bar.onset + bar.duration))
        while end - start > LONGEST_BAR:
            bars.append(Bar(start, LONGEST_BAR, bar.numerator, bar.denominator))
            start += LONGEST_BAR
        bars.append(Bar(start, end - start, bar.numerator, bar.denominator))
    if not bars:
        bars.append(Bar(0, 4 * GRID, 4, 4))
    step = bars[-1].duration if bars[-1].duration > 0 else 4 * GRID
    while bars[-1].onset + bars[-1].duration <= last_onset:
        last = bars[-1]
        bars.append(Bar(last.onset + last.duration, step, last.numerator, last.denominator))
    return bars


def _nearest(values: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Index of the nearest of increasing `values` for each of `wanted`; the lower one on a tie."""
    right = np.minimum(np.maximum(np.searchsorted(values, wanted), 1), len(values) - 1)
    left: NDArray[np.int64] = right - (wanted - values[right - 1] <= values[right] - wanted)
    return left


def _tempo_index(score: Score, onset: NDArray[np.int64], vocabulary: Vocabulary) -> NDArray[np.int64]:
    ticks = [tick for tick, _ in score.tempos]
    tempos = [DEFAULT_TEMPO, *(tempo for _, tempo in score.tempos)]
    if ticks and ticks[0] > 0:
        tempos[0] = tempos[1]
    at = np.array(tempos, dtype=np.float64)[np.searchsorted(ticks, onset, side="right")]
    return _nearest(vocabulary.arrays[2], np.log(np.maximum(at, 1e-3)))


def _signature_index(bars: list[Bar], vocabulary: Vocabulary) -> NDArray[np.int64]:
    index = vocabulary.signature_index
    return np.array([index.get((bar.numerator, bar.denominator), 0) for bar in bars], dtype=np.int64)


def with_one_program(ids: Ids, program: int = 0) -> Ids:
    """A copy of token ids in which every note has the same program: what a task may show of its parts."""
    out = ids.copy()
    out[..., ATTRIBUTES.index("program")] = program + FIRST
    return out


def written_notes(notes: Notes, tokens: Tokens) -> list[list[int]]:
    """For every token, the written notes (note heads) that it stands for, in score order."""
    heads: list[list[int]] = [[] for _ in range(len(tokens.ids))]
    for i in range(len(notes)):
        heads[int(tokens.of_note[i])].append(i)
    return heads
