"""What others do to a swarm: users with their own tools, machines that fail, leaders that change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

from nodewise.domain.swarm import NodeView, ServiceView, Spec
from nodewise.testing.app import App
from nodewise.testing.membership import CPUS, MEMORY
from nodewise.testing.parts import Parts
from nodewise.testing.views import service_view


class Hands(Parts):
    """Every hand but Nodewise's own. A name may be a service's or node's id as well."""

    # -- what others do ------------------------------------------------------------------------------

    def push(self, image: str, app: App = App()) -> str:  # noqa: B008 - frozen
        """``docker push``: *image* is *app* from now on. Its digest."""
        with self._asked(as_manager=False):
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
            spec = change(copy.deepcopy(service.revision.spec))
            self._control.update(service.id, service.version, spec, None)
            return service_view(service)

    def leader_changed(self) -> None:
        """Another manager leads: what the old one had only in memory is lost, and updaters begin again."""
        with self._asked():
            self._orchestrator.new_leader()
            self._jobs.new_leader()

    # -- nodes ---------------------------------------------------------------------------------------

    def join(
        self,
        name: str,
        role: str = "worker",
        labels: Mapping[str, str] | None = None,
        cpus: float = CPUS,
        memory: int = MEMORY,
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

    def prune(self, name: str) -> None:
        """``docker system prune --all`` on that node: images that no container there runs, or is about to, are gone."""
        with self._asked(as_manager=False):
            node = self._node(name)
            found = [self.registry.found(task.revision.image) for task in node.tasks.values()]
            used = {image[0] for image in found if image is not None}
            node.images = {key: done for key, done in node.images.items() if key in used}

    def label_node(self, name: str, **labels: str) -> None:
        """Set labels; an empty value takes one away."""
        kept = {**self._node(name).view.labels, **labels}
        self._change_node(name, labels={k: v for k, v in kept.items() if v})

    def _change_node(self, name: str, **changes: object) -> None:
        with self._asked(as_manager=False):
            node = self._node(name)
            self._members.change(node, replace(node.view, **changes))  # type: ignore[arg-type]
