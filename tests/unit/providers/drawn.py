"""What is drawn and signed for the providers' tests: JSON of all kinds, and the headers of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import strategies as st

from tests.unit.providers.parts import COMMIT, NOW, SECRET


def json_with(*names: str) -> st.SearchStrategy:
    """Any JSON whose objects have some of *names*, so that it gets further than the first look."""
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([COMMIT, "0" * 40])

    def more(inner):
        return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=5)

    return st.recursive(leaves, more, max_leaves=12)


def standard_headers(content: bytes, key: bytes = SECRET, at: float = NOW, id_: str = "msg-1") -> dict[str, str]:
    """*key*: what the secret stands for, that is without ``whsec_`` and decoded."""
    signature = hmac.new(key, f"{id_}.{int(at)}.".encode() + content, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def whsec(key: bytes = SECRET) -> bytes:
    """The secret that stands for *key*."""
    return b"whsec_" + base64.b64encode(key)
