"""Sets that are read as their authors publish them: the same items as from a table of labels."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scoresim.benchmark.piecewise import asked, root_of
from scoresim.benchmark.tasks import composer_asap, hand
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot
from scoresim.errors import BadInput

FIXTURES = Path(__file__).parent / "fixtures" / "corpora"
SHARED = Path(__file__).parents[2] / "shared" / "data"
TABLE_ALONE = {"title", "artist", "beats_per_measure"}
"""Labels of POP909 that its authors give as a spreadsheet."""
CLONES = {
    "asap": "asap-dataset",
    "asap_performances": "asap-dataset",
    "kern_beethoven": "beethoven-piano-sonatas",
    "kern_chopin": "humdrum-chopin-first-editions",
    "kern_mozart": "mozart-piano-sonatas",
    "kern_wtc": "bach-wtc",
}
"""Sets without official parts, with the usual names of their clones."""
GIVEN = {"maestro", "cipi_id", "henle", *(f"fold{i}" for i in range(5))}
"""Labels that come from elsewhere."""


def items(name: str, root: Path) -> dict[str, Item]:
    return {item.id: item for item in corpora.get(name).items(root)}


def link(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.symlink_to(file)


def pop909(prepared: Path, folder: Path) -> None:
    for file in (prepared / "midi").glob("*.mid"):
        song = folder / "POP909-Dataset" / "POP909" / file.stem
        link(file, song / file.name)
        for kind in ("beat_midi", "key_audio"):
            if (prepared / kind / f"{file.stem}.txt").is_file():
                link(prepared / kind / f"{file.stem}.txt", song / f"{kind}.txt")


def pianist8(prepared: Path, folder: Path) -> None:
    link(prepared / "midi", folder / "Pianist8" / "midi")


def emopia(prepared: Path, folder: Path) -> None:
    root = folder / "EMOPIA_1.0"
    link(prepared / "midi", root / "midis")
    with (prepared / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named = [(Path(row["file"]).stem, row) for row in rows]
    labels = [f"{name},{row['quadrant']},{row['annotator']}" for name, row in named]
    (root / "label.csv").write_text("\n".join(["ID,4Q,annotator", *labels]), encoding="utf-8")
    (root / "split").mkdir()
    for part, kept in (("train", "train"), ("valid", "val"), ("test", "test")):
        clips = [f"{i},{name}.mid" for i, (name, row) in enumerate(named) if row["split"] == part]
        (root / "split" / f"{kept}_clip.csv").write_text("\n".join([",clip_name", *clips]), encoding="utf-8")


@pytest.mark.parametrize("publish", [pop909, pianist8, emopia])
def test_a_set_as_published_is_the_set_with_a_table(publish: Callable[[Path, Path], None], tmp_path: Path) -> None:
    name = publish.__name__
    prepared = SHARED / name
    if not prepared.is_dir():
        pytest.skip(f"{name} is not among the shared data")
    publish(prepared, tmp_path)
    root = root_of(name, tmp_path)
    assert root is not None
    assert root.parent == tmp_path
    corpus, table, published = corpora.get(name), items(name, prepared), items(name, root)
    assert list(published) == list(table)
    for one, other in zip(table.values(), published.values(), strict=True):
        assert (one.work, one.style, one.composer, one.split) == (other.work, other.style, other.composer, other.split)
        wanted = {label: value for label, value in one.labels.items() if label not in TABLE_ALONE}
        assert {label: value for label, value in other.labels.items() if label not in TABLE_ALONE} == wanted
    if corpus.beats is not None:
        for one, other in list(zip(table.values(), published.values(), strict=True))[::50]:
            beats, again = corpus.beats(one), corpus.beats(other)
            assert beats is not None
            assert again is not None
            assert (beats.signatures, beats.seconds.tolist()) == (again.signatures, again.seconds.tolist())


def clone(name: str, prepared: Path, folder: Path) -> Path:
    """A set without its table; gives the folder that was cloned."""
    root = folder / CLONES[name]
    for path in prepared.rglob("*.*"):
        if path.is_file() and path.name not in ("labels.csv", "README.txt"):
            link(path, root / path.relative_to(prepared))
    return root


@pytest.mark.parametrize("name", CLONES)
@pytest.mark.parametrize("data", [FIXTURES, SHARED], ids=["fixtures", "shared"])
def test_a_clone_is_the_set_without_its_parts(name: str, data: Path, tmp_path: Path) -> None:
    prepared = data / name.removesuffix("_performances")
    if not prepared.is_dir():
        pytest.skip(f"{prepared.name} is not among the shared data")
    root = clone(name, prepared, tmp_path)
    assert root_of(name, tmp_path) == root
    table, cloned = items(name, prepared), items(name, root)
    assert set(cloned) == set(table)
    for key, item in table.items():
        other = cloned[key]
        assert (other.work, other.style, other.composer, other.split) == (item.work, item.style, item.composer, None)
        stated = {label: value for label, value in item.labels.items() if label not in GIVEN}
        if data == SHARED:  # the notes of a fixture are the same, whatever its table says
            assert {label: other.labels.get(label) for label in stated} == stated


def test_works_of_a_clone_go_by_their_lots(tmp_path: Path) -> None:
    clone("asap", FIXTURES / "asap", tmp_path)
    [found] = asked(hand.TASK, tmp_path).values()
    assert len(found) == 2
    assert all(part == by_lot(item.work) for item, part in found)
    assert sum(map(len, asked(composer_asap.TASK, tmp_path).values())) == 0, "too few works for a class"
    [prepared] = asked(hand.TASK, FIXTURES).values()
    assert [part for _, part in prepared] == ["train", "train"]


def test_a_part_of_a_set_with_a_table_is_found(tmp_path: Path) -> None:
    (tmp_path / "asap" / "Bach" / "Fugue" / "bwv_846").mkdir(parents=True)
    assert corpora.get("asap").find(tmp_path) is None
    (tmp_path / "asap" / "labels.csv").write_text("file,split,kind,composer,work,folder\n", encoding="utf-8")
    assert corpora.get("asap").find(tmp_path) == tmp_path / "asap"


def test_a_clone_of_another_composer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kern").mkdir()
    (tmp_path / "kern" / "sonata01-1.krn").write_text("!!!COM: Mozart, Wolfgang Amadeus\n**kern\n*k[]\n4c\n*-\n")
    assert len(items("kern_mozart", tmp_path)) == 1
    with pytest.raises(BadInput, match="holds works of Mozart, not of Ludwig van Beethoven"):
        items("kern_beethoven", tmp_path)


def test_songs_of_pop909_as_published(tmp_path: Path) -> None:
    midi = FIXTURES / "pop909" / "midi" / "001.mid"
    beats = FIXTURES / "pop909" / "beat_midi" / "001.txt"
    for number in ("001", "011", "014", "021", "034"):
        song = tmp_path / "POP909" / number
        song.mkdir(parents=True)
        shutil.copy(midi, song / f"{number}.mid")
        shutil.copy(beats, song / "beat_midi.txt")
    versions = tmp_path / "POP909" / "001" / "versions"
    versions.mkdir()
    shutil.copy(midi, versions / "001-v1.mid")
    keys = tmp_path / "POP909" / "001" / "key_audio.txt"
    keys.write_text("0.5\t2.5\tGb:maj\n2.5\t5.5\tD#:min\n\n5.5\t7.5\tF#:maj\n", encoding="utf-8")
    root = corpora.get("pop909").find(tmp_path)
    assert root == tmp_path
    found = items("pop909", root)
    assert {name: item.split for name, item in found.items()} == {
        "midi/001.mid": "train",
        "midi/011.mid": "test",
        "midi/014.mid": "train",
        "midi/021.mid": "valid",
    }  # 034 is one of those that MidiBERT leaves out
    labels = found["midi/001.mid"].labels
    assert (labels["key"], labels["n_keys"], labels["key_share"]) == ("F# major", "2", "0.571")
    assert "key" not in found["midi/011.mid"].labels
    beats_of = corpora.get("pop909").beats
    assert beats_of is not None
    simple, compound = beats_of(found["midi/001.mid"]), beats_of(found["midi/014.mid"])
    assert simple is not None
    assert compound is not None
    assert (simple.signatures[0], compound.signatures[0]) == ((0, 4, 4), (0, 12, 8))

    for text in ("0 1\n", "0 x C:maj\n", "0 1 C\n", "0 1 C:dorian\n"):
        keys.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=r"key_audio\.txt is no table of keys"):
            items("pop909", root)


def test_clips_of_emopia_without_a_part_or_a_label(tmp_path: Path) -> None:
    emopia(FIXTURES / "emopia", tmp_path)
    root = tmp_path / "EMOPIA_1.0"
    (root / "split" / "test_clip.csv").write_text(",clip_name\n", encoding="utf-8")
    (root / "label.csv").write_text("ID,4Q,annotator\n", encoding="utf-8")
    table, found = items("emopia", FIXTURES / "emopia"), items("emopia", root)
    assert [item.labels["quadrant"] for item in found.values()] == [item.labels["quadrant"] for item in table.values()]
    assert [item.work for item in found.values()] == [item.work for item in table.values()]
    assert {name for name in found if found[name].split is None} == {n for n in table if table[n].split == "test"}
    assert all("annotator" not in item.labels for item in found.values())
    (root / "split" / "val_clip.csv").unlink()
    with pytest.raises(BadInput, match=r"val_clip\.csv cannot be read as a table"):
        items("emopia", root)
