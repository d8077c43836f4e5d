"""Who calls, and whether they may: bearer tokens with scopes.

401 is for a caller who is not known, 403 for one who is known and may not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, current_app, g, request

from nodewise.bootstrap import Deps
from nodewise.problems import problem
from nodewise.tokens import ensure_admin_token, recognise

__all__ = ["check", "ensure_admin_token", "needs", "who"]

View = TypeVar("View", bound=Callable[..., Any])
_SCOPE = "nodewise_scope"


def needs(scope: str) -> Callable[[View], View]:
    """Say what a view asks of its caller's token. A view that says nothing asks for ``read``."""

    def mark(view: View) -> View:
        setattr(view, _SCOPE, scope)
        return view

    return mark


def check(deps: Deps) -> Response | None:
    """Let the request through (None), or answer 401 or 403. To be run before anything else is looked at."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return _unknown("no token was sent", "send 'Authorization: Bearer nw_...'; see 'nodewise token create'")
    caller = recognise(deps, token.strip())
    if caller is None:
        return _unknown("the token is not known, or was revoked", "see 'nodewise token list'", 'error="invalid_token"')
    scope = getattr(current_app.view_functions.get(request.endpoint or ""), _SCOPE, "read")
    if not caller.allows(scope):
        detail = f"the token {caller.name!r} does not have the scope {scope!r}"
        answer = problem(403, "", detail, hint=f"create one with --scope {scope}", scope=scope)
        answer.headers["WWW-Authenticate"] = f'Bearer realm="nodewise", error="insufficient_scope", scope="{scope}"'
        return answer
    g.who = f"api:{caller.name}"
    return None


def who() -> str:
    """The caller of the request at hand, as it stands in the audit."""
    return str(g.who)


def _unknown(detail: str, hint: str, parameter: str = "") -> Response:
    answer = problem(401, "", detail, hint=hint)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="nodewise"' + (f", {parameter}" if parameter else "")
    return answer
