"""What fails around Nodewise in the middle of a rollout of every strategy: it ends right, with no hand needed.

Three apps are on their way at once when the fault strikes: one ``rolling``, one ``staged``, and one of two services by
``cells``, each with a part of its nodes moved and a part not. The tests only wait from then on. Which end is right:

| fault                             | end                                                                            |
| --------------------------------- | ------------------------------------------------------------------------------ |
| the managers' leader dies         | succeeded: Swarm's new leader goes on, and no release is to blame for a node   |
| a worker with tasks dies          | succeeded: its tasks run elsewhere, or are not wanted any more                 |
| the registry dies, nodes are cold | rolled back: a node that cannot pull the release cannot run it                 |
| the same, the nodes have pulled   | succeeded: nothing that is left to do needs the registry                       |
| the registry is away for a while  | succeeded: what is not planned yet waits for it                                |
| the managers cannot be reached    | succeeded: what could not be seen is no reason to turn round                   |
| the managers do not answer        | the same                                                                       |
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.node import Node
from tests.product import wait_for
from tests.relay import Relay, relays
from tests.scene import SECOND, Scene, open_scene

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.seconds(250)]

PATIENCE = 180  # seconds for anything that is waited for: the machine may be busy
OLD, NEW = "1.0.0", "1.1.0"
PARTS = ("rolling", "staged", "cells")
SLOW = {"Monitor": SECOND, "Delay": 10 * SECOND}  # long enough that all are on their way at the same time
CUT = 20.0  # seconds without a manager


@dataclass(frozen=True)
class Trio:
    """One app of each strategy. ``three`` are the nodes of the first two, ``two`` those of the cells' last service."""

    scene: Scene
    three: Sequence[str]
    two: Sequence[str]

    def image(self, app: str, tag: str) -> str:
        """Each app has a repository of its own: what one has pulled is not there for another."""
        return f"{self.scene.registry.address}/{self.scene.name}/{app}:{tag}"

    def create(self, **labels: str) -> None:
        """The services as they are before, and the new release ready to be pushed."""
        for tag in (OLD, NEW):
            self.scene.lab.build_app(self.image(PARTS[0], tag), version=tag)
            for app in PARTS[1:]:
                self.scene.client().tag(self.image(PARTS[0], tag), self.image(app, tag))
        self._push(OLD)
        told = "events WHERE done_at IS NOT NULL"
        wait_for("the old release to be heard of", lambda: self.scene.count(told) >= len(PARTS), PATIENCE)
        staged = {"strategy": "staged", "bake": "5s"}
        cells = {"strategy": "cells", "app": f"{self.scene.name}-shop"}
        with ThreadPoolExecutor(4) as pool:
            made = [
                pool.submit(self._service, "rolling", "rolling", 3, self.three, SLOW, labels),
                pool.submit(self._service, "staged", "staged", None, self.three, {"Monitor": SECOND}, labels | staged),
                pool.submit(
                    self._service,
                    "first",
                    "cells",
                    2,
                    self.three[:2],
                    {"Monitor": SECOND},
                    labels | cells | {"stage": "1"},
                ),
                pool.submit(self._service, "second", "cells", None, self.two, SLOW, labels | cells | {"stage": "2"}),
            ]
        for service in made:
            service.result()

    def _service(
        self, name: str, app: str, replicas: int | None, on: Sequence[str], update: dict[str, Any], labels: Any
    ) -> None:
        image = self.image(app, OLD)
        self.scene.create_service(name, image, replicas, update=update, checked=False, on=on, **labels)

    def _push(self, tag: str) -> None:
        for app in PARTS:
            self.scene.push(self.image(app, tag))

    def name(self, service: str) -> str:
        return f"{self.scene.name}-{service}"

    def set_out(self) -> None:
        """The new release is pushed, and everything is on its way: some nodes moved, some not."""
        self._push(NEW)
        wait_for("the middle of all three", self._midway, PATIENCE, 0.1)

    def _midway(self) -> bool:
        rolling, second = (self.scene.running_tags(self.name(s)) for s in ("rolling", "second"))
        staged = self.deploys("staged")
        if not staged or staged[0]["phase"] != "staging":
            return False
        passed = [s["state"] == "passed" for s in self.scene.product.get(f"rollouts/{staged[0]['id']}")["steps"]]
        return all(NEW in tags and OLD in tags for tags in (rolling, second)) and any(passed) and not all(passed)

    def deploys(self, service: str) -> list[dict[str, Any]]:
        """The rollouts to the new release."""
        found = self.scene.product.get("rollouts", service=self.name(service))["rollouts"]
        return [r for r in found if r["kind"] == "deploy" and f":{NEW}@" in r["image"]]

    def ends(self, service: str, phase: str, tag: str, tasks: int) -> None:
        """One rollout, ended as *phase*; and *tasks* tasks run, all of them as *tag*."""
        full = self.name(service)
        wait_for(f"{full} to end", lambda: all(r["ended_at"] for r in self.deploys(service)), PATIENCE, 0.2)
        (deploy,) = self.deploys(service)
        assert deploy["phase"] == phase, f"{full}: {deploy['phase']}, {deploy['reason']}"
        wait_for(f"{full} as {tag}", lambda: self.scene.running_tags(full) == [tag] * tasks, PATIENCE, 0.2)

    def all_succeed(self, three: int = 3, two: int = 2) -> None:
        """*three*, *two*: on how many of these nodes a global service can run."""
        self.ends("rolling", "succeeded", NEW, 3)
        self.ends("staged", "succeeded", NEW, three)
        self.ends("first", "succeeded", NEW, 2)
        self.ends("second", "succeeded", NEW, two)
        self.nothing_is_left()

    def nothing_is_left(self) -> None:
        """No helper services, and nothing that Nodewise still has to do."""
        names = sorted(map(self.name, ("rolling", "staged", "first", "second")))
        wait_for("helpers to go", lambda: sorted(s["Spec"]["Name"] for s in self.scene.services()) == names, PATIENCE)
        assert self.scene.count("rollouts WHERE ended_at IS NULL") == 0
        assert [n.name for n in self.scene.lab.nodes if not n.is_up] == self.dead()

    def dead(self) -> list[str]:
        """Nodes that the swarm sees down: they have not come back meanwhile."""
        nodes = self.scene.client().nodes()
        return sorted(n["Description"]["Hostname"] for n in nodes if n["Status"]["State"] == "down")


def leader_of(lab: Lab) -> Node:
    with lab.managers[0].client() as client:
        leads = [n for n in client.nodes() if n.get("ManagerStatus", {}).get("Leader")]
    return lab[leads[0]["Description"]["Hostname"]]


@pytest.mark.alone
def test_the_leader_of_the_managers_dies_with_the_tasks_that_it_ran(lab: Lab):
    """Its tasks are lost with it, updaters begin again on the next leader, and Nodewise was talking to it."""
    leader = leader_of(lab)
    hosts = sorted((n.docker_host for n in lab.managers), key=lambda host: host != leader.docker_host)
    with open_scene("leader", NODEWISE_DOCKER_HOSTS=",".join(hosts)) as scene:
        scene.lab.managers.sort(key=lambda n: n.name == leader.name)  # the test itself talks to one that lives on
        trio = Trio(scene, (leader.name, "w1", "w2"), (leader.name, "w2"))
        trio.create()
        trio.set_out()
        leader.kill()
        trio.all_succeed(three=2, two=1)
        assert trio.dead() == [leader.name]


@pytest.mark.alone
def test_a_worker_dies_with_the_tasks_that_it_ran(lab: Lab):
    with open_scene("worker") as scene:
        trio = Trio(scene, ("m2", "w1", "w2"), ("w1", "w2"))
        trio.create()
        trio.set_out()
        lab["w1"].kill()
        trio.all_succeed(three=2, two=1)
        assert trio.dead() == ["w1"]


def test_the_registry_dies_and_nodes_that_have_not_pulled_yet_cannot_follow(lab: Lab):
    """Rolled back, and the cells' first service with it: that needs no registry, the images are on the nodes."""
    with open_scene("cold") as scene:
        trio = Trio(scene, ("m2", "w1", "w2"), ("m3", "w2"))
        trio.create()
        trio.set_out()
        scene.registry.stop()
        trio.ends("rolling", "rolled_back", OLD, 3)
        trio.ends("staged", "rolled_back", OLD, 3)
        trio.ends("second", "rolled_back", OLD, 2)
        trio.ends("first", "succeeded", OLD, 2)
        back = scene.product.wait_service(trio.name("first"), lambda r: r["kind"] == "rollback", PATIENCE)
        assert scene.product.wait_rollout(back["id"], PATIENCE)["phase"] == "succeeded"
        trio.nothing_is_left()


def test_the_registry_dies_and_nodes_that_have_pulled_ahead_do_not_miss_it(lab: Lab):
    with open_scene("warm") as scene:
        trio = Trio(scene, ("m2", "w1", "w2"), ("m3", "w2"))
        trio.create(prepull="true")
        trio.set_out()
        scene.registry.stop()
        trio.all_succeed()


@pytest.mark.parametrize(
    ("scene_name", "cut", "mend"), [("cut", Relay.stop, Relay.start), ("silent", Relay.hold, Relay.let_go)]
)
def test_the_managers_cannot_be_reached_for_a_while(lab: Lab, tmp_path: Path, scene_name, cut, mend):
    """Swarm goes on meanwhile; Nodewise sees nothing, decides nothing, and is up to date again afterwards.

    Connections are refused, or hang: then what Nodewise sent and gave up arrives when it looks again already.
    """
    with relays(tmp_path, [n.docker_host for n in lab.managers]) as wires:
        hosts = ",".join(w.docker_host for w in wires)
        with open_scene(scene_name, NODEWISE_DOCKER_HOSTS=hosts) as scene:
            trio = Trio(scene, ("m2", "w1", "w2"), ("m3", "w2"))
            trio.create()
            trio.set_out()
            for wire in wires:
                cut(wire)
            time.sleep(CUT)  # that is the fault
            blind = scene.rows("SELECT service FROM rollouts WHERE ended_at IS NULL")
            for wire in wires:
                mend(wire)
            assert {r["service"] for r in blind} == set(map(trio.name, ("rolling", "staged", "second")))
            trio.all_succeed()
