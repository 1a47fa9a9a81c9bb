"""Train a head for a task, together with the model under it, and let it answer the test part once.

The state is chosen on the validation part; the test part is read after training has ended. What is left on
disk is enough to judge again without training: `finetune.json` (options, validation, figures), `answers.npz`
(truth, scores and work of every test item) and `tagger.safetensors` (weights); and, where the weights below the head
stay as they are (`rank`, `frozen`, `on`), `head.safetensors`: what stands on them, ready for use.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scoresim import checkpoint as checkpoints
from scoresim.benchmark import metrics, tasks
from scoresim.benchmark.beside import beside
from scoresim.benchmark.beside_notes import beside_notes
from scoresim.benchmark.config import FinetuneConfig, Inputs, filled, recipe_of
from scoresim.benchmark.costs import cost
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.piecewise import PARTS, Material, answers, in_keys, labels_of, windows
from scoresim.benchmark.played import asked_with
from scoresim.benchmark.states import blanked, keep
from scoresim.benchmark.task import Answers, Data, Figure, Kept, PieceTask, Task, View, load_answers, save_answers, some
from scoresim.checkpoint import HeadConfig, head_stands, load_head, locate, save_head, weights_of
from scoresim.data import shards
from scoresim.data.batches import Passages, Windows, batch_config
from scoresim.data.pair import Pair
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.files import read_json, write_json
from scoresim.model.image_encoder import ImageInput
from scoresim.model.lowrank import add_low_rank, merge_low_rank
from scoresim.model.note_encoder import NoteInput
from scoresim.model.precision import reading
from scoresim.model.sim import SIM, SIZES
from scoresim.model.tagger import Known, Tagger
from scoresim.score.tokens import default_vocabulary
from scoresim.training.loop import TrainConfig, train
from scoresim.training.objectives import HeadObjective
from scoresim.training.state import load_weights, read_tensors, save_weights

RESULT, ANSWERS, WEIGHTS, CONFIG = "finetune.json", "answers.npz", "tagger.safetensors", "config.json"
HEAD, READ = "head.safetensors", "read"
READ_AT_ONCE = 64


class Blanks(nn.Module):
    """A note-level tagger that is shown the times of notes alone: every attribute is hidden."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger = tagger

    def forward(self, notes: NoteInput | Known, image: ImageInput, window: Tensor | None = None) -> Tensor:
        """Logits [B, N, classes]."""
        out: Tensor = self.tagger(notes if isinstance(notes, Known) else blanked(notes), image, window)
        return out


@dataclass(frozen=True, eq=False)
class Parts:
    """A data set as a learnt task asks for it.

    Attributes:
        task: the task.
        classes: names of the classes.
        train, valid, test: the passages, or the windows of pieces, of each part.
        labels: classes of all items of the training part.
        identity: of the data set.
        material: the pieces, of a task of whole pieces.
    """

    task: Task | PieceTask
    classes: tuple[str, ...]
    train: Passages
    valid: Passages
    test: Passages
    labels: Ints
    identity: str
    material: Material | None = None

    def answers(self, module: nn.Module, part: str, inputs: str) -> Answers:
        """What a trained head says about a part."""
        asked: Passages = getattr(self, part)
        if isinstance(asked, Windows) and self.material is not None:
            return answers(module, asked, self.material.parts[part], inputs)
        return predict(module, asked, inputs, self.task.name, self.task.level)

    def select(self, found: Answers) -> float:
        """The figure that chooses among states."""
        return self.task.select(found) if isinstance(self.task, Task) else self.task.select(found, self.classes)

    def evaluate(self, found: Answers, elsewhere: Mapping[str, Answers] | None = None) -> list[Figure]:
        """All figures; those of the pieces of other sources last, where their answers are given."""
        if isinstance(self.task, Task):
            return self.task.evaluate(found)
        figures = self.task.evaluate(found, self.classes)
        for place in self.task.elsewhere:
            if elsewhere is not None and place.name in elsewhere:
                figures += self.task.evaluate(elsewhere[place.name], self.classes, place)
        return figures

    def elsewhere(self, module: nn.Module, config: FinetuneConfig, inputs: str) -> dict[str, Answers]:
        """What a trained head says about the pieces of other sources, by name, of a task that names some."""
        found = {}
        for place, material in self.material.elsewhere if self.material is not None else ():
            asked = windows(material, "test", self.test.config, config)
            found[place.name] = answers(module, asked, material.parts["test"], inputs)
        return found


def prepare(task: Task, data: Data, batches: BatchConfig, config: FinetuneConfig) -> Parts:
    """The passages of a data set that a task can ask, as tensors with labels.

    Raises:
        BadInput: a part has no passage for this task.
    """
    classes = task.classes(data.split("train"))
    passages: dict[str, Passages] = {}
    views: dict[str, View] = {}
    most = {"train": 0, "valid": config.max_valid, "test": config.max_test}

    def labels(pair: Pair) -> dict[str, Any]:
        found = task.labels(pair, classes)
        return {task.name: found if task.level == "note" else int(found[0])}

    for part, limit in most.items():
        split = data.split(part)
        views[part] = View(split, some(task.rows(split, classes), limit, seed=0))
        if not views[part].rows:
            raise BadInput(f"the {part} part has no passage for the task {task.name}; build a larger data set.")
        passages[part] = Passages(views[part], batches, labels)
    train = np.concatenate([task.labels(pair, classes) for pair in views["train"]])
    identity = hashlib.sha256(json.dumps(data.manifest, sort_keys=True).encode()).hexdigest()
    return Parts(task, classes, passages["train"], passages["valid"], passages["test"], train, identity)


def prepare_pieces(material: Material, batches: BatchConfig, config: FinetuneConfig) -> Parts:
    """The windows of a task of whole pieces, as tensors with labels."""
    if config.augment and config.inputs == "notes":
        material = in_keys(material)
    parts = {part: windows(material, part, batches, config) for part in PARTS}
    labels = labels_of(material, "train")
    identity = f"{material.identity} {config.notes or material.task.notes}"
    return Parts(material.task, material.classes, **parts, labels=labels, identity=identity, material=material)


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
    if config.on:
        sim = load_head(Path(config.on), sim, origin)[0].sim
        merge_low_rank(sim)
    batches = batch_config(sim.config, config.batch_size)
    if isinstance(asked, PieceTask):
        material = asked_with(asked.of_sources(config.sources), data, out / "pieces", config)
        parts = prepare_pieces(material, batches, config)
    elif config.sources or config.played:
        raise BadInput(f"{task} is asked of a data set; --sources and --played are for tasks of whole pieces.")
    else:
        parts = prepare(asked, Kept(shards.open(data)), batches, config)
    return fit(parts, sim, origin, config, out)


def fit(
    parts: Parts, sim: SIM, origin: str, config: FinetuneConfig, out: Path, read: Path | None = None
) -> dict[str, Any]:
    """Fine-tune a model (it is changed) on prepared parts; see `finetune`.

    Args:
        origin: identity of the weights that it starts from.
        read: folder of what frozen weights have said of the pieces, for runs of a table, which leave no head; or None.
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
        about = head_config(parts, tagger, origin, config, result, out)
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
    parts: Parts, tagger: Tagger, origin: str, config: FinetuneConfig, result: dict[str, Any], out: Path
) -> HeadConfig:
    """What a trained head is for, with what answers beside it from now on; the validation part says how sure it is."""
    task = parts.task
    given = parts.material if config.inputs == "notes" else None
    said = parts.answers(tagger, "valid", config.inputs)
    if given is not None and task.level == "note" and isinstance(parts.train, Windows):
        weights = metrics.class_weights(parts.labels, len(parts.classes), given.task.balance)
        more = beside_notes(given, parts.train, weights, said, out / "counted", config.seed)
    else:
        more = beside(given, said, config.notes)
    tagger.counted = more.counted
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
        played=config.played,
        rank=config.rank,
        temperature=more.temperature,
        rule=more.rule,
        rule_weight=more.weight,
        features=more.features,
        weights=origin,
        figures=(*result["figures"], *more.rows(given, load_answers(out / ANSWERS))),
        corpora=tuple(sorted(set(parts.train.source.column("corpus")))),
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


def predict(module: nn.Module, passages: Passages, inputs: str, task: str, level: str) -> Answers:
    """What a trained head says about all passages, read in batches of like size; padding is left out."""
    device = next(module.parameters()).device
    order = np.argsort(passages.size, kind="stable")
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    module.eval()
    with reading(device):
        for start in range(0, len(order), READ_AT_ONCE):
            batch = passages.gather(order[start : start + READ_AT_ONCE]).to(device)
            logits = module(*batch.inputs(inputs)).float().cpu().numpy()
            labels = batch.labels[task].cpu().numpy()
            for b, i in enumerate(batch.index.tolist()):
                truth, said = np.atleast_1d(labels[b]), np.atleast_2d(logits[b])
                found[i] = truth[truth >= 0], said[truth >= 0]
    works, _ = metrics.groups_of(passages.source.column("work"))
    rows = range(len(passages))
    return Answers(
        truth=np.concatenate([found[i][0] for i in rows]).astype(np.int64),
        scores=np.concatenate([found[i][1] for i in rows]).astype(np.float32),
        work=np.concatenate([np.full(len(found[i][0]), works[i]) for i in rows]),
    )


def blank(task: Task | PieceTask, inputs: Inputs) -> bool:
    """Whether notes are given as blanks: a note-level task that is shown the image alone."""
    return task.level == "note" and inputs == "image"


def load_elsewhere(folder: Path, parts: Parts) -> dict[str, Answers]:
    """What `fit` has left of a head's answers about pieces of other sources, by name."""
    places = parts.material.elsewhere if parts.material is not None else ()
    return {place.name: load_answers(folder / f"{place.name}-{ANSWERS}") for place, _ in places}
