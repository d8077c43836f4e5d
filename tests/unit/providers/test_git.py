"""Plain git: what the post-receive hook tells."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from nodewise.domain.events import CodePushed
from tests.gitrepo import HOOK
from tests.unit.providers.parts import COMMIT, NOW, SECRET, body, parse, verify
from webhooks.provider import BadSignature, Unreadable, provider


def signed(content: bytes, key: bytes = SECRET, at: float = NOW, id_: str = "git-1") -> dict[str, str]:
    signature = hmac.new(key, f"{id_}.{int(at)}.".encode() + content, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def test_what_is_to_be_configured_is_what_the_shipped_hook_reads():
    named = {word for line in provider("git").ABOUT.setup for word in re.findall(r"git config (nodewise\.\w+)", line)}
    assert named == set(re.findall(r'git\("config", "([\w.]+)"\)', HOOK.read_text()))


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
    verify("git", headers, content, [b"other", SECRET], NOW + 299)
    headers["webhook-signature"] = "v1,AAAA v2,xyz " + headers["webhook-signature"]
    verify("git", headers, content, [SECRET], NOW - 299)


def test_a_base64_secret_signs_as_the_standard_says():
    content = body("git/push.json")
    secret = "whsec_" + base64.b64encode(SECRET).decode()
    reference = Webhook(secret).sign("git-1", datetime.fromtimestamp(NOW, UTC), content.decode())
    assert signed(content)["webhook-signature"] == reference
    verify("git", signed(content), content, [secret.encode()], NOW)


@pytest.mark.parametrize("late", [301, -301])
def test_a_signed_time_outside_the_window_is_turned_away(late):
    content = body("git/push.json")
    with pytest.raises(BadSignature, match="window"):
        verify("git", signed(content), content, [SECRET], NOW + late)


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
        verify("git", headers, content, [SECRET, b"whsec_!"], NOW)
