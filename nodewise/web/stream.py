"""Rollouts as server-sent events. Each open stream holds a thread of the web process, so their number is capped.

A client that gets none, or loses one, asks for the rollout again and again instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from flask import Response

from nodewise.answers.following import follow
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError, NotFound, RetryLater

MOST = 4  # of the web process's eight threads: the others are for deliveries and for rollbacks


class Streams:
    """The open streams of one process."""

    def __init__(self, deps: Deps, most: int = MOST) -> None:
        self._deps = deps
        self._free = threading.BoundedSemaphore(most)

    def open(self, rollout_id: str) -> Response:
        """Raises NotFound, and RetryLater when there are too many already."""
        if self._deps.store.rollout(rollout_id) is None:
            raise NotFound(f"there is no rollout {rollout_id!r}", "see 'nodewise rollouts'", "id")
        if not self._free.acquire(blocking=False):
            raise RetryLater("too many streams are open", f"ask /api/v1/rollouts/{rollout_id} instead", delay=5.0)
        response = Response(self._events(rollout_id), content_type="text/event-stream; charset=utf-8")
        response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.call_on_close(self._free.release)
        return response

    def _events(self, rollout_id: str) -> Iterator[str]:
        """A store that fails in the middle ends the stream: the client falls back to asking."""
        try:
            for state in follow(self._deps, rollout_id):
                if state is None:
                    yield ": keep-alive\n\n"
                else:
                    yield f"id: {state.version}\nevent: rollout\ndata: {state.model_dump_json()}\n\n"
        except NodewiseError:
            return
