"""What is published in results/ and shown on pages: new rows beside those that stand, and tables made of rows alone."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README, RESULTS = "README.md", "docs/results.md"


@pytest.fixture(scope="module")
def make_results(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("docs/make_results.py")


def table(page: str, mark: str) -> str:
    """The table between two marks of a page, without what stands under it."""
    return (ROOT / page).read_text(encoding="utf-8").split(f"<!-- {mark} -->\n")[1].split("\n\n", 1)[0]


def row(what: str, pretraining: str, value: float, inputs: str = "notes") -> dict[str, Any]:
    return {"what": what, "inputs": inputs, "pretraining": pretraining, "metric": "accuracy", "value": value}


def test_new_rows_take_the_place_of_their_like_or_stand_beside_it(make_results: ModuleType) -> None:
    both, midi = make_results.IMAGE, make_results.MIDI
    stood = [row("hand, notes", both, 0.1), row("hand, notes", "none", 0.2), row("key, notes", both, 0.3)]
    new = [
        row("hand, notes", midi, 0.4),
        row("key, notes", both, 0.5),
        row("hand, notes", both, 0.6, "both"),
        row("meter, notes", both, 0.7),
    ]
    found = make_results.replaced(stood, new, make_results.ROW)
    said = [(entry["what"][:4], entry["pretraining"], entry["value"]) for entry in found]
    assert said == [
        ("hand", both, 0.1),
        ("hand", both, 0.6),
        ("hand", midi, 0.4),
        ("hand", "none", 0.2),
        ("key,", both, 0.5),
        ("mete", both, 0.7),
    ]
    assert make_results.replaced(found, new, make_results.ROW) == found
    assert len(stood) == 3


def test_a_comparison_takes_the_place_of_the_one_of_the_same_rows(make_results: ModuleType) -> None:
    gain = {"what": "hand, notes: gain", "a": "both", "b": "notes", "metric": "accuracy", "p": 0.5}
    other = gain | {"what": "key, notes: gain"}
    found = make_results.replaced([gain, other], [gain | {"p": 0.1}, gain | {"b": "nothing"}], ("what", "a", "b"))
    assert [(entry["what"][:3], entry["b"], entry["p"]) for entry in found] == [
        ("han", "notes", 0.1),
        ("han", "nothing", 0.5),
        ("key", "notes", 0.5),
    ]


def test_no_difference_stays_of_rows_that_are_answered_otherwise(make_results: ModuleType) -> None:
    side = f"{make_results.IMAGE}; {row('', '', 0)['inputs']}"
    gains = [{"what": f"{name}, notes: gain", "a": side, "b": "y", "metric": "m"} for name in ("hand", "key")]
    gains.append({"what": "hand, notes: gain of others", "a": "x", "b": "y", "metric": "m"})
    rows = [row("hand, notes", make_results.IMAGE, 0.1), row("key, notes", make_results.IMAGE, 0.3)]
    stood: dict[str, Any] = {"rows": rows, "comparisons": gains}
    same = [row("hand, notes", make_results.IMAGE, 0.1)]
    other = [row("hand, notes", make_results.IMAGE, 0.2)]
    anew: dict[str, Any] = gains[0] | {"p": 0.1}
    assert make_results.together(stood, same, [])[1] == gains
    assert make_results.together(stood, other, [])[1] == gains[1:]
    assert make_results.together(stood, other, [anew])[1] == [anew, *gains[1:]]


@pytest.mark.parametrize(
    ("name", "mark", "kind"), [("frozen", "frozen", "[frozen, linear]"), ("frozen_heads", "frozen heads", "[frozen]")]
)
def test_the_tables_of_frozen_weights_are_made_of_what_is_published(
    make_results: ModuleType, name: str, mark: str, kind: str
) -> None:
    kept = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert table(RESULTS, mark) == make_results.table_of_tasks(kept["rows"], kept["comparisons"], kind)
    page = (ROOT / "results" / f"{name}.md").read_text(encoding="utf-8")
    assert page.endswith(make_results.markdown(kept["rows"], kept["comparisons"]))


def test_the_table_of_trained_heads_is_made_of_what_is_published(make_results: ModuleType) -> None:
    kept = json.loads((ROOT / "results" / "understanding.json").read_text(encoding="utf-8"))
    assert table(README, "understanding") == make_results.table_of_heads(kept["rows"])


def test_the_table_of_heads_that_ship_is_made_of_what_is_published(make_results: ModuleType) -> None:
    rows = json.loads((ROOT / "results" / "heads.json").read_text(encoding="utf-8"))
    shown, each = table(README, "heads"), table(RESULTS, "heads by source")
    assert shown == make_results.table_of_shipped(rows, together=True)
    assert each == make_results.table_of_shipped(rows, together=False)
    first, second = ([line.split(" | ") for line in some.splitlines()[2:]] for some in (shown, each))
    assert all(len(line) == 7 for line in first + second)
    assert len(first) == len({row["task"] for row in rows}), "one line for each question"
    asked = {(row["task"], row["source"]) for row in rows if row["source"] != "all of them"}
    many = [task for task, _ in asked if task in ("style_all", "composer_all")]
    assert len(many) > 40 and len(second) == len(asked) - len(many), "styles and composers are not shown by source"


def test_the_table_of_what_is_played_is_made_of_what_is_published(make_results: ModuleType) -> None:
    rows = json.loads((ROOT / "results" / "played.json").read_text(encoding="utf-8"))
    shown = table(RESULTS, "played")
    assert shown == make_results.table_of_played(rows)
    lines = [line.strip("| ").split(" | ") for line in shown.splitlines()[2:]]
    assert len(lines) == len({row["task"] for row in rows}) and all(len(line) == 6 for line in lines)
    assert all(0 <= float(cell) <= 100 for line in lines for cell in line[2:])


def test_what_was_measured_of_data_sets_says_of_how_many(script: Callable[[str], ModuleType]) -> None:
    made = script("docs/make_data_results.py")
    half = {"pairs": 40, "recall": 0.9, "precision": 0.8, "wrong": 9}
    builders = half | {"recall": 0.5, "precision": 1.0, "wrong": 0}
    accuracy = {"items": 700, "share": 0.05, "other_half": half, "builder": [half, builders]}
    found = list(made.duplicates({"accuracy": accuracy, "scaling": []}))
    assert [(one["inputs"], one["metric"], one["value"], one["n"]) for one in found] == [
        ("share 0.05", "precision", 0.8, 45),
        ("share 0.05", "recall", 0.9, 40),
        ("share of the builder", "precision", 1.0, 20),
        ("share of the builder", "recall", 0.5, 40),
    ]
    said = [{"scores": n, "rows": {"score times": {"onset": n / 100}}} for n in (42, 21)]
    both = [(one["inputs"], one["metric"]) for some in said for one in made.notation(some)]
    assert len(set(both)) == 2, "the figures of the short scores take the place of no others"


def test_commands_name_what_was_built_and_what_was_downloaded(make_results: ModuleType, tmp_path: Path) -> None:
    commands = ["pretraining retrieval --out x", "melody key --out x"]
    rows = [{"command": f"scoresim benchmark {words} --data /y/z --probe 9"} for words in commands]
    (tmp_path / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "comparisons.json").write_text("[]", encoding="utf-8")
    said = [row["command"].partition("--data ")[2] for row in make_results.joined([tmp_path])[0]]
    assert said == ["DATA --probe 9", "FOLDER --probe 9"]


@pytest.mark.parametrize(("sources", "shown"), [(8, 8), (9, 0)])
def test_of_many_sources_only_what_is_known_of_all_is_shown(make_results: ModuleType, sources: int, shown: int) -> None:
    row = {"task": "style_all", "metric": "accuracy", "who": "small", "learnt": True, "value": 0.5, "n": 1}
    rows = [row | {"source": name} for name in (*map(str, range(sources)), "all of them")]
    assert len(make_results.table_of_shipped(rows, together=False).splitlines()) == 2 + shown
    lines = make_results.table_of_shipped(rows, together=True).splitlines()
    assert lines[2:] == [f"| style | accuracy |  | 50.0 |  | {sources} | 1 |"]
