"""cells: an app that runs as several services (``nodewise.app``), updated in the order of ``nodewise.stage``.

Each service is moved as ``rolling`` moves it. Services of one stage move together; the next stage waits until all of
them have succeeded. When one fails, those that have moved are taken back in reverse order, one after the other: those
that still run what this app's rollout brought. One that makes way for a newer rollout has not failed: the app's rollout
then begins nothing more, and takes nothing back.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from nodewise.domain.model import Kind, OnFailure, Phase, Rollout
from nodewise.strategies import Cut, Terrain, rolling

__all__ = ["Next", "failed", "follow", "in_order", "plan"]

GOOD = (Phase.SUCCEEDED,)
NOT_BEGUN = (Phase.PENDING, Phase.QUEUED, Phase.WAITING)


def plan(terrain: Terrain) -> Cut:
    """One service of the app: as rolling."""
    return rolling.plan(terrain)


def in_order(stages: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Service names to their place, from (service, stage label) pairs: numbers by value, then words by the alphabet."""

    def key(stage: str) -> tuple[int, float, str]:
        try:
            return (0, float(stage), "")
        except ValueError:
            return (1, 0.0, stage)

    ranks = {stage: n for n, stage in enumerate(sorted({stage for _, stage in stages}, key=key))}
    return {service: ranks[stage] for service, stage in stages}


@dataclass(frozen=True, slots=True)
class Next:
    """What an app's rollout needs now: rollouts to set going, to call off (with the reason), to take back.

    ``give_up``: those that end, not begun yet, because a newer rollout has replaced this one.
    """

    begin: tuple[Rollout, ...] = ()
    give_up: tuple[Rollout, ...] = ()
    call_off: tuple[Rollout, ...] = ()
    take_back: tuple[Rollout, ...] = ()
    reason: str = ""


def failed(members: Sequence[Rollout]) -> list[Rollout]:
    """The deploys that ended badly, and those that a person has taken back since, while others were on their way.

    One replaced by a newer deploy has not ended badly; by a person's rollback, it has.
    """
    ended = [m for m in members if m.kind is Kind.DEPLOY and m.phase.terminal]
    badly = [m for m in ended if m.phase not in GOOD and not _replaced(m)]
    return badly + [m for m in ended if m.phase in GOOD and m.abort]


def _why(bad: Rollout) -> str:
    if bad.phase in GOOD:
        return f"{bad.service}, moved in {bad.id}, was taken back by {bad.abort}"
    return f"{bad.service} ended {bad.phase.value.replace('_', ' ')} in {bad.id}"


def _replaced(member: Rollout) -> bool:
    return member.phase is Phase.SUPERSEDED and not member.abort


def follow(
    members: Sequence[Rollout], on_failure: OnFailure = OnFailure.ROLLBACK, followed: Container[str] = ()
) -> Next:
    """From the members of one app's rollout, deploys and rollbacks, what comes next. Pure.

    ``take_back`` are the deploys whose services are to be taken back now: one at a time, the last moved first.
    *followed*: ids of members after which a newer rollout of their service has come.
    """
    deploys = [m for m in members if m.kind is Kind.DEPLOY]
    bad = next(iter(failed(deploys)), None)
    if bad is None:
        return _forward(deploys)
    reason = _why(bad)
    unfinished = tuple(m for m in deploys if not m.phase.terminal and not m.abort)
    if on_failure is not OnFailure.ROLLBACK:
        unfinished = tuple(m for m in unfinished if m.phase is Phase.WAITING)
        return Next(call_off=unfinished, reason=reason)
    if any(not m.phase.terminal for m in deploys):
        return Next(call_off=unfinished, reason=reason)
    return _back(members, reason, followed)


def _forward(deploys: Sequence[Rollout]) -> Next:
    open_ = [m for m in deploys if not m.phase.terminal]
    replaced = next((m for m in deploys if _replaced(m)), None)
    if replaced is not None:
        reason = f"{replaced.service}: {replaced.reason}"
        return Next(give_up=tuple(m for m in open_ if m.phase in NOT_BEGUN), reason=reason)
    stage = min((m.stage for m in open_), default=None)
    ready = (m for m in open_ if m.stage == stage and m.phase is Phase.WAITING and not m.held and not m.abort)
    return Next(begin=tuple(ready))


def _back(members: Sequence[Rollout], reason: str, followed: Container[str]) -> Next:
    """The one service to take back now. A rollback that did not succeed stands in nobody's way: it is reported."""
    backs = {m.service: m for m in members if m.kind is Kind.ROLLBACK}
    if any(not b.phase.terminal for b in backs.values()):
        return Next(reason=reason)
    moved = [m for m in members if m.kind is Kind.DEPLOY and m.phase in GOOD and m.from_number != m.to_number]
    left = [m for m in moved if m.service not in backs and m.id not in followed]
    last = max(left, key=lambda m: (m.stage, m.ended_at or 0.0, m.id), default=None)
    return Next(take_back=(last,) if last else (), reason=reason)
