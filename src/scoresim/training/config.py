"""Options of pre-training; importable without torch, so that ``scoresim pretrain --help`` answers at once."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from scoresim.errors import BadInput

Size = Literal["tiny", "small", "base"]
ImageTokens = Literal["staves", "squares", "tall"]
OBJECTIVE_NAMES = ("mbam", "smm", "smc", "ground")  # a test compares it with objectives.OBJECTIVES
SHARES = (
    "long_share",
    "single",
    "mask_ratio",
    "image_dropout",
    "image_cover",
    "masked_share",
    "random_share",
    "same_piece",
    "altered",
    "hard",
)


def _field(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides what a pre-training run does, besides its data."""

    size: Size = _field("tiny", "Size of the model: tiny, small or base.")
    objectives: tuple[str, ...] = _field(
        ("mbam", "smc", "smm", "ground"), "What the model learns from: mbam, smm, smc, ground."
    )
    inputs: Literal["both", "notes"] = _field(
        "both", "both, or notes for a model pre-trained on MIDI alone (objective mbam only)."
    )
    start: str | None = _field(
        None, "Checkpoint whose weights training begins with, instead of fresh ones; of the same size and tokens."
    )
    steps: int | None = _field(None, "Number of steps; give this or minutes.")
    minutes: float | None = _field(None, "Time to train; the number of steps is fixed after timing the first ones.")
    batch_size: int = _field(16, "Passages per step, of all processes together.")
    lr: float = _field(0.0, "Highest learning rate; 0 takes the size's own.")
    warmup: int = _field(50, "Steps until the highest learning rate is reached.")
    weight_decay: float = _field(0.05, "Decay of the weight matrices.")
    muon: float = _field(
        4.0,
        "Matrices between inputs and outputs are trained by Muon with so many times the learning rate; 0: by AdamW, as "
        "always where the model is spread over processes (sharded).",
    )
    single: float = _field(
        1.0, "mbam: share of the passages in which one attribute of every bar is hidden; mask_ratio is for the others."
    )
    pitch_often: float = _field(10.0, "mbam: how many times as often that one is pitch as another attribute.")
    mask_ratio: float = _field(0.3, "mbam: share of the (bar, attribute) units that is hidden.")
    image_dropout: float = _field(0.15, "mbam: share of the passages whose image is withheld.")
    image_cover: float = _field(
        0.0, "mbam: share of the passages whose image is covered over half of the bars of which something is hidden."
    )
    masked_share: float = _field(0.8, "mbam: share of the hidden units that get the mask (BERT's 80 %).")
    random_share: float = _field(0.1, "mbam: share of the hidden units that get random values; the rest is shown.")
    same_piece: float = _field(0.5, "smm: share of the wrong partners that come from the same piece.")
    altered: float = _field(0.34, "smm: share of the wrong partners that are the right ones with one bar altered.")
    hard: float = _field(
        0.5, "smm: share of the other wrong partners that are the most similar ones of the batch, where smc is on."
    )
    each: float = _field(1.0, "smm: weight of asking every note, too, whether it stands on the picture.")
    smc_chunk: int = _field(0, "smc: passages read at a time, for batches that do not fit into memory; 0 is all.")
    pitch_weight: float = _field(8.0, "mbam: how many times as much the loss of pitch counts as another attribute's.")
    mbam_weight: float = _field(1.0, "Weight of the losses of mbam.")
    smm_weight: float = _field(0.5, "Weight of the loss of smm.")
    smc_weight: float = _field(0.1, "Weight of the loss of smc.")
    ground_weight: float = _field(0.1, "Weight of the loss of ground.")
    lines: int = _field(
        1, "Read 1, 2, 4 ... at most this many passages of a piece that follow each other as one, in turns by chance."
    )
    long_share: float = _field(
        0.0,
        "Share of the steps that read notes alone, in rows of long_lines passages that follow each other.",
    )
    long_lines: int = _field(16, "Passages of a row in these steps, at most; a row ends where it has 512 notes.")
    image_tokens: ImageTokens = _field(
        "staves", "Cells of the image: staves (columns of each staff), squares or tall (patches of the page)."
    )
    degrade: Literal["none", "scan", "photo", "mix"] = _field(
        "none", "Look that clean images are given while training; mix is a third each of clean, scan and photo."
    )
    recompute: bool = _field(False, "Compute blocks anew in the backward pass: less memory, a third more time.")
    compile: bool = _field(False, "Compile the blocks (torch.compile; needs a C++ compiler on a CPU).")
    seed: int = _field(0, "Seed of the first weights, the data order and all random choices.")
    precision: Literal["auto", "fp32", "bf16"] = _field(
        "auto", "auto, fp32 or bf16; auto takes bf16 where it is faster."
    )
    log_every: int = _field(20, "Steps per line of log.jsonl.")
    checkpoint_every: int = _field(200, "Steps after which the state is saved.")
    validate_every: int = _field(
        0,
        "Steps after which the same questions are asked of the valid part, for the curves held_out/...; 0 is never. "
        "It takes time beside --minutes.",
    )
    validate_batches: int = _field(16, "Batches of the valid part that are asked, always the same.")
    workers: int = _field(0, "Processes that make the batches; 0 is a thread, enough on a CPU. A GPU wants 8 and more.")
    device: Literal["auto", "cpu", "cuda"] = _field("auto", "cpu, cuda, or auto.")
    sharded: Literal["auto", "yes", "no"] = _field(
        "auto",
        "Under torchrun, spread the model over the processes: yes, no, or auto, which does so from base on; such a "
        "model is trained by AdamW alone, on one process, too.",
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            BadInput: with the field and its choices.
        """
        unknown = [name for name in self.objectives if name not in OBJECTIVE_NAMES]
        if unknown or not self.objectives:
            raise BadInput(f"objectives is {','.join(self.objectives)!r}; choose among {', '.join(OBJECTIVE_NAMES)}.")
        if self.size not in get_args(Size):
            raise BadInput(f"size is {self.size!r}; choose one of {', '.join(get_args(Size))}.")
        if self.inputs not in ("both", "notes"):
            raise BadInput(f"inputs is {self.inputs!r}; choose both or notes.")
        if self.inputs == "notes" and self.objectives != ("mbam",):
            raise BadInput("inputs notes goes with objectives mbam alone: the others compare notes with images.")
        if self.image_tokens not in get_args(ImageTokens):
            raise BadInput(f"image_tokens is {self.image_tokens!r}; choose staves, squares or tall.")
        if self.long_lines < 1:
            raise BadInput(f"long_lines is {self.long_lines}; it is at least 1.")
        if self.long_share and "mbam" not in self.objectives:
            raise BadInput("long_share reads notes alone, of which only mbam asks anything: add it to objectives.")
        if self.lines < 1 or self.lines & (self.lines - 1):
            raise BadInput(f"lines is {self.lines}; it is 1, 2, 4, 8 and so on.")
        if self.degrade not in ("none", "scan", "photo", "mix"):
            raise BadInput(f"degrade is {self.degrade!r}; choose none, scan, photo or mix.")
        if self.sharded not in ("auto", "yes", "no"):
            raise BadInput(f"sharded is {self.sharded!r}; choose auto, yes or no.")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} is {getattr(self, name)}; it is a share, from 0 to 1.")
        if self.masked_share + self.random_share > 1:
            raise BadInput("masked_share and random_share are shares of the same units; together they are at most 1.")
        order = [name for name in self.objectives if name in ("smc", "smm")]
        if self.hard and order == ["smm", "smc"]:
            raise BadInput(
                "hard takes the similarities that smc finds: name smc before smm in objectives, or set hard to 0."
            )
        if self.validate_every < 0 or self.validate_batches < 1:
            raise BadInput("validate_every is at least 0, validate_batches at least 1.")
        if self.muon < 0 or self.pitch_often <= 0 or self.workers < 0:
            raise BadInput("muon and workers are at least 0, pitch_often is above 0.")
        if (self.steps is None) == (self.minutes is None):
            raise BadInput("give either steps or minutes.")
        amount = self.steps if self.minutes is None else self.minutes
        if self.batch_size < 2 or amount is None or amount <= 0:
            raise BadInput("batch_size is at least 2; steps and minutes are above 0.")
