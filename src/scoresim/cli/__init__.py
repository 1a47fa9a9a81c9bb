"""The command line: names, options and exit codes are a contract (0 done, 1 a check failed, 2 bad
input or usage).

Commands live in the modules of this folder and are loaded when they run, so that ``scoresim --help`` answers
at once. No module here imports torch; a command reaches it through the room that does the work. This is the
only room that prints: results to standard output, everything else to standard error.
"""

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from scoresim import __version__
from scoresim.errors import ScoresimError

__all__ = ["app", "main", "run"]

INTERRUPTED, TERMINATED = 130, 143
BROKEN_PIPE = 141
# what the system refuses for no fault of ours: no room, no permission, no such name
_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG}
_heard: list[int] = []  # exit codes of the signals that came
_EXTRAS = {
    "torch": "train",
    "music21": "corpora",
    "jinja2": "report",
    "matplotlib": "report",
    "scipy": "report",
    "sklearn": "report",
    "cv2": "pages",
    "pypdfium2": "pages",
    "fastapi": "web",
    "python_multipart": "web",
    "starlette": "web",
    "uvicorn": "web",
}

app = App(
    name="scoresim",
    help="Reads music as the notes of a MIDI file and as the picture of its score, with one Transformer.",
    version=__version__,
    version_flags=["--version"],
    help_format="plaintext",
    default_parameter=Parameter(negative_bool=(), negative_iterable=(), negative_none=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(
    "scoresim.cli.prepare:corpora",
    help="List the known sources of scores and say which are present.",
    sort_key=1,
)
app.command(
    "scoresim.cli.prepare:build",
    help="Turn scores into verified pairs of image and notes, split by work.",
    sort_key=2,
)
app.command(
    "scoresim.cli.prepare:verify",
    help="Check a data set again: checksums, agreement, disjoint splits.",
    sort_key=3,
)
app.command("scoresim.cli.prepare:card", help="Print the data card of a data set.", sort_key=4)
app.command("scoresim.cli.prepare:pack", help="Pack a data set for fast training.", sort_key=4.5)
app.command("scoresim.cli.learn:pretrain", help="Pre-train a SIM model on a data set, or go on with it.", sort_key=5)
app.command("scoresim.cli.learn:export", help="Take the weights out of a run that has not ended.", sort_key=5.5)
app.command("scoresim.cli.learn:finetune", help="Fine-tune a checkpoint on one task.", sort_key=6)
app.command("scoresim.cli.judge:benchmark", help="Score a checkpoint on tasks, beside the baselines.", sort_key=7)
app.command(
    "scoresim.cli.judge:study",
    help="Run all of it: build, pre-train, fine-tune, benchmark, report.",
    sort_key=8,
)
app.command("scoresim.cli.judge:report", help="Write report.html and report.json from a study's results.", sort_key=9)
app.command("scoresim.cli.use:analyze", help="Say what some music is, and show it in a report.", sort_key=9.1)
app.command("scoresim.cli.use:melody", help="Write the melody of a file on a track of its own.", sort_key=9.2)
app.command("scoresim.cli.use:hands", help="Write each hand of a keyboard piece on a track of its own.", sort_key=9.3)
app.command("scoresim.cli.use:beats", help="Write a performance on the grid of its beats.", sort_key=9.4)
app.command("scoresim.cli.use:embed", help="Turn files of notes and pictures into vectors for search.", sort_key=10)
app.command("scoresim.cli.use:match", help="Do a picture and a file of notes show the same music?", sort_key=11)
app.command("scoresim.cli.use:locate", help="Where on a picture does a bar of the notes stand?", sort_key=12)
app.command("scoresim.cli.use:index", help="Make a folder of music searchable.", sort_key=13)
app.command("scoresim.cli.use:search", help="Find what in an index is, or shows, the music of a file.", sort_key=14)
app.command(
    "scoresim.cli.serve:serve", help="Open a page in the browser that reads your files, and a JSON API.", sort_key=15
)


def run(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what a user can mend becomes one sentence on standard error.

    Args:
        tokens: the words after ``scoresim``; those of the process when None.

    Returns:
        0 done, 1 a check failed, 2 bad input or usage, 130 interrupted, 141 the reader of our output went
        away, 143 terminated (by a signal that `main` hears). Any other exception is a bug and comes through
        with its traceback.
    """
    _heard.clear()
    _open_streams()
    _log_to_stderr()
    try:
        app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except ScoresimError as error:
        if _heard:  # in the midst of a library, which took it for a fault of what it read
            return _say("interrupted; run the same command again to go on.", _heard[-1])
        return _say(str(error), error.exit_code)
    except CycloptsError as error:
        return _say(_usage(error), 2)
    except KeyboardInterrupt as stop:
        code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
        return _say("interrupted; run the same command again to go on.", code)
    except BrokenPipeError:
        _let_go_of_stdout()
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        if error.filename is not None:
            return _say(f"cannot use {error.filename}: {error.strerror}.", 2)
        _let_go_of_stdout()  # what could not be written may be what was printed
        return _say(f"cannot write: {error.strerror}.", 2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        extra = _EXTRAS[package]
        return _say(f"this command needs the package {package}: pip install 'scoresim[{extra}]'.", 2)
    return 0


class Terminated(KeyboardInterrupt):
    """SIGTERM came; unlike the signal itself, it lets worker processes be ended on the way out."""


def main() -> None:
    """Entry point of the ``scoresim`` program. SIGTERM ends a command as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.exit(run())


def _terminate(number: int, frame: Any) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one does not wait for what the first one ends
    _heard.append(TERMINATED)
    raise Terminated


def _interrupt(number: int, frame: Any) -> None:
    _heard.append(INTERRUPTED)
    raise KeyboardInterrupt


def _open_streams() -> None:
    """Standard streams that are there, and write names of files that are no text with what stands for their bytes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Nothing is written there any more, not even when the process ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(sentence: str, code: int) -> int:
    print(f"scoresim: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def _usage(error: CycloptsError) -> str:
    """The usage error as a sentence that ends with where help is."""
    command = " ".join(["scoresim", *(error.command_chain or ())])
    sentence = " ".join(str(error).split()).rstrip(".")
    return f"{sentence}; see {command} --help."


def _log_to_stderr() -> None:
    """Quiet lines: the logger "scoresim" writes bare messages to standard error."""
    logger = logging.getLogger("scoresim")
    for handler in list(logger.handlers):
        if handler.get_name() == "scoresim.cli":
            logger.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("scoresim.cli")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
