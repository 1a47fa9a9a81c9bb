"""The notes that a kern file states, token by token, with nothing of the engraver in it.

By the Humdrum guide a line begins where the earliest of its running tokens ends, and every token of the line begins
there. A bar in which a column of notes is late or early, or a token is not understood, is unclear (`None`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from scoresim.score.notes import STEP_PITCH, STEPS, TIED_FROM, TIED_TO, Score
from scoresim.score.stated import Stated, differing

RECIP = re.compile(r"([0-9]+)(?:%([0-9]+))?(\.*)")
TRANSPOSITION = re.compile(r"\*ITrd(-?[0-9]+)c(-?[0-9]+)$")
PITCH = re.compile(r"([a-gA-G])(\1*)(#*|-*|n)(?![a-gA-G#-])")
TIES = {"[": TIED_TO, "_": TIED_FROM | TIED_TO, "]": TIED_FROM}
Tone = tuple[tuple[int, int, int], Fraction, int]
"""Spelling (step, alteration, octave), duration in quarter notes, bits of `Notes.tie`."""


def doubtful_kern(text: str, score: Score) -> frozenset[int]:
    """Bars in which the score does not hold exactly the notes that the tokens of a kern file state.

    Args:
        text: of the file as `read.read_text` gives it.
        score: what was read from the engraver.

    Returns:
        Indices into `score.bars`; all of them where the text has another number of bars with notes.
    """
    return differing(kern_bars(text), score)


@dataclass
class _Column:
    """A column (spine) of the file: whether it holds notes, and when its running token ends."""

    notes: bool
    until: Fraction = Fraction(0)
    hidden: bool = False  # the other reading of a place that has two (``*S/ossia``)
    moves: tuple[int, int] = (0, 0)  # steps and semitones from the tokens, which sound so, to what is written

    def written(self, tone: Tone) -> Tone:
        """A tone as it is written for the column's instrument."""
        if self.moves == (0, 0):
            return tone
        (step, alter, octave), length, tie = tone
        moved = 7 * octave + step + self.moves[0]
        semitones = 12 * (moved // 7 - octave) + STEP_PITCH[moved % 7] - STEP_PITCH[step]
        return (moved % 7, alter + self.moves[1] - semitones, moved // 7), length, tie


@dataclass
class _Bar:
    """The bar that is being read; times are quarter notes from the beginning of the file."""

    start: Fraction = Fraction(0)
    tones: list[tuple[Fraction, Tone]] = field(default_factory=list)
    unclear: bool = False


def kern_bars(text: str) -> list[Stated | None]:
    """The notes of every bar of a kern text, as its lines of bar lines cut it; None for a bar that cannot be told."""
    columns: list[_Column] = []
    bars: list[Stated | None] = []
    bar = _Bar()
    for line in text.splitlines():
        if not line or line[0] == "!":
            continue
        tokens = line.split("\t")
        if line.startswith("**"):
            columns = [_Column(token == "**kern") for token in tokens]
        elif len(tokens) != len(columns):
            return [None]
        elif line[0] == "*":
            columns = _moved(columns, tokens)
        elif line[0] == "=":
            bar = _closed(bar, columns, bars)
        else:
            _data(columns, tokens, bar)
    _closed(bar, columns, bars)
    return bars


def _data(columns: list[_Column], tokens: list[str], bar: _Bar) -> None:
    """A line of notes: those that begin on it, and until when they last."""
    pairs = [(c, t) for c, t in zip(columns, tokens, strict=True) if c.notes]
    if not pairs:
        return
    now = min(column.until for column, _ in pairs)
    advances = any(token != "." and _token(token)[0] for _, token in pairs)
    for column, token in pairs:
        if token == ".":
            bar.unclear |= advances and column.until <= now  # it has ended, and does not go on where others do
            continue
        length, tones, clear = _token(token)
        # A grace note takes no time; it stands before the note with which its column goes on.
        bar.unclear |= not clear or (length > 0 and column.until != now)
        if not column.hidden:
            bar.tones += [(column.until, column.written(tone)) for tone in tones]
        column.until += length


def _closed(bar: _Bar, columns: list[_Column], bars: list[Stated | None]) -> _Bar:
    """The bar ends: its notes are added to the bars, and the next one begins where the last of its columns ends."""
    ends = {column.until for column in columns if column.notes} or {bar.start}
    if bar.tones:
        stated: Stated = defaultdict(list)
        for onset, (spelling, length, tie) in bar.tones:
            stated[spelling].append((float(onset - bar.start), float(length), tie))
        bars.append(None if bar.unclear or len(ends) > 1 else stated)
    end = max(ends)
    for column in columns:
        column.until = end
    return _Bar(end)


@lru_cache(16_384)
def _token(token: str) -> tuple[Fraction, tuple[Tone, ...], bool]:
    """How long a token lasts, its notes, and whether all of it is understood."""
    grace = "q" in token or "Q" in token
    parts = token.split(" ")
    first = _length(parts[0])
    clear, tones = grace or first is not None, []
    for part in parts:
        if "r" in part:
            continue
        pitch = PITCH.search(part)
        if pitch is None:
            clear = False
            continue
        low = pitch[1].isupper()
        octave = 3 - len(pitch[2]) if low else 4 + len(pitch[2])
        alter = pitch[3].count("#") - pitch[3].count("-")
        clear &= part.count("#") + part.count("-") == abs(alter)
        own = _length(part)
        length = Fraction(0) if grace else (first or Fraction(0)) if own is None else own
        tie = 0
        for sign, bits in TIES.items():
            tie |= bits if sign in part else 0
        tones.append(((STEPS.index(pitch[1].upper()), alter, octave), length, tie))
    return Fraction(0) if grace else first or Fraction(0), tuple(tones), clear


def _length(part: str) -> Fraction | None:
    """Quarter notes of a duration such as ``8.``, ``3%2`` (two thirds of a whole note) or ``0`` (two whole notes)."""
    found = RECIP.search(part)
    if found is None:
        return None
    if found[1].strip("0"):
        base = Fraction(4 * int(found[2] or 1), int(found[1]))
    else:
        base = Fraction(4 * 2 ** len(found[1]))
    return base * (2 - Fraction(1, 2 ** len(found[3])))


def _moved(columns: list[_Column], tokens: list[str]) -> list[_Column]:
    """The columns after a line of interpretations: split, joined, exchanged, added, ended."""
    moved: list[_Column] = []
    joined = False
    crossed: int | None = None
    for column, token in zip(columns, tokens, strict=True):
        if token == "*S/ossia":
            column.hidden = True
        elif token in ("*S/fin", "*S-"):
            column.hidden = False
        elif found := TRANSPOSITION.match(token):
            column.moves = int(found[1]), int(found[2])
        elif token.startswith("**"):
            column.notes = token == "**kern"
        if token == "*v" and joined:
            moved[-1].until = max(moved[-1].until, column.until)
            moved[-1].hidden = False
        elif token == "*^":
            moved += [column, replace(column)]
        elif token == "*+":
            moved += [column, replace(column, notes=False)]
        elif token == "*x" and crossed is not None:
            moved.append(moved[crossed])
            moved[crossed], crossed = column, None
        elif token != "*-":
            crossed = len(moved) if token == "*x" else crossed
            moved.append(column)
        joined = token == "*v"
    return moved
