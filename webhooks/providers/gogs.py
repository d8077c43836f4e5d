"""Gogs: pushes of code. It has no container registry.

Sources and traps: see ``_gitea.py``. ``X-Gogs-Signature`` is the only one. A tag is told by ``create`` alone, whose
``sha`` may be the tag object; a new branch by ``create`` and ``push``, of which the second is used.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import CodePushed
from webhooks.bodies import is_null, text
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._gitea import deleted, full_ref, parse_event, pushed, repository_of, verify_json

ABOUT = About(
    title="Gogs",
    kind=Kind.GIT,
    events="push (branches); create (tags)",
    signature="X-Gogs-Signature: HMAC-SHA256 over the JSON",
    replay="the delivery's id, and a digest of the JSON",
    setup=(
        "Repository → Settings → Webhooks → Add a new webhook → Gogs",
        "Payload URL: {url}",
        "Content Type: application/json",
        "Secret: {secret}",
        "When should this webhook be triggered: Let me choose what I need: Create, Push",
    ),
    tested="published examples of its events; not Gogs itself",
)


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets. There is no time in it."""
    verify_json(incoming, trust, "x-gogs-signature")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The ref that moved, or the tag that is new. Raises Unreadable."""
    return parse_event(incoming, hook, "gogs", {"push": pushed, "delete": deleted, "create": _created})


def _created(data: dict[str, Any], hook: HookConfig) -> CodePushed | str:
    ref = full_ref(data)
    if not ref.startswith("refs/tags/"):
        return f"{ref} is new, which its push tells"
    commit = text(data, "sha")
    return f"{ref} was deleted" if is_null(commit) else CodePushed(repository_of(data), ref, commit)
