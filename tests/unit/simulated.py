"""A small scene on the simulated swarm, for tests of the simulation itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nodewise.testing import App, ManualClock, SimulatedSwarm

SECOND = 1_000_000_000
IMAGE = "registry.test/web:1"
CONFIG = {"Parallelism": 1, "Monitor": SECOND, "FailureAction": "pause"}


class Scene:
    """A clock, a swarm, and services on it."""

    def __init__(self, nodes: Any = 5, seed: int = 0, **more: Any) -> None:
        self.clock = ManualClock()
        self.swarm = SimulatedSwarm(self.clock, nodes, seed, **more)

    def pinned(self, tag: str, **app: Any) -> str:
        image = f"registry.test/web:{tag}"
        return f"{image}@{self.swarm.push(image, App(**app))}"

    def create(self, image: str = "", name: str = "web", task: Any = None, **more: Any) -> str:
        container = {"Image": image or self.pinned("1")}
        spec = {
            "Name": name,
            "TaskTemplate": {"ContainerSpec": container, "RestartPolicy": {"Delay": SECOND}, **(task or {})},
            "Mode": {"Replicated": {"Replicas": 3}},
            "UpdateConfig": CONFIG,
            **more,
        }
        return self.swarm.create_service({k: v for k, v in spec.items() if v is not None})

    def started(self, *args: Any, **more: Any) -> str:
        service_id = self.create(*args, **more)
        self.until(lambda: self.settled(service_id))
        return service_id

    def write(self, service_id: str, image: str = "", **changes: Any) -> None:
        service = self.swarm.service(service_id)
        spec = {**service.spec, **changes}
        if image:
            spec["TaskTemplate"] = {**spec["TaskTemplate"], "ContainerSpec": {"Image": image}}
        self.swarm.update_service(service_id, service.version, spec)

    def until(self, fact: Any, seconds: float = 300.0) -> Any:
        end = self.clock.now() + seconds
        while not (value := fact()):
            assert self.clock.now() < end, f"not so within {seconds} s"
            self.clock.advance(0.05)
        return value

    def wanted(self, service_id: str) -> list[Any]:
        return [t for t in self.swarm.tasks([service_id]) if t.desired in ("ready", "running")]

    def settled(self, service_id: str) -> bool:
        tasks = self.wanted(service_id)
        return bool(tasks) and all(t.running and t.up_to_date for t in tasks)

    def state(self, service_id: str) -> str:
        return self.swarm.service(service_id).update_state

    def new_ones(self, service_id: str) -> int:
        return sum(t.running and t.up_to_date for t in self.wanted(service_id))

    def at(self, service_id: str) -> Counter[str]:
        names = {n.id: n.name for n in self.swarm.nodes()}
        return Counter(names[t.node_id] for t in self.wanted(service_id) if t.running)
