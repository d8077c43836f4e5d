"""Every error as problem details: what is wrong, and the way out. Never a stack trace.

Which status an error has is decided here and nowhere else.
"""

from __future__ import annotations

import math

import structlog
from flask import Flask, Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from nodewise.domain.errors import Conflict, Forbidden, LostRace, NodewiseError, NotFound, RetryLater, UserError
from nodewise.problems import problem

log = structlog.get_logger(__name__)

# The first class that fits decides.
STATUS: tuple[tuple[type[NodewiseError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (Forbidden, 403),
    (UserError, 400),
    (RetryLater, 503),
    (LostRace, 409),
)


def register_errors(app: Flask) -> None:
    """Answer with problem details from now on."""
    app.register_error_handler(NodewiseError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: NodewiseError) -> int:
    """The HTTP status that tells the caller what to do about *error*."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def invalid(error: ValidationError) -> Response:
    """A request that is not of the shape it should have: 422, naming every field."""
    errors = [
        {"field": ".".join(map(str, e["loc"])) or "body", "message": _sentence(e["type"], e["msg"])}
        for e in error.errors(include_url=False, include_input=False)
    ]
    first = errors[0]
    return problem(422, "Invalid request", f"{first['field']}: {first['message']}", field=first["field"], errors=errors)


def _sentence(kind: str, message: str) -> str:
    return "there is no such field" if kind == "extra_forbidden" else message


def _ours(error: NodewiseError) -> Response:
    status = status_of(error)
    if status == 500:
        return _unexpected(error)
    extra = {"hint": error.hint} if error.hint else {}
    if isinstance(error, UserError) and error.field:
        extra["field"] = error.field
    answer = problem(status, "", error.what, **extra)
    if isinstance(error, RetryLater):
        answer.headers["Retry-After"] = str(max(1, math.ceil(error.delay)))
    return answer


def _http(error: HTTPException) -> Response:
    """What Flask itself refuses: no such address, wrong method, a body that is no JSON."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    answer = problem(status, error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _unexpected(error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return problem(500, "", "something went wrong in Nodewise itself", hint="see the log of the web process")
