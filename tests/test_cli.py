"""The command line: names, exit codes, one sentence per mistake, one JSON object for programs."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import scoresim
from scoresim import cli
from scoresim.cli import app, run
from scoresim.errors import BadInput

COMMANDS = (
    *("corpora", "build", "verify", "card", "pack", "pretrain", "export", "finetune", "benchmark", "study", "report"),
    *("analyze", "melody", "hands", "beats", "embed", "match", "locate", "index", "search", "serve"),
)


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """What a failed command said: nothing on standard output, one line on standard error."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("scoresim: ")
    assert err.count("\n") == 1
    return err


def test_the_commands_are_a_contract() -> None:
    assert tuple(name for name in app if not name.startswith("-")) == COMMANDS


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines() if line.startswith("│ ")][:1] == ["corpora"]
    assert all(f"│ {name}" in out for name in COMMANDS)
    assert err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"{scoresim.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_sentence(command: str) -> None:
    arguments = app[command].assemble_argument_collection()
    assert arguments
    for argument in arguments:
        if argument.children:
            continue
        text = argument.parameter.help or ""
        assert text.endswith("."), f"{command} {argument.name}: {text!r}"
        assert len(text) > 10


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_on_can_be_turned_off(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    on = [a.name for a in app[command].assemble_argument_collection() if a.field_info.default is True]
    assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    for name in on:
        assert f"{name} --no-{name.removeprefix('--')}" in said
    assert set(on) == {"build": {"--resume", "--vary"}, "finetune": {"--augment"}}.get(command, set())


def test_switches_are_turned_off_by_name() -> None:
    _, bound, _ = app.parse_args("build x --corpus folder=y --no-vary --no-resume")
    assert (bound.kwargs["config"].vary, bound.kwargs["config"].resume) == (False, False)
    _, bound, _ = app.parse_args("finetune melody small x --no-augment")
    assert bound.kwargs["config"].augment is False


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_json(command: str) -> None:
    names = {name for argument in app[command].assemble_argument_collection() for name in argument.names}
    assert "--json" in names


def test_help_of_no_command_imports_what_takes_its_time() -> None:
    """Measured in seconds it would fail on a busy machine."""
    heavy = ["torch", "verovio", "music21", "sklearn", "scipy", "pyarrow", "matplotlib", "fastapi", "lxml", "PIL"]
    code = (
        "import sys\n"
        "from scoresim.cli import run\n"
        f"for name in {COMMANDS!r}: assert run([name, '--help']) == 0\n"
        "assert run(['--help']) == 0\n"
        f"found = set({heavy!r}) & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["bild"], "bild"),
        (["build"], "OUT"),
        (["verify"], "DATA"),
        (["pretrain", "data", "out", "--size", "huge"], "--size"),
        (["pretrain", "data", "out", "--sise", "tiny"], "--sise"),
        (["study", "--out", "x"], "--preset"),
        (["benchmark", "style", "--out", "x"], "--checkpoint"),
    ],
)
def test_usage_errors_are_one_sentence(tokens: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tokens) == 2
    text = sentence(capsys)
    assert words in text
    assert text.endswith("--help.\n")


@pytest.mark.parametrize("command", ["verify", "card", "report"])
def test_a_missing_folder_is_one_sentence(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, str(tmp_path / "none")]) == 2
    assert "none" in sentence(capsys)


def test_corpora_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["corpora", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["corpora"]
    assert rows
    for row in rows:
        assert row["licence"]
        assert row["citation"]
        assert row["works"] <= row["files"]
        assert row["present"] or row["works"] == 0


def test_corpora_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["corpora"]) == 0
    assert "licence" in capsys.readouterr().out


def stub(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let ``scoresim verify`` end with an error."""
    from scoresim.data import verify

    def fail(path: str, workers: int) -> list[str]:
        print("a remark of the work")
        raise error

    monkeypatch.setattr(verify, "verify", fail)


def test_problems_leave_with_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from scoresim.data import verify

    monkeypatch.setattr(verify, "verify", lambda path, workers: ["shard 3 is damaged."])
    assert run(["verify", "x"]) == 1
    out, err = capsys.readouterr()
    assert out == "shard 3 is damaged.\n"
    assert err == "scoresim: x has 1 problem, the first: shard 3 is damaged.\n"
    assert run(["verify", "x", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"data": "x", "ok": False, "problems": ["shard 3 is damaged."]}


def test_no_problems(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from scoresim.data import verify

    monkeypatch.setattr(verify, "verify", lambda path, workers: [])
    assert run(["verify", "x"]) == 0
    assert capsys.readouterr().out == "x: all checks passed.\n"


def test_expected_errors_are_sentences(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stub(monkeypatch, BadInput("x is not\n  a data set."))
    assert run(["verify", "x"]) == 2
    assert capsys.readouterr().err == "a remark of the work\nscoresim: x is not a data set.\n"


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stub(monkeypatch, KeyboardInterrupt())
    assert run(["verify", "x"]) == cli.INTERRUPTED == 130
    assert "run the same command again" in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stub(monkeypatch, ModuleNotFoundError("no torch", name="torch"))
    assert run(["verify", "x"]) == 2
    assert "pip install 'scoresim[train]'" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("a bug"), ModuleNotFoundError("ours", name="scoresim.nope")])
def test_a_bug_shows_itself(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stub(monkeypatch, error)
    with pytest.raises(type(error)):
        run(["verify", "x"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "scoresim", "corpora", "--json"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert result.returncode == cli.BROKEN_PIPE
    assert result.stderr == b""


def test_quiet_lines_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        assert run(["--version"]) == 0
    capsys.readouterr()
    logging.getLogger("scoresim").info("a line")
    out, err = capsys.readouterr()
    assert out == ""
    assert err in ("a line\n", "")


def test_what_the_system_refuses_is_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "n" * 300 + ".mid"
    assert run(["analyze", long]) == 2 and "cannot be read (File name too long)" in sentence(capsys)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "closed/x.mid")

    monkeypatch.setattr(cli, "app", refused)
    assert run([]) == 2 and sentence(capsys) == "scoresim: cannot use closed/x.mid: Permission denied.\n"
    monkeypatch.setattr(cli, "app", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        run([])


def test_a_signal_that_a_library_took_for_a_fault_is_an_interrupt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallowed(*_: object, **__: object) -> None:
        try:
            cli._interrupt(2, None)
        except KeyboardInterrupt:
            raise BadInput("the head is damaged.") from None

    monkeypatch.setattr(cli, "app", swallowed)
    monkeypatch.setattr(cli, "_heard", [])
    assert run([]) == 130 and "interrupted" in sentence(capsys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to write to")
def test_output_that_cannot_be_written_is_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scoresim", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2 and done.stderr == "scoresim: cannot write: No space left on device.\n"
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m scoresim corpora --json >&-"], capture_output=True, text=True, timeout=60
    )
    assert closed.returncode == 0 and "Traceback" not in closed.stderr


def test_a_name_that_is_no_text_is_json_all_the_same() -> None:
    code = """
from scoresim import cli
from scoresim.cli.output import show_json
cli._open_streams()
show_json({"a": chr(0xDCFF) + chr(0xE9)})
"""
    for encoding in ("utf-8", "ascii", "latin-1"):
        env = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True, env=env)
        assert json.loads(done.stdout) == {"a": "\udcff\xe9"}
