"""What the engine and builder tests share: a real swarm's addresses, raw services, and waiting for facts."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.managers import connect, get_json
from nodewise.domain.images import ImageName
from nodewise.domain.release import with_image
from nodewise.domain.swarm import ServiceView, Spec, TaskView
from tests.lab.lab import Lab
from tests.ports import free_port

T = TypeVar("T")
SECOND = 1_000_000_000
TALK = ["/bin/sh", "-c", "echo to-out; echo to-err >&2; exec httpd -f -p 8080"]
DIE = ["/bin/sh", "-c", "echo last-words; echo on-stderr >&2; exit 3"]

# bot : s3cret-pw
HTPASSWD = "bot:$2b$04$Rw.N8P8l4k/wfgnQAHkRLOreLbvThwrtWgDxFZjDs6QUud6gSvZae\n"
LOGIN = {"username": "bot", "password": "s3cret-pw"}


def until(fact: Callable[[], T], seconds: float = 120.0) -> T:
    """Wait until *fact* is true, and return it."""
    end = time.monotonic() + seconds
    while True:
        value = fact()
        if value or time.monotonic() > end:
            assert value, f"not so within {seconds} s"
            return value
        time.sleep(0.05)


@dataclass
class RealSwarm:
    """A swarm to try things on. *v1*, *v2*: pinned images in its registry, that hold a busybox."""

    lab: Lab
    registry: str
    v1: str
    v2: str
    made: list[str] = field(default_factory=list)
    own: str = field(default_factory=lambda: uuid.uuid4().hex[:6])  # part of every name: others use the swarm too

    def __post_init__(self) -> None:
        self.manager, self.worker = self.lab["m1"].docker_host, self.lab["w1"].docker_host
        self.engine = SwarmEngine([self.manager], lambda _: None)
        self.raw = connect(self.manager, 30)

    def create(self, name: str, command: list[str] | None = None, **more: Any) -> ServiceView:
        """A replicated service of two that restarts and stops quickly, its name ended with ``own``.

        *more*: top-level fields of its spec.
        """
        spec = {
            "Name": f"{name}-{self.own}",
            "TaskTemplate": {
                "ContainerSpec": {"Image": self.v1, "Command": command or TALK, "StopGracePeriod": SECOND // 2},
                "RestartPolicy": {"Condition": "any", "Delay": SECOND // 2},
            },
            "Mode": {"Replicated": {"Replicas": 2}},
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 2 * SECOND},
            "RollbackConfig": {"Parallelism": 2, "FailureAction": "pause", "Monitor": SECOND // 2},
            **more,
        }
        return self.create_raw(spec)

    def create_raw(self, spec: Spec, **headers: str) -> ServiceView:
        url = self.raw._url("/services/create")
        self.made.append(self.raw._result(self.raw._post_json(url, spec, headers=dict(headers)), json=True)["ID"])
        return self.now(self.made[-1])

    def now(self, service_id: str) -> ServiceView:
        service = self.engine.service(service_id)
        assert service is not None
        return service

    def tasks(self, service_id: str) -> list[TaskView]:
        return self.engine.tasks([service_id])

    def all_running(self, service_id: str, count: int = 2) -> bool:
        tasks = [t for t in self.tasks(service_id) if t.desired in ("ready", "running")]
        return len(tasks) == count and all(t.running and t.up_to_date for t in tasks)

    def started(self, service: ServiceView, count: int = 2) -> ServiceView:
        until(lambda: self.all_running(service.id, count))
        return self.now(service.id)

    def write(self, service_id: str, change: Callable[[Spec], Spec]) -> ServiceView:
        """Change a service, and return it as it is right after."""
        service = self.now(service_id)
        self.engine.update_service(service_id, service.version, change(service.spec))
        return self.now(service_id)

    def to(self, image: str) -> Callable[[Spec], Spec]:
        return lambda spec: with_image(spec, image, self.engine.resolve(ImageName.parse(image)))

    def roll_back_as_a_person(self, service_id: str) -> ServiceView:
        """What ``docker service update --rollback`` sends."""
        service = self.now(service_id)
        url = self.raw._url("/services/{0}/update", service_id)
        params = {"version": service.version, "rollback": "previous"}
        self.raw._result(self.raw._post_json(url, service.spec, params=params))
        return self.now(service_id)

    def is_in(self, service_id: str, *states: str) -> ServiceView | None:
        service = self.now(service_id)
        return service if service.update_state in states else None

    def clear(self) -> None:
        """Remove what the tests made, and wait until its containers are gone."""
        for service_id in self.made:
            self.raw._delete(self.raw._url("/services/{0}", service_id))
        made = set(self.made)
        until(lambda: not [t for t in get_json(self.raw, "/tasks") if t.get("ServiceID") in made])
        self.made.clear()


@contextlib.contextmanager
def private_registry(host: str, folder: Path) -> Iterator[str]:
    """A registry on *host* that asks for a login."""
    address = f"{host}:{free_port(host)}"
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "registry.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '{address}'}}\n"
        f"auth: {{htpasswd: {{realm: private, path: {folder}/htpasswd}}}}\n"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "registry.yml")], stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        until(lambda: "listening on" in (folder / "log").read_text())
        yield address
    finally:
        process.terminate()
        process.wait(60)
