"""The engine's events, as hints. Each stream has its own short backlog; nobody is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakSet

BACKLOG = 10_000


class Stream(Iterator[Mapping[str, object]]):
    """Events since it was opened. Ends when there is none to tell at the moment; asking on goes on.

    That is where it differs from a connection, which would wait: virtual time moves only between two calls.
    """

    def __init__(self, catch_up: Callable[[], None]) -> None:
        self._events: deque[Mapping[str, object]] = deque(maxlen=BACKLOG)
        self._catch_up = catch_up
        self._closed = False

    def __next__(self) -> Mapping[str, object]:
        if self._closed:
            raise StopIteration
        self._catch_up()
        if not self._events:
            raise StopIteration
        return self._events.popleft()

    def take(self, event: Mapping[str, object]) -> None:
        self._events.append(event)

    def close(self) -> None:
        """End it for good."""
        self._closed = True
        self._events.clear()


class Streams:
    """All that are open."""

    def __init__(self) -> None:
        self._open: WeakSet[Stream] = WeakSet()

    def open(self, catch_up: Callable[[], None]) -> Stream:
        stream = Stream(catch_up)
        self._open.add(stream)
        return stream

    def close_all(self) -> None:
        """The manager goes away: every connection ends."""
        for stream in list(self._open):
            stream.close()
        self._open = WeakSet()

    def tell(self, now: float, kind: str, action: str, actor: str, attributes: dict[str, str]) -> None:
        if not self._open:
            return
        event: dict[str, Any] = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": attributes},
            "scope": "swarm",
            "time": int(now),
            "timeNano": int(now * 1e9),
        }
        for stream in list(self._open):
            stream.take(event)
