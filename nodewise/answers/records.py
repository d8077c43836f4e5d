"""What the store has on record, and the swarm's nodes, as they are answered. Raises NotFound by name."""

from __future__ import annotations

from nodewise.answers import rollout_schemas, schemas
from nodewise.answers.rollouts import app_of, listed, release, rollout, rollout_detail
from nodewise.bootstrap import Deps
from nodewise.domain.build import Build
from nodewise.domain.errors import NotFound
from nodewise.domain.rollout import Rollout
from nodewise.domain.urls import without_login


def rollouts(deps: Deps, service: str | None = None, limit: int = 50, active: bool = False) -> schemas.Rollouts:
    """Rollouts, newest first."""
    return schemas.Rollouts(rollouts=[listed(r) for r in deps.store.rollouts(service, limit=limit, active=active)])


def one_rollout(deps: Deps, rollout_id: str) -> rollout_schemas.RolloutDetail:
    """One rollout with its readings."""
    found = deps.store.rollout(rollout_id)
    if found is None:
        raise NotFound(f"there is no rollout {rollout_id!r}", "see 'nodewise rollouts'", "id")
    return rollout_detail(found, deps.store.readings(rollout_id), _app(deps, found))


def as_watched(deps: Deps, value: Rollout) -> rollout_schemas.Rollout:
    """A rollout as it is followed: with how far the other services of its app are."""
    return rollout(value, _app(deps, value))


def _app(deps: Deps, value: Rollout) -> rollout_schemas.App | None:
    if not value.app_rollout:
        return None
    return app_of(value, deps.store.app_members(value.app_rollout), deps.settings.label_defaults)


def releases(deps: Deps, service: str, limit: int = 50) -> schemas.Releases:
    """Releases of one service, newest first. None on record is not an error."""
    return schemas.Releases(releases=[release(r) for r in deps.store.releases(service, limit=limit)])


def builds(deps: Deps, limit: int = 50) -> schemas.Builds:
    """Builds, newest first."""
    return schemas.Builds(builds=[build(b) for b in deps.store.builds(limit)])


def one_build(deps: Deps, build_id: str) -> schemas.Build:
    """One build."""
    found = deps.store.build(build_id)
    if found is None:
        raise NotFound(f"there is no build {build_id!r}", "see 'nodewise builds'", "id")
    return build(found)


def build(value: Build) -> schemas.Build:
    """A build as it is answered, without the login of its repository's address."""
    took = None if value.started_at is None or value.ended_at is None else value.ended_at - value.started_at
    more = {"repository": without_login(value.repository), "ended": value.state.terminal, "duration": took}
    return schemas.Build.model_validate(value).model_copy(update=more)


def build_log(deps: Deps, build_id: str, after: int = 0) -> tuple[str, int]:
    """The log that came after number *after*, and the number to go on from."""
    one_build(deps, build_id)
    lines = deps.store.build_log(build_id, after)
    return "".join(text for _, text in lines), lines[-1][0] if lines else after


def nodes(deps: Deps) -> schemas.Nodes:
    """Every node of the swarm. Raises RetryLater when the swarm does not answer."""
    views = sorted(deps.engine.nodes(), key=lambda n: (n.name, n.id))
    return schemas.Nodes(nodes=[schemas.Node.model_validate(n) for n in views])
