"""The database behind the store: SQLite (WAL) or PostgreSQL, and what each needs to be told."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError

from nodewise.domain.errors import RetryLater, UserError
from nodewise.store.turns import Turns

_WRITE = "nodewise_write"
_BUSY_MS = 25_000  # for writers that take no turns: SQLite serves them in no order


class Database:
    """Connections and transactions. One per process; call ``dispose`` after a fork."""

    def __init__(self, url: str) -> None:
        self.url = _normal(url)
        try:
            self.engine = _create(self.url)
        except ArgumentError as error:
            raise UserError(
                "the database URL cannot be read",
                "sqlite:////path/to/file or postgresql://user@host/name",
                "NODEWISE_DATABASE_URL",
            ) from error
        self._turns = Turns(Path(f"{self.engine.url.database}.lock")) if self.is_sqlite else None
        self._durable = self.engine.execution_options(**{_WRITE: "FULL"})
        self._quick = self.engine.execution_options(**{_WRITE: "NORMAL"})

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Each query by itself: what is decided on several is guarded by a version when it is written."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[Connection]:
        """One transaction. On SQLite it takes the write lock at once: it can wait, but not fail half-way.

        *durable*: on the disk before this returns. Without it, a loss of power (not of the process) may take the
        last such transactions back, always in order, and never one that a durable one has followed (sqlite.org,
        pragma synchronous): good enough for what a repeated job makes up for. PostgreSQL knows no difference here.
        """
        engine = self._durable if durable else self._quick
        with _translated(), self._turns or nullcontext(), engine.begin() as connection:
            yield connection

    def insert(self, table: Table) -> Any:
        """INSERT with ON CONFLICT, which each database spells in its own dialect."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def dispose(self) -> None:
        """In a forked child: forget the parent's connections without closing them, and its turns."""
        if self._turns:
            self._turns = self._turns.after_fork()
        self.engine.dispose(close=False)

    def close(self) -> None:
        self.engine.dispose()
        if self._turns:
            self._turns.close()


def _create(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True)
    path = url.partition("///")[2]
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=8, max_overflow=8)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        _into_wal(connection)
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        synchronous = connection.get_execution_options().get(_WRITE)
        if synchronous:
            driver: Any = connection.connection.driver_connection  # every write begins so: not by way of SQLAlchemy
            if connection.info.get(_WRITE) != synchronous:  # it is the connection's own, and stays
                driver.execute(f"PRAGMA synchronous={synchronous}")  # has no effect within a transaction
                connection.info[_WRITE] = synchronous
            driver.execute("BEGIN IMMEDIATE")

    return engine


def _into_wal(connection: Any) -> None:
    """The busy timeout does not cover this pragma: of several that open a new file at once, all but one are refused."""
    end = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def _normal(url: str) -> str:
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise _not_answering(error.orig) from error
    except sqlite3.OperationalError as error:  # from a transaction's beginning, which is the driver's own
        raise _not_answering(error) from error


def _not_answering(error: BaseException | None) -> RetryLater:
    """What the driver says, in one line; SQLAlchemy's own text would show the statement's values."""
    words = " ".join(str(error).split()) or type(error).__name__
    return RetryLater(f"the database does not answer: {words}", delay=2.0)


def ping(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
