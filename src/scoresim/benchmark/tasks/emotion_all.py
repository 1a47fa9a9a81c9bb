"""Emotion, of recordings and of typed music: the question of `emotion`, for a head that is used on anybody's files.

EMOPIA's clips were played and recorded. A head that has learnt them alone knows how a pianist plays when a song is
sad, and of music that nobody has played, as most MIDI files and all scores are, it says too often that it is tense. So
here it learns from VGMIDI, too: phrases of the music of video games as piano MIDI, in nearly half of which all notes
are equally loud. Thirty people followed their valence and arousal (`valence`, `arousal`); the signs of both are the
quadrant.

The parts are those of the two sources, by song and by game. Inputs and metrics are those of `emotion`, notes alone;
there are eight times as many clips as phrases, so look at each source alone, too (`benchmarks/heads.py`).
"""

from __future__ import annotations

from scoresim.benchmark.task import PieceTask, accuracy_first, official
from scoresim.benchmark.tasks import emotion, valence

TASK = PieceTask(
    name="emotion_all",
    question="Which of four emotions has this clip of a pop song, or phrase from a video game?",
    level="sequence",
    corpora=("emopia", "vgmidi"),
    part=official,
    classes=emotion.CLASSES,
    label=emotion.label,
    measures=accuracy_first,
    obtain=f"{emotion.OBTAIN} {valence.OBTAIN}",
    pictured=False,
    transposes=True,
)
