"""A form's files, written while they arrive into a folder of the request, under names of ours, and removed after it."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import tempfile
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from scoresim.data.given import KINDS_BY_SUFFIX, Kind
from scoresim.errors import BadInput
from scoresim.files import locked, remove_tree
from scoresim.web.limits import FILES, Limits
from scoresim.web.refusal import Refusal, later

PREFIX = "scoresim-serve-"
FIELD = "files"
HEADER = 8192  # bytes of a header of a part
SHOWN = 80  # characters of a name that are shown
HARMLESS = str.maketrans({"<": "‹", ">": "›", '"': "”", "&": "+"})  # wherever a name is put, it is no markup
DRAIN_SECONDS = 3.0  # how long what is refused is still read, so that the visitor gets to see why

# python-multipart says in its log what is wrong with a form, piece by piece; the visitor is told once.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent.

    Attributes:
        path: where it stands for as long as its request lasts.
        shown: its name for the visitor, safe to show as text.
        kind: notes or image, by its suffix.
    """

    path: Path
    shown: str
    kind: Kind


class Cabinet:
    """The folder of a server under which every request has one of its own.

    A server that was killed leaves its folder behind; the next one removes it. A lock tells the folder of a server
    that lives from that of one that does not.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder: Path | None = None

    def open(self) -> Path:
        """Make the folder, readable by its owner alone, and remove those of killed servers."""
        if self._folder is None:
            sweep(Path(tempfile.gettempdir()))
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._stack.callback(remove_tree, self._folder)
            self._stack.enter_context(locked(self._folder))
        return self._folder

    def close(self) -> None:
        """Remove the folder with all it holds."""
        self._folder = None
        self._stack.close()

    @contextmanager
    def drawer(self) -> Iterator[Path]:
        """A folder for a request, gone when the block ends, however it ends.

        Raises:
            Refusal: it cannot be made.
        """
        try:
            if self._folder is not None and not self._folder.is_dir():
                self.close()  # something that tidies temporary folders took it
            folder = Path(tempfile.mkdtemp(dir=self.open()))
        except (OSError, BadInput):
            raise later(503, "The server has no room for files at the moment; try again later.") from None
        try:
            yield folder
        finally:
            remove_tree(folder)


def sweep(place: Path) -> None:
    """Remove what killed servers of the same user left in a folder for temporary files."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError, BadInput):
            state = folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid():
                with locked(folder):
                    remove_tree(folder)


def shown_name(name: str) -> str:
    """A file's name as it may be shown: no folders, no control or direction signs, no markup, not long."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in base)
    text = " ".join(kept.translate(HARMLESS).split()) or "file"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 13]}…{text[-12:]}"


class Form:
    """What the parser of a multipart form calls: the files of the field `files` go to the disk as they arrive.

    Args:
        folder: for the files.
        limits: bounds.

    Every method raises `Refusal` where a bound is passed.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.uploads: list[Upload] = []
        self.ended = False
        self._header, self._value, self._disposition = b"", b"", b""
        self._file: BinaryIO | None = None
        self._size = 0

    def on_part_begin(self) -> None:
        """A part begins."""
        self._header, self._value, self._disposition = b"", b"", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's name."""
        self._header += data[start:end]
        self._bounded()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's value."""
        self._value += data[start:end]
        self._bounded()

    def _bounded(self) -> None:
        if len(self._header) + len(self._value) > HEADER:
            raise Refusal(422, "The form has a part with a header that is too long.")

    def on_header_end(self) -> None:
        """A header is complete."""
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def on_headers_finished(self) -> None:
        """A part's bytes are to follow."""
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != FIELD.encode():
            raise Refusal(422, f"The form has a field that is not known here; its files go into fields named {FIELD}.")
        if b"filename" not in options:
            raise Refusal(422, f"The field {FIELD} holds no file; send files, each with its name.")
        name = decoded(options[b"filename"])
        self._size = 0
        if not name:
            return  # a browser's way to say that no file was chosen
        if len(name) > self.limits.name_length:
            raise Refusal(
                422, f"A file's name has more than {self.limits.name_length} characters; give it a shorter one."
            )
        shown = shown_name(name)
        suffix = PurePosixPath(shown).suffix.lower()
        if suffix not in KINDS_BY_SUFFIX:
            known = ", ".join(one.removeprefix(".") for one in KINDS_BY_SUFFIX)
            raise Refusal(415, f"{shown} is of no known kind; scoresim reads {known}.")
        if len(self.uploads) == FILES:
            raise Refusal(422, f"There are more than {FILES} files; give one of notes, one picture, or one of each.")
        path = self.folder / f"{uuid.uuid4().hex}{suffix}"
        self.uploads.append(Upload(path, shown, KINDS_BY_SUFFIX[suffix]))
        self._file = path.open("xb")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """A piece of a part's bytes."""
        if self._file is None:
            if end > start:
                raise Refusal(422, "The form has a file without a name; give it one.")
            return
        self._size += end - start
        if self._size > self.limits.file_bytes:
            shown = self.uploads[-1].shown
            raise Refusal(413, f"{shown} is larger than {self.limits.megabytes:g} MB, which is the most for a file.")
        self._file.write(data[start:end])

    def on_part_end(self) -> None:
        """A part is complete."""
        if self._file is not None:
            self.close()
            if not self._size:
                raise Refusal(422, f"{self.uploads[-1].shown} is empty; choose another file.")

    def on_end(self) -> None:
        """The form is complete."""
        self.ended = True

    def close(self) -> None:
        """Close a file that is still open."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()


def decoded(name: bytes) -> str:
    """The name of a file as browsers and programs send it: UTF-8, or else Latin-1."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


class Body:
    """What a request sends, piece by piece; `more` is false when all of it was read."""

    def __init__(self, request: Request) -> None:
        self.more, self.size = True, 0
        self._receive = request.receive

    async def piece(self) -> bytes:
        """The next bytes.

        Raises:
            Refusal: the client has gone away.
        """
        message = await self._receive()
        if message["type"] != "http.request":
            self.more = False
            raise Refusal(400, "The connection ended before the files were there; send them again.")
        piece: bytes = message.get("body", b"")
        self.more = message.get("more_body", False)
        self.size += len(piece)
        return piece


async def receive(request: Request, folder: Path, limits: Limits) -> list[Upload]:
    """The files of a request's form, written into a folder.

    Args:
        request: whose body was not read yet.
        folder: of the request.
        limits: bounds; they hold while the bytes arrive, whatever the headers say.

    Raises:
        Refusal: there is no form, it is broken, too large, too slow, or holds what is not taken here.
    """
    form, body = Form(folder, limits), Body(request)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            await _read(request, body, form, limits)
    except TimeoutError:
        raise Refusal(408, f"The files did not arrive within {limits.upload_seconds:g} seconds; try again.") from None
    except Refusal:
        if request.headers.get("expect", "").lower() != "100-continue":
            await _drain(body, 4 * limits.request_bytes)
        raise
    except OSError:
        raise later(503, "The server has no room for files at the moment; try again later.") from None
    finally:
        form.close()
    if not form.uploads:
        raise Refusal(422, "There is no file; choose a file of notes, a picture of a score, or one of each.")
    return form.uploads


async def _read(request: Request, body: Body, form: Form, limits: Limits) -> None:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Refusal(415, f"Files are sent as a form: multipart/form-data, in fields named {FIELD}.")
    too_large = Refusal(413, f"The request is larger than {limits.request_megabytes:g} MB; send smaller files.")
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said[:20]) > limits.request_bytes:
        raise too_large
    callbacks = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        while body.more:
            piece = await body.piece()
            if body.size > limits.request_bytes:
                raise too_large
            parser.write(piece)
    except FormParserError:
        raise Refusal(400, "The form is broken; send the files again.") from None
    if not form.ended:
        raise Refusal(400, "The form ends before its last line; send the files again.")


async def _drain(body: Body, most: int) -> None:
    """Read on for a while without keeping anything: a browser that is still sending does not see an answer."""
    with suppress(TimeoutError, Refusal):
        async with asyncio.timeout(DRAIN_SECONDS):
            while body.more and body.size <= most:
                await body.piece()
