"""Harbor: pushed artifacts in both of its formats."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.anything import settled, spoiled
from tests.unit.providers.parts import SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Unreadable

PUSHED = ImagePushed("registry.example/team/shop", "1.4.0", "sha256:" + "1" * 64)


def changed(**resource: object) -> bytes:
    data = json.loads(body("harbor/push.json"))
    data["event_data"]["resources"][0].update(resource)
    return json.dumps(data).encode()


def test_a_pushed_tag_is_an_event_and_the_default_format_is_named_by_its_digest():
    content = body("harbor/push.json")
    parsed = parse("harbor", content)
    assert (parsed.events, parsed.key) == ((PUSHED,), digest(content))


def test_a_cloud_event_means_the_same_is_named_by_its_id_and_may_hold_several_tags():
    parsed = parse("harbor", body("harbor/cloudevent.json"), content_type="application/cloudevents+json")
    assert parsed.events == (PUSHED, ImagePushed(PUSHED.repository, "stable", PUSHED.digest))
    assert parsed.key == "5b2d0c1e-7a62-4c0b-93c5-1c9a0b7f2d10"


def test_the_same_tag_pushed_later_makes_another_key():
    content = body("harbor/push.json")
    later = content.replace(b'"occur_at": 1795000000', b'"occur_at": 1795000001')
    assert parse("harbor", later).events == parse("harbor", content).events
    assert parse("harbor", later).key != parse("harbor", content).key


def test_an_untagged_push_carries_its_digest_as_the_tag_and_is_ignored():
    parsed = parse("harbor", body("harbor/untagged.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "pushed by digest, without a tag")


def test_of_tagged_and_untagged_resources_in_one_body_the_tagged_count():
    data = json.loads(body("harbor/untagged.json"))
    data["event_data"]["resources"] += json.loads(body("harbor/push.json"))["event_data"]["resources"]
    assert parse("harbor", json.dumps(data).encode()).events == (PUSHED,)


def test_a_delete_is_ignored_and_says_so():
    parsed = parse("harbor", body("harbor/delete.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "DELETE_ARTIFACT is no push")


@pytest.mark.parametrize("kind", ["harbor.artifact.pulled", "harbor.artifact.deleted", "PUSH_ARTIFACT"])
def test_other_cloud_events_are_ignored(kind):
    data = json.loads(body("harbor/cloudevent.json")) | {"type": kind}
    assert parse("harbor", json.dumps(data).encode()).note == f"{kind} is no push"


def test_the_tag_is_believed_and_not_the_one_in_the_address():
    (event,) = parse("harbor", changed(resource_url="registry.example/other/name:9")).events
    assert event == PUSHED


def test_the_configured_registry_stands_for_the_one_in_the_address():
    for content in (body("harbor/push.json"), changed(resource_url=None)):
        (event,) = parse("harbor", content, hook("harbor", registry="registry.example:8443")).events
        assert event.repository == "registry.example:8443/team/shop"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"{}", "type"),
        (b'{"type": 3}', "type"),
        (b'{"type": "PUSH_ARTIFACT"}', "event_data.repository.repo_full_name"),
        (b'{"type": "harbor.artifact.pushed", "specversion": "1.0"}', "data.repository.repo_full_name"),
        (
            b'{"type": "PUSH_ARTIFACT", "event_data": {"repository": {"repo_full_name": "a/b"}}}',
            "event_data.resources",
        ),
        (changed(resource_url=None), "event_data.resources[0].resource_url"),
        (changed(resource_url="https://registry.example/a/b"), "event_data.resources[0].resource_url"),
        (changed(tag="no tag"), "event_data.resources[0].tag"),
        (changed(tag=3), "event_data.resources[0].tag"),
        (changed(digest="sha256:12"), "event_data.resources[0].digest"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        parse("harbor", content)
    assert error.value.field == field
    assert field in error.value.what


def test_a_cloud_events_id_that_cannot_be_stored_gives_way_to_the_digest():
    content = json.dumps(json.loads(body("harbor/cloudevent.json")) | {"id": "\ud800\0"}).encode()
    assert parse("harbor", content).key == digest(content)


@pytest.mark.parametrize(
    "authorization",
    ["a-secret-of-the-test", "Bearer a-secret-of-the-test", "Basic " + base64.b64encode(b"h:" + SECRET).decode()],
)
def test_the_header_holds_the_secret_as_it_was_entered_and_either_of_two_will_do(authorization):
    verify("harbor", {"authorization": authorization}, secrets=[b"new", SECRET])


@pytest.mark.parametrize("headers", [{}, {"authorization": "wrong"}, {"authorization": "\xe9"}, {"x-secret": "new"}])
def test_another_secret_or_none_is_turned_away(headers):
    with pytest.raises(BadSignature):
        verify("harbor", headers, secrets=[b"new", b""])


@settings(max_examples=60)
@given(spoiled(body("harbor/push.json")) | spoiled(body("harbor/cloudevent.json")))
def test_whatever_it_sends_is_understood_or_refused_with_the_field(content):
    settled("harbor", content)


@needs_payloads
def test_real_deliveries_are_understood():
    (event,) = parse("harbor", real("harbor/push-artifact-keel.json")).events
    assert (event.repository, event.tag) == ("quay.io/mynamespace/repository", "latest")
    assert parse("harbor", real("harbor/cloudevents-artifact-pulled.json")).note == "harbor.artifact.pulled is no push"
