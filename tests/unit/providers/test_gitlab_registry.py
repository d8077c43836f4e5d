"""GitLab's container registry: what differs from Distribution, and that the rest does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.anything import settled, spoiled
from tests.unit.providers.parts import SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.provider import BadSignature, provider


def test_a_pushed_tag_is_an_event_with_the_digest_and_the_envelope_is_named_by_its_event():
    parsed = parse("gitlab-registry", body("gitlab-registry/push.json"))
    assert parsed.events == (ImagePushed("registry.gitlab.example/group/project/shop", "1.4.0", "sha256:" + "1" * 64),)
    assert parsed.key == "0f7d7c4a-3b0e-4a55-9a60-6f3f2e0c1d01"


def test_of_a_multi_arch_push_only_the_tagged_index_counts():
    parsed = parse("gitlab-registry", body("gitlab-registry/multi-arch.json"))
    assert [(e.tag, e.digest) for e in parsed.events] == [("1.5.0", "sha256:" + "1" * 64)]


def test_a_deleted_tag_and_a_renamed_repository_are_no_pushes():
    parsed = parse("gitlab-registry", body("gitlab-registry/no-push.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "delete is no push; rename is no push")


def test_the_configured_registry_stands_for_the_notified_host():
    config = hook("gitlab-registry", registry="registry.example:5050")
    (event,) = parse("gitlab-registry", body("gitlab-registry/push.json"), config).events
    assert event.repository == "registry.example:5050/group/project/shop"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "no JSON"),
        (b"{}", "events is no list"),
        (b'{"events": [3]}', "events[0]: action is missing"),
        (b'{"events": [{"action": "push", "target": {"mediaType": 3}}]}', "events[0]: target.mediaType is a int"),
    ],
)
def test_what_cannot_be_read_is_taken_and_noted_for_a_refusal_would_be_repeated(content, reason):
    parsed = parse("gitlab-registry", content)
    assert parsed.verdict is Verdict.UNUSABLE
    assert reason in parsed.note


def test_an_id_that_is_no_plain_word_gives_way_to_a_digest():
    for ids in (["\ud800"], ["a\0b"], ["\ud800", "b"]):
        content = json.dumps({"events": [{"id": i, "action": "pull"} for i in ids]}).encode()
        assert parse("gitlab-registry", content).key.startswith("sha256:")


def test_an_envelope_that_is_sent_again_has_the_same_key():
    data = json.loads(body("gitlab-registry/multi-arch.json"))
    again = json.dumps(data, indent=1).encode()
    assert parse("gitlab-registry", body("gitlab-registry/multi-arch.json")).key == parse("gitlab-registry", again).key


def test_it_proves_itself_as_distribution_does():
    verify("gitlab-registry", {"authorization": "Bearer a-secret-of-the-test"}, secrets=[b"new", SECRET])
    verify("gitlab-registry", {"authorization": "a-secret-of-the-test"})
    for headers in ({}, {"authorization": "Bearer wrong"}, {"x-token": "a-secret-of-the-test"}):
        with pytest.raises(BadSignature):
            verify("gitlab-registry", headers)


def test_it_is_introduced_as_itself():
    about = provider("gitlab-registry").ABOUT
    assert "GitLab" in about.title
    assert any("maxretries" in line for line in about.setup)
    assert not any("threshold" in line for line in about.setup)


@settings(max_examples=60)
@given(spoiled(body("gitlab-registry/push.json")))
def test_nothing_that_it_may_send_is_refused(content):
    settled("gitlab-registry", content, refuses=False)


@needs_payloads
def test_a_real_notification_of_the_registry_that_it_comes_from_is_understood():
    (event,) = parse("gitlab-registry", real("distribution/push-v1.json")).events
    assert (event.repository, event.tag) == ("registry.git.erxes.io/foo/bar", "1.6.1")
