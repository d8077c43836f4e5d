"""Catching up: what a registry has that no webhook told of. Decides by names and digests alone, and is pure.

A list of tags says nothing of when each was pushed. Where a policy orders tags by their names, the best one is looked
for; where the last push wins, only the tag that the service has already can be told to have moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nodewise.domain.images import ImageName

ORIGIN = "catch-up"
AFTER_START = 30.0  # seconds between two looks at the least, so that one who starts again and again does not flood


class Follows(Protocol):
    """What is asked of a policy here; see ``nodewise.policy``."""

    @property
    def ordered(self) -> bool: ...

    def admits(self, tag: str) -> bool: ...

    def newer(self, candidate: str, current: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Follower:
    """A service that follows its repository. ``running``: its image; ``present``: what it has, or is about to have."""

    service: str
    policy: Follows
    running: ImageName
    present: ImageName


def due(last: float | None, now: float, every: float, started_at: float) -> bool:
    """Whether to look again: *every* so many seconds, and soon after a start, when webhooks may have found nobody."""
    if last is None:
        return True
    pause = min(every, AFTER_START) if last < started_at else every
    return not 0 <= now - last < pause


def candidate(follower: Follower, tags: Iterable[str]) -> str:
    """The tag to ask the registry about; empty where there is none. *tags* matter to an ordered policy alone."""
    policy, current = follower.policy, follower.present.tag
    if not policy.ordered:
        return (current or "latest") if policy.admits(current or "latest") else ""
    fitting = [t for t in tags if policy.admits(t) and policy.newer(t, current)]
    return _best(policy, current, fitting)


def _best(policy: Follows, current: str, tags: list[str]) -> str:
    """The one that no other is newer than; of equals the present one, or else the one that says most."""
    best = ""
    for tag in tags:
        if not best or not policy.newer(best, tag):
            best = tag
    equals = [t for t in tags if policy.newer(t, best)]
    return current if current in equals else max(equals, key=lambda t: (len(t), t), default="")


def not_missed(running: ImageName, present: ImageName, tag: str, digest: str) -> str:
    """Why *tag*, which stands for *digest*, is no news to a service that has these two; empty where it is."""
    if digest in (running.digest, present.digest):
        return f"it has this image already, as {present if present.digest == digest else running}"
    if tag == (present.tag or "latest") and not present.digest:
        return f"it has {present} without a digest: whether that has moved cannot be told"
    return ""
