"""The errors that a user can meet; anything else that comes out of scoresim is a bug.

    Exception
    └── ScoresimError     exit code 2   one sentence: which file, what is wrong, what to do
        ├── BadInput      exit code 2   a file, folder, name or option given to us cannot be used
        │   └── NotNow    exit code 2   ... for want of memory, time or a package: it may be fine another time
        └── CheckFailed   exit code 1   we could look, and what we saw is not as it should be

The command line prints the sentence and leaves with the exit code. In Python, catch ``ScoresimError``.
"""

__all__ = ["BadInput", "CheckFailed", "NotNow", "ScoresimError"]


class ScoresimError(Exception):
    """Base of all expected errors. The message is one sentence for the person who reads it."""

    exit_code: int = 2


class BadInput(ScoresimError):
    """Something given to us cannot be used: missing, broken, foreign or hostile."""

    exit_code = 2


class NotNow(BadInput):
    """Something given to us may be fine, but memory, time or a package is missing to use it."""


class CheckFailed(ScoresimError):
    """A check ran to its end and found something wrong, such as a shard whose checksum differs."""

    exit_code = 1


def in_short(error: Exception) -> str:
    """What the error of a library says, on one line: of a list of faults the first, and how many more there are."""
    first, *faults = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if not faults:
        return first
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{first} {faults[0].rstrip('.')}{more}"
