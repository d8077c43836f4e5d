"""GitLab: pushes of branches and tags, from a project, a group or the whole instance.

Source: https://docs.gitlab.com/user/project/integrations/webhooks/ and webhook_events/ (push and tag push events),
https://docs.gitlab.com/administration/system_hooks/, lib/gitlab/data_builder/push.rb.

- ``X-Gitlab-Token`` is the secret itself. Since 19.0 there is a signing token as well: a secret that starts with
  ``whsec_`` is one, and where a hook has it the Standard Webhooks signature by it is required; a plain token beside
  it opens nothing any more, or whoever saw one could leave out the signature.
- The commit is ``checkout_sha``: ``after`` of an annotated tag is the tag object. It is null where a ref was deleted.
- ``X-Gitlab-Event-UUID`` is shared by several deliveries; ``Idempotency-Key`` stays the same when one is sent again,
  and is not under the signature.
- A system hook has ``event_name`` where others have ``object_kind``. A custom body template may have neither; then
  the header says what happened.
- ``commits`` holds at most 20, and none for a tag. For more than three branches in one push GitLab sends nothing.
- The Test button sends a push of the default branch's newest commit, which nothing tells from a real one: it counts.
- Four 4xx in a row disable the hook for a time, forty for good: what cannot be read is taken and noted.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from webhooks.bodies import digest, first_line, is_null, parsed, read_json, text
from webhooks.proofs import WHSEC, plain, standard_webhook
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._changes import shown, the_one

ABOUT = About(
    title="GitLab",
    kind=Kind.GIT,
    events="push and tag push, of projects, groups and system hooks",
    signature="with a signing token (whsec_…) HMAC-SHA256 over id, time and body; else the secret in X-Gitlab-Token",
    replay=(
        "with a signing token the signed time, and a digest of the signed id and body; "
        "with a plain token the delivery's id alone: whoever has seen one request can write any other"
    ),
    setup=(
        "Project (or group) → Settings → Webhooks → Add new webhook",
        "URL: {url}",
        "Signing token (GitLab 19 and later; it starts with whsec_): {secret}",
        "Before GitLab 19: Secret token, and a secret without whsec_ (nodewise hook add gitlab --plain)",
        "Trigger: Push events, Tag push events",
        "Custom webhook template: leave it empty",
    ),
    tested="published examples of pushes, tag pushes and system hooks; not GitLab itself",
    whsec=True,
)
PUSHES = ("push", "tag_push")
PUSH_HEADERS = {"Push Hook": "push", "Tag Push Hook": "tag_push"}


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature where a signing token is in force, else the token. Raises BadSignature."""
    signing = [secret for secret in trust.secrets if secret.startswith(WHSEC)]
    if signing:
        standard_webhook(incoming, trust, signing)
    else:
        plain(incoming, trust, "x-gitlab-token")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The ref that moved. Never raises: see above."""
    key, guard = _key(incoming), _guard(incoming)
    try:
        data = read_json(incoming.body)
        kind = text(data, "object_kind", "") or text(data, "event_name", "")
        kind = kind or PUSH_HEADERS.get(incoming.header("x-gitlab-event"), "")
        if kind not in PUSHES:
            return parsed([f"event {kind[:40] or '(none named)'} is not used"], key, guard)
        return parsed([_pushed(data)], key, guard)
    except Unreadable as error:
        return Parsed(Verdict.UNUSABLE, key, note=error.what, body_digest=guard)


def _pushed(data: dict[str, Any]) -> CodePushed | str:
    ref, after = text(data, "ref"), text(data, "after", "")
    if (after and is_null(after)) or ("checkout_sha" in data and is_null(text(data, "checkout_sha", ""))):
        return f"{ref} was deleted"
    commit = text(data, "checkout_sha")
    pushed = the_one(data.get("commits"), "id", commit)
    return CodePushed(
        repository=text(data, "project.git_http_url", "") or text(data, "project.web_url"),
        ref=ref,
        commit=commit,
        before=text(data, "before", ""),
        message=first_line(shown(pushed, "message")),
        author=shown(pushed, "author.name"),
    )


def _key(incoming: Incoming) -> str:
    return incoming.header("idempotency-key") or incoming.header("webhook-id") or digest(incoming.body)


def _guard(incoming: Incoming) -> str:
    """Names what is signed, but for the time: a captured request under another key starts nothing.

    The id is part of it, so that a branch may be moved to and fro. Without a signature there is nothing to guard.
    """
    if not incoming.header("webhook-signature"):
        return ""
    return digest(incoming.header("webhook-id").encode() + b"." + incoming.body)
