"""Tokens that Google signs (OpenID Connect): whether one is in force, and what it says.

Source: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions,
https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken, RFC 8725.
"""

from __future__ import annotations

import json
from typing import Any

import jwt

from webhooks.provider import BadSignature, Incoming, Trust

KEYS = "https://www.googleapis.com/oauth2/v3/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
NEEDED = ["iss", "aud", "exp", "iat", "email", "email_verified"]


def bearer(incoming: Incoming) -> str:
    """The request's token, which nothing is known of yet. Raises BadSignature where there is none."""
    scheme, _, token = incoming.header("authorization").strip().partition(" ")
    if scheme.lower() != "bearer" or token.count(".") != 2:
        raise BadSignature("no credentials")
    return token.strip()


def claims(token: str, trust: Trust) -> dict[str, Any]:
    """What the token says, once key, issuer, audience and time have been found right. Raises BadSignature."""
    try:
        key = jwt.PyJWKSet.from_dict(json.loads(trust.documents.get(KEYS, b"")))[_key_id(token)]
        found = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=trust.hook.audience,
            issuer=ISSUERS,
            options={
                "require": NEEDED,
                "strict_aud": True,
                "enforce_minimum_key_length": True,
                "verify_exp": False,  # these three are looked at below, at the given time
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidAudienceError:
        raise BadSignature("a token for another audience") from None
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadSignature("wrong token") from None
    _in_time(found, trust.now, trust.window)
    return found


def _key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token).get("kid", ""))


def _in_time(found: dict[str, Any], now: float, window: float) -> None:
    """Written so that a time which is no number (NaN among them) is none that fits."""
    since = [found["iat"], found.get("nbf", found["iat"])]
    if not all(isinstance(at, (int, float)) for at in (*since, found["exp"])):
        raise BadSignature("no time")
    if not (all(at <= now + window for at in since) and now - window < found["exp"]):
        raise BadSignature("outside the replay window")
