"""Scores played by rule, so that what listens for the beat, and heads that are asked of performances, can learn there.

A tempo that wanders, slows where phrases end, waits and changes; onsets that are never quite together; chords that are
rolled; notes held too long or not long enough; loud and soft. How much of each is drawn anew for every playing, and
wider than players do it, so that nothing can be learnt of the rules themselves. After the survey of C. Cancino-Chacón
et al., "Computational models of expressive music performance", Frontiers in Digital Humanities 5 (2018).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoresim.data.made import make_all, refusal
from scoresim.data.pieces import FROM_MIDI, Piece, load_piece, of_score, save_piece
from scoresim.data.seen import DURATION, PITCH, SIGNATURE
from scoresim.errors import BadInput
from scoresim.files import replacing
from scoresim.score.notate import quantized
from scoresim.score.notes import Score, notes_from_columns
from scoresim.score.timeline import beat_of
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, default_vocabulary, encode

STEP = 0.25  # quarter notes from one value of the tempo to the next
PACE, SPREAD = 90.0, 0.4  # beats per minute, and how far from that in natural logarithms
CROWDED = (1.2, 9.0)  # onsets per second, at least and at most, where another pace can be had
PACES = (35.0, 230.0)  # beats per minute, at least and at most, where another pace can be had
TRIES = 20
GRACE = 1 / GRID  # a grace note lasts one step of the grid
NEAR = 1e-3  # quarter notes that are the same
TICKS = 480  # of a recorded performance per half second
PLAYING = 2  # format of files of playings; a new number makes old ones useless

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True, eq=False)
class Written:
    """Notes of a score with its bars.

    Attributes:
        onset, duration: [N] quarter notes.
        pitch: [N] MIDI numbers.
        staff: [N] from 1; 0 is unknown.
        bar_onset: [B + 1] quarter notes at which each bar begins, and the end of the last.
        signatures: (numerator, denominator) of each bar.
    """

    onset: Floats
    duration: Floats
    pitch: Ints
    staff: Ints
    bar_onset: Floats
    signatures: tuple[tuple[int, int], ...]

    @staticmethod
    def of(piece: Piece) -> Written:
        """A piece; a bar without notes has the signature of the one before it."""
        vocabulary = default_vocabulary()
        index = piece.ids.astype(np.int64) - FIRST
        known: dict[int, tuple[int, int]] = {}
        for bar, number in zip(piece.bar.tolist(), index[:, SIGNATURE].tolist(), strict=True):
            numerator, denominator = vocabulary.time_signatures[number]
            quarters = piece.bar_onset[bar + 1] - piece.bar_onset[bar]
            known[bar] = (numerator, denominator) if numerator else (max(round(quarters), 1), 4)
        signatures, last = [], next(iter(known.values()), (4, 4))
        for bar in range(len(piece.bar_onset) - 1):
            last = known.get(bar, last)
            signatures.append(last)
        duration = np.array(vocabulary.durations)[index[:, DURATION]] / GRID
        onset, bar_onset = piece.onset.astype(np.float64), piece.bar_onset.astype(np.float64)
        return Written(onset, duration, index[:, PITCH], piece.staff.astype(np.int64), bar_onset, tuple(signatures))

    def bars(self, first: int, end: int) -> Written:
        """Bars `first` to `end`, their notes from 0."""
        begin, stop = self.bar_onset[first], self.bar_onset[end]
        some = self.take((self.onset >= begin - NEAR) & (self.onset < stop - NEAR))
        bar_onset = self.bar_onset[first : end + 1] - begin
        return replace(some, onset=some.onset - begin, bar_onset=bar_onset, signatures=self.signatures[first:end])

    def take(self, which: Bools) -> Written:
        """The notes of a mask, [N], in the same bars."""
        columns = {name: getattr(self, name)[which] for name in ("onset", "duration", "pitch", "staff")}
        return replace(self, **columns)

    def beats(self) -> tuple[Floats, Bools, Bools]:
        """[K] quarter notes at which beats are, whether a bar begins there, and whether beats have three parts there.

        A bar at the beginning that is too short ends in time.
        """
        places: list[Floats] = []
        down: list[Bools] = []
        compound: list[Bools] = []
        for number, (numerator, denominator) in enumerate(self.signatures):
            begin, end = self.bar_onset[number : number + 2]
            beat, three = beat_of(numerator, denominator)
            short = number == 0 and end - begin < 4 * numerator / denominator - NEAR
            back = end - np.arange(beat, end - begin + NEAR, beat)[::-1]
            some = back if short else np.arange(begin, end - NEAR, beat)
            places.append(some)
            down.append((np.arange(len(some)) == 0) & (not short))
            compound.append(np.full(len(some), three))
        return np.concatenate(places), np.concatenate(down), np.concatenate(compound)

    def metres(self, places: Floats) -> tuple[tuple[int, int, int], ...]:
        """Of beats at [K] quarter notes: each at which the time signature changes, by its index, and what to."""
        bar = np.searchsorted(self.bar_onset, places + NEAR, side="right") - 1
        some = [self.signatures[min(number, len(self.signatures) - 1)] for number in bar.tolist()]
        return tuple((at, *metre) for at, metre in enumerate(some) if not at or metre != some[at - 1])


class Played(NamedTuple):
    """A performance of N notes, and its K beats.

    Attributes:
        onset, length: [N] seconds, in any order.
        pitch: [N] MIDI numbers.
        velocity: [N] 1-127.
        beat, downbeat: [N] whether a note stands on a beat, and where a bar begins.
        beats: [K] seconds, increasing.
        down, compound: [K] of these beats, as of `Written.beats`.
        note: [N] index of the written note that is played.
        place: [N] quarter notes at which it is meant to begin: those of the score, or somewhat earlier in pop songs.
    """

    onset: Floats
    length: Floats
    pitch: Ints
    velocity: Ints
    beat: Bools
    downbeat: Bools
    beats: Floats
    down: Bools
    compound: Bools
    note: Ints
    place: Floats


def play(score: Written, rng: np.random.Generator) -> Played:
    """One performance of a score, of at least one note and two beats.

    Raises:
        ValueError: there are fewer.
    """
    places, down, compound = score.beats()
    if not len(score.onset) or len(places) < 2:
        raise ValueError("a performance needs a note and two beats")
    beside = np.clip(np.searchsorted(places, score.onset)[:, None] + [-1, 0], 0, len(places) - 1)
    away = np.abs(score.onset[:, None] - places[beside])
    at = beside[np.arange(len(beside)), away.argmin(axis=1)]
    beat = away.min(axis=1) < NEAR
    downbeat = beat & down[at]
    popular = rng.random() < 0.3  # in a steady tempo, the melody ahead of the beat
    score, early = _ahead(score, rng) if popular else (score, np.zeros(len(beat), dtype=bool))
    steady = popular or rng.random() < 0.2
    grid, clock = _clock(score, places, rng, steady)

    def time(quarters: Floats) -> Floats:
        return np.interp(quarters, grid, clock)

    moments, row = np.unique(np.round(score.onset, 4), return_inverse=True)
    high, low = np.full(len(moments), -1), np.full(len(moments), 200)
    np.maximum.at(high, row, score.pitch)
    np.minimum.at(low, row, score.pitch)
    top, bottom = score.pitch == high[row], score.pitch == low[row]
    onset = time(_swung(score, rng)) + _uneven(score, row, top, bottom, rng)
    full = time(score.onset + score.duration) - time(score.onset)
    length = _held(onset, full, time(places), rng)
    velocity = _loud(row, len(moments), top, beat & ~early, downbeat & ~early, rng)
    kept = rng.random(len(onset)) > rng.choice([0.0, 0.01, 0.05])
    kept[0] = True
    return Played(
        onset[kept], length[kept], score.pitch[kept], velocity[kept],
        (beat & ~early)[kept], (downbeat & ~early)[kept], time(places), down, compound, np.flatnonzero(kept),
        score.onset[kept],
    )  # fmt: skip


def performed(piece: Piece, rng: np.random.Generator) -> tuple[Piece, Ints]:
    """A piece as it would be read from MIDI of a performance of it, beats estimated, and where its notes come from.

    Args:
        piece: as written.
        rng: how it is played.

    Returns:
        The piece as played by M notes, staves and voices unknown, with the name and the labels of the other; and for
        each of them, [M], the index of the written one.

    Raises:
        ValueError: it has less than a note and two beats.
        BadInput: it has too many notes or bars.
    """
    played = play(Written.of(piece), rng)
    begin = np.maximum(np.round(played.onset * 2 * TICKS), 0).astype(np.int64)
    notes = notes_from_columns(
        onset=begin,
        duration=np.maximum(np.round((played.onset + played.length) * 2 * TICKS).astype(np.int64) - begin, 1),
        pitch=played.pitch,
        velocity=played.velocity,
        program=piece.ids[played.note, ATTRIBUTES.index("program")].astype(np.int64) - FIRST,
    )
    order = np.lexsort((notes.pitch, notes.onset))
    score = quantized(Score(TICKS, notes.take(order), (), tempos=((0, 120.0),)))
    tokens = encode(score, default_vocabulary())
    read = of_score(score, tokens, np.full(len(order), -1), known_of(piece))
    return read, played.note[order][tokens.note]


def wander(rng: np.random.Generator, count: int, steps: float, deviation: float) -> Floats:
    """[count] values about 0 that forget where they were within so many steps (Ornstein and Uhlenbeck)."""
    keep, reach = np.exp(-1 / steps), int(np.ceil(6 * steps))
    noise = rng.normal(0, deviation * np.sqrt(1 - keep**2), count + reach - 1)
    out: Floats = np.convolve(noise, keep ** np.arange(reach), "valid")
    return out


def _ahead(score: Written, rng: np.random.Generator) -> tuple[Written, Bools]:
    """The score with notes of its top an eighth or a 16th early, where nothing is in the way; and which they are."""
    moments, row = np.unique(np.round(score.onset, 4), return_inverse=True)
    high = np.full(len(moments), -1)
    np.maximum.at(high, row, score.pitch)
    steps = rng.choice([0.25, 0.5], len(moments), p=(0.4, 0.6))
    free = (np.diff(moments, prepend=-1.0) >= steps - NEAR) & (moments >= steps)
    moved = free & (rng.random(len(moments)) < rng.uniform(0.1, 0.5))
    which = moved[row] & ((score.pitch == high[row]) | (rng.random() < 0.3))
    shift = np.where(which, steps[row], 0.0)
    return replace(score, onset=score.onset - shift, duration=score.duration + shift), which


def _clock(score: Written, places: Floats, rng: np.random.Generator, steady: bool) -> tuple[Floats, Floats]:
    """Quarter notes, and the seconds at which each is reached."""
    end = max(float((score.onset + score.duration).max()), float(score.bar_onset[-1])) + 4
    grid = np.arange(0, end + STEP, STEP)
    deviation = rng.uniform(0.005, 0.04) if steady else rng.uniform(0.03, 0.2)
    faster = wander(rng, len(grid), rng.uniform(8, 48), deviation)
    faster += wander(rng, len(grid), rng.uniform(1.5, 6), deviation * rng.uniform(0.1, 0.8))
    bars = len(score.signatures)
    if not steady:
        phrase, slower = int(rng.choice([1, 2, 4, 8])), rng.uniform(0, 0.4)
        for bar in score.bar_onset[phrase:-1:phrase]:
            if rng.random() < 0.7:
                before = np.maximum(bar - grid, 0)
                faster -= slower * rng.uniform(0.2, 1.2) * np.exp(-before / rng.uniform(0.5, 2.5)) * (grid <= bar)
        for _ in range(rng.poisson(0.015 * bars)):  # a fermata
            begin = rng.uniform(0, end)
            faster[(grid >= begin) & (grid < begin + rng.choice([0.25, 0.5, 1.0]))] -= rng.uniform(0.3, 1.0)
        for _ in range(rng.poisson(0.02 * bars)):  # another tempo
            faster[grid >= score.bar_onset[rng.integers(bars)]] += rng.normal(0, 0.25)
    moments = np.unique(np.round(score.onset, 3))
    crowd = len(moments) / max(moments[-1] - moments[0], 1.0)
    for _ in range(TRIES):
        pace = np.exp(rng.normal(np.log(PACE), SPREAD))
        quarter = 60 / pace / float(np.median(np.diff(places)))
        if CROWDED[0] < crowd / quarter < CROWDED[1] and PACES[0] < pace < PACES[1]:
            break
    seconds = quarter * np.exp(faster.mean() - faster)
    return grid, np.r_[0.0, np.cumsum((seconds[1:] + seconds[:-1]) / 2 * STEP)] + rng.uniform(0.1, 2.0)


def _swung(score: Written, rng: np.random.Generator) -> Floats:
    """Onsets in quarter notes, seldom with eighths of unequal length; never where a beat may be no quarter note."""
    onset = score.onset
    if rng.random() >= 0.07 or any(denominator > 4 for _, denominator in score.signatures):
        return onset
    first, part = rng.uniform(0.52, 0.67), onset % 1
    return np.floor(onset) + np.where(part < 0.5, 2 * first * part, first + 2 * (part - 0.5) * (1 - first))


def _uneven(score: Written, row: Ints, top: Bools, bottom: Bools, rng: np.random.Generator) -> Floats:
    """[N] seconds by which notes are off: together, alone, the melody ahead, the bass ahead, rolled, as a grace."""
    count = int(row.max()) + 1
    off = rng.normal(0, rng.uniform(0.003, 0.028), count)[row] + rng.normal(0, rng.uniform(0.002, 0.015), len(row))
    if rng.random() < 0.6:
        off = off - top * rng.uniform(0, 0.035)
    if rng.random() < 0.2:
        off = off - bottom * rng.uniform(0, 0.05)
    rolled = (rng.random(count) < rng.choice([0.0, 0.01, 0.05]))[row]
    if rolled.any():
        order = np.lexsort((score.pitch, row))
        place = np.arange(len(order))
        rank = np.empty(len(order))
        rank[order] = place - np.maximum.accumulate(np.where(np.r_[True, np.diff(row[order]) > 0], place, 0))
        off = off + rolled * rank * rng.uniform(0.02, 0.07)
    if rng.random() < 0.7:
        off = off - (score.duration < GRACE + NEAR) * rng.uniform(0.03, 0.12)
    return off


def _held(onset: Floats, full: Floats, beats: Floats, rng: np.random.Generator) -> Floats:
    """[N] seconds that notes last, written for `full` seconds: a touch of the whole, some to a beat, some short."""
    touch = rng.normal(rng.uniform(0.5, 1.05), rng.uniform(0.08, 0.4), len(full))
    length = np.maximum(full * np.clip(touch, 0.15, 1.6), 0.03)
    if rng.random() < 0.25:  # as with a pedal
        count = int(rng.choice([1, 2, 4]))
        place = np.interp(onset + length, beats, np.arange(len(beats)))
        until = np.interp((np.floor(place / count) + 1) * count, np.arange(len(beats)), beats)
        length = np.where(rng.random(len(full)) < 0.8, np.maximum(until - onset, length), length)
    if rng.random() < 0.5:
        length = np.where(rng.random(len(full)) < 0.5, np.minimum(length, rng.uniform(0.08, 0.3)), length)
    if rng.random() < 0.15:  # nothing can be told by it
        length = rng.uniform(0.05, 0.6) * np.exp(rng.normal(0, 0.3, len(full)))
    return length


def _loud(row: Ints, count: int, top: Bools, beat: Bools, downbeat: Bools, rng: np.random.Generator) -> Ints:
    """[N] velocities: loud and soft passages, a melody that stands out, sometimes accents."""
    if rng.random() < 0.15:
        return np.full(len(row), 64)
    loud = rng.uniform(45, 80) + wander(rng, count, 20, 10)[row] + rng.normal(0, rng.uniform(3, 9), len(row))
    loud = loud + top * rng.uniform(0, 18)
    if rng.random() < 0.6:
        loud = loud + rng.uniform(0, 6) * beat + rng.uniform(0, 6) * downbeat
    out: Ints = np.clip(np.round(loud), 5, 127).astype(np.int64)
    return out


class _Wanted(NamedTuple):
    """A piece that is to be played, and where it goes."""

    piece: Piece
    file: Path

    @property
    def notes(self) -> Path:
        """Where it stands which written note each played one was."""
        return self.file.with_suffix(".npy")

    def read(self) -> tuple[Piece, Piece, Ints]:
        """As written, as played, with what is known of the piece now, and which note each played one was.

        Raises:
            BadInput: a file is damaged.
        """
        try:
            note = np.load(self.notes, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadInput(f"{self.notes} is damaged ({error}); remove it and {self.file}, and run again.") from error
        return self.piece, replace(load_piece(self.file), **known_of(self.piece)), note


def known_of(piece: Piece) -> dict[str, Any]:
    """What is known of a piece, however it is played."""
    names = ("id", "corpus", "work", "split", "style", "composer", "title", "labels")
    return {name: getattr(piece, name) for name in names}


def chance(piece: Piece) -> np.random.Generator:
    """What decides how a piece is played: the same for a piece of one name."""
    return np.random.default_rng(list(f"{piece.corpus} {piece.id}".encode()))


def play_all(pieces: Sequence[Piece], folder: Path, workers: int = 2) -> list[tuple[Piece, Piece, Ints]]:
    """Pieces that were read from notation, each with itself as it is played by rule (`performed`).

    What cannot be played, as a piece without a beat, is left out, with a warning in the log; it is not tried again.
    What may have failed because the machine was crowded is tried once more when nothing else runs.

    Args:
        pieces: what may be played; others are left out.
        folder: where playings are kept from one call to the next.
        workers: processes.

    Returns:
        As written, as played, and the index of the written note that each played one is.

    Raises:
        BadInput: what is kept there is damaged.
    """
    wanted = []
    for piece in pieces:
        if piece.notation == "composer":
            name = hashlib.sha256(f"{piece.corpus} {piece.id} ".encode() + piece.ids.tobytes()).hexdigest()[:24]
            wanted.append(_Wanted(piece, folder / f"{name}-played{FROM_MIDI}-{PLAYING}.npz"))
    make_all(_play, wanted, "Playing", workers)
    for one in wanted:
        if refusal(one.file).is_file():
            reason = refusal(one.file).read_text(encoding="utf-8")
            _logger.warning("%s: %s is not played: %s", one.piece.corpus, one.piece.id, reason)
    return [one.read() for one in wanted if one.file.is_file()]


def _play(wanted: _Wanted) -> None:
    """Runs in a worker process.

    Raises:
        BadInput, ValueError: it cannot be played.
    """
    played, note = performed(wanted.piece, chance(wanted.piece))
    with replacing(wanted.notes) as temporary, temporary.open("wb") as file:
        np.save(file, note)
    save_piece(wanted.file, played)
