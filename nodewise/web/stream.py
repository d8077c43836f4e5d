"""Rollouts and builds as server-sent events. Each open stream holds a thread of the web process, so they are capped.

A client that gets none, or loses one, asks again and again instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from flask import Response

from nodewise.answers import schemas
from nodewise.answers.following import follow, follow_build
from nodewise.answers.records import one_build
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError, NotFound, RetryLater

MOST = 4  # of the web process's sixteen threads: the others are for deliveries and for rollbacks
END = "end"  # the id of a build's last event: who has heard that one has heard all


class Streams:
    """The open streams of one process, of all kinds. Both methods raise NotFound, and RetryLater for one too many."""

    def __init__(self, deps: Deps, most: int = MOST) -> None:
        self._deps = deps
        self._free = threading.BoundedSemaphore(most)

    def rollout(self, rollout_id: str) -> Response:
        """Every change of a rollout, until it has ended."""
        if self._deps.store.rollout(rollout_id) is None:
            raise NotFound(f"there is no rollout {rollout_id!r}", "see 'nodewise rollouts'", "id")
        return self._open(_rollout_events(self._deps, rollout_id), f"/api/v1/rollouts/{rollout_id}")

    def build(self, build_id: str, after: int) -> Response:
        """The log of a build from number *after* on, and its state at every change, until it has ended."""
        one_build(self._deps, build_id)
        return self._open(_build_events(self._deps, build_id, after), f"/api/v1/builds/{build_id}/log")

    def _open(self, events: Iterator[str], instead: str) -> Response:
        if not self._free.acquire(blocking=False):
            raise RetryLater("too many streams are open", f"ask {instead} instead", delay=5.0)
        response = Response(_while_it_goes(events), content_type="text/event-stream; charset=utf-8")
        response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.call_on_close(self._free.release)
        return response


def _while_it_goes(events: Iterator[str]) -> Iterator[str]:
    """A store that fails in the middle ends the stream: the client falls back to asking."""
    try:
        yield from events
    except NodewiseError:
        return


def _rollout_events(deps: Deps, rollout_id: str) -> Iterator[str]:
    for state in follow(deps, rollout_id):
        if state is None:
            yield _KEEP_ALIVE
        else:
            yield f"id: {state.version}\nevent: rollout\ndata: {state.model_dump_json()}\n\n"


def _build_events(deps: Deps, build_id: str, after: int) -> Iterator[str]:
    """Only the log counts on where to resume: a state that is not the last has no id of its own."""
    for news in follow_build(deps, build_id, after):
        if news is None:
            yield _KEEP_ALIVE
        elif isinstance(news, schemas.LogPiece):
            yield f"id: {news.seq}\nevent: log\ndata: {news.model_dump_json(include={'text'})}\n\n"
        else:
            last = f"id: {END}\n" if news.ended else ""
            yield f"{last}event: build\ndata: {news.model_dump_json()}\n\n"


_KEEP_ALIVE = ": keep-alive\n\n"
