"""What the providers' tests share: a hook, a request, what is read from where."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from nodewise.config.hooks import NAMELESS, HookConfig
from webhooks.provider import Incoming, Parsed, Trust, provider

DATA = Path(__file__).parents[2] / "data" / "webhooks"
PAYLOADS = os.environ.get("NODEWISE_PAYLOADS", "")
SECRET = b"a-secret-of-the-test"
NOW = 1_795_000_000.0
COMMIT = "2" * 40

needs_payloads = pytest.mark.skipif(not PAYLOADS, reason="NODEWISE_PAYLOADS names no folder of real payloads")


def hook(name: str, **more) -> HookConfig:
    if name in NAMELESS:
        more = {"registry": "registry.example", **more}
    return HookConfig(provider=name, secrets=["x"], **more)


def body(name: str) -> bytes:
    """A body of the project's own, ``<provider>/<case>.json``."""
    return (DATA / name).read_bytes()


def real(name: str) -> bytes:
    """A body as it was published, from the folder that NODEWISE_PAYLOADS names."""
    return (Path(PAYLOADS) / name).read_bytes()


def parse(name: str, content: bytes, config: HookConfig | None = None, **headers: str) -> Parsed:
    incoming = Incoming({k.replace("_", "-"): v for k, v in headers.items()}, content)
    return provider(name).parse(incoming, config or hook(name))


def verify(
    name: str,
    headers: Mapping[str, str],
    content: bytes = b"",
    secrets: Sequence[bytes] = (SECRET,),
    at: float = NOW,
    config: HookConfig | None = None,
    query: Mapping[str, str] | None = None,
    documents: Mapping[str, bytes] | None = None,
) -> None:
    """Raises BadSignature."""
    trust = Trust(config or hook(name), tuple(secrets), at, 300.0, documents or {})
    provider(name).verify(Incoming(headers, content, query or {}), trust)


def hmac_hex(content: bytes, algorithm: str = "sha256", secret: bytes = SECRET) -> str:
    return hmac.new(secret, content, getattr(hashlib, algorithm)).hexdigest()
