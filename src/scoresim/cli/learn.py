"""Commands that change weights, and take them out of a run: pretrain, export, finetune."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

from scoresim.benchmark.config import BenchmarkConfig, FinetuneConfig
from scoresim.cli.output import Json, results_only, show_json, show_mapping, show_table
from scoresim.errors import BadInput
from scoresim.training.config import PretrainConfig

__all__ = ["export", "finetune", "pretrain"]

_FINETUNE = FinetuneConfig()
_FIELDS = {field.name: field for field in fields(PretrainConfig)}


def _names(kind: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """``mbam,smm`` as ("mbam", "smm")."""
    return tuple(name.strip() for token in tokens for name in token.value.split(",") if name.strip())


@dataclass(frozen=True)
class _Pretraining(PretrainConfig):
    """The same fields; on the command line a list is written with commas."""

    objectives: Annotated[tuple[str, ...], Parameter(converter=_names, n_tokens=1, show_default=",".join)] = field(
        default=_FIELDS["objectives"].default, metadata=_FIELDS["objectives"].metadata
    )


def pretrain(
    data: Annotated[Path, Parameter(help="Folder of a data set that scoresim build wrote.")],
    out: Annotated[
        Path, Parameter(help="Folder for the checkpoint and the log; a run that was stopped goes on there.")
    ],
    /,
    *,
    config: Annotated[_Pretraining | None, Parameter(name="*")] = None,
    json: Json = False,
) -> None:
    """Pre-train a SIM model on the training part of a data set.

    The same command again goes on with a run that was stopped; the weights come out as if it had not been. On several
    GPUs or machines: torchrun --nproc-per-node 8 -m scoresim pretrain ...
    """
    from scoresim.training import pretrain as step

    with results_only():
        summary = step.pretrain(data, out, config or _Pretraining())
    if not summary:
        return  # the first of several processes speaks for all
    if json:
        show_json(summary)
    else:
        show_mapping(summary)


def export(
    run: Annotated[Path, Parameter(help="Folder of a run of scoresim pretrain that was stopped, or goes on.")],
    out: Annotated[Path, Parameter(help="Folder for the checkpoint.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Write the weights of a run that has not ended, as they were last saved, as a checkpoint.

    The run can go on. Its learning rate had not come down yet, so its weights at the end will know more.
    """
    from scoresim.training import pretrain as step

    summary = step.export(run, out)
    if json:
        show_json(summary)
    else:
        show_mapping(summary)


def finetune(
    task: Annotated[str, Parameter(help="Name of a task that is learnt, such as melody, composer or style.")],
    checkpoint: Annotated[
        str,
        Parameter(help="small or small-free, a folder of weights, hf:owner/name, or the word scratch."),
    ],
    out: Annotated[Path, Parameter(help="Folder for the fine-tuned model and its scores.")],
    /,
    *,
    data: Annotated[
        Path | None,
        Parameter(help="Folder of the data set, or of the sources of whole pieces; by default that of the checkpoint."),
    ] = None,
    config: Annotated[FinetuneConfig, Parameter(name="*", negative_bool="no-")] = _FINETUNE,
    json: Json = False,
) -> None:
    """Fine-tune a checkpoint on one task and score it on the test part.

    The word scratch in the place of the checkpoint trains the same network without pre-training.
    """
    from scoresim.benchmark import finetune as step
    from scoresim.benchmark.places import data_of, there
    from scoresim.checkpoint import locate

    source = None if checkpoint == "scratch" else Path(checkpoint)
    if data is None:
        if source is None:
            raise BadInput("without a checkpoint nobody knows the data set; say where it is with --data.")
        data = there(data_of(locate(source), BenchmarkConfig())[0])
    with results_only():
        result = step.finetune(task, source, out, data, config)
    if json:
        show_json(result)
    else:
        show_mapping({name: value for name, value in result.items() if name != "figures"})
        rows = [(f["what"], f["metric"], f["value"], *f["ci95"], f["n"]) for f in result["figures"]]
        show_table("", ("what", "metric", "value", "from", "to (95 %)", "n"), rows)
