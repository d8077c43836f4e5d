"""The routes that look: thin, because ``nodewise.answers`` has the answers."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from nodewise.answers import asked, deliveries, previews, records, rollout_schemas, schemas, services
from nodewise.bootstrap import Deps
from nodewise.web.shapes import answer, documented
from nodewise.web.stream import END, Streams

_TEXT: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
_EVENTS: dict[str, Any] = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}

_BUILD_STREAM = """\
`event: log` has a number as its id, and a piece of the log as data: `{"text": "..."}`. `event: build` has the build as
data, as `/builds/<id>` answers it: at once, and whenever it changes. It is the last event of a build that has ended,
after all of its log; the id of that one is `end`. `Last-Event-ID` (or `after`) goes on from where a stream broke off;
after `end` the answer is 204, and a browser's EventSource asks no more. Too many open streams: 503."""


def add_services(api: APIBlueprint, deps: Deps) -> None:
    """Services, their releases and plans, nodes."""

    @api.get("/services", summary="Every service of the swarm", responses=documented(200, schemas.Services, 503))
    def list_services() -> Response:
        return answer(services.services(deps))

    @api.get(
        "/services/<name>",
        summary="One service, with its tasks by node",
        responses=documented(200, schemas.ServiceDetail, 404, 503),
    )
    def get_service(path: asked.ServiceName) -> Response:
        return answer(services.service(deps, path.name))

    @api.get("/services/<name>/releases", summary="What a service has run", responses=documented(200, schemas.Releases))
    def list_releases(path: asked.ServiceName, query: asked.Page) -> Response:
        return answer(records.releases(deps, path.name, query.limit))

    @api.post(
        "/services/<name>/plan",
        summary="What a deploy of an image would do now; does nothing of it",
        responses=documented(200, previews.Planned, 400, 404, 503),
    )
    def plan(path: asked.ServiceName, body: asked.Deploy) -> Response:
        return answer(previews.preview(deps, path.name, body.image))

    @api.get("/nodes", summary="Every node of the swarm", responses=documented(200, schemas.Nodes, 503))
    def list_nodes() -> Response:
        return answer(records.nodes(deps))


def add_rollouts(api: APIBlueprint, deps: Deps, streams: Streams) -> None:
    """Rollouts, as they are and as they go on."""

    @api.get("/rollouts", summary="Rollouts, newest first", responses=documented(200, schemas.Rollouts))
    def list_rollouts(query: asked.RolloutsPage) -> Response:
        return answer(records.rollouts(deps, query.service, query.limit, query.active))

    @api.get(
        "/rollouts/<id>",
        summary="One rollout: steps, gates, readings, reason, evidence",
        responses=documented(200, rollout_schemas.RolloutDetail, 404),
    )
    def get_rollout(path: asked.Id) -> Response:
        return answer(records.one_rollout(deps, path.id))

    @api.get(
        "/rollouts/<id>/stream",
        summary="The rollout at every change, as server-sent events, until it has ended",
        responses=documented(200, _EVENTS, 404, 503),
    )
    def stream_rollout(path: asked.Id) -> Response:
        return streams.rollout(path.id)


def add_deliveries(api: APIBlueprint, deps: Deps) -> None:
    """Deliveries, and what came of them."""

    @api.get("/deliveries", summary="Deliveries, newest first", responses=documented(200, schemas.Deliveries))
    def list_deliveries(query: asked.DeliveriesPage) -> Response:
        return answer(deliveries.deliveries(deps, **dict(query)))

    @api.get(
        "/deliveries/<id>",
        summary="One delivery, and what its events led to",
        responses=documented(200, schemas.DeliveryDetail, 404),
    )
    def get_delivery(path: asked.Id) -> Response:
        return answer(deliveries.one_delivery(deps, path.id))


def add_builds(api: APIBlueprint, deps: Deps, streams: Streams) -> None:
    """Builds, as they are and as they go on."""

    @api.get("/builds", summary="Builds, newest first", responses=documented(200, schemas.Builds))
    def list_builds(query: asked.Page) -> Response:
        return answer(records.builds(deps, query.limit))

    @api.get("/builds/<id>", summary="One build", responses=documented(200, schemas.Build, 404))
    def get_build(path: asked.Id) -> Response:
        return answer(records.one_build(deps, path.id))

    @api.get(
        "/builds/<id>/log",
        summary="What a build printed; the header Nodewise-Log-Next says where to go on",
        responses=documented(200, _TEXT, 404),
    )
    def get_build_log(path: asked.Id, query: asked.LogPage) -> Response:
        text, last = records.build_log(deps, path.id, query.after)
        headers = {"Nodewise-Log-Next": str(last)}
        return Response(text, headers=headers, content_type="text/plain; charset=utf-8")

    @api.get(
        "/builds/<id>/stream",
        summary="The build's log as it is printed, and the build at every change, as server-sent events",
        description=_BUILD_STREAM,
        responses=documented(200, _EVENTS, 404, 503),
    )
    def stream_build(path: asked.Id, query: asked.LogPage, header: asked.LastEvent) -> Response:
        if header.last_event_id == END:
            return Response(status=204)
        return streams.build(path.id, int(header.last_event_id or query.after))
