"""Checks for ``nodewise doctor``: settings, schema, the labels of services."""

from __future__ import annotations

from collections.abc import Iterator

from nodewise.answers.checks import Check, check_store
from nodewise.bootstrap import Deps
from nodewise.config.labels import read_labels
from nodewise.config.settings import Settings
from nodewise.domain.cleaning import is_clean_job
from nodewise.domain.errors import NodewiseError
from nodewise.domain.swarm import ServiceView


def check_settings(settings: Settings) -> Check:
    """They could be read, and something may come in by them."""
    detail = (
        f"data in {settings.data_dir}, {_count(len(settings.hooks), 'hook')}, {_count(len(settings.builds), 'build')}"
    )
    if not settings.hooks:
        return Check("settings", False, f"{detail}: no webhook is let in", "'nodewise hook add PROVIDER' begins one")
    return Check("settings", True, detail)


def check_schema(deps: Deps) -> Check:
    """The database answers, and its tables are there."""
    found = check_store(deps)
    if not found.ok:
        return found
    try:
        deps.store.outbox_size()
    except Exception:  # whatever the database says: its tables are not as they should be
        return Check("store", False, "the tables are not there", "start 'nodewise up' once")
    return found


def check_services(deps: Deps) -> Iterator[Check]:
    """What the swarm's services ask of Nodewise: their labels, and what was left behind."""
    try:
        everything = deps.engine.services()
    except NodewiseError:
        return
    services = [s for s in everything if not s.helper]
    labels = {s.name: read_labels(s.labels, deps.settings.label_defaults) for s in services}
    wrong = sorted(name for name, found in labels.items() if found.problems)
    tracked = [s for s in services if labels[s.name].track is not None]
    if wrong:
        yield Check("labels", False, f"misconfigured: {', '.join(wrong)}", "see 'nodewise status'")
    else:
        hint = "" if tracked else "set the label nodewise.track on those that should follow their image"
        yield Check("labels", True, f"{len(tracked)} of {_count(len(services), 'service')} follow their image", hint)
    yield from _check_helpers(deps, [s for s in everything if s.helper])


def followed_images(deps: Deps) -> list[str]:
    """The images of the services that follow theirs; none while the swarm cannot be asked."""
    try:
        services = [s for s in deps.engine.services() if not s.helper]
    except NodewiseError:
        return []
    return [s.image for s in services if read_labels(s.labels, deps.settings.label_defaults).track is not None]


def _check_helpers(deps: Deps, helpers: list[ServiceView]) -> Iterator[Check]:
    """Helper services are shown with their rollout. One whose rollout is over is shown nowhere else."""
    rollouts = {h.name: deps.store.rollout(h.mark) for h in helpers if not is_clean_job(h)}
    left = sorted(name for name, rollout in rollouts.items() if rollout is None or not rollout.phase.going)
    if left:
        yield Check("helpers", False, f"left behind: {', '.join(left)}", f"docker service rm {' '.join(left)}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
