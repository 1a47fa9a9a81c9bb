"""A laid-out piece -> MEI 5, bar by bar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoresim.score.hands import Part
from scoresim.score.mei_layer import SHARPS
from scoresim.score.notes import Bar
from scoresim.score.rhythm import Frame, Group, Piece, Symbol, write
from scoresim.score.timeline import QUARTER
from scoresim.score.voices import Chord

Ints = NDArray[np.int64]
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<mei xmlns="http://www.music-encoding.org/ns/mei" meiversion="5.0">'
    "<meiHead><fileDesc><titleStmt><title/></titleStmt><pubStmt/></fileDesc></meiHead>"
    "<music><body><mdiv><score>"
)
TAIL = "</section></score></mdiv></body></music></mei>\n"
ACCIDENTALS = {-2: "ff", -1: "f", 0: "n", 1: "s", 2: "x"}
CLEFS = {"G": 2, "F": 4}


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole piece, ready to be written.

    Attributes:
        bars: in ticks from 0, without gaps.
        cells: [C + 1] borders of the cells.
        pickup: whether the first bar is a pick-up.
        fifths: [B] key signature of every bar.
        parts: the parts from the top.
        chords: (staff, voice) -> chords in order.
        clefs: staff -> clef ("G" or "F") of every bar.
        step, alter, octave: [N] spelling of every note of the MIDI file.
    """

    bars: tuple[Bar, ...]
    cells: Ints
    pickup: bool
    fifths: Ints
    parts: tuple[Part, ...]
    chords: dict[tuple[int, int], list[Chord]]
    clefs: dict[int, list[str]]
    step: Ints
    alter: Ints
    octave: Ints


@dataclass
class _Page:
    """What is written so far: the text, and for every head the note it comes from."""

    text: list[str] = field(default_factory=list)
    source: dict[str, int] = field(default_factory=dict)
    heads: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def mei(plan: Plan, first: int, last: int) -> tuple[str, dict[str, int]]:
    """Bars `first` to `last` (exclusive) as MEI, and for the id of every note the index of its MIDI note.

    Notes that sound over the border are cut there: their rest begins the next piece as notes of their own.
    """
    page = _Page()
    page.text.append(HEAD)
    page.text.append(_definition(plan, first))
    page.text.append("<section>")
    placed = {key: _by_bar(chords, plan, first, last) for key, chords in plan.chords.items()}
    for number in range(first, last):
        if number > first:
            page.text.append(_change(plan, number))
        _measure(page, plan, number, first, last, placed)
    page.text.append(TAIL)
    return "".join(page.text), page.source


def _signature(fifths: int) -> str:
    return f"{abs(fifths)}{'s' if fifths > 0 else 'f'}" if fifths else "0"


def _definition(plan: Plan, bar: int) -> str:
    metre, signature = plan.bars[bar], _signature(int(plan.fifths[bar]))
    out = [
        f'<scoreDef keysig="{signature}" meter.count="{metre.numerator}" meter.unit="{metre.denominator}"><staffGrp>'
    ]
    for part in plan.parts:
        if part.staves > 1:
            out.append('<staffGrp symbol="brace" bar.thru="true">')
        for staff in range(part.first, part.first + part.staves):
            clef = plan.clefs[staff][bar]
            out.append(
                f'<staffDef n="{staff}" lines="5" clef.shape="{clef}" clef.line="{CLEFS[clef]}">'
                f'<instrDef midi.instrnum="{part.program}"/></staffDef>'
            )
        if part.staves > 1:
            out.append("</staffGrp>")
    return "".join(out) + "</staffGrp></scoreDef>"


def _change(plan: Plan, bar: int) -> str:
    """A new key or metre before a bar, or nothing."""
    before, here = plan.bars[bar - 1], plan.bars[bar]
    attributes = ""
    if plan.fifths[bar] != plan.fifths[bar - 1]:
        attributes += f' keysig="{_signature(int(plan.fifths[bar]))}"'
    if (before.numerator, before.denominator) != (here.numerator, here.denominator):
        attributes += f' meter.count="{here.numerator}" meter.unit="{here.denominator}"'
    return f"<scoreDef{attributes}/>" if attributes else ""


def _by_bar(chords: Sequence[Chord], plan: Plan, first: int, last: int) -> dict[int, list[Chord]]:
    """Bar -> the chords that sound in it."""
    out: dict[int, list[Chord]] = defaultdict(list)
    starts = np.asarray([bar.onset for bar in plan.bars])
    begins = np.searchsorted(starts, np.asarray([chord.onset for chord in chords], dtype=np.int64), side="right") - 1
    for chord, at in zip(chords, begins.tolist(), strict=True):
        while at < last and plan.bars[at].onset < chord.end:
            if at >= first:
                out[at].append(chord)
            at += 1
            if at >= len(plan.bars):
                break
    return out


def _measure(
    page: _Page,
    plan: Plan,
    number: int,
    first: int,
    last: int,
    placed: dict[tuple[int, int], dict[int, list[Chord]]],
) -> None:
    bar = plan.bars[number]
    begin, end = np.searchsorted(plan.cells, [bar.onset, bar.onset + bar.duration])
    cells = tuple(int(c) - bar.onset for c in plan.cells[begin : end + 1])
    frame = Frame(bar.duration, bar.numerator, bar.denominator, cells)
    label = number if plan.pickup else number + 1
    short = bar.duration * bar.denominator != _whole(bar)
    page.text.append(f'<measure xml:id="b{number}" n="{label}"' + (' metcon="false">' if short else ">"))
    ties: list[str] = []
    staves = [s for part in plan.parts for s in range(part.first, part.first + part.staves)]
    for staff in staves:
        page.text.append(f'<staff n="{staff}">')
        layers = [placed[staff, voice].get(number, []) for voice in (1, 2)]
        turn = number + 1 < last and plan.clefs[staff][number + 1] != plan.clefs[staff][number]
        clef = plan.clefs[staff][number + 1] if turn else ""
        _staff(page, plan, bar, frame, layers, ties, clef)
        page.text.append("</staff>")
    page.text += [*ties, "</measure>"]


def _whole(bar: Bar) -> int:
    return 4 * QUARTER * bar.numerator


def _staff(
    page: _Page, plan: Plan, bar: Bar, frame: Frame, layers: list[list[Chord]], ties: list[str], clef: str
) -> None:
    turn = f'<clef shape="{clef}" line="{CLEFS[clef]}"/>' if clef else ""
    if not layers[0]:
        layers = [layers[1], []]
    if not layers[0]:
        # a whole-bar rest is as long as the time signature says, and nothing may stand after it
        plain = not clef and bar.duration * bar.denominator == _whole(bar)
        rest = "<mRest/>" if plain else "".join(_silence(frame))
        page.text.append(f'<layer n="1">{rest}{turn}</layer>')
        return
    written = []
    for voice, chords in enumerate(layers):
        if chords or not voice:
            pieces = _pieces(chords, bar, layers[1 - voice], hide=voice == 1)
            written.append((chords, write(pieces, frame)))
    shown = _accidentals(plan, bar, [(chords, _leaves(symbols)) for chords, symbols in written], page.heads)
    for voice, (chords, symbols) in enumerate(written):
        page.text.append(f'<layer n="{voice + 1}">')
        _Row(page, plan, bar, chords, shown, ties).symbols(symbols)
        page.text.append(turn + "</layer>" if voice == 0 else "</layer>")


def _silence(frame: Frame) -> list[str]:
    """A bar of rest written out."""
    symbols = _leaves(write([Piece(0, frame.length, -1)], frame))
    return [f'<rest dur="{s.dur}"{_dots(s)}/>' for s in symbols]


def _dots(symbol: Symbol) -> str:
    return f' dots="{symbol.dots}"' if symbol.dots else ""


def _pieces(chords: list[Chord], bar: Bar, other: list[Chord], hide: bool) -> list[Piece]:
    """The bar in chords and silences; a silence is hidden in the second voice, or where the other voice sounds."""
    out: list[Piece] = []
    at = 0
    for index, chord in enumerate(chords):
        begin, end = max(chord.onset - bar.onset, 0), min(chord.end - bar.onset, bar.duration)
        if begin > at:
            out += _gap(at, begin, bar, other, hide)
        out.append(Piece(begin, end, index))
        at = end
    if at < bar.duration:
        out += _gap(at, bar.duration, bar, other, hide)
    return out


def _gap(begin: int, end: int, bar: Bar, other: list[Chord], hide: bool) -> list[Piece]:
    if hide:
        return [Piece(begin, end, -1, True)]
    sounding = [(c.onset - bar.onset, c.end - bar.onset) for c in other]
    covered = any(a < end and b > begin for a, b in sounding)
    return [Piece(begin, end, -1, covered)]


def _leaves(symbols: Sequence[Symbol | Group]) -> list[Symbol]:
    out: list[Symbol] = []
    for symbol in symbols:
        out += [symbol] if isinstance(symbol, Symbol) else _leaves(symbol.children)
    return out


def _accidentals(
    plan: Plan, bar: Bar, rows: list[tuple[list[Chord], list[Symbol]]], heads_before: Mapping[int, int]
) -> set[tuple[int, int]]:
    """(note, begin of the head in the bar) of every head that shows its accidental.

    An accidental holds to the end of the bar on its line; a head that is tied from before shows none. What sounds over
    the beginning of a piece has no head before (`heads_before`: note -> heads written), no tie, and shows its own. Two
    heads on one place at once that sound differently, as C and C sharp, show theirs both.
    """
    number = int(np.searchsorted([b.onset for b in plan.bars], bar.onset, side="right")) - 1
    fifths = int(plan.fifths[number])
    order = SHARPS if fifths > 0 else SHARPS[::-1]
    key = dict.fromkeys(order[: abs(fifths)], 1 if fifths > 0 else -1)
    state: dict[tuple[int, int], int | None] = {}
    shown: set[tuple[int, int]] = set()
    heads = [(s.piece.begin, n, chords[s.piece.chord]) for chords, row in rows for s in row if s.piece.chord >= 0
             for n in chords[s.piece.chord].notes]  # fmt: skip
    places = {note: (int(plan.step[note]), int(plan.octave[note])) for _, note, _ in heads}
    sounds: dict[tuple[int, tuple[int, int]], set[int]] = defaultdict(set)
    for begin, note, _ in heads:
        sounds[begin, places[note]].add(int(plan.alter[note]))
    for begin, note, chord in sorted(heads, key=lambda head: head[:2]):
        began = chord.onset - bar.onset
        place, alter = places[note], int(plan.alter[note])
        clash = len(sounds[begin, place]) > 1
        if not clash and (begin > max(began, 0) or (began < 0 and heads_before.get(note, 0))):
            continue
        if clash or alter != state.get(place, key.get(place[0], 0)):
            shown.add((note, begin))
            state[place] = None if clash else alter  # nobody could tell which of two holds
    return shown


class _Row:
    """Writes the symbols of one layer."""

    def __init__(
        self, page: _Page, plan: Plan, bar: Bar, chords: list[Chord], shown: set[tuple[int, int]], ties: list[str]
    ) -> None:
        self.page, self.plan, self.bar = page, plan, bar
        self.chords, self.shown, self.ties = chords, shown, ties

    def symbols(self, symbols: Sequence[Symbol | Group]) -> None:
        text = self.page.text
        for symbol in symbols:
            if isinstance(symbol, Group):
                name = "tuplet" if symbol.num else "beam"
                text.append(f'<tuplet num="{symbol.num}" numbase="{symbol.base}">' if symbol.num else "<beam>")
                self.symbols(symbol.children)
                text.append(f"</{name}>")
            elif symbol.piece.chord < 0:
                kind = "space" if symbol.piece.hidden else "rest"
                text.append(f'<{kind} dur="{symbol.dur}"{_dots(symbol)}/>')
            else:
                self.chord(symbol)

    def chord(self, symbol: Symbol) -> None:
        chord = self.chords[symbol.piece.chord]
        value = f' dur="{symbol.dur}"{_dots(symbol)}'
        several = len(chord.notes) > 1
        if several:
            self.page.text.append(f"<chord{value}>")
        begins = chord.onset - self.bar.onset == symbol.piece.begin
        for note in chord.notes:
            self.note(note, symbol.piece.begin, begins, "" if several else value)
        if several:
            self.page.text.append("</chord>")

    def note(self, note: int, begin: int, begins: bool, value: str) -> None:
        plan, page = self.plan, self.page
        count = page.heads[note]
        page.heads[note] += 1
        name = f"n{note}" if not count else f"n{note}-{count}"
        page.source[name] = note
        if count and not begins:
            before = f"n{note}" if count == 1 else f"n{note}-{count - 1}"
            self.ties.append(f'<tie startid="#{before}" endid="#{name}"/>')
        alter = int(plan.alter[note])
        accidental = ""
        if (note, begin) in self.shown:
            accidental = f' accid="{ACCIDENTALS[alter]}"'
        elif alter:
            accidental = f' accid.ges="{ACCIDENTALS[alter].replace("x", "ss")}"'
        letter = "cdefgab"[plan.step[note]]
        page.text.append(f'<note xml:id="{name}"{value} pname="{letter}" oct="{plan.octave[note]}"{accidental}/>')
