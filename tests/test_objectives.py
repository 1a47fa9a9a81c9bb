import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scoresim.data.batches import IGNORE, Batch, Passages, draw
from scoresim.data.rows import BatchConfig
from scoresim.data.synthetic import synthetic
from scoresim.model.note_encoder import NoteEncoder
from scoresim.model.sim import SHOWN, SIM, SIZES, Reading, SIMConfig
from scoresim.score.tokens import ATTRIBUTES, default_vocabulary
from scoresim.training.config import OBJECTIVE_NAMES, Size
from scoresim.training.masking import digests, hide
from scoresim.training.objectives import (
    MBAM,
    OBJECTIVES,
    SMC,
    SMM,
    Grounding,
    HeadObjective,
    Weighted,
    asked_bars,
    grounding,
    in_bars,
    same_notes,
    stands_among,
)
from scoresim.training.tally import means
from scoresim.training.world import ALONE


@pytest.fixture(scope="module")
def batch() -> Batch:
    return Passages(synthetic(16, seed=5)).batch(0, 0)


@pytest.fixture
def model() -> SIM:
    torch.manual_seed(0)
    return SIM(SIMConfig(width=16, layers=1, heads=2, stem_channels=(4, 4)), default_vocabulary().sizes)


def figures(objective: Any, model: Any, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
    """An objective's losses, and the means of what it counts."""
    losses, tally = objective(model, batch)
    return losses, means(tally, ALONE)


def test_names_in_the_options_are_the_objectives_and_sizes() -> None:
    assert tuple(OBJECTIVES) == OBJECTIVE_NAMES
    assert set(SIZES) == set(Size.__args__)  # type: ignore[attr-defined]


def test_mbam_reports_every_attribute_beside_the_majority(model: SIM, batch: Batch) -> None:
    losses, report = figures(MBAM(image_dropout=0.5), model, batch)
    assert set(losses) == {f"mbam/{name}" for name in ATTRIBUTES}
    assert all(loss.isfinite() for loss in losses.values())
    for name in ATTRIBUTES:
        assert {f"mbam/{name}", f"mbam/{name}/notes", f"mbam/{name}/majority"} <= set(report)
    assert report["mbam/program/majority"] == 1.0, "the made-up music has one program"
    assert all(0 <= value <= 1 for value in report.values())


def test_mbam_without_any_hidden_unit_is_a_loss_of_zero(model: SIM, batch: Batch) -> None:
    losses, report = figures(MBAM(mask_ratio=0.0), model, batch)
    assert sum(losses.values()).item() == 0  # type: ignore[union-attr]
    assert report == {}


def test_the_loss_of_pitch_counts_as_often_as_asked_and_no_other_does(model: SIM, batch: Batch) -> None:
    (once, report), (eight, same) = figures(MBAM(), model, batch), figures(MBAM(pitch=8.0), model, batch)
    assert report == same
    for name in ATTRIBUTES:
        times = 8 if name == "pitch" else 1
        torch.testing.assert_close(eight[f"mbam/{name}"], times * once[f"mbam/{name}"])


def test_mbam_counts_what_it_asks_attribute_by_attribute(model: SIM, batch: Batch) -> None:
    """Against the plain way: one attribute after the other, by its own mask."""
    objective = MBAM(image_dropout=0.4)
    losses, report = figures(objective, model, batch)
    assert batch.draws is not None
    shown, asked = hide(batch.notes, batch.bar, objective.mask_ratio, model.vocabulary_sizes, batch.draws.notes)
    seen = batch.draws.rows[:, 0] >= objective.image_dropout
    states = model(shown, batch.image._replace(mask=batch.image.mask & seen[:, None])).notes
    for k, name in enumerate(ATTRIBUTES):
        truth = batch.notes.ids[..., k][asked[..., k]]
        logits = model.one_attribute_logits(model.said(states)[asked[..., k]], k)
        torch.testing.assert_close(losses[f"mbam/{name}"], torch.nn.functional.cross_entropy(logits, truth) / 8)
        right, image = logits.argmax(-1) == truth, seen[:, None].expand_as(asked[..., k])[asked[..., k]]
        assert report[f"mbam/{name}"] == pytest.approx(right[image].float().mean().item())
        assert report[f"mbam/{name}/notes"] == pytest.approx(right[~image].float().mean().item())
        assert report[f"mbam/{name}/majority"] == pytest.approx((truth == truth.mode().values).float().mean().item())


class Watching(nn.Module):
    """Stands in for a model and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary_sizes = default_vocabulary().sizes
        self.note_encoder = NoteEncoder(self.vocabulary_sizes, 8)
        self.shown: list[Any] = []

    def forward(self, notes: Any, image: Any) -> Reading:
        self.shown.append((notes, image))
        rows = len((notes or image).mask)
        states = None if notes is None else torch.zeros(*notes.mask.shape, 4)
        return Reading(states, None, torch.zeros(rows, 4), torch.zeros(rows, 8, 4))

    def read_apart(self, notes: Any, image: Any) -> tuple[Reading, Reading]:
        return self(notes, None), self(None, image)

    def said(self, states: Tensor) -> Tensor:
        return states

    def one_attribute_logits(self, states: Tensor, attribute: int) -> Tensor:
        return torch.zeros(len(states), self.vocabulary_sizes[attribute])

    def match_logit(self, reading: Reading, _notes: Any, _image: Any, _flaws: Any) -> Tensor:
        return torch.zeros(len(reading.summary))

    def embed_notes(self, reading: Reading) -> Tensor:
        return torch.ones(len(reading.summary), 4) / 2

    embed_image = embed_notes

    def scale(self) -> Tensor:
        return torch.tensor(1.0)


def test_mbam_withholds_all_images_or_none(batch: Batch) -> None:
    watching = Watching()
    MBAM(image_dropout=1.0)(watching, batch)  # type: ignore[arg-type]
    MBAM(image_dropout=0.0)(watching, batch)  # type: ignore[arg-type]
    MBAM(inputs="notes")(watching, batch)  # type: ignore[arg-type]
    images = [image for _, image in watching.shown]
    assert not images[0].mask.any()
    assert torch.equal(images[1].mask, batch.image.mask)
    assert images[2] is None


def test_smm_shows_half_of_the_images_with_other_notes() -> None:
    many = Passages(synthetic(200, seed=5), BatchConfig(200)).batch(0, 0)
    assert (SMM(same_piece=0.5).choose(many) != torch.arange(200)).float().mean() == pytest.approx(0.5, abs=0.12)


def test_smm_takes_partners_of_the_grade_that_is_asked_for(batch: Batch) -> None:
    same_piece = SMM(same_piece=1.0).choose(batch)
    wrong = same_piece[same_piece != torch.arange(16)]
    own = batch.piece[same_piece != torch.arange(16)]
    assert (batch.piece[wrong] == own).all(), "all pieces have two passages here"
    other = SMM(same_piece=0.0).choose(batch)
    moved = other != torch.arange(16)
    assert (batch.piece[other][moved] != batch.piece[moved]).all()


def test_smm_never_calls_the_same_notes_a_false_match(batch: Batch) -> None:
    twins = batch.select(torch.zeros(8, dtype=torch.long))
    assert same_notes(twins.notes).all()
    twins.draws = draw(0, 0, np.arange(8), twins.bar.shape[1], 8)
    assert SMM().choose(twins).tolist() == list(range(8))
    assert torch.equal(same_notes(batch.notes), torch.eye(16, dtype=torch.bool))


def test_notes_are_the_same_where_a_picture_shows_them_alike(batch: Batch) -> None:
    """Whatever their loudness; and not where two of them change places."""
    twins = batch.select(torch.zeros(3, dtype=torch.long))
    ids = twins.notes.ids.clone()
    ids[1, :, SHOWN:] += 1
    first, second = ids[2, 0, 2].item(), ids[2, 1, 2].item()
    ids[2, 0, 2], ids[2, 1, 2] = second, first if first != second else first + 1
    same = same_notes(twins.notes._replace(ids=ids))
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    swapped = torch.tensor([[64, 60, 60, 64], [60, 64, 64, 60]])  # sums of places times pitches agree
    assert len(set(digests(swapped).tolist())) == 2


def test_a_batch_for_asking_is_refused(model: SIM, batch: Batch) -> None:
    with pytest.raises(ValueError, match="no random numbers"):
        MBAM()(model, replace(batch, draws=None))


def test_smm_reports_by_grade(model: SIM, batch: Batch) -> None:
    losses, report = figures(SMM(), model, batch)
    assert losses["smm"].item() == pytest.approx(0.7, abs=0.4)
    assert {"smm", "smm/matched"} <= set(report)


def test_smc_counts_ties_against_us(batch: Batch) -> None:
    _, report = figures(SMC(), Watching(), batch)
    assert report == {"smc/image_to_notes": 0.0, "smc/notes_to_image": 0.0}


def test_smc_begins_at_chance(model: SIM, batch: Batch) -> None:
    losses, _ = SMC()(model, batch)
    assert 0.5 < losses["smc"].item() < 12


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
@pytest.mark.parametrize("none", [IGNORE, -1])
def test_head_ignores_what_has_no_label(batch: Batch, shape: tuple[int, ...], none: int) -> None:
    rows = batch.select(torch.arange(4))
    labels = torch.zeros(shape, dtype=torch.long)
    labels[0] = none
    rows.labels["y"] = labels

    class Sure(nn.Module):
        def forward(self, _notes: Any, _image: Any, _window: Any) -> Tensor:
            logits = torch.zeros(*shape, 2)
            logits[..., 0] = 20.0
            logits[0, ..., 1] = 99.0
            return logits

    losses, report = figures(HeadObjective("y", class_weights=torch.tensor([1.0, 3.0])), Sure(), rows)
    assert losses["y"].item() == pytest.approx(0, abs=1e-6)
    assert report["y"] == 1.0


def test_head_without_any_label_is_a_loss_of_zero(batch: Batch) -> None:
    rows = batch.select(torch.arange(2))
    rows.labels["y"] = torch.full((2,), IGNORE)

    class Flat(nn.Module):
        def forward(self, _notes: Any, _image: Any, _window: Any) -> Tensor:
            return torch.zeros(2, 3)

    losses, report = figures(HeadObjective("y"), Flat(), rows)
    assert losses["y"].item() == 0
    assert report == {}


@pytest.fixture(scope="module")
def with_altered() -> Batch:
    return Passages(synthetic(16, seed=5), vocabulary=default_vocabulary()).batch(0, 0)


def test_smm_shows_altered_bars_as_their_own_grade(model: SIM, with_altered: Batch) -> None:
    _, report = figures(SMM(altered=1.0), model, with_altered)
    assert set(report) == {"smm", "smm/matched", "smm/altered"}
    watching = Watching()
    SMM(altered=1.0)(watching, with_altered)  # type: ignore[arg-type]
    shown, _ = watching.shown[0]
    changed = (shown.ids != with_altered.notes.ids).flatten(1).any(1)
    assert 4 <= changed.sum() <= 12, "half of the images are shown with altered notes, the others with their own"
    assert (shown.ids == with_altered.altered.ids).flatten(1).all(1)[changed].all()  # type: ignore[union-attr]


def test_a_note_stands_on_the_picture_when_it_begins_sounds_and_lasts_as_one_there(with_altered: Batch) -> None:
    own, altered = with_altered.notes, with_altered.altered
    assert altered is not None
    shown = stands_among(altered, own, default_vocabulary().sizes)
    for b in range(len(with_altered)):
        there = {tuple(note[:4]) for note in own.ids[b][own.mask[b]].tolist()}
        mask = altered.mask[b]
        assert shown[b][mask].tolist() == [tuple(note[:4]) in there for note in altered.ids[b][mask].tolist()]
        wrong_bars = with_altered.bar[b][mask & ~shown[b]].unique()
        assert len(wrong_bars) == 1, "one bar is altered"
    assert stands_among(own, own, default_vocabulary().sizes)[own.mask].all()
    louder = own._replace(ids=own.ids + torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
    assert stands_among(louder, own, default_vocabulary().sizes)[own.mask].all(), "loudness is not printed"


def test_smm_asks_each_note_whether_it_stands_on_the_picture(model: SIM, with_altered: Batch) -> None:
    plain, _ = SMM(altered=1.0)(model, with_altered)
    losses, report = figures(SMM(altered=1.0, each=2.0), model, with_altered)
    assert set(losses) == {"smm", "smm/each"}
    assert losses["smm"].item() == pytest.approx(plain["smm"].item())
    assert losses["smm/each"].item() == pytest.approx(2 * math.log(2), abs=0.6)
    assert {"smm/notes_shown", "smm/notes_not_shown"} <= set(report)


def test_smm_takes_the_most_similar_partner_that_contrast_has_found(batch: Batch) -> None:
    hard = replace(batch, similarity=torch.arange(16.0).expand(16, 16))
    source = SMM(same_piece=0.0, hard=1.0).choose(hard)
    false = source != torch.arange(16)
    best = [max(j for j in range(16) if batch.piece[j] != batch.piece[i]) for i in range(16)]
    assert source[false].tolist() == [best[i] for i in false.nonzero().flatten().tolist()]


def test_smc_in_chunks_has_the_same_loss_and_gradients(model: SIM, batch: Batch) -> None:
    gradients = []
    for chunk in (0, 5):
        model.zero_grad()
        losses, _ = SMC(chunk)(model, replace(batch))
        losses["smc"].backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-6)


def test_grounding_of_a_perfect_pointer_and_of_none(model: SIM, batch: Batch) -> None:
    class Perfect:
        def __call__(self, _notes: Any, _image: Any) -> Reading:
            return Reading(None, None, torch.zeros(16, 4), torch.zeros(16, 8, 4))

        def point(self, _reading: Reading, _bar: Tensor, mask: Tensor, most: int) -> Tensor:
            bars = torch.arange(most)
            right = batch.cell_bar[:, None, :] == bars[None, :, None]
            return torch.where(right, 30.0, 0.0).masked_fill(~mask[:, None], -torch.inf)

    losses, report = figures(Grounding(), Perfect(), batch)
    assert report["ground/peak"] == report["ground/iou"] == 1.0
    assert 0.1 < report["ground/chance"] < 0.6
    uniform = Grounding()(model, batch)[0]["ground"].item()
    assert losses["ground"].item() < uniform


def test_grounding_without_any_box_is_a_loss_of_zero(model: SIM, batch: Batch) -> None:
    losses, report = figures(Grounding(), model, replace(batch, cell_bar=torch.full_like(batch.cell_bar, -1)))
    assert losses["ground"].item() == 0
    assert report == {}
    losses["ground"].backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("ratio", [0.05, 0.5])
def test_mbam_covers_the_image_over_some_hidden_bars_only(batch: Batch, ratio: float) -> None:
    watching = Watching()
    MBAM(image_dropout=0.0, image_cover=1.0, mask_ratio=ratio, shares=(1.0, 0.0))(watching, batch)  # type: ignore[arg-type]
    shown, image = watching.shown[0]
    hidden = (shown.ids == 1).any(-1)
    gone = batch.image.mask & ~image.mask
    assert (gone <= in_bars(batch.cell_bar, batch.bar, hidden)).all(), "bars of which nothing is hidden stay"
    whole, covered = 0, 0
    for b in range(16):
        for bar in range(int(batch.bar[b].max()) + 1):
            cells = batch.cell_bar[b] == bar
            if hidden[b, batch.bar[b] == bar].any() and cells.any():
                assert image.mask[b, cells].all() or not image.mask[b, cells].any(), "a bar is covered or it is not"
                whole += bool(image.mask[b, cells].all())
                covered += not image.mask[b, cells].any()
    assert whole and covered


def test_matching_asks_for_bars_of_its_own_rows(model: SIM, batch: Batch) -> None:
    losses, report = figures(SMM(ground=2.0), model, batch)
    alone, _ = SMM()(model, batch)
    assert losses["smm"].item() == alone["smm"].item()
    own = SMM().choose(batch) == torch.arange(16)
    with torch.no_grad():
        wanted, tally = grounding(model, model(batch.notes, batch.image), batch, asked_bars(batch, own))
    pointing = means(tally, ALONE)
    assert losses["ground"].item() == pytest.approx(2 * wanted.item(), rel=1e-5)
    assert {name: report[name] for name in pointing} == pytest.approx(pointing)


def test_weights_scale_losses_and_nothing_else(model: SIM, batch: Batch) -> None:
    losses, report = figures(SMM(), model, batch)
    weighted, same = figures(Weighted(SMM(), 0.25), model, batch)
    assert weighted["smm"].item() == pytest.approx(0.25 * losses["smm"].item())
    assert same == report
