"""What every test shares: repeatable randomness, one thread for torch, no network, and made-up songs."""

import dataclasses
import importlib.util
import io
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

# One thread each: sums in the same order on every machine, and no threads fighting over two cores.
# It has to stand in the environment before torch is first imported, and worker processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

# A busy machine is no defect: nothing fails for being slow.
slow = [HealthCheck.too_slow]
settings.register_profile("default", deadline=None, max_examples=50, print_blob=True, suppress_health_check=slow)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection to another machine fails."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            _refuse(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _refuse(address: Any) -> NoReturn:
    raise AssertionError(f"a test tried to reach {address}; tests run without a network")


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with songs of ours in the layouts of POP909 and Pianist8."""
    root = tmp_path_factory.mktemp("songs")
    return _pianist8(_pop909(root))


@pytest.fixture(scope="session")
def make_song() -> Callable[..., None]:
    """Writes a song of ours: (path, seed, bars, names of tracks)."""
    return _song


PARTS = ("train", "train", "train", "valid", "test", "test")


def _song(path: Path, seed: int, bars: int = 12, tracks: tuple[str, ...] = ("MELODY", "BRIDGE", "PIANO")) -> None:
    """A tune that walks, a line under it now and then, and chords, on three tracks or on one."""
    chance = np.random.default_rng(seed)
    import symusic

    made = {name: symusic.Track(name) for name in dict.fromkeys(tracks)}
    pitch = 72
    for bar in range(bars):
        start = 4 * bar * 480
        for quarter in range(4):
            pitch = int(np.clip(pitch + chance.integers(-3, 4), 65, 84))
            made[tracks[0]].notes.append(symusic.Note(start + quarter * 480, 460, pitch, 90))
        if bar % 3 == 0:
            made[tracks[1 % len(tracks)]].notes.append(symusic.Note(start + 960, 900, 62, 70))
        for step in (0, 4, 7):
            made[tracks[2 % len(tracks)]].notes.append(symusic.Note(start, 1900, 43 + step + 5 * (bar % 2), 50))
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, 100))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for track in made.values():
        score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    score.dump_midi(path)


def _pop909(root: Path) -> Path:
    """Six songs as POP909 has them, one split each; gives the folder that holds the set."""
    columns = "file,split,key,n_keys,key_share,beats_per_measure,quavers_per_beat,title,artist"
    rows = [columns]
    for i, part in enumerate(PARTS):
        _song(root / "pop909" / "midi" / f"{i:03}.mid", i)
        rows.append(f"midi/{i:03}.mid,{part},C major,1,1.0,4,2,Song {i},Nobody")
    (root / "pop909" / "beat_midi").mkdir(exist_ok=True)
    (root / "pop909" / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def _pianist8(root: Path) -> Path:
    """Six pieces by two artists as Pianist8 has them; gives the folder that holds the set."""
    rows = ["file,split,composer,n_notes"]
    for i, part in enumerate(PARTS):
        artist = ("Yiruma", "Hancock")[i % 2]
        name = f"midi/{artist}/{artist}_Piece_{i}.mid"
        _song(root / "pianist8" / name, i, bars=8 + 90 * (artist == "Yiruma"), tracks=("",))
        rows.append(f"{name},{part},{artist},0")
    (root / "pianist8" / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def _tune(number: int, letters: str = "CDEFGABc") -> str:
    """A tune of ours that differs from number to number."""
    turn = [letters[(number * 3 + i * (1 + number % 5)) % len(letters)] for i in range(32)]
    bars = ["".join(turn[i : i + 8]) for i in range(0, 32, 8)]
    return f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:{'CGDF'[number % 4]}\n{'|'.join(bars)}|]\n"


@pytest.fixture(scope="session")
def tune() -> Callable[[int], str]:
    """Makes a tune in ABC, another for every number."""
    return _tune


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good scores: three of other formats and fifteen tunes."""
    folder, fixtures = tmp_path_factory.mktemp("source"), Path(__file__).parent / "fixtures"
    shutil.copy(fixtures / "piano.musicxml", folder)
    shutil.copy(fixtures / "choir.krn", folder)
    (folder / "book.abc").write_text("\n".join(_tune(i) for i in range(1, 16)))
    return folder


@pytest.fixture(scope="session")
def build_config(source: Path) -> Any:
    """How `built` was built. The tunes are so alike that they would all be one work, hence no search for duplicates."""
    from scoresim.data.build import BuildConfig

    return BuildConfig(
        corpora=(f"folder={source}",), workers=2, page_width=70.0, vary=False, duplicate_threshold=0.0, degrade="none"
    )


@pytest.fixture(scope="session")
def built(build_config: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of the good scores."""
    from scoresim.data.build import build

    out = tmp_path_factory.mktemp("built") / "set"
    build(out, build_config)
    return out


@pytest.fixture(scope="session")
def drawn_tune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tune.abc, 32 bars, and page.png: the tune as an engraver draws it, its lines under each other."""
    from scoresim.data.given import read_notes
    from scoresim.data.pieces import Piece

    folder = tmp_path_factory.mktemp("drawn")
    bars = "CDEF|GABc|cBAG|FEDC|EGEG|c2A2|GFED|C4|" * 4
    (folder / "tune.abc").write_text(f"X:1\nT:Long\nM:4/4\nL:1/4\nK:C\n{bars}]\n")
    [piece] = read_notes([folder / "tune.abc"], images=True)
    assert isinstance(piece, Piece)
    lines = [np.asarray(Image.open(io.BytesIO(line.image))) for line in piece.lines]
    wide = max(line.shape[1] for line in lines)
    rows = [np.pad(line, ((30, 30), (40, 40 + wide - line.shape[1])), constant_values=255) for line in lines]
    Image.fromarray(np.concatenate(rows)).save(folder / "page.png")
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model that is very small and has learnt nothing, and heads that know nothing."""
    torch = pytest.importorskip("torch")
    from scoresim import checkpoint
    from scoresim.model.sim import SIM, SIMConfig
    from scoresim.model.tagger import Tagger
    from scoresim.score.tokens import default_vocabulary

    torch.manual_seed(0)
    vocabulary = default_vocabulary()
    model = SIM(SIMConfig(width=16, layers=1, heads=2, stem_channels=(4, 4), embedding=32), vocabulary.sizes)
    folder = tmp_path_factory.mktemp("weights") / "checkpoint"
    checkpoint.save(folder, model, vocabulary, {"seed": 0})
    (folder / "heads").mkdir()
    about = {
        "hidden": (),
        "lines": 1,
        "bars": True,
        "rank": 0,
        "temperature": 1.5,
        "weights": checkpoint.weights_of(folder),
    }
    for name, level, classes, inputs, notes, context in (
        ("melody", "note", ("melody", "bridge", "accompaniment"), "notes", 64, 1),
        ("velocity", "note", tuple("123456"), "notes", 64, 0),
        ("hand", "note", ("upper staff", "lower staff"), "notes", 64, 0),
        ("emotion", "sequence", ("calm", "tense"), "notes", 64, 0),
        ("style", "sequence", ("jig", "reel", "waltz"), "notes", 0, 0),
        ("style-image", "sequence", ("jig", "reel", "waltz"), "image", 0, 0),
    ):
        head = Tagger(model, level, len(classes), context)
        config = checkpoint.HeadConfig(
            name.split("-")[0], level, classes, inputs, notes=notes, context=context, corpora=("nottingham",), **about
        )
        checkpoint.save_head(folder / "heads" / f"{name}.safetensors", head, config)
    return folder


CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window, driven by Playwright; tests that need it are skipped where there is none."""
    driver = pytest.importorskip("playwright.sync_api", reason="no browser: Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no browser: install one, on Debian with apt-get install chromium")
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def piece_task() -> Callable[..., Any]:
    """(name, changes) -> a task of whole pieces of the benchmark, asked of its own sources alone."""
    from scoresim.benchmark import tasks

    return lambda name, **changes: dataclasses.replace(tasks.get(name), elsewhere=(), **changes)


@pytest.fixture(scope="session")
def melody(songs: Path, piece_task: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The made-up songs as the material of the task melody, engraved, in short windows."""
    from scoresim.benchmark.piecewise import gather

    return gather(piece_task("melody", notes=40), songs, tmp_path_factory.mktemp("melody"), workers=1)


@pytest.fixture(scope="session")
def composer(songs: Path, piece_task: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same as the material of the task composer, without pictures."""
    from scoresim.benchmark.piecewise import gather

    task = piece_task("composer", notes=64, least=30)
    return gather(task, songs, tmp_path_factory.mktemp("composer"), images=False, workers=1)


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Path from the root of the repository -> a script of it as a module."""

    def load(path: str) -> ModuleType:
        file = Path(__file__).parent.parent / path
        spec = importlib.util.spec_from_file_location(f"script_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
        sys.path.insert(0, str(file.parent))  # as when it is run
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(file.parent))
        return module

    return load
