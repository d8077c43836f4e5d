"""The POST routes. They ask intake, and answer before the work is done: 202, and where to look."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from nodewise import intake
from nodewise.answers import schemas
from nodewise.answers.rollouts import rollout
from nodewise.bootstrap import Deps
from nodewise.domain.rollout import Rollout
from nodewise.web.auth import needs, who
from nodewise.web.shapes import answer, documented


def add_acts(api: APIBlueprint, deps: Deps) -> None:
    """deploy, rollback, replay."""

    @api.post(
        "/services/<name>/deploy",
        summary="Move a service to an image",
        responses=documented(202, schemas.Rollout, 400, 404, 503),
    )
    @needs("deploy")
    def deploy(path: schemas.ServiceName, body: schemas.Deploy) -> Response:
        return _accepted(intake.deploy(deps, path.name, body.image, who()))

    @api.post(
        "/services/<name>/rollback",
        summary="Take a service back to an earlier release; needs neither the swarm nor a registry to be accepted",
        responses=documented(202, schemas.Rollout, 400, 404, 503),
    )
    @needs("deploy")
    def rollback(path: schemas.ServiceName, body: schemas.Rollback) -> Response:
        return _accepted(intake.rollback(deps, path.name, body.to, who()))

    @api.post(
        "/deliveries/<id>/replay",
        summary="Handle a delivery's events once more",
        responses=documented(202, schemas.Replayed, 404, 503),
    )
    @needs("deploy")
    def replay(path: schemas.Id) -> Response:
        events = intake.replay(deps, path.id, who())
        return answer(schemas.Replayed(delivery=path.id, events=events), 202, Location=f"/api/v1/deliveries/{path.id}")


def _accepted(value: Rollout) -> Response:
    return answer(rollout(value), 202, Location=f"/api/v1/rollouts/{value.id}")
