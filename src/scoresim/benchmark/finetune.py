"""Train a head for a task, together with the model under it, and let it answer the test part once.

The state is chosen on the validation part; the test part is read after training has ended. What is left on
disk is enough to judge again without training: `finetune.json` (options, validation, figures), `answers.npz`
(truth, scores and work of every test item) and `tagger.safetensors` (weights).
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scoresim import checkpoint as checkpoints
from scoresim.benchmark import metrics, tasks
from scoresim.benchmark.config import FinetuneConfig, Inputs
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.task import Answers, Data, Kept, Task, View, some
from scoresim.data import shards
from scoresim.data.batches import IGNORE, Passages, batch_config
from scoresim.data.pair import Pair
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.files import read_json, replacing, write_json
from scoresim.model.image_encoder import ImageInput
from scoresim.model.note_encoder import NoteInput
from scoresim.model.sim import SIM, SIZES
from scoresim.model.tagger import Tagger
from scoresim.score.tokens import MASK, Vocabulary
from scoresim.training.loop import TrainConfig, train
from scoresim.training.objectives import HeadObjective
from scoresim.training.state import save_weights

RESULT, ANSWERS, WEIGHTS, CONFIG = "finetune.json", "answers.npz", "tagger.safetensors", "config.json"
READ_AT_ONCE = 64

_logger = logging.getLogger("scoresim")


class Blanks(nn.Module):
    """A note-level tagger that is shown the times of notes alone: every attribute is hidden."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger = tagger

    def forward(self, notes: NoteInput, image: ImageInput) -> Tensor:
        """Logits [B, N, classes]."""
        ids = notes.mask[..., None].long().expand_as(notes.ids) * MASK
        out: Tensor = self.tagger(notes._replace(ids=ids), image)
        return out


@dataclass(frozen=True, eq=False)
class Parts:
    """A data set as a learnt task asks for it.

    Attributes:
        task: the task.
        classes: names of the classes.
        train, valid, test: the passages of each part.
        labels: classes of all items of the training part.
        identity: of the data set.
    """

    task: Task
    classes: tuple[str, ...]
    train: Passages
    valid: Passages
    test: Passages
    labels: Ints
    identity: str


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


def finetune(task: str, checkpoint: Path | None, out: Path, data: Path, config: FinetuneConfig) -> dict[str, Any]:
    """Fine-tune a checkpoint for a task, judge it on the test part; run again, it goes on or is done at once.

    Args:
        task: name of a learnt task.
        checkpoint: folder that `pretrain` wrote; None trains the same network from scratch.
        out: folder of the run.
        data: folder of the data set.
        config: how.

    Returns:
        What is in `finetune.json`: options, validation, figures.

    Raises:
        BadInput: an unknown task, a damaged checkpoint, no data for the task, or a folder that holds another
        run.
    """
    asked = tasks.learnt(task)
    pairs = Kept(shards.open(data))
    torch.manual_seed(config.seed)
    if checkpoint is None:
        vocabulary = Vocabulary.from_json(pairs.manifest["vocabulary"])
        sim, origin = SIM(SIZES[config.size], vocabulary.sizes), f"scratch {config.size}"
    else:
        sim, origin = checkpoints.load(folder_of(checkpoint)).model, weights_of(checkpoint)
    parts = prepare(asked, pairs, batch_config(sim.config, config.batch_size), config)
    return fit(parts, sim, origin, config, out)


def fit(parts: Parts, sim: SIM, origin: str, config: FinetuneConfig, out: Path) -> dict[str, Any]:
    """Fine-tune a model (it is changed) on prepared parts; see `finetune`.

    Args:
        origin: identity of the weights that it starts from.
    """
    asked = {
        "task": parts.task.name,
        "origin": origin,
        "data_manifest_sha256": parts.identity,
        "finetune": json.loads(json.dumps(asdict(config))),
    }
    if (out / CONFIG).is_file() and read_json(out / CONFIG) != asked:
        raise BadInput(f"{out} holds another fine-tuning; choose another folder, or remove this one.")
    if (out / RESULT).is_file() and (out / ANSWERS).is_file():
        done: dict[str, Any] = read_json(out / RESULT)
        return done
    write_json(out / CONFIG, asked)
    task, device = parts.task, "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(config.seed)
    tagger: nn.Module = Tagger(sim, task.level, len(parts.classes))
    if blank(task, config.inputs):
        tagger = Blanks(tagger)  # type: ignore[arg-type]
    inputs = "both" if blank(task, config.inputs) else config.inputs
    objective = HeadObjective(task.name, inputs, class_weights(parts.labels, len(parts.classes), config.balance))
    settings = TrainConfig(
        steps=config.steps,
        lr=config.lr,
        warmup=max(config.steps // 10, 1),
        seed=config.seed,
        log_every=max(config.steps // 20, 1),
        validate_every=max(config.steps // max(config.validations, 1), 1),
        device=device,
    )

    def validate(module: nn.Module) -> float:
        return task.select(predict(module, parts.valid, inputs, task))

    state = train(tagger, [objective], parts.train, settings, out, validate, keep_best=True)
    answers = predict(tagger, parts.test, inputs, task)
    save_weights(out / WEIGHTS, tagger)
    save_answers(out / ANSWERS, answers)
    result = {
        **asked,
        "classes": list(parts.classes),
        "level": task.level,
        "validation": state.best,
        "validated_at": state.best_step,
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "items": len(answers.truth),
        "figures": figures_of(task, answers),
    }
    write_json(out / RESULT, result)
    shutil.rmtree(out / "state", ignore_errors=True)
    return result


def predict(module: nn.Module, passages: Passages, inputs: str, task: Task) -> Answers:
    """What a trained head says about all passages, read in batches of like size; padding is left out."""
    device = next(module.parameters()).device
    order = np.argsort(passages.size, kind="stable")
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(order), READ_AT_ONCE):
            batch = passages.gather(order[start : start + READ_AT_ONCE]).to(device)
            logits = module(*batch.inputs(inputs)).float().cpu().numpy()
            labels = batch.labels[task.name].cpu().numpy()
            for b, i in enumerate(batch.index.tolist()):
                truth, said = np.atleast_1d(labels[b]), np.atleast_2d(logits[b])
                found[i] = truth[truth != IGNORE], said[truth != IGNORE]
    works, _ = metrics.groups_of(passages.source.column("work"))
    rows = range(len(passages))
    return Answers(
        truth=np.concatenate([found[i][0] for i in rows]).astype(np.int64),
        scores=np.concatenate([found[i][1] for i in rows]).astype(np.float32),
        work=np.concatenate([np.full(len(found[i][0]), works[i]) for i in rows]),
    )


def class_weights(labels: Ints, classes: int, balance: float) -> Tensor:
    """[classes] share of each class to the power of minus `balance`, with mean 1 over the items."""
    share = np.maximum(np.bincount(labels, minlength=classes), 1) / max(len(labels), 1)
    weights = share**-balance
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def blank(task: Task, inputs: Inputs) -> bool:
    """Whether notes are given as blanks: a note-level task that is shown the image alone."""
    return task.level == "note" and inputs == "image"


def figures_of(task: Task, answers: Answers) -> list[dict[str, Any]]:
    """The task's figures with their intervals over works."""
    found = []
    for figure in task.evaluate(answers):
        score = metrics.with_interval(figure.tables[None], figure.statistic)
        interval = [round(score.low, 6), round(score.high, 6)]
        found.append({"what": figure.what, "metric": figure.metric, "value": round(score.value, 6)})
        found[-1] |= {"ci95": interval, "n": score.n}
    return found


def save_answers(path: Path, answers: Answers) -> None:
    """Write answers as plain arrays, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, truth=answers.truth, scores=answers.scores, work=answers.work)


def load_answers(path: Path) -> Answers:
    """Read what `save_answers` wrote.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Answers(arrays["truth"], arrays["scores"], arrays["work"])
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} is damaged ({error}); remove its folder and run again.") from error


def folder_of(checkpoint: Path) -> Path:
    """The checkpoint's own folder, given it or the folder of the run that made it."""
    inner = checkpoint / "checkpoint"
    return inner if (inner / checkpoints.CONFIG).is_file() else checkpoint


def weights_of(checkpoint: Path) -> str:
    """Identity of a checkpoint's weights."""
    return str(read_json(folder_of(checkpoint) / checkpoints.CONFIG).get("weights_sha256", ""))
