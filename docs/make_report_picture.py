"""The picture of a report in README.md: docs/images/report.png, from the example, by a headless Chromium.

python docs/make_report_picture.py
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import scoresim
from scoresim.web.report import write_report

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1180, 1390


def main() -> None:
    """Write it."""
    sim = scoresim.load("small")
    found = sim.analyze("examples/menuet.krn", "examples/menuet.png", show=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder) / "report.html"
        write_report(report, found, found.sheets, found.picture)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.as_uri())
        page.wait_for_selector("svg .note")
        page.wait_for_timeout(500)
        page.screenshot(path=ROOT / "docs" / "images" / "report.png")
        browser.close()
    sim.close()


if __name__ == "__main__":
    main()
