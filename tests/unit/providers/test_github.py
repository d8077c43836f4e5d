"""GitHub: pushes of code and of images."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed, ImagePushed
from tests.unit.providers.anything import settled, spoiled
from tests.unit.providers.parts import COMMIT, NOW, SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Unreadable


def test_a_push_to_a_branch_is_an_event_and_the_body_guards_the_id():
    content = body("github/push.json")
    parsed = parse("github", content, x_github_event="push", x_github_delivery="guid-1")
    assert parsed.events == (
        CodePushed("https://github.example/team/shop.git", "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),
    )
    assert (parsed.key, parsed.body_digest) == ("guid-1", "sha256:" + hashlib.sha256(content).hexdigest())


def test_an_annotated_tag_means_the_commit_behind_it():
    (event,) = parse("github", body("github/annotated-tag.json"), x_github_event="push").events
    assert (event.ref, event.commit) == ("refs/tags/v1.2.0", COMMIT)


def test_a_form_carries_the_same():
    form = b"payload=" + quote_plus(body("github/push.json")).encode()
    parsed = parse("github", form, x_github_event="push", content_type="application/x-www-form-urlencoded; charset=x")
    assert parsed.events[0].commit == COMMIT
    with pytest.raises(Unreadable, match="payload"):
        parse("github", b"a=b", x_github_event="push", content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("event", ["create", "delete", "workflow_run", ""])
def test_other_events_are_ignored(event):
    parsed = parse("github", body("github/push.json"), x_github_event=event)
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())


def test_a_ping_is_a_ping_and_a_deleted_branch_is_ignored():
    assert parse("github", b"{}", x_github_event="ping").verdict is Verdict.PING
    assert parse("github", body("github/delete.json"), x_github_event="push").note == "refs/heads/old was deleted"


def test_a_push_without_its_repository_names_what_is_missing():
    with pytest.raises(Unreadable) as error:
        parse("github", b'{"ref": "refs/heads/main", "after": "12"}', x_github_event="push")
    assert error.value.field == "repository.html_url"


def test_githubs_signature_holds_over_the_raw_body_and_only_as_sha256():
    content = body("github/push.json")
    right = "sha256=" + hmac.new(SECRET, content, hashlib.sha256).hexdigest()
    verify("github", {"x-hub-signature-256": right}, content, [b"new", SECRET], NOW)
    sha1 = "sha1=" + hmac.new(SECRET, content, hashlib.sha1).hexdigest()
    for headers in (
        {},
        {"x-hub-signature": sha1},
        {"x-hub-signature-256": sha1},
        {"x-hub-signature-256": "sha256=\xe9"},
    ):
        with pytest.raises(BadSignature):
            verify("github", headers, content, [SECRET], NOW)
    with pytest.raises(BadSignature):
        verify("github", {"x-hub-signature-256": right}, content + b" ", [SECRET], NOW)


PACKAGE = ImagePushed("ghcr.io/team/shop", "1.4.0", "sha256:" + "1" * 64)


def package(event: str = "package", **version: object) -> bytes:
    """A package's event with some of its version changed; ``tag``: the tag's name."""
    data = json.loads(body("github/package.json"))
    if "tag" in version:
        data["package"]["package_version"]["container_metadata"]["tag"] = {"name": version.pop("tag")}
    data["package"]["package_version"].update(version)
    data[event] = data.pop("package")
    return json.dumps(data).encode()


def test_a_published_tag_is_an_event_in_lower_case_with_the_manifests_digest_and_not_the_tags_own():
    content = body("github/package.json")
    parsed = parse("github", content, x_github_event="package", x_github_delivery="guid-2")
    assert parsed.events == (PACKAGE,)
    assert (parsed.key, parsed.body_digest) == ("guid-2", digest(content))


def test_an_updated_registry_package_is_an_event_whose_name_may_have_several_parts():
    (event,) = parse("github", body("github/registry-package.json"), x_github_event="registry_package").events
    assert event == ImagePushed("ghcr.io/team/tools/shop", "1.5.0", "sha256:" + "2" * 64)


@pytest.mark.parametrize("kind", ["npm", "docker", None])
def test_a_package_is_an_image_by_its_metadata_whatever_its_type_says(kind):
    data = json.loads(body("github/package.json"))
    data["package"]["package_type"] = kind
    assert parse("github", json.dumps(data).encode(), x_github_event="package").events == (PACKAGE,)


def test_a_package_of_another_kind_is_no_image():
    parsed = parse("github", body("github/npm-package.json"), x_github_event="package")
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "the package is no container image")
    parsed = parse("github", package(container_metadata=None), x_github_event="package")
    assert parsed.verdict is Verdict.IGNORED


@pytest.mark.parametrize("tag", ["", None])
def test_an_untagged_manifest_is_ignored(tag):
    assert parse("github", package(tag=tag), x_github_event="package").note == "pushed by digest, without a tag"


def test_a_malformed_digest_is_left_out_and_the_registry_asked():
    (event,) = parse("github", package(version="sha256:12"), x_github_event="package").events
    assert event == ImagePushed("ghcr.io/team/shop", "1.4.0")


def test_the_old_action_create_counts_and_a_deletion_does_not():
    for action, verdict in (("create", Verdict.ACCEPTED), ("deleted", Verdict.IGNORED)):
        content = json.dumps(json.loads(body("github/package.json")) | {"action": action}).encode()
        parsed = parse("github", content, x_github_event="package")
        assert parsed.verdict is verdict
    assert parsed.note == "package deleted is no push"


@pytest.mark.parametrize("url", ["", None, "https://packages.example/7", "ghcr.io/other/name:9"])
def test_without_an_address_of_its_own_a_package_is_named_by_owner_and_name(url):
    assert parse("github", package(package_url=url), x_github_event="package").events == (PACKAGE,)


def test_the_configured_registry_stands_for_ghcr():
    config = hook("github", registry="containers.github.example")
    (event,) = parse("github", body("github/package.json"), config, x_github_event="package").events
    assert event.repository == "containers.github.example/team/shop"


@pytest.mark.parametrize(
    ("content", "event", "field"),
    [
        (b"{}", "package", "action"),
        (package(tag="no tag"), "package", "package.package_version.container_metadata.tag.name"),
        (package(tag=3), "package", "package.package_version.container_metadata.tag.name"),
        (package(package_url="ghcr.io/no name:1.4.0"), "package", "package.name"),
        (package("registry_package", version=3), "registry_package", "registry_package.package_version.version"),
    ],
)
def test_a_package_of_another_shape_names_the_field(content, event, field):
    with pytest.raises(Unreadable) as error:
        parse("github", content, x_github_event=event)
    assert error.value.field == field


@settings(max_examples=60)
@given(spoiled(body("github/package.json")), spoiled(body("github/push.json")))
def test_whatever_github_sends_is_understood_or_refused_with_the_field(packaged, push):
    settled("github", packaged, x_github_event="package")
    settled("github", push, x_github_event="push")


@needs_payloads
def test_real_packages_are_understood():
    (event,) = parse("github", real("github-packages/package-create-2020.json"), x_github_event="package").events
    assert (event.repository, event.tag) == ("ghcr.io/utaitebox/utaitebox-server", "3.2.1")
    content = real("github-packages/package-published-container.json")
    assert parse("github", content, x_github_event="package").note == "pushed by digest, without a tag"
    tagged = content.replace(b'"name": "",', b'"name": "2",').replace(b'hello-world:"', b'hello-world:2"')
    (event,) = parse("github", tagged, x_github_event="package").events
    assert (event.repository, event.tag, event.digest[:11]) == ("ghcr.io/codertocat/hello-world", "2", "sha256:3da1")
