"""The routes that act. They ask intake and control, and answer before the work is done: 202, and where to look."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from nodewise import control, intake
from nodewise.answers import asked, rollout_schemas, schemas
from nodewise.answers.rollouts import rollout
from nodewise.bootstrap import Deps
from nodewise.domain.rollout import Rollout
from nodewise.web.auth import needs, who
from nodewise.web.shapes import answer, documented

_ROLLOUT = documented(202, rollout_schemas.Rollout, 404, 409, 503)


def add_acts(api: APIBlueprint, deps: Deps) -> None:
    """What a person may do."""
    _add_requests(api, deps)
    _add_controls(api, deps)
    _add_locks(api, deps)


def _add_requests(api: APIBlueprint, deps: Deps) -> None:
    """deploy, rollback, replay."""

    @api.post(
        "/services/<name>/deploy",
        summary="Move a service to an image",
        responses=documented(202, rollout_schemas.Rollout, 400, 404, 503),
    )
    @needs("deploy")
    def deploy(path: asked.ServiceName, body: asked.Deploy) -> Response:
        return _accepted(intake.deploy(deps, path.name, body.image, who()))

    @api.post(
        "/services/<name>/rollback",
        summary="Take a service back to an earlier release; needs neither the swarm nor a registry to be accepted",
        responses=documented(202, rollout_schemas.Rollout, 400, 404, 503),
    )
    @needs("deploy")
    def rollback(path: asked.ServiceName, body: asked.Rollback) -> Response:
        return _accepted(intake.rollback(deps, path.name, body.to, who()))

    @api.post(
        "/deliveries/<id>/replay",
        summary="Handle a delivery's events once more",
        responses=documented(202, schemas.Replayed, 404, 409, 503),
    )
    @needs("deploy")
    def replay(path: asked.Id) -> Response:
        events = intake.replay(deps, path.id, who())
        return answer(schemas.Replayed(delivery=path.id, events=events), 202, Location=f"/api/v1/deliveries/{path.id}")


def _add_controls(api: APIBlueprint, deps: Deps) -> None:
    """pause, resume, abort, approve: 409 with the reason where the rollout is not at the right point for it."""

    @api.post("/rollouts/<id>/pause", summary="Begin nothing new until it is resumed", responses=_ROLLOUT)
    @needs("deploy")
    def pause(path: asked.Id) -> Response:
        return _accepted(control.pause(deps, path.id, who()))

    @api.post("/rollouts/<id>/resume", summary="Go on; gates that had failed are asked anew", responses=_ROLLOUT)
    @needs("deploy")
    def resume(path: asked.Id) -> Response:
        return _accepted(control.resume(deps, path.id, who()))

    @api.post("/rollouts/<id>/abort", summary="End it; what it has moved is taken back", responses=_ROLLOUT)
    @needs("deploy")
    def abort(path: asked.Id) -> Response:
        return _accepted(control.abort(deps, path.id, who()))

    @api.post("/rollouts/<id>/approve", summary="Say yes to what the rollout waits for", responses=_ROLLOUT)
    @needs("approve")
    def approve(path: asked.Id, body: asked.Approve) -> Response:
        return _accepted(control.approve(deps, path.id, who(), body.digest))


def _add_locks(api: APIBlueprint, deps: Deps) -> None:
    """lock, unlock: at once, so 200."""

    @api.put(
        "/services/<name>/lock",
        summary="Roll nothing out to the service until it is unlocked; the first reason stands",
        responses=documented(200, schemas.Lock, 404, 503),
    )
    @needs("deploy")
    def lock(path: asked.ServiceName, body: asked.Lock) -> Response:
        return answer(schemas.Lock.model_validate(control.lock(deps, path.name, body.reason, who())))

    @api.delete(
        "/services/<name>/lock",
        summary="Take all locks of the service away, those of single digests too",
        responses=documented(200, schemas.Unlocked, 404, 503),
    )
    @needs("deploy")
    def unlock(path: asked.ServiceName) -> Response:
        return answer(schemas.Unlocked(service=path.name, locks=control.unlock(deps, path.name, who())))


def _accepted(value: Rollout) -> Response:
    return answer(rollout(value), 202, Location=f"/api/v1/rollouts/{value.id}")
