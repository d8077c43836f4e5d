"""zot: CloudEvents in binary mode."""

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

HOOK = hook("zot", registry="registry.example:5000")
UPDATED = "zotregistry.image.updated"


def told(content: bytes, kind: str = UPDATED, config=HOOK, **headers: str):
    return parse("zot", content, config, ce_type=kind, **headers)


def changed(**more: object) -> bytes:
    return json.dumps(json.loads(body("zot/updated.json")) | more).encode()


def test_a_pushed_tag_is_an_event_with_the_digest_and_named_by_the_events_id():
    parsed = told(body("zot/updated.json"), ce_id="e-1")
    assert parsed.events == (ImagePushed("registry.example:5000/team/shop", "1.4.0", "sha256:" + "1" * 64),)
    assert (parsed.key, parsed.body_digest) == ("e-1", "")


def test_another_push_of_the_same_image_under_the_same_tag_has_another_key():
    content = body("zot/updated.json")
    assert told(content, ce_id="e-1").key != told(content, ce_id="e-2").key
    assert told(content).key == digest(content)


def test_the_manifest_is_a_text_and_not_looked_into():
    assert told(changed(manifest="{")).events == told(changed(manifest={"schemaVersion": 2})).events


def test_a_push_by_digest_is_ignored():
    parsed = told(body("zot/by-digest.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "pushed by digest, without a tag")


@pytest.mark.parametrize("what", ["image.deleted", "image.lint_failed", "repository.created"])
@pytest.mark.parametrize("types", [[], ["*"], ["zotregistry.image.*", "zotregistry.*"]])
def test_deletions_refusals_and_new_repositories_are_ignored_whatever_the_patterns_say(what, types):
    config = hook("zot", registry="registry.example", types=types)
    parsed = told(body("zot/updated.json"), f"zotregistry.{what}", config)
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, f"zotregistry.{what} is no push")


def test_the_types_beginning_can_be_another_and_the_hooks_patterns_choose():
    content = body("zot/updated.json")
    assert told(content, "com.example.image.updated").verdict is Verdict.ACCEPTED
    only = hook("zot", registry="registry.example", types="org.example.*")
    assert told(content, "com.example.image.updated", only).verdict is Verdict.IGNORED
    assert told(content, "org.example.changed", only).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("content", "kind", "field"),
    [
        (body("zot/updated.json"), "", "ce-type"),
        (b"[]", UPDATED, ""),
        (b"{}", UPDATED, "name"),
        (changed(name="no name"), UPDATED, "name"),
        (changed(reference=3), UPDATED, "reference"),
        (changed(reference="no tag"), UPDATED, "reference"),
        (changed(digest="sha256:12"), UPDATED, "digest"),
    ],
)
def test_a_request_of_another_shape_names_the_field(content, kind, field):
    with pytest.raises(Unreadable) as error:
        told(content, kind)
    assert error.value.field == field


@pytest.mark.parametrize(
    "authorization",
    ["Basic " + base64.b64encode(b"zot:" + SECRET).decode(), "Bearer a-secret-of-the-test", "a-secret-of-the-test"],
)
def test_it_proves_itself_with_basic_credentials_a_token_or_a_header_and_either_of_two_secrets_will_do(authorization):
    verify("zot", {"authorization": authorization}, secrets=[b"new", SECRET])


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic bmV3"}])
def test_another_secret_or_none_is_turned_away(headers):
    with pytest.raises(BadSignature):
        verify("zot", headers, secrets=[SECRET, b""])


@settings(max_examples=60)
@given(spoiled(body("zot/updated.json")))
def test_whatever_it_sends_is_understood_or_refused_with_the_field(content):
    settled("zot", content, HOOK, ce_type=UPDATED)


@needs_payloads
def test_a_real_event_is_understood():
    data = json.loads(real("zot/image-updated-binary-mode.json"))
    headers = {name.lower().replace("-", "_"): value for name, value in data["headers"].items()}
    (event,) = parse("zot", json.dumps(data["body"]).encode(), HOOK, **headers).events
    assert event == ImagePushed("registry.example:5000/golang", "latest")
