"""Files are whole or not there."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresim.errors import BadInput
from scoresim.files import read_json, replacing, sha256, write_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.bin"
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert leftovers(path.parent) == []


def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="stop"), replacing(path) as temporary:
        temporary.write_bytes(b"new")
        raise RuntimeError("stop")
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "set"
    for content in ("one", "two"):
        with replacing(path) as temporary:
            (temporary / "sub").mkdir(parents=True)
            (temporary / "sub" / content).write_text(content)
    assert [child.name for child in (path / "sub").iterdir()] == ["two"]
    assert leftovers(tmp_path) == []


def test_an_error_in_the_block_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "set"
    path.mkdir()
    (path / "keep").touch()
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert [child.name for child in path.iterdir()] == ["keep"]
    assert leftovers(tmp_path) == []


def test_a_leftover_of_an_earlier_run_does_not_disturb(tmp_path: Path) -> None:
    (tmp_path / f".a.json.{os.getpid()}-0badf00d.tmp").mkdir()
    write_json(tmp_path / "a.json", 1)
    assert (tmp_path / "a.json").read_text() == "1\n"
    assert leftovers(tmp_path) == [f".a.json.{os.getpid()}-0badf00d.tmp"]  # another process may be at it


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot write .*a\.json: a (part|file)"):
        write_json(tmp_path / "file" / "a.json", 1)


def test_a_folder_where_a_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.json" / "full").mkdir(parents=True)
    with pytest.raises(BadInput, match="a folder stands where a file is needed"):
        write_json(tmp_path / "a.json", 1)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_sentence(tmp_path: Path, number: int) -> None:
    with pytest.raises(BadInput, match="free some space"), replacing(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        raise OSError(number, "full")
    assert list(tmp_path.iterdir()) == []


def test_a_forbidden_place_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "denied", str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(BadInput, match="permission is denied; choose a folder"):
        write_json(tmp_path / "a.json", 1)


def test_an_error_about_another_file_is_not_ours(tmp_path: Path) -> None:
    elsewhere = tmp_path / "input" / "b.mid"
    with pytest.raises(PermissionError), replacing(tmp_path / "out" / "a.bin"):
        raise PermissionError(errno.EACCES, "denied", str(elsewhere))


def test_a_real_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(BadInput, match="the disk is full"), replacing(tmp_path / "a.bin") as temporary:
        temporary.symlink_to(full)
        temporary.write_bytes(b"x")
    assert leftovers(tmp_path) == []


KILLED = """
import sys
from pathlib import Path
from scoresim.files import replacing
count = 0
while True:
    count += 1
    with replacing(Path(sys.argv[1])) as temporary:
        temporary.write_text(str(count) * 20000)
    if count == 3:
        print("running", flush=True)
"""


def test_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for round_ in range(4):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        time.sleep(0.003 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        text = path.read_text()
        count = text[: len(text) // 20000]
        assert text == count * 20000


@given(PLAIN)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_json_keeps_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"z": 1, "a": 2})
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["z", "a"]


def test_json_knows_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.json is not valid JSON"):
        read_json(path)


def test_missing_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        read_json(tmp_path / "none.json")
    with pytest.raises(BadInput, match="cannot be read"):
        read_json(tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        sha256(tmp_path / "none")


def test_sha256_is_the_checksum_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"music" * 100_000)
    assert sha256(path) == hashlib.sha256(b"music" * 100_000).hexdigest()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "page.html").write_text("old")
    (tmp_path / "page.html").symlink_to("real/page.html")
    with replacing(tmp_path / "page.html") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "page.html").is_symlink() and (tmp_path / "real" / "page.html").read_text() == "new"


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is no file; choose another name"), replacing(tmp_path / "pipe"):
        raise AssertionError
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(BadInput, match="is a folder"), replacing(Path("/")):
        raise AssertionError


def test_an_interrupt_between_two_moves_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    move, moves = os.replace, []

    def interrupted(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 2:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "out") as temporary:
        temporary.mkdir()
    assert (tmp_path / "out" / "old.txt").read_text() == "old" and leftovers(tmp_path) == []
