"""Any sender that signs its body with an HMAC, such as a script of one's own or a service without a file here.

Source: RFC 2104; which header, prefix and hash are used is the hook's to say (``header``, ``prefix``, ``algorithm``),
and so is where in the body things stand (``fields``; see ``_fields.py``).

- The signature is hex, over the raw body.
- There is no id and no time under it, so the body names the delivery: one that is sent twice counts once. What is
  pushed again under the same tag has to differ in something, such as a digest or a time.
"""

from __future__ import annotations

from nodewise.config.hooks import HookConfig
from webhooks.bodies import digest, parsed, read_json
from webhooks.proofs import hmac_hex
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._fields import event

ABOUT = About(
    title="HMAC",
    kind=Kind.BOTH,
    events="a body that names an image, or a repository and a ref, where the hook's fields say",
    signature="the HMAC over the raw body in hex, in the header that the hook names (else X-Signature)",
    replay="a digest of the body: a body that is sent again, by whomever, counts once",
    setup=(
        "Send by POST to: {url}",
        'The body: {"image": "registry.example/team/shop:1.4.0@sha256:…"}',
        "  or another one, in which the hook's fields say where things stand;",
        "  something in it has to differ each time: the image's digest, or a time",
        "The header X-Signature: the HMAC-SHA256 over the body by the key {secret}, in hex",
    ),
    tested="bodies of several shapes, signed with Python's own hmac",
)
HEADER = "X-Signature"


def verify(incoming: Incoming, trust: Trust) -> None:
    """The signature by any of the secrets. There is no time in it."""
    hmac_hex(incoming, trust, trust.hook.header or HEADER, trust.hook.prefix, trust.hook.algorithm)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """What the body names. Raises Unreadable."""
    return parsed([event(read_json(incoming.body), hook.fields, hook.registry)], digest(incoming.body))
