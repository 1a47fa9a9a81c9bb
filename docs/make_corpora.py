"""Write docs/corpora.md from the program and the files that are there.

Run ``python docs/make_corpora.py [FOLDER]``, where FOLDER holds the data sets by their names (default:
``../shared/data`` beside the repository). Sets that are not there keep their row, without counts.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from scoresim.data import corpora
from scoresim.data.corpora import Corpus, Item
from scoresim.data.corpora._styles import STYLES

PATH = Path(__file__).with_name("corpora.md")
DATA = Path(__file__).parents[2] / "shared" / "data"

HEAD = """<!-- Made by docs/make_corpora.py from the program and the data sets. Do not edit. -->

# Corpora

A corpus is one source of scores or MIDI files, one module in `src/scoresim/data/corpora`. The sources of music21 are
there as soon as the package is; the others are read from where you put them: `--corpus NAME=PATH`, where PATH is the
set's folder or the folder that holds it. Nothing is downloaded for you, since most sets ask you to accept terms.

Sets "of the shared data" are read in a prepared form: the source's files in one folder with a `labels.csv` of one row
per file. `tests/fixtures/corpora` holds each layout with a few notes of our own. The large sets (`maestro`,
`giantmidi`, `pop1k7`, `lakh`, `pdmx`) are read as they are published, and so are the three of MidiBERT-Piano,
in its parts, which the program knows by the names of the files: `pop909` (a clone, `FOLDER/POP909-Dataset`), `pianist8`
(a clone, `FOLDER/Pianist8`) and `emopia` (`FOLDER/EMOPIA_1.0`). With them and music21, which brings the chorales, every
column of the README's table of trained heads can be asked anew. Clones of `asap`, `kern_beethoven`, `kern_chopin`,
`kern_mozart` and `kern_wtc` are read as they are, too, under their own names; without a table such a set has no parts,
and its works go by their lots, so that figures are of other test parts than ours.

Notation "as encoded" is that of the source's editors; "from MIDI" is written out by scoresim and is an estimate.
A split is official where the source, or the copy of it that is described here, has one that is disjoint by work.
"""
NOTES = """
## Folders that are no corpus

- `cipi` holds labels only: grades of difficulty (Henle, 1-9) and five folds for pieces whose files all lie in the
  `kern_*` folders. Where the folder `cipi` lies beside them, the items of those corpora carry the grades as labels
  `henle`, `cipi_id`, `fold0` ... `fold4`.
- `scans` holds pictures of printed pages with the movement they belong to, and no alignment of page and bar. They make
  no pairs, so they are no corpus; they are a test of retrieval.
- The score MIDI files of ASAP repeat its scores and are no items.

## Files of music21's corpus that are in no corpus

| files | why |
|---|---|
| `josquin/*.abc` (8) | each voice is a tune of its own without bar lines; there is no score |
| `leadSheet/berlinAlexandersRagtime.mxl` | its rights element says "All Rights Reserved" |

## When two items are one work

A split by work holds across corpora only if the name of a work does. It is made of the composer and the catalogue
number in the title or by a table (sonatas of Beethoven and Mozart, the Well-Tempered Clavier by key, nocturnes and
waltzes by number, some nicknames), else of the title. In doubt two items are joined, since a work that is torn apart
leaks from training into test: letters of a number are left out, editions and movements are one work, and an
arrangement belongs to what it arranges.

Songs and folk tunes are one work under one title in all tune books and lead sheets (`tune/soldier-joy`): versions of
a tune in two books differ in many notes and are the tune all the same, and a wrong union costs only freedom of the
split. Titles that name a kind and no tune ("Hornpipe", "Minuet No. 3") stay apart by book. What names cannot tell is
left to the search for near-duplicates by content: a recording of all preludes of op. 28 beside the preludes, Longo's
numbers of Scarlatti beside Kirkpatrick's, one tune under two titles.

Where two sources put one work into two parts of their splits, the builder takes the most protected one. The sets
counted here do not disagree in any work: five titles of the Nottingham tunes that stand in two parts of one split, and
three songs of OpenEWLD that another set has in another part, carry no split of their own.

A set of some sources only does not know what others hold back, or which of its works are theirs under another name.
`scoresim build --held-out LIST` keeps the works of a list out of training, and what is the same music as one of them
that is in the set; `results/small/excluded-works.tsv` is the list of all sources here together.
"""


def text(data: Path) -> str:
    """The page as Markdown, counts taken from the sets under a folder."""
    found = {name: corpora.get(name) for name in corpora.names()}
    items = {name: _items(corpus, data) for name, corpus in found.items()}
    parts = [HEAD, _table(found, items), NOTES, _shared(items), _styles(items), _sources(found)]
    return "\n".join(part.strip() + "\n" for part in parts)


def _items(corpus: Corpus, data: Path) -> list[Item]:
    if corpus.name == "folder":
        return []
    root = corpus.find(None) or corpus.find(data)
    return [] if root is None else list(corpus.items(root))


def _table(found: dict[str, Corpus], items: dict[str, list[Item]]) -> str:
    lines = [
        "| corpus | what | files | items | works | format | notation | split train/valid/test |",
        "|---|---|--:|--:|--:|---|---|---|",
    ]
    for name, corpus in found.items():
        those = items[name]
        formats = sorted({item.format for item in those})
        counts = [len({item.path for item in those}), len(those), len({item.work for item in those})]
        cells = [f"{count:,}" if those else "" for count in counts]
        notation = "from MIDI" if "MIDI" in corpus.title else "as encoded"
        by_part = Counter(item.split for item in those)
        split = "/".join(str(by_part[part]) for part in ("train", "valid", "test")) if set(by_part) - {None} else ""
        what = "" if name == "folder" else notation
        lines.append(f"| `{name}` | {corpus.title} | {' | '.join(cells)} | {', '.join(formats)} | {what} | {split} |")
    total = [item for those in items.values() for item in those]
    files, works = len({item.path for item in total}), len({item.work for item in total})
    lines.append(f"| all | | {files:,} | {len(total):,} | {works:,} | | | |")
    return "\n".join(lines)


def _shared(items: dict[str, list[Item]]) -> str:
    owners: dict[str, set[str]] = defaultdict(set)
    for name, those in items.items():
        for item in those:
            owners[item.work].add(name)
    pairs = Counter((a, b) for names in owners.values() for a in names for b in names if a < b)
    lines = ["Works that stand in two corpora:", "", "| corpora | works |", "|---|--:|"]
    ranked = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return "\n".join([*lines, *(f"| `{a}`, `{b}` | {count} |" for (a, b), count in ranked)])


def _styles(items: dict[str, list[Item]]) -> str:
    count = Counter(item.style for those in items.values() for item in those)
    works: dict[str, set[str]] = defaultdict(set)
    for item in (item for those in items.values() for item in those):
        works[item.style].add(item.work)
    lines = ["## Styles", "", "| style | what | items | works |", "|---|---|--:|--:|"]
    return "\n".join(
        [*lines, *(f"| {name} | {what} | {count[name]} | {len(works[name])} |" for name, what in STYLES.items())]
    )


def _sources(found: dict[str, Corpus]) -> str:
    lines = ["## Sources, licences, citations"]
    for name, corpus in found.items():
        lines += ["", f"**`{name}`**", "", f"- From: {corpus.source}", f"- Licence: {corpus.licence}"]
        lines.append(f"- Cite: {corpus.citation}")
    return "\n".join(lines)


if __name__ == "__main__":
    PATH.write_text(text(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA), encoding="utf-8")
