"""A swarm that stands still: the engine port over given values. What would change it is refused, and fails the test.

For what only looks: previews, answers, plans. How a swarm moves is shown on the real one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodewise.bootstrap import Deps
from nodewise.domain.errors import NotFound
from nodewise.domain.images import ImageName
from nodewise.domain.swarm import NodeView, ResolvedImage, ServiceView, Spec, TaskView
from tests.integration.web_parts import open_deps, settings_in
from tests.product import free_port
from tests.unit.swarm_values import NEW, NODES, OLD

OnSwarm = Callable[..., Deps]

PLATFORMS = ({"Architecture": "amd64", "OS": "linux"},)
REGISTRY = {"reg:5000/web:1": OLD, "reg:5000/web:2": NEW}
_TAGS = {OLD: "1", NEW: "2"}


class StandingSwarm:
    """Services with their tasks, nodes, and what the registry says of each image."""

    def __init__(
        self,
        *services: ServiceView,
        nodes: Mapping[str, NodeView] = NODES,
        registry: Mapping[str, str] = REGISTRY,
    ) -> None:
        self._services = list(services)
        self._nodes = nodes
        self._registry = registry
        self.asked: list[tuple[Any, ...]] = []
        self.all_tasks: list[TaskView] = [t for s in services for t in tasks_of(s, nodes)]

    def put(self, *services: ServiceView) -> None:
        """More services, each with its tasks."""
        self._services += services
        self.all_tasks += [t for s in services for t in tasks_of(s, self._nodes)]

    def services(self, label: str = "") -> list[ServiceView]:
        name, _, value = label.partition("=")
        return [copy.deepcopy(s) for s in self._services if not label or s.labels.get(name) == value]

    def service(self, name_or_id: str) -> ServiceView | None:
        return next((s for s in self.services() if name_or_id in (s.id, s.name)), None)

    def nodes(self) -> list[NodeView]:
        return list(self._nodes.values())

    def tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        return [t for t in self.all_tasks if t.service_id in service_ids]

    live_tasks = tasks

    def resolve(self, image: ImageName) -> ResolvedImage:
        known = image.digest in self._registry.values()
        digest = image.digest if known else self._registry.get(str(image))
        if digest is None:
            raise NotFound(f"the registry has no {image}", "push it first", "image")
        return ResolvedImage(digest, PLATFORMS)

    def task_logs(self, task_id: str, lines: int) -> str:
        return f"{task_id} printed {lines}"

    def events(self) -> Iterator[Mapping[str, object]]:
        return iter(())

    def _noted(self, *what: Any) -> str:
        """It stands still: what is asked of it is noted, and changes nothing."""
        self.asked.append(what)
        return f"id-{len(self.asked)}"

    update_service = create_service = remove_service = _noted


def service(name: str = "web", digest: str = OLD, **changes: Any) -> ServiceView:
    """A service of three replicas of ``web``. *changes*: further keys of its spec; labels without ``nodewise.``,
    two underscores for a dot, as ``labels={...}``."""
    labels = {f"nodewise.{k.replace('__', '.')}": v for k, v in changes.pop("labels", {}).items()}
    spec: Spec = {
        "Name": name,
        "Labels": {**labels, **changes.pop("Labels", {})},
        "TaskTemplate": {"ContainerSpec": {"Image": f"reg:5000/web:{_TAGS[digest]}@{digest}"}},
        "Mode": {"Replicated": {"Replicas": 3}},
        **changes,
    }
    return ServiceView(f"id-{name}", name, 10, spec)


def helper(name: str, rollout_id: str, purpose: str, digest: str = NEW) -> ServiceView:
    """A service that a rollout made for itself."""
    return service(name, digest, labels={"rollout": rollout_id, "helper": purpose})


def tasks_of(view: ServiceView, nodes: Mapping[str, NodeView]) -> list[TaskView]:
    """One running task on each of the service's first nodes."""
    chosen = list(nodes)[: view.replicas or len(nodes)]
    return [
        TaskView(f"{view.id}-{n}", view.id, node, n, "running", "running", view.image, True)
        for n, node in enumerate(chosen, 1)
    ]


@contextmanager
def standing(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[OnSwarm]:
    """A maker of Deps on a store of their own and a swarm of the given services. *config*: nodewise.yaml."""
    opened: list[Deps] = []

    def make(*services: ServiceView, config: str = "", **env: str) -> Deps:
        file = folder / "nodewise.yaml"
        file.write_text(config)
        settings_in(folder, patch, free_port(), NODEWISE_CONFIG=str(file), **env)
        deps = replace(open_deps(), engine=StandingSwarm(*services))
        opened.append(deps)
        return deps

    yield make
    for deps in opened:
        deps.store.close()
