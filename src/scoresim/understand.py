"""A trained model on somebody's files: vectors for search, and whether a picture and notes show the same music."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from scoresim import checkpoint
from scoresim.checkpoint import Loaded
from scoresim.data.batches import Passages, batch_config
from scoresim.data.given import Stretch, kind_of, read_notes, stretches
from scoresim.data.pieces import Piece
from scoresim.data.windows import Segment, Segments
from scoresim.errors import BadInput
from scoresim.score.sandbox import Failure

TOGETHER = 64  # passages that are read at a time

Vectors = NDArray[np.float32]


class Place(NamedTuple):
    """What a vector stands for: bars `first` to `end` of the notes, or system `first` of page `page` of a picture."""

    first: int
    end: int
    page: int = 0


@dataclass(frozen=True, eq=False)
class Embedding:
    """A file as vectors for search.

    Attributes:
        file: the file.
        kind: "notes" or "image".
        places: what each vector stands for.
        vectors: [P, E] float32 of unit length; those of notes and of images lie in one space.
    """

    file: str
    kind: str
    places: tuple[Place, ...]
    vectors: Vectors

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        places = [place._asdict() for place in self.places]
        return {"file": self.file, "kind": self.kind, "places": places, "vectors": self.vectors.tolist()}


class Sim:
    """A model ready for use.

    Args:
        loaded: a checkpoint.
        name: what it was found by.
    """

    def __init__(self, loaded: Loaded, name: str) -> None:
        self.loaded, self.name = loaded, name
        self.model = loaded.model.eval()
        self.rows = batch_config(self.model.config, TOGETHER)

    @classmethod
    def from_pretrained(cls, name: str | Path) -> Sim:
        """The weights of a folder, those that come with the package, or of the hub (see `checkpoint.locate`).

        Raises:
            BadInput: they are nowhere, or damaged.
        """
        return cls(checkpoint.load(checkpoint.locate(name)), str(name))

    def save_pretrained(self, folder: Path | str, half: bool = False) -> None:
        """Write the weights into a folder that `from_pretrained` reads.

        Raises:
            BadInput: it cannot be written.
        """
        checkpoint.save(Path(folder), self.model, self.loaded.vocabulary, self.loaded.provenance, half)

    def embed(self, *files: Path | str, workers: int = 1) -> list[Embedding]:
        """Files of notes as vectors of their stretches of bars.

        Raises:
            BadInput: a file cannot be read.
        """
        paths = [Path(file) for file in files]
        for path in paths:
            if kind_of(path) != "notes":
                raise BadInput(f"{path} is a picture; pictures of pages are not read yet.")
        found = []
        for path, piece in zip(paths, read_notes(paths, workers=workers), strict=True):
            if isinstance(piece, Failure):
                raise BadInput(f"{path} cannot be read: {piece.reason}.")
            found.append(self.embed_piece(piece, str(path)))
        return found

    def embed_piece(self, piece: Piece, file: str) -> Embedding:
        """The stretches of bars of a piece as vectors."""
        some = stretches(piece)
        places = tuple(Place(one.first_bar, one.end_bar) for one in some)
        return Embedding(file, "notes", places, self.vectors_of_notes(piece, some))

    def vectors_of_notes(self, piece: Piece, some: Sequence[Stretch]) -> Vectors:
        """[P, E] unit vectors of stretches of a piece, its notes read alone."""
        rows = [Segment(0, one.first_bar, one.end_bar, -1, one.first, one.end) for one in some]
        passages = Passages(Segments([piece], rows), replace(self.rows, images=False))
        order = np.argsort(passages.size, kind="stable")
        out = np.zeros((len(some), self.model.config.embedding), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), TOGETHER):
                index = order[start : start + TOGETHER]
                notes = passages.gather(index).notes
                out[index] = self.model.embed_notes(self.model(notes, None)).float().numpy()
        return out
