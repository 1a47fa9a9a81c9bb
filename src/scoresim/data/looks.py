"""The passages of a part with another look: scanned or photographed, boxes moved along."""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scoresim.data.pair import Pair, png
from scoresim.data.shards import PairSplit, Split
from scoresim.score.degrade import KINDS, Kind, degrade
from scoresim.score.warp import opencv

Kinds = Kind | Literal["mix"]

_logger = logging.getLogger(__name__)


def looks() -> tuple[Kind, ...]:
    """The looks that can be made here: none of them without OpenCV."""
    if find_spec("cv2") is None:
        _logger.info("OpenCV is not installed: no scan-like and photo-like images (pip install 'scoresim[degrade]')")
        return ()
    return KINDS


class DegradedSplit:
    """A part whose clean pictures are degraded when they are read; a picture that is not clean stays as it is.

    Args:
        source: the part.
        kind: "scan", "photo", or "mix" for a third each of clean, scan and photo.
        seed: with the name of a pair it decides all amounts.

    Raises:
        BadInput: OpenCV is not installed.
    """

    def __init__(self, source: Split, kind: Kinds, seed: int) -> None:
        opencv()
        self.source, self.kind, self.seed = source, kind, seed

    def __len__(self) -> int:
        return len(self.source)

    def column(self, name: str) -> list[Any]:
        """As the source says it: sizes in pixels are those of the clean pictures."""
        return self.source.column(name)

    def row_groups(self) -> NDArray[np.int64] | None:
        """Of the source, where it lies in groups of rows."""
        return self.source.row_groups() if isinstance(self.source, PairSplit) else None

    def __getitem__(self, index: int) -> Pair:
        pair = self.source[index]
        kind = self._kind(pair.id)
        if pair.degraded != "none" or kind is None:
            return pair
        with Image.open(io.BytesIO(pair.image), formats=["PNG"]) as picture:
            image = np.asarray(picture.convert("L"))
        changed = degrade(image, pair.staff_space, kind, _number(f"{self.seed} {kind} {pair.id}"))
        boxes = {}
        for field, first in (("bar_boxes", 0), ("heads", 1), ("staff_boxes", 2), ("text_boxes", 0)):
            table = getattr(pair, field).copy()
            table[:, first:] = changed.move(table[:, first:].astype(np.float64))
            boxes[field] = table
        height, width = changed.image.shape
        about = {"width": width, "height": height, "staff_space": changed.staff_space, "degraded": kind}
        return replace(pair, image=png(changed.image), **about, **boxes)

    def _kind(self, name: str) -> Kind | None:
        if self.kind != "mix":
            return self.kind
        return (None, *KINDS)[_number(f"{self.seed} mix {name}") % 3]


def _number(text: str) -> int:
    """A number from 0 below 2^32 that follows from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
