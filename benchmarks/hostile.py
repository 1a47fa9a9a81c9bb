"""What does a server make of damaged files?

    python benchmarks/hostile.py CHECKPOINT [--n 10000] [--seed 0] [--seeds tests/fixtures]

Files of every kind that scoresim reads are damaged at random (bits, pieces cut out, doubled or taken from another file,
huge numbers, another suffix, another name) and sent to a server one after the other. Each has to be answered or refused
with one sentence that names no path of the server, within the time that the server gives an answer, and nothing may be
left of it. After every hundred of them a good file is sent and has to be answered. Prints a table and ends with one
line of JSON; leaves with 1 where anything was not as it has to be.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from scoresim import understand
from scoresim.data.given import KINDS_BY_SUFFIX
from scoresim.environment import peak_memory
from scoresim.web.app import make_app
from scoresim.web.limits import Limits
from scoresim.web.server import address_of, listen, server_of

LARGEST = 300_000  # bytes of a seed
GOOD = ("good.abc", b"X:1\nT:Song\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n")
NAMES = ("a{}", "../../a{}", "<script>alert(1)</script>{}", "\u202ea{}", "a b\u00e9{}", "a{}{}", "%00{}")
HUGE = (
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"999999999999",
    b"-1",
    b"1e308",
    b"&x;",
    b"<" * 50,
)


@dataclass
class Tally:
    """What came of the files."""

    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Good files of every kind: those of a folder, and pictures of staves."""
    found = [
        (path.suffix, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.suffix in KINDS_BY_SUFFIX and path.is_file() and path.stat().st_size <= LARGEST
    ]
    page = Image.new("L", (900, 700), 255)
    draw = ImageDraw.Draw(page)
    for top in (80, 300, 500):
        for line in range(5):
            draw.line((40, top + 12 * line, 860, top + 12 * line), fill=0, width=2)
        for x in range(80, 850, 45):
            draw.ellipse((x, top + x % 48, x + 14, top + x % 48 + 11), fill=0)
    for suffix, form in ((".png", "PNG"), (".jpg", "JPEG"), (".tif", "TIFF"), (".pdf", "PDF")):
        out = io.BytesIO()
        page.save(out, form)
        found.append((suffix, out.getvalue()))
    return found


def damaged(data: bytes, others: Sequence[tuple[str, bytes]], chance: random.Random) -> bytes:
    """A file with up to four faults."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(out) + 1)
        end = min(len(out), at + int(2 ** chance.uniform(0, 8)))
        match chance.randrange(7):
            case 0:
                for _ in range(chance.randint(1, 8)):
                    if out:
                        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end] * chance.randint(1, 20)
            case 3:
                other = chance.choice(others)[1]
                begin = chance.randrange(len(other))
                out[at:end] = other[begin : begin + 500]
            case 4:
                out[at:at] = chance.choice(HUGE)
            case 5:
                del out[at:]
            case _:
                out[at:end] = chance.randbytes(end - at)
    return bytes(out)


def ask(place: str, name: str, data: bytes, route: str = "/api/v1/analyze") -> tuple[int, Any]:
    """The status, and what was said."""
    shown = name.replace('"', "%22").replace("\n", "%0A").encode("utf-8", "replace")
    head = b'--frontier\r\nContent-Disposition: form-data; name="files"; filename="' + shown + b'"\r\n\r\n'
    connection = http.client.HTTPConnection(place, timeout=120)
    try:
        kind = {"Content-Type": "multipart/form-data; boundary=frontier"}
        connection.request("POST", route, head + data + b"\r\n--frontier--\r\n", kind)
        reply = connection.getresponse()
        text = reply.read().decode("utf-8")
        return reply.status, text if reply.status == 200 and route == "/report" else json.loads(text)
    finally:
        connection.close()


def fault(status: int, said: Any, temporary: str) -> str:
    """What is wrong with an answer, or ""."""
    if status == 200:
        return (temporary in json.dumps(said) and "an answer names a place of the server") or ""
    if not isinstance(said, dict) or set(said) != {"error"}:
        return f"{status} with {str(said)[:200]}"
    sentence = said["error"]
    bad = [word for word in ("Traceback", temporary, "\n", "<script") if word in sentence]
    if status not in (413, 415, 422) or bad or not sentence.endswith("."):
        return f"{status}: {sentence[:300]}"
    return ""


def run(sim: understand.Sim, n: int, seed: int, folder: Path) -> dict[str, Any]:
    """Send n damaged files to a server.

    Args:
        sim: a model.
        n: how many files.
        seed: of all random choices.
        folder: of good files.
    """
    some, tally = seeds(folder), Tally()
    with listen("127.0.0.1", 0) as socket:
        app = make_app(sim, limits=Limits(seconds=90.0))
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        place = address_of(socket).removeprefix("http://")
        try:
            temporary = str(app.state.house.cabinet.open())
            for i in range(n):
                one(tally, place, temporary, some, random.Random(f"{seed} {i}"))
                if i % 100 == 99 or i == n - 1:
                    if ask(place, *GOOD)[0] != 200:
                        tally.wrong.append(f"after {i + 1} files a good one was refused")
                    left = [path.name for path in Path(temporary).iterdir() if path.name != ".lock"]
                    tally.wrong += [f"{name} was left" for name in left]
                    print(f"{i + 1} files: {dict(tally.answers)}, {len(tally.wrong)} wrong", file=sys.stderr)
        finally:
            server.should_exit = True
            thread.join(30)
    return {
        "what": "damaged files sent to a server",
        "n": n,
        "answered": tally.answers[200],
        "refused": sum(count for status, count in tally.answers.items() if status != 200),
        "wrong": tally.wrong,
        "median_seconds": round(sorted(tally.seconds)[n // 2], 3),
        "longest_seconds": round(max(tally.seconds), 1),
        "peak_memory_mb": round(peak_memory() / 1e6),
    }


def one(tally: Tally, place: str, temporary: str, some: Sequence[tuple[str, bytes]], chance: random.Random) -> None:
    """Send a damaged file, and judge what comes back."""
    suffix, data = chance.choice(some)
    data = damaged(data, some, chance)
    if chance.random() < 0.1:
        suffix = chance.choice(list(KINDS_BY_SUFFIX))
    name = chance.choice(NAMES).format(suffix, suffix)
    begin = time.perf_counter()
    try:
        status, said = ask(place, name, data)
    except (OSError, http.client.HTTPException, ValueError) as error:
        tally.wrong.append(f"no answer to {name!r} ({type(error).__name__}: {error})")
        return
    finally:
        tally.seconds.append(time.perf_counter() - begin)
    tally.answers[status] += 1
    if data and (bad := fault(status, said, temporary)):
        tally.wrong.append(f"{name!r}: {bad}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=Path, default=Path(__file__).parent.parent / "tests" / "fixtures")
    given = parser.parse_args()
    sim = understand.load(given.checkpoint)
    try:
        found = run(sim, given.n, given.seed, given.seeds)
    finally:
        sim.workers.close()
    for name, value in found.items():
        print(f"{name:18}{len(value) if name == 'wrong' else value}")
    print(json.dumps(found))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
