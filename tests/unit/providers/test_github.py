"""GitHub: pushes of code and of images."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote_plus

import pytest

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from tests.unit.providers.parts import COMMIT, NOW, SECRET, body, parse, verify
from webhooks.provider import BadSignature, Unreadable


def test_a_push_to_a_branch_is_an_event_and_the_body_guards_the_id():
    content = body("github/push.json")
    parsed = parse("github", content, x_github_event="push", x_github_delivery="guid-1")
    assert parsed.events == (
        CodePushed("https://github.example/team/shop.git", "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),
    )
    assert (parsed.key, parsed.body_digest) == ("guid-1", "sha256:" + hashlib.sha256(content).hexdigest())


def test_an_annotated_tag_means_the_commit_behind_it():
    (event,) = parse("github", body("github/annotated-tag.json"), x_github_event="push").events
    assert (event.ref, event.commit) == ("refs/tags/v1.2.0", COMMIT)


def test_a_form_carries_the_same():
    form = b"payload=" + quote_plus(body("github/push.json")).encode()
    parsed = parse("github", form, x_github_event="push", content_type="application/x-www-form-urlencoded; charset=x")
    assert parsed.events[0].commit == COMMIT
    with pytest.raises(Unreadable, match="payload"):
        parse("github", b"a=b", x_github_event="push", content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("event", ["create", "delete", "workflow_run", ""])
def test_other_events_are_ignored(event):
    parsed = parse("github", body("github/push.json"), x_github_event=event)
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())


def test_a_ping_is_a_ping_and_a_deleted_branch_is_ignored():
    assert parse("github", b"{}", x_github_event="ping").verdict is Verdict.PING
    assert parse("github", body("github/delete.json"), x_github_event="push").note == "refs/heads/old was deleted"


def test_a_push_without_its_repository_names_what_is_missing():
    with pytest.raises(Unreadable) as error:
        parse("github", b'{"ref": "refs/heads/main", "after": "12"}', x_github_event="push")
    assert error.value.field == "repository.html_url"


def test_githubs_signature_holds_over_the_raw_body_and_only_as_sha256():
    content = body("github/push.json")
    right = "sha256=" + hmac.new(SECRET, content, hashlib.sha256).hexdigest()
    verify("github", {"x-hub-signature-256": right}, content, [b"new", SECRET], NOW)
    sha1 = "sha1=" + hmac.new(SECRET, content, hashlib.sha1).hexdigest()
    for headers in (
        {},
        {"x-hub-signature": sha1},
        {"x-hub-signature-256": sha1},
        {"x-hub-signature-256": "sha256=\xe9"},
    ):
        with pytest.raises(BadSignature):
            verify("github", headers, content, [SECRET], NOW)
    with pytest.raises(BadSignature):
        verify("github", {"x-hub-signature-256": right}, content + b" ", [SECRET], NOW)
