"""Google Artifact Registry: pushed images, told by Pub/Sub.

Source: https://cloud.google.com/artifact-registry/docs/configure-notifications,
https://cloud.google.com/pubsub/docs/push, https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions,
https://cloud.google.com/pubsub/docs/payload-unwrapping.

- Google signs tokens for everybody who asks. What makes one ours is both its audience and the service account that it
  was made for; a hook without either is refused by the configuration.
- The algorithm and the place of the keys are fixed here: neither is taken from the token. Its times are held against
  the given *now*, so the library, which would look at the machine's clock, is told not to.
- The keys are kept for a while. A token by a newer key is turned away until then, and Pub/Sub sends it again.
- A 4xx makes Pub/Sub send the message again until its retention ends: what cannot be read is taken and noted.
- ``data`` is base64 and holds whole references. With payload unwrapping the body is the data itself, and the message's
  id is a header if "write metadata" is on.
- An INSERT may be of an untagged image; a DELETE may have a tag and no digest.
"""

from __future__ import annotations

import base64
from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.errors import UserError
from nodewise.domain.events import ImagePushed
from nodewise.domain.images import ImageName
from webhooks.bodies import digest, image, parsed, read_json, text
from webhooks.provider import About, BadSignature, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._google import KEYS, bearer, claims

ABOUT = About(
    title="Google Artifact Registry",
    kind=Kind.REGISTRY,
    events="INSERT of a tagged image",
    signature="a token in the header Authorization, signed by Google for the hook's audience and service account",
    replay="the token's time, and the message's id",
    setup=(
        "gcloud pubsub topics create gcr",
        "gcloud pubsub subscriptions create nodewise --topic=gcr --push-endpoint={url} \\",
        "  --push-auth-service-account=ACCOUNT --push-auth-token-audience={url}",
        "In nodewise.yaml, instead of secrets:",
        "account: ACCOUNT",
        "audience: {url}",
        "With payload unwrapping the subscription also has --push-no-wrapper --push-no-wrapper-write-metadata",
    ),
    tested="a published example of a message, and tokens signed with keys of the tests' own; not Google itself",
)


def documents(incoming: Incoming, hook: HookConfig) -> tuple[str, ...]:
    """Google's public keys, where there is a token to check. Raises BadSignature."""
    bearer(incoming)
    return (KEYS,)


def verify(incoming: Incoming, trust: Trust) -> None:
    """A token of Google's for this hook, in force now give or take the window."""
    found = claims(bearer(incoming), trust)
    if found["email"] != trust.hook.account or found["email_verified"] is not True:
        raise BadSignature("a token of another account")


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was pushed. Never raises: see above."""
    key = incoming.header("x-goog-pubsub-message-id") or _nameless(incoming)
    try:
        data = read_json(incoming.body)
        if "message" in data:
            key = text(data, "message.messageId", "") or text(data, "message.message_id", "") or key
            data = _data(text(data, "message.data"))
        return parsed([_pushed(data, hook.registry)], key)
    except Unreadable as error:
        return Parsed(Verdict.UNUSABLE, key, note=error.what)


def _nameless(incoming: Incoming) -> str:
    """A name for a message that came without its id: a tag that is pushed back and forth has the same body again, so
    that the token, which changes every hour, is a part of it.
    """
    return digest(incoming.body + b"\n" + incoming.header("authorization").encode("utf-8", "surrogatepass"))


def _data(encoded: str) -> dict[str, Any]:
    try:
        return read_json(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise Unreadable("message.data is no base64", "message.data") from None
    except Unreadable as error:
        raise Unreadable(error.what.replace("the body", "message.data", 1), "message.data") from None


def _pushed(data: dict[str, Any], registry: str) -> ImagePushed | str:
    """The event of a push, or the reason why it is none."""
    action = text(data, "action")
    if action != "INSERT":
        return f"{action[:40]} is no push"
    if not text(data, "tag", ""):
        return "pushed without a tag"
    tagged, pinned = _name(data, "tag"), _name(data, "digest")
    if tagged.repository != pinned.repository:
        raise Unreadable("tag and digest are of two images", "digest")
    return image(f"{registry or tagged.registry}/{tagged.path}", tagged.tag, pinned.digest)


def _name(data: dict[str, Any], field: str) -> ImageName:
    try:
        return ImageName.parse(text(data, field))
    except UserError as error:
        raise Unreadable(f"{field}: {error.what}", field) from None
