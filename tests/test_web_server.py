"""The program that serves: an address, one line, and a good end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra web is not installed")

from scoresim.cli import run
from scoresim.errors import BadInput
from scoresim.files import remove_tree
from scoresim.web import server
from scoresim.web.app import House
from scoresim.web.limits import Limits
from scoresim.web.server import address_of, hosts_of, listen
from scoresim.web.uploads import Cabinet


def test_an_address_that_is_free() -> None:
    with listen("127.0.0.1", 0) as found:
        assert address_of(found).startswith("http://127.0.0.1:")
        assert hosts_of(found, ()) == ("127.0.0.1", "localhost", "[::1]", "127.0.0.1")
        assert hosts_of(found, ("music.example",))[-1] == "music.example"  # type: ignore[index]
    with listen("0.0.0.0", 0) as found:
        assert hosts_of(found, ()) is None
        assert "music.example" in (hosts_of(found, ("music.example",)) or ())
    if socket.has_ipv6:
        try:
            with listen("::1", 0) as found:
                assert address_of(found).startswith("http://[::1]:")
        except BadInput:
            pass  # a machine without IPv6


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 70000, "no port"),
        ("127.0.0.1", -1, "no port"),
        ("192.0.2.1", 0, "no address of this machine"),
        ("a" * 80, 0, "no address of this machine"),
    ],
)
def test_an_address_that_is_not_to_be_had(
    host: str, port: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if host.startswith("a"):

        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert run(["serve", "--host", host, "--port", str(port)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err and err.count("\n") == 1


def test_a_port_that_another_program_has(capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        assert run(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "another program has it; choose another --port" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_without_its_packages(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("server", "app"):
        monkeypatch.delitem(sys.modules, f"scoresim.web.{name}", raising=False)
    assert run(["serve", "--port", "0"]) == 2
    assert "pip install 'scoresim[web]'" in capsys.readouterr().err


def test_bounds_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--port", "0", "--pages", "0"]) == 2
    assert "--pages is 0" in capsys.readouterr().err


def test_weights_that_are_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--port", "0", "--model", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


def start(weights: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    """The program, with a place of its own for temporary files."""
    return subprocess.Popen(
        [sys.executable, "-m", "scoresim", "serve", "--model", str(weights), "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )


def ours(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("scoresim-serve-")]


def ask(address: str, path: str, body: bytes | None = None) -> Any:
    """What the server answers, as JSON."""
    headers = {"content-type": "multipart/form-data; boundary=b"} if body else {}
    with urllib.request.urlopen(urllib.request.Request(address + path, body, headers), timeout=60) as reply:
        return json.load(reply)


def ask_long(address: str, said: list[int]) -> None:
    """Say what comes of a question that takes long."""
    tune = TUNE.replace(b"]", b"CDEF|GABc|" * 2000 + b"]")
    body = FORM.replace(TUNE, tune)
    headers = {"content-type": "multipart/form-data; boundary=b"}
    try:
        request = urllib.request.Request(f"{address}/report", body, headers)
        said.append(urllib.request.urlopen(request, timeout=60).status)
    except urllib.error.HTTPError as error:
        with error:
            said.append(error.code if "ending" in json.load(error)["error"] else 0)


TUNE = b"X:1\nT:Song\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n"
FORM = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.abc"\r\n\r\n' + TUNE + b"\r\n--b--\r\n"


@pytest.mark.slow
def test_it_serves_until_ctrl_c(weights: Path, tmp_path: Path) -> None:
    with start(weights, tmp_path, "--json") as program:
        try:
            assert program.stdout is not None
            text = ""
            while not text.endswith("}\n"):
                text += program.stdout.readline()
            about = json.loads(text)
            assert set(about) == {"address", "openapi", "index"}
            assert ask(about["address"], "/api/v1/health")["model"] == weights.name
            found = ask(about["address"], "/api/v1/analyze", FORM)
            assert found["files"] == ["a.abc"] and found["bars"] == 4 and len(found["notes"]["pitch"]) == 16
            assert len(ours(tmp_path)) == 1
            begin = time.perf_counter()
            os.killpg(program.pid, signal.SIGINT)  # in a terminal it reaches the workers, too
            out, err = program.communicate(timeout=60)
        finally:
            program.kill()
    assert (program.returncode, out, err) == (0, "", "")
    assert time.perf_counter() - begin < 20
    assert ours(tmp_path) == []


def test_a_signal_before_it_serves(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from scoresim.web.server import until_signal\n"
        "with until_signal():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    raise SystemExit('it went on')\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert server.PATIENCE < 10


@pytest.mark.slow
def test_one_line_says_where_it_is_and_a_kill_is_cleaned_up_after(weights: Path, tmp_path: Path) -> None:
    said: list[int] = []
    for how in (signal.SIGKILL, signal.SIGTERM):
        with start(weights, tmp_path) as program:
            try:
                assert program.stdout is not None
                line = program.stdout.readline()
                assert line.startswith("scoresim is at http://127.0.0.1:") and line.endswith(" (Ctrl+C ends it).\n")
                assert ask(line.split()[3], "/api/v1/health")["index"] is False
                assert len(ours(tmp_path)) == 1, "that of a killed server is gone"
                if how == signal.SIGTERM:
                    waiting = Thread(target=ask_long, args=(line.split()[3], said))
                    waiting.start()
                    time.sleep(1)
                program.send_signal(how)
                assert program.wait(60) == (0 if how == signal.SIGTERM else -how)
            finally:
                program.kill()
        assert len(ours(tmp_path)) == (how == signal.SIGKILL)
    waiting.join(10)
    assert said == [200] or said == [503]


def test_a_folder_called_as_a_word_is_not_taken_for_it() -> None:
    model: Any = SimpleNamespace(name="small")
    house = House(model, None, Path("music"), Limits())
    sentence = "give a page, or a system, of printed music."
    assert house._without_places(sentence) == sentence
    place = Path("music").absolute()
    assert house._without_places(f"{place} is gone.") == "the collection's folder is gone."


@pytest.mark.parametrize("name", ["megabytes", "request_megabytes", "seconds"])
def test_bounds_are_finite(name: str) -> None:
    for value in (float("inf"), float("nan")):
        with pytest.raises(BadInput, match="at least"):
            Limits(**{name: value})


def test_a_folder_that_was_tidied_away_is_made_again() -> None:
    cabinet = Cabinet()
    first = cabinet.open()
    remove_tree(first)
    with cabinet.drawer() as drawer:
        assert drawer.is_dir() and drawer.parent != first
    cabinet.close()
    assert not drawer.parent.exists()
