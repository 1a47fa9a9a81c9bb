"""The questions about whole pieces: what is asked, what is left out, what hides the answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoresim.benchmark import metrics, tasks
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.finetune import finetune, fit
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piecewise import Material, gather, present, root_of, windows
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.benchmark.tasks import (
    composer_asap,
    difficulty,
    difficulty_all,
    emotion,
    emotion_midibert,
    hand,
    key,
    key_all,
    key_lieder,
    melody,
    melody_all,
    meter,
    tune_type,
    valence,
    velocity,
    voice_chorales,
    voice_quartets,
)
from scoresim.benchmark.tasks._midibert import read_off
from scoresim.data import corpora
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot, split_works
from scoresim.data.pieces import Piece, read_piece
from scoresim.data.rows import BatchConfig
from scoresim.data.seen import seen
from scoresim.data.windows import Segments, cut
from scoresim.errors import BadInput
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, MASK, default_vocabulary
from scoresim.understand.note_features import falls

FIXTURES = Path(__file__).parent / "fixtures" / "corpora"
TINY = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)
NEW = [
    "arousal",
    "composer_all",
    "composer_asap",
    "composer_performances",
    "difficulty",
    "difficulty_all",
    "emotion",
    "emotion_all",
    "emotion_midibert",
    "hand",
    "hand_all",
    "key",
    "key_all",
    "key_lieder",
    "meter",
    "style_all",
    "tune_type",
    "valence",
    "velocity",
    "velocity_all",
    "voice_chorales",
    "voice_quartets",
]


def made_up(
    staff: Sequence[int] = (2, 1), pitch: Sequence[int] = (48, 60), staves: tuple[str, ...] = ("", ""), **about: Any
) -> Piece:
    """A piece of quarter notes in 4/4, some to a beat: those of the sequences, again and again for 40 beats."""
    beats, chord = 40, len(pitch)
    onset = np.repeat(np.arange(beats), chord).astype(np.float64)
    ids = np.full((beats * chord, len(ATTRIBUTES)), FIRST, dtype=np.int32)
    ids[:, 0] += (onset // 4).astype(np.int32)
    ids[:, 1] += (onset % 4 * GRID).astype(np.int32)
    ids[:, 2] += np.tile(pitch, beats).astype(np.int32)
    n = len(ids)
    facts = {"id": "p", "corpus": "c", "work": "w", "split": "train", "style": "s", "composer": "A", "title": ""}
    labels = about.pop("labels", {})
    columns = {
        "velocity": np.full(n, 64),
        "track": np.full(n, -1),
        "staff": np.tile(staff, beats).astype(np.int64),
        "voice": np.ones(n, dtype=np.int64),
    }
    return Piece(
        **(facts | columns | about),
        labels=labels,
        ids=ids,
        bar=(onset // 4).astype(np.int64),
        onset=onset,
        bar_onset=np.arange(0, beats + 1, 4).astype(np.float64),
        staves=staves,
    )


def items(name: str) -> list[Item]:
    root = corpora.get(name).find(FIXTURES)
    assert root is not None
    return list(corpora.get(name).items(root))


def answers(task: PieceTask, truth: Sequence[int], said: Sequence[int], classes: int) -> Answers:
    index = np.arange(len(truth), dtype=np.int64)
    scores = np.eye(classes, dtype=np.float32)[list(said)]
    return Answers(np.array(truth, dtype=np.int64), scores, index % 3, index if task.level == "sequence" else None)


def figures(task: PieceTask, found: Answers, classes: tuple[str, ...]) -> dict[str, float]:
    """Every metric of a task; where there are two kinds of items, both have to agree, for an item is a piece here."""
    values: dict[str, float] = {}
    for figure in task.evaluate(found, classes):
        value = float(figure.statistic(figure.tables.sum(0)))
        assert values.setdefault(figure.metric, value) == pytest.approx(value)
    return values


def classes_of(task: PieceTask) -> tuple[str, ...]:
    return task.classes if isinstance(task.classes, tuple) else ("A", "B", "C")


@pytest.mark.parametrize("name", NEW)
def test_a_task_is_complete(name: str) -> None:
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    assert task.name == name
    assert task.question.endswith("?")
    assert set(task.corpora) <= set(corpora.names())
    known = classes_of(task)
    assert len(set(known)) == len(known) > 1
    assert {row.metric for row in task.published} <= set(task.measures(known))
    assert set(task.hidden) <= set(ATTRIBUTES)


@pytest.mark.parametrize("name", NEW)
def test_the_truth_is_perfect_and_the_majority_is_not(name: str) -> None:
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    known = classes_of(task)
    truth = [0] * 6 + [len(known) - 1] * 3 + [1] * 3
    perfect = figures(task, answers(task, truth, truth, len(known)), known)
    for metric, value in perfect.items():
        assert value == pytest.approx(0.0 if "error" in metric or "distance" in metric else 1.0), metric
    majority = figures(task, answers(task, truth, [0] * 12, len(known)), known)
    if len(known) > 2:
        assert majority.get("accuracy", 0.5) == pytest.approx(0.5)
        assert majority.get("macro-F1", 2 / 9) == pytest.approx(2 / 9)
        assert majority.get("balanced accuracy", 1 / 3) == pytest.approx(1 / 3)
        assert majority.get("macro accuracy", 1 / 3) == pytest.approx(1 / 3)
    assert majority.get("Kendall's tau-b", 0.0) == 0.0
    assert task.select(answers(task, truth, truth, len(known)), known) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NEW)
def test_what_has_no_label_neither_helps_nor_harms(name: str) -> None:
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    known = classes_of(task)
    truth, said = [0, 1, 1, 0], [0, 1, 0, 0]
    bare = figures(task, answers(task, truth, said, len(known)), known)
    padded = figures(task, answers(task, [*truth, -1, -1, -100], [*said, 0, 1, 1], len(known)), known)
    assert padded == pytest.approx(bare)


def test_known_figures_of_the_new_metrics() -> None:
    table = metrics.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3).sum(0)
    assert metrics.balanced_accuracy(table) == pytest.approx((0.5 + 1 + 0) / 3)
    assert metrics.absolute_error((0, 1, 2))(table) == pytest.approx((1 + 2) / 4)
    assert metrics.squared_error((0, 1, 2))(table) == pytest.approx((1 + 4) / 4)
    assert metrics.squared_error((0, 1, 5))(table) == pytest.approx((1 + 25) / 4)
    nothing = np.zeros((2, 3, 3))
    for statistic in (metrics.balanced_accuracy, metrics.absolute_error((0, 1, 2)), metrics.kendall_tau_b):
        np.testing.assert_array_equal(statistic(nothing), [0.0, 0.0])


def test_kendall_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, said = rng.integers(0, 4, size=(2, 30))
        table = metrics.confusion(truth, said, 4).sum(0)
        x, y = (np.sign(np.subtract.outer(v, v))[np.triu_indices(30, 1)] for v in (truth, said))
        expected = (x * y).sum() / np.sqrt((x != 0).sum() * (y != 0).sum())
        assert metrics.kendall_tau_b(table) == pytest.approx(expected)
        assert metrics.kendall_tau_b(np.stack([table, 2 * table])) == pytest.approx(expected)
    backwards = metrics.confusion(np.arange(4), np.arange(4)[::-1].copy(), 4).sum(0)
    assert metrics.kendall_tau_b(backwards) == pytest.approx(-1.0)


def test_velocity_has_six_bins_with_their_lower_edge() -> None:
    piece = dataclasses.replace(made_up(), velocity=np.array([1, 31, 32, 47, 48, 63, 64, 79, 80, 95, 96, 127]))
    assert velocity.label(piece).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert velocity.CLASSES[0] == "0-31"
    assert velocity.TASK.hidden == ("velocity",)
    error = velocity.measures(velocity.CLASSES)["mean absolute error in classes"]
    assert error(metrics.confusion(np.array([5, 0]), np.array([4, 2]), 6).sum(0)) == pytest.approx(1.5)


def test_a_fifth_is_worth_half_a_key() -> None:
    def worth(true: str, said: str) -> float:
        return float(key.credit()[key.CLASSES.index(true), key.CLASSES.index(said)])

    assert [worth("C major", said) for said in ("C major", "G major", "F major", "A minor", "C minor", "D major")] == [
        1.0,
        0.5,
        0.5,
        0.3,
        0.2,
        0.0,
    ]
    assert [worth("A minor", said) for said in ("A minor", "E minor", "D minor", "C major", "A major", "E major")] == [
        1.0,
        0.5,
        0.5,
        0.3,
        0.2,
        0.0,
    ]
    assert key.credit().sum(1) == pytest.approx(np.full(24, 2.5))
    assert [key.label(made_up(labels={"key": name})) for name in ("C major", "B minor", "H major")] == [0, 23, -1]
    names = ("C major", "Gb major", "F# major", "G# minor", "Cb major", "D dorian", "C", "")
    assert [key_all.label(made_up(labels={"key": name})) for name in names] == [0, 6, 6, 20, 11, -1, -1, -1]
    assert not any(task.TASK.transposes for task in (key, key_all, key_lieder))


def test_labels_of_pieces_are_read_from_what_the_source_says() -> None:
    assert [emotion.label(made_up(labels={"quadrant": q})) for q in ("1", "4", "5", "")] == [0, 3, -1, -1]
    assert [valence.sign("arousal")(made_up(labels={"arousal": a}), ()) for a in ("1", "-1", "0")] == [1, 0, -1]
    assert [key_lieder.label(made_up(labels={"fifths": f})) for f in ("-7", "0", "7", "")] == [0, 7, 14, -1]
    signatures = [meter.label(made_up(labels={"time_signature": t})) for t in ("2/2", "3/4", "7/8", "")]
    assert signatures == [0, 2, len(meter.CLASSES) - 1, -1]
    assert [difficulty.label(made_up(labels={"henle": g})) for g in ("1", "9", "")] == [0, 8, -1]
    grades = ("Piano 3 easy", "Piano 8 difficult", "9", "")
    assert [difficulty_all.label(made_up(labels={"henle": g})) for g in grades] == [2, 7, 8, -1]
    assert [tune_type.label(made_up(labels={"tune_type": t})) for t in ("jig", "ashover (mixed)")] == [2, -1]
    assert composer_asap.classes([made_up(composer="B"), made_up(), made_up()]) == ("A", "B")
    assert [composer_asap.label(made_up(composer=c), ("A", "B")) for c in "BX"] == [1, -1]


def test_parts_are_those_of_the_sources_and_tear_no_work_apart() -> None:
    for name in NEW:
        task = tasks.get(name)
        assert isinstance(task, PieceTask)
        for corpus in task.corpora:
            if corpora.get(corpus).find(FIXTURES) in (None, FIXTURES):
                continue  # read from an installed package
            parts: dict[str, set[str | None]] = {}
            for item in items(corpus):
                parts.setdefault(item.work, set()).add(task.part(item))
            torn = [work for work, some in parts.items() if len(some - {None}) > 1]
            assert bool(torn) == (name == "emotion_midibert"), "one task alone takes a split that leaks"


def test_what_the_sources_mark_is_left_out() -> None:
    item = items("asap")[0]
    assert composer_asap.part(item) == "train"
    assert composer_asap.part(dataclasses.replace(item, labels={"few_works": "1"})) is None
    assert [difficulty.part(item) for item in items("kern_mozart")] == [None, None]
    assert [difficulty.part(item) for item in items("kern_beethoven")] == ["train"]
    tune = items("nottingham")[0]
    assert tune_type.part(tune) == "train"
    assert tune_type.part(dataclasses.replace(tune, labels={"tune_type": "ashover (mixed)"})) is None
    assert sorted(str(emotion_midibert.part(item)) for item in items("emopia")) == ["test", "train", "valid"]


def test_a_lot_gives_the_part_that_a_build_gives() -> None:
    made = [
        Item(id=str(i), path=Path("x"), format="kern", work=f"w/{i}", style="s", composer="c", title="")
        for i in range(200)
    ]
    built = split_works(made)
    assert {item.work: by_lot(item.work) for item in made} == built
    assert [voice_chorales.TASK.part(item) for item in made] == [built[item.work] for item in made]


def test_rules_count_voices_from_the_top_and_split_hands_at_middle_c() -> None:
    chord = made_up(staff=(4, 3, 2, 1), pitch=(48, 55, 64, 72), staves=("", "", "", ""))
    for task in (voice_chorales.TASK, voice_quartets.TASK):
        assert task.rule is not None
        said = task.rule[1](seen(chord, task.hidden), classes_of(task))
        assert said.shape == (160, 4)
        assert said.argmax(axis=1).tolist() == voice_chorales.label(chord).tolist() == [3, 2, 1, 0] * 40
    two = voice_chorales.counted(seen(made_up(pitch=(48, 72)), ()))
    assert two[:2].argmax(axis=1).tolist() == [3, 0], "where two sound they are the outer ones"
    assert hand.TASK.rule is not None
    said = hand.TASK.rule[1](seen(made_up(pitch=(59, 60)), ()), hand.CLASSES)
    assert said[:2].argmax(axis=1).tolist() == [1, 0]


def test_staves_are_classes_and_doubles_have_one() -> None:
    assert hand.label(made_up()).reshape(-1, 2)[0].tolist() == [1, 0]
    assert (hand.label(made_up(staves=("", "", ""))) == -1).all()
    assert hand.label(made_up(staff=(1, 2), pitch=(60, 60))).max() == 0
    assert hand.label(made_up(staff=(0, 2)))[:2].tolist() == [-1, 1]
    four = {"staff": (4, 3, 2, 1), "pitch": (40, 50, 60, 70), "staves": ("Soprano", "Alto", "Tenor", "Bass")}
    assert voice_chorales.label(made_up(**four))[:4].tolist() == [3, 2, 1, 0]
    assert voice_quartets.label(made_up(**four))[:4].tolist() == [3, 2, 1, 0]
    assert (voice_chorales.label(made_up()) == -1).all()
    assert melody.soprano(made_up(**four))[:4].tolist() == [2, 2, 2, 0]
    song = {"staff": (3, 2, 1), "pitch": (40, 60, 60), "staves": ("Gesang", "", "")}
    assert melody.voice(made_up(**song, labels={"n_parts": "2"}))[:3].tolist() == [2, 0, 0]
    assert (melody.voice(made_up(**song, labels={"n_parts": "3"})) == -1).all()
    assert (melody.voice(made_up(**four, labels={"n_parts": "2"})) == -1).all()
    chorale = melody_all.label(made_up(**four, corpus="bach_chorales"))
    assert chorale[:4].tolist() == [2, 2, 2, 0]
    sung = melody_all.label(made_up(**song, corpus="openscore_lieder", labels={"n_parts": "2"}))
    assert sung[:3].tolist() == [2, 0, 0]
    piano = {"staff": (2, 1, 1), "pitch": (75, 60, 72), "corpus": "kern_mozart"}
    assert melody_all.label(made_up(**piano))[:3].tolist() == [2, 2, 0]
    assert (melody_all.label(made_up(**piano, staves=("",))) == -1).all()
    assert (melody_all.label(made_up(**(piano | {"staff": (2, 2, 2)}))) == -1).all()
    item = items("openscore_lieder")[0]
    assert melody_all.part(dataclasses.replace(item, split="valid")) == "valid"
    assert melody_all.part(dataclasses.replace(item, split=None)) in ("train", "valid", "test")


@pytest.mark.parametrize("name", ["hand", "hand_all", "voice_chorales", "voice_quartets", "velocity", "velocity_all"])
def test_tokens_do_not_say_the_staff_or_the_velocity(name: str) -> None:
    """Two pieces that differ in nothing but the answer look the same."""
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    piece = made_up()
    ids = piece.ids.copy()
    ids[:, [4, 7]] += piece.staff[:, None].astype(np.int32)  # velocity and program by staff, as a file may have them
    other = dataclasses.replace(piece, staff=3 - piece.staff, ids=ids, velocity=piece.velocity + 20)
    for shown in [
        [Segments([one], segments, task.hidden)[i].notes for i in range(len(segments))]
        for one in (piece, other)
        for segments in [cut([one], 64, 64)[0]]
    ]:
        first = [Segments([piece], cut([piece], 64, 64)[0], task.hidden)[i].notes for i in range(len(shown))]
        for a, b in zip(shown, first, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_metre_is_told_neither_by_tokens_nor_by_lines() -> None:
    """The same notes with other bar lines look the same."""
    piece = made_up()
    ids = piece.ids.copy()
    ids[:, 0] = FIRST + (piece.onset // 3).astype(np.int32)
    ids[:, 1] = FIRST + (piece.onset % 3 * GRID).astype(np.int32)
    ids[:, 6] += 1
    bars = np.array([*range(0, 40, 3), 40], dtype=np.float64)
    other = dataclasses.replace(piece, ids=ids, bar=(piece.onset // 3).astype(np.int64), bar_onset=bars)
    material = Material(meter.TASK, meter.CLASSES, {"test": [dataclasses.replace(piece, labels=labelled("4/4"))]}, "")
    changed = dataclasses.replace(material, parts={"test": [dataclasses.replace(other, labels=labelled("3/4"))]})
    seen = [windows(m, "test", BatchConfig(), FinetuneConfig()).gather(np.array([0])) for m in (material, changed)]
    for field in ("ids", "mask", "time"):
        a, b = (getattr(batch.notes, field).numpy() for batch in seen)
        np.testing.assert_array_equal(a, b)
    assert (seen[0].notes.ids[..., [0, 1, 6]][seen[0].notes.mask] == MASK).all()
    assert seen[0].labels["meter"].tolist() != seen[1].labels["meter"].tolist()
    assert seen[0].image.mask.sum() == seen[1].image.mask.sum()


def labelled(signature: str) -> dict[str, str]:
    return {"time_signature": signature}


@pytest.mark.parametrize("name", ["emotion_midibert", "key_lieder", "meter"])
def test_a_task_is_gathered_from_files(name: str, tmp_path: Path) -> None:
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    material = gather(task, FIXTURES, tmp_path, images=False, workers=1)
    assert [len(some) for some in material.parts.values()] == [1, 1, 1]
    assert material.elsewhere == ()
    if name == "key_lieder":
        assert {material.label(piece) for some in material.parts.values() for piece in some} == {7}


def test_some_sources_of_a_task_may_be_chosen(tmp_path: Path) -> None:
    task = dataclasses.replace(emotion.TASK, corpora=("pop909", "emopia"))
    assert task.of_sources(()) is task
    assert task.of_sources(["emopia", "pop909"]) == task, "their order is the task's"
    assert task.of_sources(["emopia"]).corpora == ("emopia",)
    with pytest.raises(BadInput, match="emotion has no source asap, vgmidi; its sources: pop909, emopia"):
        task.of_sources(["asap", "emopia", "vgmidi"])
    config = FinetuneConfig(inputs="notes", sources=("kern_chopin",))
    with pytest.raises(BadInput, match="meter has no source kern_chopin"):
        finetune("meter", None, tmp_path / "meter", FIXTURES, config)
    with pytest.raises(BadInput, match="style is asked of a data set; --sources and --played"):
        finetune("style", None, tmp_path / "style", FIXTURES, config)


def test_notes_of_files_have_classes() -> None:
    song = read_piece("pop909", items("pop909")[0], images=False)
    assert velocity.label(song).tolist() == [3, 3, 3, 3]
    score = read_piece("asap", items("asap")[0], images=False)
    assert hand.label(score).tolist() == [-1] * 4, "one staff is no question"


def test_a_source_is_found_under_its_name_or_where_it_is_installed(tmp_path: Path) -> None:
    assert root_of("emopia", FIXTURES) == FIXTURES / "emopia"
    assert root_of("asap_performances", FIXTURES) == FIXTURES / "asap"
    assert root_of("emopia", tmp_path) is None
    assert not present(emotion.TASK, tmp_path)
    chorales = root_of("bach_chorales", tmp_path)
    assert chorales is not None
    assert chorales.name == "bach"
    assert chorales != tmp_path
    with pytest.raises(BadInput, match="EMOPIA is at"):
        gather(emotion.TASK, tmp_path, tmp_path, images=False)


def test_a_head_answers_pieces_of_other_sources(tmp_path: Path) -> None:
    four = {"staff": (4, 3, 2, 1), "pitch": (40, 50, 60, 70), "staves": ("", "", "", "")}
    tracks = ("MELODY", "BRIDGE", "PIANO")

    def song(work: str) -> Piece:
        piece = made_up(pitch=(40, 50, 70), staff=(0, 0, 0), work=work, tracks=tracks)
        return dataclasses.replace(piece, track=np.tile([2, 1, 0], 40))

    parts = {part: [song(part), song(f"{part} 2")] for part in ("train", "valid", "test")}
    place = melody.TASK.elsewhere[1]
    away = Material(
        dataclasses.replace(melody.TASK, label=place.label), melody.CLASSES, {"test": [made_up(**four)]}, ""
    )
    material = Material(melody.TASK, melody.CLASSES, parts, "x", ((place, away),))
    config = FinetuneConfig(inputs="notes", steps=2, windows=2, validations=1, context=1)
    prepared = prepare_pieces(material, BatchConfig(), config)
    result = fit(prepared, SIM(TINY, default_vocabulary().sizes), "x", config, tmp_path)
    found = {(row["what"], row["metric"]): row for row in result["figures"]}
    assert set(found) == {
        ("melody, notes", "accuracy"),
        ("melody, notes", "F1 of melody"),
        ("melody, notes of bach_chorales", "F1 of melody"),
    }
    assert found["melody, notes of bach_chorales", "F1 of melody"]["n"] == 160


def test_melody_elsewhere_is_perfect_for_the_truth_whatever_else_is_called() -> None:
    place = melody.TASK.elsewhere[0]
    truth, said = [0, 0, 2, 2], [0, 0, 1, 2]  # no song says what is bridge
    (figure,) = melody.TASK.evaluate(answers(melody.TASK, truth, said, 3), melody.CLASSES, place)
    assert figure.what == "melody, notes of openscore_lieder"
    assert figure.metric == "F1 of melody"
    assert float(figure.statistic(figure.tables.sum(0))) == 1.0
    assert melody.tested(dataclasses.replace(items("openscore_lieder")[0], split="test"))
    assert not melody.tested(dataclasses.replace(items("openscore_lieder")[0], split="train"))


def test_falls_are_counted_within_an_onset() -> None:
    piece = made_up(pitch=(72, 70, 48, 60, 50), staff=(1,) * 5)
    before, after = falls(seen(piece, ()))
    assert before[:10].tolist() == [0, 1, 2, 2, 3] * 2
    assert after[:10].tolist() == [3, 2, 1, 1, 0] * 2
    said = read_off(seen(piece, ("velocity",))).argmax(axis=1)
    assert said[:5].tolist() == [0, 1, 2, 2, 2]
