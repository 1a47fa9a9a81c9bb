"""What a figure or a run was made with: versions, machine, commit, memory."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("scoresim", "torch", "numpy", "scipy", "scikit-learn", "verovio", "pyarrow", "pillow", "music21")


def environment() -> dict[str, Any]:
    """Versions of the program and of what it stands on, and the kind of machine (not its name)."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": commit(),
        "versions": {name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def git_state() -> dict[str, Any] | None:
    """The commit of the source tree that runs and whether files differ from it; None where it is not under git.

    A package that was installed inside of somebody's repository is not a part of it.
    """
    here = Path(__file__).resolve()
    try:
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        found = _git(here.parent, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": found.removesuffix("+"), "dirty": found.endswith("+")}


def commit() -> str:
    """The commit of the source tree that runs, "+" behind it when files differ; "" outside a repository."""
    found = git_state()
    return "" if found is None else found["commit"] + "+" * found["dirty"]


def peak_memory() -> int:
    """Most memory that this process, or any of its finished children, has held, in bytes."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * unit


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
