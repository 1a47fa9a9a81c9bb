"""Beats of performances: what is learnt from, what is counted, what is said of it, and what follows."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from importlib import resources
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import symusic
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoresim.cli import run
from scoresim.data import rubato
from scoresim.data.corpora.folder import items_of
from scoresim.data.given import write_beats
from scoresim.data.pieces import read_piece
from scoresim.data.rubato import Written, performed, play, wander
from scoresim.errors import BadInput
from scoresim.score import pulse
from scoresim.score.convolutions import FEATURES, network, of_arrays
from scoresim.score.notate import notate
from scoresim.score.notes import Score, notes_from_columns
from scoresim.score.onsets import onsets, rows
from scoresim.score.performance import seconds
from scoresim.score.pulse_network import DILATIONS, PERIODS, WEIGHTS, Said, said_by
from scoresim.score.read import bars_from_signatures, read_midi
from scoresim.score.timeline import followed

EXAMPLE = Path(__file__).parents[1] / "examples" / "menuet.krn"
CORPORA = Path(__file__).parent / "fixtures" / "corpora"
LIM = Path(__file__).parents[2] / "shared" / "data" / "asap" / "Bach" / "Prelude" / "bwv_883" / "Lim01.mid"


def dance(bars: int, metre: tuple[int, int], seed: int = 0) -> Written:
    """Bass on the first beat, chords on the others, a melody that moves: one tune of so many bars."""
    rng = np.random.default_rng(seed)
    three = metre[1] == 8
    beat = 1.5 if three else 4 / metre[1]
    beats = metre[0] // 3 if three else metre[0]
    notes: list[tuple[float, float, int]] = []
    for bar in range(bars):
        root = int(rng.choice([48, 53, 55, 48]))
        start = bar * beats * beat
        notes.append((start, beat, root - 12))
        for k in range(1, beats):
            notes += [(start + k * beat, beat, root + step) for step in (4, 7)]
        parts = 3 if three else 2
        for k in range(beats * parts):
            if k % parts == 0 or rng.random() < 0.6:
                notes.append((start + k * beat / parts, beat / parts, root + 12 + int(rng.choice([0, 2, 4, 5, 7]))))
    onset, duration, pitch = (np.array(column) for column in zip(*sorted(notes), strict=True))
    bar_onset = np.arange(bars + 1) * beats * beat
    return Written(onset, duration, pitch, np.zeros(len(onset), np.int64), bar_onset, (metre,) * bars)


def score_of(onset, length, pitch, velocity) -> Score:
    """A performance as MIDI with 960 ticks a second."""
    notes = notes_from_columns(
        onset=np.round(onset * 960), duration=np.maximum(np.round(length * 960), 1), pitch=pitch, velocity=velocity
    )
    order = np.argsort(notes.onset, kind="stable")
    return Score(480, notes.take(order), (), tempos=((0, 120.0),))


def agreement(truth: np.ndarray, found: np.ndarray) -> float:
    """F-measure with a window of 70 ms; each beat is met once."""
    near = np.abs(truth[:, None] - found).min(axis=1) < 0.07, np.abs(found[:, None] - truth).min(axis=1) < 0.07
    recall, precision = near[0].mean(), near[1].mean()
    return float(2 * recall * precision / max(recall + precision, 1e-9))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), metre=st.sampled_from([(2, 4), (3, 4), (4, 4), (6, 8), (9, 8), (3, 8)]))
@example(seed=83, metre=(3, 8))
def test_a_score_is_played_with_its_beats(seed, metre):
    score = dance(12, metre, seed)
    played, again = (play(score, np.random.default_rng(seed)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(played, again, strict=True))
    places, down, compound = score.beats()
    assert len(played.beats) == len(places) and down.sum() == 12
    assert compound.all() == (metre in ((6, 8), (9, 8))) and compound.any() == compound.all()
    assert (np.diff(played.beats) > 0).all()
    assert 0.8 * len(score.onset) <= len(played.onset) <= len(score.onset)
    assert (played.length > 0).all() and played.velocity.min() >= 1 and played.velocity.max() <= 127
    away = np.abs(played.onset[played.beat][:, None] - played.beats).min(axis=1)
    assert np.median(away) < 0.08 and (played.downbeat <= played.beat).all()


@given(seed=st.integers(0, 10_000))
def test_eighths_that_are_swung_come_late_and_quarters_do_not(seed):
    written = np.arange(0, 8, 0.25)
    like = dance(8, (4, 4))
    score = dataclasses.replace(like, onset=written)
    swung = rubato._swung(score, np.random.default_rng(seed))
    assert (np.diff(swung) > 0).all()
    np.testing.assert_allclose(swung[::4], written[::4], atol=1e-9)
    late = swung[2::4] - written[2::4]
    assert np.allclose(late, late[0]) and (late[0] == 0 or 0.02 <= late[0] <= 0.17)
    eighths = dataclasses.replace(score, signatures=((6, 8),) * 8)
    assert np.array_equal(rubato._swung(eighths, np.random.default_rng(seed)), written)


def test_a_piece_is_read_as_somebody_plays_it_and_its_notes_know_which_they_were():
    [item] = items_of(EXAMPLE, PurePosixPath(EXAMPLE.name))
    piece = read_piece("folder", item, images=False)
    for seed in range(4):
        read, note = performed(piece, np.random.default_rng(seed))
        again, _ = performed(piece, np.random.default_rng(seed))
        assert np.array_equal(read.ids, again.ids)
        assert (read.ids[:, 2] == piece.ids[note, 2]).all() and len(np.unique(note)) == len(note) == len(read)
        assert 0.9 * len(piece) < len(read) <= len(piece)
        assert not read.staff.any() and not read.lines and read.notation == "machine"
        assert (read.id, read.work, read.composer) == (piece.id, piece.work, piece.composer)
        along = np.corrcoef(read.onset, piece.onset[note])[0, 1]
        assert along > 0.99 and not np.array_equal(read.ids, piece.ids[note])


def test_an_upbeat_is_not_a_bar_and_its_beats_lead_to_the_bar():
    score = Written(
        np.array([0.0, 1.0, 2.0, 3.0]), np.ones(4), np.full(4, 60), np.zeros(4, np.int64),
        np.array([0.0, 1.0, 5.0]), ((4, 4), (4, 4)),
    )  # fmt: skip
    places, down, _ = score.beats()
    assert places.tolist() == [0, 1, 2, 3, 4] and down.tolist() == [False, True, False, False, False]
    assert score.bars(1, 2).onset.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="two beats"):
        play(score.take(np.zeros(4, dtype=bool)), np.random.default_rng(0))


def test_what_wanders_stays_about_nothing_and_near_itself():
    values = wander(np.random.default_rng(0), 20_000, 50, 0.1)
    assert abs(values.mean()) < 0.02 and abs(values.std() - 0.1) < 0.02
    assert np.corrcoef(values[:-5], values[5:])[0, 1] == pytest.approx(np.exp(-5 / 50), abs=0.03)


def test_notes_of_a_chord_are_one_onset():
    assert rows(np.array([0.0, 0.02, 0.04, 0.5, 0.52, 0.54, 0.56, 0.58])).tolist() == [0, 0, 0, 1, 1, 1, 1, 2]


NOTES = st.lists(
    st.tuples(st.floats(0, 30), st.floats(0.001, 20), st.integers(0, 127), st.integers(1, 127)), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(notes=NOTES, seed=st.integers(0, 99))
def test_any_notes_have_finite_features_whatever_their_order(notes, seed):
    onset, length, pitch, velocity = (np.array(column) for column in zip(*notes, strict=True))
    there = onsets(onset, length, pitch, velocity)
    assert np.isfinite(there.table).all()
    assert there.table.shape == (len(there.times), len(network(WEIGHTS, DILATIONS).mean))
    assert (np.diff(there.times) > 0).all() and len(there.row) == len(notes)
    order = np.random.default_rng(seed).permutation(len(notes))
    other = onsets(onset[order], length[order], pitch[order], velocity[order])
    assert np.allclose(there.table, other.table, atol=1e-4) and np.array_equal(there.row[order], other.row)


def test_features_are_those_that_were_learnt_from():
    """Whoever changes, moves or adds a feature changes its name, and trains the network anew."""
    there = onsets(np.array([0.0, 1.0]), np.ones(2), np.array([60, 62]), np.array([64, 64]))
    with (resources.files("scoresim.score") / WEIGHTS).open("rb") as file:
        assert np.load(file, allow_pickle=False)[FEATURES].tolist() == list(there.features)


@settings(max_examples=30, deadline=None)
@given(notes=NOTES)
def test_any_performance_has_beats(notes):
    found = pulse.beats(score_of(*(np.array(column) for column in zip(*notes, strict=True))))
    assert len(found.seconds) >= 2 and (np.diff(found.seconds) > 0).all()
    assert len(found.downbeat) == len(found.seconds) and found.signatures[0][0] == 0


def said(times: np.ndarray, beat: np.ndarray, period: float) -> Said:
    """A network that is sure of its beats and of one tempo."""
    tempo = np.full((len(times), len(PERIODS)), -6.0)
    tempo[:, np.abs(np.log(PERIODS / period)).argmin()] = -0.1
    nothing = np.zeros(len(times), np.float32)
    return Said(beat.astype(np.float32), nothing, nothing, tempo.astype(np.float32))


def test_beats_are_where_the_network_says_and_go_on_where_nothing_begins():
    times = np.arange(0, 16, 0.25)
    on = times % 0.5 == 0
    kept = ~((times > 5) & (times < 6.5))  # three beats of which nothing is heard
    found = pulse.path(times[kept], said(times[kept], np.where(on[kept], 4.0, -4.0), 0.5))
    assert found == pytest.approx(np.arange(0, 16, 0.5), abs=1e-6)


def test_beats_go_on_through_a_long_rest():
    times = np.r_[np.arange(0, 20, 0.5), np.arange(40, 60, 0.5)]
    found = pulse.path(times, said(times, np.full(len(times), 4.0), 0.5))
    assert np.allclose(np.diff(found), 0.5, atol=0.03) and 118 <= len(found) <= 122


def test_bars_follow_the_odds_and_may_change():
    odds = np.tile([3.0, -3.0, -3.0], 20)
    down, lengths = pulse.bars_of(odds)
    assert down.reshape(20, 3)[:, 0].all() and down.sum() == 20 and lengths == [(0, 3)]
    down, lengths = pulse.bars_of(np.r_[odds, np.tile([3.0, -3.0, -3.0, -3.0], 20)])
    assert lengths == [(0, 3), (60, 4)] and down.sum() == 40
    down, _ = pulse.bars_of(np.r_[[-3.0], odds])
    assert not down[0] and down[1]


@pytest.mark.parametrize("metre", [(3, 4), (4, 4), (6, 8)])
def test_the_beat_of_a_dance_that_is_played_is_found(metre):
    hits = []
    for seed in range(6):
        played = play(dance(48, metre, seed), np.random.default_rng(100 + seed))
        found = pulse.beats(score_of(played.onset, played.length, played.pitch, played.velocity))
        hits.append(agreement(played.beats, found.seconds))
    assert np.median(hits) > 0.85


def test_the_network_says_what_the_module_says_that_learnt(script):
    torch = pytest.importorskip("torch")
    learning = script("runs/pulse.py")
    torch.manual_seed(0)
    count = len(network(WEIGHTS, DILATIONS).mean)
    module = learning.pulse(count).eval()
    features = np.random.default_rng(0).normal(size=(50, count)).astype(np.float32)
    with torch.no_grad():
        asked = module(torch.from_numpy(features)[None], torch.ones(1, 50))[0].numpy()
    here = said_by(of_arrays(module.arrays(), DILATIONS)(features))
    assert np.allclose(here.beat, asked[:, 0], atol=0.02) and np.allclose(here.compound, asked[:, 2], atol=0.02)
    assert np.exp(here.period).sum(axis=1) == pytest.approx(np.ones(50), abs=1e-4)


@pytest.mark.parametrize("name", ["pulse", "division"])
def test_training_goes_on_where_it_stopped(tmp_path, monkeypatch, script, name):
    pytest.importorskip("torch")
    learning = script(f"runs/{name}.py")
    along = sys.modules["along"]
    scores = [dance(40, (3, 4), seed) for seed in range(3)], np.full(3, 1 / 3)
    monkeypatch.setattr(along, "read", lambda *_: {"train": scores, "valid": scores})
    monkeypatch.setattr(along, "STRETCHES", 2)
    monkeypatch.setattr(along, "JUDGED", 2)
    monkeypatch.setattr(learning, "LENGTH", 64)

    def learn(out: str, *options: str) -> dict[str, np.ndarray]:
        file = tmp_path / f"{out}.npz"
        monkeypatch.setattr(sys, "argv", [name, str(CORPORA), str(tmp_path / out), "--weights", str(file), *options])
        learning.main()
        return dict(np.load(file))

    whole = learn("whole", "--steps", "6")
    stream = along.Playings.stream

    def broken(playings, seed, start):
        yield from itertools.islice(stream(playings, seed, start), 3)
        raise BadInput("the disk is gone")

    with monkeypatch.context() as gone, pytest.raises(BadInput, match="the disk is gone"):
        gone.setattr(along.Playings, "stream", broken)
        learn("halves", "--steps", "6")
    halves = learn("halves", "--steps", "6")
    assert whole.keys() == halves.keys() and all(np.array_equal(whole[key], halves[key]) for key in whole)
    with pytest.raises(BadInput, match="another seed; choose another folder"):
        learn("whole", "--steps", "6", "--seed", "1")
    thin = along.Playings([dance(2, (2, 4))], np.ones(1), learning.row, learning.BARS)
    with pytest.raises(BadInput, match="no score of 40 notes"):
        thin.one(np.random.default_rng(0))


@pytest.fixture
def waltz(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A waltz that was played, with its pedal, as MIDI of one tempo; and the seconds of its beats."""
    played = play(dance(40, (3, 4), 3), np.random.default_rng(7))
    midi = symusic.Score(480)
    midi.tempos.append(symusic.Tempo(0, 120.0))
    track = symusic.Track("Piano", 0)
    for onset, length, pitch, velocity in zip(*played[:4], strict=True):
        track.notes.append(symusic.Note(round(onset * 960), max(round(length * 960), 1), int(pitch), int(velocity)))
    for beat in played.beats:
        track.controls.append(symusic.ControlChange(round(beat * 960), 64, 100))
    midi.tracks.append(track)
    path = tmp_path / "waltz.mid"
    path.write_bytes(midi.dumps_midi())
    return path, played.beats


def test_a_performance_is_written_on_its_beats_and_sounds_as_before(waltz, tmp_path, capsys):
    path, truth = waltz
    out = tmp_path / "out.mid"
    assert run(["beats", str(path), "--out", str(out), "--json"]) == 0
    said_of = json.loads(capsys.readouterr().out)
    assert said_of["metre"] == "3/4" and 36 <= said_of["bars"] <= 44
    before, after = read_midi(path), read_midi(out)
    moments = [np.sort(seconds(one, one.notes.onset)) for one in (before, after)]
    shift = moments[1] - moments[0]
    assert len(moments[0]) == len(moments[1]) and np.abs(shift - np.median(shift))[1:].max() < 0.003
    ticks = np.arange(0, after.bars[-1].onset, after.resolution)
    grid = seconds(after, ticks) - np.median(shift)
    assert agreement(truth, grid) > 0.85
    pedals = [[one.time for one in symusic.Score.from_midi(p.read_bytes()).tracks[0].controls] for p in (path, out)]
    lasting = [seconds(one, np.array(some)) for one, some in zip((before, after), pedals, strict=True)]
    assert np.abs(lasting[1] - lasting[0] - np.median(shift))[1:].max() < 0.003
    # its grid counts from now on
    line = notate(after)
    assert line.how in ("beats", "grid") and notate(before).how == "estimated"
    assert run(["beats", str(out), "--out", str(tmp_path / "again.mid")]) == 2
    assert "lies on its own beats already" in capsys.readouterr().err and not (tmp_path / "again.mid").exists()


def test_percussion_before_the_first_bar_has_bars_of_its_own(waltz, tmp_path):
    path, _ = waltz
    midi = symusic.Score.from_midi(path.read_bytes())
    for track in midi.tracks:
        for some in (track.notes, track.controls):
            for event in some:
                event.time += 8000
    drums = symusic.Track("Drums", 0, True)
    for beat in range(16):
        drums.notes.append(symusic.Note(beat * 500 + 40, 100, 36, 90))
    midi.tracks.append(drums)
    midi.markers.append(symusic.TextMeta(8000, "Waltz"))
    midi.key_signatures.append(symusic.KeySignature(0, 1, 0))
    path.write_bytes(midi.dumps_midi())
    out = tmp_path / "out.mid"
    write_beats(path, out)
    before, after = read_midi(path), read_midi(out)
    moments = [np.sort(seconds(one, one.notes.onset)) for one in (before, after)]
    shift = moments[1] - moments[0]
    assert np.abs(shift - np.median(shift)).max() < 0.003
    new = symusic.Score.from_midi(out.read_bytes())
    assert [one.text for one in new.markers] == ["Waltz"] and len(new.key_signatures) == 1
    at = seconds(after, np.array([new.markers[0].time])) - np.median(shift)
    assert at == pytest.approx(seconds(before, np.array([8000])), abs=0.003)


def test_tempos_count_where_every_other_beat_has_one(waltz):
    path, _ = waltz
    played = read_midi(path)
    end = int(played.notes.onset.max())
    beats = range(0, end, 480)

    def stated(metre: tuple[int, int], ticks) -> Score:
        bars = bars_from_signatures([(0, *metre)], end, 480)
        return dataclasses.replace(played, bars=bars, tempos=tuple((tick, 118.0 + tick % 5) for tick in ticks))

    known = followed(stated((3, 4), beats))
    assert known is not None and known.signatures == ((0, 3, 4),) and known.downbeat[:4].tolist() == [1, 0, 0, 1]
    assert followed(stated((3, 4), list(beats)[::2])) is not None
    assert followed(stated((3, 4), list(beats)[::3])) is None
    assert followed(stated((3, 4), [0, *range(end - 400, end, 2)])) is None  # one ritardando of many tempos
    assert followed(stated((1, 4), beats)) is None  # bars of one beat are no metre
    assert followed(stated((13, 8), range(0, end, 240))) is None  # too long to be taken as it is
    first = played.notes.take(np.arange(3))
    short = Score(480, first, bars_from_signatures([(0, 2, 4)], 960, 480), (), ((0, 120.0),))
    assert followed(short) is None


def test_what_has_no_beats_to_find_is_refused(waltz, tmp_path, capsys):
    path, _ = waltz
    out = tmp_path / "out.mid"
    cut = tmp_path / "cut.mid"
    cut.write_bytes(path.read_bytes()[:60])
    drums, days = tmp_path / "drums.mid", tmp_path / "days.mid"
    midi = symusic.Score.from_midi(path.read_bytes())
    midi.tempos = [symusic.Tempo(0, 4.0)]
    midi.tracks[0].notes.append(symusic.Note(40_000_000, 100, 60, 64))
    midi.dump_midi(days)
    midi = symusic.Score.from_midi(path.read_bytes())
    midi.tracks[0].is_drum = True
    midi.dump_midi(drums)
    for file, to, why in (
        (EXAMPLE, out, "no MIDI file"),
        (cut, out, "cut off"),
        (drums, out, "no notes but percussion"),
        (days, out, "hours; cut it into pieces"),
        (path, path, "one of the files that are read"),
        (path, tmp_path / "a.txt", "name it .mid"),
    ):
        assert run(["beats", str(file), "--out", str(to)]) == 2
        assert why in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.skipif(not LIM.is_file(), reason="asap is not among the shared data beside the repository")
def test_beats_that_begin_anew_are_not_closer_than_any_others():
    """Here a path began anew 40 ms after the last beat of the one before."""
    assert np.diff(pulse.beats(read_midi(LIM)).seconds).min() >= pulse.FASTEST
