"""Which registries are not to be asked for a while: those that said so, and those that did not answer well.

Kept in memory, for each process: after a start every registry is asked once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from nodewise.domain.errors import RetryLater

FIRST, LONGEST = 30.0, 1800.0  # seconds that one is left alone after a failure, and after many
DAY = 86400.0  # no registry means more
RESERVE = 5  # requests that are left for the engines' pulls, which count as ours do
_EPOCH = 1e9  # a larger number is a time and not a number of seconds


class Pauses:
    """Until when, and why, for each registry. *clock*: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, tuple[float, str]] = {}
        self._failures: dict[str, int] = {}
        self._lock = threading.Lock()

    def check(self, registry: str) -> None:
        """Raises RetryLater while *registry* is not to be asked."""
        with self._lock:
            until, reason = self._until.get(registry, (0.0, ""))
        left = until - self._clock()
        if left > 0:
            raise RetryLater(f"the registry {registry} is not asked for another {left:.0f} s: {reason}", delay=left)

    def failed(self, registry: str, reason: str) -> None:
        """Leave it alone, longer each time."""
        with self._lock:
            before = self._failures.get(registry, 0)
            self._failures[registry] = before + 1
            self._until[registry] = (self._clock() + min(LONGEST, FIRST * 2.0 ** min(before, 10)), reason)

    def answered(self, registry: str, status: int, headers: Mapping[str, str]) -> None:
        """Take note of an answer: how it went, and what the registry says of its limits.

        To be asked who one is says nothing of how it went.
        """
        if status == 429 or status >= 500:
            self.failed(registry, f"it answered {status}")
        elif status != 401:
            with self._lock:
                self._failures.pop(registry, None)
        wait = asked_to_wait(status, headers, self._clock())
        if wait > 0:
            with self._lock:
                self._until[registry] = (self._clock() + wait, "its rate limit is used up")


def asked_to_wait(status: int, headers: Mapping[str, str], now: float) -> float:
    """For how many seconds an answer asks to be left alone; 0 where it does not say so.

    ``Retry-After`` (RFC 9110, 10.2.3); ``RateLimit-Remaining: 0;w=21600``, as Docker Hub has it; ``X-RateLimit-*``.
    """
    if status in (429, 503) and (after := _seconds(headers.get("Retry-After", ""), now)):
        return min(DAY, after)
    left = headers.get("RateLimit-Remaining") or headers.get("X-RateLimit-Remaining") or ""
    number, _, window = left.partition(";w=")
    if status != 429 and not (number.strip().isdecimal() and int(number) < RESERVE):
        return 0.0
    reset = headers.get("RateLimit-Reset") or headers.get("X-RateLimit-Reset") or window
    return min(DAY, _seconds(reset, now))


def _seconds(text: str, now: float) -> float:
    """A number of seconds, a time in seconds since the epoch, or an HTTP date, as seconds from now."""
    text = text.strip()
    try:
        value = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, value - now if value > _EPOCH else value)
