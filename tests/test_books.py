"""Books of ABC tunes: every tune has an address, and stands wherever a file of notes does."""

import json
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scoresim
from scoresim.cli import run
from scoresim.data import books
from scoresim.data.books import addresses, each_tune, file_of, only_first, parted, sole, title_of, tunes_in
from scoresim.data.corpora import split_abc
from scoresim.data.corpora._abc import count_tunes, read_tune
from scoresim.data.given import kind_of, read_notes
from scoresim.errors import BadInput
from scoresim.index import collect as collecting
from scoresim.index import open_store
from scoresim.index.collect import collect, music_in
from scoresim.score.sandbox import Failure


@pytest.fixture
def book(tmp_path: Path, tune: Callable[[int], str]) -> Path:
    path = tmp_path / "library" / "book.abc"
    path.parent.mkdir()
    path.write_text("\n".join(map(tune, range(1, 4))), encoding="utf-8")
    return path


@given(st.text(min_size=1).filter(lambda name: "/" not in name and "\0" not in name), st.integers(1, 999_999))
def test_an_address_is_taken_apart_as_it_was_made(name: str, number: int) -> None:
    file = Path("folder", f"{name}.abc")
    assert parted(file.with_name(f"{file.name}#{number}")) == (file, number - 1)
    assert file_of(file) == file


@pytest.mark.parametrize("name", ["a.abc", "a.abc#0", "a.abc#01", "a.abc#", "a.abc#-1", "a.mid#1", ".abc#1", "a#1.abc"])
def test_what_is_no_address(name: str) -> None:
    assert parted(Path(name)) == (Path(name), None)


def test_tunes_are_counted(book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, midi, broken = tmp_path / "one.abc", tmp_path / "a.mid", tmp_path / "broken.abc"
    one.write_text("X:1\nK:C\nC|]\n")
    midi.write_bytes(b"X:1\nX:2\n")
    broken.write_text("no tune")
    assert [tunes_in(path) for path in (book, one, midi, broken, tmp_path / "missing.abc")] == [3, 1, 1, 1, 1]
    assert [path.name for path in addresses(book)] == ["book.abc#1", "book.abc#2", "book.abc#3"]
    missing = tmp_path / "missing.abc"
    tune = addresses(book)[1]
    assert each_tune([midi, book, missing, tune]) == [midi, *addresses(book), missing, tune]
    assert only_first([one, book, tune]) == ["The file is a book of 3 tunes, of which this is the first."]
    assert [sole(path) for path in (one, tune, missing)] == [one, tune, missing]
    others = [tune.with_name("book.abc#4"), tune.with_name("missing.abc#1"), book, midi]
    assert [title_of(path) for path in (tune, *others)] == ["Tune 2", "", "", "", ""]
    with pytest.raises(BadInput, match=r"book\.abc is a book of 3 tunes; give one of them, from .*#1 to .*#3\."):
        sole(book)
    monkeypatch.setattr(books, "MOST", 2)
    with pytest.raises(BadInput, match=r"book\.abc holds 3 tunes; scoresim reads books of 2"):
        each_tune([book])


def test_an_address_is_read_as_its_tune(book: Path) -> None:
    assert kind_of(addresses(book)[2]) == "notes"
    with pytest.raises(BadInput, match=r"nowhere\.abc is no file"):
        kind_of(book.with_name("nowhere.abc#1"))
    found = read_notes([*addresses(book), book, book.with_name("book.abc#4")])
    pieces = [one for one in found if not isinstance(one, Failure)]
    assert [piece.id for piece in pieces] == ["book.abc#1", "book.abc#2", "book.abc#3", "book.abc"]
    assert [piece.title for piece in pieces] == ["Tune 1", "Tune 2", "Tune 3", "Tune 1"]
    assert isinstance(found[-1], Failure)
    assert found[-1].reason == "book.abc does not hold so many tunes"
    book.write_bytes(b"")
    [empty] = read_notes([addresses(book.with_name("book.abc#2"))[0]])
    assert isinstance(empty, Failure)
    assert empty.reason.endswith("book.abc is empty.")


def test_a_book_is_not_made_to_be_counted(tmp_path: Path) -> None:
    """Every tune repeats the fields of its book: half a megabyte would become hundreds."""
    path = tmp_path / "book.abc"
    path.write_text(f"I:{'x' * 100_000}\n" + "X:1\nT:One\nK:C\nC|]\n" * 2_000, encoding="utf-8")
    tracemalloc.start()
    assert tunes_in(path) == 2_000
    assert title_of(path.with_name("book.abc#7")) == "One"
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@given(st.text("X:1K\r\n\0\ufeffa%", max_size=40))
def test_as_many_tunes_are_counted_as_are_made(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "book.abc")
        path.write_bytes(text.encode())
        made = split_abc(path.read_bytes().decode())
        assert count_tunes(path) == len(made)
        assert [read_tune(path, number) for number in range(len(made))] == made


def test_a_pipe_is_no_book_and_keeps_nobody_waiting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.abc")
    assert tunes_in(tmp_path / "pipe.abc") == 1
    assert run(["analyze", str(tmp_path / "pipe.abc")]) == 2
    assert "pipe.abc is no file" in capsys.readouterr().err


def test_of_a_book_that_is_too_large_the_first_tune_is_read(
    weights: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "MOST", 2)
    first, other = scoresim.load(weights).analyze_each([book, addresses_of(book)[1]])
    assert not isinstance(first, BadInput)
    assert not isinstance(other, BadInput)
    assert (first.title, other.title) == ("Tune 1", "Tune 2")


def addresses_of(book: Path) -> list[Path]:
    return [book.with_name(f"{book.name}#{number}") for number in (1, 2, 3)]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_titles_in_any_letters(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "book.abc"
    path.write_bytes("\n".join(f"X:{i}\nT:Là-bas {i}\nK:C\nCDEF|]\n" for i in (1, 2)).encode(encoding))
    assert tunes_in(path) == 2
    assert title_of(addresses(path)[1]) == "Là-bas 2"
    [piece] = read_notes([addresses(path)[1]])
    assert not isinstance(piece, Failure)
    assert (piece.title, len(piece)) == ("Là-bas 2", 4)


def test_commands_take_a_book_apart(
    weights: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(weights)]
    assert run(["analyze", str(book), "--json", "--html", str(tmp_path / "reports"), *model]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["title"] for one in said["found"]] == ["Tune 1", "Tune 2", "Tune 3"]
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [f"book.abc-{i}.html" for i in (1, 2, 3)]
    assert run(["embed", str(book), "-o", str(tmp_path / "v.npz"), "--json", *model]) == 0
    assert [Path(one["file"]).name for one in json.loads(capsys.readouterr().out)["files"]] == [
        "book.abc#1",
        "book.abc#2",
        "book.abc#3",
    ]
    out = str(tmp_path / "hands.mid")
    for words in (["hands", str(book), "-o", out], ["melody", str(book), "-o", out]):
        assert run([*words, *model]) == 2
        assert "is a book of 3 tunes; give one of them" in capsys.readouterr().err
    assert run(["analyze", str(book), "--image", str(tmp_path / "page.png"), *model]) == 2
    assert "is a book of 3 tunes; give one of them" in capsys.readouterr().err
    alone = scoresim.load(weights).analyze(f"{book}#2")
    assert alone.title == "Tune 2"
    assert not any("tunes" in sentence for sentence in alone.unknown)
    assert "The file is a book of 3 tunes, of which this is the first." in scoresim.load(weights).analyze(book).unknown


def test_an_index_holds_every_tune(
    weights: Path,
    book: Path,
    tmp_path: Path,
    tune: Callable[[int], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim, folder = scoresim.load(weights), book.parent
    (folder / "one.abc").write_text(tune(9))
    named = ["book.abc#1", "book.abc#2", "book.abc#3"]
    assert music_in(folder) == [*named, "one.abc"]
    with open_store(tmp_path / "index", sim.weights, write=True, width=sim.model.config.embedding) as store:
        assert collect(folder, store, sim).new == 4
        assert collect(folder, store, sim).same == 4
        book.write_text(tune(1) + "\n" + tune(2), encoding="utf-8")
        done = collect(folder, store, sim)
        assert (done.new, done.same, done.gone, sorted(store.known())) == (2, 1, 1, [*named[:2], "one.abc"])
        with monkeypatch.context() as closed:
            closed.setattr(books, "count_tunes", refused)
            closed.setattr(collecting, "fingerprint", refused)
            done = collect(folder, store, sim)
            assert (done.gone, done.refused, len(store.known())) == (0, ("book.abc", "one.abc"), 3)
    words = ["search", str(tmp_path / "index"), f"{book}#2", "--folder", str(folder), "--top", "1", "--json"]
    assert run([*words, "--model", str(weights)]) == 0
    [best] = json.loads(capsys.readouterr().out)["found"]
    assert (best["file"], best["title"]) == ("book.abc#2", "Tune 2")
    assert run([*words[:-1], "--model", str(weights)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("book.abc#2 (Tune 2)")
    assert run(["search", str(tmp_path / "index"), str(book), "--model", str(weights)]) == 2
    assert "is a book of 2 tunes" in capsys.readouterr().err


def refused(path: Path, *rest: object) -> None:
    if rest:
        raise BadInput(f"{path} cannot be read.")
    raise PermissionError(13, "Permission denied", str(path))
