"""OpenEWLD: lead sheets of songs out of copyright, a melody with chord symbols.

The style is the genre under which Discogs lists the song most often. The work is the title, in the name space of
the folk tunes, since tune books took up some of the songs. The authors are composer and lyricist in alphabetical
order, so they cannot tell whose the music is; four songs that other sets hold under a composer are in a table.
Three songs stand in another part of another set's split: they have no split here, so that set's holds.
"""

from collections.abc import Iterator
from pathlib import Path

from scoresim.data.corpora import _labels
from scoresim.data.corpora._item import Corpus, Item, safe_id
from scoresim.data.corpora._works import tune

_OTHER = "lead sheet: other"
_STYLES = {
    "Pop": "lead sheet: pop",
    "Electronic": "lead sheet: pop",
    "Latin": "lead sheet: pop",
    "Jazz": "lead sheet: jazz",
    "Blues": "lead sheet: jazz",
    "Rock": "lead sheet: rock",
    "Funk / Soul": "lead sheet: rock",
    "Reggae": "lead sheet: rock",
    "Stage & Screen": "lead sheet: stage",
}
_WORKS = {
    "Aloha Oe": "liliuokalani-queen/aloha-oe",
    "Home Sweet Home": "bishop-henry/home-sweet-home",
    "Maple Leaf Rag": "joplin/maple-leaf-rag",
    "The Entertainer": "joplin/entertainer",
}
_SPLIT_ELSEWHERE = frozenset({"Alabama Jubilee", "Home Sweet Home", "I Belong to Glasgow"})
_LABELS = ("genre", "style", "genres", "styles", "key", "time_signature", "incipit")


def _items(root: Path) -> Iterator[Item]:
    for path, row in _labels.listed(root, "split", "genre", "author", "title"):
        traditional = row["author"] == "[Traditional]"
        yield Item(
            id=safe_id(row["file"]),
            path=path,
            format="mxl",
            work=_WORKS.get(row["title"]) or tune(row["title"], "openewld"),
            style=_STYLES.get(row["genre"], _OTHER),
            composer="traditional" if traditional else row["author"] or "unknown",
            title=row["title"],
            split=None if row["title"] in _SPLIT_ELSEWHERE else _labels.split_of(row),
            labels=_labels.labels(row, *_LABELS, split_of_the_set="split"),
        )


CORPUS = Corpus(
    name="openewld",
    title="OpenEWLD, lead sheets",
    citation=(
        "Federico Simonetta, Filippo Carnovalini, Nicola Orio, Antonio Roda: Symbolic music similarity through a "
        "graph-based representation. Audio Mostly 2018."
    ),
    licence="MIT (licence file); the README says that the songs 'should be free of copyright'.",
    source=_labels.SHARED.format(name="openewld", origin="https://github.com/00sapo/OpenEWLD"),
    styles=(*dict.fromkeys(_STYLES.values()), _OTHER),
    find=_labels.finder("openewld", "labels.csv", "mxl"),
    items=_items,
)
