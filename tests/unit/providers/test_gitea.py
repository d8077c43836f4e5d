"""Gitea and Forgejo, which differ in the name of their headers: pushes of code and of images."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed, ImagePushed
from tests.unit.providers.drawn import json_with
from tests.unit.providers.parts import COMMIT, SECRET, body, hmac_hex, hook, needs_payloads, parse, real, verify
from webhooks.bodies import FORM, digest
from webhooks.provider import BadSignature, Parsed, Unreadable

BOTH = pytest.mark.parametrize("name", ["gitea", "forgejo"])


def told(name: str, event: str, content: bytes, config=None, **headers: str) -> Parsed:
    return parse(name, content, config, **{f"x_{name}_event": event, **headers})


def changed(case: str, **more) -> bytes:
    return json.dumps({**json.loads(body(case)), **more}).encode()


def package(name: str, **more) -> bytes:
    data = json.loads(body(f"{name}/package.json"))
    data["package"].update(more)
    return json.dumps(data).encode()


@BOTH
def test_a_push_to_a_branch_is_an_event_and_the_body_guards_the_id(name):
    content = body(f"{name}/push.json")
    parsed = told(name, "push", content, **{f"x_{name}_delivery": "guid-1"})
    url = f"https://{name}.example/Team/shop.git"
    assert parsed.events == (CodePushed(url, "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),)
    assert (parsed.key, parsed.body_digest) == ("guid-1", digest(content))
    assert told(name, "push", content).key == digest(content)


@BOTH
def test_an_annotated_tag_means_the_commit_behind_it_and_its_create_adds_nothing(name):
    (event,) = told(name, "push", body(f"{name}/annotated-tag.json")).events
    assert (event.ref, event.commit, event.author) == ("refs/tags/v1.2.0", COMMIT, "Ada")
    assert told(name, "create", body(f"{name}/create.json")).verdict is Verdict.IGNORED


@BOTH
def test_a_deleted_branch_is_told_with_a_short_ref(name):
    parsed = told(name, "delete", body(f"{name}/delete.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "refs/heads/old was deleted")
    assert told(name, "delete", b'{"ref": "v1", "ref_type": "tag"}').note == "refs/tags/v1 was deleted"


@BOTH
@pytest.mark.parametrize("zeros", [40, 64])
def test_a_push_of_a_null_commit_of_any_length_is_a_delete(name, zeros):
    assert told(name, "push", changed(f"{name}/push.json", after="0" * zeros)).note == "refs/heads/main was deleted"


@BOTH
def test_the_test_button_moves_nothing_and_deploys_nothing(name):
    parsed = told(name, "push", changed(f"{name}/push.json", before=COMMIT))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "refs/heads/main did not move: a test")


@BOTH
def test_a_pushed_image_is_named_by_the_servers_host_and_owner_in_lower_case(name):
    (event,) = told(name, "package", body(f"{name}/package.json")).events
    assert event == ImagePushed(f"{name}.example:3000/team/shop/web", "1.4.0")
    (event,) = told(name, "package", body(f"{name}/package.json"), hook(name, registry="registry.example")).events
    assert event.repository == "registry.example/team/shop/web"


@BOTH
def test_a_package_of_no_repository_is_an_image_and_one_pushed_again_is_another_delivery(name):
    first = told(name, "package", changed(f"{name}/package.json", repository=None))
    again = told(name, "package", package(name, id=10, created_at="2026-11-21T10:00:00Z"))
    assert first.events == again.events != ()
    assert first.body_digest != again.body_digest


@BOTH
def test_a_tag_comes_in_lower_case_as_the_server_keeps_it(name):
    assert told(name, "package", package(name, version="rc1")).events[0].tag == "rc1"


@BOTH
@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"version": "sha256:" + "1" * 64}, "pushed by digest, without a tag"),
        ({"type": "npm"}, "a package of type npm is no container image"),
    ],
)
def test_other_packages_are_ignored(name, more, note):
    parsed = told(name, "package", package(name, **more))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, note)


@BOTH
def test_a_deleted_package_is_ignored(name):
    assert told(name, "package", changed(f"{name}/package.json", action="deleted")).note == "package deleted is no push"


@BOTH
@pytest.mark.parametrize("event", ["issues", "release", ""])
def test_other_events_are_ignored(name, event):
    assert told(name, event, body(f"{name}/push.json")).verdict is Verdict.IGNORED


@BOTH
def test_of_a_form_the_json_inside_is_signed_read_and_digested(name):
    content = body(f"{name}/push.json")
    form = b"payload=" + quote_plus(content).encode()
    headers = {"content-type": FORM, f"x-{name}-signature": hmac_hex(content)}
    verify(name, headers, form)
    with pytest.raises(BadSignature):
        verify(name, {**headers, f"x-{name}-signature": hmac_hex(form)}, form)
    parsed = told(name, "push", form, content_type=FORM)
    rewritten = told(name, "push", b"x=1&" + form, content_type=FORM)
    assert parsed.events[0].commit == COMMIT
    assert parsed.body_digest == rewritten.body_digest == digest(content)


@BOTH
def test_a_form_without_its_payload_is_not_signed_and_not_readable(name):
    headers = {"content-type": FORM, f"x-{name}-signature": hmac_hex(b"a=b")}
    with pytest.raises(BadSignature):
        verify(name, headers, b"a=b")
    with pytest.raises(Unreadable, match="payload"):
        told(name, "push", b"a=b", content_type=FORM)


@BOTH
def test_a_hook_without_a_secret_sends_an_empty_signature_that_opens_nothing(name):
    with pytest.raises(BadSignature, match="not signed"):
        verify(name, {f"x-{name}-signature": ""}, body(f"{name}/push.json"))


@BOTH
def test_the_signature_holds_by_any_of_two_secrets_and_only_under_its_own_name(name):
    content = body(f"{name}/push.json")
    right = hmac_hex(content)
    verify(name, {f"x-{name}-signature": right}, content, [b"new", SECRET])
    for headers in (
        {},
        {f"x-{name}-signature": hmac_hex(content, secret=b"other")},
        {f"x-{name}-signature": "\xe9"},
        {"x-gogs-signature": right, "x-hub-signature-256": f"sha256={right}"},
    ):
        with pytest.raises(BadSignature):
            verify(name, headers, content, [b"new", SECRET])
    with pytest.raises(BadSignature):
        verify(name, {f"x-{name}-signature": hmac_hex(content, secret=b"")}, content, [b""])


@BOTH
@pytest.mark.parametrize(
    ("event", "content", "field"),
    [
        ("push", b"nothing", ""),
        ("push", b"{}", "ref"),
        ("push", b'{"ref": "refs/heads/main"}', "after"),
        ("push", b'{"ref": "refs/heads/main", "after": "12"}', "repository.html_url"),
        ("package", b'{"action": "created"}', "package.type"),
        ("delete", b"{}", "ref"),
    ],
)
def test_a_body_of_another_shape_names_the_field(name, event, content, field):
    with pytest.raises(Unreadable) as error:
        told(name, event, content)
    assert error.value.field == field


@pytest.mark.parametrize("url", ["no-address", "http://", ""])
def test_a_package_whose_page_names_no_host_is_refused_by_name(url):
    with pytest.raises(Unreadable) as error:
        told("gitea", "package", package("gitea", html_url=url))
    assert error.value.field == "package.html_url"


NAMES = ("ref", "ref_type", "before", "after", "head_commit", "commits", "id", "repository", "clone_url", "action")


@BOTH
@given(
    data=json_with(*NAMES, "package", "type", "version", "owner", "login", "name", "html_url"),
    event=st.sampled_from(["push", "package", "delete", "create"]),
)
def test_whatever_comes_is_read_or_refused_by_name(name, data, event):
    try:
        assert told(name, event, json.dumps(data).encode()).key
    except Unreadable:
        pass


@needs_payloads
@BOTH
def test_real_events_are_understood(name):
    (event,) = told(name, "push", real("gitea/push.json")).events
    assert event.repository == "http://localhost:3000/example/example.git"
    assert (event.ref, event.commit[:7], event.message) == ("refs/heads/master", "67b5658", "example")
    assert told(name, "delete", real("gitea/delete.json")).note == "refs/heads/example3 was deleted"
    assert told(name, "create", real("gitea/create.json")).verdict is Verdict.IGNORED
