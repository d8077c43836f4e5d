"""Azure DevOps: code pushed to its repositories, by a service hook subscription of the kind "Web Hooks".

Source: https://learn.microsoft.com/azure/devops/service-hooks/events#code-pushed and
https://learn.microsoft.com/azure/devops/service-hooks/services/webhooks.

- Nothing is signed. It proves itself by basic credentials, or by a header that is entered at the subscription:
  ``Authorization``, or ``X-Nodewise-Token`` where that one is taken.
- ``resource.refUpdates`` is only there where "Resource details to send" is All.
- The Test button sends a sample with an id that is always the same, of a repository that is not there.
- One push may update several refs. A deleted one has a null ``newObjectId``; that of an annotated tag is the tag
  object, from which git finds the commit.
- ``id`` is the event's: it stays the same when the event is sent again.
- A 410 would switch the subscription off, and is never answered.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from webhooks.bodies import digest, first_line, is_null, parsed, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._changes import each, shown, the_one

ABOUT = About(
    title="Azure DevOps",
    kind=Kind.GIT,
    events="git.push (branches and tags)",
    signature="basic credentials whose password is the secret, or the secret in the header X-Nodewise-Token",
    replay="the event's id alone: whoever has seen one request can write any other, so use https",
    setup=(
        "Project settings → Service hooks → Create subscription → Web Hooks",
        "Trigger on this type of event: Code pushed",
        "URL: {url}",
        "Basic authentication username: nodewise",
        "Basic authentication password: {secret}",
        "Resource details to send: All",
    ),
    tested="a published example of the event; not Azure DevOps itself",
)
HEADER = "x-nodewise-token"
SAMPLE = "03c164c2-8912-4d5e-8009-3707d5f83734"
REFS = "resource.refUpdates"


def verify(incoming: Incoming, trust: Trust) -> None:
    """Basic credentials, or a header with the secret. There is no time in it."""
    credentials(incoming, trust, HEADER if incoming.header(HEADER) else "authorization")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """Every ref that moved. Raises Unreadable."""
    data = read_json(incoming.body)
    key = text(data, "id", "") or digest(incoming.body)
    event = text(data, "eventType")
    if key.lower() == SAMPLE:
        return Parsed(Verdict.PING, SAMPLE, note="the sample of the Test button")
    if event != "git.push":
        return parsed([f"event {event[:40]} is not used"], key)
    resource = data.get("resource")
    if not isinstance(resource, dict) or resource.get("refUpdates") is None:
        raise Unreadable(f"{REFS} is missing: set the subscription's 'Resource details to send' to All", REFS)
    repository = text(data, "resource.repository.remoteUrl")
    return parsed(each(data, REFS, lambda update: _pushed(update, repository, resource.get("commits"))), key)


def _pushed(update: dict[str, Any], repository: str, commits: Any) -> CodePushed | str:
    ref, commit = text(update, "name"), text(update, "newObjectId")
    if is_null(commit):
        return f"{ref} was deleted"
    about = the_one(commits, "commitId", commit)
    message, author = first_line(shown(about, "comment")), shown(about, "author.name")
    return CodePushed(repository, ref, commit, shown(update, "oldObjectId"), message, author)
