"""The simulated swarm: ``nodewise.ports.Engine`` and ``ReadGate`` in virtual time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodewise.domain.images import ImageName
from nodewise.domain.steps import GatePlan, Place, Reading
from nodewise.domain.swarm import NodeView, ResolvedImage, ServiceView, Spec, TaskView
from nodewise.testing import gate
from nodewise.testing.hands import Hands
from nodewise.testing.records import Service
from nodewise.testing.streams import Stream
from nodewise.testing.views import all_views, live_views, service_view


class SimulatedSwarm(Hands):
    """A swarm of *nodes* (a number, or names) whose time is *clock*'s.

    The first node, or the first three of more than three, are managers. *seed* fixes everything that is random.
    ``cut_off``: no manager answers. ``registry.away``: no registry does. ``registry_auth``: a registry's
    credentials, which go along with a write that names its image. Safe to use from several threads.
    """

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

    def _wanted(self, service_ids: Sequence[str]) -> Iterator[Service]:
        for service_id in service_ids:
            service = self._find(service_id)
            if service is not None:
                yield service
