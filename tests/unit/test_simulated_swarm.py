"""The rest of what ships for tests: applications, registries, managers out of reach, gates, the clock, the queue."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from nodewise.domain.errors import NodewiseError, NotFound, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.steps import GatePlan, Place, Verdict
from nodewise.testing import App, ManualClock, MemoryQueue
from tests.unit.simulated import IMAGE, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


# Applications, registries, managers


def test_an_image_is_pulled_once_on_every_node(scene: Scene) -> None:
    image = scene.pinned("1", pull=20.0)
    everywhere = {"Global": {}}
    began = scene.clock.now()
    scene.started(image, Mode=everywhere)
    assert 20 <= scene.clock.now() - began < 23
    began = scene.clock.now()
    scene.started(image, "again", Mode=everywhere)
    assert scene.clock.now() - began < 3


def test_a_pruned_node_keeps_what_it_runs_and_pulls_the_rest_anew(scene: Scene) -> None:
    old, new = scene.pinned("1", pull=20.0), scene.pinned("2", pull=20.0)
    everywhere = {"Global": {}}
    service = scene.started(old, Mode=everywhere)
    scene.write(service, new)
    scene.until(lambda: scene.settled(service))
    for node in scene.swarm.nodes():
        scene.swarm.prune(node.name)
    for image, seconds in ((new, 0), (old, 20)):
        began = scene.clock.now()
        scene.started(image, f"again-{seconds}", Mode=everywhere)
        assert seconds <= scene.clock.now() - began < seconds + 3


def test_while_the_registry_is_away_only_what_is_there_already_starts(scene: Scene) -> None:
    image, other = scene.pinned("1"), scene.pinned("2")
    scene.started(image, Mode={"Global": {}})
    scene.swarm.registry.away = True
    with pytest.raises(RetryLater, match=r"registry\.test"):
        scene.swarm.resolve(ImageName.parse(image))
    scene.started(image, "again", Mode={"Global": {}})
    missing = scene.create(other, "missing")
    scene.until(lambda: any(t.state == "rejected" for t in scene.swarm.tasks([missing])))
    scene.swarm.registry.away = False
    scene.until(lambda: scene.settled(missing))


def test_every_tag_has_its_own_digest_and_a_second_push_of_the_same_app_has_the_same_one(scene: Scene) -> None:
    push = scene.swarm.push
    one, two = push("registry.test/a:1"), push("registry.test/a:2")
    assert one != two
    assert push("registry.test/a:1") == one
    assert push("registry.test/a:1", App(start=9.0)) not in (one, two)
    assert push("registry.test/a:1") == one
    scene.swarm.registry.tag("registry.test/a:1", "latest")
    assert scene.swarm.resolve(ImageName.parse("registry.test/a")).digest == one
    with pytest.raises(NotFound):
        scene.swarm.resolve(ImageName.parse("registry.test/a:3"))


def test_with_a_health_check_a_task_runs_once_it_is_healthy_and_ends_when_it_is_no_longer(scene: Scene) -> None:
    image = scene.pinned("1", healthcheck=True, start=10.0, unhealthy_after=20.0, log=("hello",))
    service = scene.create(image, Mode={"Replicated": {"Replicas": 1}}, task={"RestartPolicy": {"Condition": "none"}})
    scene.clock.advance(8)
    task = scene.swarm.tasks([service])[0]
    assert task.state == "starting"
    scene.clock.advance(5)
    assert scene.swarm.tasks([service])[0].state == "running"
    assert scene.swarm.task_logs(task.id, 10) == "hello"
    scene.clock.advance(20)
    ended = scene.swarm.tasks([service])[0]
    assert (ended.state, ended.error) == ("failed", "task: non-zero exit (137): dockerexec: unhealthy container")


def test_a_service_on_a_network_takes_two_seconds_longer_to_stop_and_has_an_address(scene: Scene) -> None:
    networks = {"Networks": [{"Target": "mesh"}]}
    service = scene.started(task=networks)
    task = scene.wanted(service)[0]
    assert task.address
    scene.swarm.drain(task.node_id)
    scene.clock.advance(2.0)
    assert task.id in {t.id for t in scene.swarm.tasks([service]) if t.state == "running"}
    scene.clock.advance(0.5)
    assert task.id in {t.id for t in scene.swarm.tasks([service]) if t.state == "shutdown"}


def test_when_no_manager_answers_every_call_is_for_later(scene: Scene) -> None:
    service = scene.started()
    view = scene.swarm.service(service)
    scene.swarm.cut_off = True
    calls = (
        lambda: scene.swarm.services(),
        lambda: scene.swarm.service("web"),
        lambda: scene.swarm.update_service(service, view.version, view.spec),
        lambda: scene.swarm.create_service(view.spec),
        lambda: scene.swarm.remove_service(service),
        lambda: scene.swarm.tasks([service]),
        lambda: scene.swarm.live_tasks([service]),
        lambda: scene.swarm.nodes(),
        lambda: scene.swarm.resolve(ImageName.parse(IMAGE)),
        lambda: scene.swarm.events(),
    )
    for call in calls:
        with pytest.raises(RetryLater):
            call()
    assert scene.swarm.task_logs("any", 5) == ""
    scene.swarm.cut_off = False
    assert scene.swarm.service("web") == view


def test_views_are_copies(scene: Scene) -> None:
    service = scene.started()
    scene.swarm.service(service).spec["TaskTemplate"]["ContainerSpec"]["Image"] = "spoilt"
    scene.swarm.scale("web", 4)
    scene.until(lambda: len(scene.wanted(service)) == 4)
    assert {t.image for t in scene.wanted(service)} == {scene.pinned("1")}


def test_events_are_told_to_every_stream_from_its_opening_on(scene: Scene) -> None:
    early = scene.swarm.events()
    service = scene.started()
    late = scene.swarm.events()
    scene.swarm.scale("web", 5)
    scene.swarm.drain("node1")
    told = [(e["Type"], e["Action"]) for e in early]
    assert told == [("service", "create"), ("service", "update"), ("node", "update")]
    attributes = [e["Actor"]["Attributes"] for e in late]
    assert attributes == [
        {"name": "web", "replicas.old": "3", "replicas.new": "5"},
        {"name": "node1", "availability.old": "active", "availability.new": "drain"},
    ]
    assert list(early) == []
    scene.swarm.remove_service(service)
    assert next(early)["Action"] == "remove"
    scene.swarm.cut_off = True
    assert list(late) == []
    scene.swarm.cut_off = False
    scene.started()
    assert list(early) == []


def test_threads_may_ask_at_the_same_time(scene: Scene) -> None:
    service = scene.started()
    failures: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(200):
                scene.swarm.tasks([service])
                scene.swarm.scale("web", 3)
        except Exception as error:  # whatever it is, the test looks at it
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        scene.clock.advance(0.01)
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_what_the_swarm_has_not_is_said_by_name(scene: Scene) -> None:
    for act in (lambda: scene.swarm.scale("nothing", 1), lambda: scene.swarm.drain("nowhere")):
        with pytest.raises(NodewiseError, match=r"nothing|nowhere"):
            act()


# Gates


def http(scene: Scene, service: str, path: str = "/health", host: str = "{node}", **config: Any) -> Any:
    node = next(n for n in scene.swarm.nodes() if n.id == scene.wanted(service)[0].node_id)
    tasks = tuple(t for t in scene.wanted(service) if t.node_id == node.id)
    plan = GatePlan("http", 1.0, 1, 1, {"url": f"http://{host}:8080{path}", **config})
    return scene.swarm.read_gate(plan, Place(node, tasks, scene.clock.now()))


def test_the_http_gate_is_answered_by_the_app(scene: Scene) -> None:
    def answer(path: str, seconds: float) -> int | None:
        return None if path == "/mute" else 503 if seconds < 10 else 200

    service = scene.started(scene.pinned("1", start=2.0, http=answer))
    early = http(scene, service)
    assert (early.verdict, early.reached, early.detail.endswith("no connection")) == (Verdict.FAIL, False, True)
    scene.clock.advance(3)
    busy = http(scene, service)
    assert (busy.verdict, busy.reached, busy.detail[-5:]) == (Verdict.FAIL, True, ": 503")
    assert http(scene, service, status="500-599").verdict is Verdict.PASS
    scene.clock.advance(10)
    assert http(scene, service).verdict is Verdict.PASS
    assert http(scene, service, "/mute").reached is False
    scene.swarm.node_down(scene.wanted(service)[0].node_id)


def test_every_other_gate_is_the_real_one(scene: Scene) -> None:
    service = scene.started()
    node = scene.swarm.nodes()[0]
    place = Place(node, tuple(scene.wanted(service)), scene.clock.now())
    assert scene.swarm.read_gate(GatePlan("container", 0.0, 1, 1), place).detail == "3 running"
    with pytest.raises(NodewiseError, match="nosuch"):
        scene.swarm.read_gate(GatePlan("nosuch", 0.0, 1, 1), place)


# Clock and queue


def test_a_clock_moves_only_forward() -> None:
    clock = ManualClock(100.0)
    assert (clock.now(), clock.advance(2.5), clock.now()) == (100.0, 102.5, 102.5)
    assert (clock.advance_to(90.0), clock.advance_to(110.0)) == (102.5, 110.0)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_a_job_is_taken_when_it_is_due_in_the_order_of_being_due() -> None:
    clock = ManualClock()
    queue = MemoryQueue(clock)
    first, second, third = (Job(Verb.PLAN, name) for name in "abc")
    queue.publish(third, 5.0)
    queue.publish(first)
    queue.publish(second)
    assert (queue.take(), queue.take(), queue.take()) == (first, second, None)
    assert queue.next_due == clock.now() + 5
    clock.advance(5)
    assert queue.take() == third
    assert (len(queue), queue.next_due) == (0, None)


def test_a_queue_that_is_away_says_so_and_one_that_is_wiped_forgets() -> None:
    queue = MemoryQueue(ManualClock())
    job = Job(Verb.PLAN, "a")
    queue.away = True
    with pytest.raises(RetryLater, match="plan a"):
        queue.publish(job)
    queue.away = False
    queue.publish(job)
    assert queue.wipe() == [job]
    assert queue.take() is None
