"""MEI -> `Score`: walk the notation that the engraver has loaded and add up its durations in exact ticks.

verovio turns every notation it reads (MusicXML, kern, ABC, MEI) into MEI and gives each element an identifier that
also stands in the picture. So one walk serves all formats, and every note joins its drawn head by identifier.
The reader is strict about what it does not know: a note without a pitch is left out (its passage is then refused,
since a drawn head has no note), never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import gcd, lcm
from operator import itemgetter
from typing import Any

import numpy as np
from lxml import etree

from scoresim.score.accidentals import carried, missing
from scoresim.score.mei_layer import KINDS, XML_ID, Layer, Part, Walk, clef, fifths
from scoresim.score.notes import (
    DRUMS,
    MAX_QUARTERS,
    STEP_PITCH,
    TIED_FROM,
    TIED_TO,
    Bar,
    Ints,
    Score,
    Staff,
    notes_from_columns,
)

# Each begins with plain text: over 23 real scores 13 times as fast to search for as a choice of texts.
DURATIONS = (re.compile(r' dur="([0-9]{1,6})"'), re.compile(r' dur\.ges="([0-9]{1,6})"'))
DOTS = (re.compile(r' dots="([0-9]{1,6})"'), re.compile(r' dots\.ges="([0-9]{1,6})"'))
SYMBOL = re.compile(r'" symbol="[^"]*(?=[^<>]* symbol=")')  # verovio 6.4 writes this attribute twice
UNKEPT = ("home", "written", "drum", "drawn", "signature")  # columns that only the walk needs
NAMESPACES = {"m": "http://www.music-encoding.org/ns/mei"}
TITLES = ("m:meiHead//m:titleStmt/m:title", "m:meiHead//m:workList//m:title")
COMPOSERS = ("m:meiHead//m:titleStmt//m:persName[@role='composer']", "m:meiHead//m:composer")
LARGEST_TICKS = 1 << 40  # ticks per quarter note; 64 bits then hold 8 million quarter notes


@dataclass
class Reading:
    """A score with what the picture check needs besides: the staff position at which every note should stand.

    Attributes:
        score: the notes and bars.
        place: for every note id, its staff, and its steps above the bottom line of that staff.
        staff_number: for the id of every staff of every bar, its number from the top.
        undrawn: id of a note whose accidental is neither drawn nor in force -> its alteration (`accidentals.missing`).
        contradicted: indices of bars with accidentals that contradict their notes, whatever is drawn at those notes.
        carried: indices of bars that begin with a note whose accidental only a tie from before tells.
        title, composer: as the head of the text says; "" where it does not.
    """

    score: Score
    place: dict[str, tuple[int, int]]
    staff_number: dict[str, int]
    undrawn: dict[str, int]
    contradicted: frozenset[int]
    carried: frozenset[int]
    title: str = ""
    composer: str = ""


def read_mei(mei: str, source: str = "", bar_accidentals: bool = False) -> Reading:
    """Read the MEI text that verovio gives for a loaded score.

    Where verovio keeps the source's own duration of a note (``dur.ppq``, from MusicXML) and the written one differs
    from it by more than a tick of the source, or by a quarter of its length, the source's duration counts: a triplet
    that is not marked as one, a whole rest in a bar of 2/4. A smaller difference is the rounding of the source, and the
    written duration is exact.

    Args:
        mei: the document; only its first movement (`mdiv`) is read, as it is the one that is engraved.
        source: what to call the score.
        bar_accidentals: work out accidentals from the key signature and the accidentals written earlier in the bar,
            instead of believing what every note says. Needed for ABC: verovio 6.4 does not carry an accidental
            through its bar, and gives the notes of a tune in C the key of the tune that was loaded before it.

    Returns:
        The score (resolution is the least common denominator) and the staff position of every note.

    Raises:
        ValueError: the text is not MEI, has no bars, its durations have no common denominator that fits, or it is too
            long.
    """
    root = tree(mei)
    score = next((e for e in root.iter() if KINDS[e.tag] == "score"), None)
    if score is None:
        raise ValueError("no score in it")
    walk = Walk(bar_accidentals, *_resolution(mei, score))
    for element in _definitions_and_bars(score):
        kind = KINDS[element.tag]
        if kind == "measure":
            _measure(walk, element)
            if walk.now > MAX_QUARTERS * walk.quarter:
                raise ValueError(f"it lasts longer than {MAX_QUARTERS} quarter notes")
        else:
            _definition(walk, element, kind)
    if not walk.bars:
        raise ValueError("no bars in it")
    _ties(walk)
    return replace(_finish(walk, source), title=_words(root, TITLES), composer=_words(root, COMPOSERS))


def _words(root: Any, places: Sequence[str]) -> str:
    """The words of the first element with any that stands in one of some places of the head."""
    for place in places:
        for element in root.iterfind(place, NAMESPACES):
            words = " ".join("".join(element.itertext()).split())
            if words:
                return words
    return ""


def tree(mei: str) -> Any:
    """The tree of an MEI text that verovio gives.

    Raises:
        ValueError: the text is not well-formed.
    """
    # Identifiers are not collected: verovio gives some twice (to fingerings), and the parser would refuse the text.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_blank_text=True,
        collect_ids=False,
    )
    try:
        return etree.fromstring((SYMBOL.sub("", mei) if " symbol=" in mei else mei).encode(), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not well-formed MEI: {error}") from error


def _definitions_and_bars(element: Any) -> Iterator[Any]:
    """Definitions and bars in order, without looking into the bars."""
    for child in element:
        kind = KINDS[child.tag]
        if kind == "measure":
            yield child
        elif kind in ("scoreDef", "staffDef"):
            yield child
            yield from _definitions_and_bars(child)
        elif kind:
            yield from _definitions_and_bars(child)


def _resolution(mei: str, score: Any) -> tuple[int, bool]:
    """Ticks per quarter note that make every duration whole, and whether the source's own ticks can be believed.

    verovio writes a change of the source's ticks for all parts, whichever it belongs to; then they are not used.
    """
    longest = max((int(d) for pattern in DURATIONS for d in set(pattern.findall(mei))), default=4)
    dots = max((int(d) for pattern in DOTS for d in set(pattern.findall(mei))), default=0)
    dots = max(dots, 4 if "<dot" in mei else 0)
    tremolo = 4 if "<fTrem" in mei else 1
    tuplets = {1}
    for element in score.iter("{*}tuplet"):
        product = 1
        for holder in (element, *element.iterancestors("{*}tuplet")):
            product *= int(holder.get("num", "3"))
        tuplets.add(product)
    definitions = [e for e in score.iter("{*}scoreDef", "{*}staffDef") if (e.get("ppq") or "").isdigit()]
    steady = all(KINDS[e.tag] == "staffDef" for e in definitions)
    ppq = [max(int(e.get("ppq")), 1) for e in definitions]
    if longest > 1 << 12 or dots > 8 or min(tuplets) < 1:
        raise ValueError("its durations have no common denominator that fits")
    written = lcm(*tuplets) * tremolo * (1 << (longest.bit_length() + dots))
    return lcm(written, *ppq) if steady else written, steady


def _definition(walk: Walk, element: Any, kind: str) -> None:
    """A scoreDef or staffDef: metre, key, clef, transposition, program, tempo from here on."""
    key = _key(element)
    if kind == "scoreDef":
        if element.get("midi.bpm"):
            walk.tempos.append((walk.now, float(element.get("midi.bpm"))))
        meter = _meter(element)
        for part in (*walk.parts.values(), walk.part(0)):
            part.meter = meter or part.meter
            part.fifths = part.fifths if key is None else key
        _set_key(walk)
        return
    if not element.get("n", "").isdigit():
        return
    number = int(element.get("n"))
    known = number in walk.parts
    part = walk.part(number)
    if not known:
        part.meter, part.fifths = walk.part(0).meter, walk.part(0).fifths
    part.meter = _meter(element) or part.meter
    part.fifths = part.fifths if key is None else key
    part.ppq = int(element.get("ppq")) if (element.get("ppq") or "").isdigit() else part.ppq
    _set_key(walk)
    if element.get("trans.semi"):
        part.transposition = int(float(element.get("trans.semi")))
    if element.get("clef.shape"):
        clef(walk, number, walk.now, element, "clef.")
    for child in element:
        child_kind = KINDS[child.tag]
        if child_kind == "label":
            part.label = " ".join("".join(child.itertext()).split())
        elif child_kind == "instrDef":
            drums = child.get("midi.channel") == "9"
            part.program = DRUMS if drums else min(max(int(child.get("midi.instrnum", "0")), 0), 127)
        elif child_kind == "clef":
            clef(walk, number, walk.now, child, "")


def _key(element: Any) -> int | None:
    """Sharps (positive) or flats of the key signature that a definition states, None where it states none."""
    signature = element.get("keysig") or element.get("key.sig")
    if not signature:
        signature = next((c.get("sig") for c in element if KINDS[c.tag] == "keySig"), None)
    return fifths(signature)


def _set_key(walk: Walk) -> None:
    for part in walk.parts.values():
        part.sign(part.fifths)


def _meter(element: Any) -> tuple[int, int] | None:
    """The (numerator, denominator) that a definition states, or None."""
    sources = [(element, "meter."), *((child, "") for child in element if KINDS[child.tag] == "meterSig")]
    for source, prefix in sources:
        count, unit, sym = (source.get(prefix + key) for key in ("count", "unit", "sym"))
        if count and unit:
            try:
                return sum(int(float(n)) for n in count.split("+")), int(float(unit))
            except ValueError:
                return None
        if sym in ("common", "cut"):
            return (4, 4) if sym == "common" else (2, 2)
    return None


def _measure(walk: Walk, element: Any) -> None:
    """Read one bar; its length is that of its fullest layer, or of its time signature where no layer says one.

    A rest for several bars is drawn as one bar and read as several, so that later bars keep their numbers.
    """
    index, now = len(walk.bars), walk.now
    top = next((part for n, part in sorted(walk.parts.items()) if n and part.meter[0]), walk.part(0))
    meter = top.meter
    nominal = walk.whole * meter[0] // meter[1] if meter[0] and meter[1] else walk.whole
    walk.accidentals = {}
    longest, whole_bar_rest, several = 0, False, 1
    for child in element:
        kind = KINDS[child.tag]
        if kind == "staff" and child.get("n", "").isdigit():
            number = int(child.get("n"))
            walk.staff_number[child.get(XML_ID, "")] = number
            for count, layer in enumerate((c for c in child if KINDS[c.tag] == "layer"), start=1):
                voice = int(layer.get("n")) if layer.get("n", "").isdigit() else count
                reader = Layer(walk, index, number, voice, now)
                reader.sequence(layer, 1, 1, False)
                longest = max(longest, reader.time - now)
                whole_bar_rest |= reader.whole_bar_rest
                several = max(several, reader.several)
        elif kind == "tempo" and child.get("midi.bpm"):
            walk.tempos.append((now + _after(walk, child, meter[1]), float(child.get("midi.bpm"))))
        elif kind == "tie":
            walk.ties.append((child.get("startid", "").lstrip("#"), child.get("endid", "").lstrip("#")))
    for part in walk.parts.values():
        if part.changes is not None:
            part.sign(part.changes[1])
            part.changes = None
    length = longest if longest > 0 else nominal
    if whole_bar_rest and longest < nominal and element.get("metcon") != "false":
        length = nominal
    walk.bars.append((now, length, meter, element.get(XML_ID, ""), element.get("n", ""), top.fifths))
    walk.now += length
    for _ in range(several - 1):
        walk.bars.append((walk.now, nominal, meter, "", "", top.fifths))
        walk.now += nominal


def _after(walk: Walk, element: Any, unit: int) -> int:
    """Ticks from the bar line to an element that says its beat (``tstamp``); 0 where it does not."""
    try:
        beat = float(element.get("tstamp") or 1.0)
    except ValueError:
        return 0
    return max(round((beat - 1) * walk.whole / (unit or 4)), 0) if math.isfinite(beat) else 0


def _ties(walk: Walk) -> None:
    """Turn tie elements into the tie bits of the notes at their two ends.

    Where two voices hold the same pitch, verovio 6.4 may lead a tie to the wrong one: a tie goes to the note of its
    voice and pitch that begins where its first note ends, and to one of another voice only where its own has none.
    """
    columns = walk.notes
    index = {note: i for i, note in enumerate(columns.id)}
    begins: dict[tuple[int, int, int], list[int]] = {}
    for i, key in enumerate(zip(columns.onset, columns.step, columns.octave, strict=True)):
        begins.setdefault(key, []).append(i)
    for start, end in walk.ties:
        first, last = index.get(start, -1), index.get(end, -1)
        if first < 0 or last < 0:
            continue
        pitch = columns.step[first], columns.octave[first]
        if pitch != (columns.step[last], columns.octave[last]):
            continue
        meets, home = columns.onset[first] + columns.duration[first], columns.home[first]
        if meets != columns.onset[last] or columns.voice[first] != columns.voice[last]:
            rivals = [i for i in begins.get((meets, *pitch), []) if i != first and columns.home[i] == home]
            own = [i for i in rivals if columns.voice[i] == columns.voice[first]]
            if own or (rivals and meets != columns.onset[last]):
                last = (own or rivals)[0]
        columns.tie[first] |= TIED_TO
        columns.tie[last] |= TIED_FROM
        if walk.bar_accidentals and not columns.grace[last]:
            columns.alter[last] = columns.alter[first]  # a tie carries its accidental over the bar line


def _finish(walk: Walk, source: str) -> Reading:
    """Ticks in lowest terms; sounding pitch and staff position of every note; notes by (onset, spelled pitch)."""
    columns = walk.notes
    times = [t for onset, length, *_ in walk.bars for t in (onset, length)]
    shared = gcd(walk.quarter, *times, *columns.onset, *columns.duration)
    resolution = walk.quarter // shared
    if resolution > LARGEST_TICKS:
        raise ValueError("its durations have no common denominator that fits")
    whole = {name: np.asarray(getattr(columns, name), dtype=np.int64) for name in columns.NUMBERS}
    whole["onset"] = np.asarray([t // shared for t in columns.onset], dtype=np.int64)
    whole["duration"] = np.asarray([t // shared for t in columns.duration], dtype=np.int64)
    spelled = whole["octave"] * 12 + np.asarray(STEP_PITCH, dtype=np.int64)[whole["step"]] + whole["alter"]
    parts = {home: walk.parts.get(home, Part()) for home in set(columns.home)}
    moved = np.asarray([parts[home].transposition for home in columns.home], dtype=np.int64)
    drum = whole["drum"]
    pitch = np.where(drum >= 0, drum, 12 + spelled + moved)
    program = np.asarray([parts[home].program for home in columns.home], dtype=np.int64)
    order = np.lexsort((np.where(drum >= 0, drum - 12, spelled), whole["onset"]))
    fits = (pitch >= 0) & (pitch <= 127)
    for i in order[~fits[order]]:
        walk.warnings.append(f"bar {columns.bar[i] + 1}: a pitch lies outside 0-127")
    order = order[fits[order]]
    height = np.where(drum >= 0, whole["written"], 7 * whole["written"] + whole["step"] - _bottoms(walk, whole, shared))
    place = {columns.id[i]: (columns.staff[i], int(height[i])) for i in order}
    kept = {name: whole[name][order] for name in columns.NUMBERS if name not in UNKEPT}
    kept["step"] = np.where(drum[order] >= 0, -1, kept["step"])
    notes = notes_from_columns(
        **kept,
        pitch=pitch[order],
        program=np.where(drum[order] >= 0, DRUMS, program[order]),
        grace=np.asarray(columns.grace, dtype=bool)[order],
        id=[columns.id[i] for i in order],
    )
    bars = tuple(
        Bar(onset // shared, length // shared, *meter, bar_id, label, fifths)
        for onset, length, meter, bar_id, label, fifths in walk.bars
    )
    staves = tuple(Staff(n, p.label, p.transposition) for n, p in sorted(walk.parts.items()) if n > 0)
    # a tempo between two ticks holds from the later one on, as no note begins between them
    said = sorted(((-(-onset // shared), bpm) for onset, bpm in walk.tempos if 0 < bpm < math.inf), key=itemgetter(0))
    score = Score(resolution, notes, bars, staves, tuple(said), source, tuple(walk.warnings))
    undrawn, contradicted = missing(columns)  # first: what a tie carries depends on what is going to be drawn
    return Reading(score, place, walk.staff_number, undrawn, contradicted, carried(columns))


def _bottoms(walk: Walk, whole: dict[str, Ints], shared: int) -> Ints:
    """[N] diatonic number of the bottom line under the clef in force at every note; 30 (treble) where none is."""
    bottom = np.full(len(whole["staff"]), 30)
    for staff, clefs in walk.clefs.items():
        on = whole["staff"] == staff
        clefs = sorted(clefs, key=lambda clef: clef[0])
        starts = np.asarray([onset / shared for onset, _ in clefs])
        lines = np.asarray([30, *(line for _, line in clefs)])
        bottom[on] = lines[np.searchsorted(starts, whole["onset"][on], side="right")]
    return bottom
