"""Azure Container Registry: its webhooks."""

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


def changed(**target: object) -> bytes:
    data = json.loads(body("azure-acr/push.json"))
    data["target"].update(target)
    return json.dumps(data).encode()


def test_a_pushed_tag_is_an_event_with_the_digest_and_named_by_its_id():
    parsed = parse("azure-acr", body("azure-acr/push.json"))
    assert parsed.events == (ImagePushed("registry.example/team/shop", "1.4.0", "sha256:" + "1" * 64),)
    assert (parsed.key, parsed.body_digest) == ("c2a9f1d4-0b6e-4a53-8c8e-2f0f7e0a4b11", "")


def test_the_configured_registry_stands_for_the_notified_host():
    (event,) = parse("azure-acr", body("azure-acr/push.json"), hook("azure-acr", registry="images.example")).events
    assert event.repository == "images.example/team/shop"


def test_names_in_mixed_case_are_those_that_images_have():
    assert parse("azure-acr", changed(repository="Team/Shop")).events[0].repository == "registry.example/team/shop"


def test_a_delete_has_no_tag_and_is_ignored():
    parsed = parse("azure-acr", body("azure-acr/delete.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "delete is no push")


@pytest.mark.parametrize("action", ["chart_push", "chart_delete", "quarantine"])
def test_charts_and_quarantine_are_ignored(action):
    content = json.dumps(json.loads(body("azure-acr/chart.json")) | {"action": action}).encode()
    assert parse("azure-acr", content).note == f"{action} is no push"


def test_a_ping_is_a_ping_whatever_else_is_in_it():
    for content in (body("azure-acr/ping.json"), b'{"action": "ping"}', b'{"action": "ping", "target": 3}'):
        parsed = parse("azure-acr", content)
        assert (parsed.verdict, parsed.events) == (Verdict.PING, ())


@pytest.mark.parametrize("tag", [None, ""])
def test_a_push_by_digest_is_ignored(tag):
    assert parse("azure-acr", changed(tag=tag)).note == "pushed by digest, without a tag"


def test_without_an_id_that_is_a_plain_word_the_bodys_digest_is_the_key():
    for id_ in (None, 3, "", "\ud800"):
        content = json.dumps(json.loads(body("azure-acr/push.json")) | {"id": id_}).encode()
        assert parse("azure-acr", content).key == digest(content)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"{}", "action"),
        (b"[]", ""),
        (b'{"action": "push", "target": {"tag": "1"}}', "request.host"),
        (changed(repository=None), "target.repository"),
        (changed(repository="no name"), "target.repository"),
        (changed(tag="no tag"), "target.tag"),
        (changed(digest="sha256:12"), "target.digest"),
        (changed(digest=12), "target.digest"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        parse("azure-acr", content)
    assert error.value.field == field


@pytest.mark.parametrize(
    "authorization",
    ["Bearer a-secret-of-the-test", "Basic " + base64.b64encode(b"acr:" + SECRET).decode(), "a-secret-of-the-test"],
)
def test_the_custom_header_holds_the_secret_and_either_of_two_will_do(authorization):
    verify("azure-acr", {"authorization": authorization}, secrets=[b"new", SECRET])


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-secret": "new"}])
def test_another_secret_or_none_is_turned_away(headers):
    with pytest.raises(BadSignature):
        verify("azure-acr", headers, secrets=[b"new", b""])


@settings(max_examples=60)
@given(spoiled(body("azure-acr/push.json")))
def test_whatever_it_sends_is_understood_or_refused_with_the_field(content):
    settled("azure-acr", content)


@needs_payloads
def test_real_deliveries_are_understood():
    (event,) = parse("azure-acr", real("azure-acr/push.json")).events
    assert (event.repository, event.tag) == ("myregistry.azurecr.io/hello-world", "v1")
    assert event.digest.startswith("sha256:80f0d5c8")
    assert parse("azure-acr", real("azure-acr/delete.json")).verdict is Verdict.IGNORED
