"""The events of a MIDI file as they are, each with its tick: whoever moves some of them keeps all others to the byte.

Libraries for events of MIDI mend, refuse or lose what they do not understand ([decision 0031]
(docs/decisions/0031-events-of-midi-are-moved-as-they-are.md)); notes are read by symusic alone, and here known again.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.score.notes import DRUMS, Notes
from scoresim.score.read import midi_bytes, read_midi

Key = tuple[int, int, int, int, int]  # onset, duration, pitch, velocity, program of a note
OFF, ON, CONTROL, PROGRAM, META = 0x80, 0x90, 0xB0, 0xC0, 0xFF  # kinds of events
SYSTEM = 0xF0  # from here on they are for no channel
EXCLUSIVE = (0xF0, 0xF7)  # system exclusive messages, and what goes on with one
NAME, END, TEMPO, METRE = 0x03, 0x2F, 0x51, 0x58  # of those that are META
LENGTHS = {
    0xC0: 1,
    0xD0: 1,
    0xF1: 1,
    0xF2: 2,
    0xF3: 1,
}  # bytes after the status; of other channel events 2, of others 0
PERCUSSION = 9  # a channel, counted from 0


class Event(NamedTuple):
    """An event of a track."""

    time: int  # tick, from the beginning of the file
    data: bytes  # all of it but its time, its status in any case

    @property
    def kind(self) -> int:
        """Status, of an event for one channel without that."""
        return self.data[0] & 0xF0 if self.data[0] < SYSTEM else self.data[0]

    @property
    def channel(self) -> int | None:
        return self.data[0] & 0x0F if self.data[0] < SYSTEM else None

    @property
    def meta(self) -> int | None:
        """Which kind of META it is."""
        return self.data[1] if self.data[0] == META else None

    @property
    def begins(self) -> bool:
        """Whether a note begins; it may end by a beginning without velocity."""
        return self.kind == ON and self.data[2] > 0

    @property
    def sounds(self) -> bool:
        """Whether a note begins or ends."""
        return self.kind in (ON, OFF)

    def at(self, time: int) -> Event:
        return Event(time, self.data)

    def on(self, channel: int) -> Event:
        """The same for another channel."""
        return Event(self.time, bytes([self.kind | channel]) + self.data[1:])


class Sounding(NamedTuple):
    """A note of a track."""

    first: int  # number of the event that begins it
    last: int  # and of the one that ends it
    key: Key  # as `read_tracks` reads it


class Events(NamedTuple):
    """A MIDI file."""

    division: int  # ticks per quarter note
    tracks: list[list[Event]]
    notes: tuple[list[Sounding], ...] = ()  # of each track, where they were looked for


def meta(time: int, kind: int, data: bytes) -> Event:
    """An event that is for no channel."""
    return Event(time, bytes([META, kind]) + _number(len(data)) + data)


def read_events(path: Path) -> Events:
    """All events of a MIDI file, and the notes that they make.

    Raises:
        BadInput: it cannot be read, or `read_midi` finds other notes in it: of what is damaged, or of system exclusive
            messages that go on, symusic makes something else.
    """
    data = midi_bytes(path)
    try:
        found = _parsed(data)
    except (IndexError, struct.error):
        found = Events(0, [])
    notes = tuple(notes_of(track) for track in found.tracks)
    if Counter(note.key for some in notes for note in some) != keys_of(read_midi(path).notes):
        raise BadInput(f"{path} can be understood in two ways; open it in another program, and save it anew.")
    return found._replace(notes=notes)


def _parsed(data: bytes) -> Events:
    """Raises IndexError or struct.error where something is cut off."""
    size, _, _, division = struct.unpack_from(">IHHH", data, 4)
    at, tracks = 8 + size, []
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(">4sI", data, at)
        at += 8
        if kind == b"MTrk":
            tracks.append(_track(data[at : at + length]))
        at += length
    return Events(division, tracks)


def _track(data: bytes) -> list[Event]:
    """The events of a track, up to the one that ends it."""
    at, tick, running, found = 0, 0, 0, []
    while at < len(data):
        wait, at = _value(data, at)
        tick += wait
        status = data[at]
        if status < OFF:
            status = running  # that of the event before
        else:
            at += 1
        if status == META:
            size, end = _value(data, at + 1)
            end += size
        elif status in EXCLUSIVE:
            size, end = _value(data, at)
            end += size
        elif status < SYSTEM:
            end = at + LENGTHS.get(status & 0xF0, 2)
            running = status
        else:
            end = at + LENGTHS.get(status, 0)
        if status < OFF or end > len(data):
            raise IndexError
        found.append(Event(tick, bytes([status]) + data[at:end]))
        at = end
        if found[-1].meta == END:
            break
    return found


def _value(data: bytes, at: int) -> tuple[int, int]:
    """A number of several bytes, and where it ends."""
    value = 0
    while True:
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at


def _number(value: int) -> bytes:
    """A number of several bytes."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(found[::-1])


def written(file: Events) -> bytes:
    """The bytes of a file; the events of a track may lie in any order, those of one tick stay in theirs."""
    found = [b"MThd" + struct.pack(">IHHH", 6, int(len(file.tracks) > 1), len(file.tracks), file.division)]
    for track in file.tracks:
        parts, before = [], 0
        end = max((event.time for event in track), default=0)
        for event in sorted((event for event in track if event.meta != END), key=lambda event: event.time):
            parts += [_number(event.time - before), event.data]
            before = event.time
        data = b"".join((*parts, _number(end - before), bytes([META, END, 0])))
        found += [b"MTrk", struct.pack(">I", len(data)), data]
    return b"".join(found)


def notes_of(track: list[Event]) -> list[Sounding]:
    """The notes of a track, by their ends: of two of one pitch in one channel the end comes first to the older."""
    program = [0] * 16
    begun: dict[tuple[int | None, int], deque[tuple[int, int]]] = defaultdict(deque)
    found = []
    for number, event in enumerate(track):
        if event.kind == PROGRAM:
            program[event.data[0] & 0x0F] = min(event.data[1], 127)
        elif event.sounds:
            same = begun[event.channel, event.data[1]]
            if event.begins:
                drums = event.channel == PERCUSSION
                same.append((number, DRUMS if drums else program[event.data[0] & 0x0F]))
            elif same:
                first, instrument = same.popleft()
                start = track[first]
                pitch, velocity = (min(value, 127) for value in start.data[1:3])
                key = start.time, max(event.time - start.time, 1), pitch, velocity, instrument
                found.append(Sounding(first, number, key))
    return found


def keys_of(notes: Notes, chosen: NDArray[np.bool_] | None = None) -> Counter[Key]:
    """By what notes, or some of them [N], are known again."""
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program)
    return Counter(zip(*(column[... if chosen is None else chosen].tolist() for column in columns), strict=True))
