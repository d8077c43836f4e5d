"""Services as they are answered: what the swarm runs, joined with labels, releases and rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodewise.answers import schemas
from nodewise.answers.rollouts import listed
from nodewise.bootstrap import Deps
from nodewise.config.labels import read_labels
from nodewise.domain.errors import NotFound, UserError
from nodewise.domain.helpers import CANDIDATE
from nodewise.domain.images import ImageName
from nodewise.domain.locks import Lock
from nodewise.domain.release import digest_of
from nodewise.domain.rollout import Rollout
from nodewise.domain.swarm import ROLLOUT_LABEL, NodeView, ServiceView, TaskView


def services(deps: Deps) -> schemas.Services:
    """Every service of the user's. Raises RetryLater when the swarm does not answer."""
    views = sorted(deps.engine.services(), key=lambda s: s.name)
    tasks = deps.engine.tasks([s.id for s in views]) if views else []
    latest = deps.store.latest_rollouts()
    locks = deps.store.locks()
    candidates = _candidates(deps, [s for s in views if s.helper], tasks)
    shapes = []
    for view in (s for s in views if not s.helper):
        own = [lock for lock in locks if lock.service == view.name]
        shape = _service(deps, view, _of(view, tasks), latest.get(view.name), own)
        shapes.append(shape.model_copy(update={"candidates": candidates.get(view.name, [])}))
    return schemas.Services(services=shapes)


def service(deps: Deps, name: str) -> schemas.ServiceDetail:
    """One service with its tasks by node. Raises NotFound, RetryLater."""
    view = deps.engine.service(name)
    if view is None or view.name != name or view.helper:
        raise NotFound(f"the swarm has no service {name!r}", "see 'nodewise status' for the services", "service")
    latest = next(iter(deps.store.rollouts(name, limit=1)), None)
    helpers = _helpers(deps, name)
    tasks = deps.engine.tasks([view.id, *(h.id for h in helpers)])
    nodes = {n.id: n for n in deps.engine.nodes()}
    plain = _service(deps, view, _of(view, tasks), latest, deps.store.locks(name))
    candidates = _candidates(deps, helpers, tasks).get(name, [])
    return schemas.ServiceDetail(**{**dict(plain), "candidates": candidates}, nodes=_by_node(_of(view, tasks), nodes))


def _helpers(deps: Deps, name: str) -> list[ServiceView]:
    """Helper services of the rollouts of *name* that may have some."""
    going = [r.id for r in deps.store.rollouts(name, active=True) if r.helpers]
    return [h for i in going for h in deps.engine.services(f"{ROLLOUT_LABEL}={i}") if h.helper]


def _candidates(
    deps: Deps, helpers: Iterable[ServiceView], tasks: Sequence[TaskView]
) -> dict[str, list[schemas.Candidate]]:
    """Candidates by the name of their service: the one that their rollout moves."""
    found: dict[str, list[schemas.Candidate]] = {}
    for view in helpers:
        purpose, _, node_id = view.helper.partition(".")
        rollout = deps.store.rollout(view.mark) if purpose == CANDIDATE else None
        if rollout is None:
            continue
        node = next((s.node for s in rollout.steps if s.node_id == node_id), node_id)
        shape = schemas.Candidate(
            id=view.id,
            name=view.name,
            node=node,
            rollout=rollout.id,
            image=view.image,
            tag=_tag(view.image),
            digest=digest_of(view.spec),
            replicas=_replicas(view, _of(view, tasks)),
        )
        found.setdefault(rollout.service, []).append(shape)
    return found


def _of(view: ServiceView, tasks: Iterable[TaskView]) -> list[TaskView]:
    return [t for t in tasks if t.service_id == view.id]


def _service(
    deps: Deps, view: ServiceView, tasks: Sequence[TaskView], latest: Rollout | None, locks: Iterable[Lock]
) -> schemas.Service:
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
        locks=[schemas.Lock.model_validate(lock) for lock in locks],
        candidates=[],
        rollout=listed(latest) if latest is not None else None,
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
