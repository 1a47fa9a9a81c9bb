"""A single ABC tune as the engraver draws it right, or a refusal.

verovio 6.4 reads most tunes to the letter of ABC 2.1, and some things wrong without saying so. What can be written in
another way is rewritten here; what cannot is refused:

- A tuplet takes in the notes that are beamed to it (``cF(3dcA``): spaces around it keep them apart. A tuplet with a
  note of a quarter or more loses its ratio, and a rest is moved out of it: refused.
- A change of key sounds right inside brackets but is not drawn, and as a line of its own does neither: the tune is
  turned into MEI, where the change is written down.
- After the number of an ending a note is lost (``[2G3``) and a chord symbol kills the process (``[1"G"``): a space goes
  between them.
- A broken rhythm after a chord or the end of a slur is not seen (``[ce]>A``, ``(fe)>g``), and of two in a row
  (``B/>A>c``) one is reckoned wrong: refused.
- A length after a chord is not seen (``[ce]2``): it is written at its notes.
- A broken rhythm after a space is not seen (``c > d``): it is left out. A note or rest that no dots write
  (``c5``) is read longer or shorter: written as two that are tied, but for a note of a tune with words, of which the
  second would take one.
- A rest of several bars is drawn as one: written out. Voices are read one after the other, and so is what stands beside
  the rest of a bar (``&``): refused.
- An empty key in the header kills the process: it is named ``none``. ``K:G bass`` is read as G flat: written
  ``K:G clef=bass``. A key of more than seven sharps or flats kills the process or is read wrong: refused.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from lxml import etree

from scoresim.errors import BadInput

_FIELD = re.compile(r"^[A-Za-z+]:")
_QUOTED = re.compile(r'("[^"]*"|\[[A-Za-z]:[^\]]*\])')
_ONE = re.compile(
    r"(?:\{[^}]*\}|![^!\s]*!|[.~HLMOPSTuv(\s])*(?:\[[^\]|:]*\]|[_=^]*[A-Ga-g][,']*|(?P<rest>[xz]))"
    r"(?P<length>[0-9]*/*[0-9]*)[)\-<>]*"
)
_COMMENT = re.compile(r"(?m)^[ \t]*%(?!%).*(?:\n|\Z)|[ \t]*(?<![\\%])%(?!%).*$")  # "%%" begins a directive
_CHORD = re.compile(r"\[([^\[\]|:]*)\](?P<length>[0-9]*/*[0-9]*)")
_CHORD_NOTE = re.compile(r"![^!\s]*!|(?P<note>[_=^]*[A-Ga-g][,']*)(?P<length>[0-9]*/*[0-9]*)")
_SPACED = re.compile(r"(?<![ \t])[ \t]+(?=[<>])")
_ALONE = re.compile(
    r"\{[^}]*\}|![^!\s]*!|\[[^\[\]|]*\]|\x00[0-9]+\x01"
    r"|(?<![<>_=^])(?<![<>][ \t])[_=^]*(?P<name>[A-Ga-g][,']*|[xz])(?P<length>[0-9]+/*[0-9]*)(?![0-9/<>])"
)
_SIZES = [Fraction(n, 2**k) for k in range(7) for n in (8, 6)]  # quarter notes of a note without dots, with one
_TWICE_DOTTED = [Fraction(7, 2**k) for k in range(1, 7)]
_CHORD_BROKEN = re.compile(r"(?:\][0-9/]*[)\s-]*|\)[\s-]*)[<>]")
_BROKEN_TWICE = re.compile(r"[<>]\s*(?:\{[^}]*\}|![^!\s]*!|[.~HLMOPSTuv(\s])*[_=^]*[A-Ga-gxz][,']*[0-9/]*[)\s-]*[<>]")
_TUPLET = re.compile(r"(?P<slur>\(*)\((?P<n>[2-9])(?P<ratio>(?::[0-9]*){0,2})(?![0-9:])")
_INNER_KEY = re.compile(r"\[K:([^\]]*)\]")
_BAR_FIRST = re.compile(r"\s*\|[|:\]]*")
_ENDING = re.compile(r"[\[|][0-9](?:[-,][0-9])*(?=[^\s0-9,.-])")
_REST = re.compile(r"[ZX]([0-9]{1,2})")
_EVENTS = tuple("{*}" + kind for kind in ("clef", "note", "chord", "rest", "space", "mRest"))
_TONIC = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "dor": -2,
    "phr": -4,
    "lyd": 1,
    "mix": -1,
    "loc": -5,
}
_KEY = re.compile(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)\s*$")
CLEF = re.compile(r"\s*(?:clef=)?(treble|bass|alto|tenor)(?![+0-9-]).*$")
_BASS = re.compile(r"^([A-G]?)\s*(?=bass)")
_HEADER_CLEF = re.compile(r"(?m)^K:.*?(treble|bass|alto|tenor)")


def check_abc(tune: str, path: Path) -> str:
    """The notation text of a single ABC tune for the engraver: ABC, or MEI where it changes its key.

    Args:
        tune: one tune, complete (see `split_abc`).
        path: what to call it in a refusal.

    Raises:
        BadInput: the tune holds what verovio 6.4 neither draws nor plays right, and no rewriting helps.
    """
    tune = _COMMENT.sub("", tune)
    header, body, unit = _parts(tune)
    header = [_header_key(line, path) if line.startswith("K:") else line for line in header]
    if any(line.startswith("V:") for line in (*header, *body)) or "[V:" in tune:
        raise BadInput(f"{path} has several voices, which the engraver reads one after the other.")
    sung = any(line.startswith("w:") for line in body)
    body = [line if _FIELD.match(line) else _outside_quotes(line, unit, path, sung) for line in body]
    keys = [line for line in body if line.startswith("K:")]
    text = "\n".join([*header, *_inline(body)]) + "\n"
    return _with_keys(text, path) if keys or _INNER_KEY.search("\n".join(body)) else text


def _header_key(line: str, path: Path) -> str:
    """The key of the header as the engraver reads it right."""
    key = _BASS.sub(r"\1 clef=", line[2:].strip())
    found = _KEY.match(CLEF.sub("", key))
    if found and found[3].lower()[:3] in _MODES and fifths(found[0]) is None:
        raise BadInput(f"{path} is in a key of more than seven sharps or flats, which the engraver does not know.")
    return f"K:{key or 'none'}"


def _parts(tune: str) -> tuple[list[str], list[str], Fraction | None]:
    """Header up to ``K:``, the lines after it, and the unit length; None where it changes on the way."""
    lines = tune.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    at = next((i for i, line in enumerate(lines) if line.startswith("K:")), len(lines) - 1) + 1
    found = next((m for line in lines[:at] if (m := re.match(r"L:\s*([0-9]+)/([0-9]+)", line))), None)
    unit = Fraction(4 * int(found[1]), max(int(found[2]), 1)) if found else Fraction(1, 2)
    changes = any(line.startswith("L:") for line in lines[at:]) or "[L:" in tune
    return lines[:at], lines[at:], None if changes else unit


def _outside_quotes(line: str, unit: Fraction | None, path: Path, sung: bool) -> str:
    """One line of notes: rests of several bars written out, tuplets kept apart. Chord symbols stay as they are."""
    texts: list[str] = []

    def put_away(match: re.Match[str]) -> str:
        texts.append(match.group())
        return f"\0{len(texts) - 1}\1"

    line = _QUOTED.sub(put_away, _ENDING.sub(r"\g<0> ", line))
    if "&" in line:
        raise BadInput(f"{path} has two voices in a bar (&), which the engraver reads one after the other.")
    line = _SPACED.sub("", line)
    line = _REST.sub(lambda m: "|".join(["Z"] * max(int(m[1]), 1)), line)
    if _CHORD_BROKEN.search(line) or _BROKEN_TWICE.search(_blank(line)):
        raise BadInput(
            f"{path} has a broken rhythm after a chord or slur, or two in a row, which the engraver reads wrong."
        )
    done, at = "", 0
    for match in _TUPLET.finditer(line):
        if match.start() < at:
            continue
        end = match.end()
        parts = match["ratio"].split(":")
        count = int(parts[2]) if len(parts) > 2 and parts[2] else int(match["n"])
        for _ in range(count):
            note = _ONE.match(re.sub("[\0-\1]", " ", _blank(line)), end)
            if note is None:
                raise BadInput(f"{path} has a tuplet that is not followed by its notes on the same line.")
            if unit is None or unit * factor(note["length"]) >= 1:
                raise BadInput(f"{path} has a tuplet of quarter notes or longer, which the engraver reads without it.")
            if note["rest"]:
                raise BadInput(f"{path} has a tuplet with a rest, which the engraver moves out of it.")
            end = note.end()
        done += line[at : match.start()] + " " + line[match.start() : end] + " "
        at = end
    done = _CHORD.sub(_with_length, done + line[at:])
    if unit is not None:
        done = _ALONE.sub(partial(_in_parts, unit, sung), done)
    return re.sub("\0([0-9]+)\1", lambda m: texts[int(m[1])], done)


def _in_parts(unit: Fraction, sung: bool, event: re.Match[str]) -> str:
    """A note or rest that no dots write, as several; what stands in brackets or is shorter than a quarter stays."""
    left = unit * factor(event["length"] or "")
    if sung and event["name"] not in (None, "x", "z"):
        return event.group()
    if not event["name"] or left < 1 or left > 8 or left in _SIZES or left in _TWICE_DOTTED:
        return event.group()
    text = event.group()[: -len(event["length"])]
    parts: list[str] = []
    while left:
        size = next((size for size in _SIZES if size <= left), left)
        parts.append(f"{text if not parts else event['name']}{size / unit}")
        left -= size
    return ("" if event["name"] in "xz" else "-").join(parts)


def _with_length(chord: re.Match[str]) -> str:
    """A chord with the length that stands after it at each of its notes."""
    if not chord["length"]:
        return chord.group()

    def longer(note: re.Match[str]) -> str:
        length = factor(note["length"] or "") * factor(chord["length"])
        return f"{note['note']}{length}" if note["note"] else note.group()

    return f"[{_CHORD_NOTE.sub(longer, chord[1])}]"


def _blank(line: str) -> str:
    """The line with what was put away as blanks of the same length."""
    return re.sub("\0[0-9]+\1", lambda m: " " * len(m.group()), line)


def factor(length: str) -> Fraction:
    """A note's length in units: "" is 1, "2" is 2, "/" is 1/2, "3/2" is 3/2."""
    above, slash, below = length.partition("/")
    slashes = 1 + below.count("/") if slash else 0
    below = below.lstrip("/")
    return Fraction(int(above or 1), int(below) if below and int(below) else 2**slashes)


def _inline(body: list[str]) -> list[str]:
    """Lines with ``K:`` moved, in brackets, to the beginning of the next line of notes."""
    lines: list[str] = []
    waiting = ""
    for line in body:
        if line.startswith("K:"):
            waiting = f"[K:{line[2:].strip()}]"
        elif waiting and not _FIELD.match(line):
            bar = _BAR_FIRST.match(line)
            at = bar.end() if bar else 0  # before a bar line it would stand in an empty bar of its own
            lines.append(line[:at] + waiting + line[at:])
            waiting = ""
        else:
            lines.append(line)
    return lines


def fifths(key: str) -> int | None:
    """Sharps (positive) or flats (negative) of a ``K:`` field such as "G", "Bb", "F#m" or "D dor"; None if unclear."""
    match = _KEY.match(key)
    mode = match[3].lower()[:3] if match else ""
    if match is None or mode not in _MODES:
        return 0 if key.strip().lower() == "none" else None
    count = _TONIC[match[1]] + {"": 0, "#": 7, "b": -7}[match[2]] + _MODES[mode]
    return count if abs(count) <= 7 else None


def _with_keys(text: str, path: Path) -> str:
    """The tune as MEI, with a key signature where each bracketed key stands.

    verovio leaves a clef at the place of every bracketed key. A change inside a bar, one of the clef, or one whose
    clefs do not match the keys one to one, is refused.
    """
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    named = _HEADER_CLEF.search(text)
    same = re.compile(rf"\s+(?:clef=)?{named[1] if named else 'treble'}\s*$")
    keys = [fifths(same.sub("", match[1])) for match in _INNER_KEY.finditer(text)]
    if None in keys or not toolkit.loadData(text):
        raise BadInput(f"{path} changes its clef, or to a key that is not known.")
    root: Any = etree.fromstring(toolkit.getMEI({"scoreBased": True}).encode(), etree.XMLParser(collect_ids=False))
    clefs = [c for layer in root.iter("{*}layer") for c in layer.iter("{*}clef")]
    if len(clefs) != len(keys):
        raise BadInput(f"{path} changes its key in a way that the engraver does not follow.")
    for clef, key in zip(clefs, keys, strict=True):
        layer, measure = (next(clef.iterancestors("{*}" + kind)) for kind in ("layer", "measure"))
        if next(layer.iter(*_EVENTS)) is not clef:
            raise BadInput(f"{path} changes its key inside a bar, which is not drawn.")
        clef.getparent().remove(clef)
        definition = etree.Element(measure.tag.replace("measure", "scoreDef"), keysig=_signature(key or 0))
        measure.addprevious(definition)
    return etree.tostring(root, encoding="unicode")


def _signature(count: int) -> str:
    return f"{abs(count)}{'s' if count > 0 else 'f'}" if count else "0"
