"""What a delivery means. Past tense: an event has happened and is not argued with.

An event is a hint. What is deployed is what the registry says when the plan is made.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ImagePushed:
    """A tag was pushed. ``repository`` is fully spelled out (``registry/path``); ``digest`` may be empty.

    ``missed``: nobody told of it, a look at the registry did. It is not for services that have had this digest before.
    """

    repository: str
    tag: str
    digest: str = ""
    missed: bool = False


@dataclass(frozen=True, slots=True)
class CodePushed:
    """A ref moved to ``commit``. ``repository`` is the URL (or path) that the git server names itself by."""

    repository: str
    ref: str
    commit: str
    before: str = ""
    message: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class AlertFired:
    """An alert of ``service`` began to fire at ``starts_at`` (as the sender writes it); ``summary`` is for people.

    The same ``fingerprint`` and start is the same alert, however often it is told. ``always``: it counts outside the
    watch of a rollout as well.
    """

    service: str
    fingerprint: str
    starts_at: str
    summary: str = ""
    always: bool = False

    @property
    def at(self) -> float | None:
        """When it began to fire, in seconds since the epoch; None where that is no time."""
        try:
            return datetime.fromisoformat(self.starts_at).timestamp()
        except (ValueError, OverflowError):
            return None


Event = ImagePushed | CodePushed | AlertFired

_KINDS: dict[str, type[ImagePushed] | type[CodePushed] | type[AlertFired]] = {
    "image_pushed": ImagePushed,
    "code_pushed": CodePushed,
    "alert_fired": AlertFired,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def kind_of(event: Event) -> str:
    """The event's name as it stands in the store."""
    return _NAMES[type(event)]


def once(event: Event) -> str:
    """Names what is acted on once however often it is told; empty where being told again means something."""
    if not isinstance(event, AlertFired):
        return ""
    told = "\n".join((event.service, event.fingerprint, event.starts_at))
    return f"alert:{hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()}"


def to_dict(event: Event) -> dict[str, Any]:
    """The event as plain data, for the store."""
    return asdict(event)


def from_dict(kind: str, data: dict[str, Any]) -> Event:
    """The inverse of :func:`kind_of` and :func:`to_dict`. Raises KeyError on an unknown kind."""
    return _KINDS[kind](**data)
