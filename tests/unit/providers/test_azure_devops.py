"""Azure DevOps: code that was pushed."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import CodePushed
from tests.unit.providers.drawn import json_with
from tests.unit.providers.parts import COMMIT, SECRET, body, needs_payloads, parse, real, verify
from webhooks.bodies import digest
from webhooks.provider import BadSignature, Unreadable
from webhooks.providers.azure_devops import SAMPLE

NAME = "azure-devops"
URL = "https://devops.example/team/_git/shop"
PUSH = body(f"{NAME}/push.json")


def with_(**more) -> bytes:
    return json.dumps({**json.loads(PUSH), **more}).encode()


def resource(**more) -> bytes:
    return with_(resource={**json.loads(PUSH)["resource"], **more})


def basic(pair: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(pair).decode()}


def test_a_push_to_a_branch_is_an_event_named_by_its_id():
    parsed = parse(NAME, PUSH)
    assert parsed.events == (CodePushed(URL, "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),)
    assert (parsed.key, parsed.body_digest) == ("5b0c6f1e-0000-4000-8000-000000000001", "")


def test_several_refs_of_one_push_are_several_events_and_tags_are_told_from_branches():
    parsed = parse(NAME, body(f"{NAME}/several.json"))
    assert [(e.ref, e.commit) for e in parsed.events] == [("refs/heads/main", COMMIT), ("refs/tags/v1.2.0", COMMIT)]


def test_deleted_refs_are_ignored():
    parsed = parse(NAME, body(f"{NAME}/delete.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert parsed.note == "refs/heads/old was deleted; refs/tags/v0 was deleted"


@pytest.mark.parametrize("zeros", [40, 64])
def test_a_null_commit_of_any_length_is_a_delete(zeros):
    updates = [{"name": "refs/heads/main", "newObjectId": "0" * zeros}]
    assert parse(NAME, resource(refUpdates=updates)).note == "refs/heads/main was deleted"


@pytest.mark.parametrize("content", [body(f"{NAME}/minimal.json"), with_(resource=None), resource(refUpdates=None)])
def test_without_the_ref_updates_it_is_said_what_to_set(content):
    with pytest.raises(Unreadable, match="'Resource details to send' to All") as error:
        parse(NAME, content)
    assert error.value.field == "resource.refUpdates"


@pytest.mark.parametrize("sample", [SAMPLE, SAMPLE.upper()])
def test_the_sample_of_the_test_button_deploys_nothing(sample):
    parsed = parse(NAME, with_(id=sample))
    assert (parsed.verdict, parsed.events) == (Verdict.PING, ())


def test_other_events_are_ignored():
    parsed = parse(NAME, with_(eventType="git.pullrequest.created"))
    assert (parsed.verdict, parsed.note) == (Verdict.IGNORED, "event git.pullrequest.created is not used")


def test_an_event_without_an_id_is_named_by_its_body():
    content = with_(id=None)
    assert parse(NAME, content).key == digest(content)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"nothing", ""),
        (b"{}", "eventType"),
        (with_(id=3), "id"),
        (resource(refUpdates=3), "resource.refUpdates"),
        (resource(refUpdates=[3]), "resource.refUpdates[0]"),
        (resource(refUpdates=[{}]), "resource.refUpdates[0].name"),
        (resource(refUpdates=[{"name": "refs/heads/main"}]), "resource.refUpdates[0].newObjectId"),
        (resource(repository={}), "resource.repository.remoteUrl"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        parse(NAME, content)
    assert error.value.field == field


@pytest.mark.parametrize(
    "headers",
    [
        basic(b"nodewise:" + SECRET),
        basic(b":" + SECRET),
        {"authorization": f"Bearer {SECRET.decode()}"},
        {"authorization": SECRET.decode()},
        {"x-nodewise-token": SECRET.decode()},
        {"x-nodewise-token": SECRET.decode(), **basic(b"somebody:else")},
    ],
)
def test_it_proves_itself_by_basic_credentials_or_a_header(headers):
    verify(NAME, headers, PUSH, [b"new", SECRET])


@pytest.mark.parametrize(
    "headers",
    [{}, basic(b"nodewise:other"), basic(b":"), {"x-nodewise-token": "other"}, {"authorization": "Basic \xe9"}],
)
def test_other_credentials_open_nothing(headers):
    with pytest.raises(BadSignature):
        verify(NAME, headers, PUSH, [b"new", SECRET])
    with pytest.raises(BadSignature):
        verify(NAME, headers, PUSH, [b""])


@given(json_with("refUpdates", "name", "newObjectId", "oldObjectId", "repository", "remoteUrl", "commits", "commitId"))
def test_whatever_comes_is_read_or_refused_by_name(data):
    for content in (json.dumps(data).encode(), with_(resource=data), resource(refUpdates=data, commits=data)):
        try:
            assert parse(NAME, content).key
        except Unreadable:
            pass


@needs_payloads
def test_the_published_sample_is_a_ping_and_a_push_in_its_shape_is_understood():
    published = real(f"{NAME}/git_push.json")
    assert parse(NAME, published).verdict is Verdict.PING
    (event,) = parse(NAME, published.replace(SAMPLE.encode(), b"another")).events
    assert event.repository == "https://dev.azure.com/fabrikam-fiber-inc/DefaultCollection/_git/Fabrikam-Fiber-Git"
    assert (event.ref, event.commit[:7]) == ("refs/heads/main", "33b55f7")
    assert event.message == "Fixed bug in web.config file"
