"""What a user gives: a file of notes, or a picture of a score. Files are read in a worker process, with limits."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from scoresim.data.books import file_of, parted
from scoresim.data.corpora import FORMATS
from scoresim.data.corpora.folder import items_of
from scoresim.data.page import PageSystem, open_pages, systems_of
from scoresim.data.pair import Pair, png
from scoresim.data.pieces import Piece, Sheet, Whole, read_whole
from scoresim.data.spacing import POWER
from scoresim.data.windows import Segment, Segments
from scoresim.errors import BadInput, NotNow, ScoresimError
from scoresim.files import replacing
from scoresim.score.midi_write import with_beats, with_hands, with_melody
from scoresim.score.notate import notate_all
from scoresim.score.notes import Score
from scoresim.score.read import read_bytes, read_midi
from scoresim.score.sandbox import BROKEN, KILLED, Failure, Workers, run_all
from scoresim.score.tokens import FIRST

T = TypeVar("T")
Kind = Literal["notes", "image"]
MIDI = (".mid", ".midi")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf")
KINDS_BY_SUFFIX: dict[str, Kind] = dict.fromkeys(FORMATS, "notes") | dict.fromkeys(PICTURES, "image")  # type: ignore[assignment]
LARGEST, LONGEST = 64 << 20, 400  # bytes of a file; characters of the reason why it cannot be read
SECONDS = 60.0  # for a file
ADVICE = {  # by the beginning of a reason of the sandbox
    "the parser crashed": "open it in another program, and save it anew",
    "took longer": "give a shorter piece, or fewer pages",
    "needed more memory": "give a smaller file",
    KILLED: "try again while less is running, or give a smaller file",
    BROKEN: "try again while less is running",
}
WIDTHS = (
    4.5,
    7.0,
    10.0,
    14.0,
    19.0,
    25.0,
    32.0,
)  # of stretches of bars, in the unit of `spacing`: engraved lines of all kinds


def kind_of(path: Path) -> Kind:
    """Whether a file, or the file of an address (`data.books`), holds notes or a picture, by its name.

    Raises:
        BadInput: it is not there, empty, too large, or of no known kind.
    """
    path = file_of(path)
    suffix = path.suffix.lower()
    if suffix not in KINDS_BY_SUFFIX:
        raise BadInput(f"{path} is of no known kind; scoresim reads {', '.join(KINDS_BY_SUFFIX)}.")
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error
    if size is None:
        raise BadInput(f"{path} is no file.")
    if not 0 < size <= LARGEST:
        raise BadInput(f"{path} has {size} bytes; scoresim reads files of 1 to {LARGEST} bytes.")
    return KINDS_BY_SUFFIX[suffix]


def read_notes(paths: Sequence[Path], images: bool = False, workers: Workers | int = 1) -> list[Piece | Failure]:
    """Files of notes as pieces, or why they are none; of a tune book without an address the first tune.

    Args:
        paths: MIDI, MusicXML, MXL, MEI, kern or ABC, or addresses of tunes.
        images: whether they are engraved.
        workers: processes.
    """
    found = _each(_read, [(path, images, False) for path in paths], workers)
    return [one if isinstance(one, Failure) else one.piece for one in found]


def read_wholes(paths: Sequence[Path], sheets: bool = False, workers: Workers | int = 1) -> list[Whole | Failure]:
    """Files of notes as pieces with what they were read from, or why they are none; see `read_notes`.

    Args:
        paths, workers: as there.
        sheets: whether they are written down.
    """
    return _each(_read, [(path, False, sheets) for path in paths], workers)


def write_down(
    whole: Whole, path: Path, left: NDArray[np.bool_] | None, workers: Workers | int = 1
) -> tuple[Sheet, ...]:
    """A MIDI file that was read, written down, in pieces of some bars.

    Args:
        whole: the piece.
        path: the file.
        left: [N] which notes of the piece the left hand plays; None: a rule says it.
        workers: processes.

    Raises:
        BadInput: it cannot be written down.
    """
    of_source = None if left is None else left[whole.of_note]
    [found] = _each(_sheets, [(whole.score, whole.of_note, of_source)], workers)
    return known(found, path)


def _sheets(task: tuple[Score, NDArray[np.int64], NDArray[np.bool_] | None]) -> tuple[Sheet, ...]:
    """Runs in a worker."""
    score, of_note, left = task
    with _sentences():
        return tuple(
            Sheet(one.first_bar, one.mei, {name: int(of_note[number]) for name, number in one.source_note.items()})
            for one in notate_all(score, left=left)
        )


def _each(function: Callable[[Any], T], tasks: list[Any], workers: Workers | int) -> list[T | Failure]:
    """What a function gives for each task, in worker processes."""
    found: list[T | Failure] = [Failure("it was not read")] * len(tasks)
    if not tasks:
        return found
    if isinstance(workers, Workers):
        outcomes = workers.run_all(function, tasks, SECONDS)
    else:
        outcomes = run_all(function, tasks, workers, SECONDS)
    for i, outcome in outcomes:
        found[i] = outcome
    return found


def warm(workers: Workers) -> None:
    """Start a worker before there is something to read: it loads what reading needs meanwhile."""
    workers.begin(_ready)


def _ready(nothing: None) -> None:
    """Runs in a worker: loads the parsers."""
    importlib.import_module("verovio")
    importlib.import_module("symusic")


@contextmanager
def _sentences() -> Iterator[None]:
    """Whatever a strange file does to a reader costs that file alone: the reason says what it was."""
    try:
        yield
    except (ScoresimError, ValueError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"the reader failed ({type(error).__name__}: {error})") from None


def _read(task: tuple[Path, bool, bool]) -> Whole:
    """Runs in a worker."""
    path, images, sheets = task
    file, tune = parted(path)
    with _sentences():
        item = next(items_of(file, PurePosixPath(file.name), tune or 0), None)
        if item is None:
            read_bytes(file)  # says what is wrong with the file, if that is it
            raise ValueError(f"{file.name} does not hold so many tunes")
        whole = read_whole("folder", item, images, sheets)
    if not len(whole.piece):
        raise ValueError("it holds no notes")
    return replace(whole, piece=replace(whole.piece, id=path.name))


def write_melody(path: Path, out: Path, melody: NDArray[np.bool_], only: bool, workers: Workers | int = 1) -> None:
    """Write the notes of a file as MIDI, those of its melody on a track of their own; whole or not at all.

    Args:
        path: file of notes.
        out: .mid.
        melody: [N] which notes of its piece are melody.
        only: leave all others out.

    Raises:
        BadInput: it cannot be read or written.
    """
    _write_midi(out, _melody, (path, melody, only), workers)


def write_hands(path: Path, out: Path, right: NDArray[np.bool_], workers: Workers | int = 1) -> None:
    """Write the notes of a file as MIDI, those of each hand on a track of their own; whole or not at all.

    Args:
        path: file of notes.
        out: .mid.
        right: [N] which notes of its piece are for the right hand.

    Raises:
        BadInput: it cannot be read or written.
    """
    _write_midi(out, _hands, (path, right), workers)


def write_beats(path: Path, out: Path, workers: Workers | int = 1) -> None:
    """Write a performance as MIDI on the grid of its beats, which are estimated; whole or not at all.

    Args:
        path: a MIDI file.
        out: .mid.

    Raises:
        BadInput: it cannot be read or written, is no MIDI, or lies on its beats already.
    """
    if path.suffix.lower() not in MIDI:
        raise BadInput(f"{path} is no MIDI file; only a performance, as MIDI, has beats that are not written.")
    _write_midi(out, _beats, (path,), workers)


def _write_midi(out: Path, made: Callable[[Any], bytes], task: tuple[Any, ...], workers: Workers | int) -> None:
    if out.suffix.lower() not in MIDI:
        raise BadInput(f"{out} is to hold MIDI; name it .mid.")
    [data] = _each(made, [task], workers)
    if isinstance(data, Failure):
        raise refusal(data, task[0])
    with replacing(out) as temporary:
        temporary.write_bytes(data)


def _melody(task: tuple[Path, NDArray[np.bool_], bool]) -> bytes:
    """Runs in a worker."""
    path, melody, only = task
    whole = _read((path, False, False))
    with _sentences():
        return with_melody(path, whole.score, melody[whole.of_note], only)


def _hands(task: tuple[Path, NDArray[np.bool_]]) -> bytes:
    """Runs in a worker."""
    path, right = task
    whole = _read((path, False, False))
    with _sentences():
        return with_hands(path, whole.score, right[whole.of_note])


def _beats(task: tuple[Path]) -> bytes:
    """Runs in a worker."""
    [path] = task
    with _sentences():
        return with_beats(path, read_midi(path))


def read_pages(paths: Sequence[Path], workers: Workers | int = 1) -> list[list[list[PageSystem]] | Failure]:
    """Pictures as pages of systems, or why they are none; a page without staves has no systems."""
    return _each(_read_page, list(paths), workers)


def _read_page(path: Path) -> list[list[PageSystem]]:
    """Runs in a worker."""
    found: list[list[PageSystem]] = []
    without: BadInput | None = None
    for page in open_pages(path):
        try:
            found.append(systems_of(page))
        except BadInput as error:
            without = error
            found.append([])
    if without is not None and not any(found):
        raise without
    return found


def read_first_page(paths: Sequence[Path], workers: Workers | int = 1) -> list[bytes | Failure]:
    """The first page of every picture as PNG, in its own pixels, or why there is none."""
    return _each(_read_first_page, list(paths), workers)


def _read_first_page(path: Path) -> bytes:
    """Runs in a worker."""
    return png(next(iter(open_pages(path))))


def pair_of(system: PageSystem, piece: Piece | None = None, stretch: Stretch | None = None) -> Pair:
    """A system as a passage: alone, or with some bars of a piece."""
    if piece is None or stretch is None:
        piece, stretch = NOTHING, Stretch(0, 1, 0, 1)
    row = Segment(0, stretch.first_bar, stretch.end_bar, -1, stretch.first, stretch.end)
    height, width = system.image.shape
    return replace(
        Segments([piece], [row])[0],
        image=png(255 - system.image),
        height=height,
        width=width,
        staff_space=system.space,
        n_staves=system.staves,
    )


class Stretch(NamedTuple):
    """Bars `first_bar` to `end_bar` of a piece, and the notes `first` to `end` that stand in them."""

    first_bar: int
    end_bar: int
    first: int
    end: int


def stretches(piece: Piece, widths: Sequence[float] = WIDTHS) -> list[Stretch]:
    """From every bar on, the stretches of whole bars that are about as wide as an engraved line, without repeats."""
    edges = np.searchsorted(piece.bar, np.arange(len(piece.bar_onset)))
    ends = wide(piece)
    out: set[Stretch] = set()
    for bar in range(len(piece.bar_onset) - 1):
        for width in widths:
            end = max(int(np.searchsorted(ends, ends[bar] + width, side="right")) - 1, bar + 1)
            if edges[end] > edges[bar]:
                out.add(Stretch(bar, end, int(edges[bar]), int(edges[end])))
    return sorted(out)


_ONE = np.ones(1, dtype=np.int64)
NOTHING = Piece(
    id="nothing",
    corpus="folder",
    work="nothing",
    split="",
    style="",
    composer="",
    title="",
    labels={},
    ids=np.full((1, 8), FIRST, dtype=np.int32),
    bar=_ONE - 1,
    onset=np.zeros(1),
    bar_onset=np.array([0.0, 1.0]),
    velocity=_ONE,
    track=_ONE - 1,
    staff=_ONE,
    voice=_ONE,
)
"""A piece of one note, that stands where a picture is read alone."""


def wide(piece: Piece) -> NDArray[np.float64]:
    """[B + 1] how far from the beginning each bar line stands, by the spring model of `spacing`."""
    onsets = np.unique(np.r_[piece.bar_onset, piece.onset])
    room = np.r_[0.0, np.cumsum(np.diff(onsets) ** POWER)]
    return np.interp(piece.bar_onset, onsets, room)


def known(outcome: T | Failure, path: Path) -> T:
    """What was read.

    Raises:
        BadInput: nothing was.
    """
    if isinstance(outcome, Failure):
        raise refusal(outcome, path)
    return outcome


def refusal(failure: Failure, path: Path) -> BadInput:
    """Why nothing was read, as a sentence that begins with the file."""
    reason = " ".join(failure.reason.split())  # parsers write over several lines, and quote what is in the file
    reason = f"{reason[:LONGEST].rstrip()}..." if len(reason) > LONGEST else reason.rstrip(".")
    reason += next((f"; {advice}" for begin, advice in ADVICE.items() if reason.startswith(begin)), "")
    kind = NotNow if failure.may_be_load else BadInput
    return kind(f"{reason}." if reason.startswith(str(path)) else f"{path} cannot be read: {reason}.")
