"""The pairs of one item: what a worker process does, and the file that it leaves.

An item's *part* is ``parts/<name>.parquet``; its name follows from the item and its file, and the folder holds one
configuration only, so a part that exists is a part that is done.
What the merge needs besides the pairs (counts, reasons, the fingerprint of the
music) stands in the part's metadata.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from scoresim.data import corpora
from scoresim.data.config import BuildConfig, printable
from scoresim.data.corpora import Item
from scoresim.data.curate import seeded
from scoresim.data.pair import Look, Pair, PassageRules, Rejected, excerpt, make_pair, passages
from scoresim.data.shards import to_table, write_table
from scoresim.data.similar import Fingerprint, fingerprint
from scoresim.errors import BadInput, ScoresimError
from scoresim.files import Place, sha256
from scoresim.score.degrade import degrade
from scoresim.score.engrave import STAFF_SPACES, EngraveConfig, Engraving, Layout, vary
from scoresim.score.lyrics import without_lyrics
from scoresim.score.notate import notate_all
from scoresim.score.notes import DRUMS, TIED_FROM, Score
from scoresim.score.performance import performed
from scoresim.score.read import check_abc, read_midi, read_text
from scoresim.score.source import doubtful
from scoresim.score.tokens import default_vocabulary

INFO = b"scoresim"
COMPRESSION = "none"  # of parts, which live until the merge: a third of the time of writing, for a seventh more bytes
BEATS = {"grid": "grid", "beats": "annotated", "estimated": "estimated"}  # in the words of `Notation`, and of `Pair`


class Unwritable(Exception):
    """A worker could not write its part; the item is not to blame and stays to be done."""


@dataclass(frozen=True)
class Task:
    """All that a worker needs for one item.

    Attributes:
        item: what to read.
        corpus: its name.
        part: where its pairs go.
        config: of the build.
        root: folder of the corpus on this machine, which no record shows.
    """

    item: Item
    corpus: str
    part: Place
    config: BuildConfig
    root: Path = Path()


@dataclass(frozen=True, eq=False)
class _Stretch:
    """An engraved stretch of an item: the whole of a notated file, some bars of a MIDI file.

    Attributes:
        name: what the ids of its passages begin with.
        first_bar: its place in the item.
        engraving: its layout.
        score: its notes, with what the MIDI file knows of them.
        source: the whole item as it is, by which duplicates are found: the MIDI file, not its notation.
        doubtful: bars that the engraver reads otherwise than the file says.
        share: passages that it may give of those that an item may; None for as many as the item.
        beats: where the beats of machine-made notation come from (see `Pair`).
    """

    name: str
    first_bar: int
    engraving: Engraving
    score: Score
    source: Score
    doubtful: frozenset[int] = frozenset()
    share: int | None = None
    beats: str = ""


def part_name(corpus: str, item: Item) -> str:
    """A name that changes when the item or its file does, so that a stale part is never taken.

    A file that was only copied or unpacked anew, with another time, is the same.
    """
    state = item.path.stat()
    content = _content(item.path, state.st_size, state.st_mtime_ns)
    said = (item.style, item.composer, item.title, sorted(item.labels.items()))
    key = (corpus, item.id, item.work, item.part_of_file, item.split, content, said)
    return hashlib.sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()[:24] + ".parquet"


@lru_cache(1024)  # books of tunes are asked about once for every tune
def _content(path: Path, size: int, time: int) -> str:
    """What stands in a file; of one that cannot be read, which the reader will say, its size and time."""
    try:
        return sha256(path)
    except BadInput:
        return f"{size} {time}"


def make_part(task: Task) -> int:
    """Make all pairs of one item and leave them on disk; runs in a worker process.

    Returns:
        Number of pairs.

    Raises:
        ScoresimError, ValueError: the item is not to be read; the message is the reason.
    """
    try:
        pairs, info = make_pairs(task)
    except (ScoresimError, ValueError, MemoryError):
        raise
    except Exception as error:  # whatever a strange file does to a parser costs that file; the reason says what it was
        raise ValueError(f"the reader failed ({type(error).__name__}: {error})") from None
    write_part(task, pairs, info)
    return len(pairs)


def write_part(task: Task, pairs: list[Pair], info: dict[str, Any]) -> None:
    """Leave the part of an item.

    Raises:
        Unwritable: the place cannot be written.
    """
    table = to_table(pairs).replace_schema_metadata({INFO: json.dumps(info, sort_keys=True).encode()})
    try:
        write_table(task.part, table, COMPRESSION)
    except BadInput as error:
        raise Unwritable(str(error)) from None


def refused(task: Task, reason: str) -> dict[str, Any]:
    """The record of an item; with a reason it goes to the quarantine list.

    Paths in it are those inside the corpus: where that lies on this machine is nobody's business.
    """
    item = task.item
    return {
        "corpus": task.corpus,
        "item": item.id,
        "file": printable(_in_corpus(task)),
        "format": item.format,
        "reason": printable(_without_root(reason, task)),
        "work": item.work,
        "style": item.style,
    }


def _in_corpus(task: Task) -> str:
    """The item's file, from the folder of its corpus; its name alone when it lies elsewhere."""
    path = task.item.path
    return str(path.relative_to(task.root)) if path.is_relative_to(task.root) else path.name


def _without_root(reason: str, task: Task) -> str:
    """A reason whose paths begin where the corpus does."""
    reason = reason.replace(str(task.item.path), _in_corpus(task))
    for root in {str(task.root), str(task.root.absolute()), str(task.root.resolve())} - {".", "/"}:
        reason = re.sub(rf"(?<![\w./-]){re.escape(root)}/", "", reason)
    return reason


def make_pairs(task: Task) -> tuple[list[Pair], dict[str, Any]]:
    """The pairs of one item, and the record of what was left out and why."""
    config = task.config
    rules = PassageRules(max_notes=config.max_notes, min_notes=config.min_notes)
    random = seeded(config.seed, "engraving", task.corpus, task.item.id)
    settings = vary(random) if config.vary else EngraveConfig(config.staff_space, config.page_width)
    settings = replace(settings, texts=config.texts)
    pairs: list[Pair] = []
    rejected = Counter[str]()
    counts = Counter[str]()
    warnings: list[str] = []
    source: Score | None = None
    spare = 0  # passages that the stretches before might have given and did not have
    for stretch in _stretches(task, settings):
        score = stretch.score
        source = stretch.source
        counts.update(bars=len(score.bars), written_notes=len(score.notes), accidentals=stretch.engraving.accidentals)
        warnings += score.warnings
        limit = config.max_passages if stretch.share is None else stretch.share + spare
        chosen = _choose(stretch, limit, task) if limit != 0 else []
        spare = 0 if limit is None else limit - len(chosen)
        for number, layouts in chosen:
            counts.update(passages=1)
            try:
                pairs.append(_passage(stretch, number, layouts, rules, task))
            except (Rejected, ValueError) as reason:
                rejected[str(reason)] += 1
    info = refused(task, "") | dict(counts) | {"warnings": warnings[:5], "rejected": dict(sorted(rejected.items()))}
    info["passages"] = counts["passages"]
    if source is not None:
        info["fingerprint"] = base64.b64encode(_fingerprint(source).to_bytes()).decode()
    return pairs, info


def _fingerprint(score: Score) -> Fingerprint:
    """Of the sounding notes: without graces, percussion, and the later notes of ties."""
    notes = score.notes
    sounding = (notes.tie & TIED_FROM == 0) & ~notes.grace & (notes.program != DRUMS) & (notes.duration > 0)
    return fingerprint(notes.onset[sounding] / score.resolution, notes.pitch[sounding])


def _stretches(task: Task, settings: EngraveConfig) -> Iterator[_Stretch]:
    """The item engraved: in one piece, or a MIDI file's notation in pieces of some bars."""
    item = task.item
    if item.format == "midi":
        midi = read_midi(item.path)
        beats = corpora.get(task.corpus).beats
        notations = notate_all(midi, beats(item) if beats is not None else None)
        shares = _shares([notation.mei.count("<measure ") for notation in notations], task)
        for i, (notation, share) in enumerate(zip(notations, shares, strict=True)):
            engraving = Engraving(notation.mei, settings, str(item.path))
            score = performed(engraving.reading.score, midi, notation.source_note)
            how = BEATS[notation.how]
            yield _Stretch(f"{i}.", notation.first_bar, engraving, score, midi, share=share, beats=how)
        return
    stated = read_text(item.path, item.format)
    if item.format == "abc":
        stated = corpora.abc_text(item)
    text = stated if settings.texts else without_lyrics(stated, item.format)
    if item.format == "abc":
        text = check_abc(text, item.path)
    engraving = Engraving(text, settings, str(item.path), bar_accidentals=item.format == "abc")
    score = engraving.reading.score
    yield _Stretch("", 0, engraving, score, score, doubtful(stated, item.format, score))


def _shares(bars: list[int], task: Task) -> list[int | None]:
    """How many passages each stretch of an item may give: every bar of the item has the same chance, by the seed."""
    most = task.config.max_passages
    if most is None:
        return [None] * len(bars)
    stretch_of_bar = [i for i, count in enumerate(bars) for _ in range(count)]
    random = seeded(task.config.seed, "stretches", task.corpus, task.item.id)
    drawn = Counter(random.sample(stretch_of_bar, min(most, len(stretch_of_bar))))
    return [drawn[i] for i in range(len(bars))]


def _choose(stretch: _Stretch, limit: int | None, task: Task) -> list[tuple[str, list[Layout]]]:
    """The passages of a stretch, as "<page>.<number>" and their systems; with a limit, from pages by the seed."""
    config, engraving = task.config, stretch.engraving
    pages = list(range(engraving.pages))
    random = seeded(config.seed, "passages", task.corpus, task.item.id, stretch.name)
    if limit is not None:
        random.shuffle(pages)
    chosen: list[tuple[int, int, list[Layout]]] = []
    for page in pages:
        if limit is not None and len(chosen) >= limit:
            break
        systems = engraving.page(page)
        heads = [system.heads if config.max_systems > 1 else 0 for system in systems]
        groups = passages(heads, config.max_systems, config.few_notes)
        chosen += [(page, number, [systems[i] for i in group]) for number, group in enumerate(groups)]
    if limit is not None and len(chosen) > limit:
        chosen = random.sample(chosen, limit)
    return [
        (f"{stretch.name}{page}.{number}", layouts) for page, number, layouts in sorted(chosen, key=lambda c: c[:2])
    ]


def _passage(stretch: _Stretch, number: str, layouts: list[Layout], rules: PassageRules, task: Task) -> Pair:
    """One pair, engraved and degraded as the seed says."""
    item, config, engraved = task.item, task.config, stretch.engraving.config
    name = f"{task.corpus}/{item.id}#{number}"
    random = seeded(config.seed, "look", name)
    space = round(random.uniform(*STAFF_SPACES), 2) if config.vary else engraved.staff_space
    kind = random.choice(("none", "scan", "photo")) if config.degrade == "mix" else config.degrade
    look: Look | None = None
    if kind != "none":
        look = partial(degrade, kind=kind, seed=random.getrandbits(32))
    about = {
        "id": name,
        "corpus": task.corpus,
        "item": item.id,
        "work": item.work,
        "style": item.style,
        "composer": item.composer,
        "title": item.title,
        "split": "",
        "format": item.format,
        "notation": "machine" if item.format == "midi" else "composer",
        "beats": stretch.beats,
        "official_split": item.split or "",
        "labels": json.dumps(dict(item.labels), ensure_ascii=False, sort_keys=True),
        "font": engraved.font,
        "page_width": engraved.page_width,
        "degraded": kind,
    }
    bars = [bar for layout in layouts for bar in stretch.engraving.bars(layout)]
    if stretch.doubtful.intersection(bars):
        raise Rejected("the engraver reads a bar otherwise than the file says")
    if reason := stretch.engraving.misleads(bars):
        raise Rejected(reason)
    taken = excerpt(stretch.score, bars, default_vocabulary(), rules)
    systems = tuple(stretch.engraving.draw(layout, space) for layout in layouts)
    pair = make_pair(taken, systems, rules, about, look)
    return replace(pair, first_bar=pair.first_bar + stretch.first_bar)
