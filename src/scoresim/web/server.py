"""An address of this machine, and what serves it until a signal comes."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from scoresim.errors import BadInput
from scoresim.web.guard import LOOPBACK

PATIENCE = 3  # seconds for answers that are under way when a signal comes
KEEP_ALIVE = 5  # seconds for which a connection stays open without a request


class Stopped(Exception):
    """A signal came before there was a server to hear it."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: name or number of an address of this machine.
        port: 0 for one that is free.

    Raises:
        BadInput: it is not to be had.
    """
    try:
        if not 0 <= port <= 65535:
            raise BadInput(f"{port} is no port; give one from 0 to 65535.")
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(128)
        except BaseException:
            found.close()
            raise
    except (OSError, UnicodeError) as error:
        raise BadInput(f"{host} port {port} cannot be served: {_why(error)}.") from None
    return found


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return "another program has it; choose another --port, or 0 for one that is free"
    if number == errno.EACCES:
        return "permission is denied; choose a --port above 1023"
    return "it is no address of this machine; give another --host"


def address_of(found: socket.socket) -> str:
    """The address of a socket as a browser takes it."""
    host, port = found.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def hosts_of(found: socket.socket, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Names under which a server may be asked: on an address that only this machine reaches, or where names are given.

    Args:
        found: socket.
        names: of the server, beside those of the address.

    Returns:
        Names without ports; None for any.
    """
    if not names and not ipaddress.ip_address(found.getsockname()[0]).is_loopback:
        return None
    host = found.getsockname()[0]
    return (*LOOPBACK, f"[{host}]" if ":" in host else host, *names)


@contextmanager
def until_signal() -> Iterator[None]:
    """In this block SIGINT and SIGTERM end what goes on, and the block ends well."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Stopped:
        pass
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def end(app: FastAPI) -> None:
    """Let the process end well after its server has: at once, where the model still computes what nobody waits for.

    Python would take its thread away in the middle of foreign code, which then aborts the process.
    """
    if app.state.house.desk.working:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class _Server(uvicorn.Server):
    """Hears signals as uvicorn does, but is done with them in the end; uvicorn itself would raise them again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def server_of(app: FastAPI) -> uvicorn.Server:
    """What serves an application; to be run with `run(sockets=[...])`, ended by a signal or by `should_exit`."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        log_level=logging.CRITICAL,
        lifespan="on",
        http="h11",
        ws="none",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=PATIENCE,
        h11_max_incomplete_event_size=16 << 10,
    )
    return _Server(config)
