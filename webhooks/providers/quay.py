"""Quay: pushes to a repository, told by its notifications.

Source: https://docs.projectquay.io/use_quay.html#repository-notifications; quay/quay,
notifications/notificationevent.py and notifications/notificationmethod.py.

- It signs nothing (it can show a client certificate, which is a proxy's to check): the secret is in the address, and
  may be in a proxy's log.
- There is no type: a push is what has ``updated_tags``. Each tag has a notification of its own.
- Users may write the body themselves. What then has no ``updated_tags`` is ignored.
- There is no digest: the registry says what the tag is.
- Three failures in a row switch the notification off: what cannot be read is taken and noted.
- There is neither an id nor a time: every push of a tag has the same body, and is as new as the first. Who could send
  one again has the secret, and could write any; what comes of it is another look at the registry.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from webhooks.bodies import parsed, read_json, text
from webhooks.proofs import in_address
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._registries import pushed

ABOUT = About(
    title="Quay",
    kind=Kind.REGISTRY,
    events="Push to Repository",
    signature="the secret in the address",
    replay="none: a repeated request makes Nodewise look at the registry again, and that is all",
    setup=(
        "Repository → Settings → Events and Notifications → Create Notification",
        "When this event occurs: Push to Repository",
        "Then issue a notification: Webhook POST",
        "Webhook URL: {url}?secret={secret}",
        "POST JSON template: leave it empty",
    ),
    tested="a published example, and bodies as its source writes them; not Quay itself",
    secret_in_url="Quay signs nothing, and takes nothing but an address",  # noqa: S106
)
EACH_IS_NEW = ""  # as a key


def verify(incoming: Incoming, trust: Trust) -> None:
    """The secret of the address. There is nothing else to go by."""
    in_address(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every tag that was pushed. Never raises: see above."""
    try:
        data = read_json(incoming.body)
        if data.get("updated_tags") is None:
            return parsed(["no updated_tags: no push, or a body of somebody's own"], EACH_IS_NEW)
        return parsed(_pushes(data, hook.registry), EACH_IS_NEW)
    except Unreadable as error:
        return Parsed(Verdict.UNUSABLE, EACH_IS_NEW, note=error.what)


def _pushes(data: dict[str, Any], registry: str) -> list[ImagePushed]:
    tags = data["updated_tags"]
    if not isinstance(tags, list):
        raise Unreadable("updated_tags is no list", "updated_tags")
    name, where = _name(data, registry)
    return [_pushed(name, where, tag, f"updated_tags[{number}]") for number, tag in enumerate(tags)]


def _pushed(name: str, where: str, tag: object, place: str) -> ImagePushed:
    if not isinstance(tag, str):
        raise Unreadable(f"{place} is no text", place)
    return pushed(name, tag, "", (where, place, ""))


def _name(data: dict[str, Any], registry: str) -> tuple[str, str]:
    """The repository with its registry, and the field that it is from."""
    if registry:
        return f"{registry}/{text(data, 'repository')}", "repository"
    return text(data, "docker_url"), "docker_url"
