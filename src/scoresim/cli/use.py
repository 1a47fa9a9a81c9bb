"""Commands that are used on somebody's files: analyze, melody, hands, beats, embed, match, locate, index, search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from scoresim.cli.output import Json, results_only, show_json, show_table
from scoresim.errors import BadInput
from scoresim.files import apart

if TYPE_CHECKING:
    from scoresim.understand import Sim
    from scoresim.understand.analysis import Analysis

DOUBTFUL = 0.5  # a place that is less probable is said to be so
HALF = 0.5  # from this probability a note is melody

__all__ = ["analyze", "beats", "embed", "hands", "index", "locate", "match", "melody", "search"]

Model = Annotated[
    str,
    Parameter(
        help='Weights: "small", or "small-free" for any use, which come with scoresim, a folder that scoresim pretrain '
        "wrote, or hf:owner/name."
    ),
]
Picture = Annotated[
    Path, Parameter(help="Picture of a score: PNG, JPEG, TIFF or PDF, of one system or of whole pages.")
]
Notes = Annotated[
    Path, Parameter(help="Its notes: MIDI, MusicXML, MXL, MEI, kern or ABC (book.abc#3 is its third tune).")
]


Workers = Annotated[int, Parameter(help="Processes that read files.", validator=Number(gte=1))]


def load(model: str) -> Sim:
    """The weights; a worker that will read files is started first, and gets ready while they are loaded."""
    from scoresim.data.given import warm
    from scoresim.score import sandbox

    workers = sandbox.Workers()
    warm(workers)
    from scoresim import understand

    return understand.load(model, workers)


def analyze(
    files: Annotated[
        tuple[Path, ...],
        Parameter(help="Files of notes, or pictures of scores; of a book of ABC tunes every tune, or one: book.abc#3."),
    ],
    /,
    *,
    image: Annotated[
        Path | None, Parameter(help="Picture of the score of the one file of notes: both are read together.")
    ] = None,
    html: Annotated[
        Path | None,
        Parameter(help="Report to look at and listen to; with several files or tunes, a folder for their reports."),
    ] = None,
    model: Model = "small",
    workers: Workers = 1,
    json: Json = False,
) -> None:
    """Say what some music is, as far as the heads of the weights know, and which of its notes are melody."""
    from scoresim.data.books import each_tune, file_of, sole

    if not files:
        raise BadInput("there is nothing to analyze; give at least one file.")
    if image is not None and len(files) > 1:
        raise BadInput("--image is the picture of one file of notes; give that file alone.")
    files = tuple(each_tune(files)) if image is None else (sole(files[0]),)
    given = [file_of(file) for file in (*files, image) if file is not None]
    places = report_places(html, files) if html is not None else [None] * len(files)
    for place in places:
        if place is not None:
            apart(place, given)
    with results_only():
        sim = load(model)
        if html is None and image is None and len(files) > 1:
            outcomes = sim.analyze_each(files, workers)
        else:
            outcomes = [analysis_of(sim, file, image, place) for file, place in zip(files, places, strict=True)]
    found = [one for one in outcomes if not isinstance(one, BadInput)]
    refused = [one for one in outcomes if isinstance(one, BadInput)]
    if len(files) == 1 and refused:
        raise refused[0]
    pairs = zip(outcomes, places, strict=True)
    reports = [place for one, place in pairs if place is not None and not isinstance(one, BadInput)]
    if json:
        values = [one.to_dict() for one in found]
        said = {"reports": [str(path) for path in reports], "refused": [str(one) for one in refused]}
        show_json({"found": values, **said})
    else:
        for analysis in found:
            show_analysis(analysis)
        for path in reports:
            print(f"The report: {path}")
    tell(refused)


def analysis_of(sim: Sim, file: Path, image: Path | None, place: Path | None) -> Analysis | BadInput:
    """What is said about one file, with its report where it has a place, or what is wrong with it."""
    from scoresim.web.report import write_report

    try:
        found = sim.analyze(*(one for one in (file, image) if one is not None), show=place is not None)
    except BadInput as error:
        return error
    if place is not None:
        write_report(place, found, found.sheets, found.picture)
    return replace(found, sheets=(), picture=None)


def report_places(html: Path, files: Sequence[Path]) -> list[Path]:
    """The report of one file is a file, those of several stand in a folder, named as their files."""
    if len(files) == 1:
        return [html]
    paths = [html / f"{file.name.replace('#', '-')}.html" for file in files]
    if len(set(paths)) < len(paths):
        raise BadInput("two of the files have the same name, and so would their reports; give them one by one.")
    return paths


def tell(refused: Sequence[BadInput]) -> None:
    """Of several files, what is wrong with some, after the answers of the others.

    Raises:
        BadInput: something is.
    """
    if refused:
        raise BadInput(" ".join(map(str, refused)))


def show_analysis(found: Analysis) -> None:
    """An analysis as lines for a person."""
    print(f"{' and '.join(found.files)}, read as {' and '.join(found.inputs)}")
    name = ", ".join(part for part in (found.title, found.composer) if part)
    if name:
        print(f"  {name}")
    if found.stated:
        print("  the file says: " + "; ".join(f"{key} {value}" for key, value in found.stated.items()))
    if found.notes is not None:
        words = [f"{several(len(found.notes), 'note')} in {several(found.bars, 'bar')}"]
        if found.notes.melody is not None:
            words.append(f"{int((found.notes.melody >= HALF).sum())} of them melody")
        if found.notes.loudness is not None:
            words.append(f"expected to be played at velocity {found.notes.loudness.mean():.0f}")
        if found.notes.right is not None:
            words.append(f"{int(found.notes.right.sum())} for the right hand")
        print("  " + ", ".join(words))
    if found.match is not None:
        print(f"  picture and notes show the same music with probability {found.match.probability:.2f}")
    rows = [
        (
            one.question,
            one.answer,
            f"{one.confidence:.2f}",
            ", ".join(f"{name} {share:.2f}" for name, share in list(one.classes.items())[1:3]),
            one.inputs,
            one.learnt_from,
        )
        for one in found.answers
    ]
    if rows:
        show_table("", ("  question", "answer", "confidence", "else", "read from", "learnt from"), rows)
    for sentence in found.unknown:
        print(f"  {sentence}")


def melody(
    file: Notes,
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="File for the notes: .mid.")],
    only: Annotated[bool, Parameter(help="Write the melody alone.")] = False,
    least: Annotated[
        float, Parameter(help="Probability from which a note is melody.", validator=Number(gte=0, lte=1))
    ] = 0.5,
    model: Model = "small",
    json: Json = False,
) -> None:
    """Write the notes of a file as MIDI with its melody on a track of its own."""
    from scoresim.data.books import sole

    with results_only():
        found = load(model).melody(sole(file), out, only, least)
    notes = found.notes
    chosen = 0 if notes is None or notes.melody is None else int((notes.melody >= least).sum())
    if json:
        show_json({"out": str(out), "notes": 0 if notes is None else len(notes), "melody": chosen})
        return
    print(f"{out}: {chosen} of {0 if notes is None else len(notes)} notes are melody.")


def hands(
    file: Notes,
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="File for the notes: .mid.")],
    model: Model = "small",
    json: Json = False,
) -> None:
    """Write the notes of a file for a keyboard as MIDI with each hand on a track of its own."""
    from scoresim.data.books import sole

    with results_only():
        notes = load(model).hands(sole(file), out).notes
    right = 0 if notes is None or notes.right is None else int(notes.right.sum())
    count = 0 if notes is None else len(notes)
    if json:
        show_json({"out": str(out), "notes": count, "right_hand": right})
        return
    print(f"{out}: {right} of {count} notes are for the right hand.")


def beats(
    file: Annotated[Path, Parameter(help="A performance, as MIDI.")],
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="File for the notes: .mid.")],
    json: Json = False,
) -> None:
    """Find the beats and bars of a performance, and write it as MIDI on their grid; it sounds as before."""
    from scoresim.data.given import write_beats
    from scoresim.score.read import read_midi

    apart(out, [file])
    with results_only():
        write_beats(file, out)
        found = read_midi(out)
    metres = [f"{bar.numerator}/{bar.denominator}" for bar in found.bars if bar.onset <= found.notes.onset.max()]
    [(usual, _)] = Counter(metres).most_common(1)
    tempo = sorted(tempo for _, tempo in found.tempos)[len(found.tempos) // 2]
    if json:
        show_json({"out": str(out), "bars": len(metres), "metre": usual, "tempo": round(tempo, 1)})
        return
    print(f"{out}: {len(metres)} bars, most of {usual}, about {tempo:.0f} quarter notes a minute.")


def embed(
    files: Annotated[tuple[Path, ...], Parameter(help="Files of notes and pictures of scores.")],
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="File for the vectors: .npz or .parquet.")],
    model: Model = "small",
    workers: Workers = 1,
    json: Json = False,
) -> None:
    """Turn files into vectors for search: one for every stretch of bars, or for every system of a picture."""
    from scoresim import understand
    from scoresim.data.books import each_tune, file_of

    if not files:
        raise BadInput("there is nothing to embed; give at least one file.")
    files = tuple(each_tune(files))
    apart(out, map(file_of, files))
    with results_only():
        outcomes = load(model).embed_each(files, workers)
        found = [one for one in outcomes if not isinstance(one, BadInput)]
        refused = [one for one in outcomes if isinstance(one, BadInput)]
        if not found:
            tell(refused)
        understand.write_embeddings(out, found)
    if json:
        shown = [{"file": e.file, "kind": e.kind, "vectors": len(e.vectors)} for e in found]
        show_json({"out": str(out), "files": shown, "refused": [str(one) for one in refused]})
    else:
        show_table("", ("file", "read as", "vectors"), [(e.file, e.kind, len(e.vectors)) for e in found])
    tell(refused)


def match(image: Picture, notes: Notes, /, *, model: Model = "small", json: Json = False) -> None:
    """Say whether a picture of a score and a file of notes show the same music, system by system."""
    from scoresim.data.books import sole

    with results_only():
        found = load(model).match(image, sole(notes))
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
    bar: Annotated[int, Parameter(help="Bar of the notes, from 1.", validator=Number(gte=1))],
    model: Model = "small",
    json: Json = False,
) -> None:
    """Say where on a picture of a score a bar of a file of notes stands."""
    from scoresim.data.books import sole

    with results_only():
        found = load(model).locate(image, sole(notes), bar - 1)
    if json:
        show_json(found.to_dict())
        return
    x0, y0, x1, y1 = (round(value) for value in found.box)
    print(f"bar {bar}: page {found.page + 1}, system {found.system + 1}, pixels {x0} to {x1} across, {y0} to {y1} down")
    doubt = "" if found.probability >= DOUBTFUL else "; it may stand elsewhere, or not on this picture"
    print(f"probability {found.probability:.2f} that this system shows this bar{doubt}")


def index(
    folder: Annotated[Path, Parameter(help="Folder of music: notes and pictures, in all its subfolders.")],
    /,
    *,
    out: Annotated[str, Parameter(name=("--out", "-o"), help="The index: a folder, or postgresql://user@host/name.")],
    model: Model = "small",
    workers: Workers = 1,
    json: Json = False,
) -> None:
    """Make a folder of music searchable, or bring its index up to date: only new and changed files are read."""
    from scoresim.index import open_store
    from scoresim.index.collect import collect, music_in

    music_in(folder)
    with results_only():
        sim = load(model)
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
    top: Annotated[int, Parameter(help="How many answers.", validator=Number(gte=1))] = 10,
    folder: Annotated[
        Path | None,
        Parameter(
            help="Folder that was indexed: the first answers are then read together with the query, and tunes shown by "
            "their titles."
        ),
    ] = None,
    model: Model = "small",
    json: Json = False,
) -> None:
    """Find what in an index is, or shows, the music of a file."""
    from scoresim.data.books import file_of, sole, title_of
    from scoresim.index import open_store
    from scoresim.index.collect import search as look_up

    sole(query)
    with results_only():
        sim = load(model)
        with open_store(address, sim.weights) as store:
            found = look_up(store, sim, query, top, folder)
    if folder is not None and found and not any(file_of(folder / one.file).is_file() for one in found):
        raise BadInput(f"{folder} holds none of the files that were found; give the folder that was indexed.")
    titles = {one.file: "" if folder is None else title_of(folder / one.file) for one in found}
    if json:
        shown = [one.to_dict() | {"title": titles[one.file]} for one in found]
        show_json({"query": str(query), "found": shown})
        return
    rows = [
        (
            f"{one.file} ({titles[one.file]})" if titles[one.file] else one.file,
            one.kind,
            "" if one.first_bar is None or one.end_bar is None else f"{one.first_bar + 1} to {one.end_bar}",
            f"{one.similarity:.2f}",
            "" if one.probability is None else f"{one.probability:.2f}",
        )
        for one in found
    ]
    show_table("", ("file", "is", "bars", "similarity", "probability"), rows)


def several(count: int, word: str) -> str:
    """A number of things: 1 note, 2 notes."""
    return f"{count} {word}{'s' * (count != 1)}"


def listed(bars: tuple[int, ...]) -> str:
    """Bars as people count them."""
    return ", ".join(str(bar + 1) for bar in bars)
