"""Features of notes beside a head: learnt along the line of notes, weighed, kept with the head, asked as measured."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scoresim.benchmark import beside_notes as module
from scoresim.benchmark import finetune
from scoresim.benchmark.beside import WEIGHTS, Beside
from scoresim.benchmark.beside_notes import OfWindows, beside_notes, learn_notes, together, trained_before
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.metrics import class_weights
from scoresim.benchmark.piecewise import Material, labels_of, windows
from scoresim.benchmark.states import KnownBatch, MovedWindows
from scoresim.benchmark.task import Answers
from scoresim.checkpoint import COUNTED, HeadConfig, load_head, save_head
from scoresim.data.batches import Windows
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.files import read_json
from scoresim.model.counted import APART, KERNEL, CountedNotes, Overall, Standardised
from scoresim.model.sim import SIM, SIZES, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.understand import note_features
from scoresim.understand.heads import Head, counted_notes, of_pieces
from scoresim.understand.note_features import note_counts

SMALL = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)
REACH = sum(APART) * (KERNEL // 2)
CONFIG = FinetuneConfig(inputs="notes", windows=4)


def cut_training(material: Material) -> Windows:
    return windows(material, "train", BatchConfig(images=False), CONFIG)


def knows_nothing(material: Material, part: str) -> Answers:
    truth = labels_of(material, part)
    of_piece = np.repeat(np.arange(len(material.parts[part])), [len(piece) for piece in material.parts[part]])
    return Answers(truth, np.full((len(truth), len(material.classes)), -1.0, np.float32), of_piece, of_piece)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of 40 steps."""
    monkeypatch.setattr(module, "FEWEST", 40)
    monkeypatch.setattr(module, "MOST", 40)


@pytest.fixture
def weights(melody: Material) -> np.ndarray:
    return class_weights(labels_of(melody, "train"), len(melody.classes), melody.task.balance)


@pytest.fixture
def found(melody: Material, weights: np.ndarray, short: None, tmp_path: Path) -> Beside:
    return beside_notes(melody, cut_training(melody), weights, knows_nothing(melody, "valid"), tmp_path / "counted", 0)


def test_windows_are_told_the_features_of_their_own_notes(melody: Material) -> None:
    cut = cut_training(melody)
    pieces = melody.parts["train"]
    numbered = [np.stack([np.full(len(piece), i), np.arange(len(piece))], 1) for i, piece in enumerate(pieces)]
    known = MovedWindows(cut, [some.astype(np.float16) for some in numbered])
    for i, window in enumerate(cut.windows):
        batch = known.gather(np.array([i]))
        asked = told(batch, melody)
        assert (asked[:, 0] == window.piece).all()
        assert asked[:, 1].tolist() == list(range(window.first, window.end))
    begins = set[tuple[float, ...]]()
    for step in range(3 * known.steps_per_epoch):
        batch = known.batch(0, step)
        for i, window in enumerate(batch.index.tolist()):
            asked = told(batch, melody, i)
            assert (asked[:, 0] == cut.windows[window].piece).all()
            assert len(asked) == cut.windows[window].end - cut.windows[window].first
            assert (np.diff(asked[:, 1]) == 1).all()
            begins.add(tuple(asked[0]))
    assert {asked[1] for asked in begins} > {0}, "the beginning of a piece is seen, too"
    assert len(begins) > 2 * len(cut.windows), "windows are cut elsewhere in every pass"
    assert torch.equal(known.batch(0, 5).known.states, known.batch(0, 5).known.states), "by seed and step alone"
    cut.segments.marks = None
    with pytest.raises(ValueError, match="no classes"):
        MovedWindows(cut, [])


def told(batch: KnownBatch, melody: Material, row: int = 0) -> np.ndarray:
    """Features of the notes of a row, whose classes are those of the notes that they number."""
    given, _ = batch.inputs("notes")
    mask = given.notes.mask[row]
    asked = given.states[row][mask].numpy()
    truth = np.asarray(melody.label(melody.parts["train"][int(asked[0, 0])]))[asked[:, 1].astype(np.int64)]
    assert batch.labels["melody"][row][mask].tolist() == truth.tolist()
    return asked


def measured(counted: CountedNotes, features: Tensor) -> CountedNotes:
    for member in counted.members:
        member.measure(features)
    return counted.eval()


def without_means(counted: CountedNotes) -> CountedNotes:
    for layer in counted.modules():
        if isinstance(layer, Overall):
            nn.init.zeros_(layer.out.weight)
    return counted


def test_a_note_is_judged_by_its_neighbours_and_the_whole_piece_whatever_stands_behind_its_window() -> None:
    torch.manual_seed(0)
    piece = torch.randn(260, 5)
    counted = measured(CountedNotes(5, 3, 8, members=2), piece)
    said = counted.of_piece(piece)
    assert said.exp().sum(-1).detach().numpy() == pytest.approx(1, abs=1e-5)
    each = [CountedNotes.of([member]).of_piece(piece) for member in counted.members]
    assert not torch.allclose(*each, atol=0.01)
    assert torch.allclose(torch.log_softmax(sum(each) / 2, dim=-1), said, atol=1e-5)
    padded = torch.cat([piece, torch.full((20, 5), 7.0)])[None]
    mask = (torch.arange(280) < 260)[None]
    assert torch.allclose(counted(padded, mask)[0, :260], said, atol=1e-5), "padding says nothing"
    changed = piece.clone()
    changed[30 + REACH + 1 :] = 9.0
    assert not torch.allclose(counted.of_piece(changed)[:31], said[:31], atol=1e-5), "the piece has other notes"
    near = without_means(counted).of_piece(piece)
    assert torch.allclose(counted.of_piece(changed)[:31], near[:31], atol=1e-5)
    changed[30 + REACH] = 9.0
    assert not torch.equal(counted.of_piece(changed)[30], near[30])
    far = counted.of_piece(torch.full((4, 5), 6e4))
    assert torch.isfinite(far).all()


def test_windows_are_judged_as_pieces_are(melody: Material) -> None:
    pieces = melody.parts["train"]
    counts = note_counts(pieces, melody.task.hidden)
    torch.manual_seed(0)
    counted = CountedNotes(counts.features[0].shape[1], 3, 8)
    measured(counted, torch.from_numpy(np.concatenate(counts.features)).float())
    known = MovedWindows(cut_training(melody), counts.features)
    index = np.array([0, len(known.windows) - 1])
    batch = known.gather(index)
    given, _ = batch.inputs("notes")
    with torch.inference_mode():
        said = OfWindows(counted.members[0])(given, None, batch.window)
    assert said.shape == (*given.notes.mask.shape, 3)
    for k, i in enumerate(index.tolist()):
        window = known.windows[i]
        mine = said[batch.window == k][given.notes.mask[batch.window == k]]
        whole = torch.from_numpy(counts.features[window.piece][window.first : window.end])
        with torch.inference_mode():
            assert torch.allclose(mine, counted.of_piece(whole), atol=1e-4)


def test_what_reads_features_says_the_same_where_the_model_reads_in_16_bits(melody: Material, found: Beside) -> None:
    counts = note_counts(melody.parts["test"], melody.task.hidden)
    said = together(found.counted, counts)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(together(found.counted, counts), said)


def test_features_are_of_16_bits_and_have_an_identity(melody: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = melody.parts["test"]
    counts = note_counts(pieces, ())
    assert [some.shape[0] for some in counts.features] == [len(piece) for piece in pieces]
    assert all(np.isfinite(some).all() and some.dtype == np.float16 for some in counts.features)
    assert note_counts(pieces, ("velocity",)).identity == counts.identity
    whole = note_features.note_features
    monkeypatch.setattr(note_features, "note_features", lambda *given: {"another": whole(*given)["pitch"]})
    assert note_counts(pieces, ()).identity != counts.identity


def test_features_of_notes_know_what_a_head_does_not(melody: Material, found: Beside) -> None:
    assert (found.rule, found.notes) == (COUNTED, True)
    assert found.weight in WEIGHTS[1:]
    said = knows_nothing(melody, "test")
    both = found.together(said, "test")
    assert both.scores.shape == said.scores.shape
    right = (both.predicted == both.truth).mean()
    assert right > (said.predicted == said.truth).mean() + 0.2
    rows = found.rows(melody, said)
    assert [(row["what"], row["metric"]) for row in rows] == [
        ("melody, notes, with hand-crafted features", "accuracy"),
        ("melody, notes, with hand-crafted features", "F1 of melody"),
    ]
    assert rows[0]["value"] == pytest.approx(right)


def test_a_training_that_was_done_is_not_done_again(
    melody: Material, weights: np.ndarray, short: None, tmp_path: Path
) -> None:
    cut = cut_training(melody)
    first, counts = learn_notes(melody, cut, weights, tmp_path, 0)
    starts = [tmp_path / str(number) / "starts.jsonl" for number in range(module.MEMBERS)]
    steps = [path.read_text().count("\n") for path in starts]
    again, _ = learn_notes(melody, cut, weights, tmp_path, 0)
    assert [path.read_text().count("\n") for path in starts] == steps
    assert np.array_equal(together(first, counts), together(again, counts))
    every = [together(CountedNotes.of([member]), counts) for member in first.members]
    assert not np.allclose(every[0], every[1], atol=0.01), "each begins elsewhere, and reads windows in another order"


def test_a_training_on_other_pieces_is_refused(
    melody: Material, weights: np.ndarray, short: None, tmp_path: Path
) -> None:
    learn_notes(melody, cut_training(melody), weights, tmp_path, 0)
    other = dataclasses.replace(melody, identity="of other pieces")
    with pytest.raises(BadInput, match="learnt of other pieces or features"):
        learn_notes(other, cut_training(melody), weights, tmp_path, 0)


def test_networks_go_on_from_what_they_know(
    melody: Material, weights: np.ndarray, short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = cut_training(melody)
    first, counts = learn_notes(melody, cut, weights, tmp_path / "first", 0)
    monkeypatch.setattr(module, "LR", 1e-9)
    fewer = dataclasses.replace(melody, parts={**melody.parts, "train": melody.parts["train"][:1]})
    further, _ = learn_notes(fewer, cut_training(fewer), weights, tmp_path / "further", 0, first)
    np.testing.assert_allclose(together(further, counts), together(first, counts), atol=1e-4)
    assert torch.equal(further.mean, first.mean), "features mean what they meant"
    anew, _ = learn_notes(fewer, cut_training(fewer), weights, tmp_path / "anew", 0)
    assert not torch.equal(anew.mean, first.mean)
    assert not np.allclose(together(anew, counts), together(first, counts), atol=0.1)
    rates = {}
    for name in ("further", "anew"):
        lines = (tmp_path / name / "0" / "log.jsonl").read_text().splitlines()
        rates[name] = max(json.loads(line).get("lr", 0.0) for line in lines)
    assert rates["further"] == pytest.approx(rates["anew"] / 2)
    with pytest.raises(BadInput, match="or from elsewhere"):
        learn_notes(fewer, cut_training(fewer), weights, tmp_path / "further", 0, anew)


@pytest.mark.parametrize("other", [{}, {"task": "voice"}, {"features": "others"}, {"hidden": ("pitch",)}], ids=str)
def test_a_head_takes_over_the_networks_of_the_head_that_it_stands_on(
    melody: Material, short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    """If they are for the same task, see the same and read the same features: then it has learnt from their sources."""
    monkeypatch.setattr(finetune, "asked_with", lambda *_: melody)
    config = dataclasses.replace(CONFIG, size="tiny", steps=1, validations=1)
    finetune.finetune("melody", None, tmp_path / "below", tmp_path, dataclasses.replace(config, rank=2))
    below = tmp_path / "below" / "head.safetensors"
    torch.manual_seed(config.seed)
    sim = SIM(SIZES["tiny"], default_vocabulary().sizes)
    tagger, about = load_head(below, sim, "scratch tiny")
    save_head(below, tagger, dataclasses.replace(about, corpora=("elsewhere",), played=True, **other))
    finetune.finetune("melody", None, tmp_path / "on", tmp_path, dataclasses.replace(config, on=str(below)))
    assert ("goes_on_from" in read_json(tmp_path / "on" / "counted" / module.CONFIG)) == (not other)
    _, found = load_head(tmp_path / "on" / "head.safetensors", sim, "scratch tiny")
    assert ("elsewhere" in found.corpora, found.played) == (not other, not other)
    assert set(about.corpora) <= set(found.corpora)


def test_a_head_without_networks_has_none_to_train_further(melody: Material) -> None:
    tagger = Tagger(SIM(SMALL, default_vocabulary().sizes), "note", len(melody.classes))
    sizes = {"notes": 64, "lines": 1, "context": 0, "rank": 0}
    config = HeadConfig("melody", "note", melody.classes, "notes", (), bars=True, temperature=1.0, weights="", **sizes)
    assert trained_before(Head(tagger, config), melody) is None


def test_a_feature_that_was_the_same_in_all_notes_says_nothing() -> None:
    torch.manual_seed(0)
    seen = torch.randn(30, 2)
    seen[:, 1] = 0.1
    counted = measured(CountedNotes(2, 3, 8), seen)
    other = seen.clone()
    other[:, 1] = 127.0
    assert torch.allclose(counted.of_piece(other), counted.of_piece(seen), atol=1e-5)


def test_one_class_needs_no_features(melody: Material, weights: np.ndarray, tmp_path: Path) -> None:
    task = dataclasses.replace(melody.task, label=lambda piece, _: np.zeros(len(piece), np.int64))
    one = dataclasses.replace(melody, task=task)
    said = knows_nothing(melody, "valid")
    without = beside_notes(one, cut_training(one), weights, said, tmp_path / "none", 0)
    assert (without.rule, without.weight, without.counted) == ("", 0.0, None)
    assert without.rows(one, said) == []
    assert not (tmp_path / "none").exists()


def test_a_head_with_features_of_notes_says_after_loading_what_was_measured(
    melody: Material, found: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    sim = SIM(SMALL, default_vocabulary().sizes)
    tagger = Tagger(sim, "note", len(melody.classes)).eval()
    bare = HeadConfig(
        task="melody", level="note", classes=melody.classes, inputs="notes", hidden=(), notes=40, lines=1, bars=True,
        context=0, rank=0, temperature=1.0, weights="w",
    )  # fmt: skip
    pieces = melody.parts["test"]
    alone = of_pieces({"m": Head(tagger, bare)}, pieces, BatchConfig())["m"]
    tagger.counted = found.counted
    config = dataclasses.replace(bare, rule=found.rule, rule_weight=found.weight, features=found.features)
    save_head(tmp_path / "head", tagger, config)
    loaded, about = load_head(tmp_path / "head", sim, "w")
    assert about == config
    assert isinstance(loaded.counted, CountedNotes)
    assert len(loaded.counted.members) == module.MEMBERS
    for kept, learnt in zip(loaded.counted.members, found.counted.members, strict=True):
        assert torch.equal(kept.mean, learnt.mean)
        assert torch.equal(kept.scale, learnt.scale), "of 32 bits"
    tagger.counted = None
    said = of_pieces({"m": Head(loaded, about), "n": Head(tagger, bare)}, pieces, BatchConfig())
    assert np.concatenate(said["n"]) == pytest.approx(np.concatenate(alone), abs=1e-5), "asked on the same reading"
    expected = np.log(np.concatenate(alone)) + found.weight * found.said["test"]
    expected -= np.logaddexp.reduce(expected, axis=1, keepdims=True)
    assert np.exp(expected) == pytest.approx(np.concatenate(said["m"]), abs=5e-3)
    tagger.counted = CountedNotes(3, 3, 8)
    with pytest.raises(BadInput, match="another number of features"):
        of_pieces({"m": Head(tagger, about)}, pieces, BatchConfig())
    with monkeypatch.context() as before:
        before.setattr(tagger, "counted", Standardised(3))
        save_head(tmp_path / "older", tagger, config)
    with pytest.raises(BadInput, match="counts less than this version of scoresim; take the head of this version"):
        load_head(tmp_path / "older", sim, "w")
    for greedy in (CountedNotes(5000, 3, 8), CountedNotes(3, 3, 8, members=20), CountedNotes(3, 3, 600)):
        tagger.counted = greedy
        save_head(tmp_path / "greedy", tagger, config)
        with pytest.raises(BadInput, match="it counts too much"):
            load_head(tmp_path / "greedy", sim, "w")
    other = Head(loaded, dataclasses.replace(about, features="of another version"))
    with pytest.raises(BadInput, match="counts features that this version of scoresim has not"):
        of_pieces({"m": other}, pieces, BatchConfig())


def test_what_ships_reads_features_as_it_was_taught_to(melody: Material) -> None:
    """Whoever changes how a feature of a note is counted changes its name, and runs `runs/beside.py` anew."""
    import scoresim

    head = scoresim.load("small").heads["melody"]
    assert isinstance(head.tagger.counted, CountedNotes)
    counts = note_counts(melody.parts["test"][:1], head.config.hidden)
    [said] = counted_notes(head.tagger.counted, head.config.features, counts)
    expected = [[-14.964, -14.338, 0.0], [0.0, -14.153, -8.505], [0.0, -15.177, -10.341]]
    assert said[[0, 7, 20]] == pytest.approx(np.array(expected), abs=5e-3)
