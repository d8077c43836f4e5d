"""cells: the services of one app move in the order of their stages, and are taken back in reverse order."""

from __future__ import annotations

import itertools

import pytest

from nodewise import control
from nodewise.domain.ids import new_id
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.testing import App
from tests.world import SECOND, World, world

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


# -- a newer rollout of the app in the middle ------------------------------------------------------------


def slow_to_fail(w: World, tag: str) -> str:
    """A release that the db takes, and that breaks long after each other service has begun to move to it."""
    image = w.push(tag)

    def answer(_path: str, seconds: float) -> int:
        later = [r for r in w.deps.store.rollouts("workers") if r.phase is Phase.MOVING]
        return 500 if later and seconds > 25 and w.clock.now() - (later[0].started_at or 0.0) > 25 else 200

    w.swarm.push(image, type(w.swarm.registry.found(w.pinned(image))[1])(http=answer))
    return image


@pytest.mark.parametrize("newer", ["has ended", "is on its way", "was taken back"])
def test_a_failure_takes_back_only_what_still_runs_what_this_app_rollout_brought(newer):
    with world() as w:
        app(w, gate__http__url="http://{task}:80/health", bake="15s")
        w.deploy(slow_to_fail(w, "1.1.0"), "web")
        w.run(lambda: w.deps.store.rollouts("workers") and w.latest("workers").phase is Phase.MOVING)
        first = w.latest("workers")
        exits = {"exits_after": 2.0, "exit_code": 1} if newer == "was taken back" else {}
        start = {"start": 25.0, "healthcheck": True} if newer == "is on its way" else {}
        image = w.push("1.2.0", **exits, **start)
        w.deps.store.add_rollout(alone(w, image), w.clock.now(), "test")
        w.run(lambda: w.get(first).phase is Phase.ROLLED_BACK)
        w.run(lambda: all_ended(w))
        assert w.running("workers") == ["1.0.0"] * 2
        backs = [r for r in w.deps.store.rollouts(ORDER[0]) if r.kind is Kind.ROLLBACK]
        if newer == "was taken back":
            assert [r.phase for r in backs] == [Phase.SUCCEEDED]
            assert w.running(ORDER[0]) == ["1.0.0"] * 2
        else:
            assert backs == []
            assert w.running(ORDER[0]) == ["1.2.0"] * 2
            assert not w.deps.store.locks(ORDER[0])


def alone(w: World, image: str) -> Rollout:
    """A rollout of the first service by itself: as the first of a newer app rollout, whose others do not matter."""
    now = w.clock.now()
    return Rollout(
        new_id("r", now, w.chance),
        ORDER[0],
        Kind.DEPLOY,
        Phase.PENDING,
        "test",
        now,
        image=image,
        app_rollout=new_id("g", now, w.chance),
    )


def test_a_service_that_someone_else_has_changed_since_is_not_taken_back():
    with world() as w:
        app(w, gate__http__url="http://{task}:80/health", bake="15s")
        w.deploy(slow_to_fail(w, "1.1.0"), "web")
        w.run(lambda: w.deps.store.rollouts("workers") and w.latest("workers").phase is Phase.MOVING)
        w.swarm.foreign_update(ORDER[0], lambda spec: with_image(spec, w.pinned(w.push("3.0.0"))))
        w.run(lambda: w.latest("workers").phase.terminal)
        w.run(lambda: all_ended(w))
        assert w.running(ORDER[0]) == ["3.0.0"] * 2
        back = w.latest(ORDER[0])
        assert (back.kind, back.phase) == (Kind.ROLLBACK, Phase.SUPERSEDED)
        assert "left alone" in back.reason


def with_image(spec, image):
    task = spec["TaskTemplate"]
    return {**spec, "TaskTemplate": {**task, "ContainerSpec": {**task["ContainerSpec"], "Image": image}}}


def test_to_be_replaced_by_a_newer_rollout_is_no_failure_and_takes_nothing_back():
    with world() as w:
        image = w.push("1.0.0")
        for name, stage, delay in (("quick", 1, 0), ("slow", 1, 10), ("last", 2, 0)):
            labels = {"strategy": "cells", "app": "shop", "stage": str(stage)}
            w.service(name, image, replicas=2, update={"Delay": delay * SECOND}, **labels)
        w.deploy(w.push("1.1.0"), "last")
        w.run(lambda: w.deps.store.rollouts("quick") and w.latest("quick").phase is Phase.SUCCEEDED)
        assert w.latest("slow").phase is Phase.MOVING
        older = w.latest("slow").app_rollout
        w.deploy(w.push("1.2.0"), "last")
        w.run(lambda: all_ended(w))
        assert [w.running(name) for name in ("quick", "slow", "last")] == [["1.2.0"] * 2] * 3
        assert not any("rollback" in m for m in moves(w))
        ends = {m.service: m.phase for m in w.deps.store.app_members(older)}
        assert ends == {"quick": Phase.SUCCEEDED, "slow": Phase.SUPERSEDED, "last": Phase.SUPERSEDED}


SIDE_BY_SIDE = {"quick": (1, 2, 0), "slow": (1, 2, 10), "busy": (1, 8, 0), "last": (2, 2, 0)}


def side_by_side(w: World) -> None:
    """Three services of one stage: *quick* runs 1.1.0 by now, *slow* is between two tasks, *busy* never is."""
    image = w.push("1.0.0")
    for name, (stage, replicas, delay) in SIDE_BY_SIDE.items():
        labels = {"strategy": "cells", "app": "shop", "stage": str(stage)}
        w.service(name, image, replicas=replicas, update={"Delay": delay * SECOND}, **labels)
    w.deploy(w.push("1.1.0", start=3.0, healthcheck=True), "last")
    w.run(lambda: w.deps.store.rollouts("slow") and w.running("slow") == ["1.0.0", "1.1.0"])
    w.run(lambda: w.latest("quick").phase is Phase.SUCCEEDED)


def releases(w: World) -> dict[str, set[str]]:
    return {name: set(w.running(name)) for name in SIDE_BY_SIDE}


@pytest.mark.parametrize("seconds", [3.0, 20.0], ids=["at once", "when some services run it"])
def test_when_the_newer_one_fails_as_well_every_service_is_back_with_the_release_before_both(seconds):
    with world() as w:
        side_by_side(w)
        older = w.latest("slow")
        w.deploy(w.push("1.2.0", exits_after=seconds, exit_code=1), "last")
        w.run(lambda: w.latest("slow").phase is Phase.ROLLED_BACK)
        assert w.get(older).phase is Phase.SUPERSEDED
        w.run(lambda: all_ended(w))
        assert releases(w) == {name: {"1.0.0"} for name in SIDE_BY_SIDE}


def test_when_one_is_replaced_and_another_fails_the_newer_one_moves_all_of_them():
    with world() as w:
        side_by_side(w)
        older, failing = w.latest("slow"), w.latest("busy")
        w.deploy(w.push("1.2.0"), "last")
        w.run(lambda: w.get(older).phase is Phase.SUPERSEDED)
        control.abort(w.deps, failing.id, "alice")
        assert w.end(failing).phase is Phase.ABORTED
        w.run(lambda: all_ended(w))
        assert releases(w) == {name: {"1.2.0"} for name in SIDE_BY_SIDE}


def test_an_app_rollout_whose_service_is_replaced_while_it_waits_for_another_ends_with_all_its_services():
    with world() as w:
        w.swarm.registry.command(("migrate",), App(exits_after=10.0))
        app(w, hook__before="migrate")
        w.deploy(w.push("1.1.0"), "web")
        w.wait(2)
        assert w.latest(ORDER[0]).chore("before").made
        w.deploy(w.push("1.2.0"), "web")
        w.run(lambda: w.latest(ORDER[0]).phase is Phase.QUEUED)
        older = w.latest(ORDER[0]).app_rollout
        w.wait(1)
        w.deploy(w.push("1.3.0"), "web")
        w.run(lambda: all_ended(w))
        assert all(w.running(name) == ["1.3.0"] * 2 for name in ORDER)
        assert {m.phase for m in w.deps.store.app_members(older)} == {Phase.SUPERSEDED}


@pytest.mark.parametrize("service", [ORDER[1], ORDER[0]], ids=["on its way", "has moved"])
def test_a_persons_rollback_of_one_service_takes_the_others_of_its_app_back(service):
    with world() as w:
        app(w, bake="15s")
        w.deploy(w.push("1.1.0"), "web")
        w.run(lambda: w.deps.store.rollouts("workers") and w.latest("workers").phase is Phase.MOVING)
        w.rollback(service=service)
        w.run(lambda: all_ended(w))
        assert all(w.running(name) == ["1.0.0"] * 2 for name in ORDER)
        assert w.deps.store.rollouts("web")[0].phase is Phase.ABORTED
