"""Looks: raw observation in, one named cause out, for every phase in which the service is ours. Pure.

The order of the questions in each function is the policy. What follows from a cause is in the table of ``rollout``.
"""

from __future__ import annotations

from dataclasses import replace

from nodewise.domain.causes import (
    Cause,
    Finding,
    all_up_to_date,
    as_asked,
    as_taken_back,
    as_written,
    begins,
    converged,
    foreign,
    is_base,
    kept_there,
    last_failure,
    late,
    left_behind,
    lost_tasks,
    not_back,
    past_deadline,
    stuck,
    swarm_turned,
    veto,
    wanted_tasks,
)
from nodewise.domain.chores import AFTER, next_chore
from nodewise.domain.chores import purpose as purpose_of_try
from nodewise.domain.helpers import CANDIDATE
from nodewise.domain.model import Kind, Phase, Plan, Rollout, Seen
from nodewise.domain.staging import detect_preparing, detect_staging
from nodewise.domain.swarm import ServiceView, image_of

PATIENCE = 30.0  # seconds without any motion for which a newer deploy waits for a task on its way


def detect(rollout: Rollout, seen: Seen, now: float) -> Finding:
    """Name what is seen."""
    plan, service = rollout.plan, seen.service
    assert plan is not None
    if rollout.phase is Phase.CLEARING:
        return Finding(Cause.PROGRESS) if seen.helpers else Finding(Cause.CLEARED)
    if service is None or service.id != rollout.service_id:
        return Finding(Cause.FOREIGN_HAND, f"the service {rollout.service} was removed in the middle")
    return _DETECTORS[rollout.phase](rollout, plan, service, seen, now)


def _moving(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    if service.mark != rollout.mark:
        return _not_ours_yet(rollout, plan, service, seen, now)
    if not as_written(rollout, plan, service):
        return Finding(Cause.FOREIGN_HAND, foreign(service))
    if rollout.abort and rollout.kind is Kind.DEPLOY:
        return Finding(Cause.ABORTED, f"aborted by {rollout.abort}")
    if converged(rollout, service, seen):
        return _after_all(rollout, plan, service, seen, now)
    if rollout.kind is Kind.ROLLBACK:
        if late(rollout, now):
            return Finding(Cause.EXPIRED, past_deadline(plan, rollout) + last_failure(seen), stuck(seen))
        return Finding(Cause.NODE_LOST if lost_tasks(service, seen) else Cause.PROGRESS)
    found = veto(rollout, plan, service, seen)
    if found is None and lost_tasks(service, seen):
        return Finding(Cause.NODE_LOST)
    if found is None and late(rollout, now):
        found = Finding(Cause.VETO, past_deadline(plan, rollout), stuck(seen))
    if found is not None:
        return as_asked(plan, found)
    return _make_way(rollout, seen, now) if seen.newer else Finding(Cause.PROGRESS)


def _not_ours_yet(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    if not is_base(plan, service):
        return Finding(Cause.FOREIGN_HAND, foreign(service))
    if rollout.abort and rollout.kind is Kind.DEPLOY:
        return Finding(Cause.ABORTED, f"aborted by {rollout.abort}")
    if rollout.written_at is not None:  # our write has stood there: whoever brought the base back did it since
        turned = service.update_state.startswith("rollback")
        return swarm_turned(service, seen) if turned else Finding(Cause.FOREIGN_HAND, foreign(service))
    if late(rollout, now):
        return Finding(Cause.VETO if rollout.kind is Kind.DEPLOY else Cause.EXPIRED, past_deadline(plan, rollout))
    return Finding(Cause.NOT_WRITTEN)


def _make_way(rollout: Rollout, seen: Seen, now: float) -> Finding:
    """A newer deploy takes over between two tasks: at any other moment one more would be down than asked for.

    It does so by itself, in the moment in which it begins: until then this one goes on, and its gates are read.
    Where a task does not come up, it is not waited for: taking back touches nothing but what this rollout moved.
    """
    coming = [t for t in wanted_tasks(seen) if not t.running]
    if not coming and rollout.plan is not None and _begins_with_a_write(rollout.plan):
        return Finding(Cause.WAY_FREE)
    if coming and now - max([seen.newer_since, *(s.since for s in rollout.steps)]) > PATIENCE:
        return Finding(Cause.MAKE_WAY, f"makes way for the newer {seen.newer}", coming[0])
    return Finding(Cause.PROGRESS)


def _begins_with_a_write(plan: Plan) -> bool:
    """Whether the next rollout of this service would write it at once. One that begins with candidates or chores may
    end before it has written: then the service would stand half-way, so it waits for the end of this one."""
    return not (plan.staged or plan.approval or any(c.name != "after" for c in plan.chores))


def _after_all(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    """Every node runs the new release: what is left to do?"""
    if rollout.kind is Kind.DEPLOY and next_chore(rollout, AFTER, seen) is not None:
        return Finding(Cause.CHORES)
    if rollout.kind is Kind.DEPLOY and plan.watch and not begins(seen, now):
        return Finding(Cause.TO_WATCH)
    names = sorted(seen.nodes[t.node_id].name for t in left_behind(service, seen))
    return Finding(
        Cause.CONVERGED, f"paused, and left with the release from before: {', '.join(names)}" if names else ""
    )


def _finishing(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    stop = _breach_after(rollout, plan, service, seen)
    if stop is not None:
        return stop
    chore = next_chore(rollout, AFTER, seen)
    if chore is None:
        return _after_all(rollout, plan, service, seen, now)
    if chore.cause is Cause.VETO:
        return as_asked(plan, chore)
    if late(rollout, now):
        return as_asked(plan, Finding(Cause.VETO, past_deadline(plan, rollout)))
    return chore


def _watching(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    stop = _breach_after(rollout, plan, service, seen)
    if stop is not None:
        return stop
    if not converged(rollout, service, seen):
        if rollout.watch_until is not None and now > rollout.watch_until + plan.deadline:
            return as_asked(plan, Finding(Cause.VETO, past_deadline(plan, rollout), stuck(seen)))
        return Finding(Cause.PROGRESS)
    if seen.newer and not begins(seen, now):
        return Finding(Cause.WAY_FREE)
    if seen.newer:
        return Finding(Cause.CONVERGED, f"its watch was cut short by the newer {seen.newer}")
    over = rollout.watch_until is None or now >= rollout.watch_until
    return Finding(Cause.CONVERGED if over else Cause.PROGRESS)


def _breach_after(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen) -> Finding | None:
    """What turns a release round that runs everywhere already."""
    if service.mark != rollout.mark or not as_written(rollout, plan, service):
        return Finding(Cause.FOREIGN_HAND, foreign(service))
    if rollout.abort:
        return Finding(Cause.ABORTED, f"aborted by {rollout.abort}")
    found = veto(rollout, plan, service, seen)
    if found is None:
        return None
    where = "the watch" if rollout.phase is Phase.WATCHING else "its end"
    return as_asked(plan, replace(found, reason=f"during {where}: {found.reason}"))


def _rolling_back(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    ours, back = service.mark == rollout.mark, service.mark == rollout.back_mark
    known = is_base(plan, service)
    if ours or back:
        known = as_written(rollout, plan, service) if ours else as_taken_back(rollout, plan, service)
    if not known:
        return Finding(Cause.FOREIGN_HAND, foreign(service))
    if late(rollout, now):
        did_not = f"the rollback did not finish in {plan.deadline:g} s{not_back(plan, seen)}{last_failure(seen)}"
        return Finding(Cause.EXPIRED, f"{rollout.reason}; and {did_not}")
    if ours or _half_way(rollout, plan, service):
        return Finding(Cause.NOT_WRITTEN)  # never written, and what it took over is half-way to a release of its own
    if not back and service.update_state == "rollback_paused":
        return Finding(Cause.NOT_WRITTEN)  # Swarm's own rollback does not go on by itself: the snapshot is written
    if not back and service.update_state.startswith("rollback"):
        return swarm_turned(service, seen)
    if not all_up_to_date(service, seen):
        return Finding(Cause.NODE_LOST if lost_tasks(service, seen) else Cause.PROGRESS)
    return Finding(_BACK.get(rollout.turned, Cause.CONVERGED), _and_kept(rollout, service, seen))


def _half_way(rollout: Rollout, plan: Plan, service: ServiceView) -> bool:
    """Whether the service is as it was taken over from another rollout, and not what this one has to go back to."""
    return service.mark != rollout.back_mark and service.image != image_of(plan.base)


def _and_kept(rollout: Rollout, service: ServiceView, seen: Seen) -> str:
    """The reason why it was taken back, with the nodes where it could not be; empty where there are none."""
    kept = kept_there(service, seen)
    return f"{rollout.reason}{kept}" if kept else ""


_BACK = {Cause.ABORTED.value: Cause.TAKEN_BACK, Cause.MAKE_WAY.value: Cause.WAY_MADE}


def _swarm_rolling_back(rollout: Rollout, plan: Plan, service: ServiceView, seen: Seen, now: float) -> Finding:
    if not is_base(plan, service):
        return Finding(Cause.FOREIGN_HAND, foreign(service))
    if _half_way(rollout, plan, service) and service.previous_spec is None:
        return Finding(Cause.VETO, rollout.reason)  # Swarm by itself goes back to what has never been proven
    if service.update_state == "rollback_paused":
        # The snapshot is put back, but for a rollback of a person's own: a rollback is never rolled back.
        cause = Cause.VETO if rollout.kind is Kind.DEPLOY else Cause.EXPIRED
        return Finding(cause, f"Swarm paused its own rollback: {service.update_message}")
    if late(rollout, now):
        did_not = f"Swarm's rollback did not finish in {plan.deadline:g} s{not_back(plan, seen)}{last_failure(seen)}"
        return Finding(Cause.EXPIRED, f"{rollout.reason}; {did_not}")
    if not all_up_to_date(service, seen):
        return Finding(Cause.PROGRESS)
    return Finding(Cause.CONVERGED, _and_kept(rollout, service, seen))


_DETECTORS = {
    Phase.PREPARING: detect_preparing,
    Phase.STAGING: detect_staging,
    Phase.MOVING: _moving,
    Phase.FINISHING: _finishing,
    Phase.WATCHING: _watching,
    Phase.ROLLING_BACK: _rolling_back,
    Phase.SWARM_ROLLING_BACK: _swarm_rolling_back,
}


def unwanted(rollout: Rollout, seen: Seen) -> list[str]:
    """Ids of helper services that have done what they were made for.

    Hooks stay until the end: their being there is what keeps them from being made a second time.
    """
    if rollout.phase is Phase.CLEARING or rollout.phase.terminal:
        return [h.service.id for h in seen.helpers]
    open_ = {purpose_of_try(c) for c in rollout.chores if not c.done}

    def kept(purpose: str) -> bool:
        own = purpose.partition(".")[0]
        if own == CANDIDATE:
            return rollout.phase in (Phase.STAGING, Phase.MOVING)
        return own in ("before", "after") or own in open_

    return [h.service.id for h in seen.helpers if not kept(h.purpose)]
