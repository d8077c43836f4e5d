"""The store: the truth. SQLAlchemy Core on SQLite or PostgreSQL; every query is a named method.

It knows rows and transactions, and nothing of what the values in them mean.
"""

from __future__ import annotations

import secrets

from sqlalchemy import delete, select, update

from nodewise.domain.ids import Chance
from nodewise.store import database as databases
from nodewise.store import schema
from nodewise.store.access import AccessQueries
from nodewise.store.builds import BuildQueries
from nodewise.store.cleaning import CleaningQueries
from nodewise.store.database import Database
from nodewise.store.deliveries import Accepted, DeliveryQueries
from nodewise.store.gathering import Gathering
from nodewise.store.locks import LockQueries
from nodewise.store.outbox import Lease, OutboxQueries
from nodewise.store.rollouts import RolloutQueries
from nodewise.store.telling import TellingQueries

__all__ = ["Accepted", "Lease", "Store"]


class Store(
    DeliveryQueries,
    RolloutQueries,
    BuildQueries,
    CleaningQueries,
    OutboxQueries,
    AccessQueries,
    LockQueries,
    TellingQueries,
):
    """Everything that is kept. For several threads and processes; raises RetryLater when it is out of reach."""

    def __init__(self, database: Database, chance: Chance, tells: bool = False) -> None:
        self._db = database
        self._chance = chance
        self._gathering = Gathering(self._accept_all)
        self._tells = tells

    @classmethod
    def open(cls, url: str, chance: Chance = secrets.randbits, tells: bool = False) -> Store:
        """The store at *url* (``sqlite:////path``, ``postgresql://…``). Connects when first used.

        *chance*: for the ids that it makes. *tells*: whether there is anybody to be told what becomes of rollouts and
        builds.
        """
        return cls(Database(url), chance, tells)

    def migrate(self) -> None:
        """Bring the schema up to date."""
        from nodewise.store.migrate import migrate  # 11 MiB that nothing else needs

        migrate(self._db)

    def ping(self) -> None:
        """Raises RetryLater when the database does not answer."""
        with self._db.read() as c:
            databases.ping(c)

    def dispose(self) -> None:
        """In a forked child: forget the parent's connections."""
        self._db.dispose()

    def close(self) -> None:
        self._db.close()

    def expire(self, now: float, keep_days: float) -> int:
        """Drop bodies of deliveries and readings of ended rollouts that are older than *keep_days*."""
        old = now - keep_days * 86400
        ended = select(schema.rollouts.c.id).where(schema.rollouts.c.ended_at < old)
        d = schema.deliveries
        with self._db.write() as c:
            bodies = c.execute(update(d).where(d.c.received_at < old, d.c.body.is_not(None)).values(body=None))
            gone = c.execute(delete(schema.readings).where(schema.readings.c.rollout_id.in_(ended)))
        return int(bodies.rowcount + gone.rowcount)
