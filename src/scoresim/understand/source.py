"""What a file of music says of itself, and what cannot be known from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from scoresim.data.books import only_first
from scoresim.data.pieces import Whole
from scoresim.score.notate import estimated
from scoresim.understand.heads import Head

SCANTY = 16  # notes: fewer say little about the whole


def stated(whole: Whole) -> dict[str, str]:
    """What a source says of its beginning: key signature, time signature, tempo; and whether others follow."""
    found: dict[str, str] = {}
    bars, tempos = whole.score.bars, [tempo for _, tempo in whole.score.tempos]
    for bar in bars[:1]:
        if bar.fifths is not None:
            name = "sharp" if bar.fifths > 0 else "flat"
            count = abs(bar.fifths)
            words = f"{count} {name}{'s' * (count > 1)}" if count else "no sharps or flats"
            found["key signature"] = words + changing({one.fifths for one in bars if one.fifths is not None})
        if bar.numerator > 0 and bar.denominator > 0:  # else it states none
            meters = {(one.numerator, one.denominator) for one in bars}
            found["time signature"] = f"{bar.numerator}/{bar.denominator}" + changing(meters)
    for tempo in tempos[:1]:
        found["tempo"] = f"{tempo:.0f} quarter notes a minute" + changing({round(one) for one in tempos})
    return found


def changing(values: Collection[object]) -> str:
    """What is said behind the first of some values where others follow."""
    return " at first" if len(values) > 1 else ""


def unknown(heads: Mapping[str, Head], whole: Whole | None, seen: bool, files: Sequence[str]) -> list[str]:
    """What cannot be known from some inputs, in sentences.

    Args:
        heads: of the weights that were asked, by name.
        whole: the notes that were read; None without any.
        seen: whether a picture was read.
        files: that were given.
    """
    out = only_first(map(Path, files))
    if whole is None:
        out.append("No notes were given, and scoresim does not transcribe: which notes are melody cannot be said.")
        of_images = {name.split("-")[0] for name, head in heads.items() if head.config.inputs == "image"}
        whole_piece = {name.split("-")[0] for name, head in heads.items() if head.config.level == "sequence"}
        if lost := sorted(whole_piece - of_images):
            out.append(f"These weights read {', '.join(lost)} from notes alone, not from a picture.")
        return out
    if whole.doubtful:
        bars = f"{whole.doubtful} of {len(whole.piece.bar_onset) - 1} bars"
        out.append(
            f"The engraver reads {bars} otherwise than the file states, or they cannot be compared: notes may be wrong."
        )
    if not whole.score.notes.id:
        out.append("MIDI holds no spelling, slurs, words or marks: the score shown is written down by a program.")
        if guessed := estimated(whole.score):
            out.append(f"The file does not say in which bars its notes stand, or they do not: {guessed} are estimated.")
    if len(whole.piece) < SCANTY:
        out.append("So few notes hardly say what music it is: the answers are guesses.")
    if len(np.unique(whole.piece.velocity)) == 1:
        out.append("All notes are equally loud in the file: nothing is known of how it is played.")
    if not seen:
        out.append("No picture was given: what only a page shows, as fingering and marks of the editor, was not read.")
    return out
