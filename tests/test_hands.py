"""Which hand plays a note: the question of all piano scores, what is said of a file, and each hand as MIDI."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import symusic

import scoresim
from scoresim.benchmark.piecewise import asked
from scoresim.benchmark.tasks import hand, hand_all
from scoresim.cli import run
from scoresim.data.curate import by_lot
from scoresim.data.given import read_notes, read_wholes
from scoresim.data.pieces import Piece
from scoresim.data.seen import PITCH, seen
from scoresim.errors import BadInput
from scoresim.score.mei import read_mei
from scoresim.score.tokens import FIRST, GRID
from scoresim.understand import Sim

EXAMPLE = Path(__file__).parent.parent / "examples" / "menuet.krn"
FIXTURES = Path(__file__).parent / "fixtures"
LIKELY, DAMPER = 0.5, 64
LOWER, UPPER, SUNG = "4C 4GG 2d", "4c 4d 8e 8f 4g", "4gg 4gg 2ccc"  # the lower one ends as high as the upper


@pytest.fixture(scope="module")
def sim(weights: Path) -> Sim:
    return scoresim.load(weights)


def kern(path: Path, *staves: str, names: tuple[str, ...] = ()) -> Path:
    """A bar of music on some staves, the lowest first, with names of their parts."""
    clefs = ["*clefF4", *["*clefG2"] * (len(staves) - 1)] if len(staves) > 1 else ["*clefG2"]
    rows = [["**kern"] * len(staves), [f"*staff{len(staves) - i}" for i in range(len(staves))], clefs]
    rows += [[f'*I"{name}' for name in names]] if names else []
    rows += [["*M4/4"] * len(staves), ["=1"] * len(staves)]
    beats: list[list[str]] = []
    for staff in staves:
        column: list[str] = []
        for note in staff.split():
            eighths = 8 // int(note[0])
            column += [note, *["."] * (eighths - 1)]
        beats.append(column)
    rows += [list(row) for row in zip(*beats, strict=True)]
    rows += [["=="] * len(staves), ["*-"] * len(staves)]
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    return path


def midi(path: Path, *tracks: tuple[str, int, tuple[int, ...]], drums: bool = False) -> Path:
    """A file of chords, one note of each track in every quarter; the pedal stands in the last one."""
    out = symusic.Score(480)
    out.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for number, (name, program, pitches) in enumerate(tracks):
        track = symusic.Track(name, program)
        for i, pitch in enumerate(pitches):
            track.notes.append(symusic.Note(480 * i, 400, pitch, 60 + number))
        track.controls.append(symusic.ControlChange(5, 10, number))  # pan
        if number == len(tracks) - 1:
            track.controls.append(symusic.ControlChange(10, DAMPER, 100))
        out.tracks.append(track)
    if drums:
        track = symusic.Track("Drums", 0, True)
        track.notes.append(symusic.Note(0, 100, 36, 99))
        out.tracks.append(track)
    out.dump_midi(path)
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    upper, lower = (72, 74, 76, 72) * 4, (48, 55, 48, 50) * 4
    return midi(tmp_path / "song.mid", ("R", 0, upper), ("L", 0, lower), drums=True)


@pytest.fixture
def sung(tmp_path: Path) -> Piece:
    """A song for a voice and a piano."""
    [piece] = read_notes([kern(tmp_path / "song.krn", LOWER, UPPER, SUNG)])
    assert isinstance(piece, Piece)
    return dataclasses.replace(piece, corpus=hand_all.SONGS)


def test_a_song_is_asked_without_its_voice(sung: Piece) -> None:
    whole = sung
    piano = hand_all.piano_part(whole)
    assert len(piano) == (whole.staff > 1).sum() == 8 and len(whole) == 11
    assert piano.staves == whole.staves[1:] and set(piano.staff.tolist()) <= {1, 2}
    np.testing.assert_array_equal(piano.ids, whole.ids[whole.staff > 1])
    assert set(hand.label(piano).tolist()) <= {0, 1} and (hand.label(whole) == -1).all()
    other = dataclasses.replace(whole, corpus="asap")
    assert hand_all.piano_part(other) is other and hand_all.piano_part(piano) is piano


def test_the_rule_parts_the_hands_at_the_gap_not_at_middle_c(sung: Piece) -> None:
    """Two hands above middle C: a fixed split gives both to the right one."""
    n = 64
    pitch = np.where(np.arange(n) % 4 < 2, 62, 80) + np.arange(n) % 2
    ids = np.repeat(sung.ids[:1], n, axis=0)
    onset = np.arange(n) // 4 * 1.0
    ids[:, 0], ids[:, 1] = FIRST + onset.astype(int) // 4, FIRST + (onset % 4 * GRID).astype(int)
    ids[:, 2] = FIRST + pitch
    columns = dict.fromkeys(("velocity", "track", "voice"), np.ones(n, dtype=np.int64))
    bars = np.arange(0, n // 4 + 1, 4).astype(np.float64)
    high = dataclasses.replace(
        sung, ids=ids, onset=onset, bar=onset.astype(np.int64) // 4, bar_onset=bars, staff=columns["voice"], **columns
    )
    said = hand_all.chain(seen(high, hand_all.TASK.hidden))
    assert said.argmax(axis=1).tolist() == (pitch < 70).astype(int).tolist()
    assert (hand.split(seen(high, ())).argmax(axis=1) == 0).all()


def test_every_source_has_the_official_parts_or_those_of_its_lot() -> None:
    for name, items in asked(hand_all.TASK, FIXTURES / "corpora").items():
        assert items, name
        for item, part in items:
            assert part == (item.split or by_lot(item.work)), item.id


def test_hands_are_told_of_what_two_hands_play(sim: Sim, song: Path, tmp_path: Path) -> None:
    notes = sim.analyze(song).notes
    assert notes is not None and notes.right_hand is not None
    assert ((notes.right_hand >= 0) & (notes.right_hand <= 1)).all() and len(notes.right_hand) == len(notes) == 32
    others = (
        midi(tmp_path / "flute.mid", ("Flute", 73, (72, 74)), ("Piano", 0, (48, 50))),
        midi(tmp_path / "two.mid", ("Piano", 0, (72, 74)), ("Organ", 19, (48, 50))),
        midi(tmp_path / "harmonica.mid", ("A", 22, (72, 74)), ("B", 22, (48, 50))),
        kern(tmp_path / "duet.krn", LOWER, UPPER, names=("Bassoon", "Flute")),
        midi(tmp_path / "line.mid", ("Piano", 0, (72, 74, 76))),
        kern(tmp_path / "one.krn", "4c 4d 2e"),
        kern(tmp_path / "three.krn", LOWER, UPPER, SUNG),
    )
    for path in others:
        notes = sim.analyze(path).notes
        assert notes is not None and notes.right_hand is None and "right_hand" not in notes.to_dict(), path


def test_what_the_staves_say_is_not_asked(sim: Sim, tmp_path: Path) -> None:
    """A note that lies high and stands on the lower staff is the left hand's, whatever a head says."""
    notes = sim.analyze(kern(tmp_path / "piano.krn", LOWER, UPPER)).notes
    assert notes is not None and notes.right_hand is not None
    np.testing.assert_array_equal(notes.right_hand, (notes.staff == 1).astype(np.float32))
    assert {0.0, 1.0} == set(notes.right_hand.tolist()) and notes.right_hand[
        (notes.pitch == 62) & (notes.onset == 2)
    ].tolist() == [0.0]


def test_without_a_head_the_rule_answers(sim: Sim, song: Path) -> None:
    notes = Sim(sim.loaded, "no heads", None).analyze(song).notes
    assert notes is not None and notes.right_hand is not None
    np.testing.assert_array_equal(notes.right_hand, (notes.pitch > 60).astype(np.float32))


@pytest.mark.parametrize("heads", [True, False])
def test_midi_is_engraved_with_the_hands_that_are_heard(sim: Sim, heads: bool, tmp_path: Path) -> None:
    hands = (72, 40, 76, 45) * 4, (48, 71, 48, 50) * 4  # which cross: the rule cannot know it, the head knows nothing
    song = midi(tmp_path / "song.mid", ("R", 0, hands[0]), ("L", 0, hands[1]))
    found = (sim if heads else Sim(sim.loaded, "no heads", None)).analyze(song, show=True)
    assert found.notes is not None and found.notes.right_hand is not None
    [sheet] = found.sheets
    score = read_mei(sheet.mei).score
    written = {sheet.note[name]: staff for name, staff in zip(score.notes.id, score.notes.staff, strict=True)}
    assert set(written) == set(range(len(found.notes)))
    assert [written[i] for i in range(len(found.notes))] == np.where(found.notes.right_hand < LIKELY, 2, 1).tolist()


def test_the_head_that_ships_knows_the_hands_of_a_minuet(tmp_path: Path) -> None:
    """Its notes as MIDI on one track; the staves of the notation say what is right."""
    sim = scoresim.load("small")
    notes = sim.analyze(EXAMPLE).notes
    assert notes is not None
    out, track = symusic.Score(480), symusic.Track("Piano")
    for onset, length, pitch in zip(480 * notes.onset, 480 * notes.duration, notes.pitch, strict=True):
        track.notes.append(symusic.Note(round(onset), round(length), int(pitch), 64))
    out.tracks.append(track)
    out.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    out.dump_midi(tmp_path / "minuet.mid")
    heard = sim.analyze(tmp_path / "minuet.mid").notes
    assert heard is not None and heard.right_hand is not None and len(heard) == len(notes)
    assert ((heard.right_hand >= LIKELY) == (notes.staff == 1)).mean() > 0.95
    assert len(np.unique(heard.right_hand)) > 2, "a head said it, not a rule"


def test_each_hand_gets_a_track_and_nothing_else_changes(sim: Sim, song: Path, tmp_path: Path) -> None:
    found = sim.hands(song, tmp_path / "out.mid").notes
    assert found is not None and found.right_hand is not None
    out, before = symusic.Score(tmp_path / "out.mid"), symusic.Score(song)
    right = int((found.right_hand >= LIKELY).sum())
    counts = {track.name: len(track.notes) for track in out.tracks}
    expected = {name: n for name, n in {"Right hand": right, "Left hand": 32 - right, "Drums": 1}.items() if n}
    assert counts == expected and (tmp_path / "out.mid").read_bytes().count(b"MTrk") <= len(expected) + 1
    for name in ("time", "duration", "pitch", "velocity"):
        assert sorted(getattr(n, name) for t in out.tracks for n in t.notes) == sorted(
            getattr(n, name) for t in before.tracks for n in t.notes
        )
    pedals = [[c.time for c in track.controls if c.number == DAMPER] for track in out.tracks if not track.is_drum]
    assert pedals == [[10]] * (len(expected) - 1), "both hands have the pedal that stood in one track"


def test_the_hands_of_a_notation_are_its_staves(sim: Sim, tmp_path: Path) -> None:
    sim.hands(kern(tmp_path / "piano.krn", LOWER, UPPER), tmp_path / "out.mid")
    tracks = {t.name: [n.pitch for n in t.notes] for t in symusic.Score(tmp_path / "out.mid").tracks}
    assert tracks == {"Right hand": [60, 62, 64, 65, 67], "Left hand": [48, 43, 62]}


def test_what_is_not_for_two_hands_is_refused(sim: Sim, song: Path, drawn_tune: Path, tmp_path: Path) -> None:
    line = kern(tmp_path / "one.krn", "4c 4d 2e")
    before = set(tmp_path.iterdir())
    for path, words in (
        (drawn_tune / "page.png", "is a picture"),
        (line, "is not for two hands"),
        (song, r"name it \.mid"),
    ):
        with pytest.raises(BadInput, match=words):
            sim.hands(path, tmp_path / ("out.txt" if path == song else "out.mid"))
    with pytest.raises(BadInput, match="is one of the files that are read"):
        sim.hands(song, song)
    assert set(tmp_path.iterdir()) == before


def test_the_command(weights: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.mid"
    assert run(["hands", str(song), "-o", str(out), "--model", str(weights), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["out"] == str(out) and said["notes"] == 32 and 0 <= said["right_hand"] <= 32
    assert run(["analyze", str(song), "--model", str(weights)]) == 0
    assert f"{said['right_hand']} for the right hand" in capsys.readouterr().out
    assert run(["hands", str(kern(tmp_path / "one.krn", "4c 4d 2e")), "-o", str(out), "--model", str(weights)]) == 2
    assert "is not for two hands" in capsys.readouterr().err


def test_a_performance_is_laid_along_its_score(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """Every note of it that stands in the score has its staff; one that does not has none."""
    pytest.importorskip("parangonar", reason="parangonar, of the extra bench, is not installed")
    upper, lower = " ".join(f"4{name}" for name in "cdefgabgfedcdefg"), " ".join(["2C", "2GG"] * 4)
    [score] = read_notes([kern(tmp_path / "score.krn", lower, upper)])
    chance, song = np.random.default_rng(0), symusic.Score(480)
    track = symusic.Track("Piano")
    for pitch, onset, staff in zip(score.ids[:, PITCH] - FIRST, score.onset, score.staff, strict=True):
        time = int(480 * onset + chance.integers(0, 20))
        track.notes.append(symusic.Note(time, 400 if staff == 1 else 900, int(pitch), 64))
    track.notes.append(symusic.Note(480 * 6, 400, 100, 64))
    song.tracks.append(track)
    song.dump_midi(tmp_path / "played.mid")
    [whole] = read_wholes([tmp_path / "played.mid"])
    benchmark = script("benchmarks/performances.py")
    note = benchmark.found_in(score, whole)
    assert all(np.array_equal(benchmark.laid_along(score, whole, tmp_path), note) for _ in range(2))
    found = np.where(note >= 0, np.asarray(hand.label(score))[note], -1)
    pitch = whole.piece.ids[:, PITCH] - FIRST
    assert found.tolist() == np.where(pitch == 100, -1, pitch < 55).astype(int).tolist()
