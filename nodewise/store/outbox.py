"""The outbox: every job that is to be done, from the transaction that asked for it until it is done.

A job that runs is leased. A lost message leaves its row behind, to be found by the sweep; a doubled one finds
the lease taken, or the job not due, or gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, delete, func, or_, select, update

from nodewise.domain.jobs import Job, Verb
from nodewise.store.codec import clean
from nodewise.store.database import Database
from nodewise.store.schema import outbox

REPUBLISH = 10.0  # seconds after which the sweep tells the queue once more about a job that still is not run


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one job. ``rev`` tells whether it was asked for again meanwhile."""

    job: Job
    attempts: int
    rev: int


def put(database: Database, connection: Connection, jobs: Iterable[Job], now: float, delay: float = 0.0) -> None:
    """Ask for *jobs* within a transaction. One that is there already becomes due no later than asked for."""
    for job in jobs:
        due = now + delay
        row = {
            "verb": job.verb.value,
            "subject": job.subject,
            "due_at": due,
            "attempts": 0,
            "rev": 0,
            "created_at": now,
            "last_error": "",
        }
        earlier = case((outbox.c.due_at < due, outbox.c.due_at), else_=due)
        connection.execute(
            database.insert(outbox)
            .values(row)
            .on_conflict_do_update(
                index_elements=["verb", "subject"], set_={"due_at": earlier, "rev": outbox.c.rev + 1}
            )
        )


class OutboxQueries:
    """Queries on the outbox. None of these writes has to be durable: a job that is run again does no harm."""

    _db: Database

    def put_jobs(self, jobs: Iterable[Job], now: float, delay: float = 0.0) -> None:
        """Ask for *jobs*, in *delay* seconds."""
        with self._db.write(durable=False) as c:
            put(self._db, c, jobs, now, delay)

    def begin_job(self, job: Job, now: float, lease: float, slack: float = 0.05) -> Lease | None:
        """Lease *job* for *lease* seconds; None when it is gone, not due yet, or somebody else's."""
        free = or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < now)
        with self._db.write(durable=False) as c:
            row = c.execute(
                update(outbox)
                .where(_is(job), free, outbox.c.due_at <= now + slack)
                .values(leased_until=now + lease, due_at=now + lease, attempts=outbox.c.attempts + 1)
                .returning(outbox.c.attempts, outbox.c.rev)
            ).one_or_none()
        return None if row is None else Lease(job, row.attempts, row.rev)

    def extend_lease(self, lease: Lease, now: float, seconds: float) -> bool:
        """Keep a lease alive; False when it is no longer ours."""
        with self._db.write(durable=False) as c:
            done = c.execute(
                update(outbox)
                .where(_is(lease.job), outbox.c.attempts == lease.attempts, outbox.c.leased_until.is_not(None))
                .values(leased_until=now + seconds, due_at=now + seconds)
            )
        return done.rowcount == 1

    def finish_job(self, lease: Lease, now: float) -> bool:
        """Take a done job out. False: it was asked for again meanwhile, stays, and is due now."""
        with self._db.write(durable=False) as c:
            gone = c.execute(delete(outbox).where(_is(lease.job), outbox.c.rev == lease.rev))
            if gone.rowcount == 1:
                return True
            again = c.execute(update(outbox).where(_is(lease.job)).values(leased_until=None, due_at=now, attempts=0))
        return again.rowcount == 0

    def reschedule_job(self, lease: Lease, due_at: float, error: str = "", reset_attempts: bool = False) -> float:
        """Give a lease back and have the job run again at *due_at*; at once if it was asked for meanwhile.

        Returns the time in force.
        """
        asked_again = outbox.c.rev != lease.rev
        with self._db.write(durable=False) as c:
            due = c.execute(
                update(outbox)
                .where(_is(lease.job))
                .values(
                    leased_until=None,
                    due_at=case((and_(asked_again, outbox.c.due_at < due_at), outbox.c.due_at), else_=due_at),
                    attempts=0 if reset_attempts else outbox.c.attempts,
                    published_at=None,
                    last_error=clean(error),
                )
                .returning(outbox.c.due_at)
            ).scalar()
        return due_at if due is None else float(due)

    def due_jobs(self, now: float, grace: float, limit: int = 500) -> list[Job]:
        """Jobs that should run by now and do not: their messages are lost, or late. Marked as published."""
        lost = and_(
            outbox.c.due_at < now - grace,
            or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < now),
            or_(outbox.c.published_at.is_(None), outbox.c.published_at < now - REPUBLISH),
        )
        with self._db.read() as c:
            if not c.execute(select(func.count()).select_from(outbox).where(lost)).scalar():
                return []
        with self._db.write(durable=False) as c:
            keys = c.execute(
                select(outbox.c.verb, outbox.c.subject).where(lost).order_by(outbox.c.due_at).limit(limit)
            ).all()
            jobs = [Job(Verb(k.verb), k.subject) for k in keys]
            for job in jobs:
                c.execute(update(outbox).where(_is(job)).values(published_at=now))
        return jobs

    def outbox_size(self) -> int:
        """How many jobs there are to do."""
        with self._db.read() as c:
            return int(c.execute(select(func.count()).select_from(outbox)).scalar() or 0)

    def oldest_due(self, now: float) -> float:
        """For how many seconds the longest waiting job has been due; 0 when none waits."""
        with self._db.read() as c:
            oldest = c.execute(select(func.min(outbox.c.due_at)).where(outbox.c.leased_until.is_(None))).scalar()
        return max(0.0, now - oldest) if oldest is not None else 0.0


def _is(job: Job):  # type: ignore[no-untyped-def]
    return and_(outbox.c.verb == job.verb.value, outbox.c.subject == job.subject)
