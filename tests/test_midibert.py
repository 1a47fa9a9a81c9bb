from __future__ import annotations

import pathlib
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scoresim.benchmark import midibert
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.finetune import fit_module
from scoresim.benchmark.midibert import NEW, SAME, MidiBert, with_new_bars
from scoresim.benchmark.parts import prepare_pieces
from scoresim.benchmark.piecewise import Material
from scoresim.benchmark.tasks import melody
from scoresim.data.pieces import Piece
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.model.note_encoder import NoteInput
from scoresim.score.tokens import FIRST, GRID, MASK

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed (extra bench)"
)


def notes(rows: int = 4, seed: int = 0) -> NoteInput:
    """Segments of 3 to 6 notes, padded."""
    torch.manual_seed(seed)
    mask = torch.arange(6) < torch.tensor([6, 3, 5, 4])[:rows, None]
    ids = torch.randint(FIRST, 30, (rows, 6, 8)) * mask[..., None]
    return NoteInput(ids, mask, torch.linspace(0, 0.9, 6).expand(rows, 6) * mask)


def tiny(level: str, classes: int = 3) -> MidiBert:
    torch.manual_seed(0)
    return MidiBert(level, classes, width=32, layers=1, heads=2).eval()


@needs_transformers
def test_a_note_is_heard_in_its_window_only() -> None:
    some, window = notes(), torch.tensor([0, 0, 1, 1])
    other = some._replace(ids=some.ids.clone())
    other.ids[0, 2, 2] = 77
    with torch.no_grad():
        for level in ("note", "sequence"):
            model = tiny(level)
            change = (model(some, None, window) - model(other, None, window)).abs().flatten(1).sum(1)
            if level == "note":
                assert (change[:2] > 0).all() and (change[2:] == 0).all()
            else:
                assert change[0] > 0 and change[1] == 0


@needs_transformers
def test_segments_of_a_window_are_read_as_one_sequence() -> None:
    some, window = notes(), torch.tensor([0, 0, 1, 1])
    kept = [some.ids[rows][some.mask[rows]] for rows in (slice(0, 2), slice(2, 4))]  # all notes of each window
    times = [some.time[rows][some.mask[rows]] for rows in (slice(0, 2), slice(2, 4))]
    model = tiny("note")
    with torch.no_grad():
        said = model(some, None, window)
        assert said.shape == (4, 6, 3)
        assert (said[~some.mask] == 0).all()
        for number, rows in enumerate((slice(0, 2), slice(2, 4))):
            mask = torch.ones(1, len(kept[number]), dtype=torch.bool)
            alone = model(NoteInput(kept[number][None], mask, times[number][None]), None)
            torch.testing.assert_close(said[rows][some.mask[rows]], alone[0])


@needs_transformers
def test_padding_and_neighbours_do_not_change_a_sequence() -> None:
    some, window = notes(), torch.tensor([0, 0, 1, 1])
    model = tiny("sequence")
    with torch.no_grad():
        both = model(some, None, window)
        first = model(NoteInput(*(part[:2] for part in some)), None, torch.tensor([0, 0]))
        second = model(NoteInput(*(part[2:] for part in some)), None, torch.tensor([0, 0]))
    assert both.shape == (2, 3)
    torch.testing.assert_close(both, torch.cat([first, second]))


@needs_transformers
def test_a_long_window_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midibert, "LONGEST", 4)
    some, window = notes(), torch.tensor([0, 0, 1, 1])
    other = some._replace(ids=some.ids.clone())
    other.ids[0, 5, 2] = 77  # the second of the notes 4 to 7 of its window
    model = tiny("note")
    with torch.no_grad():
        change = (model(some, None, window) - model(other, None, window)).abs().sum(-1) > 0
    assert change.nonzero().tolist() == [[0, 4], [0, 5], [1, 0], [1, 1]]
    with torch.no_grad():
        assert tiny("sequence")(some, None, window).isfinite().all()


def test_bars_are_new_or_go_on() -> None:
    #       a window of five notes, the last on a new line with the same bar number, and one of two, hidden at the end
    ids = torch.full((7, 8), FIRST)
    ids[:, 0] = FIRST + torch.tensor([0, 0, 1, 1, 1, 1, 0])
    ids[6, 0] = MASK
    time = torch.tensor([0.0, 0.2, 0.5, 0.5, 0.1, 0.3, 0.4])
    slot = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    out = with_new_bars(ids, time, slot)
    assert out[:, 0].tolist() == [NEW, SAME, NEW, SAME, NEW, NEW, MASK]
    assert (out[:, 1:] == ids[:, 1:]).all()


@needs_transformers
def test_it_learns_a_simple_task() -> None:
    some, window = notes(), torch.tensor([0, 0, 1, 1])
    model = tiny("note", 2).train()
    truth = (some.ids[..., 2] > 15).long()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(30):
        loss = F.cross_entropy(model(some, None, window)[some.mask], truth[some.mask])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (model.eval()(some, None, window).argmax(-1) == truth)[some.mask].all()


def song(seed: int) -> Piece:
    """Two tracks: high notes on the beat, low ones off it."""
    rng = np.random.default_rng(seed)
    count = 96
    track = np.arange(count) % 2 * 2
    onset = np.arange(count) * 0.5
    ids = np.full((count, 8), FIRST, dtype=np.int32)
    ids[:, 0] += (onset // 4).astype(np.int32)
    ids[:, 1] += (onset % 4 * GRID).astype(np.int32)
    ids[:, 2] += np.where(track == 0, 72, 48) + rng.integers(0, 8, count).astype(np.int32)
    ids[:, 3] += 11
    zero = np.zeros(count, dtype=np.int64)
    about = dict.fromkeys(("split", "style", "composer", "title"), "")
    arrays = {"bar": (onset // 4).astype(np.int64), "onset": onset, "bar_onset": 4.0 * np.arange(13)}
    columns = {"velocity": zero + 64, "track": track, "staff": zero, "voice": zero}
    names = ("MELODY", "BRIDGE", "PIANO")
    return Piece(str(seed), "made-up", str(seed), labels={}, ids=ids, tracks=names, **about, **arrays, **columns)


@needs_transformers
def test_it_is_fitted_as_our_own_heads_are(tmp_path: pathlib.Path) -> None:
    parts = {"train": [song(0), song(1)], "valid": [song(2)], "test": [song(3), song(4)]}
    material = Material(melody.TASK, melody.CLASSES, parts, "made up")
    config = FinetuneConfig(inputs="notes", steps=12, windows=2, notes=48, lr=3e-3, validations=2)
    prepared = prepare_pieces(material, BatchConfig(), config)
    model = MidiBert("note", 3, width=32, layers=1, heads=2)
    result = fit_module(prepared, model, "scratch MidiBERT", config, tmp_path)
    assert result["items"] == 192 and result["origin"] == "scratch MidiBERT"
    assert result["figures"][0]["value"] > 0.9
    assert fit_module(prepared, model, "scratch MidiBERT", config, tmp_path) == result
    with pytest.raises(BadInput, match="another fine-tuning"):
        fit_module(prepared, model, "another", config, tmp_path)


@needs_transformers
def test_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="reads notes"):
        tiny("note")(None, None)
    with pytest.raises(ValueError, match="level"):
        MidiBert("piece", 3)


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midibert, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="transformers"):
        MidiBert("note", 3)
