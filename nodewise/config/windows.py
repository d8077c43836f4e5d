"""Windows: the times of the week in which rollouts may begin, or may not. Pure; the time is an argument.

``mon-fri 08:00-18:00 Europe/Berlin; !fri 12:00-18:00 Europe/Berlin``: days, hours, and a time zone (UTC where none is
named), with semicolons between; an exclamation mark closes. With closing ones only, all other times are open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALLOWED = "times of the week such as mon-fri 08:00-18:00 Europe/Berlin; !fri 12:00-18:00 Europe/Berlin"
_ONE = re.compile(
    r"(?P<closed>!?)\s*(?P<days>[a-z,-]+)\s+(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d)(?:\s+(?P<zone>\S+))?",
    re.IGNORECASE,
)
_FAR = timedelta(days=15)  # every window comes round within a week; two, for the days on which clocks change


@dataclass(frozen=True, slots=True)
class Span:
    """One part: on which days (0 is Monday), from which minute of the day to which, and whether it closes."""

    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo
    closed: bool

    def holds(self, at: datetime) -> bool:
        local = at.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return local.weekday() in self.days and self.begin <= minute < self.end
        # Over midnight: the day is the one on which it began.
        return (local.weekday() in self.days and minute >= self.begin) or (
            (local.weekday() - 1) % 7 in self.days and minute < self.end
        )


@dataclass(frozen=True, slots=True)
class Windows:
    """All parts of one label."""

    spans: tuple[Span, ...]
    text: str

    def __str__(self) -> str:
        return self.text

    def open(self, at: float) -> bool:
        """Whether a rollout may begin at *at* (seconds since the epoch)."""
        moment = datetime.fromtimestamp(at, UTC)
        if any(s.closed and s.holds(moment) for s in self.spans):
            return False
        opening = [s for s in self.spans if not s.closed]
        return not opening or any(s.holds(moment) for s in opening)

    def next_open(self, at: float) -> float | None:
        """The first moment from *at* on at which a rollout may begin; None when there is none for two weeks."""
        if self.open(at):
            return at
        moment = datetime.fromtimestamp(at, UTC).replace(second=0, microsecond=0)
        end = moment + _FAR
        while moment < end:
            moment += timedelta(minutes=1)
            if self.open(moment.timestamp()):
                return moment.timestamp()
        return None


def parse(text: str) -> Windows:
    """Raises ValueError for anything that is no window."""
    parts = [p.strip() for p in text.split(";") if p.strip()]
    if not parts:
        raise ValueError(text)
    return Windows(tuple(_span(p) for p in parts), text)


def _span(text: str) -> Span:
    found = _ONE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    begin, end = _minute(found["h1"], found["m1"]), _minute(found["h2"], found["m2"])
    if begin == end:
        raise ValueError(text)
    try:
        zone = ZoneInfo(found["zone"] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(text) from error
    return Span(_days(found["days"].lower().split(",")), begin, end, zone, bool(found["closed"]))


def _minute(hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > 24 * 60:
        raise ValueError(f"{hour}:{minute}")
    return total


def _days(words: Sequence[str]) -> frozenset[int]:
    days: set[int] = set()
    for word in words:
        first, _, last = word.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(word)
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {d % 7 for d in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)
