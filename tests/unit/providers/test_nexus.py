"""Sonatype Nexus: assets and components that are tags of images."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.anything import settled, spoiled
from tests.unit.providers.parts import SECRET, body, hmac_hex, hook, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Unreadable

HOOK = hook("nexus", registry="nexus.example:8082")
PUSHED = ImagePushed("nexus.example:8082/team/shop", "1.4.0")


def told(content: bytes, kind: str = "asset", **headers: str):
    return parse("nexus", content, HOOK, x_nexus_webhook_id=f"rm:repository:{kind}", **headers)


def changed(kind: str = "asset", **more: object) -> bytes:
    data = json.loads(body(f"nexus/{kind}.json"))
    data[kind].update(more)
    return json.dumps(data).encode()


@pytest.mark.parametrize("kind", ["asset", "component"])
def test_a_tag_is_an_event_without_a_digest_whether_told_as_an_asset_or_as_a_component(kind):
    content = body(f"nexus/{kind}.json")
    parsed = told(content, kind, x_nexus_webhook_delivery="d-1")
    assert (parsed.events, parsed.key, parsed.body_digest) == ((PUSHED,), "d-1", digest(content))


def test_a_tag_that_is_pushed_again_is_an_update_and_counts():
    content = body("nexus/asset.json").replace(b"CREATED", b"UPDATED")
    assert told(content).events == (PUSHED,)
    assert told(content).key != told(body("nexus/asset.json")).key


def test_an_assets_name_may_begin_with_a_slash():
    assert told(changed(name="/v2/team/shop/manifests/1.4.0")).events == (PUSHED,)


def test_a_layer_is_no_manifest_and_a_manifest_by_digest_has_no_tag():
    assert told(body("nexus/layer.json")).note == "the asset is no manifest"
    assert told(body("nexus/by-digest.json")).note == "pushed by digest, without a tag"
    assert told(changed("component", version="sha256:" + "1" * 64), "component").verdict is Verdict.IGNORED
    assert told(changed("component", version=None), "component").verdict is Verdict.IGNORED


@pytest.mark.parametrize("action", ["DELETED", "PURGED"])
@pytest.mark.parametrize("kind", ["asset", "component"])
def test_deleted_and_purged_are_no_pushes(kind, action):
    parsed = told(body(f"nexus/{kind}.json").replace(b"CREATED", action.encode()), kind)
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, f"{kind} {action} is no push")


def test_what_is_of_another_format_is_no_image():
    assert told(changed(format="maven2")).note == "asset of the format maven2 is no image"


@pytest.mark.parametrize("event", ["rm:repository:component:x", "rm:audit", "rm:repository", ""])
def test_other_events_are_ignored(event):
    assert parse("nexus", b"[]", HOOK, x_nexus_webhook_id=event).verdict is Verdict.IGNORED


def test_the_repositorys_name_is_filled_in_where_it_is_a_part_of_the_images_name():
    config = hook("nexus", registry="nexus.example/{repository}")
    (event,) = parse("nexus", body("nexus/asset.json"), config, x_nexus_webhook_id="rm:repository:asset").events
    assert event.repository == "nexus.example/docker-hosted/team/shop"


@pytest.mark.parametrize(
    ("content", "kind", "field"),
    [
        (b"{}", "asset", "action"),
        (b'{"action": "CREATED"}', "asset", "asset.format"),
        (body("nexus/asset.json"), "component", "component.format"),
        (changed(name=None), "asset", "asset.name"),
        (changed(name="v2/no name/manifests/1"), "asset", "asset.name"),
        (changed("component", name="no name"), "component", "component.name"),
        (changed("component", version="no tag"), "component", "component.version"),
        (changed("component", version=3), "component", "component.version"),
        (body("nexus/asset.json").replace(b"repositoryName", b"r"), "asset", "repositoryName"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, kind, field):
    with pytest.raises(Unreadable) as error:
        told(content, kind)
    assert error.value.field == field


def test_the_signature_is_a_bare_sha1_and_either_of_two_secrets_will_do():
    content = body("nexus/asset.json")
    for sent in (hmac_hex(content, "sha1"), hmac_hex(content, "sha1", b"new"), hmac_hex(content, "sha1").upper()):
        verify("nexus", {"x-nexus-webhook-signature": sent}, content, [b"new", SECRET])


def test_another_signature_or_none_is_turned_away():
    content = body("nexus/asset.json")
    for sent in ("", "sha1=" + hmac_hex(content, "sha1"), hmac_hex(content), hmac_hex(content, "sha1", b""), "\xe9"):
        with pytest.raises(BadSignature):
            verify("nexus", {"x-nexus-webhook-signature": sent}, content, [SECRET, b""])
    with pytest.raises(BadSignature):
        verify("nexus", {"x-nexus-webhook-signature": hmac_hex(content, "sha1")}, content + b" ")


@settings(max_examples=60)
@given(spoiled(body("nexus/asset.json")), spoiled(body("nexus/component.json")))
def test_whatever_it_sends_is_understood_or_refused_with_the_field(asset, component):
    settled("nexus", asset, HOOK, x_nexus_webhook_id="rm:repository:asset")
    settled("nexus", component, HOOK, x_nexus_webhook_id="rm:repository:component")


@needs_payloads
def test_a_real_delivery_is_understood():
    assert told(real("nexus3/asset-created-docker.json")).note == "pushed by digest, without a tag"
