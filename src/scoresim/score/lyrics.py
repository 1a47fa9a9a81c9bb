"""A notation text without its lyrics, for pictures that show no words.

The engraver keeps room for every syllable, between the notes and under the staves, whether it is painted or not. A
picture without words then has gaps that only the words explain, and half of the systems that a page needs are drawn for
nothing. So where no words are wanted, they are taken out before the engraver reads the text. Nothing else is touched:
that every note is still there is what `source.doubtful` finds out from the text of the file.
"""

from __future__ import annotations

import re

_INSIDE = r"""(?:[^<>"'/]|"[^"]*"|'[^']*')*"""  # what stands in a tag after its name
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def _elements(*names: str) -> re.Pattern[str]:
    """Elements with these names in well-formed XML without comments; they do not hold one another."""
    return re.compile("|".join(rf"<{n}(?=[\s/>]){_INSIDE}(?:/>|>.*?</{n}\s*>)" for n in names), re.DOTALL)


_XML = {"musicxml": _elements("lyric"), "mei": _elements("verse", "syl")}
_XML["mxl"] = _XML["musicxml"]
_KERN = re.compile(r"(?m)(?<![^\t\n])\*\*(?=(?:text|silbe)(?![^\t\r\n]))")
_ABC = re.compile(r"(?m)^w:.*\n?")


def without_lyrics(text: str, form: str) -> str:
    """The text without lyrics.

    XML with marked sections (CDATA) is left as it is: in them "<" may stand for itself.

    Args:
        text: well-formed, as `read.read_text` gives it; of ABC one tune.
        form: "musicxml", "mxl", "mei", "kern" or "abc".
    """
    if form == "abc":
        return _ABC.sub("", text)
    if form == "kern":
        return _KERN.sub("**un", text)  # spines of a kind that the engraver does not know
    if ("<lyric" not in text and "<verse" not in text and "<syl" not in text) or "<![CDATA[" in text:
        return text
    return _XML[form].sub("", _COMMENT.sub("", text) if "<!--" in text else text)
