"""What Gitea, Forgejo and Gogs have in common: one began as a copy of the other, and their headers differ in a name.

Source: https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/,
https://gogs.io/advanced/webhooks; gitea's services/webhook/deliver.go, services/webhook/notifier.go and
modules/structs/hook.go; gogs' internal/database/webhook.go.

- The signature is hex without a prefix. Of a form it is made over the JSON inside ``payload``, not over the body: the
  same JSON is what is digested, or a captured one could come again with the form written in another way.
- Without a secret the header is there and empty.
- The id is not under the signature, hence the digest.
- A deleted branch is told by ``delete`` alone, with a short ref (and its kind beside it).
- An annotated tag's ``after`` is the tag object: the commit is ``head_commit.id``, which Gogs does not have.
- The Test Delivery button sends a push of the newest commit in which ``before`` and ``after`` are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import CodePushed, Event, ImagePushed
from webhooks.bodies import digest, first_line, form_or_json, image, is_null, parsed, read_json, text
from webhooks.proofs import hmac_hex
from webhooks.provider import BadSignature, Incoming, Parsed, Trust, Unreadable
from webhooks.providers._changes import shown, the_one

Reader = Callable[[dict[str, Any], HookConfig], Event | str]


def verify_json(incoming: Incoming, trust: Trust, header: str) -> None:
    """The HMAC over the JSON, also where it comes in a form. Raises BadSignature."""
    try:
        signed = form_or_json(incoming)
    except Unreadable:
        raise BadSignature("wrong signature") from None
    hmac_hex(incoming, trust, header, body=signed)


def parse_event(incoming: Incoming, hook: HookConfig, family: str, readers: Mapping[str, Reader]) -> Parsed:
    """What the reader of the event makes of it; *family* is what the headers are named by. Raises Unreadable."""
    content = form_or_json(incoming)
    guard = digest(content)
    key = incoming.header(f"x-{family}-delivery") or guard
    event = incoming.header(f"x-{family}-event")
    if event not in readers:
        return parsed([f"event {event[:40] or '(none named)'} is not used"], key, guard)
    return parsed([readers[event](read_json(content), hook)], key, guard)


def pushed(data: dict[str, Any], hook: HookConfig) -> CodePushed | str:
    """A branch or a tag that moved."""
    ref, before, after = text(data, "ref"), text(data, "before", ""), text(data, "after")
    if is_null(after):
        return f"{ref} was deleted"
    if before == after:
        return f"{ref} did not move: a test"
    head = data.get("head_commit")
    commit = text(data, "head_commit.id", "") or after
    about = head if isinstance(head, dict) else the_one(data.get("commits"), "id", commit)
    message, author = first_line(shown(about, "message")), shown(about, "author.name")
    return CodePushed(repository_of(data), ref, commit, before, message, author)


def deleted(data: dict[str, Any], hook: HookConfig) -> str:
    """A branch or a tag that is gone."""
    return f"{full_ref(data)} was deleted"


def published(data: dict[str, Any], hook: HookConfig) -> ImagePushed | str:
    """A tag in the container registry. ``repository`` is null where the package belongs to none, and is not needed.

    A tag that is pushed again is "created" again, a manifest of an index is a version named by its digest. The server
    itself has put the tag in lower case.
    """
    action, kind, version = text(data, "action"), text(data, "package.type"), text(data, "package.version")
    if action != "created":
        return f"package {action[:40]} is no push"
    if kind != "container":
        return f"a package of type {kind[:40]} is no container image"
    if ":" in version:
        return "pushed by digest, without a tag"
    owner = text(data, "package.owner.login", "") or text(data, "package.owner.username")
    host = hook.registry or _host(text(data, "package.html_url"))
    return image(f"{host}/{owner}/{text(data, 'package.name')}".lower(), version)


def repository_of(data: dict[str, Any]) -> str:
    """The address that the server names the repository by."""
    return text(data, "repository.clone_url", "") or text(data, "repository.html_url")


def full_ref(data: dict[str, Any]) -> str:
    """The ref in full, of an event that may give it in short with its kind beside it."""
    ref, kind = text(data, "ref"), text(data, "ref_type", "")
    return ref if ref.startswith("refs/") else f"refs/{'tags' if kind == 'tag' else 'heads'}/{ref}"


def _host(url: str) -> str:
    """The registry is where the server is, whatever path the server itself has."""
    host = url.partition("://")[2].partition("/")[0]
    if not host:
        raise Unreadable("package.html_url names no host", "package.html_url")
    return host
