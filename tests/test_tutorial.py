"""The tutorial runs as it stands: every block, in order, in a folder with what it uses."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="the tutorial builds from the music21 corpus, which is not installed")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "tests" / "fixtures", tmp_path / "tests" / "fixtures")
    program = tmp_path / "bin" / "scoresim"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scoresim "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    blocks = BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert len(blocks) > 5
    said = []
    for kind, text in blocks:
        command = ["sh", "-e", "-c", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, f"{text}\n{done.stderr[-2000:]}"
        said.append(done.stdout)
    same = [float(share) for share in re.findall(r"same music with probability (\d\.\d+)", "".join(said))]
    assert same[0] > 0.9
    found = next(out for out in said if "similarity" in out)
    assert "menuet.krn" in found.split("similarity", 1)[1].splitlines()[1], "the first answer"
    assert (tmp_path / "tutorial" / "report.html").is_file() and (tmp_path / "tutorial" / "melody.mid").is_file()
