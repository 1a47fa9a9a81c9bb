"""A checkpoint: what a trained model needs to be used again, in a folder of two plain files.

    model.safetensors   the weights
    config.json         shape of the model, vocabulary and its hash, provenance, checksum of the weights

A head that was trained on it is a file of its own: what it adds to these weights, and what it is for.
Reading one executes nothing: no pickle. A folder that is damaged, foreign or hostile is refused with a sentence.
"""

import copy
import hashlib
import importlib.metadata
import json
import math
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_bytes
from torch import Tensor
from torch.overrides import TorchFunctionMode

from scoresim import __version__
from scoresim.errors import BadInput, in_short
from scoresim.files import nothing_else, read_json, replacing, sha256, write_json
from scoresim.model.counted import Counted, CountedNotes
from scoresim.model.lowrank import add_low_rank
from scoresim.model.sim import SIM, SIMConfig
from scoresim.model.tagger import Tagger
from scoresim.score.keys import KEYS, RULES
from scoresim.score.tokens import Vocabulary

FORMAT, HEAD_FORMAT = "scoresim checkpoint 1", "scoresim head 1"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
COUNTED = "hand-crafted features"  # what has learnt from them, as a rule beside a head
COUNTING = "counted."  # how the names of its tensors begin
MOST_COUNTED, MOST_MEMBERS, MOST_WIDE = 4096, 16, 256  # features, networks that read them, numbers of a note in each
WIDE = re.compile(r"counted\.(members\.\d+\.)?(mean$|scale$|rarity$|linear\.)")  # of these, in 32 bits
FILLING = ("normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "zero_", "zeros_", "fill_")  # a tensor
HEADS = "heads"  # folder of heads, beside the weights
AS_IT_IS = (1.0, 0.0)  # slope and shift of a match logit that nobody has calibrated
BUNDLED = Path(__file__).parent / "weights"
BUNDLED_NAME, HUB_NAME = re.compile(r"[a-z][a-z0-9-]*"), re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A checkpoint read from disk.

    Attributes:
        model: in evaluation mode, on the CPU.
        vocabulary: of its note tokens.
        provenance: what was saved with it: data, training config, seed, versions.
        weights: SHA-256 of the weights.
        half: whether they lay there in numbers of 16 bits.
        match: slope and shift of match logits, with which their probability is right on validation works.
    """

    model: SIM
    vocabulary: Vocabulary
    provenance: dict[str, Any]
    weights: str
    half: bool = False
    match: tuple[float, float] = AS_IT_IS


def save(
    folder: Path,
    model: SIM,
    vocabulary: Vocabulary,
    provenance: Mapping[str, Any],
    half: bool = False,
    heads: Path | None = None,
    match: tuple[float, float] = AS_IT_IS,
) -> None:
    """Write a checkpoint, whole or not at all; one that stands there is replaced.

    Args:
        folder: of the checkpoint, `.../checkpoint`.
        model: any device.
        vocabulary: its sizes are the model's.
        provenance: JSON values: data manifest hash, training config, seed. Versions are added.
        half: write numbers of 16 bits, for weights that are shipped; what is read is 32 bits wide in any case.
        heads: folder of heads that come along, those that stand on these very weights.
        match: slope and shift of match logits (see `Loaded`).

    Raises:
        BadInput: the folder cannot be written, or holds other files and no checkpoint; a head is damaged.
    """
    nothing_else(folder, CONFIG, (WEIGHTS, HEADS, "README.md"), "a checkpoint")
    if model.vocabulary_sizes != vocabulary.sizes:
        raise ValueError("the model was made for another vocabulary")
    with replacing(folder) as temporary:
        temporary.mkdir()
        tensors = plain(model.state_dict())
        save_tensors(temporary / WEIGHTS, {n: t.half() for n, t in tensors.items()} if half else tensors)
        config = {
            "format": FORMAT,
            "model": asdict(model.config),
            "vocabulary": vocabulary.to_json(),
            "vocabulary_hash": vocabulary.hash,
            "weights_sha256": sha256(temporary / WEIGHTS),
            "match": match,
            "provenance": {**provenance, "versions": versions()},
        }
        write_json(temporary / CONFIG, config)
        for head in sorted(heads.glob("*.safetensors")) if heads is not None else ():
            if _about(head)[1].weights == config["weights_sha256"]:
                (temporary / HEADS).mkdir(exist_ok=True)
                shutil.copyfile(head, temporary / HEADS / head.name)


def load(folder: Path) -> Loaded:
    """Read a checkpoint.

    Raises:
        BadInput: it is missing, damaged, of another format, or its parts do not belong together.
    """
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise BadInput(f"{folder / CONFIG} is not a {FORMAT!r}; give a folder written by scoresim pretrain.")
    try:
        shape = config["model"]
        if not set(shape) <= {field.name for field in fields(SIMConfig)}:
            raise ValueError("the model has fields this version does not know")
        sim = SIMConfig(**{**shape, "stem_channels": tuple(shape["stem_channels"])})
        vocabulary = Vocabulary.from_json(config["vocabulary"])
        provenance = dict(config["provenance"])
        expected = config["vocabulary_hash"], config["weights_sha256"]
        slope, shift = map(float, config.get("match", AS_IT_IS))
        if not (0 < slope < math.inf and math.isfinite(shift)):
            raise ValueError("match logits have no such slope and shift")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{folder / CONFIG} is damaged ({error}); take another copy.") from error
    if (vocabulary.hash, sha256(folder / WEIGHTS)) != expected:
        raise BadInput(f"{folder} is damaged: its weights or vocabulary changed after saving; take another copy.")
    model, half = _build(folder / WEIGHTS, sim, vocabulary)
    return Loaded(model, vocabulary, provenance, expected[1], half, (slope, shift))


@dataclass(frozen=True)
class HeadConfig:
    """What a head is for, and how it is asked.

    Attributes:
        task: its name; level: "sequence" or "note"; classes: their names.
        inputs: what it was trained on: "notes", "image" or "both".
        hidden: attributes of notes that it must not see.
        notes: of a window, least: of the last; lines: that are read as one; bars: whether these are those of the score.
        context: blocks that see all of a window; narrow: their width, 0 for the model's; views: weighted means of its
            notes that answer for it, 0 for none.
        rank: of the additions to the matrices below, 0 for none.
        rule: name of what answers beside it (`score.keys.RULES`, or `COUNTED`), "" for nothing.
        rule_weight: of the rule's scores, which are added to its log-probabilities of a piece, or of every note; chosen
            by the validation part.
        features: hash of the names of what is counted beside it, of which it has learnt.
        temperature: by which its logits are divided, so that its confidence is right on validation pieces.
        weights: SHA-256 of the weights it stands on.
        figures: of its test part: rows of what, metric, value, ci95, n.
        corpora: that it was trained on.
        played: whether it has learnt from notated pieces as they are played by rule, too.
        on: digest of the head whose additions it stands on, as they are; "" where it stands on the weights alone.
    """

    task: str
    level: str
    classes: tuple[str, ...]
    inputs: str
    hidden: tuple[str, ...]
    notes: int
    lines: int
    bars: bool
    context: int
    rank: int
    temperature: float
    weights: str
    figures: tuple[dict[str, Any], ...] = ()
    corpora: tuple[str, ...] = ()
    views: int = 0
    on: str = ""
    narrow: int = 0
    rule: str = ""
    rule_weight: float = 0.0
    features: str = ""
    played: bool = False
    least: int = 1


def save_head(path: Path, tagger: Tagger, config: HeadConfig) -> None:
    """Write what a head adds to the weights that it stands on, in numbers of 16 bits; a regression of counts in 32."""
    body = {f"sim.{name}" for name in _shapes(tagger.sim.config, tagger.sim.vocabulary_sizes)}
    own = {n: t for n, t in plain(tagger.state_dict()).items() if n.replace(".linear.", ".") not in body}
    tensors = {n: t if WIDE.match(n) else t.half() for n, t in own.items()}
    about = json.dumps({"format": HEAD_FORMAT, **asdict(config)}, sort_keys=True)
    with replacing(path) as temporary:
        save_tensors(temporary, tensors, {"about": about, "digest": _digest(tensors, about)})


def load_head(path: Path, model: SIM, weights: str) -> tuple[Tagger, HeadConfig]:
    """Read a head and set it on a model, whose weights it shares and leaves as they are.

    Args:
        path: that `save_head` wrote.
        model: what it stands on; of a head that stands on another, the model with the other's additions in it.
        weights: their SHA-256, as the checkpoint says.

    Raises:
        BadInput: it is damaged, of another format, or stands on other weights.
    """
    try:
        with safe_open(path, framework="pt") as file:
            words, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if words["digest"] != _digest(tensors, words["about"]):
            raise ValueError("its checksum differs")
        config = _head_config(words["about"])
        if config.weights != weights:
            raise BadInput(f"{path} is a head for other weights; take the one that came with them.")
        counting = any(name.startswith(COUNTING) for name in tensors)
        newest = "rarity" if config.level == "sequence" else "members.0.layers.0.norm.weight"
        if counting and f"{COUNTING}{newest}" not in tensors:
            raise BadInput(f"{path} counts less than this version of scoresim; take the head of this version.")
        body = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
        if config.rank:
            add_low_rank(body, config.rank)
        sizes = {"context": config.context, "views": config.views, "narrow": config.narrow}
        tagger = Tagger(body, config.level, len(config.classes), **sizes)
        tagger.counted = _counting(config, tensors) if config.rule == COUNTED else None
        own = {f"sim.{name}" for name in _shapes(model.config, model.vocabulary_sizes)}
        known = {name for name in tagger.state_dict() if name.replace(".linear.", ".") not in own}
        if set(tensors) != known or not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("its weights are not those of its config, or not finite")  # nothing is written before
        tagger.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise BadInput(f"{path} is a damaged head ({in_short(error)}); take another copy.") from error
    return tagger.eval(), config


def _counting(config: HeadConfig, tensors: dict[str, Tensor]) -> Counted | CountedNotes:
    """Something as large as what answers beside a head from features, to take its weights.

    Raises:
        KeyError, ValueError: there is nothing, or too much.
    """
    means = [name for name in tensors if WIDE.match(name) and name.endswith("mean")]
    features = len(tensors[next(iter(means), COUNTING)])
    width = 0 if config.level == "sequence" else len(tensors[f"{COUNTING}members.0.first.bias"])
    if features > MOST_COUNTED or len(means) > MOST_MEMBERS or width > MOST_WIDE:
        raise ValueError("it counts too much")
    if config.level == "sequence":
        return Counted(features, len(config.classes))
    return CountedNotes(features, len(config.classes), width, members=len(means))


def head_stands(path: Path) -> tuple[str, str]:
    """Digest of a head, and that of the head whose additions it stands on ("" where there is none).

    Raises:
        BadInput: it is damaged.
    """
    digest, config = _about(path)
    return digest, config.on


def _about(path: Path) -> tuple[str, HeadConfig]:
    """Digest of a head, and what it says about itself; its weights are not read.

    Raises:
        BadInput: it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
        return words["digest"], _head_config(words["about"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} is a damaged head ({error}); take another copy.") from error


def _head_config(words: str) -> HeadConfig:
    """What a head says about itself.

    Raises:
        ValueError, TypeError, KeyError: it is of another format, or asks for too much.
    """
    about = json.loads(words)
    if about.pop("format") != HEAD_FORMAT:
        raise ValueError("its format differs")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in about.items()}
    config = HeadConfig(**values)
    sizes = ((config.rank, 256), (config.context, 16), (config.views, 16), (config.narrow, 8192))
    if not (all(0 <= size <= most for size, most in sizes) and 1 <= len(config.classes) <= 4096):
        raise ValueError("it asks for too much")
    of_keys = config.rule in RULES and config.classes == KEYS and config.level == "sequence"
    known = config.rule == COUNTED if config.features else of_keys
    if config.rule and not (known and math.isfinite(config.rule_weight)):
        raise ValueError("what is to answer beside it is not known")
    return config


class _Unfilled(TorchFunctionMode):
    """Modules made under it hold no numbers: on "meta", filling a tensor imports torch's compiler, a second's work."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        return (*args, *named.values())[0] if func.__name__ in FILLING else func(*args, **named)


@cache
def _shapes(config: SIMConfig, sizes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of a model as it was pre-trained, by name."""
    with torch.device("meta"), _Unfilled():
        return {name: tuple(tensor.shape) for name, tensor in SIM(config, sizes).state_dict().items()}


def _digest(tensors: Mapping[str, Tensor], about: str) -> str:
    """SHA-256 of a head's contents."""
    found = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def locate(name: str | Path) -> Path:
    """Folder of a checkpoint.

    Args:
        name: its folder, or that of the run that made it; the name of weights that come with the package ("small");
            or "hf:owner/name" of weights on the Hugging Face hub, which are fetched once (needs `scoresim[hub]`).

    Raises:
        BadInput: it is nowhere, or cannot be fetched.
    """
    words = str(name)
    if words.startswith("hf:"):
        return _fetched(words.removeprefix("hf:"))
    if BUNDLED_NAME.fullmatch(words) and (BUNDLED / words / CONFIG).is_file():
        return BUNDLED / words
    folder = folder_of(Path(name))
    if not (folder / CONFIG).is_file():
        known = ", ".join(sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))) or "none"
        raise BadInput(f"{words} is no folder of a checkpoint; weights that come with scoresim: {known}.")
    return folder


def _fetched(repository: str) -> Path:
    """The folder into which weights of the hub were fetched; nothing but tensors and plain JSON is taken.

    Raises:
        BadInput: the name is none, the library is missing, or the hub does not answer.
    """
    if not HUB_NAME.fullmatch(repository):
        raise BadInput(f"hf:{repository} is no name on the hub; it is written hf:owner/name.")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise BadInput("weights from the hub need huggingface_hub: pip install 'scoresim[hub]'.") from error
    try:
        folder = snapshot_download(repository, allow_patterns=[WEIGHTS, CONFIG, f"{HEADS}/*.safetensors", "*.md"])
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput(
            f"hf:{repository} cannot be fetched ({reason}); without a network, give a folder of weights."
        ) from error
    return Path(folder)


def folder_of(checkpoint: Path) -> Path:
    """The checkpoint's own folder, given it or the folder of the run that made it."""
    inner = checkpoint / "checkpoint"
    return inner if (inner / CONFIG).is_file() else checkpoint


def weights_of(checkpoint: Path) -> str:
    """Identity of a checkpoint's weights: their SHA-256, as it says."""
    return str(read_json(locate(checkpoint) / CONFIG).get("weights_sha256", ""))


def plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors wants them: on the CPU, contiguous, sharing no memory."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write plain tensors as safetensors, a file like any other: safetensors' own is for its owner's eyes alone."""
    path.write_bytes(save_bytes(dict(tensors), metadata))


def versions() -> dict[str, str]:
    """Versions of what made the weights."""
    packages = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    return {"scoresim": __version__, "python": platform.python_version(), **packages}


def _build(weights: Path, config: SIMConfig, vocabulary: Vocabulary) -> tuple[SIM, bool]:
    """The model with its weights, and whether they are of 16 bits.

    Shapes are compared before memory is taken: a file may ask for anything.
    """
    damaged = BadInput(f"{weights} does not hold the weights that its config.json describes; take another copy.")
    try:
        expected = _shapes(config, vocabulary.sizes)
        with safe_open(weights, framework="pt") as file:
            if {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()} != expected:  # noqa: SIM118
                raise damaged
            tensors = {name: file.get_tensor(name) for name in expected}
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise damaged from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise BadInput(f"{weights} holds numbers that are not finite; take another copy.")
    model = SIM(config, vocabulary.sizes)
    model.load_state_dict(tensors)
    return model.eval(), any(tensor.dtype == torch.float16 for tensor in tensors.values())
