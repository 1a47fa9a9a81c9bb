"""The weights that come with the package: in the built wheel, without a network, whole and small."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import scoresim
from scoresim.checkpoint import BUNDLED, CONFIG, HEADS, WEIGHTS, load_head
from scoresim.errors import BadInput

ROOT = Path(__file__).parent.parent
SMALL = BUNDLED / "small"
LIMIT = 40e6  # bytes in half precision


def test_they_are_small_and_say_where_they_are_from() -> None:
    assert (SMALL / WEIGHTS).stat().st_size < LIMIT
    config = json.loads((SMALL / CONFIG).read_text(encoding="utf-8"))
    assert config["provenance"]["pretrain"]["size"] == "small" and "data" not in config["provenance"]
    card = (SMALL / "README.md").read_text(encoding="utf-8")
    for word in ("Sources and their terms", "Limits", "To cite", "research", "check_card.py"):
        assert word in card
    for row in json.loads((ROOT / "results" / "small" / "check.json").read_text(encoding="utf-8")):
        assert f"| {row['what']} | {row['metric']} | {row['value']:.4f} | {row['n']} |" in card


def test_every_head_stands_on_them_and_says_what_it_knows() -> None:
    sim = scoresim.load()
    assert {"melody", "velocity", "style", "style-image", "emotion", "key"} <= set(sim.heads)
    for name, head in sim.heads.items():
        config = head.config
        assert config.weights == sim.weights and config.figures and config.corpora, name
        assert (SMALL / HEADS / f"{name}.safetensors").stat().st_size < 7e6


def test_a_damaged_head_is_refused(tmp_path: Path) -> None:
    sim = scoresim.load()
    file = SMALL / HEADS / "melody.safetensors"
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    (tmp_path / "melody.safetensors").write_bytes(data)
    with pytest.raises(BadInput, match="damaged head"):
        load_head(tmp_path / "melody.safetensors", sim.model, sim.weights)


SCRIPT = """
import socket
connect = socket.socket.connect
def guarded(self, address):
    assert self.family == socket.AF_UNIX, f"it tried to reach {address}"
    connect(self, address)
socket.socket.connect = guarded
import scoresim
assert scoresim.__file__.startswith(ROOT), scoresim.__file__
found = scoresim.load("small").analyze(SCORE, PICTURE, show=True)
from scoresim.web.report import write_report
from pathlib import Path
write_report(Path("report.html"), found, found.sheets, found.picture)
print(found.title, found.match.probability > 0.9, int((found.notes.melody > 0.5).sum()) > 20)
"""


def test_the_wheel_has_all_that_a_user_needs(tmp_path: Path) -> None:
    """Built, unpacked, and used in a process that finds no other scoresim and no network."""
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling, of the extra dev")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert "scoresim/py.typed" in names and "scoresim/weights/small/README.md" in names
    assert not [name for name in names if name.startswith(("tests/", "runs/", "examples/"))]
    site = str(tmp_path / "site")
    code = f"ROOT = {site!r}\n{SCRIPT}"
    for word, file in (("SCORE", "menuet.krn"), ("PICTURE", "menuet.png")):
        code = code.replace(word, repr(str(ROOT / "examples" / file)))
    environment = {**os.environ, "PYTHONPATH": site}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "Menuet in G True True\n"), done.stderr
    assert (tmp_path / "report.html").stat().st_size > 1000
