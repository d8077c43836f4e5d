"""The simulated updater and restarts, where a real swarm takes long: deadlines that are none, leaders that change.

What can be shown on both is in tests/contract.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.unit.simulated import CONFIG, IMAGE, SECOND, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


# The updater


def test_the_same_seed_is_the_same_story_and_another_one_another_order() -> None:
    def story(seed: int) -> list[Any]:
        scene = Scene(seed=seed)
        service = scene.started(Mode={"Replicated": {"Replicas": 5}})
        scene.write(service, scene.pinned("2"))
        seen: list[int] = []

        def done() -> bool:
            seen.extend(t.slot for t in scene.wanted(service) if t.up_to_date and t.slot not in seen)
            return scene.state(service) == "completed"

        scene.until(done)
        return seen

    assert story(1) == story(1)
    assert len({tuple(story(seed)) for seed in range(6)}) > 1


def test_fewer_failures_than_the_ratio_are_tolerated(scene: Scene) -> None:
    tolerant = {**CONFIG, "MaxFailureRatio": 0.99, "FailureAction": "rollback"}
    service = scene.started(UpdateConfig={**tolerant, "Parallelism": 3})
    bad = scene.pinned("2", exits_after=0.2, exit_code=1)
    scene.write(service, bad)
    scene.until(lambda: scene.state(service) == "rollback_completed")  # all three failed: that is more than 0.99
    scene.write(service, UpdateConfig={**tolerant, "MaxFailureRatio": 1})
    scene.write(service, bad)
    scene.until(lambda: scene.state(service) == "completed")


def test_a_task_that_ends_after_the_monitors_time_is_no_failure(scene: Scene) -> None:
    service = scene.started()
    scene.write(service, scene.pinned("2", exits_after=3.0, exit_code=1))
    scene.until(lambda: scene.state(service) == "completed")


def test_a_task_that_is_told_to_stop_soon_after_it_came_up_is_a_failure_too(scene: Scene) -> None:
    """Swarm counts every task of the update that ends: also one whose node is drained."""
    service = scene.started(UpdateConfig={**CONFIG, "Delay": 5 * SECOND, "Monitor": 5 * SECOND})
    scene.write(service, scene.pinned("2"))
    first = scene.until(lambda: next((t for t in scene.wanted(service) if t.running and t.up_to_date), None))
    scene.swarm.drain(first.node_id)
    scene.until(lambda: scene.state(service) == "paused")
    assert first.id in scene.swarm.service(service).update_message


def test_a_second_update_in_the_middle_does_not_watch_what_went_before(scene: Scene) -> None:
    slow = {**CONFIG, "Delay": 20 * SECOND, "Monitor": 15 * SECOND}
    service = scene.started(UpdateConfig=slow)
    scene.write(service, scene.pinned("2", exits_after=4.0, exit_code=1))
    scene.until(lambda: scene.new_ones(service) == 1)
    scene.write(service, Labels={"another": "write"})
    scene.until(lambda: any(t.state == "failed" for t in scene.swarm.tasks([service])))
    scene.clock.advance(0.5)
    assert scene.state(service) == "updating", "the first task's failure is nobody's any more"
    scene.until(lambda: scene.state(service) == "paused", 10)


def test_after_the_identical_spec_a_failure_stops_the_update_without_a_word(scene: Scene) -> None:
    service = scene.started(UpdateConfig={**CONFIG, "FailureAction": "rollback", "Monitor": 5 * SECOND})
    bad = scene.pinned("2", exits_after=2.0, exit_code=1)
    scene.write(service, bad)
    scene.until(lambda: scene.state(service) == "updating")
    scene.write(service)
    scene.clock.advance(60)
    view = scene.swarm.service(service)
    assert (view.update_state, view.image, view.previous_spec) == ("", bad, view.spec)


def test_there_is_no_deadline_for_a_task_that_finds_no_node(scene: Scene) -> None:
    service = scene.started()
    spec = scene.swarm.service(service).spec
    scene.write(service, TaskTemplate={**spec["TaskTemplate"], "Placement": {"Constraints": ["node.role==nobody"]}})
    scene.clock.advance(24 * 3600)
    assert scene.state(service) == "updating"
    waiting = [t.error for t in scene.wanted(service) if t.state == "pending"]
    assert waiting == ["no suitable node (scheduling constraints not satisfied on 5 nodes)"]


def test_parallelism_0_is_all_at_once(scene: Scene) -> None:
    service = scene.started(UpdateConfig={**CONFIG, "Parallelism": 0})
    scene.write(service, scene.pinned("2"))
    scene.clock.advance(0.2)
    assert [t.up_to_date for t in scene.wanted(service)] == [True] * 3


def test_with_stop_first_a_pull_lengthens_the_outage_and_with_start_first_it_does_not(scene: Scene) -> None:
    one = {"Replicated": {"Replicas": 1}}
    stop_first = scene.started(Mode=one)
    start_first = scene.started(name="other", Mode=one, UpdateConfig={**CONFIG, "Order": "start-first"})
    slow = scene.pinned("2", pull=20.0)
    for service in (stop_first, start_first):
        scene.write(service, slow)
    missing = Counter({stop_first: 0, start_first: 0})
    for _ in range(600):
        scene.clock.advance(0.05)
        missing.update(s for s in missing if not any(t.running for t in scene.wanted(s)))
    assert (scene.state(stop_first), scene.state(start_first)) == ("completed", "completed")
    assert missing[stop_first] * 0.05 > 18
    assert missing[start_first] == 0


def test_start_first_with_one_task_a_node_waits_for_ever(scene: Scene) -> None:
    limited = {"Placement": {"MaxReplicas": 1}}
    service = scene.started(
        task=limited, Mode={"Replicated": {"Replicas": 5}}, UpdateConfig={**CONFIG, "Order": "start-first"}
    )
    scene.write(service, scene.pinned("2"))
    scene.clock.advance(3600)
    assert (scene.state(service), scene.new_ones(service)) == ("updating", 0)


def test_a_service_whose_old_task_does_not_stop_gets_its_new_one_after_a_minute(scene: Scene) -> None:
    image = scene.pinned("1", stop=1e9)
    grace = {"ContainerSpec": {"Image": image, "StopGracePeriod": 300 * SECOND}}
    service = scene.started(task=grace, Mode={"Replicated": {"Replicas": 1}})
    began = scene.clock.now()
    scene.write(service, scene.pinned("2"))
    scene.until(lambda: scene.new_ones(service) == 1)
    assert 60 <= scene.clock.now() - began < 63


def test_a_new_leader_runs_the_updater_again_whatever_its_delay(scene: Scene) -> None:
    service = scene.started(UpdateConfig={**CONFIG, "Delay": 3600 * SECOND})
    scene.write(service, scene.pinned("2"))
    scene.until(lambda: scene.new_ones(service) == 1)
    scene.clock.advance(600)
    assert scene.new_ones(service) == 1
    scene.swarm.leader_changed()
    scene.until(lambda: scene.new_ones(service) == 2, 30)
    assert scene.state(service) == "updating"


def test_a_new_leader_leaves_a_paused_update_alone(scene: Scene) -> None:
    service = scene.started(UpdateConfig={**CONFIG, "Delay": 5 * SECOND}, task={"RestartPolicy": {"Condition": "none"}})
    scene.write(service, scene.pinned("2", exits_after=0.3, exit_code=1))
    scene.until(lambda: scene.state(service) == "paused")
    scene.clock.advance(30)
    scene.swarm.leader_changed()
    scene.clock.advance(60)
    assert (scene.state(service), len(scene.wanted(service))) == ("paused", 2)


def test_a_failed_rollback_that_says_completed_goes_on_or_does_not() -> None:
    """Both happen on a real swarm: whether the run is off the list before its own last write is heard of."""

    def goes_on(seed: int) -> bool:
        scene = Scene(seed=seed)
        bad = scene.pinned("1", exits_after=0.2, exit_code=1)
        rollback = {**CONFIG, "FailureAction": "rollback", "Monitor": SECOND}
        none = {"RestartPolicy": {"Condition": "none"}}
        service = scene.create(bad, task=none, RollbackConfig=rollback)
        scene.clock.advance(10)
        scene.write(service, scene.pinned("2"))
        scene.until(lambda: scene.state(service) == "completed")
        scene.swarm.native_rollback("web")
        scene.until(lambda: scene.state(service) == "completed")
        scene.clock.advance(60)
        return not any(t.running for t in scene.swarm.tasks([service]))

    assert {goes_on(seed) for seed in range(8)} == {True, False}


# Restarts


def test_a_task_is_restarted_as_often_as_the_policy_allows(scene: Scene) -> None:
    policy = {"RestartPolicy": {"Condition": "any", "Delay": SECOND, "MaxAttempts": 2}}
    bad = scene.pinned("1", exits_after=0.2, exit_code=1)
    service = scene.create(bad, task=policy, Mode={"Replicated": {"Replicas": 1}})
    scene.clock.advance(60)
    assert [t.state for t in scene.swarm.tasks([service])] == ["failed"] * 3
    assert not scene.wanted(service)


def test_the_attempts_of_a_window_count_only_within_it(scene: Scene) -> None:
    policy = {"Condition": "any", "Delay": SECOND, "MaxAttempts": 2, "Window": 5 * SECOND}
    bad = scene.pinned("1", exits_after=10.0, exit_code=1)
    service = scene.create(bad, task={"RestartPolicy": policy}, Mode={"Replicated": {"Replicas": 1}})
    scene.clock.advance(200)
    assert scene.wanted(service)


def test_a_missing_image_is_retried_with_the_restart_delay_and_no_tighter(scene: Scene) -> None:
    service = scene.create(f"{IMAGE}@sha256:" + "0" * 64, Mode={"Replicated": {"Replicas": 1}})
    ids: set[str] = set()

    def look() -> bool:
        ids.update(t.id for t in scene.swarm.tasks([service]))
        return False

    with pytest.raises(AssertionError):
        scene.until(look, 10)
    assert 5 <= len(ids) <= 11


def test_a_node_where_a_service_keeps_failing_is_avoided(scene: Scene) -> None:
    pinned = {"Placement": {"Constraints": ["node.hostname==node5"]}, "RestartPolicy": {"Delay": 1}}
    bad = scene.pinned("1", exits_after=0.1, exit_code=1)
    service = scene.create(bad, task=pinned, Mode={"Replicated": {"Replicas": 1}})
    scene.clock.advance(20)
    other = scene.started(scene.pinned("2"), "other", Mode={"Replicated": {"Replicas": 5}})
    assert len(scene.at(other)) == 5
    assert {t.node_id for t in scene.wanted(service)}
