"""What was told to whom, and the job that tells: asked for in the transaction that makes something worth telling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, select

from nodewise.domain.jobs import Job, Verb
from nodewise.domain.told import OnRecord
from nodewise.store import outbox as box
from nodewise.store.database import Database
from nodewise.store.schema import told

# Seconds. What follows within it is told in one; the sweep, which comes every second, has told the queue by then.
SETTLES = 1.0
_COLUMNS = tuple(f.name for f in fields(OnRecord))


class TellingQueries:
    """Queries on what was told. None of these writes has to be durable: what is told twice does no harm."""

    _db: Database
    _tells: bool

    def _worth_telling(self, c: Connection, subjects: Iterable[str], now: float) -> None:
        """Ask for these rollouts or builds to be told, within a transaction, where there is anybody to tell."""
        if self._tells:
            box.put(self._db, c, [Job(Verb.TELL, subject) for subject in subjects], now, SETTLES)

    def told(self, subject: str) -> dict[str, OnRecord]:
        """What each channel was told of *subject* last."""
        with self._db.read() as c:
            rows = c.execute(select(told).where(told.c.subject == subject))
            return {r.channel: OnRecord(**{name: r._mapping[name] for name in _COLUMNS}) for r in rows}

    def save_told(self, record: OnRecord) -> None:
        """Put it in the place of what was on record of this subject and channel."""
        with self._db.write(durable=False) as c:
            c.execute(self._put_told, asdict(record))

    @cached_property
    def _put_told(self) -> Any:
        insert = self._db.insert(told)
        return insert.on_conflict_do_update(
            index_elements=["subject", "channel"],
            set_={c.name: insert.excluded[c.name] for c in told.c if not c.primary_key},
        )
