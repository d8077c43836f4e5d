"""What doctor asks, on this machine: an engine and a registry that say what time it is, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from flask import Flask, Response, jsonify

from nodewise.answers.checks import Check
from tests.integration.web_parts import serving


@contextmanager
def engine(off: float = 0.0, manager: bool = True, tls: bool = False) -> Iterator[str]:
    """As much of an engine as tells of itself, its clock *off* by so many seconds. Gives its tcp:// address."""
    app = Flask("engine")

    @app.get("/version")
    @app.get("/v1.41/version")
    def version() -> Response:
        if tls:
            return Response("Client sent an HTTP request to an HTTPS server.\n", 400)
        return jsonify(ApiVersion="1.41", MinAPIVersion="1.12", Version="20.10.24")

    @app.get("/v1.41/swarm")
    def swarm() -> Response:
        answer = jsonify(ID="s") if manager else jsonify(message="This node is not a swarm manager.")
        answer.status_code = 200 if manager else 503
        return answer

    @app.get("/v1.41/info")
    def info() -> Response:
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + off, UTC)
        return jsonify(ServerVersion="20.10.24", SystemTime=at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z")

    with serving(app) as url:
        yield url.replace("http://", "tcp://")


@contextmanager
def registry(off: float = 0.0, status: int = 401) -> Iterator[str]:
    """A registry that wants a login, whichever it is, its clock *off* by so many seconds. Gives its name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = status == 401 and "Authorization" in self.headers
            self.send_response(200 if known else status if self.path == "/v2/" else 404)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + off)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(60)


def named(found: list[Check], name: str) -> list[Check]:
    return [check for check in found if check.name == name]
