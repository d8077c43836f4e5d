"""``--local``: the same questions as the API's, put to the store and the swarm themselves."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from nodewise import control, intake
from nodewise.answers import deliveries, previews, records, schemas, services
from nodewise.answers.following import follow, follow_build
from nodewise.answers.rollouts import rollout
from nodewise.bootstrap import Deps
from nodewise.client import Json
from nodewise.domain.delivery import Verdict
from nodewise.domain.fates import DeliveryState


class LocalClient:
    """``nodewise.client.Nodewise`` without a web process in between."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def services(self) -> list[Json]:
        return _list(services.services(self._deps).services)

    def service(self, name: str) -> Json:
        return _json(services.service(self._deps, name))

    def releases(self, service: str, limit: int) -> list[Json]:
        return _list(records.releases(self._deps, service, limit).releases)

    def rollouts(self, service: str | None, limit: int) -> list[Json]:
        return _list(records.rollouts(self._deps, service, limit).rollouts)

    def rollout(self, rollout_id: str) -> Json:
        return _json(records.one_rollout(self._deps, rollout_id))

    def follow(self, rollout_id: str) -> Iterator[Json | None]:
        return (None if state is None else _json(state) for state in follow(self._deps, rollout_id))

    def deliveries(self, limit: int, provider: str = "", hook: str = "", verdict: str = "", state: str = "") -> Json:
        worth, stands = Verdict(verdict) if verdict else None, DeliveryState(state) if state else None
        found = deliveries.deliveries(self._deps, limit, None, provider or None, hook or None, worth, stands)
        return _json(found)

    def delivery(self, delivery_id: str) -> Json:
        return _json(deliveries.one_delivery(self._deps, delivery_id))

    def builds(self, limit: int) -> list[Json]:
        return _list(records.builds(self._deps, limit).builds)

    def build(self, build_id: str) -> Json:
        return _json(records.one_build(self._deps, build_id))

    def build_log(self, build_id: str, after: int) -> tuple[str, int]:
        return records.build_log(self._deps, build_id, after)

    def follow_build(self, build_id: str) -> Iterator[Json | None]:
        return (None if news is None else _news(news) for news in follow_build(self._deps, build_id))

    def nodes(self) -> list[Json]:
        return _list(records.nodes(self._deps).nodes)

    def deploy(self, service: str, image: str) -> Json:
        return _json(rollout(intake.deploy(self._deps, service, image, whoami())))

    def rollback(self, service: str, to: int | None) -> Json:
        return _json(rollout(intake.rollback(self._deps, service, to, whoami())))

    def replay(self, delivery_id: str) -> Json:
        return {"delivery": delivery_id, "events": intake.replay(self._deps, delivery_id, whoami())}

    def plan(self, service: str, image: str) -> Json:
        return _json(previews.preview(self._deps, service, image))

    def pause(self, rollout_id: str) -> Json:
        return _json(rollout(control.pause(self._deps, rollout_id, whoami())))

    def resume(self, rollout_id: str) -> Json:
        return _json(rollout(control.resume(self._deps, rollout_id, whoami())))

    def abort(self, rollout_id: str) -> Json:
        return _json(rollout(control.abort(self._deps, rollout_id, whoami())))

    def approve(self, rollout_id: str, digest: str) -> Json:
        return _json(rollout(control.approve(self._deps, rollout_id, whoami(), digest)))

    def lock(self, service: str, reason: str) -> Json:
        return _json(schemas.Lock.model_validate(control.lock(self._deps, service, reason, whoami())))

    def unlock(self, service: str) -> Json:
        return _json(schemas.Unlocked(service=service, locks=control.unlock(self._deps, service, whoami())))


def whoami() -> str:
    """The person at this machine, as it stands in the audit."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):
        return "local"


def _news(news: schemas.Build | schemas.LogPiece) -> Json:
    if isinstance(news, schemas.LogPiece):
        return {"event": "log", **_json(news)}
    return {"event": "build", "build": _json(news)}


def _json(shape: BaseModel) -> Json:
    return shape.model_dump(mode="json")


def _list(shapes: Sequence[BaseModel]) -> list[Json]:
    return [_json(s) for s in shapes]
