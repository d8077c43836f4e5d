"""What is too old to be kept is dropped by the sweep, now and then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.errors import RetryLater
from nodewise.domain.rollout import Phase
from tests.world import SWEEP, world

DAY = 86400.0


@pytest.mark.parametrize(("settings", "days"), [({}, 30), ({"keep_days": 2.0}, 2)])
def test_bodies_and_readings_are_dropped_after_the_days_that_are_set(settings: dict[str, Any], days: int) -> None:
    with world(**settings) as w:
        sent = NewDelivery("distribution", "main", "k1", Verdict.ACCEPTED, b"{}", ())
        delivery = w.deps.store.accept(sent, w.clock.now()).delivery_id
        w.service(gate__http__url="http://{task}:8080/")
        rollout = w.end(w.deploy(w.push("1.1.0")))
        assert rollout.phase is Phase.SUCCEEDED
        w.clock.advance(days * DAY - 3600)
        w.perform(SWEEP)
        assert w.deps.store.delivery_body(delivery) == b"{}"
        assert w.deps.store.readings(rollout.id)
        w.clock.advance(2 * 3600)
        w.perform(SWEEP)
        assert w.deps.store.delivery_body(delivery) == b""
        assert w.deps.store.readings(rollout.id) == []
        assert w.get(rollout) == rollout


def test_it_is_looked_for_once_an_hour_by_all_workers_together_also_where_it_fails() -> None:
    looks = []

    class Store:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def expire(self, now: float, _days: float) -> int:
            looks.append(now)
            raise RetryLater("the database does not answer")

    with world() as w:
        workers = [replace(w.deps, store=Store(w.deps.store)) for _ in range(2)]
        for _ in range(5):
            for w.deps in workers:
                w.perform(SWEEP)
            w.clock.advance(600)
        assert len(looks) == 1
        w.clock.advance(3600)
        w.perform(SWEEP)
        assert len(looks) == 2
