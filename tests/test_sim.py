import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scoresim.data.batches import Batch, Passages, batch_config, draw
from scoresim.data.synthetic import synthetic
from scoresim.model import image_encoder, layers, sim
from scoresim.model.image_encoder import ImageEncoder, ImageInput
from scoresim.model.layers import Block
from scoresim.model.note_encoder import NoteInput, chord_ranks
from scoresim.model.sim import PLACES, SIM, SIZES, SIMConfig, at_places
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.training.objectives import MBAM, SMC, SMM, Grounding
from scoresim.training.pretrain import compile_blocks

MICRO = SIMConfig(width=32, layers=2, heads=4, stem_channels=(4, 8), embedding=32)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return next(Passages(synthetic(6, seed=3)).sequential())


@pytest.fixture
def model() -> SIM:
    torch.manual_seed(0)
    return SIM(MICRO, default_vocabulary().sizes).eval()


def padded(batch: Batch, notes: int, cells: int, below: int, right: int) -> tuple[NoteInput, ImageInput]:
    """The same inputs with more padding in all directions, and rubbish where padding is masked."""
    B = len(batch)
    ids = torch.cat([batch.notes.ids, torch.randint(2, 40, (B, notes, 8))], 1)
    mask = torch.cat([batch.notes.mask, torch.zeros(B, notes, dtype=torch.bool)], 1)
    time = torch.cat([batch.notes.time, torch.rand(B, notes)], 1)
    old = batch.image.ink.shape[2] // MICRO.patch_width
    index = batch.image.cells // old * (old + right) + batch.image.cells % old
    image = ImageInput(
        torch.nn.functional.pad(batch.image.ink, (0, MICRO.patch_width * right, 0, MICRO.patch_height * below)),
        torch.cat([index, torch.zeros(B, cells, dtype=torch.long)], 1),
        torch.cat([batch.image.mask, torch.zeros(B, cells, dtype=torch.bool)], 1),
        torch.cat([batch.image.place, torch.rand(B, cells, 2)], 1),
    )
    return NoteInput(ids, mask, time), image


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 1, 3), ("small", 5, 7), ("base", 85, 110)])
def test_sizes_are_as_promised(name: str, low: float, high: float) -> None:
    with torch.device("meta"):
        model = SIM(SIZES[name], default_vocabulary().sizes)
    assert low <= sum(p.numel() for p in model.parameters()) / 1e6 <= high


@pytest.mark.parametrize("which", ["notes", "image", "both"])
def test_reads_each_input_alone_and_both(model: SIM, batch: Batch, which: str) -> None:
    notes, image = batch.inputs(which)
    reading = model(notes, image)
    assert reading.summary.shape == (6, 32)
    assert (reading.notes is None) == (which == "image")
    assert (reading.cells is None) == (which == "notes")
    if reading.notes is not None:
        assert reading.notes.shape == (*batch.notes.mask.shape, 32)
        assert (reading.notes[~batch.notes.mask] == 0).all()
    assert [logits.shape[-1] for logits in model.attribute_logits(torch.zeros(2, 32))] == list(
        default_vocabulary().sizes
    )


def test_nothing_to_read_is_an_error(model: SIM) -> None:
    with pytest.raises(ValueError, match="nothing to read"):
        model(None, None)


@pytest.mark.parametrize("which", ["notes", "image", "both"])
def test_padding_changes_nothing(model: SIM, batch: Batch, which: str) -> None:
    notes, image = padded(batch, notes=5, cells=7, below=2, right=3)
    plain = model(*batch.inputs(which))
    wide = model(None if which == "image" else notes, None if which == "notes" else image)
    torch.testing.assert_close(wide.summary, plain.summary, atol=1e-5, rtol=1e-4)
    if plain.notes is not None:
        torch.testing.assert_close(wide.notes[:, : plain.notes.shape[1]], plain.notes, atol=1e-5, rtol=1e-4)
    if plain.cells is not None:
        torch.testing.assert_close(wide.cells[:, : plain.cells.shape[1]], plain.cells, atol=1e-5, rtol=1e-4)


def test_rows_do_not_see_each_other(model: SIM, batch: Batch) -> None:
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    moved = model(*batch.select(order).inputs("both"))
    torch.testing.assert_close(moved.summary, model(*batch.inputs("both")).summary[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(64, 16), (64, 800), (512, 48), (192, 208)])
def test_any_picture_size(model: SIM, height: int, width: int) -> None:
    cells = torch.arange(height // MICRO.patch_height * (width // MICRO.patch_width))[None]
    place = torch.rand(1, cells.shape[1], 2)
    image = ImageInput(torch.rand(1, height, width), cells, torch.ones_like(cells, dtype=torch.bool), place)
    assert model(None, image).cells.shape == (1, cells.shape[1], 32)


def test_a_picture_without_ink_and_a_passage_without_notes_are_read(model: SIM) -> None:
    none = torch.zeros(2, 1, dtype=torch.bool)
    notes = NoteInput(torch.zeros(2, 1, 8, dtype=torch.long), none, torch.zeros(2, 1))
    image = ImageInput(torch.zeros(2, 64, 16), torch.zeros(2, 1, dtype=torch.long), none, torch.zeros(2, 1, 2))
    for inputs in ((notes, None), (None, image), (notes, image)):
        assert torch.isfinite(model(*inputs).summary).all()


def test_a_withheld_image_is_not_seen(model: SIM, batch: Batch) -> None:
    dark = batch.image._replace(mask=torch.zeros_like(batch.image.mask))
    other = dark._replace(ink=255 - dark.ink, place=torch.rand_like(dark.place))
    assert torch.equal(model(batch.notes, dark).notes, model(batch.notes, other).notes)
    torch.testing.assert_close(model(batch.notes, dark).notes, model(batch.notes, None).notes, atol=1e-5, rtol=1e-4)


def test_gradient_reaches_every_parameter(batch: Batch) -> None:
    torch.manual_seed(0)
    model = SIM(MICRO, default_vocabulary().sizes)
    batch.draws = draw(0, 0, np.arange(len(batch)), batch.bar.shape[1], len(batch))
    sum(sum(objective(model, batch)[0].values()) for objective in (MBAM(), SMM(), SMC(), Grounding())).backward()  # type: ignore[union-attr]
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_read_apart_is_each_read_alone(model: SIM, batch: Batch) -> None:
    of_notes, of_image = model.read_apart(batch.notes, batch.image)
    alone, image_alone = model(batch.notes, None), model(None, batch.image)
    close = {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(of_notes.summary, alone.summary, **close)
    torch.testing.assert_close(of_notes.notes, alone.notes, **close)
    torch.testing.assert_close(of_image.summary, image_alone.summary, **close)
    torch.testing.assert_close(of_image.cells, image_alone.cells, **close)
    assert of_notes.cells is None
    assert of_image.notes is None


@pytest.mark.parametrize("which", ["notes", "both", "apart"])
def test_rows_of_like_length_read_apart_are_read_the_same(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """States and gradients, whether rows go through the blocks in groups or all together."""
    monkeypatch.setattr(layers, "GROUP", 1)
    torch.manual_seed(0)
    model = SIM(MICRO, default_vocabulary().sizes)
    batch = Passages(synthetic(24, 5), batch_config(model.config, 24)).gather(np.arange(24))
    found = []
    for grouped in (True, False):
        model.grouped = grouped
        model.zero_grad()
        notes, image = batch.inputs("notes" if which == "notes" else "both")
        assert notes is not None
        readings = model.read_apart(notes, batch.image) if which == "apart" else (model(notes, image),)
        states = [part for reading in readings for part in reading if part is not None]
        sum(part.pow(2).sum() for part in states).backward()  # type: ignore[union-attr]
        gradients = [model.summary.grad, model.blocks[0].qkv.weight.grad]  # type: ignore[union-attr]
        found.append([*states, *(gradient.clone() for gradient in gradients if gradient is not None)])
    assert len(layers.of_like_length(batch.notes.mask)) > 2
    assert len(found[0]) == len(found[1]) > 4
    for ours, wanted in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("staves", [True, False])
def test_one_look_serves_all_readings(staves: bool) -> None:
    torch.manual_seed(0)
    model = SIM(replace(MICRO, staves=staves), default_vocabulary().sizes).eval()
    image = Passages(synthetic(6, 3), batch_config(model.config, 6)).gather(np.arange(6)).image
    seen = image._replace(seen=model.look(image), ink=torch.zeros_like(image.ink))
    assert torch.equal(model(None, seen).cells, model(None, image).cells)


@pytest.mark.parametrize(("staves", "across", "pictures"), [(True, 8, 3), (False, 8, 70), (True, 24, 70)])
def test_pictures_of_few_sizes_look_the_same(
    staves: bool, across: int, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder((16, across), (4, 8), 24, strips=staves)
    image = ImageInput(
        ink=torch.randint(0, 256, (pictures, 32, 5 * across), dtype=torch.uint8),
        cells=torch.randint(0, 10, (pictures, 4)),
        mask=torch.ones(pictures, 4, dtype=torch.bool),
        place=torch.zeros(pictures, 4, 2),
    )
    as_it_is = encoder.look(image)
    monkeypatch.setattr(image_encoder, "EVENED", ("cpu",))
    torch.testing.assert_close(encoder.look(image), as_it_is)


def test_what_comes_back_to_the_stem_is_in_its_own_order() -> None:
    """Or GELU's backward pass takes ten times as long; the gradient is the same."""
    torch.manual_seed(0)
    encoder = ImageEncoder((16, 8), (4, 8), 24, strips=True)
    image = ImageInput(
        ink=torch.randint(0, 256, (3, 32, 40), dtype=torch.uint8),
        cells=torch.randint(0, 10, (3, 4)),
        mask=torch.ones(3, 4, dtype=torch.bool),
        place=torch.zeros(3, 4, 2),
    )
    came: list[torch.Tensor] = []
    encoder.stem[-1].register_full_backward_hook(lambda _module, _into, out: came.extend(out))
    encoder.look(image).pow(2).sum().backward()
    assert came[0].is_contiguous(memory_format=torch.channels_last)


def test_rows_with_room_that_none_needs_read_the_same(
    model: SIM, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is = model(batch.notes, batch.image)
    for module in (layers, sim):
        monkeypatch.setattr(module, "room_for", lambda tokens, _: -(-tokens // 64) * 64)
    for found, wanted in zip(model(batch.notes, batch.image), as_it_is, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_staff_is_looked_at_alone(model: SIM, batch: Batch) -> None:
    image = batch.image
    lowest = int(image.cells[0].max()) // (image.ink.shape[2] // 8)
    darker = image.ink.clone()
    darker[0, lowest * 64 :] = 1.0
    other = model.look(image._replace(ink=darker))
    above = image.mask[0] & (image.cells[0] // (image.ink.shape[2] // 8) < lowest)
    assert torch.equal(other[0, above], model.look(image)[0, above])
    assert not torch.equal(other[0, image.mask[0] & ~above], model.look(image)[0, image.mask[0] & ~above])


def test_recomputing_blocks_changes_no_gradient(batch: Batch) -> None:
    torch.manual_seed(0)
    model = SIM(MICRO, default_vocabulary().sizes)
    gradients = []
    for model.recompute in (False, True):
        model.zero_grad()
        model(batch.notes, batch.image).summary.sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.filterwarnings("ignore")  # of torch's compiler
@pytest.mark.slow
def test_compiled_blocks_read_and_learn_the_same(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced in one piece, for all lengths at once; what makes kernels of it is left out, which takes a minute."""
    whole = torch.nn.Module.compile
    monkeypatch.setattr(Block, "compile", lambda block, **how: whole(block, backend="aot_eager", fullgraph=True, **how))
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = SIM(MICRO, default_vocabulary().sizes)
        if compiled:
            compile_blocks(model)
        summaries = [model(*batch.inputs(which)).summary for which in ("notes", "both")]
        sum(summary.pow(2).sum() for summary in summaries).backward()  # type: ignore[union-attr]
        found.append([*summaries, model.blocks[0].qkv.weight.grad])
    for ours, wanted in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=1e-4)


def test_embeddings_are_unit_vectors(model: SIM, batch: Batch) -> None:
    for vectors in (model.embed_notes(model(batch.notes, None)), model.embed_image(model(None, batch.image))):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))


def test_places_are_means_of_what_is_near() -> None:
    states = torch.eye(3)[None]
    places = at_places(states, torch.tensor([[1 / 16, 1 / 16, 15 / 16]]), torch.ones(1, 3, dtype=torch.bool))
    assert places.shape == (1, PLACES, 3)
    torch.testing.assert_close(places[0, 0], torch.tensor([0.5, 0.5, 0.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(places[0, -1], torch.tensor([0.0, 0.0, 1.0]), atol=1e-3, rtol=0)
    assert (places[0, 4] < 0.05).all(), "nothing stands in the middle"


def test_one_flaw_among_many_decides(model: SIM, batch: Batch) -> None:
    reading = model(batch.notes, batch.image)
    model.flaw = torch.nn.Sequential(torch.nn.Linear(32, 1, bias=False))
    torch.nn.init.ones_(model.flaw[0].weight)
    clean = reading._replace(notes=torch.zeros_like(reading.notes), cells=torch.zeros_like(reading.cells))
    flawed = clean.notes.clone()
    flawed[2, 1] = 1.0
    before = model.match_logit(clean, batch.notes, batch.image)
    after = model.match_logit(clean._replace(notes=flawed), batch.notes, batch.image)
    tokens = batch.notes.mask[2].sum() + batch.image.mask[2].sum()
    assert (before[2] - after[2]).item() == pytest.approx(32 - math.log(tokens), abs=1e-3)
    others = torch.arange(6) != 2
    assert torch.equal(before[others], after[others])
    with pytest.raises(ValueError, match="notes and image together"):
        model.match_logit(model(batch.notes, None), batch.notes, batch.image)


def test_a_note_that_masked_modeling_does_not_expect_is_doubted(model: SIM, batch: Batch) -> None:
    reading = model(batch.notes, batch.image)
    torch.nn.init.ones_(model.doubt)
    expected = model.attribute_logits(reading.notes)[2].argmax(dim=-1)
    ids = batch.notes.ids.clone()
    ids[..., 2] = expected
    odd = ids.clone()
    odd[..., 2] = torch.where(expected == 60, 61, 60)
    believed, doubted = (model.note_flaws(reading, batch.notes._replace(ids=some)) for some in (ids, odd))
    assert believed.shape == batch.notes.mask.shape
    assert (doubted > believed)[batch.notes.mask].all()
    with pytest.raises(ValueError, match="notes and image together"):
        model.note_flaws(model(batch.notes, None), batch.notes)


def test_one_attribute_costs_one_attribute_and_says_the_same(model: SIM) -> None:
    states = torch.randn(3, 32)
    for k, logits in enumerate(model.attribute_logits(states)):
        torch.testing.assert_close(model.one_attribute_logits(model.said(states), k), logits)


def test_chord_ranks_count_notes_of_one_onset() -> None:
    ids = torch.full((1, 5, 8), 2)
    ids[0, :, 1] = torch.tensor([2, 2, 2, 9, 2])
    mask = torch.tensor([[True, True, True, True, False]])
    below, above = chord_ranks(NoteInput(ids, mask, torch.zeros(1, 5)))
    assert below[0, :4].tolist() == [0, 1, 2, 0]
    assert above[0, :4].tolist() == [2, 1, 0, 0]


def test_tagger_names_passages_and_notes(model: SIM, batch: Batch) -> None:
    assert Tagger(model, "sequence", 5)(None, batch.image).shape == (6, 5)
    assert Tagger(model, "note", 3)(batch.notes, batch.image).shape == (*batch.notes.mask.shape, 3)
    with pytest.raises(ValueError, match="needs notes"):
        Tagger(model, "note", 3)(None, batch.image)
    with pytest.raises(ValueError, match="level"):
        Tagger(model, "bar", 3)


@pytest.mark.parametrize(
    "field", [{"width": 30}, {"layers": 0}, {"layers": 10**9}, {"stem_channels": ()}, {"dropout": 1.5}]
)
def test_impossible_shapes_are_refused(field: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(field))):
        SIMConfig(**field)  # type: ignore[arg-type]


def test_a_note_and_a_cell_glance_at_each_other_only_where_both_are_shown(model: SIM, batch: Batch) -> None:
    """The glance adds what stands beside a token; a withheld image adds the same as a blank one, and no NaN."""
    notes, image = batch.inputs("both")
    assert notes is not None and image is not None
    withheld = image._replace(mask=torch.zeros_like(image.mask))
    first, second = model(notes, withheld), model(notes, withheld._replace(ink=255 - image.ink))
    assert torch.isfinite(first.summary).all()
    torch.testing.assert_close(first.notes, second.notes)
    near = model.glance(*[torch.zeros(1, 1, 32), torch.tensor([[0.5]]), torch.ones(1, 1, dtype=torch.bool)],
        torch.eye(32)[None, :2], torch.tensor([[0.5, 0.9]]), torch.ones(1, 2, dtype=torch.bool))[0]  # fmt: skip
    wanted = model.glance.to_notes(torch.eye(32)[:1])
    torch.testing.assert_close(near[0], wanted, atol=1e-3, rtol=1e-3)


def test_pointing_needs_both_inputs_and_never_points_to_padding(model: SIM, batch: Batch) -> None:
    with pytest.raises(ValueError, match="notes and image together"):
        model.point(model(batch.notes, None), batch.bar, batch.image.mask)
    logits = model.point(model(batch.notes, batch.image), batch.bar, batch.image.mask)
    assert logits.shape == (len(batch), int(batch.bar.max()) + 1, batch.image.mask.shape[1])
    assert torch.equal(logits.isfinite().all(1), batch.image.mask)
