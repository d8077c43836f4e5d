"""The simulated swarm: ``nodewise.ports.Engine`` in virtual time, and everything that others may do to a swarm.

Nothing happens by itself: every call first lets happen what is due by the clock's time, and then answers. What
the managers and nodes do is in the other files of this folder; this one puts them together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import RLock
from types import TracebackType

from nodewise.domain.errors import NotFound, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.steps import GatePlan, Place, Reading
from nodewise.domain.swarm import NodeView, ResolvedImage, ServiceView, Spec, TaskView
from nodewise.ports import Clock
from nodewise.testing import gate
from nodewise.testing.agent import Agents
from nodewise.testing.app import App, Registry
from nodewise.testing.cluster import Cluster, Pace
from nodewise.testing.control import Control
from nodewise.testing.jobs import Jobs
from nodewise.testing.membership import GIB, Membership
from nodewise.testing.orchestrator import Orchestrator
from nodewise.testing.reaper import Reaper
from nodewise.testing.records import Node, Service
from nodewise.testing.scheduler import Scheduler
from nodewise.testing.starts import Restarts, Starts
from nodewise.testing.streams import Stream
from nodewise.testing.timeline import Timeline
from nodewise.testing.views import all_views, live_views, service_view

FORGETS_BEFORE = (24, 0)  # see Jobs
RegistryAuth = Callable[[str], Mapping[str, str] | None]


class SimulatedSwarm:
    """A swarm of *nodes* (a number, or names) whose time is *clock*'s.

    The first node, or the first three of more than three, are managers. *seed* fixes everything that is random.
    ``cut_off``: no manager answers. ``registry.away``: no registry does. ``registry_auth``: a registry's
    credentials, which go along with a write that names its image. Safe to use from several threads.
    """

    def __init__(
        self,
        clock: Clock,
        nodes: int | Iterable[str] = 3,
        seed: int = 0,
        registry_auth: RegistryAuth = lambda _: None,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        engine_version: str = "20.10.24",
    ) -> None:
        self.cut_off = False
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
            self.join(name, "manager" if n < managers else "worker")

    # -- ports.Engine --------------------------------------------------------------------------------

    def services(self, label: str = "") -> list[ServiceView]:
        """Every service, or every one with that label (``key`` or ``key=value``)."""
        with self._asked():
            views = [service_view(s) for s in self._cluster.services.values()]
            if not label:
                return views
            key, equals, value = label.partition("=")
            return [v for v in views if key in v.labels and (not equals or v.labels[key] == value)]

    def service(self, name_or_id: str) -> ServiceView | None:
        """The service of that exact name or id, or None."""
        with self._asked():
            service = self._find(name_or_id)
            return None if service is None else service_view(service)

    def update_service(self, service_id: str, version: int, spec: Spec, image: ImageName | None = None) -> None:
        """Replace the whole spec, if the service still is at *version*."""
        with self._asked():
            self._control.update(service_id, version, spec, self._token(image))

    def create_service(self, spec: Spec, image: ImageName | None = None) -> str:
        """A new service; its id. Raises Conflict where the name is taken."""
        with self._asked():
            return self._control.create(spec, self._token(image) or "")

    def remove_service(self, service_id: str) -> None:
        """Remove a service. One that is gone already is no error."""
        with self._asked():
            self._control.remove(service_id)

    def tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        """All tasks of these services, history included."""
        with self._asked():
            changes = self._cluster.node_changes
            return [view for s in self._wanted(service_ids) for view in all_views(s, changes)]

    def live_tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        """The tasks that the swarm wants to run. ``up_to_date`` is not asked for."""
        with self._asked():
            return [view for s in self._wanted(service_ids) for view in live_views(s)]

    def nodes(self) -> list[NodeView]:
        """Every node of the swarm."""
        with self._asked():
            return [n.view for n in self._cluster.nodes.values()]

    def task_logs(self, task_id: str, lines: int) -> str:
        """The last *lines* lines of a task; empty when they cannot be had."""
        if self.cut_off:
            return ""
        with self._asked():
            task = self._cluster.tasks.get(task_id)
            if task is None or task.node is None or not task.node.reachable or lines < 1:
                return ""
            return "\n".join(task.log[-lines:])

    def resolve(self, image: ImageName) -> ResolvedImage:
        """What was pushed as *image*. Raises NotFound, and RetryLater while the registry is away."""
        with self._asked():
            return self.registry.resolve(image)

    def events(self) -> Stream:
        """Events from now on; see ``Stream`` for how it ends."""
        with self._asked():
            return self._cluster.streams.open(self._catch_up)

    # -- ports.ReadGate ------------------------------------------------------------------------------

    def read_gate(self, plan: GatePlan, place: Place) -> Reading:
        """The HTTP gate as the Apps answer it; every other gate is the real one."""
        with self._asked(as_manager=False):
            return gate.read(plan, place, self._answer)

    def _answer(self, task_id: str, path: str) -> int | None:
        """The status that a task answers at *path*; None where nothing listens."""
        task = self._cluster.tasks.get(task_id)
        if task is None or task.app is None or task.started is None or task.has_ended:
            return None
        listens = self._timeline.now - task.started - task.app.start
        if listens < 0 or task.node is None or not task.node.reachable:
            return None
        return task.app.http(path, listens)

    # -- what others do ------------------------------------------------------------------------------

    def push(self, image: str, app: App = App()) -> str:  # noqa: B008 - frozen
        """``docker push``: *image* is *app* from now on. Its digest."""
        return self.registry.push(image, app)

    def native_rollback(self, name: str) -> ServiceView:
        """``docker service update --rollback``."""
        with self._asked():
            service = self._named(name)
            self._control.roll_back(service.id, service.version)
            return service_view(service)

    def scale(self, name: str, replicas: int) -> ServiceView:
        """``docker service scale``."""

        def change(spec: Spec) -> Spec:
            return {**spec, "Mode": {"Replicated": {"Replicas": replicas}}}

        return self.foreign_update(name, change)

    def foreign_update(self, name: str, change: Callable[[Spec], Spec]) -> ServiceView:
        """Someone else's update: *change* makes the new spec of the one that is there."""
        with self._asked():
            service = self._named(name)
            view = service_view(service)
            self._control.update(service.id, service.version, change(view.spec), None)
            return service_view(service)

    def leader_changed(self) -> None:
        """Another manager leads: updaters begin again, streams end, and nobody is told why."""
        with self._asked():
            self._cluster.streams.close_all()
            self._orchestrator.new_leader()
            self._jobs.new_leader()

    # -- nodes ---------------------------------------------------------------------------------------

    def join(
        self,
        name: str,
        role: str = "worker",
        labels: Mapping[str, str] | None = None,
        cpus: float = 64.0,
        memory: int = 256 * GIB,
    ) -> NodeView:
        """A new node."""
        with self._asked(as_manager=False):
            if any(n.view.name == name for n in self._cluster.nodes.values()):
                raise ValueError(f"there is a node {name!r} already")
            return self._members.join(name, role, labels or {}, self._version, cpus, memory)

    def leave(self, name: str) -> None:
        """``docker node rm --force``."""
        with self._asked(as_manager=False):
            self._members.leave(self._node(name))

    def node_down(self, name: str) -> None:
        """The managers see the node down. Its containers go on, and nothing is heard of them."""
        self._change_node(name, state="down")

    def node_up(self, name: str) -> None:
        """The node is ready again."""
        self._change_node(name, state="ready")

    def drain(self, name: str) -> None:
        self._change_node(name, availability="drain")

    def pause(self, name: str) -> None:
        self._change_node(name, availability="pause")

    def activate(self, name: str) -> None:
        self._change_node(name, availability="active")

    def label_node(self, name: str, **labels: str) -> None:
        """Set labels; an empty value takes one away."""
        kept = {**self._node(name).view.labels, **labels}
        self._change_node(name, labels={k: v for k, v in kept.items() if v})

    def _change_node(self, name: str, **changes: object) -> None:
        with self._asked(as_manager=False):
            node = self._node(name)
            self._members.change(node, replace(node.view, **changes))  # type: ignore[arg-type]

    # -- within --------------------------------------------------------------------------------------

    def _asked(self, as_manager: bool = True) -> _Call:
        if as_manager and self.cut_off:
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

    def _wanted(self, service_ids: Sequence[str]) -> Iterator[Service]:
        for service_id in service_ids:
            service = self._find(service_id)
            if service is None:
                raise RetryLater(f"the engine refuses to answer: service {service_id} not found", delay=0.2)
            yield service


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
