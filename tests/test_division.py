"""Into how many parts a beat of a performance is divided."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresim.data import rubato
from scoresim.data.rubato import Written, play
from scoresim.score import division
from scoresim.score.convolutions import FEATURES, network, of_arrays
from scoresim.score.division import DILATIONS, DIVISIONS, WEIGHTS, divisions, features, table
from scoresim.score.notes import Beats, Score, notes_from_columns
from scoresim.score.quantize import quantize, together
from scoresim.score.timeline import QUARTER, Timeline, from_beats


def written(rhythm: list[float], bars: int, seed: int = 0) -> Written:
    """So many bars of 4/4 with one rhythm for every beat, over a bass note in each."""
    places = np.array([beat + place for beat in range(4 * bars) for place in rhythm])
    bass = np.arange(0.0, 4 * bars, 4)
    pitch = np.r_[np.random.default_rng(seed).integers(60, 80, len(places)), np.full(bars, 40)]
    length = np.r_[np.diff(places, append=4.0 * bars), np.full(bars, 4.0)]
    staff = np.r_[np.ones(len(places), np.int64), np.full(bars, 2)]
    onset = np.r_[places, bass]
    order = np.lexsort((pitch, onset))
    columns = (column[order] for column in (onset, length, pitch, staff))
    return Written(*columns, 4.0 * np.arange(bars + 1), ((4, 4),) * bars)


def timeline(seconds: np.ndarray, beats: np.ndarray, metre: tuple[int, int] = (4, 4)) -> Timeline:
    """Notes at some moments between given beats."""
    onset = np.round(seconds * 960).astype(np.int64)
    notes = notes_from_columns(onset=onset, duration=np.full(len(onset), 50), pitch=np.full(len(onset), 60))
    down = np.arange(len(beats)) % metre[0] == 0
    return from_beats(Score(480, notes, (), tempos=((0, 120.0),)), Beats(beats, down, ((0, *metre),)), "beats")


def apart(line: Timeline) -> np.ndarray:
    """As many notes, all of another pitch."""
    return np.arange(len(line.onset))


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 6])
def test_what_is_played_evenly_is_divided_as_it_was_written(parts):
    right = []
    for seed in range(8):
        score = written([place / parts for place in range(parts)], 12, seed)
        played = play(score, np.random.default_rng(seed))
        line = timeline(played.onset, played.beats)
        found = quantize(line, played.pitch)[0] / QUARTER
        right.append(np.mean(np.abs(found - played.place) < 0.01))
    assert np.median(right) > 0.9


def test_a_triplet_in_a_row_of_triplets_is_one_where_it_is_played_as_sixteenths():
    """The first moves of Chopin's op. 10 no. 5 are like that: at 19.12, 19.25 and 19.40 of the beat."""
    even = np.arange(6) / 6
    uneven = np.array([0.0, 0.119, 0.247, 0.402, 0.597, 0.757])
    beats = np.arange(17) * 0.48 + 0.5
    places = np.concatenate([beat + (uneven if beat == 8 else even) for beat in range(16)])
    line = timeline(np.interp(places, np.arange(17), beats), beats)
    assert divisions(line, line.onset, apart(line))[8] == 6


def test_notes_of_a_pitch_are_divided_until_each_has_its_own_place():
    """A tremolo of nine in a beat of .7 seconds, not quite even, between eighths; otherwise some would be one."""
    beats = np.arange(9) * 0.7 + 0.5
    eighths = [beat + half for beat in (0, 1, 2, 4, 5, 6, 7) for half in (0, 0.5)]
    parts, coarser = np.array(DIVISIONS), 0
    for seed in range(5):
        uneven = np.random.default_rng(seed).normal(0, 0.15, 8)
        places = np.sort(np.r_[eighths, 3, 3 + (np.arange(1, 9) + uneven) / 9])
        line = timeline(np.interp(places, np.arange(9), beats), beats)
        spread, same = together(line), np.full(len(places), 60)
        lost = dict(zip(DIVISIONS, division.doubles(line, spread, same, parts)[3], strict=True))
        assert lost[1] >= 7 and lost[4] >= 4 and lost[8] >= 1
        assert lost[divisions(line, spread, same)[3]] == 0
        coarser += bool(lost[divisions(line, spread, apart(line))[3]])
        assert not division.doubles(line, spread, apart(line), parts).any()
    assert coarser >= 2


NOTES = st.lists(st.floats(0.0, 20.0), min_size=1, max_size=80)
METRES = st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 16), (2, 2), (7, 8)])


@settings(max_examples=60, deadline=None)
@given(onset=NOTES, gaps=st.lists(st.floats(0.05, 3.0), min_size=1, max_size=30), metre=METRES, same=st.booleans())
def test_any_notes_between_any_beats_are_rounded_to_what_can_be_written(onset, gaps, metre, same):
    line = timeline(np.sort(np.array(onset)), np.r_[0.0, np.cumsum(gaps)], metre)
    told = table(line, together(line))
    assert np.isfinite(told).all() and told.shape == (len(line.cells) - 1, len(network(WEIGHTS, DILATIONS).mean))
    pitch = np.full(len(onset), 60) if same else apart(line)
    parts = divisions(line, together(line), pitch)
    assert division.possible(line.cells, parts[:, None]).all()
    begin, end = quantize(line, pitch)
    assert (begin >= 0).all() and (begin < end).all() and (end <= line.cells[-1]).all()


def test_features_are_those_that_were_learnt_from():
    """Whoever changes, moves or adds a feature changes its name, and trains the network anew."""
    line = timeline(np.array([0.0, 0.5]), np.arange(5) / 2)
    with (resources.files("scoresim.score") / WEIGHTS).open("rb") as file:
        assert np.load(file, allow_pickle=False)[FEATURES].tolist() == list(features(line, line.onset))


def test_the_network_says_what_the_module_says_that_learnt(script):
    torch = pytest.importorskip("torch")
    learning = script("runs/division.py")
    torch.manual_seed(0)
    count = len(network(WEIGHTS, DILATIONS).mean)
    module = learning.division(count).eval()
    told = np.random.default_rng(0).normal(size=(50, count)).astype(np.float32)
    with torch.no_grad():
        asked = module(torch.from_numpy(told)[None], torch.ones(1, 50))[0].numpy()
    assert np.allclose(of_arrays(module.arrays(), DILATIONS)(told), asked, atol=0.02)


def test_what_is_learnt_is_the_coarsest_division_of_the_score_whatever_the_beats(script, monkeypatch):
    learning = script("runs/division.py")
    monkeypatch.setattr(rubato, "_ahead", lambda score, _: (score, np.zeros(len(score.onset), dtype=bool)))
    score = written([0, 1 / 3, 2 / 3], 12)
    rng = np.random.default_rng(0)
    octaves = {
        0.0: {3},
        1.0: {6, 12},
        0.5: {3, 6, 12},
    }  # at that share of half tempos, a beat has so many parts
    for seed in range(6):
        played = play(score, np.random.default_rng(seed))
        told, truth = learning.cells(score, played, learning.known(score, played))
        assert len(told) == len(truth) and (truth >= 0).sum() >= 47
        assert (truth[truth >= 0] == DIVISIONS.index(3)).mean() > 0.95
        for share, parts in octaves.items():
            monkeypatch.setattr(learning, "OCTAVE", share)
            heard = learning.moved(score, played, rng)
            assert (np.diff(heard.beats.seconds) > 0).all() and (np.diff(heard.places) > 0).all()
            told, truth = learning.cells(score, played, heard)
            said = [DIVISIONS[int(number)] for number in truth[truth >= 0]]
            assert len(told) == len(truth) and np.isin(said, list(parts)).mean() > 0.9, (share, said)
    line = timeline(np.array([0.0, 7.0]), np.arange(9.0))
    halves = np.array([0, 0.5, 1, 2, 2 + 1 / 3, 3, 3.25, 4, 4 + 1 / 7])
    said = learning.coarsest(line, halves * QUARTER)
    assert [DIVISIONS[int(number)] for number in said[:4]] == [2, 1, 3, 4] and said[4] == learning.NOBODY
    short = timeline(np.array([0.0, 3.0]), np.arange(6) / 2, (3, 16))
    assert np.diff(short.cells).max() == QUARTER // 4
    said = learning.coarsest(short, QUARTER * np.array([0, 1 / 4 + 1 / 8, 1 / 2 + 1 / 32]))
    assert [int(number) for number in said[:3]] == [0, DIVISIONS.index(2), learning.NOBODY]
