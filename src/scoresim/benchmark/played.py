"""Notated pieces as somebody would play them, beside what they were, for heads that are asked of any MIDI file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.piecewise import Material
from scoresim.data.pieces import Piece
from scoresim.data.rubato import PLAYING, play_all
from scoresim.errors import BadInput

PLAYED = ("train", "valid")  # parts


def with_played(material: Material, folder: Path, workers: int = 2) -> Material:
    """The same, its notated pieces also as they are played by rule: those that are learnt from and those that choose.

    Their notes keep the classes that they were written with. The test part stays as it is.

    Args:
        material: what is asked.
        folder: where playings are kept.
        workers: processes.

    Raises:
        BadInput: its pieces have pictures, which playings cannot have.
    """
    if any(piece.lines for some in material.parts.values() for piece in some):
        raise BadInput("what is played has no picture; learn from playings (--played) with --inputs notes.")
    task, classes = material.task, material.classes
    asked = [piece for part in PLAYED for piece in material.parts[part]]
    found = play_all(asked, folder, workers)
    known = {id(played): _marks(task.label(piece, classes), note) for piece, played, note in found}
    of = {id(piece): played for piece, played, _ in found}
    parts = dict(material.parts)
    for part in PLAYED:
        parts[part] = [*parts[part], *(of[id(piece)] for piece in parts[part] if id(piece) in of)]

    def label(piece: Piece, asked: Sequence[str]) -> Ints | int:
        own = known.get(id(piece))
        return task.label(piece, asked) if own is None else own

    more = f" and {len(known)} playings of format {PLAYING}"
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
