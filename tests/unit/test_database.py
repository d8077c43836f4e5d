"""A database that does not answer is something to try again later, whichever statement finds out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nodewise.domain.errors import RetryLater
from nodewise.store.database import Database


def test_a_write_that_cannot_begin_is_to_be_tried_again_and_leaves_no_connection_behind(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/nodewise.db")
    with database.read() as c:
        c.exec_driver_sql("PRAGMA busy_timeout=10")  # its connection is the one that the pool gives next
    other = sqlite3.connect(tmp_path / "nodewise.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryLater, match="the database does not answer: database is locked"), database.write():
        pass
    assert database.engine.pool.checkedout() == 0
    other.execute("ROLLBACK")
    with database.write() as c:
        c.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    other.close()
    database.close()
