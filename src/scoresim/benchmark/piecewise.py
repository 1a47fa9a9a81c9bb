"""Tasks of whole pieces: from the files of a data set to windows with classes, and from logits to answers."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from scoresim.benchmark import metrics
from scoresim.benchmark.config import FinetuneConfig, Recipe, filled, recipe_of
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.task import Answers, Elsewhere, PieceTask
from scoresim.data import corpora
from scoresim.data.batches import Windows
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot, protected, split_works
from scoresim.data.pieces import Piece, pieces
from scoresim.data.rows import BatchConfig, Row
from scoresim.data.seen import PITCH
from scoresim.data.similar import fingerprint, group, near_duplicates
from scoresim.data.windows import Segment, Segments, Window, cut, moved
from scoresim.errors import BadInput
from scoresim.model.precision import reading
from scoresim.score.tokens import FIRST
from scoresim.understand.heads import answers as windows_said
from scoresim.understand.heads import blended

TRANSPOSED = (-5, 6)  # semitones, both included
HURRIED = (-2, 2)  # twelfths of doubling the tempo
PARTS = ("train", "valid", "test")
KEYS_LEARNT = 4  # in which a training piece is learnt from, where its class moves with it

_logger = logging.getLogger("scoresim")


@dataclass(frozen=True, eq=False)
class Material:
    """The pieces of a task, read once for all systems.

    Attributes:
        task: the task.
        classes: names of its classes.
        parts: pieces of the training, validation and test part.
        identity: of these pieces and their parts.
        elsewhere: pieces of other sources, each as a task with a test part alone.
        content: identity of the same pieces whether they are engraved or not.
    """

    task: PieceTask
    classes: tuple[str, ...]
    parts: dict[str, list[Piece]]
    identity: str
    elsewhere: tuple[tuple[Elsewhere, Material], ...] = ()
    content: str = ""

    def label(self, piece: Piece) -> Ints | int:
        """Class of the piece, or [N] of its notes."""
        return self.task.label(piece, self.classes)

    @property
    def learnt_content(self) -> str:
        """As `content`, with the keys in which training pieces are learnt from (`in_keys`)."""
        return self.content if self.task.turned is None else f"{self.content} in {KEYS_LEARNT} keys"


def root_of(name: str, data: Path) -> Path | None:
    """Folder of a source: under its name in a folder, else in its default place, else anywhere in the folder."""
    find = corpora.get(name).find
    return find(data / name) or find(None) or find(data)


def present(asked: PieceTask | Elsewhere, data: Path) -> bool:
    """Whether the files of all sources of a task are in a folder, or in their default places."""
    return all(root_of(name, data) is not None for name in asked.corpora)


def asked(task: PieceTask, data: Path) -> dict[str, list[tuple[Item, str]]]:
    """The items of every source of a task, each with its part.

    Where sources share works, a work stands in one part, whichever source it is in: where a data set of these sources
    puts it before it looks for copies. Where a source comes without the parts that a task wants, as its authors publish
    it, every work goes by its lot.

    Args:
        task: what is asked.
        data: folder that holds its sources, each under its name.

    Raises:
        BadInput: a source is not there.
    """
    items: dict[str, list[Item]] = {}
    for name in task.corpora:
        root = root_of(name, data)
        if root is None:
            raise BadInput(f"the task {task.name} needs {name}, which is not in {data}. {task.obtain}")
        some = list(corpora.get(name).items(root))
        if not any(task.part(item) for item in some):
            some = [replace(item, split=by_lot(item.work)) for item in some]
        items[name] = some
    split = split_works([item for some in items.values() for item in some]) if task.shared else {}
    return {
        name: [(item, split.get(item.work, part)) for item in some if (part := task.part(item)) is not None]
        for name, some in items.items()
    }


def without_copies(parts: dict[str, list[Piece]]) -> dict[str, list[Piece]]:
    """The pieces, without those that hold the music of a piece in a more protected part under another name."""
    every = [(part, piece) for part in PARTS for piece in parts[part]]
    pairs = near_duplicates([fingerprint(piece.onset, piece.ids[:, PITCH] - FIRST) for _, piece in every])
    groups = group(len(every), pairs)
    most = dict.fromkeys(groups, PARTS[0])
    for name, (part, _) in zip(groups, every, strict=True):
        most[name] = protected([part, most[name]])
    kept: dict[str, list[Piece]] = {part: [] for part in PARTS}
    for name, (part, piece) in zip(groups, every, strict=True):
        if part == most[name]:
            kept[part].append(piece)
    _logger.info("%d pieces are copies of held-out ones and left out", len(every) - sum(map(len, kept.values())))
    return kept


def gather(task: PieceTask, data: Path, folder: Path, images: bool = True, workers: int = 2) -> Material:
    """Read the pieces of a task; where it asks some of its sources alone (`task.kept`), the others say the parts.

    Args:
        task: what is asked.
        data: folder that holds its sources, each under its name.
        folder: where pieces are kept from one call to the next.
        images: whether they are engraved.
        workers: processes.

    Raises:
        BadInput: a source is not there, a part has no piece, or pictures are wanted of a task that shows none.
    """
    if images and not task.pictured:
        raise BadInput(f"{task.name} has no picture that may be seen: it is asked of notes alone (--inputs notes).")
    parts: dict[str, list[Piece]] = {part: [] for part in PARTS}
    for name, items in asked(task, data).items():
        part_of = {item.id: part for item, part in items}
        for piece in pieces(name, [item for item, _ in items], folder, images, workers):
            if len(piece):
                parts[part_of[piece.id]].append(piece if task.prepared is None else task.prepared(piece))
    if task.shared:
        parts = without_copies(parts)
    if task.kept:
        parts = {part: [piece for piece in some if piece.corpus in task.kept] for part, some in parts.items()}
    classes = task.classes if isinstance(task.classes, tuple) else task.classes(parts["train"])
    parts = {part: [p for p in some if np.max(task.label(p, classes)) >= 0] for part, some in parts.items()}
    for part, some in parts.items():
        if not some:
            of = f" of {', '.join(task.kept)}" if task.kept else ""
            raise BadInput(f"the {part} part{of} has no piece for the task {task.name}. {task.obtain}")
    content = [
        [part, p.corpus, p.id, p.work, hashlib.sha256(p.ids.tobytes() + _truth(task, p, classes)).hexdigest()]
        for part in PARTS
        for p in parts[part]
    ]
    identity, same = (
        hashlib.sha256(json.dumps([task.name, classes, *engraved, content]).encode()).hexdigest()
        for engraved in ([images], [])
    )
    whole = Material(task, tuple(classes), parts, identity, content=same)
    return replace(whole, elsewhere=_elsewhere(whole, data, folder, images, workers))


def _truth(task: PieceTask, piece: Piece, classes: Sequence[str]) -> bytes:
    """What is the truth of a piece: answers that are kept belong to it."""
    return np.asarray(task.label(piece, classes), dtype=np.int64).tobytes()


def _elsewhere(
    material: Material, data: Path, folder: Path, images: bool, workers: int
) -> tuple[tuple[Elsewhere, Material], ...]:
    """The pieces of other sources that are there; a source that is not is left out, with a warning in the log."""
    found = []
    for place in material.task.elsewhere:
        some: list[Piece] = []
        if not present(place, data):
            _logger.warning("%s is not asked of %s, which is not in %s", material.task.name, place.name, data)
            continue
        for name in place.corpora:
            root = root_of(name, data)
            items = [item for item in corpora.get(name).items(root) if place.asked(item)] if root is not None else []
            some += [piece for piece in pieces(name, items, folder, images, workers) if len(piece)]
        some = [piece for piece in some if np.max(place.label(piece, material.classes)) >= 0]
        if some:
            task = replace(material.task, label=place.label, elsewhere=())
            found.append((place, replace(material, task=task, parts={"test": some})))
    return tuple(found)


def in_keys(material: Material) -> Material:
    """The same, of a task that knows the class of a transposed piece: training pieces in `KEYS_LEARNT` keys.

    The lines of a transposed piece are those of the piece: their pictures are not to be seen.
    """
    turned = material.task.turned
    if turned is None:
        return material
    lots = np.random.default_rng(0)
    some = material.parts["train"]
    moves = [(lots.permutation(np.arange(1, 12))[: KEYS_LEARNT - 1] + 5) % 12 - 5 for _ in some]
    new = [
        turned(piece, int(steps)) for one in zip(*moves, strict=True) for piece, steps in zip(some, one, strict=True)
    ]
    parts, identity = {**material.parts, "train": some + new}, f"{material.identity} in {KEYS_LEARNT} keys"
    return replace(material, parts=parts, identity=identity, content=material.learnt_content)


def windows(material: Material, part: str, batches: BatchConfig, config: FinetuneConfig) -> Windows:
    """The windows of a part with their classes. Those of the training part overlap by half, and are varied.

    Notes that are asked are seen in two windows wherever that can be; windows that are asked do not overlap.
    """
    task, some = material.task, material.parts[part]
    segments, found = cut_part(material, part, config.notes)
    together = config.windows or of_a_step(found, recipe_of(config, task.level))
    config = filled(config, task.level)
    note_level = task.level == "note"

    def marks(piece: Piece) -> Ints:
        return np.asarray(material.label(piece))

    source = Segments(some, segments, task.hidden, marks if note_level else None)
    classes = None if note_level else np.array([material.label(some[w.piece]) for w in found], dtype=np.int64)
    alone = config.inputs == "notes"
    shown = replace(batches, batch_size=together, images=not alone, lines=config.lines)
    varied = part == "train" and config.augment and (task.hurries or (task.transposes and alone))

    def change(rows: Sequence[Row], chance: np.random.Generator) -> list[Row]:
        steps = int(chance.integers(TRANSPOSED[0], TRANSPOSED[1] + 1)) if task.transposes and alone else 0
        faster = int(chance.integers(HURRIED[0], HURRIED[1] + 1)) if task.hurries else 0
        return [replace(row, ids=moved(row.ids, steps, faster)) for row in rows]

    return Windows(source, found, shown, task.name, classes, change if varied else None)


def of_a_step(found: Sequence[Window], recipe: Recipe) -> int:
    """How many windows are read in a step: so many that they have about the recipe's notes, at most its windows."""
    if not recipe.notes:
        return recipe.windows
    mean = sum(window.end - window.first for window in found) / len(found)
    return max(1, min(recipe.windows, round(recipe.notes / mean)))


def cut_part(material: Material, part: str, notes: int = 0) -> tuple[list[Segment], list[Window]]:
    """The segments and windows of a part, as `windows` asks them.

    Args:
        notes: of a window; 0 is the task's own number.
    """
    task = material.task
    size = notes or task.notes
    hop = size if task.level == "sequence" and part != "train" else max(size // 2, 1)
    least = task.least if task.level == "sequence" else 1
    lines = "bar" not in task.hidden  # else a line would tell where bars begin
    return cut(material.parts[part], size, hop, least, whole=task.level == "note", bars=lines)


def labels_of(material: Material, part: str) -> Ints:
    """Classes of all items of a part: of its notes, or of its pieces."""
    return np.concatenate([np.atleast_1d(material.label(piece)) for piece in material.parts[part]])


def answers(module: nn.Module, asked: Windows, pieces_asked: Sequence[Piece], inputs: str) -> Answers:
    """What a trained head says about all windows; a note that stands in two gets the weighted mean of both."""
    groups, _ = metrics.groups_of([piece.work for piece in pieces_asked])
    module.eval()
    device = next(module.parameters()).device
    with reading(device):
        [scores] = windows_said(lambda *batch: [module(*batch)], asked, inputs, device)
    if asked.classes is not None:
        piece = np.array([window.piece for window in asked.windows], dtype=np.int64)
        return Answers(asked.classes, np.concatenate(scores), groups[piece], piece)
    lengths = [len(piece) for piece in pieces_asked]
    piece = np.repeat(np.arange(len(lengths)), lengths)
    truth = np.concatenate(asked.segments.marks or []).astype(np.int64)
    return Answers(truth, np.concatenate(blended(asked.windows, scores, lengths)), groups[piece], piece)
