"""The web process: the Flask app (hooks, API) behind granian.

What ``serve`` becomes is granian's main process, which only waits for signals. One worker, forked from it, takes the
requests, each on a thread. A worker that dies is followed by another, and none outlives its main process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable

import structlog
from flask import Flask
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from nodewise import __version__, intake
from nodewise.adapters.documents import Documents
from nodewise.bootstrap import Deps, build_deps
from nodewise.config.settings import Settings
from nodewise.domain.delivery import NewDelivery
from nodewise.domain.errors import NodewiseError
from nodewise.web.api import register_api
from nodewise.web.auth import ensure_admin_token
from webhooks.app import Reach, hooks_blueprint
from workers.address import address, refuse_taken_port
from workers.children import die_with
from workers.runner import CeleryQueue, make_app

THREADS = 16
GRACE = 10  # seconds for requests to end; a stream that is open then is cut
MOST_HEADERS = 64 * 1024  # bytes
OURS = {"incremental": True, "handlers": {}, "loggers": {}}  # granian's log goes the way of all others

log = structlog.get_logger(__name__)


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


def serve(settings: Settings) -> None:
    """Serve until told to stop. Raises UserError when nobody can listen there.

    Ends with exit code 1 when a worker cannot start, or dies again within seconds.
    """
    run(settings.listen, lambda: _load(settings))


def run(listen: str, load: Callable[[], Flask]) -> None:
    """Serve what *load* makes in the worker, as ``serve`` does."""
    host, port = address(listen)
    refuse_taken_port(listen)  # granian's sockets would share it (SO_REUSEPORT)
    multiprocessing.set_start_method("fork", force=True)  # what is imported is shared, and nothing need be pickled
    main = os.getpid()
    Server(
        "nodewise",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=MOST_HEADERS),
        blocking_threads=THREADS,
        blocking_threads_idle_timeout=600,  # seconds, its most: a request may wait for the next one as a thread ends
        log_level=LogLevels.error,  # its warnings are of settings and of streams that are cut
        log_dictconfig=OURS,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE,
        process_name="nodewise web",
    ).serve(target_loader=lambda: _in_worker(main, load), wrap_loader=False)


def _in_worker(main: int, load: Callable[[], Flask]) -> Flask:
    """The app. The worker may be told to stop, or lose *main*, before it serves."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    die_with(main, signal.SIGKILL)
    try:
        return load()
    except NodewiseError as error:
        log.error("web_cannot_start", reason=str(error))
        raise SystemExit(1) from error


def _load(settings: Settings) -> OpenAPI:
    deps = build_deps(settings, CeleryQueue(make_app(settings)))
    ensure_admin_token(deps)
    return make_web_app(deps)
