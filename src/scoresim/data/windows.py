"""Windows of a piece: stretches of its notes, read line by line.

A model reads a passage at a time, as it was taught (docs/decisions/0012). A window of 512 notes is many of them: the
engraved lines on which these notes stand, or, where nothing is engraved, groups of bars as long as a line. So a window
is a row of *segments*, each the notes of one line that belong to the window, and the picture of that line.

A line begins at a bar line. Where a question hides the bars, a segment is a stretch of notes that pays no regard to
them, without a picture, and its time begins with its first note.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scoresim.data.pair import Pair, png
from scoresim.data.pieces import Piece
from scoresim.data.rows import Labels
from scoresim.data.spacing import POWER
from scoresim.score.notes import Ints
from scoresim.score.tokens import ATTRIBUTES, FIRST, MASK, Vocabulary, default_vocabulary, with_one_program

LINE_WIDTH = 7.0  # of a group of bars, in the unit of `spacing`: the median of 3,000 engraved lines is 6.9
LINE_NOTES = 64  # of a group of bars
MOST_NOTES = 128  # of a segment: a fuller line is read in parts
Ids = TypeVar("Ids", bound=np.integer[Any])
BLANK = png(np.full((1, 1), 255, dtype=np.uint8))


@dataclass(frozen=True)
class Segment:
    """Some notes of a piece that stand on one line.

    Attributes:
        piece: index of the piece.
        first_bar, end_bar: bars of the line.
        line: index of the engraved line, -1 where there is none.
        first, end: its notes.
    """

    piece: int
    first_bar: int
    end_bar: int
    line: int
    first: int
    end: int


@dataclass(frozen=True)
class Window:
    """A stretch of a piece: notes `first` to `end`, on the segments `rows` to `end_row` of its `Segments`."""

    piece: int
    first: int
    end: int
    row: int
    end_row: int


@dataclass(frozen=True, eq=False)
class Marked(Pair):
    """A segment as a pair, with a class for every note.

    Attributes:
        marks: [N] class of each note, below 0 where none is asked.
    """

    marks: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def lines_of(piece: Piece) -> list[tuple[int, int, int]]:
    """(first bar, end bar, index of the engraved line or -1) of the lines of a piece, which cover all its bars."""
    out: list[tuple[int, int, int]] = []
    at = 0
    for number, line in sorted(enumerate(piece.lines), key=lambda pair: pair[1].first_bar):
        if line.first_bar < at:
            continue  # a bar that is drawn twice is read once
        out += _groups(piece, at, line.first_bar)
        out.append((line.first_bar, line.end_bar, number))
        at = line.end_bar
    return out + _groups(piece, at, len(piece.bar_onset) - 1)


def _groups(piece: Piece, first: int, end: int) -> list[tuple[int, int, int]]:
    """Bars `first` to `end` in groups about as long as a line."""
    out: list[tuple[int, int, int]] = []
    edges = np.searchsorted(piece.bar, np.arange(first, end + 1))
    counts = np.diff(edges)
    widths = np.diff(piece.bar_onset[first : end + 1]) ** POWER  # of bars without notes, of which a file may have many
    for i in np.flatnonzero(counts).tolist():
        borders = piece.bar_onset[first + i : first + i + 2]
        onsets = np.unique(np.r_[borders, piece.onset[edges[i] : edges[i + 1]]])
        widths[i] = (np.diff(onsets) ** POWER).sum()
    start, width, notes = first, 0.0, 0
    for bar, (wide, count) in enumerate(zip(widths.tolist(), counts.tolist(), strict=True), first):
        if bar > start and (width + wide > LINE_WIDTH or notes + count > LINE_NOTES):
            out.append((start, bar, -1))
            start, width, notes = bar, 0.0, 0
        width, notes = width + wide, notes + count
    return [*out, (start, end, -1)] if end > start else out


def cut(
    pieces: Sequence[Piece], notes: int, hop: int, least: int = 1, whole: bool = False, bars: bool = True
) -> tuple[list[Segment], list[Window]]:
    """Pieces in windows of some notes.

    Args:
        pieces: what is cut.
        notes: of a window.
        hop: notes from the beginning of a window to that of the next; less than `notes` makes windows overlap.
        least: a last window with fewer notes is left out, unless it is the only one of its piece.
        whole: the last window is moved back so that it has `notes` of them too.
        bars: whether segments are lines; else stretches of notes.

    Returns:
        Segments of all windows, and the windows.
    """
    segments: list[Segment] = []
    windows: list[Window] = []
    for number, piece in enumerate(pieces):
        lines = _noted(piece) if bars else None
        starts = list(range(0, max(len(piece) - (notes - hop), 1), hop))
        for start in starts:
            first = max(min(start, len(piece) - notes), 0) if whole else start
            end = min(first + notes, len(piece))
            if end - first < least and start:
                continue
            row = len(segments)
            if lines is None:
                segments += _stretches(piece, number, first, end)
            else:
                segments += _segments(number, lines, first, end)
            windows.append(Window(number, first, end, row, len(segments)))
    return segments, windows


Noted = list[tuple[int, int, int, int, int]]


def _noted(piece: Piece) -> Noted:
    """The lines of a piece that have notes, as in `lines_of`, each with its first note and the first after it."""
    lines = lines_of(piece)
    edges = np.searchsorted(piece.bar, np.array(lines, dtype=np.int64).reshape(-1, 3)[:, :2]).tolist()
    return [(*line, *notes) for line, notes in zip(lines, edges, strict=True) if notes[0] < notes[1]]


def _segments(number: int, lines: Noted, first: int, end: int) -> list[Segment]:
    out = []
    for first_bar, end_bar, line, a, b in lines[bisect_right(lines, first, key=itemgetter(4)) :]:
        if a >= end:
            break
        a, b = max(a, first), min(b, end)
        edges = np.linspace(a, b, -(-(b - a) // MOST_NOTES) + 1).round().astype(int).tolist()
        out += [Segment(number, first_bar, end_bar, line, low, high) for low, high in pairwise(edges)]
    return out


def _stretches(piece: Piece, number: int, first: int, end: int) -> list[Segment]:
    """Notes `first` to `end` in stretches of about as many notes as a line has, at most."""
    edges = np.linspace(first, end, -(-(end - first) // LINE_NOTES) + 1).round().astype(int).tolist()
    bar = piece.bar.tolist()
    return [Segment(number, bar[low], bar[high - 1] + 1, -1, low, high) for low, high in pairwise(edges)]


class Segments:
    """Segments of pieces as the rows of a data set.

    Args:
        pieces: the pieces.
        rows: their segments.
        hidden: attributes that nobody may see, as "velocity".
        marks: [N] class of every note of a piece; None where notes are not asked.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        rows: Sequence[Segment],
        hidden: Sequence[str] = (),
        marks: Callable[[Piece], Ints] | None = None,
    ) -> None:
        self.pieces, self.rows = pieces, rows
        self.hidden = [ATTRIBUTES.index(name) for name in hidden]
        self.barless = "bar" in hidden
        self.marks = None if marks is None else [marks(piece) for piece in pieces]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[Any]:
        """One value of every row: "corpus", "item", "work", "n_notes", or of its picture."""
        if name in ("corpus", "work"):
            return [getattr(self.pieces[row.piece], name) for row in self.rows]
        if name == "item":
            return [self.pieces[row.piece].id for row in self.rows]
        if name == "n_notes":
            return [row.end - row.first for row in self.rows]
        if name == "staff_space":
            return [self.pieces[row.piece].staff_space for row in self.rows]
        of_line = {"height": "height", "width": "width", "n_staves": "staves"}
        if name not in of_line:
            raise KeyError(name)
        lines = [self.pieces[row.piece].lines[row.line] if row.line >= 0 else None for row in self.rows]
        return [1 if line is None else getattr(line, of_line[name]) for line in lines]

    def __getitem__(self, index: int) -> Pair:
        row = self.rows[index]
        piece = self.pieces[row.piece]
        taken = slice(row.first, row.end)
        ids = with_one_program(piece.ids[taken])
        ids[:, 0] = FIRST + piece.bar[taken] - row.first_bar
        ids[:, self.hidden] = MASK
        begin, end = piece.bar_onset[row.first_bar], piece.bar_onset[row.end_bar]
        if self.barless:
            begin, end = piece.onset[row.first], piece.onset[row.end - 1]
        line = piece.lines[row.line] if row.line >= 0 else None
        n = row.end - row.first
        nothing = np.zeros((0, 6), dtype=np.float32)
        return Marked(
            id=f"{piece.corpus}/{piece.id}#{row.first}-{row.end}",
            corpus=piece.corpus,
            item=piece.id,
            work=piece.work,
            style=piece.style,
            composer=piece.composer,
            title=piece.title,
            split=piece.split,
            first_bar=row.first_bar,
            n_bars=row.end_bar - row.first_bar,
            n_systems=1,
            image=BLANK if line is None else line.image,
            width=1 if line is None else line.width,
            height=1 if line is None else line.height,
            staff_space=piece.staff_space,
            notes=ids,
            bar_of_note=(piece.bar[taken] - row.first_bar).astype(np.int32),
            onset=(piece.onset[taken] - begin).astype(np.float32),
            length=float(end - begin),
            staff=piece.staff[taken].astype(np.int16),
            voice=piece.voice[taken].astype(np.int16),
            n_staves=1 if line is None else line.staves,
            heads=nothing[:, :5],
            bar_boxes=nothing[:, :4] if line is None else line.bar_boxes,
            staff_boxes=nothing,
            spelling=["?"] * n,
            onset_exact=[],
            duration_exact=[],
            agreement=1.0,
            notation=piece.notation,
            marks=np.full(n, -1) if self.marks is None else self.marks[row.piece][taken],
        )


def marks_of(name: str) -> Labels:
    """Gives the marks of a segment as labels of some name."""
    return lambda pair: {name: pair.marks} if isinstance(pair, Marked) else {}


def moved(ids: NDArray[Ids], steps: int, faster: int, vocabulary: Vocabulary | None = None) -> NDArray[Ids]:
    """Note tokens transposed and played faster: augmentation of notes that are read without an image.

    Args:
        ids: [N, 8].
        steps: semitones; a note that would leave the range of pitches is moved by octaves.
        faster: steps of the tempo's scale, twelve of which double it.
        vocabulary: of the tokens.
    """
    sizes = (vocabulary or default_vocabulary()).sizes
    out = ids.copy()
    pitch, tempo = ATTRIBUTES.index("pitch"), ATTRIBUTES.index("tempo")
    seen = out[:, pitch] >= FIRST
    raised = out[:, pitch].astype(np.int64) - FIRST + steps
    raised = np.where(raised < 0, raised + 12, np.where(raised > 127, raised - 12, raised))
    out[:, pitch] = np.where(seen, raised + FIRST, out[:, pitch])
    seen = out[:, tempo] >= FIRST
    played = (out[:, tempo].astype(np.int64) + faster).clip(FIRST, sizes[tempo] - 1)
    out[:, tempo] = np.where(seen, played, out[:, tempo])
    return out
