"""Two readings of a file side by side: which notes both have, within what the file's ticks can say.

Files state times in whole ticks. Where the ticks cannot hold a tuplet each of its notes may be off by half a tick, and
what follows in its voice by half a tick for every such note before it in the bar.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from typing import Any

from independent_readers import Event

from scoresim.score.notes import Score

IN_BAR, IN_TIME = (0, 1, 2, 3), (4, 2, 3)  # of an event: what must be the same
ROUNDING, MOST = Fraction(1, 96), Fraction(1, 32)  # quarter notes: what may differ in any bar, and at most


def slack(score: Score, ticks: int) -> dict[int, Fraction]:
    """Bar -> by how many quarter notes another reader's times may differ from ours; bars of `ROUNDING` are left out.

    Args:
        score: our reading, in exact times.
        ticks: the fewest ticks per quarter note that the file states; 0 where it states its times exactly.
    """
    if not ticks:
        return {}
    notes, seen = score.notes, set()
    rounded = Counter[tuple[int, int, int]]()
    columns = (notes.bar, notes.staff, notes.voice, notes.onset, notes.duration)
    for bar, staff, voice, onset, duration in zip(*(c.tolist() for c in columns), strict=True):
        if duration * ticks % score.resolution and (bar, staff, voice, onset) not in seen:
            seen.add((bar, staff, voice, onset))
            rounded[bar, staff, voice] += 1
    most: defaultdict[int, Fraction] = defaultdict(lambda: ROUNDING)
    for (bar, _, _), n in rounded.items():
        most[bar] = min(max(most[bar], Fraction(n + 1, 2 * ticks)), MOST)
    return {bar: value for bar, value in most.items() if value > ROUNDING}


def keyed(events: Counter[Event], key: tuple[int, ...]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for event, n in events.items():
        found[tuple(event[i] for i in key)] += n
    return found


def confirmed(
    some: Counter[Event], others: Counter[Event], slack: dict[int, Fraction] | None = None, left_over: bool = False
) -> Counter[Event]:
    """The events of `some` that `others` hold too, in the same bar or at the same time.

    Args:
        some, others: two readings.
        slack: bar -> by how many quarter notes times may differ in it, `ROUNDING` where it is not named.
        left_over: give the events that `others` do not hold.
    """
    left, rest, yes = some.copy(), others.copy(), Counter[Event]()
    for key in (IN_BAR, IN_TIME):
        room = keyed(rest, key)
        used: Counter[tuple[Any, ...]] = Counter()
        for event in list(left.elements()):
            name = tuple(event[i] for i in key)
            if room[name] > 0:
                room[name] -= 1
                used[name] += 1
                left[event] -= 1
                yes[event] += 1
        for event in list(rest.elements()):
            name = tuple(event[i] for i in key)
            if used[name] > 0:
                used[name] -= 1
                rest[event] -= 1
    rounded = defaultdict[tuple[int, int], list[Event]](list)
    for event in rest.elements():
        rounded[event[0], event[3]].append(event)
    for event in list(left.elements()):
        near, most = rounded[event[0], event[3]], (slack or {}).get(event[0], ROUNDING)
        found = next((e for e in near if all(abs(e[i] - event[i]) <= most for i in (1, 2))), None)
        if found is not None:
            near.remove(found)
            left[event] -= 1
            yes[event] += 1
    return +left if left_over else yes


def shown(event: Event) -> str:
    """An event for people: bar (from 1), onset in it, duration, MIDI pitch."""
    bar, onset, duration, pitch, _ = event
    return f"bar {bar + 1} at {Fraction(onset)} for {Fraction(duration)} pitch {pitch}"
