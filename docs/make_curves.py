"""Keep the curves of a pre-training run: a few columns of its log as JSON, and a picture of them.

    python docs/make_curves.py RUN results/small-free/curves.json docs/images/small-free-curves.png

RUN is a folder that `scoresim pretrain` wrote. Lines of the log are means over `--log-every` steps.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from scoresim.files import write_json

mpl.use("Agg")
ROWS = (  # of the picture: title, and its curves: (label, column)
    (
        "hidden pitches, share right",
        (
            ("with the picture", "mbam/pitch"),
            ("notes alone", "mbam/pitch/notes"),
            ("most frequent", "mbam/pitch/majority"),
        ),
    ),
    ("first of the batch", (("image to notes", "smc/image_to_notes"), ("notes to image", "smc/notes_to_image"))),
    (
        "matching, share right",
        (
            ("own notes", "smm/matched"),
            ("another piece", "smm/other_piece"),
            ("another passage", "smm/same_piece"),
            ("one bar altered", "smm/altered"),
        ),
    ),
    ("bars that point into their box", (("peak", "ground/peak"), ("at random", "ground/chance"))),
)
SMOOTH = 4  # lines of the log that a point of the picture is the mean of


def main() -> None:
    """Make both."""
    run, table, picture = map(Path, sys.argv[1:4])
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    names = ["step", "seconds", "lr", "loss", *(column for _, curves in ROWS for _, column in curves)]
    held_out = sorted({name for line in lines for name in line if name.startswith("held_out/")})
    columns = {name: [line.get(name) for line in lines] for name in names + held_out}
    write_json(table, {"run": json.loads((run / "config.json").read_text(encoding="utf-8"))["pretrain"], **columns})
    figure, axes = plt.subplots(1, len(ROWS), figsize=(16, 3.2), layout="constrained")
    for axis, (title, curves) in zip(axes, ROWS, strict=True):
        for label, column in curves:
            known = [(line["step"], line[column]) for line in lines if column in line]
            points = [known[i : i + SMOOTH] for i in range(0, len(known) - SMOOTH + 1, SMOOTH)]
            x, y = ([sum(point[k] for point in some) / SMOOTH for some in points] for k in (0, 1))
            axis.plot(x, y, label=label)
        axis.set(title=title, xlabel="step", ylim=(0, 1))
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main()
