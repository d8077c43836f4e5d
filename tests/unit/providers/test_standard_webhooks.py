"""Any sender that signs as Standard Webhooks say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from standardwebhooks import Webhook

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed, ImagePushed
from tests.unit.providers.drawn import json_with, standard_headers, whsec
from tests.unit.providers.parts import COMMIT, NOW, SECRET, body, hook, parse, verify
from webhooks.provider import BadSignature, Unreadable

NAME = "standard-webhooks"
IMAGE = body(f"{NAME}/image.json")
DATA = {"repository": "data.repository", "tag": "data.tag", "digest": "data.digest"}
CODE = {"repository": "data.url", "ref": "data.ref", "commit": "data.sha"}


def test_our_own_plain_shape_is_an_image_named_by_the_signed_id():
    parsed = parse(NAME, IMAGE, webhook_id="msg-7")
    assert parsed.events == (ImagePushed("registry.example/team/shop", "1.4.0"),)
    assert (parsed.key, parsed.body_digest) == ("msg-7", "")


def test_the_same_body_under_a_new_id_is_a_new_delivery():
    first, second = (parse(NAME, IMAGE, webhook_id=i) for i in ("msg-1", "msg-2"))
    assert first.key != second.key
    assert first.events == second.events


def test_bodies_of_another_shape_are_read_where_the_hooks_fields_say():
    (image,) = parse(NAME, body(f"{NAME}/nested.json"), hook(NAME, fields=DATA)).events
    assert image == ImagePushed("registry.example/team/shop", "1.4.0", "sha256:" + "1" * 64)
    (code,) = parse(NAME, body(f"{NAME}/code.json"), hook(NAME, fields=CODE)).events
    assert code == CodePushed("https://git.example/team/shop.git", "refs/tags/v1.2.0", COMMIT)


@pytest.mark.parametrize("zeros", [40, 64])
def test_a_null_commit_of_any_length_is_a_delete(zeros):
    content = body(f"{NAME}/code.json").replace(COMMIT.encode(), b"0" * zeros)
    parsed = parse(NAME, content, hook(NAME, fields=CODE))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "refs/tags/v1.2.0 was deleted")


@pytest.mark.parametrize(
    ("content", "path"),
    [(b"nothing", ""), (b"{}", "data.repository"), (b'{"data": {"repository": "shop"}}', "data.tag")],
)
def test_what_cannot_be_read_is_named_by_its_path(content, path):
    with pytest.raises(Unreadable) as error:
        parse(NAME, content, hook(NAME, fields=DATA))
    assert error.value.field == path


def test_it_is_signed_as_the_standards_own_library_signs():
    signature = Webhook(whsec().decode()).sign("msg-1", datetime.fromtimestamp(NOW, UTC), IMAGE.decode())
    headers = {**standard_headers(IMAGE), "webhook-signature": signature}
    verify(NAME, headers, IMAGE, [whsec()])


def test_one_of_several_signatures_by_one_of_two_secrets_is_enough():
    headers = standard_headers(IMAGE)
    headers["webhook-signature"] = f"v1a,xyz v1,AAAA {headers['webhook-signature']}"
    verify(NAME, headers, IMAGE, [b"new", SECRET])
    verify(NAME, headers, IMAGE, [whsec(b"new"), whsec()])


def test_a_retry_keeps_its_id_and_has_a_new_time():
    for at in (NOW, NOW + 3600):
        verify(NAME, standard_headers(IMAGE, at=at), IMAGE, at=at)


@pytest.mark.parametrize("late", [301, -301])
def test_a_signed_time_outside_the_window_is_turned_away(late):
    with pytest.raises(BadSignature, match="window"):
        verify(NAME, standard_headers(IMAGE), IMAGE, at=NOW + late)


@pytest.mark.parametrize("more", [{"webhook-id": "msg-2"}, {"webhook-timestamp": str(int(NOW) + 1)}])
def test_id_and_time_are_under_the_signature(more):
    with pytest.raises(BadSignature, match="wrong signature"):
        verify(NAME, {**standard_headers(IMAGE), **more}, IMAGE)


@pytest.mark.parametrize(
    "more",
    [
        {"webhook-id": ""},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "\u0661"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "\xe9"},
    ],
)
def test_what_is_missing_or_misspelt_is_turned_away(more):
    for secrets in ([SECRET], [b"", b"whsec_!"]):
        with pytest.raises(BadSignature):
            verify(NAME, {**standard_headers(IMAGE), **more}, IMAGE, secrets)


@given(json_with("data", "image", "repository", "tag", "digest", "ref", "commit"))
def test_whatever_comes_is_read_or_refused_by_name(data):
    for config in (hook(NAME), hook(NAME, fields=DATA)):
        try:
            assert parse(NAME, json.dumps(data).encode(), config, webhook_id="msg-1").key
        except Unreadable:
            pass
