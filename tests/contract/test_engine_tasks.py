"""Tasks, nodes and jobs, on the simulated swarm and on a real one; see test_engine.py."""

from __future__ import annotations

from typing import Any

import pytest

from nodewise.domain.errors import GiveUp
from nodewise.domain.placement import eligible
from tests.contract.changes import ALL_AT_ONCE, ONCE, ids, on_nodes, with_command, with_task
from tests.swarms import COUNT, DIE, DONE, FAIL, GET_SICK, SECOND, TALK, Ground

# Tasks


def test_no_service_has_no_tasks(ground: Ground) -> None:
    assert ground.engine.tasks([]) == []
    assert ground.engine.live_tasks([]) == []


def test_live_tasks_are_those_that_are_to_run_and_say_nothing_of_being_up_to_date(ground: Ground) -> None:
    one = ground.started(ground.create("live", UpdateConfig=ALL_AT_ONCE))
    two = ground.started(ground.create("live"))
    ground.write(one.id, ground.to(ground.v2))
    ground.until(lambda: ground.all_running(one.id))
    live = ground.engine.live_tasks([one.id, two.id])
    assert ids(live) == ids([*ground.wanted(one.id), *ground.wanted(two.id)])
    assert len(ground.engine.tasks([one.id, two.id])) == 6
    assert not any(t.up_to_date for t in live)
    assert {t.service_id for t in live} == {one.id, two.id}


def test_a_task_that_has_failed_says_why_and_still_gives_its_logs(ground: Ground) -> None:
    service = ground.create("dies", DIE)
    task = ground.until(lambda: next(iter(ground.ended(service.id, "failed")), None))
    assert (task.exit_code, task.error, task.slot in (1, 2)) == (3, "task: non-zero exit (3)", True)
    # Waited for: just after a node has come back, a manager may take it for gone where logs are concerned.
    ground.until(lambda: sorted(ground.engine.task_logs(task.id, 10).splitlines()) == ["last-words", "on-stderr"])


def test_the_last_lines_of_a_running_task_and_no_more(ground: Ground) -> None:
    service = ground.started(ground.create("talks", COUNT, Mode={"Replicated": {"Replicas": 1}}), 1)
    task = ground.tasks(service.id)[0]
    ground.until(lambda: "line 50" in ground.engine.task_logs(task.id, 3))
    assert ground.engine.task_logs(task.id, 3).splitlines() == ["line 48", "line 49", "line 50"]
    assert ground.engine.task_logs(task.id, 0) == ""
    assert ground.engine.task_logs("nosuchtask", 3) == ""


def test_of_a_task_that_keeps_failing_no_more_than_five_are_kept(ground: Ground) -> None:
    quick = {"RestartPolicy": {"Condition": "any", "Delay": 1_000_000}}
    service = ground.create("history", DIE, quick, Mode={"Replicated": {"Replicas": 1}})
    seen: set[str] = set()

    def six() -> bool:
        seen.update(ids(ground.tasks(service.id)))
        return len(seen) >= 6

    ground.until(six)
    ground.until(lambda: len(ground.tasks(service.id)) <= 5)


def test_a_task_that_is_not_restarted_is_updated_all_the_same(ground: Ground) -> None:
    service = ground.create("ended", DONE, {"RestartPolicy": {"Condition": "on-failure"}}, UpdateConfig=ALL_AT_ONCE)
    ended = ground.until(lambda: len(t := ground.ended(service.id, "complete")) == 2 and t)
    assert [(t.exit_code, t.error, t.desired) for t in ended] == [(0, "", "shutdown")] * 2
    ground.always(lambda: not ground.wanted(service.id), 1.0)
    ground.write(service.id, lambda spec: with_command(spec, TALK))
    ground.until(lambda: ground.all_running(service.id))


def test_an_image_that_cannot_be_pulled_is_rejected_by_its_name(ground: Ground) -> None:
    service = ground.create("missing", task={**ONCE, "ContainerSpec": {"Image": ground.missing}})
    task = ground.until(lambda: next(iter(ground.ended(service.id, "rejected")), None))
    assert (task.error, task.exit_code, task.desired) == (f"No such image: {ground.missing}", None, "shutdown")


def test_with_a_health_check_a_task_is_starting_until_it_is_healthy(ground: Ground) -> None:
    check = {"Test": ["CMD-SHELL", "exit 1"], "Interval": SECOND // 2, "Timeout": SECOND, "Retries": 1}
    container = {"Image": ground.v1, "Command": list(GET_SICK), "Healthcheck": check, "StopSignal": "SIGKILL"}
    service = ground.create("sick", task={**ONCE, "ContainerSpec": container}, Mode={"Replicated": {"Replicas": 1}})

    def failed() -> Any:
        assert not any(t.running for t in ground.tasks(service.id))
        return next(iter(ground.ended(service.id, "failed")), None)

    task = ground.until(failed)
    assert task.error == "task: non-zero exit (137): dockerexec: unhealthy container"


def test_scaling_is_no_update_but_a_write_like_any_other(ground: Ground) -> None:
    service = ground.started(ground.create("scaled"))
    before = ids(ground.wanted(service.id))
    more = ground.write(service.id, lambda spec: {**spec, "Mode": {"Replicated": {"Replicas": 3}}})
    ground.until(lambda: ground.all_running(service.id, 3))
    assert (ground.service(service.id).update_state, more.previous_spec) == ("", service.spec)
    assert before < ids(ground.wanted(service.id))
    ground.write(service.id, lambda spec: {**spec, "Mode": {"Replicated": {"Replicas": 1}}})
    ground.until(lambda: ground.all_running(service.id, 1))
    ground.until(lambda: len(ground.tasks(service.id)) == 1)
    assert ground.service(service.id).update_state == ""


def test_no_node_takes_more_tasks_than_the_limit_for_each(ground: Ground) -> None:
    node = ground.workers()[0]
    placement = {"Placement": {"Constraints": [f"node.id=={node.id}"], "MaxReplicas": 1}}
    service = ground.create("limited", task=placement)
    words = "max replicas per node limit exceed"
    ground.until(lambda: sum(t.running for t in ground.tasks(service.id)) == 1)
    waiting = ground.until(lambda: next((t for t in ground.tasks(service.id) if words in t.error), None))
    assert (waiting.state, waiting.desired, waiting.node_id) == ("pending", "running", "")


# Nodes


def test_every_node_has_its_name_and_the_address_where_it_answers(ground: Ground) -> None:
    nodes = ground.engine.nodes()
    assert len({n.address for n in nodes}) == len({n.name for n in nodes}) == len(nodes) == 5
    assert all(n.address not in ("", "0.0.0.0", "127.0.0.1") for n in nodes)
    assert sorted(n.role for n in nodes) == ["manager"] * 3 + ["worker"] * 2
    assert all(n.engine_version and (n.state, n.availability) == ("ready", "active") for n in nodes)


@pytest.mark.alone
def test_tasks_are_only_where_their_constraints_hold_and_leave_when_they_do_no_longer(ground: Ground) -> None:
    one, two = ground.workers()
    ground.set_node(one, shelf="top")
    try:
        service = ground.create("shelf", task={**on_nodes("node.labels.shelf == TOP"), "RestartPolicy": {"Delay": 1}})
        ground.started(service)
        assert {n.id for n in eligible(service.spec, ground.engine.nodes())} == {one.id}
        assert {t.node_id for t in ground.wanted(service.id)} == {one.id}
        before = ids(ground.wanted(service.id))
        ground.set_node(two, shelf="top")
        ground.set_node(one)
        ground.until(lambda: {t.node_id for t in ground.wanted(service.id) if t.running} == {two.id})
        left = [t for t in ground.tasks(service.id) if t.id in before]
        assert {t.state for t in left} == {"rejected"}
        assert {t.error for t in left} == {"assigned node no longer meets constraints"}
        assert ground.service(service.id).update_state == ""
    finally:
        ground.set_node(one)
        ground.set_node(two)


@pytest.mark.alone
def test_a_drained_node_loses_its_tasks_and_only_a_global_service_comes_back_by_itself(ground: Ground) -> None:
    one, two = ground.workers()
    workers = on_nodes("node.role==worker")
    everywhere = ground.create("global", task=workers, Mode={"Global": {}})
    moving = ground.create("moving", task=workers)
    ground.started(everywhere)
    ground.started(moving)

    def at(service_id: str) -> list[str]:
        return sorted(t.node_id for t in ground.wanted(service_id) if t.running)

    assert at(everywhere.id) == at(moving.id) == sorted((one.id, two.id))
    ground.set_node(one, "drain")
    try:
        ground.until(lambda: at(everywhere.id) == [two.id] and at(moving.id) == [two.id] * 2)
        assert eligible(moving.spec, ground.engine.nodes()) == [n for n in ground.workers() if n.id == two.id]
    finally:
        ground.set_node(one)
    ground.until(lambda: at(everywhere.id) == sorted((one.id, two.id)))
    assert at(moving.id) == [two.id] * 2
    assert {ground.service(s.id).update_state for s in (everywhere, moving)} == {""}


@pytest.mark.alone
def test_a_paused_node_keeps_its_tasks_and_gets_no_new_ones(ground: Ground) -> None:
    one, two = ground.workers()
    service = ground.started(
        ground.create("paused", task=on_nodes("node.role==worker"), Mode={"Global": {}}, UpdateConfig=ALL_AT_ONCE)
    )
    ground.set_node(one, "pause")
    try:
        ground.write(service.id, ground.to(ground.v2))
        ground.until(lambda: ground.is_in(service.id, "completed"))
        images = {t.node_id: t.image for t in ground.wanted(service.id)}
        assert images == {one.id: ground.v1, two.id: ground.v2}
    finally:
        ground.set_node(one)
    ground.until(lambda: ground.all_running(service.id))


@pytest.mark.alone
def test_a_node_that_is_written_moves_its_task_of_a_global_service_at_once_and_past_the_update(ground: Ground) -> None:
    """swarmkit, manager/orchestrator/global: a node's change has its own look at what is out of date there."""
    slow = {"Parallelism": 1, "Delay": 3600 * SECOND, "Monitor": SECOND // 10}
    service = ground.started(ground.create("past", Mode={"Global": {}}, UpdateConfig=slow), 5)
    ground.write(service.id, ground.to(ground.v2))

    def moved() -> set[str]:
        return {t.node_id for t in ground.wanted(service.id) if t.running and t.up_to_date}

    ground.until(lambda: len(moved()) == 1)
    (first,) = moved()
    other = next(n for n in ground.workers() if n.id != first)
    ground.set_node(other, shelf="top")
    try:
        ground.until(lambda: moved() == {first, other.id})
        assert ground.is_in(service.id, "updating")
    finally:
        ground.set_node(other)


# Jobs


def test_a_global_job_runs_once_on_every_node(ground: Ground) -> None:
    job = ground.create("job", DONE, ONCE, Mode={"GlobalJob": {}}, UpdateConfig=None, RollbackConfig=None)
    done = ground.until(lambda: len(t := ground.ended(job.id, "complete")) == 5 and t)
    assert {t.node_id for t in done} == ids(ground.engine.nodes())
    assert {(t.desired, t.exit_code, t.slot) for t in done} == {("complete", 0, 0)}
    assert ids(ground.engine.live_tasks([job.id])) == ids(done), "wanted is that they have run"
    assert len(ground.tasks(job.id)) == 5


@pytest.mark.parametrize("command", [FAIL, None], ids=["the command fails", "no such image"])
def test_a_job_that_fails_is_tried_again_whatever_its_restart_policy_says(ground: Ground, command: Any) -> None:
    """Every task that ends makes swarmkit look for nodes without one, and a failed one does not count."""
    container = {"Image": ground.v1, "Command": list(FAIL)} if command else {"Image": ground.missing}
    job = ground.create(
        "job", task={**ONCE, "ContainerSpec": container}, Mode={"GlobalJob": {}}, UpdateConfig=None, RollbackConfig=None
    )
    rejected = ("rejected", f"No such image: {ground.missing}")
    state, error = ("failed", "task: non-zero exit (1)") if command else rejected
    ground.until(lambda: len(ground.ended(job.id, state)) > 5)
    assert {(t.error, t.node_id != "") for t in ground.ended(job.id, state)} == {(error, True)}


def test_a_job_on_one_node_that_fails_stays_failed_and_leaves_nothing_once_it_fits_nowhere(
    ground: Ground,
) -> None:
    """With one task nothing else ends, so nobody looks again. To empty a job before it is removed matters on a
    20.10: there the tasks of a job that is removed stay on record, and go on running, until the leader changes.
    """
    task = {**ONCE, **on_nodes(f"node.id=={ground.workers()[0].id}")}
    job = ground.create("job", FAIL, task, Mode={"GlobalJob": {}}, UpdateConfig=None, RollbackConfig=None)
    ground.until(lambda: ground.ended(job.id, "failed"))
    ground.always(lambda: [t.state for t in ground.tasks(job.id)] == ["failed"], 1.0)
    ground.write(job.id, lambda spec: with_task(spec, **on_nodes("node.hostname==nowhere")))
    ground.until(lambda: not ground.tasks(job.id))


def test_a_job_takes_no_update_settings(ground: Ground) -> None:
    with pytest.raises(GiveUp, match="Jobs may not have an update config"):
        ground.create("job", DONE, Mode={"GlobalJob": {}}, UpdateConfig={"Parallelism": 1}, RollbackConfig=None)
