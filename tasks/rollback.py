"""rollback: the job that takes a service back.

It is enqueued by a veto (a failed gate, a failed task, a passed deadline), for a rollout that has turned
round: the look that found the veto has written already, and this one sees to it that it has, and that it holds.
And by a person, for a rollout of the kind that goes to an earlier release. It has a queue of its own, so that it
never stands behind anything, and needs neither the registry nor a build.
"""

from __future__ import annotations

from dataclasses import replace

from nodewise.bootstrap import Deps
from nodewise.domain import drift
from nodewise.domain.causes import GOING_BACK
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock
from nodewise.domain.release import Release, marked, same_spec
from nodewise.domain.rollout import Cause, Kind, Phase, Plan, Rollout, move
from nodewise.domain.steps import first_steps
from tasks import planning
from tasks.advance import advance
from tasks.outcome import DONE, Outcome
from tasks.planning import Ground


def rollback(deps: Deps, rollout_id: str) -> Outcome:
    """Plan a rollback that was asked for, or carry out one that a veto asked for."""
    rollout = deps.store.rollout(rollout_id)
    if rollout is None or rollout.phase.terminal:
        return DONE
    if rollout.phase is Phase.PENDING:
        return _take_back(deps, rollout)
    return Outcome(advance(deps, rollout_id).jobs)


def _take_back(deps: Deps, rollout: Rollout) -> Outcome:
    """Take the service over from whatever moves it, and set out for the earlier release."""
    ground = planning.survey(deps, rollout.service)
    if ground is None:
        return planning.refuse(deps, rollout, f"the swarm has no service {rollout.service!r}")
    snapshot = planning.snapshot(deps, ground)
    if rollout.app_rollout:
        reason = _left_alone(deps, rollout, ground, snapshot.release)
        if reason:
            return planning.end(deps, rollout, Cause.REPLACED, reason)
    target = _target(deps, rollout, snapshot.release.number, ground.active)
    if target is None:
        return planning.refuse(deps, rollout, f"{rollout.service} has no earlier good release to go back to")
    now = deps.clock.now()
    others = [*deps.store.queued_rollouts(rollout.service), *([ground.active] if ground.active else [])]
    why = f"replaced by the rollback {rollout.id}"
    # A person's hand has ended them: to an app's rollout that is a failure, unlike making way for a newer deploy.
    replaced = [replace(move(r, Cause.REPLACED, now, why), abort=r.abort or rollout.origin) for r in others]
    plan = Plan(
        strategy="rolling",
        base=snapshot.release.spec,
        base_print=ground.fingerprint,
        base_mark=ground.service.mark,
        target=target.spec,
        deadline=ground.labels.deadline,
        update_config=GOING_BACK,
        replaces=ground.active.id if ground.active else "",
        adopts=ground.service.mark if ground.active and _goes_back_to(ground, target) else "",
    )
    planned = planning.started(rollout, ground, plan, snapshot.release.number, target.number, now, Cause.READY_TO_WRITE)
    planned = planning.with_steps(planned, first_steps(ground.tasks, ground.nodes))
    if ground.active is None and planning.runs_already(ground, snapshot.release, target):
        planned = move(rollout, Cause.ALREADY_THERE, now, f"release {target.number} runs already")
    elif not replaced:
        replaced = _parted(deps, planned)
    jobs = () if planned.phase.terminal else (Job(Verb.ADVANCE, rollout.id),)
    deps.store.save_rollouts(
        [*replaced, planned],
        now,
        releases=snapshot.new,
        release_states=snapshot.proven,
        jobs=(*jobs, *planning.wake([*replaced, planned])),
        locked=_locks(rollout, snapshot.release, target, now),
    )
    return Outcome(jobs)


def _goes_back_to(ground: Ground, target: Release) -> bool:
    """Whether the service is being taken back to *target* already, by the very spec that would be written."""
    return same_spec(ground.service.spec, marked(target.spec, ground.service.mark, GOING_BACK))


def _parted(deps: Deps, rollout: Rollout) -> list[Rollout]:
    """The deploy that a person takes back: told so where its app's rollout is on its way, which fails by that."""
    if rollout.app_rollout:
        return []
    settled = (r for r in deps.store.rollouts(rollout.service) if r.id != rollout.id and r.settled)
    last = next(settled, None)
    if last is None or last.kind is not Kind.DEPLOY or last.phase is not Phase.SUCCEEDED or not last.app_rollout:
        return []
    goes_on = any(not m.phase.terminal for m in deps.store.app_members(last.app_rollout))
    return [replace(last, abort=rollout.origin)] if goes_on and last.to_number != rollout.to_number else []


def _left_alone(deps: Deps, rollout: Rollout, ground: Ground, running: Release) -> str:
    """Why a rollback that an app's rollout wants touches nothing, by the swarm as it is now; empty when it may.

    That no newer rollout had come was asked before it was made (``app._followed_by_newer``): one may have come since.
    """
    other = ground.active or next(iter(deps.store.queued_rollouts(rollout.service)), None)
    if other is not None:
        return f"left alone: {other.id} has taken the service over meanwhile"
    members = deps.store.app_members(rollout.app_rollout)
    brought = next(m for m in members if m.service == rollout.service and m.kind is Kind.DEPLOY)
    if running.number == brought.to_number or drift.as_left(brought, ground.service):
        return ""
    return f"left alone: the service runs release {running.number} by now, and not {brought.to_number} of {brought.id}"


def _locks(rollout: Rollout, running: Release, target: Release, now: float) -> list[Lock]:
    """What a person has taken back is not rolled out again by an event; see ``nodewise unlock``."""
    if not running.digest or running.digest == target.digest:
        return []
    return [Lock(rollout.service, running.digest, f"taken back in {rollout.id}", rollout.origin, now)]


def _target(deps: Deps, rollout: Rollout, running: int, active: Rollout | None) -> Release | None:
    """The release asked for; else the newest good one before the one that runs or is on its way.

    Counting down from the present release, and not along the history, is what keeps two rollbacks in a
    row from undoing each other.
    """
    if rollout.requested is not None:
        return deps.store.release(rollout.service, rollout.requested)
    return deps.store.good_release_before(rollout.service, active.to_number if active else running)
