"""GitLab: pushes of branches and tags."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from tests.unit.providers.drawn import json_with, standard_headers, whsec
from tests.unit.providers.parts import COMMIT, NOW, SECRET, body, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature

PUSH = body("gitlab/push.json")
URL = "https://gitlab.example/team/shop.git"


def changed(**more) -> bytes:
    return json.dumps({**json.loads(PUSH), **more}).encode()


def test_a_push_to_a_branch_is_an_event_that_tells_of_the_commit_that_counts():
    parsed = parse("gitlab", PUSH, x_gitlab_event="Push Hook")
    assert parsed.verdict is Verdict.ACCEPTED
    assert parsed.events == (CodePushed(URL, "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),)


def test_an_annotated_tag_means_the_commit_behind_it():
    (event,) = parse("gitlab", body("gitlab/annotated-tag.json"), x_gitlab_event="Tag Push Hook").events
    assert event == CodePushed(URL, "refs/tags/v1.2.0", COMMIT, "0" * 40)


def test_a_system_hook_names_its_event_elsewhere():
    (event,) = parse("gitlab", body("gitlab/system-push.json"), x_gitlab_event="System Hook").events
    assert (event.ref, event.commit) == ("refs/heads/main", COMMIT)


def test_a_deleted_branch_has_no_checkout_sha_and_is_ignored():
    parsed = parse("gitlab", body("gitlab/delete.json"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "refs/heads/old was deleted")


@pytest.mark.parametrize("zeros", [40, 64, 1])
def test_a_null_commit_of_any_length_is_a_delete(zeros):
    assert parse("gitlab", changed(after="0" * zeros, checkout_sha=None)).note == "refs/heads/main was deleted"
    assert parse("gitlab", changed(checkout_sha="0" * zeros)).note == "refs/heads/main was deleted"


def test_the_test_button_looks_like_a_push_and_counts_as_one():
    sample = changed(commits=[], total_commits_count=0)
    assert parse("gitlab", sample, x_gitlab_event="Push Hook").verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("kind", ["merge_request", "repository_update", "", None])
def test_other_events_are_ignored(kind):
    parsed = parse("gitlab", changed(object_kind=kind, event_name=kind))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())


def test_a_custom_template_is_unusable_where_the_header_says_push_and_read_where_it_has_the_fields():
    parsed = parse("gitlab", body("gitlab/custom-template.json"), x_gitlab_event="Push Hook")
    assert (parsed.verdict, parsed.note) == (Verdict.UNUSABLE, "ref is missing")
    kindless = changed(object_kind=None, event_name=None)
    assert parse("gitlab", kindless, x_gitlab_event="Push Hook").events[0].commit == COMMIT


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"\xff", "the body is no JSON"),
        (b"[]", "not an object"),
        (changed(ref=7), "ref is a int"),
        (changed(project={}), "project.web_url is missing"),
        (b'{"object_kind": "push", "ref": "refs/heads/main", "after": "12"}', "checkout_sha is missing"),
    ],
)
def test_what_cannot_be_read_is_taken_and_noted_since_a_refusal_disables_the_hook(content, note):
    parsed = parse("gitlab", content)
    assert parsed.verdict is Verdict.UNUSABLE
    assert note in parsed.note


def test_the_project_has_a_page_where_its_clone_address_is_hidden():
    (event,) = parse("gitlab", changed(project={"git_http_url": None, "web_url": URL[:-4]})).events
    assert event.repository == "https://gitlab.example/team/shop"


def test_the_idempotency_key_names_the_delivery_and_the_shared_event_uuid_does_not():
    ids = {"idempotency_key": "i-1", "webhook_id": "w-1", "x_gitlab_event_uuid": "shared"}
    assert parse("gitlab", PUSH, **ids).key == "i-1"
    del ids["idempotency_key"]
    assert parse("gitlab", PUSH, **ids).key == "w-1"
    assert parse("gitlab", PUSH, x_gitlab_event_uuid="shared").key == digest(PUSH)


def test_a_signed_request_under_another_idempotency_key_is_guarded_and_a_move_to_and_fro_is_not():
    signed = {"webhook_signature": "v1,x", "webhook_id": "w-1"}
    first = parse("gitlab", PUSH, idempotency_key="i-1", **signed)
    captured = parse("gitlab", PUSH, idempotency_key="i-2", **signed)
    assert first.body_digest == captured.body_digest != ""
    later = parse("gitlab", PUSH, idempotency_key="i-3", webhook_signature="v1,y", webhook_id="w-2")
    assert later.body_digest != first.body_digest


def test_with_a_plain_token_there_is_nothing_to_guard():
    assert parse("gitlab", PUSH, idempotency_key="i-1").body_digest == ""


def test_the_plain_token_is_the_secret_itself_and_nothing_around_it():
    verify("gitlab", {"x-gitlab-token": SECRET.decode()}, PUSH, [b"new", SECRET])
    for token in ("", "a-secret", f"Bearer {SECRET.decode()}", "s\xe9cret"):
        with pytest.raises(BadSignature):
            verify("gitlab", {"x-gitlab-token": token}, PUSH, [b"new", SECRET])
    with pytest.raises(BadSignature):
        verify("gitlab", {"x-gitlab-token": ""}, PUSH, [b""])


def test_a_signing_token_of_two_is_enough():
    verify("gitlab", standard_headers(PUSH), PUSH, [whsec(b"other-key"), whsec()])


def test_where_a_signing_token_is_configured_the_plain_token_opens_nothing():
    for token in (SECRET, whsec()):
        with pytest.raises(BadSignature, match="not signed"):
            verify("gitlab", {"x-gitlab-token": token.decode()}, PUSH, [SECRET, whsec()])


def test_a_signature_by_the_plain_secret_does_not_hold_where_a_signing_token_is_configured():
    with pytest.raises(BadSignature, match="wrong signature"):
        verify("gitlab", standard_headers(PUSH, b"plain-one"), PUSH, [b"plain-one", whsec()])


@pytest.mark.parametrize("late", [301, -301])
def test_a_signed_time_outside_the_window_is_turned_away(late):
    with pytest.raises(BadSignature, match="window"):
        verify("gitlab", standard_headers(PUSH), PUSH, [whsec()], NOW + late)


@given(
    json_with("object_kind", "event_name", "ref", "after", "checkout_sha", "project", "web_url", "commits", "id"),
    st.sampled_from(["Push Hook", ""]),
)
def test_nothing_that_gitlab_may_send_is_refused_by_an_error(data, header):
    parsed = parse("gitlab", json.dumps(data).encode(), x_gitlab_event=header)
    assert parsed.key


@needs_payloads
@pytest.mark.parametrize(
    ("name", "ref", "commit", "message"),
    [
        ("push", "refs/heads/master", "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "fixed readme"),
        ("system_push", "refs/heads/master", "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", ""),
        ("tag_push", "refs/tags/v1.0.0", "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", ""),
        ("system_tag_push", "refs/tags/v1.0.0", "5937ac0a7beb003549fc5fd26fc247adbce4a52e", ""),
    ],
)
def test_real_pushes_are_understood(name, ref, commit, message):
    (event,) = parse("gitlab", real(f"gitlab/{name}.json")).events
    assert (event.ref, event.commit, event.message) == (ref, commit, message)
    assert event.repository.startswith("http://example.com/")
