"""Write docs/cli.md from the program itself (``make docs``); a test compares the two, so it cannot lie."""

from pathlib import Path

from scoresim.cli import app

PATH = Path(__file__).with_name("cli.md")


def text() -> str:
    """The reference as Markdown."""
    note = "<!-- Made by `make docs` from the program. Do not edit. -->\n\n"
    lines = app.generate_docs(output_format="markdown", usage_name="scoresim").splitlines()
    return note + "\n".join(line.rstrip() for line in lines).strip() + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
