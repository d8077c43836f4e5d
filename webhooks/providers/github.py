"""GitHub: push events.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push and
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.

- ``X-Hub-Signature-256`` is HMAC-SHA256 over the raw body, also where the body is a form (``payload=``).
  SHA-1 alone (``X-Hub-Signature``) is not accepted.
- ``X-GitHub-Delivery`` is not under the signature, so a digest of the body guards against a captured body that
  is sent again under a new id.
- An annotated tag's ``after`` is the tag object: the commit is ``head_commit.id``.
- Only ``push`` is used: ``create`` comes beside it for every new branch and tag.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from nodewise.config.file import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from webhooks.provider import BadSignature, Incoming, Parsed, Unreadable, digest, is_null, read_json, same_as_one, text

FORM = "application/x-www-form-urlencoded"


def verify(incoming: Incoming, secrets: Sequence[bytes], now: float, window: float) -> None:
    """The signature by any of the secrets. There is no time in it: *now*, *window* are unused."""
    given = incoming.header("x-hub-signature-256")
    if not given:
        raise BadSignature("not signed")
    expected = [f"sha256={hmac.new(s, incoming.body, hashlib.sha256).hexdigest()}".encode() for s in secrets if s]
    if not same_as_one(given.lower().encode(), expected):
        raise BadSignature("wrong signature")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The ref that moved. Raises Unreadable."""
    event = incoming.header("x-github-event")
    guard = digest(incoming.body)
    key = incoming.header("x-github-delivery")[:200] or guard
    if event == "ping":
        return Parsed(Verdict.PING, key, note="ping")
    if event != "push":
        return Parsed(Verdict.IGNORED, key, note=f"event {event[:40] or '(none named)'} is not used")
    data = read_json(_payload(incoming))
    found = _pushed(data)
    if isinstance(found, str):
        return Parsed(Verdict.IGNORED, key, note=found, body_digest=guard)
    return Parsed(Verdict.ACCEPTED, key, (found,), body_digest=guard)


def _payload(incoming: Incoming) -> bytes:
    if not incoming.header("content-type").lower().startswith(FORM):
        return incoming.body
    try:
        fields = parse_qs(incoming.body.decode(), max_num_fields=20)
    except ValueError:
        raise Unreadable("the form cannot be read") from None
    if "payload" not in fields:
        raise Unreadable("the form has no field payload", "payload")
    return fields["payload"][0].encode()


def _pushed(data: dict[str, Any]) -> CodePushed | str:
    ref, after = text(data, "ref"), text(data, "after")
    if data.get("deleted") is True or is_null(after):
        return f"{ref} was deleted"
    return CodePushed(
        repository=text(data, "repository.clone_url", "") or text(data, "repository.html_url"),
        ref=ref,
        commit=text(data, "head_commit.id", "") or after,
        before=text(data, "before", ""),
        message=text(data, "head_commit.message", "").partition("\n")[0],
        author=text(data, "head_commit.author.name", ""),
    )
