"""What a server takes from a visitor, and how much of it; importable without the packages of a server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from scoresim.errors import BadInput

FILES = 2  # of a request: notes and a picture
TOP = 100  # answers of a search


@dataclass(frozen=True)
class Limits:
    """Bounds of a request, and of all that are there at the same time."""

    megabytes: float = field(default=32.0, metadata={"help": "Megabytes of a file, at most."})
    request_megabytes: float = field(default=48.0, metadata={"help": "Megabytes of a whole request, at most."})
    pages: int = field(default=16, metadata={"help": "Pages of a picture, at most."})
    notes: int = field(default=20_000, metadata={"help": "Notes of a piece, at most."})
    name_length: int = field(default=255, metadata={"help": "Characters of a file's name, at most."})
    upload_seconds: float = field(default=60.0, metadata={"help": "Seconds in which a request has to arrive."})
    seconds: float = field(
        default=90.0, metadata={"help": "Seconds after which an answer is given up, the time in the line included."}
    )
    waiting: int = field(
        default=8, metadata={"help": "Requests that may arrive or wait while one is answered; more are sent away."}
    )
    per_client: int = field(
        default=4, metadata={"help": "Requests of one client that may be there at once; more are sent away."}
    )

    def __post_init__(self) -> None:
        """Refuse bounds that let nothing through.

        Raises:
            BadInput: one of them is too small.
        """
        for one in fields(self):
            value, least = getattr(self, one.name), 0.001
            if isinstance(one.default, int):
                least = 0 if one.name == "waiting" else 1
            if not least <= value < math.inf:
                raise BadInput(f"--{one.name.replace('_', '-')} is {value}; it is to be at least {least}, and finite.")

    @property
    def file_bytes(self) -> int:
        """Bytes of a file."""
        return int(self.megabytes * 1e6)

    @property
    def request_bytes(self) -> int:
        """Bytes of a request."""
        return int(self.request_megabytes * 1e6)
