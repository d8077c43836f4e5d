"""The demonstration's stage without a swarm: ``tests.story.Stage`` in virtual time, on the product's own parts.

Simulated are the swarm, its registry, git and the builder. Real are the receiver and the API (through Flask's test
client), the jobs, the store, and every decision.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nodewise import tokens
from nodewise.domain.steps import GatePlan, Place, Verdict
from nodewise.domain.swarm import Spec, TaskView
from nodewise.testing import App, SimulatedBuilder, SimulatedGit
from tests.story import FIRST, NODES
from tests.world import REGISTRY, SECOND, World
from workers.web import make_web_app

T = TypeVar("T")
PORT, TARGET = 8080, 8080
REPOSITORY = "https://git.test/shop.git"
GIT_SECRET, REGISTRY_SECRET = "secret-of-the-git-hook", "secret-of-the-registry-hook"
CONFIG: Mapping[str, Any] = {
    "hooks": {
        "git": {"provider": "git", "secrets": [GIT_SECRET]},
        "distribution": {"provider": "distribution", "secrets": [REGISTRY_SECRET]},
    },
    "builds": {"shop": {"git": REPOSITORY, "refs": ["refs/tags/v*"], "image": f"{REGISTRY}/shop:{{version}}"}},
}
LOOK = 0.25  # virtual seconds between two looks of somebody who waits
REQUEST = 0.05  # and between two requests to one node
BUILD = 2.0  # and how many a build takes
LOADED = GatePlan("http", 1.0, 1, 1, {"url": f"http://{{node}}:{PORT}/version"})


def sample(version: str, health: str = "200") -> App:
    """The sample app of examples/app: it serves on for a little while when told to stop."""
    answers = {"/cgi-bin/health": int(health)}
    return App(stop=0.6, log=(f"serving version {version}",), http=lambda path, _seconds: answers.get(path, 200))


def read_sample(context: Path) -> App:
    """The same, from its sources."""
    return sample(*((context / name).read_text().strip() for name in ("www/version", "health-status")))


class Load:
    """Requests to every node of the simulated swarm, each time the clock has gone on far enough."""

    def __init__(self, world: Simulation, service: str) -> None:
        self._world, self._service = world, service
        self.asked = self.failed = 0
        self.due = world.clock.now()

    def ask(self) -> None:
        if self._world.clock.now() < self.due:
            return
        self.due += REQUEST
        tasks = self._world.tasks_of(self._service)
        for node in self._world.swarm.nodes():
            self.asked += 1
            self.failed += not any(self._world.answers(t) for t in tasks if t.node_id == node.id)


class Simulation(World):
    """A world with git, a builder, hooks and the API; its clock stops at every request of the load."""

    def __init__(self, folder: Path, content: Mapping[str, Any] = CONFIG) -> None:
        config = folder / "nodewise.yaml"
        config.write_text(yaml.safe_dump(content))
        self.load: Load | None = None
        self.made: dict[str, tuple[str, float]] = {}  # task to its image, and when it was first there
        super().__init__(folder, NODES, config=config)
        self.git = SimulatedGit()
        builder = SimulatedBuilder(self.swarm.registry, read_sample, BUILD, self.spend)
        self.deps = replace(self.deps, git=self.git, builders={"builder": builder})
        self.web = make_web_app(self.deps).test_client()
        self.token = tokens.create(self.deps, "demonstration", ["read", "deploy"], "demonstration")

    def step(self, end: float = float("inf")) -> None:
        super().step(min(end, self.load.due) if self.load else end)
        self.look()

    def spend(self, seconds: float) -> None:
        """Let time go by in the middle of a job, as a build does."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance_to(min(end, self.load.due) if self.load else end)
            self.look()

    def look(self) -> None:
        if self.load:
            self.load.ask()
        for task in self.swarm.tasks([s.id for s in self.swarm.services()]):
            self.made.setdefault(task.id, (task.image, self.clock.now()))

    def tasks_of(self, service: str) -> list[TaskView]:
        view = self.swarm.service(service)
        return self.swarm.tasks([view.id]) if view else []

    def answers(self, task: TaskView) -> bool:
        """Whether a user's request to this task's node would be answered well by it."""
        if task.state not in ("starting", "running"):
            return False
        node = next(n for n in self.swarm.nodes() if n.id == task.node_id)
        return self.swarm.read_gate(LOADED, Place(node, (task,), self.clock.now())).verdict is Verdict.PASS

    def deliver(self, path: str, body: dict[str, Any] | bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """What a registry or a git server sends to the receiver, and what it answers."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.web.post(path, data=raw, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.get_json()

    def notify(self, name: str, tag: str, digest: str) -> dict[str, Any]:
        """A push as the registry notifies of it."""
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        target = {"mediaType": kind, "repository": name, "tag": tag, "digest": digest}
        event = {"id": f"{name}-{tag}", "action": "push", "target": target, "request": {"host": REGISTRY}}
        bearer = {"Authorization": f"Bearer {REGISTRY_SECRET}"}
        return self.deliver("/hooks/distribution", {"events": [event]}, bearer)


class SimulatedStage:
    """``tests.story.Stage`` on a Simulation."""

    image, port = f"{REGISTRY}/shop", PORT
    by_git, by_push, by_api = "git push event", "registry notification", "the API"

    def __init__(self, world: Simulation) -> None:
        self.world = world
        self._service = ""

    def now(self) -> float:
        return self.world.clock.now()

    def wait(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        end = self.now() + seconds
        while not (found := look()):
            assert self.now() < end, f"{seconds:g} virtual s went by, waiting for {what}; {self.world.told()}"
            self.world.wait(LOOK)
        return found

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.world.web.get(f"/api/v1/{path}", query_string=query, headers=self._auth)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.world.web.post(f"/api/v1/{path}", json=body, headers=self._auth)
        assert answer.status_code == 202, answer.text
        return answer.get_json()

    @property
    def _auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.world.token}"}

    def git_push(self, version: str, health: str) -> str:
        files = {"Dockerfile": "FROM scratch\n", "www/version": f"{version}\n", "health-status": f"{health}\n"}
        commit = self.world.git.commit(REPOSITORY, files)
        ref = {"ref": f"refs/tags/v{version}", "before": "0" * 40, "after": commit, "commit": commit}
        body = json.dumps({"repository": REPOSITORY, "refs": [ref]}).encode()
        said = self.world.deliver("/hooks/git", body, signed(f"git-{version}", int(self.now()), body))
        return "nodewise: {delivery} {verdict} {note}".format(**said).strip()

    def build(self, version: str) -> None:
        """Nothing to do: an image of the simulated registry is made by its push."""

    def push(self, version: str) -> None:
        digest = self.world.swarm.push(f"{self.image}:{version}", sample(version))
        self.world.notify("shop", version, digest)

    def create_service(self, name: str, image: str, gate: Mapping[str, str]) -> str:
        labels = {"nodewise.track": "semver:^1", **{f"nodewise.gate.http.{k}": v for k, v in gate.items()}}
        self.world.swarm.create_service(global_service(name, self.world.pinned(image), labels))
        self._service = name
        self.wait(f"{name} to run", lambda: self.world.running(name) == [FIRST] * NODES, 60)
        return name

    @contextmanager
    def load(self) -> Iterator[Load]:
        self.world.load = load = Load(self.world, self._service)
        try:
            yield load
        finally:
            self.world.load = None

    def everywhere(self, version: str) -> None:
        def everywhere() -> bool:
            good = [t for t in self.world.tasks_of(self._service) if t.running and self.world.answers(t)]
            return len({t.node_id for t in good}) == NODES and self.world.running(self._service) == [version] * NODES

        self.wait(f"{version} on every node", everywhere, 30)

    def first_task(self, version: str, since: float) -> float:
        made = [at for image, at in self.world.made.values() if f":{version}@" in image and at >= since]
        assert made, f"no new task of {version}"
        return min(made)


def signed(delivery: str, at: int, body: bytes, secret: str = GIT_SECRET) -> dict[str, str]:
    """The headers that the shipped post-receive hook sends."""
    signature = hmac.new(secret.encode(), f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def global_service(name: str, image: str, labels: Mapping[str, str]) -> Spec:
    """One task on every node, each with a host port, and a health check: as the real demonstration's."""
    return {
        "Name": name,
        "Labels": dict(labels),
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "StopGracePeriod": SECOND,
                "HealthCheck": {"Test": ["CMD", "/bin/true"], "Interval": SECOND, "Timeout": SECOND, "Retries": 3},
            },
            "RestartPolicy": {"Condition": "any", "Delay": SECOND},
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first", "Monitor": 2 * SECOND},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [{"Protocol": "tcp", "TargetPort": TARGET, "PublishedPort": PORT, "PublishMode": "host"}],
        },
    }
