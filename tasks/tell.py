"""tell: say what has become of a rollout or a build to everybody who wants to know. Nothing hangs on it.

Each channel is told for itself: one that does not answer is tried again later and later, up to a cap, and keeps
nobody else from being told. What is told is what holds when it is told, so a channel that was away hears of the
newest state only. It is noted after it was sent: a worker that dies in between tells it once more (at least once).
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain import telling
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater
from nodewise.domain.told import Commit, OnRecord, Told
from nodewise.ports import Channel
from tasks.outcome import DONE, Outcome

WAIT = 5.0  # seconds until it asks for its turn again, while others tell
FIRST, LONGEST = 5.0, 600.0  # seconds until a channel that did not answer is tried again; twice as long each time
TRIES = 24  # within about three hours; then this state is not told there, and the next one is

log = structlog.get_logger(__name__)


def tell(deps: Deps, subject: str) -> Outcome:
    """*subject* is a rollout's or a build's id."""
    if not deps.tellers.acquire(blocking=False):
        return Outcome(again_at=deps.clock.now() + WAIT, tried=False)
    try:
        told = _news(deps, subject)
        return DONE if told is None else _to_all(deps, told)
    finally:
        deps.tellers.release()


def _news(deps: Deps, subject: str) -> Told | None:
    """What there is to tell now."""
    if subject.startswith("b-"):
        build = deps.store.build(subject)
        return telling.of_build(build) if build else None
    rollout = deps.store.rollout(subject)
    if rollout is None:
        return None
    image, digest = telling.brings(rollout)
    build = deps.store.build_behind(image, digest)
    return telling.of_rollout(rollout, Commit(build.repository, build.commit) if build else None)


def _to_all(deps: Deps, told: Told) -> Outcome:
    known = deps.store.told(told.subject)
    records = [_to_one(deps, c, told, known.get(c.name) or OnRecord(told.subject, c.name)) for c in deps.channels]
    again = [r.due_at for r in records if r.occasion != told.occasion]
    return Outcome(again_at=min(again)) if again else DONE


def _to_one(deps: Deps, channel: Channel, told: Told, record: OnRecord) -> OnRecord:
    """What is on record of it afterwards. What a channel does not want counts as told: coming back from it is news."""
    wanted = channel.wants(told)
    if record.occasion == told.occasion or (wanted and record.due_at > deps.clock.now()):
        return record
    try:
        if wanted:
            _unless_away(deps, channel.name)
        if wanted and (made := channel.tell(told, record.kept)):
            record = replace(record, kept=made)
            deps.store.save_told(record)  # before the rest: it must not be made a second time if that fails
            channel.tell(told, made)
    except Exception as error:  # whatever is wrong with one of them, the others are told
        record = _failed(deps, told, record, error)
    else:
        record = OnRecord(told.subject, channel.name, told.occasion, record.kept)
    deps.store.save_told(record)
    return record


def _unless_away(deps: Deps, channel: str) -> None:
    """What did not answer one of them is not asked by all the others: each would have to wait for it."""
    left = deps.away.get(channel, 0.0) - deps.clock.now()
    if left > 0:
        raise RetryLater(f"{channel} did not answer a moment ago", delay=left)


def _failed(deps: Deps, told: Told, record: OnRecord, error: Exception) -> OnRecord:
    """A channel that could not be told: tried again, unless that would not help or was done often enough."""
    tries, now = record.tries + 1, deps.clock.now()
    if isinstance(error, RetryLater) and deps.away.get(record.channel, 0.0) <= now:
        deps.away[record.channel] = now + max(FIRST, error.delay)
    reason = str(error) if isinstance(error, NodewiseError) else type(error).__name__
    if isinstance(error, GiveUp) or tries >= TRIES:
        log.error("not_told", channel=record.channel, subject=told.subject, state=told.state.value, reason=reason)
        return OnRecord(told.subject, record.channel, told.occasion, record.kept)
    wait = max(getattr(error, "delay", 0.0), min(LONGEST, FIRST * 2.0 ** (tries - 1)))
    log.warning("told_later", channel=record.channel, subject=told.subject, seconds=wait, reason=reason)
    return replace(record, tries=tries, due_at=now + wait)
