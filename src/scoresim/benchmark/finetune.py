"""Train a head for a task, together with the model under it, and let it answer the test part once.

The state is chosen on the validation part; the test part is read after training has ended. What is left on
disk is enough to judge again without training: `finetune.json` (options, validation, figures), `answers.npz`
(truth, scores and work of every test item) and `tagger.safetensors` (weights); and, where the weights below the head
stay as they are (`rank`, `frozen`, `on`), `head.safetensors`: what stands on them, ready for use.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scoresim import checkpoint as checkpoints
from scoresim.benchmark import metrics, tasks
from scoresim.benchmark.beside import beside
from scoresim.benchmark.beside_notes import beside_notes, trained_before
from scoresim.benchmark.config import FinetuneConfig, Inputs, filled, recipe_of
from scoresim.benchmark.costs import cost
from scoresim.benchmark.parts import Parts, prepare, prepare_pieces
from scoresim.benchmark.played import asked_with
from scoresim.benchmark.states import blanked, keep
from scoresim.benchmark.task import Answers, Kept, PieceTask, Task, load_answers, save_answers
from scoresim.checkpoint import HeadConfig, head_stands, load_head, locate, save_head, weights_of
from scoresim.data import shards
from scoresim.data.batches import Passages, Windows, batch_config
from scoresim.errors import BadInput
from scoresim.files import locked, read_json, write_json
from scoresim.model.image_encoder import ImageInput
from scoresim.model.lowrank import add_low_rank, merge_low_rank
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM, SIZES
from scoresim.model.tagger import Known, Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.training.loop import TrainConfig, train
from scoresim.training.objectives import HeadObjective
from scoresim.training.state import load_weights, read_tensors, save_weights
from scoresim.understand.heads import Head

RESULT, ANSWERS, WEIGHTS, CONFIG = "finetune.json", "answers.npz", "tagger.safetensors", "config.json"
HEAD, READ = "head.safetensors", "read"


class Blanks(nn.Module):
    """A note-level tagger that is shown the times of notes alone: every attribute is hidden."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger = tagger

    def forward(self, notes: NoteInput | Known, image: ImageInput, window: Tensor | None = None) -> Tensor:
        """Logits [B, N, classes]."""
        out: Tensor = self.tagger(notes if isinstance(notes, Known) else blanked(notes), image, window)
        return out


def finetune(task: str, checkpoint: Path | None, out: Path, data: Path, config: FinetuneConfig) -> dict[str, Any]:
    """Fine-tune a checkpoint for a task, judge it on the test part; run again, it goes on or is done at once.

    Args:
        task: name of a learnt task.
        checkpoint: folder that `pretrain` wrote; None trains the same network from scratch.
        out: folder of the run.
        data: folder of the data set; for a task of whole pieces the folder that holds its sources.
        config: how.

    Returns:
        What is in `finetune.json`: options, validation, figures.

    Raises:
        BadInput: an unknown task, a damaged checkpoint, no data for the task, or a folder that holds another
        run.
    """
    asked = tasks.learnt(task)
    torch.manual_seed(config.seed)
    if checkpoint is None:
        sim, origin = SIM(SIZES[config.size], default_vocabulary().sizes), f"scratch {config.size}"
    else:
        sim, origin = checkpoints.load(locate(checkpoint)).model, weights_of(checkpoint)
    below = Head(*load_head(Path(config.on), sim, origin)) if config.on else None
    if below is not None:
        sim = below.tagger.sim
        merge_low_rank(sim)
    batches = batch_config(sim.config, config.batch_size)
    if isinstance(asked, PieceTask):
        material = asked_with(asked.of_sources(config.sources), data, out / "pieces", config)
        parts = prepare_pieces(material, batches, config)
    elif config.sources or config.played:
        raise BadInput(f"{task} is asked of a data set; --sources and --played are for tasks of whole pieces.")
    else:
        parts = prepare(asked, Kept(shards.open(data)), batches, config)
    return fit(parts, sim, origin, config, out, below=below)


def fit(
    parts: Parts,
    sim: SIM,
    origin: str,
    config: FinetuneConfig,
    out: Path,
    read: Path | None = None,
    below: Head | None = None,
) -> dict[str, Any]:
    """Fine-tune a model (it is changed) on prepared parts; see `finetune`.

    Args:
        origin: identity of the weights that it starts from.
        read: folder of what frozen weights have said of the pieces, for runs of a table, which leave no head; or None.
        below: the head that it stands on; the networks beside one for the same task are trained further.
    """
    torch.manual_seed(config.seed)
    config = resolved(parts, config)
    if config.rank and config.on:
        raise BadInput("a head stands on additions of its own (--rank) or on those of another (--on); choose one.")
    if config.rank:
        add_low_rank(sim, config.rank)
    on = head_stands(Path(config.on))[0] if config.on else ""
    if config.frozen or config.on:
        sim.requires_grad_(False)
    for part in sim.modules():
        if isinstance(part, nn.Dropout):
            part.p = config.dropout
    if config.context_width < 0:
        narrow = recipe_of(config, kind_of(parts.task)).narrow
        config = replace(config, context_width=sim.config.width // narrow if narrow > 1 else 0)
    if config.context_width % sim.config.heads:
        raise BadInput(
            f"context_width is {config.context_width}; it is a multiple of {sim.config.heads}, the model's heads."
        )
    level, classes = parts.task.level, len(parts.classes)
    tagger = Tagger(sim, level, classes, config.context, views=config.views, narrow=config.context_width)
    stands_on = f"{origin} with {on}" if on else origin
    if (config.frozen or config.on) and kept_result(out, asked_of(parts, stands_on, config)) is None:
        parts = known(parts, tagger, stands_on, config, read or out / READ)
    module = Blanks(tagger) if blank(parts.task, config.inputs) else tagger
    result = fit_module(parts, module, stands_on, config, out)
    ships = module is tagger and read is None and bool(config.frozen or config.rank or config.on)
    if ships and not (out / HEAD).is_file():
        load_weights(tagger, read_tensors(out / WEIGHTS)[0])  # a run that was killed here goes on without training
        about = head_config(parts, tagger, origin, config, result, out, below)
        save_head(out / HEAD, tagger, replace(about, on=on))
    shutil.rmtree(out / READ, ignore_errors=True)
    return result


def known(parts: Parts, tagger: Tagger, origin: str, config: FinetuneConfig, folder: Path) -> Parts:
    """The same parts, of which the weights under a tagger, which stay as they are, have said what they say."""
    tagger.to("cuda" if torch.cuda.is_available() else "cpu")
    hidden, notes = blank(parts.task, config.inputs), tagger.level == "note" or config.views > 0
    inputs, origin = "both" if hidden else config.inputs, f"{origin} {parts.identity}"

    def of(part: Passages) -> Passages:
        return keep(tagger, part, inputs, folder, origin, notes, hidden) if isinstance(part, Windows) else part

    return replace(parts, train=of(parts.train), valid=of(parts.valid), test=of(parts.test))


def head_config(
    parts: Parts,
    tagger: Tagger,
    origin: str,
    config: FinetuneConfig,
    result: dict[str, Any],
    out: Path,
    below: Head | None = None,
) -> HeadConfig:
    """What a trained head is for, with what answers beside it from now on; the validation part says how sure it is."""
    task = parts.task
    given, start = parts.material if config.inputs == "notes" else None, None
    said = parts.answers(tagger, "valid", config.inputs)
    if given is not None and task.level == "note" and isinstance(parts.train, Windows):
        weights = metrics.class_weights(parts.labels, len(parts.classes), given.task.balance)
        start = trained_before(below, given) if below is not None else None
        more = beside_notes(given, parts.train, weights, said, out / "counted", config.seed, start)
    else:  # confidence is right of pieces, which are what is answered for in use
        more = beside(given, said if task.level == "note" else said.by_piece(), config.notes)
    tagger.counted = more.counted
    begun = below.config if below is not None and start is not None else None  # what its networks have learnt from, too
    return HeadConfig(
        task=task.name,
        level=task.level,
        classes=parts.classes,
        inputs=config.inputs,
        hidden=tuple(task.hidden) if isinstance(task, PieceTask) else (),
        notes=(config.notes or task.notes) if isinstance(task, PieceTask) else 0,
        lines=config.lines,
        bars=not (isinstance(task, PieceTask) and "bar" in task.hidden),
        context=config.context,
        views=config.views,
        narrow=config.context_width,
        played=config.played or (begun is not None and begun.played),
        least=task.least if isinstance(task, PieceTask) and task.level == "sequence" else 1,
        rank=config.rank,
        temperature=more.temperature,
        rule=more.rule,
        rule_weight=more.weight,
        features=more.features,
        weights=origin,
        figures=(*result["figures"], *more.rows(given, load_answers(out / ANSWERS))),
        corpora=tuple(sorted({*parts.train.source.column("corpus"), *(begun.corpora if begun is not None else ())})),
    )


def fit_module(parts: Parts, module: nn.Module, origin: str, config: FinetuneConfig, out: Path) -> dict[str, Any]:
    """Train any module (it is changed) that reads what a `Tagger` reads, on prepared parts; see `finetune`.

    Args:
        module: (notes, image, window) -> logits, as those of a `Tagger`.
        origin: identity of the weights that it starts from.
    """
    config = resolved(parts, config)
    asked = asked_of(parts, origin, config)
    if (done := kept_result(out, asked)) is not None:
        return done
    write_json(out / CONFIG, asked)
    task, device = parts.task, "cuda" if torch.cuda.is_available() else "cpu"
    inputs = "both" if blank(task, config.inputs) else config.inputs
    balance = task.balance if isinstance(task, PieceTask) else config.balance
    objective = HeadObjective(
        task.name, inputs, torch.from_numpy(metrics.class_weights(parts.labels, len(parts.classes), balance))
    )
    settings = TrainConfig(
        steps=config.steps,
        lr=config.lr,
        warmup=max(config.steps // 10, 1),
        seed=config.seed,
        log_every=max(config.steps // 20, 1),
        validate_every=max(config.steps // max(config.validations, 1), 1),
        patience=config.patience,
        layer_decay=config.layer_decay,
        muon=config.muon,
        device=device,
    )

    def validate(trained: nn.Module) -> float:
        return parts.select(parts.answers(trained, "valid", inputs))

    with locked(out):
        state = train(module, [objective], parts.train, settings, out, validate, keep_best=True)
    save_weights(out / WEIGHTS, module)
    learnt = {"validation": state.best, "validated_at": state.best_step, "steps": state.step}
    result = conclude(parts, module, config, inputs, out, asked | learnt | cost(module, state.seconds))
    shutil.rmtree(out / "state", ignore_errors=True)
    return result


def asked_of(parts: Parts, origin: str, config: FinetuneConfig) -> dict[str, Any]:
    """What a fine-tuning is: the same asked again is not done again."""
    options = json.loads(json.dumps(asdict(config)))
    return {"task": parts.task.name, "origin": origin, "data_manifest_sha256": parts.identity, "finetune": options}


def conclude(
    parts: Parts, module: nn.Module, config: FinetuneConfig, inputs: str, out: Path, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Let what was learnt answer the test part, once; answers and result are left in the folder of the run.

    Args:
        inputs: what the module reads.
        about: what the result says besides: options, validation.
    """
    found = parts.answers(module, "test", inputs)
    elsewhere = parts.elsewhere(module, config, inputs)
    save_answers(out / ANSWERS, found)
    for name, said in elsewhere.items():
        save_answers(out / f"{name}-{ANSWERS}", said)
    result = {
        **about,
        "classes": list(parts.classes),
        "level": parts.task.level,
        "items": int((found.truth >= 0).sum()),
        "figures": [figure.row() for figure in parts.evaluate(found, elsewhere)],
    }
    write_json(out / RESULT, result)
    return result


def kept_result(out: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a folder holds of a run that was asked the same, None where it has not ended.

    Raises:
        BadInput: it holds another run.
    """
    if (out / CONFIG).is_file() and read_json(out / CONFIG) != asked:
        raise BadInput(f"{out} holds another fine-tuning; choose another folder, or remove this one.")
    if not ((out / RESULT).is_file() and (out / ANSWERS).is_file()):
        return None
    return dict(read_json(out / RESULT))


def kind_of(task: Task | PieceTask) -> str:
    """Which recipe a task is trained by."""
    return "passages" if isinstance(task, Task) else task.level


def resolved(parts: Parts, config: FinetuneConfig) -> FinetuneConfig:
    """The options of a fine-tuning with the recipe of its kind in the place of what nobody has said."""
    kind = kind_of(parts.task)
    recipe = recipe_of(config, kind)
    steps = max(round(recipe.epochs * parts.train.steps_per_epoch), recipe.steps)
    together = parts.train.config.batch_size if isinstance(parts.train, Windows) else 0
    asked = replace(config, steps=config.steps or steps, windows=config.windows or together)
    return filled(asked, kind)


def blank(task: Task | PieceTask, inputs: Inputs) -> bool:
    """Whether notes are given as blanks: a note-level task that is shown the image alone."""
    return task.level == "note" and inputs == "image"


def load_elsewhere(folder: Path, parts: Parts) -> dict[str, Answers]:
    """What `fit` has left of a head's answers about pieces of other sources, by name."""
    places = parts.material.elsewhere if parts.material is not None else ()
    return {place.name: load_answers(folder / f"{place.name}-{ANSWERS}") for place, _ in places}
