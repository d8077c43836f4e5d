"""A rollout, or a build, as it goes on: every change of it, read from the store, until it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nodewise.answers import rollout_schemas, schemas
from nodewise.answers.records import as_watched, one_build
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NotFound
from nodewise.domain.rollout import Rollout

LOOK_EVERY = 0.25  # seconds; a rollout itself looks at the swarm no more often
EVIDENCE_WAIT = 3.0  # seconds that the log lines of a failed task may come after the rollout's end


def follow(deps: Deps, rollout_id: str, keep_alive: float = 5.0) -> Iterator[rollout_schemas.Rollout | None]:
    """Each state of the rollout, the present one at once, the last one at the end.

    None every *keep_alive* seconds in which nothing changed. Raises NotFound.
    """
    seen: rollout_schemas.Rollout | None = None
    told = ended = 0.0
    while True:
        value = deps.store.rollout(rollout_id)
        if value is None:
            raise NotFound(f"there is no rollout {rollout_id!r}", "see 'nodewise rollouts'", "id")
        now = time.monotonic()
        state = as_watched(deps, value)
        if state != seen:
            seen, told = state, now
            yield state
        elif now - told >= keep_alive:
            told = now
            yield None
        if value.phase.terminal:
            ended = ended or now
            if not _evidence_may_come(value) or now - ended >= EVIDENCE_WAIT:
                return
        time.sleep(LOOK_EVERY)


def follow_build(
    deps: Deps, build_id: str, after: int = 0, keep_alive: float = 5.0
) -> Iterator[schemas.Build | schemas.LogPiece | None]:
    """The build as it is now and at every change, and its log from number *after* on, each piece once.

    The build is asked for before its log is, and told after it: when the last state comes, all of the log has come.
    None every *keep_alive* seconds in which there was nothing new. Raises NotFound.
    """
    seen: schemas.Build | None = None
    told = time.monotonic()
    while True:
        state = one_build(deps, build_id)
        pieces = tuple(schemas.LogPiece(seq=n, text=text) for n, text in deps.store.build_log(build_id, after))
        changed = () if state == seen else (state,)
        at_once = seen is None and not state.ended  # whoever begins to look sees what there is to wait for
        yield from (*changed, *pieces) if at_once else (*pieces, *changed)
        seen, after = state, pieces[-1].seq if pieces else after
        if state.ended:
            return
        if pieces or changed:
            told = time.monotonic()
        elif time.monotonic() - told >= keep_alive:
            told = time.monotonic()
            yield None
        time.sleep(LOOK_EVERY)


def _evidence_may_come(value: Rollout) -> bool:
    return bool(value.failing_task) and not value.evidence
