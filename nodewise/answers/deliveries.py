"""Deliveries as they are answered: with their events, and with what became of what these have started."""

from __future__ import annotations

from collections.abc import Sequence

from nodewise.answers import schemas
from nodewise.bootstrap import Deps
from nodewise.domain.delivery import Delivery, StoredEvent, Verdict
from nodewise.domain.errors import NotFound
from nodewise.domain.events import kind_of, to_dict
from nodewise.domain.fates import DeliveryState, Fate, Thing, state_of
from nodewise.domain.urls import without_login


def deliveries(
    deps: Deps,
    limit: int = 50,
    before: str | None = None,
    provider: str | None = None,
    hook: str | None = None,
    verdict: Verdict | None = None,
    state: DeliveryState | None = None,
) -> schemas.Deliveries:
    """Deliveries, newest first, of one provider, hook, verdict or state where given; and what was turned away there."""
    found = deps.store.deliveries(limit, before, provider, hook, verdict, state)
    ids = [d.id for d in found]
    outcomes, fates = deps.store.outcomes(ids), deps.store.fates(ids)
    rejected = [r for r in deps.store.rejected() if provider in (None, r.provider) and hook in (None, r.hook)]
    return schemas.Deliveries(
        deliveries=[_delivery(d, outcomes.get(d.id, []), fates.get(d.id, [])) for d in found],
        rejected=[schemas.Rejected.model_validate(r) for r in rejected],
    )


def one_delivery(deps: Deps, delivery_id: str) -> schemas.DeliveryDetail:
    """One delivery with its events and what they led to, errors in full. Raises NotFound."""
    found = deps.store.delivery(delivery_id)
    if found is None:
        raise NotFound(f"there is no delivery {delivery_id!r}", "see 'nodewise deliveries'", "id")
    events = [_event(e) for e in deps.store.delivery_events(delivery_id)]
    fates = deps.store.fates([delivery_id]).get(delivery_id, [])
    plain = _delivery(found, [e.outcome for e in events], fates, in_full=True)
    return schemas.DeliveryDetail(**dict(plain), events=events)


def _delivery(
    found: Delivery, outcomes: Sequence[str], fates: Sequence[Fate], in_full: bool = False
) -> schemas.Delivery:
    more = {
        "state": state_of(fates),
        "outcomes": list(outcomes),
        "builds": [_build(f, in_full) for f in fates if f.thing is Thing.BUILD],
        "rollouts": [_rollout(f, in_full) for f in fates if f.thing is Thing.ROLLOUT],
    }
    return schemas.Delivery.model_validate(found).model_copy(update=more)


def _build(fate: Fate, in_full: bool) -> schemas.StartedBuild:
    return schemas.StartedBuild.model_validate(
        {"id": fate.id, "name": fate.name, "state": fate.state, "error": _reason(fate, in_full)}
    )


def _rollout(fate: Fate, in_full: bool) -> schemas.StartedRollout:
    return schemas.StartedRollout.model_validate(
        {"id": fate.id, "service": fate.name, "phase": fate.state, "reason": _reason(fate, in_full)}
    )


def _reason(fate: Fate, in_full: bool) -> str:
    return fate.reason if in_full else next((line for line in fate.reason.splitlines() if line.strip()), "")


def _event(stored: StoredEvent) -> schemas.Event:
    return schemas.Event(
        id=stored.id,
        kind=kind_of(stored.event),
        data={k: without_login(v) if isinstance(v, str) else v for k, v in to_dict(stored.event).items()},
        origin=stored.origin,
        created_at=stored.created_at,
        done_at=stored.done_at,
        outcome=stored.outcome,
    )
