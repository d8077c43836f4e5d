"""Azure Container Registry: its webhooks.

Source: https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference.

- It proves itself with a custom header, which is set when the webhook is made. Nothing covers the body.
- The events are Distribution's, one in a body and with an ``id``, which is the key.
- ``delete`` has a digest and no tag; ``chart_push``, ``chart_delete`` and ``quarantine`` are no images to run.
- ``ping`` is what ``az acr webhook ping`` sends; its body is not documented, and not read.
- Azure Event Grid tells of pushes too, in another shape: it is not read here.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from webhooks.bodies import parsed, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._registries import UNTAGGED, key_of, printable, pushed

ABOUT = About(
    title="Azure Container Registry",
    kind=Kind.REGISTRY,
    events="push of a tag",
    signature="the secret in a custom header: Authorization, bearer or basic",
    replay="the event's id",
    setup=(
        "az acr webhook create --registry NAME --name nodewise --actions push \\",
        "  --uri {url} --headers 'Authorization=Bearer {secret}'",
    ),
    tested="its documented examples; not Azure itself",
)
FIELDS = ("target.repository", "target.tag", "target.digest")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The header equal to the secret, as a bearer token or as a basic password. There is no time in it."""
    credentials(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was pushed. Raises Unreadable."""
    data = read_json(incoming.body)
    action = text(data, "action")
    key = key_of(data.get("id"), incoming.body)
    if action == "ping":
        return Parsed(Verdict.PING, key, note="ping")
    if action != "push":
        return parsed([f"{printable(action)} is no push"], key)
    return parsed([_pushed(data, hook.registry)], key)


def _pushed(data: dict[str, Any], registry: str) -> ImagePushed | str:
    tag = text(data, "target.tag", "")
    if not tag:
        return UNTAGGED
    host = registry or text(data, "request.host").lower()
    name = text(data, "target.repository").lower()
    return pushed(f"{host}/{name}", tag, text(data, "target.digest", ""), FIELDS)
