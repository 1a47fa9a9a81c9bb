"""Options of pre-training; importable without torch, so that ``scoresim pretrain --help`` answers at once."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from scoresim.errors import BadInput

Size = Literal["tiny", "small", "base"]
OBJECTIVE_NAMES = ("mbam", "smm", "smc")  # a test compares it with objectives.OBJECTIVES


def _field(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides what a pre-training run does, besides its data."""

    size: Size = _field("tiny", "Size of the model: tiny, small or base.")
    objectives: tuple[str, ...] = _field(("mbam", "smm", "smc"), "What the model learns from: mbam, smm, smc.")
    inputs: Literal["both", "notes"] = _field(
        "both", "both, or notes for a model pre-trained on MIDI alone (objective mbam only)."
    )
    steps: int | None = _field(None, "Number of steps; give this or minutes.")
    minutes: float | None = _field(None, "Time to train; the number of steps is fixed after timing the first ones.")
    batch_size: int = _field(16, "Passages per step.")
    lr: float = _field(0.0, "Highest learning rate; 0 takes the size's own.")
    warmup: int = _field(50, "Steps until the highest learning rate is reached.")
    weight_decay: float = _field(0.05, "Decay of the weight matrices.")
    mask_ratio: float = _field(0.5, "mbam: share of the (bar, attribute) units that is hidden.")
    image_dropout: float = _field(0.15, "mbam: share of the passages whose image is withheld.")
    seed: int = _field(0, "Seed of the first weights, the data order and all random choices.")
    precision: Literal["auto", "fp32", "bf16"] = _field(
        "auto", "auto, fp32 or bf16; auto takes bf16 where it is faster."
    )
    log_every: int = _field(20, "Steps per line of log.jsonl.")
    checkpoint_every: int = _field(200, "Steps after which the state is saved.")
    device: Literal["auto", "cpu", "cuda"] = _field("auto", "cpu, cuda, or auto.")

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
        if (self.steps is None) == (self.minutes is None):
            raise BadInput("give either steps or minutes.")
        amount = self.steps if self.minutes is None else self.minutes
        if self.batch_size < 2 or amount is None or amount <= 0:
            raise BadInput("batch_size is at least 2; steps and minutes are above 0.")
