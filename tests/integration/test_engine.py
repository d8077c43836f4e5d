"""SwarmEngine on a real swarm, and the facts about Swarm that the rest of Nodewise relies on."""

from __future__ import annotations

import copy
import os
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.managers import connect, get_json
from nodewise.domain.errors import GiveUp, NotFound, OutOfSequence, RetryLater, UserError
from nodewise.domain.images import ImageName
from nodewise.domain.release import digest_of, marked, with_image
from nodewise.domain.swarm import ROLLOUT_LABEL, Spec
from tests.integration.every_field import every_field
from tests.integration.swarm_parts import DIE, LOGIN, RealSwarm, free_port, private_registry, until

pytestmark = [pytest.mark.lab, pytest.mark.seconds(60)]


def with_label(spec: Spec, key: str, value: str) -> Spec:
    return {**spec, "Labels": {**(spec.get("Labels") or {}), key: value}}


def with_command(spec: Spec, command: list[str]) -> Spec:
    spec = copy.deepcopy(spec)
    spec["TaskTemplate"]["ContainerSpec"]["Command"] = command
    return spec


def differences(a: Any, b: Any, path: str = "") -> set[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = a.keys() | b.keys()
        return set().union(*(differences(a.get(k), b.get(k), f"{path}/{k}") for k in keys))
    return set() if a == b else {path}


# What is read and written


def test_a_spec_with_every_field_set_loses_none(swarm: RealSwarm, tmp_path: Path) -> None:
    made = _secret_config_network(swarm)
    wanted = every_field(swarm.v1, made["secrets"], made["configs"], made["networks"]["ID"])
    wanted["Name"] += f"-{swarm.own}"
    for port in wanted["EndpointSpec"]["Ports"]:
        port["PublishedPort"] = swarm.lab.free_port()
    created = swarm.create_raw(wanted)
    try:
        before = get_json(swarm.raw, "/services/{0}", created.id)
        assert differences(wanted, before["Spec"]) == set(), "the engine itself did not take all of it"
        service = swarm.now(created.id)
        v2 = ImageName.parse(swarm.v2)
        spec = marked(with_image(service.spec, swarm.v2, swarm.engine.resolve(v2)), "r1")
        swarm.engine.update_service(service.id, service.version, spec, v2)
        after = get_json(swarm.raw, "/services/{0}", created.id)
        assert differences(before["Spec"], after["Spec"]) == {
            "/TaskTemplate/ContainerSpec/Image",
            "/TaskTemplate/Placement/Platforms",
            f"/Labels/{ROLLOUT_LABEL}",
        }
        assert after["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == swarm.v2
        assert after["PreviousSpec"] == before["Spec"]
    finally:
        swarm.clear()
        for kind, one in made.items():
            swarm.raw._delete(swarm.raw._url(f"/{kind}/{{0}}", one["ID"]))


def _secret_config_network(swarm: RealSwarm) -> dict[str, dict[str, str]]:
    bodies: dict[str, dict[str, Any]] = {
        "secrets": {"Name": f"every-secret-{swarm.own}", "Data": "eA=="},
        "configs": {"Name": f"every-config-{swarm.own}", "Data": "eA=="},
        "networks": {"Name": f"every-network-{swarm.own}", "Driver": "overlay", "CheckDuplicate": True},
    }
    made = {}
    for kind, body in bodies.items():
        path = f"/{kind}/create"
        answer = swarm.raw._result(swarm.raw._post_json(swarm.raw._url(path), body), json=True)
        made[kind] = {"ID": answer.get("ID") or answer["Id"], "Name": body["Name"]}
    return made


def test_a_stale_version_is_out_of_sequence_and_changes_nothing(swarm: RealSwarm) -> None:
    old = swarm.create("adapter-stale")
    new = swarm.write(old.id, lambda spec: with_label(spec, "mine", "1"))
    with pytest.raises(OutOfSequence):
        swarm.engine.update_service(old.id, old.version, with_label(old.spec, "mine", "2"))
    assert swarm.now(old.id) == new


def test_a_spec_that_the_engine_refuses_is_given_up_with_its_words(swarm: RealSwarm) -> None:
    service = swarm.create("adapter-refused")
    with pytest.raises(GiveUp, match="renaming services is not supported"):
        swarm.engine.update_service(service.id, service.version, {**service.spec, "Name": "other"})
    broken = {**service.spec, "UpdateConfig": {"FailureAction": "dance"}}
    with pytest.raises(GiveUp, match="dance"):
        swarm.engine.update_service(service.id, service.version, broken)
    ports = [{"Protocol": "tcp", "TargetPort": port, "PublishedPort": 39999} for port in (80, 81)]
    broken = {**service.spec, "EndpointSpec": {"Ports": ports}}
    with pytest.raises(GiveUp, match="InvalidArgument"):
        swarm.engine.update_service(service.id, service.version, broken)
    with pytest.raises(GiveUp, match="not found"):
        swarm.engine.update_service("nosuchservice", 1, service.spec)


def test_a_service_is_found_by_its_exact_name_or_id_and_never_by_a_prefix(swarm: RealSwarm) -> None:
    one, two = swarm.create("adapter-one"), swarm.create("adapter-two")
    assert swarm.now(f"adapter-one-{swarm.own}") == one
    assert swarm.now(two.id) == two
    named = f"adapter-one-{swarm.own}"
    for other in (named[:-1], one.id[:12], "adapter", f"{named}-more", "../nodes", "a/b", "", "-x", "."):
        assert swarm.engine.service(other) is None
    assert {one.id, two.id} <= {s.id for s in swarm.engine.services()}


def test_every_node_has_its_name_and_the_address_where_it_answers(swarm: RealSwarm) -> None:
    nodes = swarm.engine.nodes()
    assert len({n.address for n in nodes}) == len(nodes) >= 2
    assert all(n.address not in ("", "0.0.0.0", "127.0.0.1") for n in nodes)
    assert {n.role for n in nodes} == {"manager", "worker"}
    assert all(n.engine_version and n.name and n.availability == "active" for n in nodes)


# Tasks and the native updater


def test_no_service_has_no_tasks(swarm: RealSwarm) -> None:
    swarm.create("adapter-some")
    assert swarm.engine.tasks([]) == []


def test_up_to_date_follows_the_spec_and_not_the_tasks_age(swarm: RealSwarm) -> None:
    """The engine compares what a task was made from with what the service is now: by value.

    So a task that ran, or failed, long ago is up to date again as soon as its spec is. Who looks for
    failures of one rollout has to leave out the tasks that ended before it.
    """
    service = swarm.started(swarm.create("adapter-fresh"))
    first = {t.id for t in swarm.tasks(service.id)}
    assert all(t.up_to_date and t.running and t.image == swarm.v1 for t in swarm.tasks(service.id))
    swarm.write(service.id, swarm.to(swarm.v2))
    assert not any(t.up_to_date for t in swarm.tasks(service.id) if t.id in first)
    until(lambda: swarm.all_running(service.id))
    assert all(t.image == swarm.v2 for t in swarm.tasks(service.id) if t.up_to_date)
    swarm.write(service.id, swarm.to(swarm.v1))
    assert all(t.up_to_date for t in swarm.tasks(service.id) if t.id in first)
    assert not any(t.running for t in swarm.tasks(service.id) if t.id in first)


def test_labels_and_update_settings_move_no_task(swarm: RealSwarm) -> None:
    service = swarm.started(swarm.create("adapter-still"))
    before = swarm.tasks(service.id)
    swarm.write(service.id, lambda spec: marked(spec, "r7", {"Delay": 1_000_000}))
    assert sorted(swarm.tasks(service.id), key=lambda t: t.id) == sorted(before, key=lambda t: t.id)


def test_every_write_wipes_the_update_status_and_keeps_one_previous_spec(swarm: RealSwarm) -> None:
    service = swarm.started(swarm.create("adapter-status"))
    assert (service.update_state, service.previous_spec) == ("", None)
    swarm.write(service.id, swarm.to(swarm.v2))
    done = until(lambda: swarm.is_in(service.id, "completed"))
    assert (done.update_message, done.previous_spec) == ("update completed", service.spec)
    labelled = swarm.write(service.id, lambda spec: with_label(spec, "more", "1"))
    assert labelled.update_state == ""
    assert labelled.previous_spec == done.spec


def test_an_automatic_rollback_empties_previous_spec_and_says_why_only_at_its_start(swarm: RealSwarm) -> None:
    service = swarm.started(swarm.create("adapter-turn"))
    swarm.write(service.id, lambda spec: with_command(spec, DIE))
    back = until(lambda: swarm.is_in(service.id, "rollback_started"))
    assert back.update_message.startswith("update rolled back due to failure or early termination of task")
    assert (back.previous_spec, back.spec) == (None, service.spec)
    end = until(lambda: swarm.is_in(service.id, "rollback_completed"))
    assert (end.update_message, end.previous_spec) == ("rollback completed", None)


def test_a_persons_rollback_swaps_the_specs_and_is_called_manual_only_at_its_start(swarm: RealSwarm) -> None:
    service = swarm.started(swarm.create("adapter-person"))
    swarm.write(service.id, swarm.to(swarm.v2))
    second = until(lambda: swarm.is_in(service.id, "completed"))
    back = swarm.roll_back_as_a_person(service.id)
    assert (back.update_state, back.update_message) == ("rollback_started", "manually requested rollback")
    assert (back.spec, back.previous_spec) == (service.spec, second.spec)
    end = until(lambda: swarm.is_in(service.id, "rollback_completed"))
    assert (end.update_message, end.previous_spec) == ("rollback completed", second.spec)


def test_a_task_that_has_failed_still_gives_its_logs(swarm: RealSwarm) -> None:
    service = swarm.create("adapter-dies", DIE)
    task = until(lambda: next((t for t in swarm.tasks(service.id) if t.state == "failed"), None))
    assert (task.exit_code, task.error) == (3, "task: non-zero exit (3)")
    assert sorted(swarm.engine.task_logs(task.id, 10).splitlines()) == ["last-words", "on-stderr"]


def test_the_last_lines_of_a_running_task_and_no_more(swarm: RealSwarm) -> None:
    count = ["/bin/sh", "-c", "for i in $(seq 50); do echo line $i; done; exec httpd -f -p 8080"]
    service = swarm.started(swarm.create("adapter-talks", count))
    task = swarm.tasks(service.id)[0]
    until(lambda: "line 50" in swarm.engine.task_logs(task.id, 3))
    assert swarm.engine.task_logs(task.id, 3).splitlines() == ["line 48", "line 49", "line 50"]
    assert swarm.engine.task_logs(task.id, 0) == ""
    assert swarm.engine.task_logs("nosuchtask", 3) == ""


@pytest.mark.alone
def test_the_logs_of_a_node_that_does_not_answer_are_given_up_quickly(swarm: RealSwarm) -> None:
    service = swarm.started(swarm.create("adapter-mute", Mode={"Global": {}}), len(swarm.engine.nodes()))
    worker = get_json(connect(swarm.worker, 10), "/info")["Swarm"]["NodeID"]
    task = next(t for t in swarm.tasks(service.id) if t.node_id == worker)
    until(lambda: "to-out" in swarm.engine.task_logs(task.id, 3))
    swarm.lab["w1"].cut()
    try:
        began = time.monotonic()
        assert swarm.engine.task_logs(task.id, 3) == ""
        assert time.monotonic() - began < 30  # 3 s, on a machine that may be busy
    finally:
        swarm.lab["w1"].heal()


# Images


def test_an_image_is_resolved_to_the_digest_that_was_pushed(swarm: RealSwarm) -> None:
    name = ImageName.parse(swarm.v1)
    by_tag = swarm.engine.resolve(name.with_tag(name.tag))
    assert by_tag.digest == name.digest
    assert by_tag.platforms == ({"Architecture": "amd64", "OS": "linux"},)
    assert swarm.engine.resolve(name) == by_tag


def test_an_image_that_is_not_there_is_not_found(swarm: RealSwarm) -> None:
    name = ImageName.parse(swarm.v1)
    for missing in (name.with_tag("nope"), name.pinned("sha256:" + "0" * 64)):
        with pytest.raises(NotFound) as caught:
            swarm.engine.resolve(missing)
        assert str(missing) in caught.value.what
        assert caught.value.hint
    with pytest.raises(NotFound):
        swarm.engine.resolve(ImageName(name.registry, "never/pushed", "v1"))


def test_a_registry_that_is_down_is_tried_later(swarm: RealSwarm) -> None:
    down = f"{swarm.lab.host}:{free_port(swarm.lab.host)}"
    with pytest.raises(RetryLater, match=f"registry {down}"):
        swarm.engine.resolve(ImageName.parse(f"{down}/app:v1"))


def test_a_private_registry_needs_the_login_that_the_engine_is_given(swarm: RealSwarm, tmp_path: Path) -> None:
    with private_registry(swarm.lab.host, tmp_path) as registry:
        private = ImageName.parse(f"{registry}/app:v1")
        with_login = SwarmEngine([swarm.manager], lambda name: LOGIN if name == registry else None)
        _push_with_login(swarm, private)
        with pytest.raises(UserError, match=registry) as caught:
            swarm.engine.resolve(private)
        assert "registries:" in caught.value.hint
        wrong = SwarmEngine([swarm.manager], lambda _: {**LOGIN, "password": "wrong-pw"})
        with pytest.raises(UserError) as caught:
            wrong.resolve(private)
        assert "wrong-pw" not in str(caught.value)
        pinned = private.pinned(with_login.resolve(private).digest)
        service = swarm.started(swarm.create("adapter-private"))
        spec = with_image(service.spec, str(pinned), with_login.resolve(pinned))
        with_login.update_service(service.id, service.version, spec, pinned)
        until(lambda: swarm.all_running(service.id))
        assert digest_of(swarm.now(service.id).spec) == pinned.digest


def _push_with_login(swarm: RealSwarm, private: ImageName) -> None:
    """The lab's image under a private name, without its layers in the engine's way."""
    raw = swarm.raw
    raw.pull(swarm.v1)
    raw.tag(swarm.v1, private.repository, private.tag)
    said = raw.push(private.repository, private.tag, auth_config=LOGIN)
    assert "digest" in said, said
    raw.remove_image(str(private))


# Managers, processes, events


def test_a_dead_host_and_a_worker_are_passed_over(swarm: RealSwarm, tmp_path: Path) -> None:
    dead = [f"unix://{tmp_path}/none.sock", f"tcp://127.0.0.1:{free_port()}"]
    engine = SwarmEngine([*dead, swarm.worker, swarm.manager], lambda _: None)
    assert engine.nodes() == swarm.engine.nodes()
    assert engine.info()["Swarm"]["ControlAvailable"] is True


@pytest.mark.alone
def test_a_manager_cut_off_from_the_others_is_passed_over_for_writes(swarm: RealSwarm) -> None:
    service = swarm.create("adapter-partition")
    first, second = swarm.lab["m1"], swarm.lab["m2"]
    engine = SwarmEngine([first.docker_host, second.docker_host], lambda _: None, timeout=5)
    first.cut()
    try:
        until(lambda: _written(engine, service.id))
        seen = SwarmEngine([second.docker_host], lambda _: None).service(service.id)
        assert seen is not None
        assert seen.labels["cut"] == "off"
    finally:
        first.heal()


def _written(engine: SwarmEngine, service_id: str) -> bool:
    try:
        service = engine.service(service_id)
        if service is None:  # a leader just elected shows the last writes only once it has committed one of its own
            return False
        engine.update_service(service_id, service.version, with_label(service.spec, "cut", "off"))
    except RetryLater:
        return False
    return True


def test_when_no_manager_answers_the_error_names_every_host_and_its_reason(swarm: RealSwarm, tmp_path: Path) -> None:
    dead = f"unix://{tmp_path}/none.sock"
    engine = SwarmEngine([dead, swarm.worker], lambda _: None)
    for ask in (engine.services, engine.nodes, engine.events, engine.ping):
        with pytest.raises(RetryLater) as caught:
            ask()
        assert f"{dead}: No such file or directory" in str(caught.value)
        assert f"{swarm.worker}: This node is not a swarm manager" in str(caught.value)
    with pytest.raises(RetryLater):
        engine.update_service("x", 1, {})
    assert engine.task_logs("x", 1) == ""


def test_an_engine_used_before_a_fork_and_by_threads_answers_in_all_of_them(swarm: RealSwarm) -> None:
    wanted = swarm.engine.nodes()
    child = os.fork()
    if child == 0:
        os._exit(0 if all(swarm.engine.nodes() == wanted for _ in range(20)) else 1)
    assert all(swarm.engine.nodes() == wanted for _ in range(20))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(swarm.engine.nodes() == wanted)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [True] * 4


def test_events_tell_of_services_as_they_change_and_end_when_closed(swarm: RealSwarm) -> None:
    events = swarm.engine.events()
    with closing(events):  # type: ignore[type-var]
        service = swarm.create("adapter-events")
        event: Any = next(e for e in events if e.get("Type") == "service" and _id(e) == service.id)
        assert (event["Action"], event["scope"]) == ("create", "swarm")
        swarm.write(service.id, swarm.to(swarm.v2))
        event = next(e for e in events if _id(e) == service.id and e.get("Action") == "update")
        assert event["Actor"]["Attributes"]["name"] == f"adapter-events-{swarm.own}"
    assert list(events) == []


def _id(event: Any) -> str:
    return str(event.get("Actor", {}).get("ID"))


def test_events_outlast_the_engines_timeout(swarm: RealSwarm) -> None:
    events = SwarmEngine([swarm.manager], lambda _: None, timeout=2).events()
    with closing(events):  # type: ignore[type-var]
        quiet = threading.Event()
        quiet.wait(3)
        service = swarm.create("adapter-later")
        assert any(_id(e) == service.id for e in events)
