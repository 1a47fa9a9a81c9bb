"""Emotion, with the split of MidiBERT-Piano: for its published figures alone.

The question is that of `emotion`. The split is the one by which MidiBERT-Piano (Chou et al., arXiv:2107.05223) and its
successors report EMOPIA, and it leaks: 93 of its 107 test clips have another clip of the same song in the training
part. So a system can be right because it knows the song. Read a figure of this task only beside the published ones;
what a system knows of emotion is what `emotion` says.

Inputs and metrics are those of `emotion`. A clip is .9 points. The interval is over songs.
"""

from __future__ import annotations

from scoresim.benchmark.task import PieceTask, Published, accuracy_first
from scoresim.benchmark.tasks import emotion
from scoresim.data.corpora import Item


def part(item: Item) -> str | None:
    """The split of MidiBERT-Piano, by clip."""
    named = item.labels.get("split_midibert")
    return named if named in ("train", "valid", "test") else None


TASK = PieceTask(
    name="emotion_midibert",
    question="Which of four emotions has this clip, of a song that may be known?",
    level="sequence",
    corpora=("emopia",),
    part=part,
    classes=emotion.CLASSES,
    label=emotion.label,
    measures=accuracy_first,
    obtain=emotion.OBTAIN,
    transposes=True,
    published=(
        Published("RNN, compound word (MidiBERT-Piano)", "accuracy", 0.5413, "16th-note grid of 120 a minute"),
        Published("MidiBERT-Piano", "accuracy", 0.6789, "pre-trained on the test clips too"),
        Published("M2BERT (arXiv:2507.04776)", "accuracy", 0.674, "five folds of its own"),
    ),
)
