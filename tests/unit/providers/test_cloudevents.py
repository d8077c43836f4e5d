"""CloudEvents: both modes, and what of them can be trusted."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.noise import headers_with, json_with
from tests.unit.providers.parts import NOW, SECRET, body, hook, needs_payloads, parse, real, verify
from tests.unit.providers.test_git import signed
from webhooks.provider import BadSignature, Unreadable

PUSHED = ImagePushed("registry.example/team/shop", "1.4.0", "sha256:" + "1" * 64)
FIELDS = {"repository": "image.name", "tag": "image.version", "digest": "image.digest"}
TYPE = "example.builds.image.pushed"
BINARY = {
    "ce_specversion": "1.0",
    "ce_id": "b-17",
    "ce_source": "https://builds.example/shop",
    "ce_type": TYPE,
    "content_type": "application/json",
}


def structured(content: bytes | None = None, kind: str = "application/cloudevents+json; charset=utf-8", **more):
    config = hook("cloudevents", fields=FIELDS, **more)
    return parse("cloudevents", content or body("cloudevents/structured.json"), config, content_type=kind)


def binary(content: bytes | None = None, **headers):
    config = hook("cloudevents", fields=FIELDS)
    content = body("cloudevents/binary.json") if content is None else content
    return parse("cloudevents", content, config, **{n: v for n, v in {**BINARY, **headers}.items() if v is not None})


def changed(**more) -> bytes:
    data = json.loads(body("cloudevents/structured.json")) | more
    return json.dumps({n: v for n, v in data.items() if v is not None}).encode()


def test_both_modes_tell_the_same_and_are_named_by_source_and_id():
    for parsed in (structured(), binary()):
        assert (parsed.verdict, parsed.events) == (Verdict.ACCEPTED, (PUSHED,))
        assert (parsed.key, parsed.body_digest) == ("https://builds.example/shop b-17", "")


def test_what_the_specifications_own_library_writes_is_read():
    event = CloudEvent({"id": "1", "source": "/s", "type": TYPE}, json.loads(body("cloudevents/binary.json")))
    for message in (http.to_binary_event(event), http.to_structured_event(event)):
        config = hook("cloudevents", fields=FIELDS)
        parsed = parse("cloudevents", message.body, config, **{n.lower(): v for n, v in message.headers.items()})
        assert (parsed.key, parsed.events) == ("/s 1", (PUSHED,))


def test_the_content_type_says_that_an_event_is_structured_and_not_its_headers():
    config = hook("cloudevents", fields=FIELDS)
    headers = {**BINARY, "ce_id": "other", "content_type": "application/cloudevents+json"}
    assert parse("cloudevents", body("cloudevents/structured.json"), config, **headers).key.endswith(" b-17")


@pytest.mark.parametrize("id_", [None, ""])
def test_an_event_without_an_id_is_none_and_no_id_is_made_up(id_):
    with pytest.raises(Unreadable) as error:
        structured(changed(id=id_))
    assert error.value.field == "id"
    with pytest.raises(Unreadable) as error:
        binary(ce_id=id_)
    assert error.value.field == "ce-id"


def test_a_long_source_does_not_make_two_ids_one():
    assert len({structured(changed(source="s" * 300, id=i)).key for i in ("1", "2")}) == 2


@pytest.mark.parametrize(
    ("types", "verdict"),
    [([], "accepted"), (["a", "example.*.pushed"], "accepted"), (["example"], "ignored"), (["EXAMPLE.*"], "ignored")],
)
def test_only_types_that_the_hook_names_count(types, verdict):
    parsed = structured(types=types)
    assert parsed.verdict == verdict
    assert parsed.note == ("" if parsed.events else f"type {TYPE} is not used")


def test_data_of_an_unusual_content_type_or_in_base64_is_read_as_json():
    assert binary(content_type="Application/JSON ; charset=utf-8").events == (PUSHED,)
    assert binary(content_type=None).events == (PUSHED,)
    encoded = base64.b64encode(body("cloudevents/binary.json")).decode()
    assert structured(changed(data=None, data_base64=encoded)).events == (PUSHED,)
    assert structured(changed(specversion="0.3", datacontentencoding="base64", data=encoded)).events == (PUSHED,)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (changed(type=None), "type"),
        (changed(source=3), "source"),
        (changed(specversion="2.0"), "specversion"),
        (changed(subject=""), "subject"),
        (changed(time="yesterday"), ""),
        (changed(time=3), ""),
        (changed(data=[1]), "data"),
        (changed(data=None), "data"),
        (changed(data="<a/>"), "data"),
        (changed(data=None, data_base64="A"), ""),
        (changed(data=None, data_base64="!"), "data"),
        (changed(data={"image": {"name": "registry.example/team/shop"}}), "image.version"),
        (b"[]", ""),
        (b"\xff", ""),
    ],
)
def test_an_event_that_cannot_be_read_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        structured(content)
    assert error.value.field == field


def test_an_empty_body_and_a_batch_are_unreadable():
    with pytest.raises(Unreadable, match="data is missing"):
        binary(b"")
    with pytest.raises(Unreadable, match="batches"):
        structured(kind="application/cloudevents-batch+json")


def test_it_proves_itself_with_the_header_that_the_hook_names():
    verify("cloudevents", {"authorization": "Bearer a-secret-of-the-test"}, secrets=[b"other", SECRET])
    config = hook("cloudevents", header="X-Builds-Key")
    verify("cloudevents", {"x-builds-key": "a-secret-of-the-test"}, config=config)
    for headers in ({}, {"authorization": "Bearer a-secret-of-the-test"}, {"x-builds-key": "other"}):
        with pytest.raises(BadSignature):
            verify("cloudevents", headers, config=config)


def test_a_standard_webhooks_signature_holds_with_any_of_two_secrets_and_only_in_time():
    content = body("cloudevents/binary.json")
    verify("cloudevents", signed(content), content, [b"other", SECRET], NOW + 299)
    with pytest.raises(BadSignature, match="window"):
        verify("cloudevents", signed(content), content, [SECRET], NOW + 301)


def test_a_signature_that_is_there_has_to_hold_whatever_else_is_sent():
    content = body("cloudevents/binary.json")
    headers = {**signed(content, b"somebody"), "authorization": "Bearer a-secret-of-the-test"}
    with pytest.raises(BadSignature):
        verify("cloudevents", headers, content)


def test_a_captured_event_under_another_cloudevents_id_is_told_by_what_its_signature_covers():
    content = body("cloudevents/binary.json")
    headers = {n.replace("-", "_"): v for n, v in signed(content).items()}
    first, again = binary(content, **headers), binary(content, **headers, ce_id="b-18")
    assert (first.key != again.key, first.body_digest) == (True, again.body_digest)
    another = {n.replace("-", "_"): v for n, v in signed(content, id_="git-2").items()}
    assert binary(content, **another).body_digest != first.body_digest, "the same image may be pushed twice"


@given(
    json_with("specversion", "1.0", "0.3", "id", "source", "type", "time", "data", "data_base64", "image", "name"),
    headers_with("content-type", "ce-id", "ce-type", "ce-source", "ce-specversion", "ce-time", values=("1.0", "0.3")),
)
def test_no_event_raises_anything_but_unreadable(data, headers):
    with suppress(Unreadable):
        assert parse("cloudevents", json.dumps(data).encode(), hook("cloudevents", fields=FIELDS), **headers).key


@given(headers_with("authorization", "webhook-signature", "webhook-id", "webhook-timestamp", values=("v1,AA==", "1")))
def test_no_header_raises_anything_but_bad_signature(headers):
    with pytest.raises(BadSignature):
        verify("cloudevents", headers, b"\xff")


@needs_payloads
def test_real_events_in_both_modes_are_read():
    config = hook(
        "cloudevents", types=["*.pushed", "zotregistry.image.*"], fields={"repository": "name", "tag": "reference"}
    )
    pulled = parse("cloudevents", real("harbor/cloudevents-artifact-pulled.json"), config)
    assert (pulled.verdict, pulled.note) == (Verdict.IGNORED, "type harbor.artifact.pulled is not used")
    zot = json.loads(real("zot/image-updated-binary-mode.json"))
    headers = {n.lower(): v for n, v in zot["headers"].items()} | {"ce-id": "1"}
    updated = parse("cloudevents", json.dumps(zot["body"]).encode(), config, **headers)
    assert updated.events == (ImagePushed("docker.io/library/golang", "latest"),)
