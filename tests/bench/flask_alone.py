"""The web process's own server with nothing behind it: one route that checks a signature, and stores nothing.

``python -m tests.bench.flask_alone HOST:PORT SECRET``. What is left of the receiver's time above this is its own.
"""

from __future__ import annotations

import hashlib
import hmac
import sys

from flask import Flask, Response, request

from workers import web


def make_app(secret: str) -> Flask:
    app = Flask(__name__)

    @app.post("/hooks/github")
    def receive() -> Response:
        signature = "sha256=" + hmac.new(secret.encode(), request.get_data(), hashlib.sha256).hexdigest()
        good = hmac.compare_digest(signature, request.headers.get("X-Hub-Signature-256", ""))
        return Response(status=202 if good else 401)

    return app


if __name__ == "__main__":
    web.run(sys.argv[1], lambda: make_app(sys.argv[2]))
