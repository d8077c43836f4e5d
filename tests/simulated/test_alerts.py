"""An alert that fires takes a service back, where a rollout may have brought it about, and once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.events import AlertFired
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.intake import accept, publish
from tests.simulated.parts import midway
from tests.world import SECOND, World, world


def fires(w: World, name: str = "HighErrorRate", ago: float = 0.0, key: str = "", **more) -> str:
    """What Alertmanager tells; the outcome of it."""
    began = datetime.fromtimestamp(w.clock.now() - ago, UTC).isoformat()
    alert = AlertFired("web", name, more.pop("at", began), f"{name} of web", **more)
    told = NewDelivery("alertmanager", "alerts", key or f"{name} {alert.starts_at}", Verdict.ACCEPTED, b"{}", (alert,))
    found = accept(w.deps, told)
    w.run(lambda: all(e.done_at for e in w.deps.store.delivery_events(found.delivery_id)))
    return "; ".join(e.outcome for e in w.deps.store.delivery_events(found.delivery_id))


def rollbacks(w: World) -> list[Rollout]:
    return [r for r in w.deps.store.rollouts("web") if r.kind is Kind.ROLLBACK]


def watched(w: World) -> Rollout:
    w.service(replicas=3, watch="60s")
    return w.reaches(w.deploy(w.push("1.1.0")), Phase.WATCHING)


def test_an_alert_within_the_watch_takes_the_service_back_and_locks_the_digest():
    with world() as w:
        rollout = watched(w)
        w.wait(5)
        assert "rollback r-" in fires(w)
        (back,) = rollbacks(w)
        assert w.end(back).phase is Phase.SUCCEEDED
        assert "HighErrorRate of web" in back.origin
        assert w.get(rollout).phase is Phase.SUPERSEDED
        assert w.running() == ["1.0.0"] * 3
        assert len(w.deps.store.locks("web")) == 1


def test_an_alert_takes_back_what_still_moves():
    with world() as w:
        w.service(replicas=5, update={"Delay": 5 * SECOND})
        w.deploy(w.push("1.1.0"))
        midway(w)
        w.wait(1)
        fires(w)
        assert w.end(rollbacks(w)[0]).phase is Phase.SUCCEEDED
        assert w.running() == ["1.0.0"] * 5


def test_the_same_alert_told_again_and_others_of_the_same_trouble_take_nothing_back_twice():
    with world() as w:
        w.service(replicas=3)
        for tag in ("1.1.0", "1.2.0"):
            assert w.end(w.deploy(w.push(tag))).phase is Phase.SUCCEEDED
        w.wait(5)
        at = datetime.fromtimestamp(w.clock.now(), UTC).isoformat()
        fires(w, at=at, always=True)
        w.end(rollbacks(w)[0])
        assert fires(w, at=at, key="with one more in the group", always=True) == ""
        assert "before" in fires(w, "HighLatency", at=at, always=True)
        assert len(rollbacks(w)) == 1
        assert w.running() == ["1.1.0"] * 3


def test_two_alerts_at_once_are_one_rollback():
    with world() as w:
        watched(w)
        w.wait(5)
        began = datetime.fromtimestamp(w.clock.now(), UTC).isoformat()
        two = tuple(AlertFired("web", name, began) for name in ("HighErrorRate", "HighLatency"))
        publish(w.deps, accept(w.deps, NewDelivery("alertmanager", "a", "k", Verdict.ACCEPTED, b"{}", two)).jobs)
        w.run(lambda: rollbacks(w) != [])
        w.end(rollbacks(w)[0])
        w.run(lambda: w.deps.store.outbox_size() == 0)
        assert len(rollbacks(w)) == 1


@pytest.mark.parametrize(
    ("ago", "seconds", "more", "reason"),
    [
        (0.0, 200, {}, "no rollout of it is on its way or watched"),
        (300.0, 5, {}, "moved anything"),
        (300.0, 200, {"always": True}, "moved anything"),
        (0.0, 5, {"at": "yesterday"}, ""),
        (0.0, 200, {"always": True}, ""),
    ],
)
def test_an_alert_that_no_rollout_can_have_brought_about_is_left_alone(ago, seconds, more, reason):
    with world() as w:
        watched(w)
        w.wait(seconds)
        outcome = fires(w, ago=ago, **more)
        assert (reason in outcome) if reason else ("rollback r-" in outcome)
        assert bool(rollbacks(w)) is not bool(reason)


def test_an_alert_of_a_service_that_is_not_there_says_so():
    with world() as w:
        assert "no such service" in fires(w)
