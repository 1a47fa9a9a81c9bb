"""What is counted by hand beside a head: learnt, weighed, kept with the head, and asked as it was measured."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scoresim.benchmark import beside as module
from scoresim.benchmark.beside import STRENGTHS, WEIGHTS, Beside, beside
from scoresim.benchmark.piecewise import Material, cut_part
from scoresim.benchmark.task import Answers
from scoresim.checkpoint import COUNTED, HeadConfig, load_head, save_head
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.data.windows import cut, moved
from scoresim.errors import BadInput
from scoresim.model.counted import BUCKETS, LENGTH, MOST, Counted
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.understand import features
from scoresim.understand.features import counts_of
from scoresim.understand.heads import Head, counted_pieces, of_pieces

SMALL = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)


def flat(material: Material, part: str) -> Answers:
    """A head that knows nothing, asked of the windows of a part."""
    found = cut_part(material, part)[1]
    piece = np.array([window.piece for window in found])
    truth = np.array([material.label(one) for one in material.parts[part]])[piece]
    return Answers(truth, np.full((len(found), len(material.classes)), -1.0, dtype=np.float32), piece, piece)


@pytest.fixture
def composer(composer: Material) -> Material:
    """Two players of the same pieces, one of whom plays an octave higher; the validation part has more of them."""

    def played(piece: Piece, player: int) -> Piece:
        labels = {**piece.labels, "artist": composer.classes[player]}
        return dataclasses.replace(piece, labels=labels, ids=moved(piece.ids, 12 * player, 0))

    parts = {part: [played(one, k) for one in some for k in (0, 1)] for part, some in composer.parts.items()}
    task = dataclasses.replace(composer.task, least=1, balance=1.0)  # all windows count, and both players alike
    return dataclasses.replace(composer, task=task, parts={**parts, "valid": parts["valid"] + parts["test"]})


@pytest.fixture
def found(composer: Material) -> Beside:
    return beside(composer, flat(composer, "valid"))


def test_what_is_counted_knows_what_a_head_does_not(composer: Material, found: Beside) -> None:
    assert found.rule == COUNTED == "hand-crafted features"
    assert found.weight in WEIGHTS[1:]
    assert found.said["test"].shape == (len(composer.parts["test"]), len(composer.classes))
    together = found.together(flat(composer, "test"), "test")
    assert together.predicted.tolist() == together.truth.tolist(), "two players who play nothing alike"
    rows = found.rows(composer, flat(composer, "test"))
    assert [(row["what"], row["metric"]) for row in rows] == [
        ("composer, pieces, with hand-crafted features", "accuracy"),
        ("composer, pieces, with hand-crafted features", "macro-F1"),
    ]
    assert rows[0]["value"] == 1.0


def test_a_head_with_what_is_counted_says_after_loading_what_was_measured(
    composer: Material, found: Beside, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sim = SIM(SMALL, default_vocabulary().sizes)
    tagger = Tagger(sim, "sequence", len(composer.classes), views=2).eval()
    bare = HeadConfig(
        task="composer",
        level="sequence",
        classes=composer.classes,
        inputs="notes",
        hidden=(),
        notes=composer.task.notes,
        lines=1,
        bars=True,
        context=0,
        rank=0,
        temperature=1.0,
        weights="w",
        views=2,
    )
    pieces = composer.parts["test"]
    alone = of_pieces({"c": Head(tagger, bare)}, pieces, BatchConfig())["c"]
    tagger.counted = found.counted
    config = dataclasses.replace(bare, rule=found.rule, rule_weight=found.weight, features=found.features)
    save_head(tmp_path / "head", tagger, config)
    loaded, told = load_head(tmp_path / "head", sim, "w")
    assert told == config
    assert loaded.counted is not None
    assert found.counted is not None
    for name, tensor in found.counted.state_dict().items():
        assert torch.equal(loaded.counted.state_dict()[name], tensor), "in 32 bits, to the last"
    said = of_pieces({"c": Head(loaded, told)}, pieces, BatchConfig())["c"]
    expected = np.log(np.array(alone)) + found.weight * found.said["test"]
    expected -= np.logaddexp.reduce(expected, axis=1, keepdims=True)
    assert np.log(np.array(said)) == pytest.approx(expected, abs=5e-3)
    other = Head(loaded, dataclasses.replace(told, features="of another version"))
    with pytest.raises(BadInput, match="counts features that this version of scoresim has not"):
        of_pieces({"c": other}, pieces, BatchConfig())


@pytest.mark.parametrize(
    "rule", [{"rule": COUNTED}, {"rule": COUNTED, "features": "0"}, {"rule": "skyline", "features": "0"}]
)
def test_a_head_that_counts_without_what_is_counted_is_refused(rule: dict[str, Any], tmp_path: Path) -> None:
    sim = SIM(SMALL, default_vocabulary().sizes)
    given = ("composer", "sequence", ("a", "b"), "notes", (), 512, 1, True, 0, 0, 1.0, "w")
    bad = dataclasses.replace(HeadConfig(*given), **rule)
    save_head(tmp_path / "bad", Tagger(sim, "sequence", 2), bad)
    with pytest.raises(BadInput, match="damaged head"):
        load_head(tmp_path / "bad", sim, "w")


def test_a_head_of_a_version_that_counted_less_is_refused(found: Beside, tmp_path: Path) -> None:
    sim = SIM(SMALL, default_vocabulary().sizes)
    tagger = Tagger(sim, "sequence", 2)
    tagger.counted = copy.deepcopy(found.counted)
    assert tagger.counted is not None
    del tagger.counted.rarity
    given = ("composer", "sequence", ("a", "b"), "notes", (), 512, 1, True, 0, 0, 1.0, "w")
    old = dataclasses.replace(HeadConfig(*given), rule=COUNTED, features="0")
    save_head(tmp_path / "old", tagger, old)
    with pytest.raises(BadInput, match="counts less than this version"):
        load_head(tmp_path / "old", sim, "w")


def test_who_cannot_learn_from_features_does_without(
    composer: Material, melody: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = flat(composer, "valid")
    assert beside(melody, Answers(said.truth, said.scores, said.work)).rule == "", "a question about notes"
    one = [piece for piece in composer.parts["train"] if composer.label(piece) == 0]
    same = dataclasses.replace(composer, parts={**composer.parts, "train": one})
    assert beside(same, said).rule == "", "one class alone"
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    without = beside(composer, said)
    assert (without.rule, without.counted, without.rows(composer, said)) == ("", None, [])
    assert without.together(said, "valid").scores.tolist() == said.by_piece().scores.tolist()


@given(classes=st.integers(2, 4), absent=st.booleans(), seed=st.integers(0, 2**16))
def test_a_regression_says_as_a_module_what_it_said(classes: int, absent: bool, seed: int) -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(seed)
    x = torch.from_numpy(draw.uniform(2, 12, size=(40, 5))).float()  # none of it so far out that it is cut
    ngrams = torch.from_numpy(draw.poisson(0.1, size=(40, BUCKETS))).float()
    y = np.arange(40) % classes
    counted = Counted(5, classes + absent)
    counted.measure(x, ngrams)
    known = counted.known(x, ngrams)
    assert known[:, :5].std(dim=0, correction=0).numpy() == pytest.approx(1, abs=1e-4)
    assert known[:, 5:].norm(dim=1).numpy() == pytest.approx(LENGTH, abs=1e-3)
    model = LogisticRegression(C=STRENGTHS[0], max_iter=500)
    model.fit(known.numpy(), y)
    module.take(counted, model)
    said = counted(x, ngrams).numpy()
    assert said[:, :classes] == pytest.approx(model.predict_log_proba(known.numpy()), abs=1e-4)
    assert (said[:, classes:] < -10).all()
    assert np.exp(said).sum(axis=1) == pytest.approx(1, abs=1e-5)


@given(size=st.floats(-1e30, 1e30, allow_nan=False), many=st.floats(0, 1e30))
def test_what_is_out_of_all_bounds_says_no_more_than_what_is_far(size: float, many: float) -> None:
    torch.manual_seed(0)
    counted, none = Counted(3, 2), torch.zeros(1, BUCKETS)
    said = counted(torch.tensor([[size, 0.0, 0.0]]), none)
    assert torch.isfinite(said).all()
    assert torch.equal(said, counted(torch.tensor([[float(np.clip(size, -MOST, MOST)), 0.0, 0.0]]), none))
    one = torch.nn.functional.one_hot(torch.tensor([7]), BUCKETS).float()
    more = counted(torch.zeros(1, 3), many * one)
    assert torch.isfinite(more).all(), "the same n-gram, many times or never"
    if many > 1e-3:
        assert torch.allclose(more, counted(torch.zeros(1, 3), one), atol=1e-5)


def test_rare_n_grams_weigh_more() -> None:
    counted, ngrams = Counted(1, 2), torch.zeros(8, BUCKETS)
    ngrams[:, 0], ngrams[0, 1] = 1.0, 1.0
    counted.measure(torch.zeros(8, 1), ngrams)
    often, once, never = counted.rarity[:3].tolist()
    assert (often, once, never) == pytest.approx((0.3, np.log(8) + 0.3, 0.0), abs=1e-5)


def test_what_is_counted_has_an_identity(composer: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cut_part(composer, "test")[1]
    counts = counts_of(composer.parts["test"], found, ())
    assert len(counts.features) == len(counts.ngrams) == len(found)
    monkeypatch.setattr(features, "N_GRAMS", "others")
    assert counts_of(composer.parts["test"], found, ()).identity != counts.identity


def test_what_ships_counts_as_it_was_taught_to(melody: Material) -> None:
    """Whoever changes how a feature is counted changes its name, and fits the heads that ship anew."""
    import scoresim

    head = scoresim.load("small").heads["emotion"]
    assert head.config.rule == COUNTED
    assert head.tagger.counted is not None
    pieces = melody.parts["test"]
    found = cut(pieces, 512, 512)[1]
    said = counted_pieces(
        head.tagger.counted, head.config.features, counts_of(pieces, found, head.config.hidden), found
    )
    expected = [[-2.3991, -2.1627, -0.5879, -1.4326], [-1.9224, -1.979, -1.1648, -0.9075]]
    assert said == pytest.approx(np.array(expected), abs=2e-3)


def test_what_is_counted_says_the_same_where_the_model_reads_in_16_bits(composer: Material, found: Beside) -> None:
    pieces = composer.parts["test"]
    windows = cut(pieces, 64, 64)[1]
    counts = counts_of(pieces, windows, ())
    assert isinstance(found.counted, Counted)
    said = counted_pieces(found.counted, counts.identity, counts, windows)
    with torch.autocast("cpu", torch.bfloat16):
        again = counted_pieces(found.counted, counts.identity, counts, windows)
    assert np.array_equal(again, said)
