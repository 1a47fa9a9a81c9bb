"""What does a server make of damaged files?

    python benchmarks/hostile.py [--model small] [--n 10000] [--seed 0]

Files of every kind that scoresim reads are damaged at random (damage.py), get another suffix or name, and are sent to a
server one after the other. Each has to be answered or refused with one sentence that names no path of the server,
within the time that the server gives an answer, and nothing may be left of it. After every hundred of them a good file
is sent and has to be answered. Prints a table and ends with one line of JSON; leaves with 1 where anything was not as
it has to be.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from damage import mutate, seeds

from scoresim import understand
from scoresim.environment import peak_memory
from scoresim.web.app import make_app
from scoresim.web.limits import Limits
from scoresim.web.server import address_of, listen, server_of

GOOD = ("good.abc", b"X:1\nT:Song\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]\n")
NAMES = ("a{}", "../../a{}", "<script>alert(1)</script>{}", "\u202ea{}", "a b\u00e9{}", "a{}{}", "%00{}")


@dataclass
class Tally:
    """What came of the files."""

    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


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


def run(sim: understand.Sim, n: int, seed: int) -> dict[str, Any]:
    """Send n damaged files to a server.

    Args:
        sim: a model.
        n: how many files.
        seed: of all random choices.
    """
    some, tally = seeds(), Tally()
    with listen("127.0.0.1", 0) as socket:
        app = make_app(sim, limits=Limits(seconds=90.0))
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        place = address_of(socket).removeprefix("http://")
        try:
            temporary = str(app.state.house.cabinet.open())
            for i in range(n):
                one(tally, place, temporary, some, np.random.default_rng([seed, i]))
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


def one(tally: Tally, place: str, temporary: str, some: dict[str, list[bytes]], chance: np.random.Generator) -> None:
    """Send a damaged file, and judge what comes back."""
    suffixes = sorted(some)
    suffix = suffixes[int(chance.integers(len(suffixes)))]
    of_form = some[suffix]
    data = mutate(of_form[int(chance.integers(len(of_form)))], suffix, of_form, chance)
    if chance.random() < 0.1:
        suffix = suffixes[int(chance.integers(len(suffixes)))]
    name = NAMES[int(chance.integers(len(NAMES)))].format(suffix, suffix)
    begin = time.perf_counter()
    try:
        status, said = ask(place, name, data, "/report" if chance.random() < 0.2 else "/api/v1/analyze")
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
    parser.add_argument("--model", default="small")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sim = understand.load(given.model)
    try:
        found = run(sim, given.n, given.seed)
    finally:
        sim.workers.close()
    for name, value in found.items():
        print(f"{name:18}{len(value) if name == 'wrong' else value}")
    print(json.dumps(found))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
