"""Every way in which a provider proves itself, each as a hook of nodewise.yaml with a signer for any body.

A provider that can do so in two ways has two hooks. The folder of providers is held against this list: a new one that
nobody can sign for fails a test.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from nodewise.config.hooks import NAMELESS
from tests.unit.providers import keys
from tests.unit.providers.drawn import standard_headers
from tests.unit.providers.parts import hmac_hex
from webhooks.bodies import FORM

Headers = dict[str, str]
Signer = Callable[[bytes, str, float, str], Headers]  # body, secret, time, and an id where the signature has one
REGISTRY = "registry.example:5000"
WRONG = ("a-secret-that-is-in-force-nowhere", "whsec_" + base64.b64encode(b"a-key-in-force-nowhere").decode())


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes over the wire."""

    body: bytes
    headers: Headers
    query: dict[str, str] = field(default_factory=dict)


def bearer(body: bytes, secret: str, now: float, id_: str) -> Headers:
    return {"Authorization": f"Bearer {secret}"}


def basic(body: bytes, secret: str, now: float, id_: str) -> Headers:
    return {"Authorization": "Basic " + base64.b64encode(f"nodewise:{secret}".encode()).decode()}


def plain(header: str) -> Signer:
    return lambda body, secret, now, id_: {header: secret}


def hmac(header: str, prefix: str = "", algorithm: str = "sha256") -> Signer:
    return lambda body, secret, now, id_: {header: prefix + hmac_hex(body, algorithm, secret.encode())}


def standard(body: bytes, secret: str, now: float, id_: str) -> Headers:
    """As Standard Webhooks; without an id the body names the message, so that two bodies are two."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return standard_headers(body, key, now, id_ or f"msg-{hmac_hex(body)[:20]}")


def google(body: bytes, secret: str, now: float, id_: str) -> Headers:
    return {"Authorization": f"Bearer {keys.token(keys.OTHER_KEY if secret in WRONG else keys.KEY, at=now)}"}


def nothing(body: bytes, secret: str, now: float, id_: str) -> Headers:
    """What proves the request is not among its headers."""
    return {}


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook: its *options* in nodewise.yaml, and how its requests are signed.

    ``form``: whether the body may be a form, and over what it is then signed: the form itself, or the JSON in it.
    """

    provider: str
    sign: Signer
    options: dict[str, Any] = field(default_factory=dict)
    secret: str = "a-secret-in-force"
    form: str = ""


FIELDS = {"image": "image.name", "repository": "repository", "tag": "tag", "digest": "digest", "ref": "ref"}
HOOKS: dict[str, Hook] = {
    "alertmanager": Hook("alertmanager", bearer),
    "alerts-by-host": Hook("alertmanager", basic, {"service_label": "host"}),
    "amazon-ecr": Hook("amazon-ecr", bearer),
    "by-sns": Hook("amazon-ecr", nothing, {"topics": [keys.TOPIC]}),
    "azure-acr": Hook("azure-acr", bearer),
    "azure-devops": Hook("azure-devops", basic),
    "by-header": Hook("azure-devops", plain("X-Nodewise-Token")),
    "bitbucket-cloud": Hook("bitbucket-cloud", hmac("X-Hub-Signature", "sha256=")),
    "bitbucket-server": Hook("bitbucket-server", hmac("X-Hub-Signature", "sha256=")),
    "cloudevents": Hook("cloudevents", plain("X-Token"), {"header": "X-Token", "types": ["*.pushed"]}),
    "signed-cloudevents": Hook("cloudevents", standard, {"fields": FIELDS}),
    "distribution": Hook("distribution", basic),
    "docker-hub": Hook("docker-hub", nothing),
    "forgejo": Hook("forgejo", hmac("X-Forgejo-Signature"), form="json"),
    "git": Hook("git", standard),
    "gitea": Hook("gitea", hmac("X-Gitea-Signature"), form="json"),
    "github": Hook("github", hmac("X-Hub-Signature-256", "sha256="), form="form"),
    "gitlab": Hook("gitlab", plain("X-Gitlab-Token")),
    "gitlab-signed": Hook("gitlab", standard, secret="whsec_" + base64.b64encode(b"a-key-in-force-of-gitlab").decode()),
    "gitlab-registry": Hook("gitlab-registry", bearer),
    "gogs": Hook("gogs", hmac("X-Gogs-Signature"), form="json"),
    "google-artifact-registry": Hook(
        "google-artifact-registry", google, {"audience": keys.URL, "account": keys.ACCOUNT}
    ),
    "harbor": Hook("harbor", plain("Authorization")),
    "hmac": Hook("hmac", hmac("X-Mine", "v0=", "sha512"), {"header": "X-Mine", "prefix": "v0=", "algorithm": "sha512"}),
    "hmac-of-fields": Hook("hmac", hmac("X-Signature"), {"fields": FIELDS, "registry": REGISTRY}),
    "jfrog": Hook("jfrog", plain("X-JFrog-Event-Auth"), {"signs": "secret"}),
    "jfrog-signed": Hook("jfrog", hmac("X-JFrog-Event-Auth"), {"signs": "hmac"}),
    "nexus": Hook("nexus", hmac("X-Nexus-Webhook-Signature", algorithm="sha1")),
    "quay": Hook("quay", nothing),
    "standard-webhooks": Hook("standard-webhooks", standard),
    "zot": Hook("zot", basic),
}
IN_ADDRESS = ("docker-hub", "quay")


def secret_of(name: str) -> str:
    """The secret of the hook called *name*: one for each, and found wherever it should not be."""
    secret = HOOKS[name].secret
    return secret if secret.startswith("whsec_") else f"{secret}-{hmac_hex(name.encode())[:16]}"


def configuration() -> dict[str, Any]:
    """All of nodewise.yaml."""
    hooks = {}
    for name, hook in HOOKS.items():
        registry = {"registry": REGISTRY} if hook.provider in NAMELESS else {}
        secrets = {} if hook.sign in (google, nothing) and name not in IN_ADDRESS else {"secrets": [secret_of(name)]}
        hooks[name] = {"provider": hook.provider, **registry, **hook.options, **secrets}
    return {"hooks": hooks}


def signed(
    name: str,
    body: bytes,
    now: float,
    headers: Mapping[str, str] | None = None,
    form: bool = False,
    secret: str = "",
) -> Request:
    """*body* as the hook called *name* takes it; *form*: within a form, where it may be one.

    Of a message of SNS it is what the message says. *secret*: another one than the hook's; one of ``WRONG`` stands for
    other keys as well.
    """
    hook = HOOKS[name]
    more, secret = dict(headers or {}), secret or secret_of(name)
    if name == "by-sns":
        return by_sns(sns_message(body.decode(errors="replace"), now), more, secret)
    sent = body
    if hook.form == "json":
        more["Content-Type"] = "application/json"  # what says that it is a form is a part of what is signed
    if form and hook.form and body:
        sent = urlencode({"payload": body.decode(errors="replace")}).encode()
        body = body.decode(errors="replace").encode() if hook.form == "json" else sent
        more["Content-Type"] = FORM
    proof = hook.sign(body, secret, now, more.pop("webhook-id", ""))
    return Request(sent, {**more, **proof}, {"secret": secret} if name in IN_ADDRESS else {})


def sns_message(text: str, now: float, kind: str = "Notification") -> dict[str, Any]:
    return {
        "Type": kind,
        "MessageId": f"message-{hmac_hex(text.encode())[:20]}",
        "TopicArn": keys.TOPIC,
        "Message": text,
        "Timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
        "SignatureVersion": "2",
        "SigningCertURL": keys.CERTIFICATE,
    }


def by_sns(message: dict[str, Any], headers: Mapping[str, str] | None = None, secret: str = "") -> Request:
    """A message of SNS, signed by the tests' own key."""
    kind = {"Content-Type": "text/plain; charset=UTF-8", "X-Amz-Sns-Message-Type": message["Type"]}
    key = keys.OTHER_KEY if secret in WRONG else keys.KEY
    return Request(json.dumps(keys.sns_signed(message, key)).encode(), {**(headers or {}), **kind})
