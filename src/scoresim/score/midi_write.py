"""Notes as a MIDI file, the melody on a track of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.score.notes import DRUMS, Ints, Score, tied_chains
from scoresim.score.read import read_bytes

MELODY, REST = "Melody", "Accompaniment"
KEY = ("onset", "duration", "pitch", "velocity", "program")  # by which a note is known again
RESOLUTION = 480  # ticks per quarter note of a file made from notation


def with_melody(path: Path, score: Score, melody: NDArray[np.bool_], only: bool) -> bytes:
    """A file of notes as MIDI with its melody on a track of its own, before the others.

    A MIDI file keeps all else that it holds: tempos, the names, programs and pedals of its tracks; the melody has the
    program, the pedal and the other controls of the track that most of it stood in. A notated file becomes two tracks
    with its tempos and time signatures, without percussion.

    Args:
        path: the file; a MIDI file is read again.
        score: its notes.
        melody: [M] which of them are melody.
        only: leave all other notes out.

    Raises:
        BadInput: nothing is melody, so that nothing would be left.
    """
    if only and not melody.any():
        raise BadInput(f"{path} has no note that is melody; leave --only away to keep the others.")
    if score.notes.id:
        return bytes(_from_notation(score, melody, only).dumps_midi())
    return bytes(_from_midi(path, score, melody, only).dumps_midi())


def _from_midi(path: Path, score: Score, melody: NDArray[np.bool_], only: bool) -> Any:
    import symusic

    midi: Any = symusic.Score.from_midi(read_bytes(path))
    columns = (getattr(score.notes, name)[melody].tolist() for name in KEY)
    wanted = Counter(zip(*columns, strict=True))
    taken: list[list[Any]] = []
    for track in midi.tracks:
        moved: list[Any] = []
        kept: list[Any] = []
        program = min(max(int(track.program), 0), 127)
        for note in track.notes:  # as `read_tracks` reads it
            velocity = min(max(note.velocity, 1), 127)
            key = note.time, max(note.duration, 1), min(max(note.pitch, 0), 127), velocity, program
            found = not track.is_drum and wanted[key] > 0
            wanted[key] -= found
            (moved if found else kept).append(note)
        taken.append(moved)
        track.notes = kept
    if not any(taken):
        return midi
    most = midi.tracks[max(range(len(taken)), key=lambda i: len(taken[i]))]
    lead: Any = symusic.Track(MELODY, most.program)
    lead.notes = [note for moved in taken for note in moved]
    lead.controls, lead.pitch_bends, lead.pedals = most.controls, most.pitch_bends, most.pedals
    midi.tracks = [lead] if only else [lead, *midi.tracks]
    return midi


def _from_notation(score: Score, melody: NDArray[np.bool_], only: bool) -> Any:
    import symusic

    midi: Any = symusic.Score(RESOLUTION)
    notes = score.notes
    chain = tied_chains(notes)
    onset, end = _ticks(score, notes.onset), _ticks(score, notes.onset + notes.duration)
    np.maximum.at(end, chain, end.copy())
    sounding = (chain == np.arange(len(notes))) & (notes.program != DRUMS)
    for name, chosen in ((MELODY, melody), (REST, ~melody)):
        track: Any = symusic.Track(name)
        for i in np.flatnonzero(chosen & sounding).tolist():
            track.notes.append(
                symusic.Note(int(onset[i]), max(int(end[i] - onset[i]), 1), int(notes.pitch[i]), int(notes.velocity[i]))
            )
        if name == MELODY or not only:
            midi.tracks.append(track)
    for tick, tempo in score.tempos or ((0, 120.0),):
        midi.tempos.append(symusic.Tempo(int(_ticks(score, np.array([tick]))[0]), float(tempo)))
    before = None
    for bar in score.bars:
        if (bar.numerator, bar.denominator) != before:
            before = bar.numerator, bar.denominator
            midi.time_signatures.append(symusic.TimeSignature(int(_ticks(score, np.array([bar.onset]))[0]), *before))
    return midi


def _ticks(score: Score, ticks: Ints) -> Ints:
    """Ticks of a score in ticks of the file."""
    return (2 * RESOLUTION * ticks + score.resolution) // (2 * score.resolution)
