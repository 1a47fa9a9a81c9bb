"""Every scoresim command that the README shows is run here, as it stands there, in an empty folder."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import symusic

README = Path(__file__).parent.parent / "README.md"


def commands() -> list[str]:
    """The lines of the README's code blocks that begin with scoresim, without their comments."""
    blocks = README.read_text(encoding="utf-8").split("```")[1::2]
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("scoresim ")]


def test_the_readme_shows_every_step() -> None:
    shown = {line.split()[1] for line in commands()}
    assert shown >= {"corpora", "build", "verify", "card", "pretrain", "finetune", "benchmark", "report"}


@pytest.mark.slow
def test_the_readme_commands_run_one_after_the_other(tmp_path: Path, drawn_tune: Path) -> None:
    pytest.importorskip("music21", reason="the commands build from the music21 corpus, which is not installed")
    (tmp_path / "music").mkdir()
    for name in ("tune.abc", "page.png", "music/tune.abc"):
        shutil.copy(drawn_tune / Path(name).name, tmp_path / name)
    piano = symusic.Score(480)
    piano.tracks.append(symusic.Track("Piano"))
    piano.tracks[0].notes.extend(symusic.Note(i // 2 * 480, 400, (48, 72)[i % 2] + i % 5, 64) for i in range(64))
    piano.dump_midi(tmp_path / "piano.mid")
    for i, note in enumerate(piano.tracks[0].notes):  # the same as somebody plays it
        note.time = i // 2 * 431 + 37 * i % 60
    piano.dump_midi(tmp_path / "played.mid")
    for line in commands():
        words = [sys.executable, "-m", "scoresim", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
    for block in README.read_text(encoding="utf-8").split("```python\n")[1:]:
        code = block.split("```")[0]
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stdout, f"{code}\n{done.stderr[-2000:]}"
    report = (tmp_path / "runs" / "results" / "report.html").read_text(encoding="utf-8")
    assert "<html" in report and 'src="http' not in report
    rows = json.loads((tmp_path / "runs" / "results" / "results.json").read_text(encoding="utf-8"))
    assert {row["what"].split()[0] for row in rows}
