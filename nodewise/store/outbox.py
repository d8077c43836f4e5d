"""The outbox: every job that is to be done, from the transaction that asked for it until it is done.

A job that runs is leased. A lost message leaves its row behind, to be found by the sweep; a doubled one finds
the lease taken, or the job not due, or gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from nodewise.domain.jobs import Job, Verb
from nodewise.store.codec import clean
from nodewise.store.database import Database
from nodewise.store.schema import outbox

REPUBLISH = 5.0  # seconds after which the sweep tells the queue once more about a job that still is not run


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one job. ``rev`` tells whether it was asked for again meanwhile."""

    job: Job
    attempts: int
    rev: int


def put(database: Database, connection: Connection, jobs: Iterable[Job], now: float, delay: float = 0.0) -> None:
    """Ask for *jobs* within a transaction. One that is there already becomes due no later than asked for."""
    rows = [
        {
            "verb": job.verb.value,
            "subject": job.subject,
            "due_at": now + delay,
            "attempts": 0,
            "rev": 0,
            "created_at": now,
            "last_error": "",
        }
        for job in jobs
    ]
    if rows:
        connection.execute(_put(database.is_sqlite), rows)


@cache
def _put(is_sqlite: bool) -> Any:
    insert = sqlite.insert(outbox) if is_sqlite else postgresql.insert(outbox)
    earlier = case((outbox.c.due_at < insert.excluded.due_at, outbox.c.due_at), else_=insert.excluded.due_at)
    return insert.on_conflict_do_update(
        index_elements=["verb", "subject"], set_={"due_at": earlier, "rev": outbox.c.rev + 1}
    )


# Statements of every job: made once, and not anew each time.
_MINE = and_(outbox.c.verb == bindparam("b_verb"), outbox.c.subject == bindparam("b_subject"))
_BEGIN = (
    update(outbox)
    .where(_MINE, or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < bindparam("b_now")))
    .where(outbox.c.due_at <= bindparam("b_due"))
    .values(leased_until=bindparam("b_until"), due_at=bindparam("b_until"), attempts=outbox.c.attempts + 1)
    .returning(outbox.c.attempts, outbox.c.rev)
)
_FINISH = delete(outbox).where(_MINE, outbox.c.rev == bindparam("b_rev"))
_GIVE_BACK = update(outbox).where(_MINE).values(leased_until=None, due_at=bindparam("b_now"), attempts=0)
_ASKED_SOONER = and_(outbox.c.rev != bindparam("b_rev"), outbox.c.due_at < bindparam("b_due"))
_AGAIN = (
    update(outbox)
    .where(_MINE)
    .values(
        leased_until=None,
        due_at=case((_ASKED_SOONER, outbox.c.due_at), else_=bindparam("b_due")),
        published_at=bindparam("b_told"),
        attempts=bindparam("b_attempts"),
        last_error=bindparam("b_error"),
    )
    .returning(outbox.c.due_at)
)
_NOT_TOLD = outbox.c.published_at.is_(None)
_LOST = and_(
    outbox.c.due_at < bindparam("b_lost"),
    or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < bindparam("b_now")),
    or_(_NOT_TOLD, outbox.c.published_at < bindparam("b_told")),
)
_COMING = and_(
    outbox.c.due_at >= bindparam("b_now"),
    outbox.c.due_at < bindparam("b_ahead"),
    outbox.c.leased_until.is_(None),
    _NOT_TOLD,
)
_UNTOLD = (
    select(outbox.c.verb, outbox.c.subject, outbox.c.due_at)
    .where(or_(_LOST, _COMING))
    .order_by(outbox.c.due_at)
    .limit(bindparam("b_limit"))
)
_TOLD = update(outbox).where(_MINE).values(published_at=bindparam("b_now"))


class OutboxQueries:
    """Queries on the outbox. None of these writes has to be durable: a job that is run again does no harm."""

    _db: Database

    def put_jobs(self, jobs: Iterable[Job], now: float, delay: float = 0.0) -> None:
        """Ask for *jobs*, in *delay* seconds."""
        with self._db.write(durable=False) as c:
            put(self._db, c, jobs, now, delay)

    def begin_job(self, job: Job, now: float, lease: float, slack: float = 0.05) -> Lease | None:
        """Lease *job* for *lease* seconds; None when it is gone, not due yet, or somebody else's."""
        values = {**_named(job), "b_now": now, "b_due": now + slack, "b_until": now + lease}
        with self._db.write(durable=False) as c:
            row = c.execute(_BEGIN, values).one_or_none()
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
            if c.execute(_FINISH, {**_named(lease.job), "b_rev": lease.rev}).rowcount == 1:
                return True
            return c.execute(_GIVE_BACK, {**_named(lease.job), "b_now": now}).rowcount == 0

    def reschedule_job(
        self, lease: Lease, due_at: float, error: str = "", attempts: int = 0, told_at: float | None = None
    ) -> float:
        """Give a lease back and have the job run again at *due_at*; at once if it was asked for meanwhile.

        *attempts*: how many count as spent. *told_at*: when the queue is told of it, if it is. Returns the time in
        force.
        """
        values = {
            **_named(lease.job),
            "b_rev": lease.rev,
            "b_due": due_at,
            "b_error": clean(error),
            "b_attempts": attempts,
            "b_told": told_at,
        }
        with self._db.write(durable=False) as c:
            due = c.execute(_AGAIN, values).scalar()
        return due_at if due is None else float(due)

    def due_jobs(self, now: float, grace: float, ahead: float = 0.0, limit: int = 2000) -> list[tuple[Job, float]]:
        """Jobs of which the queue has to be told, each with its delay in seconds; marked as told.

        Those that should run by now and do not (their messages are lost, or late), and those that fall due within
        *ahead* seconds and that it has not been told of yet.
        """
        when = {
            "b_now": now,
            "b_lost": now - grace,
            "b_ahead": now + ahead,
            "b_told": now - REPUBLISH,
            "b_limit": limit,
        }
        with self._db.read() as c:
            rows = c.execute(_UNTOLD, when).all()
        if rows:
            with self._db.write(durable=False) as c:
                c.execute(_TOLD, [{"b_verb": r.verb, "b_subject": r.subject, "b_now": now} for r in rows])
        return [(Job(Verb(r.verb), r.subject), max(0.0, r.due_at - now)) for r in rows]

    def outbox_size(self) -> int:
        """How many jobs there are to do."""
        with self._db.read() as c:
            return int(c.execute(select(func.count()).select_from(outbox)).scalar() or 0)

    def waiting(self, verb: Verb, now: float) -> int:
        """How many jobs of that kind are due, and not begun yet."""
        due = select(func.count()).select_from(outbox).where(outbox.c.verb == verb.value, outbox.c.due_at <= now)
        with self._db.read() as c:
            return c.execute(due).scalar_one()

    def oldest_due(self, now: float) -> float:
        """For how many seconds the longest waiting job has been due; 0 when none waits."""
        with self._db.read() as c:
            oldest = c.execute(select(func.min(outbox.c.due_at)).where(outbox.c.leased_until.is_(None))).scalar()
        return max(0.0, now - oldest) if oldest is not None else 0.0


def _is(job: Job):  # type: ignore[no-untyped-def]
    return and_(outbox.c.verb == job.verb.value, outbox.c.subject == job.subject)


def _named(job: Job) -> dict[str, object]:
    return {"b_verb": job.verb.value, "b_subject": job.subject}
