"""Where the reading of a MusicXML text differs from what the text itself says: bars that must not become pairs.

verovio 6.4 loses a pause before a change of clef (``forward``, or an invisible rest), puts what a second ``backup``
leads to behind the voice instead of beside it, ends a tie that the text does not end, and in some files carries an
accidental to notes that have none. The picture is then wrong in the same way as the notes, so that their agreement does
not show it. The text says at which time every note begins, how long it lasts and how it is spelled; this is that sum,
with nothing of verovio in it.
"""

from __future__ import annotations

import re
from collections import defaultdict

from lxml import etree

from scoresim.score.notes import STEPS, TIED_FROM, TIED_TO, Score
from scoresim.score.source_abc import doubtful_abc
from scoresim.score.source_kern import doubtful_kern
from scoresim.score.stated import Stated, alike, read_bars

NEAR = 1 / 24  # quarter notes: sources round the times of tuplets to their ticks
PLAIN = {name: name for name in ("note", "/note", "step", "octave", "alter", "duration")}
PLAIN |= {"chord/": "chord", "grace/": "grace"}  # the tags that are most frequent, to their names
NAMES = frozenset(
    ("part", "measure", "divisions", "backup", "/backup", "forward", "/forward", "tie", "tied", *PLAIN.values())
)
PASSED_OVER = r"!--[^-]*(?:-[^-]+)*-->|\?[^?]*\?+(?:[^?>][^?]*\?+)*>"  # a comment or an instruction after its "<"
# A tag that may matter, up to the next one; the group is empty for what is passed over.
TAG = re.compile(f"<(?:{PASSED_OVER}|((?:{'|'.join(sorted({name[:3] for name in NAMES}))})[^<]*))")
NAME = re.compile(r"/?[^\s/>]*")
TIE_TYPE = re.compile(r"""\stype\s*=\s*["'](start|stop)["']""")
TIE_BITS = {"stop": TIED_FROM, "start": TIED_TO}


def doubtful(text: str, form: str, score: Score) -> frozenset[int]:
    """Bars that must not become pairs: the engraver's reading differs from what the text of the file states.

    Args:
        text: the text as `read_text` gives it; of ABC one tune, before `check_abc` rewrote it.
        form: "musicxml", "mxl", "mei", "kern" or "abc". Nothing is said of MEI, in which the engraver writes its own
            reading: there is no other text to compare with.
        score: what was read from the engraver.

    Returns:
        Indices into `score.bars`.
    """
    if form == "abc":
        return doubtful_abc(text, score)
    if form == "kern":
        return doubtful_kern(text, score)
    return doubtful_bars(text, score) if form in ("musicxml", "mxl") else frozenset()


def doubtful_bars(text: str, score: Score) -> frozenset[int]:
    """Bars in which the score does not hold exactly the notes that the MusicXML text states.

    Notes are compared by bar, spelling, onset in the bar, duration and ties; both times may differ by 1/24 of a quarter
    note and one tick of the text. Unpitched notes are left out, and nothing is said of texts that are not partwise
    MusicXML.

    Args:
        text: of the file as `read.read_text` gives it, well-formed.
        score: what was read from the engraver.

    Returns:
        Indices into `score.bars`; all of them where the text has another number of bars.
    """
    if "<score-partwise" not in text[:20_000]:
        return frozenset()
    stated, counts, tick = _stated(_tags(text))
    if counts != {len(score.bars)}:
        return frozenset(range(len(score.bars)))
    read = read_bars(score)
    near = NEAR + min(tick, NEAR) + 1e-9
    return frozenset(i for i in range(len(score.bars)) if not alike(stated[i], read[i], near))


def _tags(text: str) -> list[str]:
    """The tags that may matter, each with the text after it; a tag is what stands between two "<".

    In well-formed XML without marked sections "<" stands only where a tag, a comment or an instruction begins; a text
    with one is written anew without it. The sum over such a list takes .07 ms a bar; over an XML tree it took .24.
    """
    body = text[text.index("<score-partwise") :]
    if "<![CDATA[" in body:
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
        )
        data = text.encode() if "encoding=" not in text[:200] else text.partition("?>")[2].encode()
        body = etree.tostring(etree.fromstring(data, parser), encoding="unicode")
    return TAG.findall(body)


def _stated(tags: list[str]) -> tuple[defaultdict[int, Stated], set[int], float]:
    """The notes of every bar, the numbers of bars that the parts have, and the longest tick in quarter notes."""
    stated: defaultdict[int, Stated] = defaultdict(lambda: defaultdict(list))
    counts: list[int] = []  # bars of every part
    divisions = 1  # ticks per quarter note
    ends: dict[tuple[int, int], int] = {}  # part, bar -> ticks per quarter note at its end
    now = before = tie = 0  # two times in ticks from the beginning of the bar; the ties of the note
    found: dict[str, str] = {}  # what stands in the note, backup or forward
    for tag in tags:
        head, _, content = tag.partition(">")
        name = PLAIN.get(head) or NAME.match(head)[0]  # type: ignore[index]
        if name == "/note":
            chord, grace = "chord" in found, "grace" in found
            duration = _ticks(found)
            if "step" in found:
                lasts = 0.0 if grace else duration / divisions
                onset = (before if chord else now) / divisions
                stated[counts[-1] - 1][_spelling(found)].append((onset, lasts, tie))
            if grace:
                before = now
            elif not chord:
                before, now = now, now + duration
        elif name in ("note", "backup", "forward"):
            found, tie = {}, 0
        elif name in ("/backup", "/forward"):
            now += _ticks(found) if name == "/forward" else -_ticks(found)
        elif name in ("tie", "tied"):
            kind = TIE_TYPE.search(head)
            tie |= TIE_BITS[kind[1]] if kind else 0
        elif name == "divisions":
            divisions = int(float(content or divisions)) or divisions
            ends[len(counts), counts[-1]] = divisions
        elif name == "measure":
            counts[-1] += 1
            ends[len(counts), counts[-1]] = divisions
            now = before = 0
        elif name == "part":
            counts.append(0)
            divisions = 1
        elif name in NAMES:
            found[name] = content
    return stated, set(counts), 1 / min(ends.values(), default=1)


def _ticks(found: dict[str, str]) -> int:
    return int(float(found.get("duration") or 0))


def _spelling(found: dict[str, str]) -> tuple[int, int, int]:
    step = STEPS.index((found["step"] or "C").strip())
    return step, round(float(found.get("alter") or 0)), int(found.get("octave") or 0)
