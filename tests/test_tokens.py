"""Note tokens: any MIDI encodes; decoding gives the same notes up to the grid."""

from pathlib import Path

import numpy as np
import pytest
import symusic
from hypothesis import given
from hypothesis import strategies as st

from scoresim.errors import BadInput
from scoresim.score.notes import TIED_FROM, TIED_TO, Bar, Score, notes_from_columns
from scoresim.score.read import bars_from_signatures, read_midi
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, Vocabulary, decode, default_vocabulary, encode, to_grid

VOCABULARY = default_vocabulary()

note = st.tuples(
    st.integers(0, 40_000), st.integers(1, 20_000), st.integers(0, 127), st.integers(1, 127), st.integers(0, 128)
)
signature = st.tuples(st.integers(0, 40_000), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))


@st.composite
def midi_scores(draw: st.DrawFn) -> Score:
    """Scores as a MIDI file gives them: any metre anywhere, any resolution, with or without tempo."""
    resolution = draw(st.sampled_from([1, 24, 96, 120, 480, 960, 1000]))
    rows = sorted(draw(st.lists(note, min_size=1, max_size=40)))
    end = max(onset + duration for onset, duration, *_ in rows)
    signatures = draw(st.lists(signature, max_size=4)) if resolution >= 96 else []
    tempos = draw(st.lists(st.tuples(st.integers(0, 40_000), st.floats(1, 2000)), max_size=3))
    columns = dict(zip(("onset", "duration", "pitch", "velocity", "program"), zip(*rows, strict=True), strict=True))
    bars = bars_from_signatures(signatures, end, resolution)
    return Score(resolution, notes_from_columns(**columns), bars, tempos=tuple(sorted(tempos)))


@given(midi_scores())
def test_any_midi_encodes_and_decodes_to_the_same_notes_up_to_the_grid(score: Score) -> None:
    tokens = encode(score, VOCABULARY)
    assert (tokens.ids >= FIRST).all() and (tokens.ids < np.array(VOCABULARY.sizes)).all()
    back = decode(tokens, VOCABULARY).notes
    notes = score.notes
    onset = to_grid(notes.onset, score.resolution)
    duration = np.maximum(to_grid(notes.onset + notes.duration, score.resolution) - onset, 1)
    table = np.array(VOCABULARY.durations)
    nearest = table[np.abs(table[None] - duration[:, None]).argmin(1)]
    wanted = sorted(zip(onset, notes.pitch, nearest, (notes.velocity - 1) // 4, notes.program, strict=True))
    velocity = (back.velocity - 1) // 4
    assert wanted == sorted(zip(back.onset, back.pitch, back.duration, velocity, back.program, strict=True))


@given(midi_scores())
def test_tokens_are_ordered_and_every_written_note_has_one(score: Score) -> None:
    tokens = encode(score, VOCABULARY)
    order = list(zip(tokens.bar, tokens.ids[:, 1], tokens.ids[:, 2], strict=True))
    assert order == sorted(order)
    assert sorted(set(tokens.of_note.tolist())) == list(range(len(tokens.ids)))
    assert (score.notes.pitch[tokens.note] + FIRST == tokens.ids[:, 2]).all()


def test_a_tied_chain_is_one_token_and_a_grace_note_one_grid_step() -> None:
    notes = notes_from_columns(
        onset=[0, 4, 4], duration=[4, 2, 0], pitch=[60, 60, 62], bar=[0, 1, 1], staff=[1, 1, 1],
        tie=[TIED_TO, TIED_FROM, 0], grace=[False, False, True],
    )  # fmt: skip
    score = Score(1, notes, (Bar(0, 4, 4, 4), Bar(4, 4, 4, 4)))
    tokens = encode(score, VOCABULARY)
    durations = [VOCABULARY.value("duration", i) for i in tokens.ids[:, ATTRIBUTES.index("duration")]]
    assert durations == [6 * GRID, 1]
    assert tokens.of_note.tolist() == [0, 0, 1]


def test_more_than_256_bars_keep_their_true_number() -> None:
    onset = np.arange(0, 4 * 700, 4)
    score = Score(1, notes_from_columns(onset=onset, duration=onset * 0 + 1, pitch=onset * 0 + 60))
    tokens = encode(score, VOCABULARY)
    assert tokens.bar.tolist() == list(range(700))
    assert tokens.ids[:, 0].max() == 255 + FIRST
    assert (decode(tokens, VOCABULARY).notes.onset == onset * GRID).all()


def test_a_time_signature_outside_the_vocabulary_keeps_its_bar_lines() -> None:
    bars = bars_from_signatures([(0, 37, 16)], 37 * 240, 960)
    score = Score(960, notes_from_columns(onset=[0, 37 * 240], duration=[1, 1], pitch=[60, 61]), bars)
    tokens = encode(score, VOCABULARY)
    assert tokens.ids[:, ATTRIBUTES.index("time_signature")].tolist() == [FIRST, FIRST]
    assert tokens.bar.tolist() == [0, 1] and tokens.ids[:, 1].tolist() == [FIRST, FIRST]


def test_the_vocabulary_is_data() -> None:
    assert Vocabulary.from_json(VOCABULARY.to_json()) == VOCABULARY
    assert VOCABULARY.hash == default_vocabulary().hash
    assert len(VOCABULARY.sizes) == len(ATTRIBUTES)
    with pytest.raises(ValueError, match="not a vocabulary"):
        Vocabulary.from_json({"grid": GRID})
    with pytest.raises(ValueError, match="grid of 12"):
        Vocabulary.from_json(VOCABULARY.to_json() | {"grid": 12})


def midi_file(path: Path, score: symusic.Score) -> Path:
    score.dump_midi(path)
    return path


def test_read_midi_with_drums_five_eight_empty_tracks_and_no_tempo(tmp_path: Path) -> None:
    midi = symusic.Score(480)
    midi.time_signatures.append(symusic.TimeSignature(0, 5, 8))
    melody, drums = symusic.Track(program=40), symusic.Track(is_drum=True)
    melody.notes.append(symusic.Note(time=0, duration=240, pitch=127, velocity=1))
    melody.notes.append(symusic.Note(time=1200, duration=240, pitch=0, velocity=127))
    drums.notes.append(symusic.Note(time=1200, duration=10, pitch=36, velocity=90))
    for track in (melody, symusic.Track(), drums):
        midi.tracks.append(track)
    score = read_midi(midi_file(tmp_path / "a.mid", midi))
    tokens = encode(score, VOCABULARY)
    values = [[VOCABULARY.value(a, i) for a, i in zip(ATTRIBUTES, row, strict=True)] for row in tokens.ids.tolist()]
    assert [v[0] for v in values] == [0, 1, 1]
    assert [v[2] for v in values] == [127, 0, 36]
    assert [v[6] for v in values] == [(5, 8)] * 3
    assert [v[7] for v in values] == [40, 40, 128]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n0000", b"MThd\x00\x00", b"MThd" + b"\xff" * 40])
def test_what_is_not_midi_is_refused_with_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mid"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.mid"):
        read_midi(path)
