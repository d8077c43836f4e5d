"""CloudEvents over HTTP, structured and binary, read with the specification's own library.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md and
cloudevents/spec.md; the library is cloudevents 2.

- The content type says whether an event is structured; the library would go by ``ce-`` headers, which a structured
  event may have as well.
- The library makes an ``id`` up where there is none, so that the same event would be a new one each time: it is looked
  for beforehand.
- It raises errors of many kinds on what it cannot read; here they are one. Data that it gives back as text or bytes,
  because of an unusual content type, is read as JSON.
- A batch holds several events and is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_structured_event
from cloudevents.core.exceptions import CloudEventValidationError

from webhooks.bodies import read_json, text
from webhooks.provider import Incoming, Unreadable

STRUCTURED = "application/cloudevents"
BATCH = "application/cloudevents-batch"


@dataclass(frozen=True, slots=True)
class Told:
    """One event: what is told of it, and its data as it came."""

    id: str
    source: str
    type: str
    content: object

    @property
    def key(self) -> str:
        """Source and id: what the specification says no two events share."""
        return f"{self.source} {self.id}"

    @property
    def data(self) -> dict[str, Any]:
        """The data as a JSON object. Raises Unreadable."""
        content = self.content
        if isinstance(content, (str, bytes)):
            try:
                return read_json(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
            except Unreadable as error:
                raise Unreadable(error.what.replace("the body", "data", 1), "data") from None
        if isinstance(content, dict):
            return content
        raise Unreadable(f"data is {'missing' if content is None else 'no object'}", "data")


def read(incoming: Incoming) -> Told:
    """The event that a request carries. Raises Unreadable."""
    kind = incoming.header("content-type").strip().lower()
    if kind.startswith(BATCH):
        raise Unreadable("batches of events are not read; send them one by one", "content-type")
    binary = not kind.startswith(STRUCTURED) and any(name.startswith("ce-") for name in incoming.headers)
    text(dict(incoming.headers), "ce-id") if binary else text(read_json(incoming.body), "id")
    event = _read(incoming, binary)
    return Told(event.get_id(), event.get_source(), event.get_type(), event.get_data())


def _read(incoming: Incoming, binary: bool) -> BaseCloudEvent:
    headers = {n: v for n, v in incoming.headers.items() if n.startswith("ce-") or n == "content-type"}
    message = HTTPMessage(headers, incoming.body)
    try:
        return from_binary_event(message) if binary else from_structured_event(message)
    except CloudEventValidationError as error:
        name = min(error.errors)
        raise Unreadable(f"{name[:40]} is not as CloudEvents have it", name[:40]) from None
    except Exception as error:  # of which kinds is the library's own affair
        raise Unreadable(f"the event cannot be read: {str(error)[:100] or type(error).__name__}") from None
