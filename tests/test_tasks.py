"""The questions themselves: what they show, what they hide, how they count."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.benchmark import metrics, tasks
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.task import Answers, Kept, PieceTask, Probe, Task, View
from scoresim.benchmark.tasks import pretraining, retrieval, style, top_staff
from scoresim.data.alter import KINDS
from scoresim.data.batches import Passages
from scoresim.data.looks import looks
from scoresim.data.rows import BatchConfig
from scoresim.data.shards import Split
from scoresim.data.synthetic import synthetic
from scoresim.errors import BadInput
from scoresim.files import read_json
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import ATTRIBUTES, FIRST, MASK, default_vocabulary

PROGRAM = ATTRIBUTES.index("program")
TINY = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)


class MadeUp:
    """A data set in memory; some pictures say that they are degraded."""

    def __init__(self, passages: int = 12, degraded: int = 0) -> None:
        self.manifest: dict[str, object] = {"vocabulary": default_vocabulary().to_json()}
        self.passages, self.degraded = passages, degraded

    def split(self, name: str) -> Split:
        split = synthetic(self.passages, {"train": 0, "valid": 1, "test": 2}[name])
        for i in range(self.degraded):
            split.pairs[i] = dataclasses.replace(split.pairs[i], degraded="scan")
        return split


def test_pretraining_is_judged_by_retrieval_too() -> None:
    assert tasks.asked_with(("pretraining",)) == ["pretraining", "retrieval"]
    assert tasks.asked_with(("retrieval", "pretraining", "style")) == ["retrieval", "pretraining", "style"]


def test_all_tasks_are_found_and_documented() -> None:
    assert {"composer", "melody", "pretraining", "retrieval", "style", "top_staff"} <= set(tasks.names())
    for name in tasks.names():
        task = tasks.get(name)
        assert task.name == name
        assert task.question.endswith("?")
    assert isinstance(tasks.get("style"), Task)
    assert isinstance(tasks.get("melody"), PieceTask)
    assert isinstance(tasks.get("retrieval"), Probe)


def test_a_view_shows_one_program_and_nothing_else_changes() -> None:
    split = synthetic(6, 0)
    for i in range(6):
        split.pairs[i].notes[:, PROGRAM] = FIRST + 40 + i
    view = View(split, (4, 1))
    assert len(view) == 2
    assert view.column("id") == [split[4].id, split[1].id]
    for pair, row in zip(view, (4, 1), strict=True):
        assert (pair.notes[:, PROGRAM] == FIRST).all()
        np.testing.assert_array_equal(
            np.delete(pair.notes, PROGRAM, axis=1), np.delete(split[row].notes, PROGRAM, axis=1)
        )
    assert (split[4].notes[:, PROGRAM] == FIRST + 44).all()


def test_kept_data_reads_no_pair_twice() -> None:
    kept = Kept(MadeUp(), most=5)
    split = kept.split("test")
    assert split is kept.split("test")
    assert split[3] is split[3]
    assert len(split) == 12
    assert [split[i].id for i in range(12)] == split.column("id")
    assert len(split.pairs) == 5


def test_the_top_staff_asks_only_open_questions() -> None:
    split = synthetic(30, 3)
    rows = top_staff.rows(split, ("other", "top"))
    assert rows
    for i in range(30):
        assert (i in rows) == (split[i].n_staves >= 2 and set(split[i].staff.tolist()) >= {1, 2})


def test_the_top_staff_gives_doubles_one_label() -> None:
    pair = synthetic(20, 3)[top_staff.rows(synthetic(20, 3), ())[0]]
    notes, staff = pair.notes.copy(), pair.staff.copy()
    onset = pair.onset.copy()
    top = int(np.flatnonzero(staff == 1)[0])
    other = int(np.flatnonzero(staff == 2)[0])
    notes[other, top_staff.PITCH], onset[other] = notes[top, top_staff.PITCH], onset[top]
    found = top_staff.labels(dataclasses.replace(pair, notes=notes, onset=onset))
    assert found[top] == found[other] == 1
    apart = top_staff.labels(dataclasses.replace(pair, onset=pair.onset + np.arange(len(pair.onset)) * 9))
    np.testing.assert_array_equal(apart, (pair.staff == 1).astype(int))


def test_style_leaves_out_styles_with_few_works() -> None:
    split = synthetic(24, 0)  # two passages per work
    found = set(split.column("style"))
    assert set(style.classes(split)) == found
    split.pairs[0] = dataclasses.replace(split.pairs[0], style="rare")
    assert set(style.classes(split)) == found
    assert 0 not in style.rows(split, style.classes(split))
    assert style.labels(split[1], style.classes(split)).shape == (1,)
    other = next(name for name in sorted(found) if name != split.pairs[2].style)
    split.pairs[2] = dataclasses.replace(split.pairs[2], style=other)
    two = [i for i, work in enumerate(split.column("work")) if work == split.pairs[2].work]
    assert len(two) == 2 and not set(two) & set(style.rows(split, style.classes(split))), "of a work in two styles"
    with pytest.raises(BadInput, match="needs two"):
        style.classes(synthetic(4, 0))


def answers(truth: list[int], said: list[int], work: list[int], classes: int = 3) -> Answers:
    return Answers(np.array(truth), np.eye(classes, dtype=np.float32)[said] * 4, np.array(work))


def test_style_of_works_is_the_mean_of_its_passages() -> None:
    one = answers([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1])
    figures = {(f.what, f.metric): f.statistic(f.tables.sum(0)) for f in style.evaluate(one)}
    assert figures["style, passages", "accuracy"] == pytest.approx(0.8)
    assert figures["style of works", "accuracy"] == 1.0
    assert figures["style of works", "macro-F1"] == 1.0


def test_truth_scores_one_in_every_learnt_task() -> None:
    for task in (style.TASK, top_staff.TASK):
        perfect = answers([0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 2], classes=2)
        assert task.select(perfect) == 1.0
        for figure in task.evaluate(perfect):
            assert metrics.with_interval(figure.tables[None], figure.statistic).value == 1.0


def test_misfits_are_refused() -> None:
    with pytest.raises(BadInput, match="two styles"):
        style.evaluate(answers([0, 1], [0, 1], [0, 0]))
    with pytest.raises(BadInput, match="top staff"):
        top_staff.evaluate(answers([0, 0], [0, 0], [0, 0], classes=2))
    with pytest.raises(BadInput, match="at least two"):
        retrieval.validate(retrieval.Vectors(np.ones((1, 2)), np.ones((1, 2)), ["a"]))


def values(vectors: retrieval.Vectors) -> dict[tuple[str, str], float]:
    pool = retrieval.Pool(np.arange(len(vectors.works)))
    found = retrieval.evaluate(vectors.images @ vectors.notes.T, pool, vectors.works, 0)
    return {(r.what.split(",")[1].strip(), r.metric): r.score.value for r in found if r.baseline is None}


def test_retrieval_of_a_collapsed_model_is_chance() -> None:
    same = np.tile(np.array([[0.6, 0.8]]), (40, 1)) + np.random.default_rng(0).normal(0, 1e-9, (40, 2))
    found = values(retrieval.Vectors(same, same, [str(i // 4) for i in range(40)]))
    assert found["image to notes", "R@1"] == pytest.approx(1 / 40)
    assert found["notes to image", "R@10"] == pytest.approx(1 / 4)
    assert found["image to notes", "median rank"] == pytest.approx(20.5)


def test_retrieval_of_a_perfect_model_is_one() -> None:
    found = values(retrieval.Vectors(np.eye(30), np.eye(30), [str(i) for i in range(30)]))
    assert found["image to notes", "R@1"] == found["notes to image", "MRR"] == 1.0
    assert found["image to notes", "median rank"] == 1.0


def test_retrieval_within_a_piece_asks_its_passages_only() -> None:
    scores = np.array([[1.0, 0, 9, 9], [2, 1, 9, 9], [9, 9, 1, 0], [9, 9, 0, 1]])
    piece = np.array([0, 0, 1, 1])
    pool = retrieval.Pool(np.arange(4), piece[:, None] == piece[None, :])
    found = retrieval.evaluate(scores, pool, ["a", "a", "b", "b"], 0)
    by = {(r.what.split(",")[1].strip(), r.metric): r.score.value for r in found}
    assert by["image to notes", "R@1"] == 3 / 4
    assert by["notes to image", "R@1"] == 3 / 4
    assert found[0].what == "retrieval within a piece, image to notes, pools of 2.0 on average"


def test_pools_are_fixed_lists_of_whole_pieces() -> None:
    passages = Passages(synthetic(40, 0))
    drawn, own = retrieval.pools(passages, 10, 3)
    assert len(drawn.rows) == len(own.rows) == 10
    assert own.same_piece is not None and (own.same_piece.sum(1) == 2).all(), "made-up pieces have two passages"
    assert [pool.rows.tolist() for pool in retrieval.pools(passages, 10, 3)] == [drawn.rows.tolist(), own.rows.tolist()]


def test_retrieval_asks_every_pool_and_look_and_writes_its_lists(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SIM(TINY, default_vocabulary().sizes).eval()
    config = ProbeConfig(pool=8, batch_size=4, lists=str(tmp_path))
    found = retrieval.ask(model, MadeUp(), BatchConfig(4), config)
    whats = {r.what for r in found}
    kinds = {""} | {f" from {look}-like images" for look in looks()}
    assert {f"retrieval{look}, image to notes, pool of 8" for look in kinds} <= whats
    assert {f"retrieval within a piece{look}, notes to image, pools of 2.0 on average" for look in kinds} <= whats
    assert {r.baseline for r in found} == {None, "chance", "bootleg score"}
    lists = read_json(tmp_path / "retrieval-pools.json")
    assert [len(ids) for ids in lists.values()] == [8, 8]


def test_retrieval_embeds_in_row_order() -> None:
    model = SIM(TINY, default_vocabulary().sizes).eval()
    passages = Passages(synthetic(10, 0), BatchConfig(4))
    rows = np.array([7, 2, 9, 4])
    images, notes = retrieval.embed(model, passages, rows, batch_size=3)
    for n, row in enumerate(rows):
        alone = retrieval.embed(model, passages, np.array([row]), batch_size=1)
        np.testing.assert_allclose(images[n], alone[0][0], atol=1e-5)
        np.testing.assert_allclose(notes[n], alone[1][0], atol=1e-5)


@given(st.integers(0, 7), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_exactly_one_attribute_of_one_bar_is_hidden(attribute: int, seed: int) -> None:
    source = synthetic(4, 5)
    batch = Passages(source, BatchConfig(4)).gather(np.arange(4))
    bars = [pretraining.chosen_bar(source[i].id, source[i].bar_of_note, seed) for i in range(4)]
    shown, asked = pretraining.hide_one(batch, torch.tensor(bars), attribute)
    for b in range(4):
        assert asked[b, : len(source[b].notes)].tolist() == (source[b].bar_of_note == bars[b]).tolist()
    assert (shown.notes.ids[..., attribute][asked] == MASK).all()
    kept = torch.ones(8, dtype=torch.bool)
    kept[attribute] = False
    assert (shown.notes.ids[..., kept] == batch.notes.ids[..., kept]).all()
    assert (shown.notes.ids[..., attribute][~asked] == batch.notes.ids[..., attribute][~asked]).all()
    tells_time = ATTRIBUTES[attribute] in ("bar", "position")
    assert (shown.notes.time[asked] == batch.notes.time[asked]).all() != tells_time


def test_the_answer_does_not_depend_on_what_is_hidden() -> None:
    torch.manual_seed(0)
    model = SIM(TINY, default_vocabulary().sizes).eval()
    batch = Passages(synthetic(4, 5), BatchConfig(4)).gather(np.arange(4))
    target = batch.bar[:, 0]
    shown, asked = pretraining.hide_one(batch, target, top_staff.PITCH)
    changed = batch.notes.ids.clone()
    changed[..., top_staff.PITCH][asked] = FIRST + 60
    other = dataclasses.replace(batch, notes=batch.notes._replace(ids=changed))
    shown_other, _ = pretraining.hide_one(other, target, top_staff.PITCH)
    with torch.inference_mode():
        one = pretraining.guess(model, shown, asked, top_staff.PITCH, image=False)
        two = pretraining.guess(model, shown_other, asked, top_staff.PITCH, image=False)
    assert one.tolist() == two.tolist()


def test_false_notes_are_of_the_right_piece_and_never_the_same_music() -> None:
    source = synthetic(12, 0)
    source.pairs[3] = dataclasses.replace(source.pairs[2], id="twin")
    passages = Passages(source, BatchConfig(4))
    away, near = pretraining.false_notes(passages, np.arange(12), 0)
    assert (passages.piece[away] != passages.piece).all()
    assert near[2] == near[3] == -1
    there = near >= 0
    assert there.sum() == 10
    assert (passages.piece[near[there]] == passages.piece[there]).all()
    assert (near[there] != np.arange(12)[there]).all()


def test_a_grade_that_few_works_have_costs_a_model_that_is_right_nothing() -> None:
    """A resample of works may hold no pair of a grade: then the others are the figure."""
    works, grades = 12, 3
    table = np.ones((works, grades, 2))
    table[1:, 2] = 0.0
    score = metrics.with_interval(table.reshape(1, works, -1), pretraining._balanced)
    assert (score.low, score.value, score.high) == (1.0, 1.0, 1.0)
    always_yes = np.array([4.0, 4.0, 0.0, 4.0, 0.0, 0.0])
    assert pretraining._balanced(always_yes) == 0.5
    assert pretraining._balanced(np.array([4.0, 4.0, 2.0, 4.0, 4.0, 4.0])) == (1 + 0.75) / 2


@pytest.mark.parametrize("probe", [pretraining, retrieval], ids=["pretraining", "retrieval"])
@pytest.mark.parametrize("degraded", [1, 6])
def test_pictures_that_are_degraded_already_are_asked_as_they_are(probe: ModuleType, degraded: int) -> None:
    """Rows of another look would be of the same pictures."""
    data = MadeUp(6, degraded)
    model = SIM(TINY, default_vocabulary().sizes).eval()
    config = ProbeConfig(pool=6, passages=4, batch_size=4)
    whats = {result.what for result in probe.ask(model, data, BatchConfig(4), config)}
    assert whats and not [what for what in whats if "-like" in what]


def test_pretraining_rules_have_known_values() -> None:
    assert pretraining._is_mode(np.array([5, 5, 7, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 1])).tolist() == [
        *(True, True, False),
        *(True, True, False),
    ]
    torch.manual_seed(0)
    model = SIM(TINY, default_vocabulary().sizes)
    found = pretraining.ask(model, MadeUp(), BatchConfig(4), ProbeConfig(passages=12, batch_size=5))
    by = {(r.what, r.baseline, r.inputs): r.score for r in found}
    tempo = by["hidden tempo", "most frequent value of the corpus", "nothing"]
    assert (tempo.value, tempo.low, tempo.high) == (1.0, 1.0, 1.0)
    assert by["hidden pitch", None, "notes"].n == tempo.n
    matched = by["matching: matched pairs", None, pretraining.WITH_IMAGE]
    assert matched.n == 12
    assert 0 <= by["matching: all", None, pretraining.WITH_IMAGE].value <= 1
    altered = by["matching: one bar altered", None, pretraining.WITH_IMAGE]
    kinds = [by[f"matching: one bar altered: {kind}", None, pretraining.WITH_IMAGE].n for kind in KINDS]
    assert (altered.n, sum(kinds)) == (12 + 12, 12 + 3 * 12), "each beside the 12 matched pairs"
    spacing = by["grounding of bars", "an engraver's spacing", pretraining.WITH_IMAGE]
    assert spacing.value > 0.8, "made-up pictures are spaced by that very rule; where the line begins is a guess"
    assert by["grounding of bars", "chance", "nothing"].value < 0.6
    assert by["grounding of bars", None, pretraining.WITH_IMAGE].n == spacing.n
    for look in looks():
        pitch_seen = by[f"hidden pitch, {look}-like images", None, pretraining.WITH_IMAGE]
        assert pitch_seen.n == by["hidden pitch", None, "notes"].n
        assert (f"matching: all, {look}-like images", None, pretraining.WITH_IMAGE) in by
        assert (f"hidden tempo, {look}-like images", None, pretraining.WITH_IMAGE) not in by
    alone = pretraining.ask(model, MadeUp(), BatchConfig(4), ProbeConfig(passages=12, notes_only=True))
    assert {r.inputs for r in alone} == {"notes"}
    pitch = [r.score for r in alone if r.what == "hidden pitch"]
    assert pitch == [by["hidden pitch", None, "notes"]]
