"""ABC tune books: cut into tunes, each a text that stands alone.

Conventions of the ABC standard 2.1 (https://abcnotation.com/wiki/abc:standard:v2.1): a tune starts with an
``X:`` field and ends with a blank line; fields before the first ``X:`` hold for all tunes; without ``L:``
the unit note is 1/16 in a metre shorter than 3/4, else 1/8; a tune without ``M:``, or with ``M:none``, is
in free metre.

Old tune books are looser than the standard, and verovio reads the standard to the letter: it loses the
notes after the last bar line, does not see the bar line in ``::``, draws ``M:none`` as the time signature
0/0, and crashes on a tune without ``K:`` and on the ``!`` that breaks a line in ABC 1.6. So the tunes
returned here always close with a bar line, write ``::`` as ``:||:`` (the same repeat), name ``L:`` and
``K:``, and leave out such line breaks and the ``M:`` of a free metre.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from scoresim.data.corpora._item import Item, slug

_FIELD = re.compile(r"^([A-Za-z]):")
_BEGIN = re.compile(r"(?:\A|[\r\n])X:")
# Fields that may stand among the notes. "A:|" at the start of a line is a note before a repeat sign.
_BODY_FIELD = re.compile(r"^[IKLMNPQRSTUVWmrsw+]:")
_BOOK_FIELDS = "BCILMOQRSUm"
_REPEATABLE = "IUm"
_METRE = re.compile(r"^(?:C\|?(?!\w)|\(?[0-9]{1,3}(?:\+[0-9]{1,3})*\)?/[0-9]{1,3}(?![0-9]))")
_CLOSED = re.compile(r"(?:\|\]?|\|:)$")
_DOUBLE_REPEAT = re.compile(r"(?<!\|)(?:::|:\|:)(?!\|)")
_DECORATION_OR_BREAK = re.compile(r"(![A-Za-z0-9<>().+^~/-]+!)|!")
_QUOTED = re.compile(r'("[^"]*")')


def split_abc(text: str) -> list[str]:
    """Cut a tune book into its tunes.

    Args:
        text: a whole file, any line ends, any bytes decoded with ``errors="replace"``.

    Returns:
        One text per ``X:`` field, in order, each complete: header with ``L:`` and ``K:`` (and ``M:`` unless
        the metre is free), the book's header fields where the tune has none of its own, notes that end with
        a bar line. Comments and ``%%`` directives are left out. A book without ``X:`` gives an empty list.
    """
    parts, book = _cut(text)
    return [_complete(lines, book) for lines in parts]


def _cut(text: str) -> tuple[list[list[str]], list[str]]:
    """The lines of every tune of a book, and the fields before the first."""
    lines = re.split(r"\r\n|\r|\n", _plain(text))
    starts = [at for at, line in enumerate(lines) if line.startswith("X:")]
    if not starts:
        return [], []
    book = [line for line in lines[: starts[0]] if _FIELD.match(line)]
    return [lines[a:b] for a, b in pairwise([*starts, len(lines)])], book


def _plain(text: str) -> str:
    return text.lstrip("\ufeff").replace("\0", "")


def field(tune: str, letter: str) -> str:
    """Value of the first such field of a tune, ``""`` where there is none."""
    for line in tune.split("\n"):
        if line.startswith(letter + ":"):
            # some books repeat the field's own name: "T: T:Beebe's"
            return line[2:].strip().removeprefix(letter + ":").strip()
    return ""


def abc_text(item: Item) -> str:
    """Text of an ABC item: its tune, or the whole file where no tune was found in it.

    Raises:
        OSError: the file cannot be read.
        IndexError: the file changed since the items were listed.
    """
    if item.part_of_file is None:
        return _text(item.path)
    return read_book(item.path)[item.part_of_file]


def read_book(path: Path) -> tuple[str, ...]:
    """Tunes of a book; the last few books are kept in memory, since their tunes are asked for one by one."""
    stat = path.stat()
    return _read_book(path, stat.st_mtime_ns, stat.st_size)


LARGEST_BOOK = 20_000_000  # bytes


def count_tunes(path: Path) -> int:
    """How many tunes `read_book` gives, counted without making them: each repeats the fields of its book.

    Raises:
        OSError: the file cannot be read.
    """
    if not path.is_file() or path.stat().st_size > LARGEST_BOOK:
        return 0  # a pipe would keep us waiting
    return sum(1 for _ in _BEGIN.finditer(_plain(_text(path))))


def read_tune(path: Path, number: int) -> str:
    """One tune of a book, from 0, as in `read_book`, without making the others.

    Raises:
        OSError: the file cannot be read.
        IndexError: it does not hold so many.
    """
    if not path.is_file() or path.stat().st_size > LARGEST_BOOK:
        raise IndexError(number)
    parts, book = _cut(_text(path))
    return _complete(parts[number], book)


@lru_cache(maxsize=4)
def _read_book(path: Path, changed: int, size: int) -> tuple[str, ...]:
    if size > LARGEST_BOOK:
        return ()  # its reader refuses it
    return tuple(split_abc(_text(path)))


def _text(path: Path) -> str:
    """The text of a file, in UTF-8, UTF-16 or Latin-1; what is no text as far as it can be read."""
    from scoresim.score.read import decoded  # brings lxml, which the names of sources do not need

    data = path.read_bytes()
    text = decoded(data)
    return data.decode("utf-8", "replace") if text is None else text


def tunes(
    books: Iterable[Path],
    collection: str,
    style: str | Callable[[Path, str], str],
    name: Callable[[str, str], str] | None = None,
) -> Iterator[Item]:
    """Items of tune books, in order; the work of a tune is its title within the collection, or as `name` has it.

    The composer is "traditional": the ``C:`` of old tune books names nations and publishers as often.

    Args:
        books: files whose stems differ.
        collection: first half of every work's name.
        style: the style of all tunes, or (path, tune) -> style.
        name: (title, collection) -> work, for titles that other collections share.
    """
    for path in books:
        for index, tune in enumerate(read_book(path)):
            title = field(tune, "T")
            # a tune without a title is a work of its own
            local = f"{collection}/{slug(title) if title else f'{slug(path.stem)}-{index}'}"
            yield Item(
                id=f"{path.stem}/{index:04d}",
                path=path,
                format="abc",
                work=name(title, collection) if name is not None and title else local,
                style=style if isinstance(style, str) else style(path, tune),
                composer="traditional",
                title=title,
                part_of_file=index,
            )


def _complete(lines: list[str], book: list[str]) -> str:
    header, body = _header_and_body(lines)
    own = {line[0] for line in header}
    inherited = [line for line in book if line[0] in _BOOK_FIELDS and (line[0] in _REPEATABLE or line[0] not in own)]
    key = next((line for line in [*header, *book] if line.startswith("K:")), "K:C")
    fields = [*inherited, *(line for line in header[1:] if not line.startswith("K:"))]
    metre = next((_metre(line) for line in fields if line.startswith("M:")), "")
    unit = [] if any(line.startswith("L:") for line in fields) else [f"L:{_unit(metre)}"]
    kept = [line for line in fields if not line.startswith("M:")]
    head = [header[0], *kept, *unit, *([f"M:{metre}"] if metre else []), _key(key)]
    notes = [line for line in map(_modern, body) if line]  # a blank one would end the tune
    return "\n".join([*head, *_closed(notes)]) + "\n"


def _header_and_body(lines: list[str]) -> tuple[list[str], list[str]]:
    """Field lines up to ``K:`` and the lines of notes after it, without comments, up to the blank line."""
    kept = [lines[0]]
    seen_key = False
    following = [""] * (len(lines) + 1)  # the next line that is not blank
    for at in range(len(lines) - 1, -1, -1):
        following[at] = lines[at] if lines[at].strip() else following[at + 1]
    for at, raw in enumerate(lines[1:], start=1):
        line = raw.rstrip()
        if line and not line.startswith("%"):
            kept.append(line)
            seen_key = seen_key or line.startswith("K:")
        elif not line and (seen_key or not _FIELD.match(following[at])):
            break  # else a stray blank line inside a header
    # Before "K:" a line that is no field goes on with the text of the field above it. Without "K:" the
    # notes start there.
    end = next((at for at, line in enumerate(kept) if line.startswith("K:")), None)
    if end is None:
        end = next((at for at, line in enumerate(kept) if not _FIELD.match(line)), len(kept)) - 1
    return [line for line in kept[: end + 1] if _FIELD.match(line)], kept[end + 1 :]


def _metre(line: str) -> str:
    """Metre as verovio reads it, ``""`` for free metre (``none``, or German ``FREI``)."""
    found = _METRE.match(line[2:].strip())
    return found.group() if found else ""


def _unit(metre: str) -> str:
    if not metre or metre.startswith("C"):
        return "1/8"
    above, _, below = metre.replace("(", "").replace(")", "").partition("/")
    beats = sum(int(part) for part in above.split("+"))
    return "1/16" if 4 * beats < 3 * int(below) else "1/8"


def _key(line: str) -> str:
    """Key field, German note names (H, Es, As) as in English; bagpipe keys HP and Hp stay."""
    value = line[2:].strip()
    value = re.sub(r"^H(?![Pp])", "B", value)
    return "K:" + re.sub(r"^([AE])s\b", r"\1b", value)


def _modern(line: str) -> str:
    """One line of notes with the repeat signs of ABC 2.1 and without the line breaks (``!``) of ABC 1.6."""
    if _BODY_FIELD.match(line):
        return line
    parts = _QUOTED.split(line)
    parts[::2] = [_DECORATION_OR_BREAK.sub(r"\1", _DOUBLE_REPEAT.sub(":||:", part)) for part in parts[::2]]
    return "".join(parts).rstrip()


def _closed(body: list[str]) -> list[str]:
    """The same lines with a bar line after the last note; unchanged where there is no note."""
    last = next((at for at in range(len(body) - 1, -1, -1) if not _BODY_FIELD.match(body[at])), None)
    if last is None:
        return body
    music = re.sub(r"(?<!\\)%.*$", "", body[last]).rstrip(" \t\\")
    if music.endswith(":||:"):
        return [*body[:last], music[:-2], *body[last + 1 :]]
    if _CLOSED.search(music):
        return body
    return [*body, "|]"]
