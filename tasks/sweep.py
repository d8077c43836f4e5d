"""sweep: find what the queue lost. The outbox is the truth, the queue is only a hint."""

from __future__ import annotations

from contextlib import suppress

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain import catching_up
from nodewise.domain.errors import LostRace, RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Cause, move
from nodewise.intake import publish
from tasks.clean import CLEAN
from tasks.outcome import Outcome

GRACE = 1.0  # seconds that a due job may be on its way before its message counts as lost
AHEAD = 1.5  # seconds ahead of which the queue is told; a sweep comes every second
HEARTBEAT = "worker"
CATCH_UP = Job(Verb.CATCH_UP, "")
CLEAN_EVERY = 3600.0  # seconds
EXPIRY, EXPIRE_EVERY = "expiry", 3600.0  # seconds between two looks for what is too old to be kept

log = structlog.get_logger(__name__)


def sweep(deps: Deps, _subject: str = "") -> Outcome:
    """Publish every job that is due and not being run; set free what waits for nothing; wake what no job will.

    Now and then, have the registries asked for what no webhook told of. Once an hour, have images removed that nobody
    needs, and drop what is too old to be kept.
    """
    now = deps.clock.now()
    deps.store.beat(HEARTBEAT, now)
    jobs: list[Job] = []
    for rollout in deps.store.stuck_queued():
        planned = Job(Verb.PLAN, rollout.id)
        with suppress(LostRace):  # it is not stuck, then
            deps.store.save_rollouts([move(rollout, Cause.FREED, now)], now, jobs=(planned,))
            jobs.append(planned)
    forgotten = [Job(Verb.ADVANCE, rollout_id) for rollout_id in deps.store.forgotten_rollouts()]
    if forgotten:
        deps.store.put_jobs(forgotten, now)
        jobs += forgotten
    jobs += _catch_up(deps, now)
    jobs += _clean(deps, now)
    for job, delay in deps.store.due_jobs(now, GRACE, AHEAD):
        publish(deps, [job], delay)
    _expire(deps, now)
    return Outcome(tuple(jobs))


def _catch_up(deps: Deps, now: float) -> list[Job]:
    """The job is one and the same for all workers: who asks for it at the same moment asks for it once."""
    every = deps.settings.catch_up
    last = deps.store.last_beat(CATCH_UP.verb) if every else None
    if not every or not catching_up.due(last, now, every, deps.started_at):
        return []
    deps.store.put_jobs([CATCH_UP], now)
    deps.store.beat(CATCH_UP.verb, now)
    return [CATCH_UP]


def _clean(deps: Deps, now: float) -> list[Job]:
    """Where anybody has asked for it. As with ``_catch_up``, who asks at the same moment asks for it once."""
    last = deps.store.last_beat(CLEAN.verb) if deps.settings.cleans else None
    if not deps.settings.cleans or (last is not None and 0 <= now - last < CLEAN_EVERY):
        return []
    deps.store.put_jobs([CLEAN], now)
    deps.store.beat(CLEAN.verb, now)
    return [CLEAN]


def _expire(deps: Deps, now: float) -> None:
    """Noted first: should it fail, it is tried again with the next hour and not with the next sweep."""
    last = deps.store.last_beat(EXPIRY)
    if last is not None and now - last < EXPIRE_EVERY:
        return
    deps.store.beat(EXPIRY, now)
    try:
        gone = deps.store.expire(now, deps.settings.keep_days)
    except RetryLater as error:
        log.warning("not_expired", reason=error.what)
    else:
        log.info("expired", rows=gone, days=deps.settings.keep_days)
