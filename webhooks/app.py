"""POST /hooks/<provider>[/<hook>]: verify the raw body, parse it, hand it over, answer.

Knows Flask and the providers; what a delivery starts is decided behind ``accept``. The answer is given only
after the commit. Nothing of an unverified request is kept but a count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.errors import RetryLater, UserError
from nodewise.problems import problem
from webhooks.provider import BadSignature, Incoming, Parsed, Trust, Unreadable, documents, provider

Accept = Callable[[NewDelivery], tuple[str, bool]]
Reject = Callable[[str, str, str], None]

log = structlog.get_logger(__name__)


class Reach(Protocol):
    """The way to the providers' own addresses. What is read and visited may raise RetryLater, what is told never."""

    def read(self, urls: Iterable[str]) -> Mapping[str, bytes]: ...

    def visit(self, url: str) -> None: ...

    def tell(self, url: str, content: Mapping[str, str]) -> None: ...


def hooks_blueprint(
    accept: Accept,
    hooks: Mapping[str, HookConfig],
    reject: Reject,
    reach: Reach,
    now: Callable[[], float],
    max_body: int,
    window: float = 300.0,
) -> Blueprint:
    """The receiver.

    *accept* stores a delivery and says (id, whether it is new); *reject* counts (provider, hook, reason);
    *max_body* is in bytes; *window* is how far a signed time may be from *now*, in seconds, either way.
    """
    blueprint = Blueprint("hooks", __name__)

    @blueprint.post("/hooks/<name>")
    @blueprint.post("/hooks/<name>/<hook>")
    def receive(name: str, hook: str = "") -> Response:
        body = _body(max_body)
        if body is None:
            return problem(413, "", f"the body is larger than {max_body} bytes", hint="raise NODEWISE_MAX_BODY_BYTES")
        config = hooks.get(hook or name)
        if config is None or config.provider != name:
            return _no_such_hook(name, hook)
        incoming = Incoming({k.lower(): v for k, v in request.headers.items()}, body, request.args)
        hook = hook or name
        try:
            papers = reach.read(documents(name, incoming, config))
            secrets = tuple(config.active_secrets())
            provider(name).verify(incoming, Trust(config, secrets, now(), window, papers))
            parsed = provider(name).parse(incoming, config)
            if parsed.confirm:
                reach.visit(parsed.confirm)
        except BadSignature as error:
            if body:  # an empty request is nobody's delivery: 'nodewise doctor' asks so whether the hook is there
                reject(name, hook, error.reason)
                log.warning("delivery_rejected", provider=name, hook=hook, reason=error.reason)
            return _unauthorized(error.reason)
        except Unreadable as error:
            extra = {"field": error.field} if error.field else {}
            return problem(400, "Unreadable body", error.what, provider=name, **extra)
        except RetryLater as error:
            log.warning("provider_not_reached", hook=hook, reason=error.what)
            return problem(503, "", f"what {name} publishes cannot be had now: {error.what}", hint="send it again")
        except UserError as error:
            log.error("hook_secret_missing", hook=hook, reason=str(error))
            return problem(503, "", f"the secret of hook {hook!r} cannot be read", hint="see the log")
        delivery_id, created = accept(_delivery(name, hook, body, parsed))
        if parsed.callback and created:
            reach.tell(parsed.callback, _taken(parsed, delivery_id))
        return _answer(parsed, delivery_id, created)

    return blueprint


def _body(limit: int) -> bytes | None:
    """The raw body, or None when it is too large. A chunked one is read to one byte past the limit, no further:
    Werkzeug would cut it there without a word.
    """
    request.max_content_length = limit + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return None
    return body if len(body) <= limit else None


def _delivery(name: str, hook: str, body: bytes, parsed: Parsed) -> NewDelivery:
    return NewDelivery(name, hook, parsed.key, parsed.verdict, body, parsed.events, parsed.body_digest, parsed.note)


def _taken(parsed: Parsed, delivery_id: str) -> dict[str, str]:
    """What a callback is told (Docker Hub's old documentation: state, description, context)."""
    return {"state": "success", "context": "nodewise", "description": f"{delivery_id} {parsed.verdict.value}"}


def _answer(parsed: Parsed, delivery_id: str, created: bool) -> Response:
    content = {
        "delivery": delivery_id,
        "verdict": parsed.verdict.value if created else "seen before",
        "events": len(parsed.events) if created else 0,
        "note": parsed.note,
    }
    status = 202 if created and parsed.verdict is not Verdict.PING else 200
    answer = Response(json.dumps(content), status, content_type="application/json")
    answer.headers["Location"] = f"/api/v1/deliveries/{delivery_id}"
    return answer


def _unauthorized(reason: str) -> Response:
    answer = problem(401, "", f"the request is not from whom it should be: {reason}", hint="compare the hook's secrets")
    answer.headers["WWW-Authenticate"] = 'Bearer realm="nodewise hooks"'
    return answer


def _no_such_hook(name: str, hook: str) -> Response:
    """Which hooks there are is told to nobody who cannot sign."""
    where = f"/hooks/{name}/{hook}" if hook else f"/hooks/{name}"
    return problem(404, "", f"there is no hook at {where}", hint="hooks are named in nodewise.yaml")
