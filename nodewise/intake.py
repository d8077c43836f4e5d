"""The only way in: webhooks, the API, the page and the command line all end up here.

Everything is one transaction, and the queue is told only after the commit. A queue that does not answer
loses nothing: the sweep publishes what stands in the outbox.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.delivery import NewDelivery
from nodewise.domain.errors import NotFound, RetryLater, UserError
from nodewise.domain.ids import new_id
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job
from nodewise.domain.rollout import Kind, Phase, Rollout
from nodewise.domain.swarm import ServiceView
from nodewise.store import Accepted

CROWD = 2  # others that come at the same time

log = structlog.get_logger(__name__)


def publish(deps: Deps, jobs: Iterable[Job], delay: float = 0.0) -> None:
    """Tell the queue about committed jobs, to be run in *delay* seconds. Never fails: the outbox has them."""
    for job in jobs:
        try:
            deps.queue.publish(job, delay)
        except RetryLater as error:
            log.info("queue_not_told", job=job.verb.value, subject=job.subject, reason=error.what)
            return


def accept(deps: Deps, delivery: NewDelivery) -> Accepted:
    """Store a verified delivery and what it starts; a delivery seen before starts nothing.

    In a crowd the queue is not told: the sweep does so within seconds, and the senders are answered sooner.
    """
    accepted = deps.store.accept(delivery, deps.clock.now())
    if accepted.beside < CROWD:
        publish(deps, accepted.jobs)
    return accepted


def replay(deps: Deps, delivery_id: str, who: str) -> int:
    """Handle a stored delivery's events once more. Returns how many. Raises NotFound, Conflict."""
    jobs = deps.store.replay_delivery(delivery_id, deps.clock.now(), who)
    log.info("delivery_replayed", delivery=delivery_id, who=who, events=len(jobs))
    publish(deps, jobs)
    return len(jobs)


def deploy(deps: Deps, service: str, image: str, who: str) -> Rollout:
    """Ask for *service* to be moved to *image*; empty: to what its own tag is in the registry now.

    Raises UserError for a name that is no image, NotFound for a service that the swarm does not have.
    A swarm that does not answer now is no reason to refuse.
    """
    try:
        running = found_service(deps, service).image
    except RetryLater:
        running = ""
    if not (image or running):
        raise UserError(f"no image given for {service}, and the swarm cannot be asked now", "name the image", "image")
    name = wanted_image(image, running)
    return _request(deps, service, Kind.DEPLOY, who, image=str(name))


def rollback(deps: Deps, service: str, to: int | None, who: str) -> Rollout:
    """Ask for *service* to be taken back: to release *to*, or to the good one before the present one.

    Needs nothing but the store. Asking twice for the same is asking once. Raises NotFound for a service
    or a release that Nodewise has no record of.
    """
    releases = deps.store.releases(service, limit=1000)
    if not releases:
        raise NotFound(f"no release of {service!r} is on record", "see 'nodewise status' for the services", "service")
    numbers = sorted(r.number for r in releases)
    if to is not None and to not in numbers:
        there = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
        raise NotFound(f"{service} has no release {to}", f"there are: {there}", "to")
    for rollout in deps.store.rollouts(service, active=True):
        if rollout.kind is Kind.ROLLBACK and rollout.requested == to:
            return rollout
    return _request(deps, service, Kind.ROLLBACK, who, to=to)


def _request(deps: Deps, service: str, kind: Kind, who: str, image: str = "", to: int | None = None) -> Rollout:
    now = deps.clock.now()
    rollout = Rollout(
        id=new_id("r", now, deps.chance),
        service=service,
        kind=kind,
        phase=Phase.PENDING,
        origin=who,
        created_at=now,
        image=image,
        requested=to,
    )
    jobs = deps.store.add_rollout(rollout, now, who)
    publish(deps, jobs)
    return rollout


def found_service(deps: Deps, name: str) -> ServiceView:
    """The user's service of that very name. Raises NotFound, for a helper service and for an id as well; RetryLater."""
    found = deps.engine.service(name)
    if found is not None and found.name == name and not found.helper:
        return found
    near = _nearest(name, [s.name for s in deps.engine.services() if not s.helper])
    raise NotFound(f"the swarm has no service {name!r}", f"did you mean {near!r}?" if near else "", "service")


def wanted_image(image: str, running: str) -> ImageName:
    """What a deploy of *image* is a deploy of; empty: the tag of the *running* one. Raises UserError."""
    if image:
        return ImageName.parse(image)
    name = ImageName.parse(running)
    return name.with_tag(name.tag or "latest")


def _nearest(word: str, words: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)), "")
