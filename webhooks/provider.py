"""What every provider's file gives and gets. A provider is pure: bytes and headers in, events out.

A provider's module has a description and two functions::

    ABOUT: About
    verify(incoming, trust) -> None      raises BadSignature
    parse(incoming, hook) -> Parsed      raises Unreadable

and, where a signature can only be checked with a document of the provider's (a certificate, its public keys), a third::

    documents(incoming, hook) -> tuple[str, ...]      https addresses; raises BadSignature

It is chosen by the hook's configuration, never guessed from headers: Gitea sends GitHub's headers too. Files whose
name begins with an underscore are shared by several providers, and are none. In the configuration and in addresses
the words of a name are joined by dashes.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from nodewise.config.hooks import HookConfig
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
    """One request: headers with names in lower case, the raw body, and the parameters of the address."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True, slots=True)
class Trust:
    """What a request is held against: the hook with its *secrets* in force, the time, and what it may differ by.

    ``now`` in seconds since the epoch, ``window`` in seconds either way. ``documents``: by address, those that the
    provider has asked for.
    """

    hook: HookConfig
    secrets: tuple[bytes, ...]
    now: float
    window: float
    documents: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a body meant. See ``nodewise.domain.delivery.NewDelivery`` for ``key`` and ``body_digest``.

    ``confirm``: an https address of the provider's that has to be visited for the deliveries to begin. ``callback``:
    one that likes to be told that the delivery was taken.
    """

    verdict: Verdict
    key: str
    events: tuple[Event, ...] = ()
    note: str = ""
    body_digest: str = ""
    confirm: str = ""
    callback: str = ""


class Kind(StrEnum):
    """What a provider is to the one who sets it up."""

    REGISTRY = "registry"
    GIT = "git"
    BOTH = "git and registry"
    ALERTS = "alerts"


@dataclass(frozen=True, slots=True)
class About:
    """What docs/providers.md says of a provider.

    ``events``: what starts something. ``signature``: how a request proves whom it is from. ``replay``: what keeps an
    old one from working twice. ``setup``: what to enter at the provider, line by line, with ``{url}`` and ``{secret}``
    to be filled in. ``tested``: with what. ``secret_in_url``: why there is no other way; empty where there is one.
    ``whsec``: its secret is one of Standard Webhooks, ``whsec_`` and base64.
    """

    title: str
    kind: Kind
    events: str
    signature: str
    replay: str
    setup: tuple[str, ...]
    tested: str
    secret_in_url: str = ""
    whsec: bool = False


class Provider(Protocol):
    """A provider's module."""

    ABOUT: About

    def verify(self, incoming: Incoming, trust: Trust) -> None: ...

    def parse(self, incoming: Incoming, hook: HookConfig) -> Parsed: ...


def names() -> list[str]:
    """Every provider there is: the folder is the registry."""
    from webhooks import providers

    modules = (m.name for m in iter_modules(providers.__path__) if not m.name.startswith("_"))
    return sorted(m.replace("_", "-") for m in modules)


@cache
def provider(name: str) -> Provider:
    """The provider called *name*, which the configuration has checked."""
    return cast(Provider, import_module(f"webhooks.providers.{name.replace('-', '_')}"))


def documents(name: str, incoming: Incoming, hook: HookConfig) -> tuple[str, ...]:
    """Addresses of what the provider called *name* needs to check this request; most need nothing.

    Raises BadSignature for one that is not the provider's own.
    """
    wanted = getattr(provider(name), "documents", None)
    return () if wanted is None else cast(tuple[str, ...], wanted(incoming, hook))


def same_as_one(given: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether *given* is one of *secrets*; every comparison takes the same time, and all are made."""
    return sum(hmac.compare_digest(given, secret) for secret in secrets if secret) > 0
