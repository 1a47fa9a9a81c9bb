"""Files that are nearly right: real music and pictures, damaged. For fuzz.py and hostile.py.

Seeds are the fixtures of the tests and the example, in ten forms: MIDI, MusicXML, MXL, MEI, kern, ABC, PNG, JPEG, TIFF
and PDF. A mutation flips bits, cuts, repeats or removes stretches, changes numbers, splices two seeds, puts in words of
the form, changes a file inside an archive, moves elements of a text that stays well-formed, or changes a picture.
"""

from __future__ import annotations

import copy
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
WORDS = {
    ".xml": (b"<note>", b"</measure>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<backup>", b"<chord/>", b"</part>"),
    ".krn": (b"*^", b"*v", b"*-", b"\t", b"!!", b"=:|!", b"*M0/0", b"[4c", b"4c]", b"**kern"),
    ".abc": (b"K:", b"M:0/0", b"L:1/0", b"[V:2]", b"|:", b"::", b"(3", b"X:1\n", b"%%", b"\\"),
    ".mid": (
        b"MThd",
        b"MTrk",
        b"\xff\x2f\x00",
        b"\xff\x51\x03\x00\x00\x00",
        b"\x00\x90\x3c\x40",
        b"\xff\x58\x04\x00\xff",
    ),
}


def seeds() -> dict[str, list[bytes]]:
    """The contents of real files by suffix; archives, pictures and MIDI are made where the tests have none on disk."""
    import symusic
    from PIL import Image

    found: dict[str, list[bytes]] = {}
    for path in sorted([*FIXTURES.rglob("*"), *(ROOT / "examples").iterdir()]):
        if path.suffix in (".krn", ".musicxml", ".xml", ".mei", ".abc", ".mid", ".mxl", ".png") and path.is_file():
            found.setdefault(path.suffix.replace(".musicxml", ".xml"), []).append(path.read_bytes())
    found.pop(".PNG", None)
    for text in found[".xml"][:3]:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            root = '<container><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>'
            archive.writestr("META-INF/container.xml", root)
            archive.writestr("score.xml", text)
        found.setdefault(".mxl", []).append(packed.getvalue())
    for n in (1, 2):
        midi = symusic.Score(96 * n)
        midi.time_signatures.append(symusic.TimeSignature(0, 3, 4))
        midi.tempos.append(symusic.Tempo(0, 100))
        for k in range(n):
            track = symusic.Track(f"track {k}", 8 * k)
            track.notes.extend(symusic.Note(48 * i, 40, 50 + 12 * k + i % 9, 80) for i in range(60))
            midi.tracks.append(track)
        found.setdefault(".mid", []).append(bytes(midi.dumps_midi()))
    page = Image.open(ROOT / "examples" / "menuet.png").convert("L").resize((843, 758))
    for suffix, form in ((".png", "PNG"), (".jpg", "JPEG"), (".tif", "TIFF"), (".pdf", "PDF")):
        out = io.BytesIO()
        page.save(out, format=form)
        found[suffix] = [out.getvalue()]
    return found


def mutate(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """A file that is nearly like one of its form."""
    if suffix == ".mxl" and chance.random() < 0.7:
        return inside(data, others, chance)
    if suffix in (".xml", ".mei") and chance.random() < 0.6:
        return branches(data, chance)
    if suffix == ".png" and chance.random() < 0.5:
        return pixels(data, chance)
    for _ in range(int(chance.geometric(0.4))):
        data = CHANGES[int(chance.integers(len(CHANGES)))](data, suffix, others, chance)
    return data[: 1 << 20]


def inside(data: bytes, others: list[bytes], chance: np.random.Generator) -> bytes:
    """An archive with one of its files mutated; as it is where it is none."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = names[int(chance.integers(len(names)))]
        for name in names:
            content = old.read(name)
            new.writestr(name, mutate(content, ".xml", [content], chance) if name == chosen else content)
    return out.getvalue()


def twin(element: Any) -> Any:
    """The same element again, with its identities: a document that names two things alike."""
    again = copy.deepcopy(element)
    again.tail = None
    return again


def branches(data: bytes, chance: np.random.Generator) -> bytes:
    """A well-formed text in which elements are missing, doubled, moved, or have other values."""
    from lxml import etree

    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return cut(data, ".xml", [data], chance)
    for _ in range(int(chance.geometric(0.3))):
        elements = [e for e in root.iter(etree.Element) if e is not root]
        if not elements:
            break
        one, other = (elements[int(chance.integers(len(elements)))] for _ in range(2))
        values = ("0", "-1", "999999999", "", "x", "1/0", "\u202e")
        value = values[int(chance.integers(len(values)))]
        kind = int(chance.integers(5))
        if kind == 0:
            one.getparent().remove(one)
        elif kind == 1:
            one.addnext(twin(one))
        elif kind == 2 and one not in other.iterancestors():
            other.append(twin(one))
        elif kind == 3 and one.attrib:
            names = sorted(one.attrib)
            one.set(names[int(chance.integers(len(names)))], value)
        else:
            one.text = value
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def pixels(data: bytes, chance: np.random.Generator) -> bytes:
    """A whole picture with stripes, noise, another size, or turned."""
    from PIL import Image

    image = np.array(Image.open(io.BytesIO(data)).convert("L"))
    a, b = sorted(int(chance.integers(image.shape[0] + 1)) for _ in range(2))
    kind = int(chance.integers(5))
    if kind == 0:
        image[a:b] = int(chance.integers(256))
    elif kind == 1:
        image[a:b] ^= chance.integers(256, size=image[a:b].shape, dtype=np.uint8)
    elif kind == 2:
        image = np.ascontiguousarray(np.rot90(image, int(chance.integers(1, 4))))
    elif kind == 3:
        image = image[a : max(b, a + 1), : int(chance.integers(1, image.shape[1]))]
    else:
        image = np.roll(image, int(chance.integers(image.shape[1])), axis=1)
    out = io.BytesIO()
    Image.fromarray(image if image.size else np.full((1, 1), 255, np.uint8)).save(out, format="PNG")
    return out.getvalue()


def stretch(data: bytes, chance: np.random.Generator) -> tuple[int, int]:
    """A stretch of a file, mostly short."""
    a = int(chance.integers(len(data) + 1))
    return a, min(a + int(chance.geometric(0.02)), len(data))


def flip(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """Some bits are others."""
    out = bytearray(data)
    for _ in range(int(chance.integers(1, 9)) if out else 0):
        out[int(chance.integers(len(out)))] ^= 1 << int(chance.integers(8))
    return bytes(out)


def cut(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: int(chance.integers(len(data) + 1))]


def remove(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """A stretch is missing."""
    a, b = stretch(data, chance)
    return data[:a] + data[b:]


def repeat(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """A stretch stands there several times."""
    a, b = stretch(data, chance)
    return data[:b] + data[a:b] * int(chance.choice([1, 2, 50])) + data[b:]


def number(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """A number is another, or a byte where there are no numbers."""
    places = list(re.finditer(rb"\d+", data))
    if not places or suffix in (".mid", ".png", ".jpg", ".tif", ".pdf", ".mxl"):
        a = int(chance.integers(len(data) + 1))
        return data[:a] + bytes([int(chance.choice([0, 1, 127, 128, 255]))]) + data[a + 1 :]
    place = places[int(chance.integers(len(places)))]
    new = (b"0", b"-1", b"1", b"999999999", b"4294967296", b"1e9", b"0.0001", b"")[int(chance.integers(8))]
    return data[: place.start()] + new + data[place.end() :]


def splice(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """The beginning of one and the end of another."""
    other = others[int(chance.integers(len(others)))]
    return data[: int(chance.integers(len(data) + 1))] + other[int(chance.integers(len(other) + 1)) :]


def word(data: bytes, suffix: str, others: list[bytes], chance: np.random.Generator) -> bytes:
    """A word of the form stands where it should not."""
    words = WORDS.get(suffix.replace(".mei", ".xml"), (b"\x00", b"\xff" * 4, b"\n", b"<", b'"'))
    a = int(chance.integers(len(data) + 1))
    return data[:a] + words[int(chance.integers(len(words)))] + data[a:]


Change = Callable[[bytes, str, list[bytes], np.random.Generator], bytes]
CHANGES: tuple[Change, ...] = (flip, cut, remove, repeat, number, splice, word)
