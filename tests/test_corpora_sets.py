"""What single data sets promise: layouts, labels, splits and works that agree across sets."""

import csv
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import symusic

from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.corpora._asap import work_of
from scoresim.errors import BadInput

REPOSITORY = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures" / "corpora"
SHARED = REPOSITORY.parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the repository")


def items(name: str, root: Path = FIXTURES) -> dict[str, Item]:
    corpus = corpora.get(name)
    found = corpus.find(root)
    assert found is not None
    return {item.id: item for item in corpus.items(found)}


@cache
def shared_items() -> tuple[tuple[str, Item], ...]:
    found = []
    for name in corpora.names():
        corpus = corpora.get(name)
        root = None if name == "folder" else corpus.find(None) or corpus.find(SHARED)
        found += [] if root is None else [(name, item) for item in corpus.items(root)]
    return tuple(found)


def test_the_fixtures_are_what_their_script_makes(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "make.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "make.py")], check=True)

    def content(root: Path) -> dict[str, bytes]:
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*") if path.is_file()}

    made, kept = content(tmp_path), content(FIXTURES)
    assert {name for name in kept if "__pycache__" not in name} == set(made)
    assert [name for name in made if made[name] != kept[name]] == []


@pytest.mark.parametrize("name", ["asap", "maestro", "pop1k7", "lakh", "pdmx", "kern_wtc", "nottingham_midi"])
def test_a_set_is_found_by_its_folder_or_the_one_that_holds_it(name: str, tmp_path: Path) -> None:
    find = corpora.get(name).find
    root = find(FIXTURES)
    assert root is not None
    assert find(root) == root
    assert find(None) is None
    assert find(tmp_path) is None
    assert find(tmp_path / "nowhere") is None


def test_the_tracks_of_lakh_may_be_named_themselves() -> None:
    assert corpora.get("lakh").find(FIXTURES / "lakh" / "lmd_matched") == FIXTURES / "lakh"


def test_another_set_is_refused_with_a_sentence(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "emopia", tmp_path / "vgmidi")
    with pytest.raises(BadInput, match="has no column 'game'"):
        items("vgmidi", tmp_path)
    (tmp_path / "vgmidi" / "labels.csv").write_bytes(b"file\xff\n")
    with pytest.raises(BadInput, match="cannot be read as a table"):
        items("vgmidi", tmp_path)


def test_works_of_another_composer_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "kern_beethoven", tmp_path / "kern_mozart")
    with pytest.raises(BadInput, match="holds works of Beethoven, not of Wolfgang Amadeus Mozart"):
        items("kern_mozart", tmp_path)


def test_files_that_are_not_there_are_not_listed(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "emopia", tmp_path / "emopia")
    (tmp_path / "emopia" / "midi" / "Q3_abc-d_0.mid").unlink()
    assert len(items("emopia", tmp_path)) == len(items("emopia")) - 1


def test_asap_lists_scores_and_performances_of_the_same_works() -> None:
    scores, performances = items("asap"), items("asap_performances")
    assert {item.format for item in scores.values()} == {"mxl"}
    assert {item.format for item in performances.values()} == {"midi"}
    assert {item.work for item in scores.values()} == {"bach/bwv846", "beethoven/op2-no1"}
    assert {item.work for item in performances.values()} == {"bach/bwv846", "beethoven/op2-no1"}
    assert not any("midi_score" in name for name in (*scores, *performances))
    played = performances["Beethoven/Piano_Sonatas/1-1/Player02M.mid"]
    assert (played.labels["performer"], played.labels["maestro"]) == ("Player02M", "1")


def test_grades_come_from_the_folder_beside(tmp_path: Path) -> None:
    assert items("kern_beethoven")["kern/sonata01-1.krn"].labels["henle"] == "6"
    assert "henle" not in items("kern_wtc")["kern/wtc1p01.krn"].labels
    shutil.copytree(FIXTURES / "kern_beethoven", tmp_path / "kern_beethoven")
    assert "henle" not in items("kern_beethoven", tmp_path)["kern/sonata01-1.krn"].labels


def test_kern_works() -> None:
    assert [item.work for item in items("kern_mozart").values()] == ["mozart/k279", "mozart/k545"]
    chopin = items("kern_chopin")
    assert [item.work for item in chopin.values()] == [
        *("chopin/op1", "chopin/op6-7", "chopin/op8", "chopin/op28-no4", "chopin/op74-no3")
    ]
    assert chopin["kern/074-1-G-003.krn"].style == "romantic song"
    assert chopin["kern/008-1-Sm-001-violino.krn"].style == "romantic"


def test_a_song_is_a_work_and_a_video_too() -> None:
    lieder = items("openscore_lieder")
    assert [item.work for item in lieder.values()] == [
        *("schumann/op48-no2", "warlock-peter/walking-the-woods", "schroter-corona/der-erlkonig")
    ]
    assert [item.style for item in lieder.values()] == ["romantic song", "modern song", "classical song"]
    first, second, third = items("emopia").values()
    assert first.work == second.work != third.work  # identifiers that differ in case only
    assert (first.split, first.labels["split_midibert"], first.labels["quadrant"]) == ("valid", "train", "1")


def test_tunes_share_works_and_a_title_in_two_parts_has_no_split() -> None:
    abc, midi, sheets = items("nottingham"), items("nottingham_midi"), items("openewld")
    assert [item.work for item in abc.values()] == [item.work for item in midi.values()]
    assert abc["abc/a.abc"].work == sheets["mxl/2_Millers_Cat.mxl"].work == "tune/miller-cat"
    assert abc["abc/b.abc"].work == "nottingham/hornpipe"
    assert abc["abc/a.abc"].split == "train"
    assert abc["abc/c.abc"].split is abc["abc/d.abc"].split is None
    assert abc["abc/c.abc"].labels["split_of_the_set"] == "test"


def test_beats_of_pop909_are_seconds_with_the_bars_as_annotated() -> None:
    beats_of = corpora.get("pop909").beats
    assert beats_of is not None
    songs = items("pop909")
    beats = beats_of(songs["midi/001.mid"])
    assert beats is not None
    np.testing.assert_allclose(beats.seconds, 0.5 * np.arange(12))
    assert np.flatnonzero(beats.downbeat).tolist() == [1, 5, 7, 11]
    assert beats.signatures == ((0, 4, 4), (5, 2, 4), (7, 4, 4))
    compound = beats_of(songs["midi/002.mid"])
    assert compound is not None
    assert compound.signatures == ((0, 12, 8),)


def test_beats_that_are_absent_or_broken(tmp_path: Path) -> None:
    beats_of = corpora.get("pop909").beats
    assert beats_of is not None
    shutil.copytree(FIXTURES / "pop909", tmp_path / "pop909")
    song = items("pop909", tmp_path)["midi/001.mid"]
    table = tmp_path / "pop909" / "beat_midi" / "001.txt"
    for text in ("1.0 2.0\n", "1.0 1.0 1.0\n1.0 0.0 0.0\n", "one two three\n", "nan 0 0\n1.0 0 0\n"):
        table.write_text(text)
        with pytest.raises(BadInput, match=r"001\.txt is no table of beats"):
            beats_of(song)
    table.unlink()
    assert beats_of(song) is None


def test_large_sets() -> None:
    maestro = items("maestro")
    assert [(item.work, item.split) for item in maestro.values()] == [
        ("bach/bwv846", "train"),
        ("beethoven/op2-no1", "valid"),
        ("berg-alban/op1", "test"),
    ]
    chopin, nobody = items("giantmidi").values()
    assert (chopin.work, chopin.split, chopin.labels["split_giantmidi"]) == ("chopin/op28-no4", None, "validation")
    assert (nobody.work, nobody.composer) == ("nobody-ann/piece-with-commas", "Nobody, Ann")
    assert list(items("pop1k7")) == ["midi_analyzed/src_001/0.mid", "midi_analyzed/src_002/0.mid"]
    scores = items("pdmx")
    assert [item.work.split("-")[0] for item in scores.values()] == ["beethoven/op27", "pdmx/qmtwo"]


def test_a_table_with_too_many_columns_or_names_outside_its_folder_costs_these_rows_only(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "pdmx", tmp_path / "PDMX")
    with (tmp_path / "PDMX" / "PDMX.csv").open("a") as table:
        table.write("./d,./m,./mxl/1/2/QmOne.mxl,,,Again,,B,pop,cc-zero,4.8,9,1,True,True,more,and more\n")
    assert [item.title for item in corpora.get("pdmx").items(tmp_path / "PDMX")][-1] == "Again"
    (tmp_path / "secret.mid").write_bytes(b"MThd")
    for name in ("emopia", "maestro", "nottingham_midi"):
        folder = "nottingham" if name == "nottingham_midi" else name
        shutil.copytree(FIXTURES / folder, tmp_path / folder)
        table = next((tmp_path / folder).glob("*.csv"))
        before = items(name, tmp_path / folder)
        named = next(iter(before.values())).path.relative_to(tmp_path / folder).as_posix()
        for outside in ("../secret.mid", str(tmp_path / "secret.mid")):
            text = table.read_text()
            table.write_text(text.replace(named, outside))
            assert set(items(name, tmp_path / folder)) == set(list(before)[1:])
            table.write_text(text)


def test_lakh_lists_a_file_once_and_joins_the_tracks_that_share_it() -> None:
    first, second, third = items("lakh").values()
    assert (first.labels["track"], first.labels["match_score"]) == ("TRAAB02", "0.7500")
    assert first.work == second.work == "lakh/traaa01" != third.work


# --- the whole of music21's corpus, and of the shared data ---

LEFT_OUT = re.compile(
    r"josquin/\w+\.abc|leadSheet/berlinAlexandersRagtime\.mxl"  # docs/corpora.md
)


def test_every_score_of_music21_is_in_one_corpus_or_left_out_with_a_reason() -> None:
    first = corpora.get("music21_demos").find(None)
    if first is None:
        pytest.skip("the music21 package, whose corpus folder is read here, is not installed")
    owners: dict[Path, set[str]] = defaultdict(set)
    for name in corpora.names():
        root = corpora.get(name).find(None)
        for item in corpora.get(name).items(root) if root is not None else ():
            owners[item.path].add(name)
    text = (REPOSITORY / "docs" / "corpora.md").read_text(encoding="utf-8")
    for path in _scores(first):
        relative = path.relative_to(first).as_posix()
        assert len(owners[path]) == (0 if LEFT_OUT.fullmatch(relative) else 1), relative
    for reason in ("josquin", "berlinAlexandersRagtime"):
        assert reason in text


def _scores(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.suffix in (".mxl", ".xml", ".musicxml", ".krn", ".abc"))


@needs_shared
def test_every_file_of_the_shared_data_is_an_item() -> None:
    listed = {item.path for _, item in shared_items()}
    files = [path for path in SHARED.rglob("*") if path.suffix in (".mxl", ".krn", ".abc", ".mid")]
    assert [path for path in files if path not in listed and path.name != "midi_score.mid"] == []


@needs_shared
def test_no_work_has_two_official_splits() -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for _, item in shared_items():
        if item.split is not None:
            splits[item.work].add(item.split)
    assert len(splits) > 4000
    assert {work: found for work, found in splits.items() if len(found) > 1} == {}


@needs_shared
def test_a_work_label_of_two_sets_is_one_work() -> None:
    names = ("asap", "kern_beethoven", "kern_chopin", "kern_mozart", "kern_wtc")
    labels = {name: set(_column(SHARED / name / "labels.csv", "work")) for name in names}
    works = {name: {item.work for owner, item in shared_items() if owner == name} for name in names}
    both = 0
    for name in names[1:]:
        for label in labels["asap"] & labels[name]:
            assert work_of(label) in works[name], label
            both += 1
    assert both == 80


def _column(path: Path, column: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def test_the_page_names_every_corpus_with_its_licence(script: Callable[[str], ModuleType]) -> None:
    kept = (REPOSITORY / "docs" / "corpora.md").read_text(encoding="utf-8")
    made = script("docs/make_corpora.py").text(FIXTURES)
    for name in corpora.names():
        assert f"| `{name}` | {corpora.get(name).title} |" in kept
        assert f"**`{name}`**" in kept
    # what does not count files is the same with any data
    assert kept[kept.index("## Sources") :] == made[made.index("## Sources") :]


@needs_shared
def test_the_page_is_what_the_program_makes(script: Callable[[str], ModuleType]) -> None:
    kept = (REPOSITORY / "docs" / "corpora.md").read_text(encoding="utf-8")
    assert kept == script("docs/make_corpora.py").text(SHARED)


@needs_shared
@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/labels.csv")), ids=lambda path: path.parent.name)
def test_fixtures_have_the_columns_of_the_real_sets(path: Path) -> None:
    real = SHARED / path.parent.name / "labels.csv"
    if not real.is_file():
        pytest.skip(f"{path.parent.name} is not among the shared data")
    header = path.read_text(encoding="utf-8").splitlines()[0]
    assert header == real.read_text(encoding="utf-8-sig").splitlines()[0]


@needs_shared
def test_beats_of_pop909_lie_on_the_notes() -> None:
    corpus = corpora.get("pop909")
    root = corpus.find(SHARED)
    if root is None or corpus.beats is None:
        pytest.skip("pop909 is not among the shared data")
    near = 0
    songs = list(corpus.items(root))[::40]
    for item in songs:
        beats = corpus.beats(item)
        assert beats is not None
        score = symusic.Score(str(item.path), ttype="second")
        onsets = np.array([note.time for track in score.tracks for note in track.notes])
        at = np.clip(np.searchsorted(beats.seconds, onsets, side="right") - 1, 0, len(beats.seconds) - 2)
        phase = (onsets - beats.seconds[at]) / (beats.seconds[at + 1] - beats.seconds[at])
        near += bool(np.median(np.abs(phase * 4 - np.round(phase * 4)) / 4) < 0.01)
    assert near >= 0.9 * len(songs)
