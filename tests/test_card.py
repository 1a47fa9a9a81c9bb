"""The data card: what it counts is what is there, and the page has every section."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scoresim.data import shards
from scoresim.data.build import BuildConfig, build
from scoresim.data.card import balance, card, plain_reason, reasons, write_card
from scoresim.data.card_text import SECTIONS, hub_licence, table
from scoresim.data.harmonize import write_sampling
from scoresim.errors import BadInput
from scoresim.files import write_json

FIXTURES = Path(__file__).parent / "fixtures"


def tune(number: int) -> str:
    """A tune of ours that differs from number to number."""
    rng = np.random.default_rng(number)
    bars = ["".join(rng.choice(list("CDEFGABcde"), 8)) for _ in range(6)]
    return f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:{'CGDF'[number % 4]}\n{'|'.join(bars)}|]\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of all three formats, with one file that cannot be read and two styles."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copy(FIXTURES / "piano.musicxml", folder)
    shutil.copy(FIXTURES / "choir.krn", folder)
    (folder / "book.abc").write_text("\n".join(tune(i) for i in range(1, 16)))
    (folder / "broken 12.mxl").write_bytes(b"no archive")
    out = tmp_path_factory.mktemp("built") / "set"
    build(out, BuildConfig(corpora=(f"folder={folder}",), workers=2, page_width=70.0))
    for entry in json.loads((out / "manifest.json").read_text())["shards"]["train"]:
        rows = pq.read_table(out / entry["name"])
        style = ["ours" if i % 4 else "theirs" for i in range(len(rows))]
        column = rows.schema.get_field_index("style")
        import pyarrow as pa

        shards.write_table(out / entry["name"], rows.set_column(column, "style", pa.array(style)))
    write_sampling(out, 1.0, True)
    return out


@pytest.fixture(scope="module")
def written(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of that data set."""
    out = tmp_path_factory.mktemp("card") / "new"
    write_card(built, out)
    return out


def test_counts_are_those_of_the_shards(built: Path) -> None:
    facts = card(built)
    pairs = {split: list(shards.open(built).split(split)) for split in ("train", "valid", "test")}
    every = [pair for part in pairs.values() for pair in part]
    assert facts["pairs"] == {split: len(part) for split, part in pairs.items()}
    assert facts["notes"] == {split: sum(len(p.notes) for p in part) for split, part in pairs.items()}
    assert facts["bars"] == {split: sum(p.n_bars for p in part) for split, part in pairs.items()}
    assert sum(facts["staves"].values()) == len(every)
    assert sum(facts["images"]["font"].values()) == sum(facts["images"]["degraded"].values()) == len(every)
    assert [row["items"] for row in facts["reasons"]] == [1] and facts["reasons"][0]["format"] == "mxl"
    assert facts["reasons"][0]["reason"].startswith("the file is not a readable MXL archive")


def test_the_balance_is_measured(built: Path) -> None:
    measured = balance(built)
    assert measured is not None and measured.names == ["ours", "theirs"]
    assert measured.after.tolist() == pytest.approx([0.5, 0.5])
    assert measured.total_variation[0] == pytest.approx(abs(measured.before[0] - 0.5))
    assert measured.total_variation[1] == pytest.approx(0, abs=1e-9)
    assert measured.jensen_shannon[1] == pytest.approx(0, abs=1e-6) and measured.jensen_shannon[0] > 0
    level = measured.values["level"][measured.style == "ours"]
    low, wide = level.min(), np.ptp(level)
    grid = np.linspace(0, 1, 1001)
    share = np.searchsorted(np.sort(level), low + wide * grid, "right") / len(level)
    before, after = measured.distances["ours", "level"]
    assert before == pytest.approx(wide * np.abs(share - grid).mean(), abs=2e-3)
    assert after < before


def test_the_page_has_all_sections_figures_and_pictures(built: Path, written: Path) -> None:
    text = (written / "README.md").read_text(encoding="utf-8")
    facts = card(built)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    assert f"{sum(facts['pairs'].values()):,} pairs of a score image" in text
    assert f"| train | {facts['works']['train']} | {facts['pairs']['train']} |" in text
    assert "the file is not a readable MXL archive" in text and "broken" not in text
    names = ("passages", "styles", "complexity", "quarantine", "images", "examples")
    for name in names:
        assert f"({name}.png)" in text
        with Image.open(io.BytesIO((written / f"{name}.png").read_bytes())) as image:
            assert image.width > 300 and np.asarray(image.convert("L")).std() > 5
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_the_front_matter_is_what_the_hub_reads(built: Path, written: Path) -> None:
    yaml = pytest.importorskip("yaml")
    _, front, _ = (written / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    data = yaml.safe_load(front)
    assert data["license"] == ["other"] and data["size_categories"] == ["n<1K"]
    files = {entry["split"]: entry["path"] for entry in data["configs"][0]["data_files"]}
    assert files["train"].endswith("/train-*.parquet")
    for pattern in files.values():  # they lead from the card to the shards
        assert list(written.glob(pattern))


def test_a_card_beside_the_shards_names_them_as_the_hub_does(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "set")
    write_card(tmp_path / "set", tmp_path / "set")
    assert '    path: "train-*.parquet"' in (tmp_path / "set" / "README.md").read_text().splitlines()
    write_card(tmp_path / "set", tmp_path / "set" / "card")
    assert '    path: "../train-*.parquet"' in (tmp_path / "set" / "card" / "README.md").read_text().splitlines()


def test_the_page_says_which_works_share_music(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(built, out)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["groups"] |= {
        "merged_works": [["a/1", "b/1", 0.9], ["a/1", "c/1", 0.4]],
        "left_apart": [[f"d/{i}", f"e/{i}", 0.21 + i / 100] for i in range(8)],
    }
    write_json(out / "manifest.json", manifest)
    write_card(out, out)
    text = (out / "README.md").read_text()
    assert "2 pairs of works of different names (3 works)" in text and "| a/1 | b/1 | 0.90 |" in text
    assert "Another 8 pairs of works" in text and "| d/7 | e/7 | 0.28 |" in text and "| d/2 |" not in text


def test_the_card_is_the_same_when_written_again(built: Path, written: Path, tmp_path: Path) -> None:
    write_card(built, tmp_path / "b")
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_an_older_manifest_still_gives_a_card(built: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(built, old)
    manifest = json.loads((old / "manifest.json").read_text())
    for name in ("groups", "items_by_corpus", "harmonization", "seconds"):
        manifest.pop(name, None)
    for entry in manifest["quarantine"]:
        entry.pop("format", None)
    write_json(old / "manifest.json", manifest)
    write_card(old, old)
    assert "| unknown | 1 |" in (old / "README.md").read_text()
    (old / "sampling.parquet").unlink()
    with pytest.raises(BadInput, match="missing"):
        write_card(old, old)


@pytest.mark.parametrize(
    "change",
    [
        {"passages": None},
        {"tools": None},
        {"pairs": [3]},
        {"shards": {"train": 3, "valid": [], "test": []}},
        {"shards": {"train": [{"rows": 3}], "valid": [], "test": []}},
        {"quarantine": ["a.mid"]},
    ],
)
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    """None is a key that is missing."""
    whole: dict[str, Any] = {"kind": shards.KIND, "passages": 0, "items": 0, "sources": [], "quarantine": []}
    whole |= {name: {} for name in ("pairs", "works", "rejected", "tools", "config")}
    whole["shards"] = {part: [] for part in ("train", "valid", "test")}
    write_json(tmp_path / shards.MANIFEST, whole)
    assert card(tmp_path)["passages"] == 0
    write_json(
        tmp_path / shards.MANIFEST, {name: value for name, value in (whole | change).items() if value is not None}
    )
    with pytest.raises(BadInput, match=r"^manifest\.json of .+ is damaged \(.+\); put a whole one back, [^\n]+\.$"):
        card(tmp_path)


@pytest.mark.parametrize(
    ("reason", "plain"),
    [
        ("/a/b c/x.krn is not Humdrum: no line begins with **.", "the file is not Humdrum: no line begins with **"),
        ("took longer than 60 s", "took longer than N s"),
        ("not well-formed MEI: ID tie-L46F3 already defined", "not well-formed MEI: ID N already defined"),
        ("the parser crashed (exit code -6)", "the parser crashed (exit code N)"),
        ("no staff named 'Viola 2'", "no staff named …"),
    ],
)
def test_reasons_lose_names_and_numbers(reason: str, plain: str) -> None:
    assert plain_reason(reason) == plain


def test_reasons_are_counted_by_format_and_corpus() -> None:
    rows: list[dict[str, Any]] = [
        {"corpus": "a", "format": "abc", "reason": "/x/1.abc crashed at 3"},
        {"corpus": "b", "format": "abc", "reason": "/y/2.abc crashed at 44"},
        {"corpus": "a", "format": "kern", "reason": "/x/1.krn crashed at 3"},
    ]
    assert reasons(rows) == [
        {"reason": "the file crashed at N", "format": "abc", "items": 2, "corpora": {"a": 1, "b": 1}},
        {"reason": "the file crashed at N", "format": "kern", "items": 1, "corpora": {"a": 1}},
    ]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("CC BY-NC-SA 4.0 (its README)", "cc-by-nc-sa-4.0"),
        ("CC0 1.0", "cc0-1.0"),
        ("CC BY 4.0", "cc-by-4.0"),
        ("MIT", "mit"),
        ("none stated", "other"),
        ("None stated in the repository (its sister repositories: CC BY-NC-SA 4.0)", "other"),
        ("Differs by file: Johnson and Lusitano CC0, Foster public domain", "other"),
        ("MIT for the code, CC BY 4.0 for the scores", "other"),
    ],
)
def test_licences_in_the_words_of_the_hub(words: str, name: str) -> None:
    assert hub_licence(words) == name


def test_cells_cannot_break_a_table() -> None:
    assert table(("a",), [["x|y\nz"]]).splitlines()[-1] == "| x\\|y z |"
