"""Harbor 2: artifacts that were pushed, in its default format or as CloudEvents (structured mode).

Source: https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/; goharbor/harbor,
src/pkg/notifier/formats/ and src/controller/event/handler/webhook/artifact/.

- ``Authorization`` holds what was entered as Auth Header, as it stands. Nothing covers the body.
- The format is told by ``specversion``, which only a CloudEvent has. Its ``id`` is the key. The default format has no
  id: the key is the body's digest. The same tag pushed again makes another body, by its digest or by ``occur_at`` (in
  seconds); the same digest under the same tag twice within a second is one push to us.
- A push without a tag carries its digest in ``tag``.
- ``resource_url`` starts with the registry's name; its own tag is not used.
- After three failures an event is given up.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import ImagePushed
from webhooks.bodies import at, objects, parsed, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._registries import UNTAGGED, is_tag, key_of, printable, pushed

ABOUT = About(
    title="Harbor",
    kind=Kind.REGISTRY,
    events="Artifact pushed, with a tag",
    signature="the secret in the header Authorization",
    replay="the event's id (CloudEvents), or a digest of the body, which holds the time of the push",
    setup=(
        "Project → Webhooks → New webhook",
        "Name: nodewise",
        "Notify type: http",
        "Payload format: CloudEvents (or Default)",
        "Event type: Artifact pushed",
        "Endpoint URL: {url}",
        "Auth header: {secret}",
    ),
    tested="published examples, and bodies as its source writes them; not Harbor itself",
)
DEFAULT = ("PUSH_ARTIFACT", "event_data")
CLOUD_EVENT = ("harbor.artifact.pushed", "data")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The header equal to the secret; it may be a bearer token or a basic password too. There is no time in it."""
    credentials(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every tag that was pushed. Raises Unreadable."""
    data = read_json(incoming.body)
    is_event = "specversion" in data
    push, place = CLOUD_EVENT if is_event else DEFAULT
    key = key_of(data.get("id") if is_event else None, incoming.body)
    kind = text(data, "type")
    if kind != push:
        return parsed([f"{printable(kind)} is no push"], key)
    return parsed(_pushes(data, place, hook.registry), key)


def _pushes(data: dict[str, Any], place: str, registry: str) -> list[ImagePushed | str]:
    name = text(data, f"{place}.repository.repo_full_name").lower()
    found: list[ImagePushed | str] = []
    for number, resource in enumerate(objects(data, f"{place}.resources")):
        with at(f"{place}.resources[{number}]"):
            found.append(_pushed(resource, name, registry))
    return found


def _pushed(resource: dict[str, Any], name: str, registry: str) -> ImagePushed | str:
    tag = text(resource, "tag", "")
    if not is_tag(tag):
        return UNTAGGED
    host = registry or text(resource, "resource_url").partition("/")[0].lower()
    return pushed(f"{host}/{name}", tag, text(resource, "digest", ""), ("resource_url", "tag", "digest"))
