"""Google Artifact Registry: tokens that are ours, and what Pub/Sub carries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from tests.unit.providers.keys import ACCOUNT, JWKS, KEY, KEYS, OTHER_KEY, URL, published, token
from tests.unit.providers.noise import headers_with, json_with
from tests.unit.providers.parts import NOW, body, hook, needs_payloads, parse, real, verify
from webhooks.provider import BadSignature, Incoming, documents

NAME = "google-artifact-registry"
PUSHED = ImagePushed("europe-docker.pkg.dev/example-project/team/shop", "1.4.0", "sha256:" + "1" * 64)
HOOK = hook(NAME, audience=URL, account=ACCOUNT)


def check(told: str, at: float = NOW, jwks: bytes = JWKS, config=HOOK) -> None:
    """What the receiver does: ask what is needed, then verify with it."""
    headers = {"authorization": f"Bearer {told}"}
    papers = dict.fromkeys(documents(NAME, Incoming(headers, b""), config), jwks)
    verify(NAME, headers, at=at, config=config, documents=papers)


def wrapped(data: bytes, **more) -> bytes:
    message = {
        "data": base64.b64encode(data).decode(),
        "messageId": "81",
        "publishTime": "2026-11-18T11:06:40Z",
        **more,
    }
    return json.dumps({"message": message, "subscription": "projects/example-project/subscriptions/nodewise"}).encode()


def told(content: bytes, **headers: str):
    return parse(NAME, content, HOOK, **headers)


def test_a_pushed_tag_is_an_event_with_the_digest_and_the_message_is_named_by_its_id():
    parsed = told(wrapped(body(f"{NAME}/insert.json")))
    assert (parsed.verdict, parsed.events, parsed.key) == (Verdict.ACCEPTED, (PUSHED,), "81")


def test_the_id_of_older_libraries_names_the_message_too():
    assert told(wrapped(body(f"{NAME}/insert.json"), messageId=None, message_id="82")).key == "82"


def test_an_unwrapped_payload_is_named_by_a_header():
    parsed = told(body(f"{NAME}/insert.json"), x_goog_pubsub_message_id="83")
    assert (parsed.events, parsed.key) == ((PUSHED,), "83")


def test_an_unwrapped_payload_without_an_id_is_the_same_for_as_long_as_its_token():
    keys = [told(body(f"{NAME}/insert.json"), authorization=f"Bearer {t}").key for t in ("a", "a", "b")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("case", "note"), [("insert-untagged", "pushed without a tag"), ("delete-tag", "DELETE is no push")]
)
def test_what_is_no_push_of_a_tag_is_ignored(case, note):
    parsed = told(wrapped(body(f"{NAME}/{case}.json")))
    assert (parsed.verdict, parsed.events, parsed.note) == (Verdict.IGNORED, (), note)


def test_the_configured_registry_stands_for_the_notified_one():
    config = hook(NAME, audience=URL, account=ACCOUNT, registry="registry.example")
    (pushed,) = parse(NAME, body(f"{NAME}/insert.json"), config).events
    assert pushed.repository == "registry.example/example-project/team/shop"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "not an object"),
        (b"{}", "action is missing"),
        (b'{"message": 3}', "message.data is missing"),
        (b'{"message": {"messageId": "81"}}', "message.data is missing"),
        (b'{"message": {"data": "!"}}', "message.data is no base64"),
        (b'{"message": {"data": "\\u00e9"}}', "message.data is no base64"),
        (wrapped(b"Hello"), "message.data is no JSON"),
        (wrapped(b'{"action": "INSERT", "tag": "gcr.io/A:1", "digest": "x"}'), "tag: "),
        (wrapped(b'{"action": "INSERT", "tag": "gcr.io/a/b:1"}'), "digest is missing"),
        (wrapped(b'{"action": "INSERT", "tag": "gcr.io/a/b:1", "digest": "gcr.io/a/c"}'), "of two images"),
        (wrapped(b'{"action": "INSERT", "tag": "gcr.io/a/b", "digest": "gcr.io/a/b"}'), "tag"),
    ],
)
def test_what_nobody_can_read_is_taken_and_noted_since_it_would_be_sent_for_days(content, reason):
    parsed = told(content)
    assert (parsed.verdict, parsed.events) == (Verdict.UNUSABLE, ())
    assert reason in parsed.note


@pytest.mark.parametrize("issuer", ["https://accounts.google.com", "accounts.google.com"])
def test_a_token_of_googles_for_this_hook_holds(issuer):
    check(token(iss=issuer))


def test_the_keys_are_googles_and_are_not_asked_for_without_a_token():
    assert documents(NAME, Incoming({"authorization": f"bearer {token()}"}, b""), HOOK) == (KEYS,)
    for authorization in ("", "Bearer", "Bearer x", "Basic a.b.c", "Bearer a.b"):
        with pytest.raises(BadSignature, match="no credentials"):
            documents(NAME, Incoming({"authorization": authorization}, b""), HOOK)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://else.example"}, "another audience"),
        ({"aud": [URL, "https://else.example"]}, "another audience"),
        ({"aud": None}, "wrong token"),
        ({"iss": "https://accounts.google.com.example.org"}, "wrong token"),
        ({"iss": None}, "wrong token"),
        ({"email": "other@example-project.iam.gserviceaccount.com"}, "another account"),
        ({"email": None}, "wrong token"),
        ({"email": [ACCOUNT]}, "another account"),
        ({"email_verified": False}, "another account"),
        ({"email_verified": "true"}, "another account"),
        ({"email_verified": None}, "wrong token"),
        ({"exp": None}, "wrong token"),
        ({"iat": None}, "wrong token"),
        ({"exp": "soon"}, "no time"),
        ({"iat": [1]}, "no time"),
        ({"exp": float("nan")}, "window"),
        ({"iat": float("nan")}, "window"),
        ({"exp": int(NOW) - 301}, "window"),
        ({"iat": int(NOW) + 301}, "window"),
        ({"iat": 10**400}, "window"),
        ({"nbf": int(NOW) + 301}, "window"),
    ],
)
def test_a_token_that_says_something_else_is_turned_away(claims, reason):
    with pytest.raises(BadSignature, match=reason):
        check(token(**claims))


def test_the_time_is_the_given_one_and_the_window_is_what_clocks_may_differ_by():
    for at in (NOW - 60 - 299, NOW + 3540 + 299):
        check(token(), at)
    for at in (NOW - 60 - 301, NOW + 3540 + 301):
        with pytest.raises(BadSignature, match="window"):
            check(token(), at)


def test_a_token_by_another_key_or_an_unknown_one_is_turned_away():
    for other in (token(OTHER_KEY), token(kid="k9"), token(kid=None), token(kid="k0")):
        with pytest.raises(BadSignature, match="wrong token"):
            check(other)


def encoded(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def test_a_token_that_says_it_is_not_signed_is_turned_away():
    payload = token().split(".")[1]
    for algorithm in ("none", "None", "", None, {}):
        with pytest.raises(BadSignature, match="wrong token"):
            check(f"{encoded({'alg': algorithm, 'kid': 'k1'})}.{payload}.")


def test_a_token_signed_with_the_public_key_as_if_it_were_a_secret_is_turned_away():
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    start = f"{encoded({'alg': 'HS256', 'kid': 'k1', 'typ': 'JWT'})}.{token().split('.')[1]}"
    for secret in (pem, pem.strip(), json.dumps(published()).encode()):
        signature = base64.urlsafe_b64encode(hmac.new(secret, start.encode(), hashlib.sha256).digest())
        with pytest.raises(BadSignature, match="wrong token"):
            check(f"{start}.{signature.rstrip(b'=').decode()}")


def test_a_token_with_another_algorithm_of_the_same_key_is_turned_away():
    for algorithm in ("RS512", "PS256"):
        with pytest.raises(BadSignature, match="wrong token"):
            check(token(algorithm=algorithm))


def test_a_token_with_changed_claims_is_turned_away():
    head, _, signature = token(aud="https://else.example").split(".")
    with pytest.raises(BadSignature, match="wrong token"):
        check(f"{head}.{token().split('.')[1]}.{signature}")


@pytest.mark.parametrize("jwks", [b"", b"\xff", b"[]", b"{}", b'{"keys": []}', b'{"keys": [3, {"kty": "RSA"}]}'])
def test_keys_that_cannot_be_read_open_nothing(jwks):
    with pytest.raises(BadSignature, match="wrong token"):
        check(token(), jwks=jwks)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_short_key_is_trusted_by_nobody():
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(BadSignature, match="wrong token"):
        check(token(short), jwks=json.dumps({"keys": [published(short)]}).encode())


def test_ids_of_messages_that_cannot_be_read_are_told_apart_to_their_ends():
    first, second = (told(b"nothing", x_goog_pubsub_message_id="8" * 200 + end).key for end in ("1", "2"))
    assert first != second


@given(json_with("message", "data", "messageId", "action", "INSERT", "tag", "gcr.io/a/b:1", "digest", "gcr.io/a/b"))
def test_nothing_that_pub_sub_may_send_is_refused_by_an_error(data):
    for content in (json.dumps(data).encode(), wrapped(json.dumps(data).encode())):
        parsed = told(content)
        assert parsed.key


@given(headers_with("authorization", values=("Bearer a.b.c", "Bearer e30.e30.", "Bearer \xe9.\xe9.\xe9")))
def test_no_header_raises_anything_but_bad_signature(headers):
    with pytest.raises(BadSignature):
        verify(NAME, headers, config=HOOK, documents={KEYS: JWKS})


@given(
    json_with("alg", "RS256", "kid", "k1", "crit", "b64"), json_with("aud", URL, "exp", "iat"), st.binary(max_size=9)
)
def test_no_token_raises_anything_but_bad_signature(head, claims, signature):
    tail = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    with pytest.raises(BadSignature):
        check(f"{encoded(head)}.{encoded(claims)}.{tail}")


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(["aud", "iss", "email", "email_verified", "iat", "exp", "nbf", "sub"], json_with("a")),
    )
)
def test_no_well_signed_claims_raise_anything_but_bad_signature(claims):
    start = f"{encoded({'alg': 'RS256', 'kid': 'k1'})}.{encoded(claims)}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(start.encode(), KEY)
    with pytest.raises(BadSignature):
        check(f"{start}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


@needs_payloads
def test_a_real_message_is_understood():
    insert = real(f"{NAME}/message-data-insert.json")
    for parsed in (told(insert), told(wrapped(insert))):
        (pushed,) = parsed.events
        assert (pushed.repository, pushed.tag) == (
            "gcr.io/freshly-docker/freshly",
            "PIG-267-refactor-email-service",
        )
    generic = told(real(f"{NAME}/pubsub-push-envelope-generic.json"))
    assert (generic.verdict, generic.key) == (Verdict.UNUSABLE, "2070443601311540")
