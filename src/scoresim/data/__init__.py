"""From scores on disk to verified pairs of image and notes: sources, passages, shards, batches.

>>> import scoresim.data
>>> pairs = scoresim.data.open("runs/study/data")  # doctest: +SKIP
>>> pairs.split("train")[0].title  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scoresim.data.shards import PairSet
    from scoresim.files import Place

__all__ = ["open"]


def open(path: Place | str) -> PairSet:  # noqa: A001 - the name a user expects
    """Open a data set: a folder that ``scoresim build`` wrote, or an address such as ``s3://bucket/folder``.

    Returns:
        The set. ``pairs.split("train")`` is a sequence of `pair.Pair` with random access and fast reading in order;
        ``pairs.manifest`` says what the set holds.

    Raises:
        BadInput: there is no data set at `path`, or its manifest is damaged.
    """
    from scoresim.data import shards

    return shards.open(path)
