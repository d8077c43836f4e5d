"""Control: what a person may do to a rollout on its way, and to a service. The other half of the only way in.

Each act is one compare-and-set with its audit, and wakes the rollout; what follows is decided at its next look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nodewise.bootstrap import Deps
from nodewise.domain import approvals
from nodewise.domain.access import Audit
from nodewise.domain.errors import Conflict, LostRace, NotFound, RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.locks import Lock
from nodewise.domain.release import digest_of
from nodewise.domain.rollout import Cause, Kind, Phase, Rollout, move
from nodewise.domain.staging import open_question
from nodewise.domain.steps import Step, StepState
from nodewise.intake import publish

TRIES = 10  # a look every quarter of a second may win the race for a row; a person's turn comes
HELD = (Phase.WAITING, Phase.PREPARING, Phase.STAGING)
_NOT_BEGUN = (Phase.PENDING, Phase.QUEUED, Phase.WAITING)


def pause(deps: Deps, rollout_id: str, who: str) -> Rollout:
    """Begin nothing new until it is resumed; what has begun goes on being looked at. Raises Conflict."""

    def change(rollout: Rollout) -> Rollout:
        if rollout.phase not in HELD:
            raise Conflict(f"{rollout_id} cannot be paused while it is {_now(rollout)}", _why_not_paused(rollout))
        return replace(rollout, held=rollout.held or f"paused by {who}")

    return _act(deps, rollout_id, who, "pause", change)


def resume(deps: Deps, rollout_id: str, who: str) -> Rollout:
    """Go on. Steps whose gates had failed are asked anew, and its deadlines are set anew. Raises Conflict."""

    def change(rollout: Rollout) -> Rollout:
        if not rollout.held:
            raise Conflict(f"{rollout_id} is not paused, it is {_now(rollout)}", f"see 'nodewise watch {rollout_id}'")
        going = replace(rollout, held="", steps=tuple(map(_anew, rollout.steps)), failing_task="", idle_since=None)
        return replace(going, deadline_at=deps.clock.now() + going.plan.deadline) if going.plan else going

    return _act(deps, rollout_id, who, "resume", change)


def approve(deps: Deps, rollout_id: str, who: str, digest: str = "") -> Rollout:
    """Say yes to what the rollout waits for; *digest*: only if that is what it brings. Raises Conflict."""

    def change(rollout: Rollout) -> Rollout:
        what = open_question(rollout)
        if not what or rollout.plan is None:
            raise Conflict(f"{rollout_id} waits for no approval, it is {_now(rollout)}", "see 'nodewise status'")
        brings = digest_of(rollout.plan.target)
        if digest and digest != brings:
            raise Conflict(f"{rollout_id} brings {brings}, not {digest}", "approve what you have looked at")
        said = approvals.approve(rollout, what, who, deps.clock.now())
        return replace(rollout, approvals=(*rollout.approvals, said))

    return _act(deps, rollout_id, who, "approve", change)


def abort(deps: Deps, rollout_id: str, who: str) -> Rollout:
    """End it: what it has moved is taken back. Raises Conflict."""

    def change(rollout: Rollout) -> Rollout:
        if rollout.phase in _NOT_BEGUN:
            return move(rollout, Cause.ABORTED, deps.clock.now(), f"aborted by {who}")
        if rollout.kind is Kind.ROLLBACK:
            raise Conflict(f"{rollout_id} is a rollback, and is never rolled back", "deploy what should run instead")
        if not rollout.phase.active or rollout.phase in (Phase.ROLLING_BACK, Phase.SWARM_ROLLING_BACK):
            raise Conflict(f"{rollout_id} cannot be aborted, it is {_now(rollout)}", "see 'nodewise history'")
        return replace(rollout, abort=rollout.abort or who)

    return _act(deps, rollout_id, who, "abort", change)


def lock(deps: Deps, service: str, reason: str, who: str) -> Lock:
    """Roll nothing out to *service* until it is unlocked; rollbacks are let through."""
    _known(deps, service)
    made = Lock(service, "", reason or "no reason given", who, deps.clock.now())
    deps.store.add_lock(made)
    return next((found for found in deps.store.locks(service) if not found.digest), made)


def unlock(deps: Deps, service: str, who: str) -> int:
    """Take all locks of *service* away, those of single digests too. Returns how many. Raises NotFound."""
    gone = deps.store.remove_locks(service, who, deps.clock.now())
    if not gone:
        raise NotFound(f"{service!r} is not locked", "see 'nodewise status'", "service")
    return gone


def _known(deps: Deps, service: str) -> None:
    """Raises NotFound for a service that neither the swarm nor the store knows."""
    try:
        found = deps.engine.service(service) is not None
    except RetryLater:
        found = True
    if not found and not deps.store.releases(service, limit=1):
        raise NotFound(f"the swarm has no service {service!r}", "see 'nodewise status'", "service")


def _act(deps: Deps, rollout_id: str, who: str, what: str, change: Callable[[Rollout], Rollout]) -> Rollout:
    for _ in range(TRIES):
        rollout = deps.store.rollout(rollout_id)
        if rollout is None:
            raise NotFound(f"there is no rollout {rollout_id!r}", "see 'nodewise rollouts'", "id")
        if rollout.phase.terminal:
            raise Conflict(f"{rollout_id} has ended: it is {_now(rollout)}", "see 'nodewise history'")
        after = change(rollout)
        jobs = _wake(after)
        now = deps.clock.now()
        note = Audit(now, who, what, rollout.service, rollout_id)
        try:
            (saved,) = deps.store.save_rollouts([after], now, jobs=jobs, audit=[note], before=rollout)
        except LostRace:
            continue
        publish(deps, jobs)
        return saved
    raise RetryLater(f"{rollout_id} changes too quickly to be changed by hand", "try again")


def _wake(rollout: Rollout) -> tuple[Job, ...]:
    own = () if rollout.phase in (*_NOT_BEGUN, Phase.ABORTED) else (Job(Verb.ADVANCE, rollout.id),)
    return (*own, *((Job(Verb.ADVANCE, rollout.app_rollout),) if rollout.app_rollout else ()))


def _anew(step: Step) -> Step:
    return replace(step, state=StepState.MOVING, streaks=(), tasks=()) if step.state is StepState.FAILED else step


def _now(rollout: Rollout) -> str:
    return rollout.phase.value.replace("_", " ")


def _why_not_paused(rollout: Rollout) -> str:
    if rollout.phase is Phase.MOVING:
        return (
            "Swarm's own update cannot be held half-way: a task that dies would come back as the new release;"
            f" abort it, or use the strategy staged (nodewise abort {rollout.id})"
        )
    return "lock the service instead, or abort the rollout"
