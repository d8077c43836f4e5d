"""The API as a whole: its routes, its errors, its document.

Every route under /api/v1 asks for a token before anything else is looked at.
"""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from nodewise import __version__
from nodewise.answers.schemas import Problem
from nodewise.bootstrap import Deps
from nodewise.web import auth
from nodewise.web.acting import add_acts
from nodewise.web.errors import invalid, register_errors
from nodewise.web.health import add_health
from nodewise.web.metrics import add_metrics
from nodewise.web.reading import add_builds, add_deliveries, add_rollouts, add_services
from nodewise.web.shapes import read_body
from nodewise.web.stream import Streams

PREFIX = "/api/v1"
_DESCRIPTION = "Bearer token; scopes: read, deploy, approve, admin. See 'nodewise token create'."


def create_api_app(deps: Deps) -> OpenAPI:
    """A Flask app with the API and nothing else."""
    app = OpenAPI("nodewise", info=Info(title="Nodewise", version=__version__), doc_ui=False)
    register_api(app, deps)
    return app


def register_api(app: OpenAPI, deps: Deps) -> None:
    """Add the API, /openapi.json, /healthz, /readyz and /metrics to *app*."""
    app.validation_error_callback = invalid
    app.validation_error_model = Problem
    app.security_schemes = {"token": {"type": "http", "scheme": "bearer", "description": _DESCRIPTION}}
    register_errors(app)
    app.register_api(_blueprint(deps))
    add_health(app, deps)
    add_metrics(app, deps)

    @app.route("/openapi.json")
    def openapi() -> Response:
        return jsonify(app.api_doc)


def _blueprint(deps: Deps) -> APIBlueprint:
    api = APIBlueprint("api", __name__, url_prefix=PREFIX, abp_security=[{"token": []}])
    api.before_request(lambda: auth.check(deps))
    api.before_request(read_body)
    add_services(api, deps)
    streams = Streams(deps)
    add_rollouts(api, deps, streams)
    add_deliveries(api, deps)
    add_builds(api, deps, streams)
    add_acts(api, deps)
    return api
