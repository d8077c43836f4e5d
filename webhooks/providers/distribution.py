"""CNCF Distribution (the registry 2 and 3): notifications as its configuration sends them.

Source: distribution, notifications/event.go, notifications/http.go and docs/content/about/notifications.md.

- It proves itself with a static header (``notifications.endpoints[].headers``): ``Authorization`` as bearer
  token, or as basic credentials whose password (or ``user:password``) is the secret.
- One envelope may hold several events. A deploy is a *push* of a *manifest or index* with a *tag*: blobs,
  pulls, mounts, HEADs (which come as pulls), deletes and the children of an index (pushed by digest) are not.
- The notification leaves before the tag is written, so ``target.digest`` is kept and verified by itself.
- A 4xx makes it repeat the same event for ever, and in order: what cannot be read is taken and noted.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.errors import UserError
from nodewise.domain.events import ImagePushed
from nodewise.domain.images import ImageName
from webhooks.bodies import digest, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._registries import key_of, printable

ABOUT = About(
    title="CNCF Distribution",
    kind=Kind.REGISTRY,
    events="push of a tagged manifest or index",
    signature="the secret in a header that its configuration sets: Authorization, bearer or basic",
    replay="the events' ids",
    setup=(
        "In the registry's configuration file:",
        "notifications:",
        "  endpoints:",
        "    - name: nodewise",
        "      url: {url}",
        "      headers: {Authorization: ['Bearer {secret}']}",
        "      timeout: 5s",
        "      threshold: 10",
        "      backoff: 1s",
        "      ignore: {actions: [pull, mount, delete]}",
    ),
    tested="the registry itself, version 2, with docker push",
)

MANIFESTS = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    }
)


def verify(incoming: Incoming, trust: Trust) -> None:
    """The header equal to the secret, as a bearer token or as a basic password. There is no time in it."""
    credentials(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every tagged manifest that was pushed. Never raises: see above."""
    try:
        found = read_json(incoming.body).get("events")
        if not isinstance(found, list):
            raise Unreadable("events is no list", "events")
    except Unreadable as error:
        return Parsed(Verdict.UNUSABLE, digest(incoming.body), note=error.what)
    events: dict[ImagePushed, None] = {}
    notes: list[str] = []
    unusable = False
    for number, event in enumerate(found):
        try:
            result = _pushed(event if isinstance(event, dict) else {}, hook.registry)
        except (Unreadable, UserError) as error:
            unusable = True
            notes.append(f"events[{number}]: {error.what}")
            continue
        if isinstance(result, ImagePushed):
            events[result] = None
        else:
            notes.append(result)
    if not found:
        notes.append("the envelope is empty")
    verdict = Verdict.ACCEPTED if events else Verdict.UNUSABLE if unusable else Verdict.IGNORED
    note = "; ".join(dict.fromkeys(notes)) if verdict is not Verdict.ACCEPTED or unusable else ""
    return Parsed(verdict, _key(found, incoming.body), tuple(events), note)


def _pushed(event: dict[str, Any], registry: str) -> ImagePushed | str:
    """The event of a push, or the reason why it is none."""
    action = text(event, "action")
    if action != "push":
        return f"{printable(action)} is no push"
    media_type = text(event, "target.mediaType", "")
    if media_type not in MANIFESTS:
        return f"push of {printable(media_type) or 'something without a media type'}, not of a manifest"
    tag = text(event, "target.tag", "")
    if not tag:
        return "pushed by digest, without a tag"
    host = registry or text(event, "request.host")
    name = ImageName.parse(f"{host}/{text(event, 'target.repository')}:{tag}")
    name = ImageName.parse(f"{name}@{text(event, 'target.digest')}")
    return ImagePushed(name.repository, tag, name.digest)


def _key(events: list[Any], body: bytes) -> str:
    """The events' own ids: an envelope that is sent again has the same ones."""
    found = [e.get("id") for e in events if isinstance(e, dict)]
    ids = [i for i in found if isinstance(i, str) and i]
    if not ids or len(ids) != len(events):
        return digest(body)
    return key_of(ids[0] if len(ids) == 1 else None, "\n".join(ids).encode(errors="backslashreplace"))
