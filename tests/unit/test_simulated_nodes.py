"""Simulated nodes and jobs, where a real swarm would be harmed: nodes that go, machines that are full.

What can be shown on both is in tests/contract.
"""

from __future__ import annotations

import pytest

from tests.unit.simulated import SECOND, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


# Nodes


def test_tasks_of_a_node_that_is_down_start_elsewhere_and_their_old_ones_seem_to_run_on(scene: Scene) -> None:
    service = scene.started()
    lost = scene.wanted(service)[0]
    scene.swarm.node_down(lost.node_id)
    scene.until(lambda: scene.settled(service))
    old = next(t for t in scene.swarm.tasks([service]) if t.id == lost.id)
    assert (old.state, old.desired) == ("running", "shutdown")
    assert scene.swarm.task_logs(lost.id, 5) == ""
    scene.swarm.node_up(lost.node_id)
    scene.until(lambda: next(t for t in scene.swarm.tasks([service]) if t.id == lost.id).state == "shutdown")
    assert len(scene.wanted(service)) == 3


def test_tasks_of_a_node_that_stays_down_for_a_day_are_orphaned(scene: Scene) -> None:
    service = scene.started()
    lost = scene.wanted(service)[0]
    scene.swarm.node_down(lost.node_id)
    scene.clock.advance(24 * 3600 + 1)
    assert next(t for t in scene.swarm.tasks([service]) if t.id == lost.id).state == "orphaned"


def test_an_update_waits_for_ever_for_its_task_on_a_node_that_went_down(scene: Scene) -> None:
    service = scene.started(task={"RestartPolicy": {"Delay": SECOND}})
    scene.write(service, scene.pinned("2", pull=30.0))
    waiting = scene.until(lambda: next((t for t in scene.wanted(service) if t.up_to_date and t.node_id), None))
    scene.swarm.node_down(waiting.node_id)
    scene.clock.advance(3600)
    assert scene.state(service) == "updating"
    assert scene.new_ones(service) == 1, "the restarted one runs, the updater waits for its own"


def test_a_node_that_joins_gets_tasks_of_global_services_and_one_that_leaves_takes_its_history_along(
    scene: Scene,
) -> None:
    everywhere = scene.started(Mode={"Global": {}})
    moving = scene.started(name="moving")
    joined = scene.swarm.join("new", labels={"zone": "b"})
    scene.until(lambda: scene.at(everywhere)["new"] == 1)
    assert scene.state(everywhere) == ""
    gone = scene.wanted(moving)[0]
    scene.swarm.leave(gone.node_id)
    scene.until(lambda: len(scene.wanted(moving)) == 3 and scene.settled(moving))
    assert gone.node_id not in {t.node_id for t in scene.swarm.tasks([everywhere])}
    assert next(t for t in scene.swarm.tasks([moving]) if t.id == gone.id).state == "orphaned"
    assert joined.name in {n.name for n in scene.swarm.nodes()}
    with pytest.raises(ValueError, match="new"):
        scene.swarm.join("new")


def test_tasks_are_spread_evenly(scene: Scene) -> None:
    assert set(scene.at(scene.started(Mode={"Replicated": {"Replicas": 10}})).values()) == {2}


def test_many_nodes_are_spread_over_just_as_few() -> None:
    scene = Scene(nodes=100)
    assert set(scene.at(scene.started(Mode={"Replicated": {"Replicas": 200}})).values()) == {2}
    other = scene.started(name="other", Mode={"Replicated": {"Replicas": 50}})
    assert set(scene.at(other).values()) == {1}


def test_a_task_that_asks_for_more_room_than_there_is_waits_for_some(scene: Scene) -> None:
    half = {"Resources": {"Reservations": {"NanoCPUs": 40 * SECOND}}}
    first = scene.started(task=half, Mode={"Replicated": {"Replicas": 5}})
    second = scene.create(name="second", task=half, Mode={"Replicated": {"Replicas": 1}})
    scene.clock.advance(30)
    assert [t.error for t in scene.wanted(second)] == ["no suitable node (insufficient resources on 5 nodes)"]
    scene.swarm.scale("web", 4)
    scene.until(lambda: scene.settled(second))
    assert len(scene.wanted(first)) == 4


def test_a_host_port_is_one_tasks_at_a_time_on_a_node(scene: Scene) -> None:
    port = {"Ports": [{"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}]}
    first = scene.started(Mode={"Replicated": {"Replicas": 4}}, EndpointSpec=port)
    second = scene.create(name="second", Mode={"Replicated": {"Replicas": 2}}, EndpointSpec=port)
    scene.clock.advance(30)
    assert len(scene.at(second)) == 1
    scene.swarm.remove_service(first)
    scene.until(lambda: scene.settled(second))
    assert len(scene.at(second)) == 2


# Jobs


def test_a_replicated_job_runs_so_many_at_once_until_all_are_done(scene: Scene) -> None:
    mode = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 5}}
    job = scene.create(scene.pinned("1", exits_after=3.0), Mode=mode, UpdateConfig=None)
    most = 0

    def done() -> bool:
        nonlocal most
        tasks = scene.swarm.tasks([job])
        most = max(most, sum(t.state == "running" for t in tasks))
        return sum(t.state == "complete" for t in tasks) == 5

    scene.until(done)
    assert most == 2
    assert sorted(t.slot for t in scene.swarm.tasks([job])) == [0, 1, 2, 3, 4]
    scene.clock.advance(60)
    assert len(scene.swarm.tasks([job])) == 5


def test_a_replicated_job_of_one_task_that_fails_is_tried_again_only_by_a_new_leader(scene: Scene) -> None:
    none = {"RestartPolicy": {"Condition": "none"}}
    bad = scene.pinned("1", exits_after=1.0, exit_code=4)
    job = scene.create(bad, task=none, Mode={"ReplicatedJob": {"MaxConcurrent": 1}}, UpdateConfig=None)
    scene.clock.advance(600)
    assert [t.state for t in scene.swarm.tasks([job])] == ["failed"]
    scene.swarm.leader_changed()
    scene.clock.advance(600)
    assert [t.state for t in scene.swarm.tasks([job])] == ["failed"] * 2


def test_an_update_of_a_job_runs_it_again(scene: Scene) -> None:
    job = scene.create(Mode={"GlobalJob": {}}, UpdateConfig=None)
    scene.until(lambda: sum(t.state == "complete" for t in scene.swarm.tasks([job])) == 5)
    first = {t.id for t in scene.swarm.tasks([job])}
    scene.write(job)

    def again() -> bool:
        tasks = scene.swarm.tasks([job])
        return {t.state for t in tasks} == {"complete"} and not first & {t.id for t in tasks}

    scene.until(again)
    assert len(scene.swarm.tasks([job])) == 5


@pytest.mark.parametrize(("version", "goes_on"), [("20.10.24", True), ("23.0.1", True), ("23.0.2", False)])
def test_a_job_that_is_removed_while_it_runs_goes_on_running_on_old_engines(version: str, goes_on: bool) -> None:
    scene = Scene(nodes=1, engine_version=version)
    port = {"Ports": [{"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}]}
    job = scene.create(scene.pinned("1", exits_after=1e9), Mode={"GlobalJob": {}}, UpdateConfig=None, EndpointSpec=port)
    scene.until(lambda: any(t.state == "running" for t in scene.swarm.tasks([job])))
    scene.swarm.remove_service(job)
    scene.clock.advance(60)
    after = scene.create(name="after", Mode={"Replicated": {"Replicas": 1}}, EndpointSpec=port)
    scene.clock.advance(60)
    assert scene.settled(after) is not goes_on, "it holds its port"
    scene.swarm.leader_changed()
    scene.until(lambda: scene.settled(after))


def test_a_node_that_joins_gets_a_global_jobs_task_only_when_another_ends(scene: Scene) -> None:
    job = scene.create(scene.pinned("1", exits_after=60.0), Mode={"GlobalJob": {}}, UpdateConfig=None)
    scene.clock.advance(10)
    scene.swarm.join("new")
    scene.clock.advance(30)
    assert len(scene.swarm.tasks([job])) == 5
    scene.clock.advance(30)
    assert len(scene.swarm.tasks([job])) == 6
