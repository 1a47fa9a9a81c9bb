"""Keys: pieces in other keys with their labels, the profiles of keys, and training pieces in several keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from scoresim.benchmark import piece_baselines
from scoresim.benchmark.beside import WEIGHTS, beside
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piece_baselines import Items, rules
from scoresim.benchmark.piecewise import KEYS_LEARNT, Material, in_keys
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.benchmark.tasks import key, key_all, key_lieder, melody
from scoresim.checkpoint import HeadConfig, load_head, save_head
from scoresim.data.batches import Windows
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.seen import seen
from scoresim.errors import BadInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, default_vocabulary
from scoresim.understand.analysis import by_profiles
from scoresim.understand.heads import Head, of_pieces

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}
LONG, SHORT = 24, 12  # of the grid: a quarter note and an eighth
PITCH = ATTRIBUTES.index("pitch")


def scale(tonic: int, mode: str, labels: dict[str, str], name: str = "p", lines: int = 6) -> Piece:
    """A scale up, line after line; its tonic and fifth are longer than the rest."""
    pitch = np.tile([48 + tonic + step for step in SCALES[mode]], lines)
    n = len(pitch)
    durations = default_vocabulary().durations
    ids = np.full((n, len(ATTRIBUTES)), FIRST, dtype=np.int32)
    onset = np.arange(n, dtype=np.float64)
    ids[:, 0] += (onset // 4).astype(np.int32)
    ids[:, 1] += (onset % 4 * GRID).astype(np.int32)
    ids[:, PITCH] += pitch.astype(np.int32)
    length = np.where(np.isin((pitch - tonic) % 12, (0, 7)), LONG, SHORT)
    ids[:, ATTRIBUTES.index("duration")] += np.array([durations.index(one) for one in length], dtype=np.int32)
    none = np.zeros(n, dtype=np.int64)
    return Piece(
        **dict.fromkeys(("split", "style", "composer", "title"), ""),
        id=name,
        corpus="c",
        work=name,
        labels=labels,
        ids=ids,
        bar=(onset // 4).astype(np.int64),
        onset=onset,
        bar_onset=np.arange(0, n + 4, 4).astype(np.float64),
        velocity=none + 64,
        track=none - 1,
        staff=none,
        voice=none,
    )


def in_key(index: int, name: str = "p", lines: int = 6) -> Piece:
    mode, tonic = divmod(index, 12)
    return scale(tonic, ("major", "minor")[mode], {"key": key.CLASSES[index]}, name, lines)


def material(task: PieceTask, some: Sequence[Piece]) -> Material:
    assert isinstance(task.classes, tuple)
    parts = {"train": list(some), "valid": list(some[:3]), "test": list(some[:3])}
    return Material(task, task.classes, parts, "made up", content="made up")


@given(index=st.integers(0, 23), steps=st.integers(-11, 11))
def test_a_turned_piece_is_in_the_key_that_it_is_heard_in(index: int, steps: int) -> None:
    old = in_key(index)
    new = key.turned(old, steps)
    assert key.label(new) == 12 * (index // 12) + (index + steps) % 12
    assert ((new.ids[:, PITCH] - old.ids[:, PITCH]) % 12 == steps % 12).all()
    assert np.delete(new.ids, PITCH, axis=1).tolist() == np.delete(old.ids, PITCH, axis=1).tolist()
    assert key.profiles(seen(new, ())).argmax() == key.label(new), "the profiles hear the same"
    assert key.label(key.turned(new, -steps)) == index
    assert old.labels == in_key(index).labels, "the old piece is as it was"


def test_spelling_is_forgotten_and_no_key_stays_none() -> None:
    turned = key_all.TASK.turned
    assert turned is not None
    flat = scale(6, "major", {"key": "Gb major"})
    assert key.label(flat) == -1
    assert turned(flat, 1).labels["key"] == "G major"
    assert key_all.label(turned(scale(0, "major", {"key": "D dorian"}), 3)) == -1


@given(fifths=st.integers(-7, 7), steps=st.integers(-11, 11))
def test_a_turned_song_has_the_signature_of_its_notes(fifths: int, steps: int) -> None:
    song = scale(7 * fifths % 12, "major", {"fifths": str(fifths)})
    new = key_lieder.turned(song, steps)
    signature = int(new.labels["fifths"])
    assert (signature - fifths - 7 * steps) % 12 == 0
    assert -6 <= signature <= 6
    assert signature != (6 if fifths < 0 else -6)
    said = key_lieder.CLASSES[int(key_lieder.profiles(seen(new, ())).argmax())]
    assert (int(said) - signature) % 12 == 0
    assert abs(int(said)) <= 6


def test_no_signature_stays_none_and_minor_keys_have_theirs() -> None:
    assert key_lieder.turned(scale(0, "major", {}), 5).labels.get("fifths", "") == ""
    said = key_lieder.profiles(seen(scale(9, "minor", {}), ()))
    assert key_lieder.CLASSES[int(said.argmax())] == "0"


def test_profiles_of_what_says_nothing_are_nothing() -> None:
    chromatic = dataclasses.replace(in_key(0, lines=12))
    ids = chromatic.ids.copy()
    ids[:, PITCH] = FIRST + 60 + np.arange(len(ids)) % 12
    ids[:, ATTRIBUTES.index("duration")] = ids[0, ATTRIBUTES.index("duration")]
    flat = dataclasses.replace(chromatic, ids=ids)
    found = key.profiles(seen(flat, ()))
    assert found.shape == (24,)
    assert abs(found).max() < 1e-6
    assert by_profiles(flat) == []


@given(index=st.integers(0, 23))
def test_weights_without_a_head_for_keys_say_that_of_the_best_profile(index: int) -> None:
    [said] = by_profiles(in_key(index))
    assert (said.question, said.answer, said.inputs) == ("key", key.CLASSES[index], "notes")
    assert said.corpora == ("published profiles",)
    assert list(said.classes.values()) == sorted(said.classes.values(), reverse=True)
    assert said.confidence == said.classes[said.answer] > 0.2
    assert sum(said.classes.values()) == pytest.approx(1, abs=2e-3)


def test_training_pieces_are_learnt_from_in_several_keys_and_others_are_not() -> None:
    some = material(key.TASK, [in_key(index, str(index)) for index in range(24)])
    more = in_keys(some)
    train = more.parts["train"]
    assert len(train) == KEYS_LEARNT * 24
    assert train[:24] == some.parts["train"]
    assert all(more.parts[part] == some.parts[part] for part in ("valid", "test"))
    assert more.identity != some.identity and more.content != some.content
    for piece in some.parts["train"]:
        assert len({key.label(one) for one in train if one.id == piece.id}) == KEYS_LEARNT, (
            "no key of a piece stands twice"
        )
    assert all(key.profiles(seen(one, ())).argmax() == key.label(one) for one in train)
    again = in_keys(some).parts["train"]
    assert [one.labels for one in again] == [one.labels for one in train]
    songs = material(dataclasses.replace(melody.TASK), some.parts["train"])
    assert in_keys(songs) is songs


@pytest.mark.parametrize(
    ("inputs", "augment", "times"), [("notes", True, KEYS_LEARNT), ("notes", False, 1), ("both", True, 1)]
)
def test_only_what_is_read_from_notes_alone_is_turned(inputs: str, augment: bool, times: int) -> None:
    some = material(key.TASK, [in_key(index, str(index)) for index in range(4)])
    config = FinetuneConfig(inputs=inputs, augment=augment)  # type: ignore[arg-type]
    parts = prepare_pieces(some, BatchConfig(), config)
    assert isinstance(parts.train, Windows) and isinstance(parts.test, Windows)
    assert len(parts.train) == 4 * times
    assert len(parts.test) == 3
    assert len(parts.labels) == 4 * times
    assert (some.identity in parts.identity) and ("keys" in parts.identity) == (times > 1)


def test_the_rule_hears_keys_and_features_learn_from_turned_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [in_key(index, str(index)) for index in range(24)]
    some = dataclasses.replace(
        material(key.TASK, pieces), parts={"train": pieces[:12], "valid": pieces[:6], "test": pieces[5:9]}
    )
    learnt: list[tuple[int, int]] = []

    def remembered(material: Material, x: dict[str, Any], y: Any, items: dict[str, Items], *rest: Any) -> Answers:
        learnt.append((len(x["train"]), len(set(y.tolist()))))
        return items["test"].answered(np.zeros((4, 24)))

    monkeypatch.setattr(piece_baselines, "_learnt", remembered)
    found = {rule.name: rule.answer() for rule in rules(some, music21=False)}
    assert found["key profiles"].predicted.tolist() == [5, 6, 7, 8]
    assert found["key profiles"].by_piece().predicted.tolist() == [5, 6, 7, 8]
    assert found["majority class"].predicted.tolist() == [0, 0, 0, 0]
    assert learnt == [(KEYS_LEARNT * 12, 12)] * 2, "windows and pieces in all keys of the mode"


class Sure(nn.Module):
    """A head that is sure of C major, whatever it reads."""

    counted = None

    def __init__(self, how: float) -> None:
        super().__init__()
        self.how = nn.Parameter(torch.tensor(how))

    def read(self, *_: Any) -> tuple[None, None]:
        return None, None

    def judge(self, states: None, passages: None, notes: NoteInput, window: Tensor) -> Tensor:
        return torch.eye(24)[0].expand(int(window.max()) + 1, -1) * self.how


def head(how: float, **about: Any) -> Head:
    config = HeadConfig("key", "sequence", key.CLASSES, "notes", (), 512, 1, True, 0, 0, 1.0, "w", **about)
    return Head(Sure(how), config)  # type: ignore[arg-type]


def test_a_head_answers_together_with_the_rule_beside_it() -> None:
    pieces, rows = [in_key(7), in_key(21)], BatchConfig()

    def said(**about: Any) -> list[int]:
        return [int(scores.argmax()) for scores in of_pieces({"key": head(1.0, **about)}, pieces, rows)["key"]]

    assert said() == [0, 0]
    assert said(rule="key profiles", rule_weight=16.0) == [7, 21]
    assert said(rule="key profiles", rule_weight=0.0) == [0, 0]


def test_the_weight_of_the_rule_is_chosen_on_validation_pieces() -> None:
    pieces = [in_key(index, str(index)) for index in range(24)]
    some = dataclasses.replace(material(key.TASK, pieces), parts={"train": pieces, "valid": pieces[1:], "test": pieces})
    truth = np.arange(1, 24)
    wrong = np.tile(np.log(np.full(24, 1e-3) + np.eye(24)[0]), (23, 1)).astype(np.float32)
    right = np.log(np.full((24, 24), 1e-3) + np.eye(24))[1:].astype(np.float32)
    said = Answers(truth, wrong, truth - 1, truth - 1)
    found = beside(some, said)
    assert found.rule == "key profiles"
    together = found.together(said, "valid")
    assert together.predicted.tolist() == truth.tolist(), "a head that is always wrong leaves it to the rule"
    assert found.temperature > 0
    less = beside(some, Answers(truth, right, truth - 1, truth - 1))
    assert 0 <= less.weight < found.weight
    assert {less.weight, found.weight} <= set(WEIGHTS)
    other = beside(None, Answers(truth, right, truth))
    assert (other.rule, other.weight) == ("", 0.0)
    assert other.together(said, "valid").scores.tolist() == said.by_piece().scores.tolist()
    assert other.rows(some, said) == []
    every = np.arange(24)
    rows = found.rows(some, Answers(every, np.zeros((24, 24), dtype=np.float32), every, every))
    assert [(row["what"], row["metric"], row["value"], row["n"]) for row in rows] == [
        ("key, pieces, with key profiles", "MIREX weighted score", 1.0, 24),
        ("key, pieces, with key profiles", "accuracy", 1.0, 24),
    ]


@pytest.mark.parametrize(
    "about",
    [
        {"rule": "skyline"},
        {"rule": "key profiles", "classes": ("jig", "reel")},
        {"rule": "key profiles", "rule_weight": float("inf")},
    ],
)
def test_a_head_beside_which_nobody_knows_what_answers_is_refused(about: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    sim = SIM(SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32), default_vocabulary().sizes)
    plain = HeadConfig("key", "sequence", key.CLASSES, "notes", (), 512, 1, True, 0, 0, 1.0, "w")
    good = dataclasses.replace(plain, rule="key profiles", rule_weight=8.0)
    save_head(tmp_path / "good", Tagger(sim, "sequence", 24), good)
    assert load_head(tmp_path / "good", sim, "w")[1] == good
    bad = dataclasses.replace(plain, **about)
    save_head(tmp_path / "bad", Tagger(sim, "sequence", len(bad.classes)), bad)
    with pytest.raises(BadInput, match=r"damaged head .what is to answer beside it is not known"):
        load_head(tmp_path / "bad", sim, "w")
