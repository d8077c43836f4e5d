"""One rollout of a whole app (cells): which of its services move next, and which are taken back. Idempotent."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.ids import new_id
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.model import OnFailure
from nodewise.domain.rollout import Cause, Kind, Phase, Rollout, move
from nodewise.strategies import cells
from tasks.outcome import DONE, Outcome

log = structlog.get_logger(__name__)


def follow_app(deps: Deps, app_rollout: str) -> Outcome:
    """Begin what may begin, call off what may not, take back what has moved. Woken whenever a member ends."""
    members = [_judged(deps, m) for m in deps.store.app_members(app_rollout)]
    if not members:
        return DONE
    now = deps.clock.now()
    step = cells.follow(members, _on_failure(members), _followed_by_newer(deps, members))
    changed: list[Rollout] = [move(m, Cause.FREED, now) for m in step.begin]
    changed += [move(m, Cause.REPLACED, now, step.reason) for m in step.give_up]
    jobs: list[Job] = [Job(Verb.PLAN, m.id) for m in step.begin]
    for member in step.call_off:
        called_off, more = _call_off(member, step.reason, now)
        changed.append(called_off)
        jobs += more
    new = [_taking_back(deps, member, step.reason, now) for member in step.take_back]
    jobs += [Job(Verb.ROLLBACK, r.id) for r in new]
    if not (changed or new):
        return _wake_replaced(deps, members, now)
    if any(m.phase.terminal for m in changed):
        jobs.append(Job(Verb.ADVANCE, app_rollout))  # what was called off has ended: look again
    deps.store.save_rollouts(changed, now, jobs=jobs, new=new)
    log.info("app_rollout", id=app_rollout, begun=len(step.begin), called_off=len(step.call_off), taken_back=len(new))
    return Outcome(tuple(jobs))


def _on_failure(members: list[Rollout]) -> OnFailure:
    """As the service says that failed; taken back where it never got as far as a plan."""
    return next((m.plan.on_failure for m in cells.failed(members) if m.plan is not None), OnFailure.ROLLBACK)


def _judged(deps: Deps, member: Rollout) -> Rollout:
    """One that was replaced counts as failed once the newer one has come to nothing as well.

    Else the services of one app would be left with different releases: some with what this one brought, others not.
    """
    if member.kind is not Kind.DEPLOY or member.phase is not Phase.SUPERSEDED or member.abort:
        return member
    others = deps.store.rollouts(member.service, outline=True)
    newer = [r for r in others if r.kind is Kind.DEPLOY and r.id > member.id]
    stands = any(not r.phase.terminal or r.phase in (Phase.SUCCEEDED, Phase.FROZEN) for r in newer)
    return replace(member, abort="the newer one came to nothing") if newer and not stands else member


def _wake_replaced(deps: Deps, members: list[Rollout], now: float) -> Outcome:
    """An app's rollout that has failed is over: those that it had replaced look what that means for them."""
    over = all(m.phase.terminal for m in members)
    if not (over and cells.failed(members) and _on_failure(members) is OnFailure.ROLLBACK):
        return DONE
    replaced = {r.app_rollout for m in members if m.kind is Kind.DEPLOY for r in _replaced_by(deps, m)}
    jobs = tuple(Job(Verb.ADVANCE, app_rollout) for app_rollout in sorted(replaced))
    deps.store.put_jobs(jobs, now)
    return Outcome(jobs)


def _replaced_by(deps: Deps, member: Rollout) -> list[Rollout]:
    """The deploys of an app that ended one after the other in favour of *member*."""
    others = deps.store.rollouts(member.service, outline=True)
    older = (r for r in others if r.kind is Kind.DEPLOY and r.id < member.id)
    return [r for r in takewhile(lambda r: r.phase is Phase.SUPERSEDED, older) if r.app_rollout]


def _followed_by_newer(deps: Deps, members: list[Rollout]) -> set[str]:
    """By the store: members after which a newer rollout holds or awaits their service, or has brought another release.

    For these no rollback is made: as the service's latest rollout it would hide the newer one. What the swarm itself
    knows better, someone else's hand, is seen where a rollback is planned (``rollback._left_alone``).
    """
    if not cells.failed(members):
        return set()
    return {m.id for m in members if m.kind is Kind.DEPLOY and m.phase is Phase.SUCCEEDED and _has_newer(deps, m)}


def _has_newer(deps: Deps, member: Rollout) -> bool:
    others = (r for r in deps.store.rollouts(member.service, outline=True) if r.app_rollout != member.app_rollout)
    last = next((r for r in others if r.id > member.id and r.settled), None)
    if last is None:
        return False
    return last.phase.active or last.phase is Phase.QUEUED or last.to_number != member.to_number


def _call_off(member: Rollout, reason: str, now: float) -> tuple[Rollout, list[Job]]:
    """One that has not begun ends at once; one on its way is asked to."""
    if member.phase in (Phase.PENDING, Phase.QUEUED, Phase.WAITING):
        return move(member, Cause.ABORTED, now, f"called off: {reason}"), []
    return replace(member, abort=f"the app's rollout: {reason}"), [Job(Verb.ADVANCE, member.id)]


def _taking_back(deps: Deps, member: Rollout, reason: str, now: float) -> Rollout:
    return Rollout(
        id=new_id("r", now, deps.chance),
        service=member.service,
        kind=Kind.ROLLBACK,
        phase=Phase.PENDING,
        origin=f"app rollout {member.app_rollout}: {reason}",
        created_at=now,
        requested=member.from_number,
        app_rollout=member.app_rollout,
        stage=member.stage,
    )
