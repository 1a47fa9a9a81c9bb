import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM, SIMConfig
from scoresim.score.tokens import ATTRIBUTES, FIRST, MASK, default_vocabulary
from scoresim.training.masking import hidden_time, hide

SIZES = default_vocabulary().sizes
BARS = 6


def truth(rows: int, notes: int) -> tuple[NoteInput, torch.Tensor]:
    """Random notes, the last two of each row padding; BARS bars of equal share."""
    ids = torch.stack([torch.randint(FIRST, size, (rows, notes)) for size in SIZES], -1)
    mask = torch.ones(rows, notes, dtype=torch.bool)
    mask[:, -2:] = False
    bar = (torch.arange(notes) * BARS // notes).expand(rows, notes).clone()
    bar[~mask] = -1
    return NoteInput(ids * mask[..., None], mask, torch.rand(rows, notes)), bar


def test_shares_of_mask_random_and_kept() -> None:
    torch.manual_seed(0)
    notes, bar = truth(400, 30)
    hidden = hide(notes, bar, 0.3, SIZES, torch.rand(400, 30, 3, 8))
    asked, real = hidden.asked, notes.mask[..., None].expand_as(hidden.asked)
    shown, true = hidden.notes.ids[asked], notes.ids[asked]
    assert asked[real].float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (shown == MASK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (shown == true).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert (shown >= FIRST).float().mean().item() == pytest.approx(0.2, abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(3, 24), st.floats(0, 1), st.integers(0, 1000))
def test_units_are_bars_and_padding_is_left_alone(rows: int, count: int, ratio: float, seed: int) -> None:
    torch.manual_seed(seed)
    notes, bar = truth(rows, count)
    hidden = hide(notes, bar, ratio, SIZES, torch.rand(rows, count, 3, 8))
    assert not hidden.asked[~notes.mask].any()
    assert torch.equal(hidden.notes.ids[~hidden.asked], notes.ids[~hidden.asked])
    assert (hidden.notes.ids < torch.tensor(SIZES)).all()
    part = notes.ids[..., ATTRIBUTES.index("program")]
    for row in range(rows):
        for b, program in {(int(x), int(y)) for x, y in zip(bar[row], part[row], strict=True)}:
            unit = hidden.asked[row, (bar[row] == b) & (part[row] == program)]
            assert (unit == unit[:1]).all(), "all notes of a bar and part are asked, or none"


def test_one_attribute_of_every_bar_is_hidden_and_often_it_is_pitch() -> None:
    torch.manual_seed(0)
    notes, bar = truth(400, 24)
    single = torch.arange(400) % 2 == 0
    hidden = hide(notes, bar, 0.5, SIZES, torch.rand(400, 24, 3, 8), single=single, often=10.0)
    asked = hidden.asked[single]
    assert (asked.sum(dim=-1) == notes.mask[single]).all(), "exactly one attribute of every note"
    share = asked[..., ATTRIBUTES.index("pitch")][notes.mask[single]].float().mean().item()
    assert share == pytest.approx(10 / 17, abs=0.03)
    others = hidden.asked[~single][notes.mask[~single]].float().mean().item()
    assert others == pytest.approx(0.5, abs=0.03), "of the others a share of all"


def test_parts_of_a_bar_are_hidden_apart_and_shares_can_be_chosen() -> None:
    torch.manual_seed(0)
    notes, bar = truth(300, 24)
    notes.ids[..., ATTRIBUTES.index("program")] = torch.where(notes.mask, FIRST + torch.arange(24) % 2, 0)
    hidden = hide(notes, bar, 0.5, SIZES, torch.rand(300, 24, 3, 8), (1.0, 0.0))
    assert (hidden.notes.ids[hidden.asked] == MASK).all(), "every chosen unit gets the mask"
    pitch = hidden.asked[:, :4, ATTRIBUTES.index("pitch")]  # four notes of the first bar, parts in turns
    assert (pitch[:, 0] == pitch[:, 2]).all() and (pitch[:, 1] == pitch[:, 3]).all()
    assert 0.3 < (pitch[:, 0] != pitch[:, 1]).float().mean() < 0.7


def test_the_truth_of_what_is_hidden_never_reaches_the_model() -> None:
    torch.manual_seed(0)
    notes, bar = truth(4, 20)
    draws = torch.rand(4, 20, 3, 8)
    first = hide(notes, bar, 0.5, SIZES, draws)
    replaced = first.asked & (first.notes.ids != notes.ids)
    other = torch.stack([torch.randint(FIRST, size, (4, 20)) for size in SIZES], -1)
    other[..., ATTRIBUTES.index("program")] = notes.ids[..., ATTRIBUTES.index("program")]  # it decides the units
    changed = notes._replace(ids=torch.where(replaced, other, notes.ids))
    lost = replaced[..., :2].any(-1)
    changed = changed._replace(time=torch.where(lost, torch.rand(4, 20), notes.time))
    second = hide(changed, bar, 0.5, SIZES, draws)
    model = SIM(SIMConfig(width=16, layers=1, heads=2, stem_channels=(4, 4)), SIZES).eval()
    assert replaced.any()
    assert torch.equal(model(first.notes, None).notes, model(second.notes, None).notes)


def test_time_does_not_tell_a_hidden_position() -> None:
    torch.manual_seed(1)
    notes, bar = truth(8, 20)
    shown = hide(notes, bar, 0.5, SIZES, torch.rand(8, 20, 3, 8)).notes
    gone = (shown.ids[..., [ATTRIBUTES.index("bar"), ATTRIBUTES.index("position")]] == MASK).any(-1)
    share = (torch.arange(20) / 18).expand(8, 20)
    assert torch.equal(shown.time[gone], share[gone])
    known = (shown.ids[..., :2] == notes.ids[..., :2]).all(-1)
    assert torch.equal(shown.time[known & notes.mask], notes.time[known & notes.mask])


def test_no_notes_at_all() -> None:
    notes, bar = truth(2, 2)
    assert not hide(notes, bar, 1.0, SIZES, torch.rand(2, 2, 3, 8)).asked.any()


def test_a_hidden_note_stands_in_the_row_of_lines_that_it_is_from() -> None:
    notes, _ = truth(2, 24)
    two = notes._replace(time=torch.linspace(0, 1.9, 24).expand(2, 24))  # two lines that are read as one
    gone = torch.zeros(2, 24, 8, dtype=torch.bool)
    gone[..., ATTRIBUTES.index("position")] = True
    found = hidden_time(two, gone)[:, :22]
    torch.testing.assert_close(found, 2 * torch.arange(22).expand(2, 22) / 22, atol=1e-6, rtol=0)
    one = notes._replace(time=torch.linspace(0, 0.99, 24).expand(2, 24))
    torch.testing.assert_close(hidden_time(one, gone)[:, :22], found / 2)
    assert torch.equal(hidden_time(two, torch.zeros_like(gone)), two.time)
