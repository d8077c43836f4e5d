"""Plain git: the ``post-receive`` hook that is shipped beside this folder.

Signed as Standard Webhooks are (https://www.standardwebhooks.com, spec/standard-webhooks.md): HMAC-SHA256 over
``id.timestamp.body``, the id and the time under the signature. A secret that starts with ``whsec_`` is base64,
any other is taken as it is.

The body: ``{"repository": "…", "refs": [{"ref", "before", "after", "commit", "message", "author"}]}``, where
``after`` is what the ref points at and ``commit`` the commit behind it (an annotated tag is an object of its own).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from nodewise.config.file import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from webhooks.provider import BadSignature, Incoming, Parsed, Unreadable, is_null, read_json, same_as_one, text

PREFIX = b"whsec_"


def verify(incoming: Incoming, secrets: Sequence[bytes], now: float, window: float) -> None:
    """Any of the signatures by any of the secrets, with a time no further from *now* than *window* seconds."""
    id_, at, given = (incoming.header(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not (id_ and at and given):
        raise BadSignature("not signed")
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        raise BadSignature("no time")
    if abs(int(at) - now) > window:
        raise BadSignature("outside the replay window")
    expected = [_sign(secret, id_, int(at), incoming.body) for secret in secrets]
    signatures = [s.encode() for s in given.split(" ")[:8]]
    if not sum(same_as_one(signature, expected) for signature in signatures):
        raise BadSignature("wrong signature")


def _sign(secret: bytes, id_: str, at: int, body: bytes) -> bytes:
    """The right signature; empty where there can be none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX) + b"==") if secret.startswith(PREFIX) else secret
        return str(Webhook(key).sign(id_, datetime.fromtimestamp(at, UTC), body.decode())).encode() if key else b""
    except (binascii.Error, UnicodeDecodeError):
        return b""


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every ref that moved to a commit. Raises Unreadable."""
    data = read_json(incoming.body)
    repository = text(data, "repository")
    refs = data.get("refs")
    if not isinstance(refs, list):
        raise Unreadable("refs is no list", "refs")
    found = [_pushed(repository, ref, f"refs[{n}]") for n, ref in enumerate(refs)]
    events = tuple(e for e in found if isinstance(e, CodePushed))
    notes = [e for e in found if isinstance(e, str)] or ["no ref moved"]
    verdict = Verdict.ACCEPTED if events else Verdict.IGNORED
    return Parsed(verdict, incoming.header("webhook-id")[:200], events, "" if events else "; ".join(notes))


def _pushed(repository: str, ref: Any, where: str) -> CodePushed | str:
    if not isinstance(ref, dict):
        raise Unreadable(f"{where} is no object", where)
    try:
        name = text(ref, "ref")
        after = text(ref, "after")
        if is_null(after):
            return f"{name} was deleted"
        return CodePushed(
            repository,
            name,
            commit=text(ref, "commit", "") or after,
            before=text(ref, "before", ""),
            message=text(ref, "message", ""),
            author=text(ref, "author", ""),
        )
    except Unreadable as error:
        raise Unreadable(f"{where}.{error.what}", f"{where}.{error.field}") from None
