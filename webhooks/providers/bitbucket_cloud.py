"""Bitbucket Cloud: pushes of branches and tags.

Source: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push and
https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/ (request headers, secrets).

- ``X-Hub-Signature`` is ``sha256=`` and the hex HMAC over the raw body; without a secret there is none.
- ``X-Request-UUID`` stays the same over the attempts that ``X-Attempt-Number`` counts. It is not under the signature,
  hence the digest. A body has no time in it: a branch that is moved to and fro sends the same one twice.
- One body may hold several changes. ``new: null`` is a delete, ``old: null`` a new ref.
- No ref is spelled out: it is built from type and name. A tag's ``target`` is the commit, also of an annotated one.
- ``commits`` holds at most five, so the message is taken from ``new.target``.
- There is no address to clone from, and in Atlassian's own example the link to the repository's page is none: the
  address is built from the repository's full name.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import CodePushed
from webhooks.bodies import digest, first_line, is_null, parsed, read_json, text
from webhooks.proofs import hmac_hex
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._changes import each, shown

ABOUT = About(
    title="Bitbucket Cloud",
    kind=Kind.GIT,
    events="repo:push (branches and tags)",
    signature="X-Hub-Signature: HMAC-SHA256 over the raw body",
    replay="the request's id, and a digest of the body: the same move of the same ref counts once",
    setup=(
        "Repository settings (or Workspace settings) → Webhooks → Add webhook",
        "Title: nodewise",
        "URL: {url}",
        "Secret: {secret}",
        "Triggers: Repository push",
    ),
    tested="a published example of a push; not Bitbucket Cloud itself",
)
HOST = "https://bitbucket.org"
REFS = {"branch": "refs/heads/", "tag": "refs/tags/", "annotated_tag": "refs/tags/"}


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets. There is no time in it."""
    hmac_hex(incoming, trust, "x-hub-signature", "sha256=")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every ref that moved. Raises Unreadable."""
    guard = digest(incoming.body)
    key = incoming.header("x-request-uuid") or guard
    event = incoming.header("x-event-key")
    if event != "repo:push":
        return parsed([f"event {event[:40] or '(none named)'} is not used"], key, guard)
    data = read_json(incoming.body)
    repository = f"{HOST}/{text(data, 'repository.full_name')}"
    return parsed(each(data, "push.changes", lambda change: _pushed(change, repository)), key, guard)


def _pushed(change: dict[str, Any], repository: str) -> CodePushed | str:
    gone = change.get("new") is None
    side = "old" if gone else "new"
    kind, name = text(change, f"{side}.type"), text(change, f"{side}.name")
    if kind not in REFS:
        return f"{name}: a {kind[:40]} is neither a branch nor a tag"
    ref = REFS[kind] + name
    if gone or is_null(commit := text(change, "new.target.hash")):
        return f"{ref} was deleted"
    author = shown(change, "new.target.author.user.display_name") or shown(change, "new.target.author.raw")
    return CodePushed(
        repository,
        ref,
        commit,
        before=shown(change, "old.target.hash"),
        message=first_line(shown(change, "new.target.message")),
        author=author.partition(" <")[0],
    )
