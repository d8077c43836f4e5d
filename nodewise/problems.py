"""Errors over HTTP, as RFC 9457 problem details. Knows Flask and nothing of Nodewise."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, json

MEDIA_TYPE = "application/problem+json"


def problem(status: int, title: str, detail: str, **extra: Any) -> Response:
    """A response of *status*. *title*: what kind of problem; *detail*: this one; *extra*: further members.

    An empty title becomes the phrase that belongs to the status.
    """
    body = {"type": "about:blank", "title": title or HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(json.dumps({**body, **extra}), status, content_type=MEDIA_TYPE)
