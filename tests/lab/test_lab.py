"""The lab itself: whole, idempotent, and repaired after whatever a test has done to it."""

from __future__ import annotations

import docker
import pytest

from tests.lab.lab import Lab
from tests.product import wait_for

pytestmark = pytest.mark.lab


def states(lab: Lab) -> dict[str, str]:
    with lab.managers[0].client() as client:
        return {n["Description"]["Hostname"]: n["Status"]["State"] for n in client.nodes()}


def is_seen_down(lab: Lab, name: str) -> bool:
    try:
        return states(lab)[name] == "down"
    except docker.errors.APIError:  # it has led, and there is no new leader yet
        return False


def test_a_second_up_changes_nothing(lab: Lab):
    before = {n.name: n.client().info()["ID"] for n in lab.nodes}
    again = Lab.up()
    assert {n.name: n.client().info()["ID"] for n in again.nodes} == before
    assert states(again) == dict.fromkeys(before, "ready")


def test_three_managers_and_two_workers_are_real_engines_of_one_swarm(lab: Lab):
    with lab.managers[0].client() as client:
        roles = [n["Spec"]["Role"] for n in client.nodes()]
    assert sorted(roles) == ["manager"] * 3 + ["worker"] * 2
    assert len({n.client().info()["Name"] for n in lab.nodes}) == 5


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("harm", ["kill", "cut"])
def test_a_node_that_is_killed_or_cut_off_is_seen_down_and_the_next_up_repairs_it(lab: Lab, harm: str):
    getattr(lab["w1"], harm)()
    wait_for("w1 to be seen down", lambda: is_seen_down(lab, "w1"))
    repaired = Lab.up()
    assert repaired.is_whole()
    assert set(states(repaired).values()) == {"ready"}


@pytest.mark.alone
@pytest.mark.slow
def test_a_killed_manager_leaves_a_swarm_that_still_answers(lab: Lab):
    lab["m3"].kill()
    wait_for("m3 to be seen down", lambda: is_seen_down(lab, "m3"))
    assert len(states(lab)) == 5
    Lab.up()
    assert set(states(lab).values()) == {"ready"}
