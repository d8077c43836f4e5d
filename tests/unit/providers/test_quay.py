"""Quay: pushes of tags, known by the secret in the address."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.events import ImagePushed
from nodewise.store import Store
from tests.unit.providers.anything import settled, spoiled
from tests.unit.providers.parts import NOW, SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.provider import BadSignature, provider


def changed(**more: object) -> bytes:
    return json.dumps(json.loads(body("quay/push.json")) | more).encode()


def test_a_pushed_tag_is_an_event_without_a_digest():
    parsed = parse("quay", body("quay/push.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.ACCEPTED, (ImagePushed("quay.example/team/shop", "1.4.0"),))


def test_several_tags_in_one_body_are_several_events():
    parsed = parse("quay", changed(updated_tags=["1.4.0", "latest"]))
    assert [e.tag for e in parsed.events] == ["1.4.0", "latest"]


def test_the_configured_registry_stands_for_the_host_of_the_address():
    for content in (body("quay/push.json"), changed(docker_url=None)):
        (event,) = parse("quay", content, hook("quay", registry="registry.example")).events
        assert event.repository == "registry.example/team/shop"


def test_every_push_of_a_tag_has_the_same_body_and_each_starts_something(tmp_path):
    content = body("quay/push.json")
    parsed = parse("quay", content)
    delivery = NewDelivery("quay", "quay", parsed.key, parsed.verdict, content, parsed.events, parsed.body_digest)
    store = Store.open(f"sqlite:///{tmp_path}/nodewise.db")
    try:
        store.migrate()
        first, second = store.accept(delivery, NOW), store.accept(delivery, NOW)
        assert first.created
        assert second.created
        assert first.delivery_id != second.delivery_id
        assert {d.key for d in store.deliveries()} == {first.delivery_id, second.delivery_id}
    finally:
        store.close()


@pytest.mark.parametrize("content", [body("quay/vulnerability.json"), b'{"text": "somebody wrote this"}'])
def test_other_events_and_bodies_of_the_users_own_are_ignored_and_say_so(content):
    parsed = parse("quay", content)
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert "updated_tags" in parsed.note


def test_a_push_of_no_tag_is_ignored():
    assert parse("quay", changed(updated_tags=[])).verdict is Verdict.IGNORED


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "not an object"),
        (changed(updated_tags={"latest": "image"}), "updated_tags is no list"),
        (changed(updated_tags=["1.4.0", 3]), "updated_tags[1]"),
        (changed(updated_tags=["1.4.0", "no tag"]), "updated_tags[1]"),
        (changed(docker_url=None), "docker_url is missing"),
        (changed(docker_url="quay.example/No Name"), "docker_url"),
    ],
)
def test_what_cannot_be_read_is_taken_and_noted_for_refusals_switch_the_notification_off(content, field):
    parsed = parse("quay", content)
    assert parsed.verdict is Verdict.UNUSABLE
    assert field in parsed.note


def test_the_secret_in_the_address_is_asked_for_and_either_of_two_will_do():
    for secret in ("a-secret-of-the-test", "new"):
        verify("quay", {}, secrets=[b"new", SECRET], query={"secret": secret})
    assert provider("quay").ABOUT.secret_in_url


@pytest.mark.parametrize("query", [{}, {"secret": ""}, {"secret": "wrong"}, {"secret": "s\xe9cret"}])
def test_another_secret_or_none_is_turned_away(query):
    with pytest.raises(BadSignature):
        verify("quay", {"authorization": "Bearer new"}, secrets=[b"new", b""], query=query)


@settings(max_examples=60)
@given(spoiled(body("quay/push.json")))
def test_nothing_that_it_may_send_is_refused(content):
    settled("quay", content, refuses=False)


@needs_payloads
def test_a_real_delivery_is_understood():
    assert parse("quay", real("quay/repo-push.json")).events == (
        ImagePushed("quay.io/mynamespace/repository", "1.2.3"),
    )
