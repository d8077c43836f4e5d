"""GitHub: pushes of code, and of images to its container registry.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push (and ``package``, ``registry_package``),
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.

- ``X-Hub-Signature-256`` is HMAC-SHA256 over the raw body, also where the body is a form (``payload=``).
  SHA-1 alone (``X-Hub-Signature``) is not accepted.
- ``X-GitHub-Delivery`` is not under the signature, so a digest of the body guards against a captured body that
  is sent again under a new id.
- An annotated tag's ``after`` is the tag object: the commit is ``head_commit.id``.
- ``create`` comes beside ``push`` for every new branch and tag, and is not used.
- A package is an image where it has ``container_metadata``: ``package_type`` is "CONTAINER", "container" or, in their
  own example, something else. ``package_version.version`` is the manifest's digest; the tag's own may be malformed.
  An untagged manifest (a child of an index) has an empty tag. Owners may be in mixed case, names of images never are.
  ``package_url`` is the image's name; the namespace may hold a source repository besides the owner.
"""

from __future__ import annotations

import re
from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed, ImagePushed
from webhooks.bodies import digest, first_line, form_or_json, is_null, parsed, read_json, text
from webhooks.proofs import hmac_hex
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._registries import UNTAGGED, key_of, printable, pushed

ABOUT = About(
    title="GitHub",
    kind=Kind.BOTH,
    events="push (branches and tags); package and registry_package (images that were published or updated)",
    signature="X-Hub-Signature-256: HMAC-SHA256 over the raw body",
    replay="the delivery's id, and a digest of the body",
    setup=(
        "Repository (or organization) → Settings → Webhooks → Add webhook",
        "Payload URL: {url}",
        "Content type: application/json",
        "Secret: {secret}",
        "Which events: Just the push event",
        "For images of its registry too: Let me select individual events: Pushes, Packages, Registry packages",
    ),
    tested="every example that GitHub publishes, signed by its own library; not GitHub itself",
)
REGISTRY = "ghcr.io"
PUBLISHED = ("published", "updated", "create", "created")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets. There is no time in it."""
    hmac_hex(incoming, trust, "x-hub-signature-256", "sha256=")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The ref that moved, or the tag that was published. Raises Unreadable."""
    event = incoming.header("x-github-event")
    guard = digest(incoming.body)
    key = key_of(incoming.header("x-github-delivery"), incoming.body)
    if event == "ping":
        return Parsed(Verdict.PING, key, note="ping")
    if event == "push":
        return parsed([_pushed(read_json(form_or_json(incoming)))], key, guard)
    if event in ("package", "registry_package"):
        data = read_json(form_or_json(incoming))
        return parsed([_published(data, event, hook.registry or REGISTRY)], key, guard)
    return parsed([f"event {printable(event) or '(none named)'} is not used"], key)


def _pushed(data: dict[str, Any]) -> CodePushed | str:
    ref, after = text(data, "ref"), text(data, "after")
    if data.get("deleted") is True or is_null(after):
        return f"{printable(ref)} was deleted"
    return CodePushed(
        repository=text(data, "repository.clone_url", "") or text(data, "repository.html_url"),
        ref=ref,
        commit=text(data, "head_commit.id", "") or after,
        before=text(data, "before", ""),
        message=first_line(text(data, "head_commit.message", "")),
        author=text(data, "head_commit.author.name", ""),
    )


def _published(data: dict[str, Any], event: str, registry: str) -> ImagePushed | str:
    action = text(data, "action")
    if action not in PUBLISHED:
        return f"{event} {printable(action)} is no push"
    version = f"{event}.package_version"
    if not isinstance(_at(data, f"{version}.container_metadata"), dict):
        return "the package is no container image"
    fields = (f"{event}.name", f"{version}.container_metadata.tag.name", f"{version}.version")
    tag = text(data, fields[1], "")
    if not tag:
        return UNTAGGED
    found = text(data, fields[2], "")
    name = _repository(data, event, tag).lower()
    return pushed(f"{registry}/{name}", tag, found if _DIGEST.fullmatch(found) else "", fields)


def _repository(data: dict[str, Any], event: str, tag: str) -> str:
    """Owner and name, as the package's own address has them (ghcr.io/owner/name:tag), or else by their parts."""
    path, colon, _ = text(data, f"{event}.package_version.package_url", "").partition("/")[2].rpartition(f":{tag}")
    if colon and "//" not in path:
        return path
    owner = text(data, f"{event}.namespace", "") or text(data, f"{event}.owner.login")
    return f"{owner}/{text(data, f'{event}.name')}"


def _at(data: Any, path: str) -> Any:
    for part in path.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data
