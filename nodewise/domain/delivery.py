"""Deliveries: webhook requests as they came in, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodewise.domain.events import Event


class Verdict(StrEnum):
    """What a well-signed delivery was worth."""

    ACCEPTED = "accepted"  # it became one or more events
    IGNORED = "ignored"  # understood, and nothing to do
    UNUSABLE = "unusable"  # not understood, answered 202 because a 4xx would jam the sender
    PING = "ping"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One verified request. ``key`` is the provider's delivery id, whole, or a digest of the body where it has none.
    Where not even the body tells one delivery from the next, ``key`` is empty: each is new.

    ``body_digest`` guards against a captured body that is sent again under a new id; it is empty where
    the id is under the signature.
    """

    provider: str
    hook: str
    key: str
    verdict: Verdict
    body: bytes
    events: tuple[Event, ...] = ()
    body_digest: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stored delivery, as listed."""

    id: str
    provider: str
    hook: str
    key: str
    verdict: Verdict
    note: str
    received_at: float
    size: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its fate: ``outcome`` says what it led to, once ``done_at`` is set."""

    id: str
    event: Event
    origin: str
    created_at: float
    delivery_id: str = ""
    done_at: float | None = None
    outcome: str = ""
