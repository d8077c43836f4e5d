"""A world in virtual time: the simulated swarm, a real store, and the product's own jobs, driven by one loop.

Nothing sleeps. The clock goes on to the next thing that is due: a job, or the sweep that runs every second.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Semaphore
from typing import Any

from nodewise import control, intake
from nodewise.bootstrap import Deps
from nodewise.config.settings import Settings
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Phase, Rollout
from nodewise.domain.swarm import ServiceView
from nodewise.store import Store
from nodewise.testing import App, ManualClock, MemoryQueue, SimulatedSwarm
from nodewise.testing.inline import Inline
from tasks.perform import run

SECOND = 1_000_000_000
REGISTRY = "registry.test"
SWEEP = Job(Verb.SWEEP, "")


class Unused:
    """Stands where this world has nothing: whoever asks it is told so."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name} in this world")


class World:
    """One swarm, one store, one worker."""

    def __init__(self, folder: Path, nodes: Any = 5, seed: int = 0, **settings: Any) -> None:
        self.clock = ManualClock()
        self.queue = MemoryQueue(self.clock)
        self.swarm = SimulatedSwarm(self.clock, nodes, seed)
        self.chance = random.Random(seed).getrandbits  # ids, too, are the same every time
        self.url = f"sqlite:///{folder}/nodewise.db"
        self.settings = Settings(data_dir=folder, **{"catch_up": 0.0, **settings})  # pushes are told by the story
        self.deps = self.new_worker()
        self.deps.store.migrate()
        self._swept = self.clock.now()

    def new_worker(self, **parts: Any) -> Deps:
        """A worker process: connections of its own to the same store, queue and swarm."""
        made = Deps(
            settings=self.settings,
            store=Store.open(self.url, self.chance),
            engine=self.swarm,
            builders={},
            git=Unused(),
            registry=self.swarm.registry,
            queue=self.queue,
            clock=self.clock,
            build_slots=Semaphore(1),
            read_gate=self.swarm.read_gate,
            chance=self.chance,
            aside=Inline(),
            started_at=self.clock.now(),
        )
        return replace(made, **parts)

    # -- time ----------------------------------------------------------------------------------------

    def run(self, until: Callable[[], Any], seconds: float = 900.0) -> Any:
        """Let time go on until *until* gives something, and give that. AssertionError after *seconds*."""
        end = self.clock.now() + seconds
        while not (found := until()):
            if self.clock.now() >= end:
                raise AssertionError(f"{seconds:g} s went by; {self.told()}")
            self.step(end)
        return found

    def step(self, end: float = float("inf")) -> bool:
        """One job, or the time of the next. Whether a job was done: nothing else changes the store."""
        job = self.queue.take()
        if job is not None:
            self.perform(job)
            return True
        if self.clock.now() >= self._swept + 1.0:
            self._swept = self.clock.now()
            self.perform(SWEEP)
            return True
        self.clock.advance_to(min(end, self._swept + 1.0, self.queue.next_due or end))
        return False

    def perform(self, job: Job) -> None:
        run(self.deps, job)

    def wait(self, seconds: float) -> None:
        """Let so much time go by."""
        until = self.clock.now() + seconds
        self.run(lambda: self.clock.now() >= until, seconds + 1)

    # -- things --------------------------------------------------------------------------------------

    def image(self, tag: str, name: str = "web") -> str:
        return f"{REGISTRY}/{name}:{tag}"

    def push(self, tag: str, name: str = "web", **app: Any) -> str:
        """Push a release that behaves so; its image name."""
        self.swarm.push(self.image(tag, name), App(**app))
        return self.image(tag, name)

    def pinned(self, image: str) -> str:
        from nodewise.domain.images import ImageName

        return str(ImageName.parse(image).pinned(self.swarm.resolve(ImageName.parse(image)).digest))

    def service(
        self,
        name: str = "web",
        image: str = "",
        replicas: int | None = 3,
        update: dict[str, Any] | None = None,
        **labels: str,
    ) -> ServiceView:
        """A service that runs. ``replicas`` None: global. ``labels``: two underscores stand for a dot."""
        spec = {
            "Name": name,
            "Labels": {f"nodewise.{k.replace('__', '.')}": v for k, v in labels.items()},
            "TaskTemplate": {
                "ContainerSpec": {"Image": self.pinned(image or self.push("1.0.0"))},
                "RestartPolicy": {"Condition": "any", "Delay": SECOND},
            },
            "Mode": {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": {
                "Parallelism": 1,
                "FailureAction": "pause",
                "Monitor": SECOND,
                "MaxFailureRatio": 0,
                "Order": "stop-first",
                **(update or {}),
            },
        }
        self.swarm.create_service(spec)
        wanted = len(self.swarm.nodes()) if replicas is None else replicas
        self.run(lambda: len(self.running(name)) == wanted, 60)
        found = self.swarm.service(name)
        assert found is not None
        return found

    def deploy(self, image: str, service: str = "web") -> Rollout:
        return intake.deploy(self.deps, service, image, "test")

    def rollback(self, to: int | None = None, service: str = "web") -> Rollout:
        return intake.rollback(self.deps, service, to, "test")

    def pushed(self, tag: str, name: str = "web") -> None:
        """What a registry's notification of this tag means."""
        from nodewise.domain.events import ImagePushed
        from nodewise.domain.images import ImageName

        image = ImageName.parse(self.image(tag, name))
        event = ImagePushed(image.repository, tag, self.swarm.resolve(image).digest)
        _, jobs = self.deps.store.add_event(event, f"push of {tag}", self.clock.now())
        intake.publish(self.deps, jobs)

    # -- looks ---------------------------------------------------------------------------------------

    def get(self, rollout: Rollout | str) -> Rollout:
        found = self.deps.store.rollout(rollout if isinstance(rollout, str) else rollout.id)
        assert found is not None
        return found

    def end(self, rollout: Rollout | str, seconds: float = 1800.0) -> Rollout:
        """The rollout once it has ended."""
        until = self.clock.now() + seconds
        while not (found := self.get(rollout)).phase.terminal:
            assert self.clock.now() < until, f"{seconds:g} s went by; {self.told()}"
            while not self.step(until) and self.clock.now() < until:
                pass
        return found

    def reaches(self, rollout: Rollout | str, *phases: Phase, seconds: float = 900.0) -> Rollout:
        return self.run(lambda: found if (found := self.get(rollout)).phase in phases else None, seconds)

    def latest(self, service: str = "web") -> Rollout:
        return self.deps.store.rollouts(service, limit=1)[0]

    def running(self, service: str = "web") -> list[str]:
        """The tag of every task that runs and is meant to."""
        view = self.swarm.service(service)
        tasks = self.swarm.tasks([view.id]) if view else []
        return sorted(t.image.partition("@")[0].rpartition(":")[2] for t in tasks if t.running)

    def task_ids(self, service: str = "web") -> set[str]:
        view = self.swarm.service(service)
        return {t.id for t in self.swarm.tasks([view.id]) if t.running} if view else set()

    def helpers(self) -> list[ServiceView]:
        return self.swarm.services("nodewise.helper")

    def told(self) -> str:
        """The state of everything, for a failed test."""
        rollouts = [
            f"{r.id} {r.service} {r.kind} {r.phase} {r.held or r.reason} "
            f"{[(s.node, s.state.value, s.detail) for s in r.steps]}"
            for r in self.deps.store.rollouts(limit=10)
        ]
        return "\n".join(["rollouts:", *rollouts, f"running: {self.running()}", f"queue: {len(self.queue)}"])

    control = control


@contextmanager
def world(nodes: Any = 5, seed: int = 0, **settings: Any) -> Iterator[World]:
    """A world of its own, gone at the end."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nothing here is about a disk
    with tempfile.TemporaryDirectory(prefix="nodewise-world-", dir=memory) as folder:
        made = World(Path(folder), nodes, seed, **settings)
        try:
            yield made
        finally:
            made.deps.store.close()
