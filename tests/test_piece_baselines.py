from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scoresim.benchmark import beside_notes, metrics, piece_baselines, piecewise
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.metrics import Ints, Statistic
from scoresim.benchmark.music21_features import music21_features, music21_is_there
from scoresim.benchmark.piece_baselines import items_of, kept_rules, rules
from scoresim.benchmark.piecewise import Material
from scoresim.benchmark.task import PieceTask
from scoresim.benchmark.tasks import melody
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.seen import seen
from scoresim.errors import BadInput
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, default_vocabulary
from scoresim.understand.features import window_features
from scoresim.understand.note_features import highest, note_features, top_line

VOCABULARY = default_vocabulary()
needs_music21 = pytest.mark.skipif(not music21_is_there(), reason="music21 is not installed (extra corpora)")


@pytest.fixture(autouse=True)
def _few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEAVES": (7,), "WINDOW_LEAVES": (4,), "LINEAR": (0.1,), "ROUNDS": 10}.items():
        monkeypatch.setattr(piece_baselines, name, value)


def piece(notes: Sequence[tuple[float, int, float, int]], name: str = "a", artist: str = "") -> Piece:
    """Notes (onset, pitch, duration in quarter notes, track) in 4/4."""
    onset, pitch, duration, track = (np.array(column) for column in zip(*sorted(notes), strict=True))
    bar = (onset // 4).astype(np.int64)
    ids = np.full((len(onset), 8), FIRST, dtype=np.int32)
    ids[:, 0] += bar.astype(np.int32)
    ids[:, 1] += np.round((onset % 4) * GRID).astype(np.int32)
    ids[:, 2] += pitch
    ids[:, 3] += np.round(duration * GRID).astype(np.int32) - 1
    ids[:, 4] += 16
    ids[:, 5] += 36
    ids[:, 6] += VOCABULARY.signature_index[4, 4]
    unknown = np.zeros(len(ids), dtype=np.int64)
    return Piece(
        **dict.fromkeys(("split", "style", "composer", "title"), ""),
        id=name,
        corpus="made-up",
        work=name,
        labels={"artist": artist},
        ids=ids,
        bar=bar,
        onset=onset.astype(np.float64),
        bar_onset=4.0 * np.arange(bar.max() + 2),
        velocity=unknown + 66,
        track=track,
        staff=unknown,
        voice=unknown,
        tracks=("MELODY", "BRIDGE", "PIANO"),
    )


def tune(seed: int, name: str, bars: int = 12, artist: str = "") -> Piece:
    """A tune over chords; the second artist's is lower and faster."""
    rng = np.random.default_rng(seed)
    step, base = (0.5, 67) if artist == "fast" else (1.0, 76)
    notes: list[tuple[float, int, float, int]] = []
    for bar in range(bars):
        notes += [(4 * bar + at, base + int(rng.integers(-4, 5)), step, 0) for at in np.arange(0, 4, step).tolist()]
        notes += [(4.0 * bar, low, 4.0, 2) for low in (40, 47, int(rng.integers(50, 56)))]
    return piece(notes, name, artist)


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    return {"accuracy": metrics.accuracy}


def artist_of(one: Piece, classes: Sequence[str]) -> Ints | int:
    return classes.index(one.labels["artist"])


ARTIST = PieceTask(
    name="artist",
    question="Who?",
    level="sequence",
    corpora=(),
    part=lambda item: None,
    classes=("fast", "slow"),
    label=artist_of,
    measures=measures,
    obtain="",
    notes=40,
    least=10,
)
MELODY = dataclasses.replace(melody.TASK, notes=60)


def material(task: PieceTask, most: int = 6) -> Material:
    artists = ("fast", "slow")
    count = {"train": most, "valid": 4, "test": 4}
    parts = {
        part: [tune(100 * k + i, f"{part}{i}", artist=artists[i % 2]) for i in range(number)]
        for k, (part, number) in enumerate(count.items())
    }
    return Material(task, tuple(task.classes), parts, "made up")  # type: ignore[arg-type]


class Nothing(nn.Module):
    """Says nothing of anything."""

    def __init__(self, classes: int, notes: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes))
        self.notes = notes

    def forward(self, notes: object, image: object, window: Tensor) -> Tensor:
        if self.notes:
            return self.bias.expand(*notes.mask.shape, -1)  # type: ignore[attr-defined]
        return self.bias.expand(int(window.max()) + 1, -1)


@pytest.mark.parametrize("task", [ARTIST, MELODY], ids=lambda task: task.name)
def test_items_stand_in_the_order_of_a_networks_answers(task: PieceTask) -> None:
    some = material(task)
    config = FinetuneConfig(inputs="notes")
    for part in some.parts:
        asked = piecewise.windows(some, part, BatchConfig(), config)
        found = piecewise.answers(Nothing(len(some.classes), task.level == "note"), asked, some.parts[part], "notes")
        items = items_of(some, part)
        assert items.truth.tolist() == found.truth.tolist()
        assert items.work.tolist() == found.work.tolist()
        assert found.piece is not None and items.piece.tolist() == found.piece.tolist()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained by steps takes 60 of them."""
    monkeypatch.setattr(beside_notes, "FEWEST", 60)
    monkeypatch.setattr(beside_notes, "MOST", 60)


def test_the_majority_and_the_skyline_of_made_up_songs(short: None) -> None:
    some = material(MELODY, most=2)
    found = {}
    for rule in rules(some):
        found[rule.name] = rule.answer()
        if rule.name == "majority class":
            assert rule.inputs == "nothing"
    truth = np.concatenate([melody.label(one) for one in some.parts["test"]])
    assert set(found["majority class"].predicted.tolist()) == {0}  # more notes of the tune than of chords
    assert (found["majority class"].truth == truth).all()
    assert (found["skyline"].predicted == truth).all()
    assert (found["hand-crafted features"].predicted == truth).all()
    assert (found["features along the line"].predicted == truth).all()
    again = {rule.name: rule.answer() for rule in rules(some)}
    for name in ("hand-crafted features", "features along the line"):
        assert (again[name].scores == found[name].scores).all()


def test_the_majority_is_of_windows_and_not_of_pieces() -> None:
    """What is asked is a window: one long piece counts for more than three short ones."""
    some = material(ARTIST)
    some.parts["train"] = [*(tune(i, f"short{i}", 4, "slow") for i in range(3)), tune(3, "long", 40, "fast")]
    for notes, artist in ((0, "fast"), (1000, "slow")):
        rule = next(rules(some, notes=notes))
        assert rule.name == "majority class"
        assert {ARTIST.classes[answer] for answer in rule.answer().predicted} == {artist}


def test_the_skyline_knows_held_notes() -> None:
    #                a held note, a lower one under it, a higher one after it
    song = piece([(0, 72, 4, 0), (1, 60, 1, 2), (2, 60, 1, 2), (4, 61, 1, 0), (4, 50, 1, 2)])
    assert top_line(seen(song, ()), VOCABULARY).tolist() == [True, False, False, False, True]
    assert melody.skyline(seen(song, ())).argmax(axis=1).tolist() == [0, 2, 2, 2, 0]


def test_features_of_notes_on_a_hand_made_example() -> None:
    song = piece([(0, 48, 2, 2), (0, 64, 1, 2), (0, 67, 1, 0), (1, 65, 1, 0), (1.5, 60, 0.5, 2)])
    found = note_features(seen(song, ()), VOCABULARY)
    assert found["chord: top above"].tolist() == [19, 3, 0, 0, 0]
    assert found["sounding: top above"].tolist() == [19, 3, 0, 0, 5]
    assert found["sounding: pitches below"].tolist() == [0, 1, 2, 1, 1]
    assert found["sounding: octave below"].tolist() == [0, 0, 0, 0, 1]
    assert found["next near: interval"].tolist()[1:4] == [1, -2, -5]
    assert found["last near: interval"].tolist()[3:] == [-1, 5]
    assert found["held: notes"].tolist() == [2, 0, 0, 1, 0]
    assert found["time to next onset"].tolist()[:4] == [1, 1, 1, 0.5]


def test_the_highest_of_a_stretch() -> None:
    values = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    first, end = np.array([0, 1, 3, 2, 7]), np.array([8, 3, 4, 2, 8])
    assert highest(values, first, end).tolist() == [9, 4, 1, -999, 6]


@pytest.mark.parametrize("hidden", ["pitch", "duration", "velocity", "tempo", "time_signature", "bar"])
def test_a_hidden_attribute_changes_no_feature(hidden: str) -> None:
    song = tune(3, "a")
    other = dataclasses.replace(song, ids=song.ids.copy())
    column = ATTRIBUTES.index(hidden)
    other.ids[:, column] = FIRST + np.random.default_rng(0).permutation(len(song)) % 12
    for make in (note_features, window_features):
        shown, changed = make(seen(song, ()), VOCABULARY), make(seen(other, ()), VOCABULARY)
        if hidden != "bar":  # which is told by `Piece.bar`
            assert any(not np.array_equal(shown[name], changed[name]) for name in shown)
        one, two = make(seen(song, (hidden,)), VOCABULARY), make(seen(other, (hidden,)), VOCABULARY)
        assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_program_is_never_seen() -> None:
    song = tune(3, "a")
    other = dataclasses.replace(song, ids=song.ids.copy())
    other.ids[:, ATTRIBUTES.index("program")] = FIRST + np.arange(len(song)) % 100
    one, two = (note_features(seen(one, ()), VOCABULARY) for one in (song, other))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_features_are_finite_numbers_of_any_notes() -> None:
    for song in (piece([(0, 0, 0.05, 0)]), piece([(0, 127, 9, 0), (0, 127, 9, 0)]), tune(0, "a")):
        notes = note_features(seen(song, ()), VOCABULARY)
        assert all(len(values) == len(song) and np.isfinite(values).all() for values in notes.values())
        assert np.isfinite(list(window_features(seen(song, ()), VOCABULARY).values())).all()


@needs_music21
def test_features_of_music21_are_as_many_for_any_notes() -> None:
    one, two = (music21_features(seen(p, ("velocity",)), VOCABULARY) for p in (piece([(0, 60, 1, 0)]), tune(0, "a")))
    assert list(one) == list(two)
    assert np.isfinite([*one.values(), *two.values()]).all()
    assert two["RangeFeature 0"] == 80 - 40


@needs_music21
def test_rules_of_sequences_tell_two_artists_apart() -> None:
    some = material(ARTIST)
    found = {rule.name: rule.answer() for rule in rules(some)}
    assert list(found) == [
        "majority class",
        "features and n-grams",
        "hand-crafted features",
        "features of music21",
        "both kinds of features",
        "hand-crafted features of the piece",
    ]
    truth = items_of(some, "test").truth
    for name, answers in found.items():
        assert (answers.truth == truth).all()
        assert name == "majority class" or (answers.predicted == truth).all()


def test_rules_can_answer_the_validation_part() -> None:
    some = material(MELODY, most=2)
    rule = next(rules(some, part="valid"))
    assert rule.name == "majority class" and len(rule.answer().truth) == sum(map(len, some.parts["valid"]))


def test_one_class_cannot_be_learnt() -> None:
    some = material(MELODY, most=2)
    some.parts["train"] = [piece([(float(i), 60 + i % 5, 1.0, 0) for i in range(30)])]
    with pytest.raises(BadInput, match="two classes"):
        [rule.answer() for rule in rules(some)]


def test_answers_of_rules_are_kept_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: None) -> None:
    """A kill in the last rule costs the last rule; what is there is not computed again."""
    some = material(MELODY, most=2)
    assert kept_rules(some, tmp_path, 0, "none") == []

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(piece_baselines, "_trees", killed)
        with pytest.raises(KeyboardInterrupt):
            kept_rules(some, tmp_path, 0, "all")
    assert len(list(tmp_path.glob("*/*/answers.npz"))) == 3
    first = kept_rules(some, tmp_path, 0, "all")
    assert [name for name, *_ in first] == [
        "majority class",
        "skyline",
        "features along the line",
        "hand-crafted features",
    ]
    with monkeypatch.context() as patch:
        for name in ("_learnt", "_of_notes", "learn_notes"):
            patch.setattr(piece_baselines, name, killed)
        again = kept_rules(some, tmp_path, 0, "all")
    assert [name for name, *_ in again] == [name for name, *_ in first]
    assert all((a[2].scores == b[2].scores).all() for a, b in zip(first, again, strict=True))


def test_music21_is_asked_only_where_all_rules_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece_baselines, "music21_is_there", lambda: True)
    names = [[rule.name for rule in rules(material(ARTIST), music21=asked)] for asked in (False, True)]
    assert [n for n in names[1] if n not in names[0]] == ["features of music21", "both kinds of features"]
