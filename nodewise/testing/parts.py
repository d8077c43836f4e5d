"""The parts of the simulated swarm put together, and the one way in: one call at a time, on a swarm up to date.

Nothing happens by itself: every call first lets happen what is due by the clock's time, and then answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from types import TracebackType

from nodewise.domain.errors import NotFound, RetryLater
from nodewise.domain.images import ImageName
from nodewise.ports import Clock
from nodewise.testing.agent import Agents
from nodewise.testing.app import Registry
from nodewise.testing.cluster import Cluster, Pace
from nodewise.testing.control import Control
from nodewise.testing.jobs import Jobs
from nodewise.testing.membership import CPUS, MEMORY, Membership
from nodewise.testing.orchestrator import Orchestrator
from nodewise.testing.reaper import Reaper
from nodewise.testing.records import Node, Service
from nodewise.testing.scheduler import Scheduler
from nodewise.testing.starts import Restarts, Starts
from nodewise.testing.timeline import Timeline

RegistryAuth = Callable[[str], Mapping[str, str] | None]
FORGETS_BEFORE = (23, 0, 2)  # see Jobs


class Parts:
    """See ``SimulatedSwarm``."""

    def __init__(
        self,
        clock: Clock,
        nodes: int | Iterable[str] = 3,
        seed: int = 0,
        registry_auth: RegistryAuth = lambda _: None,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        engine_version: str = "20.10.24",
    ) -> None:
        self._cut_off = False
        self.registry = Registry()
        self._clock = clock
        self.registry_auth = registry_auth
        self._version = engine_version
        self._lock = RLock()
        self._timeline = Timeline(clock.now())
        self._cluster = cluster = Cluster(self._timeline, random.Random(seed), self.registry, pace)  # noqa: S311
        self._agents = Agents(cluster)
        self._scheduler = Scheduler(cluster, self._agents.assigned)
        self._starts = Starts(cluster)
        restarts = Restarts(cluster, self._starts)
        self._orchestrator = Orchestrator(cluster, self._starts, restarts)
        self._jobs = Jobs(cluster, self._starts, restarts, forgets=_number(engine_version) < FORGETS_BEFORE)
        self._reaper = Reaper(cluster)
        self._control = Control(cluster)
        self._members = Membership(cluster, self._orchestrator.node_changed, self._agents.back)
        names = [f"node{n}" for n in range(1, nodes + 1)] if isinstance(nodes, int) else list(nodes)
        managers = 3 if len(names) > 3 else 1
        for n, name in enumerate(names):
            self._members.join(name, "manager" if n < managers else "worker", {}, self._version, CPUS, MEMORY)

    @property
    def cut_off(self) -> bool:
        """No manager answers: RetryLater from every call, and streams end. The swarm itself goes on."""
        return self._cut_off

    @cut_off.setter
    def cut_off(self, cut_off: bool) -> None:
        self._cut_off = cut_off
        if cut_off:
            self._cluster.streams.close_all()

    def _asked(self, as_manager: bool = True) -> _Call:
        if as_manager and self._cut_off:
            raise RetryLater("no swarm manager answers: connection refused")
        return _Call(self._lock, self._catch_up)

    def _catch_up(self) -> None:
        with self._lock:
            self._timeline.run(self._clock.now())

    def _token(self, image: ImageName | None) -> str | None:
        credentials = self.registry_auth(image.registry) if image else None
        return None if credentials is None else repr(sorted(credentials.items()))

    def _find(self, name_or_id: str) -> Service | None:
        return self._cluster.services.get(name_or_id) or self._cluster.names.get(name_or_id)

    def _named(self, name: str) -> Service:
        service = self._find(name)
        if service is None:
            raise NotFound(f"the simulated swarm has no service {name!r}")
        return service

    def _node(self, name: str) -> Node:
        for node in self._cluster.nodes.values():
            if name in (node.view.name, node.id):
                return node
        raise NotFound(f"the simulated swarm has no node {name!r}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(p) for p in version.split("-")[0].split(".") if p.isdigit())


class _Call:
    """One call at a time, each on a swarm that has caught up with the clock."""

    __slots__ = ("_catch_up", "_lock")

    def __init__(self, lock: RLock, catch_up: Callable[[], None]) -> None:
        self._lock = lock
        self._catch_up = catch_up

    def __enter__(self) -> None:
        self._lock.acquire()
        self._catch_up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
