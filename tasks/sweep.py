"""sweep: find what the queue lost. The outbox is the truth, the queue is only a hint."""

from __future__ import annotations

from contextlib import suppress

from nodewise.bootstrap import Deps
from nodewise.domain.errors import LostRace
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Cause, move
from nodewise.intake import publish
from tasks.outcome import Outcome

GRACE = 1.0  # seconds that a due job may be on its way before its message counts as lost
AHEAD = 1.5  # seconds ahead of which the queue is told; a sweep comes every second
HEARTBEAT = "worker"


def sweep(deps: Deps, _subject: str = "") -> Outcome:
    """Publish every job that is due and not being run; set free what waits for nothing; wake what no job will."""
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
    for job, delay in deps.store.due_jobs(now, GRACE, AHEAD):
        publish(deps, [job], delay)
    return Outcome(tuple(jobs))
