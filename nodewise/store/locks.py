"""Locks of services and of single digests."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from nodewise.domain.access import Audit
from nodewise.domain.locks import Lock
from nodewise.store.access import insert_audit
from nodewise.store.database import Database
from nodewise.store.schema import locks


def put_locks(database: Database, c: Connection, new: Iterable[Lock]) -> None:
    """Set locks within a transaction. The first reason stands: it is the one to look into."""
    for lock in new:
        row = {"service": lock.service, "digest": lock.digest, "reason": lock.reason, "who": lock.who, "at": lock.at}
        c.execute(database.insert(locks).values(row).on_conflict_do_nothing())


class LockQueries:
    """Queries on locks."""

    _db: Database

    def locks(self, service: str | None = None) -> list[Lock]:
        """Every lock, or those of one service, oldest first."""
        query = select(locks).order_by(locks.c.at)
        if service is not None:
            query = query.where(locks.c.service == service)
        with self._db.read() as c:
            return [Lock(**row._mapping) for row in c.execute(query)]

    def add_lock(self, lock: Lock) -> None:
        with self._db.write() as c:
            put_locks(self._db, c, [lock])
            insert_audit(c, [Audit(lock.at, lock.who, "lock", lock.service, lock.reason)])

    def remove_locks(self, service: str, who: str, now: float, digest: str | None = None) -> int:
        """Take locks away: all of the service's, or that of one digest. Returns how many there were."""
        query = delete(locks).where(locks.c.service == service)
        if digest is not None:
            query = query.where(locks.c.digest == digest)
        with self._db.write() as c:
            gone = int(c.execute(query).rowcount)
            if gone:
                insert_audit(c, [Audit(now, who, "unlock", service, digest or "")])
        return gone
