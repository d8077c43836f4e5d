"""Nodes that go down in the middle of a rollout, on the simulated swarm: at any moment, with any strategy.

Swarm's updater waits without end for a new task that is lost with its node before it runs.
"""

from __future__ import annotations

import pytest

from nodewise.config.labels import read_labels
from nodewise.domain.release import ReleaseState
from nodewise.domain.rollout import Phase
from nodewise.domain.swarm import LOST_LABEL
from tests.world import SECOND, World, world

MOMENTS = {"node1": range(5, 130, 10), "node2": range(10, 130, 10), "node3": range(7, 130, 10)}  # tenths of seconds
SLOW = {"Delay": 2 * SECOND}


def lost_on_the_way(w: World, replicas: int | None) -> str:
    """A node goes down while the update's new task is on its way there. The node's name."""

    def coming() -> str | None:
        tasks = w.swarm.tasks([w.swarm.service("web").id])
        new = [t for t in tasks if ":1.1.0@" in t.image and t.node_id and not t.running and t.desired != "shutdown"]
        return new[0].node_id if new else None

    w.service(replicas=replicas, update=SLOW)
    w.deploy(w.push("1.1.0"))
    node = w.run(coming, 60)
    w.swarm.node_down(node)
    return next(n.name for n in w.swarm.nodes() if n.id == node)


@pytest.mark.parametrize("strategy", ["rolling", "staged"])
@pytest.mark.parametrize("replicas", [3, None], ids=["replicated", "global"])
@pytest.mark.parametrize("node", ["node1", "node2", "node3"])
def test_a_node_that_goes_down_at_any_moment_turns_nothing_round(node, replicas, strategy):
    wrong = []
    for moment in (tenth / 10 for tenth in MOMENTS[node]):
        with world(nodes=3) as w:
            w.service(replicas=replicas, update=SLOW, strategy=strategy)
            rollout = w.deploy(w.push("1.1.0"))
            w.wait(moment)
            w.swarm.node_down(node)
            ended = w.end(rollout)
            if ended.phase is not Phase.SUCCEEDED or w.running() != ["1.1.0"] * (replicas or 2) or w.helpers():
                wrong.append((moment, ended.phase, ended.reason, w.running()))
    assert not wrong


@pytest.mark.parametrize("replicas", [3, None], ids=["replicated", "global"])
def test_an_update_goes_on_without_a_task_that_was_lost_before_it_ran(replicas):
    with world(nodes=3) as w:
        lost_on_the_way(w, replicas)
        ended = w.end(w.latest(), 120)
        assert ended.phase is Phase.SUCCEEDED, ended.reason
        service = w.swarm.service("web")
        assert service.lost, "the write that made it go on says for which tasks"
        assert read_labels(service.labels, {}).problems == ()


def test_the_next_rollout_takes_the_label_off_and_knows_the_release():
    with world(nodes=3) as w:
        w.swarm.node_up(lost_on_the_way_and_over(w))
        assert w.end(w.deploy(w.push("1.2.0"))).phase is Phase.SUCCEEDED
        assert LOST_LABEL not in w.swarm.service("web").labels
        assert w.end(w.rollback()).phase is Phase.SUCCEEDED
        releases = {r.number: (r.state, LOST_LABEL in r.spec["Labels"]) for r in w.deps.store.releases("web")}
        assert releases == dict.fromkeys((1, 2, 3), (ReleaseState.GOOD, False))
        assert set(w.running()) == {"1.1.0"}


def lost_on_the_way_and_over(w: World) -> str:
    node = lost_on_the_way(w, None)
    w.end(w.latest(), 120)
    return node


def test_a_rollback_goes_on_without_a_lost_task_too():
    with world(nodes=3) as w:
        w.service(replicas=None, update=SLOW)
        assert w.end(w.deploy(w.push("1.1.0"))).phase is Phase.SUCCEEDED
        rollback = w.rollback()

        def coming() -> str | None:
            tasks = w.swarm.tasks([w.swarm.service("web").id])
            new = [t for t in tasks if t.up_to_date and ":1.0.0@" in t.image and t.desired != "shutdown"]
            return next((t.node_id for t in new if not t.running), None)

        w.swarm.node_down(w.run(coming, 60))
        assert w.end(rollback, 120).phase is Phase.SUCCEEDED
        assert w.running() == ["1.0.0"] * 2


def test_another_node_that_goes_down_on_the_way_is_gone_without_as_well():
    with world(nodes=5) as w:
        first = lost_on_the_way(w, None)
        known = {n.id for n in w.swarm.nodes() if n.name == first}

        def coming() -> str | None:
            tasks = w.swarm.tasks([w.swarm.service("web").id])
            new = [t for t in tasks if ":1.1.0@" in t.image and t.node_id not in known and t.desired != "shutdown"]
            return next((t.node_id for t in new if not t.running), None)

        w.swarm.node_down(w.run(coming, 60))
        assert w.end(w.latest(), 120).phase is Phase.SUCCEEDED
        assert w.running() == ["1.1.0"] * 3


def test_a_node_that_somebody_labels_gets_the_release_before_its_turn_and_its_gates_are_read_as_any_others():
    """Swarm moves its task of a global service at once (tests/contract/test_engine_tasks.py)."""
    with world(nodes=3) as w:
        w.service(replicas=None, update={"Delay": 60 * SECOND})
        rollout = w.deploy(w.push("1.1.0"))

        def states() -> dict[str, str]:
            return {s.node: str(s.state) for s in w.get(rollout).steps}

        w.run(lambda: sorted(states().values()) == ["passed", "waiting", "waiting"], 30)
        labelled = next(n for n in w.swarm.nodes() if states()[n.name] == "waiting")
        w.swarm.label_node(labelled.name, shelf="top")
        w.run(lambda: states()[labelled.name] == "passed", 30)
        assert sorted(states().values()) == ["passed", "passed", "waiting"]
        assert w.end(rollout).phase is Phase.SUCCEEDED
        assert w.running() == ["1.1.0"] * 3
