"""Values to put into a store, and many who ask it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.events import ImagePushed
from nodewise.domain.jobs import Job
from nodewise.domain.release import Release, ReleaseState
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.store import Store
from tests.unit.swarm_values import NEW, OLD, spec

NOW = 1_795_000_000.25
EVENT = ImagePushed("reg:5000/web", "1.4.0", NEW)


def delivery(key: str = "k1", **changes: Any) -> NewDelivery:
    values = {
        "provider": "distribution",
        "hook": "main",
        "key": key,
        "verdict": Verdict.ACCEPTED,
        "body": b"{}\x00\xff",
    }
    return NewDelivery(**{**values, "events": (EVENT,), **changes})


def rollout(id_: str = "r-1", service: str = "web", **changes: Any) -> Rollout:
    return replace(Rollout(id_, service, Kind.DEPLOY, Phase.PENDING, "test", NOW, image="reg:5000/web:1"), **changes)


def release(number: int, state: ReleaseState = ReleaseState.GOOD, **changes: Any) -> Release:
    made = Release("web", number, f"reg:5000/web:{number}@{OLD}", OLD, spec(OLD, n=str(number)), "test", state, NOW)
    return replace(made, **changes)


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Run *act* on *count* threads at the same moment; errors are results."""
    start = threading.Barrier(count)

    def one(n: int) -> Any:
        start.wait()
        try:
            return act(n)
        except Exception as error:  # whatever it is, the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def told(store: Store, now: float, grace: float, ahead: float = 0.0) -> list[Job]:
    return [job for job, _ in store.due_jobs(now, grace, ahead)]
