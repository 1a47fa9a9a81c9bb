"""Commands that use a trained model on somebody's files: embed, match, locate, index, search."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from scoresim.cli.output import Json, results_only, show_json, show_table

__all__ = ["embed", "index", "locate", "match", "search"]

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


def index(
    folder: Annotated[Path, Parameter(help="Folder of music: notes and pictures, in all its subfolders.")],
    /,
    *,
    out: Annotated[str, Parameter(name=("--out", "-o"), help="The index: a folder, or postgresql://user@host/name.")],
    model: Model = "small",
    workers: Annotated[int, Parameter(help="Processes that read files.")] = 1,
    json: Json = False,
) -> None:
    """Make a folder of music searchable, or bring its index up to date: only new and changed files are read."""
    from scoresim import understand
    from scoresim.index import open_store
    from scoresim.index.collect import collect

    with results_only():
        sim = understand.load(model)
        width = sim.model.config.embedding
        with open_store(out, sim.weights, write=True, width=width) as store:
            done = collect(folder, store, sim, workers)
            vectors = len(store)
    if json:
        show_json({"index": out, **asdict(done), "vectors": vectors})
        return
    refused = f", {len(done.refused)} that cannot be read" if done.refused else ""
    files = f"{done.new} files new or changed, {done.same} as they were, {done.gone} gone{refused}"
    print(f"{out}: {files}; {vectors} vectors.")


def search(
    address: Annotated[str, Parameter(help="The index: a folder, or postgresql://user@host/name.")],
    query: Annotated[Path, Parameter(help="A file of notes, or a picture of a score.")],
    /,
    *,
    top: Annotated[int, Parameter(help="How many answers.")] = 10,
    folder: Annotated[
        Path | None, Parameter(help="Folder that was indexed: the first answers are then read together with the query.")
    ] = None,
    model: Model = "small",
    json: Json = False,
) -> None:
    """Find what in an index is, or shows, the music of a file."""
    from scoresim import understand
    from scoresim.index import open_store
    from scoresim.index.collect import search as look_up

    with results_only():
        sim = understand.load(model)
        with open_store(address, sim.weights) as store:
            found = look_up(store, sim, query, top, folder)
    if json:
        show_json({"query": str(query), "found": [one.to_dict() for one in found]})
        return
    rows = [
        (
            one.file,
            one.kind,
            "" if one.first_bar is None or one.end_bar is None else f"{one.first_bar + 1} to {one.end_bar}",
            f"{one.similarity:.2f}",
            "" if one.probability is None else f"{one.probability:.2f}",
        )
        for one in found
    ]
    show_table("", ("file", "is", "bars", "similarity", "probability"), rows)


def listed(bars: tuple[int, ...]) -> str:
    """Bars as people count them."""
    return ", ".join(str(bar + 1) for bar in bars)
