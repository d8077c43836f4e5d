"""Plain git: the ``post-receive`` hook that is shipped beside this folder.

Signed as Standard Webhooks are (https://www.standardwebhooks.com, spec/standard-webhooks.md): HMAC-SHA256 over
``id.timestamp.body``, the id and the time under the signature. A secret that starts with ``whsec_`` is base64,
any other is taken as it is.

The body: ``{"repository": "…", "refs": [{"ref", "before", "after", "commit", "message", "author"}]}``, where
``after`` is what the ref points at and ``commit`` the commit behind it (an annotated tag is an object of its own).
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import CodePushed
from webhooks.bodies import is_null, parsed, read_json, text
from webhooks.proofs import standard_webhook
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._changes import each

ABOUT = About(
    title="plain git",
    kind=Kind.GIT,
    events="every ref that moved",
    signature="Standard Webhooks: HMAC-SHA256 over id, time and body",
    replay="the signed time and the id",
    setup=(
        "On the git server, with the secret {secret} in /etc/nodewise/git-hook-secret, in the bare repository:",
        "cp PATH-OF-NODEWISE/webhooks/post-receive hooks/post-receive",
        "chmod +x hooks/post-receive",
        "git config nodewise.url {url}",
        "git config nodewise.secretFile /etc/nodewise/git-hook-secret",
        "git config nodewise.repository https://git.example.org/shop.git",
        "The last is the repository's name in nodewise.yaml; without it, it is called by its path",
    ),
    tested="git itself, over HTTP and local, pushing to a bare repository with the hook in it",
    whsec=True,
)


def verify(incoming: Incoming, trust: Trust) -> None:
    """Any of the signatures by any of the secrets, with a time within the window."""
    standard_webhook(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every ref that moved to a commit. Raises Unreadable."""
    data = read_json(incoming.body)
    repository = text(data, "repository")
    found = each(data, "refs", lambda ref: _pushed(repository, ref))
    return parsed(found, incoming.header("webhook-id"), nothing="no ref moved")


def _pushed(repository: str, ref: dict[str, Any]) -> CodePushed | str:
    name, after = text(ref, "ref"), text(ref, "after")
    if is_null(after):
        return f"{name} was deleted"
    return CodePushed(
        repository,
        name,
        commit=text(ref, "commit", "") or after,
        before=text(ref, "before", ""),
        message=text(ref, "message", ""),
        author=text(ref, "author", ""),
    )
