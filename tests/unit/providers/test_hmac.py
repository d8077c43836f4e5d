"""Any sender that signs its body with an HMAC."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed, ImagePushed
from tests.unit.providers.drawn import json_with
from tests.unit.providers.parts import COMMIT, SECRET, body, hmac_hex, hook, parse, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Unreadable

SHOP = "registry.example/team/shop"
IMAGE = body("hmac/image.json")
PUSHED = ImagePushed(SHOP, "1.4.0", "sha256:" + "1" * 64)
NESTED = {"repository": "artifact.repository", "tag": "artifact.version", "digest": "artifact.digest"}


def test_our_own_plain_shape_is_an_image_named_by_its_body():
    parsed = parse("hmac", IMAGE)
    assert (parsed.events, parsed.key) == ((PUSHED,), digest(IMAGE))


def test_a_body_of_another_shape_is_read_where_the_hooks_fields_say():
    assert parse("hmac", body("hmac/nested.json"), hook("hmac", fields=NESTED)).events == (PUSHED,)


def test_code_is_told_by_its_ref():
    (event,) = parse("hmac", body("hmac/code.json")).events
    assert event == CodePushed("https://git.example/team/shop.git", "refs/heads/main", COMMIT)


@pytest.mark.parametrize("zeros", [40, 64])
def test_a_null_commit_of_any_length_is_a_delete(zeros):
    content = json.dumps({"repository": "x", "ref": "refs/tags/v1", "commit": "0" * zeros}).encode()
    parsed = parse("hmac", content)
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "refs/tags/v1 was deleted")


def test_the_hooks_registry_stands_for_the_one_in_the_body():
    (event,) = parse("hmac", IMAGE, hook("hmac", registry="registry.example:5000")).events
    assert event.repository == "registry.example:5000/team/shop"


def test_the_same_body_is_the_same_delivery_and_another_time_makes_another():
    later = IMAGE.replace(b"10:00", b"11:00")
    assert parse("hmac", IMAGE).key == parse("hmac", IMAGE, x_request_id="another").key != parse("hmac", later).key


@pytest.mark.parametrize(
    ("content", "fields", "path"),
    [
        (b"\xff", {}, ""),
        (b"[]", {}, ""),
        (b"{}", {}, "image"),
        (b"{}", NESTED, "artifact.repository"),
        (b'{"artifact": {"repository": "shop"}}', NESTED, "artifact.version"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_path(content, fields, path):
    with pytest.raises(Unreadable) as error:
        parse("hmac", content, hook("hmac", fields=fields))
    assert error.value.field == path


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1"])
def test_header_prefix_and_hash_are_the_hooks_to_say(algorithm):
    config = hook("hmac", header="X-Shop-Signature", prefix="v0=", algorithm=algorithm)
    right = hmac_hex(IMAGE, algorithm)
    verify("hmac", {"x-shop-signature": f"v0={right}"}, IMAGE, [b"new", SECRET], config=config)
    for headers in ({"x-shop-signature": right}, {"x-signature": f"v0={right}"}, {"x-shop-signature": "v0="}):
        with pytest.raises(BadSignature):
            verify("hmac", headers, IMAGE, [b"new", SECRET], config=config)


def test_by_default_it_is_a_bare_sha256_in_x_signature():
    verify("hmac", {"x-signature": hmac_hex(IMAGE)}, IMAGE)
    for value in ("", hmac_hex(IMAGE, "sha1"), hmac_hex(IMAGE, secret=b"other"), f"sha256={hmac_hex(IMAGE)}", "\xe9"):
        with pytest.raises(BadSignature):
            verify("hmac", {"x-signature": value}, IMAGE)


def test_an_empty_secret_signs_nothing():
    with pytest.raises(BadSignature):
        verify("hmac", {"x-signature": hmac_hex(IMAGE, secret=b"")}, IMAGE, [b""])


@given(json_with("image", "repository", "tag", "digest", "ref", "commit", "artifact", "version"))
def test_whatever_comes_is_read_or_refused_by_name(data):
    for config in (hook("hmac"), hook("hmac", fields=NESTED, registry="registry.example")):
        try:
            assert parse("hmac", json.dumps(data).encode(), config).key
        except Unreadable:
            pass
