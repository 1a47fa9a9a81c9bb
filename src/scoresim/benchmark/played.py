"""Notated pieces as somebody would play them, beside what they were, for heads that are asked of any MIDI file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.piecewise import Material
from scoresim.data.pieces import TIMEOUT, Piece, load_piece, save_piece
from scoresim.data.rubato import performed
from scoresim.errors import ScoresimError
from scoresim.files import replacing
from scoresim.progress import Progress
from scoresim.score.sandbox import Failure, run_all

FORMAT = 1  # of playings; a new number makes old ones useless

_logger = logging.getLogger("scoresim")


class _Wanted(NamedTuple):
    """A piece that is to be played, and where it goes."""

    piece: Piece
    file: Path

    @property
    def notes(self) -> Path:
        """Where it stands which written note each played one was."""
        return self.file.with_suffix(".npy")


def chance(piece: Piece) -> np.random.Generator:
    """What decides how a piece is played: the same for a piece of one name."""
    return np.random.default_rng(list(f"{piece.corpus} {piece.id}".encode()))


def play_all(pieces: Sequence[Piece], folder: Path, workers: int = 2) -> list[tuple[Piece, Piece, Ints]]:
    """Pieces that were read from notation, each with itself as it is played by rule (`rubato.performed`).

    Those without a beat, and those that have too many notes or bars, are left out, with a warning in the log.

    Args:
        pieces: what may be played; others are left out.
        folder: where playings are kept from one call to the next.
        workers: processes.

    Returns:
        As written, as played, and the index of the written note that each played one is.
    """
    wanted = []
    for piece in pieces:
        if piece.notation == "composer":
            name = hashlib.sha256(f"{piece.corpus} {piece.id} ".encode() + piece.ids.tobytes()).hexdigest()[:24]
            wanted.append(_Wanted(piece, folder / f"{name}-played{FORMAT}.npz"))
    todo = [one for one in wanted if not one.file.is_file()]
    with Progress("Playing", len(wanted), "pieces") as progress:
        progress.advance(len(wanted) - len(todo))
        for i, outcome in run_all(_play, todo, workers, TIMEOUT) if todo else ():
            progress.advance()
            if isinstance(outcome, Failure):
                one = todo[i].piece
                _logger.warning("%s: %s is not played: %s", one.corpus, one.id, outcome.reason)
    return [
        (one.piece, load_piece(one.file), np.load(one.notes, allow_pickle=False))
        for one in wanted
        if one.file.is_file()
    ]


def _play(wanted: _Wanted) -> None:
    """Runs in a worker process.

    Raises:
        ValueError: it cannot be played.
    """
    try:
        played, note = performed(wanted.piece, chance(wanted.piece))
    except ScoresimError as error:
        raise ValueError(str(error)) from None
    with replacing(wanted.notes) as temporary, temporary.open("wb") as file:
        np.save(file, note)
    save_piece(wanted.file, played)


def with_played(material: Material, folder: Path, workers: int = 2) -> Material:
    """The same, its notated pieces also as they are played by rule: those that are learnt from and those that choose.

    Their notes keep the classes that they were written with. The test part stays as it is.

    Args:
        material: what is asked.
        folder: where playings are kept.
        workers: processes.
    """
    task, classes = material.task, material.classes
    parts, known = dict(material.parts), {}
    for part in ("train", "valid"):
        found = play_all(parts[part], folder, workers)
        known.update({id(played): _marks(task.label(piece, classes), note) for piece, played, note in found})
        parts[part] = [*parts[part], *(played for _, played, _ in found)]

    def label(piece: Piece, asked: Sequence[str]) -> Ints | int:
        own = known.get(id(piece))
        return task.label(piece, asked) if own is None else own

    more = f" and {len(known)} playings of format {FORMAT}"
    return replace(
        material,
        task=replace(task, label=label),
        parts=parts,
        identity=material.identity + more,
        content=material.content + more,
    )


def _marks(label: Ints | int, note: Ints) -> Ints | int:
    """The class of a piece, or [M] those of its notes that are played."""
    return label if np.ndim(label) == 0 else np.asarray(label)[note]
