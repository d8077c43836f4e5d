"""Providers: what a body and its headers mean. One file of data a case, written in the shape the provider sends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from nodewise.config.file import PROVIDERS, HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.errors import UserError
from nodewise.domain.events import CodePushed, ImagePushed
from webhooks.provider import BadSignature, Incoming, Unreadable, names, provider

DATA = Path(__file__).parents[1] / "data" / "webhooks"
PAYLOADS = os.environ.get("NODEWISE_PAYLOADS")
SECRET = b"a-secret-of-the-test"
NOW = 1_795_000_000.0
COMMIT = "2" * 40

distribution, git, github = provider("distribution"), provider("git"), provider("github")


def hook(name: str, **more) -> HookConfig:
    return HookConfig(provider=name, secrets=["x"], **more)


def body(name: str) -> bytes:
    return (DATA / name).read_bytes()


def parse(name: str, content: bytes, config: HookConfig | None = None, **headers: str):
    incoming = Incoming({k.replace("_", "-"): v for k, v in headers.items()}, content)
    return provider(name).parse(incoming, config or hook(name))


def test_the_folder_is_the_registry_and_the_configuration_knows_every_provider():
    assert tuple(names()) == tuple(sorted(PROVIDERS))
    assert set(get_args(HookConfig.model_fields["provider"].annotation)) == set(PROVIDERS)
    assert {p.name for p in DATA.iterdir()} == set(PROVIDERS), "each provider has a folder of data"


# -- distribution ----------------------------------------------------------------------------------


def test_a_pushed_tag_is_an_event_with_the_digest_and_the_envelope_is_named_by_its_event():
    parsed = parse("distribution", body("distribution/push.json"))
    assert parsed.verdict is Verdict.ACCEPTED
    assert parsed.events == (ImagePushed("registry.example:5000/team/shop", "1.4.0", "sha256:" + "1" * 64),)
    assert parsed.key == "6a1f0b52-8a1e-4d7e-9a0e-0c4f0a3d7b11"


def test_of_several_events_only_tagged_manifests_that_were_pushed_count():
    parsed = parse("distribution", body("distribution/several.json"))
    assert [(e.repository, e.tag) for e in parsed.events] == [
        ("registry.example:5000/team/shop", "1.5.0"),
        ("registry.example:5000/team/cart", "2.0.0"),
    ]


def test_a_delete_is_ignored_and_says_so():
    parsed = parse("distribution", body("distribution/delete.json"))
    assert (parsed.verdict, parsed.events) == (Verdict.IGNORED, ())
    assert "delete is no push" in parsed.note


def test_the_configured_registry_stands_for_the_notified_host():
    config = hook("distribution", registry="registry.example.org")
    (event,) = parse("distribution", body("distribution/push.json"), config).events
    assert event.repository == "registry.example.org/team/shop"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"[]", "not an object"),
        (b"{}", "events is no list"),
        (b'{"events": [{"action": "push"}, 3]}', "events[1]"),
    ],
)
def test_what_a_registry_sends_and_nobody_can_read_is_taken_and_noted(content, reason):
    parsed = parse("distribution", content)
    assert parsed.verdict in (Verdict.UNUSABLE, Verdict.IGNORED)
    assert reason in parsed.note


def test_a_tagged_manifest_without_a_digest_is_unusable_and_the_rest_of_the_envelope_is_used():
    envelope = json.loads(body("distribution/push.json"))
    broken = json.loads(json.dumps(envelope["events"][0]))
    del broken["target"]["digest"]
    parsed = parse("distribution", json.dumps({"events": [broken]}).encode())
    assert (parsed.verdict, parsed.note) == (Verdict.UNUSABLE, "events[0]: target.digest is missing")
    parsed = parse("distribution", json.dumps({"events": [broken, *envelope["events"]]}).encode())
    assert (parsed.verdict, len(parsed.events)) == (Verdict.ACCEPTED, 1)
    assert "target.digest" in parsed.note


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["events", "action", "target", "tag", "mediaType", "request", "host", "id", "digest"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_nothing_that_a_registry_may_send_is_refused_by_an_error(data):
    parsed = parse("distribution", json.dumps(data).encode())
    assert parsed.key
    assert len(parsed.key) <= 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer a-secret-of-the-test",
        "Basic " + base64.b64encode(b"registry:a-secret-of-the-test").decode(),
        "bearer  a-secret-of-the-test ",
    ],
)
def test_a_registry_proves_itself_with_a_bearer_token_or_a_basic_password(authorization):
    distribution.verify(Incoming({"authorization": authorization}, b""), [b"other", SECRET], NOW, 300)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer a-secret", "Basic !!", "Basic " + base64.b64encode(b"a:b").decode(), "Bearer s\xe9cret"],
)
def test_a_registry_with_other_credentials_is_turned_away(authorization):
    with pytest.raises(BadSignature):
        distribution.verify(Incoming({"authorization": authorization}, b""), [SECRET], NOW, 300)


def test_an_empty_secret_opens_nothing():
    for scheme in ("Bearer ", "Basic " + base64.b64encode(b":").decode()):
        with pytest.raises(BadSignature):
            distribution.verify(Incoming({"authorization": scheme}, b""), [b""], NOW, 300)


# -- git -------------------------------------------------------------------------------------------


def signed(content: bytes, key: bytes = SECRET, at: float = NOW, id_: str = "git-1") -> dict[str, str]:
    signature = hmac.new(key, f"{id_}.{int(at)}.".encode() + content, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def test_every_ref_that_moved_is_an_event_and_a_deleted_one_is_none():
    parsed = parse("git", body("git/push.json"), webhook_id="git-7")
    assert parsed.events == (
        CodePushed("/srv/git/shop.git", "refs/heads/main", COMMIT, "1" * 40, "Sell hats", "Ada"),
        CodePushed("/srv/git/shop.git", "refs/tags/v1.2.0", COMMIT, "0" * 40, "Sell hats", "Ada"),
    )
    assert parsed.key == "git-7"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"nothing", ""),
        (b"{}", "repository"),
        (b'{"repository": "x"}', "refs"),
        (b'{"repository": "x", "refs": [3]}', "refs[0]"),
        (b'{"repository": "x", "refs": [{"ref": "a"}]}', "refs[0].after"),
        (b'{"repository": "x", "refs": [{"ref": 3}]}', "refs[0].ref"),
    ],
)
def test_a_body_of_another_shape_names_the_field(content, field):
    with pytest.raises(Unreadable) as error:
        parse("git", content)
    assert error.value.field == field


def test_a_signature_by_any_of_two_secrets_holds_and_so_does_one_of_several_signatures():
    content = body("git/push.json")
    headers = signed(content)
    git.verify(Incoming(headers, content), [b"other", SECRET], NOW + 299, 300)
    headers["webhook-signature"] = "v1,AAAA v2,xyz " + headers["webhook-signature"]
    git.verify(Incoming(headers, content), [SECRET], NOW - 299, 300)


def test_a_base64_secret_signs_as_the_standard_says():
    content = body("git/push.json")
    secret = "whsec_" + base64.b64encode(SECRET).decode()
    reference = Webhook(secret).sign("git-1", datetime.fromtimestamp(NOW, UTC), content.decode())
    assert signed(content)["webhook-signature"] == reference
    git.verify(Incoming(signed(content), content), [secret.encode()], NOW, 300)


@pytest.mark.parametrize("late", [301, -301])
def test_a_signed_time_outside_the_window_is_turned_away(late):
    content = body("git/push.json")
    with pytest.raises(BadSignature, match="window"):
        git.verify(Incoming(signed(content), content), [SECRET], NOW + late, 300)


@given(st.binary(max_size=60), st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "body"]))
def test_whatever_is_changed_the_signature_no_longer_holds(noise, where):
    content = body("git/push.json")
    headers = signed(content)
    if where == "body":
        if noise == content:
            return
        content = noise
    else:
        text = noise.decode("latin-1")
        if text == headers[where] or headers[where] in text.split(" "):
            return
        headers[where] = text
    with pytest.raises(BadSignature):
        git.verify(Incoming(headers, content), [SECRET, b"whsec_!"], NOW, 300)


# -- github ----------------------------------------------------------------------------------------


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
    github.verify(Incoming({"x-hub-signature-256": right}, content), [b"new", SECRET], NOW, 300)
    sha1 = "sha1=" + hmac.new(SECRET, content, hashlib.sha1).hexdigest()
    for headers in (
        {},
        {"x-hub-signature": sha1},
        {"x-hub-signature-256": sha1},
        {"x-hub-signature-256": "sha256=\xe9"},
    ):
        with pytest.raises(BadSignature):
            github.verify(Incoming(headers, content), [SECRET], NOW, 300)
    with pytest.raises(BadSignature):
        github.verify(Incoming({"x-hub-signature-256": right}, content + b" "), [SECRET], NOW, 300)


# -- real ones -------------------------------------------------------------------------------------


@pytest.mark.skipif(not PAYLOADS, reason="NODEWISE_PAYLOADS names no folder of real payloads")
def test_real_notifications_of_a_registry_are_understood():
    folder = Path(PAYLOADS or "") / "distribution"
    pushed = parse("distribution", (folder / "push-v1.json").read_bytes())
    assert [(e.repository, e.tag) for e in pushed.events] == [("registry.git.erxes.io/foo/bar", "1.6.1")]
    assert parse("distribution", (folder / "pull.json").read_bytes()).verdict is Verdict.IGNORED


def test_a_hook_without_a_secret_is_no_hook():
    with pytest.raises((UserError, ValueError)):
        HookConfig(provider="git")
