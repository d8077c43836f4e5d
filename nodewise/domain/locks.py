"""Locks: a service, or one digest of it, that is not to be rolled out until a person says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lock:
    """Why, by whom and since when. ``digest`` empty: nothing at all is rolled out to the service."""

    service: str
    digest: str
    reason: str
    who: str
    at: float

    def __str__(self) -> str:
        what = f"{self.service} is locked" if not self.digest else f"the digest {self.digest[:19]} is locked"
        return f"{what} by {self.who}: {self.reason}"


def against(locks: Iterable[Lock], digest: str) -> Lock | None:
    """The lock that forbids *digest*; one of the whole service comes first."""
    matching = [lock for lock in locks if lock.digest in ("", digest)]
    return min(matching, key=lambda lock: lock.digest, default=None)
