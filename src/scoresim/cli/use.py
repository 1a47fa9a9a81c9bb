"""Commands that use a trained model on somebody's files: embed, match, locate."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from scoresim.cli.output import Json, results_only, show_json, show_table

__all__ = ["embed", "locate", "match"]

Model = Annotated[
    str,
    Parameter(
        help='Weights: "small", which come with scoresim, a folder that scoresim pretrain wrote, or hf:owner/name.'
    ),
]
Picture = Annotated[
    Path, Parameter(help="Picture of a score: PNG, JPEG, TIFF or PDF, of one system or of whole pages.")
]
Notes = Annotated[Path, Parameter(help="Its notes: MIDI, MusicXML, MXL, MEI, kern or ABC.")]


def embed(
    files: Annotated[tuple[Path, ...], Parameter(help="Files of notes and pictures of scores.")],
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="File for the vectors: .npz or .parquet.")],
    model: Model = "small",
    workers: Annotated[int, Parameter(help="Processes that read files.")] = 1,
    json: Json = False,
) -> None:
    """Turn files into vectors for search: one for every stretch of bars, or for every system of a picture."""
    from scoresim import understand

    with results_only():
        found = understand.load(model).embed(*files, workers=workers)
        understand.write_embeddings(out, found)
    if json:
        show_json(
            {"out": str(out), "files": [{"file": e.file, "kind": e.kind, "vectors": len(e.vectors)} for e in found]}
        )
        return
    show_table("", ("file", "read as", "vectors"), [(e.file, e.kind, len(e.vectors)) for e in found])


def match(image: Picture, notes: Notes, /, *, model: Model = "small", json: Json = False) -> None:
    """Say whether a picture of a score and a file of notes show the same music, system by system."""
    from scoresim import understand

    with results_only():
        found = understand.load(model).match(image, notes)
    if json:
        show_json(found.to_dict())
        return
    print(f"{image} and {notes}: the same music with probability {found.probability:.2f}.")
    rows = [
        (
            one.page + 1,
            one.system + 1,
            f"{one.first_bar + 1} to {one.end_bar}",
            f"{one.probability:.2f}",
            listed(one.missing),
        )
        for one in found.systems
    ]
    show_table("", ("page", "system", "bars", "probability", "bars that do not seem to stand there"), rows)


def locate(
    image: Picture,
    notes: Notes,
    /,
    *,
    bar: Annotated[int, Parameter(help="Bar of the notes, from 1.")],
    model: Model = "small",
    json: Json = False,
) -> None:
    """Say where on a picture of a score a bar of a file of notes stands."""
    from scoresim import understand

    with results_only():
        found = understand.load(model).locate(image, notes, bar - 1)
    if json:
        show_json(found.to_dict())
        return
    x0, y0, x1, y1 = (round(value) for value in found.box)
    print(f"bar {bar}: page {found.page + 1}, system {found.system + 1}, pixels {x0} to {x1} across, {y0} to {y1} down")


def listed(bars: tuple[int, ...]) -> str:
    """Bars as people count them."""
    return ", ".join(str(bar + 1) for bar in bars)
