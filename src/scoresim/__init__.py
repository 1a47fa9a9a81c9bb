"""scoresim: one Transformer that reads music as notes and as the picture of its score.

The package is built in floors, and imports go down only (see docs/architecture.md). This module imports
nothing until it is used, so that ``scoresim --help`` answers at once: import the rooms you need, for instance
``scoresim.data.shards``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scoresim.understand import Sim

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(name: str | Path = "small") -> Sim:
    """A model ready for use, with its heads.

    Args:
        name: of weights that come with the package, "small" (for research) or "small-free" (for any use); a folder that
            ``scoresim pretrain`` or `Sim.save_pretrained` wrote; or "hf:owner/name", which is fetched from the hub.

    Raises:
        BadInput: the weights are nowhere, or damaged.
    """
    from scoresim import understand

    return understand.load(name)
