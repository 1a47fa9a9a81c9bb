"""A notation text without its lyrics, for pictures that show no words.

The engraver keeps room for every syllable, between the notes and under the staves, whether it is painted or not. A
picture without words then has gaps that only the words explain. So a build without words takes the lyrics out before
the engraver reads the text. Nothing else is touched: of MusicXML, kern and ABC `source.doubtful` compares what was read
with the text of the file as it was.
"""

from __future__ import annotations

import re

_INSIDE = r"""(?:[^<>"'/]|"[^"]*"|'[^']*')*"""  # what stands in a tag after its name
_PASSED_OVER = re.compile(r"<!--.*?-->|<\?(?!xml\s).*?\?>", re.DOTALL)  # comments and instructions may hold anything


def _elements(*names: str) -> re.Pattern[str]:
    """Elements with these names in well-formed XML without comments and instructions; they do not hold one another."""
    return re.compile("|".join(rf"<{n}(?=[\s/>]){_INSIDE}(?:/>|>.*?</{n}\s*>)" for n in names), re.DOTALL)


_NAMES = ("<lyric", "<verse", "<syl")
_XML = {"musicxml": _elements("lyric"), "mei": _elements("verse", "syl")}
_XML["mxl"] = _XML["musicxml"]
_KERN = re.compile(r"(?m)(?<![^\t\n])\*\*(?=(?:text(?:-[^\t\r\n]*)?|silbe|v?vdata)(?![^\t\r\n]))")
_ABC = re.compile(r"(?m)^w:.*\n?")


def without_lyrics(text: str, form: str) -> str:
    """The text without lyrics.

    XML with marked sections (CDATA) or notations is left as it is: in them "<" may stand for itself.

    Args:
        text: well-formed, as `read.read_text` gives it; of ABC one tune.
        form: "musicxml", "mxl", "mei", "kern" or "abc".
    """
    if form == "abc":
        return _ABC.sub("", text)
    if form == "kern":
        return _KERN.sub("**un", text)  # spines of a kind that the engraver does not know
    if not any(name in text for name in _NAMES) or "<![CDATA[" in text or "<!NOTATION" in text:
        return text
    return _XML[form].sub("", _PASSED_OVER.sub("", text))
