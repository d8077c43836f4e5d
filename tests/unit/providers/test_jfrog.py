"""JFrog Artifactory: pushed images, with the secret itself or a signature by it."""

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

HMAC = hook("jfrog", signs="hmac")


def changed(**data: object) -> bytes:
    whole = json.loads(body("jfrog/push.json"))
    whole["data"].update(data)
    return json.dumps(whole).encode()


def test_a_pushed_tag_is_an_event_whose_digest_has_its_algorithm():
    parsed = parse("jfrog", body("jfrog/push.json"))
    assert parsed.events == (ImagePushed("artifacts.example/docker-local/team/shop", "1.4.0", "sha256:" + "1" * 64),)


def test_a_multi_arch_image_is_one_event_for_its_list():
    parsed = parse("jfrog", body("jfrog/multi-arch.json"))
    assert [(e.tag, e.digest) for e in parsed.events] == [("1.5.0", "sha256:" + "2" * 64)]


@pytest.mark.parametrize("tag", ["", None, "sha256:" + "1" * 64, "sha256__" + "1" * 64])
def test_a_push_by_digest_is_ignored(tag):
    assert parse("jfrog", changed(tag=tag)).note == "pushed by digest, without a tag"


def test_a_pull_that_fills_a_remote_repositorys_cache_is_no_push():
    parsed = parse("jfrog", body("jfrog/remote-cache.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert "docker-remote-cache is the cache of a remote repository" in parsed.note


@pytest.mark.parametrize(
    ("domain", "event"), [("docker", "promoted"), ("artifact", "deployed"), ("docker", "\ud800\0")]
)
def test_other_events_are_ignored(domain, event):
    content = json.dumps({"domain": domain, "event_type": event}).encode()
    parsed = parse("jfrog", content)
    assert parsed.verdict is Verdict.IGNORED
    assert parsed.note.encode()
    assert parse("jfrog", body("jfrog/delete.json")).note == "docker deleted is no push of an image"


@pytest.mark.parametrize(
    ("registry", "repository"),
    [
        ("docker-local.artifacts.example", "docker-local.artifacts.example/team/shop"),
        ("artifacts.example:5001", "artifacts.example:5001/team/shop"),
        ("images.example/docker", "images.example/docker/team/shop"),
        ("{repository}.images.example", "docker-local.images.example/team/shop"),
    ],
)
def test_the_configured_registry_is_all_that_stands_before_the_images_name(registry, repository):
    for content in (body("jfrog/push.json"), body("jfrog/push.json").replace(b"jpd_origin", b"old")):
        (event,) = parse("jfrog", content, hook("jfrog", registry=registry)).events
        assert event.repository == repository


@pytest.mark.parametrize(
    "origin", ["https://Artifacts.example", "https://artifacts.example/artifactory", "artifacts.example"]
)
def test_the_registry_is_the_host_of_its_address(origin):
    content = json.dumps(json.loads(body("jfrog/push.json")) | {"jpd_origin": origin}).encode()
    assert parse("jfrog", content).events[0].repository == "artifacts.example/docker-local/team/shop"


def test_names_in_mixed_case_are_those_that_images_have():
    (event,) = parse("jfrog", changed(image_name="Team/Shop", repo_key="Docker-Local")).events
    assert event.repository == "artifacts.example/docker-local/team/shop"


def test_another_image_under_the_tag_has_another_key_and_the_same_one_again_has_not():
    first, second = parse("jfrog", body("jfrog/push.json")), parse("jfrog", changed(sha256="2" * 64))
    assert first.key != second.key
    assert first.key == digest(body("jfrog/push.json"))


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"{}", "domain"),
        (b'{"domain": "docker"}', "event_type"),
        (b'{"domain": "docker", "event_type": "pushed"}', "data.repo_key"),
        (changed(image_name=None), "data.image_name"),
        (changed(image_name="no name"), "data.image_name"),
        (changed(tag="no tag"), "data.tag"),
        (changed(sha256="12"), "data.sha256"),
        (changed(sha256=12), "data.sha256"),
        (body("jfrog/push.json").replace(b"jpd_origin", b"old"), "jpd_origin"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        parse("jfrog", content)
    assert error.value.field == field


def test_the_header_holds_the_secret_itself_and_either_of_two_will_do():
    for secret in ("a-secret-of-the-test", "new"):
        verify("jfrog", {"x-jfrog-event-auth": secret}, secrets=[b"new", SECRET])


def test_the_header_holds_a_bare_signature_where_the_hook_says_so():
    content = body("jfrog/push.json")
    verify("jfrog", {"x-jfrog-event-auth": hmac_hex(content)}, content, [b"new", SECRET], config=HMAC)
    for auth in ("", hmac_hex(content + b" "), "sha256=" + hmac_hex(content), hmac_hex(content, "sha1"), "\xe9"):
        with pytest.raises(BadSignature):
            verify("jfrog", {"x-jfrog-event-auth": auth}, content, config=HMAC)


def test_one_way_of_proof_is_never_taken_for_the_other():
    content = body("jfrog/push.json")
    with pytest.raises(BadSignature):
        verify("jfrog", {"x-jfrog-event-auth": SECRET.decode()}, content, config=HMAC)
    with pytest.raises(BadSignature):
        verify("jfrog", {"x-jfrog-event-auth": hmac_hex(content)}, content)


@pytest.mark.parametrize("headers", [{}, {"x-jfrog-event-auth": "wrong"}, {"authorization": "Bearer new"}])
@pytest.mark.parametrize("signs", ["secret", "hmac"])
def test_another_secret_or_none_is_turned_away(headers, signs):
    with pytest.raises(BadSignature):
        verify("jfrog", headers, secrets=[b"new", b""], config=hook("jfrog", signs=signs))


@settings(max_examples=60)
@given(spoiled(body("jfrog/push.json")))
def test_whatever_it_sends_is_understood_or_refused_with_the_field(content):
    settled("jfrog", content)


@needs_payloads
def test_a_real_delivery_is_understood():
    content = real("jfrog/docker-pushed.json")
    assert "docker-remote-cache is the cache" in parse("jfrog", content).note
    (event,) = parse("jfrog", content.replace(b"docker-remote-cache", b"docker-local")).events
    assert (event.repository, event.tag) == ("example.jfrog.io/docker-local/library/ubuntu", "latest")
