"""An index on a database server: PostgreSQL with pgvector, for a collection that several machines read.

Tables of the first schema in the search path: `scoresim_about`, `scoresim_files`, `scoresim_passages`. A vector is a
`halfvec` (16 bits per number). A kind with more than `EXACT` vectors gets an index of pgvector (HNSW), which the
server keeps up to date from then on. A writer holds an advisory lock, which the server takes back when it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import psycopg
from psycopg.conninfo import conninfo_to_dict

from scoresim.errors import BadInput
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

OLDEST = (0, 8)  # of pgvector: the first whose index goes on looking when what it found was deleted
EFFORT_SEARCH = 400  # candidates that an index looks at for a query, at most 1000
BUILD_MEMORY = "1GB"  # for making an index; one process makes it, as containers share little memory between several
BLOCK = 100  # queries of one statement
SECONDS = 10  # until a server that does not answer is given up

SCHEMA = """
    create table scoresim_about (format text not null, model text not null, width integer not null);
    create table scoresim_files (
        id bigint generated always as identity primary key, name text not null unique, size bigint not null,
        mtime_ns bigint not null, sha256 text not null
    );
    create table scoresim_passages (
        id bigint generated always as identity primary key,
        file bigint not null references scoresim_files on delete cascade,
        kind text not null, number integer not null, title text not null, page integer, system integer,
        first_bar integer, end_bar integer, vector halfvec({width}) not null
    );
    create index on scoresim_passages (file);
    create index on scoresim_passages (kind);
"""
NEAREST = """
    select query.number, name, {fields}, -(hit.vector <#> query.vector) as cosine
    from unnest(%(queries)s::halfvec[]) with ordinality as query (vector, number)
    cross join lateral (
        select * from scoresim_passages where kind = '{kind}' order by vector <#> query.vector limit %(k)s
    ) as hit
    join scoresim_files on scoresim_files.id = hit.file
"""


class ServerStore(Opened):
    """A `Store` on a PostgreSQL server."""

    def __init__(self, address: str, model_hash: str | None, write: bool, width: int) -> None:
        self._write = write
        self._place = _shown(address)
        with ExitStack() as stack, self._told():
            self._db = psycopg.connect(address, autocommit=True, connect_timeout=SECONDS)
            stack.callback(self._db.close)
            self._db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # all of an answer is of one moment
            if write:
                self._lock()
            about = self._about(model_hash or "", width)
            self.model_hash, self.width = check_about(self._place, about, model_hash)
            if not write:
                self._db.execute("set default_transaction_read_only = on")
            stack.pop_all()

    # ---- opening and closing

    def _lock(self) -> None:
        """Be the only writer of this index."""
        lock = "select pg_try_advisory_lock(hashtextextended('scoresim ' || current_schema(), 0))"
        if self._db.execute(lock).fetchone() != (True,):
            raise BadInput(f"another process is changing the index in {self._place}; wait for its end.")

    def _about(self, model_hash: str, width: int) -> tuple[object, ...]:
        """What the index says of itself; a new one is made when it is opened for writing."""
        with self._db.transaction():
            there = self._db.execute("select to_regclass('scoresim_about')").fetchone() != (None,)
            if not there and not self._write:
                raise BadInput(f"there is no index in {self._place}; make one with scoresim index.")
            if not there:
                self._db.execute("create extension if not exists vector with schema public")
            found = self._db.execute("select extversion from pg_extension where extname = 'vector'").fetchone()
            version = found[0] if found else "none"
            if not found or tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
                raise BadInput(f"{self._place} has pgvector {version}; install 0.8 or newer on the server.")
            if not there:
                self._db.execute(SCHEMA.format(width=width))
                self._db.execute("insert into scoresim_about values (%s, %s, %s)", (FORMAT, model_hash, width))
            return self._db.execute("select format, model, width from scoresim_about").fetchone() or ("", "", 0)

    def close(self) -> None:
        if self._write:
            with suppress(psycopg.Error):  # whose connection is lost holds no lock any more
                self._db.execute("select pg_advisory_unlock_all()")  # else the server lets it go some time later
        self._db.close()

    # ---- files

    def known(self) -> dict[str, Fingerprint]:
        with self._told():
            found = self._db.execute(
                'select name, size, mtime_ns, sha256 from scoresim_files order by name collate "C"'
            )
            return {name: Fingerprint(*rest) for name, *rest in found}

    def silent(self) -> list[str]:
        with self._told():
            found = self._db.execute(
                "select name from scoresim_files where not exists "
                "(select 1 from scoresim_passages where file = scoresim_files.id) "
                'order by name collate "C"'
            )
            return [name for (name,) in found]

    def replace(self, file: str, fingerprint: Fingerprint, entries: Sequence[Entry], vectors: Vectors) -> None:
        check_files(entries, vectors, self.width)
        with self._told(), self._db.transaction(), self._db.cursor() as cursor:
            cursor.execute("delete from scoresim_files where name = %s", (file,))
            mark = fingerprint.size, fingerprint.mtime_ns, fingerprint.sha256
            add = "insert into scoresim_files (name, size, mtime_ns, sha256) values (%s, %s, %s, %s) returning id"
            number = (cursor.execute(add, (file, *mark)).fetchone() or (0,))[0]
            with cursor.copy(f"copy scoresim_passages (file, {', '.join(FIELDS)}, vector) from stdin") as copy:
                for entry, vector in zip(entries, _literals(vectors), strict=True):
                    copy.write_row((number, *row(entry), vector))

    def touch(self, file: str, fingerprint: Fingerprint) -> None:
        with self._told():
            change = "update scoresim_files set size = %s, mtime_ns = %s, sha256 = %s where name = %s"
            self._db.execute(change, (fingerprint.size, fingerprint.mtime_ns, fingerprint.sha256, file))

    def remove(self, file: str) -> None:
        with self._told():
            self._db.execute("delete from scoresim_files where name = %s", (file,))

    def get(self, file: str) -> tuple[list[Entry], Vectors]:
        with self._told(), self._db.transaction():
            number = self._db.execute("select id from scoresim_files where name = %s", (file,)).fetchone()
            if number is None:
                raise BadInput(f"{file} is not in {self._place}; scoresim index adds what stands in a folder.")
            found = self._db.execute(
                f"select {', '.join(FIELDS)}, vector::real[] from scoresim_passages where file = %s "
                "order by kind desc, number",
                number,
            ).fetchall()
        vectors = np.array([r[-1] for r in found], np.float32).reshape(len(found), self.width)
        return [Entry(*r[:-1]) for r in found], vectors

    def __len__(self) -> int:
        with self._told():
            return int((self._db.execute("select count(*) from scoresim_passages").fetchone() or (0,))[0])

    # ---- search

    def search(self, vectors: Vectors, k: int = 10, kind: Kind | None = None) -> list[list[Hit]]:
        check_query(vectors, k, kind, self.width)
        hits: list[list[Hit]] = [[] for _ in vectors]
        queries = list(_literals(vectors))
        with self._told(), self._db.transaction():
            self._db.execute(f"set local hnsw.ef_search = {max(EFFORT_SEARCH, min(k, 1000))}")
            self._db.execute("set local hnsw.iterative_scan = strict_order")
            self._db.execute("set local enable_sort = off")  # where there is an index for the order, take it
            for wanted in KINDS if kind is None else (kind,):
                sql = NEAREST.format(kind=wanted, fields=", ".join(f"hit.{name}" for name in FIELDS))
                for first in range(0, len(queries), BLOCK):
                    ask = {"queries": queries[first : first + BLOCK], "k": k}
                    for number, file, *entry, cosine in self._db.execute(sql, ask):
                        hits[first + number - 1].append(Hit(file, Entry(*entry), float(np.clip(cosine, -1, 1))))
        return [ranked(found, k) for found in hits]

    def settle(self) -> None:
        with self._told():
            for kind in KINDS:
                count = "select count(*) from (select from scoresim_passages where kind = %s limit %s) as found"
                if (self._db.execute(count, (kind, EXACT + 1)).fetchone() or (0,))[0] <= EXACT:
                    continue
                with self._db.transaction():
                    self._db.execute(f"set local maintenance_work_mem = '{BUILD_MEMORY}'")
                    self._db.execute("set local max_parallel_maintenance_workers = 0")
                    self._db.execute(
                        f"create index if not exists scoresim_passages_{kind} on scoresim_passages "
                        f"using hnsw (vector halfvec_ip_ops) where kind = '{kind}'"
                    )
            self._db.execute("analyze scoresim_files, scoresim_passages")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one sentence what the server says in several lines."""
        try:
            yield
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise ValueError("this index was opened for reading") from error
        except psycopg.Error as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise BadInput(f"{self._place} does not do what was asked: {said.rstrip('.')}.") from error


def _shown(address: str) -> str:
    """An address as it may be printed: without a password."""
    try:
        parts = conninfo_to_dict(address)
    except psycopg.Error as error:
        raise BadInput(f"the address of the server cannot be read: {' '.join(str(error).split())}.") from None
    return f"postgresql://{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"


def _literals(vectors: Vectors) -> Iterator[str]:
    """Vectors as pgvector reads them."""
    return (json.dumps(vector) for vector in vectors.astype(np.float16).astype(float).tolist())
