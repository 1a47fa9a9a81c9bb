"""Are the accidentals that the notes have also drawn? What a reader of the picture would get wrong, and its cure.

verovio draws an accidental where the notation text asks for one (MusicXML ``<accidental>``, MEI ``accid``), not where
a note sounds altered (``<alter>``, ``accid.ges``). Some files state the sound alone: their pictures show other notes.
The rule is that of any print: an accidental holds for its line or space of its staff up to the bar line, after that
the key signature does, and a tie carries its note's accidental over the bar line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np
from lxml import etree

from scoresim.score.mei_layer import KINDS, UNDRAWN, XML_ID, Columns
from scoresim.score.notes import TIED_FROM

NAMES = {1: "s", -1: "f", 0: "n", 2: "x", -2: "ff", 3: "xs", -3: "tf"}


def missing(columns: Columns) -> tuple[dict[str, int], frozenset[int]]:
    """The notes whose accidental is neither drawn nor in force, and the bars that no accidental would put right.

    Args:
        columns: the notes of a score as they are read; `drawn` is the alteration of a note's own accidental, and
            `signature` what the key signature says of its line or space. `drawn` is changed to what it is after `draw`.

    Returns:
        id of a note -> the alteration that is to be drawn; and indices of bars in which an accidental contradicts its
        note (a natural before a sharpened note, a quarter tone, two notes of one place that sound differently), or has
        no name.
    """
    drawn, signature, alter = (np.asarray(getattr(columns, name)) for name in ("drawn", "signature", "alter"))
    special = np.flatnonzero((drawn != UNDRAWN) | (alter != signature))
    if not len(special):
        return {}, frozenset()
    places: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(list)
    keys = list(zip(columns.bar, columns.staff, columns.step, columns.written, strict=True))
    wanted = {keys[i] for i in special}
    for i, key in enumerate(keys):
        if key in wanted and columns.drum[i] < 0:
            places[key].append(i)
    absent: dict[str, int] = {}
    contradicted = set[int]()
    for (bar, *_), notes in places.items():
        without, sound = _read_place(columns, notes)
        if without:
            absent |= {columns.id[i]: columns.alter[i] for i in without}
            for i in without:
                if columns.alter[i] in NAMES:
                    columns.drawn[i] = columns.alter[i]
            without, sound = _read_place(columns, notes)
        if without or not sound:
            contradicted.add(bar)
    return absent, frozenset(contradicted)


def carried(columns: Columns) -> frozenset[int]:
    """Bars that begin with a note whose alteration only a tie from the bar before tells.

    On the whole score that is how it is written; on a picture that begins with such a bar the accidental is not to be
    seen.
    """
    first: dict[int, int] = {}
    for onset, bar in zip(columns.onset, columns.bar, strict=True):
        first[bar] = min(onset, first.get(bar, onset))
    flags = zip(*(getattr(columns, name) for name in ("tie", "drawn", "alter", "signature", "drum")), strict=True)
    return frozenset(
        columns.bar[i]
        for i, (tie, drawn, alter, signature, drum) in enumerate(flags)
        if tie & TIED_FROM
        and drawn == UNDRAWN
        and alter != signature
        and drum < 0
        and columns.onset[i] == first[columns.bar[i]]
    )


def _read_place(columns: Columns, notes: list[int]) -> tuple[list[int], bool]:
    """Read one line or space of one bar as a player would.

    Args:
        columns: all notes.
        notes: indices of those on the place.

    Returns:
        Indices of the notes that lack an accidental, and whether nothing contradicts itself.
    """
    alter, drawn, sound = columns.alter, columns.drawn, True
    without: list[int] = []
    state: int | None = None  # of the last accidental; before it the key signature counts

    def when(i: int) -> tuple[int, int]:
        """Grace notes come before the note whose onset they have, one after the other."""
        return columns.onset[i], i if columns.grace[i] else len(columns.onset)

    for _, group in groupby(sorted(notes, key=when), key=when):
        together = list(group)
        own = [i for i in together if drawn[i] != UNDRAWN]
        sound &= all(drawn[i] == alter[i] for i in own)
        if own:
            state = drawn[own[-1]]
        clash = len({alter[i] for i in together}) > 1  # two heads of one place: each needs its own
        sound &= not clash or len(own) == len(together)
        for i in together:
            in_force = columns.signature[i] if state is None else state
            carried_in = columns.tie[i] & TIED_FROM and not clash
            if drawn[i] == UNDRAWN and not carried_in and (clash or alter[i] != in_force):
                without.append(i)
                state = alter[i]
    return without, sound


def draw(root: Any, absent: Mapping[str, int]) -> str:
    """An MEI text with accidentals at the notes that lack them.

    Args:
        root: the tree of the MEI that verovio gives; it is changed.
        absent: id of a note -> alteration, from `missing`.
    """
    for note in root.iter("{*}note"):
        alteration = absent.get(note.get(XML_ID, ""))
        if alteration in NAMES:
            holder = next((child for child in note if KINDS[child.tag] == "accid"), note)
            holder.set("accid", NAMES[alteration])
    return str(etree.tostring(root, encoding="unicode"))
