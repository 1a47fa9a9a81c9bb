"""scoresim: one Transformer that reads music as notes and as the picture of its score.

The package is built in floors, and imports go down only (see docs/architecture.md). This module imports
nothing, so that ``scoresim --help`` answers at once: import the rooms you need, for instance
``scoresim.data.shards``.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
