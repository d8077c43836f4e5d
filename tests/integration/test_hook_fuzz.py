"""Whatever comes to a hook: no error of ours, nothing unsigned is kept, and no secret is said or written anywhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.integration import hook_noise
from tests.integration.hook_parts import LARGEST, Receiver, every_hook
from tests.unit.providers.signers import HOOKS, IN_ADDRESS, WRONG, Request, secret_of, signed, standard

pytestmark = pytest.mark.seconds(30)

EVERY_HOOK = pytest.mark.parametrize("name", sorted(HOOKS))
SOME = settings(max_examples=max(1, settings().max_examples // 4))
NEVER_REFUSED = ("distribution", "gitlab", "gitlab-registry", "google-artifact-registry", "quay")
SECRETS = {name: secret_of(name) for name in HOOKS}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with every_hook(tmp_path_factory.mktemp("fuzz")) as opened:
        yield opened


def is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def no_secret_in(*texts: str) -> None:
    assert [name for name, secret in SECRETS.items() if any(secret in text for text in texts)] == []


def check(answer: TestResponse, receiver: Receiver) -> None:
    assert answer.status_code < 500, receiver.log.getvalue()[-3000:]
    no_secret_in(answer.text, str(answer.headers))


def nothing_is_said_or_kept(receiver: Receiver) -> None:
    no_secret_in(receiver.log.getvalue(), repr(receiver.rows()))


@EVERY_HOOK
def test_whatever_is_well_signed_is_taken_or_refused_with_the_reason(receiver: Receiver, name: str):
    provider = HOOKS[name].provider

    @SOME
    @given(hook_noise.bodies(provider), hook_noise.headers(provider), st.booleans())
    def send(body: bytes, headers: dict[str, str], form: bool):
        if HOOKS[name].sign is standard and not is_text(body):
            return  # Standard Webhooks sign text
        request = signed(name, body, time.time(), headers, form)
        answer = receiver.post(name, request)
        check(answer, receiver)
        allowed = (200, 202) if provider in NEVER_REFUSED else (200, 202, 400)
        assert answer.status_code in allowed, answer.text
        if answer.status_code != 400:
            again = receiver.post(name, request)
            assert again.status_code in (200, 202)
            shown = receiver.ask("GET", answer.headers["Location"])
            check(shown, receiver)
            assert shown.status_code == 200
            assert provider == "quay" or again.json["delivery"] == answer.json["delivery"], "sent again, it is the same"

    send()
    nothing_is_said_or_kept(receiver)


@EVERY_HOOK
def test_what_is_signed_with_another_secret_is_counted_and_not_kept(receiver: Receiver, name: str):
    provider, before = HOOKS[name].provider, receiver.stored()
    others = [*WRONG, *(s for n, s in SECRETS.items() if n != name)]
    if name in ("by-sns", "google-artifact-registry"):
        others = list(WRONG)

    @SOME
    @given(hook_noise.bodies(provider), hook_noise.headers(provider), st.booleans(), st.sampled_from(others))
    def send(body: bytes, headers: dict[str, str], form: bool, secret: str):
        answer = receiver.post(name, signed(name, body, time.time(), headers, form, secret))
        check(answer, receiver)
        assert answer.status_code == 401, answer.text

    send()
    assert receiver.stored() == before
    nothing_is_said_or_kept(receiver)


@EVERY_HOOK
def test_what_is_not_signed_is_not_kept_though_it_has_the_secret_in_the_wrong_place(receiver: Receiver, name: str):
    provider, before, secret = HOOKS[name].provider, receiver.stored(), SECRETS[name]
    nowhere = {"X-Secret": secret, "Cookie": f"secret={secret}"}
    if name in IN_ADDRESS:
        nowhere["Authorization"] = f"Bearer {secret}"
    queries = st.sampled_from(["", "secret", "secret=", "secret=%00", "secret=%ff", "a=1&secret=wrong", f"x={secret}"])

    @SOME
    @given(hook_noise.bodies(provider), hook_noise.headers(provider), queries)
    def send(body: bytes, headers: dict[str, str], query: str):
        answer = receiver.post(name, Request(body, {**headers, **nowhere}), query_string=query)
        check(answer, receiver)
        assert answer.status_code == 401 or answer.json["note"] == "ping", answer.text

    send()
    pings = [row["id"] for row in receiver.rows()["deliveries"] if row["key"] == "ping"]
    assert len(pings) <= 1, "all pings, which need no signature, are one delivery"
    assert receiver.stored() - before <= set(pings)
    nothing_is_said_or_kept(receiver)


@pytest.mark.parametrize("tail", hook_noise.TAILS, ids=lambda tail: ascii(tail)[:20])
def test_what_no_database_can_hold_is_taken_and_shown_without_it(receiver: Receiver, tail: str):
    data = {"image": "registry.example/team/shop:1.4.0"}
    event = {"specversion": "1.0", "id": f"1{tail}", "source": f"/x{tail}", "type": "image.pushed", "data": data}
    alert = {"status": "firing", "labels": {"nodewise_service": f"web{tail}"}, "startsAt": tail}
    alert["fingerprint"] = ascii(tail)
    sent = {
        "cloudevents": (event, {"Content-Type": "application/cloudevents+json"}),
        "alertmanager": ({"alerts": [{**alert, "annotations": {"summary": tail}}]}, {}),
    }
    for name, (body, headers) in sent.items():
        answer = receiver.post(name, signed(name, json.dumps(body).encode(), time.time(), headers))
        assert (answer.status_code, answer.json["verdict"]) == (202, "accepted"), answer.text
        assert receiver.ask("GET", answer.headers["Location"]).status_code == 200


LENGTHS = st.sampled_from(["", "0", "-1", "7", "abc", "1e3", "９", "99999", str(LARGEST + 1), "9" * 30])


@SOME
@given(st.sampled_from(sorted(HOOKS)), LENGTHS, st.booleans(), st.sampled_from(hook_noise.AWKWARD))
def test_a_length_that_is_wrong_or_missing_is_no_error_of_ours(receiver: Receiver, name, length, chunked, body):
    more = {"CONTENT_LENGTH": length}
    if chunked:
        more |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    check(receiver.post(name, signed(name, body, time.time()), environ_overrides=more), receiver)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("name", IN_ADDRESS)
def test_a_secret_in_the_address_is_not_repeated_by_any_other_answer(receiver: Receiver, name: str, method: str):
    for path in (f"/hooks/{name}", f"/hooks/{name}/", f"/hooks//{name}", f"/hooks/{name}/other", f"/other/{name}"):
        answer = receiver.ask(method, path, {"secret": SECRETS[name]})
        check(answer, receiver)
        assert answer.status_code in (200, 404, 405)
    nothing_is_said_or_kept(receiver)
