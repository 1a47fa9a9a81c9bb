"""The weights that come with the package: in the built wheel, without a network, whole and small."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import symusic

import scoresim
from scoresim import checkpoint
from scoresim.checkpoint import AS_IT_IS, BUNDLED, CONFIG, HEADS, load_head
from scoresim.errors import BadInput

ROOT = Path(__file__).parent.parent
SMALL = BUNDLED / "small"
LIMIT, TOGETHER = 40e6, 50e6  # bytes in half precision: of a model with its heads, and of all that comes along
TERMS = {"small": "**So these weights are for\nresearch.**", "small-free": "and so do these weights: CC BY 4.0"}


def test_all_of_them_together_are_small() -> None:
    assert {folder.name for folder in BUNDLED.iterdir() if folder.is_dir()} == set(TERMS)
    sizes = {name: sum(file.stat().st_size for file in (BUNDLED / name).rglob("*") if file.is_file()) for name in TERMS}
    assert max(sizes.values()) < LIMIT and sum(sizes.values()) < TOGETHER


@pytest.mark.parametrize("name", TERMS)
def test_they_say_where_they_are_from(name: str) -> None:
    folder = BUNDLED / name
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    assert config["provenance"]["pretrain"]["size"] == "small" and "data" not in config["provenance"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    for word in ("Sources and their terms", "Limits", "To cite", f"check_card.py --model {name}", TERMS[name]):
        assert word in card
    for row in json.loads((ROOT / "results" / name / "check.json").read_text(encoding="utf-8")):
        assert f"| {row['what']} | {row['metric']} | {row['value']:.4f} | {row['n']} |" in card
    slope, shift = config.get("match", AS_IT_IS)
    assert f"the sigmoid of {slope:g} times the logit plus {shift:g}" in card


@pytest.mark.parametrize(("name", "figures"), [("small", "pretraining"), ("small-free", "small-free/pretraining")])
def test_the_front_matter_of_a_card_says_what_was_measured(name: str, figures: str) -> None:
    yaml = pytest.importorskip("yaml")
    front = yaml.safe_load((BUNDLED / name / "README.md").read_text(encoding="utf-8").split("---\n", 2)[1])
    rows = json.loads((ROOT / "results" / f"{figures}.json").read_text(encoding="utf-8"))
    known = {(row["metric"], round(row["value"], 3)) for row in rows if row["pretraining"] == "score images and MIDI"}
    [index] = front["model-index"]
    assert index["name"] == f"scoresim {name}" and len(index["results"]) == 6
    for entry in index["results"]:
        [metric] = entry["metrics"]
        assert entry["task"]["type"] and entry["dataset"]["name"] and (metric["name"], metric["value"]) in known


@pytest.mark.slow
def test_how_sure_a_match_is_can_be_set_anew(weights: Path, built: Path, tmp_path: Path) -> None:
    for extra in ("cv2", "sklearn"):
        pytest.importorskip(extra, reason="the extras 'pages' and 'report' are not installed")

    def calibrated(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "runs" / "calibrate.py", folder, built, "--passages", "12", "--write"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    known, ignorant = tmp_path / "known", tmp_path / "ignorant"
    shutil.copytree(BUNDLED / "small-free", known)
    done = calibrated(known)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert checkpoint.load(known).match == (said["slope"], said["shift"])
    assert said["rows"]["valid, calibrated"]["loss"] <= said["rows"]["valid, as it is"]["loss"]
    shutil.copytree(weights, ignorant)
    assert "does not tell matched pairs" in calibrated(ignorant).stderr
    assert checkpoint.load(ignorant).match == AS_IT_IS


def test_what_anyone_may_use_has_learnt_from_nothing_else() -> None:
    card = (BUNDLED / "small-free" / "README.md").read_text(encoding="utf-8")
    terms = card.partition("### Sources and their terms")[2].partition("## What")[0]
    rows = [line.split(" | ") for line in terms.splitlines() if line.startswith("| ") and "source | title" not in line]
    assert {row[0].strip("| ") for row in rows} == {"kern_chopin", "openewld", "openscore_lieder", "polish_piano"}
    assert all(row[2].startswith(("CC0", "CC BY 4.0", "MIT")) for row in rows)
    heads = scoresim.load("small-free").heads.values()
    assert {source for head in heads for source in head.config.corpora} <= {row[0].strip("| ") for row in rows}


def test_weights_for_any_use_match_find_and_hear_melodies_and_hands(tmp_path: Path) -> None:
    sim = scoresim.load("small-free")
    assert sim.weights != scoresim.load("small").weights and set(sim.heads) == {"hand", "melody"}
    found = sim.analyze(ROOT / "examples" / "menuet.krn", ROOT / "examples" / "menuet.png")
    assert found.match is not None and found.match.probability > 0.5
    assert found.notes is not None and found.notes.melody is not None
    upper = found.notes.staff == 1
    assert found.notes.melody[upper].mean() > 0.5 > found.notes.melody[~upper].mean()
    written = sim.hands(ROOT / "examples" / "menuet.krn", tmp_path / "hands.mid").notes
    midi = symusic.Score(tmp_path / "hands.mid")
    together = symusic.Track("Piano")
    for track in midi.tracks:
        together.notes.extend(track.notes)
    midi.tracks = [together]
    midi.dump_midi(tmp_path / "one.mid")
    heard = sim.analyze(tmp_path / "one.mid").notes
    assert written is not None and heard is not None and written.right is not None and heard.right is not None
    assert heard.staff is None or not heard.staff.any(), "MIDI does not say it"
    order = [np.lexsort((some.pitch, some.seconds)) for some in (written, heard)]
    assert (written.pitch[order[0]] == heard.pitch[order[1]]).all()
    assert np.mean((written.right >= 0.5)[order[0]] == (heard.right >= 0.5)[order[1]]) > 0.9


def test_every_head_stands_on_them_and_says_what_it_knows() -> None:
    asked = {"melody", "velocity", "hand", "style", "style-image", "emotion", "key", "composer", "difficulty"}
    assert asked <= set(scoresim.load().heads)
    for weights in TERMS:
        sim = scoresim.load(weights)
        for name, head in sim.heads.items():
            config = head.config
            assert config.weights == sim.weights and config.figures and config.corpora, name
            assert (BUNDLED / weights / HEADS / f"{name}.safetensors").stat().st_size < 7e6


def test_who_loads_them_does_not_wait_for_the_compiler_of_torch() -> None:
    load = "import sys, scoresim; scoresim.load('small').heads; print('torch._dynamo' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", load], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "False"


def test_they_make_the_round_trip_with_their_heads(tmp_path: Path) -> None:
    sim = scoresim.load()
    sim.save_pretrained(tmp_path / "again")
    again = scoresim.load(tmp_path / "again")
    assert again.weights == sim.weights and set(again.heads) == set(sim.heads)
    sim.save_pretrained(tmp_path / "wide", half=False)  # other numbers: no head was trained on these
    assert not scoresim.load(tmp_path / "wide").heads


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked."""
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling, of the extra dev")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def in_wheel(site: Path, words: list[str], where: Path, seconds: int) -> "subprocess.CompletedProcess[str]":
    """Run python in a process that finds the scoresim of the wheel, and no other."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *words], cwd=where, env=environment, capture_output=True, text=True, timeout=seconds
    )


@pytest.mark.slow
def test_the_wheel_has_all_that_a_user_needs(site: Path, tmp_path: Path) -> None:
    """Used in a process that finds no other scoresim and no network."""
    names = {str(file.relative_to(site)) for file in site.rglob("*") if file.is_file()}
    cards = {f"scoresim/weights/{name}/{card}.md" for name in TERMS for card in ("README", "DATA")}
    assert "scoresim/py.typed" in names and cards <= names
    assert not [name for name in names if name.startswith(("tests/", "runs/", "examples/"))]
    code = f"ROOT = {str(site)!r}\n{SCRIPT}"
    for word, file in (("SCORE", "menuet.krn"), ("PICTURE", "menuet.png")):
        code = code.replace(word, repr(str(ROOT / "examples" / file)))
    done = in_wheel(site, ["-c", code], tmp_path, 120)
    assert (done.returncode, done.stdout) == (0, "Menuet in G True True\n"), done.stderr
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_wheel_makes_the_figures_of_the_cards(site: Path, tmp_path: Path) -> None:
    """To the last digit, where sums are made as on the machine that wrote them down (x86-64 with AVX-512)."""
    for name in TERMS:
        done = in_wheel(site, [str(ROOT / "runs" / "check_card.py"), "--model", name], tmp_path, 900)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
