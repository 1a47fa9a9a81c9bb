"""The passages of a part with another look: scanned or photographed, boxes moved along."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from scoresim.benchmark.task import Split
from scoresim.data.pair import Pair, png
from scoresim.score.degrade import Kind, degrade


class Degraded:
    """A part whose clean pictures are degraded when they are read; a picture that is not clean stays as it is.

    Args:
        source: the part.
        kind: "scan" or "photo".
        seed: with the name of a pair it decides all amounts.
    """

    def __init__(self, source: Split, kind: Kind, seed: int) -> None:
        self.source, self.kind, self.seed = source, kind, seed

    def __len__(self) -> int:
        return len(self.source)

    def column(self, name: str) -> list[Any]:
        """As the source says it: sizes in pixels are those of the clean pictures."""
        return self.source.column(name)

    def __getitem__(self, index: int) -> Pair:
        pair = self.source[index]
        if pair.degraded != "none":
            return pair
        with Image.open(io.BytesIO(pair.image), formats=["PNG"]) as picture:
            image = np.asarray(picture.convert("L"))
        name = f"{self.seed} {self.kind} {pair.id}".encode()
        seed = int.from_bytes(hashlib.sha256(name).digest()[:4], "big")
        changed = degrade(image, pair.staff_space, self.kind, seed)
        boxes = {}
        for field, first in (("bar_boxes", 0), ("heads", 1), ("staff_boxes", 2), ("text_boxes", 0)):
            table = getattr(pair, field).copy()
            table[:, first:] = changed.move(table[:, first:].astype(np.float64))
            boxes[field] = table
        height, width = changed.image.shape
        about = {"width": width, "height": height, "staff_space": changed.staff_space, "degraded": self.kind}
        return replace(pair, image=png(changed.image), **about, **boxes)
