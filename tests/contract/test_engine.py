"""What Nodewise relies on of a swarm: on the simulated one, and on a real one (20.10) in the lab.

Where the two differ the real one is right. What is about connections, credentials and hosts is in
tests/integration/test_engine.py; what takes long or harms a node in tests/unit/test_simulated_swarm.py.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from nodewise.domain.errors import Conflict, GiveUp, NodewiseError, NotFound, OutOfSequence
from nodewise.domain.images import ImageName
from nodewise.domain.placement import eligible
from nodewise.domain.release import marked
from nodewise.domain.swarm import Spec
from tests.swarms import COUNT, DIE, DIE_LATE, DONE, FAIL, GET_SICK, SECOND, TALK, Ground

ALL_AT_ONCE = {"Parallelism": 0, "FailureAction": "continue", "Monitor": SECOND // 10}
ONCE = {"RestartPolicy": {"Condition": "none"}}


def with_label(spec: Spec, key: str, value: str) -> Spec:
    return {**spec, "Labels": {**(spec.get("Labels") or {}), key: value}}


def with_task(spec: Spec, **fields: Any) -> Spec:
    return {**spec, "TaskTemplate": {**spec["TaskTemplate"], **fields}}


def with_command(spec: Spec, command: tuple[str, ...]) -> Spec:
    spec = copy.deepcopy(spec)
    spec["TaskTemplate"]["ContainerSpec"]["Command"] = list(command)
    return spec


def on_nodes(*constraints: str) -> dict[str, Any]:
    return {"Placement": {"Constraints": list(constraints)}}


def host_port(port: int) -> dict[str, Any]:
    return {"Ports": [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": port, "PublishMode": "host"}]}


def ids(tasks: Any) -> set[str]:
    return {t.id for t in tasks}


# Services: read, written, made, removed


def test_a_stale_version_is_out_of_sequence_and_changes_nothing(ground: Ground) -> None:
    old = ground.create("stale", Mode={"Replicated": {"Replicas": 0}})
    new = ground.write(old.id, lambda spec: with_label(spec, "mine", "1"))
    with pytest.raises(OutOfSequence):
        ground.engine.update_service(old.id, old.version, with_label(old.spec, "mine", "2"))
    assert ground.service(old.id) == new


def test_a_spec_that_the_engine_refuses_is_given_up_with_its_words(ground: Ground) -> None:
    service = ground.create("refused", Mode={"Replicated": {"Replicas": 0}})

    def refused(words: str, service_id: str = service.id, version: int = service.version, **changes: Any) -> None:
        with pytest.raises(GiveUp, match=words):
            ground.engine.update_service(service_id, version, {**service.spec, **changes})

    refused("renaming services is not supported", Name="other")
    refused("service mode change is not allowed", Mode={"Global": {}})
    refused("dance", UpdateConfig={"FailureAction": "dance"})
    refused("dance", UpdateConfig={"Order": "dance"})
    ports = [{"Protocol": "tcp", "TargetPort": port, "PublishedPort": 39999} for port in (80, 81)]
    refused("duplicate published ports", EndpointSpec={"Ports": ports})
    refused("not found", "nosuchservice", 1)
    assert ground.service(service.id) == service


def test_a_service_is_found_by_its_exact_name_or_id_and_never_by_a_prefix(ground: Ground) -> None:
    one = ground.create("one", Mode={"Replicated": {"Replicas": 0}})
    two = ground.create("two", Mode={"Replicated": {"Replicas": 0}}, Labels={"shelf": "a"})
    assert ground.engine.service(one.name) == one
    assert ground.engine.service(two.id) == two
    for other in (one.name[:-1], one.id[:12], f"{one.name}-more", "../nodes", "a/b", "", "-x", "."):
        assert ground.engine.service(other) is None
    assert {one.id, two.id} <= ids(ground.engine.services())
    for label, found in (("shelf", True), ("shelf=a", True), ("shelf=b", False), ("shelves", False)):
        assert (two.id in ids(ground.engine.services(label))) is found
        assert one.id not in ids(ground.engine.services(label))


def test_a_name_that_is_taken_is_a_conflict(ground: Ground) -> None:
    service = ground.create("taken", Mode={"Replicated": {"Replicas": 0}})
    with pytest.raises(Conflict, match=service.name):
        ground.engine.create_service(service.spec)


def test_a_service_that_is_removed_is_gone_with_its_tasks_and_removing_it_again_is_no_error(ground: Ground) -> None:
    service = ground.started(ground.create("removed"))
    ground.engine.remove_service(service.id)
    assert ground.engine.service(service.id) is None
    for ask in (ground.engine.tasks, ground.engine.live_tasks):
        with pytest.raises(NodewiseError, match=f"{service.id} not found"):
            ask([service.id])
    ground.engine.remove_service(service.id)
    with pytest.raises(GiveUp, match="not found"):
        ground.engine.update_service(service.id, service.version, service.spec)


def test_a_port_of_the_ingress_network_is_one_services_alone_and_host_ports_are_not(ground: Ground) -> None:
    none = {"Replicated": {"Replicas": 0}}
    ingress = [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 29771, "PublishMode": "ingress"}]
    first = ground.create("ingress", Mode=none, EndpointSpec={"Ports": ingress})
    with pytest.raises(GiveUp, match=f"port '29771' is already in use by service '{first.name}'"):
        ground.create("other", Mode=none, EndpointSpec={"Ports": ingress})
    with pytest.raises(GiveUp, match="already in use"):
        ground.create("other", Mode=none, EndpointSpec=host_port(29771))
    ground.create("host", Mode=none, EndpointSpec=host_port(29772))
    ground.create("host", Mode=none, EndpointSpec=host_port(29772))


def test_what_is_left_out_of_a_spec_is_filled_in_on_the_way(ground: Ground) -> None:
    wanted = ground.spec("filled", Mode=None, RollbackConfig=None, EndpointSpec={}, UpdateConfig={"Monitor": SECOND})
    wanted["TaskTemplate"] = {
        "ContainerSpec": {"Image": ground.v1},
        "RestartPolicy": {"Condition": "none"},
        **on_nodes("node.role==nobody"),
    }
    ground.made.append(ground.engine.create_service(wanted))
    assert ground.service(ground.made[-1]).spec == {
        "Name": wanted["Name"],
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": ground.v1, "Isolation": "default"},
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
            "Placement": {"Constraints": ["node.role==nobody"]},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "UpdateConfig": {
            "Parallelism": 0,
            "FailureAction": "pause",
            "Monitor": SECOND,
            "MaxFailureRatio": 0,
            "Order": "stop-first",
        },
        "EndpointSpec": {"Mode": "vip"},
    }


# What restarts tasks, and what does not


def test_up_to_date_follows_the_spec_and_not_the_tasks_age(ground: Ground) -> None:
    """The engine compares what a task was made from with what the service is now: by value.

    So a task that ran, or failed, long ago is up to date again as soon as its spec is. Who looks for
    failures of one rollout has to leave out the tasks that ended before it.
    """
    service = ground.started(ground.create("fresh", UpdateConfig=ALL_AT_ONCE))
    first = ids(ground.tasks(service.id))
    assert all(t.image == ground.v1 for t in ground.tasks(service.id))
    ground.write(service.id, ground.to(ground.v2))
    assert not any(t.up_to_date for t in ground.tasks(service.id) if t.id in first)
    ground.until(lambda: ground.all_running(service.id))
    assert all(t.image == ground.v2 for t in ground.tasks(service.id) if t.up_to_date)
    ground.write(service.id, ground.to(ground.v1))
    assert all(t.up_to_date for t in ground.tasks(service.id) if t.id in first)
    assert not any(t.running for t in ground.tasks(service.id) if t.id in first)


def test_labels_update_settings_and_a_placement_that_is_met_move_no_task_and_show_no_status(ground: Ground) -> None:
    service = ground.started(ground.create("still"))
    before = ids(ground.wanted(service.id))

    def placed(constraint: str) -> Any:
        return lambda spec: with_task(spec, **on_nodes(constraint))

    changes = (
        lambda spec: marked(spec, "r7", {"Delay": 1_000_000}),
        lambda spec: {**spec, "RollbackConfig": {"Monitor": SECOND, "Parallelism": 1}},
        placed("node.hostname!=nosuch"),
        placed("node.role!=nobody"),
        # swarmkit's IsTaskDirty looks no further than a placement that is met: not at the ports either.
        lambda spec: {**placed("node.id!=nosuch")(spec), "EndpointSpec": {"Mode": "dnsrr"}},
    )
    for change in changes:
        written = ground.write(service.id, change)
        assert all(t.up_to_date for t in ground.wanted(service.id))
        assert written.update_state == ""

    def nothing_moves() -> bool:
        now = ground.service(service.id)
        return ids(ground.wanted(service.id)) == before and (now.update_state, now.version) == ("", written.version)

    ground.always(nothing_moves, 0.5)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: with_task(spec, ForceUpdate=1),
        lambda spec: with_task(spec, Resources={}),
        lambda spec: {**spec, "EndpointSpec": {"Mode": "dnsrr"}},
        lambda spec: with_task(spec, **on_nodes("node.role==nobody")),
    ],
    ids=["force", "a field that is empty", "endpoint", "a placement that is not met"],
)
def test_anything_else_of_the_task_or_the_endpoint_restarts_it(ground: Ground, change: Any) -> None:
    service = ground.started(ground.create("moved", Mode={"Replicated": {"Replicas": 1}}), 1)
    before = ids(ground.wanted(service.id))
    ground.write(service.id, change)
    assert not any(t.up_to_date for t in ground.tasks(service.id) if t.id in before)
    ground.until(lambda: not before & ids(ground.wanted(service.id)))


def test_other_credentials_restart_nothing_but_together_with_a_placement_they_restart_everything(
    ground: Ground,
) -> None:
    service = ground.started(ground.create("credentials"))
    image = ImageName.parse(ground.v1)
    ground.with_credentials("first").update_service(service.id, service.version, service.spec, image)
    assert all(t.up_to_date for t in ground.wanted(service.id))
    now = ground.service(service.id)
    placed = with_task(now.spec, **on_nodes("node.hostname!=nosuch"))
    ground.with_credentials("second").update_service(service.id, now.version, placed, image)
    ground.until(lambda: ground.is_in(service.id, "updating"))
    assert not all(t.up_to_date for t in ground.tasks(service.id))


# The native updater


def test_every_write_wipes_the_update_status_and_keeps_one_previous_spec(ground: Ground) -> None:
    service = ground.started(ground.create("status", UpdateConfig=ALL_AT_ONCE))
    assert (service.update_state, service.previous_spec) == ("", None)
    written = ground.write(service.id, ground.to(ground.v2))
    started = ground.until(lambda: ground.is_in(service.id, "updating"))
    assert started.update_message == "update in progress"
    done = ground.until(lambda: ground.is_in(service.id, "completed"))
    assert (done.update_message, done.previous_spec) == ("update completed", service.spec)
    assert done.version > started.version >= written.version, "the updater bumps the version as well"
    labelled = ground.write(service.id, lambda spec: with_label(spec, "more", "1"))
    assert (labelled.update_state, labelled.previous_spec) == ("", done.spec)


def test_one_task_at_a_time_and_the_delay_after_each(ground: Ground) -> None:
    update = {"Parallelism": 1, "Delay": 3 * SECOND // 2, "Monitor": SECOND // 10}
    service = ground.started(ground.create("one-by-one", UpdateConfig=update))
    ground.write(service.id, ground.to(ground.v2))

    def new_ones(count: int) -> bool:
        return sum(t.running and t.up_to_date for t in ground.tasks(service.id)) == count

    ground.until(lambda: new_ones(1))
    ground.always(lambda: new_ones(1) and ground.is_in(service.id, "updating"), 1.0)
    ground.until(lambda: new_ones(2))


def test_start_first_never_has_fewer_tasks_running_than_it_should(ground: Ground) -> None:
    update = {"Parallelism": 1, "Order": "start-first", "Monitor": SECOND // 10}
    service = ground.started(ground.create("start-first", UpdateConfig=update))
    ground.write(service.id, ground.to(ground.v2))

    def done() -> bool:
        assert sum(t.running for t in ground.tasks(service.id)) >= 2
        return bool(ground.is_in(service.id, "completed")) and ground.all_running(service.id)

    ground.until(done)


def test_a_failed_task_pauses_the_update_and_the_rest_stays_as_it_is(ground: Ground) -> None:
    update = {"Parallelism": 1, "FailureAction": "pause", "Monitor": 5 * SECOND, "Delay": 3 * SECOND}
    service = ground.started(ground.create("paused", task=ONCE, UpdateConfig=update))
    written = ground.write(service.id, lambda spec: with_command(spec, DIE))
    paused = ground.until(lambda: ground.is_in(service.id, "paused"))
    failed = ground.ended(service.id, "failed")[0]
    assert paused.update_message == f"update paused due to failure or early termination of task {failed.id}"
    assert (paused.spec, paused.previous_spec) == (written.spec, service.spec)
    ground.always(lambda: [t.up_to_date for t in ground.wanted(service.id)] == [False], 1.0)


def test_an_automatic_rollback_empties_previous_spec_and_says_why_only_at_its_start(ground: Ground) -> None:
    update = {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 5 * SECOND}
    service = ground.started(ground.create("turn", UpdateConfig=update))
    ground.write(service.id, lambda spec: with_command(spec, DIE))
    back = ground.until(lambda: ground.is_in(service.id, "rollback_started"))
    failed = ids(ground.ended(service.id, "failed"))
    words = "update rolled back due to failure or early termination of task "
    assert back.update_message.removeprefix(words) in failed
    assert (back.previous_spec, back.spec) == (None, service.spec)
    end = ground.until(lambda: ground.is_in(service.id, "rollback_completed"))
    assert (end.update_message, end.previous_spec) == ("rollback completed", None)
    assert ground.all_running(service.id)


def test_a_persons_rollback_swaps_the_specs_and_is_called_manual_only_at_its_start(ground: Ground) -> None:
    service = ground.started(ground.create("person", UpdateConfig=ALL_AT_ONCE))
    ground.write(service.id, ground.to(ground.v2))
    second = ground.until(lambda: ground.is_in(service.id, "completed"))
    back = ground.roll_back_as_a_person(service.id)
    assert (back.update_state, back.update_message) == ("rollback_started", "manually requested rollback")
    assert (back.spec, back.previous_spec) == (service.spec, second.spec)
    end = ground.until(lambda: ground.is_in(service.id, "rollback_completed"))
    assert (end.update_message, end.previous_spec) == ("rollback completed", second.spec)
    again = ground.roll_back_as_a_person(service.id)
    assert (again.spec, again.previous_spec) == (second.spec, service.spec)


def test_a_rollback_that_is_to_be_rolled_back_when_it_fails_ends_completed_half_way(ground: Ground) -> None:
    """Never a rollback of a rollback: it is paused for a moment, and then called a completed *update*."""
    rollback = {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 2 * SECOND}
    three = {"Replicated": {"Replicas": 3}}
    broken = ground.create("half-way", DIE, ONCE, Mode=three, UpdateConfig=ALL_AT_ONCE, RollbackConfig=rollback)
    ground.until(lambda: len(ground.ended(broken.id, "failed")) == 3)
    ground.write(broken.id, lambda spec: with_command(spec, TALK))
    ground.until(lambda: ground.is_in(broken.id, "completed"))
    ground.roll_back_as_a_person(broken.id)
    paused = ground.until(lambda: ground.is_in(broken.id, "rollback_paused"))
    assert paused.update_message.startswith("rollback paused due to failure or early termination of task")
    done = ground.until(lambda: ground.is_in(broken.id, "completed"))
    assert done.update_message == "update completed"
    assert any(t.state == "running" and not t.up_to_date for t in ground.tasks(broken.id))


def test_the_identical_spec_again_wipes_the_status_while_the_update_goes_on(ground: Ground) -> None:
    update = {"Parallelism": 1, "Delay": SECOND, "FailureAction": "pause", "Monitor": SECOND // 10}
    service = ground.started(ground.create("again", UpdateConfig=update))
    ground.write(service.id, ground.to(ground.v2))
    ground.until(lambda: ground.is_in(service.id, "updating"))
    again = ground.write(service.id, lambda spec: spec)
    assert (again.update_state, again.previous_spec) == ("", again.spec)

    def goes_on_without_a_word() -> bool:
        assert ground.service(service.id).update_state == ""
        return ground.all_running(service.id)

    ground.until(goes_on_without_a_word)
    ground.always(goes_on_without_a_word, 1.3)


def test_a_second_update_in_the_middle_goes_on_with_what_is_left(ground: Ground) -> None:
    update = {"Parallelism": 1, "Delay": 60 * SECOND, "Monitor": SECOND // 10}
    service = ground.started(ground.create("second", UpdateConfig=update))
    ground.write(service.id, ground.to(ground.v2))
    ground.until(lambda: any(t.running and t.up_to_date for t in ground.tasks(service.id)))
    first = ids(t for t in ground.wanted(service.id) if t.up_to_date)
    quick = {**update, "Delay": 0}
    ground.write(service.id, lambda spec: {**spec, "UpdateConfig": quick})
    ground.until(lambda: ground.is_in(service.id, "completed"))
    assert ground.all_running(service.id)
    assert first < ids(ground.wanted(service.id)), "what was updated before stays"


def test_a_task_that_dies_in_the_middle_comes_back_with_the_new_spec(ground: Ground) -> None:
    update = {"Parallelism": 1, "Delay": 60 * SECOND}
    service = ground.started(ground.create("leak", DIE_LATE, UpdateConfig=update))
    ground.write(service.id, lambda spec: with_command(spec, TALK))
    ground.until(lambda: ground.all_running(service.id))
    assert ground.is_in(service.id, "updating")
    assert ground.ended(service.id, "failed")


def test_start_first_with_a_host_port_waits_for_ever(ground: Ground) -> None:
    node = ground.workers()[0]
    update = {"Parallelism": 1, "Order": "start-first", "FailureAction": "rollback", "Monitor": SECOND // 10}
    fixed = {"EndpointSpec": host_port(29773), "UpdateConfig": update}
    alone = f"node.hostname=={node.name}"
    here = ground.create("port", task=on_nodes(alone), Mode={"Replicated": {"Replicas": 1}}, **fixed)
    ground.started(here, 1)
    ground.write(here.id, ground.to(ground.v2))
    reasons = "scheduling constraints not satisfied on 4 nodes; host-mode port already in use on 1 node"

    def waits() -> bool:
        states = sorted((t.state, t.desired, t.error) for t in ground.wanted(here.id))
        return states == [("pending", "running", f"no suitable node ({reasons})"), ("running", "running", "")]

    ground.until(waits)
    ground.always(lambda: waits() and ground.is_in(here.id, "updating"), 1.0)


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
    assert sorted(ground.engine.task_logs(task.id, 10).splitlines()) == ["last-words", "on-stderr"]


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


# Jobs


def test_a_global_job_runs_once_on_every_node(ground: Ground) -> None:
    job = ground.create("job", DONE, ONCE, Mode={"GlobalJob": {}}, UpdateConfig=None, RollbackConfig=None)
    done = ground.until(lambda: len(t := ground.ended(job.id, "complete")) == 5 and t)
    assert {t.node_id for t in done} == ids(ground.engine.nodes())
    assert {(t.desired, t.exit_code, t.slot) for t in done} == {("complete", 0, 0)}
    assert ground.engine.live_tasks([job.id]) == []
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


def test_a_job_takes_no_update_settings(ground: Ground) -> None:
    with pytest.raises(GiveUp, match="Jobs may not have an update config"):
        ground.create("job", DONE, Mode={"GlobalJob": {}}, UpdateConfig={"Parallelism": 1}, RollbackConfig=None)


# Images and events


def test_an_image_is_resolved_to_the_digest_that_was_pushed(ground: Ground) -> None:
    name = ImageName.parse(ground.v1)
    by_tag = ground.engine.resolve(name.with_tag(name.tag))
    assert by_tag.digest == name.digest
    assert by_tag.platforms == ({"Architecture": "amd64", "OS": "linux"},)
    assert ground.engine.resolve(name) == by_tag


def test_an_image_that_is_not_there_is_not_found(ground: Ground) -> None:
    name = ImageName.parse(ground.v1)
    for missing in (name.with_tag("nope"), name.pinned("sha256:" + "0" * 64)):
        with pytest.raises(NotFound) as caught:
            ground.engine.resolve(missing)
        assert str(missing) in caught.value.what
        assert caught.value.hint
    with pytest.raises(NotFound):
        ground.engine.resolve(ImageName(name.registry, "never/pushed", "v1"))


def test_events_tell_of_services_as_they_change_and_end_when_closed(ground: Ground) -> None:
    events: Any = ground.engine.events()
    try:
        service = ground.create("events")
        made = ground.event_of(events, service.id, "create")
        assert (made["Type"], made["scope"]) == ("service", "swarm")
        assert made["Actor"]["Attributes"] == {"name": service.name}
        ground.started(service)
        ground.write(service.id, ground.to(ground.v2))
        told = ground.event_of(events, service.id, "update")["Actor"]["Attributes"]
        assert (told["image.old"], told["image.new"]) == (ground.v1, ground.v2)
        told = ground.event_of(events, service.id, "update")["Actor"]["Attributes"]
        assert told["updatestate.new"] == "updating"
        ground.engine.remove_service(service.id)
        assert ground.event_of(events, service.id, "remove")["Actor"]["ID"] == service.id
    finally:
        events.close()
    assert list(events) == []
