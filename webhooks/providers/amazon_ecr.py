"""Amazon ECR: pushed images, told by EventBridge itself or by way of Amazon SNS.

Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html,
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html; for SNS see ``_sns``.

- An API destination of EventBridge sends the event as it is, with a secret in a header. SNS sends it as text within
  its own message, signed by Amazon. A hook takes what it is configured for: *secrets* the first, *topics* the second.
- SNS first asks whether its messages are wanted: that is answered by visiting an address, on Amazon's hosts only.
- The event's own id is the key for both ways, since each of them may tell of one event twice.
- The events of scans, replications and referrers (signatures) have types of their own and are not used. A push may
  have failed; one of an untagged image has no ``image-tag``.
- The event does not name the registry: its name is made of account and region. Another one (a dual-stack name, another
  partition than Amazon's public and Chinese ones) is set as *registry*.
- Events are delivered as well as Amazon can, without a promise.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import ImagePushed
from webhooks.bodies import image, parsed, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers import _sns

ABOUT = About(
    title="Amazon ECR",
    kind=Kind.REGISTRY,
    events="ECR Image Action: a push of a tagged image that succeeded",
    signature=(
        "EventBridge: the secret in the header Authorization, bearer or basic; "
        "SNS: a signature of version 1 or 2 by Amazon's certificate"
    ),
    replay="the event's id; with SNS the signed time as well",
    setup=(
        "EventBridge → Rules → Create rule, with the event pattern:",
        '{"source": ["aws.ecr"], "detail-type": ["ECR Image Action"]}',
        "Either with the target EventBridge API destination:",
        "  API destination endpoint: {url}",
        "  HTTP method: POST",
        "  Connection: API key, with the name Authorization and the value Bearer {secret}",
        "  Input of the target: the matched event",
        "Or with the target SNS topic, and in nodewise.yaml, instead of secrets: topics: [ARN]",
        "  aws sns set-topic-attributes --topic-arn ARN --attribute-name SignatureVersion --attribute-value 2",
        "  aws sns subscribe --topic-arn ARN --protocol https --notification-endpoint {url}",
        "  Raw message delivery: off, for it has no signature",
    ),
    tested="its documented examples, and messages signed with keys of the tests' own; not Amazon itself",
)


def documents(incoming: Incoming, hook: HookConfig) -> tuple[str, ...]:
    """The certificate that a message of SNS names. Raises BadSignature where it is not Amazon's."""
    return (_sns.certificate_of(incoming, hook.topics),) if _sns.is_message(incoming) else ()


def verify(incoming: Incoming, trust: Trust) -> None:
    """Amazon's signature, or the header equal to the secret, in which there is no time."""
    if _sns.is_message(incoming):
        _sns.verify(incoming, trust)
    else:
        credentials(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was pushed, or what SNS asks. Raises Unreadable."""
    data = read_json(incoming.body)
    if not _sns.is_message(incoming):
        return parsed([_pushed(data, hook.registry)], text(data, "id"))
    kind, key = text(data, "Type"), text(data, "MessageId")
    if kind == _sns.SUBSCRIBED:
        return _subscribed(text(data, "SubscribeURL"), key)
    if kind == _sns.UNSUBSCRIBED:
        return parsed([f"the subscription to {text(data, 'TopicArn')} was ended; no more will come from there"], key)
    event = _within(text(data, "Message"))
    return parsed([_pushed(event, hook.registry)], text(event, "id", "") or key)


def _subscribed(url: str, key: str) -> Parsed:
    if not _sns.is_action(url):
        raise Unreadable("SubscribeURL is no address of Amazon SNS", "SubscribeURL")
    return Parsed(Verdict.PING, key, note="the subscription is confirmed", confirm=url)


def _within(message: str) -> dict[str, Any]:
    """The event that a message of SNS carries as text."""
    try:
        return read_json(message.encode("utf-8", "surrogatepass"))
    except Unreadable as error:
        raise Unreadable(error.what.replace("the body", "Message", 1), "Message") from None


def _pushed(event: dict[str, Any], registry: str) -> ImagePushed | str:
    """The event of a push, or the reason why it is none."""
    source, kind = text(event, "source", ""), text(event, "detail-type", "")
    if (source, kind) != ("aws.ecr", "ECR Image Action"):
        return f"event {kind[:40] or '(none named)'} of {source[:40] or 'no source'} is not used"
    action, result = text(event, "detail.action-type"), text(event, "detail.result")
    if action != "PUSH":
        return f"{action[:40]} is no push"
    if result != "SUCCESS":
        return f"the push ended as {result[:40]}"
    tag = text(event, "detail.image-tag", "")
    if not tag:
        return "pushed without a tag"
    repository = f"{registry or _registry(event)}/{text(event, 'detail.repository-name')}"
    return image(repository, tag, text(event, "detail.image-digest"))


def _registry(event: dict[str, Any]) -> str:
    region = text(event, "region")
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{text(event, 'account')}.dkr.ecr.{region}.{domain}"
