"""Two swarms that one test body runs on: the lab's, where it waits, and the simulated one, whose time it moves.

What a container does is said by its command. The lab runs the command; for the simulated swarm ``BEHAVIOUR`` says
what the same command comes to.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.managers import connect, get_json
from nodewise.domain.errors import OutOfSequence
from nodewise.domain.images import ImageName
from nodewise.domain.release import with_image
from nodewise.domain.swarm import NodeView, ServiceView, Spec, TaskView
from nodewise.ports import Engine
from nodewise.testing import App, ManualClock, SimulatedSwarm
from tests import others
from tests.lab.lab import Lab

T = TypeVar("T")
SECOND = 1_000_000_000
LOOK = 0.05  # seconds between two looks

TALK = ("/bin/sh", "-c", "echo to-out; echo to-err >&2; exec httpd -f -p 8080")
DIE = ("/bin/sh", "-c", "echo last-words; echo on-stderr >&2; exit 3")
DIE_LATE = ("/bin/sh", "-c", "sleep 4; exit 7")
COUNT = ("/bin/sh", "-c", "for i in $(seq 50); do echo line $i; done; exec httpd -f -p 8080")
GET_SICK = ("/bin/sh", "-c", "exec httpd -f -p 8081")
DONE = ("/bin/true",)
FAIL = ("/bin/false",)

GOOD = App(pull=0.2, start=0.1, stop=0.4, log=("to-out", "to-err"))
BEHAVIOUR = {
    TALK: GOOD,
    DIE: App(pull=0.2, exits_after=0.05, exit_code=3, last_words=("last-words", "on-stderr")),
    DIE_LATE: App(pull=0.2, exits_after=4.0, exit_code=7),
    COUNT: replace(GOOD, log=tuple(f"line {n}" for n in range(1, 51))),
    GET_SICK: App(pull=0.2, unhealthy_after=0),
    DONE: App(pull=0.2, exits_after=0.05),
    FAIL: App(pull=0.2, exits_after=0.05, exit_code=1),
}


class Ground(ABC):
    """A swarm to try things on. *v1*, *v2*: pinned images in its registry; ``missing``: one that nobody pushed."""

    engine: Engine

    def __init__(self, v1: str, v2: str) -> None:
        self.v1, self.v2 = v1, v2
        self.missing = v1.partition("@")[0] + "@sha256:" + "0" * 64
        self.made: list[str] = []
        self.past: list[str] = []  # what was made by earlier tests

    # -- time ----------------------------------------------------------------------------------------

    @abstractmethod
    def now(self) -> float:
        """Seconds, from whenever."""

    @abstractmethod
    def pass_time(self, seconds: float) -> None:
        """Let so much time go by."""

    def until(self, fact: Callable[[], T], seconds: float = 60.0) -> T:
        """Look until *fact* is true, and return it."""
        end = self.now() + seconds
        while True:
            value = fact()
            if value or self.now() > end:
                assert value, f"not so within {seconds} s; there is: {self._what_there_is()}"
                return value
            self.pass_time(LOOK)

    def _what_there_is(self) -> list[object]:
        services = [s for s in map(self.engine.service, self.made) if s is not None]
        return [(s.name, s.update_state, s.update_message, *self.tasks(s.id)) for s in services]

    def always(self, fact: Callable[[], object], seconds: float) -> None:
        """*fact* is true at every look for so long."""
        end = self.now() + seconds
        while self.now() <= end:
            assert fact()
            self.pass_time(LOOK)

    # -- services ------------------------------------------------------------------------------------

    def spec(self, name: str, command: Sequence[str] = TALK, task: Spec | None = None, **more: Any) -> Spec:
        """A replicated service of two that restarts and stops quickly.

        *task*: more fields of its TaskTemplate, *more*: of the spec itself; None leaves one out.
        """
        spec = {
            "Name": f"{name}-{uuid.uuid4().hex[:6]}",
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self.v1,
                    "Command": list(command),
                    "StopSignal": "SIGKILL",
                    "StopGracePeriod": SECOND // 2,
                },
                "RestartPolicy": {"Condition": "any", "Delay": SECOND // 2},
                **(task or {}),
            },
            "Mode": {"Replicated": {"Replicas": 2}},
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "rollback", "Monitor": SECOND // 2},
            "RollbackConfig": {"Parallelism": 2, "FailureAction": "pause", "Monitor": SECOND // 2},
            **more,
        }
        return {k: v for k, v in spec.items() if v is not None}

    def create(self, name: str, command: Sequence[str] = TALK, task: Spec | None = None, **more: Any) -> ServiceView:
        """See ``spec``."""
        self.made.append(self.engine.create_service(self.spec(name, command, task, **more)))
        return self.service(self.made[-1])

    def started(self, service: ServiceView, count: int = 2) -> ServiceView:
        """The service once *count* tasks run."""
        self.until(lambda: self.all_running(service.id, count))
        return self.service(service.id)

    def service(self, service_id: str) -> ServiceView:
        service = self.engine.service(service_id)
        assert service is not None
        return service

    def tasks(self, service_id: str) -> list[TaskView]:
        return self.engine.tasks([service_id])

    def wanted(self, service_id: str) -> list[TaskView]:
        """The tasks that are to run."""
        return [t for t in self.tasks(service_id) if t.desired in ("ready", "running")]

    def all_running(self, service_id: str, count: int = 2) -> bool:
        """Exactly *count* tasks are to run, run, and are up to date."""
        tasks = self.wanted(service_id)
        return len(tasks) == count and all(t.running and t.up_to_date for t in tasks)

    def ended(self, service_id: str, *states: str) -> list[TaskView]:
        """The tasks that have ended so, and are not wanted any more: the swarm notes that a moment later."""
        return [t for t in self.tasks(service_id) if t.state in states and t.desired != "running"]

    def is_in(self, service_id: str, *states: str) -> ServiceView | None:
        service = self.service(service_id)
        return service if service.update_state in states else None

    def write(
        self,
        service_id: str,
        change: Callable[[Spec], Spec],
        image: ImageName | None = None,
        engine: Engine | None = None,
    ) -> ServiceView:
        """Change a service, and return it as it is right after. The updater may bump the version meanwhile."""
        engine = engine or self.engine
        while True:
            service = self.service(service_id)
            try:
                engine.update_service(service_id, service.version, change(service.spec), image)
            except OutOfSequence:
                assert self.service(service_id).spec == service.spec
            else:
                return self.service(service_id)

    def to(self, image: str) -> Callable[[Spec], Spec]:
        """A change to that image. It is resolved first: between reading and writing nothing is to take long."""
        resolved = self.engine.resolve(ImageName.parse(image))
        return lambda spec: with_image(spec, image, resolved)

    # -- what others do ------------------------------------------------------------------------------

    @abstractmethod
    def roll_back_as_a_person(self, service_id: str) -> ServiceView:
        """What ``docker service update --rollback`` sends; the service right after."""

    @abstractmethod
    def with_credentials(self, word: str) -> Engine:
        """The same swarm, by an engine that sends these credentials along."""

    @abstractmethod
    def set_node(self, node: NodeView, availability: str = "active", **labels: str) -> None:
        """Another availability and other labels."""

    @abstractmethod
    def event_of(self, events: Any, service_id: str, action: str) -> dict[str, Any]:
        """The next event of that kind about that service."""

    def workers(self) -> list[NodeView]:
        return sorted((n for n in self.engine.nodes() if n.role == "worker"), key=lambda n: n.name)

    @abstractmethod
    def clear(self) -> None:
        """Remove what was made."""


class SimulatedGround(Ground):
    """The simulated swarm with five nodes, as the lab has them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.swarm = self.engine = SimulatedSwarm(self.clock, ("m1", "m2", "m3", "w1", "w2"))
        pinned = [
            f"registry.test/app:{tag}@{self.swarm.push(f'registry.test/app:{tag}', GOOD)}" for tag in ("v1", "v2")
        ]
        for command, app in BEHAVIOUR.items():
            self.swarm.registry.command(command, app)
        super().__init__(*pinned)

    def now(self) -> float:
        return self.clock.now()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def roll_back_as_a_person(self, service_id: str) -> ServiceView:
        return self.swarm.native_rollback(service_id)

    def with_credentials(self, word: str) -> Engine:
        self.swarm.registry_auth = lambda _: {"username": "someone", "password": word}
        return self.swarm

    def set_node(self, node: NodeView, availability: str = "active", **labels: str) -> None:
        {"active": self.swarm.activate, "drain": self.swarm.drain, "pause": self.swarm.pause}[availability](node.id)
        gone = dict.fromkeys(next(n for n in self.swarm.nodes() if n.id == node.id).labels, "")
        self.swarm.label_node(node.id, **{**gone, **labels})

    def event_of(self, events: Any, service_id: str, action: str) -> dict[str, Any]:
        return self.until(
            lambda: next((e for e in events if e["Actor"]["ID"] == service_id and e["Action"] == action), None)
        )

    def clear(self) -> None:
        for service_id in self.made:
            self.swarm.remove_service(service_id)
        self.made.clear()


class RealGround(Ground):
    """The lab's swarm."""

    def __init__(self, lab: Lab, v1: str, v2: str) -> None:
        super().__init__(v1, v2)
        self.lab = lab
        self.manager, self.worker = lab["m1"].docker_host, lab["w1"].docker_host
        self.engine = SwarmEngine([self.manager], lambda _: None)
        self.raw = connect(self.manager, 30)

    def now(self) -> float:
        return time.monotonic()

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def roll_back_as_a_person(self, service_id: str) -> ServiceView:
        others.roll_back(self.raw, service_id)
        return self.service(service_id)

    def with_credentials(self, word: str) -> Engine:
        return SwarmEngine([self.manager], lambda _: {"username": "someone", "password": word})

    def set_node(self, node: NodeView, availability: str = "active", **labels: str) -> None:
        raw = get_json(self.raw, "/nodes/{0}", node.id)
        spec = {**raw["Spec"], "Availability": availability, "Labels": labels}
        url = self.raw._url("/nodes/{0}/update", node.id)
        self.raw._raise_for_status(self.raw._post_json(url, spec, params={"version": raw["Version"]["Index"]}))

    def event_of(self, events: Any, service_id: str, action: str) -> dict[str, Any]:
        return next(e for e in events if e.get("Actor", {}).get("ID") == service_id and e.get("Action") == action)

    def clear(self) -> None:
        """Services go at once; who needs their containers gone waits for it with ``gone``."""
        for service_id in self.made:
            service = self.engine.service(service_id)
            if service is not None and "GlobalJob" in service.spec["Mode"]:
                self._empty_job(service)
            self.engine.remove_service(service_id)
        self.past += self.made
        self.made.clear()

    def gone(self, service_ids: Sequence[str]) -> bool:
        """None of their tasks is on record."""
        return not any(t.get("ServiceID") in service_ids for t in get_json(self.raw, "/tasks"))

    def _empty_job(self, service: ServiceView) -> None:
        """A 20.10 forgets the tasks of a job that is removed, and lets them run: one that fits nowhere has none."""
        task = {**service.spec["TaskTemplate"], "Placement": {"Constraints": ["node.hostname==nowhere"]}}
        self.engine.update_service(service.id, service.version, {**service.spec, "TaskTemplate": task})
        self.until(lambda: not self.tasks(service.id), 20)
