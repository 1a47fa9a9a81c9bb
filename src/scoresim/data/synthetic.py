"""Made-up passages with true little pictures, in memory: the real training runs on them without any file.

Every piece has one or two staves of five lines (treble over bass), four-quarter bars, a melody that walks,
and now and then a note in the bass. A note is drawn as a blob at the height of its pitch and at the x of its
onset, filled when short and hollow when long; an accidental is a small cross before it. So picture and notes
agree, and a model that learns to look reads hidden pitches from the picture.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.data.pair import Pair, png
from scoresim.data.spacing import along
from scoresim.score.notes import spelled
from scoresim.score.tokens import FIRST, GRID, default_vocabulary

SPACE = 8  # pixels between staff lines
START = 8 * SPACE  # where a real score has clef and key
QUARTER = 28  # pixels per quarter note
STAVES = ((30, 79), (18, 59))  # treble and bass: step of the bottom line (C0 is 0), highest pitch
STEP_OF_PITCH = (0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6)
SHARP = (False, True, False, True, False, False, True, False, True, False, True, False)
RHYTHMS = ((24, 24, 24, 24), (48, 24, 24), (24, 12, 12, 48), (12, 12, 12, 12, 24, 24), (48, 48), (96,))

Canvas = NDArray[np.uint8]
Columns = dict[str, NDArray[np.int64]]


class Synthetic(Sequence[Pair]):
    """`n` made-up passages; rows 2k and 2k + 1 belong to one piece. Stands in for a split of a data set.

    Args:
        n: number of passages.
        seed: other seeds, other music.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.pairs = [make(i, seed) for i in range(n)]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        return self.pairs[index]

    def column(self, name: str) -> list[Any]:
        """One metadata column for all rows, as `PairSplit.column` gives it."""
        if name == "n_notes":
            return [len(pair.notes) for pair in self.pairs]
        return [getattr(pair, name) for pair in self.pairs]


def synthetic(n: int, seed: int) -> Synthetic:
    """`n` made-up passages, a pure function of the seed."""
    return Synthetic(n, seed)


def make(index: int, seed: int) -> Pair:
    """Passage `index` of the made-up collection `seed`."""
    piece = np.random.default_rng([seed, index // 2])
    n_staves, sharps = int(piece.integers(1, 3)), float(piece.choice([0.0, 0.3]))
    rng = np.random.default_rng([seed, index // 2, index])
    n_bars = int(rng.integers(2, 5))
    notes = compose(rng, n_bars, n_staves, sharps)
    length = 4.0 * n_bars
    canvas, heads = draw(notes, n_bars, n_staves, int(rng.integers(8, 40)))
    height, width = canvas.shape
    onset = notes["bar"] * 4.0 + notes["position"] / GRID
    edges = np.append(bar_lines(notes), width - SPACE)
    return Pair(
        id=f"synthetic/{seed}-{index // 2}#{index % 2}",
        corpus="synthetic", item=f"{seed}-{index // 2}", work=f"synthetic/{seed}-{index // 2}",
        style=("one staff", "two staves")[n_staves - 1], composer="nobody", title="", split="train",
        first_bar=0, n_bars=n_bars, n_systems=1,
        image=png(canvas), width=width, height=height, staff_space=float(SPACE),
        notes=tokens(notes), bar_of_note=notes["bar"].astype(np.int32), onset=onset.astype(np.float32),
        length=length, staff=notes["staff"].astype(np.int16), voice=np.ones(len(onset), dtype=np.int16),
        n_staves=n_staves, heads=heads,
        bar_boxes=np.array([[a, 0, b, height] for a, b in pairwise(edges)], dtype=np.float32),
        staff_boxes=np.zeros((0, 6), dtype=np.float32),
        spelling=[name(pitch) for pitch in notes["pitch"].tolist()],
        onset_exact=[f"{round(t * GRID)}/{GRID}" for t in onset.tolist()],
        duration_exact=[f"{d}/{GRID}" for d in notes["duration"].tolist()],
        agreement=1.0,
    )  # fmt: skip


def name(pitch: int) -> str:
    """A MIDI pitch as "C#4"; black keys are sharps."""
    return spelled(STEP_OF_PITCH[pitch % 12], int(SHARP[pitch % 12]), pitch // 12 - 1)


def compose(rng: np.random.Generator, n_bars: int, n_staves: int, sharps: float) -> Columns:
    """Notes of a passage as columns bar, position, pitch, duration (grid steps) and staff, in token order."""
    rows = []
    for staff in range(n_staves):
        pitch = STAVES[staff][1] - int(rng.integers(0, 16))
        for bar in range(n_bars):
            rhythm = RHYTHMS[int(rng.integers(0, len(RHYTHMS)))] if staff == 0 or rng.random() < 0.5 else (96,)
            for position, duration in zip(np.cumsum((0, *rhythm)).tolist(), rhythm, strict=False):
                top = STAVES[staff][1]
                pitch = int(np.clip(pitch + rng.integers(-5, 6), top - 19, top))
                if SHARP[pitch % 12] and rng.random() >= sharps:
                    pitch -= 1
                rows.append((bar, position, pitch, duration, staff + 1))
    table = np.array(sorted(rows), dtype=np.int64)
    return dict(zip(("bar", "position", "pitch", "duration", "staff"), table.T, strict=True))


def tokens(notes: Columns) -> NDArray[np.int32]:
    """The columns as note tokens [N, 8]; velocity, tempo, meter (4/4) and program are constant."""
    vocabulary = default_vocabulary()
    constant = (
        len(vocabulary.velocities) // 2,
        int(np.abs(np.array(vocabulary.tempos) - 120).argmin()),
        vocabulary.time_signatures.index((4, 4)),
        0,
    )
    duration = np.searchsorted(np.array(vocabulary.durations), notes["duration"])
    columns = [notes["bar"], notes["position"], notes["pitch"], duration]
    columns += [np.full(len(duration), value) for value in constant]
    return (np.stack(columns, axis=1) + FIRST).astype(np.int32)


def draw(notes: Columns, n_bars: int, n_staves: int, margin: int) -> tuple[Canvas, NDArray[np.float32]]:
    """Paint a passage: grey picture [h, w] (0 is ink), and (token, x0, y0, x1, y1) of every head."""
    staff_height, gap = 4 * SPACE, 7 * SPACE
    height = 2 * margin + 6 * SPACE + n_staves * staff_height + (n_staves - 1) * gap
    width = START + 4 * QUARTER * n_bars + SPACE
    x_of = places(notes)
    canvas = np.full((height, width), 255, dtype=np.uint8)
    tops = [margin + 3 * SPACE + staff * (staff_height + gap) for staff in range(n_staves)]
    for top in tops:
        for line in range(5):
            canvas[top + line * SPACE, SPACE:] = 0
        canvas[top : top + staff_height : 2, SPACE : SPACE + 4] = 0
    for x in (*bar_lines(notes), width - SPACE):
        canvas[tops[0] : tops[-1] + staff_height + 1, x : x + 2] = 0
    heads = []
    for i in range(len(notes["bar"])):
        pitch, duration, staff = (int(notes[k][i]) for k in ("pitch", "duration", "staff"))
        x_head = float(x_of[i])
        step = 7 * (pitch // 12 - 1) + STEP_OF_PITCH[pitch % 12]
        y = tops[staff - 1] + staff_height - (step - STAVES[staff - 1][0]) * SPACE / 2
        blob(canvas, x_head, y, hollow=duration >= 2 * GRID)
        if duration < 4 * GRID:
            canvas[max(int(y) - 3 * SPACE, 0) : int(y), int(x_head) + 4] = 0
        if SHARP[pitch % 12]:
            canvas[int(y) - 3 : int(y) + 4, int(x_head) - 9] = canvas[int(y), int(x_head) - 12 : int(x_head) - 6] = 0
        heads.append((i, x_head - 5, y - 4, x_head + 5, y + 4))
    return canvas, np.array(heads, dtype=np.float32)


def places(notes: Columns) -> NDArray[np.float32]:
    """[N] x of the heads' centres, spaced as an engraver would."""
    onset = (notes["bar"] * 4.0 + notes["position"] / GRID).astype(np.float32)
    n_bars = int(notes["bar"].max()) + 1
    return START + SPACE + along(onset, 4.0 * n_bars) * (4 * QUARTER * n_bars - SPACE)


def bar_lines(notes: Columns) -> list[int]:
    """x of the line before each bar."""
    first = np.flatnonzero(np.diff(notes["bar"], prepend=-1))
    return [int(x) - 10 for x in places(notes)[first]]


def blob(canvas: Canvas, x: float, y: float, hollow: bool) -> None:
    """Paint a note head with its centre at (x, y)."""
    left, top = math.floor(x) - 6, math.floor(y) - 5
    rows, columns = np.mgrid[top : top + 11, left : left + 13]
    distance = ((columns - x) / 5) ** 2 + ((rows - y) / 4) ** 2
    inside = (distance <= 1) & ((distance >= 0.35) | (not hollow))
    inside &= (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    canvas[rows[inside], columns[inside]] = 0
