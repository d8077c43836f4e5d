"""Forgejo: pushes of code, and of images to its container registry.

Sources and traps: see ``_gitea.py``. ``X-Gitea-Signature`` and the headers of Gogs and GitHub come too, and are not
looked at. A tag sends ``push`` and ``create``, of which the first is used.
"""

from __future__ import annotations

from nodewise.config.hooks import HookConfig
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._gitea import deleted, parse_event, published, pushed, verify_json

ABOUT = About(
    title="Forgejo",
    kind=Kind.BOTH,
    events="push (branches and tags); package (container images)",
    signature="X-Forgejo-Signature: HMAC-SHA256 over the JSON",
    replay="the delivery's id, and a digest of the JSON",
    setup=(
        "Repository (for images, the owner of the packages) → Settings → Webhooks → Add Webhook → Forgejo",
        "Target URL: {url}",
        "HTTP Method: POST",
        "POST Content Type: application/json",
        "Secret: {secret}",
        "Trigger On: Custom Events… → Push; for images, Package",
    ),
    tested="published examples of pushes and deleted refs of Gitea, whose events it shares; not Forgejo itself",
)


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets. There is no time in it."""
    verify_json(incoming, trust, "x-forgejo-signature")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The ref that moved, or the tag that was pushed. Raises Unreadable."""
    return parse_event(incoming, hook, "forgejo", {"push": pushed, "delete": deleted, "package": published})
