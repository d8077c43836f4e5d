"""The native updater and rollback, on the simulated swarm and on a real one; see test_engine.py."""

from __future__ import annotations

from tests.contract.changes import ALL_AT_ONCE, ONCE, host_port, ids, on_nodes, with_command, with_label
from tests.swarms import DIE, DIE_LATE, SECOND, TALK, Ground


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
    """The start is there to be seen while a second task has to go back. Of one alone it may be over in a moment: what
    failed is restarted with the spec that is in force by then, and where that comes first, nothing is left to do."""
    update = {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 20 * SECOND}
    service = ground.started(ground.create("turn", UpdateConfig=update))
    ground.write(service.id, lambda spec: with_command(spec, DIE_LATE))
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
    slow = {"Parallelism": 1, "Delay": 3600 * SECOND}
    to_v2 = ground.to(ground.v2)
    ground.write(service.id, lambda spec: {**to_v2(spec), "RollbackConfig": slow})
    second = ground.until(lambda: ground.is_in(service.id, "completed"))
    back = ground.roll_back_as_a_person(service.id)
    assert (back.update_state, back.update_message) == ("rollback_started", "manually requested rollback")
    assert (back.spec, back.previous_spec) == (service.spec, second.spec)
    # It runs under the settings of the spec that it brings back: otherwise this would take an hour.
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
