"""Bitbucket Data Center (and Server): refs that changed.

Source: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html (repo:refs_changed) and
https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html (secret, test connection).

- ``X-Hub-Signature`` is ``sha256=`` and the hex HMAC over the raw body. Basic credentials may come beside it; they are
  not looked at, and open nothing by themselves.
- "Test connection" sends ``diagnostics:ping``, which may come unsigned. It is let through, answered 200, and has no
  effect: all pings are one delivery, so that strangers can neither fill the store nor take another delivery's id.
  A ping with a wrong signature is turned away, which is what one tests for.
- ``X-Request-Id`` is not under the signature, hence the digest; the body has the time in it.
- One body may hold several changes; ``type`` is ADD, UPDATE or DELETE. ``toHash`` of an annotated tag may be the tag
  object, from which git finds the commit.
- Older versions tell nothing of the commits; newer ones have ``toCommit`` and ``commits``.
- It is called by its HTTP address (``https://host/scm/…``), which is what a build's ``git`` has to say.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from webhooks.bodies import digest, first_line, is_null, objects, parsed, read_json, text
from webhooks.proofs import hmac_hex
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._changes import each, shown, the_one

ABOUT = About(
    title="Bitbucket Data Center",
    kind=Kind.GIT,
    events="repo:refs_changed (branches and tags)",
    signature="X-Hub-Signature: HMAC-SHA256 over the raw body; only a ping, which does nothing, may come without",
    replay="the request's id, and a digest of the body",
    setup=(
        "Repository settings (or Project settings) → Webhooks → Create webhook",
        "Name: nodewise",
        "URL: {url}",
        "Secret: {secret}",
        "Events: Repository → Push",
    ),
    tested="a published example of a change, and others in its shape; not Bitbucket itself",
)
PING = "diagnostics:ping"
SIGNATURE = "x-hub-signature"


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets; an unsigned ping is let through. There is no time in it."""
    if incoming.header("x-event-key") == PING and not incoming.header(SIGNATURE):
        return
    hmac_hex(incoming, trust, SIGNATURE, "sha256=")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every ref that moved. Raises Unreadable."""
    event = incoming.header("x-event-key")
    if event == PING:
        return Parsed(Verdict.PING, "ping", note="ping")
    guard = digest(incoming.body)
    key = incoming.header("x-request-id") or guard
    if event != "repo:refs_changed":
        return parsed([f"event {event[:40] or '(none named)'} is not used"], key, guard)
    data = read_json(incoming.body)
    repository = _repository(data)
    return parsed(each(data, "changes", lambda change: _pushed(change, repository, data)), key, guard)


def _pushed(change: dict[str, Any], repository: str, data: dict[str, Any]) -> CodePushed | str:
    ref, commit = text(change, "ref.id"), text(change, "toHash")
    if text(change, "type", "") == "DELETE" or is_null(commit):
        return f"{ref} was deleted"
    about = the_one([data.get("toCommit")], "id", commit) or the_one(data.get("commits"), "id", commit)
    author = shown(about, "author.displayName") or shown(about, "author.name")
    return CodePushed(repository, ref, commit, shown(change, "fromHash"), first_line(shown(about, "message")), author)


def _repository(data: dict[str, Any]) -> str:
    """The address to clone from: by HTTP, or else the first there is."""
    path = "repository.links.clone"
    links = objects(data, path)
    found = shown(the_one(links, "name", "http") or next(iter(links), {}), "href")
    if not found:
        raise Unreadable(f"{path} names no address", path)
    return found
