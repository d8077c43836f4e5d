"""watch: put on record what someone else has made of a service, outside any rollout. Touches nothing in the swarm.

The service is read before the store: a rollout that takes it in between is seen there, and what it has written by
then is not taken for somebody else's hand.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from nodewise.bootstrap import Deps
from nodewise.config.labels import read_labels
from nodewise.domain import drift
from nodewise.domain.errors import RetryLater
from nodewise.domain.ids import new_id
from nodewise.domain.model import Rollout, Seen
from nodewise.domain.release import ReleaseState, fingerprint
from nodewise.domain.swarm import ServiceView
from tasks import planning
from tasks.outcome import DONE, Outcome

AGAIN = 5.0  # seconds
LEASE_SECONDS = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """Names of services: of which there is a release, and which a rollout holds. Asked once for any number of them."""

    on_record: Collection[str]
    held: Collection[str]

    @classmethod
    def by(cls, deps: Deps) -> Known:
        return cls(deps.store.services_on_record(), deps.store.held_services())


def watch(deps: Deps, subject: str) -> Outcome:
    """Look at the service with the id *subject*, or at all where it is empty. Carried out twice, it says it once.

    A release that does not run yet is looked at again soon: it is good to go back to once it does. Raises RetryLater
    where someone else is about to say something of the same service.
    """
    one = deps.engine.service(subject) if subject else None
    services = deps.engine.services() if not subject else [one] if one else []
    known = Known.by(deps)
    found = [_note(deps, service.id) for service in services if _find(deps, service, known)]
    starting = any(n is not None and n.new and n.release.state is ReleaseState.NEW for n in found)
    return Outcome(again_at=deps.clock.now() + AGAIN) if starting else DONE


def _note(deps: Deps, service_id: str) -> drift.News | None:
    """Look once more, alone, and keep what is found: a list of all is old by the time its end is come to."""
    lease, holder = f"drift {service_id}", new_id("w", deps.clock.now(), deps.chance)
    if not deps.store.take_lease(lease, holder, LEASE_SECONDS, deps.clock.now()):
        raise RetryLater(f"the service {service_id} is being looked at already")
    try:
        service = deps.engine.service(service_id)
        found = _find(deps, service, Known.by(deps)) if service is not None else None
        if found is not None:
            _keep(deps, found)
        return found
    finally:
        deps.store.drop_lease(lease, holder)


def _find(deps: Deps, service: ServiceView, known: Known) -> drift.News | None:
    if service.helper or service.name in known.held:
        return None
    if not (service.name in known.on_record or _tracked(deps, service)):
        return None
    last = deps.store.last_written(service.name)
    if last is not None and (last.phase.active or drift.as_left(last, service)):
        return None
    return _compare(deps, service, last)


def _tracked(deps: Deps, service: ServiceView) -> bool:
    return read_labels(service.labels, deps.settings.label_defaults).track is not None


def _compare(deps: Deps, service: ServiceView, last: Rollout | None) -> drift.News | None:
    store = deps.store
    spec = planning.user_spec(deps, service.spec, service.mark)
    # The number before the spec: of this and a plan at the same time, one finds the spec, or the number taken.
    number = store.next_release_number(service.name)
    same = store.release_by_fingerprint(service.name, fingerprint(spec))
    told = next(iter(store.audit(1, service.name, drift.AUDIT)), None)
    runs = (same is None or drift.unproven(same)) and _runs(deps, service)
    return drift.news(service, spec, drift.Record(number, same, last, told), runs, deps.clock.now())


def _runs(deps: Deps, service: ServiceView) -> bool:
    """One that is removed in this moment does not run; nor does it keep the others waiting."""
    try:
        tasks = tuple(deps.engine.tasks([service.id]))
    except RetryLater:
        return False
    return drift.runs_as_asked(service, Seen(service, tasks))


def _keep(deps: Deps, news: drift.News) -> None:
    """In one transaction. Raises LostRace when the number is taken by now."""
    release = news.release
    deps.store.save_rollouts(
        (),
        deps.clock.now(),
        releases=[release] if news.new else [],
        release_states=[(release.service, release.number, ReleaseState.GOOD)] if news.proven else [],
        audit=[news.audit] if news.audit else [],
    )
    if news.audit:
        log.warning("drift", service=release.service, release=release.number, found=news.audit.detail)
