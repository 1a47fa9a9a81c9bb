"""Notated pieces as somebody would play them, beside what they were, for heads that are asked of any MIDI file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.piecewise import Material, gather
from scoresim.benchmark.task import PieceTask
from scoresim.data.pieces import FROM_MIDI, Piece
from scoresim.data.rubato import PLAYING, play_all
from scoresim.errors import BadInput

PLAYED = ("train", "valid")  # parts


def asked_with(task: PieceTask, data: Path, folder: Path, config: FinetuneConfig) -> Material:
    """The pieces of a task as a fine-tuning asks for them, with playings where it wants these.

    Args:
        task: what is asked.
        data: folder that holds its sources, each under its name.
        folder: where pieces and playings are kept.
        config: of the fine-tuning.

    Raises:
        BadInput: as of `gather` and `with_played`; or playings are wanted, which have no picture, with pictures.
    """
    if config.played and config.inputs != "notes":
        raise BadInput("what is played has no picture; learn from playings (--played) with --inputs notes.")
    material = gather(task, data, folder, images=config.inputs != "notes")
    return with_played(material, folder) if config.played else material


def with_played(material: Material, folder: Path, workers: int = 2) -> Material:
    """The same, its notated pieces also as they are played by rule: those that are learnt from and those that choose.

    Their notes keep the classes that they were written with. The test part stays as it is.

    Args:
        material: what is asked, without pictures.
        folder: where playings are kept.
        workers: processes.

    Raises:
        BadInput: none of its pieces was read from notation.
    """
    task, classes = material.task, material.classes
    asked = [piece for part in PLAYED for piece in material.parts[part]]
    found = play_all(asked, folder, workers)
    if not found:
        raise BadInput(f"no piece of {task.name} was read from notation: there is nothing to play (--played).")
    known = {id(played): (played, _marks(task.label(piece, classes), note)) for piece, played, note in found}
    of = {id(piece): played for piece, played, _ in found}
    parts = dict(material.parts)
    for part in PLAYED:
        parts[part] = [*parts[part], *(of[id(piece)] for piece in parts[part] if id(piece) in of)]

    def label(piece: Piece, asked: Sequence[str]) -> Ints | int:
        own = known.get(id(piece))
        return task.label(piece, asked) if own is None else own[1]

    more = f" and {len(known)} playings of format {FROM_MIDI}, {PLAYING}"
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
