"""Notes as a MIDI file: the melody or each hand on a track of its own, a performance on the grid of its beats.

Of a MIDI file the events are moved, one by one, and what need not move stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.score.midi_events import (
    CONTROL,
    END,
    EXCLUSIVE,
    METRE,
    NAME,
    PERCUSSION,
    TEMPO,
    Event,
    Events,
    Sounding,
    keys_of,
    meta,
    notes_of,
    read_events,
    written,
)
from scoresim.score.notate import beaten
from scoresim.score.notes import DRUMS, Ints, Score, tied_chains
from scoresim.score.performance import seconds
from scoresim.score.timeline import QUARTER

MELODY, REST = "Melody", "Accompaniment"
RIGHT, LEFT = "Right hand", "Left hand"
PEDALS = {64, 66, 67}  # controls of MIDI: damper, sostenuto, soft
OF_FILE = {0x00, 0x02, 0x06, 0x07, TEMPO, 0x54, METRE, 0x59}  # META: number, copyright, marker, cue, offset, key, ...
OF_TRACK = {NAME, 0x04, 0x09, 0x20, 0x21, END}  # and of a track with notes: instrument, device, channel, port
LYRICS, PORT = 0x05, 0x21
RESOLUTION = 480  # ticks per quarter note of a file made from notation
GRID_RESOLUTION = 960  # and of a performance on its beats
SLACK = 0.05  # of a bar that notes may begin before it
AFTER = 1e4  # beats after the last, in its tempo
SLOWEST = (1 << 24) - 1  # microseconds a quarter note that MIDI can say
CLICKS = (24, 8)  # of a metronome, in clocks; thirty-seconds in a quarter note


def with_melody(path: Path, score: Score, melody: NDArray[np.bool_], only: bool) -> bytes:
    """A file of notes as MIDI with its melody on a track of its own, before the others.

    A MIDI file keeps all its events. The melody has a channel of its own where one is free, with the program, the
    pedal and whatever else the channel of the track was told that most of it stood in; of a track whose notes are all
    melody it has the lyrics, too, and the track goes where nothing is left of it. A notated file becomes two tracks
    with its tempos and time signatures, without percussion.

    Args:
        path: the file; a MIDI file is read again.
        score: its notes.
        melody: [M] which of them are melody.
        only: leave all other notes out, and of MIDI what was said to their tracks.

    Raises:
        BadInput: nothing is melody, so that nothing would be left; or events of a MIDI file cannot be written again.
    """
    if only and not melody.any():
        raise BadInput(f"{path} has no note that is melody; leave --only away to keep the others.")
    if score.notes.id:
        tracks = {MELODY: melody} if only else {MELODY: melody, REST: ~melody}
        return bytes(_from_notation(score, tracks).dumps_midi())
    return _from_midi(path, score, {MELODY: melody}, only=only)


def with_hands(path: Path, score: Score, right: NDArray[np.bool_]) -> bytes:
    """A file of notes as MIDI with the notes of each hand on a track of their own, before what is neither's.

    Of a MIDI file all else stays, as in `with_melody`, and its percussion. Both hands have all pedals of the tracks
    that their notes stood in.

    Args:
        path: the file; a MIDI file is read again.
        score: its notes.
        right: [M] which of them are for the right hand; all others are for the left.

    Raises:
        BadInput: events of a MIDI file cannot be written again.
    """
    tracks = {RIGHT: right, LEFT: ~right}
    if score.notes.id:
        return bytes(_from_notation(score, tracks).dumps_midi())
    return _from_midi(path, score, tracks, one_player=True)


def with_beats(path: Path, score: Score) -> bytes:
    """A performance as MIDI on the ticks of its music: beats are whole, bars and the tempo of each beat are said.

    It sounds as before, without the silence before its first bar: all events but tempos and time signatures are moved
    to the tick that comes at their second. Nothing is rounded to a rhythm.

    Args:
        path: the file, which is read again.
        score: its notes.

    Raises:
        BadInput: it lies on its beats already, cannot be written down, or has events that cannot be written again.
    """
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

    moved = []
    for track in read_events(path).tracks:
        events = [event for event in track if event.meta not in (TEMPO, METRE)]
        at = np.interp(seconds(score, np.array([event.time for event in events], dtype=np.int64)), *far)
        ends = np.round(at).astype(np.int64)
        for note in notes_of(events):
            ends[note.last] = max(ends[note.last], ends[note.first] + 1)
        moved.append([event.at(tick) for event, tick in zip(events, ends.tolist(), strict=True)])
    said = [
        meta(round(tick), TEMPO, min(round(tempo), SLOWEST).to_bytes(3, "big"))
        for tick, tempo in zip(ticks, 1e6 * np.diff(clock) * GRID_RESOLUTION / np.diff(ticks), strict=False)
    ]
    metre = None
    for one in line.bars:
        if (one.numerator, one.denominator) != metre:
            tick = one.onset * GRID_RESOLUTION / QUARTER + before * bar if metre else 0
            metre = one.numerator, one.denominator
            said.append(meta(round(tick), METRE, bytes([metre[0], metre[1].bit_length() - 1, *CLICKS])))
    return written(Events(GRID_RESOLUTION, [[*said, *moved[0]], *moved[1:]]))


class _Placed(NamedTuple):
    """An event of a file, and where it stands."""

    track: int
    number: int  # in the track
    event: Event
    ends: bool = False  # a note that began earlier

    @property
    def voice(self) -> tuple[int, int] | None:
        """Track and channel of an event that is for one channel."""
        return None if self.event.channel is None else (self.track, self.event.channel)


def _from_midi(
    path: Path, score: Score, tracks: Mapping[str, NDArray[np.bool_]], *, only: bool = False, one_player: bool = False
) -> bytes:
    """The file with new tracks for some of its notes.

    Args:
        path: the file.
        score: its notes.
        tracks: [M] by the name of a new track, which notes it gets.
        only: leave all other notes out.
        one_player: the new tracks share their pedals.
    """
    file = read_events(path)
    every = [[_Placed(i, n, event) for n, event in enumerate(track)] for i, track in enumerate(file.tracks)]
    taken, stay = _divided(every, file.notes, score, tracks)
    stay = [] if only else stay
    left = {one.voice[1] for track in stay for one in track if one.voice and one.event.begins}
    silent = {one.voice[1] for track in every for one in track if one.voice and one.event.begins} - left
    new = _new_tracks(every, taken, left, silent, one_player)
    old: list[list[Event]] = []
    for before, after in zip(every, stay, strict=False):
        events = [one.event for one in after if one.voice is None or one.event.channel not in silent]
        if not any(one.event.begins for one in before) or any(event.meta not in OF_TRACK for event in events):
            old.append(events)
    first = [one.event for track in every for one in track if _of_file(one.event)] if only else []
    if old and not any(event.sounds for event in old[0]):
        first = old.pop(0)
    elif old:  # what is said of the file comes before all notes
        first = [event for event in old[0] if _of_file(event)]
        old[0] = [event for event in old[0] if not _of_file(event)]
    return written(Events(file.division, [track for track in (first, *new, *old) if track]))


def _of_file(event: Event) -> bool:
    """Whether an event is about all tracks."""
    return event.meta in OF_FILE or event.kind in EXCLUSIVE


def _is_pedal(event: Event) -> bool:
    return event.kind == CONTROL and event.data[1] in PEDALS


def _divided(
    every: list[list[_Placed]],
    notes: Sequence[list[Sounding]],
    score: Score,
    tracks: Mapping[str, NDArray[np.bool_]],
) -> tuple[dict[str, list[_Placed]], list[list[_Placed]]]:
    """The events of new tracks, and those of all old ones without them."""
    wanted = {name: keys_of(score.notes, chosen) for name, chosen in tracks.items()}
    taken: dict[str, list[_Placed]] = {name: [] for name in tracks}
    stay = []
    for track, made in zip(every, notes, strict=True):
        goes: dict[int, str] = {}
        lasting = set()
        for first, last, key in made:
            name = next((name for name in tracks if key[-1] != DRUMS and wanted[name][key] > 0), None)
            if name is not None:
                wanted[name][key] -= 1
                goes[first] = goes[last] = name
                if track[last].event.time > track[first].event.time:
                    lasting.add(last)
        names = {goes.get(one.number) for one in track if one.event.sounds}
        if len(names) == 1 and None not in names:  # what is sung to these notes goes with them
            goes |= {one.number: str(*names) for one in track if one.event.meta == LYRICS}
        for number, name in goes.items():
            taken[name].append(track[number]._replace(ends=number in lasting))
        stay.append([one for one in track if one.number not in goes])
    return taken, stay


def _new_tracks(
    every: list[list[_Placed]],
    taken: Mapping[str, list[_Placed]],
    left: set[int],
    silent: set[int],
    one_player: bool,
) -> list[list[Event]]:
    """New tracks with what their notes need to sound as before.

    A track gets a channel of its own, its home where no other note sounds there, and all that is told its home: the
    track and channel that most of its notes stood in. Where all channels are taken its notes keep theirs.

    Args:
        every: the events of the file.
        taken: notes and lyrics by the name of a new track.
        left: channels in which other notes sound.
        silent: channels in which notes sounded, and none of those that stay.
        one_player: the tracks share their pedals.
    """
    sounding = {one.voice for track in every for one in track if one.event.begins}
    told = [one for track in every for one in track if one.voice and not one.event.sounds]
    used = {one.event.channel for track in every for one in track if one.voice}
    order = [*(channel for channel in range(16) if channel not in used), *sorted(silent)]
    free = [channel for channel in order if channel != PERCUSSION]
    places = {name: Counter(one.voice for one in moved if one.voice) for name, moved in taken.items()}

    def told_to(voices: set[tuple[int, int]]) -> list[_Placed]:
        """What is told them, and their channels in tracks that have no notes for these."""
        channels = {channel for _, channel in voices}
        return [
            one for one in told if one.voice in voices or (one.event.channel in channels and one.voice not in sounding)
        ]

    shared = told_to(set().union(*places.values())) if one_player else []
    pedals = [one for one in shared if _is_pedal(one.event)]
    new = []
    for name, moved in taken.items():
        if not moved:
            continue
        home = places[name].most_common(1)[0][0]
        own = next((channel for channel in (home[1], *free) if channel not in left), None)
        left = left if own is None else left | {own}
        sources = set(places[name]) if own is None else {home}
        chosen = [one for one in told_to(sources) if not (one_player and _is_pedal(one.event))]

        def order_of(one: _Placed, home: int = home[0]) -> tuple[int, int, int, int]:
            """Of one tick: what ends, what is told elsewhere, the order of its home, and what begins elsewhere."""
            far = one.track != home
            rank = 2 if not far else 0 if one.ends else 3 if one.event.sounds else 1
            return one.event.time, rank, one.track, one.number

        events = [meta(0, NAME, name.encode())]
        events += [one.event for one in every[home[0]] if one.event.meta == PORT]
        for one in sorted([*chosen, *pedals, *moved], key=order_of):
            events.append(one.event if own is None or one.voice is None else one.event.on(own))
        new.append(events)
    return new


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
