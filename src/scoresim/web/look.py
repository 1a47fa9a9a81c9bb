"""How many pages or notes a file has, counted in a worker process before the model is asked about it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from scoresim.data.given import read_notes
from scoresim.data.page import FORMATS
from scoresim.score.sandbox import Failure, Workers
from scoresim.web.limits import Limits
from scoresim.web.refusal import Refusal
from scoresim.web.uploads import Upload

BYTES_PER_NOTE = {".mid": 6, ".midi": 6, ".musicxml": 30, ".xml": 30, ".mei": 20}  # at least; of the others 1
PACKED = (".mxl", ".zip")


def look(uploads: Sequence[Upload], limits: Limits, workers: Workers) -> None:
    """Refuse what has too many pages or notes.

    A file that is too small to hold so many is not counted.

    Args:
        uploads: files of a request.
        limits: bounds.
        workers: processes that count.

    Raises:
        Refusal: a file has more. One that cannot be read is left to those who read it.
    """
    for upload in uploads:
        if upload.kind == "image" and may_have_pages(upload.path):
            number = pages(upload.path, limits.seconds, workers)
            if number > limits.pages:
                raise Refusal(
                    413, f"{upload.shown} has {number} pages; this server reads {limits.pages} at a time, at most."
                )
        elif upload.kind == "notes" and may_have_notes(upload.path, limits.notes):
            [piece] = read_notes([upload.path], workers=workers)
            if not isinstance(piece, Failure) and len(piece) > limits.notes:
                raise Refusal(
                    413, f"{upload.shown} has {len(piece)} notes; this server reads {limits.notes} at a time, at most."
                )


def may_have_pages(path: Path) -> bool:
    """Whether a picture is of a kind that has pages, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(1024)
    return b"%PDF-" in head or head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def may_have_notes(path: Path, most: int) -> bool:
    """Whether a file is large enough to hold more than so many notes."""
    suffix = path.suffix.lower()
    return suffix in PACKED or path.stat().st_size > most * BYTES_PER_NOTE.get(suffix, 1)


def pages(path: Path, seconds: float, workers: Workers) -> int:
    """The pages of a picture, counted in a worker process; 0 where they cannot be counted."""
    [(_, found)] = workers.run_all(_count, [path], seconds)
    return 0 if isinstance(found, Failure) else int(found)


def _count(path: Path) -> int:
    """Runs in a worker."""
    data = path.read_bytes()
    try:
        if b"%PDF-" in data[:1024]:
            from pypdfium2 import PdfDocument

            document = PdfDocument(data)
            try:
                return len(document)
            finally:
                document.close()
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return int(getattr(picture, "n_frames", 1))
    except Exception as error:  # a decoder may stumble in any way over a damaged file
        raise ValueError(str(error)) from None
