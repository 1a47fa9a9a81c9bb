"""Notes as a MIDI file: the melody or each hand on a track of its own, a performance on the grid of its beats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.score.notate import beaten
from scoresim.score.notes import DRUMS, Ints, Score, tied_chains
from scoresim.score.performance import seconds
from scoresim.score.read import read_bytes
from scoresim.score.timeline import QUARTER

MELODY, REST = "Melody", "Accompaniment"
RIGHT, LEFT = "Right hand", "Left hand"
KEY = ("onset", "duration", "pitch", "velocity", "program")  # by which a note is known again
PEDALS = {64, 66, 67}  # controls of MIDI: damper, sostenuto, soft
RESOLUTION = 480  # ticks per quarter note of a file made from notation
GRID_RESOLUTION = 960  # and of a performance on its beats
SLACK = 0.05  # of a bar that notes may begin before it
AFTER = 1e4  # beats after the last, in its tempo
CHANNELS = 15  # of MIDI, without that of percussion: as many tracks can have an instrument of their own


def with_melody(path: Path, score: Score, melody: NDArray[np.bool_], only: bool) -> bytes:
    """A file of notes as MIDI with its melody on a track of its own, before the others.

    A MIDI file keeps its tempos, signatures, lyrics and markers, the names, programs, pedals, controls and pitch bends
    of its tracks; other events are left out. The melody has the program, the pedal and the other controls of the track
    that most of it stood in. A notated file becomes two tracks with its tempos and time signatures, without percussion.

    Args:
        path: the file; a MIDI file is read again.
        score: its notes.
        melody: [M] which of them are melody.
        only: leave all other notes out.

    Raises:
        BadInput: nothing is melody, so that nothing would be left; or there would be more tracks of several instruments
            than channels.
    """
    if only and not melody.any():
        raise BadInput(f"{path} has no note that is melody; leave --only away to keep the others.")
    if score.notes.id:
        tracks = {MELODY: melody} if only else {MELODY: melody, REST: ~melody}
        return bytes(_from_notation(score, tracks).dumps_midi())
    return bytes(_from_midi(path, score, {MELODY: melody}, only=only).dumps_midi())


def with_hands(path: Path, score: Score, right: NDArray[np.bool_]) -> bytes:
    """A file of notes as MIDI with the notes of each hand on a track of their own, before what is neither's.

    Of a MIDI file all else stays, as in `with_melody`, and its percussion. Both hands have all pedals of the tracks
    that their notes stood in; of these tracks those go that have no note left.

    Args:
        path: the file; a MIDI file is read again.
        score: its notes.
        right: [M] which of them are for the right hand; all others are for the left.

    Raises:
        BadInput: there would be more tracks of several instruments than channels.
    """
    tracks = {RIGHT: right, LEFT: ~right}
    midi = _from_notation(score, tracks) if score.notes.id else _from_midi(path, score, tracks, one_player=True)
    return bytes(midi.dumps_midi())


def with_beats(path: Path, score: Score) -> bytes:
    """A performance as MIDI on the ticks of its music: beats are whole, bars and the tempo of each beat are said.

    It sounds as before, without the silence before its first bar: notes, pedals, other controls, lyrics, markers and
    key signatures are moved to the tick that comes at their second. Nothing is rounded to a rhythm.

    Args:
        path: the file, which is read again.
        score: its notes.

    Raises:
        BadInput: it lies on its beats already, cannot be written down, or has more tracks of several instruments than
            there are channels.
    """
    import symusic

    old: Any = symusic.Score.from_midi(read_bytes(path))
    heard, line = beaten(score)
    clock = np.r_[0.0, np.cumsum(line.beat_seconds)]
    clock += np.median(seconds(score, heard.onset) - np.interp(line.onset, line.cells, clock))
    ticks = line.cells * GRID_RESOLUTION / QUARTER
    # what sounds before the first bar, percussion say, has bars of its own
    bar = line.bars[0].duration * GRID_RESOLUTION / QUARTER
    lasts = float(np.interp(bar, ticks, clock) - clock[0])
    before = max(int(np.ceil((clock[0] - seconds(score, score.notes.onset).min()) / lasts - SLACK)), 0)
    part = np.arange(-before, 0, GRID_RESOLUTION / bar)  # of a bar, about a beat each
    clock, ticks = np.r_[clock[0] + part * lasts, clock], np.r_[part * bar, ticks] + before * bar
    last = clock[-1] - clock[-2], ticks[-1] - ticks[-2]
    far = np.r_[clock, clock[-1] + AFTER * last[0]], np.r_[ticks, ticks[-1] + AFTER * last[1]]

    def at(times: list[int]) -> list[int]:
        moved = np.round(np.interp(seconds(score, np.array(times, dtype=np.int64)), *far))
        return [int(tick) for tick in moved]

    new: Any = symusic.Score(GRID_RESOLUTION)
    for track in old.tracks:
        copy: Any = symusic.Track(track.name, track.program, track.is_drum)
        for kind in ("notes", "controls", "pitch_bends", "pedals", "lyrics"):
            events = list(getattr(track, kind))
            begin = at([event.time for event in events])
            end = at([event.time + getattr(event, "duration", 0) for event in events])
            for event, first, stop in zip(events, begin, end, strict=True):
                event.time = first
                if hasattr(event, "duration"):
                    event.duration = max(stop - first, 1)
            setattr(copy, kind, events)
        new.tracks.append(copy)
    for kind in ("markers", "key_signatures"):
        events = list(getattr(old, kind))
        for event, first in zip(events, at([event.time for event in events]), strict=True):
            event.time = first
        setattr(new, kind, events)
    tempos = 60 * np.diff(ticks) / GRID_RESOLUTION / np.diff(clock)
    for tick, tempo in zip(ticks, tempos, strict=False):
        new.tempos.append(symusic.Tempo(round(tick), float(tempo)))
    metre = None
    for one in line.bars:
        if (one.numerator, one.denominator) != metre:
            tick = one.onset * GRID_RESOLUTION / QUARTER + before * bar if metre else 0
            metre = one.numerator, one.denominator
            new.time_signatures.append(symusic.TimeSignature(round(tick), *metre))
    return bytes(_with_channels(new, path).dumps_midi())


def _from_midi(
    path: Path, score: Score, tracks: Mapping[str, NDArray[np.bool_]], *, only: bool = False, one_player: bool = False
) -> Any:
    """The file with new tracks for some of its notes.

    Args:
        path: the file.
        score: its notes.
        tracks: [M] by the name of a new track, which notes it gets.
        only: leave all other notes out.
        one_player: the new tracks share their pedals, and tracks that have lost all their notes go.
    """
    import symusic

    midi: Any = symusic.Score.from_midi(read_bytes(path))
    wanted = {
        name: Counter(zip(*(getattr(score.notes, column)[chosen].tolist() for column in KEY), strict=True))
        for name, chosen in tracks.items()
    }
    taken: dict[str, list[list[Any]]] = {name: [] for name in tracks}  # notes of every track of the file
    before = [len(track.notes) for track in midi.tracks]
    for track in midi.tracks:
        for some in taken.values():
            some.append([])
        kept: list[Any] = []
        program = min(max(int(track.program), 0), 127)
        for note in track.notes:  # as `read_tracks` reads it
            velocity = min(max(note.velocity, 1), 127)
            key = note.time, max(note.duration, 1), min(max(note.pitch, 0), 127), velocity, program
            name = next((name for name in tracks if not track.is_drum and wanted[name][key] > 0), None)
            if name is None:
                kept.append(note)
            else:
                wanted[name][key] -= 1
                taken[name][-1].append(note)
        track.notes = kept
    new: list[Any] = []
    for name, moved in taken.items():
        if any(moved):
            most = midi.tracks[max(range(len(moved)), key=lambda i: len(moved[i]))]
            lead: Any = symusic.Track(name, most.program)
            lead.notes = [note for some in moved for note in some]
            lead.controls, lead.pitch_bends, lead.pedals = most.controls, most.pitch_bends, most.pedals
            new.append(lead)
    if one_player:
        _share_pedals(new, [track for i, track in enumerate(midi.tracks) if any(some[i] for some in taken.values())])
        midi.tracks = [track for track, count in zip(midi.tracks, before, strict=True) if track.notes or not count]
    midi.tracks = new if only else [*new, *midi.tracks]
    return _with_channels(midi, path)


def _with_channels(midi: Any, path: Path) -> Any:
    """A file each of whose tracks can have a channel: where two share one, both have the instrument of the second.

    Raises:
        BadInput: they are too many, and of several instruments.
    """
    sounding = [track.program for track in midi.tracks if track.notes and not track.is_drum]
    if len(sounding) > CHANNELS and len(set(sounding)) > 1:
        raise BadInput(
            f"{path} would have {len(sounding)} tracks of several instruments, and MIDI has {CHANNELS} channels for "
            "them; join some of its tracks."
        )
    return midi


def _share_pedals(new: list[Any], old: list[Any]) -> None:
    """Give tracks all pedals of others, from which their notes were taken."""
    for track in new:
        own = [control for control in track.controls if control.number not in PEDALS]
        pedals = [control for one in old for control in one.controls if control.number in PEDALS]
        track.controls = sorted([*own, *pedals], key=lambda control: control.time)
        track.pedals = sorted([pedal for one in old for pedal in one.pedals], key=lambda pedal: pedal.time)


def _from_notation(score: Score, tracks: Mapping[str, NDArray[np.bool_]]) -> Any:
    """Notes in tracks, with tempos and time signatures."""
    import symusic

    midi: Any = symusic.Score(RESOLUTION)
    notes = score.notes
    chain = tied_chains(notes)
    onset, end = _ticks(score, notes.onset), _ticks(score, notes.onset + notes.duration)
    np.maximum.at(end, chain, end.copy())
    sounding = (chain == np.arange(len(notes))) & (notes.program != DRUMS)
    for name, chosen in tracks.items():
        track: Any = symusic.Track(name)
        for i in np.flatnonzero(chosen & sounding).tolist():
            track.notes.append(
                symusic.Note(int(onset[i]), max(int(end[i] - onset[i]), 1), int(notes.pitch[i]), int(notes.velocity[i]))
            )
        midi.tracks.append(track)
    for tick, tempo in score.tempos or ((0, 120.0),):
        midi.tempos.append(symusic.Tempo(int(_ticks(score, np.array([tick]))[0]), float(tempo)))
    before = None
    for bar in score.bars:
        # of a free metre MIDI says nothing, nor of one that it cannot write
        metred = 0 < bar.numerator < 256 and bar.denominator.bit_count() == 1
        if metred and (bar.numerator, bar.denominator) != before:
            before = bar.numerator, bar.denominator
            midi.time_signatures.append(symusic.TimeSignature(int(_ticks(score, np.array([bar.onset]))[0]), *before))
    return midi


def _ticks(score: Score, ticks: Ints) -> Ints:
    """Ticks of a score in ticks of the file."""
    return (2 * RESOLUTION * ticks + score.resolution) // (2 * score.resolution)
