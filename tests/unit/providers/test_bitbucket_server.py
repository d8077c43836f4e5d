"""Bitbucket Data Center: refs that changed."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from tests.unit.providers.drawn import json_with
from tests.unit.providers.parts import COMMIT, SECRET, body, hmac_hex, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Parsed, Unreadable

NAME = "bitbucket-server"
URL = "https://bitbucket.example/scm/team/shop.git"
CHANGED = body(f"{NAME}/refs-changed.json")
PING = body(f"{NAME}/ping.json")


def told(content: bytes, event: str = "repo:refs_changed", **headers: str) -> Parsed:
    return parse(NAME, content, x_event_key=event, **headers)


def with_(**more) -> bytes:
    return json.dumps({**json.loads(CHANGED), **more}).encode()


def change(**more) -> bytes:
    data = json.loads(CHANGED)
    data["changes"][0].update(more)
    return json.dumps(data).encode()


def test_a_branch_that_moved_is_an_event():
    parsed = told(CHANGED, x_request_id="r-1")
    assert parsed.events == (CodePushed(URL, "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),)
    assert (parsed.key, parsed.body_digest) == ("r-1", digest(CHANGED))


def test_several_changes_of_one_body_are_several_events_and_older_versions_tell_of_no_commits():
    parsed = told(body(f"{NAME}/several.json"))
    assert parsed.events == (
        CodePushed(URL, "refs/heads/main", COMMIT, "1" * 40),
        CodePushed(URL, "refs/tags/v1.2.0", COMMIT, "0" * 40),
    )


def test_deleted_refs_are_ignored():
    parsed = told(body(f"{NAME}/delete.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert parsed.note == "refs/heads/old was deleted; refs/tags/v0 was deleted"


@pytest.mark.parametrize("more", [{"toHash": "0" * 64}, {"toHash": "0" * 40, "type": "UPDATE"}, {"type": "DELETE"}])
def test_a_null_commit_of_any_length_is_a_delete_and_so_is_the_type(more):
    assert told(change(**more)).note == "refs/heads/main was deleted"


def test_an_unsigned_ping_is_let_through_and_does_nothing():
    headers = {"x-event-key": "diagnostics:ping"}
    verify(NAME, headers, PING)
    parsed = told(PING, "diagnostics:ping", x_request_id="r-1")
    assert (parsed.verdict, parsed.events) == (Verdict.PING, ())


def test_a_push_that_calls_itself_a_ping_does_nothing():
    assert told(CHANGED, "diagnostics:ping").events == ()


def test_strangers_pings_are_all_one_delivery_and_take_no_other_ones_id():
    keys = {told(content, "diagnostics:ping", x_request_id=i).key for content in (PING, CHANGED) for i in ("a", "b")}
    assert keys == {"ping"}
    assert told(PING, "diagnostics:ping").body_digest == ""


def test_a_ping_with_a_wrong_signature_is_turned_away():
    headers = {"x-event-key": "diagnostics:ping"}
    verify(NAME, {**headers, "x-hub-signature": f"sha256={hmac_hex(PING)}"}, PING)
    with pytest.raises(BadSignature):
        verify(NAME, {**headers, "x-hub-signature": f"sha256={hmac_hex(PING, secret=b'other')}"}, PING)


@pytest.mark.parametrize(
    "event", ["", "repo:refs_changed", "diagnostics:ping ", "diagnostics:pings", "Diagnostics:Ping"]
)
def test_nothing_but_a_ping_comes_unsigned(event):
    with pytest.raises(BadSignature):
        verify(NAME, {"x-event-key": event}, PING)


def test_basic_credentials_beside_the_signature_open_nothing_by_themselves():
    right = f"sha256={hmac_hex(CHANGED)}"
    basic = "Basic " + base64.b64encode(b"nodewise:" + SECRET).decode()
    verify(NAME, {"x-hub-signature": right, "authorization": basic}, CHANGED, [b"new", SECRET])
    with pytest.raises(BadSignature):
        verify(NAME, {"authorization": basic}, CHANGED, [b"new", SECRET])


def test_the_signature_has_its_prefix_and_is_over_the_raw_body():
    right = f"sha256={hmac_hex(CHANGED)}"
    for value in ("", right[7:], "sha256=\xe9", f"sha1={hmac_hex(CHANGED, 'sha1')}"):
        with pytest.raises(BadSignature):
            verify(NAME, {"x-hub-signature": value}, CHANGED)
    with pytest.raises(BadSignature):
        verify(NAME, {"x-hub-signature": right}, CHANGED + b" ")


@pytest.mark.parametrize("event", ["repo:forked", "mirror:repo_synchronized", ""])
def test_other_events_are_ignored(event):
    assert told(CHANGED, event).verdict is Verdict.IGNORED


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"nothing", ""),
        (b"{}", "repository.links.clone"),
        (with_(repository={"links": {"clone": []}}), "repository.links.clone"),
        (with_(changes=None), "changes"),
        (with_(changes=[3]), "changes[0]"),
        (with_(changes=[{}]), "changes[0].ref.id"),
        (change(toHash=None), "changes[0].toHash"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        told(content)
    assert error.value.field == field


def test_without_an_address_by_http_the_first_one_names_the_repository():
    clone = [{"href": "ssh://git@bitbucket.example:7999/team/shop.git", "name": "ssh"}]
    assert told(with_(repository={"links": {"clone": clone}})).events[0].repository == clone[0]["href"]


@given(
    json_with("changes", "ref", "id", "toHash", "type", "repository", "links", "clone", "name", "href", "commits"),
    st.sampled_from(["repo:refs_changed", "diagnostics:ping"]),
)
def test_whatever_comes_is_read_or_refused_by_name(data, event):
    for content in (json.dumps(data).encode(), with_(changes=data, commits=data, toCommit=data)):
        try:
            assert told(content, event).key
        except Unreadable:
            pass


@needs_payloads
def test_a_real_change_is_understood():
    published = real(f"{NAME}/refs_changed.json")
    assert told(published).note == "refs/heads/feature/wip was deleted"
    moved = published.replace(b'"DELETE"', b'"UPDATE"').replace(b"0" * 40, COMMIT.encode())
    (event,) = told(moved).events
    assert event.repository == "https://server.bitbucket.local/scm/~gopher/webhook-test.git"
