"""Alertmanager: which alerts count, and when the same ones are told again."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import AlertFired
from tests.unit.providers.noise import headers_with, json_with
from tests.unit.providers.parts import SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.provider import BadSignature, Unreadable

FIRED = AlertFired("shop_web", "00000000000000a1", "2026-11-18T11:05:00.123Z", "One in ten answers is an error")


def group() -> dict:
    return json.loads(body("alertmanager/firing.json"))


def told(data: object, **more):
    return parse("alertmanager", json.dumps(data).encode(), hook("alertmanager", **more))


def test_of_a_firing_group_only_firing_alerts_with_the_label_of_a_service_count():
    parsed = told(group())
    assert (parsed.verdict, parsed.events, parsed.note) == (Verdict.ACCEPTED, (FIRED,), "")


def test_a_resolved_group_is_ignored_and_says_so():
    parsed = parse("alertmanager", body("alertmanager/resolved.json"))
    assert (parsed.verdict, parsed.events, parsed.note) == (Verdict.IGNORED, (), "resolved alerts are not used")


def test_alerts_of_no_service_are_ignored_and_the_missing_label_is_named():
    parsed = told(group(), service_label="app.name")
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert "without the label app.name" in parsed.note


def test_the_hook_names_the_label_and_says_whether_an_alert_always_counts():
    data = group()
    data["alerts"][0]["labels"] = {"app.name": "shop_web"}
    (event,) = told(data, service_label="app.name", always=True).events
    assert (event.service, event.always) == ("shop_web", True)


def test_a_group_that_is_told_again_is_the_same_delivery_whatever_its_order():
    data = group()
    first = told(data).key
    data["alerts"].reverse()
    data["receiver"] = "again"
    assert told(data).key == first


def test_a_group_with_one_more_alert_or_one_that_began_anew_is_another_delivery():
    data = group()
    keys = {told(data).key}
    data["alerts"].append({**data["alerts"][0], "fingerprint": "00000000000000a4"})
    keys.add(told(data).key)
    data["alerts"][0]["startsAt"] = "2026-11-18T12:00:00Z"
    keys.add(told(data).key)
    assert len(keys) == 3


def test_alerts_that_were_left_out_are_noted():
    data = group() | {"truncatedAlerts": 7}
    parsed = told(data)
    assert (len(parsed.events), parsed.note) == (1, "7 more alerts were left out by the sender")


def test_a_payload_without_a_version_is_read():
    data = group()
    for name in ("version", "truncatedAlerts", "groupKey"):
        del data[name]
    assert told(data).events == (FIRED,)


@pytest.mark.parametrize(
    ("annotations", "summary"),
    [
        ({"description": "Disk full\r\nand more"}, "Disk full"),
        ({"summary": " \n", "description": "Disk full"}, "Disk full"),
        ({"summary": "x" * 300}, "x" * 200),
        ({"summary": 3}, "TooManyErrors"),
        (None, "TooManyErrors"),
    ],
)
def test_the_summary_is_one_line_and_the_alerts_name_where_there_is_none(annotations, summary):
    data = group()
    data["alerts"][0]["annotations"] = annotations
    assert told(data).events[0].summary == summary


@pytest.mark.parametrize("name", [None, 3, ""])
def test_an_alert_without_summary_and_name_counts(name):
    data = group()
    data["alerts"][0] |= {"annotations": {}}
    data["alerts"][0]["labels"]["alertname"] = name
    assert told(data).events[0].summary == ""


@pytest.mark.parametrize("missing", ["status", "fingerprint", "startsAt"])
def test_an_alert_of_another_shape_names_the_field(missing):
    data = group()
    del data["alerts"][0][missing]
    with pytest.raises(Unreadable) as error:
        told(data)
    assert error.value.field == f"alerts[0].{missing}"


def test_an_alert_that_cannot_be_read_does_not_keep_the_others_from_being_used():
    data = group()
    data["alerts"].append({**data["alerts"][0], "fingerprint": ""})
    parsed = told(data)
    assert (parsed.events, parsed.note) == ((FIRED,), "alerts[3].fingerprint is empty")


@pytest.mark.parametrize(("content", "field"), [({}, "alerts"), ({"alerts": [1]}, "alerts[0]"), ([], "")])
def test_a_body_without_alerts_names_what_is_missing(content, field):
    with pytest.raises(Unreadable) as error:
        told(content)
    assert error.value.field == field
    assert told({"alerts": []}).note == "there is no alert"


@pytest.mark.parametrize("scheme", ["Bearer a-secret-of-the-test", "Basic YTphLXNlY3JldC1vZi10aGUtdGVzdA=="])
def test_it_proves_itself_with_any_of_two_secrets_as_bearer_or_basic(scheme):
    verify("alertmanager", {"authorization": scheme}, secrets=[b"other", SECRET])


@pytest.mark.parametrize("scheme", ["", "Bearer other", "Basic " + base64.b64encode(b"a:b").decode(), "s\xe9cret"])
def test_other_credentials_are_turned_away(scheme):
    with pytest.raises(BadSignature):
        verify("alertmanager", {"authorization": scheme})


@given(json_with("alerts", "status", "firing", "labels", "nodewise_service", "fingerprint", "startsAt", "annotations"))
def test_no_json_raises_anything_but_unreadable(data):
    with suppress(Unreadable):
        assert told(data).key


@given(headers_with("authorization"))
def test_no_header_raises_anything_but_bad_signature(headers):
    with pytest.raises(BadSignature):
        verify("alertmanager", headers)


@needs_payloads
def test_a_real_notification_is_understood():
    content = real("alertmanager/firing.json")
    assert parse("alertmanager", content).verdict is Verdict.IGNORED
    events = parse("alertmanager", content, hook("alertmanager", service_label="host")).events
    assert [(e.service, e.fingerprint) for e in events] == [
        ("andromeda", "a1bc48475b20e73d"),
        ("andromeda", "c2ea85182f28cbd9"),
    ]
    assert {e.summary for e in events} == {"High CPU core temperature"}
