"""An index in a folder: SQLite for all that must not be lost, and beside it graphs that are made from it.

    passages.sqlite      files, passages and their vectors (16 bits per number); SQLite's own -wal and -shm beside it
    KIND-TOKEN.graph     for a kind with more than `EXACT` vectors: those up to some id, see `graph`
    .lock                while somebody writes

A search compares a query with the candidates of the graph and with everything newer than the graph. So a killed run
leaves nothing that is half done: a file is one transaction, and a graph that was not finished was not yet known.
Readers see the state at the beginning of their search and never wait (SQLite's write-ahead log). The folder has to be
on a disk of this machine: SQLite shares no log over a network.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from scoresim.errors import BadInput
from scoresim.files import LOCK, locked, sweep
from scoresim.index.graph import Longs, damaged, found_in, is_whole, new_graph, open_graph, write_graph
from scoresim.index.store import (
    EXACT,
    FIELDS,
    FORMAT,
    KINDS,
    Entry,
    Fingerprint,
    Hit,
    Kind,
    Opened,
    Vectors,
    check_about,
    check_files,
    check_query,
    ranked,
    row,
)

if TYPE_CHECKING:
    from usearch.index import Index

DATABASE = "passages.sqlite"
BLOCK = 256  # queries that are asked at a time
BATCH = 20_000  # vectors that are added to a graph at a time
LEAST_CANDIDATES, OF_EACH = 40, 4  # candidates of a graph: so many, or so many times k
GROWTH = 0.25  # share of new vectors at which a writer lets graphs grow before it ends
DEAD = 0.25  # share of removed vectors at which a graph is made anew
WAIT = 30.0  # seconds for SQLite's own locks, which are held for an instant
NOWHERE = (0, 0)  # device and number of a file that is not there
TRIES = 5  # a graph can be replaced between reading its name and opening it; not five times in a row

SCHEMA = f"""
    create table about (format text not null, model text not null, width integer not null);
    create table files (
        id integer primary key, name text not null unique, size integer not null, mtime_ns integer not null,
        sha256 text not null
    );
    create table passages (
        id integer primary key autoincrement,  -- never given twice: graphs hold it
        file integer not null references files on delete cascade,
        {", ".join(FIELDS)}, vector blob not null
    );
    create index passages_of_file on passages (file);
    create index passages_of_kind on passages (kind, id);
    create table graphs (kind text primary key, name text not null, sha256 text not null, upto integer not null,
        count integer not null);
"""


@dataclass
class _Shelf:
    """What is kept in memory of a kind: its graph, and the vectors that are not in it.

    Attributes:
        state: of the database when this was read.
        name: of the graph, "" for none.
        graph: None for none.
        ids: of the vectors that are not in the graph [T], rising.
        vectors: [T, width].
    """

    state: tuple[int, int]
    name: str
    graph: Index | None
    ids: Longs
    vectors: Vectors


class FolderStore(Opened):
    """A `Store` in a folder of this machine."""

    def __init__(self, folder: Path, model_hash: str | None, write: bool, width: int) -> None:
        self.folder = folder
        self._write = write
        self._shelves: dict[Kind, _Shelf] = {}
        self._added, self._settled = 0, 0  # vectors since graphs were last looked at, and all of then
        self._file: tuple[int, int] | None = None  # that is open; None while it is opened
        self._asked = model_hash, width
        self._enter()

    # ---- opening and closing

    def _enter(self) -> None:
        """Open what stands in the folder now."""
        model_hash, width = self._asked
        file, self._file, entered = self._stands(), None, NOWHERE
        try:
            with ExitStack() as stack:
                self._db = self._open(stack)
                about = self._about(model_hash or "", width)
                self.model_hash, self.width = check_about(str(self.folder), about, model_hash)
                if self._write:
                    self._mend()
                self._stack = stack.pop_all()
            entered = self._stands() if self._write else file
        finally:
            self._file = entered  # where it failed, the next call tries again

    def _stands(self) -> tuple[int, int]:
        """Device and number of the database's file; no other has it while that is open."""
        try:
            state = (self.folder / DATABASE).stat()
        except OSError:
            return NOWHERE
        return state.st_dev, state.st_ino

    def _follow(self) -> None:
        """Where the index was removed since it was opened, open the one that was made in its place."""
        if self._file is None or self._stands() == self._file:
            return
        if self._write:
            raise BadInput(f"the index in {self.folder} was removed while it was written; run scoresim index again.")
        self.close()
        self._enter()

    def _open(self, stack: ExitStack) -> sqlite3.Connection:
        path = self.folder / DATABASE
        if self._write:
            if self.folder.is_dir() and not path.exists() and {p.name for p in self.folder.iterdir()} - {LOCK}:
                raise BadInput(f"{self.folder} holds other files and no index; choose a new or an empty folder.")
            stack.enter_context(locked(self.folder))
            mode = "rwc"
        elif path.is_file():
            asleep = not path.with_name(f"{DATABASE}-wal").exists()  # nobody writes, and SQLite has nothing to note
            mode = "ro&immutable=1" if asleep and not os.access(self.folder, os.W_OK) else "ro"
        else:
            raise BadInput(f"there is no index in {self.folder}; make one with scoresim index.")
        with self._told():
            address = f"file:{quote(os.path.abspath(path))}?mode={mode}"
            db = sqlite3.connect(address, timeout=WAIT, isolation_level=None, uri=True)
            stack.callback(db.close)
            db.execute("pragma foreign_keys = on")
            if self._write:
                db.execute("pragma journal_mode = wal")
                db.execute("pragma synchronous = normal")
        return db

    def _about(self, model_hash: str, width: int) -> tuple[object, ...]:
        """What the index says of itself; a new one is made when it is opened for writing."""
        with self._transaction("begin immediate" if self._write else "begin") as db:
            empty = db.execute("select count(*) from sqlite_master").fetchone() == (0,)
            if empty and self._write:
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
                db.execute("insert into about values (?, ?, ?)", (FORMAT, model_hash, width))
            elif empty:
                raise BadInput(f"there is no index in {self.folder} yet; wait for scoresim index, or run it.")
            return db.execute("select format, model, width from about").fetchone() or ("", "", 0)

    def _mend(self) -> None:
        """Forget graphs that are damaged, and remove what killed runs left."""
        with self._transaction("begin immediate") as db:
            known = db.execute("select name, sha256 from graphs").fetchall()
            whole = {name for name, checksum in known if is_whole(self.folder / name, checksum)}
            db.executemany("delete from graphs where name = ?", [(name,) for name, _ in known if name not in whole])
        sweep(self.folder)
        for path in self.folder.glob("*.graph"):
            if path.name not in whole:
                path.unlink()

    def close(self) -> None:
        self._shelves.clear()
        self._stack.close()

    # ---- files

    def known(self) -> dict[str, Fingerprint]:
        with self._transaction() as db:
            found = db.execute("select name, size, mtime_ns, sha256 from files order by name")
            return {name: Fingerprint(*rest) for name, *rest in found}

    def silent(self) -> list[str]:
        with self._transaction() as db:
            found = db.execute(
                "select name from files where not exists (select 1 from passages where file = files.id) order by name"
            )
            return [name for (name,) in found]

    def replace(self, file: str, fingerprint: Fingerprint, entries: Sequence[Entry], vectors: Vectors) -> None:
        check_files(entries, vectors, self.width)
        with self._transaction("begin immediate") as db:
            db.execute("delete from files where name = ?", (file,))
            mark = fingerprint.size, fingerprint.mtime_ns, fingerprint.sha256
            number = db.execute("insert into files values (null, ?, ?, ?, ?)", (file, *mark)).lastrowid
            values = ", ".join("?" * (len(FIELDS) + 2))
            db.executemany(
                f"insert into passages (file, {', '.join(FIELDS)}, vector) values ({values})",
                ((number, *row(e), v.tobytes()) for e, v in zip(entries, vectors.astype("<f2"), strict=True)),
            )
        self._added += len(entries)
        if self._added > max(EXACT, GROWTH * self._settled):  # readers compare with all that no graph knows
            self.settle()

    def touch(self, file: str, fingerprint: Fingerprint) -> None:
        with self._transaction("begin immediate") as db:
            mark = fingerprint.size, fingerprint.mtime_ns, fingerprint.sha256
            db.execute("update files set size = ?, mtime_ns = ?, sha256 = ? where name = ?", (*mark, file))

    def remove(self, file: str) -> None:
        with self._transaction("begin immediate") as db:
            db.execute("delete from files where name = ?", (file,))

    def get(self, file: str) -> tuple[list[Entry], Vectors]:
        with self._transaction() as db:
            if db.execute("select 1 from files where name = ?", (file,)).fetchone() is None:
                raise BadInput(f"{file} is not in {self.folder}; scoresim index adds what stands in a folder.")
            found = db.execute(
                f"select {', '.join(FIELDS)}, vector from passages join files on files.id = file "
                "where name = ? order by kind desc, number",
                (file,),
            ).fetchall()
        return [Entry(*r[:-1]) for r in found], self._matrix(r[-1] for r in found)

    def __len__(self) -> int:
        with self._transaction() as db:
            return int(db.execute("select count(*) from passages").fetchone()[0])

    # ---- search

    def search(self, vectors: Vectors, k: int = 10, kind: Kind | None = None) -> list[list[Hit]]:
        check_query(vectors, k, kind, self.width)
        kinds = KINDS if kind is None else (kind,)
        for attempt in range(TRIES):
            try:
                with self._transaction() as db:
                    blocks = [vectors[i : i + BLOCK] for i in range(0, len(vectors), BLOCK)]
                    return [hits for block in blocks for hits in self._answers(db, block, k, kinds)]
            except FileNotFoundError as error:
                if attempt == TRIES - 1:
                    raise damaged(Path(str(error))) from None
        raise AssertionError

    def _answers(self, db: sqlite3.Connection, queries: Vectors, k: int, kinds: Iterable[Kind]) -> Iterator[list[Hit]]:
        """The best k of each query, nearest first."""
        parts = [part for kind in kinds for part in self._nearest(db, queries, k, kind)]
        ids = np.concatenate([ids for ids, _ in parts], axis=1)
        cosines = np.concatenate([cosines for _, cosines in parts], axis=1)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        ids, cosines = np.take_along_axis(ids, best, 1), np.take_along_axis(cosines, best, 1)
        wanted = np.unique(ids[np.isfinite(cosines)])
        found = db.execute(
            f"select passages.id, name, {', '.join(FIELDS)} from passages join files on files.id = file "
            "where passages.id in (select value from json_each(?))",
            (json.dumps(wanted.tolist()),),
        )
        named = {number: (name, Entry(*rest)) for number, name, *rest in found}
        for row_ids, row_cosines in zip(ids.tolist(), np.clip(cosines, -1, 1).tolist(), strict=True):
            yield ranked((Hit(*named[i], c) for i, c in zip(row_ids, row_cosines, strict=True) if i in named), k)

    def _nearest(self, db: sqlite3.Connection, queries: Vectors, k: int, kind: Kind) -> Iterator[tuple[Longs, Vectors]]:
        """Ids and cosines [Q, any] of what may be among the best k of a kind; no vector stands there twice."""
        shelf = self._shelf(db, kind)
        cosines = queries @ shelf.vectors.T
        if cosines.shape[1] > k:
            best = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
            yield shelf.ids[best], np.take_along_axis(cosines, best, 1)
        else:
            yield np.broadcast_to(shelf.ids, cosines.shape), cosines
        if shelf.graph:  # one whose vectors were all removed is empty
            yield self._candidates(db, shelf.graph, queries, k)

    def _candidates(self, db: sqlite3.Connection, graph: Index, queries: Vectors, k: int) -> tuple[Longs, Vectors]:
        """Ids and cosines [Q, any] of what a graph finds; -inf for what has been removed since it was made."""
        want = max(LEAST_CANDIDATES, OF_EACH * k)
        while True:
            want = min(want, len(graph))
            ids = found_in(graph, queries, want)
            different = np.unique(ids)
            found = db.execute(
                "select id, vector from passages where id in (select value from json_each(?)) order by id",
                (json.dumps(different.tolist()),),
            ).fetchall()
            alive = np.isin(ids, np.array([number for number, _ in found], np.int64))
            if want == len(graph) or alive.sum(axis=1).min() >= k:
                break
            want *= 4
        vectors = np.zeros((len(different), self.width), np.float32)
        vectors[np.searchsorted(different, [number for number, _ in found])] = self._matrix(v for _, v in found)
        cosines = np.einsum("qd,qwd->qw", queries, vectors[np.searchsorted(different, ids)])
        return ids, np.where(alive, cosines, -np.inf).astype(np.float32)

    def _shelf(self, db: sqlite3.Connection, kind: Kind) -> _Shelf:
        """What is in memory of a kind, brought up to date."""
        state = db.execute("pragma data_version").fetchone()[0], db.total_changes
        old = self._shelves.get(kind)
        if old is not None and old.state == state:
            return old
        graph = db.execute("select name, sha256, upto from graphs where kind = ?", (kind,)).fetchone()
        name, checksum, upto = graph or ("", "", 0)
        if old is None or old.name != name:
            opened = open_graph(self.folder / name, checksum, self.width) if name else None
            old = _Shelf(state, name, opened, np.zeros(0, np.int64), np.zeros((0, self.width), np.float32))
        found = db.execute("select id from passages where kind = ? and id > ? order by id", (kind, upto)).fetchall()
        keep = np.isin(old.ids, np.array(found, np.int64))
        new = list(self._rows(db, kind, int(max(upto, old.ids.max(initial=0)))))
        ids = np.concatenate([old.ids[keep], *(ids for ids, _ in new)])
        vectors = np.concatenate([old.vectors[keep], *(vectors for _, vectors in new)])
        self._shelves[kind] = _Shelf(state, name, old.graph, ids, vectors)
        return self._shelves[kind]

    # ---- graphs

    def settle(self) -> None:
        for kind in KINDS:
            self._settle(kind)
        self._added, self._settled = 0, len(self)

    def _settle(self, kind: Kind) -> None:
        """Give a kind a graph of all its vectors when many are new (the graph grows) or gone (it is made anew)."""
        with self._transaction() as db:
            graph = db.execute("select name, sha256, upto, count from graphs where kind = ?", (kind,)).fetchone()
            old, checksum, upto, count = graph or ("", "", 0, 0)
            tally = "select count(*), max(id) from passages where kind = ? and id > ?"
            newer, last = db.execute(tally, (kind, upto)).fetchone()
            alive = db.execute(tally, (kind, 0)).fetchone()[0] - newer
            anew = count - alive > DEAD * count
            if newer <= EXACT and not anew:
                return
            if old and not anew:
                index = open_graph(self.folder / old, checksum, self.width, write=True)
            else:
                index = new_graph(self.width)
            new = f"{kind}-{secrets.token_hex(4)}.graph"
            checksum = write_graph(self.folder / new, index, self._rows(db, kind, 0 if anew else upto))
        with self._transaction("begin immediate") as db:
            mark = kind, new, checksum, max(upto, last or 0), len(index)
            db.execute("insert or replace into graphs (kind, name, sha256, upto, count) values (?, ?, ?, ?, ?)", mark)
        self._shelves.pop(kind, None)
        if old:
            with suppress(FileNotFoundError):  # who reads it has it open
                (self.folder / old).unlink()

    def _rows(self, db: sqlite3.Connection, kind: Kind, after: int) -> Iterator[tuple[Longs, Vectors]]:
        """Ids and vectors of a kind behind an id, in batches."""
        found = db.execute("select id, vector from passages where kind = ? and id > ? order by id", (kind, after))
        while batch := found.fetchmany(BATCH):
            yield np.array([number for number, _ in batch], np.int64), self._matrix(v for _, v in batch)

    # ---- SQLite

    @contextmanager
    def _transaction(self, begin: str = "begin") -> Iterator[sqlite3.Connection]:
        """One view of the database, or one change of it: all or nothing."""
        self._follow()
        with self._told():
            self._db.execute(begin)
            try:
                yield self._db
                self._db.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.rollback()
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what SQLite says in a word."""
        path = self.folder / DATABASE
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError):
            raise  # a mistake of ours
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of an error that quotes broken bytes
            name = str(getattr(error, "sqlite_errorname", ""))
            if name.startswith("SQLITE_FULL"):
                raise BadInput(f"cannot write {path}: the disk is full; free some space and run it again.") from error
            if name.startswith("SQLITE_READONLY") and not self._write:
                raise ValueError("this index was opened for reading") from error
            if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_BUSY")):
                raise BadInput(
                    f"cannot open {path} ({error}); look at its permissions, and who else uses it."
                ) from error
            raise BadInput(f"{path} is damaged ({error}); remove {self.folder} and index again.") from error

    def _matrix(self, blobs: Iterable[bytes]) -> Vectors:
        """Stored vectors [n, width].

        Raises:
            BadInput: one is not what was stored.
        """
        found = list(blobs)
        if all(isinstance(blob, bytes) and len(blob) == 2 * self.width for blob in found):
            vectors = np.frombuffer(b"".join(found), "<f2").reshape(-1, self.width).astype(np.float32)
            if np.isfinite(vectors).all():
                return vectors
        raise BadInput(f"{self.folder / DATABASE} is damaged: a vector is none; remove {self.folder} and index again.")
