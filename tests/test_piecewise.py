"""Tasks of whole pieces: windows as batches, the head that sees a whole window, training, answers and rows."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from scoresim import checkpoint
from scoresim.benchmark import beside_notes, finetune, metrics, piece_baselines, piecewise, run, tasks
from scoresim.benchmark.beside import Beside
from scoresim.benchmark.config import RECIPES, BenchmarkConfig, FinetuneConfig, filled
from scoresim.benchmark.finetune import fit, resolved
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piece_baselines import kept_rules
from scoresim.benchmark.piecewise import Material, answers, gather, windows
from scoresim.benchmark.task import Answers, PieceTask, load_answers
from scoresim.checkpoint import HeadConfig, head_stands, load_head, save_head
from scoresim.data.batches import Windows, batch_config
from scoresim.errors import BadInput
from scoresim.files import read_json
from scoresim.model import tagger as tagger_module
from scoresim.model.lowrank import merge_low_rank
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger, line_number
from scoresim.score.tokens import default_vocabulary
from scoresim.understand.heads import Head, of_pieces

MICRO = SIMConfig(width=32, layers=1, heads=2, stem_channels=(2, 4), embedding=32)
BATCHES = batch_config(MICRO, 4)
ROOT = Path(__file__).resolve().parent.parent


def micro(seed: int = 0) -> SIM:
    torch.manual_seed(seed)
    return SIM(MICRO, default_vocabulary().sizes)


def piece_task(name: str, **changes: Any) -> PieceTask:
    task = tasks.get(name)
    assert isinstance(task, PieceTask)
    return dataclasses.replace(task, **changes)


@pytest.fixture(scope="module", autouse=True)
def _at_home() -> Iterator[None]:
    """Melody is asked of the songs alone: an installed package holds chorales, which take their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoresim.benchmark.tasks.melody.TASK", piece_task("melody", elsewhere=()))
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pieces")


@pytest.fixture(scope="module")
def melody(songs: Path, kept: Path) -> Material:
    return gather(piece_task("melody", notes=40), songs, kept, workers=1)


@pytest.fixture(scope="module")
def composer(songs: Path, kept: Path) -> Material:
    return gather(piece_task("composer", notes=64, least=30), songs, kept, images=False, workers=1)


def notes_only(**changes: Any) -> FinetuneConfig:
    return FinetuneConfig(inputs="notes", **({"windows": 3} | changes))


def test_parts_and_classes_come_from_the_source(melody: Material, composer: Material) -> None:
    assert {part: [p.title for p in some] for part, some in melody.parts.items()} == {
        "train": ["Song 0 (Nobody)", "Song 1 (Nobody)", "Song 2 (Nobody)"],
        "valid": ["Song 3 (Nobody)"],
        "test": ["Song 4 (Nobody)", "Song 5 (Nobody)"],
    }
    assert composer.classes == ("Hancock", "Yiruma")
    labels = piecewise.labels_of(melody, "train")
    assert np.bincount(labels).tolist() == [144, 12, 108]


def test_an_absent_source_is_named(tmp_path: Path, kept: Path) -> None:
    with pytest.raises(BadInput, match=r"melody needs pop909.*POP909 is at https"):
        gather(piece_task("melody"), tmp_path, kept)
    assert not piecewise.present(piece_task("melody"), tmp_path)


def test_pieces_with_another_truth_are_other_material(
    songs: Path, kept: Path, composer: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was learnt and answered with the old truth is not taken for what belongs to the new one."""

    def again(**changes: Any) -> Material:
        task = dataclasses.replace(composer.task, **changes)
        return gather(task, songs, kept, images=False, workers=1)

    same = again()
    turned = again(label=lambda piece, classes: 1 - composer.task.label(piece, classes))
    joined = again(prepared=lambda piece: dataclasses.replace(piece, work="one of all"))
    for name in ("identity", "content"):
        assert getattr(same, name) == getattr(composer, name)
        assert len({getattr(one, name) for one in (composer, turned, joined)}) == 3
    every = piece_baselines.rules
    monkeypatch.setattr(piece_baselines, "rules", lambda *given, **more: [next(every(*given, **more))])
    first, new, alone = [kept_rules(one, tmp_path, 0, "ours")[0][2] for one in (composer, turned, joined)]
    assert new.truth.tolist() == (1 - first.truth).tolist()
    assert (len(set(first.work.tolist())), set(alone.work.tolist())) == (2, {0})


def test_windows_are_rows_with_their_window(melody: Material) -> None:
    found = windows(melody, "train", BATCHES, notes_only())
    assert {w.end - w.first for w in found.windows} == {40}
    batch = found.batch(0, 0)
    assert batch.window is not None
    assert batch.window.tolist() == sorted(batch.window.tolist())
    assert len(set(batch.window.tolist())) == 3
    assert batch.notes.mask.sum() == 3 * 40
    assert (batch.notes.ids[..., 4][batch.notes.mask] == 1).all(), "velocity is hidden"
    assert (batch.labels["melody"] >= 0).sum() == 3 * 40
    assert not batch.image.mask.any()
    moved = batch.to("cpu").window
    assert moved is not None
    assert torch.equal(moved, batch.window)


def test_training_windows_are_varied_and_others_are_not(melody: Material) -> None:
    plain, varied = (windows(melody, "train", BATCHES, notes_only(augment=a)) for a in (False, True))
    pitches = [found.batch(0, 0).notes.ids[..., 2] for found in (plain, varied, varied)]
    assert not torch.equal(pitches[0], pitches[1])
    assert torch.equal(pitches[1], pitches[2]), "a step is a function of its seed and number"
    assert not torch.equal(varied.batch(0, 0).notes.ids, varied.batch(1, 0).notes.ids)
    assert torch.equal(plain.gather(np.array([0])).notes.ids, varied.gather(np.array([0])).notes.ids)
    both = windows(melody, "train", BATCHES, FinetuneConfig(inputs="both", windows=3))
    shown = both.batch(0, 0)
    assert shown.image.mask.any()
    same = plain.gather(both.order.rows(0, 0))
    assert torch.equal(shown.notes.ids[..., 2], same.notes.ids[..., 2]), "an image cannot be transposed"
    assert not torch.equal(shown.notes.ids[..., 5], same.notes.ids[..., 5]), "but it says no tempo"


def test_windows_of_a_piece_that_is_asked_do_not_overlap(composer: Material) -> None:
    found = windows(composer, "test", BATCHES, notes_only())
    for number, piece in enumerate(composer.parts["test"]):
        mine = [w for w in found.windows if w.piece == number]
        assert [w.first for w in mine] == list(range(0, 64 * len(mine), 64))
        left = len(piece) - mine[-1].end
        assert left < 30
    assert found.classes is not None
    assert found.gather(np.array([0])).labels["composer"].tolist() == [found.classes[0]]
    assert len(windows(composer, "train", BATCHES, notes_only()).windows) > 1.5 * sum(
        len(p) // 64 for p in composer.parts["train"]
    )


@pytest.mark.parametrize(
    ("level", "context", "views", "narrow"),
    [
        ("note", 2, 0, 0),
        ("note", 2, 0, 8),
        ("sequence", 2, 0, 0),
        ("sequence", 2, 0, 8),
        ("sequence", 0, 0, 0),
        ("sequence", 2, 3, 0),
        ("sequence", 2, 3, 8),
        ("sequence", 0, 1, 0),
    ],
)
def test_a_window_says_the_same_alone_and_among_others(
    melody: Material, level: str, context: int, views: int, narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = windows(melody, "valid", BATCHES, FinetuneConfig(inputs="both", windows=3))
    tagger = Tagger(micro(), level, 3, context, views=views, narrow=narrow).eval()
    if narrow:
        torch.nn.init.normal_(tagger.widen.weight)  # it begins at zero
    with torch.inference_mode():
        together, alone = found.gather(np.array([0, 1, 2])), found.gather(np.array([1]))
        whole = tagger(together.notes, together.image, together.window)
        part = tagger(alone.notes, alone.image, alone.window)
        if level == "note":
            assert together.window is not None
            rows = together.window == 1
            whole = whole[rows][together.notes.mask[rows]]
            part = part[alone.notes.mask]
        else:
            assert whole.shape == (3, 3)
            whole = whole[1:2]
        assert torch.allclose(whole, part, atol=1e-5)
        monkeypatch.setattr(tagger_module, "TOGETHER", 2)
        again = tagger(together.notes, together.image, together.window)
        monkeypatch.undo()
        assert torch.allclose(again, tagger(together.notes, together.image, together.window), atol=1e-5)


def test_heads_on_one_body_are_asked_on_one_reading(melody: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    config = HeadConfig("melody", "note", ("a", "b"), "notes", ("velocity",), 40, 1, True, 0, 0, 1.0, "micro")
    tagger, other = (Tagger(micro(), "note", 2).eval() for _ in range(2))
    read = Tagger.read
    asked: list[Tagger] = []

    def counted(self: Tagger, *given: Any) -> Any:
        asked.append(self)
        return read(self, *given)

    monkeypatch.setattr(Tagger, "read", counted)
    pieces = melody.parts["valid"]
    both = of_pieces({"one": Head(tagger, config, "x"), "two": Head(tagger, config, "x")}, pieces, BATCHES)
    once = len(asked)
    apart = of_pieces({"one": Head(tagger, config, "x"), "two": Head(other, config, "y")}, pieces, BATCHES)
    assert len(asked) == 3 * once
    assert np.array_equal(both["one"][0], apart["one"][0])


@pytest.mark.slow
def test_a_head_is_trained_on_what_another_has_added(melody: Material, tmp_path: Path) -> None:
    said = {"steps": 3, "validations": 1, "context": 0}
    config = notes_only(rank=2, **said)
    fit(prepare_pieces(melody, BATCHES, config), micro(), "micro", config, tmp_path / "first")
    first = tmp_path / "first" / "head.safetensors"
    below, _ = load_head(first, micro(), "micro")
    merge_low_rank(below.sim)
    config = notes_only(on=str(first), **said)
    parts = prepare_pieces(melody, BATCHES, config)
    fit(parts, below.sim, "micro", config, tmp_path / "second")
    assert head_stands(tmp_path / "second" / "head.safetensors")[1] == head_stands(first)[0]
    save_head(first, below, dataclasses.replace(load_head(first, micro(), "micro")[1], rank=0))
    with pytest.raises(BadInput, match="another fine-tuning"):  # the file under it is another one now
        fit(parts, below.sim, "micro", config, tmp_path / "second")
    with pytest.raises(BadInput, match="choose one"):
        fit(parts, below.sim, "micro", dataclasses.replace(config, rank=2), tmp_path / "third")


def test_a_narrow_head_is_small_and_says_the_same_when_it_is_read_again(
    melody: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = windows(melody, "valid", BATCHES, notes_only()).gather(np.array([0]))
    sizes = []
    monkeypatch.setattr(finetune, "beside_notes", lambda *_: Beside("", 0.0, 1.0))
    for width in (0, 8):
        config = notes_only(steps=3, validations=1, rank=2, context=2, context_width=width)
        fit(prepare_pieces(melody, BATCHES, config), micro(), "micro", config, tmp_path / str(width))
        path = tmp_path / str(width) / "head.safetensors"
        sizes.append(path.stat().st_size)
        one, two = (load_head(path, micro(), "micro")[0](batch.notes, None, batch.window) for _ in range(2))
        assert load_head(path, micro(), "micro")[1].narrow == width
        assert torch.equal(one, two)
    assert sizes[1] < 0.6 * sizes[0]
    with pytest.raises(BadInput, match="context_width is 9"):
        config = notes_only(context_width=9, context=2)
        fit(prepare_pieces(melody, BATCHES, config), micro(), "micro", config, tmp_path / "odd")


def test_a_head_that_weighs_notes_asks_for_notes(melody: Material) -> None:
    batch = windows(melody, "valid", BATCHES, FinetuneConfig(inputs="both")).gather(np.array([0]))
    with pytest.raises(ValueError, match="needs notes"):
        Tagger(micro(), "sequence", 3, views=2)(None, batch.image, batch.window)


def test_context_reaches_over_lines(melody: Material) -> None:
    found = windows(melody, "valid", BATCHES, notes_only())
    batch = found.gather(np.array([0]))
    changed = batch.notes.ids.clone()
    changed[-1, 0, 2] += 3
    for context, narrow, reaches in ((0, 0, False), (2, 0, True), (2, 8, True)):
        tagger = Tagger(micro(), "note", 3, context=context, narrow=narrow).eval()
        if narrow:
            torch.nn.init.normal_(tagger.widen.weight)
        with torch.inference_mode():
            one = tagger(batch.notes, None, batch.window)[0]
            two = tagger(batch.notes._replace(ids=changed), None, batch.window)[0]
        assert torch.allclose(one, two) != reaches


def test_the_order_of_tracks_tells_the_melody_and_the_order_of_pitch_does_not(melody: Material) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import note_order
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    by_pitch, by_track = (note_order.ordered(melody, by_track) for by_track in (False, True))
    for some in (by_pitch, by_track):
        for piece, before in zip(some.parts["test"], melody.parts["test"], strict=True):
            assert sorted(piece.ids[:, 2]) == sorted(before.ids[:, 2])
            assert (np.diff(piece.bar * 1000 + piece.ids[:, 1]) >= 0).all()
            assert ((piece.onset * 4) % 1 == 0).all()
    assert note_order.rule(by_pitch, "test")["told"] == 0
    found = note_order.rule(by_track, "test")
    assert found["told"] > 0
    assert found["told_and_melody_or_bridge"] == 1


def test_lines_are_counted_in_their_window() -> None:
    assert line_number(torch.tensor([0, 0, 0, 1, 3, 3])).tolist() == [0, 1, 2, 0, 0, 1]


class Oracle(nn.Module):
    """Says the truth, which it finds in the batch that it is told of."""

    def __init__(self, found: Windows, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.found, self.classes = found, classes
        gather_batch = found.gather

        def remembered(index: Any) -> Any:
            self.batch = gather_batch(index)
            return self.batch

        found.gather = remembered  # type: ignore[method-assign]

    def forward(self, notes: Any, image: Any, window: Any) -> Tensor:
        labels = self.batch.labels[self.found.task]
        return 9.0 * nn.functional.one_hot(labels.clamp(min=0), self.classes).float()


def test_answers_stand_beside_their_truth(melody: Material, composer: Material) -> None:
    for material, metric in ((melody, "accuracy"), (composer, "accuracy")):
        found = windows(material, "test", BATCHES, notes_only())
        oracle = Oracle(found, len(material.classes))
        said = piecewise.answers(oracle, found, material.parts["test"], "notes")
        figures = material.task.evaluate(said, material.classes)
        assert all(float(f.statistic(f.tables.sum(0))) == 1.0 for f in figures), [f.what for f in figures]
        assert metric in {f.metric for f in figures}
        majority = next(piece_baselines.rules(material)).answer()
        assert np.array_equal(majority.truth, said.truth)
        assert np.array_equal(majority.work, said.work)
    assert {f.what for f in figures} == {"composer, windows of 64 notes", "composer, pieces"}


class Width(nn.Module):
    """Says in how many bits it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 8)

    def forward(self, notes: Any, image: Any, window: Any) -> Tensor:
        self.asked = self.linear(torch.zeros(int(window.max()) + 1, 1)).dtype
        return torch.zeros(int(window.max()) + 1, 8)


@pytest.mark.parametrize(("able", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_heads_are_asked_in_sixteen_bits_where_they_were_trained_so(
    composer: Material, monkeypatch: pytest.MonkeyPatch, able: bool, kind: torch.dtype
) -> None:
    monkeypatch.setattr("scoresim.model.precision.use_bf16", lambda *_: able)
    module = Width()
    found = windows(composer, "test", BATCHES, notes_only())
    piecewise.answers(module, found, composer.parts["test"], "notes")
    assert module.asked == kind


def test_two_say_together_what_neither_denies() -> None:
    """The product of their probabilities: whoever is surer has more to say; other items are refused."""
    truth, work = np.array([0, 1]), np.array([0, 0])
    sure, unsure = np.log([[0.9, 0.1], [0.2, 0.8]]), np.log([[0.4, 0.6], [0.45, 0.55]])
    one, other = (Answers(truth, s.astype(np.float32) + 3, work) for s in (sure, unsure))
    both = one.times(other)
    assert both.predicted.tolist() == [0, 1] and other.predicted.tolist() == [1, 1]
    np.testing.assert_allclose(both.scores, sure + unsure, atol=1e-5)
    with pytest.raises(ValueError, match="different items"):
        one.times(Answers(truth[::-1], one.scores, work))


def test_a_piece_says_what_its_windows_say_together() -> None:
    scores = np.log(np.array([[0.6, 0.4], [0.1, 0.9], [0.8, 0.2]], dtype=np.float32))
    found = Answers(np.array([1, 1, 0]), scores, np.array([0, 0, 1]), np.array([4, 4, 7])).by_piece()
    assert (found.truth.tolist(), found.predicted.tolist(), found.work.tolist()) == ([1, 0], [1, 0], [0, 1])
    alone = Answers(np.array([1]), scores[:1], np.array([0]))
    assert alone.by_piece() is alone


def test_recipes_fill_in_what_nobody_has_said(melody: Material) -> None:
    parts = prepare_pieces(melody, BATCHES, notes_only(windows=0))
    found, recipe = resolved(parts, notes_only(windows=0)), RECIPES["note"]
    assert found.steps == max(round(recipe.epochs * parts.train.steps_per_epoch), recipe.steps)
    assert (found.lr, found.layer_decay, found.context) == (recipe.lr, recipe.layer_decay, recipe.context)
    assert found.windows == recipe.windows == parts.train.config.batch_size
    assert resolved(parts, found) == found
    said = resolved(parts, notes_only(steps=3, lr=0.5, context=0, windows=2, dropout=0.0))
    assert (said.steps, said.lr, said.context, said.windows, said.dropout) == (3, 0.5, 0, 2, 0.0)


@pytest.mark.parametrize(("notes", "together"), [(0, 16), (130, 2), (10**6, 16), (1, 1)])
def test_a_step_has_about_as_many_notes_whatever_windows_have(
    composer: Material, monkeypatch: pytest.MonkeyPatch, notes: int, together: int
) -> None:
    recipe = dataclasses.replace(RECIPES["sequence"], notes=notes)
    monkeypatch.setitem(RECIPES, "sequence", recipe)
    parts = prepare_pieces(composer, BATCHES, notes_only(windows=0))
    assert isinstance(parts.train, Windows)
    assert 60 < np.mean([window.end - window.first for window in parts.train.windows]) <= 64
    assert resolved(parts, notes_only(windows=0)).windows == parts.train.config.batch_size == together
    asked = prepare_pieces(composer, BATCHES, notes_only(windows=5))
    assert resolved(asked, notes_only(windows=5)).windows == 5


def test_a_picture_alone_has_no_notes_to_weigh() -> None:
    assert filled(FinetuneConfig(inputs="both"), "sequence").views == RECIPES["sequence"].views > 0
    assert filled(FinetuneConfig(inputs="image"), "sequence").views == 0
    assert filled(FinetuneConfig(inputs="notes", views=3), "note").views == 0


@pytest.mark.parametrize(("frozen", "rank"), [(False, 0), (True, 0), (False, 2)])
def test_a_head_learns_who_wrote_long_pieces(composer: Material, tmp_path: Path, frozen: bool, rank: int) -> None:
    config = notes_only(steps=12, lr=3e-3, validations=3, frozen=frozen, rank=rank)
    sim = micro()
    before = {name: p.clone() for name, p in sim.named_parameters()}
    result = fit(prepare_pieces(composer, BATCHES, config), sim, "micro", config, tmp_path / "run")
    assert [f["what"] for f in result["figures"]][::2] == ["composer, windows of 64 notes", "composer, pieces"]
    assert result["items"] == len(windows(composer, "test", BATCHES, config).windows)
    now = {name.replace(".linear.", "."): p for name, p in sim.named_parameters()}
    assert any(not torch.equal(now[name], p) for name, p in before.items()) != (frozen or rank > 0)
    assert (tmp_path / "run" / "head.safetensors").is_file() == (frozen or rank > 0)
    if frozen or rank:
        tagger, about = load_head(tmp_path / "run" / "head.safetensors", micro(), "micro")
        assert (about.classes, about.rank, about.inputs) == (composer.classes, rank, "notes")
        assert (about.rule, tagger.counted is not None) == ("hand-crafted features", True)
        assert about.figures[-1]["what"] == "composer, pieces, with hand-crafted features"
        asked = windows(composer, "test", BATCHES, config)
        kept = load_answers(tmp_path / "run" / "answers.npz")
        said = answers(tagger, asked, composer.parts["test"], "notes")
        np.testing.assert_allclose(said.scores, kept.scores, atol=0.02)
        first = head_stands(tmp_path / "run" / "head.safetensors")
        (tmp_path / "run" / "head.safetensors").unlink()  # as if it had been killed before the last thing it does
    again = fit(prepare_pieces(composer, BATCHES, config), micro(), "micro", config, tmp_path / "run")
    assert again == result
    if frozen or rank:
        assert head_stands(tmp_path / "run" / "head.safetensors") == first, "the digest of all that it says"


def test_training_ends_when_it_no_longer_gets_better(composer: Material, tmp_path: Path) -> None:
    config = notes_only(steps=40, lr=1e-9, validations=20, patience=2)
    result = fit(prepare_pieces(composer, BATCHES, config), micro(), "micro", config, tmp_path / "run")
    assert (result["validated_at"], result["steps"]) == (2, 6)


@pytest.mark.slow
def test_the_benchmark_asks_about_whole_pieces(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.save(tmp_path / "sim", micro(), default_vocabulary(), {})
    monkeypatch.setattr(beside_notes, "FEWEST", 4)
    monkeypatch.setattr(beside_notes, "MOST", 4)
    config = BenchmarkConfig(data=str(songs), systems=("sim-notes", "scratch-notes"), piece_steps=2)
    rows = run.benchmark(("melody",), tmp_path / "sim", tmp_path / "out", config)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == rows
    accuracy = {r["pretraining"]: r for r in rows if r["metric"] == "accuracy"}
    assert list(accuracy)[:3] == ["score images and MIDI", "none (from scratch)", "none (majority class)"]
    drawn = read_json(tmp_path / "out" / "pictures" / "pictures.json")
    assert [p["file"] for p in drawn] == [f"melody-{kind}.svg" for kind in ("confusion", "reliability", "classes")]
    published = accuracy["published: MidiBERT-Piano"]
    assert (published["value"], published["ci95"], published["seeds"]) == (0.9637, None, [])
    assert accuracy["none (majority class)"]["value"] == pytest.approx(96 / 176, abs=1e-6)
    assert "published: MidiBERT-Piano" in (tmp_path / "out" / "results.md").read_text()
    compared = read_json(tmp_path / "out" / "comparisons.json")
    rules = ("skyline", "features along the line", "hand-crafted features")
    gains = ["gain of pre-training, notes read", *(f"gain over {rule}" for rule in rules)]
    gains += ["gain of the model beside features", "gain of the model beside features along the line"]
    for kind in ("hand-crafted features", "features along the line"):
        assert accuracy[f"score images and MIDI, with {kind}"]["seeds"] == [0]
    assert [c["what"] for c in compared] == [f"melody, notes: {gain}" for gain in gains]
    made = sorted(p.name for p in (tmp_path / "out" / "runs").iterdir())
    assert run.benchmark(("melody",), tmp_path / "sim", tmp_path / "out", config) == rows
    assert sorted(p.name for p in (tmp_path / "out" / "runs").iterdir()) == made
    with pytest.raises(BadInput, match="style needs --data with a data set"):
        run.benchmark(("style",), tmp_path / "sim", tmp_path / "out", config)
    monkeypatch.setattr(run.tasks, "names", lambda: ("composer", "style"))
    rows = run.benchmark(("all",), tmp_path / "sim", tmp_path / "all", config)
    assert {r["what"].partition(",")[0] for r in rows} == {"composer"}
    assert "left out: the task style needs" in caplog.text


def test_answers_are_drawn(melody: Material, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")
    from scoresim.benchmark.task_pictures import confidence, draw_task

    shown = melody.parts["test"]
    truth = piecewise.labels_of(melody, "test")
    piece = np.repeat(np.arange(2), [len(p) for p in shown])
    scores = np.log(np.full((len(truth), 3), 0.1, dtype=np.float32) + 0.7 * np.eye(3, dtype=np.float32)[truth])
    scores[:5] = scores[:5][:, [1, 2, 0]]
    said = Answers(truth, scores, piece, piece)
    right = 1 - 5 / len(truth)
    assert metrics.calibration_error(*confidence(said)) == pytest.approx(abs(right - 0.8), abs=1e-6)
    made = draw_task(tmp_path, "melody", said, melody.classes, shown)
    kinds = ("confusion.svg", "reliability.svg", "classes.svg", "best.png", "worst.png")
    assert [one["file"] for one in made] == [f"melody-{kind}" for kind in kinds]
    assert (tmp_path / made[0]["file"]).read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "100.0 % of its notes right" in made[3]["caption"]
    with Image.open(tmp_path / made[3]["file"]) as best, Image.open(tmp_path / made[4]["file"]) as worst:
        for picture in (best, worst):
            assert picture.width >= 2 * min(line.width for p in shown for line in p.lines[:1])
        assert np.asarray(best.convert("RGB"), dtype=int).std(axis=2).max() > 20, "heads are coloured"
