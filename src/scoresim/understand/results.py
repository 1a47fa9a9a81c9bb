"""What `Sim` gives: vectors of files, and where on a picture which bars stand."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.data.align import Place

Vectors = NDArray[np.float32]


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


@dataclass(frozen=True)
class Shown:
    """A system of a picture and the bars that it is taken to show.

    Attributes:
        page, system: where it stands, from 0.
        box: x0, y0, x1, y1 in pixels of the page.
        first_bar, end_bar: the bars, from 0; the second is the first after it.
        probability: that system and bars show the same music.
        missing: of these bars, those with a note that does not seem to stand on the system.
    """

    page: int
    system: int
    box: tuple[float, float, float, float]
    first_bar: int
    end_bar: int
    probability: float
    missing: tuple[int, ...]


@dataclass(frozen=True)
class Located:
    """Where a bar of the notes stands on a picture.

    Attributes:
        bar: from 0; page, system: from 0.
        box: x0, y0, x1, y1 in pixels of the page.
        probability: that its system shows the bars that it is taken to show.
    """

    bar: int
    page: int
    system: int
    box: tuple[float, float, float, float]
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Match:
    """Whether a picture and notes show the same music.

    Attributes:
        probability: mean over the systems.
        similarity: mean cosine of each system and its bars, each read alone.
        systems: which bars each system shows, and where they do not agree.
    """

    probability: float
    similarity: float
    systems: tuple[Shown, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
