"""MIDI with some of its notes on new tracks: what is moved sounds as before, and all else stays, event by event."""

import io
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st
from mido import Message, MetaMessage, MidiFile, MidiTrack

from scoresim.errors import BadInput
from scoresim.score.midi_events import keys_of, notes_of, read_events
from scoresim.score.midi_write import with_beats, with_hands, with_melody
from scoresim.score.read import read_midi, read_tracks

CONTROLS = (7, 10, 64, 66, 101)
LOST = {"end_of_track", "track_name"}  # kinds of events that a track takes with it when nothing else is left of it


def tracks_of(data: bytes | Path) -> list[list[Any]]:
    """The events of a file, each at its tick."""
    file = io.BytesIO(data) if isinstance(data, bytes) else io.BytesIO(data.read_bytes())
    midi = MidiFile(file=file, charset="latin1")
    for track in midi.tracks:
        tick = 0
        for event in track:
            tick += event.time
            event.time = tick
    return [list(track) for track in midi.tracks]


def written(path: Path, tracks: list[list[Any]], kind: int) -> Path:
    """A file of events at their ticks."""
    midi = MidiFile(type=kind, charset="latin1")
    for events in tracks:
        tick, track = 0, MidiTrack()
        for event in sorted(events, key=lambda event: event.time):
            track.append(event.copy(time=event.time - tick))
            tick = event.time
        midi.tracks.append(track)
    midi.save(path)
    return path


def heard(tracks: list[list[Any]]) -> Counter[tuple[int, ...]]:
    """Every note with what its channel was told before it: tick, pitch, velocity, program, bend, pressure, controls."""
    state: dict[int, dict[Any, int]] = {channel: {} for channel in range(16)}
    found: Counter[tuple[int, ...]] = Counter()
    for event in sorted((event for track in tracks for event in track), key=lambda event: event.time):
        if event.is_meta or event.type == "sysex":
            continue
        now = state[event.channel]
        if event.type == "program_change":
            now["program"] = event.program
        elif event.type == "control_change":
            now[event.control] = event.value
        elif event.type == "pitchwheel":
            now["bend"] = event.pitch
        elif event.type == "aftertouch":
            now["pressure"] = event.value
        elif event.type == "note_on" and event.velocity:
            told = (now.get(key, 0) for key in ("program", "bend", "pressure", *CONTROLS))
            found[event.time, event.note, event.velocity, *told] += 1
    return found


def sounds(tracks: list[list[Any]]) -> Counter[tuple[int, int, int]]:
    """The beginnings (velocity) and ends (0) of notes, by tick and pitch."""
    return Counter(
        (event.time, event.note, event.velocity if event.type == "note_on" else 0)
        for track in tracks
        for event in track
        if event.type in ("note_on", "note_off")
    )


ticks = st.integers(0, 6).map(lambda n: 120 * n)


@st.composite
def files(draw: st.DrawFn) -> tuple[list[list[Any]], int]:
    """Events of one or more tracks, each channel in one of them, and the kind of file."""
    count = draw(st.integers(1, 4))
    tracks: list[list[Any]] = [[MetaMessage("track_name", name=f"track {n}")] for n in range(count)]
    some = st.lists(st.integers(0, 15), min_size=1, max_size=6, unique=True)
    channels = draw(st.one_of(some, st.just(list(range(16)))))
    for channel in channels:
        track = tracks[draw(st.integers(0, count - 1))]
        track.append(Message("program_change", channel=channel, program=draw(st.integers(0, 127))))
        for _ in range(draw(st.integers(1, 5))):
            start, pitch = draw(ticks), draw(st.integers(60, 63))
            track.append(
                Message("note_on", channel=channel, note=pitch, velocity=draw(st.integers(1, 127)), time=start)
            )
            end = start + draw(st.integers(1, 3)) * 100
            track.append(
                draw(
                    st.sampled_from(
                        [
                            Message("note_off", channel=channel, note=pitch, time=end),
                            Message("note_on", channel=channel, note=pitch, velocity=0, time=end),
                        ]
                    )
                )
            )
        for _ in range(draw(st.integers(0, 4))):
            time = draw(ticks) + 7
            value = draw(st.integers(0, 127))
            track.append(
                draw(
                    st.sampled_from(
                        [
                            Message("control_change", channel=channel, control=CONTROLS[value % 5], value=value),
                            Message("pitchwheel", channel=channel, pitch=value),
                            Message("aftertouch", channel=channel, value=value),
                            Message("program_change", channel=channel, program=value),
                        ]
                    )
                ).copy(time=time)
            )
    for _ in range(draw(st.integers(0, 6))):
        text = draw(st.sampled_from(["Caf\xe9", "la", "\x82\xa0"]))  # letters of Latin-1 and Shift-JIS
        event = draw(
            st.sampled_from(
                [
                    MetaMessage("text", text=text),
                    MetaMessage("lyrics", text=text),
                    MetaMessage("marker", text=text),
                    MetaMessage("set_tempo", tempo=400000),
                    MetaMessage("time_signature", numerator=3, denominator=4),
                    MetaMessage("key_signature", key="Eb"),
                    MetaMessage("sequencer_specific", data=(1, 2, 3)),
                    Message("sysex", data=(0x41, 0x10, 0x42)),
                ]
            )
        )
        tracks[draw(st.integers(0, count - 1))].append(event.copy(time=draw(ticks)))
    return tracks, 0 if count == 1 else 1


@given(files(), st.data())
@settings(max_examples=60, deadline=None)
def test_of_any_file_all_stays_but_the_notes_that_move(
    tmp_path_factory: pytest.TempPathFactory, file: tuple[list[list[Any]], int], data: st.DataObject
) -> None:
    """And with notes of one channel nothing sounds other than before."""
    path = written(tmp_path_factory.getbasetemp() / "any.mid", *file)
    score, _, _ = read_tracks(path)
    assert keys_of(score.notes) == Counter(note.key for track in read_events(path).tracks for note in notes_of(track))
    pitched = score.notes.program < 128
    one = data.draw(st.booleans())
    if one:  # the notes of one program, which is that of one channel more often than not
        pitched &= score.notes.program == data.draw(st.sampled_from(score.notes.program.tolist()))
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(pitched), max_size=len(pitched)))) & pitched
    before = tracks_of(path)
    after = tracks_of(with_melody(path, score, chosen, False))
    assert sounds(after) == sounds(before)
    [*melody] = [
        track for track in after if any(event.type == "track_name" and event.name == "Melody" for event in track)
    ]
    assert len(melody) == bool(chosen.any())
    moved = Counter(zip(score.notes.onset[chosen].tolist(), score.notes.pitch[chosen].tolist(), strict=True))
    assert moved == Counter((e.time, e.note) for track in melody for e in track if e.type == "note_on" and e.velocity)
    metas = [
        Counter((e.time, *e.bytes()) for track in tracks for e in track if e.is_meta and e.type not in LOST)
        for tracks in (before, after)
    ]
    assert metas[0] == metas[1]
    sources = {e.channel for track in before for e in track if e.type == "note_on" and (e.time, e.note) in moved}
    if len(sources) == 1:
        assert heard(after) == heard(before)
    if chosen.any():
        only = tracks_of(with_melody(path, score, chosen, True))
        assert sum(sounds(only).values()) == 2 * chosen.sum()


def test_the_right_one_of_two_notes_is_moved(tmp_path: Path) -> None:
    """A note of the melody that the accompaniment doubles, shorter; the melody keeps its instrument and its pedal."""
    midi = symusic.Score(480)
    for name, program, length in (("Piano", 0, 240), ("Flute", 73, 1920), ("Strings", 0, 960)):
        track = symusic.Track(name, program)
        track.notes.append(symusic.Note(0, length, 60, 80))
        track.controls.append(symusic.ControlChange(10, 64, program))
        midi.tracks.append(track)
    midi.dump_midi(tmp_path / "song.mid")
    score, track_of, _ = read_tracks(tmp_path / "song.mid")
    for chosen, name, length in ((1, "Flute", 1920), (2, "Strings", 960)):
        out = symusic.Score.from_midi(with_melody(tmp_path / "song.mid", score, track_of == chosen, False))
        assert (out.tracks[0].name, out.tracks[0].notes[0].duration) == ("Melody", length)
        assert out.tracks[0].program == {"Flute": 73, "Strings": 0}[name]
        assert out.tracks[0].controls[0].value == {"Flute": 73, "Strings": 0}[name]
        assert sorted(n.duration for t in out.tracks for n in t.notes) == [240, 960, 1920]


def test_what_a_library_would_lose_is_kept(tmp_path: Path) -> None:
    """Texts, letters that are not UTF-8, aftertouch, system exclusive messages; and the words go with their melody."""
    song = [
        [
            MetaMessage("track_name", name="Chanson d'\xe9t\xe9"),
            Message("sysex", data=(0x7E, 0x7F, 9, 1)),
            MetaMessage("set_tempo", tempo=600000),
            MetaMessage("text", text="\x8e\xa9"),
        ],
        [
            MetaMessage("track_name", name="Chant"),
            Message("program_change", channel=3, program=52),
            *(MetaMessage("lyrics", text=word, time=480 * i) for i, word in enumerate(("\xe9", "t\xe9"))),
            *(Message("note_on", channel=3, note=72 + i, velocity=70, time=480 * i) for i in range(2)),
            *(Message("polytouch", channel=3, note=72 + i, value=50, time=480 * i + 100) for i in range(2)),
            *(Message("note_off", channel=3, note=72 + i, velocity=64, time=480 * i + 400) for i in range(2)),
        ],
        [
            MetaMessage("track_name", name="Piano"),
            Message("note_on", channel=0, note=48, velocity=60),
            Message("aftertouch", channel=0, value=9, time=50),
            Message("note_off", channel=0, note=48, time=960),
        ],
    ]
    path = written(tmp_path / "song.mid", song, 1)
    score, track_of, _ = read_tracks(path)
    first, melody, piano = tracks_of(with_melody(path, score, track_of == 0, False))
    assert first == tracks_of(path)[0] and piano == tracks_of(path)[2]
    assert [event for event in melody if event.type != "track_name"] == tracks_of(path)[1][1:]  # the channel, too
    only = tracks_of(with_melody(path, score, track_of == 0, True))
    assert [event.type for event in only[0]] == ["sysex", "set_tempo", "end_of_track"] and only[1] == melody
    one = written(tmp_path / "one.mid", [[event for track in song for event in track]], 0)
    score, _, _ = read_tracks(one)
    said, melody, rest = tracks_of(with_melody(one, score, score.notes.pitch > 60, False))
    assert {event.type for event in said} == {"sysex", "set_tempo", "end_of_track"}
    assert {event.type for event in rest} >= {"text", "lyrics", "aftertouch", "note_on"}
    assert {event.channel for event in melody if event.type == "note_on"} == {3}


def test_hands_share_their_pedals_and_one_channel_becomes_two(tmp_path: Path) -> None:
    tracks: list[list[Any]] = [[MetaMessage("set_tempo", tempo=600000)]]
    for channel, pitch in ((0, 72), (1, 48)):
        tracks.append(
            [
                Message("program_change", channel=channel, program=channel),
                Message("control_change", channel=channel, control=64, value=100 + channel, time=30),
                Message("control_change", channel=channel, control=7, value=90 + channel, time=20),
                Message("note_on", channel=channel, note=pitch, velocity=70, time=40),
                Message("note_off", channel=channel, note=pitch, time=400),
            ]
        )
    path = written(tmp_path / "song.mid", tracks, 1)
    score = read_midi(path)
    first, *hands = tracks_of(with_hands(path, score, score.notes.pitch > 60))
    assert [event.type for event in first] == ["set_tempo", "end_of_track"]
    assert [hand[0].name for hand in hands] == ["Right hand", "Left hand"]
    for hand, channel in zip(hands, (0, 1), strict=True):
        controls = [(event.channel, event.control, event.value) for event in hand if event.is_cc()]
        # of two pedals at once its own has the last word
        assert controls == [(channel, 7, 90 + channel), (channel, 64, 101 - channel), (channel, 64, 100 + channel)]
    one = [event.copy(channel=0) if not event.is_meta else event for track in tracks for event in track]
    path = written(tmp_path / "one.mid", [one], 0)
    score = read_midi(path)
    _, right, left = tracks_of(with_hands(path, score, score.notes.pitch > 60))
    assert [{event.channel for event in hand if not event.is_meta} for hand in (right, left)] == [{0}, {1}]
    assert [event.value for event in left if event.is_cc(7)] == [90, 91]


def test_where_no_channel_is_free_notes_keep_theirs(tmp_path: Path) -> None:
    """Another instrument on their channel would make them sound as that."""
    song = symusic.Score(480)
    for number in range(15):
        song.tracks.append(symusic.Track(f"t{number}", number))
        song.tracks[-1].notes.extend(symusic.Note(beat * 480, 480, 60 + number, 64) for beat in range(2))
    song.dump_midi(tmp_path / "many.mid")
    path = tmp_path / "many.mid"
    score, track_of, _ = read_tracks(path)
    chosen = np.isin(track_of, (3, 5)) & (score.notes.onset == 0)
    found = tracks_of(with_melody(path, score, chosen, False))
    assert heard(found) == heard(tracks_of(path)) and len(found) == len(tracks_of(path)) + 1
    assert len(symusic.Score.from_midi(with_melody(path, score, track_of == 3, True)).tracks) == 1
    whole = symusic.Score.from_midi(with_melody(path, score, track_of == 3, False))
    assert sorted(track.program for track in whole.tracks) == list(range(15))
    assert (whole.tracks[0].name, whole.tracks[0].program) == ("Melody", 3)


def test_all_events_of_a_performance_come_at_their_second(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    events: list[Any] = [MetaMessage("set_tempo", tempo=500000), Message("sysex", data=(1, 2), time=5)]
    for beat in range(32):
        time = 330 * beat + int(rng.integers(0, 9))
        for pitch in (48, 60 + beat % 5):
            events.append(Message("note_on", note=pitch, velocity=70, time=time))
            events.append(Message("note_off", note=pitch, velocity=5, time=time + 300))
        events.append(Message("aftertouch", value=beat, time=time + 60))
        events.append(MetaMessage("text", text="\xe9", time=time))
    path = written(tmp_path / "played.mid", [events], 0)
    new = with_beats(path, read_midi(path))
    (tmp_path / "new.mid").write_bytes(new)
    kinds = [Counter(event.type for event in track) for track in (*tracks_of(path), *tracks_of(new))]
    for kind in ("note_on", "note_off", "sysex", "aftertouch", "text"):
        assert kinds[0][kind] == kinds[1][kind]
    # mido itself counts the seconds of both
    seconds = []
    for file in (path, tmp_path / "new.mid"):
        clock = np.cumsum([event.time for event in mido.MidiFile(file, charset="latin1")])
        kind = [event.type for event in mido.MidiFile(file, charset="latin1")]
        at = [second for second, one in zip(clock, kind, strict=True) if one in ("note_on", "aftertouch", "text")]
        seconds.append(np.array(at) - at[0])
    np.testing.assert_allclose(seconds[0], seconds[1], atol=0.002)


def test_strange_events_stay_to_the_byte(tmp_path: Path) -> None:
    """What libraries mend, refuse or lose: key signatures and lengths that cannot be, other chunks, RIFF."""
    strange = [
        b"\0\xff\x59\2\x63\7",  # ninety-nine sharps
        b"\x10\xff\x51\0",  # a tempo of no bytes
        b"\x10\xff\x6b\1\xff",  # of a kind that is none, later than what comes before
        b"\0\xf0\3\x41\x10\xf7",
        b"\0\xf3\5",
        b"\0\xff\1\x82\0" + b"\xe9" * 256,
    ]
    track = b"".join([b"\0\x90\x3c\x50", *strange, b"\x60\x90\x3c\0\0\xff\x2f\0"])
    data = b"MThd\0\0\0\6\0\1\0\1\1\xe0junk\0\0\0\2??MTrk" + struct.pack(">I", len(track)) + track
    path = tmp_path / "song.mid"
    for before in (b"", b"RIFF\x30\0\0\0RMIDdata\x22\0\0\0"):
        path.write_bytes(before + data)
        score = read_midi(path)
        assert score.notes.duration.tolist() == [0x60 + 0x20]
        for chosen in (True, False):
            new = with_melody(path, score, np.array([chosen]), False)
            for event in strange:
                assert event[1:] in new
            path.write_bytes(new)
            np.testing.assert_array_equal(read_midi(path).notes.duration, score.notes.duration)


@pytest.mark.parametrize(
    "events",
    [
        b"\0\xf0\2\x41\x10\x20\xf7\2\x11\xf7\x60\x80\x3c\0\0\xff\x2f\0",  # a message in two parts
    ],
)
def test_where_two_readers_disagree_nothing_is_made(tmp_path: Path, events: bytes) -> None:
    track = b"\0\x90\x30\x50\x10\x80\x30\0\0\x90\x3c\x50" + events
    path = tmp_path / "song.mid"
    path.write_bytes(b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk" + struct.pack(">I", len(track)) + track)
    score = read_midi(path)
    with pytest.raises(BadInput, match="in two ways"):
        with_melody(path, score, np.ones(len(score.notes), dtype=bool), False)
