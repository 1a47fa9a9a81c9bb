"""File -> notation text or `Score`: the only place that opens music files.

Files come from anywhere, so sizes are bounded before anything is parsed: 20 MB of notation, the same after
unpacking an MXL (at most 100 entries and 200 times its packed size), 20 MB of MIDI, and 100,000 quarter notes.
Run these functions in a worker process (`sandbox`): the native parsers behind them can abort.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree

from scoresim.errors import BadInput
from scoresim.score.abc import check_abc as check_abc
from scoresim.score.notes import DRUMS, MAX_QUARTERS, Bar, Ints, Score, notes_from_columns

MAX_BYTES = 20_000_000
MAX_ENTRIES, MAX_RATIO = 100, 200
UNZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, NotImplementedError),  # the last: an unknown compression
    *(RuntimeError, EOFError, OSError, ValueError),
)
KERN_SLASH = re.compile(r"(?m)(?<![^\t\n])\*X?(?:rep|tremolo)(?![^\t\r\n])")
KERN_CLEF = re.compile(r"(?m)(?<![^\t\n])\*clef[A-Z]v?[6-9]")
KERN_EMPTY = re.compile(r"(?m)^\.(?:\t\.)*\r?\n")
MULTIPLE_REST = re.compile(r"<multiple-rest\b[^>]*(?:/>|>[^<]*</multiple-rest\s*>)")
BEAM = re.compile(r"<beam\b[^>]*>[^<]*</beam\s*>")
TRANSPOSE = re.compile(r"<transpose\b([^>]*)>(.*?)</transpose", re.DOTALL)
ENCODING = re.compile(r"""\s+encoding=("[^"]*"|'[^']*')""")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file.

    Raises:
        BadInput: the file is missing, unreadable, empty, or larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    if not data.strip():
        raise BadInput(f"{path} is empty.")
    if len(data) > limit:
        raise BadInput(f"{path} is larger than {limit // 1_000_000} MB; split it or leave it out.")
    return data


def read_text(path: Path, form: str) -> str:
    """The notation text of a MusicXML, MXL, MEI, kern or ABC file, unpacked and decoded.

    Args:
        path: the file.
        form: "musicxml", "mxl", "mei", "kern" or "abc".

    Raises:
        BadInput: with one sentence, when the file is not what its format says or breaks a bound.
    """
    data = read_bytes(path)
    if form == "mxl":
        data = _unpacked(path, data)
    text = decoded(data)
    if form in ("musicxml", "mxl", "mei"):
        _check_xml(path, data if text is None else text.encode())
    if text is None:
        raise BadInput(f"{path} is not text in a known encoding; it looks like a binary file.")
    if form == "kern" and not any(line.startswith("**") for line in text.splitlines()):
        raise BadInput(f"{path} is not Humdrum: no line begins with **.")
    if form == "abc" and "K:" not in text:
        raise BadInput(f"{path} is not ABC: it has no K: field.")
    return _engravable(text, form, path)


def _engravable(text: str, form: str, path: Path) -> str:
    """The text with what verovio 6.4 leaves out of its picture written out.

    Repeats and tremolos written as slashes (kern ``*rep``, ``*tremolo``) and rests drawn as one for several bars become
    the notes and bars that they stand for. A kern line of nothing but null tokens makes verovio move what follows by a
    thirty-second; it is taken out. A beam that is named at every note of a chord costs it most notes of the bar; it
    stays at the first alone.

    Raises:
        BadInput: a part changes its transposition on the way, which verovio does not follow, or a clef is on no line.
    """
    if form == "kern":
        if clef := KERN_CLEF.search(text):
            raise BadInput(
                f"{path} has a clef on a line that no staff has ({clef[0]}), which the engraver draws off the staff."
            )
        text = KERN_EMPTY.sub("", KERN_SLASH.sub("*", text))
    if form in ("musicxml", "mxl"):
        if "<multiple-rest" in text:
            text = MULTIPLE_REST.sub("", text)
        first, *others = text.split("<chord")
        text = "<chord".join([first, *map(_unbeamed, others)])
        for part in text.split("<part ")[1:] if text.count("<transpose") > 1 else ():
            if any(len(set(moves)) > 1 for moves in _transpositions(part).values()):
                raise BadInput(f"{path} changes the transposition of a part on the way, which the engraver misses.")
    return text


def _unbeamed(text: str) -> str:
    """What follows the mark of a note that stands in the chord of another, without beams up to the note's end."""
    end = text.find("</note>")
    return BEAM.sub("", text[:end]) + text[end:] if "<beam" in text[: max(end, 0)] else text


def _transpositions(part: str) -> dict[str, list[tuple[str, ...]]]:
    """The transpositions that the text of a MusicXML part states, by staff."""
    moves: dict[str, list[tuple[str, ...]]] = {}
    for attributes, inner in TRANSPOSE.findall(part):
        moves.setdefault(attributes, []).append(tuple(re.findall(r"-?[0-9]+", inner)))
    return moves


def decoded(data: bytes) -> str | None:
    """Text in UTF-8, UTF-16 (by its mark) or Latin-1, without the name of another encoding; None for what is no text.

    The engraver is given UTF-8 and would believe the name.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            return None
    elif b"\0" in data:
        return None
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    declared = ENCODING.search(text, 0, 200) if text.startswith("<?xml") else None
    if declared and declared[1].strip("\"'").upper() not in ("UTF-8", "UTF8"):
        text = text[: declared.start()] + text[declared.end() :]
    return text


class _Nothing:
    """The target of a parser that only checks: without a tree it takes a third of the time."""

    def close(self) -> None:
        pass


def _check_xml(path: Path, data: bytes) -> None:
    """Refuse what is not well-formed, and any file that defines entities."""
    if b"<!ENTITY" in data:
        raise BadInput(f"{path} defines XML entities, which score files do not need; it is refused.")
    nothing: Any = _Nothing()
    parser = etree.XMLParser(target=nothing, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        etree.parse(io.BytesIO(data), parser)
    except etree.XMLSyntaxError as error:
        raise BadInput(f"{path} is not well-formed XML ({error.msg}); it may be cut off.") from error


def _unpacked(path: Path, data: bytes) -> bytes:
    """The score inside an MXL: the first root file of its container, else its first XML file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if len(entries) > MAX_ENTRIES or total > MAX_BYTES or total > MAX_RATIO * max(len(data), 1):
                raise BadInput(f"{path} unpacks to {total} bytes in {len(entries)} entries, more than a score needs.")
            names = [entry.filename for entry in entries]
            chosen = _root_file(archive, names)
            with archive.open(chosen) as file:
                return file.read(MAX_BYTES)
    except UNZIP_ERRORS as error:
        raise BadInput(f"{path} is not a readable MXL archive ({error}).") from error


def _root_file(archive: zipfile.ZipFile, names: list[str]) -> str:
    if "META-INF/container.xml" in names:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
        root = etree.fromstring(archive.read("META-INF/container.xml"), parser)
        for element in root.iter() if root is not None else ():
            path = element.get("full-path")
            if path in names and not path.endswith(".pdf"):
                return str(path)
    scores = [n for n in names if n.lower().endswith((".xml", ".musicxml")) and not n.startswith("META-INF")]
    if not scores:
        raise ValueError("it holds no score")
    return scores[0]


def read_midi(path: Path) -> Score:
    """A MIDI file as a score: notes, bars where it states time signatures, tempos.

    Notes that end where they begin keep a length of one tick. Staff, voice and spelling are unknown.

    Raises:
        BadInput: the file is not MIDI, has no notes, no ticks per quarter note, or is absurdly long.
    """
    return read_tracks(path)[0]


def midi_bytes(path: Path) -> bytes:
    """The bytes of a MIDI file, without the RIFF file (RMID) around it that there may be.

    Raises:
        BadInput: as `read_bytes`, or it holds no MIDI.
    """
    data = read_bytes(path)
    begin = data.find(b"MThd") if data.startswith(b"RIFF") else 0
    if begin < 0 or not data.startswith(b"MThd", begin):
        raise BadInput(f"{path} is not a MIDI file, whatever its name says.")
    return data[begin:]


def read_tracks(path: Path) -> tuple[Score, Ints, tuple[str, ...]]:
    """A MIDI file as `read_midi` gives it, the track of every note ([N], from 0), and the names of the tracks.

    Raises:
        BadInput: as `read_midi`.
    """
    import symusic

    data = midi_bytes(path)
    try:
        midi: Any = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise BadInput(f"{path} cannot be read as MIDI ({error}); it may be cut off.") from error
    resolution = int(midi.ticks_per_quarter)
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("time", "duration", "pitch", "velocity", "program", "track")
    }
    for number, track in enumerate(midi.tracks):
        arrays = track.notes.numpy()
        n = len(arrays["time"])
        for name in ("time", "duration", "pitch", "velocity"):
            columns[name].append(np.asarray(arrays[name], dtype=np.int64))
        columns["track"].append(np.full(n, number))
        columns["program"].append(np.full(n, DRUMS if track.is_drum else min(max(int(track.program), 0), 127)))
    merged = {name: np.concatenate([np.zeros(0, np.int64), *parts]) for name, parts in columns.items()}
    if not len(merged["time"]):
        raise BadInput(f"{path} has no notes.")
    merged["duration"] = np.maximum(merged["duration"], 1)
    end = int((merged["time"] + merged["duration"]).max())
    if resolution <= 0 or merged["time"].min() < 0 or end > MAX_QUARTERS * resolution:
        raise BadInput(f"{path} lasts longer than {MAX_QUARTERS} quarter notes or has broken times.")
    order = np.lexsort((merged["duration"], merged["pitch"], merged["time"]))
    notes = notes_from_columns(
        onset=merged["time"][order],
        duration=merged["duration"][order],
        pitch=np.clip(merged["pitch"][order], 0, 127),
        velocity=np.clip(merged["velocity"][order], 1, 127),
        program=merged["program"][order],
    )
    signatures = [(int(s.time), int(s.numerator), int(s.denominator)) for s in midi.time_signatures]
    tempos = tuple((max(int(t.time), 0), float(t.qpm)) for t in midi.tempos if 0 < t.qpm < math.inf)
    bars = bars_from_signatures(signatures, end, resolution) if signatures else ()
    names = tuple(str(track.name) for track in midi.tracks)
    return Score(resolution, notes, bars, (), tempos, str(path)), merged["track"][order], names


def bars_from_signatures(signatures: list[tuple[int, int, int]], end: int, resolution: int) -> tuple[Bar, ...]:
    """Bar lines for music that only states its time signatures.

    Args:
        signatures: (tick, numerator, denominator), in any order; a new one cuts the bar it falls into.
        end: tick at which the music ends; no bar begins there.
        resolution: ticks per quarter note.

    Returns:
        Bars that cover 0 to `end`; 4/4 before the first signature, and for one that makes no sense.
    """
    changes = {0: (4, 4)}
    for tick, numerator, denominator in sorted(signatures):
        sensible = 0 < numerator <= 255 and 0 < denominator <= 256
        if 0 <= tick < max(end, 1) and sensible:
            changes[tick] = (numerator, denominator)
    ticks = [*sorted(changes), max(end, 1)]
    bars: list[Bar] = []
    for start, stop in itertools.pairwise(ticks):
        numerator, denominator = changes[start]
        length = max(round(4 * resolution * numerator / denominator), resolution // 8, 1)
        last = stop >= end
        for onset in range(start, stop, length):
            bars.append(Bar(onset, length if last else min(length, stop - onset), numerator, denominator))
    return tuple(bars)
