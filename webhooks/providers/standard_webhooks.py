"""Any sender that signs as Standard Webhooks say.

Source: https://www.standardwebhooks.com, spec/standard-webhooks.md. Where in the body things stand is the hook's to
say (``fields``; see ``_fields.py``).

- ``webhook-signature`` may hold several, with spaces between; ``v1,`` is HMAC-SHA256, others are not looked at.
- ``webhook-id`` and ``webhook-timestamp`` are under the signature. A retry keeps the id and has a new time.
- A secret that starts with ``whsec_`` is base64, any other is taken as it is.
"""

from __future__ import annotations

from nodewise.config.hooks import HookConfig
from webhooks.bodies import digest, parsed, read_json
from webhooks.proofs import standard_webhook
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._fields import event

ABOUT = About(
    title="Standard Webhooks",
    kind=Kind.BOTH,
    events="a body that names an image, or a repository and a ref, where the hook's fields say",
    signature="Standard Webhooks: HMAC-SHA256 over id, time and body",
    replay="the signed time and the id",
    setup=(
        "The endpoint's URL: {url}",
        "The endpoint's secret: {secret}",
        'The body: {"image": "registry.example/team/shop:1.4.0"}',
        "  or another one, in which the hook's fields say where things stand",
    ),
    tested="bodies of several shapes, signed by the standard's own library",
    whsec=True,
)


def verify(incoming: Incoming, trust: Trust) -> None:
    """Any of the signatures by any of the secrets, with a time within the window."""
    standard_webhook(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """What the body names. Raises Unreadable."""
    key = incoming.header("webhook-id") or digest(incoming.body)
    return parsed([event(read_json(incoming.body), hook.fields, hook.registry)], key)
