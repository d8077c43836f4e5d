"""Drift: what runs is not what the last rollout has left. Whose hand it was is told by the mark and the spec. Pure.

Scaling is no drift. A spec that is on no record becomes a release; one on record that runs again is only told.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodewise.domain.access import Audit
from nodewise.domain.causes import all_up_to_date, as_taken_back, as_written, is_base
from nodewise.domain.model import Phase, Rollout, Seen
from nodewise.domain.release import Release, ReleaseState, digest_of
from nodewise.domain.swarm import ServiceView, Spec, image_of

FOUND = "found running"
FOREIGN = "changed by someone else"
AUDIT = "drift"  # the audit's word for all of it
WHO = "someone else"
_MOVES = ("updating", "rollback_started")


@dataclass(frozen=True, slots=True)
class Record:
    """What is on record about one service.

    ``number``: the next free release number. ``same``: the newest release with the very spec that runs. ``last``:
    the rollout that wrote the service last. ``told``: what was said last about drift.
    """

    number: int
    same: Release | None = None
    last: Rollout | None = None
    told: Audit | None = None


@dataclass(frozen=True, slots=True)
class News:
    """Something to put on record of the release that runs: that it is ``new``, an audit, that it is ``proven`` good."""

    release: Release
    new: bool = False
    audit: Audit | None = None
    proven: bool = False


def as_left(last: Rollout, service: ServiceView) -> bool:
    """Whether *service* still is as *last*, the rollout that wrote it last and has ended, has left it."""
    plan, ending = last.plan, last.ends_as or last.phase
    if plan is None or ending is Phase.CHANGED:
        return False
    forward = as_written(last, plan, service)
    if ending in (Phase.SUCCEEDED, Phase.FROZEN):
        return forward
    taken_back = as_taken_back(last, plan, service)
    if ending is Phase.ROLLED_BACK:
        return taken_back or is_base(plan, service)
    return forward or taken_back or is_base(plan, service)


def news(service: ServiceView, spec: Spec, record: Record, runs: bool, now: float) -> News | None:
    """What there is to say of a service that is not as a rollout has left it. *spec*: the user's; *runs*: as it asks.

    None where all has been said, and where no rollout has ever written the service.
    """
    same = record.same
    if same is None:
        return _unknown(service, spec, record.number, runs, now)
    if not _said(record, same):
        return News(same, audit=_audit(same, f"runs again, {FOREIGN}", now))
    return News(same, proven=True) if runs and unproven(same) else None


def unproven(release: Release | None) -> bool:
    """Whether a release that no rollout vouches for has yet to be seen running."""
    return release is not None and release.state is ReleaseState.NEW and release.origin in (FOUND, FOREIGN)


def runs_as_asked(service: ServiceView, seen: Seen) -> bool:
    """Whether there are tasks, all of them run, and Swarm has nothing left to do."""
    tasks = any(t.running for t in seen.tasks)
    return tasks and service.update_state not in _MOVES and all_up_to_date(service, seen)


def _unknown(service: ServiceView, spec: Spec, number: int, runs: bool, now: float) -> News:
    origin = FOUND if number == 1 else FOREIGN
    release = Release(
        service=service.name,
        number=number,
        image=image_of(spec),
        digest=digest_of(spec),
        spec=spec,
        origin=origin,
        state=ReleaseState.GOOD if runs else ReleaseState.NEW,
        created_at=now,
    )
    return News(release, new=True, audit=_audit(release, origin, now))


def _said(record: Record, same: Release) -> bool:
    last, told = record.last, record.told
    if told is not None and (last is None or told.at >= (last.written_at or 0.0)):
        return told.detail.startswith(_name(same))
    return last is None


def _audit(release: Release, what: str, now: float) -> Audit:
    return Audit(now, WHO, AUDIT, release.service, f"{_name(release)} {what}, {release.image}")


def _name(release: Release) -> str:
    return f"release {release.number}:"
