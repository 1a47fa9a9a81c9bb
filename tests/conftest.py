"""What every test shares: repeatable randomness, one thread for torch, and no network."""

import os
import socket
from typing import Any, NoReturn

import pytest
from hypothesis import settings

# One thread each: sums in the same order on every machine, and no threads fighting over two cores.
# It has to stand in the environment before torch is first imported, and worker processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection to another machine fails."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            _refuse(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _refuse(address: Any) -> NoReturn:
    raise AssertionError(f"a test tried to reach {address}; tests run without a network")
