"""Gogs: pushes of branches, and tags that are new."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from tests.unit.providers.drawn import json_with
from tests.unit.providers.parts import COMMIT, SECRET, body, hmac_hex, needs_payloads, parse, real, verify
from webhooks.bodies import FORM, digest
from webhooks.provider import BadSignature, Unreadable

URL = "https://gogs.example/Team/shop.git"
PUSH = body("gogs/push.json")


def changed(**more) -> bytes:
    return json.dumps({**json.loads(PUSH), **more}).encode()


def test_a_push_is_an_event_whose_commit_is_found_among_the_listed_ones():
    parsed = parse("gogs", PUSH, x_gogs_event="push", x_gogs_delivery="guid-1")
    assert parsed.events == (CodePushed(URL, "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),)
    assert (parsed.key, parsed.body_digest) == ("guid-1", digest(PUSH))


def test_a_tag_is_told_by_create_alone_and_a_branch_by_its_push():
    (event,) = parse("gogs", body("gogs/create-tag.json"), x_gogs_event="create").events
    assert event == CodePushed(URL, "refs/tags/v1.2.0", COMMIT)
    parsed = parse("gogs", body("gogs/create-branch.json"), x_gogs_event="create")
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "refs/heads/hats is new, which its push tells")


@pytest.mark.parametrize("zeros", [40, 64])
def test_deletes_are_understood_and_ignored(zeros):
    assert parse("gogs", body("gogs/delete.json"), x_gogs_event="delete").note == "refs/heads/old was deleted"
    assert parse("gogs", changed(after="0" * zeros), x_gogs_event="push").note == "refs/heads/main was deleted"
    null_tag = changed(ref="v1", ref_type="tag", sha="0" * zeros)
    assert parse("gogs", null_tag, x_gogs_event="create").note == "refs/tags/v1 was deleted"


def test_the_test_button_moves_nothing_and_deploys_nothing():
    assert parse("gogs", changed(before=COMMIT), x_gogs_event="push").verdict is Verdict.IGNORED


@pytest.mark.parametrize("headers", [{"x_gogs_event": "fork"}, {"x_gitea_event": "push"}, {}])
def test_other_events_and_other_servers_headers_are_ignored(headers):
    assert parse("gogs", PUSH, **headers).verdict is Verdict.IGNORED


def test_of_a_form_the_json_inside_is_signed_and_read():
    form = b"payload=" + quote_plus(PUSH).encode()
    verify("gogs", {"content-type": FORM, "x-gogs-signature": hmac_hex(PUSH)}, form)
    parsed = parse("gogs", form, x_gogs_event="push", content_type=FORM)
    assert (parsed.events[0].commit, parsed.body_digest) == (COMMIT, digest(PUSH))


def test_the_signature_holds_by_any_of_two_secrets_and_only_under_its_own_name():
    right = hmac_hex(PUSH)
    verify("gogs", {"x-gogs-signature": right}, PUSH, [b"new", SECRET])
    for headers in ({}, {"x-gogs-signature": ""}, {"x-gogs-signature": "\xe9"}, {"x-gitea-signature": right}):
        with pytest.raises(BadSignature):
            verify("gogs", headers, PUSH, [b"new", SECRET])


@pytest.mark.parametrize(
    ("event", "content", "field"),
    [
        ("push", b"[]", ""),
        ("push", b'{"ref": 3}', "ref"),
        ("push", b'{"ref": "refs/heads/main", "after": "12"}', "repository.html_url"),
        ("create", b'{"ref": "v1", "ref_type": "tag"}', "sha"),
        ("delete", b"{}", "ref"),
    ],
)
def test_a_body_of_another_shape_names_the_field(event, content, field):
    with pytest.raises(Unreadable) as error:
        parse("gogs", content, x_gogs_event=event)
    assert error.value.field == field


@given(
    json_with("ref", "ref_type", "before", "after", "commits", "id", "sha", "repository", "clone_url"),
    st.sampled_from(["push", "create", "delete"]),
)
def test_whatever_comes_is_read_or_refused_by_name(data, event):
    try:
        assert parse("gogs", json.dumps(data).encode(), x_gogs_event=event).key
    except Unreadable:
        pass


@needs_payloads
def test_real_events_are_understood():
    (event,) = parse("gogs", real("gogs/push.json"), x_gogs_event="push").events
    assert event.repository == "http://localhost:3000/unknwon/webhooks.git"
    assert (event.ref, event.commit[:7], event.author) == ("refs/heads/develop", "bffeb74", "Unknwon")
    assert "feature-branch is new" in parse("gogs", real("gogs/create.json"), x_gogs_event="create").note
    assert "obsolete-branch was deleted" in parse("gogs", real("gogs/delete.json"), x_gogs_event="delete").note
