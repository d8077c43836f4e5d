"""Sonatype Nexus Repository 3: images in its Docker repositories, told by a repository's webhook.

Source: https://help.sonatype.com/en/webhooks.html, "working with HMAC payloads" and "example headers and payloads".

- ``X-Nexus-Webhook-Signature`` is the bare hex HMAC-SHA1 over the raw body. Without a secret key there
  is none, and the call is turned away.
- ``X-Nexus-Webhook-Id`` says what the body is of, ``X-Nexus-Webhook-Delivery`` names it. Neither is under the
  signature, so a digest of the body guards against a captured body that is sent again under a new id; a push of
  the same tag makes another body, for its ``timestamp`` (in milliseconds) is in it.
- Assets are files: a tag is ``v2/<name>/manifests/<tag>``, with a slash in front or not; blobs, and manifests by
  digest, are assets too. Components are tags, ``version`` of ``name``. Neither has the digest, and DELETED and PURGED
  are no pushes. Whether a component is told of when its tag is pushed again is not documented: choose assets.
- It never says what the registry is called: the hook's ``registry`` is all that stands before the image's name
  (``nexus.example:8082``, or ``nexus.example/{repository}``, where the repository's name is filled in).
- A failed call is only logged.
"""

from __future__ import annotations

import re
from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import ImagePushed
from webhooks.bodies import digest, parsed, read_json, text
from webhooks.proofs import hmac_hex
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._registries import UNTAGGED, is_tag, key_of, printable, pushed

ABOUT = About(
    title="Sonatype Nexus",
    kind=Kind.REGISTRY,
    events="assets and components that are tags of images, created or updated",
    signature="X-Nexus-Webhook-Signature: HMAC-SHA1 over the raw body",
    replay="the delivery's id, and a digest of the body",
    setup=(
        "Settings → System → Capabilities → Create capability → Webhook: Repository",
        "Repository: the Docker repository",
        "Event Types: asset",
        "URL: {url}",
        "Secret Key: {secret}",
        "In nodewise.yaml, what stands before an image's name:",
        "registry: nexus.example:8082",
    ),
    tested="a published example, and bodies as its documentation shows them; not Nexus itself",
)
KINDS = {"rm:repository:asset": "asset", "rm:repository:component": "component"}
FIELDS = {
    "asset": ("asset.name", "asset.name", ""),
    "component": ("component.name", "component.version", ""),
}
PUSHES = ("CREATED", "UPDATED")
_MANIFEST = re.compile(r"/?v2/(.+)/manifests/([^/]+)")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets. There is no time in it."""
    hmac_hex(incoming, trust, "x-nexus-webhook-signature", algorithm="sha1")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was created or updated. Raises Unreadable."""
    event = incoming.header("x-nexus-webhook-id")
    key = key_of(incoming.header("x-nexus-webhook-delivery"), incoming.body)
    guard = digest(incoming.body)
    if event not in KINDS:
        return parsed([f"event {printable(event) or '(none named)'} is not used"], key, guard)
    return parsed([_pushed(read_json(incoming.body), KINDS[event], hook.registry)], key, guard)


def _pushed(data: dict[str, Any], kind: str, registry: str) -> ImagePushed | str:
    action = text(data, "action")
    if action not in PUSHES:
        return f"{kind} {printable(action)} is no push"
    made_as = text(data, f"{kind}.format")
    if made_as != "docker":
        return f"{kind} of the format {printable(made_as)} is no image"
    name, tag = _component(data) if kind == "component" else _asset(data)
    if not name:
        return "the asset is no manifest"
    if not is_tag(tag):
        return UNTAGGED
    before = registry.replace("{repository}", text(data, "repositoryName").lower())
    return pushed(f"{before}/{name.lower()}", tag, "", FIELDS[kind])


def _component(data: dict[str, Any]) -> tuple[str, str]:
    return text(data, "component.name"), text(data, "component.version", "")


def _asset(data: dict[str, Any]) -> tuple[str, str]:
    """Name and tag; two empty texts for an asset that is no manifest."""
    found = _MANIFEST.fullmatch(text(data, "asset.name"))
    return (found[1], found[2]) if found else ("", "")
