"""CNCF Distribution: what a registry's notifications mean."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.parts import NOW, SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.provider import BadSignature


def test_a_pushed_tag_is_an_event_with_the_digest_and_the_envelope_is_named_by_its_event():
    parsed = parse("distribution", body("distribution/push.json"))
    assert parsed.verdict is Verdict.ACCEPTED
    assert parsed.events == (ImagePushed("registry.example:5000/team/shop", "1.4.0", "sha256:" + "1" * 64),)
    assert parsed.key == "6a1f0b52-8a1e-4d7e-9a0e-0c4f0a3d7b11"


def test_of_several_events_only_tagged_manifests_that_were_pushed_count():
    parsed = parse("distribution", body("distribution/several.json"))
    assert [(e.repository, e.tag) for e in parsed.events] == [
        ("registry.example:5000/team/shop", "1.5.0"),
        ("registry.example:5000/team/cart", "2.0.0"),
    ]


def test_a_delete_is_ignored_and_says_so():
    parsed = parse("distribution", body("distribution/delete.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert "delete is no push" in parsed.note


def test_the_configured_registry_stands_for_the_notified_host():
    config = hook("distribution", registry="registry.example.org")
    (event,) = parse("distribution", body("distribution/push.json"), config).events
    assert event.repository == "registry.example.org/team/shop"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"[]", "not an object"),
        (b"{}", "events is no list"),
        (b'{"events": [{"action": "push"}, 3]}', "events[1]"),
    ],
)
def test_what_a_registry_sends_and_nobody_can_read_is_taken_and_noted(content, reason):
    parsed = parse("distribution", content)
    assert parsed.verdict in (Verdict.UNUSABLE, Verdict.IGNORED)
    assert reason in parsed.note


def test_a_tagged_manifest_without_a_digest_is_unusable_and_the_rest_of_the_envelope_is_used():
    envelope = json.loads(body("distribution/push.json"))
    broken = json.loads(json.dumps(envelope["events"][0]))
    del broken["target"]["digest"]
    parsed = parse("distribution", json.dumps({"events": [broken]}).encode())
    assert (parsed.verdict, parsed.note) == (Verdict.UNUSABLE, "events[0]: target.digest is missing")
    parsed = parse("distribution", json.dumps({"events": [broken, *envelope["events"]]}).encode())
    assert (parsed.verdict, len(parsed.events)) == (Verdict.ACCEPTED, 1)
    assert "target.digest" in parsed.note


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["events", "action", "target", "tag", "mediaType", "request", "host", "id", "digest"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_nothing_that_a_registry_may_send_is_refused_by_an_error(data):
    parsed = parse("distribution", json.dumps(data).encode())
    assert parsed.key


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer a-secret-of-the-test",
        "Basic " + base64.b64encode(b"registry:a-secret-of-the-test").decode(),
        "bearer  a-secret-of-the-test ",
    ],
)
def test_a_registry_proves_itself_with_a_bearer_token_or_a_basic_password(authorization):
    verify("distribution", {"authorization": authorization}, b"", [b"other", SECRET], NOW)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer a-secret", "Basic !!", "Basic " + base64.b64encode(b"a:b").decode(), "Bearer s\xe9cret"],
)
def test_a_registry_with_other_credentials_is_turned_away(authorization):
    with pytest.raises(BadSignature):
        verify("distribution", {"authorization": authorization}, b"", [SECRET], NOW)


def test_an_empty_secret_opens_nothing():
    for scheme in ("Bearer ", "Basic " + base64.b64encode(b":").decode()):
        with pytest.raises(BadSignature):
            verify("distribution", {"authorization": scheme}, b"", [b""], NOW)


@needs_payloads
def test_real_notifications_of_a_registry_are_understood():
    pushed = parse("distribution", real("distribution/push-v1.json"))
    assert [(e.repository, e.tag) for e in pushed.events] == [("registry.git.erxes.io/foo/bar", "1.6.1")]
    assert parse("distribution", real("distribution/pull.json")).verdict is Verdict.IGNORED
