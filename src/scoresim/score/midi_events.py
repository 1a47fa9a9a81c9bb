"""The events of a MIDI file one by one, each at its tick: whoever changes some of them keeps all others as they are."""

from __future__ import annotations

import io
from collections import defaultdict, deque
from pathlib import Path
from typing import Any, NamedTuple

from scoresim.errors import BadInput
from scoresim.score.notes import DRUMS
from scoresim.score.read import midi_bytes

Event = Any  # of mido; `time` is its tick from the beginning of the file
PERCUSSION = 9  # a channel, counted from 0
ENDS = ("note_on", "note_off")  # kinds of events that notes are made of; a note may end with one of velocity 0


class Sounding(NamedTuple):
    """A note of a track."""

    first: int  # number of the event that begins it
    last: int  # and of the one that ends it
    key: tuple[int, int, int, int, int]  # onset, duration, pitch, velocity, program, as `read_tracks` reads it


def opened(path: Path) -> Any:
    """A MIDI file as mido reads it, its events at ticks from the beginning, texts in the bytes they are stored in.

    Raises:
        BadInput: it cannot be read, or its events cannot be told apart.
    """
    import mido

    data = midi_bytes(path)
    try:
        midi = mido.MidiFile(file=io.BytesIO(data), charset="latin1", clip=True)
    except (EOFError, LookupError, OSError, ValueError, mido.KeySignatureError) as error:
        raise BadInput(
            f"{path} has events that cannot be written again ({error}); open it in another program, and save it anew."
        ) from error
    for track in midi.tracks:
        tick = 0
        for event in track:
            tick += event.time
            event.time = tick
    return midi


def notes_of(track: list[Event]) -> list[Sounding]:
    """The notes of a track, by their ends: of two of one pitch in one channel the end comes first to the older."""
    program = [0] * 16
    begun: dict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    found = []
    for number, event in enumerate(track):
        if event.type == "program_change":
            program[event.channel] = event.program
        elif event.type in ENDS:
            same = begun[event.channel, event.note]
            if event.type == "note_on" and event.velocity > 0:
                same.append((number, DRUMS if event.channel == PERCUSSION else program[event.channel]))
            elif same:
                first, instrument = same.popleft()
                start = track[first]
                key = start.time, max(event.time - start.time, 1), event.note, start.velocity, instrument
                found.append(Sounding(first, number, key))
    return found


def dumped(midi: Any) -> bytes:
    """The bytes of a file whose events are at ticks from the beginning; those of a track may lie in any order."""
    for track in midi.tracks:
        tick = 0
        for number, event in enumerate(sorted(track, key=lambda event: event.time)):
            track[number] = event.copy()  # it may stand in another track, too
            track[number].time, tick = event.time - tick, event.time
    midi.type = int(len(midi.tracks) > 1)
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()
