"""Loudness of songs, covers and performances at once: which pieces are asked, and the rule beside the heads."""

from pathlib import Path

import numpy as np

from scoresim.benchmark.piecewise import asked, gather
from scoresim.benchmark.tasks import velocity, velocity_all
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.seen import seen

FIXTURES = Path(__file__).parent / "fixtures" / "corpora"
TASK = velocity_all.TASK


def performance(number: int, style: str = "romantic piano") -> Item:
    return Item(f"Liszt/{number}.mid", Path("x.mid"), "midi", f"liszt/{number}", style, "Liszt", "", split="train")


def test_a_quarter_of_the_performances_is_asked_always_the_same_and_all_else() -> None:
    parts = [velocity_all.part(performance(number)) for number in range(400)]
    assert parts == [velocity_all.part(performance(number)) for number in range(400)]
    assert 70 < parts.count("train") < 130 and set(parts) == {"train", None}
    assert {velocity_all.part(performance(number, "pop piano")) for number in range(400)} == {"train"}


def test_what_is_thinned_out_is_the_performances_alone() -> None:
    """Of the sources that lie beside the tests: nothing of the others is in a style that is thinned out."""
    kept = {name: len(items) for name, items in asked(TASK, FIXTURES).items()}
    for name in set(TASK.corpora) - {velocity_all.PLAYED}:
        root = corpora.get(name).find(FIXTURES)
        assert root is not None and kept[name] == len(list(corpora.get(name).items(root)))


def test_the_rule_says_64_of_every_note_whatever_it_is(tmp_path: Path) -> None:
    material = gather(TASK, FIXTURES, tmp_path, images=False, workers=1)
    assert material.classes == velocity.CLASSES
    [piece, *_] = material.parts["train"]
    said = velocity_all.usual(seen(piece, TASK.hidden))
    assert said.shape == (len(piece), len(velocity.CLASSES))
    assert {velocity.CLASSES[one] for one in said.argmax(axis=1)} == {"64-79"}
    np.testing.assert_array_equal(TASK.label(piece, velocity.CLASSES), velocity.label(piece))
