"""CloudEvents of any sender: what counts, and where in its data things stand, is told by the hook.

Source: https://github.com/cloudevents/spec (1.0 and 0.3), https://www.standardwebhooks.com; how an event is read, and
the library's traps, are in ``_cloudevents``.

- A sender proves itself with the secret in a header (*header*), or with the headers of Standard Webhooks. Where their
  signature is there it has to hold, whatever else the request may carry.
- That signature covers the body and ``webhook-id``, but none of the headers that a binary event is told by. So its id
  and the body guard against a captured event that is sent again under another CloudEvents id.
- An event has no id but together with its source.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from nodewise.config.hooks import HookConfig
from webhooks.bodies import digest, parsed
from webhooks.proofs import credentials, standard_webhook
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers import _cloudevents, _fields

ABOUT = About(
    title="CloudEvents",
    kind=Kind.BOTH,
    events="events of the types that the hook names, in structured or binary mode",
    signature="the secret in Authorization, bearer or basic, or in a header that the hook names; or Standard Webhooks",
    replay="source and id; with Standard Webhooks the signed time as well",
    setup=(
        "Send each event on its own, by POST, to: {url}",
        "With the header Authorization: Bearer {secret}",
        "In nodewise.yaml, which types of events count, and where in their data things stand:",
        "types: [com.example.pushed]",
        "fields: {image: image.name}",
    ),
    tested="events written by the specification's own library",
)


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature where there is one, else the header equal to the secret, in which there is no time."""
    if incoming.header("webhook-signature"):
        standard_webhook(incoming, trust)
    else:
        credentials(incoming, trust, trust.hook.header or "authorization")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The event that the hook's fields make of its data. Raises Unreadable."""
    told = _cloudevents.read(incoming)
    guard = _guard(incoming)
    if hook.types and not any(fnmatchcase(told.type, pattern) for pattern in hook.types):
        return parsed([f"type {told.type[:80]} is not used"], told.key, guard)
    return parsed([_fields.event(told.data, hook.fields, hook.registry)], told.key, guard)


def _guard(incoming: Incoming) -> str:
    """Names what the signature covers; empty where there is none, since a secret in a header covers nothing."""
    id_ = incoming.header("webhook-id")
    signed = id_ and incoming.header("webhook-signature")
    return digest(id_.encode("utf-8", "surrogatepass") + b"\n" + incoming.body) if signed else ""
