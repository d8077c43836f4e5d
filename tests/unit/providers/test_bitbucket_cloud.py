"""Bitbucket Cloud: pushes of branches and tags."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from tests.unit.providers.drawn import json_with
from tests.unit.providers.parts import COMMIT, SECRET, body, hmac_hex, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Parsed, Unreadable

URL = "https://bitbucket.org/team/shop"
PUSH = body("bitbucket-cloud/push.json")


def told(content: bytes, event: str = "repo:push", **headers: str) -> Parsed:
    return parse("bitbucket-cloud", content, x_event_key=event, **headers)


def change(**more) -> bytes:
    data = json.loads(PUSH)
    data["push"]["changes"][0].update(more)
    return json.dumps(data).encode()


def test_a_push_to_a_branch_is_an_event_with_its_ref_in_full():
    parsed = told(PUSH)
    assert parsed.verdict is Verdict.ACCEPTED
    assert parsed.events == (CodePushed(URL, "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),)


def test_several_changes_of_one_body_are_several_events_and_tags_are_told_from_branches():
    parsed = told(body("bitbucket-cloud/several.json"))
    assert [(e.ref, e.before) for e in parsed.events] == [("refs/heads/main", "1" * 40), ("refs/tags/v1.2.0", "")]


def test_a_ref_without_a_new_side_was_deleted():
    parsed = told(body("bitbucket-cloud/delete.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert parsed.note == "refs/heads/old was deleted; refs/tags/v0 was deleted"


@pytest.mark.parametrize("zeros", [40, 64])
def test_a_null_commit_of_any_length_is_a_delete(zeros):
    new = {"type": "branch", "name": "main", "target": {"hash": "0" * zeros}}
    assert told(change(new=new)).note == "refs/heads/main was deleted"


def test_a_push_that_moved_nothing_is_ignored():
    assert told(change(new={"type": "named_branch", "name": "x"})).verdict is Verdict.IGNORED
    data = {"push": {"changes": []}, "repository": {"full_name": "team/shop"}}
    assert told(json.dumps(data).encode()).note == "nothing was pushed"


def test_an_author_without_an_account_is_named_as_in_the_commit():
    target = {"hash": COMMIT, "author": {"raw": "Ada <ada@example.org>"}}
    assert told(change(new={"type": "branch", "name": "main", "target": target})).events[0].author == "Ada"


@pytest.mark.parametrize("event", ["repo:fork", "pullrequest:created", ""])
def test_other_events_are_ignored(event):
    assert told(PUSH, event).verdict is Verdict.IGNORED


def test_the_attempts_of_a_request_have_one_id_and_the_body_guards_it():
    first = told(PUSH, x_request_uuid="r-1", x_hook_uuid="h-1", x_attempt_number="1")
    second = told(PUSH, x_request_uuid="r-1", x_hook_uuid="h-1", x_attempt_number="2")
    assert first.key == second.key == "r-1"
    assert first.body_digest == told(PUSH).key == digest(PUSH)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"nothing", ""),
        (b"{}", "repository.full_name"),
        (b'{"repository": {"full_name": "x"}}', "push.changes"),
        (b'{"repository": {"full_name": "x"}, "push": {"changes": [3]}}', "push.changes[0]"),
        (change(new={"type": "branch", "name": "x"}), "push.changes[0].new.target.hash"),
        (change(new={"type": "branch"}), "push.changes[0].new.name"),
        (change(new=None, old=None), "push.changes[0].old.type"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        told(content)
    assert error.value.field == field


def test_the_signature_holds_by_any_of_two_secrets_and_with_its_prefix():
    right = f"sha256={hmac_hex(PUSH)}"
    verify("bitbucket-cloud", {"x-hub-signature": right}, PUSH, [b"new", SECRET])
    sha1 = f"sha1={hmac_hex(PUSH, 'sha1')}"
    for headers in (
        {},
        *({"x-hub-signature": v} for v in ("", sha1, right[7:], "\xe9")),
        {"x-hub-signature-256": right},
    ):
        with pytest.raises(BadSignature):
            verify("bitbucket-cloud", headers, PUSH, [b"new", SECRET])
    with pytest.raises(BadSignature):
        verify("bitbucket-cloud", {"x-hub-signature": right}, PUSH + b" ")


@given(json_with("push", "changes", "new", "old", "type", "name", "target", "hash", "repository", "full_name"))
def test_whatever_comes_is_read_or_refused_by_name(data):
    wrapped = {"repository": {"full_name": "team/shop"}, "push": {"changes": data}}
    for content in (data, wrapped):
        try:
            assert told(json.dumps(content).encode()).key
        except Unreadable:
            pass


@needs_payloads
def test_a_real_push_is_understood():
    (event,) = told(real("bitbucket-cloud/push.json")).events
    assert event.repository == "https://bitbucket.org/team_name/repo_name"
    assert (event.ref, event.commit[:7]) == ("refs/heads/name-of-branch", "709d658")
    assert (event.message, event.before[:7]) == ("new commit message", "1e65c05")
