"""Make the picture of the example again: examples/menuet.png, the lines of examples/menuet.krn as a scan-like page.

python docs/make_example.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from scoresim.files import replacing
from scoresim.score.degrade import degrade
from scoresim.score.engrave import EngraveConfig, Engraving

EXAMPLES = Path(__file__).parent.parent / "examples"
MARGIN, GAP, SEED = 70, 45, 3  # pixels, and which scan


def main() -> None:
    """Draw it."""
    config = EngraveConfig(staff_space=12, page_width=122, texts=True)
    engraving = Engraving((EXAMPLES / "menuet.krn").read_text(encoding="utf-8"), config)
    layouts = [layout for page in range(engraving.pages) for layout in engraving.page(page)]
    lines = [engraving.draw(layout).ink for layout in layouts]
    wide = max(line.shape[1] for line in lines)
    rows = [np.pad(line, ((GAP, GAP), (MARGIN, MARGIN + wide - line.shape[1])), constant_values=255) for line in lines]
    page = np.pad(np.concatenate(rows), ((MARGIN, MARGIN), (0, 0)), constant_values=255)
    seen = degrade(page, config.staff_space, "scan", SEED).image
    with replacing(EXAMPLES / "menuet.png") as temporary:
        Image.fromarray(seen).quantize(16).save(temporary, format="PNG", optimize=True)


if __name__ == "__main__":
    main()
