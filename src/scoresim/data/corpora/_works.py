"""One name per work over all corpora, so that a split by work holds across them.

A work is named ``<composer>/<catalogue number>`` where its title gives a number, in words or by a table:
"Prelude and Fugue in C major, BWV 846" and the file ``wtc1p01.krn`` are both ``bach/bwv846``; "Sonata No. 1"
of Beethoven is ``beethoven/op2-no1``. Rules that join rather than part, since a work that is torn apart leaks
and one that is too large costs only some freedom of the split:

- letters after a number are left out (op. 81a, BWV 120a);
- preludes and fugues of one number, movements of a sonata, editions and arrangements of a piece are one work;
- a folk tune is its title, in whatever tune book it stands (``tune/soldier-joy``): players' versions of one
  tune differ in nearly every bar and still are the tune. Titles that name no tune ("Reel", "Minuet") stay
  apart by book.

Not resolved by names, and left to the search by content: recordings of a whole set ("24 Preludes, Op. 28")
beside its pieces, Longo's numbers of Scarlatti's sonatas beside Kirkpatrick's, one tune under two titles.
"""

import re
import unicodedata

from scoresim.data.corpora import _titles
from scoresim.data.corpora._composers import composer_key
from scoresim.data.corpora._item import slug

# A number inside a catalogue number: "No. 3", "/3", ",3". "Nos. 1-3" and "No. 1 & 2" name several: the whole opus.
_INSIDE = (
    r"(?:\s*[,;:.(-]*\s*(?:\bno|\bnr|n°|#)\.?\s*(\d+)(?!\d)(?!\s*(?:-|–|&|and\b|to\b)\s*(?:no\.?\s*)?\d)"
    r"|[,/](\d+)(?![\da-z]))?"
)


def _pattern(names: str, inside: bool = True) -> re.Pattern[str]:
    end = _INSIDE if inside else "()()"
    return re.compile(rf"\b(?:{names})\.?\s*(\d+)(?:\s?[a-z](?![a-z\d]))?{end}")


_OPUS = _pattern(r"op(?:us)?\.?(?:\s*post(?:h(?:umous)?)?)?")
# composer -> (prefix of the key, pattern), in the order in which they are tried; opus numbers come last
_CATALOGUES: dict[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    "bach": (("bwv", _pattern("bwv", inside=False)),),
    "bach-cpe": (("h", _pattern("h|helm", inside=False)), ("wq", _pattern("wq|w"))),
    "bartok": (("sz", _pattern("sz")),),
    "beethoven": (("woo", _pattern("woo")),),
    "brahms": (("woo", _pattern("woo")),),
    "debussy": (("l", _pattern("l")),),
    "handel": (("hwv", _pattern("hwv", inside=False)),),
    "liszt": (("s", _pattern("s")),),
    "mozart": (("k", _pattern(r"k|kv|k\.\s?v|kochel|koechel", inside=False)),),
    "purcell": (("z", _pattern("z", inside=False)),),
    "scarlatti": (("k", _pattern("k|kk|kirkpatrick", inside=False)), ("l", _pattern("l|longo", inside=False))),
    "schubert": (("d", _pattern("d|deutsch")),),
    "vivaldi": (("rv", _pattern("rv", inside=False)),),
}
_HOBOKEN = re.compile(r"\b(?:hob(?:oken)?\.?\s*)([ivxl]+)\s*[:/. -]\s*(\d+)")
_SIXTH = re.compile(r"\bkv?\.?\s*(\d{3}[a-z])\b")
_NUMBER = re.compile(r"(?:\bno|\bnr|n°|#)\.?\s*(\d+)(?!\d)")
_OTHER_SONATA = re.compile(
    r"violin|cello|horn|flute|clarinet|viola|trio|quartet|symphony|four hands|4 hands|two pianos"
)


def work(composer: str, title: str) -> str:
    """Name of a work, ``<composer>/<catalogue number or title>``.

    Args:
        composer: as a source writes it (see `composer_key`).
        title: any title; what it holds beside the number is ignored where a number is found.

    >>> work("Frédéric Chopin", "Prelude in E minor, Op. 28 No. 4")
    'chopin/op28-no4'
    """
    key = composer_key(composer)
    return f"{key}/{catalogue(key, title) or plain(title)}"


def plain(title: str) -> str:
    """Title as a work's name where it has no number: without movement marks, brackets and "Op. posth."."""
    text = re.sub(r"[(\[{].*?[)\]}]", " ", title)
    text = re.sub(r"\bop(?:us)?\.?\s*post(?:h(?:umous)?)?\b\.?", " ", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[A-Ga-g])\s?[#♯]", "-sharp", re.sub(r"(?<=[A-Ga-g])♭", "-flat", text))
    name = slug(text)
    return name if name != "untitled" else slug(title)


def catalogue(composer: str, title: str) -> str | None:
    """Catalogue number in a title, None where there is none.

    Args:
        composer: key of the composer, as `composer_key` gives it.
        title: any title.

    >>> catalogue("mozart", "Sonata No. 11 in A major, K. 331/300i"), catalogue("haydn", "Sonata, Hob. XVI:48")
    ('k331', 'hobxvi-48')
    """
    text = unicodedata.normalize("NFKD", title.replace("♯", "#").replace("♭", " flat").replace("’", "'"))
    text = "".join(c for c in text if not unicodedata.combining(c)).replace("№", "no").lower().replace("_", " ")
    found = _numbered(composer, text) or _named(composer, text)
    return _canonical(composer, found) if found else None


def _numbered(composer: str, text: str) -> str | None:
    if composer == "haydn" and (hoboken := _HOBOKEN.search(text)):
        return f"hob{hoboken[1]}-{int(hoboken[2])}"
    if composer == "mozart" and (sixth := _SIXTH.search(text)) and sixth[1] in _titles.MOZART_SIXTH:
        return "k" + _titles.MOZART_SIXTH[sixth[1]]
    for prefix, pattern in _CATALOGUES.get(composer, ()):
        if found := pattern.search(text):
            return _joined(prefix, found)
    found = _OPUS.search(text)
    if found is None:
        return None
    name = _joined("op", found)
    if "-no" in name:
        return name
    before = _NUMBER.search(text[: found.start()])
    if before is None:
        return name
    number = int(before[1])
    if composer == "beethoven" and (sonata := _sonata(text, _titles.BEETHOVEN_SONATAS, number)):
        return sonata if sonata.split("-")[0] == name else name
    return f"{name}-no{number}" if name in _titles.SETS.get(composer, ()) else name


def _joined(prefix: str, found: re.Match[str]) -> str:
    inside = found[2] or found[3]
    return f"{prefix}{int(found[1])}" + (f"-no{int(inside)}" if inside else "")


def _named(composer: str, text: str) -> str | None:
    if composer == "bach":
        found = _titles.wtc(text)
        if found:
            return found
    number = _number(text)
    sonatas = {"beethoven": _titles.BEETHOVEN_SONATAS, "mozart": _titles.MOZART_SONATAS}.get(composer)
    if sonatas and number and (sonata := _sonata(text, sonatas, number)):
        return sonata
    for word, table in _titles.BY_NUMBER.get(composer, {}).items():
        if word in text and number in table and (word != "sonata" or not _OTHER_SONATA.search(text)):
            return table[number]
    return next((name for part, name in _titles.NAMES.get(composer, ()) if part in text), None)


def _number(text: str) -> int | None:
    # "Sonata No. 5", "Sonatas/5", "Ballade 2"
    found = _NUMBER.search(text) or re.search(r"[a-z]\s?[/ ](\d{1,2})$", text)
    return int(found[1]) if found else None


def _sonata(text: str, table: tuple[str, ...], number: int) -> str | None:
    if "sonat" not in text or _OTHER_SONATA.search(text) or not 1 <= number <= len(table):
        return None
    return table[number - 1]


def _canonical(composer: str, name: str) -> str:
    base, dash, inside = name.partition("-no")
    base = _titles.SAME.get(composer, {}).get(base, base)
    return base if base in _titles.WHOLE.get(composer, frozenset()) else base + dash + inside


# Titles made of these words and numbers only name no tune.
_KINDS = (
    "air aire allegro allemande and andante bagpipe ballad barn ceol clog cotillion cotillon country dance double "
    "favorite favourite galop gavot gavotte gigue hornpipe jig lament largo lesson long march minuet minuetto "
    "mazurka my new no of old planxty polka polonaise quadrille quick quickstep reel retreat rondeau rondo "
    "schottische set single slip slow solo song step strathspey the troop trot tune two untitled varsovienne walk "
    "waltz highland fling scotch irish english french german italian swedish grand "
)
_NO_TUNE = frozenset(_KINDS.split())
_KIND = re.compile(
    r"(?:\s+-{1,2}\s+|\s*[(\[])(?:[\w ]*\b(?:reel|jig|hornpipe|clog|waltz|march|polka|set|dance)s?)[)\]]?$",
    re.IGNORECASE,
)


def tune(title: str, book: str) -> str:
    """Name of a folk tune: its title in all tune books, or within its book where the title names no tune.

    Args:
        title: as the book gives it; "The Rakes of Mallow" and "RAKES OF MALLOW, THE -- Reel" are one.
        book: key of the book.

    >>> tune("Soldier's Joy", "ryan"), tune("Hornpipe No. 2", "aird")
    ('tune/soldier-joy', 'aird/hornpipe-no-2')
    """
    name = slug(_KIND.sub("", title.strip()))
    if names_no_tune(name):
        return f"{book}/{slug(title)}"
    # books differ in "Sailor's" and "Sailor", "Stocking" and "Stockings"
    return "tune/" + "-".join(re.sub(r"(?<=\w{3})(?<!s)s$", "", word) for word in name.split("-"))


def names_no_tune(name: str) -> bool:
    """Whether a title (as a slug) says a kind of tune, a number or nothing, and no name."""
    return all(word in _NO_TUNE or not word.isalpha() or len(word) == 1 for word in name.split("-"))
