"""What every provider's file gives and gets. A provider is pure: bytes and headers in, events out.

A provider's module has two functions::

    verify(incoming, secrets, now, window) -> None      raises BadSignature
    parse(incoming, hook) -> Parsed                     raises Unreadable

It is chosen by the hook's configuration, never guessed from headers: Gitea sends GitHub's headers too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from nodewise.config.file import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import Event


class BadSignature(Exception):
    """Not signed, or wrongly, or too long ago. ``reason`` is one of a few fixed words: it is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreadable(Exception):
    """A well-signed body that should have been understood and was not. ``field`` names the offending part."""

    def __init__(self, what: str, field: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.field = field


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request: headers with names in lower case, and the raw body."""

    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a body meant. See ``nodewise.domain.delivery.NewDelivery`` for ``key`` and ``body_digest``."""

    verdict: Verdict
    key: str
    events: tuple[Event, ...] = ()
    note: str = ""
    body_digest: str = ""


class Provider(Protocol):
    """A provider's module."""

    def verify(self, incoming: Incoming, secrets: Sequence[bytes], now: float, window: float) -> None: ...

    def parse(self, incoming: Incoming, hook: HookConfig) -> Parsed: ...


def names() -> list[str]:
    """Every provider there is: the folder is the registry."""
    from webhooks import providers

    return sorted(m.name for m in iter_modules(providers.__path__))


def provider(name: str) -> Provider:
    """The provider called *name*, which the configuration has checked."""
    return cast(Provider, import_module(f"webhooks.providers.{name}"))


def same_as_one(given: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether *given* is one of *secrets*; every comparison takes the same time, and all are made."""
    return sum(hmac.compare_digest(given, secret) for secret in secrets if secret) > 0


def digest(body: bytes) -> str:
    """Names a body."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def is_null(commit: str) -> bool:
    """Whether this is git's null object id: zeros, as many as the repository's hash has digits."""
    return not commit.strip("0")


def read_json(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises Unreadable."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"the body is no JSON{place}") from None
    if not isinstance(data, dict):
        raise Unreadable(f"the body is a JSON {type(data).__name__}, not an object")
    return data


def text(data: Mapping[str, Any], path: str, default: str | None = None) -> str:
    """The text at *path* (dots between names). Raises Unreadable naming it when it is not there and has no default."""
    value: Any = data
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and (value or default is not None):
        return value
    if value is None and default is not None:
        return default
    found = "missing" if value is None else "empty" if value == "" else f"a {type(value).__name__}, not text"
    raise Unreadable(f"{path} is {found}", path)
