"""Tokens, the audit, and the leases of what must be single."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from nodewise.domain.access import Audit, Token
from nodewise.domain.errors import Conflict, NotFound
from nodewise.store.database import Database
from nodewise.store.schema import audit, leases, tokens

TOUCH = 60.0  # seconds between two notes of a token's use


def insert_audit(c: Connection, rows: Iterable[Audit]) -> None:
    for row in rows:
        c.execute(audit.insert().values(at=row.at, who=row.who, what=row.what, subject=row.subject, detail=row.detail))


class AccessQueries:
    """Queries on tokens, audit and leases."""

    _db: Database

    def add_token(self, name: str, token_hash: str, scopes: frozenset[str], now: float) -> None:
        """Raises Conflict when the name is taken."""
        row = {"name": name, "hash": token_hash, "scopes": sorted(scopes), "created_at": now}
        try:
            with self._db.write() as c:
                c.execute(tokens.insert().values(row))
        except IntegrityError as error:
            raise Conflict(f"there is a token {name!r} already", "choose another name") from error

    def token_by_hash(self, token_hash: str) -> Token | None:
        with self._db.read() as c:
            row = c.execute(select(tokens).where(tokens.c.hash == token_hash)).one_or_none()
        return None if row is None else _token_of(row._mapping)

    def tokens(self) -> list[Token]:
        with self._db.read() as c:
            return [_token_of(r._mapping) for r in c.execute(select(tokens).order_by(tokens.c.name))]

    def revoke_token(self, name: str, now: float) -> None:
        """Raises NotFound."""
        with self._db.write() as c:
            query = update(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
            if c.execute(query.values(revoked_at=now)).rowcount != 1:
                raise NotFound(f"there is no valid token {name!r}", "nodewise token list shows them", "name")

    def touch_token(self, name: str, now: float) -> None:
        """Note that a token was used, at most once a minute."""
        stale = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < now - TOUCH)
        with self._db.write(durable=False) as c:
            c.execute(update(tokens).where(tokens.c.name == name, stale).values(last_used_at=now))

    def add_audit(self, *rows: Audit) -> None:
        with self._db.write() as c:
            insert_audit(c, rows)

    def audit(self, limit: int = 100, subject: str | None = None, what: str | None = None) -> list[Audit]:
        """Newest first; on one subject, or of one kind, where given."""
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        if what is not None:
            query = query.where(audit.c.what == what)
        with self._db.read() as c:
            return [Audit(r.at, r.who, r.what, r.subject, r.detail) for r in c.execute(query)]

    def take_lease(self, name: str, holder: str, ttl: float, now: float) -> bool:
        """Take or renew a lease for *ttl* seconds; false when somebody else holds it."""
        row = {"name": name, "holder": holder, "until": now + ttl}
        free = or_(leases.c.holder == holder, leases.c.until < now)
        with self._db.write(durable=False) as c:
            taken = c.execute(
                self._db.insert(leases)
                .values(row)
                .on_conflict_do_update(index_elements=["name"], set_={"holder": holder, "until": now + ttl}, where=free)
                .returning(leases.c.name)
            ).one_or_none()
        return taken is not None

    def lease_holder(self, name: str, now: float) -> str | None:
        """Who holds a lease now."""
        with self._db.read() as c:
            return c.execute(select(leases.c.holder).where(leases.c.name == name, leases.c.until >= now)).scalar()

    def drop_lease(self, name: str, holder: str) -> None:
        with self._db.write(durable=False) as c:
            c.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))

    def beat(self, name: str, now: float) -> None:
        """Note that *name* is alive."""
        with self._db.write(durable=False) as c:
            c.execute(self._beat, {"name": f"heartbeat {name}", "holder": "", "until": now})

    @cached_property
    def _beat(self) -> Any:
        insert = self._db.insert(leases)
        return insert.on_conflict_do_update(index_elements=["name"], set_={"until": insert.excluded.until})

    def last_beat(self, name: str) -> float | None:
        """When *name* was last alive."""
        with self._db.read() as c:
            query = select(leases.c.until).where(leases.c.name == f"heartbeat {name}")
            found = c.execute(query).scalar()
        return None if found is None else float(found)


def _token_of(row) -> Token:  # type: ignore[no-untyped-def]
    return Token(row["name"], frozenset(row["scopes"]), row["created_at"], row["revoked_at"], row["last_used_at"])
