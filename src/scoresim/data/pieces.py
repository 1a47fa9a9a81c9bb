"""A whole piece as note tokens, and as the engraved lines on which its bars stand.

A passage of a data set is left out where its picture and its notes do not agree. A question about a piece is asked of
every note in it. So here nothing is left out: a MIDI file keeps all its notes, in their own times and between the bar
lines of its notation; a notated file has the notes that it writes. Lines that cannot be engraved are missing, with a
warning, and their bars are read without an image.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.curate import seeded
from scoresim.data.made import make_all, refusal
from scoresim.data.pair import png
from scoresim.data.parts import part_name
from scoresim.errors import BadInput, ScoresimError
from scoresim.files import replacing
from scoresim.score.engrave import EngraveConfig, Engraving, Layout, vary
from scoresim.score.notate import notate_all, quantized
from scoresim.score.notes import DRUMS, Ints, Score
from scoresim.score.read import check_abc, read_text, read_tracks
from scoresim.score.source import doubtful
from scoresim.score.tokens import GRID, Tokens, default_vocabulary, encode

FORMAT, FROM_MIDI = 4, 8  # of files of pieces, from notation and from MIDI; a new number makes old ones useless
NOTE_COLUMNS = ("bar", "velocity", "track", "staff", "voice")
ARRAYS = ("ids", "onset", "bar_onset")

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True, eq=False)
class Line:
    """An engraved system of a piece.

    Attributes:
        first_bar: index of its first bar in the piece.
        bar_boxes: [n, 4] x0, y0, x1, y1 of its bars in pixels.
        heads: [K, 5] index of a note of the piece, and the box of a head that is drawn for it, in pixels.
        image: PNG, grey, 255 is paper.
        height, width: pixels.
        staves: on it.
    """

    first_bar: int
    bar_boxes: NDArray[np.float32]
    heads: NDArray[np.float32]
    image: bytes
    height: int
    width: int
    staves: int

    @property
    def end_bar(self) -> int:
        """Index of the first bar after it."""
        return self.first_bar + len(self.bar_boxes)


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece as N notes, with what its source says of it.

    Attributes:
        id, corpus, work, split, style, composer, title: of the item (see `Item`); split is "" where there is none.
        labels: of the item.
        ids: [N, 8] note tokens, in the order of (bar, position, pitch, duration, program); bars count from 0.
        bar: [N] bar of each note.
        onset: [N] quarter notes from the beginning.
        bar_onset: [B + 1] quarter notes at which each bar begins, and the end of the last.
        velocity: [N] 1-127.
        track: [N] index into `tracks`; -1 where there are none.
        staff, voice: [N] from 1; 0 is unknown.
        tracks: names of the MIDI file's tracks.
        staves: names of the parts on the staves, from top to bottom.
        staff_space: pixels between two staff lines of the pictures.
        lines: the engraved systems in order; empty where nothing was engraved.
        notation: "composer" or "machine".
        warnings: what could not be engraved, and why.
    """

    id: str
    corpus: str
    work: str
    split: str
    style: str
    composer: str
    title: str
    labels: Mapping[str, str]
    ids: NDArray[np.int32]
    bar: Ints
    onset: NDArray[np.float64]
    bar_onset: NDArray[np.float64]
    velocity: Ints
    track: Ints
    staff: Ints
    voice: Ints
    tracks: tuple[str, ...] = ()
    staves: tuple[str, ...] = ()
    staff_space: float = 8.0
    lines: tuple[Line, ...] = ()
    notation: str = "machine"
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Wanted:
    """An item that is to become a piece.

    Attributes:
        corpus: its name.
        item: what to read.
        file: where the piece goes.
        images: whether it is engraved.
    """

    corpus: str
    item: Item
    file: Path
    images: bool = True


def read_piece(corpus: str, item: Item, images: bool = True) -> Piece:
    """Read an item as a piece.

    Args:
        corpus: name of its source, which knows its beats.
        item: what to read.
        images: whether to engrave it; the look follows from the item's name.

    Raises:
        BadInput, ValueError: it cannot be read.
    """
    return read_whole(corpus, item, images).piece


@dataclass(frozen=True, eq=False)
class Sheet:
    """Some bars of a piece, written down.

    Attributes:
        first_bar: index of the first in the piece.
        mei: a complete MEI text; every note has an identifier.
        note: identifier of a drawn note -> index of the note of the piece that it belongs to.
    """

    first_bar: int
    mei: str
    note: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Whole:
    """A piece, with what it was read from.

    Attributes:
        piece: the piece.
        score: its source: the notes of a notation, or those of a MIDI file but percussion, in its ticks.
        of_note: [M] the note of the piece that each note of the source belongs to.
        sheets: the piece written down, where that was asked for.
        title, composer: as the source says; "" where it does not.
        doubtful: bars of a notation that the engraver reads otherwise than its text states (`score.source`), and those
            of which that cannot be said.
    """

    piece: Piece
    score: Score
    of_note: Ints
    sheets: tuple[Sheet, ...] = ()
    title: str = ""
    composer: str = ""
    doubtful: int = 0


def read_whole(corpus: str, item: Item, images: bool = False, sheets: bool = False) -> Whole:
    """Read an item as a piece, and keep what it was read from; see `read_piece`.

    Args:
        corpus, item, images: as there.
        sheets: whether to write it down.
    """
    settings = vary(seeded(0, "piece", corpus, item.id))
    about = {
        "id": item.id,
        "corpus": corpus,
        "work": item.work,
        "split": item.split or "",
        "style": item.style,
        "composer": item.composer,
        "title": item.title,
        "labels": dict(item.labels),
        "staff_space": settings.staff_space,
    }
    if item.format == "midi":
        return _from_midi(corpus, item, settings, about, images, sheets)
    text = stated = read_text(item.path, item.format)
    if item.format == "abc":
        stated = corpora.abc_text(item)
        text = check_abc(stated, item.path)
    engraving = Engraving(text, settings, str(item.path), bar_accidentals=item.format == "abc")
    score = engraving.reading.score
    tokens = encode(score, default_vocabulary())
    piece = of_score(score, tokens, np.full(len(score.notes), -1), about | {"notation": "composer"})
    piece = replace(piece, staves=tuple(staff.label for staff in score.staves))
    note = dict(zip(score.notes.id, tokens.of_note.tolist(), strict=True))
    if images:
        piece = _engraved(piece, [_Engraved(0, engraving, note, engraving.pages)], len(score.bars))
    written = (Sheet(0, engraving.mei(), note),) if sheets else ()
    try:
        wrong = len(doubtful(stated, item.format, score))
    except (ArithmeticError, LookupError, ValueError):  # what the engraver takes, the comparison need not
        wrong = len(score.bars)
    return Whole(piece, score, tokens.of_note, written, engraving.reading.title, engraving.reading.composer, wrong)


def _from_midi(
    corpus: str, item: Item, settings: EngraveConfig, about: dict[str, Any], images: bool, sheets: bool
) -> Whole:
    midi, track, names = read_tracks(item.path)
    kept = np.flatnonzero(midi.notes.program != DRUMS)
    if not len(kept):
        raise BadInput(f"{item.path} has no notes but percussion; scoresim reads pitches.")
    midi, track = replace(midi, notes=midi.notes.take(kept)), track[kept]
    beats = corpora.get(corpus).beats
    known = beats(item) if beats is not None else None
    score = quantized(midi, known)
    tokens = encode(score, default_vocabulary())
    piece = replace(of_score(score, tokens, track, about), tracks=names)
    warnings: list[str] = []
    engraved: list[_Engraved] = []
    written: list[Sheet] = []
    for notation in notate_all(midi, known) if images or sheets else ():
        note = {name: int(tokens.of_note[number]) for name, number in notation.source_note.items()}
        written.append(Sheet(notation.first_bar, notation.mei, note))
        try:
            if images:
                engraving = Engraving(notation.mei, settings, str(item.path))
                engraved.append(_Engraved(notation.first_bar, engraving, note, engraving.pages))
        except ValueError as error:
            warnings.append(f"bars from {notation.first_bar}: {error}")
    if images:
        piece = _engraved(replace(piece, warnings=tuple(warnings)), engraved, len(score.bars))
    return Whole(piece, midi, tokens.of_note, tuple(written) if sheets else ())


def of_score(score: Score, tokens: Tokens, track: Ints, about: dict[str, Any]) -> Piece:
    """The notes of a score as tokens; notes that are tied are one."""
    first = score.notes.take(tokens.note)
    starts = tokens.bar_starts / GRID
    return Piece(
        ids=tokens.ids,
        bar=tokens.bar,
        onset=starts[tokens.bar] + (tokens.ids[:, 1] - 2) / GRID,
        bar_onset=starts,
        velocity=first.velocity,
        track=track[tokens.note],
        staff=first.staff,
        voice=first.voice,
        **about,
    )


@dataclass(frozen=True, eq=False)
class _Engraved:
    """Engraved bars of a piece: the first, their engraving, the note of the piece of each drawn one, and pages."""

    first_bar: int
    engraving: Engraving
    note: Mapping[str, int]
    pages: int


def _engraved(piece: Piece, engravings: Sequence[_Engraved], bars: int) -> Piece:
    """The piece, of so many bars as a score, with its lines.

    A bar that is too long for the tokens is several there: such a piece stays without.
    """
    lines: list[Line] = []
    warnings = list(piece.warnings)
    if bars != len(piece.bar_onset) - 1:
        return replace(piece, warnings=(*warnings, "its bars are not those of its notes"))
    for one in engravings:
        for page in range(one.pages):
            for layout in one.engraving.page(page):
                try:
                    lines.append(_line(one, layout))
                except ValueError as error:
                    warnings.append(f"a line after bar {one.first_bar}: {error}")
    return replace(piece, lines=tuple(lines), warnings=tuple(warnings))


def _line(one: _Engraved, layout: Layout) -> Line:
    """A system, drawn.

    Raises:
        ValueError: it cannot be drawn, or its bars do not follow each other.
    """
    numbers = one.engraving.bars(layout)
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError("its bars do not follow each other")
    system = one.engraving.draw(layout)
    boxes = np.array([bar.box for bar in system.bars], dtype=np.float32)
    heads = [(one.note[head.id], *head.box) for head in system.heads if head.id in one.note]
    height, width = system.ink.shape
    return Line(
        first_bar=one.first_bar + numbers[0],
        bar_boxes=boxes,
        heads=np.array(heads, dtype=np.float32).reshape(-1, 5),
        image=png(system.ink),
        height=height,
        width=width,
        staves=len(system.staves),
    )


def save_piece(path: Path, piece: Piece) -> None:
    """Write a piece as one file of plain arrays."""
    about = {f.name: getattr(piece, f.name) for f in fields(piece) if f.name not in (*ARRAYS, *NOTE_COLUMNS, "lines")}
    lines = piece.lines
    arrays: dict[str, Any] = {name: getattr(piece, name) for name in NOTE_COLUMNS}
    arrays |= {"ids": piece.ids, "onset": piece.onset, "bar_onset": piece.bar_onset}
    counts = [[line.first_bar, len(line.bar_boxes), len(line.heads)] for line in lines]
    arrays["line_bars"] = np.array(counts, dtype=np.int64).reshape(-1, 3)
    arrays["line_heads"] = np.concatenate([np.zeros((0, 5), np.float32), *(line.heads for line in lines)])
    arrays["line_boxes"] = np.concatenate([np.zeros((0, 4), np.float32), *(line.bar_boxes for line in lines)])
    arrays["line_sizes"] = np.array([[n.height, n.width, n.staves, len(n.image)] for n in lines]).reshape(-1, 4)
    arrays["line_bytes"] = np.frombuffer(b"".join(line.image for line in lines), dtype=np.uint8)
    arrays["about"] = np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_piece(path: Path) -> Piece:
    """Read what `save_piece` wrote.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays.pop("about").tobytes())
        kinds = ("bars", "boxes", "heads", "sizes", "bytes")
        bars, boxes, heads, sizes, image = (arrays.pop(f"line_{name}") for name in kinds)
        lines, box, head, byte = [], 0, 0, 0
        for (first, count, drawn), (height, width, staves, size) in zip(bars.tolist(), sizes.tolist(), strict=True):
            picture = image[byte : byte + size].tobytes()
            line = boxes[box : box + count], heads[head : head + drawn]
            lines.append(Line(first, *line, picture, height, width, staves))
            box, head, byte = box + count, head + drawn, byte + size
        for name in ("tracks", "staves", "warnings"):
            about[name] = tuple(about[name])
        return Piece(**about, **arrays, lines=tuple(lines))
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise BadInput(f"{path} is damaged ({error}); remove it and run again.") from error


def pieces(corpus: str, items: Sequence[Item], folder: Path, images: bool = True, workers: int = 2) -> list[Piece]:
    """Items as pieces, each read once and kept in a folder.

    What cannot be read is left out, with a warning in the log; it is not tried again. What may have failed because the
    machine was crowded is tried once more when nothing else runs.

    Args:
        corpus: name of their source.
        items: what to read.
        folder: where pieces are kept from one call to the next.
        images: whether to engrave them.
        workers: processes.
    """
    wanted = [Wanted(corpus, item, folder / _name(corpus, item, images), images) for item in items]
    make_all(make_piece, wanted, f"Reading {corpus}", workers)
    for one in wanted:
        if refusal(one.file).is_file():
            reason = refusal(one.file).read_text(encoding="utf-8")
            _logger.warning("%s: %s is left out: %s", corpus, one.item.id, reason)
    return [load_piece(one.file) for one in wanted if one.file.is_file()]


def _name(corpus: str, item: Item, images: bool) -> str:
    """A name that changes when the item or its file does."""
    kind = "lines" if images else "notes"
    return f"{Path(part_name(corpus, item)).stem}-{kind}{FROM_MIDI if item.format == 'midi' else FORMAT}.npz"


def make_piece(wanted: Wanted) -> None:
    """Read an item and leave it on disk; runs in a worker process.

    Raises:
        BadInput, ValueError: it cannot be read.
    """
    try:
        piece = read_piece(wanted.corpus, wanted.item, wanted.images)
    except (ScoresimError, ValueError, MemoryError):
        raise
    except Exception as error:  # whatever a strange file does to a parser costs that file; the reason says what it was
        raise ValueError(f"the reader failed ({type(error).__name__}: {error})") from None
    save_piece(wanted.file, piece)
