"""Pop1K7: piano covers of pop songs, transcribed, aligned to beats and analysed, as MIDI.

Layout: the folders ``midi_analyzed``, ``midi_synchronized`` and ``midi_transcribed`` hold one song each under the
same name (``midi_analyzed/src_001/0.mid``), three stages of one work flow. The first of them that is there is
read: the later stages have a grid of beats, and an item per stage would list every song thrice. The names of
the folders and the depth of ``midi_analyzed`` were checked against programs that read the set; the two others are
taken to be like it.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._recorded import named

_STYLE = "pop piano"
_STAGES = ("midi_analyzed", "midi_synchronized", "midi_transcribed")


def _find(path: Path | None) -> Path | None:
    found = (_labels.finder("Pop1K7", stage, also="pop1k7")(path) for stage in _STAGES)
    return next((root for root in found if root is not None), None)


def _items(root: Path) -> Iterator[Item]:
    stage = next(stage for stage in _STAGES if (root / stage).is_dir())
    for path in sorted((root / stage).rglob("*.mid")):
        name = path.relative_to(root / stage).with_suffix("").as_posix()
        yield Item(
            id=safe_id(path.relative_to(root).as_posix()),
            path=path,
            format="midi",
            work=f"pop1k7/{named(name)}",
            style=_STYLE,
            composer="unknown",
            title=name,
            labels={"stage": stage.removeprefix("midi_")},
        )


CORPUS = Corpus(
    name="pop1k7",
    title="Pop1K7, pop piano covers (MIDI)",
    citation=(
        "Wen-Yi Hsiao, Jen-Yu Liu, Yin-Cheng Yeh, Yi-Hsuan Yang: Compound Word Transformer: learning to compose "
        "full-song music over dynamic directed hypergraphs. AAAI 2021."
    ),
    licence="None stated with the set; the songs are under copyright: research use only.",
    source="https://github.com/YatingMusic/compound-word-transformer (dataset/Dataset.md), unpacked",
    styles=(_STYLE,),
    find=_find,
    items=_items,
)
