"""Both stores keep the same promises: every test that takes `address` runs over a folder and over a server."""

import importlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoresim.errors import BadInput
from scoresim.index import Entry, Fingerprint, Hit, Kind, Store, Vectors, changed, fingerprint, folder, open_store

ROOT = Path(__file__).parent.parent
WEIGHTS = "a" * 64
WIDTH = 32
SOME = Fingerprint(10, 20, "f" * 64)
numbers = itertools.count()


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Address of a PostgreSQL with pgvector: that of SCORESIM_TEST_POSTGRES, or one that is started for the tests."""
    psycopg = pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    given = os.environ.get("SCORESIM_TEST_POSTGRES")
    if given:
        yield given
        return
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        server = importlib.import_module("postgres_server")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    try:
        running = server.server()
        address = running.__enter__()
    except server.NoServer as error:
        pytest.skip(f"{error}; or give an address as SCORESIM_TEST_POSTGRES")
    with psycopg.connect(address, autocommit=True) as db:
        db.execute("create extension vector")
    yield address
    running.__exit__(None, None, None)


@pytest.fixture(params=["folder", "server"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Gives an address where no index is yet, every time a new one."""
    if request.param == "folder":
        yield lambda: str(tmp_path / f"index{next(numbers)}")
        return
    import psycopg

    database = request.getfixturevalue("database")
    made: list[str] = []
    with psycopg.connect(database, autocommit=True) as db:

        def place() -> str:
            made.append(f"scoresim_test_{os.getpid()}_{next(numbers)}")
            db.execute(f"create schema {made[-1]}")
            mark = "&" if "?" in database else "?"
            return f"{database}{mark}options={quote(f'-csearch_path={made[-1]},public')}"

        yield place
        for name in made:
            db.execute(f"drop schema {name} cascade")


@pytest.fixture
def address(places: Callable[[], str]) -> str:
    return places()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """More than so many vectors are a large collection."""
    monkeypatch.setattr(folder, "EXACT", 60)
    if "psycopg" in sys.modules:
        monkeypatch.setattr("scoresim.index.server.EXACT", 60)
    return 60


def units(seed: int, n: int, width: int = WIDTH) -> Vectors:
    found = np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def entries(n: int, kind: Kind = "notes", title: str = "") -> list[Entry]:
    return [Entry(kind, number, title, first_bar=4 * number, end_bar=4 * number + 4) for number in range(n)]


def writer(address: str) -> Store:
    return open_store(address, WEIGHTS, write=True, width=WIDTH)


def reader(address: str) -> Store:
    return open_store(address, WEIGHTS)


def best(stored: dict[tuple[str, Kind, int], np.ndarray], query: Vectors, k: int) -> list[float]:
    """The cosines of the k nearest, by comparing all as they are stored."""
    if not stored:
        return []
    rounded = np.stack(list(stored.values())).astype(np.float16).astype(np.float32)
    return sorted((rounded @ query).tolist(), reverse=True)[:k]


def test_what_is_stored_comes_back(address: str) -> None:
    here = Entry("image", 0, "Träumerei, \"Scenes\"\t\\N 'x'", page=0, system=3, first_bar=9, end_bar=17)
    with writer(address) as store:
        store.replace("a/ü b.mid", SOME, [*entries(2), here], units(1, 3))
        store.replace("empty.mid", SOME, [], units(1, 0))
    with reader(address) as store:
        assert len(store) == 3
        assert store.known() == {"a/ü b.mid": SOME, "empty.mid": SOME}
        assert list(store.known()) == sorted(store.known())
        assert store.silent() == ["empty.mid"]
        found, vectors = store.get("a/ü b.mid")
        assert found == [*entries(2), here]
        np.testing.assert_allclose(vectors, units(1, 3), atol=1e-3)
        assert vectors.dtype == np.float32
        assert store.get("empty.mid")[0] == [] and store.get("empty.mid")[1].shape == (0, WIDTH)
        assert store.model_hash == WEIGHTS and store.width == WIDTH
        with pytest.raises(BadInput, match=r"b\.mid is not in"):
            store.get("b.mid")


def test_the_nearest_come_first(address: str) -> None:
    vectors = units(2, 40)
    with writer(address) as store:
        assert store.search(vectors[:2]) == [[], []]
        store.replace("b", SOME, entries(20), vectors[:20])
        store.replace("a", SOME, entries(20, "image"), vectors[20:])
        hits = store.search(vectors[[3, 25]], k=5)
        assert [row[0] for row in hits] == [
            Hit("b", entries(20)[3], pytest.approx(1, abs=1e-3)),
            Hit("a", entries(20, "image")[5], pytest.approx(1, abs=1e-3)),
        ]
        assert all(row == sorted(row, key=lambda hit: -hit.cosine) and len(row) == 5 for row in hits)
        assert {hit.file for row in store.search(vectors[[3, 25]], 30, "image") for hit in row} == {"a"}
        assert len(store.search(vectors[:1], 1000)[0]) == 40
        assert store.search(vectors[:0]) == []
        store.replace("c", SOME, entries(1), vectors[3:4])
        assert [hit.file for hit in store.search(vectors[3:4], 2)[0]] == ["b", "c"], "equal ones by name"


FILES = st.sampled_from(["a", "b", "c/d"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), FILES, st.integers(0, 45), st.sampled_from(["notes", "image"])),
        st.tuples(st.just("remove"), FILES),
        st.tuples(st.just("touch"), FILES, st.integers(1, 2**60)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("again")),
    ),
    max_size=12,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, k=st.integers(1, 70))
def test_whatever_is_done_it_is_the_same_as_a_dictionary(
    places: Callable[[], str], small: int, steps: list[Any], k: int
) -> None:
    address, seed = places(), itertools.count()
    known: dict[str, Fingerprint] = {}
    stored: dict[tuple[str, Kind, int], np.ndarray] = {}
    store = writer(address)
    watch = reader(address)
    for step, *rest in steps:
        if step == "replace":
            file, n, kind = rest
            vectors = units(next(seed), n)
            store.replace(file, SOME, entries(n, kind), vectors)
            known[file] = SOME
            stored = {key: v for key, v in stored.items() if key[0] != file}
            stored |= {(file, kind, i): vector for i, vector in enumerate(vectors)}
        elif step == "remove":
            store.remove(rest[0])
            known.pop(rest[0], None)
            stored = {key: v for key, v in stored.items() if key[0] != rest[0]}
        elif step == "touch" and rest[0] in known:
            known[rest[0]] = Fingerprint(11, rest[1], SOME.sha256)
            store.touch(rest[0], known[rest[0]])
        elif step == "settle":
            store.settle()
        elif step == "again":
            store.close()
            store = writer(address)
        query = units(10_000 + next(seed), 1)
        for one in (store, watch):
            assert one.known() == known
            assert len(one) == len(stored)
            cosines = [hit.cosine for hit in one.search(query, k)[0]]
            np.testing.assert_allclose(cosines, best(stored, query[0], k), atol=1e-3)
    for file in known:
        assert {(file, e.kind, e.number) for e in store.get(file)[0]} == {key for key in stored if key[0] == file}
    store.close()
    watch.close()


def test_a_large_collection_is_searched_well_while_it_changes(address: str, small: int) -> None:
    vectors = units(3, 1500)
    with writer(address) as store:
        for i in range(10):
            store.replace(f"{i}", SOME, entries(150), vectors[150 * i : 150 * (i + 1)])
    queries = units(4, 50)
    order = np.argsort(-(queries @ vectors.T), axis=1)

    def share(store: Store, gone: Collection[int] = ()) -> float:
        """Recall@10 when some of the files are gone."""
        found = [{150 * int(h.file) + h.entry.number for h in row} for row in store.search(queries, 10)]
        right = [[i for i in row if i // 150 not in gone][:10] for row in order]
        return float(np.mean([len(f & set(r)) / 10 for f, r in zip(found, right, strict=True)]))

    with reader(address) as watch, writer(address) as store:
        assert share(watch) > 0.95
        store.remove("0")
        assert share(watch, {0}) > 0.95
        for file in "12345":
            store.remove(file)
        assert share(watch, {0, 1, 2, 3, 4, 5}) > 0.95, "most of what a graph knows is gone"
        store.settle()
        assert share(watch, {0, 1, 2, 3, 4, 5}) > 0.95
        assert len(watch) == 600
        store.replace("0", SOME, entries(150), vectors[:150])
        assert share(watch, {1, 2, 3, 4, 5}) > 0.95
        assert watch.search(vectors[:1], 1)[0][0].file == "0", "what no graph knows yet is found"


def test_a_large_collection_that_was_emptied_has_no_answers(address: str, small: int) -> None:
    with writer(address) as store:
        store.replace("many", SOME, entries(small + 1), units(0, small + 1))
        store.settle()
        store.remove("many")
        store.settle()
        assert store.search(units(0, 2)) == [[], []]
        store.replace("one", SOME, entries(1), units(0, 1))
        assert [hit.file for hit in store.search(units(0, 1))[0]] == ["one"]


def test_an_index_of_other_weights_is_refused(address: str) -> None:
    writer(address).close()
    for write in (False, True):
        with pytest.raises(BadInput, match="other weights"):
            open_store(address, "b" * 64, write=write)
    with open_store(address, None) as store:
        assert store.model_hash == WEIGHTS
    with pytest.raises(BadInput, match="certain weights"):
        open_store(address, None, write=True)


def test_the_second_writer_is_told_and_the_first_is_not_disturbed(address: str) -> None:
    with writer(address) as store:
        with pytest.raises(BadInput, match="another process") as caught:
            writer(address)
        assert "\n" not in str(caught.value)
        store.replace("a", SOME, entries(1), units(0, 1))
    with writer(address) as store:
        assert len(store) == 1


def test_there_is_no_index_to_read(address: str) -> None:
    with pytest.raises(BadInput, match="no index"):
        reader(address)


def test_a_reader_changes_nothing(address: str) -> None:
    with writer(address) as store:
        store.replace("a", SOME, entries(1), units(0, 1))
    with reader(address) as store:
        for change in (lambda: store.remove("a"), lambda: store.replace("a", SOME, [], units(0, 0))):
            with pytest.raises(ValueError, match="for reading"):
                change()
        assert len(store) == 1


@pytest.mark.parametrize(
    ("given", "vectors"),
    [
        (entries(2), units(0, 3)),
        (entries(2), units(0, 2, WIDTH + 1)),
        (entries(2), 2 * units(0, 2)),
        (entries(2), np.full((2, WIDTH), np.nan, np.float32)),
        ([Entry("sound", 0)], units(0, 1)),  # type: ignore[arg-type]
        ([Entry("notes", 0), Entry("notes", 0)], units(0, 2)),
    ],
)
def test_what_does_not_fit_is_not_stored(tmp_path: Path, given: list[Entry], vectors: Vectors) -> None:
    with writer(str(tmp_path / "index")) as store:
        store.replace("a", SOME, entries(1), units(0, 1))
        with pytest.raises(ValueError):
            store.replace("a", SOME, given, vectors)
        assert store.get("a")[0] == entries(1)


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    with writer(str(tmp_path / "index")) as store:
        for vectors, k, kind in (
            (units(0, 1)[0], 1, None),
            (units(0, 1, 8), 1, None),
            (units(0, 1) * np.inf, 1, None),
            (units(0, 1), 0, None),
            (units(0, 1), 1, "sound"),
        ):
            with pytest.raises(ValueError):
                store.search(vectors, k, kind)  # type: ignore[arg-type]


# What a process of its own does: files 0, 1, ... of ten passages. With a mark it stops there, to be killed.
CHILD = textwrap.dedent(
    """
    import sys, time
    import numpy as np
    from scoresim.index import Entry, Fingerprint, folder, open_store
    address, mark, files = sys.argv[1], sys.argv[2], int(sys.argv[3])
    seen = 0

    def stop(module, name, at):
        plain = getattr(module, name)
        def stopped(*words):
            global seen
            seen += 1
            done = plain(*words)
            if seen == at:
                print("here", flush=True)
                time.sleep(60)
            return done
        setattr(module, name, stopped)

    folder.EXACT = 60
    if mark == "row":
        import importlib
        stop(importlib.import_module("scoresim.index." + ("server" if "://" in address else "folder")), "row", 25)
    if mark == "graph":
        stop(folder, "write_graph", 1)
    chance = np.random.default_rng(7)
    with open_store(address, "a" * 64, write=True, width=32) as store:
        known = store.known()
        for number in range(files):
            vectors = chance.standard_normal((10, 32)).astype("f4")
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            if str(number) not in known:
                print("replace", number, flush=True)
                store.replace(str(number), Fingerprint(1, 2, "x"), [Entry("notes", i) for i in range(10)], vectors)
    """
)


def start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE, text=True)


def lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    return (line.strip() for line in process.stdout)


def killed_at_the_mark(address: str, mark: str, files: int) -> list[str]:
    with start(address, mark, str(files)) as process:
        said = list(itertools.takewhile(lambda line: line != "here", lines(process)))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
    return said


def test_killed_within_a_file_nothing_is_lost_and_nothing_is_twice(address: str) -> None:
    assert killed_at_the_mark(address, "row", 12)[-1] == "replace 2", "in the middle of the third file"
    with reader(address) as store:
        assert sorted(store.known()) == ["0", "1"]
        assert len(store) == 20
    with start(address, "", "12") as process:
        assert next(lines(process)) == "replace 2"
        process.communicate()
    assert process.returncode == 0
    with reader(address) as store:
        assert len(store) == 120
        assert all(store.get(file)[0] == [Entry("notes", i) for i in range(10)] for file in store.known())


def test_killed_while_a_graph_is_made(tmp_path: Path) -> None:
    address = str(tmp_path / "index")
    killed_at_the_mark(address, "graph", 12)
    assert len(list((tmp_path / "index").glob("*.graph"))) == 1, "written, and not yet known"
    with reader(address) as store:
        assert len(store) == 70
    with start(address, "", "12") as process:
        process.communicate()
    graphs = [path.name for path in (tmp_path / "index").glob("*.graph")]
    assert len(graphs) == 1
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == sorted([*graphs, "passages.sqlite"])


# A file that is replaced again and again: every version has its own title and its own number of passages.
WRITER = textwrap.dedent(
    """
    import sys
    import numpy as np
    from scoresim.index import Entry, Fingerprint, folder, open_store
    folder.EXACT = 60
    chance = np.random.default_rng(7)
    with open_store(sys.argv[1], "a" * 64, write=True, width=32) as store:
        for version in range(int(sys.argv[2])):
            n = 5 + 7 * version % 60
            vectors = chance.standard_normal((n, 32)).astype("f4")
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            store.replace("a", Fingerprint(n, 0, "x"), [Entry("notes", i, str(n)) for i in range(n)], vectors)
            store.replace(str(version), Fingerprint(n, 0, "x"), [Entry("image", i) for i in range(n)], vectors)
            if version % 10 == 0:
                store.settle()
    """
)


def test_readers_see_whole_files_while_another_writes(address: str) -> None:
    with writer(address) as store:
        store.replace("a", Fingerprint(5, 0, "x"), [Entry("notes", i, "5") for i in range(5)], units(0, 5))
    seen = set()
    with reader(address) as store:
        process = subprocess.Popen([sys.executable, "-c", WRITER, address, "60"])
        while process.poll() is None:
            found, _ = store.get("a")
            assert {e.title for e in found} == {str(len(found))}
            hits = store.search(units(1, 1), 200, "notes")[0]
            assert {hit.entry.title for hit in hits} == {str(len(hits))}
            seen.add(len(hits))
        assert process.returncode == 0
        assert len(store.known()) == 61
    assert len(seen) > 3, "the reader looked while the writer wrote"


def test_only_new_and_changed_files_are_embedded_again(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text(file.name)
    known = {file.name: fingerprint(file) for file in files}
    assert all(fingerprint(file, known[file.name]) is known[file.name] for file in files)
    os.utime(files[0], ns=(1, 1))  # written again, the same bytes
    files[1].write_text("B")
    (tmp_path / "d").write_text("d")
    found = {name: fingerprint(tmp_path / name, known.get(name)) for name in "abcd"}
    assert changed(known, found) == ["b", "d"]
    assert found["a"] != known["a"] and found["a"].sha256 == known["a"].sha256
    with pytest.raises(BadInput, match="cannot be read"):
        fingerprint(tmp_path / "e")


@pytest.fixture
def large(tmp_path: Path, small: int) -> Path:
    """An index in a folder with a graph of 100 vectors and two that it does not know."""
    with writer(str(tmp_path / "index")) as store:
        store.replace("a", SOME, entries(100), units(0, 100))
    with writer(str(tmp_path / "index")) as store:
        store.replace("b", SOME, entries(2), units(1, 2))
    assert len(list((tmp_path / "index").glob("*.graph"))) == 1
    return tmp_path / "index"


def sentence(action: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def everything(place: Path) -> None:
    with reader(str(place)) as store:
        store.known()
        store.get("a")
        store.search(units(0, 3), 5)


@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_a_damaged_graph_is_named_and_mended_by_the_next_writer(large: Path, how: str) -> None:
    [path] = large.glob("*.graph")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content if how == "flip" else content[:-100])
    assert path.name in sentence(lambda: everything(large))
    with writer(str(large)) as store:
        assert store.search(units(0, 100)[7:8], 1)[0][0].entry.number == 7
    everything(large)
    assert len(list(large.glob("*.graph"))) == 1


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b"SQLite format 3\0" + b"\xff" * 9000, "half", "middle"])
def test_a_damaged_database_is_named(large: Path, content: bytes | str) -> None:
    path = large / "passages.sqlite"
    whole = path.read_bytes()
    if content == "half":
        content = whole[: len(whole) // 2]
    elif content == "middle":
        content = whole[:4096] + b"\xa5" * (len(whole) - 4096)
    assert isinstance(content, bytes)
    path.write_bytes(content)
    assert str(large) in sentence(lambda: everything(large))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), length=st.integers(1, 3000))
def test_bytes_changed_anywhere_cost_a_sentence_at_most(large: Path, at: float, value: int, length: int) -> None:
    path = large / "passages.sqlite"
    whole = path.read_bytes()
    first = int(at * len(whole))
    path.write_bytes(whole[:first] + bytes([value]) * min(length, len(whole) - first) + whole[first + length :])
    try:
        with suppress(BadInput):
            everything(large)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "change",
    [
        "update passages set vector = x'00' where id = 3",
        "update passages set vector = zeroblob(64), id = 500 where id = 101; update passages set vector = 'text'",
        "update about set format = 'another'",
        "delete from about",
        "drop table passages",
    ],
)
def test_foreign_contents_are_refused(large: Path, change: str) -> None:
    with sqlite3.connect(large / "passages.sqlite") as db:
        db.executescript(change)
    db.close()
    sentence(lambda: everything(large))


def test_other_folders_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mid").write_bytes(b"MThd")
    assert "other files" in sentence(lambda: writer(str(tmp_path / "music")))
    assert [path.name for path in (tmp_path / "music").iterdir()] == ["a.mid"]
    sentence(lambda: writer(str(tmp_path / "music" / "a.mid")))
    assert "neither" in sentence(lambda: writer("s3://bucket/index"))


def test_a_folder_that_cannot_be_written_can_be_read(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *words: False)
    before = sorted(large.iterdir())
    everything(large)
    assert sorted(large.iterdir()) == before


def test_an_index_that_is_made_anew_is_read_anew(tmp_path: Path) -> None:
    """A server goes on, and its answers are those of the index that stands there."""
    place = tmp_path / "index"

    def made(weights: str, file: str) -> Store:
        for path in place.glob("*"):
            path.unlink()
        store = open_store(place, weights, write=True, width=WIDTH)
        store.replace(file, SOME, entries(1), units(0, 1))
        return store

    made(WEIGHTS, "old").close()
    store = reader(str(place))
    assert [hit.file for hit in store.search(units(0, 1))[0]] == ["old"]
    made("b" * 64, "other").close()
    for _ in range(2):
        with pytest.raises(BadInput, match="other weights"):
            store.search(units(0, 1))
    changing = made(WEIGHTS, "new")
    assert [hit.file for hit in store.search(units(0, 1))[0]] == ["new"]
    (place / folder.DATABASE).unlink()
    with pytest.raises(BadInput, match="there is no index"):
        store.search(units(0, 1))
    with pytest.raises(BadInput, match="was removed while it was written"):
        changing.replace("more", SOME, entries(1), units(0, 1))
    changing.close()
    store.close()


def test_without_usearch_a_small_collection_works_and_a_large_one_says_what_is_missing(
    tmp_path: Path, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with writer(str(tmp_path / "index")) as store:
        store.replace("a", SOME, entries(60), units(0, 60))
    everything(tmp_path / "index")
    assert "scoresim[search]" in sentence(lambda: add(tmp_path / "index"))
    with reader(str(tmp_path / "index")) as store:
        assert len(store) == 61, "and nothing is lost"


def add(place: Path) -> None:
    with writer(str(place)) as store:
        store.replace("b", SOME, entries(1), units(1, 1))


def test_servers_that_are_not_there() -> None:
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    said = sentence(lambda: reader("postgresql://me:secret@/music?host=/nowhere"))
    assert "secret" not in said
    sentence(lambda: reader("postgresql://me@/music?nonsense=1"))


@pytest.mark.parametrize("places", ["server"], indirect=True)
def test_a_server_that_ends_costs_a_sentence(database: str, address: str) -> None:
    import psycopg

    with writer(address) as store:
        store.replace("a", SOME, entries(1), units(0, 1))
        with psycopg.connect(database, autocommit=True) as db:
            ours = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
            db.execute(ours)
        sentence(lambda: store.replace("b", SOME, entries(1), units(0, 1)))
        with pytest.raises(BadInput):
            store.settle()
        store.settle = lambda: None  # type: ignore[method-assign]
    with reader(address) as store:
        assert sorted(store.known()) == ["a"]
