"""One voice of one bar -> notes, rests, tuplets and beams, by the usual rules of notation.

Everything is in ticks from the bar line. A note is split into tied ones where it would hide a stronger beat; the
strength of a place is its level: 0 for the bar line, larger numbers for weaker places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from scoresim.score.timeline import QUARTER

SIXTY_FOURTH = QUARTER // 16
TUPLETS = {3: 2, 6: 4, 12: 8, 24: 16, 5: 4, 10: 8, 7: 4, 14: 8}  # how many in the time of how many
VALUES = {QUARTER * 8: "breve"} | {4 * QUARTER // n: str(n) for n in (1, 2, 4, 8, 16, 32, 64)}


@dataclass(frozen=True)
class Piece:
    """A stretch of a voice: a chord, or a rest where `chord` is -1.

    Attributes:
        begin, end: ticks from the bar line.
        chord: index of the chord.
        hidden: for a rest, whether the other voice fills it, so that nothing is drawn.
    """

    begin: int
    end: int
    chord: int
    hidden: bool = False


@dataclass(frozen=True)
class Symbol:
    """A note, chord, rest or space with its written value."""

    piece: Piece
    dur: str
    dots: int


@dataclass(frozen=True)
class Group:
    """A beam, or a tuplet of `num` in the time of `base`."""

    num: int
    base: int
    children: list[Symbol | Group] = field(default_factory=list)


@dataclass(frozen=True)
class Frame:
    """What the bar says about beats: length, cells, levels and beam groups, in ticks from the bar line."""

    length: int
    numerator: int
    denominator: int
    cells: tuple[int, ...]

    @property
    def compound(self) -> bool:
        return self.numerator % 3 == 0 and self.numerator > 3 and self.denominator >= 8

    @property
    def beam(self) -> int:
        """Length of a beam group."""
        unit = 4 * QUARTER // self.denominator
        if self.compound or (self.numerator == 3 and self.denominator >= 8):
            return 3 * unit
        return max(unit, QUARTER) if self.denominator > 4 else QUARTER


@lru_cache(maxsize=256)
def periods(length: int, numerator: int, denominator: int, compound: bool) -> tuple[int, ...]:
    """Distances between the places of each level, from the whole bar down to 64ths."""
    unit = 4 * QUARTER // denominator
    out = [length]
    beat = 3 * unit if compound else unit
    count = numerator // 3 if compound else numerator
    if count % 4 == 0 and length == count * beat and count >= 4:
        out.append(length // 2)
    if beat < length:
        out.append(beat)
    if compound:
        out.append(unit)
    while out[-1] > SIXTY_FOURTH:
        out.append(out[-1] // 2 if out[-1] % 2 == 0 else SIXTY_FOURTH)
    return tuple(out)


def write(pieces: Sequence[Piece], frame: Frame) -> list[Symbol | Group]:
    """The symbols of a voice in a bar.

    Args:
        pieces: cover the bar without gaps; inside every cell their borders can be written (`fits`).
    """
    steps = periods(frame.length, frame.numerator, frame.denominator, frame.compound)
    out: list[Symbol | Group] = []
    plain: list[Piece] = []
    for begin, end, number in _spans(pieces, frame):
        inside = _clipped(pieces, begin, end)
        if number == 1:
            # joined with the plain stretch before: a note may cross from one cell to the next
            if plain and inside and plain[-1].chord == inside[0].chord and _joined(pieces, begin):
                plain[-1] = replace(plain[-1], end=inside[0].end)
                inside = inside[1:]
            plain += inside
            continue
        out += _plain(plain, frame, steps)
        plain = []
        out.append(_tuplet(inside, begin, end, number))
    return out + _plain(plain, frame, steps)


def _joined(pieces: Sequence[Piece], at: int) -> bool:
    return any(p.begin < at < p.end for p in pieces)


def _clipped(pieces: Sequence[Piece], begin: int, end: int) -> list[Piece]:
    return [
        replace(p, begin=max(p.begin, begin), end=min(p.end, end)) for p in pieces if p.begin < end and p.end > begin
    ]


def fits(marks: Sequence[int], begin: int, end: int) -> int:
    """Number of parts into which a span must be divided to write its inner borders: 1 for plain, 0 for impossible."""
    size = end - begin
    inner = [m - begin for m in marks if begin < m < end]
    if all(m % SIXTY_FOURTH == 0 for m in inner) and size % SIXTY_FOURTH == 0:
        return 1
    for number in TUPLETS:
        if size % number == 0 and (size // TUPLETS[number]) in VALUES and all(m % (size // number) == 0 for m in inner):
            return number
    return 0


def _spans(pieces: Sequence[Piece], frame: Frame) -> list[tuple[int, int, int]]:
    """The bar in spans: (begin, end, number of parts)."""
    marks = sorted({p.begin for p in pieces})
    spans: list[tuple[int, int, int]] = []
    cells = list(zip(frame.cells, frame.cells[1:], strict=False))
    at = 0
    while at < len(cells):
        begin, end = cells[at]
        number = fits(marks, begin, end)
        wide = at + 1 < len(cells) and at % 2 == 0 and frame.numerator % 2 == 0 and not frame.compound
        if wide and number != 1 and end not in marks and fits(marks, begin, cells[at + 1][1]) == 3:
            spans.append((begin, cells[at + 1][1], 3))
            at += 2
            continue
        middle = (begin + end) // 2
        if number in (6, 12, 24) and middle in marks:
            halves = fits(marks, begin, middle), fits(marks, middle, end)
            if 1 in halves and 0 not in halves:
                spans += [(begin, middle, halves[0]), (middle, end, halves[1])]
                at += 1
                continue
        spans.append((begin, end, number or 1))
        at += 1
    return spans


def _tuplet(pieces: list[Piece], begin: int, end: int, number: int) -> Group:
    base = TUPLETS[number]
    scale = number / base
    symbols: list[Symbol | Group] = []
    for piece in pieces:
        at = piece.begin
        left = round((piece.end - piece.begin) * scale)
        while left > 0:
            size = max(v for v in _sizes() if v <= left)
            played = round(size / scale)
            dur, dots = _sizes()[size]
            symbols.append(Symbol(replace(piece, begin=at, end=at + played), dur, dots))
            at, left = at + played, left - size
    return Group(number, base, _beamed(symbols, lambda _: 0))


@lru_cache(maxsize=1)
def _sizes() -> dict[int, tuple[str, int]]:
    """Ticks -> (value, dots), for all values with at most one dot (two from an eighth upwards are read less well)."""
    out = {ticks: (name, 0) for ticks, name in VALUES.items()}
    out |= {ticks * 3 // 2: (name, 1) for ticks, name in VALUES.items() if name not in ("breve", "64")}
    return out


def _plain(pieces: list[Piece], frame: Frame, steps: tuple[int, ...]) -> list[Symbol | Group]:
    symbols: list[Symbol | Group] = []
    for piece in pieces:
        symbols += _split(piece, frame, steps)
    halves = _half_beams(symbols, frame)

    def place(symbol: Symbol) -> int:
        at = symbol.piece.begin
        half = at // (2 * QUARTER)
        return -1 - half if half in halves else at // frame.beam

    return _beamed(symbols, place)


def _half_beams(symbols: Sequence[Symbol | Group], frame: Frame) -> set[int]:
    """Halves of a 4/4 bar whose notes are eighths only: they share one beam."""
    if (frame.numerator, frame.denominator) not in ((4, 4), (2, 2), (2, 4)) or frame.length % (2 * QUARTER):
        return set()
    found: dict[int, bool] = {}
    for symbol in symbols:
        if isinstance(symbol, Symbol):
            half = symbol.piece.begin // (2 * QUARTER)
            good = symbol.dur == "8" and symbol.dots == 0 and symbol.piece.chord >= 0
            found[half] = found.get(half, True) and good
    return {half for half, good in found.items() if good}


def _beamed(symbols: list[Symbol | Group], place: object) -> list[Symbol | Group]:
    """With beams around neighbours that are eighths or shorter and in one place."""
    out: list[Symbol | Group] = []
    run: list[Symbol | Group] = []
    where: object = None

    def close() -> None:
        out.extend([Group(0, 0, list(run))] if len(run) > 1 else run)
        run.clear()

    for symbol in symbols:
        short = isinstance(symbol, Symbol) and symbol.piece.chord >= 0 and symbol.dur in ("8", "16", "32", "64")
        here = place(symbol) if callable(place) and isinstance(symbol, Symbol) else None
        if run and (not short or here != where):
            close()
        if short:
            run.append(symbol)
            where = here
        else:
            out.append(symbol)
    close()
    return out


def _split(piece: Piece, frame: Frame, steps: tuple[int, ...]) -> list[Symbol | Group]:
    """A piece as one symbol, or as several where one would hide a beat or cannot be written."""
    begin, end = piece.begin, piece.end
    size = end - begin
    value = _sizes().get(size)
    strongest, at = _inside(begin, end, steps)
    if value is not None and _readable(piece, value[1], strongest, frame, steps):
        return [Symbol(piece, *value)]
    if at is None:
        if value is not None:
            return [Symbol(piece, *value)]
        # not on the grid of 64ths: cannot be written; its nearest value stands for it
        nearest = min(_sizes(), key=lambda v: abs(v - size))
        return [Symbol(piece, *_sizes()[nearest])]
    return [*_split(replace(piece, end=at), frame, steps), *_split(replace(piece, begin=at), frame, steps)]


def _level(at: int, steps: tuple[int, ...]) -> int:
    return next((i for i, step in enumerate(steps) if at % step == 0), len(steps))


def _inside(begin: int, end: int, steps: tuple[int, ...]) -> tuple[int, int | None]:
    """The level of the strongest place strictly inside, and the last such place (the first if it begins weakly)."""
    for level, step in enumerate(steps):
        first = begin // step * step + step
        if first < end:
            last = (end - 1) // step * step
            return level, (last if _level(begin, steps) <= level else first)
    return len(steps), None


def _readable(piece: Piece, dots: int, strongest: int, frame: Frame, steps: tuple[int, ...]) -> bool:
    begins, ends = _level(piece.begin, steps), _level(piece.end, steps)
    if piece.chord < 0:
        if dots:
            return frame.compound and piece.end - piece.begin == frame.beam and piece.begin % frame.beam == 0
        return strongest > begins or begins == 0
    if strongest >= begins:
        return True
    if begins - strongest > 1:
        return False
    if dots:
        return ends < begins
    return piece.begin % ((piece.end - piece.begin) // 2) == 0
