"""What the routes share: how an answer is written out, and how its errors stand in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request
from pydantic import BaseModel

from nodewise.answers.schemas import Problem
from nodewise.problems import MEDIA_TYPE, problem

_SCHEMA = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
_COMMON = (401, 403, 422)
_LARGEST = 64 * 1024  # bytes of a body; deliveries do not come in here


def answer(shape: BaseModel, status: int = 200, **headers: str) -> Response:
    """*shape* as JSON."""
    response = Response(shape.model_dump_json(), status, content_type="application/json")
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def documented(status: int, shape: type[BaseModel] | dict[str, Any], *errors: int) -> dict[int | str, Any]:
    """The responses of one route: its answer, the errors of its own, and those of every route."""
    problems: dict[int | str, Any] = {code: {"content": {MEDIA_TYPE: _SCHEMA}} for code in (*errors, *_COMMON)}
    return {status: shape, **problems}


def read_body() -> None:
    """Have the body parsed as JSON whatever it calls itself.

    Otherwise a body that is no JSON, or sent as a form, would count as none at all, and a rollback to a
    certain release would become one to the release before.
    """
    if request.method not in ("POST", "PUT"):
        return
    request.max_content_length = _LARGEST
    if not request.get_data():
        request._cached_json = ({}, {})  # no body asks for what an empty one does
    elif not isinstance(request.get_json(force=True), dict):
        abort(problem(400, "", "the body is no JSON object", hint='send an object, such as {"to": 2}'))
