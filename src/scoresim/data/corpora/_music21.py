"""Where the scores of an installed music21 package lie.

The package is found, never imported: importing it takes seconds, and its parsers are not needed.
"""

from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path

SOURCE = "PyPI package music21, folder corpus (https://github.com/cuthbertLab/music21)"
CITATION = (
    "Michael Scott Cuthbert and Christopher Ariza: music21: A Toolkit for Computer-Aided "
    "Musicology and Symbolic "
    "Music Data. ISMIR 2010, pp. 637-642."
)
LICENCE = (
    "Distributed with music21 (corpus/license.txt) by permission of the encoders; the music is "
    "out of copyright in "
    "the United States, some encodings may not be used commercially."
)


def folder(name: str = "", holds: tuple[str, ...] = ("",)) -> Callable[[Path | None], Path | None]:
    """Make the ``find`` of a corpus that is one folder of the music21 corpus (or all of it, with no name).

    The ``find`` takes None for the installed package, or the path of a music21 package, of its corpus
    folder, or of a folder that holds the files themselves. A place counts when at least one of the paths in
    ``holds`` is in it.
    """

    def find(path: Path | None) -> Path | None:
        if path is None:
            package = _installed()
            places = [] if package is None else [package / "corpus" / name]
        else:
            places = [path / "corpus" / name, path / name, path]
        return next(
            (place for place in places if place.is_dir() and any((place / inner).exists() for inner in holds)),
            None,
        )

    return find


def _installed() -> Path | None:
    # PathFinder looks, and executes nothing
    spec = PathFinder.find_spec("music21")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
