"""POP909 as MidiBERT-Piano prepared it: what those tasks show, and what the order of the notes gives away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scoresim.benchmark.piecewise import Material, gather
from scoresim.benchmark.tasks import melody as by_pitch
from scoresim.benchmark.tasks import melody_midibert
from scoresim.benchmark.tasks._midibert import on_sixteenths, read_off
from scoresim.data.seen import seen
from scoresim.errors import BadInput
from scoresim.score.tokens import FIRST, GRID
from scoresim.understand.note_features import falls


def test_the_published_preparation_orders_the_notes_of_an_onset_by_track(melody: Material) -> None:
    task = melody_midibert.TASK
    assert (task.label, task.hidden, task.prepared) == (by_pitch.TASK.label, ("velocity",), on_sixteenths)
    for piece in melody.parts["train"]:
        new = on_sixteenths(piece)
        same = on_sixteenths(piece, by_track=False)
        tracks = [by_pitch.label(one) for one in (new, same)]
        at = new.bar * 1000 + new.ids[:, 1]
        assert (np.diff(at) >= 0).all(), "onset by onset"
        assert (np.diff(tracks[0])[np.diff(at) == 0] >= 0).all(), "vocal, bridge, piano"
        assert (np.diff(same.ids[:, 2])[np.diff(same.bar * 1000 + same.ids[:, 1]) == 0] >= 0).all()
        assert np.isin((new.ids[:, 1] - FIRST) % (GRID // 4), 0).all(), "on 16ths"
        assert sorted(new.ids[:, 2].tolist()) == sorted(piece.ids[:, 2].tolist())
        assert sorted(zip(new.ids[:, 2].tolist(), new.velocity.tolist(), strict=True)) == sorted(
            zip(piece.ids[:, 2].tolist(), piece.velocity.tolist(), strict=True)
        ), "what a note is goes with it"
        assert falls(seen(same, ()))[0].sum() == 0, "by pitch, nothing falls"
        assert new.lines == ()
        said = read_off(seen(new, task.hidden)).argmax(axis=1)
        told = said != 2
        assert told.any()
        assert (tracks[0][told] != 2).all(), "what the falls call melody or bridge is never accompaniment"


def test_a_task_that_shows_no_picture_says_so(songs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="melody_midibert has no picture that may be seen"):
        gather(melody_midibert.TASK, songs, tmp_path)
    found = gather(melody_midibert.TASK, songs, tmp_path, images=False, workers=1)
    assert any((np.diff(piece.ids[:, 2]) < 0).any() for piece in found.parts["test"])
