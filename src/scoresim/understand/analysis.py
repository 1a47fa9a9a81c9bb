"""What a model says about somebody's music: the answers of its heads, note by note and for the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scoresim.data.given import (
    MIDI,
    kind_of,
    known,
    pair_of,
    read_first_page,
    read_pages,
    read_wholes,
    refusal,
    write_down,
)
from scoresim.data.page import PageSystem
from scoresim.data.pieces import Piece, Sheet, Whole
from scoresim.errors import BadInput
from scoresim.score.hands import KEYBOARDS, lower
from scoresim.score.keys import KEYS, key_profiles
from scoresim.score.notes import Ints
from scoresim.score.performance import seconds
from scoresim.score.sandbox import Failure, Workers
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, default_vocabulary
from scoresim.understand.heads import Head, Scores, of_pieces
from scoresim.understand.source import stated, unknown

if TYPE_CHECKING:
    from scoresim.understand import Sim
    from scoresim.understand.results import Match

NO_ANSWER = ("unknown", "")  # classes that a source gives where it does not know
FITS = 16.0  # how sure a fit of 1 with a profile of keys is: makes the validation pieces of key_all likeliest (log)
FLAT = 1e-3  # profiles that differ less say nothing
PUBLISHED = ("published profiles",)  # of keys, in the place of what a head has learnt from
FEW = 3  # sources that are named one by one
HALF, DIGITS = 0.5, 3  # from this probability the right hand plays a note; decimals, so that all who ask see one side
Floats = NDArray[np.float64]
LOUDNESS = np.array([16.0, 40.0, 56.0, 72.0, 88.0, 112.0])  # middle of each of the six classes of velocity


@dataclass(frozen=True)
class Answer:
    """What a head says about the whole of the music.

    Attributes:
        question: "style", "composer", "emotion", "key", "meter" or "difficulty".
        answer: the likeliest class.
        confidence: its probability, as sure as the validation part showed such answers to be right.
        classes: the probability of every class, likeliest first.
        inputs: what it was read from, "notes" or "image".
        corpora: what the head has learnt from; music of other kinds it has not seen. Where no head knows keys, that of
            the best profile is said (`score.keys`), and this says so.
    """

    question: str
    answer: str
    confidence: float
    classes: dict[str, float]
    inputs: str
    corpora: tuple[str, ...] = ()

    @property
    def learnt_from(self) -> str:
        """What its head has learnt from, in few words."""
        return ", ".join(self.corpora) if len(self.corpora) <= FEW else f"{len(self.corpora)} sources"


@dataclass(frozen=True, eq=False)
class NoteAnswers:
    """The N notes of a piece, and what heads say about each.

    Attributes:
        bar: [N] from 0.
        onset, duration: [N] quarter notes.
        seconds, length: [N] when it begins and how long it sounds, by the tempos of the file.
        pitch, velocity: [N] MIDI numbers as given.
        staff: [N] from 1; 0 is unknown.
        melody: [N] probability that it is melody, 1 where never two notes sound together; None without a head for it.
        loudness: [N] the MIDI velocity that is expected of it; None without a head for that.
        right_hand: [N] probability that the right hand plays it, 1 or 0 where the file has two staves, or no head
            knows it and the engraver's rule says it; None of what is not music for a keyboard in more than one voice.
    """

    bar: Ints
    onset: Floats
    duration: Floats
    seconds: Floats
    length: Floats
    pitch: Ints
    velocity: Ints
    staff: Ints
    melody: Scores | None = None
    loudness: Scores | None = None
    right_hand: Scores | None = None

    def __len__(self) -> int:
        return len(self.pitch)

    @property
    def right(self) -> NDArray[np.bool_] | None:
        """[N] whether the right hand plays a note; None where that is not asked."""
        return None if self.right_hand is None else self.right_hand >= HALF

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: a list for every attribute."""
        columns = {name: value for name, value in vars(self).items() if value is not None}
        return {
            name: (value if value.dtype.kind == "i" else value.astype(np.float64).round(4)).tolist()
            for name, value in columns.items()
        }


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is said about some music.

    Attributes:
        files: what it was read from; inputs: of which kinds, "notes", "image".
        title, composer: as the file says; "" where it does not.
        stated: what the file itself states: key signature, time signature, tempo.
        bars: how many; 0 for a picture.
        answers: about the whole.
        unknown: what cannot be known from these inputs, in sentences.
        model: name of the weights.
        notes: about each note; None for a picture.
        match: whether picture and notes show the same music, where both were given.
        sheets: the notes written down, where that was asked for.
        picture: the first page as PNG, where that was asked for.
    """

    files: tuple[str, ...]
    inputs: tuple[str, ...]
    title: str
    composer: str
    stated: dict[str, str]
    bars: int
    answers: tuple[Answer, ...]
    unknown: tuple[str, ...]
    model: str
    notes: NoteAnswers | None = None
    match: Match | None = None
    sheets: tuple[Sheet, ...] = ()
    picture: bytes | None = None

    def answer(self, question: str) -> Answer | None:
        """The answer to a question, from notes where it was read from both; None where there is none."""
        found = sorted((a for a in self.answers if a.question == question), key=lambda a: a.inputs != "notes")
        return found[0] if found else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without sheets and picture."""
        return {
            "files": list(self.files),
            "inputs": list(self.inputs),
            "model": self.model,
            "title": self.title,
            "composer": self.composer,
            "stated": dict(self.stated),
            "bars": self.bars,
            "answers": [asdict(answer) for answer in self.answers],
            "notes": None if self.notes is None else self.notes.to_dict(),
            "match": None if self.match is None else self.match.to_dict(),
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True, eq=False)
class Given:
    """What was read of some music: its notes, the pages of its picture, or both.

    Attributes:
        files: where it stands.
        whole: the notes; pages: the systems of every page; picture: the first page as PNG.
    """

    files: tuple[str, ...]
    whole: Whole | None = None
    pages: Sequence[Sequence[PageSystem]] | None = None
    picture: bytes | None = None

    @property
    def systems(self) -> list[PageSystem]:
        """All systems of all pages."""
        return [system for page in self.pages or () for system in page]


def read_given(paths: Sequence[Path], workers: Workers, show: bool = False) -> Given:
    """A file of notes, a picture, or one of each, as they are to be read together.

    Args:
        paths: at most one of each kind.
        workers: read them.
        show: whether notation and the first page are kept, to be shown; MIDI is written down later.

    Raises:
        BadInput: a file cannot be read, or they are not one of each kind.
    """
    kinds = [kind_of(path) for path in paths]
    if not kinds or len(set(kinds)) < len(kinds):
        raise BadInput("give one file of notes, or one picture, or one of each, to be read together.")
    given = dict(zip(kinds, paths, strict=True))
    found = Given(tuple(map(str, paths)))
    if "notes" in given:
        [read] = read_wholes([given["notes"]], show and given["notes"].suffix.lower() not in MIDI, workers)
        found = replace(found, whole=known(read, given["notes"]))
    if "image" in given:
        [seen] = read_pages([given["image"]], workers)
        found = replace(found, pages=known(seen, given["image"]))
        if show:
            [first] = read_first_page([given["image"]], workers)
            found = replace(found, picture=known(first, given["image"]))
    return found


def written_down(found: Analysis, given: Given, workers: Workers) -> Analysis:
    """An analysis with its notes written down: those of MIDI with the hands that are heard in them.

    Raises:
        BadInput: they cannot be written down.
    """
    whole, notes = given.whole, found.notes
    if whole is None or notes is None or whole.score.notes.id:
        return found
    left = None if notes.right is None else ~notes.right
    [path] = [Path(file) for file in given.files if Path(file).suffix.lower() in MIDI]
    return replace(found, sheets=write_down(whole, path, left, workers))


def read_each(paths: Sequence[Path], workers: Workers | int) -> list[Given | BadInput]:
    """Every file for itself, or why it cannot be read."""
    found: dict[int, Given | BadInput] = {}
    of_kind: dict[str, list[int]] = {"notes": [], "image": []}
    for i, path in enumerate(paths):
        try:
            of_kind[kind_of(path)].append(i)
        except BadInput as error:
            found[i] = error
    notes, images = of_kind["notes"], of_kind["image"]
    for i, whole in zip(notes, read_wholes([paths[i] for i in notes], False, workers), strict=True):
        path = paths[i]
        found[i] = refusal(whole, path) if isinstance(whole, Failure) else Given((str(path),), whole)
    for i, pages in zip(images, read_pages([paths[i] for i in images], workers), strict=True):
        path = paths[i]
        found[i] = refusal(pages, path) if isinstance(pages, Failure) else Given((str(path),), None, pages)
    return [found[i] for i in range(len(paths))]


def one_voice(notes: NoteAnswers) -> bool:
    """Whether never two notes sound together: such a piece is all melody, whatever a head says that knows songs."""
    end = np.maximum.accumulate(notes.onset + notes.duration)
    return len(notes) > 0 and bool((notes.onset[1:] >= end[:-1] - 1 / GRID).all())


def right_hand(whole: Whole, notes: NoteAnswers, said: Scores | None) -> Scores | None:
    """[N] probability that the right hand plays a note: what a file of two staves says itself, else what a head said.

    Args:
        whole: the piece.
        notes: its notes.
        said: [N] by a head; None without one: then the rule answers that puts MIDI on two staves (`score.hands`).

    Returns:
        None for what two hands of one player do not play: other or several instruments, one staff, three, one voice.
    """
    programs, staves = np.unique(whole.score.notes.program).tolist(), whole.piece.staves
    if len(programs) > 1 or not KEYBOARDS.issuperset(programs) or one_voice(notes):
        return None
    if staves:
        return (notes.staff == 1).astype(np.float32) if len(staves) == 2 and len({*staves} - {""}) < 2 else None
    if said is None:
        said = (lower(notes.pitch, notes.onset, notes.onset + notes.duration) == 0).astype(np.float32)
    return np.asarray(said.round(DIGITS), dtype=np.float32)


def analyses(sim: Sim, asked: Sequence[Given]) -> list[Analysis]:
    """What the heads of some weights say about music that was read; many pieces are asked together."""
    with_notes = [i for i, one in enumerate(asked) if one.whole is not None]
    pieces = [one.whole.piece for one in asked if one.whole is not None]
    answers: list[list[Answer]] = [[] for _ in asked]
    of_notes: dict[str, dict[int, Scores]] = {"melody": {}, "velocity": {}, "hand": {}}
    with sim.reading():
        reading_notes = {name: head for name, head in sim.heads.items() if head.config.inputs == "notes"}
        said = of_pieces(reading_notes, pieces, sim.rows) if pieces else {}
        for name, head in sim.heads.items():
            question = name.split("-")[0]
            for i, scores in zip(with_notes, said[name], strict=True) if name in said else ():
                if head.config.level == "sequence":
                    answers[i].append(answer_of(question, head, scores))
                elif name in of_notes:
                    of_notes[name][i] = scores
            for i, one in enumerate(asked):
                if head.config.inputs == "image" and head.config.level == "sequence" and one.systems:
                    scores = head.of_systems(sim.batches([pair_of(system) for system in one.systems]))
                    answers[i].append(answer_of(question, head, scores))
        if not any(name.split("-")[0] == "key" for name in sim.heads):
            for i, piece in zip(with_notes, pieces, strict=True):
                answers[i] += by_profiles(piece)
    found = []
    for i, one in enumerate(asked):
        whole = one.whole
        notes = None if whole is None else answered(whole, {name: said.get(i) for name, said in of_notes.items()})
        found.append(
            Analysis(
                files=one.files,
                inputs=(*(["notes"] if whole is not None else []), *(["image"] if one.pages is not None else [])),
                title=whole.title if whole is not None else "",
                composer=whole.composer if whole is not None else "",
                stated=stated(whole) if whole is not None else {},
                bars=len(whole.piece.bar_onset) - 1 if whole is not None else 0,
                answers=tuple(answers[i]),
                unknown=tuple(unknown(sim.heads, one.whole, one.pages is not None, one.files)),
                model=sim.name,
                notes=notes,
                match=sim.match_pages(one.pages, whole.piece) if whole is not None and one.pages is not None else None,
                sheets=whole.sheets if whole is not None else (),
                picture=one.picture,
            )
        )
    return found


def answer_of(question: str, head: Head, probabilities: Scores) -> Answer:
    """Probabilities [C] of a head as an answer."""
    sure = dict(zip(head.config.classes, probabilities.tolist(), strict=True))
    known = {name: p for name, p in sure.items() if name not in NO_ANSWER}
    return ranked(question, known, head.config.inputs, head.config.corpora)


def by_profiles(piece: Piece) -> list[Answer]:
    """The key of a piece where no head knows it, the one whose profile fits best; nothing where all fit alike."""
    fits = key_profiles(piece.ids)
    likely = dict(zip(KEYS, np.exp(FITS * fits).tolist(), strict=True))
    return [ranked("key", likely, "notes", PUBLISHED)] if np.ptp(fits) > FLAT else []


def ranked(question: str, classes: Mapping[str, float], inputs: str, corpora: tuple[str, ...]) -> Answer:
    """Classes as an answer, by their probabilities, which need not sum to 1."""
    total = sum(classes.values())
    order = sorted(classes, key=classes.__getitem__, reverse=True)
    shares = {name: round(classes[name] / total, 4) for name in order}
    return Answer(question, order[0], shares[order[0]], shares, inputs, corpora)


def answered(whole: Whole, said: Mapping[str, Scores | None]) -> NoteAnswers:
    """The notes of a piece with what heads said of them, [N, C] by the name of the head; None where there is none."""
    notes, melody, loudness, hand = notes_of(whole), said["melody"], said["velocity"], said["hand"]
    if melody is not None:
        notes = replace(notes, melody=np.ones(len(notes), np.float32) if one_voice(notes) else melody[:, 0])
    if loudness is not None:
        notes = replace(notes, loudness=(loudness @ LOUDNESS).astype(np.float32))
    return replace(notes, right_hand=right_hand(whole, notes, None if hand is None else hand[:, 0]))


def notes_of(whole: Whole) -> NoteAnswers:
    """The notes of a piece with the times of its source."""
    piece, score = whole.piece, whole.score
    grid = np.array(default_vocabulary().durations)
    duration = grid[piece.ids[:, ATTRIBUTES.index("duration")] - FIRST] / GRID
    begin, end = np.full(len(piece), np.inf), np.zeros(len(piece))
    kept = whole.of_note >= 0
    np.minimum.at(begin, whole.of_note[kept], seconds(score, score.notes.onset)[kept])
    np.maximum.at(end, whole.of_note[kept], seconds(score, score.notes.onset + score.notes.duration)[kept])
    pitch = piece.ids[:, ATTRIBUTES.index("pitch")].astype(np.int64) - FIRST
    return NoteAnswers(piece.bar, piece.onset, duration, begin, end - begin, pitch, piece.velocity, piece.staff)
