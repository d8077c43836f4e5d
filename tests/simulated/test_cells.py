"""cells: the services of one app move in the order of their stages, and are taken back in reverse order."""

from __future__ import annotations

import itertools

import pytest

from nodewise import control
from nodewise.domain.rollout import Kind, Phase
from tests.world import World, world

ORDER = ("db-migrator", "workers", "web")


def app(w: World, **more: str) -> None:
    """Three services of one app on one image; their names are not in the order of their stages."""
    image = w.push("1.0.0")
    for stage, name in enumerate(ORDER, 1):
        labels = {"strategy": "cells", "app": "shop", "stage": str(stage * 5), "track": "semver:^1", **more}
        w.service(name, image, replicas=2, **labels)


def moves(w: World) -> list[str]:
    """Service names in the order in which their rollouts began, deploys and rollbacks."""
    begun = [r for r in w.deps.store.rollouts(limit=50) if r.started_at]
    return [f"{r.kind} {r.service}" for r in sorted(begun, key=lambda r: r.started_at or 0)]


def all_ended(w: World) -> bool:
    return all(r.phase.terminal for r in w.deps.store.rollouts(limit=50)) and w.deps.store.outbox_size() == 0


@pytest.mark.parametrize("how", ["a push", "a deploy of one of them"])
def test_the_services_of_an_app_move_one_after_the_other(how):
    with world() as w:
        app(w)
        image = w.push("1.1.0")
        if how == "a push":
            w.pushed("1.1.0")
            w.step()
        else:
            w.deploy(image, "web")
        w.run(lambda: w.deps.store.rollouts() and all_ended(w))
        assert moves(w) == [f"deploy {name}" for name in ORDER]
        ended = sorted((r.started_at, r.ended_at) for r in w.deps.store.rollouts())
        assert all(b[0] >= a[1] for a, b in itertools.pairwise(ended)), "held between"
        assert all(w.running(name) == ["1.1.0"] * 2 for name in ORDER)
        assert len({r.app_rollout for r in w.deps.store.rollouts()}) == 1


def test_a_failure_takes_back_those_that_have_moved_in_reverse_order_and_reports_each():
    with world() as w:
        app(w, gate__http__url="http://{task}:80/health", gate__http__interval="1s")
        image = w.push("1.1.0")
        broken = lambda *_: 500 if w.deps.store.rollouts("web") and w.latest("web").phase is Phase.MOVING else 200  # noqa: E731
        w.swarm.push(image, type(w.swarm.registry.found(w.pinned(image))[1])(http=broken))
        w.deploy(image, "workers")
        w.run(lambda: w.deps.store.rollouts() and all_ended(w))
        assert moves(w) == [
            *(f"deploy {name}" for name in ORDER),
            "rollback workers",
            "rollback db-migrator",
        ]
        assert all(w.running(name) == ["1.0.0"] * 2 for name in ORDER)
        failed = w.latest("web")
        assert failed.phase is Phase.ROLLED_BACK
        for name in ORDER[:2]:
            back = w.latest(name)
            assert (back.kind, back.phase) == (Kind.ROLLBACK, Phase.SUCCEEDED)
            assert failed.id in back.origin


def test_a_failure_in_the_first_stage_calls_the_others_off():
    with world() as w:
        app(w)
        w.deploy(w.push("1.1.0", exits_after=1.0, exit_code=1), "web")
        w.run(lambda: w.deps.store.rollouts() and all_ended(w))
        assert w.latest("db-migrator").phase is Phase.ROLLED_BACK
        for name in ORDER[1:]:
            assert w.latest(name).phase is Phase.ABORTED
            assert "called off" in w.latest(name).reason
            assert w.running(name) == ["1.0.0"] * 2


def test_on_failure_freeze_takes_nothing_back():
    with world() as w:
        app(w, on_failure="freeze", gate__http__url="http://{task}:80/health")
        image = w.push("1.1.0")
        broken = lambda *_: 500 if w.deps.store.rollouts("web") and w.latest("web").phase is Phase.MOVING else 200  # noqa: E731
        w.swarm.push(image, type(w.swarm.registry.found(w.pinned(image))[1])(http=broken))
        w.deploy(image, "web")
        w.run(lambda: w.deps.store.rollouts() and all_ended(w))
        assert w.latest("web").phase is Phase.FROZEN
        assert w.running("workers") == ["1.1.0"] * 2
        assert moves(w) == [f"deploy {name}" for name in ORDER]


def test_a_member_that_waits_can_be_paused_and_goes_on_when_resumed():
    with world() as w:
        app(w)
        w.deploy(w.push("1.1.0"), "web")
        w.run(lambda: w.deps.store.rollouts("workers"))
        waiting = w.latest("workers")
        assert waiting.phase is Phase.WAITING
        control.pause(w.deps, waiting.id, "alice")
        w.run(lambda: w.latest("db-migrator").phase.terminal)
        w.wait(100)
        assert w.get(waiting).phase is Phase.WAITING
        control.resume(w.deps, waiting.id, "alice")
        w.run(lambda: all_ended(w))
        assert all(w.running(name) == ["1.1.0"] * 2 for name in ORDER)


def test_a_newer_push_in_the_middle_wins_and_nothing_is_taken_back():
    with world() as w:
        app(w)
        w.push("1.1.0")
        w.pushed("1.1.0")
        w.run(lambda: w.deps.store.rollouts("workers") and w.latest("workers").phase is Phase.MOVING)
        w.push("1.2.0")
        w.pushed("1.2.0")
        w.run(lambda: all_ended(w) and w.running("web") == ["1.2.0"] * 2, 600)
        assert all(w.running(name) == ["1.2.0"] * 2 for name in ORDER)
        assert not any("rollback" in m for m in moves(w))
