"""What the events of deliveries have started, and what became of it: one query for a whole page of deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, Subquery, Table, and_, func, literal, not_, select, true, union_all

from nodewise.domain.fates import ENDED, FAILED, DeliveryState, Fate, Thing
from nodewise.store.database import Database
from nodewise.store.schema import builds, deliveries, events, rollouts


class FateQueries:
    """Queries on fates."""

    _db: Database

    def fates(self, delivery_ids: Sequence[str]) -> dict[str, list[Fate]]:
        """Of each delivery, in the order in which it was started; events only while they are not handled."""
        found = _started(events.c.delivery_id.in_(delivery_ids))
        fates: dict[str, list[Fate]] = {}
        with self._db.read() as c:
            for delivery_id, thing, id_, name, state, reason, latest in c.execute(select(found).order_by(found.c.id)):
                fates.setdefault(delivery_id, []).append(Fate(Thing(thing), id_, name, state, reason, bool(latest)))
        return fates


def stands(state: DeliveryState) -> ColumnElement[bool]:
    """Which deliveries stand like that, as ``nodewise.domain.fates.state_of`` tells it of one."""
    found = _started(events.c.delivery_id.is_not(None))
    failed = deliveries.c.id.in_(select(found.c.delivery_id).where(found.c.latest, found.c.state.in_(FAILED)))
    if state is DeliveryState.FAILED:
        return failed
    waits = deliveries.c.id.in_(select(found.c.delivery_id).where(found.c.state.not_in(ENDED)))
    return and_(not_(failed), waits if state is DeliveryState.WAITING else not_(waits))


def _started(of: ColumnElement[bool]) -> Subquery:
    """What was started by the events that are meant: the columns of a fate, after the delivery's id."""
    waiting = (literal(Thing.EVENT.value), events.c.id, literal(""), literal(""), events.c.outcome, true())
    return union_all(
        _by_events(Thing.BUILD, builds, ("name", "state", "error"), ("name", "commit", "image")).where(of),
        _by_events(Thing.ROLLOUT, rollouts, ("service", "phase", "reason"), ("service", "image")).where(of),
        select(events.c.delivery_id, *waiting).where(of, events.c.done_at.is_(None)),
    ).subquery()


def _by_events(thing: Thing, table: Table, told: Sequence[str], same: Sequence[str]) -> Select[tuple[object, ...]]:
    """*told*: the columns that are name, state and reason. *same*: in which two are for the same."""
    name, state, reason = (table.c[column] for column in told)
    partition = (events.c.delivery_id, *(table.c[column] for column in same))
    later = func.row_number().over(partition_by=partition, order_by=table.c.id.desc())
    return select(
        events.c.delivery_id,
        literal(thing.value).label("thing"),
        table.c.id.label("id"),
        name.label("name"),
        state.label("state"),
        reason.label("reason"),
        (later == 1).label("latest"),
    ).join_from(events, table, table.c.event_id == events.c.id)
