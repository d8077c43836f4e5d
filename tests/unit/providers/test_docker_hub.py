"""Docker Hub: pushes of tags, known by the secret in the address."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.anything import settled, spoiled
from tests.unit.providers.parts import SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Unreadable, provider


def changed(**push_data: object) -> bytes:
    data = json.loads(body("docker-hub/push.json"))
    data["push_data"].update(push_data)
    return json.dumps(data).encode()


def test_a_pushed_tag_is_an_event_without_a_digest():
    parsed = parse("docker-hub", body("docker-hub/push.json"))
    assert parsed.events == (ImagePushed("docker.io/team/shop", "1.4.0"),)
    assert (parsed.verdict, parsed.body_digest) == (Verdict.ACCEPTED, "")


def test_the_configured_registry_stands_for_docker_hub_where_a_mirror_is_used():
    (event,) = parse("docker-hub", body("docker-hub/push.json"), hook("docker-hub", registry="mirror.example")).events
    assert event.repository == "mirror.example/team/shop"


@pytest.mark.parametrize("at", [1795000001, 1.795000001e9])
def test_the_time_of_the_push_may_be_a_float_and_another_push_of_the_tag_has_another_key(at):
    first, second = parse("docker-hub", body("docker-hub/push.json")), parse("docker-hub", changed(pushed_at=at))
    assert first.events == second.events
    assert first.key != second.key


def test_the_same_body_again_has_the_same_key():
    content = body("docker-hub/push.json")
    assert parse("docker-hub", content).key == digest(content)


def test_the_callback_is_not_called():
    assert parse("docker-hub", body("docker-hub/push.json")).confirm == ""


def test_a_push_without_a_tag_is_ignored_and_says_so():
    parsed = parse("docker-hub", body("docker-hub/untagged.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "pushed by digest, without a tag")


def test_a_tag_is_kept_as_it_was_checked():
    (event,) = parse("docker-hub", changed(tag="1.4.0 ")).events
    assert event.tag == "1.4.0"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"{}", "repository.repo_name"),
        (b'{"repository": {"repo_name": "team shop"}, "push_data": {"tag": "1"}}', "repository.repo_name"),
        (changed(tag="no tag"), "push_data.tag"),
        (changed(tag=14), "push_data.tag"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        parse("docker-hub", content)
    assert error.value.field == field


def test_the_secret_in_the_address_is_asked_for_and_either_of_two_will_do():
    for secret in ("a-secret-of-the-test", "new"):
        verify("docker-hub", {}, secrets=[b"new", SECRET], query={"secret": secret})
    assert provider("docker-hub").ABOUT.secret_in_url


@pytest.mark.parametrize("query", [{}, {"secret": ""}, {"secret": "wrong"}, {"secret": "s\xe9cret"}, {"Secret": "new"}])
def test_another_secret_or_none_is_turned_away(query):
    with pytest.raises(BadSignature):
        verify("docker-hub", {"authorization": "Bearer new"}, secrets=[b"new", b""], query=query)


@settings(max_examples=60)
@given(spoiled(body("docker-hub/push.json")))
def test_whatever_it_sends_is_understood_or_refused_with_the_field(content):
    settled("docker-hub", content)


@needs_payloads
def test_real_deliveries_are_understood():
    found = [parse("docker-hub", real(f"{name}.json")).events for name in ("docker-hub/push", "dockerhub/build_notice")]
    assert found == [
        (ImagePushed("docker.io/karolisr/keel", "0.1.7"),),
        (ImagePushed("docker.io/svendowideit/testhook", "latest"),),
    ]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://registry.hub.docker.com/u/team/shop/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/", True),
        ("https://registry.hub.docker.com.evil.example/u/team", False),
        ("https://registry.hub.docker.com@evil.example/u/team", False),
        ("http://registry.hub.docker.com/u/team", False),
        (7, False),
    ],
)
def test_a_callback_is_told_where_it_is_docker_hubs_own(url, told):
    content = json.loads(body("docker-hub/push.json")) | {"callback_url": url}
    assert bool(parse("docker-hub", json.dumps(content).encode()).callback) is told
