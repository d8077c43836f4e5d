"""Messages of Amazon SNS: which request is one, and whether Amazon has signed it.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html,
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html,
https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.

- Whoever may publish to a topic of his own gets a good signature of Amazon's: what tells them apart is the topic, which
  is under the signature. Topic and type come last in what is signed and are compared exactly, so that no line break in
  a message can stand for them.
- The certificate's address comes with the message and is not signed. It is asked for only on Amazon's own hosts, and
  only for a topic that is configured.
- A message that is sent again keeps its ``MessageId`` and its ``Timestamp``, and SNS goes on for up to an hour. So it
  may be that much older than the window; its id, which is signed and kept for days, keeps it from working twice. From
  the future it may come by no more than the window.
- "Raw message delivery" sends no signature, and cannot be accepted.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from webhooks.bodies import read_json
from webhooks.provider import BadSignature, Incoming, Trust, Unreadable

NOTIFICATION = "Notification"
SUBSCRIBED = "SubscriptionConfirmation"
UNSUBSCRIBED = "UnsubscribeConfirmation"
SENT_AGAIN = 3600.0  # seconds: the longest that SNS lets anyone configure
SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIBED: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    UNSUBSCRIBED: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 (Amazon's default)

_HOST = r"https://sns\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(_HOST + r"/[A-Za-z0-9_.-]+\.pem")
_ACTION = re.compile(_HOST + r"/\?[!-~]+")


def is_message(incoming: Incoming) -> bool:
    """Whether the request says that SNS sends it."""
    return bool(incoming.header("x-amz-sns-message-type"))


def is_action(url: str) -> bool:
    """Whether something is done at Amazon SNS, and nowhere else, by asking for *url*."""
    return _ACTION.fullmatch(url) is not None


def certificate_of(incoming: Incoming, topics: list[str]) -> str:
    """The address of the certificate that the message names. Raises BadSignature where it must not be asked for."""
    return _certificate(_claimed(incoming, topics))


def verify(incoming: Incoming, trust: Trust) -> None:
    """Signed by Amazon, for one of the hook's topics, and not too long ago. Raises BadSignature."""
    message = _claimed(incoming, trust.hook.topics)
    key = _key(trust.documents.get(_certificate(message), b""), trust.now)
    version = message.get("SignatureVersion")
    if version not in tuple(HASHES):
        raise BadSignature("unknown version of the signature")
    try:
        signature = base64.b64decode(message.get("Signature", ""), validate=True)
        key.verify(signature, _canonical(message), PKCS1v15(), HASHES[version])
    except (ValueError, TypeError, InvalidSignature):
        raise BadSignature("wrong signature") from None
    age = trust.now - _sent_at(message["Timestamp"])
    if not -trust.window <= age <= SENT_AGAIN + trust.window:
        raise BadSignature("outside the replay window")


def _claimed(incoming: Incoming, topics: list[str]) -> dict[str, Any]:
    """The message, of a topic that is configured. Nothing of it is proven."""
    if not topics:
        raise BadSignature("no topics are configured")
    try:
        message = read_json(incoming.body)
    except Unreadable:
        raise BadSignature("not signed") from None
    kind = incoming.header("x-amz-sns-message-type")
    if kind not in SIGNED or message.get("Type") != kind:
        raise BadSignature("not signed")
    if message.get("TopicArn") not in topics:
        raise BadSignature("wrong topic")
    return message


def _certificate(message: dict[str, Any]) -> str:
    url = message.get("SigningCertURL")
    if not isinstance(url, str) or not _CERTIFICATE.fullmatch(url):
        raise BadSignature("a certificate of somebody else")
    return url


def _key(pem: bytes, now: float) -> RSAPublicKey:
    """The key of a certificate that is in force *now*."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise BadSignature("no certificate") from None
    if not isinstance(key, RSAPublicKey) or not since.timestamp() <= now <= until.timestamp():
        raise BadSignature("no certificate")
    return key


def _canonical(message: dict[str, Any]) -> bytes:
    """What is signed: names and values, each on a line of its own, sorted by name. A subject may be missing."""
    lines = []
    for name in SIGNED[message["Type"]]:
        value = message.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise BadSignature("not signed")
        lines += [name, value]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _sent_at(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadSignature("no time") from None
