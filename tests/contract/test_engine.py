"""What Nodewise relies on of a swarm: on the simulated one, and on a real one (20.10) in the lab.

Where the two differ the real one is right. The updater is in test_engine_updates.py, tasks and nodes are in
test_engine_tasks.py. What is about connections, credentials and hosts is in tests/integration/test_engine.py,
what takes long or harms a node in tests/unit/test_simulated_*.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from nodewise.domain.errors import Conflict, GiveUp, NotFound, OutOfSequence
from nodewise.domain.images import ImageName
from nodewise.domain.release import marked
from tests.contract.changes import ALL_AT_ONCE, host_port, ids, on_nodes, with_label, with_task
from tests.swarms import SECOND, Ground

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


def test_a_service_that_is_not_there_any_more_keeps_nobody_from_the_tasks_of_the_others(ground: Ground) -> None:
    gone, there = ground.create("gone"), ground.started(ground.create("there"))
    ground.engine.remove_service(gone.id)
    for ask in (ground.engine.tasks, ground.engine.live_tasks):
        assert {t.service_id for t in ask([gone.id, there.id])} == {there.id}


def test_a_service_that_is_removed_is_gone_with_its_tasks_and_removing_it_again_is_no_error(ground: Ground) -> None:
    service = ground.started(ground.create("removed"))
    ground.engine.remove_service(service.id)
    assert ground.engine.service(service.id) is None
    for ask in (ground.engine.tasks, ground.engine.live_tasks):
        assert ask([service.id]) == []
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
    ground.write(service.id, lambda spec: spec, image, ground.with_credentials("first"))
    assert all(t.up_to_date for t in ground.wanted(service.id))
    placed = on_nodes("node.hostname!=nosuch")
    ground.write(service.id, lambda spec: with_task(spec, **placed), image, ground.with_credentials("second"))
    ground.until(lambda: ground.is_in(service.id, "updating"))
    assert not all(t.up_to_date for t in ground.tasks(service.id))


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
