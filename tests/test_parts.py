"""One file -> its pairs: MIDI without notation, texts on the picture, looks, labels, doubtful bars."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

from scoresim.data import corpora, parts
from scoresim.data.config import BuildConfig
from scoresim.data.corpora import Item, folder
from scoresim.data.pair import Pair, PassageRules, Rejected, excerpt, make_pair
from scoresim.data.parts import Task, make_pairs, part_name
from scoresim.data.verify import check_pair
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.notes import Beats, Score, notes_from_columns
from scoresim.score.performance import performed, seconds
from scoresim.score.tokens import ATTRIBUTES, default_vocabulary

FIXTURES = Path(__file__).parent / "fixtures"
VOCABULARY = default_vocabulary()


def midi_file(path: Path) -> Path:
    """Eight bars of quarter notes at 90, then at 60 quarter notes per minute; each note louder than the one before."""
    score = symusic.Score(480)
    track = symusic.Track("piano", 0, False)
    for i in range(32):
        track.notes.append(symusic.Note(480 * i, 470, 60 + (i * 7) % 12, 10 + 3 * i))
    score.tracks.append(track)
    score.tempos.append(symusic.Tempo(0, qpm=90.0))
    score.tempos.append(symusic.Tempo(480 * 16, qpm=60.0))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.dump_midi(path)
    return path


def pairs_of(path: Path, form: str, tmp_path: Path, **config: Any) -> tuple[list[Pair], dict[str, Any]]:
    item = Item(path.name, path, form, "test/work", "style", "Anon", "Title", split="valid", labels={"key": "C"})
    return make_pairs(Task(item, "folder", tmp_path / "part.parquet", BuildConfig(corpora=(), **config)))


def values(pair: Pair, attribute: str) -> list[Any]:
    return [VOCABULARY.value(attribute, i) for i in pair.notes[:, ATTRIBUTES.index(attribute)].tolist()]


def test_pairs_of_midi_keep_what_was_played(tmp_path: Path) -> None:
    pairs, info = pairs_of(midi_file(tmp_path / "a.mid"), "midi", tmp_path)
    assert sum(pair.n_bars for pair in pairs) == 8 and info["bars"] == 8
    velocities = [v for pair in pairs for v in values(pair, "velocity")]
    assert np.abs(np.array(velocities) - (10 + 3 * np.arange(32))).max() <= 2  # half a step of the vocabulary
    tempos = [t for pair in pairs for t in values(pair, "tempo")]
    assert np.allclose(tempos[:12], 90, rtol=0.04) and np.allclose(tempos[16:28], 60, rtol=0.04)
    assert {pair.notation for pair in pairs} == {"machine"} and {pair.format for pair in pairs} == {"midi"}
    assert [pair.first_bar for pair in pairs] == sorted(pair.first_bar for pair in pairs)
    assert all(pair.official_split == "valid" and json.loads(pair.labels) == {"key": "C"} for pair in pairs)
    for pair in pairs:
        assert check_pair(replace(pair, split="train"), "train", VOCABULARY) == []


def long_midi(path: Path, bars: int = 200) -> Path:
    """A tune of many bars on its grid, in several stretches."""
    score = symusic.Score(480)
    track = symusic.Track("piano", 0, False)
    for i in range(4 * bars):
        track.notes.append(symusic.Note(480 * i, 480, 60 + (i * i) % 13, 64))
    score.tracks.append(track)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.dump_midi(path)
    return path


def test_a_limit_takes_passages_from_the_whole_of_a_midi_file(tmp_path: Path) -> None:
    path = long_midi(tmp_path / "long.mid")
    every, _ = pairs_of(path, "midi", tmp_path)
    few = [pairs_of(path, "midi", tmp_path, max_passages=6, seed=seed)[0] for seed in range(3)]
    assert all(len(pairs) == 6 for pairs in few)
    assert {pair.first_bar // 64 for pairs in few for pair in pairs} == {0, 1, 2, 3}
    assert len({tuple(pair.first_bar for pair in pairs) for pairs in few}) > 1
    whole, _ = pairs_of(path, "midi", tmp_path, max_passages=1000)
    assert [pair.id for pair in whole] == [pair.id for pair in every]


def test_pairs_say_where_the_beats_of_their_notation_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def beats(path: Path, form: str = "midi") -> set[str]:
        return {pair.beats for pair in pairs_of(path, form, tmp_path)[0]}

    assert beats(midi_file(tmp_path / "a.mid")) == {"grid"} and beats(FIXTURES / "piano.musicxml", "musicxml") == {""}
    score = symusic.Score(480)
    track = symusic.Track("piano", 0, False)
    for i in range(48):  # about 107 beats a minute, on no grid
        track.notes.append(symusic.Note(int(537.3 * i + 31 * np.sin(i)), 400, 60 + (i * 7) % 12, 64))
    score.tracks.append(track)
    score.dump_midi(tmp_path / "played.mid")
    assert beats(tmp_path / "played.mid") == {"estimated"}
    annotated = Beats(0.56 * np.arange(60), np.arange(60) % 4 == 0)
    monkeypatch.setattr(corpora, "get", lambda name: replace(folder.CORPUS, beats=lambda item: annotated))
    assert beats(tmp_path / "played.mid") == {"annotated"}


def test_seconds_follow_the_tempos() -> None:
    notes = notes_from_columns(onset=[0], duration=[1], pitch=[60])
    midi = Score(480, notes, tempos=((0, 120.0), (960, 60.0), (960, 240.0)))
    assert seconds(midi, np.array([0, 480, 960, 1440])).tolist() == pytest.approx([0, 0.5, 1.0, 1.25])
    late = Score(480, notes, tempos=((480, 60.0),))
    assert seconds(late, np.array([480, 960])).tolist() == pytest.approx([0.5, 1.5])  # 120 before the first


def test_a_notation_that_lost_its_midi_is_refused() -> None:
    midi = Score(480, notes_from_columns(onset=[0, 480], duration=[480, 480], pitch=[60, 62]))
    written = replace(midi, notes=notes_from_columns(onset=[0, 1], duration=[1, 1], pitch=[60, 62], id=["a", "b"]))
    assert performed(written, midi, {"a": 0, "b": 1}).notes.pitch.tolist() == [60, 62]
    with pytest.raises(ValueError, match="another pitch"):
        performed(written, midi, {"a": 1, "b": 0})
    with pytest.raises(ValueError, match="no MIDI note"):
        performed(written, midi, {"a": 0})


def test_looks_differ_by_the_seed_and_stay_in_their_ranges(tmp_path: Path) -> None:
    path = FIXTURES / "piano.musicxml"
    seen = [pairs_of(path, "musicxml", tmp_path, seed=seed)[0][0] for seed in range(12)]
    assert len({pair.font for pair in seen}) >= 3 and len({round(pair.staff_space, 1) for pair in seen}) >= 8
    assert all(6 <= pair.staff_space <= 11 and 40 <= pair.page_width <= 70 for pair in seen)
    for pair in seen:
        lines = pair.staff_boxes[:, 5] - pair.staff_boxes[:, 3]
        assert np.allclose(lines, 4 * pair.staff_space, atol=0.6)
    again = pairs_of(path, "musicxml", tmp_path, seed=3)[0][0]
    assert again.image == seen[3].image and again.font == seen[3].font


@pytest.mark.parametrize("kind", ["scan", "photo"])
def test_degraded_pictures_pass_the_same_checks(kind: Any, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="the extra 'degrade' is not installed")
    clean, _ = pairs_of(FIXTURES / "piano.musicxml", "musicxml", tmp_path)
    pairs, _ = pairs_of(FIXTURES / "piano.musicxml", "musicxml", tmp_path, degrade=kind)
    assert [pair.degraded for pair in pairs] == [kind] * len(clean)
    for pair, other in zip(pairs, clean, strict=True):
        assert pair.image != other.image and (pair.notes == other.notes).all()
        assert check_pair(replace(pair, split="train"), "train", VOCABULARY) == []


def test_texts_are_left_off_unless_asked_for(tmp_path: Path) -> None:
    path = FIXTURES / "formats" / "trio.musicxml"
    bare, _ = pairs_of(path, "musicxml", tmp_path)
    with_texts, _ = pairs_of(path, "musicxml", tmp_path, texts=True)
    assert not any(pair.texts for pair in bare) and any(pair.texts for pair in with_texts)
    for pair in with_texts:
        assert len(pair.texts) == len(pair.text_boxes)
        assert (pair.text_boxes[:, 2] <= pair.width).all() and (pair.text_boxes[:, 3] <= pair.height).all()


def test_a_doubtful_bar_becomes_no_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FIXTURES / "piano.musicxml"
    monkeypatch.setattr(parts, "doubtful", lambda text, form, score: frozenset({1}))
    pairs, info = pairs_of(path, "musicxml", tmp_path)
    assert all(not pair.first_bar <= 1 < pair.first_bar + pair.n_bars for pair in pairs)
    assert info["rejected"] == {"the engraver reads a bar otherwise than the file says": 1}


def test_a_limit_holds_for_a_notated_file(tmp_path: Path) -> None:
    pairs, info = pairs_of(FIXTURES / "formats" / "trio.musicxml", "musicxml", tmp_path, max_passages=1)
    assert len(pairs) <= 1 and info["passages"] == 1


def test_a_note_drawn_beyond_the_margin_makes_no_pair() -> None:
    """verovio draws long cadenzas over the left edge; their heads are then boxes without width."""
    engraving = Engraving((FIXTURES / "piano.musicxml").read_text(encoding="utf-8"), EngraveConfig())
    system = engraving.draw(engraving.page(0)[0])
    about = dict.fromkeys(("id", "corpus", "item", "work", "style", "composer", "title", "split"), "")
    rules = PassageRules()
    taken = excerpt(engraving.reading.score, [bar.index for bar in system.bars], default_vocabulary(), rules)
    assert make_pair(taken, (system,), rules, about).agreement == 1.0
    first = replace(system.heads[0], box=(0.0, system.heads[0].box[1], 0.0, system.heads[0].box[3]))
    beyond = replace(system, heads=(first, *system.heads[1:]))
    with pytest.raises(Rejected, match="beside the picture"):
        make_pair(taken, (beyond,), rules, about)


def test_a_part_is_named_after_what_stands_in_its_file(tmp_path: Path) -> None:
    """A file that was unpacked anew is the same; one that was changed is not, however alike it looks from outside."""
    path = tmp_path / "a.krn"
    path.write_bytes((FIXTURES / "choir.krn").read_bytes())
    item = Item("a", path, "kern", "a", "", "", "")
    name = part_name("folder", item)
    os.utime(path, ns=(10**18, 10**18))
    assert part_name("folder", item) == name
    text = path.read_bytes()
    path.write_bytes(text[:-9] + b"!" + text[-8:])
    assert len(path.read_bytes()) == len(text)
    assert part_name("folder", item) != name
    assert part_name("folder", replace(item, split="test")) != part_name("folder", item) != part_name("other", item)
    path.chmod(0)
    assert part_name("folder", item)
