"""Rollouts with their steps and readings, and the releases between which they move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, exists, func, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from nodewise.domain.access import Audit
from nodewise.domain.errors import Conflict, LostRace
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock
from nodewise.domain.release import Release, ReleaseState
from nodewise.domain.rollout import ACTIVE, TERMINAL, Kind, Phase, Rollout
from nodewise.domain.steps import Reading, Step
from nodewise.domain.telling import occasion
from nodewise.domain.watching import Going
from nodewise.store import access
from nodewise.store import outbox as box
from nodewise.store.codec import (
    changed_row,
    clean,
    reading_of,
    reading_row,
    release_of,
    release_row,
    rollout_of,
    rollout_row,
    step_row,
)
from nodewise.store.database import Database
from nodewise.store.locks import put_locks
from nodewise.store.schema import outbox, readings, releases, rollouts, steps
from nodewise.store.telling import TellingQueries

_TERMINAL = [p.value for p in TERMINAL]
_ACTIVE = [p.value for p in ACTIVE]
_GOING = [p.value for p in Phase if p.going]


# Statements of every look at every rollout: made once, and not anew each time.
_ONE = select(rollouts).where(rollouts.c.id == bindparam("b_id"))
_STEPS = select(steps).where(steps.c.rollout_id == bindparam("b_id")).order_by(steps.c.position)
_SAVE = update(rollouts).where(rollouts.c.id == bindparam("b_id"), rollouts.c.version == bindparam("b_version"))
_FORGET_STEPS = delete(steps).where(steps.c.rollout_id == bindparam("b_id"))
_OUTLINE = [literal(None).label(c.name) if c.name == "plan" else c for c in rollouts.c]
_queued = rollouts.alias()
_newer_since = func.coalesce(_queued.c.queued_at, _queued.c.created_at)  # null: queued by a version before 0005
_ONE_AND_NEWER = (
    select(rollouts, _queued.c.id.label("newer"), _newer_since.label("newer_since"))
    .outerjoin(_queued, and_(_queued.c.service == rollouts.c.service, _queued.c.phase == Phase.QUEUED.value))
    .where(rollouts.c.id == bindparam("b_id"))
)


_other = rollouts.alias()
_HELD = exists().where(_other.c.service == rollouts.c.service, _other.c.phase.in_(_ACTIVE))
_STUCK = select(rollouts).where(rollouts.c.phase == Phase.QUEUED.value, ~_HELD)
_GOING_NOW = (
    select(rollouts.c.id, rollouts.c.service_id, rollouts.c.helpers)
    .where(rollouts.c.phase.in_(_GOING))
    .order_by(rollouts.c.id)
)
_HELD_NOW = select(rollouts.c.service).where(rollouts.c.phase.in_(_ACTIVE))
_LOOKS = exists().where(outbox.c.verb == Verb.ADVANCE.value, outbox.c.subject == rollouts.c.id)
_FORGOTTEN = select(rollouts.c.id).where(rollouts.c.phase.in_(_GOING), ~_LOOKS)


class RolloutQueries(TellingQueries):
    """Queries on rollouts and releases."""

    _db: Database

    # -- rollouts ----------------------------------------------------------------------------------

    def add_rollout(self, rollout: Rollout, now: float, who: str) -> tuple[Job, ...]:
        """A rollout that somebody asked for, its job, and the audit of it, in one transaction."""
        job = Job(Verb.ROLLBACK if rollout.kind is Kind.ROLLBACK else Verb.PLAN, rollout.id)
        wanted = rollout.image or (f"release {rollout.requested}" if rollout.requested else "the release before")
        with self._db.write() as c:
            c.execute(rollouts.insert().values(rollout_row(rollout) | {"version": rollout.version}))
            box.put(self._db, c, [job], now)
            self._worth_telling(c, [rollout.id], now)
            access.insert_audit(c, [Audit(now, who, rollout.kind.value, rollout.service, f"{rollout.id}: {wanted}")])
        return (job,)

    def save_rollouts(
        self,
        changed: Sequence[Rollout],
        now: float,
        releases: Sequence[Release] = (),
        release_states: Sequence[tuple[str, int, ReleaseState]] = (),
        jobs: Iterable[Job] = (),
        audit: Sequence[Audit] = (),
        new: Sequence[Rollout] = (),
        locked: Sequence[Lock] = (),
        before: Rollout | None = None,
        readings: Sequence[Reading] = (),
    ) -> tuple[Rollout, ...]:
        """Save rollouts by compare-and-set, with what belongs to the change, in one transaction.

        In the given order: what frees a service comes before what takes it; *new* ones are inserted last. *before*:
        the first of them as it was read; then only what differs is written. *readings* are the first one's. Raises
        LostRace when somebody else saved one first, Conflict when another rollout holds (or waits for) the service.
        """
        try:
            with self._db.write() as c:
                for release in releases:
                    _insert_release(c, release)
                first = changed[0].id if changed else ""
                saved = tuple(self._save_one(c, r, before if r.id == first else None) for r in changed)
                _insert_readings(c, first, readings)
                for rollout in new:
                    c.execute(rollouts.insert().values(rollout_row(rollout) | {"version": rollout.version}))
                put_locks(self._db, c, locked)
                for service, number, state in release_states:
                    _set_state(c, service, number, state)
                box.put(self._db, c, jobs, now)
                self._worth_telling(c, _news([*changed, *new], before), now)
                access.insert_audit(c, audit)
        except IntegrityError as error:
            services = ", ".join(sorted({r.service for r in changed}))
            raise Conflict(f"another rollout holds {services}", "wait for its end") from error
        return saved

    def _save_one(self, c: Connection, rollout: Rollout, before: Rollout | None) -> Rollout:
        row = changed_row(rollout, before)
        if "reason" in row:
            row["reason"] = clean(rollout.reason)
        if not rollout.evidence:
            row.pop("evidence", None)  # written on its own, and never taken away
        after = rollout.version + 1
        done = c.execute(_SAVE, row | {"version": after, "b_id": rollout.id, "b_version": rollout.version})
        if done.rowcount != 1:
            raise LostRace(f"rollout {rollout.id} was saved by someone else since version {rollout.version}")
        self._save_steps(c, rollout, before.steps if before is not None else ())
        return replace(rollout, version=after)

    def _save_steps(self, c: Connection, rollout: Rollout, before: Sequence[Step]) -> None:
        """Only those that differ from *before*'s; a node that is a step no longer goes."""
        known = {step.node_id: (n, step) for n, step in enumerate(before)}
        here = {step.node_id for step in rollout.steps}
        if not before or not known.keys() <= here:
            c.execute(_FORGET_STEPS, {"b_id": rollout.id})
            known = {}
        changed = [(n, s) for n, s in enumerate(rollout.steps) if known.get(s.node_id) != (n, s)]
        if changed:
            c.execute(self._put_step, [step_row(rollout.id, n, s) for n, s in changed])

    @cached_property
    def _put_step(self) -> Any:
        insert = self._db.insert(steps)
        return insert.on_conflict_do_update(
            index_elements=["rollout_id", "node_id"],
            set_={c.name: insert.excluded[c.name] for c in steps.c if not c.primary_key},
        )

    def set_evidence(self, rollout_id: str, text: str) -> None:
        """Keep the first evidence; not under the version, since nothing is decided by it."""
        with self._db.write() as c:
            c.execute(
                update(rollouts)
                .where(rollouts.c.id == rollout_id, rollouts.c.evidence == "")
                .values(evidence=clean(text))
            )

    def rollout_and_newer(self, rollout_id: str) -> tuple[Rollout | None, tuple[str, float] | None]:
        """A rollout, and what waits for its service: (id, since when)."""
        with self._db.read() as c:
            row = c.execute(_ONE_AND_NEWER, {"b_id": rollout_id}).one_or_none()
            if row is None:
                return None, None
            mine = c.execute(_STEPS, {"b_id": rollout_id}).all()
        newer = (row.newer, row.newer_since) if row.newer else None
        return rollout_of(row._mapping, [s._mapping for s in mine]), newer

    def rollout(self, rollout_id: str) -> Rollout | None:
        with self._db.read() as c:
            row = c.execute(_ONE, {"b_id": rollout_id}).one_or_none()
            mine = [] if row is None else c.execute(_STEPS, {"b_id": rollout_id}).all()
        return None if row is None else rollout_of(row._mapping, [s._mapping for s in mine])

    def held_services(self) -> set[str]:
        """The names of all services that a rollout holds."""
        with self._db.read() as c:
            return set(c.execute(_HELD_NOW).scalars())

    def rollouts(
        self, service: str | None = None, limit: int = 50, active: bool = False, outline: bool = False
    ) -> list[Rollout]:
        """Newest first; *active*: only those that have not ended. *outline*: no plans, no steps; not to be saved."""
        query = select(*(_OUTLINE if outline else rollouts.c)).order_by(rollouts.c.id.desc()).limit(limit)
        if service is not None:
            query = query.where(rollouts.c.service == service)
        if active:
            query = query.where(rollouts.c.phase.not_in(_TERMINAL))
        return self._rollouts(query, with_steps=not outline)

    def active_rollout(self, service: str) -> Rollout | None:
        """The one that holds the service."""
        query = select(rollouts).where(rollouts.c.service == service, rollouts.c.phase.in_(_ACTIVE))
        return next(iter(self._rollouts(query)), None)

    def going_rollouts(self) -> list[Going]:
        """Those that look at the swarm again and again. Light: no plan is read, no step."""
        with self._db.read() as c:
            return [Going(r.id, r.service_id, bool(r.helpers)) for r in c.execute(_GOING_NOW)]

    def last_written(self, service: str) -> Rollout | None:
        """The rollout that was the last to write the service in the swarm."""
        query = select(rollouts).where(rollouts.c.service == service, rollouts.c.written_at.is_not(None))
        return next(iter(self._rollouts(query.order_by(rollouts.c.written_at.desc()).limit(1))), None)

    def queued_rollouts(self, service: str) -> list[Rollout]:
        """What waits for the service, oldest first."""
        query = select(rollouts).where(rollouts.c.service == service, rollouts.c.phase == Phase.QUEUED.value)
        return self._rollouts(query.order_by(rollouts.c.id))

    def app_members(self, app_rollout: str) -> list[Rollout]:
        """Every rollout of one app's rollout, in the order of its stages."""
        query = select(rollouts).where(rollouts.c.app_rollout == app_rollout)
        return self._rollouts(query.order_by(rollouts.c.stage, rollouts.c.id))

    def pending_rollouts(self, service: str) -> list[Rollout]:
        """What is asked for and not planned yet, oldest first."""
        query = select(rollouts).where(rollouts.c.service == service, rollouts.c.phase == Phase.PENDING.value)
        return self._rollouts(query.order_by(rollouts.c.id))

    def latest_rollouts(self) -> dict[str, Rollout]:
        """The newest rollout of each service."""
        newest = select(func.max(rollouts.c.id)).group_by(rollouts.c.service)
        return {r.service: r for r in self._rollouts(select(rollouts).where(rollouts.c.id.in_(newest)))}

    def stuck_queued(self) -> list[Rollout]:
        """Rollouts that wait for a service which nothing holds; one that is not planned yet holds nothing."""
        return self._rollouts(_STUCK)

    def forgotten_rollouts(self) -> list[str]:
        """Ids of those that look at the swarm again and again, and have no job that would."""
        with self._db.read() as c:
            return list(c.execute(_FORGOTTEN).scalars())

    def rollout_counts(self) -> dict[str, int]:
        """How many rollouts are in each phase."""
        with self._db.read() as c:
            rows = c.execute(select(rollouts.c.phase, func.count()).group_by(rollouts.c.phase))
            return {r[0]: r[1] for r in rows}

    def _rollouts(self, query: Select[Any], with_steps: bool = True) -> list[Rollout]:
        with self._db.read() as c:
            rows = [r._mapping for r in c.execute(query)]
            if not rows or not with_steps:
                return [rollout_of(r, ()) for r in rows]
            ids = [r["id"] for r in rows]
            found = c.execute(select(steps).where(steps.c.rollout_id.in_(ids)).order_by(steps.c.position))
            by_id: dict[str, list[object]] = {}
            for step in found:
                by_id.setdefault(step.rollout_id, []).append(step._mapping)
        return [rollout_of(r, by_id.get(r["id"], [])) for r in rows]  # type: ignore[arg-type]

    def has_had(self, service: str, digest: str) -> bool:
        """Whether a release of the service has that digest, or a rollout has asked for it, whatever came of that."""
        asked = exists().where(rollouts.c.service == service, rollouts.c.image.endswith(f"@{digest}", autoescape=True))
        brought = exists().where(releases.c.service == service, releases.c.digest == digest)
        with self._db.read() as c:
            return bool(c.execute(select(or_(asked, brought))).scalar())

    # -- readings ----------------------------------------------------------------------------------

    def add_readings(self, rollout_id: str, new: Sequence[Reading]) -> None:
        """Keep readings as evidence."""
        if new:
            with self._db.write(durable=False) as c:
                _insert_readings(c, rollout_id, new)

    def readings(self, rollout_id: str, limit: int = 500) -> list[Reading]:
        """The last *limit* readings, oldest first."""
        query = select(readings).where(readings.c.rollout_id == rollout_id).order_by(readings.c.seq.desc()).limit(limit)
        with self._db.read() as c:
            return [reading_of(r._mapping) for r in c.execute(query)][::-1]

    # -- releases ----------------------------------------------------------------------------------

    def releases(self, service: str, limit: int = 50) -> list[Release]:
        """Newest first."""
        return self._releases(
            select(releases).where(releases.c.service == service).order_by(releases.c.number.desc()).limit(limit)
        )

    def release(self, service: str, number: int) -> Release | None:
        query = select(releases).where(releases.c.service == service, releases.c.number == number)
        return next(iter(self._releases(query)), None)

    def latest_release(self, service: str) -> Release | None:
        return next(iter(self.releases(service, limit=1)), None)

    def release_by_fingerprint(self, service: str, fingerprint: str) -> Release | None:
        """The newest release with that very spec."""
        query = select(releases).where(releases.c.service == service, releases.c.fingerprint == fingerprint)
        return next(iter(self._releases(query.order_by(releases.c.number.desc()).limit(1))), None)

    def good_release_before(self, service: str, number: int | None) -> Release | None:
        """The newest good release below *number*."""
        query = select(releases).where(releases.c.service == service, releases.c.state == ReleaseState.GOOD.value)
        if number is not None:
            query = query.where(releases.c.number < number)
        return next(iter(self._releases(query.order_by(releases.c.number.desc()).limit(1))), None)

    def services_on_record(self) -> set[str]:
        """The names of all services of which there is a release."""
        with self._db.read() as c:
            return {r.service for r in c.execute(select(releases.c.service).distinct())}

    def next_release_number(self, service: str) -> int:
        with self._db.read() as c:
            last = c.execute(select(func.max(releases.c.number)).where(releases.c.service == service)).scalar()
        return int(last or 0) + 1

    def _releases(self, query: Select[tuple[object, ...]]) -> list[Release]:
        with self._db.read() as c:
            return [release_of(r._mapping) for r in c.execute(query)]


def _news(saved: Iterable[Rollout], before: Rollout | None) -> Iterator[str]:
    """Those that may have come to where a person wants to know of it. Where it is not known, whoever tells will see."""
    return (r.id for r in saved if before is None or r.id != before.id or occasion(r) != occasion(before))


def _insert_release(c: Connection, release: Release) -> None:
    try:
        c.execute(releases.insert().values(release_row(release)))
    except IntegrityError as error:
        raise LostRace(f"{release.service} has got a release {release.number} meanwhile") from error


def _insert_readings(c: Connection, rollout_id: str, new: Sequence[Reading]) -> None:
    if new:
        c.execute(readings.insert(), [reading_row(rollout_id, r) for r in new])


def _set_state(c: Connection, service: str, number: int, state: ReleaseState) -> None:
    """A release that ran well once stays good: a later failure says something about that day, not about it."""
    query = update(releases).where(releases.c.service == service, releases.c.number == number)
    if state is ReleaseState.BAD:
        query = query.where(releases.c.state == ReleaseState.NEW.value)
    c.execute(query.values(state=state.value))
