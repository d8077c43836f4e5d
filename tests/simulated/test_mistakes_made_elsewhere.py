"""Mistakes that others made in rollouts, each shown not to be made here, on the simulated swarm.

Here are those that a real swarm shows only by chance, only in hours, or only when its nodes are hurt: each test says
which. The others are in tests/e2e, in a file of the same name; docs/mistakes.md lists them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodewise.domain.rollout import Phase
from nodewise.domain.staging import open_question
from nodewise.domain.swarm import ROLLOUT_LABEL, Spec
from nodewise.testing import SimulatedSwarm
from tests.world import SECOND, World, world

BAD = {"exits_after": 1.0, "exit_code": 3}


class SomeoneQuicker:
    """The swarm, in which somebody else's update comes between our look and our write, once."""

    def __init__(self, swarm: SimulatedSwarm, update: Callable[[], object]) -> None:
        self._swarm = swarm
        self._updates = [update]
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._swarm, name)

    def update_service(self, *arguments: Any) -> None:
        while self._updates:
            self._updates.pop()()
        try:
            self._swarm.update_service(*arguments)
        except Exception:
            self.refused += 1
            raise


def their_env(spec: Spec) -> Spec:
    task = spec["TaskTemplate"]
    return {**spec, "TaskTemplate": {**task, "ContainerSpec": {**task["ContainerSpec"], "Env": ["A=theirs"]}}}


def with_someone_quicker(w: World, update: Callable[[], object]) -> SomeoneQuicker:
    swarm = SomeoneQuicker(w.swarm, update)
    w.deps = w.new_worker(engine=swarm)
    return swarm


def moved_nodes(w: World, tag: str) -> list[str]:
    names = {n.id: n.name for n in w.swarm.nodes()}
    view = w.swarm.service("web")
    assert view is not None
    return [names[t.node_id] for t in w.swarm.tasks([view.id]) if t.running and f":{tag}@" in t.image]


# -- 2: the way back -------------------------------------------------------------------------------------


def test_a_delay_beyond_the_monitor_hides_no_failure_from_old_engines():
    """Mistake 2 (moby#42875): before 20.10.10, Swarm missed failures where Delay was longer than Monitor.

    Simulated: the lab's engines are newer.
    """
    with world() as w:
        w.swarm = SimulatedSwarm(w.clock, 5, engine_version="20.10.9")
        w.deps = w.new_worker()
        w.service(replicas=3, update={"Delay": 10 * SECOND, "Monitor": 5 * SECOND, "FailureAction": "rollback"})
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert ended.phase is Phase.SUCCEEDED
        settings = w.swarm.service("web").spec["UpdateConfig"]
        assert settings["Monitor"] > settings["Delay"] == 10 * SECOND
        assert any("monitor raised" in note for note in ended.plan.notes)


# -- 5: update out of sequence ---------------------------------------------------------------------------


def test_an_update_out_of_sequence_is_no_failure():
    """Mistake 5 (moby#30794): the version had moved on by a scaling, and the deploy failed with that.

    Simulated: the moment between a look and a write cannot be hit on a real swarm but by chance.
    """
    with world() as w:
        w.service(replicas=3)
        swarm = with_someone_quicker(w, lambda: w.swarm.scale("web", 4))
        assert w.end(w.deploy(w.push("1.1.0"))).phase is Phase.SUCCEEDED
        assert swarm.refused == 1
        w.run(lambda: w.running() == ["1.1.0"] * 4, 60)


def test_an_update_out_of_sequence_is_not_written_over_someone_elses_change():
    """Mistake 5 (moby#39891): the same write was sent again with the new version, over what had been changed.

    Simulated, for the same reason.
    """
    with world() as w:
        w.service(replicas=3)
        swarm = with_someone_quicker(w, lambda: w.swarm.foreign_update("web", their_env))
        ended = w.end(w.deploy(w.push("1.1.0")))
        assert (ended.phase, swarm.refused) == (Phase.CHANGED, 1)
        assert "changed by someone else" in ended.reason
        w.wait(60)
        spec = w.swarm.service("web").spec
        assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=theirs"]
        assert ROLLOUT_LABEL not in spec["Labels"]
        assert w.running() == ["1.0.0"] * 3


# -- 6: a node that is away ------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "in the middle"])
@pytest.mark.parametrize("replicas", [None, 5])
def test_a_node_that_is_away_does_not_stall_the_rollout(when: str, replicas: int | None):
    """Mistake 6 (shepherd#93): one node was offline, and the update stood still for days.

    Simulated: the lab's nodes are not to be hurt.
    """
    with world() as w:
        w.service(replicas=replicas, deadline="2m", update={"Delay": 3 * SECOND})
        if when == "before":
            w.swarm.node_down("node5")
        rollout = w.deploy(w.push("1.1.0"))
        w.run(lambda: "1.1.0" in w.running())
        if when == "in the middle":
            w.swarm.node_down(next(f"node{n}" for n in range(5, 0, -1) if f"node{n}" not in moved_nodes(w, "1.1.0")))
        assert w.end(rollout, 120).phase is Phase.SUCCEEDED
        assert w.running() == ["1.1.0"] * (replicas or 4)


# -- 11: the next one ------------------------------------------------------------------------------------

STANDING = {
    "a task hangs": ({}, {"start": 1e6, "healthcheck": True}, Phase.MOVING),
    "a candidate hangs": ({"strategy": "staged"}, {"start": 1e6, "healthcheck": True}, Phase.STAGING),
    "it bakes": ({"strategy": "staged", "bake": "25s"}, {}, Phase.STAGING),
    "it waits for a person": ({"gate__approval": "true"}, {}, Phase.PREPARING),
    "it waits for a person between two steps": ({"strategy": "staged", "gate__approval": "each"}, {}, Phase.STAGING),
    "it is held by a failure": ({"strategy": "staged", "on_failure": "pause"}, BAD, Phase.STAGING),
    "a node pulls for ever": ({"prepull": "true"}, {"pull": 1e6}, Phase.PREPARING),
    "it is watched": ({"watch": "10h"}, {}, Phase.WATCHING),
}


@pytest.mark.parametrize("why", STANDING)
def test_the_rollout_that_supersedes_another_does_not_get_stuck(why: str):
    """Mistake 11 (argo-rollouts#3331): the one that superseded it never began, and the old one never ended.

    Simulated: one for each way to stand still, and some stand for hours.
    """
    labels, app, phase = STANDING[why]
    with world() as w:
        w.service(replicas=3, **labels)
        first = w.reaches(w.deploy(w.push("1.1.0", **app)), phase)
        w.wait(20)
        assert w.get(first).phase is phase, "it stands"
        second = w.deploy(w.push("1.2.0")).id
        w.run(lambda: w.get(first).phase.terminal, 60)
        w.run(lambda: approved(w, second) and w.running() == ["1.2.0"] * 3, 600)
        assert w.get(first).phase in (Phase.SUPERSEDED, Phase.SUCCEEDED)


def approved(w: World, rollout: str) -> bool:
    """A person says yes as often as it asks."""
    if open_question(w.get(rollout)):
        w.control.approve(w.deps, rollout, "bob")
    return True


# -- 13: an image that is gone ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["a person", "a gate"])
@pytest.mark.parametrize("registry", ["up", "down"])
def test_pruning_breaks_no_rollback_and_where_the_registry_is_away_none_hangs(registry: str, who: str):
    """Mistake 13 (kamal#270): the image of the release before had been pruned, and the rollback broke.

    Simulated: the lab's nodes keep their images. Without a registry, what is gone from the nodes is gone.
    """
    sick = {"now": False}
    with world() as w:
        w.service(replicas=3, deadline="1m", watch="1h", gate__http__url="http://{task}:80/")
        first = w.reaches(w.deploy(w.push("1.1.0", http=lambda *_: 500 if sick["now"] else 200)), Phase.WATCHING)
        for node in w.swarm.nodes():
            w.swarm.prune(node.name)
        w.swarm.registry.away = registry == "down"
        sick["now"] = who == "a gate"
        ended = w.end(w.rollback() if who == "a person" else first, 300)
        if registry == "down":
            assert ended.phase is Phase.FAILED
            assert f"No such image: {w.image('1.0.0')}@sha256:" in ended.reason
            assert ended.evidence
            w.swarm.registry.away = False
        else:
            assert ended.phase is (Phase.SUCCEEDED if who == "a person" else Phase.ROLLED_BACK), ended.reason
        w.run(lambda: w.running() == ["1.0.0"] * 3, 60)


# -- 14: some nodes on the new version -------------------------------------------------------------------


def test_a_node_that_keeps_the_release_that_was_taken_back_is_told():
    """Mistake 14 (Kamal): some hosts stayed on the new version, and nobody was told which.

    Simulated: a node of the lab that is paused is paused for everybody. Swarm leaves a paused node's task alone.
    """
    sick = {"now": False}
    with world() as w:
        labels = {"gate__http__url": "http://{task}:80/"}
        w.service(replicas=None, update={"Delay": 5 * SECOND}, **labels)
        rollout = w.deploy(w.push("1.1.0", http=lambda *_: 500 if sick["now"] else 200))
        w.run(lambda: w.running().count("1.1.0") == 2)
        kept = moved_nodes(w, "1.1.0")[0]
        w.swarm.pause(kept)
        sick["now"] = True
        ended = w.end(rollout)
        assert ended.phase is Phase.ROLLED_BACK
        assert ended.reason.endswith(f"paused, and left with the release that was taken back: {kept}")
        assert w.running() == [*["1.0.0"] * 4, "1.1.0"]
