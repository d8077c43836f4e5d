"""Services as they are answered: what the swarm runs, joined with labels, releases and rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodewise.answers import schemas
from nodewise.answers.rollouts import rollout
from nodewise.bootstrap import Deps
from nodewise.config.labels import read_labels
from nodewise.domain.errors import NotFound, UserError
from nodewise.domain.images import ImageName
from nodewise.domain.release import digest_of
from nodewise.domain.rollout import Rollout
from nodewise.domain.swarm import NodeView, ServiceView, TaskView


def services(deps: Deps) -> schemas.Services:
    """Every service of the swarm. Raises RetryLater when the swarm does not answer."""
    views = sorted(deps.engine.services(), key=lambda s: s.name)
    tasks = deps.engine.tasks([s.id for s in views]) if views else []
    latest = deps.store.latest_rollouts()
    return schemas.Services(services=[_service(deps, s, _of(s, tasks), latest.get(s.name)) for s in views])


def service(deps: Deps, name: str) -> schemas.ServiceDetail:
    """One service with its tasks by node. Raises NotFound, RetryLater."""
    view = deps.engine.service(name)
    if view is None or view.name != name:
        raise NotFound(f"the swarm has no service {name!r}", "see 'nodewise status' for the services", "service")
    tasks = deps.engine.tasks([view.id])
    nodes = {n.id: n for n in deps.engine.nodes()}
    latest = next(iter(deps.store.rollouts(name, limit=1)), None)
    plain = _service(deps, view, tasks, latest)
    return schemas.ServiceDetail(**dict(plain), nodes=_by_node(tasks, nodes))


def _of(view: ServiceView, tasks: Iterable[TaskView]) -> list[TaskView]:
    return [t for t in tasks if t.service_id == view.id]


def _service(deps: Deps, view: ServiceView, tasks: Sequence[TaskView], latest: Rollout | None) -> schemas.Service:
    labels = read_labels(view.labels, deps.settings.label_defaults)
    digest = digest_of(view.spec)
    return schemas.Service(
        id=view.id,
        name=view.name,
        mode="global" if view.replicas is None else "replicated",
        image=view.image,
        tag=_tag(view.image),
        digest=digest,
        release=_release(deps, view.name, digest) if latest is not None else None,
        track=str(labels.track) if labels.track is not None else None,
        replicas=_replicas(view, tasks),
        update_state=view.update_state,
        problems=[schemas.Misconfigured.model_validate(p) for p in labels.problems],
        rollout=rollout(latest) if latest is not None else None,
    )


def _release(deps: Deps, name: str, digest: str) -> int | None:
    """The newest release of what runs now; None when something else runs than Nodewise has on record."""
    return next((r.number for r in deps.store.releases(name) if r.digest == digest), None)


def _replicas(view: ServiceView, tasks: Sequence[TaskView]) -> schemas.Replicas:
    wanted = {t.place for t in tasks if t.desired == "running"}
    running = {t.place for t in tasks if t.running}
    return schemas.Replicas(running=len(running), wanted=len(wanted) if view.replicas is None else view.replicas)


def _tag(image: str) -> str:
    try:
        return ImageName.parse(image).tag
    except UserError:
        return ""


def _by_node(tasks: Sequence[TaskView], nodes: Mapping[str, NodeView]) -> list[schemas.NodeTasks]:
    """Newest tasks first on each node; tasks that have no node yet come last."""
    shapes = []
    for node_id in {t.node_id for t in tasks}:
        here = sorted((t for t in tasks if t.node_id == node_id), key=lambda t: t.at, reverse=True)
        node = nodes.get(node_id)
        shapes.append(
            schemas.NodeTasks(
                node=node.name if node else node_id,
                node_id=node_id,
                state=node.state if node else "",
                tasks=[schemas.Task.model_validate(t) for t in here],
            )
        )
    return sorted(shapes, key=lambda n: (not n.node, n.node))
