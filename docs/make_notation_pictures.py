"""The pictures of docs/notation.md: how performances begin as `scoresim.score.notate` writes them down.

    python docs/make_notation_pictures.py DATA

DATA is the folder of the shared data sets. Engraved by verovio, drawn by a headless Chromium.
"""

import shutil
import sys
from pathlib import Path

import verovio
from playwright.sync_api import sync_playwright

from scoresim.benchmark.piecewise import root_of
from scoresim.data import corpora
from scoresim.score.notate import notate_all
from scoresim.score.read import read_midi

IMAGES = Path(__file__).resolve().parent / "images"
BARS = 8
WIDTH, HEIGHT = 970, 400
PAGE = {"pageWidth": 2700, "adjustPageHeight": True, "adjustPageWidth": True}
OPTIONS = PAGE | {"scale": 35, "footer": "none", "header": "none"}
PICTURES = {
    "pop909-1": ("pop909", "midi/244"),
    "pop909-2": ("pop909", "midi/797"),
    "asap-1": ("asap_performances", "Mozart/Piano_Sonatas/8-1/"),
    "asap-2": ("asap_performances", "Chopin/Etudes_op_25/1/"),
    "emopia": ("emopia", ""),
    "pianist8": ("pianist8", ""),
}  # picture -> source, how its name begins; "": the first of the test part


def drawn(data: Path, source: str, begins: str) -> str:
    """SVG of the first bars of a performance."""
    root = root_of(source, data)
    if root is None:
        raise SystemExit(f"{source} is not in {data}.")
    corpus = corpora.get(source)
    item = next(one for one in corpus.items(root) if one.id.startswith(begins) and (begins or one.split == "test"))
    beats = corpus.beats(item) if corpus.beats else None
    print(f"{source}: {item.id}")
    toolkit = verovio.toolkit()
    toolkit.setOptions(OPTIONS)
    toolkit.loadData(notate_all(read_midi(item.path), beats, BARS)[0].mei)
    return str(toolkit.renderToSVG(1))


def main() -> None:
    """Draw them."""
    verovio.enableLog(verovio.LOG_OFF)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (source, begins) in PICTURES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_content('<body style="margin:0;background:white">' + drawn(Path(sys.argv[1]), source, begins))
            page.locator("svg").first.screenshot(path=IMAGES / f"notate-{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
