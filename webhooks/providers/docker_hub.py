"""Docker Hub: pushes to a repository on it.

Source: https://docs.docker.com/docker-hub/repos/manage/webhooks/.

- It signs nothing and sends no header of ours: the secret is in the address, and may be in a proxy's log.
- There is neither a digest nor an id: the registry says what the tag is, and the key is the body's digest. The same
  tag pushed again makes another body, for ``push_data.pushed_at`` (an integer or a float, in seconds, which is not
  read) is in it; two pushes within a second are alike only when both names are, and then the second has nothing to add.
- ``callback_url`` is no longer documented: it is answered where it is Docker Hub's own, and nothing hangs on it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import ImagePushed
from nodewise.domain.images import HUB
from webhooks.bodies import digest, parsed, read_json, text
from webhooks.proofs import in_address
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._registries import UNTAGGED, pushed

ABOUT = About(
    title="Docker Hub",
    kind=Kind.REGISTRY,
    events="push of a tag",
    signature="the secret in the address",
    replay="a digest of the body, which holds the time of the push",
    setup=(
        "Repository → Webhooks",
        "Webhook name: nodewise",
        "Webhook URL: {url}?secret={secret}",
    ),
    tested="a published example of a push; not Docker Hub itself",
    secret_in_url="Docker Hub signs nothing, and takes nothing but an address",  # noqa: S106
)
CALLBACK = re.compile(r"https://registry\.hub\.docker\.com/u/[\w./-]{1,300}", re.ASCII)
FIELDS = ("repository.repo_name", "push_data.tag", "")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The secret of the address. There is nothing else to go by."""
    in_address(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was pushed. Raises Unreadable."""
    data = read_json(incoming.body)
    found = parsed([_pushed(data, hook.registry or HUB)], digest(incoming.body))
    callback = data.get("callback_url")
    ours = isinstance(callback, str) and CALLBACK.fullmatch(callback)
    return replace(found, callback=str(callback)) if ours else found


def _pushed(data: dict[str, Any], registry: str) -> ImagePushed | str:
    name = text(data, "repository.repo_name").lower()
    tag = text(data, "push_data.tag", "")
    return pushed(f"{registry}/{name}", tag, "", FIELDS) if tag else UNTAGGED
