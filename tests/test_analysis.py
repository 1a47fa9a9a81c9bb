"""What the heads of some weights say about a file: shapes, sums, refusals; and the melody as MIDI."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

import scoresim
from scoresim.cli import run
from scoresim.data.given import write_melody
from scoresim.data.windows import Window
from scoresim.errors import BadInput
from scoresim.understand import Sim
from scoresim.understand.heads import blended


@pytest.fixture(scope="module")
def sim(weights: Path) -> Sim:
    return scoresim.load(weights)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MIDI file with a pedal, two tracks, drums, and a note that stands in both tracks."""
    midi = symusic.Score(480)
    midi.tempos.append(symusic.Tempo(0, 90))
    midi.tempos.append(symusic.Tempo(1920, 180))
    midi.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    for name, pitches in (("Right", (72, 74, 76, 72) * 20), ("Left", (48, 55, 48, 72) * 20)):
        track = symusic.Track(name, 0)
        for i, pitch in enumerate(pitches):
            track.notes.append(symusic.Note(480 * i, 400, pitch, 60 + i % 7))
        track.controls.append(symusic.ControlChange(10, 64, 127))
        midi.tracks.append(track)
    drums = symusic.Track("Drums", 0, True)
    drums.notes.append(symusic.Note(0, 100, 36, 99))
    midi.tracks.append(drums)
    path = tmp_path_factory.mktemp("song") / "song.mid"
    midi.dump_midi(path)
    return path


def test_a_file_of_notes_is_answered_note_by_note_and_as_a_whole(sim: Sim, song: Path) -> None:
    found = sim.analyze(song)
    assert found.inputs == ("notes",) and found.stated["time signature"] == "3/4" and found.bars == 27
    notes = found.notes
    assert notes is not None and len(notes) == 160
    assert notes.melody is not None and notes.loudness is not None
    assert ((notes.melody >= 0) & (notes.melody <= 1)).all() and ((notes.loudness >= 1) & (notes.loudness <= 127)).all()
    at = {round(float(onset), 3): float(time) for onset, time in zip(notes.onset, notes.seconds, strict=True)}
    assert at[3.0] == pytest.approx(3 * 60 / 90) and at[5.0] == pytest.approx(4 * 60 / 90 + 60 / 180)
    assert {answer.question for answer in found.answers} == {"emotion", "style", "key"}
    key = found.answer("key")
    assert key is not None and (key.answer, key.learnt_from) == ("C major", "published profiles"), "no head knows it"
    for answer in found.answers:
        assert sum(answer.classes.values()) == pytest.approx(1, abs=1e-3)
        assert answer.confidence == max(answer.classes.values()) == answer.classes[answer.answer]
        assert answer.inputs == "notes" and (answer is key or answer.corpora == ("nottingham",))
    assert any("MIDI" in sentence for sentence in found.unknown)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(values["notes"]["melody"]) == 160 and "sheets" not in values


def test_one_voice_is_all_melody(sim: Sim, tmp_path: Path) -> None:
    found = {}
    for name, bars in (("one", "CDEF|GABc|"), ("two", "C[DA]EF|GABc|")):
        (tmp_path / f"{name}.abc").write_text(f"X:1\nT:One\nM:4/4\nL:1/4\nK:C\n{bars}\n")
        notes = sim.analyze(tmp_path / f"{name}.abc").notes
        assert notes is not None and notes.melody is not None
        found[name] = notes.melody
    assert (found["one"] == 1).all() and (found["two"] < 1).all()


def test_what_a_picture_cannot_say_is_said(sim: Sim, drawn_tune: Path) -> None:
    found = sim.analyze(drawn_tune / "page.png", show=True)
    assert found.inputs == ("image",) and found.notes is None and found.match is None
    assert [(answer.question, answer.inputs) for answer in found.answers] == [("style", "image")]
    assert any("emotion" in sentence for sentence in found.unknown)
    assert found.picture is not None and found.picture.startswith(b"\x89PNG")


def test_a_picture_and_its_notes_are_read_together(sim: Sim, drawn_tune: Path) -> None:
    found = sim.analyze(drawn_tune / "page.png", drawn_tune / "tune.abc", show=True)
    assert found.inputs == ("notes", "image") and found.title == "Long"
    assert found.match == sim.match(drawn_tune / "page.png", drawn_tune / "tune.abc")
    [sheet] = found.sheets
    assert found.notes is not None and set(sheet.note.values()) == set(range(len(found.notes)))
    assert all(f'xml:id="{name}"' in sheet.mei for name in sheet.note)
    answer = found.answer("style")
    assert answer is not None and answer.inputs == "notes" and found.answer("weather") is None


def test_many_files_are_answered_as_each_alone(sim: Sim, song: Path, drawn_tune: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mid").write_bytes(b"MThd nothing")
    paths = [song, tmp_path / "bad.mid", drawn_tune / "page.png", drawn_tune / "tune.abc", tmp_path / "no.xyz"]
    found = sim.analyze_each(paths)
    assert [isinstance(one, BadInput) for one in found] == [False, True, False, False, True]
    for path, one in zip(paths, found, strict=True):
        if not isinstance(one, BadInput):
            alone = sim.analyze(path)
            assert one.files == alone.files and [a.answer for a in one.answers] == [a.answer for a in alone.answers]
            if one.notes is not None and alone.notes is not None:
                np.testing.assert_allclose(one.notes.melody, alone.notes.melody, atol=0.02)


def test_what_does_not_go_together_is_refused(sim: Sim, song: Path, drawn_tune: Path, tmp_path: Path) -> None:
    for files in ((), (song, drawn_tune / "tune.abc"), (song, song, drawn_tune / "page.png")):
        with pytest.raises(BadInput, match="one of each"):
            sim.analyze(*files)
    with pytest.raises(BadInput, match="is a picture"):
        sim.melody(drawn_tune / "page.png", tmp_path / "out.mid")
    with pytest.raises(BadInput, match=r"name it \.mid"):
        sim.melody(song, tmp_path / "out.txt")
    with pytest.raises(BadInput, match="no note that is melody"):
        sim.melody(song, tmp_path / "out.mid", only=True, least=1.0)
    for least in (1.01, -0.1, float("nan")):
        with pytest.raises(BadInput, match="it is a probability"):
            sim.melody(song, tmp_path / "out.mid", least=least)
    with pytest.raises(BadInput, match="is one of the files that are read"):
        sim.melody(song, song.parent / "." / song.name)
    assert list(tmp_path.iterdir()) == []


def notes_in(path: Path) -> list[tuple[int, int, int, int]]:
    return sorted((n.time, n.duration, n.pitch, n.velocity) for t in symusic.Score(path).tracks for n in t.notes)


def test_the_melody_of_midi_is_moved_and_nothing_else_changes(sim: Sim, song: Path, tmp_path: Path) -> None:
    found = sim.analyze(song)
    assert found.notes is not None and found.notes.melody is not None
    least = float(np.median(found.notes.melody))
    sim.melody(song, tmp_path / "out.mid", least=least)
    out = symusic.Score(tmp_path / "out.mid")
    assert [track.name for track in out.tracks] == ["Melody", "Right", "Left", "Drums"]
    assert notes_in(tmp_path / "out.mid") == notes_in(song)
    assert len(out.tracks[0].notes) == int((found.notes.melody >= least).sum())
    assert [t.qpm for t in out.tempos] == pytest.approx([90, 180], rel=1e-4) and out.tracks[1].controls[0].value == 127
    sim.melody(song, tmp_path / "only.mid", only=True, least=least)
    [only] = symusic.Score(tmp_path / "only.mid").tracks
    assert sorted(n.time for n in only.notes) == sorted(n.time for n in out.tracks[0].notes)


def test_the_melody_of_a_notation_becomes_two_tracks(sim: Sim, tmp_path: Path) -> None:
    (tmp_path / "tune.abc").write_text("X:1\nT:One\nM:3/4\nL:1/4\nK:C\nCD-D|[EG]A2|\n")
    sim.melody(tmp_path / "tune.abc", tmp_path / "out.mid", least=0.0)
    midi = symusic.Score(tmp_path / "out.mid")
    assert [(t.name, len(t.notes)) for t in midi.tracks] == [("Melody", 5)]  # a track without notes is not written
    assert sorted((n.time, n.duration, n.pitch) for n in midi.tracks[0].notes) == [
        (0, 480, 60),
        (480, 960, 62),  # tied
        (1440, 480, 64),
        (1440, 480, 67),
        (1920, 960, 69),
    ]
    assert midi.time_signatures[0].numerator == 3


@given(st.integers(1, 300), st.integers(2, 100), st.integers(0, 3))
@settings(max_examples=30)
def test_a_note_in_two_windows_gets_a_mean_of_both(n: int, size: int, seed: int) -> None:
    hop = max(size // 2, 1)
    windows = [Window(0, a, min(a + size, n), 0, 0) for a in range(0, max(n - hop, 1), hop)]
    chance = np.random.default_rng(seed)
    scores = [chance.normal(size=(w.end - w.first, 3)).astype(np.float32) for w in windows]
    [found] = blended(windows, scores, [n])
    assert found.shape == (n, 3)
    for i in range(n):
        said = [s[i - w.first] for w, s in zip(windows, scores, strict=True) if w.first <= i < w.end]
        assert (found[i] >= np.min(said, axis=0) - 1e-5).all() and (found[i] <= np.max(said, axis=0) + 1e-5).all()
        if len(said) == 1:
            np.testing.assert_allclose(found[i], said[0], atol=1e-5)


def test_the_commands(weights: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", str(song), "--model", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "160 notes in 27 bars" in out and "emotion" in out and "confidence" in out
    assert run(["analyze", str(song), "--model", str(weights), "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["found"]
    assert found["bars"] == 27
    done = tmp_path / "melody.mid"
    assert run(["melody", str(song), "-o", str(done), "--least", "0", "--model", str(weights), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(done), "notes": 160, "melody": 160}
    assert run(["analyze", str(song), str(song), "--image", "page.png", "--model", str(weights)]) == 2
    assert "give that file alone" in capsys.readouterr().err


def test_a_bad_file_costs_no_other_its_answers(
    weights: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, model = tmp_path / "bad.mid", ["--model", str(weights)]
    bad.write_bytes(b"MThd nothing")
    files, reports = [str(bad), str(song)], tmp_path / "reports"
    assert run(["analyze", *files, *model, "--json"]) == 2
    said, error = capsys.readouterr()
    found = json.loads(said)
    assert [one["files"] for one in found["found"]] == [[str(song)]]
    assert len(found["refused"]) == 1 and "bad.mid" in found["refused"][0] and found["refused"][0] in error
    assert run(["analyze", *files, *model, "--html", str(reports)]) == 2
    assert [path.name for path in reports.iterdir()] == [f"{song.name}.html"]
    assert f"{song.name}.html" in capsys.readouterr().out
    assert run(["embed", *files, *model, "-o", str(tmp_path / "v.npz"), "--json"]) == 2
    assert [one["file"] for one in json.loads(capsys.readouterr().out)["files"]] == [str(song)]
    assert run(["embed", str(bad), *model, "-o", str(tmp_path / "none.npz")]) == 2
    assert not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize("command", [("analyze", "--html"), ("melody", "-o"), ("embed", "-o")])
def test_what_is_read_is_not_written_over(
    weights: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, str]
) -> None:
    own = tmp_path / "own.mid"
    own.write_bytes(song.read_bytes())
    link = tmp_path / "link.mid"
    link.symlink_to(own)
    for out in (own, link):
        assert run([command[0], str(own), command[1], str(out), "--model", str(weights)]) == 2
        assert "is one of the files that are read" in capsys.readouterr().err
    assert own.read_bytes() == song.read_bytes()


def test_reports_that_cannot_stand_there_are_one_sentence(
    weights: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other = tmp_path / "file.html", tmp_path / "other.mid"
    file.write_text("of somebody")
    other.write_bytes(song.read_bytes())
    assert run(["analyze", str(song), str(other), "--html", str(file), "--model", str(weights)]) == 2
    assert "a file stands where a folder is needed" in capsys.readouterr().err
    assert file.read_text() == "of somebody"


def test_what_changes_is_said_to_change(sim: Sim, tmp_path: Path) -> None:
    """And that a handful of notes says little."""
    midi = symusic.Score(480)
    track = symusic.Track("Piano")
    track.notes.append(symusic.Note(0, 480, 60, 80))
    track.notes.append(symusic.Note(480 * 4, 480, 60, 80))
    midi.tracks.append(track)
    for begin, speed, meter in ((0, 90, (7, 8)), (1680, 120, (5, 4))):
        midi.tempos.append(symusic.Tempo(begin, speed))
        midi.time_signatures.append(symusic.TimeSignature(begin, *meter))
    midi.dump_midi(tmp_path / "song.mid")
    found = sim.analyze(tmp_path / "song.mid")
    assert found.stated["time signature"] == "7/8 at first"
    assert found.stated["tempo"] == "90 quarter notes a minute at first"
    assert any("So few notes" in sentence for sentence in found.unknown)


def test_bars_that_are_read_otherwise_than_they_are_stated_are_said(sim: Sim, tmp_path: Path) -> None:
    """verovio does not see a tie after a chord."""
    path = tmp_path / "a.abc"
    path.write_text("X:1\nM:4/4\nL:1/8\nK:C\nC8|[FA]4-[FA]4|G8|]\n")
    said = [sentence for sentence in sim.analyze(path).unknown if "engraver" in sentence]
    assert said == [
        "The engraver reads 1 of 3 bars otherwise than the file states, or they cannot be compared: notes may be wrong."
    ]
    path.write_text("X:1\nM:4/4\nL:1/8\nK:C\nC8|[FA]4 [FA]4|G8|]\n")
    assert not any("engraver" in sentence for sentence in sim.analyze(path).unknown)
    path.write_text("X:1\nM:4/4\nL:1/8\nK:HP\nC8|]\n")  # a key of the bagpipes, which the comparison does not know
    assert any("or they cannot be compared" in sentence for sentence in sim.analyze(path).unknown)


def test_what_cannot_be_compared_with_its_text_is_read_all_the_same(sim: Sim, tmp_path: Path) -> None:
    path = tmp_path / "a.musicxml"
    path.write_text(
        "<score-partwise><part-list><score-part id='P1'><part-name/></score-part></part-list><part id='P1'><measure>"
        "<attributes><divisions>1</divisions><clef><sign>G</sign><line>2</line></clef></attributes><note><pitch>"
        "<step>C</step><alter> </alter><octave>4</octave></pitch><duration>4</duration><type>whole</type></note>"
        "</measure></part></score-partwise>"
    )
    found = sim.analyze(path)
    assert found.notes is not None and len(found.notes) == 1
    assert any("1 of 1 bars" in sentence for sentence in found.unknown)


def test_what_is_estimated_of_midi_is_said(sim: Sim, song: Path, tmp_path: Path) -> None:
    """Of a file that states its bars nothing; without a signature its bars; of a performance its beats, too."""
    said = []
    for shift, signatures in ((0, True), (0, False), (1, True)):
        midi = symusic.Score(song)
        midi.time_signatures = midi.time_signatures if signatures else []
        for track in midi.tracks:
            for i, note in enumerate(track.notes):
                note.time += shift * int(37 * np.sin(i) + 40)
        midi.dump_midi(tmp_path / "song.mid")
        found = sim.analyze(tmp_path / "song.mid").unknown
        said.append([sentence.split(": ")[1] for sentence in found if "estimated" in sentence])
    assert said == [[], ["bars are estimated."], ["beats and bars are estimated."]]


@pytest.mark.parametrize(
    ("name", "music"),
    [
        ("song.mid", b"MThd\0\0\0\6\0\1\0\1\0\1MTrk\0\0\0\x13\0\xff\x51\3\0\0\0\0\x90\x3c\x50\4\x80\x3c\0\0\xff\x2f\0"),
        ("free.abc", b"X:1\nT:Free\nM:none\nL:1/4\nQ:0\nK:C\nCDEF|GABc|\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_tempo_and_no_bars_are_not_stated(sim: Sim, tmp_path: Path, name: str, music: bytes) -> None:
    """A MIDI file whose quarter notes last no time, and a tune that has no metre."""
    (tmp_path / name).write_bytes(music)
    assert set(sim.analyze(tmp_path / name).stated) <= {"key signature"}


def test_a_script_of_five_lines_ends(weights: Path, song: Path) -> None:
    """No main guard is needed, and the workers that a model keeps do not keep the program from ending."""
    code = f"import scoresim\nprint(scoresim.load({str(weights)!r}).analyze({str(song)!r}).bars)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "27\n", "")


@pytest.mark.parametrize("metre", ["M:none", "M:4/4"])
def test_a_score_without_a_metre_states_none_as_midi(tmp_path: Path, metre: str) -> None:
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\nT:a\n{metre}\nL:1/4\nK:C\nCDEF|GABc|]\n")
    write_melody(path, tmp_path / "out.mid", np.ones(8, dtype=bool), only=True)
    stated = symusic.Score(tmp_path / "out.mid").time_signatures
    assert [(one.numerator, one.denominator) for one in stated] == ([] if metre == "M:none" else [(4, 4)])
