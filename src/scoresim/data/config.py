"""What a data set is to be made of, and how: the options of `scoresim build`."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from scoresim.data.curate import read_held_out
from scoresim.errors import BadInput
from scoresim.score.tokens import default_vocabulary

FORMAT = 11  # of parts and shards; a new number makes old parts useless
LOOKS = ("none", "scan", "photo", "mix")
NOT_IDENTITY = ("workers", "timeout", "cluster", "resume", "style_balance", "complexity_balance")
LEAST: dict[str, float] = {
    "limit": 1,
    "max_items": 1,
    "max_passages": 1,
    "max_systems": 1,
    "few_notes": 0,
    "max_notes": 1,
    "min_notes": 0,
    "staff_space": 2,
    "page_width": 10,
    "shard_rows": 1,
    "workers": 1,
    "timeout": 0.1,
    "style_balance": 0,
    "duplicate_threshold": 0,
}
MOST: dict[str, float] = {"style_balance": 1, "duplicate_threshold": 1}


@dataclass(frozen=True)
class BuildConfig:
    """What `scoresim build` makes."""

    corpora: tuple[str, ...] = field(metadata={"help": "Sources, each NAME or NAME=PATH."})
    limit: int | None = field(default=None, metadata={"help": "At most this many works of every style."})
    max_items: int | None = field(default=None, metadata={"help": "At most this many files or tunes of one work."})
    seed: int = field(default=0, metadata={"help": "Decides the choice of works and passages, and how they look."})
    workers: int = field(default=2, metadata={"help": "Number of worker processes."})
    cluster: str | None = field(
        default=None,
        metadata={
            "help": "Address of a Ray cluster that does the work (auto, HOST:PORT, ray://HOST:PORT), or local for a "
            "cluster of as many processes as --workers on this machine. OUT must be a place that all of it reaches."
        },
    )
    resume: bool = field(
        default=True, metadata={"help": "Go on with a build that was stopped; else such a folder is refused."}
    )
    max_passages: int | None = field(default=None, metadata={"help": "At most this many passages of one file or tune."})
    max_systems: int = field(default=1, metadata={"help": "Systems of a passage: 1, or 2 where they hold few notes."})
    few_notes: int = field(
        default=24, metadata={"help": "Two systems are joined when they hold at most this many notes."}
    )
    max_notes: int = field(default=128, metadata={"help": "Passages with more written notes are left out."})
    min_notes: int = field(default=4, metadata={"help": "Passages with fewer written notes are left out."})
    vary: bool = field(
        default=True,
        metadata={"help": "Draw fonts and distances of every piece, and the staff size of every passage, by the seed."},
    )
    staff_space: float = field(default=8.0, metadata={"help": "Pixels between two staff lines, with --no-vary."})
    page_width: float = field(default=50.0, metadata={"help": "Width of a system in staff spaces, with --no-vary."})
    texts: bool = field(
        default=False,
        metadata={"help": "Keep titles, names, lyrics and other words on the pictures, with their boxes."},
    )
    degrade: Literal["none", "scan", "photo", "mix"] = field(
        default="none", metadata={"help": "Look of the pictures; mix is a third each of clean, scan and photo."}
    )
    style_balance: float = field(
        default=0.0, metadata={"help": "How even the styles are sampled: 0 as they are, 1 all alike."}
    )
    complexity_balance: Literal["on", "off"] = field(
        default="off", metadata={"help": "Whether easy and hard passages of a style are sampled alike."}
    )
    duplicate_threshold: float = field(
        default=0.2,
        metadata={"help": "Two files are the same music when this share of the shorter is in the other; 0: never."},
    )
    held_out: str | None = field(
        default=None,
        metadata={
            "help": "A list of works that must not stand in training, because something is tested on them: a text "
            "file, in every line a part (valid or test), a tab and a work, as in results/small/excluded-works.tsv."
        },
    )
    shard_rows: int = field(default=5000, metadata={"help": "Pairs per shard."})
    timeout: float = field(default=60.0, metadata={"help": "Seconds after which a file is given up."})


@dataclass(frozen=True)
class PackConfig:
    """How a data set is packed."""

    parts: tuple[str, ...] = field(default=("train",), metadata={"help": "Parts to pack: train, valid, test."})
    degrade: str = field(
        default="none",
        metadata={"help": "Look that clean pictures are given: none, scan, photo, or mix for a third each with clean."},
    )
    levels: int = field(default=8, metadata={"help": "Levels of grey that are kept, 2 to 16."})
    seed: int = field(default=0, metadata={"help": "Seed of the looks."})
    workers: int = field(default=2, metadata={"help": "Number of worker processes; each takes a shard."})

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            BadInput: with the field and its choices.
        """
        if self.degrade not in LOOKS:
            raise BadInput(f"degrade is {self.degrade!r}; choose one of {', '.join(LOOKS)}.")
        if not 2 <= self.levels <= 16 or self.workers < 1:
            raise BadInput("levels is from 2 to 16, workers at least 1.")


def check(config: BuildConfig) -> None:
    """Refuse numbers that make no sense.

    Raises:
        BadInput: naming the option and its bounds.
    """
    for name, low in LEAST.items():
        value, high = getattr(config, name), MOST.get(name, float("inf"))
        if value is not None and not (low <= value <= high and value < float("inf")):
            bounds = f"at least {low}" if name not in MOST else f"from {low} to {high}"
            raise BadInput(f"{name.replace('_', '-')} is {value}; it must be {bounds}.")
    if config.degrade not in LOOKS:
        raise BadInput(f"degrade is {config.degrade!r}; choose one of {', '.join(LOOKS)}.")
    if config.degrade != "none" and find_spec("cv2") is None:
        raise BadInput("--degrade needs OpenCV; install it with: pip install 'scoresim[degrade]'.")
    if config.complexity_balance not in ("on", "off"):
        raise BadInput(f"complexity-balance is {config.complexity_balance!r}; choose on or off.")


def identity(config: BuildConfig) -> dict[str, Any]:
    """The part of a configuration that decides what the shards hold (not how many workers make them).

    The place of a corpus is in it as a hash: it is compared when a build goes on, and of no use to who gets the set.
    Of a list of held-out works, it has the hash of what it says.

    Raises:
        BadInput: the list of held-out works cannot be read.
    """
    settings = {k: v for k, v in asdict(config).items() if k not in NOT_IDENTITY}
    settings["corpora"] = [_without_place(entry) for entry in config.corpora]
    if config.held_out is None:
        del settings["held_out"]
    else:  # what the list says, not where it lies
        listed = sorted(read_held_out(Path(config.held_out)).items())
        settings["held_out"] = hashlib.sha256(repr(listed).encode()).hexdigest()
    return settings | {"format": FORMAT, "vocabulary": default_vocabulary().hash, "verovio": version("verovio")}


def _without_place(entry: str) -> str:
    name, _, where = entry.partition("=")
    return f"{name}={hashlib.sha256(where.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}" if where else name


def published(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of `identity` as the manifest states them: corpora by their names alone."""
    return settings | {"corpora": [entry.partition("=")[0] for entry in settings["corpora"]]}


def printable(text: str) -> str:
    """The text with bytes that are no UTF-8 (file names can hold them) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
