"""The web process: the Flask app (hooks, API) behind gunicorn."""

from __future__ import annotations

from typing import Any

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from gunicorn.app.base import BaseApplication

from nodewise import __version__, intake
from nodewise.adapters.documents import Documents
from nodewise.bootstrap import Deps, build_deps
from nodewise.config.settings import Settings
from nodewise.domain.delivery import NewDelivery
from nodewise.web.api import register_api
from nodewise.web.auth import ensure_admin_token
from webhooks.app import Reach, hooks_blueprint
from workers.runner import CeleryQueue, make_app

THREADS = 16


def make_web_app(deps: Deps, reach: Reach | None = None) -> OpenAPI:
    """The whole Flask app, for these Deps. *reach*: the way to what providers publish, instead of the network."""
    app = OpenAPI("nodewise", info=Info(title="Nodewise", version=__version__), doc_ui=False, doc_prefix="")
    app.url_map.merge_slashes = False  # or the answer to a wrong address would repeat it, with the secret in it

    def accept(delivery: NewDelivery) -> tuple[str, bool]:
        accepted = intake.accept(deps, delivery)
        return accepted.delivery_id, accepted.created

    def reject(provider: str, hook: str, reason: str) -> None:
        deps.store.count_rejected(provider, hook, reason, deps.clock.now())

    app.register_blueprint(
        hooks_blueprint(
            accept,
            deps.settings.hooks,
            reject,
            reach or Documents(),
            deps.clock.now,
            deps.settings.max_body_bytes,
            deps.settings.replay_window,
        )
    )
    register_api(app, deps)
    return app


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    """gunicorn without its command line: the settings are ours."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in _options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> OpenAPI:
        """Called in the worker process, after the fork."""
        deps = build_deps(self._settings, CeleryQueue(make_app(self._settings)))
        ensure_admin_token(deps)
        return make_web_app(deps)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "bind": [settings.listen],
        "workers": 1,
        "threads": THREADS,
        "worker_class": "gthread",
        "keepalive": 30,
        "timeout": 60,
        "graceful_timeout": 10,
        "worker_tmp_dir": str(settings.data_dir),
        "control_socket_disable": True,
        "loglevel": "warning",
        "accesslog": None,
        "proc_name": "nodewise web",
    }


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    _Gunicorn(settings).run()
