"""The notes that an ABC tune states, by the standard 2.1, with nothing of the engraver in it.

A strict reading of the text, bar by bar: unit length, broken rhythms, tuplets, chords, grace notes, ties, accidentals
through the bar in their octave, keys and modes. It counts bars by the bar lines of the text, however full they are.
What it does not know for certain makes its bar unclear (`None`), and what holds for a whole tune (an unknown key) all
bars from there on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from scoresim.score.abc import CLEF, factor, fifths
from scoresim.score.notes import STEPS, TIED_FROM, TIED_TO, Score
from scoresim.score.stated import Stated, differing

SHARPS = "FCGDAEB"
ALTER = {"": 0, "^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
LINE_FIELD = re.compile(r"([A-Za-z+]):(.*)")
LENGTH = r"[0-9]*/*[0-9]*"
TOKEN = re.compile(
    r"(?P<skip>(?:[\s`\\)~H-Wh-w]|\.(?!\|))+|\"[^\"]*\"|![^!\s]+!|y[0-9]*|\((?![0-9]))"
    rf"|(?P<note>(?P<accid>\^\^?|__?|=)?(?P<letter>[A-Ga-g])(?P<marks>[,']*)(?P<length>{LENGTH}))"
    rf"|(?P<rest>[zx](?P<pause>{LENGTH}))"
    r"|(?P<bar>\.?:*\[?\|[|:\]]*|::+)(?:\[?[0-9][0-9,.-]*)?"
    r"|(?P<ending>\[[0-9][0-9,.-]*)"
    r"|\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]"
    rf"|\[(?P<chord>[^\]|:]*)\](?P<times>{LENGTH})"
    r"|\{/?(?P<grace>[^}]*)\}"
    r"|\((?P<tuplet>[2-9])(?::(?P<q>[0-9]*))?(?::(?P<r>[0-9]*))?"
    r"|(?P<tie>-)"
    r"|(?P<broken>>+|<+)"
    r"|[ZX](?P<bars>[0-9]{0,2})"
)
NOTE = re.compile(rf"(\^\^?|__?|=)?([A-Ga-g])([,']*)({LENGTH})(-?)")
ORNAMENT = re.compile(r"[\s~.H-Wh-w()]+|\"[^\"]*\"|![^!\s]+!")


def doubtful_abc(tune: str, score: Score) -> frozenset[int]:
    """Bars in which the score does not hold exactly the notes that an ABC tune states.

    Notes that are tied inside a bar count as one: `check_abc` writes what no dots write (``c5``) as two.

    Args:
        tune: one tune, complete, as `split_abc` gives it and before anything was rewritten for the engraver.
        score: what was read from the engraver.

    Returns:
        Indices into `score.bars`; all of them where the tune has another number of bars with notes.
    """
    return differing(abc_bars(tune), score, joined=True)


def abc_bars(tune: str) -> list[Stated | None]:
    """The notes of every bar of a tune; None for a bar that is beyond this reader."""
    reader = _Reader()
    in_header = True
    for raw in tune.split("\n"):
        line = re.sub(r"(?<!\\)%.*$", "", raw)
        found = LINE_FIELD.match(line)
        if found and not (in_header and found[1] == "X"):
            reader.set(found[1], found[2], in_header)
            in_header = in_header and found[1] != "K"
        elif not found and not in_header:
            reader.line(line)
    reader.close()
    return [None if heads is None else _by_spelling(heads) for heads in reader.bars]


def _by_spelling(heads: list[_Head]) -> Stated:
    stated: Stated = defaultdict(list)
    for head in heads:
        stated[head.spelling].append((float(head.onset), float(head.duration), head.tie))
    return stated


@dataclass
class _Head:
    """A note head while its bar is read: `spelling` is step, alteration, octave."""

    spelling: tuple[int, int, int]
    onset: Fraction
    duration: Fraction
    tie: int = 0


@dataclass
class _Reader:
    """Where the reader stands.

    Attributes:
        bars: what is read, with the bar that is open in `heads`.
        lost: from here on nothing is certain.
        event: the heads of the last note, chord or rest; its duration is `lasts`.
        ties: step and octave -> alteration of the notes that the next event goes on from.
        shorter: what a broken rhythm makes of the next event.
        tuplet: events that are left in it, and what it makes of their durations.
    """

    unit: Fraction | None = None
    compound: bool = False
    key: dict[int, int] = field(default_factory=dict)
    bars: list[list[_Head] | None] = field(default_factory=list)
    heads: list[_Head] = field(default_factory=list)
    accidentals: dict[tuple[int, int], int] = field(default_factory=dict)
    now: Fraction = Fraction(0)
    lost: bool = False
    unclear: bool = False
    event: list[_Head] | None = None
    lasts: Fraction = Fraction(0)
    ties: dict[tuple[int, int], _Head] = field(default_factory=dict)
    shorter: Fraction = Fraction(1)
    tuplet: tuple[int, Fraction] = (0, Fraction(1))

    def set(self, letter: str, value: str, in_header: bool) -> None:
        """A field: key, unit length and metre count; macros and voices are beyond the reader, others mean no notes."""
        if letter == "K":
            count = 0 if in_header and not value.strip() else fifths(CLEF.sub("", value))
            self.lost |= count is None
            order = SHARPS if (count or 0) > 0 else SHARPS[::-1]
            self.key = {STEPS.index(s): 1 if (count or 0) > 0 else -1 for s in order[: abs(count or 0)]}
        elif letter == "L":
            found = re.match(r"\s*([0-9]+)(?:/([0-9]+))?\s*$", value)
            self.unit = Fraction(4 * int(found[1]), max(int(found[2] or 1), 1)) if found else None
        elif letter == "M":
            self.compound = value.strip() in ("6/8", "9/8", "12/8")
        elif letter in "mV" or (letter == "U" and not in_header):
            self.lost = True

    def line(self, line: str) -> None:
        """A line of notes."""
        at = 0
        while at < len(line):
            token = TOKEN.match(line, at)
            if token is None:  # a sign that the standard does not know: how many bars it stands for is not known either
                self.lost = self.unclear = True
                at += 1
                continue
            at = token.end()
            if token["note"] is not None:
                self.add([(token["accid"], token["letter"], token["marks"])], token["length"])
            elif token["bar"] is not None:
                self.close()
            elif token["rest"] is not None:
                self.add([], token["pause"])
            elif token["broken"] is not None:
                self.break_rhythm(token["broken"])
            elif token["tie"] is not None:
                self.tie(self.event)
            elif token["tuplet"] is not None:
                self.begin_tuplet(int(token["tuplet"]), token["q"], token["r"])
            elif token["chord"] is not None:
                self.chord(token["chord"], token["times"])
            elif token["grace"] is not None:
                self.graces(token["grace"])
            elif token["field"] is not None:
                self.set(token["field"], token["value"], False)
            elif token["bars"] is not None:
                self.unclear |= self.now > 0  # a rest of whole bars holds no notes, and must stand alone
                self.event = []

    def add(self, notes: list[tuple[str | None, str, str]], length: str, ties: list[bool] | None = None) -> None:
        """The next note, chord or rest: its accidentals, letters and octave marks, and its written length."""
        if self.unit is None:
            self.lost, self.unit = True, Fraction(1, 2)
        left, ratio = self.tuplet
        written = self.unit * factor(length) * (ratio if left else 1)
        self.tuplet = (max(left - 1, 0), ratio)
        self.lasts = written * self.shorter
        self.shorter = Fraction(1)
        waiting, self.ties = self.ties, {}
        self.event = []
        for accid, letter, marks in notes:
            head = _Head(self.spelling(accid, letter, marks, waiting), self.now, self.lasts)
            before = waiting.pop((head.spelling[0], head.spelling[2]), None)
            if before is not None and before.spelling == head.spelling:
                head.tie |= TIED_FROM
                before.tie |= TIED_TO
            elif before is not None:
                self.unclear = True
            self.event.append(head)
        self.heads += self.event
        self.now += self.lasts
        self.unclear |= bool(waiting) and not notes  # a tie to a rest
        if ties is not None:
            self.tie([head for head, tied in zip(self.event, ties, strict=True) if tied])

    def spelling(
        self, accid: str | None, letter: str, marks: str, ties: dict[tuple[int, int], _Head]
    ) -> tuple[int, int, int]:
        """Step, alteration and octave of a note; a tie carries an accidental over the bar line."""
        step = STEPS.index(letter.upper())
        octave = (4 if letter.isupper() else 5) + marks.count("'") - marks.count(",")
        if accid is not None:
            self.accidentals[step, octave] = ALTER[accid]
            return step, ALTER[accid], octave
        if (step, octave) in ties and (step, octave) not in self.accidentals:
            return step, ties[step, octave].spelling[1], octave
        return step, self.accidentals.get((step, octave), self.key.get(step, 0)), octave

    def chord(self, text: str, times: str) -> None:
        """A chord: all its notes have one length."""
        text = ORNAMENT.sub("", text)
        found = list(NOTE.finditer(text))
        lengths = [factor(match[4]) for match in found] or [Fraction(1)]
        self.unclear |= "".join(match.group() for match in found) != text or len(set(lengths)) != 1
        length = lengths[0] * factor(times)
        ties = [bool(match[5]) for match in found]
        self.add([(m[1], m[2], m[3]) for m in found], f"{length.numerator}/{length.denominator}", ties)

    def graces(self, text: str) -> None:
        """Grace notes: no time passes."""
        text = ORNAMENT.sub("", text)
        found = list(NOTE.finditer(text))
        self.unclear |= "".join(match.group() for match in found) != re.sub(r"[][]", "", text)
        for match in found:
            self.unclear |= bool(match[5])
            self.heads.append(_Head(self.spelling(match[1], match[2], match[3], {}), self.now, Fraction(0)))

    def tie(self, heads: list[_Head] | None) -> None:
        """These heads go on in the next event."""
        for head in heads or ():
            self.ties[head.spelling[0], head.spelling[2]] = head

    def break_rhythm(self, signs: str) -> None:
        """``>``: the last event is made longer and the next one shorter; ``<`` the other way round."""
        if self.event is None or self.shorter != 1:
            self.unclear = True
            return
        short = Fraction(1, 2 ** len(signs))
        last, self.shorter = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        for head in self.event:
            head.duration *= last
        self.now += self.lasts * (last - 1)

    def begin_tuplet(self, p: int, q: str | None, r: str | None) -> None:
        """``(p:q:r``: the next r events last q in the time of p."""
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 3 if self.compound else 2)
        self.unclear |= self.tuplet[0] > 0
        self.tuplet = int(r or p), Fraction(int(q or usual) or usual, p)

    def close(self) -> None:
        """The bar ends, if there are notes in it."""
        if self.heads:
            self.unclear |= self.shorter != 1 or self.tuplet[0] > 0
            self.bars.append(None if self.unclear or self.lost else self.heads)
        self.heads, self.accidentals, self.now, self.event = [], {}, Fraction(0), None
        self.unclear = self.lost
        self.shorter, self.tuplet = Fraction(1), (0, Fraction(1))
