"""Files that are either whole or not there: atomic writing, JSON, checksums.

Everything that scoresim leaves on disk goes through :func:`replacing`, so that a run killed at any moment
leaves either the old file or the new one. Leftovers of a killed run are hidden siblings named
``.NAME.PID-TOKEN.tmp``.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from upath import UPath

from scoresim.errors import BadInput

__all__ = [
    *(
        "LOCK",
        "Place",
        "append",
        "apart",
        "locked",
        "place",
        "read_json",
        "refused",
        "remove_tree",
        "replacing",
        "sha256",
        "sweep",
    ),
    "write_json",
]

Place: TypeAlias = Path | UPath
LOCK_TRIES = 100  # others come and go: a hundred in a row do not
LOCK = ".lock"  # the file in a folder by which `locked` keeps others out

# Stores that have no folders: a file makes its own. To ask one for a folder can make a bucket out of a slip of the pen.
_NO_FOLDERS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "your disk quota is used up; free some space and run the command again",
    errno.EFBIG: "it is larger than the disk or your limit (ulimit -f) allows; raise it, or choose another disk",
    errno.EACCES: "permission is denied; choose a folder you may write to",
    errno.EPERM: "permission is denied; choose a folder you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "its folder cannot be made there; choose another",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ENAMETOOLONG: "the name is too long for this file system",
}


def place(address: str | Place) -> Place:
    """A local path for a path, another file system's path for an address with ``://`` in it.

    Raises:
        BadInput: the address names a file system that fsspec does not know, whose package is not installed, or that
            does not answer or let us in.
    """
    text = str(address)
    if "://" not in text:
        return Path(text)
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    try:
        found = UPath(text, use_listings_cache=False)  # other processes write there too
        found.fs  # noqa: B018 - imports the package of the file system, or says which one is missing
    except (ImportError, ValueError) as error:
        raise BadInput(f"{text} cannot be reached: {error}.") from error
    try:
        found.fs.info(found.path)
    except FileNotFoundError:
        pass  # nothing stands there yet
    except Exception as error:  # every store has errors of its own: no credentials, no such host, no permission
        raise BadInput(f"{text} cannot be reached: {str(error).rstrip('.') or type(error).__name__}.") from error
    return found


def remove_tree(path: Place) -> None:
    """Remove a folder with all it holds; nothing happens where there is none."""
    if isinstance(path, Path):
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.fs.rm(path.path, recursive=True)


def apart(out: Path, given: Iterable[Path]) -> None:
    """Whether what will be written takes the place of nothing that is read.

    Raises:
        BadInput: it would.
    """
    for path in given:
        try:
            same = out.exists() and path.exists() and out.samefile(path)
        except OSError as error:
            raise BadInput(f"{error.filename or out} cannot be used ({error.strerror or error}).") from error
        if same:
            raise BadInput(f"{out} is one of the files that are read; choose another name for what is written.")


def nothing_else(folder: Path, name: str, others: Iterable[str], what: str) -> None:
    """Whether a folder that is to be replaced holds nothing, or a file of this name and beside it none but some others.

    Raises:
        BadInput: it holds other things, or cannot be looked into.
    """
    try:
        found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise refused(folder, error) from error
    if found and (name not in found or found.difference({name}, others)):
        raise BadInput(f"{folder} holds other files than those of {what}; choose a new or an empty folder.")


@contextmanager
def locked(folder: Place) -> Iterator[None]:
    """Keep every other process that asks for the same out of a folder, which is made when missing.

    The system gives the lock back when its holder ends, however it ends: a killed process keeps nobody out. In an
    object store, in a folder that is not to be written, and on a file system without locks nobody is kept out.

    Raises:
        BadInput: another process holds the folder.
    """
    if not isinstance(folder, Path):
        yield
        return
    new, file = not folder.exists(), folder / LOCK
    try:
        handle = _lock(file)
    except BlockingIOError:
        raise BadInput(f"another process is at work in {folder}; wait for its end, or choose another folder.") from None
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                file.unlink(missing_ok=True)
            os.close(handle)
        if new:
            with suppress(OSError):  # it is not empty: what was done there was done
                folder.rmdir()


def _lock(file: Path) -> int | None:
    """An open file that nobody else has locked; None where there cannot be one.

    Raises:
        BlockingIOError: somebody else has locked it.
    """
    for _ in range(LOCK_TRIES):
        handle = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        except FileNotFoundError:
            if handle is None:
                continue  # the folder was removed by the one before us
        except OSError as error:
            if handle is not None:
                os.close(handle)
            if isinstance(error, BlockingIOError):
                raise
            return None
        os.close(handle)  # the one before us has just removed it: its name may be another file's by now
    raise BlockingIOError


@contextmanager
def _uploading(path: UPath) -> Iterator[Path]:
    """Write locally, then put the whole file where it shall stand."""
    with tempfile.TemporaryDirectory(prefix="scoresim-") as folder:
        local = Path(folder, path.name)
        yield local
        try:
            if path.protocol not in _NO_FOLDERS:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.fs.put_file(str(local), path.path)
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error}.") from error


@contextmanager
def replacing(path: Place) -> Iterator[Path]:
    """Write a file or a folder under a temporary name and move it to ``path`` when the block ends well.

    Args:
        path: where the result shall stand. Its parent folders are made when missing.

    Yields:
        A sibling path that does not exist yet: open it for writing, or ``mkdir`` it and fill it.

    On success what was written is flushed to the disk (``fsync``) and takes the place of ``path``. For a file
    that is one atomic step. A folder cannot replace another folder in one step: an existing one is first
    moved aside, so for an instant ``path`` does not exist, and a kill in that instant leaves the old one as
    ``.NAME.PID-*.old``. When the block raises, what was written is removed and ``path`` is as it was. A link stays, and
    what it leads to is replaced.

    Raises:
        BadInput: the place cannot be written (permission, full disk, a file where a folder is needed, a device), inside
            the block or while moving; the sentence says which path and why.
    """
    if not isinstance(path, Path):
        with _uploading(path) as local:
            yield local
        return
    given, path = path, Path(os.path.realpath(path))
    if not path.name:
        raise BadInput(f"{given} is a folder; say which file to write in it.")
    # other machines may write into a shared folder under the same process number
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        if given.exists() and not (given.is_file() or given.is_dir()):
            raise BadInput(f"{given} is no file; choose another name for what is written.")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        yield temporary
        _flush(temporary)
        _move(temporary, path)
    except OSError as error:
        if error.errno not in _REASONS or not _ours(error, path, temporary):
            raise
        raise refused(given, error) from error
    finally:
        with suppress(OSError):
            _remove(temporary)


def append(path: Path, line: str) -> None:
    """Add a line to the end of a file, or leave the file as it was.

    Raises:
        BadInput: the place cannot be written.
    """
    size = path.stat().st_size if path.is_file() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, size)
        raise refused(path, error) from error


def sweep(folder: Path) -> None:
    """Remove what killed runs left half written in a folder; nobody else may be writing there."""
    for pattern in (".*.tmp", ".tmp*"):  # ours, and those of safetensors
        for path in folder.glob(pattern):
            with suppress(OSError):
                _remove(path)


def refused(path: Place, error: OSError) -> BadInput:
    """The error that says which file could not be written, and why."""
    return BadInput(f"cannot write {path}: {_REASONS.get(error.errno or 0, error.strerror or str(error))}.")


def write_json(path: Place, value: object) -> None:
    """Write ``value`` as JSON (indent 1, keys in the order given), atomically.

    Raises:
        BadInput: the place cannot be written.
        ValueError: ``value`` holds NaN or infinity, which JSON does not know.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Place) -> Any:
    """Read a JSON file.

    Raises:
        BadInput: the file is missing, cannot be read, or is not JSON; the sentence names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; check the path, or run the step that writes it.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not valid JSON ({error}); make it again.") from error


def sha256(path: Place) -> str:
    """The SHA-256 checksum of a file's bytes, as 64 hexadecimal digits.

    Raises:
        BadInput: the file is missing or cannot be read.
    """
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error


def _ours(error: OSError, path: Path, temporary: Path) -> bool:
    """Is the error about writing ``path`` (or about no path, like a full disk), not about something read?"""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    name = Path(os.path.abspath(os.fsdecode(error.filename)))
    return name.is_relative_to(temporary) or path.is_relative_to(name)


def _flush(path: Path) -> None:
    """Force a file, or a folder with all it holds, to the disk."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _flush(child)
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(temporary: Path, path: Path) -> None:
    """Put ``temporary`` in the place of ``path`` and make the new name durable."""
    old = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.old")
    aside = temporary.is_dir() and path.is_dir()
    try:
        if aside:
            os.replace(path, old)
        os.replace(temporary, path)
    except BaseException:
        if aside and old.exists() and not path.exists():
            os.replace(old, path)
        raise
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
