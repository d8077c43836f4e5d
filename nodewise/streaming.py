"""What following has in common, whoever is asked: server-sent events read as they come, and asking again and again.

Knows neither HTTP nor what the events are about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from nodewise.domain.errors import RetryLater

POLL_EVERY = 1.0  # seconds
PATIENCE = 60.0  # seconds that whoever is asked may be away

T = TypeVar("T")


class Event(NamedTuple):
    """One server-sent event. ``id``: where to go on from; empty where the event has none."""

    name: str
    id: str
    data: str


def events(lines: Iterable[bytes]) -> Iterator[Event | None]:
    """The events of a stream, each as soon as it is whole; None for a comment, which only keeps it alive."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode().partition(":")
        if not line and "data" in fields:
            yield Event(fields.get("event", ""), fields.get("id", ""), fields["data"])
        if not line:
            fields = {}
        elif name:
            fields[name] = value.removeprefix(" ")
        else:
            yield None


def repeatedly(ask: Callable[[], T]) -> Iterator[T | None]:
    """What *ask* answers, once a second without end; None while nobody does.

    A web process that is away for a while is waited for: what is followed goes on without it. Raises RetryLater when
    it is away for longer than PATIENCE.
    """
    away_since: float | None = None
    while True:
        try:
            answer = ask()
        except RetryLater:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > PATIENCE:
                raise
            yield None
        else:
            away_since = None
            yield answer
        time.sleep(POLL_EVERY)
