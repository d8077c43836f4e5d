"""Run one job: lease it, do it, and leave the outbox as the next one has to find it.

A job that fails is tried again, later and later, up to its cap; so is one that kills its worker without a word.
Then it gives up for good, and what it was for ends with the reason: nothing hangs, and nothing is lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.build import BuildState
from nodewise.domain.errors import Conflict, GiveUp, LostRace, NodewiseError, RetryLater, UserError
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Cause, Phase, Rollout, move
from nodewise.intake import publish
from nodewise.store import Lease
from tasks import planning
from tasks.advance import advance, free_queued
from tasks.app import follow_app
from tasks.build import build
from tasks.catch_up import catch_up
from tasks.clean import clean
from tasks.heartbeat import keeping_lease
from tasks.outcome import Outcome
from tasks.plan import plan
from tasks.push import push
from tasks.rollback import rollback
from tasks.sweep import AHEAD, sweep
from tasks.tell import tell
from tasks.watch import watch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """One job's function, how long a lease lasts (seconds), and how often it is tried."""

    run: Callable[[Deps, str], Outcome]
    lease: float
    attempts: int


def _advance(deps: Deps, subject: str) -> Outcome:
    """*subject* is a rollout's id, or that of an app's rollout."""
    return follow_app(deps, subject) if subject.startswith("g-") else advance(deps, subject)


RULES: Mapping[Verb, Rule] = {
    Verb.PLAN: Rule(plan, lease=30.0, attempts=60),
    Verb.ADVANCE: Rule(_advance, lease=30.0, attempts=200),
    Verb.ROLLBACK: Rule(rollback, lease=30.0, attempts=200),
    Verb.BUILD: Rule(build, lease=20.0, attempts=10),
    Verb.PUSH: Rule(push, lease=20.0, attempts=60),
    Verb.WATCH: Rule(watch, lease=30.0, attempts=20),
    Verb.TELL: Rule(tell, lease=30.0, attempts=20),
    Verb.CATCH_UP: Rule(catch_up, lease=30.0, attempts=20),
    Verb.CLEAN: Rule(clean, lease=30.0, attempts=20),
}
LONGEST_WAIT = 15.0


def run(deps: Deps, job: Job) -> None:
    """Run *job*, and in its place what follows from it at once; the rest is published."""
    if job.verb is Verb.SWEEP:
        publish(deps, sweep(deps).jobs)
        return
    follow: tuple[Job, ...] = (job,)
    while follow:
        first, *rest = follow
        publish(deps, rest)
        if first.queue != job.queue:
            publish(deps, [first])
            return
        follow = perform(deps, first)


def perform(deps: Deps, job: Job) -> tuple[Job, ...]:
    """Run one job under its lease. A doubled message finds no lease to be had, and does nothing."""
    rule = RULES[job.verb]
    lease = deps.store.begin_job(job, deps.clock.now(), rule.lease)
    if lease is None:
        return ()
    if lease.attempts > rule.attempts:
        return _give_up(deps, lease, f"gave up: the last of {rule.attempts} attempts took its worker with it")
    try:
        with keeping_lease(deps, lease, rule.lease):
            outcome = rule.run(deps, job.subject)
    except LostRace:
        _again(deps, lease, deps.clock.now(), "", attempts=0)
        return ()
    except (RetryLater, Conflict) as error:
        return _later(deps, lease, rule, error, getattr(error, "delay", 1.0))
    except (GiveUp, UserError) as error:
        return _give_up(deps, lease, str(error))
    except Exception as error:
        log.exception("job_failed", job=job.verb.value, subject=job.subject)
        return _later(deps, lease, rule, NodewiseError(f"{type(error).__name__}: {error}"), 1.0)
    if outcome.again_at is not None:
        _again(deps, lease, outcome.again_at, "", attempts=0 if outcome.tried else lease.attempts - 1)
    elif not deps.store.finish_job(lease, deps.clock.now()):
        return (*outcome.jobs, job)
    return outcome.jobs


def _again(deps: Deps, lease: Lease, at: float, error: str, attempts: int) -> None:
    """*attempts*: how many count as spent by now.

    The queue is told of what is due soon; of the rest the sweep tells it in time, or a wake-up comes first.
    """
    now = deps.clock.now()
    soon = at - now < AHEAD
    due = deps.store.reschedule_job(lease, at, error, attempts, told_at=now if soon else None)
    if not soon and due >= at:
        return
    try:
        deps.queue.publish(lease.job, max(0.0, due - deps.clock.now()))
    except RetryLater as unreachable:
        log.info("queue_not_told", job=lease.job.verb.value, subject=lease.job.subject, reason=unreachable.what)


def _later(deps: Deps, lease: Lease, rule: Rule, error: NodewiseError, delay: float) -> tuple[Job, ...]:
    if lease.attempts >= rule.attempts:
        return _give_up(deps, lease, f"gave up after {lease.attempts} attempts: {error}")
    wait = min(LONGEST_WAIT, delay * 1.5 ** min(lease.attempts - 1, 20))
    log.warning("job_again", job=lease.job.verb.value, subject=lease.job.subject, seconds=wait, reason=str(error))
    _again(deps, lease, deps.clock.now() + wait, str(error), lease.attempts)
    return ()


def _give_up(deps: Deps, lease: Lease, reason: str) -> tuple[Job, ...]:
    """End what the job was for, with the reason, and the job with it."""
    log.error("job_given_up", job=lease.job.verb.value, subject=lease.job.subject, reason=reason)
    jobs = _end(deps, lease.job, reason)
    deps.store.finish_job(lease, deps.clock.now())
    return tuple(jobs)


def _end(deps: Deps, job: Job, reason: str) -> Iterable[Job]:
    now = deps.clock.now()
    if job.verb in (Verb.BUILD, Verb.PUSH):
        found = deps.store.build(job.subject)
        if found is not None and not found.state.terminal:
            deps.store.append_build_log(found.id, f"\n{reason}\n")
            deps.store.save_build(replace(found, state=BuildState.FAILED, error=reason, ended_at=now), now)
        return ()
    if job.verb in (Verb.WATCH, Verb.TELL, Verb.CATCH_UP, Verb.CLEAN):
        return ()  # nothing hangs on it: the next one is asked for before long, or with the next change
    if job.subject.startswith("g-"):
        return _end_app(deps, job.subject, reason)
    if not job.subject.startswith("r-"):
        return deps.store.finish_event(job.subject, reason, now)
    rollout = deps.store.rollout(job.subject)
    if rollout is None:
        return ()
    if rollout.phase is Phase.PENDING:
        return planning.refuse(deps, rollout, reason).jobs
    return _end_going(deps, rollout, reason) if rollout.phase.going else ()


def _end_going(deps: Deps, rollout: Rollout, reason: str) -> list[Job]:
    """One that has made services of its own does not end here: it goes on until they are gone."""
    now = deps.clock.now()
    freed: list[Rollout] = []
    jobs: list[Job] = []
    if rollout.phase is Phase.CLEARING:
        left = f"{rollout.reason}; helper services may be left, see 'nodewise doctor': {reason}"
        ended = replace(move(rollout, Cause.CLEARED, now), reason=left)
    else:
        ended = move(rollout, Cause.EXPIRED, now, reason)
        freed, jobs = free_queued(deps, rollout.service, now)
    if ended.phase.going:
        jobs.append(Job(Verb.ADVANCE, ended.id))
    elif ended.app_rollout:
        jobs.append(Job(Verb.ADVANCE, ended.app_rollout))
    deps.store.save_rollouts([ended, *freed], now, jobs=jobs)
    return jobs


def _end_app(deps: Deps, app_rollout: str, reason: str) -> tuple[Job, ...]:
    """Nobody calls those that wait for their turn any more; those on their way end by themselves."""
    now = deps.clock.now()
    waiting = [m for m in deps.store.app_members(app_rollout) if m.phase is Phase.WAITING]
    deps.store.save_rollouts([move(m, Cause.ABORTED, now, f"called off: {reason}") for m in waiting], now)
    return ()
