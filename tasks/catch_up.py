"""catch-up: ask the registries for pushes that no webhook told of. Each becomes an event, and routing does the rest.

Webhooks get lost: most senders try a few times, some once, and some keep what is to be sent in memory alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import structlog

from nodewise.bootstrap import Deps
from nodewise.config.labels import read_labels
from nodewise.domain.catching_up import ORIGIN, Follower, candidate
from nodewise.domain.errors import NotFound, RetryLater, UserError
from nodewise.domain.events import ImagePushed
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job
from nodewise.domain.swarm import ServiceView
from tasks import routing
from tasks.outcome import Outcome

log = structlog.get_logger(__name__)


def catch_up(deps: Deps, _subject: str = "") -> Outcome:
    """Look once at every repository that a service follows. One that does not answer waits for the next look."""
    jobs: list[Job] = []
    for repository, followers in _by_repository(deps).items():
        try:
            events = dict.fromkeys(_missed(deps, followers))
        except (RetryLater, UserError) as error:
            log.warning("not_caught_up", repository=repository, reason=str(error))
            continue
        for event in events:
            log.info("caught_up", repository=repository, tag=event.tag, digest=event.digest)
            jobs += deps.store.add_event(event, ORIGIN, deps.clock.now())[1]
    return Outcome(tuple(jobs))


def _by_repository(deps: Deps) -> dict[str, list[Follower]]:
    found: dict[str, list[Follower]] = {}
    for service in routing.of_the_user(deps):
        follower = _follower(deps, service)
        if follower is not None:
            found.setdefault(follower.running.repository, []).append(follower)
    return found


def _follower(deps: Deps, service: ServiceView) -> Follower | None:
    """A service that follows tags, with what it has; None for one that does not, or cannot say how."""
    labels = read_labels(service.labels, deps.settings.label_defaults)
    if labels.track is None or labels.problems:
        return None
    try:
        running = ImageName.parse(service.image)
    except UserError:
        return None
    coming = routing.on_its_way(deps, service.name)
    present = ImageName.parse(coming[0].image) if coming else running
    return Follower(service.name, labels.track, running, present)


def _missed(deps: Deps, followers: list[Follower]) -> Iterator[ImagePushed]:
    """What the services of one repository have missed. Each question is put to the registry once for all of them."""
    image = followers[0].running

    @cache
    def tags() -> tuple[str, ...]:
        return tuple(deps.registry.tags(image))

    @cache
    def digest(tag: str) -> str:
        try:
            return deps.registry.digest(image.with_tag(tag))
        except NotFound:
            return ""

    for follower in followers:
        tag = candidate(follower, tags() if follower.policy.ordered else ())
        found = digest(tag) if tag else ""
        event = ImagePushed(image.repository, tag, found, missed=True)
        if found and not routing.not_missed(deps, follower.service, follower.running, follower.present, event):
            yield event
