"""Ears: the swarm's events, gathered by a thread until somebody asks for them. A hint, never the truth.

A stream may end in silence, or go silent without an end. When one is begun, anything may have happened before.
"""

from __future__ import annotations

import threading
import time

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError
from nodewise.domain.watching import Heard, told

SETTLED = 30.0  # seconds after which something counts as well begun
LONGEST_WAIT = 15.0
GATHER = 0.02  # seconds; events come in bursts

log = structlog.get_logger(__name__)


class Ears:
    """What the swarm says by itself, gathered by a thread of their own until somebody asks for it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._heard = Heard()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def open(self) -> None:
        """Begin to listen, unless that has been done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="ears", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._news.set()

    def pause(self, seconds: float) -> None:
        """Wait, unless they are closed meanwhile."""
        self._closed.wait(seconds)

    def take(self, seconds: float) -> Heard:
        """What has been heard since the last call; waits up to *seconds* for something."""
        if self._news.wait(seconds):
            self.pause(GATHER)
        with self._lock:
            heard, self._heard = self._heard, Heard()
            if not self.closed:
                self._news.clear()
        return heard

    def _add(self, heard: Heard) -> None:
        if heard == Heard():
            return
        with self._lock:
            self._heard |= heard
            self._news.set()

    def _listen(self) -> None:
        failures = 0
        while not self.closed:
            began = time.monotonic()
            try:
                stream = self._deps.engine.events()
                self._add(Heard(anew=True))
                for event in stream:
                    self._add(told(event))
            except NodewiseError as error:
                if failures == 0:
                    log.warning("no_events", reason=str(error))
            except Exception:
                log.exception("ears_crashed")
            failures = 0 if time.monotonic() - began > SETTLED else failures + 1
            self.pause(min(LONGEST_WAIT, 0.25 * 2 ** min(failures, 20)))
