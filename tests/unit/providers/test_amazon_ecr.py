"""Amazon ECR: by EventBridge with a header, and by SNS with Amazon's signature."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.keys import CERTIFICATE, OTHER_KEY, TOPIC, certificate
from tests.unit.providers.keys import sns_signed as signed
from tests.unit.providers.noise import headers_with, json_with
from tests.unit.providers.parts import NOW, SECRET, body, hook, needs_payloads, parse, real, verify
from webhooks.provider import BadSignature, Incoming, Unreadable, documents

PUSHED = ImagePushed("111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/shop", "1.4.0", "sha256:" + "1" * 64)
BY_TOPIC = HookConfig(provider="amazon-ecr", topics=[TOPIC])
BY_SECRET = hook("amazon-ecr")
BEARER = {"authorization": "Bearer a-secret-of-the-test"}


PEM = certificate()


def message(event: object = None, **more) -> dict:
    """A notification of the topic about *event*."""
    content = body("amazon-ecr/push.json").decode() if event is None else json.dumps(event)
    return {
        "Type": "Notification",
        "MessageId": "5f0e0f7e-0f5c-45c5-9b0e-6f2a1c9d7e11",
        "TopicArn": TOPIC,
        "Message": content,
        "Timestamp": "2026-11-18T11:06:40.000Z",
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
        **more,
    }


def check(told: dict, at: float = NOW, config: HookConfig = BY_TOPIC, pem: bytes = PEM, **headers: str) -> None:
    """What the receiver does: ask what is needed, then verify with it."""
    content = json.dumps(told).encode()
    headers = {"x-amz-sns-message-type": str(told.get("Type", "Notification")), **headers}
    papers = dict.fromkeys(documents("amazon-ecr", Incoming(headers, content), config), pem)
    verify("amazon-ecr", headers, content, [SECRET] if config.secrets else [], at, config, documents=papers)


def told_by_sns(told: dict):
    return parse("amazon-ecr", json.dumps(told).encode(), BY_TOPIC, x_amz_sns_message_type=told["Type"])


def test_a_pushed_tag_is_an_event_in_the_registry_of_its_account_and_region():
    parsed = parse("amazon-ecr", body("amazon-ecr/push.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.ACCEPTED, (PUSHED,))
    assert parsed.key == "0b5d6f1e-5d0a-4c53-8a7e-3f8f6b1c2d01"


def test_by_either_way_one_event_is_one_delivery():
    parsed = told_by_sns(message())
    assert parsed == parse("amazon-ecr", body("amazon-ecr/push.json"))


def test_the_registry_in_china_has_a_name_of_its_own_and_any_other_is_configured():
    event = json.loads(body("amazon-ecr/push.json")) | {"region": "cn-north-1"}
    (pushed,) = parse("amazon-ecr", json.dumps(event).encode()).events
    assert pushed.repository == "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/team/shop"
    config = hook("amazon-ecr", registry="registry.example")
    assert parse("amazon-ecr", json.dumps(event).encode(), config).events[0].repository == "registry.example/team/shop"


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("untagged", "pushed without a tag"),
        ("delete", "DELETE is no push"),
        ("scan", "event ECR Image Scan of aws.ecr is not used"),
    ],
)
def test_what_is_no_push_of_a_tag_is_ignored(case, note):
    parsed = parse("amazon-ecr", body(f"amazon-ecr/{case}.json"))
    assert (parsed.verdict, parsed.events, parsed.note) == (Verdict.IGNORED, (), note)


def test_a_push_that_failed_and_an_event_of_somebody_else_are_ignored():
    event = json.loads(body("amazon-ecr/push.json"))
    event["detail"]["result"] = "FAILURE"
    assert parse("amazon-ecr", json.dumps(event).encode()).note == "the push ended as FAILURE"
    assert "of my.own is not used" in parse("amazon-ecr", json.dumps(event | {"source": "my.own"}).encode()).note
    assert told_by_sns(message({"AlarmName": "cpu"})).verdict is Verdict.IGNORED


@pytest.mark.parametrize("field", ["id", "account", "region", "detail.action-type", "detail.repository-name"])
def test_an_event_of_another_shape_names_the_field(field):
    event = json.loads(body("amazon-ecr/push.json"))
    parent, _, name = field.rpartition(".")
    del (event[parent] if parent else event)[name]
    with pytest.raises(Unreadable) as error:
        parse("amazon-ecr", json.dumps(event).encode())
    assert error.value.field == field


def test_a_message_that_holds_no_event_names_the_message():
    with pytest.raises(Unreadable, match="Message is no JSON") as error:
        told_by_sns(message() | {"Message": "Hello"})
    assert error.value.field == "Message"


def test_a_subscription_is_confirmed_by_visiting_amazons_own_address():
    told = json.loads(body("amazon-ecr/sns-subscription.json"))
    parsed = told_by_sns(told)
    assert (parsed.verdict, parsed.events) == (Verdict.PING, ())
    assert parsed.confirm == told["SubscribeURL"]


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.eu-central-1.amazonaws.com.example.org/?Action=ConfirmSubscription",
        "https://sns.eu-central-1.amazonaws.com:8443/?Action=ConfirmSubscription",
        "https://example.org/?Action=ConfirmSubscription",
    ],
)
def test_a_subscription_that_would_be_confirmed_elsewhere_is_not(url):
    with pytest.raises(Unreadable) as error:
        told_by_sns(json.loads(body("amazon-ecr/sns-subscription.json")) | {"SubscribeURL": url})
    assert error.value.field == "SubscribeURL"


def test_the_end_of_a_subscription_is_noted_and_nothing_is_visited():
    told = json.loads(body("amazon-ecr/sns-subscription.json")) | {"Type": "UnsubscribeConfirmation"}
    parsed = told_by_sns(told)
    assert (parsed.verdict, parsed.confirm) == (Verdict.IGNORED, "")
    assert TOPIC in parsed.note


@pytest.mark.parametrize("version", ["1", "2"])
def test_amazons_signature_holds_in_both_versions_with_and_without_a_subject(version):
    check(signed(message(SignatureVersion=version)))
    check(signed(message(SignatureVersion=version, Subject="Pushed")))
    for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        told = json.loads(body("amazon-ecr/sns-subscription.json")) | {"Type": kind, "SignatureVersion": version}
        check(signed(told))


@pytest.mark.parametrize("field", ["Message", "MessageId", "Subject", "Timestamp"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_field_that_was_changed_breaks_the_signature(field, version):
    told = signed(message(SignatureVersion=version, Subject="Pushed"))
    with pytest.raises(BadSignature, match="wrong signature"):
        check(told | {field: told[field] + "0"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SignatureVersion": "1"}, "wrong signature"),
        ({"SignatureVersion": "3"}, "unknown version"),
        ({"SignatureVersion": ["2"]}, "unknown version"),
        ({"Signature": "!"}, "wrong signature"),
        ({"Signature": "\xe9"}, "wrong signature"),
        ({"Signature": 3}, "wrong signature"),
        ({"Signature": ""}, "wrong signature"),
        ({"Message": None}, "not signed"),
        ({"Message": "\ud800"}, "wrong signature"),
        ({"Type": "Another"}, "not signed"),
        ({"TopicArn": TOPIC + "s"}, "wrong topic"),
        ({"TopicArn": [TOPIC]}, "wrong topic"),
    ],
)
def test_a_message_that_is_signed_in_no_good_way_is_turned_away(change, reason):
    with pytest.raises(BadSignature, match=reason):
        check(signed(message()) | change)


def test_another_topic_is_turned_away_however_well_it_is_signed_and_before_its_certificate_is_asked_for():
    told = signed(message(TopicArn="arn:aws:sns:eu-central-1:444455556666:pushed-images"))
    content = json.dumps(told).encode()
    with pytest.raises(BadSignature, match="wrong topic"):
        documents("amazon-ecr", Incoming({"x-amz-sns-message-type": "Notification"}, content), BY_TOPIC)


def test_line_breaks_in_a_message_of_another_topic_do_not_stand_for_ours():
    ours = message()
    tail = f"\nMessageId\n1\nTimestamp\n{ours['Timestamp']}\nTopicArn\n{TOPIC}\nType\nNotification"
    theirs = signed(message(TopicArn="arn:aws:sns:eu-central-1:444455556666:x") | {"Message": ours["Message"] + tail})
    for told in (theirs | {"TopicArn": TOPIC}, ours | {"MessageId": "1", "Signature": theirs["Signature"]}):
        with pytest.raises(BadSignature, match="wrong signature"):
            check(told)


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        CERTIFICATE.replace("amazonaws.com", "amazonaws.com.example.org"),
        CERTIFICATE.replace("sns.eu-central-1", "bucket.s3"),
        CERTIFICATE.replace("sns.eu-central-1", "sns.eu-central-1.s3"),
        CERTIFICATE.replace("sns.", "evilsns."),
        CERTIFICATE.replace(".com/", ".com:8443/"),
        CERTIFICATE.replace("https://", "https://user@"),
        CERTIFICATE.replace("https://", "https://example.org/"),
        CERTIFICATE.replace(".pem", ".txt"),
        CERTIFICATE + "?x",
        CERTIFICATE + "\n",
        CERTIFICATE.replace("/Simple", "/?Action=GetTopicAttributes&x=Simple"),
        "",
        None,
        3,
    ],
)
def test_a_certificate_is_asked_for_on_amazons_own_hosts_alone(url):
    with pytest.raises(BadSignature, match="certificate of somebody else"):
        check(signed(message(SigningCertURL=url)))


def test_a_certificate_in_china_is_amazons_as_well():
    told = message(SigningCertURL="https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem")
    check(signed(told))


def test_another_key_and_what_is_no_certificate_in_force_are_turned_away():
    with pytest.raises(BadSignature, match="wrong signature"):
        check(signed(message(), OTHER_KEY))
    with pytest.raises(BadSignature, match="wrong signature"):
        check(signed(message()), pem=certificate(OTHER_KEY))
    for pem in (b"", b"\xff", PEM[:200], certificate(days=-1), certificate(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(BadSignature, match="no certificate"):
            check(signed(message()), pem=pem)


def test_a_message_may_be_sent_again_for_an_hour_with_the_time_that_it_had():
    sent = datetime.fromisoformat(message()["Timestamp"]).timestamp()
    for at in (sent - 299, sent, sent + 3600 + 299):
        check(signed(message()), at)
    for at in (sent - 301, sent + 3600 + 301):
        with pytest.raises(BadSignature, match="window"):
            check(signed(message()), at)
    for wrong in ("yesterday", "", "0001-01-01T00:00:00+23:59"):
        with pytest.raises(BadSignature, match=r"no time|window"):
            check(signed(message(Timestamp=wrong)))


def test_a_message_without_its_signature_as_raw_delivery_sends_it_is_turned_away():
    event = json.loads(body("amazon-ecr/push.json"))
    with pytest.raises(BadSignature, match="not signed"):
        check(event, **{"x-amz-sns-rawdelivery": "true"})


def test_the_header_and_the_body_agree_on_the_kind_of_message():
    with pytest.raises(BadSignature, match="not signed"):
        check(signed(message()), **{"x-amz-sns-message-type": "SubscriptionConfirmation"})


def test_eventbridge_proves_itself_with_any_of_two_secrets_and_needs_no_document():
    content = body("amazon-ecr/push.json")
    assert documents("amazon-ecr", Incoming(BEARER, content), BY_SECRET) == ()
    verify("amazon-ecr", BEARER, content, [b"other", SECRET])
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "\xe9"}):
        with pytest.raises(BadSignature):
            verify("amazon-ecr", headers, content)


def test_a_hook_with_secrets_alone_takes_no_message_of_sns_even_with_the_secret():
    with pytest.raises(BadSignature, match="no topics"):
        check(signed(message()), config=BY_SECRET, **BEARER)


def test_a_hook_with_topics_alone_takes_no_header():
    for headers in (BEARER, {"authorization": "Bearer "}, {"authorization": "Basic Og=="}):
        with pytest.raises(BadSignature):
            verify("amazon-ecr", headers, body("amazon-ecr/push.json"), [], config=BY_TOPIC)


def test_a_hook_with_both_takes_either_and_no_mixture():
    config = hook("amazon-ecr", topics=[TOPIC])
    check(signed(message()), config=config)
    verify("amazon-ecr", BEARER, body("amazon-ecr/push.json"), config=config)
    with pytest.raises(BadSignature):
        check(message(), config=config, **BEARER)


@given(
    json_with("Type", "Notification", "TopicArn", TOPIC, "Message", "{}", "MessageId", "SigningCertURL", CERTIFICATE),
    headers_with("authorization", "x-amz-sns-message-type", values=("Notification", "Bearer x")),
)
def test_no_request_raises_anything_but_bad_signature_or_unreadable(data, headers):
    content = json.dumps(data).encode()
    for config in (BY_TOPIC, BY_SECRET):
        with pytest.raises(BadSignature):
            documents("amazon-ecr", Incoming(headers, content), config)
            verify("amazon-ecr", headers, content, config=config, documents={CERTIFICATE: PEM})
    with suppress(Unreadable):
        assert parse("amazon-ecr", content, **headers).key


@given(json_with("source", "aws.ecr", "detail-type", "ECR Image Action", "detail", "action-type", "PUSH", "id"))
def test_no_event_raises_anything_but_unreadable(data):
    with suppress(Unreadable):
        assert parse("amazon-ecr", json.dumps(data).encode()).key


@needs_payloads
def test_amazons_own_examples_are_understood():
    (pushed,) = parse("amazon-ecr", real("amazon-ecr/image-push.json")).events
    assert (pushed.repository, pushed.tag) == (
        "123456789012.dkr.ecr.us-west-2.amazonaws.com/my-repository-name",
        "latest",
    )
    subscription = real("amazon-ecr/sns-subscription-confirmation.json")
    assert parse("amazon-ecr", subscription, x_amz_sns_message_type="SubscriptionConfirmation").confirm
    notification = real("amazon-ecr/sns-notification-generic.json")
    with pytest.raises(Unreadable, match="Message is no JSON"):
        parse("amazon-ecr", notification, x_amz_sns_message_type="Notification")
    config = HookConfig(provider="amazon-ecr", topics=[json.loads(notification)["TopicArn"]])
    with pytest.raises(BadSignature):  # the signature in the documentation is none
        check(json.loads(notification), config=config)
