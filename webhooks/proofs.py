"""Ways to prove whom a request is from, for the providers' files. Every comparison is of bytes and in constant time.

Each raises BadSignature, and is satisfied by any of the secrets: two are in force during a rotation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from webhooks.provider import BadSignature, Incoming, Trust, same_as_one

WHSEC = b"whsec_"


def credentials(incoming: Incoming, trust: Trust, header: str = "authorization") -> None:
    """A header that holds a secret: as it is, as a bearer token, or as basic credentials whose password (or
    ``user:password``) it is. RFC 6750 and RFC 7617.
    """
    given = incoming.header(header).strip()
    if not given:
        raise BadSignature("no credentials")
    if not sum(same_as_one(candidate, trust.secrets) for candidate in _candidates(given)):
        raise BadSignature("wrong credentials")


def _candidates(given: str) -> tuple[bytes, ...]:
    scheme, _, rest = given.partition(" ")
    word = rest.strip()
    if word and scheme.lower() == "bearer":
        return (word.encode(),)
    if word and scheme.lower() == "basic":
        try:
            pair = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            return ()
        return (pair, pair.partition(b":")[2])
    return (given.encode(),)


def plain(incoming: Incoming, trust: Trust, header: str) -> None:
    """A header that holds the secret as it is, and nothing else."""
    given = incoming.header(header)
    if not given:
        raise BadSignature("no credentials")
    if not same_as_one(given.encode(), trust.secrets):
        raise BadSignature("wrong credentials")


def in_address(incoming: Incoming, trust: Trust) -> None:
    """The parameter ``secret`` of the address: for providers that can do nothing else."""
    given = incoming.query.get("secret", "")
    if not given:
        raise BadSignature("no credentials")
    if not same_as_one(given.encode(), trust.secrets):
        raise BadSignature("wrong credentials")


def hmac_hex(
    incoming: Incoming,
    trust: Trust,
    header: str,
    prefix: str = "",
    algorithm: str = "sha256",
    body: bytes | None = None,
) -> None:
    """*prefix* and the hex HMAC over the raw body; *body*: over something else, where the provider does so."""
    given = incoming.header(header).strip()
    if not given:
        raise BadSignature("not signed")
    signed = incoming.body if body is None else body
    digests = (hmac.new(s, signed, getattr(hashlib, algorithm)).hexdigest() for s in trust.secrets if s)
    if not same_as_one(given.lower().encode(), [f"{prefix}{d}".lower().encode() for d in digests]):
        raise BadSignature("wrong signature")


def standard_webhook(incoming: Incoming, trust: Trust, secrets: Sequence[bytes] | None = None) -> None:
    """As Standard Webhooks are signed (https://www.standardwebhooks.com, spec/standard-webhooks.md): HMAC-SHA256 over
    ``id.timestamp.body``, with a time no further from now than the window. A secret that starts with ``whsec_`` is
    base64, any other is taken as it is. One of several signatures is enough.
    """
    id_, at, given = (incoming.header(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not (id_ and at and given):
        raise BadSignature("not signed")
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        raise BadSignature("no time")
    if abs(int(at) - trust.now) > trust.window:
        raise BadSignature("outside the replay window")
    expected = [_sign(s, id_, int(at), incoming.body) for s in (trust.secrets if secrets is None else secrets)]
    signatures = [s.encode() for s in given.split(" ")[:8]]
    if not sum(same_as_one(signature, expected) for signature in signatures):
        raise BadSignature("wrong signature")


def _sign(secret: bytes, id_: str, at: int, body: bytes) -> bytes:
    """The right signature; empty where there can be none."""
    try:
        key = base64.b64decode(secret.removeprefix(WHSEC) + b"==") if secret.startswith(WHSEC) else secret
        return str(Webhook(key).sign(id_, datetime.fromtimestamp(at, UTC), body.decode())).encode() if key else b""
    except (binascii.Error, UnicodeDecodeError, ValueError, OverflowError):
        return b""
