"""What is needed now: read anew before each removal, since a rollout may have begun since the last one."""

from __future__ import annotations

from nodewise.bootstrap import Deps
from nodewise.domain.retention import Records

MANY = 1_000_000  # more rollouts than ever are on their way


def records(deps: Deps) -> Records:
    """Raises RetryLater where swarm or store do not answer: who knows no services removes nothing.

    In this order: a rollout that ends between two of these questions is in one of the answers.
    """
    store = deps.store
    return Records(
        rollouts=store.rollouts(limit=MANY, active=True),
        shipped=store.shipped(),
        building=store.building(),
        pushed=store.pushed(),
        services=deps.engine.services(),
        keep=deps.settings.keep,
    )
