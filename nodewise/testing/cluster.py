"""What the managers know, and who is told when it changes. Decides nothing.

Those who react (scheduler, agents, orchestrator) put themselves on a list; they are told at the same virtual
time, but never in the middle of somebody else's act.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from nodewise.testing.app import Registry
from nodewise.testing.published import PublishedPorts
from nodewise.testing.records import Node, Service, Status, Task, TaskState
from nodewise.testing.revision import Revision
from nodewise.testing.streams import Streams
from nodewise.testing.timeline import Timeline

Listener = Callable[[Task], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take that no App decides, in seconds, as measured on 20.10 with idle nodes."""

    react: float = 0.005  # from a write to the orchestrator
    schedule: float = 0.05  # scheduler: debounce of its commits
    dispatch: float = 0.15  # from a manager to a node's agent
    check: float = 0.1  # asking the registry for an image that is there already, making the container
    launch: float = 0.1  # from a container that is ready to its start
    boot: float = 0.3  # from there to its process
    gossip: float = 2.0  # out of the load balancing before the stop signal (moby, controller.go)
    reap: float = 0.25  # task history is cleaned up in batches


@dataclass(slots=True)
class Ears:
    """Who is told of what."""

    created: list[Listener] = field(default_factory=list)
    desired: list[Listener] = field(default_factory=list)
    ended: list[Listener] = field(default_factory=list)
    removed: list[Listener] = field(default_factory=list)
    service: list[Callable[[Service], None]] = field(default_factory=list)
    node: list[Callable[[Node], None]] = field(default_factory=list)


class Cluster:
    """The managers' store."""

    def __init__(self, timeline: Timeline, rng: random.Random, registry: Registry, pace: Pace) -> None:
        self.timeline = timeline
        self.rng = rng
        self.registry = registry
        self.pace = pace
        self.ears = Ears()
        self.streams = Streams()
        self.ports = PublishedPorts()
        self.services: dict[str, Service] = {}
        self.names: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}
        self.nodes: dict[str, Node] = {}
        self.index = 10
        self.node_changes = 0
        self.history = 5  # tasks kept per slot: the swarm's default
        self._made = 0

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(100):025x}"

    # -- services ------------------------------------------------------------------------------------

    def add_service(self, revision: Revision) -> Service:
        self.index += 1
        service = Service(self.new_id(), revision, self.index)
        if revision.job:
            service.iteration = 0
        self.services[service.id] = self.names[service.name] = service
        self.ports.written(service.id, None, revision)
        self.streams.tell(self.timeline.now, "service", "create", service.id, {"name": service.name})
        self._tell_service(service)
        return service

    def wrote(self, service: Service, was: Revision, status_was: Status | None) -> None:
        """After every change to a service: a new version, an event, and whoever reacts."""
        self.index += 1
        service.version = self.index
        service.view = service.all_views = None
        if was is not service.revision:
            self.ports.written(service.id, was, service.revision)
        attributes = {"name": service.name, **_changes(service, was, status_was)}
        self.streams.tell(self.timeline.now, "service", "update", service.id, attributes)
        self._tell_service(service)

    def set_status(self, service: Service, state: str, message: str) -> None:
        """What the updater itself writes: that bumps the version too."""
        was, service.status = service.status, Status(state, message)
        self.wrote(service, service.revision, was)

    def drop_service(self, service: Service) -> None:
        service.gone = True
        del self.services[service.id], self.names[service.name]
        self.ports.written(service.id, service.revision, None)
        self.index += 1
        self.streams.tell(self.timeline.now, "service", "remove", service.id, {"name": service.name})
        self._tell_service(service)

    def _tell_service(self, service: Service) -> None:
        for told in self.ears.service:
            self.timeline.soon(told, service)

    # -- tasks ---------------------------------------------------------------------------------------

    def add_task(self, service: Service, revision: Revision, slot: int, node: Node | None, desired: TaskState) -> Task:
        now = self.timeline.now
        self._made += 1
        task = Task(self.new_id(), self._made, service, slot, node, revision, now, desired=desired, at=now)
        task.preassigned = node is not None
        task.iteration = service.iteration
        self.tasks[task.id] = task
        if node is not None:
            node.tasks[task.id] = task
        service.places.setdefault(task.place, []).append(task)
        _forget_views(task)
        for told in self.ears.created:
            self.timeline.soon(told, task)
        return task

    def observe(self, task: Task, state: TaskState, error: str = "", exit_code: int | None = None) -> None:
        """A task's observed state moves on. It never moves back, and nothing follows the end."""
        if task.has_ended or state < task.state or (state == task.state and error == task.error):
            return
        task.state = state
        self.annotate(task, error)
        task.exit_code = exit_code
        if state >= TaskState.RUNNING and task.on_up:
            self._fire(task.on_up)
        if state > TaskState.RUNNING:
            if task.on_end:
                self._fire(task.on_end)
            for told in self.ears.ended:
                self.timeline.soon(told, task)

    def annotate(self, task: Task, error: str) -> None:
        """Say why a task is where it is, without moving it."""
        task.error = error
        task.at = self.timeline.now
        _forget_views(task)

    def desire(self, task: Task, desired: TaskState) -> None:
        """What is wanted of a task moves on; never back."""
        if desired <= task.desired:
            return
        task.desired = desired
        _forget_views(task)
        for told in self.ears.desired:
            self.timeline.soon(told, task)

    def remove_task(self, task: Task) -> None:
        """Off the record."""
        if self.tasks.pop(task.id, None) is None:
            return
        task.off_record = True
        here = task.service.places[task.place]
        here.remove(task)
        if not here:
            del task.service.places[task.place]
        _forget_views(task)
        for told in self.ears.removed:
            self.timeline.soon(told, task)

    def release_waiting(self, task: Task) -> None:
        """Whoever waits for the task's end need not any more: its node is gone."""
        self._fire(task.on_end)

    def _fire(self, acts: list[Callable[..., None]]) -> None:
        for act in acts:
            self.timeline.soon(act)
        acts.clear()


def _forget_views(task: Task) -> None:
    task.view = task.fresh_view = task.service.live_views = task.service.all_views = None


def _changes(service: Service, was: Revision, status_was: Status | None) -> dict[str, str]:
    """What an update event tells (moby, daemon/events.go)."""
    told: dict[str, str] = {}
    now = service.revision
    if now.image != was.image:
        told |= {"image.old": was.image, "image.new": now.image}
    if now.replicas != was.replicas:
        told |= {"replicas.old": str(was.replicas), "replicas.new": str(now.replicas)}
    if service.status is not None and (status_was is None or status_was.state != service.status.state):
        if status_was is not None:
            told["updatestate.old"] = status_was.state
        told["updatestate.new"] = service.status.state
    return told
