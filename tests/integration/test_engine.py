"""SwarmEngine on a real swarm: specs, credentials, connections, managers that do not answer.

What any swarm does, the simulated one too, is in tests/contract/test_engine.py.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.managers import connect, get_json
from nodewise.domain.errors import RetryLater, UserError
from nodewise.domain.images import ImageName
from nodewise.domain.release import digest_of, marked, with_image
from nodewise.domain.swarm import ROLLOUT_LABEL, Spec
from tests.integration.every_field import every_field
from tests.integration.swarm_parts import LOGIN, RealSwarm, free_port, private_registry, until

pytestmark = [pytest.mark.lab, pytest.mark.seconds(60)]


def with_label(spec: Spec, key: str, value: str) -> Spec:
    return {**spec, "Labels": {**(spec.get("Labels") or {}), key: value}}


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
        to_v2 = swarm.to(swarm.v2)
        swarm.write(created.id, lambda spec: marked(to_v2(spec), "r1"), ImageName.parse(swarm.v2))
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


# Logs


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
        resolved = with_login.resolve(pinned)
        swarm.write(service.id, lambda spec: with_image(spec, str(pinned), resolved), pinned, with_login)
        until(lambda: swarm.all_running(service.id))
        assert digest_of(swarm.service(service.id).spec) == pinned.digest


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


def _id(event: Any) -> str:
    return str(event.get("Actor", {}).get("ID"))


def test_events_outlast_the_engines_timeout(swarm: RealSwarm) -> None:
    events = SwarmEngine([swarm.manager], lambda _: None, timeout=2).events()
    with closing(events):  # type: ignore[type-var]
        quiet = threading.Event()
        quiet.wait(3)
        service = swarm.create("adapter-later")
        assert any(_id(e) == service.id for e in events)


def test_a_poll_shows_the_tasks_that_are_wanted_those_of_a_job_too_and_no_history(swarm: RealSwarm) -> None:
    service = swarm.started(swarm.create("adapter-live"))
    job = swarm.create(
        "adapter-job", ["true"], Mode={"ReplicatedJob": {"TotalCompletions": 1}}, UpdateConfig=None, RollbackConfig=None
    )
    swarm.made.remove(job.id)  # an engine of 20.10 keeps the tasks of a job for ever: their end is not waited for
    try:
        swarm.write(service.id, swarm.to(swarm.v2))
        swarm.started(service)
        until(lambda: [t.state for t in swarm.tasks(job.id)] == ["complete"])
        live = swarm.engine.live_tasks([service.id, job.id])
    finally:
        swarm.engine.remove_service(job.id)
    assert sorted((t.service_id == job.id, t.desired, t.state) for t in live) == [
        (False, "running", "running"),
        (False, "running", "running"),
        (True, "complete", "complete"),
    ]
    assert {t.image for t in live if t.service_id == service.id} == {swarm.v2}
    assert len(swarm.tasks(service.id)) == 4, "two of them are history"
    assert swarm.engine.live_tasks([]) == []
