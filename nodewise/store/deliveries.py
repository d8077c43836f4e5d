"""Deliveries and events: what came in, and what became of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from nodewise.domain import events as event_codec
from nodewise.domain.access import Audit
from nodewise.domain.build import Build
from nodewise.domain.delivery import Delivery, NewDelivery, StoredEvent, Verdict
from nodewise.domain.errors import Conflict, LostRace, NotFound, RetryLater
from nodewise.domain.events import Event
from nodewise.domain.fates import DeliveryState
from nodewise.domain.ids import Chance, new_id
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.store import access
from nodewise.store import outbox as box
from nodewise.store.codec import build_row, clean, delivery_of, event_data, event_of, rollout_row, stored_key
from nodewise.store.database import Database
from nodewise.store.fates import FateQueries, stands
from nodewise.store.gathering import Gathering
from nodewise.store.schema import builds, deliveries, events, outbox, rejected, rollouts
from nodewise.store.telling import TellingQueries

TRIES = 3
_INSERT_DELIVERY, _INSERT_EVENT = deliveries.insert(), events.insert()  # made once, and not anew each time


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored delivery; ``created`` is false when it had been seen before, and then nothing was started.

    ``beside``: how many others were stored in the same transaction.
    """

    delivery_id: str
    created: bool
    jobs: tuple[Job, ...] = ()
    beside: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """How many requests were turned away at one hook for one reason."""

    provider: str
    hook: str
    reason: str
    count: int
    last_at: float


class DeliveryQueries(FateQueries, TellingQueries):
    """Queries on deliveries and events."""

    _db: Database
    _chance: Chance
    _gathering: Gathering[tuple[NewDelivery, float], Accepted]

    def accept(self, delivery: NewDelivery, now: float) -> Accepted:
        """Store a delivery with its events and their jobs, in one transaction, unless it was seen before.

        Those that come at the same time share one. An event that is acted on once is left out where another delivery
        has told of it. Raises RetryLater.
        """
        return self._gathering.put((delivery, now))

    def _accept_all(self, coming: Sequence[tuple[NewDelivery, float]]) -> Sequence[Accepted | Exception]:
        """All of them in one transaction; where that cannot be, since one was seen before, each by itself."""
        try:
            with self._db.write() as c:
                return self._insert(c, coming)
        except IntegrityError:
            return [self._accept_alone(delivery, now) for delivery, now in coming]

    def _accept_alone(self, delivery: NewDelivery, now: float) -> Accepted | Exception:
        for _ in range(TRIES):
            try:
                with self._db.write() as c:
                    return self._insert(c, [(delivery, now)])[0]
            except IntegrityError:
                seen = self._seen_before(delivery)
                if seen:
                    return Accepted(seen, False)
            except RetryLater as error:
                return error
        return RetryLater("another delivery tells of the same things at this very moment")

    def _insert(self, c: Connection, coming: Sequence[tuple[NewDelivery, float]]) -> list[Accepted]:
        """Each table once for all of them."""
        known = _told_once(c, [e for delivery, _ in coming for e in delivery.events])
        rows, accepted, found = [], [], []
        for delivery, now in coming:
            delivery_id = new_id("d", now, self._chance)
            rows.append(_delivery_row(delivery_id, delivery, now))
            origin = f"{delivery.provider} {delivery_id}"
            new = [e for e in dict.fromkeys(delivery.events) if event_codec.once(e) not in known]
            own = [self._event_row(e, origin, now, delivery_id, event_codec.once(e)) for e in new]
            found += own
            jobs = tuple(Job(Verb.PLAN, row["id"]) for row in own)
            accepted.append(Accepted(delivery_id, True, jobs, len(coming) - 1))
        c.execute(_INSERT_DELIVERY, rows)
        if found:
            c.execute(_INSERT_EVENT, found)
        box.put(self._db, c, [job for a in accepted for job in a.jobs], min(now for _, now in coming))
        return accepted

    def _seen_before(self, delivery: NewDelivery) -> str:
        """The id of the delivery that this one repeats; empty where none does: then only an event of it was told."""
        same = deliveries.c.key == stored_key(delivery.key)
        if delivery.body_digest:
            same = or_(same, deliveries.c.body_digest == delivery.body_digest)
        with self._db.read() as c:
            return str(
                c.execute(select(deliveries.c.id).where(deliveries.c.hook == delivery.hook, same)).scalar() or ""
            )

    def _insert_event(self, c: Connection, event: Event, origin: str, now: float, delivery_id: str | None) -> Job:
        row = self._event_row(event, origin, now, delivery_id)
        c.execute(_INSERT_EVENT, row)
        return Job(Verb.PLAN, row["id"])

    def _event_row(
        self, event: Event, origin: str, now: float, delivery_id: str | None, once: str = ""
    ) -> dict[str, Any]:
        return {
            "id": new_id("e", now, self._chance),
            "delivery_id": delivery_id,
            "kind": event_codec.kind_of(event),
            "data": event_data(event),
            "origin": clean(origin),
            "created_at": now,
            "outcome": "",
            "once": once or None,
        }

    def add_event(self, event: Event, origin: str, now: float) -> tuple[str, tuple[Job, ...]]:
        """An event that came from no delivery, and its job."""
        with self._db.write() as c:
            job = self._insert_event(c, event, origin, now, None)
            box.put(self._db, c, [job], now)
        return job.subject, (job,)

    def replay_delivery(self, delivery_id: str, now: float, who: str) -> tuple[Job, ...]:
        """A stored delivery's events once more, as new events, with the audit of it.

        Raises NotFound, and Conflict for one without events: what a body means is told by its headers too, and these
        are not kept.
        """
        if self.delivery(delivery_id) is None:
            raise NotFound(f"there is no delivery {delivery_id!r}", "nodewise deliveries lists them", "delivery")
        old = self.delivery_events(delivery_id)
        if not old:
            raise Conflict(
                f"{delivery_id} meant nothing when it came in: there is no event to handle once more",
                "where it should have meant something, mend the hook and have the sender send it again",
            )
        with self._db.write() as c:
            first = {e.event: e for e in old}.values()  # what was replayed before does not multiply
            jobs = tuple(self._insert_event(c, e.event, f"{e.origin}, replayed", now, delivery_id) for e in first)
            box.put(self._db, c, jobs, now)
            access.insert_audit(c, [Audit(now, who, "replay", delivery_id, ", ".join(job.subject for job in jobs))])
        return jobs

    def count_rejected(self, provider: str, hook: str, reason: str, now: float) -> None:
        """Count an unsigned or wrongly signed request. Nothing else of it is kept."""
        row = {"provider": provider, "hook": hook, "reason": reason, "count": 1, "last_at": now}
        with self._db.write(durable=False) as c:
            c.execute(
                self._db.insert(rejected)
                .values(row)
                .on_conflict_do_update(
                    index_elements=["provider", "hook", "reason"],
                    set_={"count": rejected.c.count + 1, "last_at": now},
                )
            )

    def rejected(self) -> list[Rejected]:
        """Every count of rejected requests, the latest first."""
        with self._db.read() as c:
            rows = c.execute(select(rejected).order_by(rejected.c.last_at.desc()))
            return [Rejected(**r._mapping) for r in rows]

    def deliveries(
        self,
        limit: int = 50,
        before: str | None = None,
        provider: str | None = None,
        hook: str | None = None,
        verdict: Verdict | None = None,
        state: DeliveryState | None = None,
    ) -> list[Delivery]:
        """Newest first; *before*: only those older than that delivery; and only those of each that is given."""
        query = select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
        if before:
            query = query.where(deliveries.c.id < before)
        wanted = {"provider": provider, "hook": hook, "verdict": verdict and verdict.value}
        for name, value in wanted.items():
            if value:
                query = query.where(deliveries.c[name] == value)
        if state:
            query = query.where(stands(state))
        with self._db.read() as c:
            return [delivery_of(r._mapping) for r in c.execute(query)]

    def delivery(self, delivery_id: str) -> Delivery | None:
        with self._db.read() as c:
            row = c.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
        return None if row is None else delivery_of(row._mapping)

    def delivery_body(self, delivery_id: str) -> bytes:
        """The raw body; empty once it has expired."""
        with self._db.read() as c:
            body = c.execute(select(deliveries.c.body).where(deliveries.c.id == delivery_id)).scalar()
        return zlib.decompress(body) if body else b""

    def last_deliveries(self) -> dict[str, float]:
        """When each hook was last delivered to."""
        d = deliveries.c
        with self._db.read() as c:
            return {r[0]: r[1] for r in c.execute(select(d.hook, func.max(d.received_at)).group_by(d.hook))}

    def outcomes(self, delivery_ids: Sequence[str]) -> dict[str, list[str]]:
        """What the events of each delivery led to, in their order; empty for one that is not handled yet."""
        e = events.c
        found: dict[str, list[str]] = {}
        query = select(e.delivery_id, e.outcome).where(e.delivery_id.in_(delivery_ids)).order_by(e.id)
        with self._db.read() as c:
            for delivery_id, outcome in c.execute(query):
                found.setdefault(delivery_id, []).append(outcome)
        return found

    def delivery_events(self, delivery_id: str) -> list[StoredEvent]:
        with self._db.read() as c:
            rows = c.execute(select(events).where(events.c.delivery_id == delivery_id).order_by(events.c.id))
            return [event_of(r._mapping) for r in rows]

    def delivery_counts(self) -> list[tuple[str, str, int]]:
        """(provider, verdict, how many)."""
        d = deliveries.c
        query = select(d.provider, d.verdict, func.count()).group_by(d.provider, d.verdict)
        with self._db.read() as c:
            return [(r[0], r[1], r[2]) for r in c.execute(query)]

    def event(self, event_id: str) -> StoredEvent | None:
        with self._db.read() as c:
            row = c.execute(select(events).where(events.c.id == event_id)).one_or_none()
        return None if row is None else event_of(row._mapping)

    def finish_event(
        self,
        event_id: str,
        outcome: str,
        now: float,
        rollouts: Sequence[Rollout] = (),
        builds: Sequence[Build] = (),
    ) -> tuple[Job, ...]:
        """Note an event's outcome and insert what it starts, in one transaction.

        Not durable by itself: what it starts is, before the swarm is touched. Raises LostRace if it is done, or
        if another event has started a rollout to the same image meanwhile.
        """
        jobs = (*dict.fromkeys(_first_job(r) for r in rollouts), *(Job(Verb.BUILD, b.id) for b in builds))
        try:
            with self._db.write(durable=False) as c:
                done = c.execute(
                    update(events)
                    .where(events.c.id == event_id, events.c.done_at.is_(None))
                    .values(done_at=now, outcome=clean(outcome))
                )
                if done.rowcount != 1:
                    raise LostRace(f"event {event_id} is done already")
                _insert_started(c, rollouts, builds)
                box.put(self._db, c, jobs, now)
                self._worth_telling(c, [*(r.id for r in rollouts), *(b.id for b in builds)], now)
                c.execute(delete(outbox).where(outbox.c.verb == Verb.PLAN.value, outbox.c.subject == event_id))
        except IntegrityError as error:
            raise LostRace(f"another event has started what {event_id} asks for") from error
        return jobs


def _told_once(c: Connection, found: Sequence[Event]) -> set[str | None]:
    """Which of the events that are acted on once were told before."""
    names = {name for e in found if (name := event_codec.once(e))}
    return set(c.execute(select(events.c.once).where(events.c.once.in_(names))).scalars()) if names else set()


def _first_job(rollout: Rollout) -> Job:
    """One that waits for its turn in an app is set going by the app's rollout."""
    if rollout.phase is Phase.WAITING:
        return Job(Verb.ADVANCE, rollout.app_rollout)
    return Job(Verb.ROLLBACK if rollout.kind is Kind.ROLLBACK else Verb.PLAN, rollout.id)


def _insert_started(c: Connection, new_rollouts: Sequence[Rollout], new_builds: Sequence[Build]) -> None:
    for rollout in new_rollouts:
        c.execute(rollouts.insert().values(rollout_row(rollout) | {"version": rollout.version}))
    for build in new_builds:
        c.execute(builds.insert().values(build_row(build) | {"version": build.version}))


def _delivery_row(delivery_id: str, delivery: NewDelivery, now: float) -> dict[str, object]:
    return {
        "id": delivery_id,
        "provider": delivery.provider,
        "hook": delivery.hook,
        "key": stored_key(delivery.key) or delivery_id,
        "body_digest": delivery.body_digest or None,
        "verdict": delivery.verdict.value,
        "note": clean(delivery.note),
        "received_at": now,
        "size": len(delivery.body),
        "body": zlib.compress(delivery.body, 1),
    }
